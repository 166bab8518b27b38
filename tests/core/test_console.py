"""How verdicts are told: what counts first, each reason once, and in the words of a workflow."""

import io
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.core.console import Console
from tasks.core.outcomes import Cause, Outcome, Status, Verdict, failed, failing, passed, unknown


def verdict(name: str, outcome: Outcome) -> Verdict:
    return Verdict(name, "TASK-011", f"text of {name}", outcome)


def note(evidence: str) -> Outcome:
    return Outcome(Status.NOTE, evidence)


def test_failures_then_unknowns_then_notes_then_the_count(capsys: pytest.CaptureFixture[str]) -> None:
    Console().show_verdicts(
        [
            verdict("a", note("theirs")),
            verdict("b", unknown("not known", Cause.CLUSTER, "ask")),
            verdict("c", passed("fine")),
            verdict("d", failed("wrong", "it breaks", "mend it", "some/file.yaml:7")),
        ]
    )
    assert capsys.readouterr().out.splitlines() == [
        "FAIL    d  text of d",
        "        at: some/file.yaml:7",
        "        found: wrong",
        "        after a push: it breaks",
        "        do: mend it",
        "UNKNOWN b  text of b",
        "        found: not known",
        "        do: ask",
        "NOTE    a  text of a",
        "        found: theirs",
        "1 pass, 1 fail, 1 unknown, 1 note",
    ]


def test_what_the_cluster_shows_is_so_now(capsys: pytest.CaptureFixture[str]) -> None:
    Console().show_verdicts([verdict("a", failing("wrong", "mend it", consequence="it is broken"))])
    assert "        now: it is broken\n" in capsys.readouterr().out


def test_one_reason_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    reason = failed("wrong", "it breaks", "mend it")
    Console().show_verdicts([verdict("a", reason), verdict("b", passed("fine")), verdict("c", reason)])
    out = capsys.readouterr().out
    assert out.startswith("FAIL    a  text of a\nFAIL    c  text of c\n        found: wrong\n")
    assert out.count("found: wrong") == 1


def test_annotations_cannot_be_broken_out_of(capsys: pytest.CaptureFixture[str]) -> None:
    Console().show_annotations(
        [
            verdict("a", failed("100% wrong\n::error::x", "it breaks", "mend it", "odd,name:x.yaml:7")),
            verdict("b", unknown("not known", Cause.CLUSTER)),
            verdict("c", passed("fine")),
            verdict("d", note("theirs")),
        ]
    )
    assert capsys.readouterr().out.splitlines() == [
        "::error file=odd%2Cname%3Ax.yaml,line=7,title=a::100%25 wrong%0A::error::x. it breaks. mend it",
        "::notice title=b::not known",
        "::notice title=d::theirs",
        "1 pass, 1 fail, 1 unknown, 1 note",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.text())
@example("")
@example("\x1b[31mred\x07\ttab")
@example("x" * 200 + "   ")
def test_a_pipe_gets_what_rich_would_write(text: str) -> None:
    ours, theirs = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
            patch.delenv(name, raising=False)
        patch.setattr(sys, "stdout", ours)
        Console().say(text, style="red")
        patch.setattr(sys, "stdout", theirs)
        Console()._out.print(text, style="red", soft_wrap=True)
    assert ours.getvalue() == theirs.getvalue()


@pytest.mark.parametrize("forced", [True, False])
def test_colours_are_for_terminals_and_for_who_asks(monkeypatch: pytest.MonkeyPatch, forced: bool) -> None:
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    if forced:
        monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO() if forced else Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    Console().note("done", style="green")
    assert stream.getvalue() == "\x1b[32mdone\x1b[0m\n"
