"""The documents and nodes of a YAML text, with the places where the parser found them.

Unlike a composed PyYAML tree it keeps aliases as nodes of their own, with marks of their own.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import yaml

from tasks.yaml import limits

if TYPE_CHECKING:
    from yaml._yaml import Mark as CMark

TAG = "tag:yaml.org,2002:"
NULL, STR, MAP, SEQ, MERGE = (TAG + name for name in ("null", "str", "map", "seq", "merge"))

# What yaml.SafeLoader makes of scalars; a scalar with any other tag counts as its text.
_CONSTRUCTORS = {
    tag: yaml.SafeLoader.yaml_constructors[tag]
    for tag in (TAG + name for name in ("null", "bool", "int", "float", "binary", "timestamp"))
}
_CONSTRUCTOR = yaml.constructor.SafeConstructor()

# The C parser is about ten times faster; its marks count code points, as the Python one's do.
_LOADER: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# A comment, but for an item of a list that is turned off.
_HEADING = re.compile(r"[ \t]*#(?![# \t]*-(?:[ \t]|$))")
_RESOLVER = yaml.resolver.Resolver()


@dataclass(kw_only=True, eq=False)
class Node(ABC):
    """What every node has. ``start`` (where its properties begin) and ``end`` are indexes into the text."""

    start: int
    end: int
    tag: str = ""
    tagged: bool = False  # the tag is written in the text, not resolved from the value
    anchor: str | None = None
    shared: bool = field(default=False, init=False)  # an alias refers to it

    @property
    @abstractmethod
    def data(self) -> object:
        """The node as Python data, aliases and merge keys resolved."""


@dataclass(kw_only=True, eq=False)
class Scalar(Node):
    """A scalar; ``style`` is its quote or block indicator, empty when plain."""

    value: str
    style: str

    @cached_property
    def data(self) -> object:
        """The scalar as ``yaml.safe_load`` reads it, or its text where that has no answer."""
        if self.tag not in _CONSTRUCTORS:
            return self.value
        try:
            return _CONSTRUCTORS[self.tag](_CONSTRUCTOR, yaml.ScalarNode(self.tag, self.value))
        except (ArithmeticError, AttributeError, LookupError, ValueError, yaml.YAMLError):
            return self.value  # `!!int ten`, or a date that is none

    @property
    def is_null(self) -> bool:
        """Whether it stands for nothing: empty, ``~`` or ``null``."""
        return self.tag == NULL

    @property
    def is_block(self) -> bool:
        """Whether it is literal (``|``) or folded (``>``)."""
        return self.style in ("|", ">")


@dataclass(kw_only=True, eq=False)
class Sequence(Node):
    """A sequence, in block or flow style; ``headed`` are the numbers of the items with a comment above them.

    An item that is turned off by a comment sign heads nothing.
    """

    flow: bool
    items: list[Node] = field(default_factory=list)
    headed: frozenset[int] = frozenset()

    @cached_property
    def data(self) -> object:
        """The items as a list."""
        return [item.data for item in self.items]


@dataclass(kw_only=True, eq=False)
class Mapping(Node):
    """A mapping, in block or flow style, with its entries in the order of the text."""

    flow: bool
    entries: list[tuple[Node, Node]] = field(default_factory=list)

    @cached_property
    def data(self) -> object:
        """The entries with scalar keys as a dict, those of merge keys included."""
        merged: dict[object, object] = {}
        for source in reversed(self.merge_sources()):
            inherited = source.data
            assert isinstance(inherited, dict)
            merged |= inherited
        keys = ((resolved(key), value) for key, value in self.entries)
        own = ((key, value) for key, value in keys if isinstance(key, Scalar) and key.tag != MERGE)
        return merged | {key.data: value.data for key, value in own}

    def find(self, key: str) -> tuple[Node, Node] | None:
        """Return the entry of the mapping's own that has this key."""
        for node, value in self.entries:
            named = resolved(node)
            if isinstance(named, Scalar) and (named.tag, named.value) == (STR, key):
                return node, value
        return None

    def merge_sources(self) -> list["Mapping"]:
        """Return the mappings its merge keys (``<<``) name, the first of them winning."""
        named = [resolved(value) for key, value in self.entries if key.tag == MERGE]
        flat = [item for node in named for item in (node.items if isinstance(node, Sequence) else [node])]
        return [node for node in map(resolved, flat) if isinstance(node, Mapping)]


@dataclass(kw_only=True, eq=False)
class Alias(Node):
    """An alias; its anchor is the name it refers to."""

    target: Node

    @property
    def data(self) -> object:
        """The data of the node it refers to."""
        return self.target.data


@dataclass(frozen=True)
class Document:
    """One document of the stream. ``end`` is where its end was noticed: a marker, or the end of the text."""

    root: Node | None
    end: int


