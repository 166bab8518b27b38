"""The folders of the two apps: whether a Kustomization that the cluster applies leads to them."""

from checks.links.cluster import cluster
from checks.model import Outcome, failed, passed
from checks.objects import place
from tasks.subjects.apps import App
from tasks.subjects.parseable import PARSEABLE
from tasks.subjects.vector import VECTOR
from tasks.workspace import Workspace


def parseable_is_pointed_at(workspace: Workspace) -> Outcome | None:
    """DoD-002-03; that the source exists and secrets are decrypted is asked elsewhere."""
    return _pointed_at(workspace, PARSEABLE, "invoke task-002")


def vector_is_pointed_at(workspace: Workspace) -> Outcome | None:
    """DoD-006-02."""
    return _pointed_at(workspace, VECTOR, "invoke task-006")


def _pointed_at(workspace: Workspace, app: App, remedy: str) -> Outcome | None:
    folder = app.folder(workspace)
    defined = cluster(workspace).defining(f"{folder}/ks.yaml")
    if not defined or not (workspace.repository.root / folder / "app").is_dir():
        return None
    for item in defined:
        if item.folder == f"{folder}/app":
            return passed(f"Kustomization {item.key[1]} applies {folder}/app")
    item = defined[0]
    return failed(
        f"Kustomization {item.key[1]} applies {item.folder}, not {folder}/app",
        "Flux would not apply what is in it",
        remedy,
        place(workspace, item.path, item.data, "spec", "path"),
    )
