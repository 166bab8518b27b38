"""What is said of command lines that nobody understands, whichever program was started."""

import copy
import json

import pytest

from tasks.collection import ns
from tasks.command_line import Playbook, explain_errors


@pytest.fixture(autouse=True)
def _explained(monkeypatch: pytest.MonkeyPatch) -> None:
    from invoke.program import Program

    # Invoke takes the help out of the tasks as it parses, and what is replaced here comes back at the end.
    monkeypatch.setattr("tasks.command_line.ns", copy.deepcopy(ns))
    monkeypatch.setattr(Program, "parse_tasks", Program.parse_tasks)
    monkeypatch.setattr(Program, "parse_cleanup", Program.parse_cleanup)
    explain_errors()


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ("plna", "there is no command 'plna'", "did you mean plan?"),
        ("task-11", "there is no command 'task-11'", "did you mean task-011?"),
        ("qqq", "there is no command 'qqq'", "invoke --list shows all"),
        ("plan --jsn", "plan has no flag --jsn", "did you mean --json?"),
        ("plan --qqqqq", "plan has no flag --qqqqq", "see --help plan"),
        ("--verson", "there is no flag --verson", "did you mean --version?"),
        ("plan --repo", "the flag --repo of plan needs a value", "see --help plan"),
        ("-f", "the flag --config needs a value", "see --help"),
        ("--help plna", "there is no command 'plna'", "did you mean plan?"),
    ],
)
def test_it_is_an_error_of_usage(
    capsys: pytest.CaptureFixture[str], arguments: str, message: str, hint: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        Playbook().run(["parseable-playbook", *arguments.split()])
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.err == f"error: {message}\n  hint: {hint}\n"
    assert shown.out == ""


def test_it_is_json_where_that_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        Playbook().run(["parseable-playbook", "plan", "--json", "--repoo", "x"])
    assert ended.value.code == 2
    assert json.loads(capsys.readouterr().out) == {
        "error": {"message": "plan has no flag --repoo", "hint": "did you mean --repo?", "exit_code": 2}
    }


def test_what_is_understood_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    Playbook().run(["parseable-playbook", "graph", "--json"])
    assert json.loads(capsys.readouterr().out)["TASK-007"] == ["TASK-005", "TASK-006"]
