"""The answers of the checks, as far as they are asked for: from the repository, or also from the cluster."""

from dataclasses import dataclass

from checks import registry
from checks.model import Check, judge, judge_live
from tasks.core.catalogue import CATALOGUE
from tasks.core.console import Console, rendered, verdict_data
from tasks.core.errors import RefusedError, SettingsError, StepFailedError, UnavailableError
from tasks.core.graph import order
from tasks.core.outcomes import Outcome, Status, Verdict
from tasks.core.reporting import already_reported
from tasks.effects import pager
from tasks.effects.kubectl import ClusterError, NoContextError
from tasks.flux.missing import MissingError
from tasks.live.wanting import pushed
from tasks.model import AnsweredError, Model, Stage
from tasks.subjects.apps import KS
from tasks.subjects.manifests import APPS
from tasks.verifying.reconciling import reconcile
from tasks.verifying.trial import Trial, carry_out
from tasks.verifying.waiting import seconds_of, wait
from tasks.workspace import Network, Workspace

_STAGES = {
    "written": Stage.WRITTEN,
    "built": Stage.BUILT,
    "rendered": Stage.RENDERED,
    "static": Stage.RENDERED,
    "live": Stage.LIVE,
}


@dataclass(frozen=True)
class Questions:
    """What `verify` is to answer and how: ``form`` is "text" or "github"; ``stage`` empty means all.

    ``wait`` is how long to wait first until what was pushed runs; empty: not at all.
    """

    only: str = ""
    task: str = ""
    stage: str = ""
    form: str = "text"
    strict: bool = False
    whole_repository: bool = False
    wait: str = ""


def verify(workspace: Workspace, asked: Questions, trial: Trial, *, as_json: bool) -> None:
    """Answer the Definition of Done and the links between documents, or one item or task of them.

    What ``trial`` asks for is done in the cluster before, unless something that is waited for has not come.

    Raises:
        SettingsError: there is no such item, task, stage or form.
        ClusterError: the cluster is to be asked, and it is not known which.
        StepFailedError: an item fails; with ``strict``, or is unknown; or what was waited for has not come.
    """
    console = Console(as_json=as_json)
    is_live = asked.stage == "live"
    # What runs in the cluster is no prediction: what was found is told where it is good news, too.
    forms = {
        "text": lambda found: console.show_verdicts(found, passes=is_live),
        "github": console.show_annotations,
    }
    if asked.form not in forms:
        raise SettingsError(f"there is no format {asked.form}", f"known: {', '.join(forms)}")
    checks = chosen_checks(asked.only, asked.task)
    stage = _stage(asked.stage, workspace, is_needed=bool(asked.wait) or not trial.is_empty)
    if is_live:
        checks = [check for check in checks if check.live is not None]
        if not checks:
            raise SettingsError("the running cluster answers none of these", "leave --stage out")
    if (trial.reconcile or not trial.is_empty) and stage < Stage.LIVE:
        raise SettingsError("there is no running cluster to change", "set cluster.context, or leave it out")
    if stage is Stage.LIVE:
        # Whose answers these are: the current context may be another one than was meant.
        kubectl = workspace.kubectl
        console.note(f"asking the cluster of context {kubectl.context or '(this pod)'}, {kubectl.server}")
    model = Model(workspace, stage, whole_repository=asked.whole_repository)
    late = _arrived(asked, trial, model)
    if late is None:
        model.load = carry_out(workspace, trial)
    verdicts = judge_live(checks, model) if is_live else judge(checks, model)
    if as_json:
        console.write_json({"checks": [verdict_data(verdict) for verdict in verdicts]})
    else:
        pager.show(rendered(lambda: forms[asked.form](verdicts)))
    if late is not None:
        with already_reported():
            raise late
    _end(verdicts, asked)


