"""What the playbook wrote into a file of its own, by the commits: what an owner's changes are measured by."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.effects.git import Version
from tasks.subjects.signature import SIGNATURE
from tasks.yaml.documents import load_documents, same
from tasks.yaml.merging import Base, merge_documents
from tasks.yaml.templates import MARKER

# A host that squashes commits keeps it as a line of what it makes of their messages.
_SIGNED = re.compile(rf"(?m)^\s*[\w-]+{re.escape(SIGNATURE)}\s*$")


@dataclass(frozen=True)
class Written:
    """What was written last: ``base`` None where no commit shows it, ``commit`` the newest that does.

    ``is_cut`` says that more may have been written before the first commit of this clone.
    """

    base: Base | None
    commit: str
    is_cut: bool


def written(versions: Sequence[Version], *, is_shallow: bool) -> Written:
    """What the playbook wrote into a file with this history (the newest commit first).

    A commit writes what it changes, and no more: a value of the owner's that it left in the file stays the
    owner's, and what was meant in its place is known from the commits before.
    """
    base, commit, is_cut = None, "", is_shallow
    for version in reversed(versions):
        if not is_ours(version):
            continue
        commit = version.commit
        if version.after is None:
            base, is_cut = None, is_shallow
        elif version.before is None or base is None:
            base = Base(version.after, load_documents(version.after))
            # In a shallow clone the first commit of all has no parent, and seems to make every file.
            is_cut = is_shallow and (version.before is not None or version.parents == 0)
        else:
            base = Base(version.after, _meant(base.documents, version.before, version.after))
    return Written(base, commit, is_cut)


def is_ours(version: Version) -> bool:
    """Whether the playbook wrote this version: in a commit of its own, or of a file that it had just made."""
    # A merge brings together what others wrote.
    if version.parents > 1:
        return False
    is_first = version.after is not None and MARKER in version.after and MARKER not in (version.before or "")
    return is_first or _SIGNED.search(version.message) is not None


def _meant(known: Sequence[Any], before: str, after: str) -> Sequence[Any]:
    """What was meant after a commit changed ``before`` to ``after``, where ``known`` had been meant."""
    was, is_now = load_documents(before), load_documents(after)
    if same(was, list(known)):
        return is_now
    merged = merge_documents(was, known, is_now)
    clashing = {one.path for one in merged.clashes}
    if not clashing:
        return list(merged.value)
    return list(merge_documents(was, known, is_now, lambda path: path in clashing).value)
