"""Takes a rollout out of the repository: what it would do, and doing it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tasks.closing.cluster import Deployed, deployed, wait_for
from tasks.closing.ending import Ending
from tasks.closing.pruning import after_rollback
from tasks.core.changes import Change
from tasks.core.console import Console
from tasks.core.errors import SettingsError
from tasks.effects.git import Push
from tasks.effects.history import History
from tasks.subjects.git import push_facts, push_of
from tasks.subjects.rollback import Rollback, plan
from tasks.workspace import Workspace


@dataclass(frozen=True)
class InGit(Ending):
    """The changes of a rollback, in order; ``follows`` is what they lead to in the cluster.

    ``awaited`` are the Kustomizations to wait for after the push, at most ``wait``; empty: do not wait.
    """

    workspace: Workspace = field(repr=False)
    changes: tuple[Change, ...]
    follows: tuple[str, ...] = field(repr=False)
    awaited: Sequence[Deployed] = ()
    wait: str = ""

    @property
    def is_empty(self) -> bool:
        return not self.changes

    @property
    def rollback(self) -> Rollback | None:
        """The commit, where there is one to be made."""
        return next((one for one in self.changes if isinstance(one, Rollback)), None)

    def data(self) -> dict[str, object]:
        taken = self.rollback
        return {
            "commits": [
                {"id": one.id, "subject": one.subject, "author": one.author, "date": one.date}
                for one in (taken.commits if taken else ())
            ],
            "files": [
                {"path": path, "change": verb, "diff": taken.diffs[path]}
                for path, verb in (_verbs(taken) if taken else ())
                if taken
            ],
            "changes": [one.summary for one in self.changes],
            "follows": list(self.follows),
        }

    def lines(self) -> Iterator[str]:
        taken = self.rollback
        if taken is not None:
            yield "take back, newest first:"
            yield from (f"    {one}" for one in taken.commits)
            yield from (f"    {verb} {path}" for path, verb in _verbs(taken))
        yield from (f"    {one.summary}" for one in self.changes)
        yield from self.follows
        if self.is_empty:
            yield _NOTHING

    def diff(self) -> str:
        return self.rollback.diff() if self.rollback is not None else ""

    def carry_out(self, console: Console) -> None:
        for change in self.changes:
            change.apply()
            console.note(f"    {change.summary}")
        if self.wait:
            awaited = [each for one in self.awaited for each in (one.object, *one.releases)]
            wait_for(self.workspace.kubectl, awaited, console, self.wait)

    def outcome(self) -> Iterator[str]:
        taken = self.rollback
        if self.is_empty:
            yield _NOTHING
        if taken is None:
            return
        count = len(taken.commits)
        yield f"took {count} commit{'s' if count != 1 else ''} back: {taken.message.splitlines()[0]}"
        if not any(isinstance(one, Push) for one in self.changes):
            yield "not pushed: Flux goes on applying what was pushed before"
        yield from self.follows
        yield "invoke all brings everything back"


_NOTHING = "nothing to take back"


def _verbs(taken: Rollback) -> Iterator[tuple[str, str]]:
    for path, entry in taken.wanted.items():
        is_new = taken.diffs[path].startswith("--- /dev/null")
        yield path, "delete" if entry is None else "create" if is_new else "edit"


def planned(workspace: Workspace, wait: str = "") -> InGit:
    """What a rollback would do. Changes nothing.

    Raises:
        PlaybookError: it cannot be done, and why.
    """
    if wait and not workspace.permissions.push:
        raise SettingsError("--wait waits for what a push leads to", "leave --wait or --no-push out")
    history = History(workspace.repository.root)
    branch = history.branch()
    taken = plan(workspace, history)
    changes: list[Change] = []
    if taken is not None:
        history.check_identity()
        changes.append(taken)
    if workspace.permissions.push:
        found = push_facts(workspace, branch)
        if taken is not None or found.ours:
            changes.append(push_of(workspace, branch, found))
    awaited = deployed(workspace) if wait else ()
    if taken is None:
        return InGit(workspace, tuple(changes), (), awaited, wait)
    s3 = workspace.settings.s3
    kept = f"bucket '{s3.bucket}' and the logs in it stay: nothing here deletes them"
    return InGit(workspace, tuple(changes), (*after_rollback(workspace), kept), awaited, wait)
