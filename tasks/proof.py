"""What is asked before anything is changed, of the planned result, and before a push, of what is written."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from checks import registry
from checks.model import Check, judge
from tasks.core.catalogue import CATALOGUE
from tasks.core.changes import Change
from tasks.core.graph import ancestors, order
from tasks.core.outcomes import Verdict
from tasks.core.runner import TaskPlan
from tasks.effects.git import Commit
from tasks.effects.repository import Repository
from tasks.effects.snapshot import snapshot
from tasks.model import Model, Stage
from tasks.workspace import Workspace

_BUCKET, _SECRET, _LAST = "TASK-001", "TASK-004", max(CATALOGUE)
# What a release answers by itself, whatever else is there.
_OF_A_RELEASE = ("tested", "charts", "values")


def before_push(workspace: Workspace, change: Change) -> list[Verdict]:
    """The answers for what would be pushed: what is committed and the files of ``change``, nothing else."""
    git = workspace.repository.git
    with snapshot(git, change.files if isinstance(change, Commit) else ()) as files:
        return judge(registry.CHECKS.values(), Model(workspace.with_repository(Repository(git, files))))


def tasks_beside(task: str) -> tuple[str, ...]:
    """The tasks whose plans complete the result of ``task``, in running order, it and those before it first.

    Whoever runs a task that needs no S3 server and no key is not asked for them.
    """
    own = (*ancestors(task), task)
    if task == _BUCKET:
        return own
    left_out = () if _BUCKET in own else (_BUCKET, _SECRET)
    return (*own, *(name for name in order() if name not in own and name not in left_out))


def of_plans(workspace: Workspace, plans: Sequence[TaskPlan], beside: Sequence[TaskPlan]) -> list[Verdict]:
    """The answers for what would be pushed once ``plans`` were carried out; what stops a push stops them.

    ``beside`` are the plans of other tasks, as if those were carried out too: a single task does not answer
    for what later ones add. Nothing is written but a copy of HEAD in a temporary folder, no probe object
    either.
    """
    if not any(plan.changes for plan in plans):
        return []
    names = {plan.spec.id for plan in plans}
    written = {path for plan in plans for change in plan.changes for path in change.results()}
    known = {plan.spec.id for plan in (*plans, *beside) if plan.error is None}
    checks = list(_answerable(names, is_whole=known == set(CATALOGUE)))
    # Of all changes, for the files of later tasks are what those of these refer to.
    with planned_workspace(workspace, (*plans, *beside)) as planned:
        found = judge(checks, Model(planned, Stage.RENDERED if written else Stage.WRITTEN))
    if _LAST in names:
        return found
    return [
        verdict
        for verdict in found
        if verdict.task in names or verdict.outcome.place.rpartition(":")[0] in written
    ]


@contextmanager
def planned_workspace(workspace: Workspace, plans: Sequence[TaskPlan]) -> Iterator[Workspace]:
    """The workspace as if ``plans`` were done: its files are those that others would get by them.

    Raises:
        RefusedError: HEAD cannot be read, or not be written down for the time of the look.
    """
    changes = [change for plan in plans for change in plan.changes]
    committed = [path for change in changes if isinstance(change, Commit) for path in change.files]
    results = {path: text for change in changes for path, text in change.results().items()}
    git = workspace.repository.git
    with snapshot(git, committed, results) as files:
        yield workspace.as_planned(Repository(git, files), changes)


def _answerable(names: Collection[str], *, is_whole: bool) -> Iterator[Check]:
    """The checks that the tasks ``names`` can answer; ``is_whole`` says that all plans are known."""
    for check in registry.CHECKS.values():
        if (
            _LAST in names
            or (is_whole and (check.task in names or not check.is_item))
            or check.id in _OF_A_RELEASE
            or (check.task == _BUCKET and _BUCKET in names)
        ):
            yield check


def is_proved_at_once(plans: Sequence[TaskPlan]) -> bool:
    """Whether nothing is changed before the proof that a commit or a push needs, which asks the same."""
    return next((change.needs_proof for plan in plans for change in plan.changes), False)
