"""TASK-010: the Parseable plugin, data source and its credentials in the user's own Grafana HelmRelease."""

from collections.abc import Iterator

from tasks.core.catalogue import CATALOGUE
from tasks.core.changes import Change
from tasks.shared_files import SharedFile, grafana_file
from tasks.workspace import World

SPEC = CATALOGUE["TASK-010"]


def facts(world: World) -> SharedFile:
    """Read the HelmRelease of Grafana.

    Raises:
        RefusedError: the repository has no Grafana, several, or one in another namespace.
    """
    return grafana_file(world)


def plan(world: World, found: SharedFile) -> Iterator[Change]:
    """Insert what is missing and correct what is different; every other byte stays.

    Raises:
        RefusedError: the file has edits that are not committed, or cannot be edited safely.
    """
    change = found.change(world)
    if change is not None:
        found.needs_commit(world)
        yield change
