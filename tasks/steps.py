"""The eleven tasks as steps: how each finds out what is missing."""

from collections.abc import Iterator
from typing import Any

from tasks.core.catalogue import CATALOGUE
from tasks.core.changes import Remark
from tasks.core.runner import Step
from tasks.effects.files import WriteFile
from tasks.subjects import bucket, git, grafana, secret
from tasks.subjects.apps import APP_FOLDER, CHART_SOURCE, KS, KUSTOMIZATION, RELEASE, App
from tasks.subjects.manifests import app_facts, plan_files
from tasks.subjects.message import version_changes
from tasks.subjects.parseable import BUDGET, NAMESPACE, PARSEABLE, RETENTION, SERVICE_MONITOR
from tasks.subjects.vector import CONFIG_MAP, LOGIN_SERVICE, RBAC, VECTOR
from tasks.workspace import Workspace


def _manifests(task: str, app: App, *files: str, keeps_login: bool = False) -> Step[Workspace, Any]:
    """A step that writes files of an app. What it needs of the layout is what their templates name."""
    return Step(
        CATALOGUE[task],
        lambda workspace: app_facts(workspace, app, files, keeps_login=keeps_login),
        _plan,
    )


def _plan(workspace: Workspace, found: Any) -> Iterator[Any]:
    """The files, and where to see what another version of a chart or an image changes in the cluster."""
    for change in plan_files(workspace, found):
        yield change
        if isinstance(change, WriteFile) and change.before is not None:
            told = version_changes(workspace, change.before, change.after)
            if told:
                yield Remark(f"{', '.join(told)}: invoke upgrade shows what that changes in the cluster")


_STEPS: tuple[Step[Workspace, Any], ...] = (
    Step(CATALOGUE["TASK-001"], bucket.facts, bucket.plan),
    _manifests("TASK-002", PARSEABLE, APP_FOLDER, KS),
    _manifests(
        "TASK-003",
        PARSEABLE,
        *(KS, KUSTOMIZATION, NAMESPACE, CHART_SOURCE, RELEASE, BUDGET, RETENTION),
        keeps_login=True,
    ),
    Step(CATALOGUE["TASK-004"], secret.facts, secret.plan, secret.ahead),
    _manifests("TASK-005", PARSEABLE, SERVICE_MONITOR),
    _manifests("TASK-006", VECTOR, APP_FOLDER, KS),
    _manifests("TASK-007", VECTOR, RBAC),
    _manifests("TASK-008", VECTOR, CONFIG_MAP, LOGIN_SERVICE),
    _manifests("TASK-009", VECTOR, KS, KUSTOMIZATION, CHART_SOURCE, RELEASE),
    Step(CATALOGUE["TASK-010"], grafana.facts, grafana.plan),
    Step(CATALOGUE["TASK-011"], git.facts, git.plan),
)

STEPS = {step.spec.id: step for step in _STEPS}
