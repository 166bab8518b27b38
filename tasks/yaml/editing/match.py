"""Compare YAML nodes with wanted data: what is there, which item is meant, what a merge must give."""

import operator
from collections.abc import Callable, Sequence

from tasks.yaml.editing import nodes
from tasks.yaml.editing.nodes import MAP, SEQ, STR, Alias, Mapping, Node, Scalar, resolved
from tasks.yaml.editing.places import is_sorted, place_of
from tasks.yaml.editing.render import YamlValue, scalar_content

Same = Callable[[object, object], bool]


def holds(node: Node, want: YamlValue) -> bool:
    """Whether a scalar already has the wanted type and value, however it is written."""
    if isinstance(want, dict | list) or not isinstance(node, Scalar):
        return False
    tag, content = scalar_content(want)
    return node.tag == tag and (node.value == content or (tag != STR and node.data == want))


def exact(node: Node, want: YamlValue) -> bool:
    """Whether a node is the wanted value and nothing more."""
    node = resolved(node)
    if isinstance(want, dict):
        return (
            isinstance(node, Mapping)
            and (node.tag, len(node.entries)) == (MAP, len(want))
            and all((entry := node.find(key)) and exact(entry[1], value) for key, value in want.items())
        )
    if isinstance(want, list):
        return (
            isinstance(node, nodes.Sequence)
            and (node.tag, len(node.items)) == (SEQ, len(want))
            and all(map(exact, node.items, want))
        )
    return holds(node, want)


def find_item(items: Sequence[Node], wanted: YamlValue, wants: Sequence[YamlValue], same: Same) -> int | None:
    """Return the number of the item that is ``wanted``, or that ``same`` takes for it.

    An item that is exactly another one of ``wants`` is left to that one.
    """
    for index, item in enumerate(items):
        if exact(item, wanted):
            return index
    for index, item in enumerate(items):
        if same(item.data, wanted) and not any(exact(item, other) for other in wants):
            return index
    return None


def merged_value(mapping: Mapping, key: str) -> Node | None:
    """Return the value that merge keys, and only they, give a key of the mapping."""
    sources, seen = mapping.merge_sources(), set[Mapping]()
    while sources:
        source = sources.pop(0)
        if source in seen:
            continue
        seen.add(source)
        if entry := source.find(key):
            return entry[1]
        sources = source.merge_sources() + sources
    return None


def placed(node: nodes.Sequence, new: Sequence[YamlValue]) -> list[tuple[int, list[YamlValue]]]:
    """Return where new items go, as (number of the item they go before, new items), first place first.

    Strings go to their place in a list of strings; everything else goes to the end.
    """
    items = list(map(resolved, node.items))
    texts = [item.value for item in items if isinstance(item, Scalar) and item.tag == STR]
    if len(texts) < len(items):
        return [(len(items), list(new))] if new else []
    places: dict[int, list[YamlValue]] = {}
    for item in new:
        place = place_of(item, texts, node.headed) if isinstance(item, str) else len(items)
        places.setdefault(place, []).append(item)
    for place, found in places.items():
        # Those that the end of the list is no sorted place for stay as they were wanted.
        strings = [item for item in found if isinstance(item, str)]
        if place < len(items) or is_sorted(texts):
            places[place] = [*sorted(strings), *(item for item in found if not isinstance(item, str))]
    return sorted(places.items(), key=operator.itemgetter(0))


def unique(wants: Sequence[YamlValue]) -> list[YamlValue]:
    """Return the wanted items, each of them once."""
    return list({fresh(wanted): wanted for wanted in wants}.values())


def missing_items(items: Sequence[Node], want: Sequence[YamlValue], same: Same) -> list[YamlValue]:
    """Return the wanted items that no existing item stands for."""
    return [wanted for wanted in unique(want) if find_item(items, wanted, want, same) is None]


def canonical(node: Node | None) -> object:
    """Return all that matters of a node tree: kinds, tags, values, order, anchors and aliases; no style."""
    if isinstance(node, Scalar):
        return "scalar", node.anchor, node.tag, node.value
    if isinstance(node, nodes.Sequence):
        return "sequence", node.anchor, node.tag, tuple(map(canonical, node.items))
    if isinstance(node, Mapping):
        return (
            "mapping",
            node.anchor,
            node.tag,
            tuple((canonical(key), canonical(value)) for key, value in node.entries),
        )
    return ("alias", node.anchor) if node else None


def fresh(want: YamlValue, anchor: str | None = None) -> object:
    """Return the canonical tree of a new node for ``want``."""
    if isinstance(want, dict):
        return "mapping", anchor, MAP, tuple((fresh(key), fresh(value)) for key, value in want.items())
    if isinstance(want, list):
        return "sequence", anchor, SEQ, tuple(map(fresh, want))
    return "scalar", anchor, *scalar_content(want)


def expected(node: Node | None, want: YamlValue, same: Same) -> object:
    """Return the canonical tree that ``node`` must have once it holds ``want``."""
    if isinstance(node, Alias):
        return canonical(node)  # what aliases refer to is never changed
    if isinstance(want, dict) and isinstance(node, Mapping):
        return "mapping", node.anchor, node.tag, _expected_entries(node, want, same)
    if isinstance(want, list) and isinstance(node, nodes.Sequence):
        return "sequence", node.anchor, node.tag, _expected_items(node, want, same)
    if node is not None and holds(node, want):
        return canonical(node)
    return fresh(want, node.anchor if node else None)


def _expected_entries(node: Mapping, want: dict[str, YamlValue], same: Same) -> tuple[object, ...]:
    wanted = {entry[0]: want[key] for key in want if (entry := node.find(key))}
    entries = (
        (canonical(key), expected(value, wanted[key], same) if key in wanted else canonical(value))
        for key, value in node.entries
    )
    new = (key for key in want if node.find(key) is None and merged_value(node, key) is None)
    return *entries, *((fresh(key), fresh(want[key])) for key in new)


def _expected_items(node: nodes.Sequence, want: list[YamlValue], same: Same) -> tuple[object, ...]:
    trees = list(map(canonical, node.items))
    for wanted in want:
        index = find_item(node.items, wanted, want, same)
        if index is not None:
            trees[index] = expected(node.items[index], wanted, same)
    for index, items in reversed(placed(node, missing_items(node.items, want, same))):
        trees[index:index] = map(fresh, items)
    return tuple(trees)
