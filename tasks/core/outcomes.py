"""What a check answers: pass, fail or unknown, with the evidence."""

from dataclasses import dataclass
from enum import StrEnum

from tasks.core.redaction import redacted


class Status(StrEnum):
    """The answers. ``UNKNOWN`` (a tool, the network, the cluster is missing) never counts as a pass.

    ``NOTE`` is a fault in somebody else's app: told, and not counted.
    """

    PASS = "pass"  # noqa: S105 (an answer, not a password)
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOTE = "note"


@dataclass(frozen=True)
class Outcome:
    """One answer with its evidence: what was looked at and found.

    A failure also says what would happen after a push (``consequence``) and what to do (``remedy``); an
    unknown says in ``remedy`` what would make it answerable. ``place`` is "FILE:LINE" where there is one.
    """

    status: Status
    evidence: str
    consequence: str = ""
    remedy: str = ""
    place: str = ""

    def __post_init__(self) -> None:
        # Other people's texts are quoted here, and may hold a secret.
        for name in ("evidence", "consequence", "remedy"):
            object.__setattr__(self, name, redacted(getattr(self, name)))


def passed(evidence: str) -> Outcome:
    """Answer that the item holds."""
    return Outcome(Status.PASS, evidence)


def failed(evidence: str, consequence: str, remedy: str, place: str = "") -> Outcome:
    """Answer that the item does not hold."""
    return Outcome(Status.FAIL, evidence, consequence, remedy, place)


def unknown(evidence: str, remedy: str = "", place: str = "") -> Outcome:
    """Answer that it cannot be told from what is at hand."""
    return Outcome(Status.UNKNOWN, evidence, remedy=remedy, place=place)


@dataclass(frozen=True)
class Verdict:
    """The outcome of one item of the Definition of Done; ``text`` is the documented sentence."""

    id: str
    task: str
    text: str
    outcome: Outcome
