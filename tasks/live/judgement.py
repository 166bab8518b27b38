"""What is said of one object of the running cluster: it is as wanted, on its way, or will not get there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from tasks.yaml.documents import dig, items, mapping

_LONGEST = 400  # characters of a message
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class State(StrEnum):
    """``WAIT`` passes by itself, ``FAIL`` does not; ``UNKNOWN`` could not be read, and why is told."""

    PASS = "pass"  # noqa: S105 (a state, not a password)
    WAIT = "wait"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Judgement:
    """What is known of ``about`` ("HelmRelease monitoring/vector"), with the condition that has the reason.

    ``evidence`` is one line. ``remedy`` says what to run, or to change in which task. ``patience`` are the
    seconds in which a failure may mend itself, since Flux tries again: until then it is worth waiting.
    """

    state: State
    about: str
    evidence: str
    remedy: str = ""
    patience: float = 0.0

    @property
    def line(self) -> str:
        """All that is known, in one line."""
        return f"{self.about}: {self.evidence}"

    def behind(self, other: "Judgement") -> "Judgement":
        """The same, where ``other`` has still to bring what may mend it: then it is no failure yet."""
        if self.state is State.FAIL and other.state is State.WAIT:
            return replace(
                self, state=State.WAIT, evidence=f"{self.evidence}; {other.about} has newer to bring"
            )
        return self


def condition(data: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The condition of that type in an object's status; empty where there is none."""
    return next((one for one in items(data, "status", "conditions") if dig(one, "type") == kind), {})


def is_true(data: Mapping[str, Any], kind: str) -> bool:
    """Whether the object has the condition, and it is true."""
    return condition(data, kind).get("status") == "True"


def is_stalled(data: Mapping[str, Any]) -> bool:
    """Whether the controller has given up with the object as it is now, not with an older state of it."""
    found = condition(data, "Stalled")
    seen = found.get("observedGeneration", dig(data, "metadata", "generation"))
    return found.get("status") == "True" and seen == dig(data, "metadata", "generation")


def message(found: Mapping[str, Any]) -> str:
    """The message of a condition or an Event: its first paragraph, in one line."""
    text = str(found.get("message") or "").strip().partition("\n\n")[0]
    return " ".join(text.split())[:_LONGEST]


def is_current(data: Mapping[str, Any]) -> bool:
    """Whether the controller has seen the object as it is now."""
    return bool(dig(data, "status", "observedGeneration") == dig(data, "metadata", "generation"))


def moment(text: object) -> datetime | None:
    """A time as Kubernetes writes it (RFC 3339); None if it is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def clock(time: datetime | None, now: datetime | None = None) -> str:
    """A time for a message, with its day unless that is today."""
    if time is None:
        return "an unknown time"
    now = now or datetime.now(UTC)
    return f"{time:%H:%M:%S}" if time.date() == now.date() else f"{time:%Y-%m-%d %H:%M:%S}"


def duration(text: object) -> timedelta | None:
    """A duration as Go writes it ("5m0s"); None if it is none."""
    found = re.findall(r"([0-9.]+)(ms|s|m|h)", str(text))
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in found)) if found else None


def short(revision: object) -> str:
    """The commit of a revision, shortened as git does; other revisions as they are."""
    found = re.search(r"\b[0-9a-f]{40}$", str(revision))
    return found[0][:7] if found else str(revision)[:60]


def name_of(data: Mapping[str, Any]) -> str:
    """Kind, namespace and name of an object."""
    about = mapping(data, "metadata")
    return f"{data.get('kind')} {about.get('namespace')}/{about.get('name')}"
