"""What changes in a YAML text, as a unified diff without secrets."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from tasks.core.redaction import HIDDEN, Span, with_hidden
from tasks.yaml.masking import occurrences, secret_spans, telling_values

_CHANGED = "(not shown, changed)"
_AROUND = 3


def unified_diff(path: str, before: str | None, after: str | None) -> str:
    """Unified diff of one file of the repository; secrets are masked, and the files are compared with them.

    A line in which nothing but a secret changed says so. ``before`` is None for a file that does not exist
    yet, ``after`` for one that goes. Line ends are shown as the file has them, but a carriage return is not
    printed.
    """
    texts = ("" if before is None else before, "" if after is None else after)
    spans = [secret_spans(text) for text in texts]
    values = frozenset[str]().union(*map(telling_values, texts, spans))
    old, new = (
        _lines(text, [*found, *occurrences(text, values)]) for text, found in zip(texts, spans, strict=True)
    )
    matcher = SequenceMatcher(None, [raw for raw, _ in old], [raw for raw, _ in new])
    lines: list[str] = []
    for group in matcher.get_grouped_opcodes(_AROUND):
        if not lines:
            lines.append("--- /dev/null" if before is None else f"--- a/{path}")
            lines.append("+++ /dev/null" if after is None else f"+++ b/{path}")
        first, last = group[0], group[-1]
        lines.append(f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@")
        for tag, i1, i2, j1, j2 in group:
            lines += _same(old[i1:i2], new[j1:j2]) if tag == "equal" else _edited(old[i1:i2], new[j1:j2])
    return "\n".join(lines)


def _lines(text: str, spans: Iterable[Span]) -> list[tuple[str, str]]:
    """Each line as it is, and as it is shown."""
    return list(zip(text.splitlines(), with_hidden(text, spans).splitlines(), strict=True))


def _same(old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]) -> Iterator[str]:
    for (raw, before), (_, after) in zip(old, new, strict=True):
        # What stands above a line can make it secret on one side only.
        shown = after if before in (raw, after) else before
        is_both = raw not in (before, after) and before != after
        yield f" {with_hidden(raw, [(0, len(raw))]) if is_both else shown}"


def _edited(old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield from (f"-{shown}" for _, shown in old)
    raws, seen = {raw for raw, _ in old}, {shown for _, shown in old}
    for raw, shown in new:
        is_secret_only = shown in seen and raw not in raws
        yield f"+{shown.replace(HIDDEN, _CHANGED) if is_secret_only else shown}"


def _range(start: int, stop: int) -> str:
    """The part after "-" or "+" in the head of a hunk, as diff(1) writes it."""
    length = stop - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"
