"""Ends a run in order when a signal asks for it: first the programs that work for it, then the run itself.

Imported before anything heavy: an interrupt in the first second is told like any other.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_MOMENT = 0.1  # seconds


class Interrupted(SystemExit):
    """A signal ended the run.

    Not a KeyboardInterrupt, which Invoke turns into exit code 1 without a word; and no Exception, so that
    nothing takes it for a failure that it can go on from.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(128 + number)


class _State:
    pid = 0
    is_ending = False
    is_told = False
    is_held = False
    pending: int | None = None


_helpers: list[Callable[[], None]] = []


def watch() -> None:
    """Raise ``Interrupted`` in the main thread on SIGINT, SIGTERM and SIGHUP, from now on.

    A signal that whoever started us had ignored (nohup, a job in the background) stays ignored.
    """
    _State.pid = os.getpid()
    watched = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    for number in watched:
        signal.signal(number, _end)
    if watched:
        receiver, sender = os.pipe()
        os.set_blocking(sender, False)
        signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
        threading.Thread(target=_remind, args=(receiver,), daemon=True).start()


def at_interrupt(stop: Callable[[], None]) -> None:
    """Have ``stop`` called at an interrupt, before the main thread waits for anything."""
    _helpers.append(stop)


def is_ending() -> bool:
    """Whether there was an interrupt: nothing new is to be started."""
    return _State.is_ending


@contextmanager
def told_by_caller() -> Iterator[None]:
    """Leave it to the caller, while the block runs, to say that the run was interrupted."""
    _State.is_told = True
    try:
        yield
    finally:
        _State.is_told = False


@contextmanager
def held() -> Iterator[None]:
    """Let an interrupt wait until the block has ended. It should be short."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Interrupts are raised in the main thread only.
        return
    _State.is_held = True
    try:
        yield
    finally:
        _State.is_held = False
        number, _State.pending = _State.pending, None
        if number is not None:
            _end(number, None)


def _remind(receiver: int) -> None:
    """Send the main thread a signal again that it has not seen.

    Python handles signals between two of its instructions. One that comes just before the main thread begins
    to wait for another thread would else wait with it, for a program that runs for minutes.
    """
    while number := os.read(receiver, 1):
        time.sleep(_MOMENT)
        if not _State.is_ending and _State.pending is None:
            signal.pthread_kill(threading.main_thread().ident or 0, number[0])


def _end(number: int, _frame: FrameType | None) -> None:
    if os.getpid() != _State.pid:
        # A program that is about to be started, and is still a copy of this one.
        os._exit(128 + number)
    if _State.is_held:
        _State.pending = number
        return
    _State.is_ending = True
    if number != signal.SIGINT:
        # Who asks twice asks for the same; Ctrl-C still ends a cleaning up that hangs.
        signal.signal(number, signal.SIG_IGN)
    for stop in _helpers:
        stop()
    if not _State.is_told:
        with suppress(OSError):
            os.write(2, b"error: interrupted\n")
    raise Interrupted(number)
