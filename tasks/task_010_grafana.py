"""TASK-010: the Parseable plugin, data source and its credentials in the user's own Grafana HelmRelease."""

from collections.abc import Iterator

from tasks.core.catalogue import CATALOGUE
from tasks.core.changes import Change
from tasks.shared_files import SharedFile, grafana_file
from tasks.workspace import Workspace

SPEC = CATALOGUE["TASK-010"]


def facts(workspace: Workspace) -> SharedFile:
    """Read the HelmRelease of Grafana.

    Raises:
        RefusedError: the repository has no Grafana, several, or one in another namespace.
    """
    return grafana_file(workspace)


def plan(workspace: Workspace, found: SharedFile) -> Iterator[Change]:
    """Insert what is missing and correct what is different; every other byte stays.

    Raises:
        RefusedError: the file has edits that are not committed, or cannot be edited safely.
    """
    change = found.change(workspace)
    if change is not None:
        found.needs_commit(workspace)
        yield change
