"""Three-way merge of whole files: their documents by kind and name, and the text that says the result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.yaml.documents import load_documents
from tasks.yaml.merging.paths import MISSING, identities
from tasks.yaml.merging.texts import compose
from tasks.yaml.merging.values import Difference, Merged, merge


@dataclass(frozen=True)
class Base:
    """What a file is measured by: a text of it that was written, and the documents that were meant."""

    text: str
    documents: Sequence[Any]


def merge_documents(
    base: Sequence[Any],
    theirs: Sequence[Any],
    ours: Sequence[Any],
    is_ours: Callable[[str], bool] = lambda _: False,
) -> Merged:
    """Merge the documents of a file. ``value`` is the list of those that stay."""
    lists = (base, theirs, ours)
    if [len(one) for one in lists] == [1, 1, 1]:
        merged = merge(base[0], theirs[0], ours[0], "", is_ours)
        return Merged([merged.value], merged.kept, merged.clashes)
    names = [identities(one, is_alone=False) for one in lists]
    if any(len(set(one)) < len(one) for one in names):
        # Two that nothing tells apart: as a list of which nothing is known but the order.
        return merge(list(base), list(theirs), list(ours), "", is_ours)
    was, is_now, wanted = (dict(zip(name, one, strict=True)) for name, one in zip(names, lists, strict=True))
    found = [
        merge(was.get(key, MISSING), is_now.get(key, MISSING), wanted.get(key, MISSING), key, is_ours)
        for key in (*is_now, *(key for key in wanted if key not in is_now))
    ]
    return Merged(
        [one.value for one in found if one.value is not MISSING],
        tuple(item for one in found for item in one.kept),
        tuple(item for one in found for item in one.clashes),
    )


@dataclass(frozen=True)
class MergedText:
    """The text of a file with the changes of both sides, what it kept and where they clash.

    ``is_whole`` says that it has all comments that were there.
    """

    text: str
    is_whole: bool
    kept: tuple[Difference, ...]
    clashes: tuple[Difference, ...]


def merge_texts(
    base: Base, theirs: str, ours: str, is_ours: Callable[[str], bool] = lambda _: False
) -> MergedText:
    """Merge the file ``theirs`` with the file ``ours``; both are YAML."""
    merged = merge_documents(base.documents, load_documents(theirs), load_documents(ours), is_ours)
    text, is_whole = compose(base.text, theirs, ours, merged.value)
    return MergedText(text, is_whole, merged.kept, merged.clashes)
