"""The standard streams as they may be: closed, full, without a reader, of an old encoding."""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Any, TextIO

from invoke.exceptions import Exit

from tasks.core.errors import RefusedError

_READER_IS_GONE = 141  # as the shell says it of a program that SIGPIPE ended


def guard() -> None:
    """Have all three streams, and no traceback from writing to them, whoever writes.

    In the place of one that whoever started us has closed, the next file that is opened would get its number,
    and what is meant for people.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 (it stays)
    if isinstance(sys.stdout, TextIOWrapper):
        # Names of files and texts of others may be anything.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = _Results(sys.stdout), _Guarded(sys.stderr)


class _Guarded:
    """A stream that says at once when it cannot be written to; from then on all goes nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write ``text``, keeping nothing back."""
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            # What is left in it is flushed once more at the end.
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self._failed(error)
        return len(text)

    def _failed(self, error: OSError) -> None:
        """A run goes on when nobody can read of its progress."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Results(_Guarded):
    """Standard output. What cannot be written there ends the command."""

    def _failed(self, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            # Whoever closed a pipe (`| head`) has seen enough.
            raise Exit(code=_READER_IS_GONE)
        refused = RefusedError(f"cannot write the result: {error.strerror}", "check where stdout goes to")
        refused.is_reported = True
        raise refused
