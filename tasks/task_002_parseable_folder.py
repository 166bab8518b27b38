"""TASK-002: the folder of Parseable with its ks.yaml and an app/ folder that is ready for files."""

from collections.abc import Iterator

from tasks.core.catalogue import CATALOGUE
from tasks.core.changes import Change
from tasks.flux.layout import need_all
from tasks.manifests import FolderFacts, folder_facts, plan_folder
from tasks.workspace import Workspace

SPEC = CATALOGUE["TASK-002"]


def facts(workspace: Workspace) -> FolderFacts:
    """The state of the folder and its ks.yaml.

    Raises:
        RefusedError: the repository shows no folder of apps or no Flux source, or the folder is not ours.
    """
    need_all(workspace.layout.apps, workspace.layout.source)
    return folder_facts(workspace, "parseable")


def plan(workspace: Workspace, found: FolderFacts) -> Iterator[Change]:
    """Make what is missing; write ks.yaml where it says something else."""
    return plan_folder(workspace, found)
