"""The folders of the two apps: whether a Kustomization that the cluster applies leads to them."""

from checks.links.cluster import cluster
from checks.model import Outcome, failed, passed
from checks.objects import place
from tasks.manifests import app_folder
from tasks.workspace import World


def parseable_is_pointed_at(world: World) -> Outcome | None:
    """DoD-002-03; that the source exists and secrets are decrypted is asked elsewhere."""
    return _pointed_at(world, "parseable", "invoke task-002")


def vector_is_pointed_at(world: World) -> Outcome | None:
    """DoD-006-02."""
    return _pointed_at(world, "vector", "invoke task-006")


def _pointed_at(world: World, app: str, remedy: str) -> Outcome | None:
    folder = app_folder(world, app)
    defined = cluster(world).defining(f"{folder}/ks.yaml")
    if not defined or not (world.repository.root / folder / "app").is_dir():
        return None
    for item in defined:
        if item.folder == f"{folder}/app":
            return passed(f"Kustomization {item.key[1]} applies {folder}/app")
    item = defined[0]
    return failed(
        f"Kustomization {item.key[1]} applies {item.folder}, not {folder}/app",
        "Flux would not apply what is in it",
        remedy,
        place(world, item.path, item.data, "spec", "path"),
    )
