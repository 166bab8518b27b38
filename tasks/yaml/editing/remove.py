"""Take entries out of other people's YAML as text: the lines of the entries go, every other byte stays."""

from collections.abc import Callable, Sequence

import yaml

from tasks.yaml.editing import nodes
from tasks.yaml.editing.nodes import Alias, Document, Mapping, Node
from tasks.yaml.editing.scan import Source
from tasks.yaml.editing.write import EditRefusedError, refusal
from tasks.yaml.limits import LimitError

# Whether an entry goes: an item of a list as data, or the key of a map with its value.
Gone = Callable[[object, object], bool]

_BOM = "\ufeff"


def without(
    text: str, path: Sequence[str], gone: Gone, *, name: str, document: int = 0, leave_list: bool = False
) -> str:
    """Return ``text`` without the entries for which ``gone`` holds of the list or map at ``path``.

    ``gone(key, value)`` is asked of each entry of a map, ``gone(number, item)`` of each item of a list. What
    is empty after that goes too, up to the top of the document; with ``leave_list``, a list stays as ``[]``.
    A text without such entries is returned as it is. ``text`` must have its own line breaks; ``name`` is for
    errors.

    Raises ``EditRefusedError`` where the text is not YAML, or the entries cannot be taken out and proved to
    be all that is gone.
    """
    bom = _BOM if text.startswith(_BOM) else ""
    plain = text.removeprefix(_BOM)
    source = Source(plain)
    try:
        documents = nodes.parse(plain)
    except (yaml.YAMLError, UnicodeError, LimitError):
        raise refusal(source, name, 0, "not valid YAML", "correct the file, then run again") from None
    if not 0 <= document < len(documents):
        return text
    chain = _chain(documents[document], path)
    target = nodes.resolved(chain[-1]) if len(chain) == len(path) + 1 else None
    if not isinstance(target, Mapping | nodes.Sequence):
        return text
    entries = _entries(target)
    going = [number for number, (key, one) in enumerate(entries) if gone(key, one.data)]
    if not going:
        return text
    for node in chain:
        if isinstance(node, Alias) or node.shared:
            raise refusal(source, name, node.start, f"{'.'.join(path)} is used in another place too")
    expected = [one.root.data if one.root is not None else None for one in documents]
    holders = [node for node in chain if isinstance(node, Mapping | nodes.Sequence)]
    # A map that holds nothing else goes as a whole, and so on upwards.
    depth = len(holders) - 1
    is_emptied = leave_list and isinstance(target, nodes.Sequence) and len(going) == len(entries)
    while not is_emptied and depth and len(going) == len(_entries(holders[depth])):
        depth -= 1
        going = [_number(holders[depth], path[depth])]
    if is_emptied and target.flow:
        changed = f"{plain[: target.start]}[]{plain[source.content_end(target) :]}"
    else:
        changed = _cut(source, holders[depth], going)
    if is_emptied and not target.flow:
        # Before the first entry nothing was cut: the place of the key is still the same.
        holder = holders[-2]
        assert isinstance(holder, Mapping)
        key, _ = holder.entries[_number(holder, path[-1])]
        colon = plain.index(":", key.start + len(path[-1])) + 1
        changed = f"{changed[:colon]} []{changed[colon:]}"
    expected[document] = _pruned(expected[document], path[:depth], _names(holders[depth], going))
    try:
        after = [one.root.data if one.root is not None else None for one in nodes.parse(changed)]
    except (yaml.YAMLError, UnicodeError):
        after = []
    if after != expected:
        raise refusal(source, name, holders[depth].start, "the result would not be exactly what is left")
    return bom + changed


def _chain(document: Document, path: Sequence[str]) -> list[Node]:
    """The nodes on the way along ``path``, as far as they are there."""
    found: list[Node] = [] if document.root is None else [document.root]
    for key in path if found else ():
        last = nodes.resolved(found[-1])
        entry = last.find(key) if isinstance(last, Mapping) else None
        if entry is None:
            break
        found.append(entry[1])
    return found


def _entries(node: Mapping | nodes.Sequence) -> list[tuple[object, Node]]:
    if isinstance(node, nodes.Sequence):
        return list(enumerate(node.items))
    return [(nodes.resolved(key).data, value) for key, value in node.entries]


def _number(node: Mapping | nodes.Sequence, key: str) -> int:
    return next(number for number, (name, _) in enumerate(_entries(node)) if name == key)


def _names(node: Mapping | nodes.Sequence, going: Sequence[int]) -> list[object]:
    entries = _entries(node)
    return [entries[number][0] for number in going]


def _pruned(data: object, path: Sequence[str], names: Sequence[object]) -> object:
    """``data`` without the entries ``names`` of what is at ``path``."""
    if path:
        assert isinstance(data, dict)
        return {**data, path[0]: _pruned(data[path[0]], path[1:], names)}
    if isinstance(data, list):
        return [one for number, one in enumerate(data) if number not in names]
    assert isinstance(data, dict)
    left = {key: value for key, value in data.items() if key not in names}
    return left or None


def _cut(source: Source, node: Mapping | nodes.Sequence, going: Sequence[int]) -> str:
    """The text without the entries with these numbers."""
    text = source.text
    for number in reversed(going):
        start, end = _flow_span(source, node, number) if node.flow else _block_span(source, node, number)
        text = text[:start] + text[end:]
    return text


def _span(source: Source, node: Mapping | nodes.Sequence, number: int) -> tuple[int, int]:
    if isinstance(node, nodes.Sequence):
        item = node.items[number]
        return item.start, source.content_end(item)
    key, value = node.entries[number]
    return key.start, source.entry_end(key, value)


def _block_span(source: Source, node: Mapping | nodes.Sequence, number: int) -> tuple[int, int]:
    """The lines of an entry; of one that begins on the line of what it is in, all up to the next entry."""
    start, end = _span(source, node, number)
    first, after = source.line(start), source.line(end) + 1
    stop = source.starts[after] if after < len(source.starts) else len(source.text)
    before = source.before(start)
    if not before.strip(" -") and before.count("-") == isinstance(node, nodes.Sequence):
        return source.starts[first], stop
    if number + 1 < len(_entries(node)):
        return start, _span(source, node, number + 1)[0]
    return start, end


def _flow_span(source: Source, node: Mapping | nodes.Sequence, number: int) -> tuple[int, int]:
    """An entry with the comma that parts it from its neighbour."""
    start, end = _span(source, node, number)
    if number:
        return _span(source, node, number - 1)[1], end
    if len(_entries(node)) > 1:
        return start, _span(source, node, 1)[0]
    return start, end


__all__ = ["EditRefusedError", "Gone", "without"]
