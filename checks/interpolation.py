"""Variables in a configuration of Vector, as Vector reads them.

https://vector.dev/docs/reference/environment_variables/: a name, and what follows where it is not set.
"""

import re
from collections.abc import Mapping
from typing import Any

from tasks.kube.pods import variables
from tasks.yaml.documents import items

# From this version on only if it is told to, by a variable or a flag:
# https://vector.dev/highlights/2026-07-14-0-57-0-upgrade-guide/
_TOLD_SINCE = (0, 57)
TELLING = "VECTOR_DANGEROUSLY_ALLOW_ENV_VAR_INTERPOLATION"
_FLAG = "--dangerously-allow-env-var-interpolation"

VARIABLE = re.compile(r"\$\$|\$([\w.]+)|\$\{([\w.]+)(?:(:?[-?])([^}]*))?\}", re.ASCII)
# Whether these come from a Secret is asked by their names.
_LEFT_ALONE = "auth"


def leaves_variables(container: Mapping[str, Any]) -> bool:
    """Whether the Vector of a container reads variables as plain text, as far as its image's name tells."""
    image = str(container.get("image")).partition("@")[0]
    version = re.match(r"v?(\d+)\.(\d+)", image.rpartition("/")[2].partition(":")[2])
    if version is None or (int(version[1]), int(version[2])) < _TOLD_SINCE:
        return False
    told = {str(one).partition("=")[0] for name in ("command", "args") for one in items(container, name)}
    is_told = str(variables(container).get(TELLING)).lower() == "true" or _FLAG in told
    return not is_told and not container.get("envFrom")


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
