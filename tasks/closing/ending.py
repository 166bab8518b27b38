"""What all commands that end a rollout have in common: shown first, agreed to, done, and told."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

from tasks.core.console import Console


class Ending(ABC):
    """What one of them would do. Making it changes nothing."""

    @property
    @abstractmethod
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""

    @abstractmethod
    def lines(self) -> Iterable[str]:
        """What would be done, for a person, without diffs."""

    @abstractmethod
    def data(self) -> dict[str, object]:
        """The same as JSON."""

    @abstractmethod
    def carry_out(self, console: Console) -> None:
        """Do it, telling of the progress.

        Raises:
            PlaybookError: what refused.
        """

    @abstractmethod
    def outcome(self) -> Iterable[str]:
        """What was done, and what follows."""

    def diff(self) -> str:
        """What changes in files; empty where nothing does, or the lines say it all."""
        return ""

    def summarise(self, console: Console) -> None:
        """Tell of it before asking."""
        for line in self.lines():
            console.note(line)

    def show(self, console: Console) -> None:
        """Write it out with the diffs."""
        if console.as_json:
            console.write_json(self.data())
            return
        for line in self.lines():
            console.say(line)
        console.say_diff(self.diff())

    def report(self, console: Console) -> None:
        """Write what was done."""
        if console.as_json:
            console.write_json(self.data())
            return
        for line in self.outcome():
            console.say(line)
