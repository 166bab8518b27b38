"""What `verify` changes in the cluster, and only where that is asked for: a load of lines, the retention."""

from dataclasses import dataclass

from tasks.core.console import Console
from tasks.core.errors import StepFailedError
from tasks.live import load
from tasks.live.deployed import Deployed
from tasks.live.load import Plan, Report
from tasks.live.parseable import NoStreamError
from tasks.subjects.parseable import retention_days
from tasks.verifying.asking import confirm
from tasks.workspace import Workspace


@dataclass(frozen=True)
class Trial:
    """What is asked for: a load as (lines a second, seconds), and whether the retention is to be set.

    ``reconcile``: Flux is asked to look now. ``yes`` leaves the questions out; ``is_dry`` says what would be
    done, and does nothing.
    """

    load: tuple[int, int] | None = None
    fix: bool = False
    reconcile: bool = False
    yes: bool = False
    is_dry: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be changed at Parseable."""
        return self.load is None and not self.fix


NO_TRIAL = Trial()


def carry_out(workspace: Workspace, trial: Trial) -> Report | None:
    """Show where and what, ask, and do it; returns what came of the load.

    Raises:
        SettingsError: it has to be confirmed, and there is no terminal.
        StepFailedError: it was not approved, or there is no stream whose retention could be set.
        ClusterError: the cluster refused.
        ServiceError: Parseable did not answer.
    """
    if trial.is_empty:
        return None
    console, deployed = Console(), Deployed(workspace)
    settings, namespace = workspace.settings, workspace.layout.namespace
    days = _days_to_set(deployed, retention_days(settings.s3)) if trial.fix else None
    plan = Plan(*trial.load, namespace, settings.cluster.load_image) if trial.load else None
    stream = settings.parseable.stream
    steps = []
    if days is not None:
        steps.append(f"set the retention of stream {stream} to {days} days")
    if plan is not None:
        steps.append(
            f"write {plan.total:,} lines, {plan.rate:,} a second, by Job {plan.name} ({plan.image}); the Job "
            f"is deleted, the lines stay in stream {stream} until they expire"
        )
    if trial.fix and days is None:
        console.note(f"the retention of stream {stream} is set as it should be")
    if not steps:
        return None
    confirm(workspace.kubectl, namespace, steps, yes=trial.yes, is_dry=trial.is_dry)
    if trial.is_dry:
        return None
    if days is not None:
        deployed.parseable.set_retention(days)
        console.note(f"the retention of stream {stream} is {days} days now")
    if plan is None:
        return None
    return load.run(workspace.kubectl, deployed.parseable, plan, console.note)


def _days_to_set(deployed: Deployed, wanted: int) -> int | None:
    """The days of the retention; None if they are set already."""
    try:
        return None if deployed.retention_days() == wanted else wanted
    except NoStreamError as error:
        raise StepFailedError(
            f"{error.summary}, so there is no retention to set", "invoke verify --only DoD-008-03"
        ) from None
