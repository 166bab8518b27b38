"""What Flux would apply: the clusters that get our files, as far as the repository shows."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from checks.links.applied import Applied, key_of, of_operator
from checks.links.builds import Maker
from checks.links.listing import Files
from checks.links.roots import Elsewhere, roots_of
from tasks.effects.kustomize import Built
from tasks.flux.grafana import GrafanaPlace
from tasks.flux.substitution import has_variable
from tasks.flux.tree import Tree
from tasks.subjects.flux import applied_files
from tasks.workspace import Workspace

_SOURCES = ("GitRepository", "OCIRepository", "Bucket", "HelmRepository", "ExternalArtifact", "HelmChart")


@dataclass(frozen=True)
class Cluster:
    """All Kustomizations that the cluster applies, as far as the repository shows, the roots first.

    ``is_whole`` says that the repository shows all of them: none could not be built or comes from elsewhere.
    """

    tree: Tree
    applied: tuple[Applied, ...]
    is_whole: bool = True

    def built(self) -> Iterator[tuple[Applied, Built]]:
        """Every object of every build."""
        for item in self.applied:
            for one in item.objects or ():
                yield item, one

    def defining(self, path: str) -> list[Applied]:
        """The Kustomizations that the file ``path`` defines and the cluster applies."""
        return [item for item in self.applied if item.path == path]

    def objects_of(self, *kinds: str) -> list[Built]:
        """The objects of these kinds in all builds."""
        return [one for _, one in self.built() if one.data.get("kind") in kinds]

    def find(self, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        """The object of that kind, namespace and name in a build."""
        for one in self.objects_of(kind):
            key = key_of(one.data)
            if (key.namespace, key.name) == (namespace, name):
                return one.data
        return None

    def sources(self) -> set[tuple[str, str, str]]:
        """Kind, name and namespace of every source that a build, an unbuilt file or an operator defines."""
        found = {
            (str(one.data["kind"]), key.name, key.namespace)
            for item, one in self.built()
            if one.data.get("kind") in _SOURCES
            for key in [key_of(one.data, item.key[0])]
        }
        built = {one.path for _, one in self.built()}
        listed = {path for item in self.applied for path in item.files}
        folders = {posixpath.dirname(path) for path in listed}
        for item in self.tree.of_kind(*_SOURCES):
            # One that is left out where others beside it are listed is not applied.
            is_left_out = item.path not in listed and posixpath.dirname(item.path) in folders
            if item.path not in built and not is_left_out:
                found.add((item.kind, item.name, self.tree.built_namespace(item) or ""))
        return found | {item.origin for item in of_operator(self.tree)}


def cluster(workspace: Workspace) -> Cluster:
    """The cluster that our files go to, that with most of them if they go to several.

    Raises:
        RefusedError: there is no kustomize, or the layout is not known.
    """
    return clusters(workspace)[0]


def clusters(workspace: Workspace) -> tuple[Cluster, ...]:
    """Every cluster that gets some of our files, as the repository describes it, with most of them first.

    Kustomizations of the same name and namespace are of different clusters. Built once for a state of the
    repository.

    Raises:
        RefusedError: there is no kustomize, or the layout is not known.
    """
    return workspace.remember("clusters", lambda: _make(workspace))


def _make(workspace: Workspace) -> tuple[Cluster, ...]:
    found, is_reached = _taken(workspace, is_strict=False)
    if is_reached:
        return found
    # What hides our files may be a Kustomization of another repository, whose folders have the same names.
    others, is_reached = _taken(workspace, is_strict=True)
    return others if is_reached else found


def _taken(workspace: Workspace, *, is_strict: bool) -> tuple[tuple[Cluster, ...], bool]:
    """The clusters, and whether all of our files that exist are applied."""
    repository = workspace.repository
    tree = Tree(repository.yaml_files, repository.text)
    files, elsewhere = Files(workspace, tree), Elsewhere(workspace, tree, is_strict=is_strict)
    if is_strict and not elsewhere.is_stricter:
        return (), False
    grafana = workspace.layout.grafana
    ours = {
        *applied_files(workspace),
        *((grafana.path,) if isinstance(grafana, GrafanaPlace) else ()),
    }
    with ThreadPoolExecutor() as pool:
        made = [
            Maker(workspace, files, elsewhere, ours).run(pool, roots) for roots in roots_of(files, elsewhere)
        ]
    made = [[replace(item, is_stray=not _held(group, ours)) for item in group] for group in made]
    merged: list[list[Applied]] = []
    for group in sorted(made, key=lambda group: -len(_held(group, ours))):
        names = {item.key for item in group}
        fitting = (other for other in merged if not names & {item.key for item in other})
        known = next(fitting, None)
        if known is None:
            merged.append(known := [])
        known.extend(group)
    ours_only = [group for group in merged if _held(group, ours)]
    found = tuple(
        Cluster(tree, tuple(group), _is_whole(group, elsewhere))
        for group in ours_only or [[item for group in merged for item in group]]
    )
    held = _held([item for group in made for item in group], ours)
    return found, held >= {path for path in ours if path in tree.texts}


def _held(group: Iterable[Applied], ours: set[str]) -> set[str]:
    """Which of our files these Kustomizations are made of."""
    return {path for item in group for path in (item.path, *item.files) if path in ours}


def _is_whole(group: Iterable[Applied], elsewhere: Elsewhere) -> bool:
    return not any(
        item.error is not None
        or has_variable(item.folder)
        or elsewhere.has(item)
        or any(one.data.get("kind") == "ResourceSet" for one in item.objects or ())
        for item in group
    )
