"""What Flux makes of a repository that no longer holds the rollout, as far as the repository tells."""

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.core.errors import PlaybookError
from tasks.flux.kustomizations import FluxKustomization, is_flux_kustomization
from tasks.flux.listing import is_below
from tasks.kube.keys import key_of
from tasks.model import AnsweredError, Model, Stage
from tasks.subjects.manifests import APPS
from tasks.workspace import Workspace
from tasks.yaml.documents import dig

_UNKNOWN = (
    "Flux deletes what it applied if the Kustomization above prunes (spec.prune: true), "
    "which could not be looked up here"
)


def after_rollback(workspace: Workspace) -> list[str]:
    """What a push that takes the rollout out of the repository leads to in the cluster, a line each."""
    model = Model(workspace, Stage.BUILT)
    try:
        found = list(_ours(model))
    except (AnsweredError, PlaybookError):
        found = []
    if not found:
        return [_UNKNOWN]
    lines = []
    for parents, item in found:
        name = "/".join(filter(None, item.key))
        keeper = next((one for one in parents if not dig(one.spec, "prune")), None)
        if not parents or any(one.origin is None for one in parents):
            lines.append(
                f"Flux deletes Kustomization {name} if what applies it, outside this repository, prunes"
            )
        elif keeper is not None:
            lines.append(
                f"Kustomization {name} stays in the cluster, for {keeper.key[1]} above it does not prune: "
                "delete it with invoke rollback --cluster"
            )
        elif kept := kept_by(item.spec):
            lines.append(f"Flux deletes Kustomization {name}, but not what that applied: {kept}")
        else:
            lines.append(f"Flux deletes Kustomization {name} and all that it applied")
    return lines


def _ours(model: Model) -> Iterator[tuple[list[FluxKustomization], FluxKustomization]]:
    """Each of our Kustomizations with those that apply it."""
    folders = [app.folder(model.workspace) for app in APPS]
    for cluster, item in model.kustomizations_of(*APPS):
        if any(is_below(item.path, folder) for folder in folders):
            yield [one for one in cluster.kustomizations if _holds(one, item)], item


def _holds(parent: FluxKustomization, item: FluxKustomization) -> bool:
    keys = [
        key_of(one.data, parent.key[0]) for one in parent.objects or () if is_flux_kustomization(one.data)
    ]
    return any((key.namespace, key.name) == item.key for key in keys)


def kept_by(spec: Mapping[str, Any]) -> str:
    """Why what a Kustomization applied stays when it goes itself; empty if Flux deletes it.

    https://fluxcd.io/flux/components/kustomize/kustomizations/#deletion-policy, and #suspend
    """
    policy = spec.get("deletionPolicy") or "MirrorPrune"
    if spec.get("suspend"):
        return "it is suspended"
    if policy == "Orphan" or (policy == "MirrorPrune" and not spec.get("prune")):
        return "it does not prune"
    return ""
