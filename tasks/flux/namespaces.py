"""The namespace that an object has after the build, as the folders above its file set it."""

from collections.abc import Iterator

from tasks.flux.places import lister_of
from tasks.flux.scope import Scope
from tasks.flux.sources import plain_name
from tasks.flux.substitution import has_variable
from tasks.flux.tree import FluxObject


def namespace_in(scope: Scope, folder: str) -> str | None:
    """The namespace that objects get which the kustomization of ``folder`` lists; None if they keep theirs.

    Each kustomization moves what those below it give, and the Flux Kustomization moves it all.
    """
    moves = (plain_name(move) for move in _moves(scope, folder))
    return next((move for move in reversed(list(moves)) if move is not None), None)


def variable_in(scope: Scope, folder: str) -> str | None:
    """The variable of Flux that is the namespace which objects get in ``folder``; None if none is."""
    last = next((move for move in reversed(list(_moves(scope, folder))) if isinstance(move, str)), None)
    return last if has_variable(last) else None


def _moves(scope: Scope, folder: str) -> Iterator[object]:
    """What the folders above say, the nearest first, and then the Flux Kustomization."""
    current: str | None = folder
    while current is not None:
        yield scope.tree.kustomization(current).get("namespace")
        current = lister_of(scope.tree, current)
    path = scope.tree.kustomizations.get(folder, "")
    for item in scope.applying(path)[:1]:
        yield item.spec.get("targetNamespace")


def namespace_of(scope: Scope, item: FluxObject) -> str | None:
    """The namespace of an object of a file after the build; None where nothing says one."""
    folder = lister_of(scope.tree, item.path)
    moved = None if folder is None else namespace_in(scope, folder)
    if moved is None:
        # A folder without a kustomization is listed by Flux itself.
        for one in scope.applying(item.path)[:1]:
            moved = plain_name(one.spec.get("targetNamespace"))
    return moved or item.namespace
