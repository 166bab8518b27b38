"""The one place that runs programs: argument lists in, bytes out, no shell text, no secret in any message."""

import io
import logging
import os
import resource
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core.errors import RefusedError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Not handed on to programs (git hooks, say) that have no use for them.
_PRIVATE = ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")


# Of what a program writes; all that is asked of programs here takes a fraction of it.
_MOST_OUTPUT = 256 << 20


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


def find(tool: str) -> str | None:
    """The path of ``tool``: from PATH, or beside the running Python (a virtual environment not activated)."""
    return shutil.which(tool) or shutil.which(tool, path=str(Path(sys.executable).parent))


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    stdin: bytes = b"",
    environment: Mapping[str, str | None] | None = None,
    missing_hint: str = "",
    seconds: float | None = None,
    memory: int | None = None,
) -> Result:
    """Run ``argv`` to its end in ``cwd`` and return how it ended, whatever its exit code.

    ``environment`` adds variables, or takes away those that are None; after ``seconds`` it is killed, and
    more than ``memory`` bytes it does not get (macOS does not keep to that).

    Raises:
        RefusedError: the program is not installed, or cannot be run; ``missing_hint`` says how to get it.
        EndlessError: it did not end in time, or wrote without end.
    """
    import sh

    # At debug level it logs what it runs and is given.
    logging.getLogger("sh").setLevel(logging.WARNING)
    program = find(argv[0])
    if program is None:
        raise RefusedError(f"{argv[0]} is not installed", missing_hint)
    out, err = _Output(), _Output()
    merged = {**os.environ, **dict.fromkeys(_PRIVATE), **(environment or {})}
    try:
        process = sh.Command(program)(
            *argv[1:],
            _cwd=str(cwd),
            _in=stdin,
            _out=out,
            _err=err,
            _env={name: value for name, value in merged.items() if value is not None},
            _tty_out=False,
            _bg=True,
            _bg_exc=False,
            _ok_code=list(range(256)),
            _timeout=seconds,
            _preexec_fn=None if memory is None else partial(_limit_memory, memory),
        )
    except (sh.ForkException, OSError):
        raise RefusedError(f"{program} cannot be run", missing_hint) from None
    try:
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
        with suppress(ProcessLookupError, ChildProcessError):
            process.terminate()
            process.process.wait()
        raise
    if out.is_cut or err.is_cut:
        raise EndlessError(f"{argv[0]} wrote more than {_MOST_OUTPUT >> 20} MiB", "run it by hand to see why")
    return Result(process.exit_code, out.getvalue(), err.getvalue().decode(errors="replace"))


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
