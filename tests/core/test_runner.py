"""The runner with steps, changes and checks that only record: the order of things, and what stops them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from tasks.core.catalogue import CATALOGUE, TaskSpec
from tasks.core.changes import Change, Remark, Skip
from tasks.core.errors import PlaybookError, PrerequisiteError, RefusedError, SettingsError, StepFailedError
from tasks.core.outcomes import Cause, Outcome, Verdict, failed, passed, unknown
from tasks.core.runner import (
    Step,
    TaskPlan,
    carry_out,
    check_planned,
    check_plans,
    check_prerequisites,
    make_plans,
    obstacles,
)

Log = list[str]


@dataclass(frozen=True)
class Write(Change):
    """A change that is written into a list."""

    name: str
    log: Log = field(default_factory=list)
    leaves: bool = False
    refusal: PlaybookError | None = None

    @property
    def summary(self) -> str:
        return self.name

    @property
    def needs_proof(self) -> bool:
        return self.leaves

    def apply(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.log.append(f"apply {self.name}")


@dataclass
class Place:
    """A workspace, and whoever is told of the progress."""

    log: Log

    def lay_over(self, changes: Iterable[Change]) -> None:
        self.log.append(f"lay over {', '.join(change.summary for change in changes)}")

    def lay_aside(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        self.log.append("refresh")

    def started(self, plan: TaskPlan) -> None:
        self.log.append(f"started {plan.spec.id}")

    def changed(self, change: Change) -> None:
        self.log.append(f"changed {change.summary}")

    def proved(self, plan: TaskPlan, verdicts: Sequence[Verdict], seconds: float) -> None:
        assert 0 <= seconds < 60
        self.log.append(f"proved {plan.spec.id} by {len(verdicts)}")


def step(
    task: TaskSpec, items: tuple[Change | Remark | Skip, ...] = (), error: PlaybookError | None = None
) -> Step[Place, Place]:
    """A step that yields what it was given."""

    def plan(found: Place) -> Iterator[Change | Remark | Skip]:
        if error is not None:
            raise error
        yield from items

    return Step(task, lambda place: place, lambda place, found: plan(found))


def spec(number: int) -> TaskSpec:
    return CATALOGUE[f"TASK-{number:03}"]


def verdict(outcome: Outcome, name: str = "DoD") -> Verdict:
    return Verdict(name, "TASK-001", "a sentence", outcome)


GOOD = verdict(passed("fine"))
BAD = verdict(failed("it is wrong", "it would break", "mend it", "a.yaml:3"), "DoD-bad")


# Plans ----------------------------------------------------------------------------------------------------


def asked(name: str, outcome: Outcome) -> Verdict:
    return Verdict(name, "TASK-011", "a sentence", outcome)


TWO = "2 things would stop the push of the planned result; nothing was written"
LEAVES_UNKNOWN = (
    "the planned result leaves unknown, because of something in the repository, the answer to check"
)
FAILED = failed("wrong", "it breaks", "mend it", "a.yaml:3")
HIDDEN = unknown("not known, because of that", Cause.REPOSITORY, "mend that")


@pytest.mark.parametrize(
    ("verdicts", "text", "hint"),
    [
        ([("a", passed("fine")), ("b", unknown("no helm", Cause.TOOL))], None, ""),
        (
            [("a", FAILED), ("b", HIDDEN)],
            "the planned result would fail check a: wrong (a.yaml:3); it breaks; nothing was written",
            "mend it",
        ),
        (
            [("a", HIDDEN), ("b", passed("fine")), ("c", HIDDEN)],
            f"{LEAVES_UNKNOWN} a, c: not known, because of that; nothing was written",
            "mend that",
        ),
        (
            [("a", FAILED), ("b", FAILED), ("c", failed("bad", "it fails", ""))],
            f"{TWO}\n- a, b: wrong (a.yaml:3); it breaks\n  hint: mend it\n- c: bad; it fails",
            "",
        ),
    ],
)
def test_what_would_stop_a_push_is_told_once(
    verdicts: list[tuple[str, Outcome]], text: str | None, hint: str
) -> None:
    if text is None:
        check_planned([asked(*one) for one in verdicts])
        return
    with pytest.raises(StepFailedError) as caught:
        check_planned([asked(*one) for one in verdicts])
    assert (caught.value.summary, caught.value.hint, caught.value.exit_code) == (text, hint, 1)


def test_each_task_is_planned_as_if_those_before_it_were_done() -> None:
    log: Log = []
    one, two, three = Write("one"), Write("two"), Write("three")
    steps = {
        "TASK-001": step(spec(1), (one, Remark("look here"), two)),
        "TASK-002": step(spec(2), (three,)),
        "TASK-003": step(spec(3)),
    }
    plans = make_plans(steps, Place(log), steps)
    assert plans == [
        TaskPlan(spec(1), (one, two), ("look here",)),
        TaskPlan(spec(2), (three,)),
        TaskPlan(spec(3)),
    ]
    assert [plan.state for plan in plans] == ["changes", "changes", "done"]
    assert log == ["lay over one, two", "lay over three", "refresh"]


def test_a_task_that_is_left_out_stops_nobody() -> None:
    steps = {"TASK-001": step(spec(1), (Skip("x.manage is none"),)), "TASK-002": step(spec(2))}
    plans = make_plans(steps, Place([]), steps)
    assert plans == [TaskPlan(spec(1), skipped="x.manage is none"), TaskPlan(spec(2))]
    assert [plan.state for plan in plans] == ["skipped", "done"]


def test_only_what_is_asked_for_is_planned() -> None:
    steps = {"TASK-001": step(spec(1), error=RefusedError("no")), "TASK-006": step(spec(6))}
    assert make_plans(steps, Place([]), ["TASK-006"]) == [TaskPlan(spec(6))]


def test_a_task_that_cannot_run_blocks_those_that_need_it() -> None:
    first, third = RefusedError("no bucket"), RefusedError("no chart")
    steps = {
        "TASK-001": step(spec(1), error=first),
        "TASK-002": step(spec(2), (Write("a"),)),
        "TASK-003": step(spec(3), error=third),
        "TASK-004": step(spec(4), (Write("b"),)),
        "TASK-006": step(spec(6), (Write("c"),)),
    }
    plans = make_plans(steps, Place([]), steps)
    assert [plan.error for plan in plans] == [first, None, third, None, None]
    # The nearest one is named, not the first.
    assert [plan.blocked_by for plan in plans] == [None, "TASK-001", "TASK-001", "TASK-003", None]
    assert [plan.state for plan in plans] == ["blocked", "blocked", "blocked", "blocked", "changes"]


def test_all_tasks_are_told_before_the_first_one_is_planned() -> None:
    log: Log = []

    def facts(_: Place) -> None:
        log.append("facts")

    def ahead(_: Place) -> None:
        log.append("ahead")

    steps = {task.id: Step(task, facts, lambda _, found: (), ahead) for task in (spec(1), spec(2))}
    make_plans(steps, Place([]), steps)
    assert log == ["ahead", "ahead", "facts", "facts"]


# What is in the way ---------------------------------------------------------------------------------------


def test_nothing_in_the_way() -> None:
    check_plans([TaskPlan(spec(1)), TaskPlan(spec(2), (Write("a"),))])


def test_one_thing_in_the_way_is_the_error() -> None:
    with pytest.raises(SettingsError) as caught:
        check_plans([TaskPlan(spec(1)), TaskPlan(spec(2), error=SettingsError("no key", "give one"))])
    assert (caught.value.summary, caught.value.hint) == ("TASK-002: no key", "give one")


def test_several_things_in_the_way_are_told_together_and_once() -> None:
    plans = [
        TaskPlan(spec(1), error=SettingsError("no key", "give one")),
        TaskPlan(spec(4), error=SettingsError("no key", "give one")),
        TaskPlan(spec(5), error=RefusedError("no folder")),
    ]
    assert [(item.summary, item.tasks) for item in obstacles(plans)] == [
        ("no key", ("TASK-001", "TASK-004")),
        ("no folder", ("TASK-005",)),
    ]
    with pytest.raises(SettingsError) as caught:
        check_plans(plans)
    assert caught.value.summary.splitlines() == [
        "2 problems found; nothing was written",
        "- no key (TASK-001, TASK-004)",
        "  hint: give one",
        "- no folder (TASK-005)",
    ]


def test_the_same_thing_with_another_hint_is_another() -> None:
    plans = [TaskPlan(spec(n), error=RefusedError("no folder", f"make {n}")) for n in (1, 2)]
    assert [item.hint for item in obstacles(plans)] == ["make 1", "make 2"]


# Prerequisites --------------------------------------------------------------------------------------------


def nothing_fails(task: str) -> Sequence[Verdict]:
    return [GOOD]


def test_prerequisites_that_are_done_and_hold() -> None:
    asked: Log = []

    def verify(task: str) -> Sequence[Verdict]:
        asked.append(task)
        return [GOOD, verdict(unknown("no cluster", Cause.CLUSTER))]

    plans = [TaskPlan(spec(n)) for n in (1, 2)]
    others = [TaskPlan(spec(n), (Write("left to do"),)) for n in (3, 6, 9)]
    check_prerequisites([*plans, *others], "TASK-003", verify)
    assert asked == ["TASK-001", "TASK-002"]


def test_a_prerequisite_with_something_left_to_do() -> None:
    plans = [TaskPlan(spec(1)), TaskPlan(spec(2), (Write("a"),)), TaskPlan(spec(3))]
    with pytest.raises(PrerequisiteError) as caught:
        check_prerequisites(plans, "TASK-003", nothing_fails)
    assert caught.value.summary == (
        "TASK-003 needs TASK-002 (Create the Parseable folder structure), not done yet"
    )
    assert caught.value.hint == "run: invoke task-002 (or this one with --with-prerequisites)"


def test_a_prerequisite_whose_check_fails() -> None:
    with pytest.raises(PrerequisiteError) as caught:
        check_prerequisites(
            [TaskPlan(spec(1)), TaskPlan(spec(2))],
            "TASK-003",
            lambda task: [GOOD, BAD] if task == "TASK-002" else [GOOD],
        )
    assert caught.value.summary == "TASK-003 needs TASK-002, which failed check DoD-bad: it is wrong"
    assert caught.value.hint == "mend it"


@pytest.mark.parametrize("hint", ["", "give one"])
def test_a_prerequisite_that_cannot_be_checked(hint: str) -> None:
    plans = [TaskPlan(spec(1), error=RefusedError("no answer", hint))]
    with pytest.raises(PrerequisiteError) as caught:
        check_prerequisites(plans, "TASK-002", nothing_fails)
    assert caught.value.summary == "TASK-002 needs TASK-001, which cannot be checked: no answer"
    assert caught.value.hint == (hint or "run: invoke task-001 (or this one with --with-prerequisites)")


# Carrying out ---------------------------------------------------------------------------------------------


def carried(
    plans: Sequence[TaskPlan],
    log: Log,
    *,
    verify: Callable[[str], Sequence[Verdict]] = nothing_fails,
    verify_all: Callable[[Change], Sequence[Verdict]] = lambda change: [GOOD],
) -> list[Verdict]:
    place = Place(log)

    def told(change: Change) -> Sequence[Verdict]:
        log.append(f"all asked for {change.summary}")
        return verify_all(change)

    return carry_out(plans, place, verify, told, place)


def test_each_step_is_proved_before_the_next_one() -> None:
    log: Log = []
    plans = [
        TaskPlan(spec(1), (Write("a", log), Write("b", log))),
        TaskPlan(spec(2)),
        TaskPlan(spec(3), (Write("c", log),)),
    ]
    assert carried(plans, log) == [GOOD, GOOD, GOOD]
    assert log == [
        *(
            "started TASK-001",
            "apply a",
            "changed a",
            "apply b",
            "changed b",
            "refresh",
            "proved TASK-001 by 1",
        ),
        *("started TASK-002", "proved TASK-002 by 1"),
        *("started TASK-003", "apply c", "changed c", "refresh", "proved TASK-003 by 1"),
    ]


def test_a_check_that_fails_stops_all_that_comes_after() -> None:
    log: Log = []
    plans = [TaskPlan(spec(n), (Write(f"change {n}", log),)) for n in (1, 2, 3)]
    with pytest.raises(StepFailedError) as caught:
        carried(plans, log, verify=lambda task: [GOOD, BAD] if task == "TASK-001" else [GOOD])
    assert log == ["started TASK-001", "apply change 1", "changed change 1", "refresh"]
    assert caught.value.summary == ("TASK-001 failed check DoD-bad: it is wrong (a.yaml:3); it would break")
    assert caught.value.hint == (
        "mend it; not done: TASK-002 to TASK-003. Running the same again continues here"
    )


def test_of_several_failures_the_first_is_told_and_the_others_counted() -> None:
    placeless = replace(BAD, outcome=replace(BAD.outcome, place="", remedy=""))
    with pytest.raises(StepFailedError) as caught:
        carried([TaskPlan(spec(1)), TaskPlan(spec(2))], [], verify=lambda task: [placeless, BAD, BAD])
    assert caught.value.summary == (
        "TASK-001 failed check DoD-bad: it is wrong; it would break; 2 more: invoke verify shows all"
    )
    assert caught.value.hint == "not done: TASK-002. Running the same again continues here"


def test_what_is_unknown_stops_nothing() -> None:
    verdicts = [verdict(unknown("no cluster", Cause.CLUSTER))]
    assert carried([TaskPlan(spec(1), (Write("a"),))], [], verify=lambda task: verdicts) == verdicts


def test_a_refused_change_names_its_task_and_what_is_left() -> None:
    log: Log = []
    plans = [
        TaskPlan(spec(1), (Write("a", log, refusal=RefusedError("denied", "ask for it")), Write("b", log))),
        TaskPlan(spec(2)),
    ]
    with pytest.raises(RefusedError) as caught:
        carried(plans, log)
    assert caught.value.summary == "TASK-001: denied"
    assert caught.value.hint == "ask for it; not done: TASK-002. Running the same again continues here"
    assert log == ["started TASK-001"]
    with pytest.raises(SettingsError) as last:
        carried([TaskPlan(spec(1), (Write("a", refusal=SettingsError("denied", "ask for it")),))], [])
    assert last.value.hint == "ask for it"


def test_all_is_proved_anew_before_something_leaves_this_machine() -> None:
    log: Log = []
    leaving = (Write("commit", log, leaves=True), Write("push", log, leaves=True))
    assert carried([TaskPlan(spec(11), (Write("edit", log), *leaving))], log) == [GOOD]
    assert log == [
        *("started TASK-011", "apply edit", "changed edit"),
        # What is proved for the commit holds for its push.
        *("refresh", "all asked for commit", "apply commit", "changed commit", "apply push", "changed push"),
        *("refresh", "proved TASK-011 by 1"),
    ]


def test_a_change_in_between_has_all_proved_again() -> None:
    log: Log = []
    changes = (Write("commit", log, leaves=True), Write("edit", log), Write("push", log, leaves=True))
    carried([TaskPlan(spec(11), changes)], log)
    assert [line for line in log if line.startswith("all")] == ["all asked for commit", "all asked for push"]


def test_what_fails_anywhere_keeps_it_from_leaving() -> None:
    log: Log = []
    plans = [TaskPlan(spec(10)), TaskPlan(spec(11), (Write("commit", log, leaves=True),))]
    with pytest.raises(StepFailedError, match="TASK-011 failed check DoD-bad") as caught:
        carried(plans, log, verify_all=lambda change: [GOOD, BAD])
    assert caught.value.hint == "mend it"
    assert "apply commit" not in log
