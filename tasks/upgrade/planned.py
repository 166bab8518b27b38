"""An upgrade as it is planned: what it changes in the cluster, its steps, and its commit."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tasks.core.console import Console
from tasks.core.runner import TaskPlan
from tasks.effects.git import Commit
from tasks.effects.history import History
from tasks.flux.missing import need
from tasks.kube.comparison import Difference
from tasks.subjects.message import with_paragraph
from tasks.upgrade import telling
from tasks.upgrade.guide import Place, Step, source_of, steps
from tasks.upgrade.views import differences
from tasks.workspace import Workspace

NOTHING = "nothing differs in the cluster"
# Backed up and stopped is before the commit.
_DONE = 2


@dataclass(frozen=True)
class Upgrade:
    """What differs, in which order it is done, and the plans that do it."""

    differences: tuple[Difference, ...]
    plans: tuple[TaskPlan, ...] = field(repr=False)
    place: Place = field(repr=False)

    @property
    def steps(self) -> list[Step]:
        """Back up, stop, switch, verify, the way back."""
        return steps(self.differences, self.place)

    def lines(self) -> Iterator[str]:
        """As a person reads it before it is done."""
        if not self.differences:
            yield NOTHING
            if any(plan.changes for plan in self.plans):
                yield "invoke all carries out what else is planned"
            return
        yield "in the cluster:"
        yield from (f"    {line}" for line in telling.lines(self.differences))
        yield "in this order:"
        yield from self._told_steps(0)

    def rest(self) -> Iterator[str]:
        """What is left to do once it is committed."""
        yield "next:"
        yield from self._told_steps(_DONE)

    def _told_steps(self, first: int) -> Iterator[str]:
        for number, step in enumerate(self.steps[first:], first + 1):
            yield from (f"    {line}" for line in step.lines(number))

    def data(self) -> dict[str, object]:
        """As JSON."""
        return {
            "differences": [telling.data(one) for one in self.differences],
            "steps": [step.data() for step in self.steps] if self.differences else [],
        }

    def committed(self, workspace: Workspace) -> "Upgrade":
        """The same with the id of its commit, which is the last one."""
        commit = History(workspace.repository.root).head_id[:12]
        return dataclasses.replace(self, place=dataclasses.replace(self.place, commit=commit))

    def summarise(self, console: Console) -> None:
        """Tell of it before asking."""
        for line in self.lines():
            console.note(line)

    def show(self, console: Console) -> None:
        """Write it out."""
        if console.as_json:
            console.write_json(self.data())
            return
        for line in self.lines():
            console.say(line)


def planned(workspace: Workspace, plans: Sequence[TaskPlan]) -> Upgrade:
    """What ``plans`` change in the cluster. The message of their commit says it, too.

    Raises:
        PrerequisiteError: HEAD deploys nothing of ours.
        RefusedError: what is deployed, or what is planned, cannot be rendered here.
    """
    found = differences(workspace, plans)
    source = need(workspace.layout.source)
    place = Place(
        workspace.settings.s3,
        source_of(source.kind, source.name, source.namespace),
        is_pushed=workspace.permissions.push,
    )
    told = "\n".join(["In the cluster:", *telling.lines(found)])
    return Upgrade(tuple(found), tuple(_with_message(plan, told) for plan in plans), place)


def _with_message(plan: TaskPlan, told: str) -> TaskPlan:
    changes = tuple(
        dataclasses.replace(change, message=with_paragraph(change.message, told))
        if isinstance(change, Commit)
        else change
        for change in plan.changes
    )
    return dataclasses.replace(plan, changes=changes)
