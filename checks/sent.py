"""The columns that a remap program sends, where it makes them all itself: read without running it.

A program does so that gives the event anew as a map in its text (``. = {…}``) and adds to that. Of any other
it is not known what the events of the sources bring.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from checks.columns import COMMENT, MAKES_ONE, PASSING, until_closed
from tasks.yaml.documents import mapping

_QUOTED = re.compile(r"""(?:[rst]?'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
_ROOT = re.compile(r"(?m)^[ \t]*\.[ \t]*(?P<merged>\|?)=(?!=)\s*")
_ANY_ROOT = re.compile(r"(?<![\w.\])\"])\.\s*(?:,\s*\w+\s*)?\|?=(?![=~>])")
_FIELD = re.compile(
    r"(?<![\w.)\]])\.(?P<path>[A-Za-z_@][\w@]*(?:\.[\w@]+)*)\s*(?:,\s*\w+\s*)?(?P<merged>\|?)=(?![=~>])\s*"
)
# A field whose name is quoted, or comes of an index.
_ODD_FIELD = re.compile(r"(?<![\w)\]])\.[\w@.]*[\"\[][^\n=]*?\|?=(?![=~>])")
_ASSIGNED = re.compile(r"(?<![\w.])(?P<name>[a-z_]\w*)\s*(?:,\s*\w+\s*)?(?P<merged>\|?)=(?![=~>])\s*")
_LITERAL = re.compile(r"(?:[rst]?'|\"|-?\d|true\b|false\b|null\b)")
_SET = re.compile(r"set!?\(\s*(\w+)\s*,\s*\[\s*(\w+)\s*\]")
_LOOP = re.compile(r"for_each!?\(")
_CLOSURE = re.compile(r"\)\s*->\s*\|\s*(\w+)")
_KEY = re.compile(r"\"((?:[^\"\\]|\\.)*)\"\s*:\s*")


@dataclass(frozen=True)
class Sent:
    """The columns that are sent: their names, and the beginnings of names that nobody can tell."""

    names: tuple[str, ...]
    beginnings: tuple[str, ...] = ()

    def has(self, column: str) -> bool:
        """Whether a column may be among them, whatever its capitals."""
        wanted = column.lower()
        return wanted in (name.lower() for name in self.names) or wanted.startswith(
            tuple(one.lower() for one in self.beginnings)
        )

    def __str__(self) -> str:
        return ", ".join((*self.names, *(f"{one}…" for one in self.beginnings)))


def sent_by(transforms: Iterable[Mapping[str, Any]], sink: Mapping[str, Any]) -> Sent | None:
    """The columns that ``sink`` sends of what passed ``transforms``; None where they cannot be told."""
    if set(mapping(sink, "encoding")) & {"only_fields", "except_fields"}:
        return None
    programs = []
    for one in transforms:
        if one.get("type") == "remap" and isinstance(one.get("source"), str):
            programs.append(one["source"])
        elif one.get("type") not in PASSING:
            return None
    return columns_of(programs[0]) if len(programs) == 1 else None


def columns_of(program: str) -> Sent | None:
    r"""The columns that a remap program makes of every event; None where it keeps some of the event.

    >>> columns_of('. = {"message": string!(.message), "k8s": {}}\n.k8s.pod = to_string(.pod) ?? ""')
    Sent(names=('message', 'k8s_pod'), beginnings=())
    """
    text = COMMENT.sub(r"\1", program)
    # The same text with nothing in its quotes, so that what is found has its place in both.
    bare = _QUOTED.sub(lambda found: f'"{"_" * (len(found[0]) - 2)}"', text)
    roots = list(_ROOT.finditer(bare))
    if not roots or len(roots) != len(_ANY_ROOT.findall(bare)):
        return None
    last = roots[-1]
    is_whole = all(
        not one["merged"] and bare.count("{", 0, one.start()) == bare.count("}", 0, one.start())
        for one in roots
    )
    if not is_whole or not bare.startswith("{", last.end()) or _ODD_FIELD.search(bare, last.end()):
        return None
    names: dict[str, None] = {}
    beginnings: dict[str, None] = {}
    fields = list(_literal(text, bare, last.end(), ""))
    for found in _FIELD.finditer(bare, last.end()):
        path = found["path"].replace(".", "_")
        fields.append((path, found.end() if not found["merged"] else -1))
    for path, start in fields:
        keys = None if start < 0 else _keys(text, bare, start, frozenset())
        if keys is None:
            names[path] = beginnings[f"{path}_"] = None
        else:
            names |= dict.fromkeys(f"{path}_{key}" if key else path for key in keys)
    return Sent(tuple(names), tuple(beginnings))


def _literal(text: str, bare: str, start: int, under: str) -> Iterator[tuple[str, int]]:
    """The paths of a map that is written at ``start``, with where the value of each begins."""
    inside = until_closed(bare, start + 1)
    place, end = start + 1, start + 1 + len(inside)
    while place < end and (found := re.compile(r"[\s,]*\"(?=[^\"]*\"\s*:)").match(bare, place)):
        key = _KEY.match(text, found.end() - 1)
        if key is None or key.end() > end:
            return
        path = re.sub(r"\W", "_", f"{under}{key[1]}")
        if bare.startswith("{", key.end()):
            yield from _literal(text, bare, key.end(), f"{path}_")
        else:
            yield path, key.end()
        place = key.end() + len(until_closed(bare, key.end(), ","))


def _keys(text: str, bare: str, start: int, seen: frozenset[str]) -> tuple[str, ...] | None:
    """The keys of the map at ``start``, ("",) for one text, number or truth; None if it is not known."""
    value = until_closed(bare, start, "\n;,").strip()
    if re.fullmatch(r"\{\s*\}", value):
        return ()
    # An element of a map may be a map itself.
    if _LITERAL.match(value) or (MAKES_ONE.match(value) and not value.startswith("get")):
        return ("",)
    name = re.fullmatch(r"[a-z_]\w*", value)
    if name is None or value in seen:
        return None
    # What it was before it was last made anew does not matter.
    given = [one for one in _ASSIGNED.finditer(bare, 0, start) if one["name"] == value]
    empty = [n for n, one in enumerate(given) if bare.startswith("{}", one.end())]
    given = given[empty[-1] :] if empty else given
    found: dict[str, None] = {}
    for one in given:
        added = _SET.match(bare, one.end())
        keys = (
            _loop_keys(text, bare, added[2], one.start())
            if added and added[1] == value
            else None
            if one["merged"]
            else _keys(text, bare, one.end(), seen | {value})
        )
        if keys is None:
            return None
        found |= dict.fromkeys(keys)
    return tuple(found) if given else None


def _loop_keys(text: str, bare: str, parameter: str, before: int) -> tuple[str, ...] | None:
    """The keys that ``parameter`` of the loop around ``before`` stands for; None if they are not written."""
    keys: tuple[str, ...] | None = None
    for loop in _LOOP.finditer(bare, 0, before):
        over = until_closed(bare, loop.end())
        closure = _CLOSURE.match(bare, loop.end() + len(over))
        if closure is None or closure[1] != parameter:
            continue
        start = loop.end()
        if re.fullmatch(r"[a-z_]\w*", over.strip()):
            given = [one for one in _ASSIGNED.finditer(bare, 0, start) if one["name"] == over.strip()]
            if len(given) != 1:
                return None
            start = given[0].end()
        if not bare.startswith("{", start):
            return None
        keys = tuple(path for path, _ in _literal(text, bare, start, ""))
    return keys