def _index(mark: "yaml.Mark | CMark | None") -> int:
    assert mark is not None  # parsers set it on every event
    return mark.index


class _Builder:
    """Puts the nodes of one document together from the parser's events."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[tuple[Sequence | Mapping, list[Node]]] = []
        self._anchors: dict[str, Node] = {}
        self.root: Node | None = None

    def add(self, event: yaml.Event) -> None:
        """Take the next event of the document."""
        if isinstance(event, yaml.CollectionEndEvent):
            node, parts = self._open.pop()
            node.end = _index(event.end_mark)
            if isinstance(node, Sequence):
                node.items = parts
                node.headed = frozenset() if node.flow else self._headed(node)
            else:
                node.entries = list(zip(parts[::2], parts[1::2], strict=True))
            return
        new = self._alias(event) if isinstance(event, yaml.AliasEvent) else _node(event)
        if self._open:
            self._open[-1][1].append(new)
        else:
            self.root = new
        if new.anchor is not None and not isinstance(new, Alias):
            self._anchors[new.anchor] = new
        if isinstance(new, Sequence | Mapping):
            self._open.append((new, []))

    def _headed(self, node: Sequence) -> frozenset[int]:
        """The numbers of the items that a comment on a line of its own stands above."""
        found = []
        for number, item in enumerate(node.items):
            if number:
                # The rest of the line of the item before is no line of its own.
                _, _, between = self._text[node.items[number - 1].end : item.start].partition("\n")
            else:
                between = _comments_above(self._text[: node.start])
            if any(_HEADING.match(line) for line in between.splitlines()):
                found.append(number)
        return frozenset(found)

    def _alias(self, event: yaml.AliasEvent) -> Alias:
        target = self._anchors.get(event.anchor or "")
        if target is None or any(node is target for node, _ in self._open):
            reason = "has no anchor" if target is None else "is inside its own anchor"
            mark = yaml.Mark("", _index(event.start_mark), 0, 0, None, 0)
            raise yaml.composer.ComposerError(None, None, f"the alias *{event.anchor} {reason}", mark)
        target.shared = True
        start, end = _index(event.start_mark), _index(event.end_mark)
        return Alias(start=start, end=end, anchor=event.anchor, target=target)


def _comments_above(text: str) -> str:
    """The lines of comments that ``text`` ends with, before the line that is not complete."""
    lines: list[str] = []
    for line in reversed(text.splitlines()[:-1] if not text.endswith("\n") else text.splitlines()):
        if not line.lstrip().startswith("#"):
            break
        lines.append(line)
    return "\n".join(lines)


def _node(event: yaml.Event) -> Node:
    start, end = _index(event.start_mark), _index(event.end_mark)
    if isinstance(event, yaml.ScalarEvent):
        tag = event.tag if event.tag not in (None, "!") else _resolved(event.value, event.implicit)
        return Scalar(
            start=start,
            end=end,
            tag=tag,
            tagged=event.tag is not None,
            anchor=event.anchor,
            value=event.value,
            style=event.style or "",
        )
    assert isinstance(event, yaml.CollectionStartEvent)
    kind, default = (Sequence, SEQ) if isinstance(event, yaml.SequenceStartEvent) else (Mapping, MAP)
    return kind(
        start=start,
        end=end,
        tag=event.tag if event.tag not in (None, "!") else default,
        tagged=event.tag is not None,
        anchor=event.anchor,
        flow=bool(event.flow_style),
    )


def _resolved(value: str, implicit: tuple[bool, bool]) -> str:
    return str(_RESOLVER.resolve(yaml.ScalarNode, value, implicit))  # type: ignore[no-untyped-call]


def plain_tag(value: str) -> str:
    """Return the tag a plain scalar with this text resolves to."""
    return _resolved(value, (True, False))


def parse(text: str) -> list[Document]:
    """Return the documents of ``text``.

    Raises ``limits.LimitError`` where the text is nested too deeply, ``yaml.YAMLError`` where it is not YAML
    or an alias in it leads nowhere or into itself, and ``UnicodeError`` where it holds half a surrogate pair.
    """
    limits.check_depth(text)
    documents = []
    builder = _Builder(text)
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.DocumentStartEvent):
            builder = _Builder(text)
        elif isinstance(event, yaml.DocumentEndEvent):
            documents.append(Document(builder.root, _index(event.start_mark)))
        elif isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            builder.add(event)
    return documents


def resolved(node: Node) -> Node:
    """Return the node itself, or the one an alias refers to."""
    return node.target if isinstance(node, Alias) else node


def descendants(node: Node) -> Iterator[Node]:
    """Yield the node and every node in it, keys too, aliases unresolved, in the order of the text."""
    yield node
    if isinstance(node, Sequence):
        for item in node.items:
            yield from descendants(item)
    elif isinstance(node, Mapping):
        for key, value in node.entries:
            yield from descendants(key)
            yield from descendants(value)
