"""The errors a user can meet: one line that says what is wrong, a hint that says what to do, an exit code."""

import errno
import signal
import traceback

from invoke.exceptions import Exit

from tasks.core.called import as_called
from tasks.core.outcomes import REPORT, Cause
from tasks.core.redaction import redacted


class PlaybookError(Exit):
    """Base of every expected error. Invoke prints the text on stderr and exits with ``exit_code``.

    ``summary`` is the one line, ``hint`` what to do about it (may be empty). Both may quote what programs
    said and other people wrote: secrets in them are hidden here.
    """

    exit_code = 1
    # Whether the command has written its details out, in the form that was asked for.
    is_reported = False

    def __init__(self, summary: str, hint: str = "") -> None:
        self.summary = as_called(redacted(summary))
        self.hint = as_called(redacted(hint))
        hinted = f"\n  hint: {self.hint}" if hint else ""
        super().__init__(f"error: {self.summary}{hinted}", self.exit_code)
        self.args = (self.summary, self.hint)

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """What is wrong, one by one, each with its hint: more than one where several things are missing."""
        return ((self.summary, self.hint),)

    def __str__(self) -> str:
        return self.summary


class StepFailedError(PlaybookError):
    """A check or a step failed (exit code 1)."""


class SettingsError(PlaybookError):
    """The command line, a setting or a credential is wrong (exit code 2)."""

    exit_code = 2


class PrerequisiteError(PlaybookError):
    """A task was asked for before the one it needs (exit code 3)."""

    exit_code = 3


class RefusedError(PlaybookError):
    """Something outside refused: the repository, git, sops, the S3 server (exit code 4)."""

    exit_code = 4


class UnavailableError(RefusedError):
    """Something outside is not there to answer: a program, the network, a server.

    ``cause`` is what is missing.
    """

    cause = Cause.TOOL


class OfflineError(UnavailableError):
    """The network did not answer, or is not to be asked."""

    cause = Cause.NETWORK


class HiddenError(UnavailableError):
    """Something that only the cluster knows: the repository does not hold it, or holds it encrypted."""

    cause = Cause.CLUSTER


# As many as tell the way; more would be the same over and over, where a function calls itself.
_FRAMES = 6


class InternalError(PlaybookError):
    """A bug of the playbook (exit code 1): an exception that nothing here expects."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"internal error: {raised_in(error)} (this is a bug of parseable-playbook)", REPORT)


def raised_in(error: Exception) -> str:
    """The kind of ``error`` and the lines that it came through, the innermost first.

    Neither its text nor any value, for these may be secrets. (With a colon before the number, that of
    ``tasks.subjects.secret`` would be taken for one.)
    """
    frames = [
        f"{frame.f_globals.get('__name__', '?')} line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return " < ".join([f"{type(error).__name__} in {frames.pop()}", *reversed(frames[-_FRAMES + 1 :])])


def refused_by_system(what: str, error: OSError) -> RefusedError:
    """The error of an operating system that refused ``what``; without, what it says itself."""
    if not what:
        # Only the current folder is asked for without a name.
        unnamed = "the current folder" if isinstance(error, FileNotFoundError) else "a file"
        what = f"cannot use {error.filename or unnamed}"
    return RefusedError(f"{what}: {error.strerror or error}", _REMEDIES.get(error.errno or 0, ""))


_SPACE = "free some space there, then run the same command again"
_ACCESS = "check its owner and mode, then run the same command again"
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _SPACE),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _ACCESS),
}


class InterruptedRunError(PlaybookError):
    """A signal ended the run (exit code 128 and its number: 130 for Ctrl-C, 143 for SIGTERM)."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        self.exit_code = 128 + number
        by = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
        super().__init__(f"interrupted{by}; all files are intact", "run the same command again to continue")
