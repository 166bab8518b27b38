"""What a task wants to do: planned, shown and executed as the same object."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass


class Change(ABC):
    """One effect. Constructing it does nothing; ``apply`` does exactly what ``summary`` and ``diff`` say."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """One line in the imperative: "create kubernetes/…/ks.yaml"."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Files it writes, relative to the repository, with forward slashes."""
        return ()

    def results(self) -> Mapping[str, str | None]:
        """The texts of the files it writes, each None if it deletes the file."""
        return {}

    @property
    def needs_proof(self) -> bool:
        """Whether it leaves this machine's reach, so that every check must hold before it."""
        return False

    @property
    def is_first(self) -> bool:
        """Whether nothing of what it makes was there before: it takes no line away."""
        lines = self.diff().splitlines()
        return not any(line.startswith("-") and not line.startswith("---") for line in lines)

    def diff(self) -> str:
        """A unified diff, or other detail of what will be different; empty when the summary says it all."""
        return ""

    @abstractmethod
    def apply(self) -> None:
        """Do it.

        Raises:
            PlaybookError: what refused, and what to do about it.
        """


@dataclass(frozen=True)
class Skip:
    """A task that the settings leave out; ``reason`` names the setting. Its plan says nothing else."""

    reason: str


@dataclass(frozen=True)
class Remark:
    """Something a task's plan says without changing anything.

    ``is_open``: it says what could not be found out, so that no changes do not mean that all is done.
    """

    text: str
    is_open: bool = False
