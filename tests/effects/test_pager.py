"""When a text goes through the user's pager, and when it does not."""

import io
import signal
import sys
from pathlib import Path

import pytest

from tasks.effects import pager

LONG = "a line\n" * 30
SHORT = "a line\n" * 5


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def paged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the pager of the test writes what it was given to."""
    script = tmp_path / "my pager"
    script.write_text(f'#!/bin/sh\necho "$LESS $1" >{tmp_path}/about\ncat >{tmp_path}/paged\n')
    script.chmod(0o755)
    monkeypatch.setenv("PAGER", f"'{script}' --plain")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.delenv("LESS", raising=False)
    return tmp_path / "paged"


def shown(monkeypatch: pytest.MonkeyPatch, text: str, stream: io.StringIO) -> str:
    monkeypatch.setattr(sys, "stdout", stream)
    pager.show(text)
    return stream.getvalue()


def test_what_is_longer_than_the_screen(monkeypatch: pytest.MonkeyPatch, paged: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert shown(monkeypatch, LONG, Terminal()) == ""
    assert paged.read_text() == LONG
    assert paged.with_name("about").read_text() == "FRX --plain\n"
    assert signal.getsignal(signal.SIGINT) is before


def test_the_users_own_less_stays(monkeypatch: pytest.MonkeyPatch, paged: Path) -> None:
    monkeypatch.setenv("LESS", "S")
    shown(monkeypatch, LONG, Terminal())
    assert paged.with_name("about").read_text() == "S --plain\n"


def test_what_fits_or_is_redirected_is_written_as_it_is(monkeypatch: pytest.MonkeyPatch, paged: Path) -> None:
    assert shown(monkeypatch, SHORT, Terminal()) == SHORT
    assert shown(monkeypatch, LONG, io.StringIO()) == LONG
    assert not paged.exists()


@pytest.mark.parametrize("name", ["cat", "", "/nowhere/pager", "'", "."])
def test_no_pager_or_none_that_runs(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("PAGER", name)
    assert shown(monkeypatch, LONG, Terminal()) == LONG


def test_less_may_not_be_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PAGER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LINES", "24")
    assert shown(monkeypatch, LONG, Terminal()) == LONG


def test_who_quits_has_seen_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("PAGER", "true")
    assert shown(monkeypatch, "x" * (1 << 20) + LONG, Terminal()) == ""
