"""What each command does, between the flags a user types and the runner."""

import getpass
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from types import MappingProxyType

from checks import registry
from checks.model import judge
from tasks import proof
from tasks.closing.ending import Ending
from tasks.core.catalogue import CATALOGUE
from tasks.core.console import Console, plan_data, progress, rendered, task_state, verdict_data
from tasks.core.errors import (
    PlaybookError,
    SettingsError,
    StepFailedError,
)
from tasks.core.graph import ancestors, mermaid, order, tree
from tasks.core.outcomes import Verdict
from tasks.core.reporting import already_reported
from tasks.core.runner import (
    TaskPlan,
    carry_out,
    check_planned,
    check_plans,
    check_prerequisites,
    make_plans,
)
from tasks.core.settings import FILE, Settings
from tasks.effects import pager
from tasks.effects.files import expanded, read_text
from tasks.effects.git import Commit, Git, Push
from tasks.effects.lock import locked
from tasks.effects.repository import Repository
from tasks.model import Model, Stage
from tasks.setup import after, doctor
from tasks.setup.evidence import Finding
from tasks.setup.init import draft, parsed, write
from tasks.steps import STEPS
from tasks.subjects import message
from tasks.upgrade import planned as upgrading
from tasks.verifying import answers, arrival, rights
from tasks.verifying.trial import NO_TRIAL, Trial
from tasks.workspace import NOTHING_SPECIAL, Network, Permissions, Workspace

CHANGES_PLANNED = 5


@dataclass(frozen=True)
class Options:
    """What the common flags say."""

    yes: bool = False
    as_json: bool = False
    permissions: Permissions = NOTHING_SPECIAL
    network: Network = Network.OFFLINE
    may_read_logins: bool = False


def network(*, offline: bool, online: bool) -> Network:
    """How far `verify` may go.

    Raises:
        SettingsError: both flags were given.
    """
    if offline and online:
        raise SettingsError("--offline and --online exclude each other", "leave one of them out")
    return Network.OFFLINE if offline else Network.ONLINE if online else Network.CHARTS


def plan(settings: Settings, options: Options) -> int:
    """Show what `all` would do. Returns the exit code: 0 nothing, 5 changes.

    Raises:
        PlaybookError: after the plan is shown, what keeps it from being carried out.
    """
    workspace = _workspace(settings, options, ask=True)
    return _show(workspace, make_plans(STEPS, workspace, order()), (), options)


def plan_one(settings: Settings, options: Options, task: str, *, with_prerequisites: bool) -> int:
    """Show what `run_one` would do. Returns the exit code, as `plan` does.

    Raises:
        PrerequisiteError: one of the task's prerequisites is not done.
        PlaybookError: after the plan is shown, what keeps it from being carried out.
    """
    workspace = _workspace(settings, options, ask=True)
    plans, beside = _plans_of_one(workspace, task, with_prerequisites=with_prerequisites)
    return _show(workspace, plans, beside, options)


def _plans_of_one(
    workspace: Workspace, task: str, *, with_prerequisites: bool
) -> tuple[list[TaskPlan], list[TaskPlan]]:
    """The plan of one task, whose prerequisites are done, or also those of its prerequisites; all others."""
    made = make_plans(STEPS, workspace, proof.tasks_beside(task))
    number = len(ancestors(task))
    if with_prerequisites:
        return made[: number + 1], made[number + 1 :]
    check_prerequisites(made[:number], task, lambda name: _written(name, workspace))
    return [made[number]], [*made[:number], *made[number + 1 :]]


def _show(
    workspace: Workspace, plans: Sequence[TaskPlan], beside: Sequence[TaskPlan], options: Options
) -> int:
    """Show ``plans``; the exit code says whether they change anything."""
    console = Console(as_json=options.as_json)
    is_possible = not any(item.error for item in plans)
    refused = [
        verdict
        for verdict in (proof.of_plans(workspace, plans, beside) if is_possible else ())
        if verdict.outcome.stops_push
    ]
    if options.as_json:
        tasks = [plan_data(item) for item in plans]
        console.write_json({"tasks": tasks, "refused": [verdict_data(verdict) for verdict in refused]})
    else:
        pager.show(rendered(lambda: console.show_plan(plans)))
    with already_reported():
        check_plans(plans)
        check_planned(refused)
    return CHANGES_PLANNED if any(item.changes for item in plans) else 0


