"""A load of lines that a short Job writes: what arrives of it in Parseable, how fast, how often."""

import re
import secrets
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tasks.core.errors import PlaybookError, SettingsError
from tasks.effects.kubectl import ClusterError, Kubectl
from tasks.effects.kubectl_change import change
from tasks.live.arrivals import Loaded, loaded
from tasks.live.parseable import NoStreamError, Parseable
from tasks.yaml.documents import dig, items
from tasks.yaml.templates import MANIFESTS, render

RATE, SECONDS = 1200, 60  # lines a second, and for how long, unless somebody says otherwise
_RATES, _TIMES = range(1, 20_001), range(5, 601)

_START = 60.0  # seconds that the pod has to begin: its image may have to be pulled
_ARRIVAL = 120.0  # seconds that the last line has to be found
_PAUSE = 1.0
_LATE = 60  # seconds for the Job besides writing
_ATTEMPTS = 3
_LINE = re.compile(r"\w+ (\d{9}) ")
_STUCK = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
)


@dataclass(frozen=True)
class Plan:
    """What is to be written: ``rate`` lines a second for ``seconds``, by ``image`` in ``namespace``."""

    rate: int
    seconds: int
    namespace: str
    image: str
    nonce: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def name(self) -> str:
        """What the Job is called."""
        return f"parseable-load-{self.nonce}"

    @property
    def total(self) -> int:
        """All lines."""
        return self.rate * self.seconds

    def manifest(self) -> str:
        """The Job."""
        return render(
            (MANIFESTS / "load/job.yaml").read_text(encoding="utf-8"),
            {
                "name": self.name,
                "namespace": self.namespace,
                "deadline": int(_START) + self.seconds + _LATE,
                "image": self.image,
                "nonce": self.nonce,
                "rate": self.rate,
                "total": self.total,
            },
        )


@dataclass(frozen=True)
class Report:
    """What came of a load.

    ``written`` are the lines that the pod is known to have written, ``found`` what Parseable had in the end,
    ``fresh`` the seconds from a line written to the line found: the median while lines were written, 0 if
    that was never seen. ``problem`` is why the pod did not write all, or empty.
    """

    plan: Plan
    written: int
    found: Loaded
    fresh: float
    problem: str = ""

    @property
    def lost(self) -> int:
        """Lines that were written and not found."""
        return max(self.written - self.found.lines, 0)

    @property
    def repeated(self) -> int:
        """Rows beyond one for each line."""
        return self.found.rows - self.found.lines

    @property
    def rate(self) -> float:
        """Lines a second that Parseable took; one batch has one time, so the time of writing is the least."""
        return self.found.lines / max(self.found.seconds, self.plan.seconds)


def asked(text: str) -> tuple[int, int]:
    """The rate and the seconds that somebody asks for: "1200,60", "1200", or nothing.

    Raises:
        SettingsError: they are no such numbers.
    """
    parts = [part.strip() for part in text.split(",")] if text else []
    if len(parts) > 2 or not all(part.isdigit() for part in parts):
        raise SettingsError(f"--load {text}: give lines a second and seconds", "as in --load 1200,60")
    rate, seconds = [*map(int, parts), *(RATE, SECONDS)[len(parts) :]]
    for value, allowed, what in ((rate, _RATES, "lines a second"), (seconds, _TIMES, "seconds")):
        if value not in allowed:
            raise SettingsError(
                f"--load {text}: {value} {what} are not between {allowed[0]} and {allowed[-1]}",
                "as in --load 1200,60",
            )
    return rate, seconds


def run(kubectl: Kubectl, parseable: Parseable, plan: Plan, tell: Callable[[str], None]) -> Report:
    """Write the load, look for it, and delete the Job, whatever happens in between.

    ``tell`` gets a line of progress now and then.

    Raises:
        ClusterError: the Job cannot be made, or its pod does not begin.
        ServiceError: Parseable cannot be asked.
    """
    try:
        change(kubectl, "create", "--validate=false", "-f", "-", stdin=plan.manifest().encode())
        return _Run(kubectl, parseable, plan, tell).report()
    finally:
        # An answer that was lost may have been to a Job that was made.
        try:
            _delete(kubectl, plan, tell)
        except BaseException:
            # An interrupt that came only now; the next one ends this, too.
            _delete(kubectl, plan, tell)
            raise


