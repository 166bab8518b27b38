"""Where a cluster starts: the Kustomizations that nothing else in the repository applies."""

import posixpath
import re
from collections.abc import Mapping

from checks.links.applied import API, Applied, is_flux, of_operator
from checks.links.listing import LISTS, Files, above, is_below
from checks.objects import dig
from tasks.flux.layout import Source
from tasks.flux.substitution import has_variable
from tasks.flux.tree import Tree
from tasks.workspace import Workspace


class Elsewhere:
    """Which Kustomizations apply another repository than this one, whose folders may have the same names."""

    def __init__(self, workspace: Workspace, tree: Tree, *, is_strict: bool) -> None:
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
            Applied(item.data, item.path).origin[:2]
            for item in tree.of_kind("Kustomization")
            if is_flux(item.data)
        }
        source = workspace.layout.source
        self._source = (source.kind, source.name) if isinstance(source, Source) else None
        self._is_strict = is_strict
        self._own = self._urls.get((source.kind, source.name)) if isinstance(source, Source) else None

    @property
    def is_stricter(self) -> bool:
        """Whether there are sources that only their names tell apart."""
        return self._source is not None and bool(self._names - {self._source, *self._urls})

    def has(self, item: Applied) -> bool:
        """Whether the source of a Kustomization is another repository.

        Where the URLs do not tell, a source of another name is another repository if that is to be taken
        strictly, and this one otherwise.
        """
        url = self._urls.get(item.origin[:2])
        if None not in (url, self._own):
            return url != self._own
        return self._is_strict and self._source is not None and item.origin[:2] != self._source


def _plain_url(url: str) -> str:
    """Host and path, however they are reached: ssh://git@host:22/path.git is https://host/path."""
    return re.sub(r"^(\w+://)?([^@/]*@)?|:\d+(?=/)|(\.git)?/*$", "", url).lower()


def roots_of(files: Files, elsewhere: Elsewhere) -> list[list[Applied]]:
    """What nothing else in the repository applies, in groups: those that start from the same folder.

    Where a kustomization leads to it, that is what the cluster was given, so it is built first.
    """
    tree = files.tree
    found = [Applied(item.data, item.path) for item in tree.of_kind("Kustomization") if is_flux(item.data)]
    operated = list(of_operator(tree))
    leading: dict[str, set[str]] = {}
    for item in [*found, *operated]:
        if not elsewhere.has(item):
            for folder in files.of(item)[1]:
                leading.setdefault(folder, set()).add(item.path)
    hidden = [item for item in found if has_variable(item.folder)]

    def leads(item: Applied, path: str) -> bool:
        return any(item.path in leading.get(folder, ()) for folder in above(path))

    groups: dict[str, list[Applied]] = {item.folder: [item] for item in operated}
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
            top = _top(files, item.path)
            if top is not None:
                start, root = top, _plain_build(files, top)
        groups.setdefault(start, [])
        if root not in groups[start]:
            groups[start].append(root)
    return _nested(groups)


def _top(files: Files, path: str) -> str | None:
    """The highest folder whose kustomization leads to the file ``path``, one after the other."""
    top, current = None, path
    while True:
        listing = (
            folder
            for folder in above(current)
            if any(
                posixpath.normpath(posixpath.join(folder, entry)) == current
                for entry in files.lists(folder, *LISTS)
            )
        )
        found = next(listing, None)
        if found is None:
            return top
        top = current = found


def _plain_build(files: Files, folder: str) -> Applied:
    """What ``kubectl apply -k`` of a folder gives, as if a Kustomization had been pointed at it."""
    data = {"apiVersion": f"{API}v1", "kind": "Kustomization", "metadata": {"name": folder}}
    return Applied({**data, "spec": {"path": folder}}, files.kustomization(folder) or folder)


def _nested(groups: Mapping[str, list[Applied]]) -> list[list[Applied]]:
    """``groups`` by folder, with those of a folder inside another's among that one's."""
    tops = [one for one in groups if not any(other != one and is_below(one, other) for other in groups)]
    return [
        [item for folder, found in groups.items() if is_below(f"{folder}/", top) for item in found]
        for top in tops
    ]
