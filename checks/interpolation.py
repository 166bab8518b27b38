"""Variables in a configuration of Vector, as Vector reads them.

https://vector.dev/docs/reference/environment_variables/: a name, and what follows where it is not set.
"""

import re
from collections.abc import Mapping
from typing import Any

VARIABLE = re.compile(r"\$\$|\$([\w.]+)|\$\{([\w.]+)(?:(:?[-?])([^}]*))?\}", re.ASCII)
# Whether these come from a Secret is asked by their names.
_LEFT_ALONE = "auth"


def filled(data: Any, given: Mapping[str, object]) -> Any:
    """Nested ``data`` with the variables replaced whose texts are known; those of logins stay variables.

    ``given`` maps variables to their texts, or to something else where the text is not known.
    """
    if isinstance(data, str):
        text = VARIABLE.sub(lambda found: _text(found, given), data)
        # Vector replaces the text before it reads it: a number without quotes is one.
        return int(text) if text != data and text.isdecimal() else text
    if isinstance(data, Mapping):
        return {key: value if key == _LEFT_ALONE else filled(value, given) for key, value in data.items()}
    return [filled(value, given) for value in data] if isinstance(data, list) else data


def _text(found: re.Match[str], given: Mapping[str, object]) -> str:
    name = found[1] or found[2]
    if not name:
        return found[0]
    value, otherwise = given.get(name), str(found[3] or "")
    if isinstance(value, str) and (value or otherwise in ("", "-", "?")):
        return value
    is_open = name in given and value != ""
    return found[4] if otherwise.endswith("-") and not is_open else found[0]
