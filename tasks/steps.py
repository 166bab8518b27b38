"""The eleven tasks as steps: how each finds out what is missing."""

from typing import Any

from tasks.core.catalogue import CATALOGUE
from tasks.core.runner import Step
from tasks.subjects import bucket, git, grafana, secret
from tasks.subjects.apps import APP_FOLDER, CHART_SOURCE, KS, KUSTOMIZATION, RELEASE, App
from tasks.subjects.manifests import app_facts, plan_files
from tasks.subjects.parseable import BUDGET, NAMESPACE, PARSEABLE, RETENTION, SERVICE_MONITOR
from tasks.subjects.vector import CONFIG_MAP, LOGIN_SERVICE, RBAC, VECTOR
from tasks.workspace import Workspace


def _manifests(task: str, app: App, *files: str, keeps_login: bool = False) -> Step[Workspace, Any]:
    """A step that writes files of an app. What it needs of the layout is what their templates name."""
    return Step(
        CATALOGUE[task],
        lambda workspace: app_facts(workspace, app, files, keeps_login=keeps_login),
        plan_files,
    )


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
