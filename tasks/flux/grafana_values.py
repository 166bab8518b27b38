"""Which file holds which of Grafana's values: the HelmRelease, a patch of an overlay, or a ConfigMap's file.

Helm and strategic merges replace lists as a whole, so an entry must go to the list that wins.
"""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.core.errors import RefusedError
from tasks.flux.grafana import GrafanaPlace
from tasks.flux.grafana_plugins import VARIABLES
from tasks.flux.tree import Tree
from tasks.yaml.documents import dig, items, load_documents, mapping, merged

# Where Grafana's chart wants things, below the level of its values.
PLUGINS = "plugins"
DATASOURCES = ("datasources", "datasources.yaml", "datasources")
_PATCHES = ("patches", "patchesStrategicMerge")
_DEFAULT_KEY = "values.yaml"
_MOVE = "move plugins and datasources into spec.values of the HelmRelease, or set grafana.manage to none"


@dataclass(frozen=True)
class ValuesPlace:
    """Values in a file: number of the document in it, and the level that Grafana's own keys are at."""

    path: str
    document: int
    level: tuple[str, ...]


@dataclass(frozen=True)
class Holders:
    """Where each part of Grafana's values is: the lists where one is, else the HelmRelease.

    ``variable`` is the path of the variable that names the plugins where there is no list of them: one of the
    chart's ``env``, or of a ConfigMap that Grafana's variables are taken from.
    """

    plugins: ValuesPlace
    variable: tuple[str, str] | None
    datasources: ValuesPlace
    rest: ValuesPlace


@dataclass(frozen=True)
class _Layer:
    """Values that Helm gets; ``refusal`` says why lists in them cannot be edited, empty if they can."""

    place: ValuesPlace
    values: Mapping[str, Any] = field(repr=False)
    refusal: str = ""


def holders_of(place: GrafanaPlace, tree: Tree) -> Holders:
    """The files that hold the parts of the values of the Grafana at ``place``.

    Raises:
        RefusedError: a list is, or may be, where it cannot be edited, so that another one would replace it
            or be replaced by it.
    """
    own = ValuesPlace(place.path, place.document, place.level)
    layers, hidden = _layers(place, tree)
    listed = _first(layers, lambda values: bool(items(values, PLUGINS)))
    variable, taken = None, None
    if listed is None:
        variable = _variable(layers)
        listed = _first(layers, lambda values: variable is not None and _has(values, variable))
    if listed is None:
        taken = _taken(layers, tree)
    sources = _first(layers, lambda values: isinstance(dig(values, *DATASOURCES), list))
    # A list that is there and empty is known too.
    is_known = listed is not None or _first(layers, lambda values: PLUGINS in values) is not None
    if hidden and not (is_known and sources is not None):
        raise RefusedError(hidden, f"Helm would replace lists that are elsewhere: {_MOVE}")
    for layer in (listed, sources):
        if layer is not None and layer.refusal:
            raise RefusedError(layer.refusal, _MOVE)
    if taken is not None:
        return Holders(*taken, sources.place if sources else own, own)
    return Holders(listed.place if listed else own, variable, sources.place if sources else own, own)


def written_values(place: GrafanaPlace, tree: Tree) -> tuple[Mapping[str, Any], str]:
    """Grafana's own values as the files of the repository say them, and what is not seen; empty if all is."""
    layers, hidden = _layers(place, tree)
    values: Mapping[str, Any] = {}
    for layer in reversed(layers):
        values = merged(values, layer.values)
    return values, hidden


def _layers(place: GrafanaPlace, tree: Tree) -> tuple[list[_Layer], str]:
    """What gives values, the first wins; and a sentence about what cannot be seen, empty if all can."""
    own = ValuesPlace(place.path, place.document, place.level)
    layers = [*_patches(place, tree), _Layer(own, values_at(own, tree.texts.get(place.path, "")))]
    hidden = ""
    for reference in reversed(place.values_from):
        found = _referred(place, tree, reference)
        if isinstance(found, _Layer):
            layers.append(found)
        else:
            hidden = hidden or found
    return layers, hidden


def values_at(place: ValuesPlace, text: str) -> Mapping[str, Any]:
    """The values at ``place`` in ``text``; empty where the level does not exist."""
    documents = load_documents(text)
    return mapping(documents[place.document], *place.level) if place.document < len(documents) else {}


def _first(layers: list[_Layer], holds: Callable[[Mapping[str, Any]], bool]) -> _Layer | None:
    return next((layer for layer in layers if holds(layer.values)), None)


def _has(values: Mapping[str, Any], variable: tuple[str, str]) -> bool:
    return isinstance(dig(values, *variable), str)


def _variable(layers: list[_Layer]) -> tuple[str, str] | None:
    """The variable of ``env`` that names plugins, if one does."""
    named = (("env", name) for name in VARIABLES for one in layers if _has(one.values, ("env", name)))
    return next(named, None)


def _taken(layers: list[_Layer], tree: Tree) -> tuple[ValuesPlace, tuple[str, str]] | None:
    """The ConfigMap of ``envFromConfigMaps`` that names plugins, if one does."""
    names = {dig(one, "name") for layer in layers for one in items(layer.values, "envFromConfigMaps")}
    for path, text in tree.texts.items():
        if not names or "ConfigMap" not in text:
            continue
        for number, document in enumerate(load_documents(text)):
            if dig(document, "kind") == "ConfigMap" and dig(document, "metadata", "name") in names:
                for name in VARIABLES:
                    if _has(document, ("data", name)):
                        return ValuesPlace(path, number, ()), ("data", name)
    return None


