"""Waits until the pushed commit runs, or will not: woken by watches, ended by what each object tells."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from tasks.core.errors import PlaybookError
from tasks.effects.kubectl import ClusterError, ExpiredError, Kubectl, UnreachableError
from tasks.live.judgement import Judgement, State
from tasks.live.live import Live
from tasks.live.reading import watched

_PAUSE = 1.0  # seconds between two readings, however much happens
_LONGEST = 30.0  # seconds without a reading: times pass without a change, too
_WATCH = 300.0  # seconds of one watch
_AFTER_REFUSAL = 5.0
_SHORT = 1.0  # seconds: a watch that ends sooner is begun again after a pause, each longer than the last


class End(Enum):
    """How the waiting ended."""

    THERE = "all is there"
    FAILED = "something fails for good"
    LATE = "the time is over"
    UNKNOWN = "what is left cannot be looked at"


@dataclass(frozen=True)
class Awaited:
    """One look: all judgements, and since when each object has been as it is."""

    judged: Sequence[Judgement]
    since: dict[str, datetime]
    now: datetime

    @property
    def open(self) -> list[Judgement]:
        """What is not there yet, and may still come."""
        return [one for one in self.judged if one.state is State.WAIT or self._may_mend(one)]

    @property
    def failed(self) -> list[Judgement]:
        """What will not mend itself."""
        return [one for one in self.judged if one.state is State.FAIL and not self._may_mend(one)]

    def _may_mend(self, one: Judgement) -> bool:
        lasting = self.now - self.since[one.about]
        return one.state is State.FAIL and lasting < timedelta(seconds=one.patience)

    @property
    def end(self) -> End | None:
        """Whether there is nothing more to wait for."""
        if self.failed:
            return End.FAILED
        if self.open:
            return None
        return End.UNKNOWN if any(one.state is State.UNKNOWN for one in self.judged) else End.THERE


class Waiting:
    """Looks at the cluster whenever something changes; ``tell`` is given what is known, once a second."""

    def __init__(self, live: Live, tell: Callable[[Awaited], None]) -> None:
        self._live = live
        self._tell = tell
        self._since: dict[str, tuple[State, datetime]] = {}
        self._wake = threading.Event()

    def until(self, seconds: float, pause: float = _PAUSE) -> tuple[End, Awaited]:
        """Wait for at most ``seconds``; what the checks then see of the cluster is the last look.

        Between two looks lie at least ``pause`` seconds, however much happens.

        Raises:
            ClusterError: the cluster cannot be asked.
        """
        deadline = time.monotonic() + seconds
        end, found = self._stay(deadline, 0.0)
        if end is not None:
            return end, found
        with self._live.kubectl.another() as kubectl:
            lists = watched(kubectl, self._live.objects, self._live.wanted)
            # The versions are known before the next look: no change can fall between the two.
            with ThreadPoolExecutor(len(lists)) as pool:
                versions = list(pool.map(lambda one: _version(kubectl, one[0]), lists))
            for (path, labels), version in zip(lists, versions, strict=True):
                _start(kubectl, path, labels, version, self._wake)
            while end is None:
                end, found = self._stay(deadline, pause)
        return end, found

    def _stay(self, deadline: float, pause: float) -> tuple[End | None, Awaited]:
        """Look once, and stay with that until there is news, or nothing more to wait for."""
        self._wake.clear()
        looked = time.monotonic()
        first = self._look_until(deadline)
        while True:
            lasted = time.monotonic() - looked
            found = replace(first, now=first.now + timedelta(seconds=lasted))
            self._tell(found)
            if time.monotonic() >= deadline:
                return found.end or End.LATE, found
            if first.end is not None:
                return first.end, found
            # What has lasted too long by now is looked at once more before it is called a failure.
            is_over = lasted >= pause and (self._wake.is_set() or found.end is not None)
            if is_over or lasted >= _LONGEST or pause == 0:
                return None, found
            left = min(_PAUSE, deadline - time.monotonic())
            if self._wake.wait(max(0.01, left)) and lasted < pause:
                time.sleep(max(0.0, min(pause - lasted, left)))

    def _look_until(self, deadline: float) -> Awaited:
        """The next look, however often it takes: a server that was there may be away for a while."""
        while True:
            try:
                return self._look()
            except UnreachableError:
                if not self._since or time.monotonic() + _AFTER_REFUSAL >= deadline:
                    raise
                time.sleep(_AFTER_REFUSAL)

    def _look(self) -> Awaited:
        objects = self._live.look_again()
        judged = [*self._live.flux, *self._live.pods]
        for one in judged:
            before = self._since.get(one.about)
            if before is None or before[0] is not one.state:
                self._since[one.about] = (one.state, objects.now)
        return Awaited(judged, {about: when for about, (_, when) in self._since.items()}, objects.now)


def _version(kubectl: Kubectl, path: str) -> str:
    """The version of a list to watch from; empty where it may not be read, or not now."""
    try:
        return kubectl.version(path)
    except ClusterError:
        return ""


def _start(kubectl: Kubectl, path: str, labels: str, version: str, wake: threading.Event) -> None:
    """Have ``wake`` set at every change in a list, until the door is closed."""

    def watch(version: str) -> None:
        pause = _SHORT
        while not kubectl.is_closed:
            began = time.monotonic()
            try:
                if not version:
                    version = kubectl.version(path)
                    wake.set()  # what happened before is not told
                for event in kubectl.watch(path, labels=labels, since=version, seconds=_WATCH):
                    version = str(event.data.get("metadata", {}).get("resourceVersion") or version)
                    if event.kind != "BOOKMARK":
                        wake.set()
            except ExpiredError:
                version = ""
            except PlaybookError:
                # Not allowed, or not there now: the looks that are made without news must do.
                time.sleep(_AFTER_REFUSAL)
            if time.monotonic() - began >= _SHORT:
                pause = _SHORT
            else:
                time.sleep(pause)
                pause = min(2 * pause, _AFTER_REFUSAL)

    threading.Thread(target=watch, args=(version,), daemon=True).start()
