"""The objects that are deployed and those that would be: what HEAD and the planned result render to."""

from collections.abc import Sequence

from tasks.core.errors import PrerequisiteError, RefusedError, UnavailableError
from tasks.core.runner import TaskPlan
from tasks.effects.repository import Repository
from tasks.effects.snapshot import snapshot
from tasks.kube.comparison import Difference, compare
from tasks.kube.resources import Resources
from tasks.model import AnsweredError, Model
from tasks.proof import planned_workspace
from tasks.subjects import message
from tasks.subjects.manifests import APPS
from tasks.workspace import Workspace

# The objects that tell Flux what to do: the plan has their diffs.
_OF_FLUX = ".toolkit.fluxcd.io"


def differences(workspace: Workspace, plans: Sequence[TaskPlan]) -> list[Difference]:
    """What differs in the cluster between what HEAD deploys and what it will be once ``plans`` are done.

    Raises:
        PrerequisiteError: HEAD deploys nothing of ours.
        RefusedError: one of the two cannot be rendered here.
    """
    if message.is_first(workspace):
        raise PrerequisiteError("HEAD deploys neither Parseable nor Vector: nothing to upgrade", "invoke all")
    git = workspace.repository.git
    with snapshot(git, ()) as files:
        before = _objects(workspace.with_repository(Repository(git, files)), "what HEAD deploys")
    with planned_workspace(workspace, plans) as planned:
        after = _objects(planned, "what is planned")
    return compare(before, after)


def _objects(workspace: Workspace, what: str) -> Resources:
    model = Model(workspace)
    try:
        releases = [release for app in APPS for release in model.releases_of(app)]
    except AnsweredError as error:
        reason = error.outcome
        raise UnavailableError(f"{what} cannot be rendered: {reason.evidence}", reason.remedy) from None
    for release in releases:
        if release.error is not None:
            kind = UnavailableError if isinstance(release.error, UnavailableError) else RefusedError
            raise kind(f"{what} cannot be rendered: {release.error.summary}", release.error.hint)
    return Resources(item for item in model.resources.objects if not item.key.group.endswith(_OF_FLUX))
