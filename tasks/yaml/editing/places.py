"""Where new strings go in a list that people keep in order: sorted, in sections, after what stands first."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise

_Order = Callable[[str], list[str]]

# The orders that people and their tools keep: by letters, by the parts of a path, without regard to case.
_ORDERS: tuple[_Order, ...] = (
    lambda text: [text],
    lambda text: text.split("/"),
    lambda text: text.lower().split("/"),
)
# A list with so many pairs in order was sorted once, and somebody added to its end.
_NEARLY = 0.8


def place_of(text: str, texts: Sequence[str], headed: frozenset[int]) -> int:
    """The number of the item that ``text`` goes before; that of the items for the end.

    ``texts`` are those of the list as it is, ``headed`` the numbers of the items that a comment introduces:
    each begins a section. Where the list as a whole is not sorted, ``text`` goes among its like.
    """
    if len(texts) < 2:
        return len(texts)
    if is_sorted(texts):
        return _place_among(text, texts)
    form = _form(text)
    starts = sorted({0, *headed})
    sections = []
    for start, end in zip(starts, [*starts[1:], len(texts)], strict=True):
        alike = [index for index in range(start, end) if _form(texts[index]) == form]
        if alike:
            first, last = alike[0], alike[-1] + 1
            is_plain = start not in headed and len(alike) >= 2
            sections.append((is_plain, _order_of(texts[first:last]) is not None, len(alike), -first, last))
    if sections:
        *_, first, last = max(sections)
        return _place_among(text, texts[-first:last]) - first
    # Under no heading of other things, if that can be helped.
    return starts[1] if 0 not in headed and len(starts) > 1 else len(texts)


def is_sorted(texts: Sequence[str]) -> bool:
    """Whether a list of texts is kept in order; one of a single text tells nothing."""
    return len(texts) >= 2 and _order_of(texts) is not None


def _place_among(text: str, texts: Sequence[str]) -> int:
    """The place among entries of the same form, which may be sorted, or nearly so."""
    order = _order_of(texts)
    if order is not None:
        return bisect_right(texts, order(text), key=order)
    for order in _ORDERS:
        pairs = [order(one) <= order(other) for one, other in pairwise(texts)]
        if sum(pairs) >= _NEARLY * len(pairs):
            return next((at for at, one in enumerate(texts) if order(one) > order(text)), len(texts))
    return len(texts)


def _order_of(texts: Sequence[str]) -> _Order | None:
    """The order that the texts are sorted in, None if in none."""
    return next((order for order in _ORDERS if list(texts) == sorted(texts, key=order)), None)


def _form(text: str) -> tuple[int, str]:
    """What entries of one kind have in common: "./a/ks.yaml" and "./b/ks.yaml", "a.yaml" and "b.yaml"."""
    *folders, name = text.removeprefix("./").split("/")
    return len(folders), name if folders else name.rpartition(".")[2] if "." in name else ""
