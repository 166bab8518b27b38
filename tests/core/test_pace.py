"""How far a long piece of work is: told now and again, for many things only."""

import pytest

from tasks.core import pace
from tasks.core.pace import Pace


def test_a_few_things_need_no_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pace, "_FIRST", 0.0)
    told = Pace("building")
    for number in range(10):
        told.begin(str(number))
    assert capsys.readouterr().err == ""
    told.begin("ten")
    told.begin("eleven")
    # The next line comes later.
    assert capsys.readouterr().err == "building ten (11) …\n"


def test_what_is_over_soon_needs_no_words(capsys: pytest.CaptureFixture[str]) -> None:
    told = Pace("rendering release", 30)
    for number in range(30):
        told.begin(str(number))
    assert capsys.readouterr().err == ""


def test_the_total_is_named_where_it_is_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pace, "_FIRST", 0.0)
    monkeypatch.setattr(pace, "_FEW", 0)
    Pace("rendering release", 30).begin("a/b")
    assert capsys.readouterr() == ("", "rendering release a/b (1 of 30) …\n")
