"""TASK-008: the ConfigMap with Vector's pipeline: pod logs in, Parseable out."""

from collections.abc import Iterator, Sequence

from tasks.core.catalogue import CATALOGUE
from tasks.core.changes import Change
from tasks.flux.layout import need_all
from tasks.manifests import ManifestFacts, app_facts, plan_files
from tasks.workspace import Workspace

SPEC = CATALOGUE["TASK-008"]


def facts(workspace: Workspace) -> list[ManifestFacts]:
    """The state of the files.

    Raises:
        RefusedError: the repository does not show where apps are, or the folder is not ours.
    """
    need_all(workspace.layout.apps)
    return app_facts(workspace, "vector", ("app/configmap.yaml",))


def plan(workspace: Workspace, found: Sequence[ManifestFacts]) -> Iterator[Change]:
    """Write each file that is missing or says something else."""
    return plan_files(workspace, found)