def run_all(settings: Settings, options: Options) -> None:
    """Plan everything, ask, then apply and prove one task after the other.

    Raises:
        PlaybookError: what refused or failed; a run that is repeated continues there.
    """
    workspace = _workspace(settings, options, probe=True, ask=True)
    with _locked(workspace, "all"):
        _run(workspace, options, make_plans(STEPS, workspace, order()), ())


def run_one(settings: Settings, options: Options, task: str, *, with_prerequisites: bool) -> None:
    """Run one task, after its prerequisites have been proved, or with them.

    Raises:
        PrerequisiteError: one of them is not done.
        PlaybookError: what refused or failed.
    """
    workspace = _workspace(settings, options, probe=True, ask=True)
    with _locked(workspace, task.lower()):
        plans, beside = _plans_of_one(workspace, task, with_prerequisites=with_prerequisites)
        _run(workspace, options, plans, beside, ask=with_prerequisites)


def end(
    settings: Settings,
    options: Options,
    command: str,
    planned: Callable[[Workspace], Ending],
    *,
    is_dry: bool,
) -> int:
    """Do what a ``command`` that ends a rollout has ``planned``, after asking, or show it.

    Returns the exit code, as `plan` does.

    Raises:
        PlaybookError: what refused.
    """
    workspace = _workspace(settings, options)
    console = Console(as_json=options.as_json)
    if is_dry:
        found = planned(workspace)
        found.show(console)
        return 0 if found.is_empty else CHANGES_PLANNED
    with _locked(workspace, command):
        found = planned(workspace)
        if not found.is_empty:
            said = Console()
            _confirm(
                options, f"invoke --dry {command}", lambda: found.summarise(said), lambda: found.show(said)
            )
            found.carry_out(console)
        found.report(console)
    return 0


def upgrade(settings: Settings, options: Options, *, is_dry: bool) -> int:
    """Show what the settings change in the cluster, and how it is done; commit and push it, or only show it.

    Returns the exit code, as `plan` does.

    Raises:
        PrerequisiteError: nothing is deployed yet.
        PlaybookError: what refused or failed; a run that is repeated continues there.
    """
    workspace = _workspace(settings, options, probe=not is_dry, ask=True)
    console = Console(as_json=options.as_json)
    with nullcontext() if is_dry else _locked(workspace, "upgrade"):
        plans = make_plans(STEPS, workspace, order())
        check_plans(plans)
        check_planned(proof.of_plans(workspace, plans, ()))
        found = upgrading.planned(workspace, plans)
        if is_dry or not found.differences:
            found.show(console)
            return CHANGES_PLANNED if found.differences else 0
        said = Console()
        if options.yes:
            found.summarise(said)
        _confirm(
            options, "invoke --dry upgrade", lambda: found.summarise(said), lambda: said.show_plan(plans)
        )
        workspace.refresh()
        _carry_out(workspace, options, found.plans, found.data())
        for line in () if options.as_json else found.committed(workspace).rest():
            console.say(line)
    return 0


def status(settings: Settings, options: Options) -> None:
    """Show the state of every task as the checks find it."""
    console = Console(as_json=options.as_json)
    workspace = _workspace(settings, options)
    plans = make_plans(STEPS, workspace, order())
    found = judge([check for check in registry.CHECKS.values() if check.is_item], Model(workspace))
    verdicts = {name: [verdict for verdict in found if verdict.task == name] for name in order()}
    if options.as_json:
        console.write_json(_report(plans, verdicts, plans))
    else:
        console.show_status(plans, verdicts)


def verify(
    settings: Settings,
    options: Options,
    asked: answers.Questions,
    trial: Trial = NO_TRIAL,
    *,
    probe: bool = True,
) -> None:
    """Answer the Definition of Done and the links between documents, or one item or task of them.

    ``trial`` is what is to be done in the cluster before; ``probe`` says whether an object may be written to
    the bucket, and deleted again.

    Raises:
        PlaybookError: see ``tasks.verifying.answers.verify``.
    """
    workspace = _workspace(settings, options, probe=probe)
    try:
        answers.verify(workspace, asked, trial, as_json=options.as_json)
    finally:
        workspace.close()


