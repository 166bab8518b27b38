"""What each command does, between the flags a user types and the runner."""

import getpass
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from checks import registry
from checks.model import Check, Link
from tasks.core.catalogue import CATALOGUE
from tasks.core.changes import Change
from tasks.core.console import Console, error_data, plan_data, progress, task_state, verdict_data
from tasks.core.errors import InterruptedRunError, PlaybookError, SettingsError, StepFailedError
from tasks.core.graph import ancestors, mermaid, order, tree
from tasks.core.outcomes import Status, Verdict
from tasks.core.runner import TaskPlan, carry_out, check_plans, check_prerequisites, make_plans
from tasks.core.settings import Settings
from tasks.effects.git import Commit, Git
from tasks.effects.lock import locked
from tasks.effects.repository import Repository
from tasks.effects.snapshot import snapshot
from tasks.steps import STEPS
from tasks.workspace import NOTHING_SPECIAL, Permissions, Reach, World

CHANGES_PLANNED = 5


@dataclass(frozen=True)
class Options:
    """What the common flags say."""

    yes: bool = False
    as_json: bool = False
    permissions: Permissions = NOTHING_SPECIAL
    reach: Reach = Reach.OFFLINE


def reach(*, offline: bool, online: bool) -> Reach:
    """How far `verify` may go.

    Raises:
        SettingsError: both flags were given.
    """
    if offline and online:
        raise SettingsError("--offline and --online exclude each other", "leave one of them out")
    return Reach.OFFLINE if offline else Reach.ONLINE if online else Reach.CHARTS


def plan(settings: Settings, options: Options) -> int:
    """Show what `all` would do. Returns the exit code: 0 nothing, 5 changes.

    Raises:
        PlaybookError: after the plan is shown, what keeps it from being carried out.
    """
    console = Console(as_json=options.as_json)
    plans = make_plans(STEPS, _world(settings, options, ask=True), order())
    if options.as_json:
        console.write_json({"tasks": [plan_data(item) for item in plans]})
    else:
        console.show_plan(plans)
    with already_reported():
        check_plans(plans)
    return CHANGES_PLANNED if any(item.changes for item in plans) else 0


def run_all(settings: Settings, options: Options) -> None:
    """Plan everything, ask, then apply and prove one task after the other.

    Raises:
        PlaybookError: what refused or failed; a run that is repeated continues there.
    """
    world = _world(settings, options, probe=True, ask=True)
    with _locked(world, "all"):
        _run(world, options, order())


def run_one(settings: Settings, options: Options, task: str, *, with_prerequisites: bool) -> None:
    """Run one task, after its prerequisites have been proved, or with them.

    Raises:
        PrerequisiteError: one of them is not done.
        PlaybookError: what refused or failed.
    """
    world = _world(settings, options, probe=True, ask=True)
    needed = ancestors(task)
    with _locked(world, task.lower()):
        if with_prerequisites:
            _run(world, options, (*needed, task))
            return
        plans = make_plans(STEPS, world, (*needed, task))
        check_prerequisites(plans[:-1], task, lambda name: registry.run(registry.of_task(name), world))
        check_plans(plans[-1:])
        _carry_out(world, options, plans[-1:])


def status(settings: Settings, options: Options) -> None:
    """Show the state of every task as the checks find it."""
    console = Console(as_json=options.as_json)
    world = _world(settings, options)
    plans = make_plans(STEPS, world, order())
    verdicts = {name: registry.run(registry.of_task(name), world) for name in order()}
    if options.as_json:
        console.write_json(_report(plans, verdicts, plans))
    else:
        console.show_status(plans, verdicts)


@dataclass(frozen=True)
class Questions:
    """What `verify` is to answer and how: ``form`` is "text" or "github"."""

    only: str = ""
    task: str = ""
    stage: str = "static"
    form: str = "text"
    strict: bool = False
    whole_repository: bool = False


def verify(settings: Settings, options: Options, asked: Questions) -> None:
    """Answer the Definition of Done and the links between documents, or one item or task of them.

    Raises:
        SettingsError: there is no such item, task, stage or form.
        StepFailedError: an item fails; with ``strict``, or is unknown.
    """
    console = Console(as_json=options.as_json)
    forms = {"text": console.show_verdicts, "github": console.show_annotations}
    if asked.form not in forms:
        raise SettingsError(f"there is no format {asked.form}", f"known: {', '.join(forms)}")
    if asked.stage != "static":
        raise SettingsError(f"there is no stage {asked.stage}", "known: static")
    world = _world(settings, options, probe=True, whole_repository=asked.whole_repository)
    verdicts = registry.link(_chosen_checks(asked.only, asked.task), world)
    if options.as_json:
        console.write_json({"checks": [verdict_data(verdict) for verdict in verdicts]})
    else:
        forms[asked.form](verdicts)
    counted = (Status.FAIL, Status.UNKNOWN) if asked.strict else (Status.FAIL,)
    bad = dict.fromkeys(verdict.id for verdict in verdicts if verdict.outcome.status in counted)
    if bad:
        what = "do not pass" if asked.strict else "fail"
        total = len({verdict.id for verdict in verdicts})
        with already_reported():
            raise StepFailedError(f"{len(bad)} of {total} checks {what}: {', '.join(bad)}")


