"""New YAML text for plain data: scalars, flow collections, and the lines of block collections."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.yaml.editing.nodes import TAG, plain_tag

YamlValue = None | bool | int | float | str | list["YamlValue"] | dict[str, "YamlValue"]

# Words and numbers that another YAML version reads as something else than a string.
_AMBIGUOUS = re.compile(
    r"[yYnN]|0[oO][0-7_]+|[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
)
_NEVER_FIRST = frozenset("?:,[]{}#&*!|>'\"%@`")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True)
class Style:
    """How far a nested mapping (``step``) and a list (``offset``) stand right of their key."""

    step: int
    offset: int


def scalar_content(value: YamlValue) -> tuple[str, str]:
    """Return the tag and the content of a scalar for ``value``, before any quoting."""
    if value is None:
        return TAG + "null", "null"
    if isinstance(value, bool):
        return TAG + "bool", "true" if value else "false"
    if isinstance(value, int):
        return TAG + "int", str(value)
    if isinstance(value, float):
        return TAG + "float", _float(value)
    return TAG + "str", str(value)


def _float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    mantissa, exponent, power = repr(value).partition("e")
    # YAML 1.1 wants a dot in a float.
    return mantissa + ("" if "." in mantissa else ".0") + exponent + power


def scalar_text(value: YamlValue, *, flow: bool = False, quote: str = "") -> str:
    """Return the text of a scalar: plain where that reads back the same, else in double quotes.

    ``quote`` asks for the quotes a string had before.
    """
    content = scalar_content(value)[1]
    if not isinstance(value, str):
        return content
    if quote == "'" and content.isprintable():
        return "'" + content.replace("'", "''") + "'"
    if quote != '"' and _is_plain(content, flow=flow):
        return content
    return '"' + "".join(_escaped(char) for char in content) + '"'


def _is_plain(text: str, *, flow: bool) -> bool:
    if not text or not text.isprintable() or text != text.strip() or text[0] in _NEVER_FIRST:
        return False
    if text in ("-", "---", "...") or text.startswith(("- ", "--- ", "... ")):
        return False
    if ": " in text or " #" in text or text.endswith(":"):
        return False
    # Older parsers stumble over some of these in flow style.
    if flow and not frozenset(text).isdisjoint(",[]{}:?#"):
        return False
    return plain_tag(text) == TAG + "str" and _AMBIGUOUS.fullmatch(text) is None


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def flow_text(value: YamlValue) -> str:
    """Return ``value`` on one line, collections in flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(flow_entries(value)) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow_text(item) for item in value) + "]"
    return scalar_text(value, flow=True)


def flow_entries(values: Mapping[str, YamlValue]) -> list[str]:
    """Return the entries of a flow mapping."""
    return [f"{scalar_text(key, flow=True)}: {flow_text(value)}" for key, value in values.items()]


def block_entries(values: Mapping[str, YamlValue], column: int, style: Style) -> list[str]:
    """Return the lines of a block mapping whose keys stand at ``column``."""
    lines = []
    for key, value in values.items():
        head = " " * column + scalar_text(key) + ":"
        if isinstance(value, dict) and value:
            lines += [head, *block_entries(value, column + style.step, style)]
        elif isinstance(value, list) and value:
            lines += [head, *block_items(value, column + style.offset, style)]
        else:
            lines.append(f"{head} {_inline(value)}")
    return lines


def block_items(values: Sequence[YamlValue], column: int, style: Style) -> list[str]:
    """Return the lines of a block sequence whose dashes stand at ``column``."""
    lines = []
    for value in values:
        if isinstance(value, dict) and value:
            first, *rest = block_entries(value, column + 2, style)
        elif isinstance(value, list) and value:
            first, *rest = block_items(value, column + 2, style)
        else:
            first, rest = " " * (column + 2) + _inline(value), []
        lines += [" " * column + "- " + first[column + 2 :], *rest]
    return lines


def _inline(value: YamlValue) -> str:
    return flow_text(value) if isinstance(value, dict | list) else scalar_text(value)
