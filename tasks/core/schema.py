"""The settings as a JSON schema (draft 2020-12), for editors: types, forms, defaults and their comments."""

import dataclasses
import re
import types
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from tasks.core.settings import SECTIONS, Settings

_DEFAULTS = Path(__file__).resolve().parents[2] / "invoke.yaml"
_TYPES: dict[type, str] = {str: "string", int: "integer", types.NoneType: "null"}
_SECTION = re.compile(r"(\w+):\s*$")
_COMMENTED = re.compile(r"  (\w+):.*?\s#\s+(.*\S)\s*$")


def settings_schema() -> dict[str, Any]:
    """The schema of a settings file."""
    comments = _comments(_DEFAULTS.read_text(encoding="utf-8"))
    hints = get_type_hints(Settings)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of parseable-playbook",
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _section(name, hints[name], comments) for name in SECTIONS},
    }


def _section(section: str, kind: Any, comments: dict[tuple[str, str], str]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {
        "description": (kind.__doc__ or "").split("\n\n")[0],
        "type": "object",
        "additionalProperties": False,
        "properties": {
            item.name: _setting(item, hints[item.name], comments.get((section, item.name), ""))
            for item in dataclasses.fields(kind)
        },
    }


def _setting(item: "dataclasses.Field[Any]", hint: Any, comment: str) -> dict[str, Any]:
    if get_origin(hint) is dict:
        return {"type": "object", "additionalProperties": {"type": "string"}, "description": comment}
    names = [_TYPES[kind] for kind in get_args(hint) or (hint,)]
    form = item.metadata.get("form")
    described = ": ".join(part for part in (comment, form.words if form else "") if part)
    found = {
        "type": names if len(names) > 1 else names[0],
        "default": item.default,
        "description": described,
        "minimum": item.metadata.get("least"),
        "maximum": item.metadata.get("most"),
        # Editors read patterns as JavaScript does, where a group has no flags.
        "pattern": f"^(?:{form.pattern})$" if form and "(?i" not in form.pattern else None,
    }
    return {key: value for key, value in found.items() if value not in (None, "") or key == "default"}


def _comments(text: str) -> dict[tuple[str, str], str]:
    """What the file of defaults says of each setting, by its section and name."""
    found = {}
    section = ""
    for line in text.splitlines():
        if heading := _SECTION.match(line):
            section = heading[1]
        elif commented := _COMMENTED.match(line):
            found[section, commented[1]] = commented[2]
    return found
