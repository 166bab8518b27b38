"""The namespace that an object has after the build, as the folders above its file set it."""

from tasks.flux.places import lister_of
from tasks.flux.scope import Scope
from tasks.flux.sources import plain_name
from tasks.flux.tree import FluxObject


def namespace_in(scope: Scope, folder: str) -> str | None:
    """The namespace that objects get which the kustomization of ``folder`` lists; None if they keep theirs.

    Each kustomization moves what those below it give, and the Flux Kustomization moves it all.
    """
    found: str | None = None
    current: str | None = folder
    while current is not None:
        found = plain_name(scope.tree.kustomization(current).get("namespace")) or found
        current = lister_of(scope.tree, current)
    path = scope.tree.kustomizations.get(folder, "")
    for item in scope.applying(path)[:1]:
        found = plain_name(item.spec.get("targetNamespace")) or found
    return found


def namespace_of(scope: Scope, item: FluxObject) -> str | None:
    """The namespace of an object of a file after the build; None where nothing says one."""
    folder = lister_of(scope.tree, item.path)
    moved = None if folder is None else namespace_in(scope, folder)
    if moved is None:
        # A folder without a kustomization is listed by Flux itself.
        for one in scope.applying(item.path)[:1]:
            moved = plain_name(one.spec.get("targetNamespace"))
    return moved or item.namespace
