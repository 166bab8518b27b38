"""Insert into other people's YAML as text: every byte outside the inserted or replaced spans stays as it is.

The parser's marks say where; the result is parsed again and must hold what was wanted and nothing else.
"""

import json
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import yaml

from tasks.yaml.editing import nodes
from tasks.yaml.editing.match import (
    Same,
    canonical,
    exact,
    expected,
    find_item,
    holds,
    merged_value,
    missing_items,
    unique,
)
from tasks.yaml.editing.nodes import MAP, SEQ, TAG, Alias, Document, Mapping, Node, Scalar
from tasks.yaml.editing.render import YamlValue
from tasks.yaml.editing.scan import Source
from tasks.yaml.editing.write import Edit, EditRefusedError, Spot, Writer, refusal
from tasks.yaml.limits import LimitError

__all__ = ["EditRefusedError", "Same", "YamlValue", "ensure"]

_BOM = "\ufeff"
_CORRECT = "correct the file, then run again"
_WORD = re.compile(r"[\w-]+")
_NOT_YAML = yaml.reader.Reader.NON_PRINTABLE
_SCALAR_KINDS = {"bool": "a boolean", "int": "a number", "float": "a number", "timestamp": "a date"}


@dataclass(frozen=True)
class _Request:
    """What ``ensure`` was asked for, the path folded into ``want``."""

    want: YamlValue
    name: str
    document: int
    same: Same


def ensure(
    text: str, path: Sequence[str], want: YamlValue, *, name: str, document: int = 0, same: Same = operator.eq
) -> str:
    """Return ``text`` in which the node at ``path`` of the document number ``document`` holds ``want``.

    A wanted mapping is merged key by key, a wanted list item by item, a scalar is replaced; what is there
    beside them stays. ``same(existing, wanted)`` says whether an item of a list, as plain data, is the wanted
    entry: such mappings are merged and such scalars replaced. Anything else is added, in a list of sorted
    strings at its sorted place. Missing mappings on the way are created. A text that holds it all is returned
    as it is. ``text`` must have its own line breaks (read files with ``newline=""``); ``name`` is for errors.

    Raises ``EditRefusedError`` where the text is not YAML, or the change cannot be made and proved without
    touching more.
    """
    for key in reversed(path):
        want = {key: want}
    request = _Request(want, name, document, same)
    bom = _BOM if text.startswith(_BOM) else ""
    source = Source(text.removeprefix(_BOM))
    try:
        documents = _parsed(source, name)
        edits = _edits(source, documents, request)
        if not edits:
            return text
        changed = _applied(source.text, edits)
        if not _proved(changed, documents, request):
            reason = "the result would not be exactly what is there and what is wanted"
            raise refusal(source, name, min(edit.start for edit in edits), reason)
    except RecursionError:
        raise refusal(source, name, 0, "nested too deeply") from None
    return bom + changed