class _Run:
    def __init__(
        self, kubectl: Kubectl, parseable: Parseable, plan: Plan, tell: Callable[[str], None]
    ) -> None:
        self._kubectl = kubectl
        self._parseable = parseable
        self._plan = plan
        self._tell = tell
        self._pods = kubectl.path("", "pods", plan.namespace)
        self._best = Loaded()
        self._ages: list[float] = []

    def report(self) -> Report:
        """Follow the pod to its end, then wait until all it wrote is found."""
        pod = self._written()
        problem, written = "", self._plan.total
        if dig(pod, "status", "phase") != "Succeeded":
            problem, written = _ending(pod), self._last_line(pod)
        self._tell(f"{written} lines written; waiting until they are found")
        ends = time.monotonic() + _ARRIVAL
        while self._best.lines < written and time.monotonic() < ends:
            time.sleep(_PAUSE)
            self._look()
        fresh = statistics.median(self._ages) if self._ages else 0.0
        return Report(self._plan, written, self._best, fresh, problem)

    def _written(self) -> Mapping[str, Any]:
        """The pod once it has ended."""
        starts_by = time.monotonic() + _START
        ends_by = starts_by + self._plan.seconds + _LATE
        is_told = False
        while True:
            pod = self._pod()
            phase = dig(pod, "status", "phase")
            if phase in ("Succeeded", "Failed"):
                return pod
            if phase != "Running" and (_stuck(pod) or time.monotonic() > starts_by):
                why = _stuck(pod) or phase or "there is none"
                raise ClusterError(
                    f"the pod of Job {self._plan.name} does not begin: {why}",
                    "set cluster.load_image to an image with awk that the cluster can pull, or see: "
                    f"kubectl get events -n {self._plan.namespace}",
                )
            if time.monotonic() > ends_by:
                return pod
            if phase == "Running":
                if not is_told:
                    self._tell(f"writing {self._plan.rate} lines a second for {self._plan.seconds} s")
                    is_told = True
                self._look(while_written=True)
            time.sleep(_PAUSE)

    def _pod(self) -> Mapping[str, Any]:
        found = self._kubectl.items(self._pods, labels=f"app.kubernetes.io/instance={self._plan.name}")
        return found[0] if found else {}

    def _look(self, *, while_written: bool = False) -> None:
        """Look for the lines; what is hidden while a minute is uploaded was there a moment ago."""
        minutes = (int(_START + _ARRIVAL) + self._plan.seconds + _LATE) // 60 + 1
        try:
            found = loaded(self._parseable, self._plan.nonce, minutes)
        except NoStreamError:
            return
        if while_written and found.lines:
            self._ages.append(found.age)
        if (found.lines, found.rows) > (self._best.lines, self._best.rows):
            self._best = found

    def _last_line(self, pod: Mapping[str, Any]) -> int:
        """How many lines a pod wrote that did not end well; 0 if its log does not tell."""
        name = str(dig(pod, "metadata", "name"))
        with suppress(ClusterError):
            text = self._kubectl.text(f"{self._pods}/{name}/log?container=load&tailLines=1")
            if found := _LINE.match(text):
                return int(found[1]) + 1
        return 0


def _stuck(pod: Mapping[str, Any]) -> str:
    """Why a container does not begin, and will not by itself; empty if it may still."""
    for one in items(pod, "status", "containerStatuses"):
        waiting = dig(one, "state", "waiting")
        if dig(waiting, "reason") in _STUCK:
            return f"{dig(waiting, 'reason')}: {dig(waiting, 'message') or dig(one, 'image')}"
    return ""


def _ending(pod: Mapping[str, Any]) -> str:
    """How a pod ended that did not succeed."""
    for one in items(pod, "status", "containerStatuses"):
        ended = dig(one, "state", "terminated") or dig(one, "lastState", "terminated")
        if ended:
            return f"its pod ended with {dig(ended, 'reason')} ({dig(ended, 'exitCode')})"
    return f"its pod ended as {dig(pod, 'status', 'reason') or dig(pod, 'status', 'phase') or 'unknown'}"


def _delete(kubectl: Kubectl, plan: Plan, tell: Callable[[str], None]) -> None:
    words = ("delete", f"job/{plan.name}", "--namespace", plan.namespace, "--ignore-not-found")
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            change(kubectl, *words, "--wait=false", "--cascade=background", at_end=True)
        except PlaybookError as error:
            if attempt < _ATTEMPTS:
                time.sleep(_PAUSE)
                continue
            tell(f"Job {plan.name} could not be deleted ({error.summary}); it ends by itself, and is")
            tell(f"deleted ten minutes later, or by: kubectl delete job {plan.name} -n {plan.namespace}")
        return