def _patches(place: GrafanaPlace, tree: Tree) -> Iterator[_Layer]:
    """Strategic merge patches of the HelmRelease in the kustomizations that build on its folder."""
    for folder, path in tree.kustomizations.items():
        listing = tree.kustomization(folder)
        if (
            not any(items(listing, name) for name in _PATCHES)
            or not tree.is_reconciled(path)
            or not _builds_on(tree, folder, place.path)
        ):
            continue
        for name in _PATCHES:
            for one in items(listing, name):
                file = dig(one, "path") if isinstance(one, dict) else one
                inline = dig(one, "patch") if isinstance(one, dict) else None
                if isinstance(inline, str):
                    yield from _patch(place, path, inline, refusal=f"a patch in {path} holds Grafana's lists")
                elif isinstance(file, str) and "\n" in file:
                    yield from _patch(place, path, file, refusal=f"a patch in {path} holds Grafana's lists")
                elif isinstance(file, str):
                    local = posixpath.normpath(posixpath.join(folder, file))
                    yield from _patch(place, local, tree.texts.get(local, ""))


def _patch(place: GrafanaPlace, path: str, text: str, refusal: str = "") -> Iterator[_Layer]:
    for number, document in enumerate(load_documents(text)):
        if dig(document, "kind") == "HelmRelease" and dig(document, "metadata", "name") == place.name:
            where = ValuesPlace(path, number, place.level)
            yield _Layer(where, mapping(document, *place.level), refusal)


def _builds_on(tree: Tree, folder: str, path: str) -> bool:
    """Whether the kustomization in ``folder`` takes the file ``path`` in, through whichever others."""
    seen: set[str] = set()
    waiting = [folder]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        for entry in tree.entries(one, "resources", "components", "bases"):
            local = posixpath.normpath(posixpath.join(one, entry))
            if local == path:
                return True
            waiting.append(local)
    return False


def _referred(place: GrafanaPlace, tree: Tree, reference: Any) -> _Layer | str:
    """The values that an entry of valuesFrom gives; a sentence where they cannot be seen."""
    kind, name = str(dig(reference, "kind")), str(dig(reference, "name"))
    key, target = str(dig(reference, "valuesKey") or _DEFAULT_KEY), dig(reference, "targetPath")
    told = f"{place.path} has spec.valuesFrom, and no plugins or datasources of its own: {kind} {name}"
    nowhere = ValuesPlace(place.path, place.document, place.level)
    if target is not None:
        # Flux sets this one value: https://fluxcd.io/flux/components/helm/helmreleases/#values-references.
        return f"{told} sets {target}" if _sets_lists(place, str(target)) else _Layer(nowhere, {})
    if kind == "ConfigMap":
        for found in (*_generated(place, tree, name, key), *_config_maps(place, tree, name, key)):
            return found
    return f"{told} cannot be read here"


def _sets_lists(place: GrafanaPlace, target: str) -> bool:
    """Whether a value at the path ``target`` (dots between keys, those of a key escaped) is of our lists."""
    keys = re.split(r"(?<!\\)\.|(?=\[)", target)
    names = [key.replace("\\", "") for key in keys if key]
    inner = place.level[2:]
    if tuple(names[: len(inner)]) != inner[: len(names)]:
        return False
    below = names[len(inner) :]
    if not below or below[0] in (PLUGINS, DATASOURCES[0]):
        return True
    return below[0] == "env" and (len(below) == 1 or below[1] in VARIABLES)


def _generated(place: GrafanaPlace, tree: Tree, name: str, key: str) -> Iterator[_Layer]:
    """The file that a configMapGenerator makes the ConfigMap's ``key`` of."""
    for folder, path in tree.kustomizations.items():
        for generator in items(tree.kustomization(folder), "configMapGenerator"):
            if dig(generator, "name") != name or not _is_beside(tree, folder, place.path):
                continue
            for entry in items(generator, "files"):
                given, _, file = str(entry).rpartition("=")
                local = posixpath.normpath(posixpath.join(folder, file))
                if (given or posixpath.basename(file)) == key and local in tree.texts:
                    where = ValuesPlace(local, 0, place.level[2:])
                    yield _Layer(where, values_at(where, tree.texts[local]))
            for literal in items(generator, "literals"):
                given, _, text = str(literal).partition("=")
                if given == key:
                    yield _inside(place, path, text, f"a literal of the ConfigMap {name} in {path}")


def _config_maps(place: GrafanaPlace, tree: Tree, name: str, key: str) -> Iterator[_Layer]:
    for path, text in tree.texts.items():
        if "ConfigMap" not in text or name not in text:
            continue
        for document in load_documents(text):
            if dig(document, "kind") == "ConfigMap" and dig(document, "metadata", "name") == name:
                found = dig(document, "data", key)
                if isinstance(found, str):
                    yield _inside(place, path, found, f"the ConfigMap {name} in {path}")


def _inside(place: GrafanaPlace, path: str, text: str, what: str) -> _Layer:
    """Values in a text of a document, which cannot be edited there."""
    documents = load_documents(text)
    values = mapping(documents[0], *place.level[2:]) if documents else {}
    return _Layer(ValuesPlace(path, 0, ()), values, f"{what} holds Grafana's lists, as a text")


def _is_beside(tree: Tree, folder: str, path: str) -> bool:
    """Whether a kustomization in ``folder`` may make what the file ``path`` names."""
    return posixpath.dirname(path) == folder or _builds_on(tree, folder, path)
