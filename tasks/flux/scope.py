"""The clusters that a repository describes, and the one that the rollout is for."""

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from tasks.flux.kustomizations import FluxKustomization, is_flux_kustomization
from tasks.flux.listing import Listing, is_below
from tasks.flux.roots import OtherRepositories, plain_build, roots_of
from tasks.flux.sources import most_used
from tasks.flux.tree import FluxObject, Tree
from tasks.yaml.templates import MARKER

_RELEASE = re.compile(r"(?m)^kind:\s*[\"']?HelmRelease\b")


@dataclass(frozen=True)
class Scope:
    """One cluster: the files that its Kustomizations lead to, and the folder that it starts from.

    ``kustomizations`` are all that it applies, as far as files show; ``shared`` are files that another
    cluster gets too, ``links`` what it would get if Flux followed symbolic links. ``is_only`` says that the
    repository describes no other: then files that nothing leads to may be its as well.
    """

    tree: Tree
    start: str
    files: frozenset[str] = field(repr=False)
    kustomizations: tuple[FluxKustomization, ...] = field(repr=False)
    is_only: bool = True
    shared: frozenset[str] = field(default=frozenset(), repr=False)
    links: frozenset[str] = frozenset()

    @cached_property
    def view(self) -> Tree:
        """The parts of the repository that may be of this cluster."""
        return self.tree if self.is_only else self.tree.within(self.files)

    @cached_property
    def release_folders(self) -> frozenset[str]:
        """The folders whose kustomizations list a file with a HelmRelease."""
        return frozenset(
            folder
            for folder in self.tree.kustomizations
            for entry in self.tree.entries(folder)
            if self.holds_release(posixpath.normpath(posixpath.join(folder, entry)))
        )

    @cached_property
    def is_rooted(self) -> bool:
        """Whether it can be what a cluster starts from, and not a folder that was put away.

        It can if an operator makes its Kustomizations, or they apply themselves, their source or others.
        """
        defined = {item.path for item in self.tree.of_kind("Kustomization")}
        sources = self.tree.of_kind("GitRepository", "Bucket", "FluxInstance")
        return any(item.path in self.files for item in sources) or any(
            item.path not in defined
            or is_below(item.path, item.folder)
            or not defined.isdisjoint(item.files - {item.path})
            for item in self.kustomizations
            if item.origin is not None
        )

    def has(self, path: str) -> bool:
        """Whether a file may be of this cluster."""
        return self.is_only or path in self.files

    def of_others(self, *kinds: str) -> list[FluxObject]:
        """The objects of these kinds that the playbook did not write."""
        return [item for item in self.tree.of_others(*kinds) if self.has(item.path)]

    def of_kind(self, *kinds: str) -> Iterator[FluxObject]:
        """The objects of these kinds."""
        return (item for item in self.tree.of_kind(*kinds) if self.has(item.path))

    def holds_release(self, path: str) -> bool:
        """Whether the file ``path`` defines a HelmRelease."""
        return _RELEASE.search(self.tree.texts.get(path, "")) is not None

    def applying(self, path: str) -> list[FluxKustomization]:
        """The Kustomizations whose folder the file ``path`` is listed in, the nearest folder first."""
        found = [item for item in self.kustomizations if path in item.files]
        return sorted(found, key=lambda item: -len(item.folder))


def scopes_of(listing: Listing) -> list[Scope]:
    """The clusters of a repository; none where nothing in it is a Flux Kustomization.

    Kustomizations that apply other repositories lead to nothing here.
    """
    tree = listing.tree
    others = OtherRepositories(tree, most_used(tree.of_kind("Kustomization")), is_strict=False)
    groups = roots_of(listing, others)
    defined: dict[str, list[FluxKustomization]] = {}
    for item in tree.of_kind("Kustomization"):
        if is_flux_kustomization(item.data):
            defined.setdefault(item.path, []).append(FluxKustomization.read(item.data, item.path, tree))
    reached = [_reached(listing, others, group, defined) for group in groups]
    # What the playbook wrote starts no cluster, where what leads to it lies in another repository.
    found = [one for one in reached if any(_is_of_others(tree, item) for item in one[2])]
    return [
        Scope(
            tree,
            start,
            files,
            kustomizations,
            is_only=len(found) == 1,
            links=frozenset().union(
                *(listing.contents(item).links for item in kustomizations if not others.has(item))
            ),
            shared=files
            & frozenset().union(*(other[1] for other in found if not _is_within(other[2], kustomizations))),
        )
        for start, files, kustomizations in found
    ]


def _is_of_others(tree: Tree, item: FluxKustomization) -> bool:
    return item.origin is not None and MARKER not in tree.texts.get(item.path, "")


def _is_within(some: Iterable[FluxKustomization], others: Iterable[FluxKustomization]) -> bool:
    """Whether all of ``some`` are among ``others``: a copy that was put away, not another cluster."""
    return {(one.key, one.folder) for one in some} <= {(one.key, one.folder) for one in others}


def _reached(
    listing: Listing,
    others: OtherRepositories,
    group: list[FluxKustomization],
    defined: dict[str, list[FluxKustomization]],
) -> tuple[str, frozenset[str], tuple[FluxKustomization, ...]]:
    start = _start(group[0], is_written=group[0].path in defined)
    files = {item.path for item in group}
    known: dict[tuple[str, tuple[str, str]], FluxKustomization] = {}
    waiting = list(group)
    if start != ".":
        # What lies beside the first Kustomization is given to the cluster as that one is.
        files |= listing.contents(plain_build(listing, start)).files
        waiting += [item for path in files for item in defined.get(path, ())]
    while waiting:
        item = waiting.pop()
        if (item.path, item.key) in known:
            continue
        held = frozenset() if others.has(item) else listing.contents(item).files
        known[item.path, item.key] = item.holding(held)
        for path in held | {item.path}:
            files.add(path)
            waiting += defined.get(path, ())
    return start, frozenset(files), tuple(known.values())


def _start(root: FluxKustomization, *, is_written: bool) -> str:
    """The folder that a cluster is known by: the one that it starts from.

    ``is_written`` says that a file of the repository defines its root, not an operator.
    """
    if not is_written or is_below(root.path, root.folder):
        return root.folder
    return posixpath.dirname(root.path) or "."
