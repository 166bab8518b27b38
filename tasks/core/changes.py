"""What a task wants to do: planned, shown and executed as the same object."""

import difflib
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass

# Keys whose values are not shown in a diff, whoever wrote them.
_SENSITIVE = re.compile(r"(?i)^(?P<key>[ +-]\s*(?:- )?[\w.\"'-]*(?:password|passwd|secret|token|api_?key|"
                        r"private_?key|access_?key)[\w.\"'-]*\s*:\s+)(?P<value>[^\s#].*)$")  # fmt: skip
# Values that point at a secret, or say nothing of it, may be shown.
_HARMLESS = re.compile(r"^(\$|\"\$|'\$|\{\s*(name|key)\b|[|>&*]|true\b|false\b|null\b|~)")


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

    @property
    def needs_proof(self) -> bool:
        """Whether it leaves this machine's reach, so that every check must hold before it."""
        return False

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
class Remark:
    """Something a task's plan says without changing anything."""

    text: str


def unified_diff(path: str, before: str | None, after: str) -> str:
    """Unified diff of one file of the repository with the values of secret-looking keys masked.

    ``before`` is None for a file that does not exist yet. Line ends are shown as the file has them, but a
    carriage return is not printed.
    """
    old = [] if before is None else before.splitlines()
    lines = difflib.unified_diff(
        old,
        after.splitlines(),
        "/dev/null" if before is None else f"a/{path}",
        f"b/{path}",
        lineterm="",
    )
    return "\n".join(_mask(line) for line in lines)


def _mask(line: str) -> str:
    found = _SENSITIVE.match(line)
    if found is None or _HARMLESS.match(found["value"]):
        return line
    return found["key"] + "(not shown)"
