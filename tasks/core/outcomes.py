"""What a check answers: pass, fail, unknown or error, with the evidence, and what of that stops a push."""

from dataclasses import dataclass
from enum import StrEnum

from tasks.core.called import as_called
from tasks.core.redaction import redacted

# What to do about a bug of the playbook; the README has a section of this name.
REPORT = "report it with this line: the README says where (Reporting a bug)"


class Status(StrEnum):
    """The answers. ``UNKNOWN`` never counts as a pass; ``Cause`` says why something is unknown.

    ``ERROR`` is a bug of the playbook: the check itself broke. ``NOTE`` is a fault in somebody else's app:
    told, and not counted. ``SKIPPED`` is an item of a task that the settings leave out.
    """

    PASS = "pass"  # noqa: S105 (an answer, not a password)
    FAIL = "fail"
    ERROR = "error"
    UNKNOWN = "unknown"
    NOTE = "note"
    SKIPPED = "skipped"


class Cause(StrEnum):
    """Why something is unknown.

    ``REPOSITORY``: something in the repository hides it. All others lie outside: a program that is not
    installed, a network that was not asked or did not answer, what only the cluster knows, and a stage that
    was not asked for.
    """

    REPOSITORY = "repository"
    TOOL = "tool"
    NETWORK = "network"
    CLUSTER = "cluster"
    STAGE = "stage"


@dataclass(frozen=True)
class Outcome:
    """One answer with its evidence: what was looked at and found.

    A failure also says what would happen after a push (``consequence``) and what to do (``remedy``); one that
    the running cluster shows has that as its ``cause``, and says what happens now. An unknown says in
    ``remedy`` what would make it answerable, and has a ``cause``. ``place`` is "FILE:LINE" where there is
    one.
    """

    status: Status
    evidence: str
    consequence: str = ""
    remedy: str = ""
    place: str = ""
    cause: Cause | None = None

    def __post_init__(self) -> None:
        # Other people's texts are quoted here, and may hold a secret.
        for name in ("evidence", "consequence", "remedy"):
            object.__setattr__(self, name, as_called(redacted(getattr(self, name))))

    @property
    def stops_push(self) -> bool:
        """Whether nothing is pushed with this answer: a failure, a bug, what the repository itself hides."""
        if self.status is Status.UNKNOWN:
            return self.cause is Cause.REPOSITORY
        if self.cause is Cause.CLUSTER:
            return False  # what is wrong there now may be what the push mends
        return self.status in (Status.FAIL, Status.ERROR)


def passed(evidence: str) -> Outcome:
    """Answer that the item holds."""
    return Outcome(Status.PASS, evidence)


def failed(evidence: str, consequence: str, remedy: str, place: str = "") -> Outcome:
    """Answer that the item does not hold."""
    return Outcome(Status.FAIL, evidence, consequence, remedy, place)


def failing(evidence: str, remedy: str, *, consequence: str = "") -> Outcome:
    """Answer that the item does not hold in the running cluster."""
    return Outcome(Status.FAIL, evidence, consequence, remedy, cause=Cause.CLUSTER)


def unknown(evidence: str, cause: Cause, remedy: str = "", place: str = "") -> Outcome:
    """Answer that it cannot be told from what is at hand, and why."""
    return Outcome(Status.UNKNOWN, evidence, remedy=remedy, place=place, cause=cause)


def skipped(reason: str) -> Outcome:
    """Answer that nobody asked for it; ``reason`` names the setting that says so."""
    return Outcome(Status.SKIPPED, f"not asked for: {reason}")


def broken(evidence: str) -> Outcome:
    """Answer that the check itself has a bug."""
    return Outcome(
        Status.ERROR,
        evidence,
        "nothing is known of what this check looks at, so nothing is pushed",
        REPORT,
    )


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check; ``text`` is the documented sentence of an item of the Definition of Done."""

    id: str
    task: str
    text: str
    outcome: Outcome
