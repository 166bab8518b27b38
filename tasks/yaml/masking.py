"""YAML without its secrets: what is hidden is found by where it stands, as the parser sees it."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Series
from operator import itemgetter

import yaml

from tasks.core.redaction import VALUE_NAMES, Span, merged, text_spans, with_hidden
from tasks.core.secret_names import covers, is_name, is_pointer, is_reference, says_where, sounds_secret
from tasks.yaml.editing.nodes import NULL, TAG, Alias, Mapping, Node, Scalar, Sequence, parse, resolved
from tasks.yaml.editing.scan import Source

# Texts in texts in texts.
_DEEPEST = 4
# Keys of maps that name a secret, and hold none: {name: login, key: password}, {secretName: login, items: …}.
_SELECTED = frozenset(("name", "secretName", "secretKeyRef", "secretRef", "valueFrom"))
_SELECTOR = _SELECTED | {
    "key",
    "namespace",
    "optional",
    "kind",
    "apiVersion",
    "group",
    "items",
    "defaultMode",
}
# What says whose value its neighbour is.
_NAMING = frozenset(
    (
        "name",
        "key",
        "header",
        "headername",
        "field",
        "variable",
        "param",
        "parameter",
        "property",
        "id",
        "path",
    )
)
# Names that mean nothing without the one above them.
_RELATIVE = frozenset(("key", "url", "uri", "endpoint", "address"))
_BREAKS = r"\r\n\x85\u2028\u2029"
_COMMENT = re.compile(rf"(?<![^ \t\ufeff{_BREAKS}])#+[ \t]?(?P<text>[^{_BREAKS}]*)")
_SHORT_WORD = re.compile(r"[\w./-]{0,15}")
_FLAG = re.compile(r"--?(?P<name>[A-Za-z][\w-]*)")
# A value that is long, and no name of something, is hidden wherever it stands.
_TELLING = re.compile(r"(?![a-z]+(?:[-._/:][a-z0-9]+)*$)\S{8,}")


def masked(text: str) -> str:
    """``text`` with "(not shown)" for every secret, on each of its lines.

    A text that is not YAML is read line by line instead, and more of it is hidden.
    """
    spans = secret_spans(text)
    return with_hidden(text, [*spans, *occurrences(text, telling_values(text, spans))])


def secret_spans(text: str) -> list[Span]:
    """Where ``text`` holds secrets, in order."""
    return merged(_spans(text, 0))


def telling_values(text: str, spans: Iterable[Span]) -> frozenset[str]:
    """Those of the secrets of ``text`` that are sure to be the same secret where they stand again."""
    return frozenset(
        value
        for start, end in spans
        for line in text[start:end].splitlines()
        if _TELLING.fullmatch(value := line.strip().rstrip(",").strip("\"'"))
    )


def occurrences(text: str, values: Iterable[str]) -> Iterator[Span]:
    """Where ``values`` stand in ``text``."""
    wanted = "|".join(map(re.escape, sorted(values, key=len, reverse=True)))
    if wanted:
        yield from (found.span() for found in re.finditer(wanted, text))


def _spans(text: str, depth: int) -> list[Span]:
    try:
        documents = parse(text)
        finder = _Finder(text, depth)
        for document in documents:
            if document.root is not None:
                finder.visit(document.root)
        return [*finder.spans, *finder.in_comments()]
    except (yaml.YAMLError, ValueError, RecursionError):
        return text_spans(text)


class _Finder:
    """Walks the nodes of one text and collects the places of its secrets."""

    def __init__(self, text: str, depth: int) -> None:
        self.spans: list[Span] = []
        self._source = Source(text)
        self._depth = depth
        self._scalars: list[Span] = []
        self._secret_nodes: list[Span] = []
        self._seen: set[tuple[int, str, bool]] = set()

    def visit(self, node: Node, name: str = "", *, below: bool = False) -> None:
        """Look at ``node``, which stands under ``name``, or ``below`` a name that makes all of it secret.

        Below no name, as in the data of a Secret, nothing is taken for a mere pointer.
        """
        if isinstance(node, Alias):
            if below or sounds_secret(name):
                self.visit(node.target, name, below=below)
            return
        if (id(node), name, below) in self._seen:
            return
        self._seen.add((id(node), name, below))
        if isinstance(node, Scalar):
            self._scalar(node, name, below=below)
        elif isinstance(node, Sequence):
            self._sequence(node, name, below=below)
        elif isinstance(node, Mapping):
            self._mapping(node, name, below=below)

    # Kinds of nodes ---------------------------------------------------------------------------------------

    def _scalar(self, node: Scalar, name: str, *, below: bool) -> None:
        start, end = self._source.content_start(node), self._source.content_end(node)
        if node.is_block:
            start = min(self._source.line_end(self._source.line(start)), end)
        before = self._after_last(node)
        self._scalars.append((start, end))
        if (below or sounds_secret(name)) and not _says_nothing(node, name):
            self._hide(start, end)
            self._secret_nodes.append((before, end))
        elif not _SHORT_WORD.fullmatch(node.value):
            self._inside(node, start, end)

    def _sequence(self, node: Sequence, name: str, *, below: bool) -> None:
        if below:
            self._secret_nodes.append((self._after_last(node), node.end))
        flag = ""
        for item in node.items:
            self.visit(item, flag or name, below=below)
            found = _FLAG.fullmatch(_text(item))
            flag = found["name"] if found and sounds_secret(found["name"]) else ""

    def _mapping(self, node: Mapping, name: str, *, below: bool) -> None:
        is_data = below and not name
        if (below or covers(name)) and not is_data and _is_selector(node):
            name, below = "", False
        elif below or covers(name):
            below = True
            self._secret_nodes.append((self._after_last(node), node.end))
        entries = list(_entries(node, set()))
        is_secret = any((_text(key), _text(value)) == ("kind", "Secret") for key, value in entries)
        named = (_text(value) for key, value in entries if _text(key).lower() in _NAMING)
        neighbour = next(filter(sounds_secret, named), "")
        for key, value in entries:
            own = _text(key)
            self.visit(key)
            if below and node.flow and isinstance(value, Scalar) and value.start == value.end:
                # {hunter2, other}: a set, whose members are keys.
                self._hide(key.start, key.end)
            if is_data or (is_secret and own in ("data", "stringData", "binaryData")):
                self.visit(value, below=True)
            elif neighbour and own.lower() in VALUE_NAMES:
                self.visit(value, neighbour, below=below)
            elif own in _RELATIVE and not says_where(name):
                self.visit(value, f"{name}.{own}", below=below)
            else:
                self.visit(value, own, below=below)

    # Hiding -----------------------------------------------------------------------------------------------

    def _hide(self, start: int, end: int) -> None:
        self.spans.append((start, end))
        self._secret_nodes.append((start, end))

    def _after_last(self, node: Node) -> int:
        """Where the comments begin that stand between ``node`` and its key, or the item before it."""
        last = self._scalars[-1][1] if self._scalars else 0
        return min(last, node.start)

    def _inside(self, node: Scalar, start: int, end: int) -> None:
        """Hide the secrets in the text of a scalar that is none itself."""
        if node.style == "|":
            pieces = self._lines(start, end)
            inner = "".join(f"{text}\n" for _, text in pieces)
            self.spans += _mapped(pieces, _embedded(inner, self._depth))
            return
        raw = self._source.text[start:end]
        opening = len(node.style) if node.style in ("'", '"') else 0
        if raw[opening : len(raw) - opening] == node.value:
            found = _embedded(node.value, self._depth)
            self.spans += [(start + opening + first, start + opening + last) for first, last in found]
        elif merged(_embedded(node.value, self._depth)) or (not opening and merged(text_spans(raw))):
            # Folded or escaped: where in the raw text it stands is not worth knowing.
            self._hide(start, end)

    def _lines(self, start: int, end: int) -> list[tuple[int, str]]:
        """The lines of a block scalar: where each begins after its indentation, and its text."""
        lines = range(self._source.line(start) + 1, self._source.line(end) + 1)
        texts = [(self._source.starts[line], self._source.content(line)) for line in lines]
        filled = [len(text) - len(text.lstrip(" ")) for _, text in texts if text.strip(" \t")]
        indent = min(filled, default=0)
        return [(place + min(indent, len(text)), text[indent:]) for place, text in texts]

    def in_comments(self) -> list[Span]:
        """The secrets in comments, and all comments beside or between secrets."""
        lines = {
            line
            for start, end in merged(self._secret_nodes)
            for line in range(self._source.line(start), self._source.line(max(start, end - 1)) + 1)
        }
        spans: list[Span] = []
        block: list[tuple[int, str]] = []
        last = -2
        for found in self._comments():
            line = self._source.line(found.start())
            if line in lines:
                spans.append(found.span("text"))
                continue
            if line != last + 1:
                spans += _mapped(block, text_spans("\n".join(text for _, text in block)))
                block = []
            block.append((found.start("text"), found["text"]))
            last = line
        return [*spans, *_mapped(block, text_spans("\n".join(text for _, text in block)))]

    def _comments(self) -> Iterator[re.Match[str]]:
        scalars = merged(self._scalars)
        position = 0
        while found := _COMMENT.search(self._source.text, position):
            start, end = (
                scalars[bisect_right(scalars, found.start(), key=itemgetter(0)) - 1] if scalars else (0, 0)
            )
            if start <= found.start() < end:
                position = end
            else:
                yield found
                position = max(found.end(), found.start() + 1)


def _embedded(text: str, depth: int) -> list[Span]:
    """Where a text in a text holds secrets: YAML or JSON, if it is a map or list, or any other lines."""
    if depth < _DEEPEST and ("\n" in text.strip() or text.lstrip()[:1] in ("{", "[")):
        try:
            documents = parse(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            documents = []
        if any(isinstance(document.root, Mapping | Sequence) for document in documents):
            return _spans(text, depth + 1)
    return text_spans(text)


def _mapped(pieces: Series[tuple[int, str]], spans: Iterable[Span]) -> Iterator[Span]:
    """``spans`` of the lines ``pieces``, joined, as places of the text that the lines come from."""
    starts, position = [], 0
    for _, text in pieces:
        starts.append(position)
        position += len(text) + 1
    for start, end in spans:
        for number in range(max(bisect_right(starts, start) - 1, 0), len(pieces)):
            if starts[number] >= end:
                break
            place, text = pieces[number]
            first, last = max(start - starts[number], 0), min(end - starts[number], len(text))
            yield place + first, place + last


def _text(node: Node | None) -> str:
    named = None if node is None else resolved(node)
    return named.value if isinstance(named, Scalar) else ""


def _entries(node: Mapping, seen: set[int]) -> Iterator[tuple[Node, Node]]:
    """The entries of a map, those that it merges included."""
    if id(node) not in seen:
        seen.add(id(node))
        yield from node.entries
        for source in node.merge_sources():
            yield from _entries(source, seen)


def _says_nothing(node: Scalar, name: str) -> bool:
    """Whether a scalar under a name that sounds secret tells nothing of the secret itself."""
    is_word = not node.style and node.tag in (NULL, TAG + "bool")
    return is_word or not node.value or is_reference(node.value) or is_pointer(name, node.value)


def _is_selector(node: Mapping) -> bool:
    """Whether a map under a name that sounds secret only says which one."""
    named = {_text(key): resolved(value) for key, value in node.entries}
    return (
        named.keys() <= _SELECTOR
        and not named.keys().isdisjoint(_SELECTED)
        and all(_is_name(value.value) for value in named.values() if isinstance(value, Scalar))
    )


def _is_name(value: str) -> bool:
    return is_name(value) or is_reference(value)
