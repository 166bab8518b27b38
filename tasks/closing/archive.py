"""Puts the specification of the rollout away, as its notes ask once that is deployed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tasks.closing.ending import Ending
from tasks.core.changes import Change
from tasks.core.console import Console
from tasks.core.errors import PrerequisiteError, RefusedError
from tasks.effects.git import Entry, Push
from tasks.effects.history import FilesCommit, History
from tasks.subjects.git import push_facts, push_of
from tasks.subjects.message import is_first, signed
from tasks.subjects.signature import ARCHIVED
from tasks.workspace import Workspace

SOURCE = "specs/parseable-deployment"
TARGET = "specs/done/parseable-deployment"
_FILES = ("100644", "100755")


@dataclass(frozen=True)
class Archive(Ending):
    """The changes that archive the specification, in order; ``reason`` is why there are none."""

    changes: tuple[Change, ...]
    reason: str = ""

    @property
    def is_empty(self) -> bool:
        return not self.changes

    def lines(self) -> Iterator[str]:
        if self.is_empty:
            yield self.reason
            return
        for change in self.changes:
            if isinstance(change, FilesCommit):
                yield f"move {SOURCE} to {TARGET}"
            yield f"    {change.summary}"

    def data(self) -> dict[str, object]:
        return {
            "from": SOURCE,
            "to": TARGET,
            "changes": [change.summary for change in self.changes],
            "reason": self.reason,
        }

    def carry_out(self, console: Console) -> None:
        for change in self.changes:
            change.apply()
            console.note(f"    {change.summary}")

    def outcome(self) -> Iterator[str]:
        if self.is_empty:
            yield self.reason
            return
        if any(isinstance(change, FilesCommit) for change in self.changes):
            yield f"moved {SOURCE} to {TARGET}"
        if not any(isinstance(change, Push) for change in self.changes):
            yield "not pushed"


def planned(workspace: Workspace) -> Archive:
    """What has to be moved. Changes nothing.

    Raises:
        PrerequisiteError: the rollout is not committed.
        RefusedError: something is in the way: edits, links, a specification that was archived before.
    """
    history = History(workspace.repository.root)
    branch = history.branch()
    wanted = _moved(history)
    changes: list[Change] = []
    if wanted:
        if is_first(workspace):
            raise PrerequisiteError(
                "the rollout is not committed yet, and its specification is archived once it is deployed",
                "run: invoke all",
            )
        history.check_identity()
        message = signed(workspace, "docs: archive the specification of Parseable", _SAID, ARCHIVED)
        changes.append(FilesCommit(history, wanted, message))
    if workspace.permissions.push:
        found = push_facts(workspace, branch)
        if wanted or found.ours:
            changes.append(push_of(workspace, branch, found))
    return Archive(tuple(changes), "" if changes else _reason(history))


_SAID = (f"Move {SOURCE} to {TARGET}",)


def _reason(history: History) -> str:
    if history.below(TARGET):
        return f"nothing to archive: {TARGET} is there already"
    return f"nothing to archive: the repository has no {SOURCE}"


def _moved(history: History) -> Mapping[str, Entry | None]:
    """What HEAD holds of the specification, at its new paths, and that it is gone from the old ones."""
    found = history.below(SOURCE)
    if not found:
        return {}
    odd = sorted(path for path, entry in found.items() if path == SOURCE or entry.mode not in _FILES)
    if odd:
        raise RefusedError(
            f"{odd[0]} is a link, a submodule or no folder: it would not be the same in another place",
            f"move it by hand: git mv {SOURCE} {TARGET}",
        )
    taken = [path for folder in (TARGET, "specs/done") for path in history.below(folder) if path == folder]
    taken += [path for path in history.below(TARGET) if path not in taken]
    wanted: dict[str, Entry | None] = dict.fromkeys(found)
    wanted |= {f"{TARGET}{path.removeprefix(SOURCE)}": entry for path, entry in found.items()}
    if taken:
        raise RefusedError(
            f"{taken[0]} is there already, and {SOURCE} as well",
            "delete one of the two, commit that, then run again",
        )
    beside = [path for path in history.untracked(SOURCE, TARGET) if path not in wanted]
    if beside:
        raise RefusedError(f"{', '.join(beside)}: not committed", "commit or delete that first")
    history.check_edits(wanted)
    return wanted
