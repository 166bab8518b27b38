"""The builds of Kustomizations, those that they hold, and so on, with their variables replaced."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.core.errors import RefusedError, UnavailableError
from tasks.core.pace import Pace
from tasks.effects import kustomize
from tasks.effects.kustomize import BuildError, Built, FetchError
from tasks.flux.kustomizations import FluxKustomization, is_flux_kustomization, says_what_it_applies
from tasks.flux.listing import Listing, holding
from tasks.flux.roots import OtherRepositories
from tasks.flux.substitution import (
    SubstitutionError,
    Variables,
    collect,
    has_variable,
    is_exempt,
    substitute,
    unset,
)
from tasks.kube.keys import key_of
from tasks.yaml.documents import dig, mapping


class Builder:
    """Builds what starts from some roots: Kustomizations, those that they hold, and so on.

    Only what ``wanted`` files of the repository lie in is built.
    """

    def __init__(
        self, root: Path, listing: Listing, others: OtherRepositories, wanted: Iterable[str]
    ) -> None:
        self._root = root
        self._listing = listing
        self._others = others
        self._wanted = set(wanted) | {
            item.path for item in listing.tree.of_kind("Kustomization") if is_flux_kustomization(item.data)
        }
        self._pace = Pace("building")
        self._done: dict[tuple[str, str], FluxKustomization] = {}
        self._pending: dict[tuple[str, str], FluxKustomization] = {}

    def run(self, pool: ThreadPoolExecutor, roots: Iterable[FluxKustomization]) -> list[FluxKustomization]:
        """Every Kustomization that follows from ``roots``, with its objects."""
        start = list(roots)
        self._follow(pool, start)
        # A Kustomization that applies itself, as that of Flux, may come out changed by what it lists.
        inside = {item.key: item for item in self._children(self._done.values())}
        again = [inside.get(item.key, item) for item in start]
        if any(one.spec != other.spec for one, other in zip(start, again, strict=True)):
            self._done.clear()
            self._follow(pool, again)
        return list(self._done.values())

    def _follow(self, pool: ThreadPoolExecutor, waiting: list[FluxKustomization]) -> None:
        while waiting or self._pending:
            known = self._done.keys() | self._pending.keys()
            fresh: dict[tuple[str, str], FluxKustomization] = {}
            for item in waiting:
                if item.key not in known:
                    fresh.setdefault(item.key, item)
            for item in pool.map(self._build, fresh.values()):
                (self._done if item.objects is None else self._pending)[item.key] = item
            # Variables may come from any build: who lacks some waits until there is nothing else to build.
            waiting = self._settle() or self._sought() or self._settle(is_last=True)

    def _build(self, item: FluxKustomization) -> FluxKustomization:
        folder = item.folder
        if self._others.has(item) or has_variable(folder):
            return item
        contents = self._listing.contents(item)
        item = replace(item, files=contents.files)
        # A folder that is not there is of another source, as a rule: where ours point there, a check tells.
        if not contents.files & self._wanted or not (self._root / folder).is_dir():
            return item
        listed = None if self._listing.kustomization(folder) else self._listing.generated(folder)
        item = replace(item, remote=contents.remote)
        self._pace.begin(folder)
        try:
            objects = kustomize.build(self._root, folder, item.spec, listed, contents.remote)
        except RefusedError as error:
            if isinstance(error, UnavailableError) and not isinstance(error, FetchError):
                raise
            if contents.remote:
                # Without what is fetched it need not build.
                summary = f"{contents.remote[0][1]} would have to be fetched, which is not done here"
                error = FetchError(summary, f"see what it gives: kubectl kustomize {folder}")
            return replace(item, error=error)
        return replace(item, objects=tuple(objects))

    def _settle(self, *, is_last: bool = False) -> list[FluxKustomization]:
        """Substitute where all variables are known, or ``is_last``; what these Kustomizations hold."""
        settled: list[FluxKustomization] = []
        is_moving = True
        while is_moving:
            is_moving = False
            for key, item in list(self._pending.items()):
                done = self._substituted(item, is_last=is_last)
                if done is not None:
                    del self._pending[key]
                    self._done[key] = done
                    settled.append(done)
                    is_moving = True
        return self._children(settled)

    def _children(self, parents: Iterable[FluxKustomization]) -> list[FluxKustomization]:
        return [
            FluxKustomization.read(one.data, one.path or parent.path, self._listing.tree)
            for parent in parents
            for one in parent.objects or ()
            if is_flux_kustomization(one.data) and says_what_it_applies(one.data, one.faults)
        ]

    def _sought(self) -> list[FluxKustomization]:
        """Kustomizations that were not built and may hold variables that are missing, to be built now."""
        missing = {name for item in self._pending.values() for name in self._variables(item, ()).missing}
        found = []
        for kind, name in missing:
            paths = set(holding(self._listing.tree, name, kind))
            self._wanted |= paths
            for key, item in list(self._done.items()):
                if item.objects is None and item.error is None and item.files & paths:
                    found.append(self._done.pop(key))
        return found

    def _variables(self, item: FluxKustomization, more: Iterable[FluxKustomization]) -> Variables:
        """The variables of ``item``, as far as what is settled and ``more`` hold them."""
        post_build = mapping(item.spec, "postBuild")
        if not post_build:
            return Variables()

        def find(kind: str, name: str) -> Mapping[str, Any] | None:
            for other in (*self._done.values(), *more):
                for one in other.objects or ():
                    key = key_of(one.data, other.key[0])
                    if (key.kind, key.namespace, key.name) == (kind, item.key[0], name):
                        return one.data
            return None

        return collect(post_build, find)

    def _substituted(self, item: FluxKustomization, *, is_last: bool) -> FluxKustomization | None:
        """``item`` with its variables replaced; None while some are missing, unless ``is_last``."""
        objects = item.objects or ()
        try:
            # One that holds its own variables was given them once by hand.
            variables = self._variables(item, (item,) if is_last else ())
            if variables.missing and not is_last:
                return None
            if variables.is_certain:
                objects = tuple(_replaced(one, variables) for one in objects)
        except SubstitutionError as error:
            return replace(item, objects=None, error=BuildError(str(error)))
        return replace(item, objects=tuple(_labelled(one, item.spec) for one in objects))


def _replaced(one: Built, variables: Variables) -> Built:
    if "$" not in one.text or is_exempt(mapping(one.data, "metadata")):
        return one
    what = f"{one.data.get('kind')} {dig(one.data, 'metadata', 'name')}"
    try:
        text, names = substitute(one.text, variables), unset(one.text, variables)
    except SubstitutionError as error:
        raise SubstitutionError(f"variables cannot be substituted in {what}: {error}") from None
    again = kustomize.parse(text, one.path)
    if again is None:
        raise SubstitutionError(f"{what} is not YAML any more with its variables substituted")
    return replace(again, unset=names)


def _labelled(one: Built, spec: Mapping[str, Any]) -> Built:
    """``one`` with the labels and annotations that the Kustomization gives all its objects."""
    common = mapping(spec, "commonMetadata")
    if not common:
        return one
    metadata = dict(mapping(one.data, "metadata"))
    for name in ("labels", "annotations"):
        if mapping(common, name):
            metadata[name] = {**mapping(metadata, name), **mapping(common, name)}
    return replace(one, data={**one.data, "metadata": metadata})
