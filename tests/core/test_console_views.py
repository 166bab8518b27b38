"""What plans, states and runs look like, on the terminal and as JSON."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tasks.core.catalogue import CATALOGUE
from tasks.core.changes import Change
from tasks.core.console import Console, error_data, plan_data, progress, rendered, task_state, verdict_data
from tasks.core.errors import PrerequisiteError, RefusedError
from tasks.core.outcomes import Cause, Outcome, Status, Verdict, broken, failed, passed, skipped, unknown
from tasks.core.runner import TaskPlan


@dataclass(frozen=True)
class Edit(Change):
    """A change of one line."""

    name: str

    @property
    def summary(self) -> str:
        return f"edit {self.name}"

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.name,)

    def diff(self) -> str:
        return f"-old {self.name}\n+new {self.name}"

    def apply(self) -> None:
        raise AssertionError("only shown")


DONE = TaskPlan(CATALOGUE["TASK-001"], remarks=("as it was",))
CHANGES = TaskPlan(CATALOGUE["TASK-002"], (Edit("a"), Edit("b")), ("look here",))
STUCK = TaskPlan(CATALOGUE["TASK-003"], error=RefusedError("no chart", "name one"))
HINTLESS = TaskPlan(CATALOGUE["TASK-004"], error=RefusedError("no key"), blocked_by="TASK-003")
BLOCKED = TaskPlan(CATALOGUE["TASK-005"], (Edit("c"),), blocked_by="TASK-003")
PLANS = (DONE, CHANGES, STUCK, HINTLESS, BLOCKED)


def verdict(outcome: Outcome) -> Verdict:
    return Verdict("DoD-1", "TASK-001", "a sentence", outcome)


GOOD, BAD = verdict(passed("fine")), verdict(failed("wrong", "it breaks", "mend it", "a.yaml:3"))
OPEN = verdict(unknown("not known", Cause.CLUSTER, "ask"))


def test_what_keeps_several_tasks_back_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    error = RefusedError("no cluster", "name one")
    Console().show_plan([TaskPlan(CATALOGUE[name], error=error) for name in ("TASK-002", "TASK-003")])
    assert capsys.readouterr().out.splitlines()[1:6] == [
        "TASK-002  Create the Parseable folder structure: blocked",
        "    no cluster",
        "    hint: name one",
        "TASK-003  Create the Parseable HelmRelease: blocked",
        "    for the same reason as TASK-002",
    ]


def test_what_is_left_out_says_so_and_is_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    plans = [DONE, TaskPlan(CATALOGUE["TASK-010"], skipped="grafana.manage is none")]
    Console().show_plan(plans)
    assert capsys.readouterr().out.splitlines()[3:] == [
        "TASK-010  Add the Parseable plugin and data source to Grafana: skipped",
        "    not asked for: grafana.manage is none",
        "done: 1  changes: 0  blocked: 0  skipped: 1",
    ]
    assert progress(plans, {"TASK-001": [GOOD], "TASK-010": []}) == "Progress 1/1, 1 skipped"
    Console().show_verdicts([verdict(skipped("grafana.manage is none"))])
    assert capsys.readouterr().out.splitlines() == [
        "SKIPPED DoD-1  a sentence",
        "        found: not asked for: grafana.manage is none",
        "1 skipped",
    ]


def test_a_plan_with_every_state(capsys: pytest.CaptureFixture[str]) -> None:
    Console().show_plan(PLANS)
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "done: 1  changes: 1  blocked: 3",
        "TASK-001  Create the S3 bucket: done",
        "    note: as it was",
        "TASK-002  Create the Parseable folder structure: changes",
        "    note: look here",
        *("    edit a", "      -old a", "      +new a", "    edit b", "      -old b", "      +new b"),
        "TASK-003  Create the Parseable HelmRelease: blocked",
        "    no chart",
        "    hint: name one",
        "TASK-004  Create the Parseable S3 secret, encrypted with SOPS: blocked",
        "    no key",
        "TASK-005  Create the Parseable ServiceMonitor: blocked",
        "    waits for TASK-003",
        "done: 1  changes: 1  blocked: 3",
    ]
    assert shown.err == ""


def test_the_status_of_every_state(capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = {plan.spec.id: [GOOD] for plan in PLANS} | {"TASK-002": [GOOD, OPEN, GOOD], "TASK-003": []}
    Console().show_status(PLANS, verdicts)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "Task Phase Risk State Checks",
        "TASK-001 1 Infrastructure Preparation Low done 1 pass",
        "TASK-002 1 Infrastructure Preparation None changes 2 pass, 1 unknown",
        "TASK-003 2 Parseable Deployment Medium blocked",
        "TASK-004 2 Parseable Deployment High blocked 1 pass",
        "TASK-005 2 Parseable Deployment Low changes 1 pass",
        "blocking TASK-003: no chart",
        "hint: name one",
        "blocking TASK-004: no key",
        "TASK-001: as it was",
        "TASK-002: look here",
        "waiting for TASK-003: TASK-005",
        "Progress 1/5",
    ]


def test_who_is_blocked_by_one_thing_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    plans = [TaskPlan(CATALOGUE[f"TASK-00{number}"], error=RefusedError("no git")) for number in (1, 2, 3)]
    Console().show_status(plans, {plan.spec.id: [] for plan in plans})
    assert "blocking TASK-001, TASK-002 and TASK-003: no git\n" in capsys.readouterr().out


def test_done_with_a_check_that_fails_is_failed() -> None:
    assert task_state(DONE, [GOOD, OPEN]) == "done"
    assert task_state(DONE, [GOOD, BAD]) == "failed"
    assert task_state(CHANGES, [BAD]) == "changes"
    assert task_state(STUCK, [GOOD]) == "blocked"


@dataclass(frozen=True)
class New(Edit):
    """A change that takes nothing away."""

    def diff(self) -> str:
        return f"--- /dev/null\n+++ {self.name}\n+new {self.name}"


def test_what_was_never_run_is_not_started(capsys: pytest.CaptureFixture[str]) -> None:
    never, waits = (
        TaskPlan(CATALOGUE["TASK-001"], (New("a"),)),
        TaskPlan(CATALOGUE["TASK-002"], (New("b"),), blocked_by="TASK-001"),
    )
    assert task_state(never, [BAD, OPEN]) == task_state(waits, []) == "not started"
    # Something of it is there: a check holds, or a line has to go.
    assert task_state(never, [BAD, GOOD]) == "changes"
    assert task_state(TaskPlan(never.spec, (New("a"), Edit("b"))), [BAD]) == "changes"
    Console().show_status([never, waits], {"TASK-001": [BAD, OPEN], "TASK-002": []})
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown[1:] == [
        "TASK-001 1 Infrastructure Preparation Low not started",
        "TASK-002 1 Infrastructure Preparation None not started",
        "waiting for TASK-001: TASK-002",
        "Progress 0/2",
        "not started: invoke plan shows what would be done, invoke all does it",
    ]


def test_the_status_lists_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    Console().show_status([DONE, STUCK], {"TASK-001": [GOOD, BAD], "TASK-003": [BAD]})
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown[1:] == [
        "TASK-001 1 Infrastructure Preparation Low failed 1 pass, 1 fail",
        "TASK-003 2 Parseable Deployment Medium blocked",
        "blocking TASK-003: no chart",
        "hint: name one",
        "TASK-001: as it was",
        "DoD-1 fail: wrong",
        "at: a.yaml:3",
        "do: mend it",
        "Progress 0/2",
    ]
    assert progress([DONE, DONE, CHANGES], {"TASK-001": [BAD], "TASK-002": []}) == "Progress 0/3"


def test_a_run_is_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    for plan in (DONE, CHANGES):
        console.started(plan)
        for change in plan.changes:
            console.changed(change)
        console.proved(plan, [GOOD, OPEN], 1.26)
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [
        "TASK-001  Create the S3 bucket: unchanged, 1 pass, 1 unknown",
        "    note: as it was",
        "TASK-002  Create the Parseable folder structure",
        "    edit a",
        "    edit b",
        "    checks: 1 pass, 1 unknown (1.3 s)",
        "    note: look here",
    ]
    assert shown.out == ""


def test_the_summary_before_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    Console().show_summary(PLANS[:2])
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [
        "TASK-002  Create the Parseable folder structure",
        "    edit a",
        "    edit b",
    ]
    assert shown.out == ""


def test_a_bug_is_an_error_in_a_workflow(capsys: pytest.CaptureFixture[str]) -> None:
    Console().show_annotations([verdict(broken("it broke"))])
    assert capsys.readouterr().out.startswith("::error title=DoD-1::it broke. nothing is known")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def styled(monkeypatch: pytest.MonkeyPatch, show: Callable[[Console], None], columns: int = 80) -> list[str]:
    """The lines that ``show`` writes to terminals."""
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", out)
    show(Console())
    return out.getvalue().splitlines()


GREEN, MAGENTA, RED, BOLD = (f"\x1b[{code}m" for code in (32, 35, 31, 1))


def test_the_colours_of_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = styled(monkeypatch, lambda console: console.show_plan(PLANS))
    assert f"{GREEN}TASK-001  Create the S3 bucket: done\x1b[0m" in lines
    assert f"{MAGENTA}TASK-002  Create the Parseable folder structure: changes\x1b[0m" in lines
    assert f"{RED}TASK-003  Create the Parseable HelmRelease: blocked\x1b[0m" in lines
    assert f"{RED}      -old a\x1b[0m" in lines
    assert f"{GREEN}      +new a\x1b[0m" in lines


def test_the_colours_of_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [BAD, OPEN, verdict(broken("it broke")), verdict(Outcome(Status.NOTE, "theirs"))]
    lines = styled(monkeypatch, lambda console: console.show_verdicts(answers))
    heads = [line for line in lines if "a sentence" in line]
    assert heads == [
        f"{RED}ERROR   DoD-1  a sentence\x1b[0m",
        f"{RED}FAIL    DoD-1  a sentence\x1b[0m",
        f"{MAGENTA}UNKNOWN DoD-1  a sentence\x1b[0m",
        "NOTE    DoD-1  a sentence",
    ]


def test_the_colours_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(console: Console) -> None:
        console.started(CHANGES)
        console.proved(CHANGES, [GOOD], 0.0)
        console.ask("Go on?")

    assert styled(monkeypatch, run) == [
        f"{BOLD}TASK-002  Create the Parseable folder structure\x1b[0m",
        f"{GREEN}    checks: 1 pass (0.0 s)\x1b[0m",
        "    note: look here",
        f"{BOLD}Go on?\x1b[0m",
    ]


def test_long_lines_are_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"    {'word ' * 12}end"
    lines = styled(monkeypatch, lambda console: console.note(line), 40)
    assert lines == styled(monkeypatch, lambda console: console.say(line), 40)
    assert max(map(len, lines)) <= 40
    assert " ".join(lines).split() == line.split()
    assert [part[:7] for part in lines] == ["    wor", "      w"]
    lines = styled(monkeypatch, lambda console: console.say(f"missing   git: {'word ' * 9}"), 40)
    assert [part[:14] for part in lines] == ["missing   git:", "          word"]
    path = "kubernetes/apps/monitoring/parseable/app/helmrelease.yaml"
    assert styled(monkeypatch, lambda console: console.say(f"edit {path}"), 40) == ["edit", f"  {path}"]


def test_what_is_redirected_and_what_is_quoted_keeps_its_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "word " * 30 + "end"
    Console().say(line)
    Console().note(line)
    assert capsys.readouterr() == (f"{line}\n", f"{line}\n")
    assert styled(monkeypatch, lambda console: console.say(line, is_literal=True)) == [line]


def test_an_error_on_a_terminal_is_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RefusedError("word " * 12 + "end", "mend it")
    styled(monkeypatch, lambda console: console.fit(error), 40)
    assert error.message is not None
    assert max(map(len, error.message.splitlines())) <= 40
    assert error.message.split() == f"error: {'word ' * 12}end hint: mend it".split()
    assert error.summary == "word " * 12 + "end"


def test_what_is_rendered_looks_as_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    styled(monkeypatch, lambda _: None)
    page = rendered(lambda: Console().say("fine", style="green"))
    assert page == f"{GREEN}fine\x1b[0m\n"
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert rendered(lambda: Console().say("fine", style="green")) == "fine\n"


def test_a_wheel_names_its_own_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tasks.core.called._Program.name", "parseable-playbook")
    Console().say("run: invoke task-004, or invoke --list; tasks invoke other tasks")
    assert capsys.readouterr().out == (
        "run: parseable-playbook task-004, or parseable-playbook --list; tasks invoke other tasks\n"
    )
    assert failed("x", "y", "invoke task-001").remedy == "parseable-playbook task-001"
    assert failed("x", "y", "a file for invoke -f").remedy == "a file for parseable-playbook -f"
    assert PrerequisiteError("x", "run: invoke plan").hint == "run: parseable-playbook plan"


def test_as_json() -> None:
    assert plan_data(CHANGES) == {
        "id": "TASK-002",
        "title": "Create the Parseable folder structure",
        "phase": 1,
        "risk": "None",
        "state": "changes",
        "blocked_by": None,
        "skipped": None,
        "remarks": ["look here"],
        "error": None,
        "changes": [
            {"summary": f"edit {name}", "paths": [name], "diff": f"-old {name}\n+new {name}"} for name in "ab"
        ],
    }
    blocked = plan_data(HINTLESS)
    assert (blocked["blocked_by"], blocked["state"], blocked["changes"]) == ("TASK-003", "blocked", [])
    assert blocked["error"] == {"message": "no key", "hint": "", "exit_code": 4}
    assert error_data(PrerequisiteError("first this", "run it")) == {
        "message": "first this",
        "hint": "run it",
        "exit_code": 3,
    }
    assert verdict_data(BAD) == {
        "id": "DoD-1",
        "task": "TASK-001",
        "text": "a sentence",
        "status": "fail",
        "cause": None,
        "stops_push": True,
        "evidence": "wrong",
        "consequence": "it breaks",
        "remedy": "mend it",
        "place": "a.yaml:3",
    }
    assert verdict_data(OPEN)["cause"] == "cluster"
    assert verdict_data(OPEN)["stops_push"] is False


@pytest.mark.parametrize(
    ("plan", "state"),
    [
        (TaskPlan(CATALOGUE["TASK-002"]), "done"),
        # What waits for another task is as it is.
        (TaskPlan(CATALOGUE["TASK-002"], blocked_by="TASK-001"), "done"),
        (TaskPlan(CATALOGUE["TASK-004"], is_open=True), "unknown"),
        (TaskPlan(CATALOGUE["TASK-004"], is_open=True, skipped="x"), "skipped"),
    ],
)
def test_the_state_of_a_task_without_changes(plan: TaskPlan, state: str) -> None:
    assert task_state(plan, []) == state
