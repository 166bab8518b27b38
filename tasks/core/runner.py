"""Plans tasks, carries plans out in the graph's order, and proves each step before the next one."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tasks.core.catalogue import TaskSpec
from tasks.core.changes import Change, Remark, Skip
from tasks.core.errors import PlaybookError, PrerequisiteError, StepFailedError
from tasks.core.graph import ancestors
from tasks.core.outcomes import Outcome, Status, Verdict

W = TypeVar("W", bound="Refreshable")
F = TypeVar("F")


class Refreshable(Protocol):
    """What the runner needs of its workspace: lay planned changes over it, and read it anew."""

    def lay_over(self, changes: Iterable[Change]) -> None:
        """Make later facts see ``changes`` as done."""

    def lay_aside(self) -> None:
        """Make later facts see what is there, without planned changes."""

    def refresh(self) -> None:
        """Read anew what may have changed."""


@dataclass(frozen=True)
class Step(Generic[W, F]):
    """How one task is done: ``facts`` reads what the plan needs to know, and touches nothing.

    ``plan`` derives from it what is missing, and says what is worth saying. ``ahead`` starts what ``facts``
    would wait for, before the first task is planned; it raises nothing.
    """

    spec: TaskSpec
    facts: Callable[[W], F]
    plan: Callable[[W, F], Iterable[Change | Remark | Skip]]
    ahead: Callable[[W], None] = lambda _: None


@dataclass(frozen=True)
class TaskPlan:
    """What one task would do: its changes, or the error that keeps it from knowing.

    ``remarks`` are sentences for the user; ``blocked_by`` is the nearest task before it that cannot run;
    ``skipped`` is why the settings leave it out, empty if they do not; ``is_open`` says that a remark tells
    what could not be found out.
    """

    spec: TaskSpec
    changes: tuple[Change, ...] = ()
    remarks: tuple[str, ...] = ()
    error: PlaybookError | None = None
    blocked_by: str | None = None
    skipped: str = ""
    is_open: bool = False

    @property
    def state(self) -> str:
        """``done``, ``changes``, ``unknown``, ``blocked`` or ``skipped``."""
        if self.skipped:
            return "skipped"
        if self.error is not None or self.blocked_by is not None:
            return "blocked"
        if self.changes:
            return "changes"
        return "unknown" if self.is_open else "done"


class Progress(Protocol):
    """Who is told what happens while it happens."""

    def started(self, plan: TaskPlan) -> None:
        """``plan`` is about to be carried out."""

    def changed(self, change: Change) -> None:
        """``change`` was applied."""

    def proved(self, plan: TaskPlan, verdicts: Sequence[Verdict], seconds: float) -> None:
        """The checks of the task answered, and none of them failed."""


def make_plans(steps: Mapping[str, Step[W, Any]], workspace: W, tasks: Iterable[str]) -> list[TaskPlan]:
    """Plan ``tasks`` in the order given, each as if those before it were done. Changes nothing."""
    tasks = tuple(tasks)
    for name in tasks:
        steps[name].ahead(workspace)
    plans: list[TaskPlan] = []
    stuck: set[str] = set()
    for name in tasks:
        step = steps[name]
        blocker = next((need for need in reversed(ancestors(name)) if need in stuck), None)
        try:
            planned = tuple(step.plan(workspace, step.facts(workspace)))
        except PlaybookError as error:
            stuck.add(name)
            plans.append(TaskPlan(step.spec, error=error, blocked_by=blocker))
            continue
        left_out = next((item.reason for item in planned if isinstance(item, Skip)), "")
        if left_out:
            plans.append(TaskPlan(step.spec, skipped=left_out))
            continue
        changes = tuple(item for item in planned if isinstance(item, Change))
        remarks = [item for item in planned if isinstance(item, Remark)]
        said, is_open = tuple(item.text for item in remarks), any(item.is_open for item in remarks)
        if changes:
            workspace.lay_over(changes)
        plans.append(TaskPlan(step.spec, changes, said, blocked_by=blocker, is_open=is_open))
    if any(plan.changes for plan in plans):
        workspace.lay_aside()
    return plans


@dataclass(frozen=True)
class Obstacle:
    """One thing that keeps tasks from running, said once for all of them."""

    summary: str
    hint: str
    tasks: tuple[str, ...]


def obstacles(plans: Iterable[TaskPlan]) -> list[Obstacle]:
    """What is in the way of ``plans``, in their order."""
    found: dict[tuple[str, str], list[str]] = {}
    for plan in plans:
        for part in plan.error.parts if plan.error is not None else ():
            found.setdefault(part, []).append(plan.spec.id)
    return [Obstacle(summary, hint, tuple(tasks)) for (summary, hint), tasks in found.items()]


def check_plans(plans: Sequence[TaskPlan]) -> None:
    """Check that every task of ``plans`` can run.

    Raises:
        PlaybookError: of the kind of the first one, with all that is in the way in its text, each said once.
    """
    first = next((plan.error for plan in plans if plan.error is not None), None)
    if first is None:
        return
    found = obstacles(plans)
    kind = type(first)
    if len(found) == 1:
        raise kind(f"{found[0].tasks[0]}: {found[0].summary}", found[0].hint)
    lines = [
        f"- {item.summary} ({', '.join(item.tasks)})" + (f"\n  hint: {item.hint}" if item.hint else "")
        for item in found
    ]
    raise kind("\n".join([f"{len(found)} problems found; nothing was written", *lines]))


def check_planned(verdicts: Sequence[Verdict]) -> None:
    """Check that nothing of the answers for a planned result would stop its push.

    Raises:
        StepFailedError: something would. Its text has all that fails, each once; what is unknown often
            follows from that, and is told where nothing fails.
    """
    stopping = [verdict for verdict in verdicts if verdict.outcome.stops_push]
    known = [verdict for verdict in stopping if verdict.outcome.status is not Status.UNKNOWN]
    found: dict[Outcome, list[str]] = {}
    for verdict in known or stopping:
        found.setdefault(verdict.outcome, []).append(verdict.id)
    if not found:
        return
    told = [f"{', '.join(dict.fromkeys(names))}: {_told(outcome)}" for outcome, names in found.items()]
    first = next(iter(found))
    if len(found) == 1:
        raise StepFailedError(
            f"the planned result {_WOULD[first.status]} {told[0]}; nothing was written", first.remedy
        )
    lines = [
        f"- {one}" + (f"\n  hint: {outcome.remedy}" if outcome.remedy else "")
        for one, outcome in zip(told, found, strict=True)
    ]
    head = f"{len(found)} things would stop the push of the planned result; nothing was written"
    raise StepFailedError("\n".join([head, *lines]))


def check_prerequisites(
    plans: Sequence[TaskPlan], task: str, verify: Callable[[str], Sequence[Verdict]]
) -> None:
    """Check that all that ``task`` needs is done: nothing left to change there, and no check of it fails.

    Raises:
        PrerequisiteError: the first that is not, with the command for it.
    """
    for plan in plans:
        if plan.spec.id not in ancestors(task):
            continue
        command = f"run: invoke {plan.spec.command} (or this one with --with-prerequisites)"
        if plan.error is not None:
            raise PrerequisiteError(
                f"{task} needs {plan.spec.id}, which cannot be checked: {plan.error.summary}",
                plan.error.hint or command,
            )
        if plan.changes:
            raise PrerequisiteError(f"{task} needs {plan.spec.id} ({plan.spec.title}), not done yet", command)
        failure = _first_failure(verify(plan.spec.id))
        if failure is not None:
            outcome, said = failure.outcome, _SAID[failure.outcome.status]
            raise PrerequisiteError(
                f"{task} needs {plan.spec.id}, which {said} {failure.id}: {outcome.evidence}",
                outcome.remedy or command,
            )


def carry_out(
    plans: Sequence[TaskPlan],
    workspace: Refreshable,
    verify: Callable[[str], Sequence[Verdict]],
    verify_all: Callable[[Change], Sequence[Verdict]],
    progress: Progress,
) -> list[Verdict]:
    """Apply each plan and prove it, then the next one. Returns every verdict.

    ``verify`` answers for one task, as far as what the tasks up to it have written; ``verify_all`` for all
    that can be known before a change that leaves this machine's reach.

    Raises:
        StepFailedError: a check failed; nothing after it was touched.
        PlaybookError: a change was refused.
    """
    verdicts: list[Verdict] = []
    for position, plan in enumerate(plans):
        started = time.monotonic()
        left = [later.spec.id for later in plans[position + 1 :]]
        progress.started(plan)
        is_proved = False
        try:
            for change in plan.changes:
                if change.needs_proof and not is_proved:
                    workspace.refresh()
                    _prove(verify_all(change), plan.spec, left)
                # What is proved for a commit is so for its push.
                is_proved = change.needs_proof
                change.apply()
                progress.changed(change)
        except PlaybookError as error:
            if isinstance(error, StepFailedError):
                raise
            raise type(error)(f"{plan.spec.id}: {error.summary}", _and_left(error.hint, left)) from None
        if plan.changes:
            workspace.refresh()
        answered = verify(plan.spec.id)
        _prove(answered, plan.spec, left)
        verdicts += answered
        progress.proved(plan, answered, time.monotonic() - started)
    return verdicts


# What a task did with the check that stops it, in words.
_SAID = {
    Status.FAIL: "failed check",
    Status.ERROR: "met a bug in check",
    Status.UNKNOWN: "does not know, because of something in the repository, the answer to check",
}
# The same of a result that is not there yet.
_WOULD = {
    Status.FAIL: "would fail check",
    Status.ERROR: "met a bug in check",
    Status.UNKNOWN: "leaves unknown, because of something in the repository, the answer to check",
}
_FIRST = (Status.ERROR, Status.FAIL, Status.UNKNOWN)


def _prove(verdicts: Sequence[Verdict], spec: TaskSpec, left: Sequence[str]) -> None:
    failures = [verdict for verdict in verdicts if verdict.outcome.stops_push]
    if not failures:
        return
    # What is not known often follows from what failed, which is the thing to mend.
    first = min(failures, key=lambda verdict: _FIRST.index(verdict.outcome.status))
    outcome = first.outcome
    more = f"; {len(failures) - 1} more: invoke verify shows all" if len(failures) > 1 else ""
    raise StepFailedError(
        f"{spec.id} {_SAID[outcome.status]} {first.id}: {_told(outcome)}{more}",
        _and_left(outcome.remedy, left),
    )


def _told(outcome: Outcome) -> str:
    where = f" ({outcome.place})" if outcome.place else ""
    return f"{outcome.evidence}{where}{'; ' if outcome.consequence else ''}{outcome.consequence}"


def _and_left(hint: str, left: Sequence[str]) -> str:
    if not left:
        return hint
    span = left[0] if len(left) == 1 else f"{left[0]} to {left[-1]}"
    return f"{hint + '; ' if hint else ''}not done: {span}. Running the same again continues here"


def _first_failure(verdicts: Iterable[Verdict]) -> Verdict | None:
    return next((verdict for verdict in verdicts if verdict.outcome.stops_push), None)
