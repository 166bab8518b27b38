"""Three-way merge of plain data: each value that one side changed is that side's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.yaml.documents import same
from tasks.yaml.merging.lines import merge_lines
from tasks.yaml.merging.paths import MISSING, child, element, embedded, named
from tasks.yaml.merging.positions import in_place
from tasks.yaml.merging.texts import compose


@dataclass(frozen=True)
class Difference:
    """The value at a path in what was written, what is there now, and what is wanted; it may be MISSING."""

    path: str
    base: Any
    theirs: Any
    ours: Any


@dataclass(frozen=True)
class Merged:
    """``value`` has all that can be had of both sides.

    ``kept`` are the values of theirs in it that ours would have otherwise, ``clashes`` those that both
    changed, each in its way: there ``value`` has theirs.
    """

    value: Any
    kept: tuple[Difference, ...]
    clashes: tuple[Difference, ...]


def merge(
    base: Any, theirs: Any, ours: Any, path: str, is_ours: Callable[[str], bool] = lambda _: False
) -> Merged:
    """Merge what ``theirs`` and ``ours`` made of ``base``; each may be MISSING.

    ``is_ours`` says of a path that the value there is to be that of ours, whatever else.
    """
    merger = _Merger(is_ours)
    value = merger.merge(base, theirs, ours, path)
    return Merged(value, tuple(merger.kept), tuple(merger.clashes))


class _Merger:
    def __init__(self, is_ours: Callable[[str], bool]) -> None:
        self._is_ours = is_ours
        self.kept: list[Difference] = []
        self.clashes: list[Difference] = []

    def merge(self, base: Any, theirs: Any, ours: Any, path: str) -> Any:
        """The merged value at ``path``."""
        if self._is_ours(path):
            return ours
        if same(theirs, ours) or same(theirs, base):
            return ours
        if isinstance(theirs, dict) and isinstance(ours, dict):
            return self._mappings(base if isinstance(base, dict) else {}, theirs, ours, path)
        if isinstance(theirs, list) and isinstance(ours, list):
            return self._lists(base if isinstance(base, list) else [], theirs, ours, path)
        if isinstance(theirs, str) and isinstance(ours, str) and isinstance(base, str):
            return self._texts(base, theirs, ours, path)
        return self._whole(base, theirs, ours, path)

    def _whole(self, base: Any, theirs: Any, ours: Any, path: str) -> Any:
        """The value of theirs, as one that is kept, or as one that clashes with ours."""
        found = self.kept if same(ours, base) else self.clashes
        found.append(Difference(path, base, theirs, ours))
        return theirs

    def _mappings(self, base: dict[Any, Any], theirs: dict[Any, Any], ours: dict[Any, Any], path: str) -> Any:
        return self._entries(base, theirs, ours, lambda key: child(path, key))

    def _entries(
        self,
        base: dict[Any, Any],
        theirs: dict[Any, Any],
        ours: dict[Any, Any],
        path_of: Callable[[Any], str],
    ) -> dict[Any, Any]:
        """Key by key, in the order of theirs; new ones of ours stand behind those that they follow there."""
        merged = {}
        for key in _order(list(theirs), list(ours)):
            was, is_now, wanted = (side.get(key, MISSING) for side in (base, theirs, ours))
            value = self.merge(was, is_now, wanted, path_of(key))
            if value is not MISSING:
                merged[key] = value
        return merged

    def _lists(self, base: list[Any], theirs: list[Any], ours: list[Any], path: str) -> Any:
        lists = (base, theirs, ours)
        keys = [named(one) for one in lists]
        # A list of both names and texts has no keys that fit each other.
        kinds = {type(one) for items in lists for one in items}
        is_keyed = len(kinds) == 1 and not any(one is None for one in keys)
        are_in_place = in_place(base, theirs) and in_place(base, ours)
        # Texts that both sides put in the place of others may be arguments, which have an order.
        by_place = kinds == {str} and (_replaced_twice(*lists) or (are_in_place and not same(ours, base)))
        if is_keyed and not by_place:
            was, is_now, wanted = (
                dict(zip(key or (), one, strict=True)) for key, one in zip(keys, lists, strict=True)
            )
            return list(self._entries(was, is_now, wanted, lambda key: element(path, key)).values())
        # Where only the owner changed it, each value is told by itself; the result is his list in any case.
        is_his = len(base) == len(theirs) and same(ours, base)
        if is_his or are_in_place:
            return [
                self.merge(one, other, third, element(path, number))
                for number, (one, other, third) in enumerate(zip(base, theirs, ours, strict=True))
            ]
        return self._whole(base, theirs, ours, path)

    def _texts(self, base: str, theirs: str, ours: str, path: str) -> Any:
        """A text of several lines: as the document that it is, or line by line."""
        was, is_now, wanted = (embedded(text) for text in (base, theirs, ours))
        if MISSING not in (was, is_now, wanted):
            value = self._mappings(was, is_now, wanted, path)
            return compose(base, theirs, ours, [value])[0]
        if any("\n" not in text for text in (base, theirs, ours)) or same(ours, base):
            return self._whole(base, theirs, ours, path)
        lines = [text.split("\n") for text in (base, theirs, ours)]
        merged, is_clean = merge_lines(lines[0], (lines[1], lines[2]), 0, strict=True)
        if not is_clean:
            return self._whole(base, theirs, ours, path)
        text = "\n".join(merged)
        if text != ours:
            self.kept.append(Difference(path, base, theirs, ours))
        return text


def _replaced_twice(base: list[str], theirs: list[str], ours: list[str]) -> bool:
    """Whether both sides put something else, each its own, in the place of what both took out."""
    was, is_now, wanted = set(base), set(theirs), set(ours)
    return bool(was - is_now - wanted and is_now - was - wanted and wanted - was - is_now)


def _order(theirs: Sequence[Any], ours: Sequence[Any]) -> list[Any]:
    """All keys: theirs in their order, each of ours that is new behind the one that it follows in ours."""
    found = list(theirs)
    known, place = set(theirs), 0
    for key in ours:
        if key in known:
            place = found.index(key) + 1
        else:
            found.insert(place, key)
            place += 1
    return found
