"""`verify --wait`: waits for what was pushed, and says meanwhile what for."""

import re

from tasks.core.errors import SettingsError, StepFailedError
from tasks.core.ticker import Ticker
from tasks.live.judgement import Judgement, State, clock, duration
from tasks.live.live import Live
from tasks.live.waiting import Awaited, End, Waiting

_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+")


def seconds_of(text: str) -> float:
    """The seconds of a duration such as 10m, 90s or 1h30m.

    Raises:
        SettingsError: it is none.
    """
    found = duration(text)
    if found is None or not found.total_seconds() or not _DURATION.fullmatch(text):
        raise SettingsError(f"--wait {text} is no duration", "give it as in 90s, 10m or 1h30m")
    return found.total_seconds()


class _Display:
    """Tells what has come, and shows what is waited for and since when."""

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker
        self._states: dict[str, State] = {}
        self._began: float | None = None

    def tell(self, found: Awaited) -> None:
        began = self._began = self._began or found.now.timestamp()
        for one in found.judged:
            before = self._states.get(one.about)
            if one.state is not before and (before is not None or one.state is not State.PASS):
                self._states[one.about] = one.state
                if one.state is not State.WAIT:
                    self._ticker.tell(f"{clock(found.now, found.now)} {one.state}: {one.line}")
            self._states.setdefault(one.about, one.state)
        if found.open:
            first, more = found.open[0], len(found.open) - 1
            lasted = int(found.now.timestamp() - began)
            since = clock(found.since[first.about], found.now)
            others = f" (and {more} more)" if more else ""
            self._ticker.show(
                f"waiting for {first.about} since {since}: {first.evidence}{others}",
                f"{lasted // 60}:{lasted % 60:02} ",
            )


def wait(live: Live, seconds: float) -> StepFailedError | None:
    """Wait until everything runs, or will not; returns the error of a time that was too short.

    Raises:
        ClusterError: the cluster cannot be asked.
        StepFailedError: the repository has nothing that could be waited for.
    """
    if not live.wanted.releases:
        raise StepFailedError(
            "there is nothing to wait for: the repository holds no release of ours", "invoke all"
        )
    ticker = Ticker()
    try:
        end, found = Waiting(live, _Display(ticker).tell).until(seconds)
    finally:
        ticker.end()
    if end is not End.LATE:
        return None
    return _late(found.open, seconds)


def _late(waiting: list[Judgement], seconds: float) -> StepFailedError:
    first = waiting[0]
    more = f", and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    return StepFailedError(
        f"not there after {seconds:g} s: {first.line}{more}", first.remedy or "wait longer: --wait 30m"
    )