def print_rbac(settings: Settings, options: Options) -> None:
    """Show the least rights with which `verify` can look at the running cluster."""
    text = rights.reader(_workspace(settings, options))
    console = Console(as_json=options.as_json)
    if options.as_json:
        console.write_json({"rbac": text})
    else:
        console.say(text.rstrip("\n"), is_literal=True)


def graph(*, as_mermaid: bool, as_json: bool) -> None:
    """Show the documented dependencies."""
    console = Console(as_json=as_json)
    if as_json:
        console.write_json({name: list(CATALOGUE[name].needs) for name in order()})
    else:
        console.say(mermaid() if as_mermaid else tree())


def init(settings: Settings, options: Options, pairs: Iterable[str]) -> None:
    """Write the settings file of the repository, after asking for what it does not show.

    Raises:
        SettingsError: something needed is neither found nor given, or the file is there already.
        RefusedError: the repository cannot be read, or the file not be written.
    """
    console = Console(as_json=options.as_json)
    workspace = _workspace(settings, options)
    can_ask = _is_answered() and not options.as_json
    is_there = read_text(workspace.repository.root, FILE) is not None
    if is_there and not options.permissions.force and not (can_ask and _agreed(f"overwrite {FILE}?")):
        raise SettingsError(f"there is a {FILE} already", "edit it, or overwrite it with --force")
    made = draft(workspace, parsed(pairs), _ask_for if can_ask else None)
    write(workspace, FILE, made.text)
    if options.as_json:
        console.write_json(made.data(FILE))
        return
    for line in made.lines():
        console.say(line)
    if made.missing:
        console.say(f"wrote {FILE}; {', '.join(item.key for item in made.missing)}: not known yet")
        console.say("set them there, then: invoke plan")
    else:
        console.say(f"wrote {FILE}; look at it, commit it, and go on with: invoke plan")


def _ask_for(finding: Finding) -> str:
    """Ask the user for one setting; empty if it is to be left open."""
    console = Console()
    console.note(f"{finding.key}: {finding.why}", style="bold")
    for item in finding.candidates:
        console.note(f"    considered {item.value}: {item.why_not}")
    if finding.hint:
        console.note(f"    {finding.hint}")
    console.ask(f"{finding.key} (Enter leaves it open): ")
    return sys.stdin.readline()


def examine(load: Callable[[], Settings], options: Options, version: str) -> bool:
    """Show what this machine and the repository have and lack; returns whether something needed is missing.

    ``load`` reads the settings, which may be what is wrong.
    """
    console = Console(as_json=options.as_json)
    parts: list[doctor.Part] = []

    def tell(more: Iterable[doctor.Part]) -> None:
        for part in more:
            parts.append(part)
            for line in () if options.as_json else part.lines():
                console.say(line, style=_DOCTOR_STYLES[part.state])

    plans: list[TaskPlan] = []
    try:
        workspace = _workspace(load(), options)
    except (PlaybookError, OSError) as error:
        tell([*doctor.examine_machine(version), doctor.not_found(error)])
    else:
        tell(doctor.examine_machine(version, encrypts=workspace.settings.secret.manage == "sops"))
        tell(doctor.examine_repository(workspace))
        with suppress(PlaybookError, OSError):  # what is wrong has been told by now
            plans = make_plans(STEPS, workspace, order())
    if options.as_json:
        tasks = [doctor.task_data(plan) for plan in plans]
        console.write_json({"parts": [part.data() for part in parts], "tasks": tasks})
    else:
        for line in doctor.task_lines(plans):
            console.say(line)
    return any(part.state is doctor.State.MISSING for part in parts)


_DOCTOR_STYLES = {doctor.State.OK: "", doctor.State.MISSING: "red", doctor.State.OPTIONAL: "magenta"}


def settings_schema() -> None:
    """Show the schema of a settings file."""
    from tasks.core import schema

    Console(as_json=True).write_json(schema.settings_schema())


def _workspace(
    settings: Settings,
    options: Options,
    *,
    probe: bool = False,
    ask: bool = False,
) -> Workspace:
    git = Git(expanded(settings.gitops.path))
    return Workspace(
        settings,
        Repository(git),
        permissions=options.permissions,
        probe=probe,
        network=options.network,
        ask=getpass.getpass if ask and _is_answered() else None,
        may_read_logins=options.may_read_logins,
    )


