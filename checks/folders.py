"""The folders of the apps and what Flux is pointed at in them: DoD-002, DoD-006 and DoD-011-01."""

import os

from checks.answers import NEEDS_CLUSTER
from checks.model import AnsweredError, Cause, Model, Outcome, failed, passed, unknown
from tasks.flux.kustomizations import FluxKustomization
from tasks.flux.listing import is_below
from tasks.flux.missing import need
from tasks.subjects.apps import APP_FOLDER, KS, App
from tasks.subjects.manifests import APPS
from tasks.subjects.parseable import PARSEABLE
from tasks.subjects.vector import VECTOR

# Both endings are YAML to kustomize.
_KS = (KS, KS.replace(".yaml", ".yml"))
_NOT_APPLIED = "Flux would apply nothing of it"


def parseable_folder_exists(model: Model) -> Outcome:
    """DoD-002-01."""
    return _exists(model, PARSEABLE, "invoke task-002")


def parseable_folder_is_complete(model: Model) -> Outcome:
    """DoD-002-02."""
    return _is_complete(model, PARSEABLE, "invoke task-002")


def parseable_folder_is_ready(model: Model) -> Outcome:
    """DoD-002-03: ready means that Flux is pointed at it, and that files can be put there."""
    outcome = _is_pointed_at(model, PARSEABLE, "invoke task-002")
    folder = PARSEABLE.path(model.workspace, APP_FOLDER)
    if not outcome.stops_push and not os.access(model.workspace.repository.root / folder, os.W_OK):
        return failed(
            f"{folder} cannot be written to", "the manifests cannot be put there", f"chmod u+w {folder}"
        )
    return outcome


def vector_folder_exists(model: Model) -> Outcome:
    """DoD-006-01."""
    return _exists(model, VECTOR, "invoke task-006")


def vector_folder_is_complete(model: Model) -> Outcome:
    """DoD-006-02: complete means that Flux is pointed at it, too."""
    outcome = _is_complete(model, VECTOR, "invoke task-006")
    return outcome if outcome.stops_push else _is_pointed_at(model, VECTOR, "invoke task-006")


def _exists(model: Model, app: App, remedy: str) -> Outcome:
    folder = app.folder(model.workspace)
    if (model.workspace.repository.root / folder).is_dir():
        return passed(f"{folder}/ exists")
    return failed(f"{folder}/ does not exist", "there is nothing to deploy", remedy)


def _is_complete(model: Model, app: App, remedy: str) -> Outcome:
    folder = app.folder(model.workspace)
    root = model.workspace.repository.root / folder
    missing = [
        name
        for name, found in (
            (KS, any((root / one).is_file() for one in _KS)),
            (APP_FOLDER, (root / APP_FOLDER).is_dir()),
        )
        if not found
    ]
    if missing:
        return failed(f"{folder} lacks {' and '.join(missing)}", "Flux would not see the app", remedy)
    return passed(f"{folder} holds {KS} and {APP_FOLDER}")


def _is_pointed_at(model: Model, app: App, remedy: str) -> Outcome:
    """Whether a Kustomization applies the folder of ``app``: as the cluster gets it, else as written."""
    folder = app.folder(model.workspace)
    try:
        found = [item for _, item in model.kustomizations_of(app)]
    except AnsweredError:
        found = []
    if not found:
        found = [
            item
            for one in model.tree.of_kind("Kustomization")
            if is_below(one.path, folder)
            and (item := FluxKustomization.read(one.data, one.path, model.tree)).origin is not None
        ]
    if not found:
        return failed(f"no Flux Kustomization is in {folder}", _NOT_APPLIED, remedy, f"{folder}/{KS}:1")
    for item in found:
        if is_below(f"{item.folder}/", folder) and (model.workspace.repository.root / item.folder).is_dir():
            return passed(f"Kustomization {item.key[1]} applies {item.folder}")
    item = found[0]
    return failed(
        f"Kustomization {item.key[1]} applies {item.folder}, not {folder}/app",
        _NOT_APPLIED,
        remedy,
        model.place(item.path, item.data, "spec", "path"),
    )


def apps_are_reconciled(model: Model) -> Outcome:
    """DoD-011-01: that the cluster is given both apps; that it reconciled them is seen in the cluster."""
    missing = [app for app in APPS if not model.kustomizations_of(app)]
    hidden = model.hidden(missing[0]) if missing else None
    if hidden is not None:
        return hidden
    if missing:
        folders = " and ".join(app.folder(model.workspace) for app in missing)
        return failed(
            f"no Kustomization that the cluster applies leads to {folders}",
            "Flux would not reconcile it",
            "invoke task-011",
            f"{need(model.layout.apps_kustomization)}:1",
        )
    names = " and ".join(item.key[1] for app in APPS for _, item in model.kustomizations_of(app)[:1])
    return unknown(f"the cluster is given {names}; {NEEDS_CLUSTER}", Cause.CLUSTER)
