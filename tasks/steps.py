"""The eleven task modules by id."""

from typing import Any

from tasks import (
    task_001_bucket,
    task_002_parseable_folder,
    task_003_parseable_release,
    task_004_secret,
    task_005_service_monitor,
    task_006_vector_folder,
    task_007_vector_rbac,
    task_008_vector_config,
    task_009_vector_release,
    task_010_grafana,
    task_011_commit,
)
from tasks.core.runner import Step
from tasks.workspace import Workspace

_MODULES: tuple[Any, ...] = (
    task_001_bucket,
    task_002_parseable_folder,
    task_003_parseable_release,
    task_004_secret,
    task_005_service_monitor,
    task_006_vector_folder,
    task_007_vector_rbac,
    task_008_vector_config,
    task_009_vector_release,
    task_010_grafana,
    task_011_commit,
)

STEPS: dict[str, Step[Workspace]] = {module.SPEC.id: module for module in _MODULES}
