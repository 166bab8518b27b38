"""What a check is, how it is asked, and what its errors become."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tasks.core.errors import PlaybookError, raised_in
from tasks.core.outcomes import (
    Cause,
    Outcome,
    Status,
    Verdict,
    broken,
    failed,
    passed,
    skipped,
    unknown,
)
from tasks.flux.missing import MissingError
from tasks.model import AnsweredError, Model, Stage, cause_of

__all__ = [
    "AnsweredError",
    "Cause",
    "Check",
    "Model",
    "Outcome",
    "Stage",
    "Status",
    "as_note",
    "failed",
    "of_ours",
    "passed",
    "skipped",
    "unknown",
]


Run = Callable[[Model], Outcome | Iterable[Outcome]]


@dataclass(frozen=True)
class Check:
    """One item of the Definition of Done, or one thing that must hold between documents before a push.

    ``id`` and ``text`` are as documented for an item. ``stage`` is the nearest view that ``run`` can answer
    from; it answers from the furthest that could be made. ``run`` gives one answer, or one for each thing
    that it found. ``live`` asks the running cluster the same, where only that knows, or knows better.
    """

    id: str
    text: str
    stage: Stage
    run: Run
    live: Run | None = None

    @property
    def is_item(self) -> bool:
        """Whether it is an item of the Definition of Done."""
        return self.id.startswith("DoD-")

    @property
    def task(self) -> str:
        """The task it belongs to: DoD-004-02 is of TASK-004; what is no item is proved in the last."""
        return "TASK-" + self.id.split("-")[1] if self.is_item else "TASK-011"


def judge(checks: Iterable[Check], model: Model) -> list[Verdict]:
    """Ask ``checks`` in their order. What passed is told only where nothing else is."""
    return [
        Verdict(check.id, check.task, check.text, outcome)
        for check in checks
        for outcome in _told(check, _combined(_answers(check, model), _live_answers(check, model)))
    ]


def judge_live(checks: Iterable[Check], model: Model) -> list[Verdict]:
    """Ask those of ``checks`` that the running cluster can answer, and nothing else."""
    return [
        Verdict(check.id, check.task, check.text, outcome)
        for check in checks
        if check.live is not None
        for outcome in _told(check, _live_answers(check, model))
    ]


def _combined(found: list[Outcome], live: list[Outcome]) -> list[Outcome]:
    """All answers, where those of the running cluster take the place of "only the cluster knows"."""
    if not any(one.status is not Status.SKIPPED for one in live):
        return [*found, *live]
    is_open = (one.status is Status.UNKNOWN and one.cause is Cause.CLUSTER for one in found)
    return [*(one for one, hides in zip(found, is_open, strict=True) if not hides), *live]


def _told(check: Check, found: list[Outcome]) -> list[Outcome]:
    """What is told of all answers to one check."""
    told = list(dict.fromkeys(one for one in found if one.status is not Status.PASS))
    if told:
        return told
    evidence = "; ".join(dict.fromkeys(one.evidence for one in found))
    return [passed(evidence)] if found else [broken(f"{check.id} answered nothing")]


def _answers(check: Check, model: Model) -> list[Outcome]:
    if model.stage < check.stage:
        return [
            unknown(
                f"not looked at before the stage {check.stage.name.lower()}", Cause.STAGE, "invoke verify"
            )
        ]
    return _asked(check, check.run, model)


def _live_answers(check: Check, model: Model) -> list[Outcome]:
    if check.live is None or model.stage < Stage.LIVE:
        return []
    return _asked(check, check.live, model)


def _asked(check: Check, run: Run, model: Model) -> list[Outcome]:
    """All that ``run`` answers; an error is an answer, too."""
    found: list[Outcome] = []
    try:
        answer = run(model)
        if isinstance(answer, Outcome):
            found.append(answer)
        else:
            found.extend(answer)
    except AnsweredError as error:
        found.append(error.outcome)
    except MissingError as error:
        found.append(failed(error.summary, "nothing would be deployed", error.hint))
    except PlaybookError as error:
        found.append(unknown(error.summary, cause_of(error), error.hint))
    except Exception as error:  # A bug of a check must not open the gate, nor hide the other answers.
        found.append(broken(f"{check.id} broke: {raised_in(error)}"))
    return found


def of_ours(run: Run) -> Run:
    """``run`` where our apps are judged; it is not asked for where only those of others are."""

    def asked(model: Model) -> Iterator[Outcome]:
        if not model.apps:
            yield skipped("the repository has neither Parseable nor Vector")
            return
        answer = run(model)
        yield from (answer,) if isinstance(answer, Outcome) else answer

    return asked


def as_note(model: Model, outcome: Outcome) -> Outcome:
    """``outcome`` about somebody else's app: it stops a push only where the whole repository counts."""
    if model.whole_repository or not outcome.stops_push:
        return outcome
    return dataclasses.replace(outcome, status=Status.NOTE)
