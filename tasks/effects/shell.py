"""The one place that runs programs: argument lists in, bytes out, no shell text, no secret in any message."""

import io
import logging
import os
import queue
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core import interrupts
from tasks.core.errors import RefusedError, UnavailableError
from tasks.core.secret_names import says_where, sounds_secret

# The keys of S3 and of sops: no program gets them but the one that needs them. That somebody's git remote is
# on CodeCommit, or a plugin of helm reads charts from S3, is no reason: those have ways of their own (a
# profile, a credential helper), and whatever hook or plugin runs besides would get the keys, too.
_KEYS = ("S3_", "AWS_", "SOPS_")
# The programs that run now, in any thread, with the signal that ends them.
_running: dict[int, int] = {}

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


# Of what a program writes; all that is asked of programs here takes a fraction of it.
_MOST_OUTPUT = 256 << 20
_PATIENCE = 2.0  # seconds that a program has to end when it is asked to


class EndlessError(RefusedError):
    """A program did not end by itself: nothing is known of what it would have said."""


@dataclass(frozen=True)
class Result:
    """How a program ended: its exit code (negative: the signal that ended it) and what it wrote."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """Standard output as text, without the white space at its end."""
        return self.stdout.decode(errors="replace").rstrip()

    @property
    def said(self) -> str:
        """What the program said about itself: standard error, then standard output, stripped."""
        return "\n".join(part for part in (self.stderr.strip(), self.text.strip()) if part)


def is_key(name: str) -> bool:
    """Whether the environment variable ``name`` holds a key of S3 or sops."""
    return name.startswith("S3_") or (name.startswith(_KEYS) and sounds_secret(name) and not says_where(name))


def is_private(name: str) -> bool:
    """Whether ``name`` is an environment variable that a program gets only if it needs it.

    >>> [is_private(name) for name in ("AWS_SECRET_ACCESS_KEY", "GH_TOKEN", "PATH")]
    [True, True, False]
    """
    # KUBECONFIG is a path.
    return name.startswith(_KEYS) or (sounds_secret(name) and name != "KUBECONFIG")


def find(tool: str) -> str | None:
    """The path of ``tool``: from PATH, or beside the running Python (a virtual environment not activated)."""
    return shutil.which(tool) or shutil.which(tool, path=str(Path(sys.executable).parent))


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    stdin: bytes = b"",
    environment: Mapping[str, str | None] | None = None,
    withheld: Callable[[str], bool] = is_private,
    missing_hint: str = "",
    seconds: float | None = None,
    memory: int | None = None,
    at_end: bool = False,
) -> Result:
    """Run ``argv`` to its end in ``cwd`` and return how it ended, whatever its exit code.

    It does not get the variables that are ``withheld`` from it; ``environment`` adds variables, or takes away
    those that are None. After ``seconds`` it is killed, and more than ``memory`` bytes it does not get (macOS
    does not keep to that). ``at_end`` says that it cleans up, and is not to be ended by an earlier interrupt.

    Raises:
        UnavailableError: the program is not installed, or cannot be run; ``missing_hint`` says how to get it.
        EndlessError: it did not end in time, or wrote without end.
    """
    import sh

    # At debug level it logs what it runs and is given.
    logging.getLogger("sh").setLevel(logging.WARNING)
    program = find(argv[0])
    if program is None:
        raise UnavailableError(f"{argv[0]} is not installed", missing_hint)
    out, err = _Output(), _Output()
    # What has a deadline writes nothing that it would have to put in order.
    ending = signal.SIGTERM if seconds is None else signal.SIGKILL
    try:
        with interrupts.held():
            process = sh.Command(program)(
                *argv[1:],
                _cwd=str(cwd),
                _in=stdin,
                _out=out,
                _err=err,
                _env=_environment(withheld, environment),
                _tty_out=False,
                _bg=True,
                _bg_exc=False,
                _ok_code=list(range(256)),
                _timeout=seconds,
                _preexec_fn=None if memory is None else partial(_limit_memory, memory),
            )
            _running[process.pid] = ending
    except (sh.ForkException, OSError):
        raise UnavailableError(f"{program} cannot be run", missing_hint) from None
    try:
        if interrupts.is_ending() and not at_end:
            # Started by a thread that did not know yet.
            _end(process.pid, ending)
        process.wait()
    except sh.TimeoutException:
        raise EndlessError(
            f"{argv[0]} did not end within {seconds:g} s, and was stopped", "run it by hand to see why"
        ) from None
    except sh.SignalException as ended:
        if ended.exit_code == -signal.SIGINT:
            # Ctrl-C goes to all of the terminal's programs; this one was only quicker to end than we are.
            raise KeyboardInterrupt from None
        return Result(ended.exit_code, out.getvalue(), err.getvalue().decode(errors="replace"))
    except BaseException:
        # Interrupted: the program must not outlive us. It may have ended, and been waited for, just now.
        _end(process.pid, ending)
        with suppress(ChildProcessError):
            process.process.wait()
        raise
    finally:
        del _running[process.pid]
    if out.is_cut or err.is_cut:
        raise EndlessError(f"{argv[0]} wrote more than {_MOST_OUTPUT >> 20} MiB", "run it by hand to see why")
    return Result(process.exit_code, out.getvalue(), err.getvalue().decode(errors="replace"))


class Companion:
    """A program that runs beside us until it is not needed any more; see ``beside``."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._complaints = _Output()
        self.is_alive = True

    @property
    def said(self) -> str:
        """What it wrote to standard error so far, stripped."""
        return self._complaints.getvalue().decode(errors="replace").strip()

    def line(self, seconds: float) -> str | None:
        """Its next line on standard output, stripped; None if it ended without one.

        Raises:
            EndlessError: it wrote none in ``seconds``.
        """
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            raise EndlessError(f"no answer within {seconds:g} s", "run it by hand to see why") from None


