"""What Flux would apply: the clusters that get our files, as far as the repository shows."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tasks.core.outcomes import Cause
from tasks.effects.kustomize import Built, FetchError
from tasks.flux.builds import Builder
from tasks.flux.kustomizations import (
    FluxKustomization,
    is_flux_kustomization,
    operator_kustomizations,
)
from tasks.flux.listing import Listing
from tasks.flux.roots import OtherRepositories, roots_of
from tasks.flux.sources import Source
from tasks.flux.substitution import has_variable
from tasks.flux.tree import Tree
from tasks.kube.keys import key_of
from tasks.kube.resources import Gap
from tasks.yaml.documents import dig, load_documents

_SOURCES = ("GitRepository", "OCIRepository", "Bucket", "HelmRepository", "ExternalArtifact", "HelmChart")
_DEFINITIONS = frozenset({"CustomResourceDefinition"})


@dataclass(frozen=True)
class Cluster:
    """All Kustomizations that the cluster applies, as far as the repository shows, the roots first.

    ``gaps`` are the parts that the repository does not show, or that could not be built.
    """

    tree: Tree
    kustomizations: tuple[FluxKustomization, ...]
    gaps: tuple[Gap, ...] = ()

    def built(self) -> Iterator[tuple[FluxKustomization, Built]]:
        """Every object of every build."""
        for item in self.kustomizations:
            for one in item.objects or ():
                yield item, one

    def defining(self, path: str) -> list[FluxKustomization]:
        """The Kustomizations that the file ``path`` defines and the cluster applies."""
        return [item for item in self.kustomizations if item.path == path]

    def objects_of(self, *kinds: str) -> list[Built]:
        """The objects of these kinds in all builds."""
        return [one for _, one in self.built() if one.data.get("kind") in kinds]

    def find(self, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        """The object of that kind, namespace and name in a build."""
        return self._by_name.get((kind, namespace, name))

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str, str], Mapping[str, Any]]:
        found: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        for item, one in self.built():
            key = key_of(one.data, item.key[0])
            found.setdefault((key.kind, key.namespace, key.name), one.data)
        return found

    def defined(self, kind: str, namespace: str, name: str) -> tuple[Mapping[str, Any], str] | None:
        """A Flux object with its file: as a build gives it, else as a file says that is in no build."""
        for item, one in self.built():
            key = key_of(one.data, item.key[0])
            if (key.kind, key.namespace, key.name) == (kind, namespace, name):
                return one.data, one.path or item.path
        for other in self.tree.of_kind(kind):
            if (other.name, self.tree.built_namespace(other) or "") == (name, namespace):
                return other.data, other.path
        return None

    def shown(self, kind: str, name: str) -> dict[str, str]:
        """The namespaces in which the repository shows an object of this kind and name, each with its file.

        Beside those in builds they are in files that are in none; empty is the namespace of whoever lists it.
        """
        found = {
            key_of(one.data, item.key[0]).namespace: one.path or item.path
            for item, one in self.built()
            if one.data.get("kind") == kind and dig(one.data, "metadata", "name") == name
        }
        built = {one.path for _, one in self.built()}
        for path, text in self.tree.texts.items():
            if path not in built and name in text and kind in text:
                targets = [
                    item.spec.get("targetNamespace") for item in self.kustomizations if path in item.files
                ]
                given = next(filter(None, targets), None) or self.tree.namespace_for(path)
                for document in load_documents(text):
                    if dig(document, "kind") == kind and dig(document, "metadata", "name") == name:
                        found.setdefault(str(given or dig(document, "metadata", "namespace") or ""), path)
        return found

    def holders(self, *items: FluxKustomization) -> list[FluxKustomization]:
        """``items`` and all that lead to them: whose builds hold them, and so on to the roots."""
        held = {
            item.key: {
                FluxKustomization.read(one.data, "", self.tree).key
                for one in item.objects or ()
                if is_flux_kustomization(one.data)
            }
            for item in self.kustomizations
        }
        wanted = {item.key for item in items}
        while more := {key for key, inside in held.items() if inside & wanted} - wanted:
            wanted |= more
        return [item for item in self.kustomizations if item.key in wanted]

    def sources(self) -> set[tuple[str, str, str]]:
        """Kind, name and namespace of every source that a build, an unbuilt file or an operator defines."""
        found = {
            (str(one.data["kind"]), key.name, key.namespace)
            for item, one in self.built()
            if one.data.get("kind") in _SOURCES
            for key in [key_of(one.data, item.key[0])]
        }
        built = {one.path for _, one in self.built()}
        listed = {path for item in self.kustomizations for path in item.files}
        folders = {posixpath.dirname(path) for path in listed}
        for item in self.tree.of_kind(*_SOURCES):
            # One that is left out where others beside it are listed is not applied.
            is_left_out = item.path not in listed and posixpath.dirname(item.path) in folders
            if item.path not in built and not is_left_out:
                found.add((item.kind, item.name, self.tree.built_namespace(item) or ""))
        operated = (item.origin for item in operator_kustomizations(self.tree))
        return found | {origin for origin in operated if origin is not None}


def clusters_of(
    root: Path, tree: Tree, source: Source | None, ours: Set[str], wanted: Set[str]
) -> tuple[Cluster, ...]:
    """Every cluster that gets some of ``ours``, as the repository describes it, with most of them first.

    Kustomizations of the same name and namespace are of different clusters. ``source`` is what Flux calls
    this repository; the Kustomizations that ``wanted`` files lie in are built.

    Raises:
        UnavailableError: there is no kustomize.
    """
    found, is_reached = _taken(root, tree, source, ours, wanted, is_strict=False)
    if is_reached:
        return found
    # What hides our files may be a Kustomization of another repository, whose folders have the same names.
    others, is_reached = _taken(root, tree, source, ours, wanted, is_strict=True)
    return others if is_reached else found


def _taken(
    root: Path, tree: Tree, source: Source | None, ours: Set[str], wanted: Set[str], *, is_strict: bool
) -> tuple[tuple[Cluster, ...], bool]:
    """The clusters, and whether all of our files that exist are applied."""
    listing, others = Listing(root, tree), OtherRepositories(tree, source, is_strict=is_strict)
    if is_strict and not others.is_stricter:
        return (), False
    with ThreadPoolExecutor() as pool:
        made = [
            Builder(root, listing, others, wanted).run(pool, roots) for roots in roots_of(listing, others)
        ]
    given = [_held(group, ours) > set() for group in made]
    if not any(given):
        given = _given(made, {item.key for item in operator_kustomizations(tree)})
    made = [
        [replace(item, is_stray=not is_given) for item in group]
        for group, is_given in zip(made, given, strict=True)
    ]
    merged: list[list[FluxKustomization]] = []
    for group in sorted(made, key=lambda group: (-len(_held(group, ours)), -len(group))):
        names = {item.key for item in group}
        fitting = (other for other in merged if not names & {item.key for item in other})
        known = next(fitting, None)
        if known is None:
            merged.append(known := [])
        known.extend(group)
    ours_only = [group for group in merged if _held(group, ours)]
    found = tuple(
        Cluster(tree, tuple(group), tuple(_gaps(group, listing, others)))
        for group in ours_only or merged or [[]]
    )
    held = _held([item for group in made for item in group], ours)
    return found, held >= {path for path in ours if path in tree.texts}


def _given(groups: Sequence[Sequence[FluxKustomization]], operated: Set[tuple[str, str]]) -> list[bool]:
    """Which groups a cluster was given, where none holds a file of ours: the others may lie in an archive.

    Those that start with a Kustomization which applies its own file, as Flux makes it when it is installed,
    or with one of the operator; where there is none such the largest.
    """
    given = [any(item.path in item.files or item.key in operated for item in group) for group in groups]
    return given if any(given) else [len(group) == max(map(len, groups)) for group in groups]


def _held(group: Iterable[FluxKustomization], ours: Set[str]) -> set[str]:
    """Which of our files these Kustomizations are made of."""
    return {path for item in group for path in (item.path, *item.files) if path in ours}


def _gaps(group: Iterable[FluxKustomization], listing: Listing, others: OtherRepositories) -> Iterator[Gap]:
    """The parts of a cluster that are not known. What nothing connects with our files is in no cluster."""
    for item in group:
        target = item.spec.get("targetNamespace")
        namespaces = None if target is None or has_variable(target) else frozenset({str(target)})
        what = f"Kustomization {item.key[1]}"
        for one in item.objects or ():
            if one.data.get("kind") == "ResourceSet":
                name = f"ResourceSet {dig(one.data, 'metadata', 'name')}"
                yield Gap(name, "what it makes is decided in the cluster", Cause.CLUSTER)
        if item.is_stray:
            continue
        if others.has(item):
            reason = "it applies another repository"
            yield Gap(what, reason, Cause.NETWORK, namespaces=namespaces)
        elif has_variable(item.folder):
            reason = f"it applies {item.folder}, whose variable is set in the cluster"
            yield Gap(what, reason, Cause.CLUSTER, namespaces=namespaces)
        elif item.error is not None:
            texts = tuple(listing.tree.texts[path] for path in item.files if path in listing.tree.texts)
            cause = Cause.NETWORK if isinstance(item.error, FetchError) else Cause.REPOSITORY
            yield Gap(what, item.error.summary, cause, item.error.hint, namespaces, texts=texts)
        if item.remote and not item.is_stray:
            # Definitions of kinds are what most repositories fetch, and their URLs say so.
            is_plain = all("crd" in entry.lower() for _, entry in item.remote)
            reason = f"{item.remote[0][1]} would have to be fetched, which is not done here"
            kinds = _DEFINITIONS if is_plain else None
            yield Gap(what, reason, Cause.NETWORK, f"kubectl kustomize {item.folder}", namespaces, kinds)
