"""Takes a rollout out of the repository: what it would do, and doing it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tasks.closing.pruning import after_rollback
from tasks.core.changes import Change
from tasks.core.console import Console
from tasks.effects.git import Push
from tasks.effects.history import History
from tasks.subjects.git import push_facts, push_of
from tasks.subjects.rollback import Rollback, plan
from tasks.workspace import Workspace


@dataclass(frozen=True)
class Planned:
    """The changes of a rollback, in order, and what follows from them in the cluster."""

    changes: tuple[Change, ...]
    follows: tuple[str, ...] = field(repr=False)

    @property
    def rollback(self) -> Rollback | None:
        """The commit, where there is one to be made."""
        return next((one for one in self.changes if isinstance(one, Rollback)), None)

    def data(self) -> dict[str, object]:
        """As JSON."""
        taken = self.rollback
        return {
            "commits": [
                {"id": one.id, "subject": one.subject, "author": one.author, "date": one.date}
                for one in (taken.commits if taken else ())
            ],
            "files": [
                {"path": path, "change": _verb(taken, path), "diff": diff}
                for path, diff in (taken.diffs.items() if taken else ())
            ],
            "changes": [one.summary for one in self.changes],
            "follows": list(self.follows),
        }

    def lines(self) -> Iterator[str]:
        """As a person reads it, without the diffs."""
        taken = self.rollback
        if taken is not None:
            yield "take back, newest first:"
            yield from (f"    {one}" for one in taken.commits)
            yield from (f"    {_verb(taken, path)} {path}" for path in taken.paths)
        yield from (f"    {one.summary}" for one in self.changes)
        yield from self.follows

    def summarise(self, console: Console) -> None:
        """Tell of it before asking, without the diffs."""
        for line in self.lines():
            console.note(line)

    def show(self, console: Console) -> None:
        """Write it out with the diffs."""
        if console.as_json:
            console.write_json(self.data())
            return
        for line in self.lines():
            console.say(line)
        if self.rollback is not None:
            console.say_diff(self.rollback.diff())
        if not self.changes:
            console.say(NOTHING)


NOTHING = "nothing to take back"


def _verb(taken: Rollback | None, path: str) -> str:
    assert taken is not None
    if taken.wanted[path] is None:
        return "delete"
    return "create" if taken.diffs[path].startswith("--- /dev/null") else "edit"


def planned(workspace: Workspace) -> Planned:
    """What a rollback would do. Changes nothing.

    Raises:
        PlaybookError: it cannot be done, and why.
    """
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
    if taken is None:
        return Planned(tuple(changes), ())
    s3 = workspace.settings.s3
    kept = f"bucket '{s3.bucket}' and the logs in it stay: nothing here deletes them"
    return Planned(tuple(changes), (*after_rollback(workspace), kept))


def carry_out(found: Planned, console: Console) -> None:
    """Do it, and say what was done.

    Raises:
        PlaybookError: what refused.
    """
    for change in found.changes:
        change.apply()
        console.note(f"    {change.summary}")
    if console.as_json:
        console.write_json(found.data())
        return
    if not found.changes:
        console.say(NOTHING)
        return
    taken = found.rollback
    if taken is not None:
        count = len(taken.commits)
        console.say(f"took {count} commit{'s' if count != 1 else ''} back: {taken.message.splitlines()[0]}")
    if not any(isinstance(one, Push) for one in found.changes):
        console.say("not pushed: Flux goes on applying what was pushed before")
    for line in found.follows:
        console.say(line)
    if taken is not None:
        console.say("invoke all brings everything back")