@contextmanager
def beside(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str | None] | None = None,
    withheld: Callable[[str], bool] = is_private,
    missing_hint: str = "",
) -> Iterator[Companion]:
    """Have ``argv`` run in ``cwd`` while the block does; it is ended with the block, and at an interrupt.

    Of the variables it gets what ``run`` hands on.

    Raises:
        UnavailableError: the program is not installed, or cannot be run.
    """
    import sh

    logging.getLogger("sh").setLevel(logging.WARNING)
    program = find(argv[0])
    if program is None:
        raise UnavailableError(f"{argv[0]} is not installed", missing_hint)
    companion = Companion()

    try:
        with interrupts.held():
            process = sh.Command(program)(
                *argv[1:],
                _cwd=str(cwd),
                _in=b"",
                _out=lambda line: companion._lines.put(line.strip()),
                _err=companion._complaints,
                _env=_environment(withheld, environment),
                _tty_out=False,
                _bg=True,
                _bg_exc=False,
                _ok_code=list(range(256)),
            )
            _running[process.pid] = signal.SIGTERM
    except (sh.ForkException, OSError):
        raise UnavailableError(f"{program} cannot be run", missing_hint) from None

    def wait() -> None:
        with suppress(sh.SignalException, ChildProcessError):
            process.wait()  # all that it wrote has been read by then
        companion.is_alive = False
        companion._lines.put(None)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    try:
        if interrupts.is_ending():
            _end(process.pid, signal.SIGTERM)
        yield companion
    finally:
        del _running[process.pid]
        for number in (signal.SIGTERM, signal.SIGKILL):
            if companion.is_alive:
                _end(process.pid, number)
            waiting.join(_PATIENCE)


def _environment(withheld: Callable[[str], bool], more: Mapping[str, str | None] | None) -> dict[str, str]:
    """The variables of a program: ours without those withheld from it, and ``more``; None takes one away."""
    merged = {name: value for name, value in os.environ.items() if not withheld(name)} | dict(more or {})
    return {name: value for name, value in merged.items() if value is not None}


def _end(pid: int, number: int) -> None:
    """End a program with all that it started: those hold the pipes that are waited for (git's hooks, say)."""
    for one in (*_descendants(pid), pid):
        with suppress(OSError):
            os.kill(one, number)


def _end_all() -> None:
    # The main thread may be waiting for another one, which waits for a program.
    for pid, number in tuple(_running.items()):
        _end(pid, number)


def _descendants(pid: int) -> Iterator[int]:
    """The processes below ``pid``, the deepest first, as Linux tells them; none on other systems."""
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _descendants(int(child))
                yield int(child)


interrupts.at_interrupt(_end_all)


class _Output(io.BytesIO):
    """What a program writes, as far as it is kept."""

    is_cut = False

    def write(self, data: "ReadableBuffer", /) -> int:
        """Keep ``data``, or nothing any more where it would be too much."""
        size = memoryview(data).nbytes
        if self.is_cut or self.tell() + size > _MOST_OUTPUT:
            self.is_cut = True
            return size
        return super().write(data)


def _limit_memory(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
