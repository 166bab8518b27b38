"""Fills the placeholders of the templates in manifests/."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Final

import yaml

from tasks.yaml.documents import UNREADABLE

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"

# The first comment of every manifest: how the playbook knows its own files again.
MARKER = "# Written by parseable-playbook"

Value = str | int | Mapping[str, object] | Sequence[object] | None


class Absent:
    """Marks a placeholder whose line is to be left out."""


ABSENT: Final = Absent()

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# A line whose whole value is one placeholder: there the value must stay the scalar it is.
_WHOLE_VALUE = re.compile(r"^(?P<lead>\s*(?:- )?(?:[\w./-]+:\s+)?(?:&\w+\s+)?)\$\{(?P<name>\w+)\}\s*$")


def render(template: str, values: Mapping[str, Value | Absent]) -> str:
    """``template`` with its placeholders replaced, so that each scalar reads back as the value given.

    A whole value is quoted where YAML would take it for something else (version "1.10"), a mapping or
    a list becomes a flow one, None becomes null, and the line of an ABSENT value is left out. Inside a longer
    scalar the text goes in as it is; settings admit no character that would end the scalar.

    Raises:
        KeyError: a placeholder without a value.
    """
    lines = []
    for line in template.splitlines(keepends=True):
        found = _WHOLE_VALUE.match(line)
        if found is None:
            lines.append(Template(line).substitute(values))
            continue
        value = values[found["name"]]
        if not isinstance(value, Absent):
            lines.append(f"{found['lead']}{scalar(value)}\n")
    return "".join(lines)


def scalar(value: Value) -> str:
    """``value`` in YAML on one line: plain where that reads back the same, JSON otherwise.

    >>> scalar("1.6.5"), scalar("1.10"), scalar(None), scalar({"provider": "sops"})
    ('1.6.5', '"1.10"', 'null', '{provider: sops}')
    """
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {_inner(item)}" for key, item in value.items())
        return "{" + inner + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_inner, value)) + "]"
    if value is None or isinstance(value, int):
        return json.dumps(value)
    return _text(value, "k: {}")


def _inner(value: object) -> str:
    """A value inside a flow mapping or sequence, where a comma or a bracket ends plain text."""
    return _text(value, "{{k: {}}}") if isinstance(value, str) else scalar(value)  # type: ignore[arg-type]


def _text(value: str, place: str) -> str:
    try:
        # All of YAML 1.1, which makes a date of 2025-01-11: what some reader takes for no text is quoted.
        plain = yaml.load(place.format(value), Loader=_LOADER) == {"k": value}  # noqa: S506 (both are safe)
    except UNREADABLE:
        plain = False
    return value if plain and "\n" not in value else json.dumps(value)
