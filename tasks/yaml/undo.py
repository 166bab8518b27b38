"""Takes an edit of a text back, line by line, and leaves what others changed beside it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True)
class Undone:
    """The text without the edit; ``clashes`` are parts of it as they are now, where that cannot be had."""

    text: str
    clashes: tuple[str, ...] = ()


def undo(before: str, after: str, now: str) -> Undone:
    """``now`` without the edit that made ``after`` of ``before``: what else changed since then stays.

    A line clashes that the edit made or took away and that is another by now, or that something new hangs
    below, as YAML has it. What stands beside such a line is no clash (to ``git revert`` it is): entries of a
    list have neighbours. What is as it was before the edit is left so, unless the edit's lines were moved.
    """
    if now in (before, after):
        return Undone(before)
    old, new, current = (_LINE.findall(text) for text in (before, after, now))
    places = {
        one + step: other + step
        for one, other, size in _compared(new, current).get_matching_blocks()
        for step in range(size)
    }
    kept = set(places.values())
    others = {line for number, line in enumerate(current) if number not in kept}
    result, clashes = list(current), []
    for tag, i1, i2, j1, j2 in reversed(_compared(new, old).get_opcodes()):
        if tag == "equal":
            continue
        start = places.get(i1 - 1, -2) + 1 if i1 else 0
        end = places.get(i2, -1) if i2 < len(new) else len(current)
        moved = {line for line in new[i1:i2] if line.strip() and line not in old} & others
        if 0 <= start <= end and current[start:end] == old[j1:j2] and not moved:
            continue
        mine = [places.get(number, -1) for number in range(i1, i2)]
        if not mine and start == end:
            result[start:start] = old[j1:j2]
        elif mine and -1 not in mine and _stands_alone(current, mine, old[j1:j2], _next(places, i2, current)):
            for place in reversed(mine[1:]):
                del result[place]
            result[mine[0] : mine[0] + 1] = old[j1:j2]
        else:
            first = max((places[one] + 1 for one in range(i1) if one in places), default=0)
            clashes.append("".join(current[first : _next(places, i2, current)]))
    return Undone("".join(result), tuple(reversed(clashes)))


def _compared(one: Sequence[str], other: Sequence[str]) -> SequenceMatcher[str]:
    return SequenceMatcher(None, one, other, autojunk=False)


def _next(places: Mapping[int, int], number: int, current: Sequence[str]) -> int:
    """Where the first line at or after ``number`` is now that is still there; behind the last if none is."""
    return min((place for one, place in places.items() if one >= number), default=len(current))


def _stands_alone(current: Sequence[str], mine: Sequence[int], old: Sequence[str], end: int) -> bool:
    """Whether the lines ``mine`` can go without another line's losing what it hangs below.

    ``old`` comes in their place; the lines up to ``end`` follow them.
    """
    depth = _depth(current[mine[0]])
    for place, following in zip(mine, (*mine[1:], None), strict=True):
        between = current[place + 1 : end if following is None else following]
        filled = [line for line in between if line.strip()]
        if filled and _depth(filled[0]) > depth:
            return False
        # In the middle of an entry of ours, or of what takes its place, nothing of others can stand.
        if following is not None and filled and (old or _depth(current[following]) != depth):
            return False
    return True


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
