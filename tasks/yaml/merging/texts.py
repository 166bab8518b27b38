"""The text of merged documents: with the comments and the style of both sides, as far as that can be."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from tasks.yaml.documents import load_documents, same
from tasks.yaml.editing import EditRefusedError, ensure
from tasks.yaml.merging.lines import merge_lines
from tasks.yaml.merging.paths import MISSING


def compose(base: str, theirs: str, ours: str, documents: Sequence[Any]) -> tuple[str, bool]:
    """A text that says ``documents``, and whether it has all comments that ``theirs`` has beside ``base``.

    Each attempt is read again, and counts only if it says that and nothing else.
    """
    if "\r\n" in theirs:
        base, ours = (text.replace("\r\n", "\n").replace("\n", "\r\n") for text in (base, ours))
    for text in _attempts(base, theirs, ours, documents):
        if _says(text, documents):
            break
    else:
        mended = _mended(ours, documents)
        text = mended if _says(mended, documents) else dumped(documents)
    return text, _comments(theirs) - _comments(base) <= _comments(text)


def _comments(text: str) -> set[str]:
    return set(_COMMENT.findall(text))


def _attempts(base: str, theirs: str, ours: str, documents: Sequence[Any]) -> Iterator[str]:
    yield theirs
    if base == theirs:
        yield ours
    lines = [text.split("\n") for text in (base, theirs, ours)]
    for preferred in (0, 1):
        text = "\n".join(merge_lines(lines[0], (lines[1], lines[2]), preferred)[0])
        yield text
        yield _mended(text, documents)
    yield _mended(theirs, documents)


def _says(text: str, documents: Sequence[Any]) -> bool:
    return same(load_documents(text), list(documents))


def _mended(text: str, documents: Sequence[Any]) -> str:
    """``text`` with the values of ``documents`` that it lacks, put in where they belong."""
    found = load_documents(text)
    for number, (before, after) in enumerate(zip(found, documents, strict=False)):
        want = _lacking(before, after)
        if want is MISSING:
            continue
        try:
            text = ensure(text, (), want, name="", document=number)
        except EditRefusedError:
            return text
    return text


def _lacking(before: Any, after: Any) -> Any:
    """What ``before`` lacks of ``after``, as a value to put in; MISSING if it lacks nothing."""
    if same(before, after):
        return MISSING
    if isinstance(before, dict) and isinstance(after, dict):
        found = {key: _lacking(before.get(key, MISSING), value) for key, value in after.items()}
        return {key: value for key, value in found.items() if value is not MISSING}
    return after


_WIDTH = 110
# Nearly: what looks like a comment in a text counts as one.
_COMMENT = re.compile(r"(?m)(?:^|\s)#\s*(.*\S)")


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
_Dumper.ignore_aliases = lambda *_: True  # type: ignore[method-assign]


def dumped(documents: Sequence[Any]) -> str:
    """``documents`` as YAML without a comment."""
    return yaml.dump_all(
        documents, Dumper=_Dumper, sort_keys=False, explicit_start=True, allow_unicode=True, width=_WIDTH
    )