def graph(*, as_mermaid: bool, as_json: bool) -> None:
    """Show the documented dependencies."""
    console = Console(as_json=as_json)
    if as_json:
        console.write_json({name: list(CATALOGUE[name].needs) for name in order()})
    else:
        console.say(mermaid() if as_mermaid else tree())


@contextmanager
def reported(*, as_json: bool = False) -> Iterator[None]:
    """Turn Ctrl-C into the documented exit code, and an error into the JSON document if nothing else was.

    Raises:
        InterruptedRunError: Ctrl-C was pressed.
        PlaybookError: as it came.
    """
    try:
        try:
            yield
        except KeyboardInterrupt:
            raise InterruptedRunError(
                "interrupted; no file is half written", "run the same again to continue"
            ) from None
    except PlaybookError as error:
        if as_json and not error.is_reported:
            Console(as_json=True).write_json({"error": error_data(error)})
        raise


@contextmanager
def already_reported() -> Iterator[None]:
    """Mark an error whose details the command has written out."""
    try:
        yield
    except PlaybookError as error:
        error.is_reported = True
        raise


def _world(
    settings: Settings,
    options: Options,
    *,
    probe: bool = False,
    ask: bool = False,
    whole_repository: bool = False,
) -> World:
    if not settings.gitops.path:
        raise SettingsError(
            "which GitOps repository?", "give it with --repo PATH, or gitops.path in a file for invoke -f"
        )
    git = Git(Path(settings.gitops.path).expanduser())
    return World(
        settings,
        Repository(git),
        permissions=options.permissions,
        probe=probe,
        reach=options.reach,
        whole_repository=whole_repository,
        ask=getpass.getpass if ask and sys.stdin.isatty() and sys.stderr.isatty() else None,
    )


@contextmanager
def _locked(world: World, command: str) -> Iterator[None]:
    with locked(world.repository.git.directory, f"invoke {command}"):
        yield


def _run(world: World, options: Options, tasks: Iterable[str]) -> None:
    """Plan ``tasks``, ask if there is anything to do, and carry the plan out."""
    plans = make_plans(STEPS, world, tasks)
    check_plans(plans)
    if any(item.changes for item in plans):
        _approve(plans, options)
    _carry_out(world, options, plans)


def _approve(plans: Sequence[TaskPlan], options: Options) -> None:
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise SettingsError(
            "there is no terminal to ask on", "look at invoke plan, then approve it with --yes"
        )
    console = Console()
    console.show_summary(plans)
    console.ask("Do this? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise StepFailedError("not approved; nothing was changed")


def _carry_out(world: World, options: Options, plans: Sequence[TaskPlan]) -> None:
    console = Console(as_json=options.as_json)
    found = carry_out(
        plans,
        world,
        lambda name: registry.run(registry.of_task(name), world),
        lambda change: _before_push(world, change),
        progress=console,
    )
    verdicts: dict[str, list[Verdict]] = {item.spec.id: [] for item in plans}
    for verdict in found:
        verdicts[verdict.task].append(verdict)
    changes = sum(len(item.changes) for item in plans)
    if options.as_json:
        console.write_json(_report([TaskPlan(item.spec) for item in plans], verdicts, plans))
        return
    made = f"{changes} change{'s' if changes != 1 else ''}" if changes else "nothing to change"
    console.say(f"{len(plans)}/{len(plans)} done, {made}")


def _before_push(world: World, change: Change) -> list[Verdict]:
    """The answers for what would be pushed: what is committed and the files of ``change``, nothing else."""
    git = world.repository.git
    with snapshot(git, change.files if isinstance(change, Commit) else ()) as files:
        return registry.link(registry.EVERYTHING, world.with_repository(Repository(git, files)))


def _report(
    plans: Sequence[TaskPlan], verdicts: Mapping[str, Sequence[Verdict]], planned: Sequence[TaskPlan]
) -> dict[str, object]:
    """Tasks as they are now, with the changes that are ``planned``, or were until they were made."""
    tasks = [
        {
            **plan_data(before),
            "state": task_state(now, verdicts[now.spec.id]),
            "checks": [verdict_data(verdict) for verdict in verdicts[now.spec.id]],
        }
        for now, before in zip(plans, planned, strict=True)
    ]
    return {"progress": progress(plans, verdicts), "tasks": tasks}


def _chosen_checks(only: str, task: str) -> list[Check | Link]:
    """The checks that --only and --task name; all of them if neither is given."""
    chosen = list(registry.EVERYTHING)
    if task:
        name = f"TASK-{task.upper().removeprefix('TASK-'):0>3}"
        if name not in CATALOGUE:
            raise SettingsError(f"there is no {name}", f"there are {order()[0]} to {max(CATALOGUE)}")
        chosen = [check for check in chosen if check.task == name]
    if only:
        wanted = {item.strip().upper(): item.strip() for item in only.split(",")}
        known = {check.id.upper() for check in registry.EVERYTHING}
        unknown = [given for name, given in wanted.items() if name not in known]
        if unknown:
            raise SettingsError(
                f"there is no check {', '.join(unknown)}", "invoke verify --json lists them all"
            )
        chosen = [check for check in chosen if check.id.upper() in wanted]
        if not chosen:
            raise SettingsError(f"none of {only} belongs to {task}", "leave one of --only and --task out")
    return chosen
