"""Where a cluster starts: the Kustomizations that nothing else in the repository applies."""

import posixpath
import re
from collections.abc import Mapping

from tasks.flux.kustomizations import (
    GROUP,
    FluxKustomization,
    is_flux_kustomization,
    operator_kustomizations,
    says_what_it_applies,
)
from tasks.flux.listing import Listing, above, is_below
from tasks.flux.sources import Source
from tasks.flux.substitution import has_variable
from tasks.flux.tree import EXTERNAL, Tree
from tasks.yaml.documents import dig


class OtherRepositories:
    """Which Kustomizations apply another repository than this one, whose folders may have the same names.

    ``source`` is what Flux calls this repository, None where that is not known.
    """

    def __init__(self, tree: Tree, source: Source | None, *, is_strict: bool) -> None:
        urls = {
            (item.kind, item.name): item.spec.get("url")
            for item in tree.of_kind("GitRepository", "OCIRepository")
        }
        for item in tree.of_kind("FluxInstance"):
            name = str(dig(item.spec, "sync", "name") or item.namespace or "flux-system")
            urls[str(dig(item.spec, "sync", "kind")), name] = dig(item.spec, "sync", "url")
        self._urls = {
            key: _plain_url(url)
            for key, url in urls.items()
            if isinstance(url, str) and not has_variable(url)
        }
        self._names = {
            origin[:2]
            for item in tree.of_kind("Kustomization")
            if is_flux_kustomization(item.data)
            and (origin := FluxKustomization(item.data, item.path).origin) is not None
            and origin[0] != EXTERNAL
        }
        self._source = None if source is None else (source.kind, source.name)
        self._is_strict = is_strict
        self._own = None if self._source is None else self._urls.get(self._source)

    @property
    def is_stricter(self) -> bool:
        """Whether there are sources that only their names tell apart."""
        return self._source is not None and bool(self._names - {self._source, *self._urls})

    def has(self, item: FluxKustomization) -> bool:
        """Whether the source of a Kustomization is another repository.

        Where the URLs do not tell, a source of another name is another repository if that is to be taken
        strictly, or if its top is applied; and this one otherwise. One that names no source is of this
        repository.
        """
        if item.origin is None:
            return False
        if item.is_unseen:
            return True
        key = item.origin[:2] if item.artifact is None else item.artifact.source
        url = self._urls.get(key)
        if None not in (url, self._own):
            return url != self._own
        return (self._is_strict or item.folder == ".") and self._source not in (None, key)


def _plain_url(url: str) -> str:
    """Host and path, however they are reached: ssh://git@host:22/path.git is https://host/path."""
    return re.sub(r"^(\w+://)?([^@/]*@)?|:\d+(?=/)|(\.git)?/*$", "", url).lower()


def roots_of(listing: Listing, others: OtherRepositories) -> list[list[FluxKustomization]]:
    """What nothing else in the repository applies, in groups: those that start from the same folder.

    Where a kustomization leads to it, that is what the cluster was given, so it is built first.
    """
    tree = listing.tree
    found = [
        FluxKustomization.read(item.data, item.path, tree)
        for item in tree.of_kind("Kustomization")
        if is_flux_kustomization(item.data) and says_what_it_applies(item.data, item.faults)
    ]
    operated = list(operator_kustomizations(tree))
    leading: dict[str, set[str]] = {}
    for item in [*found, *operated]:
        if not others.has(item):
            for folder in listing.contents(item).folders:
                leading.setdefault(folder, set()).add(item.path)
    hidden = [item for item in found if has_variable(item.folder)]

    def leads(item: FluxKustomization, path: str) -> bool:
        return any(item.path in leading.get(folder, ()) for folder in above(path))

    groups: dict[str, list[FluxKustomization]] = {item.folder: [item] for item in operated}
    for item in found:
        if any(leading.get(folder, set()) - {item.path} for folder in above(item.path)):
            continue
        # A variable may stand for any folder: but not for one that leads back to where it is set.
        if any(
            other.path != item.path
            and is_below(item.path, posixpath.dirname(other.folder.partition("${")[0]) or ".")
            and not leads(item, other.path)
            for other in hidden
        ):
            continue
        if is_below(item.path, item.folder):
            start, root = item.folder, item
        else:
            start, root = posixpath.dirname(item.path) or ".", item
            top = _top(listing, item.path)
            if top is not None:
                start, root = top, plain_build(listing, top)
        groups.setdefault(start, [])
        if root not in groups[start]:
            groups[start].append(root)
    return _nested(groups)


def _top(listing: Listing, path: str) -> str | None:
    """The highest folder whose kustomization leads to the file ``path``, one after the other."""
    top, current = None, path
    while True:
        leading = (
            folder
            for folder in above(current)
            if any(
                posixpath.normpath(posixpath.join(folder, entry)) == current
                for entry in listing.entries(folder)
            )
        )
        found = next(leading, None)
        if found is None:
            return top
        top = current = found


def plain_build(listing: Listing, folder: str) -> FluxKustomization:
    """What ``kubectl apply -k`` of a folder gives, as if a Kustomization had been pointed at it."""
    data = {"apiVersion": f"{GROUP}/v1", "kind": "Kustomization", "metadata": {"name": folder}}
    return FluxKustomization({**data, "spec": {"path": folder}}, listing.kustomization(folder) or folder)


def _nested(groups: Mapping[str, list[FluxKustomization]]) -> list[list[FluxKustomization]]:
    """``groups`` by folder, with those of a folder inside another's among that one's."""
    tops = [one for one in groups if not any(other != one and is_below(one, other) for other in groups)]
    return [
        [item for folder, found in groups.items() if is_below(f"{folder}/", top) for item in found]
        for top in tops
    ]
