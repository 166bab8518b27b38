"""DoD-002 and DoD-006: the folders of the two apps."""

import os

from checks.model import Outcome, Status, failed, passed
from checks.objects import differences, dig, find_object
from tasks.flux.layout import need
from tasks.subjects.apps import App
from tasks.subjects.parseable import PARSEABLE
from tasks.subjects.vector import VECTOR
from tasks.workspace import Workspace


def parseable_folder_exists(workspace: Workspace) -> Outcome:
    """DoD-002-01."""
    return _exists(workspace, PARSEABLE, "TASK-002")


def parseable_folder_is_complete(workspace: Workspace) -> Outcome:
    """DoD-002-02."""
    return _is_complete(workspace, PARSEABLE, "TASK-002")


def parseable_folder_is_ready(workspace: Workspace) -> Outcome:
    """DoD-002-03: ready means that Flux is pointed at it, can decrypt it, and that it can be written to."""
    folder = PARSEABLE.folder(workspace)
    problems = _pointing_problems(workspace, PARSEABLE, "TASK-002")
    kustomization = find_object(workspace, f"{folder}/ks.yaml", "Kustomization", "TASK-002")
    decryption = workspace.layout.decryption
    if decryption is not None and dig(kustomization, "spec", "decryption") != dict(decryption):
        problems.append("spec.decryption is not the one that the repository's other secrets need")
    if problems:
        return failed("; ".join(problems), "Flux would not apply what is in it", "invoke task-002")
    if not os.access(workspace.repository.root / folder / "app", os.W_OK):
        return failed(f"{folder}/app cannot be written to", "the manifests cannot be put there", "chmod u+w")
    return passed(f"{folder}/ks.yaml points to {folder}/app, which can be written to")


def vector_folder_exists(workspace: Workspace) -> Outcome:
    """DoD-006-01."""
    return _exists(workspace, VECTOR, "TASK-006")


def vector_folder_is_complete(workspace: Workspace) -> Outcome:
    """DoD-006-02: complete means that Flux is pointed at it, too."""
    outcome = _is_complete(workspace, VECTOR, "TASK-006")
    problems = _pointing_problems(workspace, VECTOR, "TASK-006") if outcome.status is Status.PASS else []
    if problems:
        return failed("; ".join(problems), "Flux would not apply what is in it", "invoke task-006")
    return outcome


def _pointing_problems(workspace: Workspace, app: App, task: str) -> list[str]:
    """What keeps Flux from finding the manifests of ``app``."""
    folder, source = app.folder(workspace), need(workspace.layout.source)
    return differences(
        find_object(workspace, f"{folder}/ks.yaml", "Kustomization", task),
        [
            (("spec", "path"), f"./{folder}/app"),
            (("spec", "targetNamespace"), workspace.layout.namespace),
            (("spec", "sourceRef", "kind"), source.kind),
            (("spec", "sourceRef", "name"), source.name),
            (("spec", "sourceRef", "namespace"), source.namespace),
        ],
    )


def _exists(workspace: Workspace, app: App, task: str) -> Outcome:
    folder = app.folder(workspace)
    if (workspace.repository.root / folder).is_dir():
        return passed(f"{folder}/ exists")
    return failed(f"{folder}/ does not exist", "there is nothing to deploy", f"invoke {task.lower()}")


def _is_complete(workspace: Workspace, app: App, task: str) -> Outcome:
    folder = app.folder(workspace)
    root = workspace.repository.root / folder
    missing = [
        name
        for name, found in (("ks.yaml", (root / "ks.yaml").is_file()), ("app/", (root / "app").is_dir()))
        if not found
    ]
    if missing:
        return failed(
            f"{folder} lacks {' and '.join(missing)}", "Flux would not see the app", f"invoke {task.lower()}"
        )
    return passed(f"{folder} holds ks.yaml and app/")
