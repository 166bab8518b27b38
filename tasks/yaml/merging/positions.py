"""Lists whose items have no name: whether each item still stands where it stood."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tasks.yaml.documents import same
from tasks.yaml.merging.paths import MISSING, embedded


def in_place(before: Sequence[Any], after: Sequence[Any]) -> bool:
    """Whether two lists are equally long, and each item of ``after`` is that of ``before`` or an edit of it.

    A mapping is an edit of another if both have the same kind or target, or if most of the values of the
    smaller one are in the other too. It is none where an item looks more like one at another position.
    """
    if len(before) != len(after):
        return False
    changed = [(one, other) for one, other in zip(before, after, strict=True) if not same(one, other)]
    if not all(_resembles(one, other) for one, other in changed):
        return False
    sides = [(Counter(_values(one, "")), Counter(_values(other, ""))) for one, other in changed]
    own = [_likeness(one, other) for one, other in sides]
    return not any(
        _likeness(one, other) > min(own[row], own[column])
        for row, (one, _) in enumerate(sides)
        for column, (_, other) in enumerate(sides)
        if row != column
    )


def _resembles(one: Any, other: Any) -> bool:
    collections = (dict, list)
    if not isinstance(one, collections) and not isinstance(other, collections):
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and any(
        one.get(key) and same(one[key], other.get(key)) for key in ("kind", "target")
    ):
        return True
    values, others = Counter(_values(one, "")), Counter(_values(other, ""))
    return 2 * (values & others).total() > min(values.total(), others.total())


def _likeness(one: Counter[str], other: Counter[str]) -> float:
    """How much of both is in both, from 0 to 1."""
    return 2 * (one & other).total() / (one.total() + other.total())


def _values(value: Any, path: str) -> Iterator[str]:
    """What is in a value, each with the keys that lead to it; its position in a list does not count."""
    inside = embedded(value)
    if inside is not MISSING:
        value = inside
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from _values(one, f"{path}{key!r}.")
    elif isinstance(value, list) and value:
        for one in value:
            yield from _values(one, path)
    elif isinstance(value, str) and "\n" in value:
        for line in value.splitlines():
            yield f"{path}{line!r}"
    else:
        yield f"{path}{value!r}"
