"""Errors as Invoke prints them, and the exit codes that the README promises."""

import errno
import os
import signal

import pytest

from tasks.core.errors import (
    HiddenError,
    InternalError,
    InterruptedRunError,
    OfflineError,
    PlaybookError,
    PrerequisiteError,
    RefusedError,
    SettingsError,
    StepFailedError,
    UnavailableError,
    raised_in,
    refused_by_system,
)
from tasks.core.outcomes import Cause


def test_a_line_and_a_hint() -> None:
    error = PlaybookError("it is wrong", "mend it")
    assert (str(error), error.message) == ("it is wrong", "error: it is wrong\n  hint: mend it")
    assert error.parts == (("it is wrong", "mend it"),)
    assert PlaybookError("it is wrong").message == "error: it is wrong"
    assert error.is_reported is False


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (PlaybookError, 1),
        (StepFailedError, 1),
        (SettingsError, 2),
        (PrerequisiteError, 3),
        (RefusedError, 4),
        (UnavailableError, 4),
    ],
)
def test_exit_codes(kind: type[PlaybookError], code: int) -> None:
    assert kind("no").code == code


def test_an_interruption_says_that_all_is_intact() -> None:
    error = InterruptedRunError()
    assert (error.code, error.exit_code, str(error)) == (130, 130, "interrupted; all files are intact")
    assert error.hint == "run the same command again to continue"
    terminated = InterruptedRunError(signal.SIGTERM)
    assert (terminated.code, str(terminated)) == (143, "interrupted by SIGTERM; all files are intact")


def test_what_is_missing() -> None:
    kinds = (UnavailableError, OfflineError, HiddenError)
    assert [kind("no").cause for kind in kinds] == [Cause.TOOL, Cause.NETWORK, Cause.CLUSTER]


def raising(depth: int) -> None:
    if depth:
        raising(depth - 1)
    raise ValueError("canary")


def test_a_bug_is_told_by_its_place_alone() -> None:
    with pytest.raises(ValueError, match="canary") as caught:
        raising(9)
    told = raised_in(caught.value)
    first, *rest = told.split(" < ")
    assert first.startswith(f"ValueError in {__name__} line ")
    assert len(rest) == 5
    assert len(set(rest)) == 1
    error = InternalError(caught.value)
    assert str(error) == f"internal error: {told} (this is a bug of parseable-playbook)"
    assert "README" in error.hint
    assert error.code == 1


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space there"),
        (errno.EDQUOT, "free some space there"),
        (errno.EFBIG, "free some space there"),
        (errno.EACCES, "check its owner and mode"),
        (errno.EPERM, "check its owner and mode"),
        (errno.EROFS, "check its owner and mode"),
        (errno.EIO, ""),
    ],
)
def test_what_the_system_refuses(number: int, remedy: str) -> None:
    error = refused_by_system("cannot write a.yaml", OSError(number, os.strerror(number)))
    assert str(error) == f"cannot write a.yaml: {os.strerror(number)}"
    assert error.hint == (f"{remedy}, then run the same command again" if remedy else "")


def test_what_the_system_refuses_without_more_words() -> None:
    assert str(refused_by_system("", PermissionError(13, "denied", "/x"))) == "cannot use /x: denied"
    assert str(refused_by_system("", PermissionError(13, "denied"))) == "cannot use a file: denied"
    assert str(refused_by_system("", FileNotFoundError(2, "gone"))) == "cannot use the current folder: gone"
    assert str(refused_by_system("cannot go on", OSError("odd"))) == "cannot go on: odd"