def _arrived(asked: Questions, trial: Trial, model: Model) -> StepFailedError | None:
    """Have Flux look, and wait, as far as asked for; the error of what has not come in time, or None."""
    if not asked.wait and not trial.reconcile:
        return None
    seconds = seconds_of(asked.wait) if asked.wait else 0.0
    if asked.stage not in ("", "live"):
        raise SettingsError(
            f"nothing is waited for at the stage {asked.stage}", "leave out --wait or --stage"
        )
    model.workspace.kubectl.arguments()  # or it is told which cluster is lacking
    try:
        live = model.live
    except AnsweredError as error:
        raise RefusedError(
            f"not known what to wait for: {error.outcome.evidence}", error.outcome.remedy
        ) from None
    if trial.reconcile:
        reconcile(live, yes=trial.yes, is_dry=trial.is_dry)
        live.look_again()
    return wait(live, seconds) if seconds and not trial.is_dry else None


def _end(verdicts: list[Verdict], asked: Questions) -> None:
    counted = [verdict for verdict in verdicts if _counts(verdict.outcome, asked)]
    bad = dict.fromkeys(verdict.id for verdict in counted)
    if bad:
        is_plain = all(verdict.outcome.status is Status.FAIL for verdict in counted)
        what = "fail" if is_plain else "do not pass" if asked.strict else "stop a push"
        total = len({verdict.id for verdict in verdicts})
        with already_reported():
            raise StepFailedError(f"{len(bad)} of {total} checks {what}: {', '.join(bad)}")


def _counts(outcome: Outcome, asked: Questions) -> bool:
    """Whether an answer makes `verify` fail: failures, what stops a push, and if ``strict`` all unknowns."""
    is_failed = outcome.stops_push or outcome.status is Status.FAIL
    return is_failed or (asked.strict and outcome.status is Status.UNKNOWN)


def _stage(name: str, workspace: Workspace, *, is_needed: bool) -> Stage:
    """How far the answers go; without a name as far as they can, or as far as ``is_needed`` for the rest."""
    if name not in ("", *_STAGES):
        raise SettingsError(f"there is no stage {name}", f"known: {', '.join(_STAGES)}")
    if name == "live":
        workspace.kubectl.arguments()  # or it is told which cluster is lacking
    if name:
        return _STAGES[name]
    if not has_cluster(workspace):
        return Stage.RENDERED
    if is_needed or _is_pushed(workspace):
        return Stage.LIVE
    Console().note("the rollout is not pushed yet, so the cluster is not asked (--stage live asks it)")
    return Stage.RENDERED


def _is_pushed(workspace: Workspace) -> bool:
    """Whether what was pushed has an app of ours; also where that is not known, which the answers tell."""
    git = workspace.repository.git
    try:
        _, commit = pushed(git, workspace.settings.gitops.remote)
        return any(git.has(commit, app.path(workspace, KS)) for app in APPS)
    except (ClusterError, MissingError):
        return True


def has_cluster(workspace: Workspace) -> bool:
    """Whether there is a cluster that may be asked: not so where there is no kubeconfig, or no kubectl."""
    if workspace.network is Network.OFFLINE:
        return False
    try:
        workspace.kubectl.arguments()
    except NoContextError:
        return False
    except ClusterError as error:
        raise ClusterError(error.summary, f"{error.hint}; or leave the cluster out: --stage static") from None
    except UnavailableError:
        return False
    return True


def chosen_checks(only: str, task: str) -> list[Check]:
    """The checks that --only and --task name; all of them if neither is given.

    Raises:
        SettingsError: there is no such check or task.
    """
    chosen = list(registry.CHECKS.values())
    if task:
        name = f"TASK-{task.upper().removeprefix('TASK-'):0>3}"
        if name not in CATALOGUE:
            raise SettingsError(f"there is no {name}", f"there are {order()[0]} to {max(CATALOGUE)}")
        chosen = [check for check in chosen if check.task == name]
    if only:
        wanted = {item.strip().upper(): item.strip() for item in only.split(",")}
        known = {check.id.upper() for check in registry.CHECKS.values()}
        unknown = [given for name, given in wanted.items() if name not in known]
        if unknown:
            raise SettingsError(
                f"there is no check {', '.join(unknown)}", "invoke verify --json lists them all"
            )
        chosen = [check for check in chosen if check.id.upper() in wanted]
        if not chosen:
            raise SettingsError(f"none of {only} belongs to {task}", "leave one of --only and --task out")
    return chosen