def _parsed(source: Source, name: str) -> list[Document]:
    """Parse, turning the parser's complaint into a refusal that quotes no values."""
    try:
        return nodes.parse(source.text)
    except LimitError:
        raise refusal(source, name, 0, "nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem, index = error.problem or error.context, mark.index if mark else 0
    except (yaml.YAMLError, UnicodeError):
        found = _NOT_YAML.search(source.text)
        problem, index = "a character that is not allowed", found.start() if found else 0
    raise refusal(source, name, index, f"not valid YAML: {problem}", _CORRECT)


def _edits(source: Source, documents: Sequence[Document], request: _Request) -> list[Edit]:
    # A text of nothing but comments has no document; the first one begins where it ends.
    documents = documents or [Document(None, len(source.text))]
    if not 0 <= request.document < len(documents):
        reason = f"there is no document number {request.document}, the last one is {len(documents) - 1}"
        raise refusal(source, request.name, 0, reason, "choose a document that is there, counting from 0")
    document = documents[request.document]
    writer = Writer(source, document.root, request.name)
    _Plan(writer, request.same).document(document, request.want)
    return writer.edits


def _applied(text: str, edits: Sequence[Edit]) -> str:
    parts, position = [], 0
    # Stable: of several insertions at one place the inner collection's comes first, as it was planned first.
    for edit in sorted(edits, key=lambda edit: edit.start):
        parts += [text[position : edit.start], edit.text]
        position = edit.end
    return "".join([*parts, text[position:]])


def _proved(changed: str, documents: Sequence[Document], request: _Request) -> bool:
    """Whether the changed text is YAML that holds what was wanted and is otherwise what it was before."""
    try:
        after = nodes.parse(changed)
    except (yaml.YAMLError, UnicodeError):
        return False
    number = request.document
    trees = [canonical(document.root) for document in documents]
    trees[number : number + 1] = [
        expected(documents[number].root if documents else None, request.want, request.same)
    ]
    # Planning again finds work left where wishes contradict, or `same` does not know its entry any more.
    return [canonical(each.root) for each in after] == trees and not _edits(Source(changed), after, request)


class _Plan:
    """Goes through what is there and what is wanted side by side, and has the writer add what is missing."""

    def __init__(self, writer: Writer, same: Same) -> None:
        self._writer = writer
        self._same = same

    def document(self, document: Document, want: YamlValue) -> None:
        """Plan the edits of a whole document."""
        root = document.root
        if root is None or (root.start == root.end and not holds(root, want)):
            self._writer.fill_document(document.end, want)
        else:
            self._visit(root, want, Spot())

    def _visit(self, node: Node, want: YamlValue, spot: Spot) -> None:
        spot = self._locked(node, spot)
        node = nodes.resolved(node)
        collection = isinstance(want, dict | list)
        if collection and isinstance(node, Scalar) and node.is_null:
            self._writer.fill(node, want, spot)
        elif isinstance(want, dict) and isinstance(node, Mapping):
            self._mapping(node, want, spot)
        elif isinstance(want, list) and isinstance(node, nodes.Sequence):
            self._sequence(node, want, spot)
        elif collection or not isinstance(node, Scalar):
            raise self._wrong_kind(node, want, spot)
        elif not holds(node, want):
            self._writer.replace_scalar(node, want, spot)

    def _locked(self, node: Node, spot: Spot) -> Spot:
        """Note on the spot why the node must not be changed; a node that holds all already is fine."""
        if isinstance(node, Alias):
            reason = (
                f"{spot} is the alias *{node.anchor}, and a change would show wherever its anchor is used"
            )
        elif node.shared:
            reason = f"{spot} has the anchor &{node.anchor}, and a change would show wherever that is used"
        elif node.tagged and not node.tag.startswith(TAG):
            reason = f"{spot} has the tag {node.tag}, which new content may not fit"
        else:
            return spot
        return replace(spot, lock=spot.lock or self._writer.refuse(node, reason))

    def _mapping(self, node: Mapping, want: dict[str, YamlValue], spot: Spot) -> None:
        self._refuse_duplicates(node, spot)
        column, missing = self._writer.column(node), {}
        for key, value in want.items():
            part = key if _WORD.fullmatch(key) else json.dumps(key, ensure_ascii=False)
            label = f"{spot.label}.{part}".lstrip(".")
            if entry := node.find(key):
                self._visit(entry[1], value, Spot(label, entry[0], column, node.flow, spot.lock))
            elif merged := merged_value(node, key):
                lock = spot.lock or self._writer.refuse(node, f"{label} is set only through a merge key (<<)")
                self._visit(merged, value, Spot(label, lock=lock))
            else:
                missing[key] = value
        if missing:
            self._writer.refuse_tag(node, spot, MAP)
            self._writer.add_entries(node, missing, spot)

    def _sequence(self, node: nodes.Sequence, want: list[YamlValue], spot: Spot) -> None:
        for wanted in unique(want):
            index = find_item(node.items, wanted, want, self._same)
            if index is not None and not exact(node.items[index], wanted):
                item = Spot(f"{spot.label}[{index}]", flow=node.flow, lock=spot.lock)
                self._visit(node.items[index], wanted, item)
        if new := missing_items(node.items, want, self._same):
            self._writer.refuse_tag(node, spot, SEQ)
            self._writer.add_items(node, new, spot)

    def _refuse_duplicates(self, node: Mapping, spot: Spot) -> None:
        seen = set()
        for place, _ in node.entries:
            key = nodes.resolved(place)
            if isinstance(key, Scalar):
                if (key.tag, key.value) in seen:
                    raise self._writer.refuse(place, f"{spot} has the key {key.value} twice", _CORRECT)
                seen.add((key.tag, key.value))

    def _wrong_kind(self, node: Node, want: YamlValue, spot: Spot) -> EditRefusedError:
        if isinstance(node, Scalar):
            kind = _SCALAR_KINDS.get(node.tag.removeprefix(TAG), "a string")
        else:
            kind = "a mapping" if isinstance(node, Mapping) else "a list"
        wanted = (
            "a mapping"
            if isinstance(want, dict)
            else "a list"
            if isinstance(want, list)
            else "a single value"
        )
        return self._writer.refuse(node, f"{spot} is {kind}, not {wanted}", _CORRECT)