def _is_answered() -> bool:
    """Whether there is somebody to answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _agreed(question: str) -> bool:
    Console().ask(f"{question} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@contextmanager
def _locked(workspace: Workspace, command: str) -> Iterator[None]:
    with locked(workspace.repository.git.directory, f"invoke {command}"):
        yield


def _run(
    workspace: Workspace,
    options: Options,
    plans: Sequence[TaskPlan],
    beside: Sequence[TaskPlan],
    *,
    ask: bool = True,
) -> None:
    """Carry ``plans`` out if their result may be pushed, after asking if there is anything to do."""
    check_plans(plans)
    if not proof.is_proved_at_once(plans):
        check_planned(proof.of_plans(workspace, plans, beside))
    if any(item.changes for item in plans):
        if ask:
            _approve(plans, options)
        workspace.refresh()
    _carry_out(workspace, options, plans)


def _approve(plans: Sequence[TaskPlan], options: Options) -> None:
    console = Console()
    _confirm(options, "invoke plan", lambda: console.show_summary(plans), lambda: console.show_plan(plans))


def _confirm(options: Options, review: str, summarise: Callable[[], None], show: Callable[[], None]) -> None:
    """Have the user agree to what ``summarise`` tells of; ``show`` writes it out with the diffs.

    Raises:
        SettingsError: there is nobody to ask.
        StepFailedError: the answer was no.
    """
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise SettingsError(
            "confirmation needed, but this is not a terminal",
            f"review `{review}`, then run again with --yes",
        )
    console = Console()
    summarise()
    console.ask("Do this? [y/N, d shows the diffs] ")
    while (answer := sys.stdin.readline().strip().lower()) in ("d", "diff"):
        pager.show(rendered(show))
        console.ask("Do this? [y/N, d shows the diffs] ")
    if answer not in ("y", "yes"):
        raise StepFailedError("not approved; nothing was changed")


def _carry_out(
    workspace: Workspace,
    options: Options,
    plans: Sequence[TaskPlan],
    also: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Do what is planned, and tell of it; ``also`` goes into the JSON document."""
    console = Console(as_json=options.as_json)
    commits, pushes = (
        [change for item in plans for change in item.changes if isinstance(change, kind)]
        for kind in (Commit, Push)
    )
    is_first = bool(commits) and message.is_first(workspace)
    # Where nothing changes, what was read for one task holds for the next.
    unchanged = None if any(item.changes for item in plans) else Model(workspace, Stage.WRITTEN)
    found = carry_out(
        plans,
        workspace,
        lambda name: _written(name, workspace, unchanged),
        lambda change: proof.before_push(workspace, change),
        progress=console,
    )
    verdicts: dict[str, list[Verdict]] = {item.spec.id: [] for item in plans}
    for verdict in found:
        verdicts[verdict.task].append(verdict)
    changes = sum(len(item.changes) for item in plans)
    if options.as_json:
        now = [TaskPlan(item.spec, skipped=item.skipped, is_open=item.is_open) for item in plans]
        console.write_json({**_report(now, verdicts, plans), **also})
        return
    made = f"{changes} change{'s' if changes != 1 else ''}" if changes else "nothing to change"
    asked = sum(not item.skipped for item in plans)
    more = f", {len(plans) - asked} not asked for" if asked < len(plans) else ""
    still_open = [item.spec.id for item in plans if item.is_open]
    more += f", {', '.join(still_open)} not known" if still_open else ""
    console.say(f"{asked - len(still_open)}/{asked} done, {made}{more}")
    for change in (*commits, *pushes):
        console.say(f"    {change.summary}")
    for line in after.next_steps(workspace, is_pushed=bool(pushes)) if is_first else ():
        console.say(line)
    if pushes:
        arrival.offer(workspace, console, can_ask=_is_answered())


def _written(task: str, workspace: Workspace, known: Model | None = None) -> list[Verdict]:
    """The answers for one task from what is written: the charts are rendered once, before the commit."""
    return judge(registry.of_task(task), known or Model(workspace, Stage.WRITTEN))


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
