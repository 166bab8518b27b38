"""TASK-008: the ConfigMap with Vector's pipeline: pod logs in, Parseable out."""

from collections.abc import Iterator, Sequence

from tasks.core.catalogue import CATALOGUE
from tasks.core.changes import Change
from tasks.flux.layout import need_all
from tasks.manifests import ManifestFacts, app_facts, plan_files
from tasks.workspace import World

SPEC = CATALOGUE["TASK-008"]


def facts(world: World) -> list[ManifestFacts]:
    """The state of the files.

    Raises:
        RefusedError: the repository does not show where apps are, or the folder is not ours.
    """
    need_all(world.layout.apps)
    return app_facts(world, "vector", ("app/configmap.yaml",))


def plan(world: World, found: Sequence[ManifestFacts]) -> Iterator[Change]:
    """Write each file that is missing or says something else."""
    return plan_files(world, found)
