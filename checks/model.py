"""What a check is."""

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tasks.core.outcomes import Outcome, Status, failed, passed, unknown
from tasks.workspace import Workspace

__all__ = ["Check", "Link", "Outcome", "Status", "failed", "noted", "passed", "unknown"]


def noted(workspace: Workspace, outcome: Outcome) -> Outcome:
    """``outcome`` about somebody else's app: a failure only where the whole repository counts."""
    is_counted = workspace.whole_repository or outcome.status is not Status.FAIL
    return outcome if is_counted else dataclasses.replace(outcome, status=Status.NOTE)


@dataclass(frozen=True)
class Check:
    """One item of the Definition of Done: ``id`` and ``text`` as documented, ``run`` the proof.

    ``settle`` is the proof on what the charts render to, None where that is not known; ``run`` looks at the
    files only.
    """

    id: str
    text: str
    run: Callable[[Workspace], Outcome]
    settle: Callable[[Workspace], Outcome | None] | None = None

    @property
    def task(self) -> str:
        """The task it belongs to: DoD-004-02 is of TASK-004."""
        return "TASK-" + self.id.split("-")[1]


@dataclass(frozen=True)
class Link:
    """What must hold between documents before a push; ``run`` yields what it found, one by one."""

    id: str
    text: str
    run: Callable[[Workspace], Iterable[Outcome]]
    task = "TASK-011"
