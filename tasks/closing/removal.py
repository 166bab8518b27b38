"""Takes the apps out of the repository as it is now, whoever committed them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tasks.closing.ending import Ending
from tasks.closing.pruning import after_rollback
from tasks.core.changes import Change
from tasks.core.console import Console
from tasks.effects.git import Push
from tasks.subjects.git import push_facts, push_of
from tasks.subjects.removal import Removal, plan
from tasks.workspace import Workspace


@dataclass(frozen=True)
class Removed(Ending):
    """What goes, with the push of it; ``follows`` is what that leads to outside of the repository."""

    removal: Removal
    push: Push | None
    follows: tuple[str, ...] = field(repr=False)

    @property
    def is_empty(self) -> bool:
        return not self._changes

    @property
    def _changes(self) -> tuple[Change, ...]:
        return (*self.removal.changes, *((self.push,) if self.push is not None else ()))

    def data(self) -> dict[str, object]:
        return {
            "files": [
                {"path": one.path, "change": one.summary.partition(" ")[0], "diff": one.diff()}
                for one in self.removal.files
            ],
            "changes": [one.summary for one in self._changes],
            "kept": list(self.removal.kept),
            "follows": list(self.follows),
        }

    def lines(self) -> Iterator[str]:
        yield from (f"    {one.summary}" for one in self._changes)
        yield from self.removal.kept
        yield from self.follows
        if self.is_empty:
            yield _NOTHING

    def diff(self) -> str:
        return "\n".join(one.diff() for one in self.removal.files)

    def carry_out(self, console: Console) -> None:
        for change in self._changes:
            change.apply()
            console.note(f"    {change.summary}")

    def outcome(self) -> Iterator[str]:
        if self.is_empty:
            yield _NOTHING
            return
        if self.removal.commit is not None:
            yield self.removal.commit.summary
        yield from self.removal.kept
        if self.push is None:
            yield "not pushed: Flux goes on applying what was pushed before"
        yield from self.follows
        yield "invoke all brings everything back, with another password for Parseable"


_NOTHING = "nothing to remove"


def planned(workspace: Workspace) -> Removed:
    """What a removal would do. Changes nothing.

    Raises:
        PlaybookError: it cannot be done, and why.
    """
    git = workspace.repository.git
    branch = git.branch()
    removal = plan(workspace)
    push = None
    if workspace.permissions.push:
        found = push_facts(workspace, branch)
        if removal.commit is not None or found.ours:
            push = push_of(workspace, branch, found)
    follows = (*after_rollback(workspace), *_bucket(workspace)) if removal.changes else ()
    return Removed(removal, push, follows)


def _bucket(workspace: Workspace) -> Iterator[str]:
    """What stays at the S3 server, and how it goes."""
    s3 = workspace.settings.s3
    yield f"bucket '{s3.bucket}' and the logs in it stay: nothing here deletes them"
    if s3.retention == "bucket":
        yield f"its lifecycle rule goes on deleting logs {s3.retention_days} days after they were written"
    else:
        yield "nothing deletes old logs any more: the bucket has no rule, and Parseable is gone"
    endpoint = s3.admin_endpoint or s3.endpoint
    yield f"to delete bucket and logs: aws --endpoint-url {endpoint} s3 rb --force s3://{s3.bucket}"
