"""TASK-009: Vector's HelmRelease as a DaemonSet, with its kustomization and ks.yaml."""

from collections.abc import Iterator, Sequence

from tasks.core.catalogue import CATALOGUE
from tasks.core.changes import Change
from tasks.flux.layout import need_all
from tasks.manifests import ManifestFacts, app_facts, plan_files
from tasks.workspace import Workspace

SPEC = CATALOGUE["TASK-009"]


def facts(workspace: Workspace) -> list[ManifestFacts]:
    """The state of the files.

    Raises:
        RefusedError: the repository does not show where apps or charts are, or the folder is not ours.
    """
    need_all(workspace.layout.apps, workspace.layout.source, workspace.layout.vector_charts)
    return app_facts(workspace, "vector", ("ks.yaml", "app/kustomization.yaml", "app/helmrelease.yaml"))


def plan(workspace: Workspace, found: Sequence[ManifestFacts]) -> Iterator[Change]:
    """Write each file that is missing or says something else."""
    return plan_files(workspace, found)
