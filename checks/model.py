"""What a check is."""

from collections.abc import Callable
from dataclasses import dataclass

from tasks.core.outcomes import Outcome, Status, failed, passed, unknown
from tasks.effects.world import World

__all__ = ["Check", "Outcome", "Status", "failed", "passed", "unknown"]


@dataclass(frozen=True)
class Check:
    """One item of the Definition of Done: ``id`` and ``text`` as documented, ``run`` the proof."""

    id: str
    text: str
    run: Callable[[World], Outcome]

    @property
    def task(self) -> str:
        """The task it belongs to: DoD-004-02 is of TASK-004."""
        return "TASK-" + self.id.split("-")[1]
