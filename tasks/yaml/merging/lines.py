"""Three-way merge of lines: what one side changed, where the other let it be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher


@dataclass(frozen=True)
class _Edit:
    """Lines of the base, from ``start`` to ``end``, that ``side`` (0 or 1) has as ``lines``."""

    start: int
    end: int
    side: int
    lines: tuple[str, ...]


def merge_lines(
    base: Sequence[str], sides: tuple[Sequence[str], Sequence[str]], preferred: int, *, strict: bool = False
) -> tuple[list[str], bool]:
    """The lines that both changes give, and whether they do not meet.

    Where they meet, the ``preferred`` side (0 or 1) is taken. With ``strict`` they also meet where one begins
    right behind the other.
    """
    edits = sorted(
        (edit for side in (0, 1) for edit in _edits(base, sides[side], side)),
        key=lambda edit: (edit.start, edit.end),
    )
    merged: list[str] = []
    is_clean, position = True, 0
    for group in _groups(edits, strict=strict):
        start, end = group[0].start, max(edit.end for edit in group)
        merged += base[position:start]
        position = end
        texts = [_side(base, start, end, [edit for edit in group if edit.side == side]) for side in (0, 1)]
        changed = {edit.side for edit in group}
        if len(changed) == 1:
            merged += texts[changed.pop()]
            continue
        merged += texts[preferred]
        is_clean = is_clean and texts[0] == texts[1]
    return [*merged, *base[position:]], is_clean


def _edits(base: Sequence[str], other: Sequence[str], side: int) -> Iterator[_Edit]:
    matcher = SequenceMatcher(None, base, other, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            yield _Edit(i1, i2, side, tuple(other[j1:j2]))


def _groups(edits: Sequence[_Edit], *, strict: bool) -> Iterator[list[_Edit]]:
    """The edits, sorted by where they start, with those together that meet."""
    group: list[_Edit] = []
    end = 0
    for edit in edits:
        is_same_place = bool(group) and group[0].start == end == edit.start == edit.end
        if group and (edit.start < end or is_same_place or (strict and edit.start == end)):
            group.append(edit)
        else:
            if group:
                yield group
            group = [edit]
        end = max(end, edit.end) if len(group) > 1 else edit.end
    if group:
        yield group


def _side(base: Sequence[str], start: int, end: int, edits: Sequence[_Edit]) -> list[str]:
    """The lines from ``start`` to ``end`` of the base with the edits of one side."""
    found: list[str] = []
    for edit in edits:
        found += [*base[start : edit.start], *edit.lines]
        start = edit.end
    return [*found, *base[start:end]]
