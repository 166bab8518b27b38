"""What Flux makes of a repository that no longer holds the rollout, as far as the repository tells."""

from collections.abc import Iterator

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
_DELETE = "kubectl delete kustomizations.kustomize.toolkit.fluxcd.io"


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
        if not parents:
            lines.append(f"Kustomization {name} stays in the cluster: nothing in this repository applies it")
        elif keeper is not None:
            lines.append(
                f"Kustomization {name} stays in the cluster, for {keeper.key[1]} above it does not prune: "
                f"{_DELETE} {item.key[1]} -n {item.key[0]}"
            )
        elif _orphans(item):
            lines.append(f"Flux deletes Kustomization {name}, but not what that applied: it does not prune")
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


def _orphans(item: FluxKustomization) -> bool:
    """Whether what it applied stays when it goes.

    https://fluxcd.io/flux/components/kustomize/kustomizations/#deletion-policy
    """
    policy = str(dig(item.spec, "deletionPolicy") or "MirrorPrune")
    return policy == "Orphan" or (policy == "MirrorPrune" and not dig(item.spec, "prune"))
