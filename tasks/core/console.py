"""Everything a person reads: results on stdout, progress on stderr, colour on terminals only."""

import io
import json
import os
import re
import sys
import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from tasks.core.called import as_called
from tasks.core.catalogue import PHASES
from tasks.core.changes import Change
from tasks.core.errors import PlaybookError
from tasks.core.outcomes import Cause, Outcome, Status, Verdict
from tasks.core.runner import TaskPlan, obstacles

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

# Colours that can be read on a light and on a dark background: yellow and cyan cannot, nor can blue.
_STYLES = {
    "done": "green",
    "pass": "green",
    "changes": "magenta",
    "not started": "magenta",
    "unknown": "magenta",
    "blocked": "red",
    "note": "",
    "skipped": "",
    "failed": "red",
    "fail": "red",
    "error": "red",
}
_WIDTH = 80
_COLUMN = re.compile(r"\S{1,12} {2,}(?=\S)")
# Variables that tell rich to treat whatever it writes to as a terminal.
_STYLED = ("FORCE_COLOR", "TTY_COMPATIBLE")
_MOMENT = 1.0  # seconds that nobody wonders about
_DIFF_STYLES = {"+": "green", "-": "red", "@": "bold"}


class Console:
    """Where a command writes. With ``as_json`` stdout gets one JSON document and nothing else."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    @cached_property
    def _out(self) -> "RichConsole":
        return _rich(stderr=False)

    @cached_property
    def _err(self) -> "RichConsole":
        return _rich(stderr=True)

    def say(self, text: str = "", style: str = "", *, is_literal: bool = False) -> None:
        """One line of result; on a terminal it is broken between words, unless it ``is_literal``."""
        text = as_called(text)
        if not _written(sys.stdout, text):
            shown = text if is_literal else _broken(text, sys.stdout, self._out)
            self._out.print(shown, style=style, soft_wrap=True)

    def say_diff(self, diff: str) -> None:
        """The lines of a diff as result, indented."""
        for line in diff.splitlines():
            self.say(f"      {line}", style=_DIFF_STYLES.get(line[:1], ""), is_literal=True)

    def note(self, text: str = "", style: str = "") -> None:
        """One line of progress."""
        text = as_called(text)
        if not _written(sys.stderr, text):
            self._err.print(_broken(text, sys.stderr, self._err), style=style, soft_wrap=True)

    def looking_at(self, what: str) -> None:
        """Say on a terminal, before anything is waited for, what is being looked at."""
        if sys.stderr.isatty():
            # Without rich, which takes a moment to load.
            sys.stderr.write(f"looking at {what} …\n")

    def fit(self, error: PlaybookError) -> None:
        """Break the lines of an error's text between words, where they go to a terminal."""
        if sys.stderr.isatty() and error.message:
            error.message = _broken(error.message, sys.stderr, self._err)

    def ask(self, question: str) -> None:
        """A question; the cursor stays behind it."""
        self._err.print(question, style="bold", end="", soft_wrap=True)

    def write_json(self, data: object) -> None:
        """The one JSON document of a command."""
        # In ASCII, which is the same in every encoding that a terminal or file may have.
        sys.stdout.write(f"{json.dumps(data, indent=2)}\n")

    # Progress of a run ------------------------------------------------------------------------------------

    def started(self, plan: TaskPlan) -> None:
        """Head the lines of a task that changes something."""
        if plan.changes:
            self.note(f"{plan.spec.id}  {plan.spec.title}", style="bold")

    def changed(self, change: Change) -> None:
        """Tell of a change that was made."""
        self.note(f"    {change.summary}")

    def proved(self, plan: TaskPlan, verdicts: Sequence[Verdict], seconds: float) -> None:
        """Tell that a task is done, and what its checks said."""
        if plan.skipped:
            self.note(f"{plan.spec.id}  {plan.spec.title}: not asked for ({plan.skipped})")
        elif plan.changes:
            self.note(f"    checks: {counted(verdicts)} ({seconds:.1f} s)", style="green")
        else:
            self.note(f"{plan.spec.id}  {plan.spec.title}: unchanged, {counted(verdicts)}")
        for remark in plan.remarks:
            self.note(f"    note: {remark}")

    # Views ------------------------------------------------------------------------------------------------

    def show_summary(self, plans: Iterable[TaskPlan]) -> None:
        """What `all` is about to do, one line for each change."""
        for plan in plans:
            if plan.changes:
                self.note(f"{plan.spec.id}  {plan.spec.title}", style="bold")
                for change in plan.changes:
                    self.note(f"    {change.summary}")

    def show_plan(self, plans: Sequence[TaskPlan]) -> None:
        """What would change, then every task's state with the diffs, then the count."""
        self.say(_in_short(plans), style="bold")
        told: dict[tuple[str, str], str] = {}
        for plan in plans:
            self.say(f"{plan.spec.id}  {plan.spec.title}: {plan.state}", style=_STYLES[plan.state])
            if plan.skipped:
                self.say(f"    not asked for: {plan.skipped}")
            if plan.error is not None:
                first = told.setdefault((plan.error.summary, plan.error.hint), plan.spec.id)
                if first != plan.spec.id:
                    self.say(f"    for the same reason as {first}")
                    continue
                self.say(f"    {plan.error.summary}")
                if plan.error.hint:
                    self.say(f"    hint: {plan.error.hint}")
            elif plan.blocked_by is not None:
                self.say(f"    waits for {plan.blocked_by}")
            for remark in plan.remarks:
                self.say(f"    note: {remark}")
            for change in () if plan.state == "blocked" else plan.changes:
                self.say(f"    {change.summary}")
                self.say_diff(change.diff())
        self.say(_in_short(plans), style="bold")

    def show_status(self, plans: Sequence[TaskPlan], verdicts: Mapping[str, Sequence[Verdict]]) -> None:
        """The table of the tasks with their state, and the progress."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("Task", "Phase", "Risk", "State", "Checks"):
            table.add_column(name, no_wrap=name != "Phase")
        states = {plan.spec.id: task_state(plan, verdicts[plan.spec.id]) for plan in plans}
        for plan in plans:
            state = states[plan.spec.id]
            table.add_row(
                plan.spec.id,
                f"{plan.spec.phase} {PHASES[plan.spec.phase]}",
                plan.spec.risk,
                Text(state, style=_STYLES[state]),
                counted(verdicts[plan.spec.id]) if _counts(state, verdicts[plan.spec.id]) else "",
            )
        self._out.print(table)
        self._show_obstacles(plans)
        for name, state in states.items():
            for verdict in verdicts[name] if _counts(state, verdicts[name]) else ():
                if verdict.outcome.stops_push:
                    self._show_failure(verdict)
        self.say(progress(plans, verdicts))
        if "not started" in states.values():
            self.say("not started: invoke plan shows what would be done, invoke all does it")

    def _show_obstacles(self, plans: Sequence[TaskPlan]) -> None:
        """What keeps tasks from running, and what else their plans say."""
        for item in obstacles(plans):
            self.say(f"blocking {_listed(item.tasks)}: {item.summary}")
            if item.hint:
                self.say(f"    hint: {item.hint}")
        for plan in plans:
            if plan.skipped:
                self.say(f"{plan.spec.id}: not asked for: {plan.skipped}")
            for remark in plan.remarks:
                self.say(f"{plan.spec.id}: {remark}")
        waiting: dict[str, list[str]] = {}
        for plan in plans:
            if plan.error is None and plan.blocked_by is not None:
                waiting.setdefault(plan.blocked_by, []).append(plan.spec.id)
        for blocker, names in waiting.items():
            self.say(f"waiting for {blocker}: {_listed(names)}")

    def _show_failure(self, verdict: Verdict) -> None:
        """What fails, in short."""
        outcome = verdict.outcome
        self.say(f"{verdict.id} {outcome.status}: {outcome.evidence}", style=_STYLES[outcome.status])
        if outcome.place:
            self.say(f"    at: {outcome.place}")
        if outcome.remedy:
            self.say(f"    do: {outcome.remedy}")

    def show_verdicts(self, verdicts: Sequence[Verdict], *, passes: bool = False) -> None:
        """Failures first, then unknowns and notes, then the count; what has the same reason is told once.

        ``passes`` says that what passes is told, too.
        """
        bad = (Status.ERROR, Status.FAIL, Status.UNKNOWN, Status.NOTE, Status.SKIPPED)
        for status in (*bad, *((Status.PASS,) if passes else ())):
            for outcome, told in _by_outcome(verdicts, status).items():
                for verdict in told:
                    self.say(f"{status.upper():<8}{verdict.id}  {verdict.text}", style=_STYLES[status])
                if outcome.place:
                    self.say(f"        at: {outcome.place}")
                self.say(f"        found: {outcome.evidence}")
                if outcome.consequence:
                    when = "now" if outcome.cause is Cause.CLUSTER else "after a push"
                    self.say(f"        {when}: {outcome.consequence}")
                if outcome.stops_push and status is Status.UNKNOWN:
                    self.say("        nothing is pushed before this is known")
                if outcome.remedy:
                    self.say(f"        do: {outcome.remedy}")
        self.say(counted(verdicts))

    def show_annotations(self, verdicts: Sequence[Verdict]) -> None:
        """Failures and unknowns as workflow commands of GitHub Actions, then the count.

        Their form: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
        """
        levels = {
            Status.FAIL: "error",
            Status.ERROR: "error",
            Status.UNKNOWN: "notice",
            Status.NOTE: "notice",
        }
        for verdict in verdicts:
            outcome = verdict.outcome
            if outcome.status in levels:
                path, _, line = outcome.place.rpartition(":")
                properties = (
                    {"file": path, "line": line, "title": verdict.id} if path else {"title": verdict.id}
                )
                told = ",".join(f"{name}={_escaped(value, ',:')}" for name, value in properties.items())
                parts = (outcome.evidence, outcome.consequence, outcome.remedy)
                text = _escaped(". ".join(part for part in parts if part))
                self.say(f"::{levels[outcome.status]} {told}::{text}")
        self.say(counted(verdicts))


@contextmanager
def told_if_slow(text: str) -> Iterator[None]:
    """Say on stderr what the block waits for, if that takes longer than a moment."""
    timer = threading.Timer(_MOMENT, Console().note, (text,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def rendered(show: Callable[[], None]) -> str:
    """What ``show`` says on stdout, as it would look there."""

    class Page(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

    is_terminal = sys.stdout.isatty()
    page = Page()
    with redirect_stdout(page):
        show()
    return page.getvalue()


def _in_short(plans: Sequence[TaskPlan]) -> str:
    """How many tasks are in which state: "done: 1  changes: 9  blocked: 1"."""
    states = [plan.state for plan in plans]
    shown = ("done", "changes", "blocked", *(one for one in ("unknown", "skipped") if one in states))
    return "  ".join(f"{state}: {states.count(state)}" for state in shown)


def _broken(text: str, stream: TextIO, console: "RichConsole") -> str:
    """``text`` with its lines broken between words to fit a terminal; a longer word stays whole."""
    if not stream.isatty():
        return text
    return "\n".join(part for line in text.split("\n") for part in _lines(line, console.width))


def _lines(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    # Under the text, where a word and some space stand before it as in a table.
    column = _COLUMN.match(line)
    indent = " " * (column.end() if column else len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        expand_tabs=False,
        replace_whitespace=False,
    )


def _listed(names: Sequence[str]) -> str:
    """The names in a sentence: a, b and c."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _by_outcome(verdicts: Iterable[Verdict], status: Status) -> dict[Outcome, list[Verdict]]:
    found: dict[Outcome, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.outcome.status is status:
            found.setdefault(verdict.outcome, []).append(verdict)
    return found


def _escaped(text: str, more: str = "") -> str:
    """``text`` with what would end a workflow command percent-encoded; ``more`` in its properties."""
    return "".join(f"%{ord(sign):02X}" if sign in "%\r\n" + more else sign for sign in text)


def counted(verdicts: Iterable[Verdict]) -> str:
    """How many of each answer: "2 pass, 1 unknown"."""
    statuses = [verdict.outcome.status for verdict in verdicts]
    return ", ".join(f"{statuses.count(status)} {status}" for status in Status if status in statuses)


def task_state(plan: TaskPlan, verdicts: Sequence[Verdict]) -> str:
    """A task's state as it is, whatever keeps it from being run.

    ``blocked``: not known. ``not started``: nothing of it is there. ``changes``: what is there says something
    else. ``failed``: all is in place and a check does not hold. ``unknown``: part of it could not be looked
    at.
    """
    if plan.skipped:
        return "skipped"
    if plan.error is not None:
        return "blocked"
    if plan.changes:
        holds = any(verdict.outcome.status is Status.PASS for verdict in verdicts)
        return "changes" if holds or not all(change.is_first for change in plan.changes) else "not started"
    if any(verdict.outcome.stops_push for verdict in verdicts):
        return "failed"
    return "unknown" if plan.is_open else "done"


def _counts(state: str, verdicts: Iterable[Verdict]) -> bool:
    """Whether the checks of a task say something: what was never run fails all of its own."""
    is_there = any(verdict.outcome.status is Status.PASS for verdict in verdicts)
    return is_there or state not in ("not started", "blocked")


def progress(plans: Iterable[TaskPlan], verdicts: Mapping[str, Sequence[Verdict]]) -> str:
    """How far it is: "Progress 7/11", of the tasks that are asked for."""
    states = [task_state(plan, verdicts[plan.spec.id]) for plan in plans]
    left_out = states.count("skipped")
    more = f", {left_out} skipped" if left_out else ""
    return f"Progress {states.count('done')}/{len(states) - left_out}{more}"


def plan_data(plan: TaskPlan) -> dict[str, Any]:
    """A task's plan for --json."""
    return {
        "id": plan.spec.id,
        "title": plan.spec.title,
        "phase": plan.spec.phase,
        "risk": plan.spec.risk,
        "state": plan.state,
        "blocked_by": plan.blocked_by,
        "skipped": plan.skipped or None,
        "remarks": list(plan.remarks),
        "error": None if plan.error is None else error_data(plan.error),
        "changes": [
            {"summary": change.summary, "paths": list(change.paths), "diff": change.diff()}
            for change in plan.changes
        ],
    }


def error_data(error: PlaybookError) -> dict[str, Any]:
    """An error for --json."""
    return {"message": error.summary, "hint": error.hint, "exit_code": error.exit_code}


def verdict_data(verdict: Verdict) -> dict[str, Any]:
    """A verdict for --json."""
    outcome = verdict.outcome
    return {
        "id": verdict.id,
        "task": verdict.task,
        "text": verdict.text,
        "status": outcome.status.value,
        "cause": None if outcome.cause is None else outcome.cause.value,
        "stops_push": outcome.stops_push,
        "evidence": outcome.evidence,
        "consequence": outcome.consequence,
        "remedy": outcome.remedy,
        "place": outcome.place,
    }


def _written(stream: TextIO, text: str) -> bool:
    """Write a line to a file or pipe, unless rich would style or change it: rich takes long to load."""
    is_plain = text.isprintable() and not text.endswith(" ")
    if not is_plain or stream.isatty() or any(os.environ.get(name) for name in _STYLED):
        return False
    stream.write(f"{text}\n")
    stream.flush()
    return True


def _rich(*, stderr: bool) -> "RichConsole":
    from rich.console import Console as RichConsole

    # What is printed is other people's text: no markup, no emoji, no guessing at highlights.
    console = RichConsole(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.width:
        console.width = _WIDTH  # COLUMNS=0 would leave nothing of any line.
    return console
