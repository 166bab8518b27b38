"""Where apps are listed: the folders that hold them, by what is in them, and the one for the rollout."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tasks.core.settings import Settings
from tasks.flux.kustomizations import FluxKustomization
from tasks.flux.listing import above, is_below
from tasks.flux.missing import MissingError
from tasks.flux.scope import Scope
from tasks.flux.substitution import has_variable
from tasks.flux.tree import Tree
from tasks.yaml.templates import MARKER

USUAL_NAMES = ("monitoring", "observability", "o11y", "monitoring-system", "logging")
# What belongs to monitoring, by the names that its charts and projects have.
_MONITORING = re.compile(
    r"grafana|prometheus|loki|promtail|vector$|vector-|fluent|victoria|alertmanager|thanos|mimir|tempo|jaeger"
    r"|opentelemetry|otel|alloy|exporter|gatus|kromgo|logs\b|logging|parseable"
)
# Where Grafana is, ours is wanted too; its operator and the stack that brings it count as well.
_GRAFANA = re.compile(r"grafana(-operator|-instance)?|kube-prometheus-stack")
_WORKLOAD = re.compile(r"(?m)^kind:\s*[\"']?(?:HelmRelease|Deployment|StatefulSet|DaemonSet)\b")
_NAMESPACE = re.compile(r"(?m)^kind:\s*[\"']?Namespace\b")
_ARGO = re.compile(r"(?m)^apiVersion:\s*[\"']?argoproj\.io/v1alpha1[\"']?\s*\nkind:\s*[\"']?Application")
_MOST_NAMED = 6


@dataclass(frozen=True)
class Place:
    """A folder whose kustomization lists apps; ``apps`` are their names, without ours."""

    path: str
    apps: tuple[str, ...] = field(repr=False)

    @property
    def things(self) -> list[str]:
        """The apps that belong to monitoring."""
        return [name for name in self.apps if _MONITORING.search(name)]

    @property
    def has_grafana(self) -> bool:
        """Whether one of the apps is Grafana, or brings it."""
        return any(_GRAFANA.fullmatch(name) for name in self.apps)

    def __str__(self) -> str:
        return f"{self.path} ({_shortened(self.things)})"


def _shortened(things: Sequence[str]) -> str:
    named = ", ".join(things[:_MOST_NAMED]) + (", …" if len(things) > _MOST_NAMED else "")
    return named or "nothing of monitoring"


def places_of(scope: Scope) -> list[Place]:
    """The folders of one cluster alone that list apps, as Flux Kustomizations; else as plain folders."""
    found: dict[str, dict[str, None]] = {}
    plain = _plain(scope)
    leading = {item.path for item in scope.kustomizations}
    for item in scope.kustomizations:
        is_leaf = not (item.files - {item.path}) & leading
        holds_apps = any(
            is_below(f"{folder}/", item.folder) and below for folder, (_, below) in plain.items()
        )
        is_app = is_leaf and item.files and not holds_apps
        if is_app and MARKER not in scope.tree.texts.get(item.path, MARKER):
            folder = _listed_in(scope.tree, item)
            if folder is not None:
                found.setdefault(folder, {})[item.key[1]] = None
    by_flux = _usable(scope, found)
    return by_flux or _usable(scope, {folder: apps for folder, (apps, _) in plain.items()})


def _usable(scope: Scope, found: Mapping[str, Iterable[str]]) -> list[Place]:
    """The folders of this cluster alone, and of apps; that of Flux lists what applies them."""
    tree = scope.tree
    places = [
        Place(folder, tuple(sorted(apps)))
        for folder, apps in sorted(found.items())
        if tree.kustomizations[folder] not in scope.shared
    ]
    return [place for place in places if place.things or not _is_of_flux(tree, place)]


def _is_of_flux(tree: Tree, place: Place) -> bool:
    """Whether a folder has the source of the cluster: what it lists is all of the apps as one, say."""
    return any(
        posixpath.dirname(item.path) == place.path
        for item in tree.of_kind("GitRepository", "Bucket", "FluxInstance")
    )


def lister_of(tree: Tree, path: str) -> str | None:
    """The nearest folder whose kustomization lists the file or folder ``path``."""
    for folder in above(path):
        # The tree calls the top the empty text.
        key = "" if folder == "." else folder
        if key in tree.kustomizations and tree.lists(key, path, "resources", "bases"):
            return key
    return None


def _listed_in(tree: Tree, item: FluxKustomization) -> str | None:
    """The folder that lists an app, given its Kustomization."""
    folder = lister_of(tree, item.path) or None
    if folder is None or posixpath.dirname(item.path) != folder:
        return folder
    # A file of the folder itself: monitoring/grafana.yaml, or grafana/app.ks.yaml in the folder of one app.
    own, name = posixpath.basename(folder), item.key[1]
    is_own_folder = name == own or name.startswith(f"{own}-")
    is_beside = not is_below(f"{item.folder}/", folder) or posixpath.relpath(item.folder, folder) == name
    return lister_of(tree, folder) or folder if is_own_folder and not is_beside else folder


def _plain(scope: Scope) -> dict[str, tuple[dict[str, None], bool]]:
    """Folders that a Kustomization leads to and whose kustomization lists folders of apps.

    With the names of these, and whether some lie below it: an overlay lists those of somewhere else.
    """
    tree = scope.tree
    found = {}
    for folder, path in tree.kustomizations.items():
        if path not in scope.files:
            continue
        entries = [posixpath.normpath(posixpath.join(folder, entry)) for entry in tree.entries(folder)]
        apps = [
            entry
            for entry in entries
            if entry in tree.kustomizations and any(_WORKLOAD.search(text) for text in _texts(tree, entry))
        ]
        if apps:
            names = dict.fromkeys(posixpath.basename(app) for app in apps)
            found[folder] = (names, any(is_below(app, folder) for app in apps))
    return found


def _texts(tree: Tree, folder: str) -> Iterator[str]:
    """The texts that the kustomization of ``folder`` lists itself, but for ours."""
    for entry in tree.entries(folder):
        text = tree.texts.get(posixpath.normpath(posixpath.join(folder, entry)), "")
        if MARKER not in text:
            yield text


def choose_scope(settings: Settings, tree: Tree, scopes: Sequence[Scope]) -> Scope | MissingError:
    """The cluster that the rollout is for: the one that is set, or the only one that it can be.

    Returns:
        An error that names the clusters, by what of monitoring is in them, where there are several.
    """
    wanted = settings.gitops.cluster
    if wanted:
        folder = posixpath.normpath(wanted)
        fitting = [scope for scope in scopes if scope.start == folder]
        fitting = fitting or [scope for scope in scopes if is_below(scope.start, folder)]
        fitting = fitting or [scope for scope in scopes if wanted in scope.start.split("/")]
        if len(fitting) == 1:
            return fitting[0]
        return MissingError(
            f"gitops.cluster is {wanted}, which fits {len(fitting) or 'none'} of the clusters: "
            f"{_named(scopes)}",
            "give the folder that the cluster starts from",
            is_all=True,
        )
    apps = posixpath.normpath(settings.gitops.apps)
    holding = [scope for scope in scopes if tree.kustomizations.get(apps) in scope.files]
    scopes = [scope for scope in scopes if scope.is_rooted] or scopes
    with_apps = {scope.start: places_of(scope) for scope in scopes}
    with_monitoring = [s for s in scopes if any(place.things for place in with_apps[s.start])]
    for narrowed in (holding, with_monitoring, [s for s in scopes if with_apps[s.start]]):
        if len(narrowed) == 1:
            return narrowed[0]
        if narrowed:
            return MissingError(
                f"several clusters: {_named(narrowed)}",
                "say which: --cluster NAME, or the setting gitops.cluster",
                is_all=True,
            )
    if apps in tree.kustomizations:
        # What leads to it may lie in another repository.
        return scopes[0] if len(scopes) == 1 else Scope(tree, ".", frozenset(tree.texts), ())
    return _no_apps(tree, scopes)


def _no_apps(tree: Tree, scopes: Sequence[Scope]) -> MissingError:
    """Why there is nothing here to add an app to, in one sentence."""
    hint = "give the repository that lists the apps of the cluster: --repo PATH"
    applied = [item for scope in scopes for item in scope.kustomizations]
    hidden = _hidden(scopes)
    if hidden is not None:
        return hidden
    varied = [item for item in applied if has_variable(item.folder)]
    if varied:
        return MissingError(
            f"Kustomization {varied[0].key[1]} applies {varied[0].spec.get('path')}, a variable of Flux "
            "whose value is not known here, and no other leads to a kustomization that lists apps",
            "set gitops.apps to the folder whose kustomization lists the apps",
            is_all=True,
        )
    elsewhere = sorted({item.origin[1] for item in applied if not item.files and item.origin is not None})
    if elsewhere:
        named = _shortened(elsewhere)
        why = f"the Kustomizations of this repository apply other sources ({named}), and list no apps here"
    elif scopes:
        why = "the Kustomizations of this repository lead to no kustomization that lists apps"
    elif any(_ARGO.search(text) for text in tree.texts.values()):
        why = "this repository has Applications of Argo CD and nothing for Flux"
    else:
        why = "nothing in this repository is for Flux: it has no Kustomization of kustomize.toolkit.fluxcd.io"
    return MissingError(why, hint, is_all=True)


def _hidden(scopes: Sequence[Scope]) -> MissingError | None:
    """Why apps may lie behind a link, or somewhere in an artifact; None if they do not."""
    for scope in scopes:
        if scope.links:
            return MissingError(
                f"{min(scope.links)} is a symbolic link or lies behind one, which Flux leaves out of what it "
                "downloads: what lies there is not applied",
                "put the folder itself there, or point what leads to it at the real one",
                is_all=True,
            )
        for item in scope.kustomizations:
            if item.is_unseen and item.origin is not None:
                return MissingError(
                    f"Kustomization {item.key[1]} applies {item.spec.get('path', '.')} of ExternalArtifact "
                    f"{item.origin[1]}, and no folder of this repository is known to lie there: its "
                    "ArtifactGenerator is not here, or copies more than whole folders (DIR/**)",
                    "let it copy the whole folder of the apps, or point gitops.apps at a folder that Flux "
                    "applies from the repository itself",
                    is_all=True,
                )
    return None


def _named(scopes: Iterable[Scope]) -> str:
    """The clusters with what of monitoring is in them."""
    told = []
    for scope in scopes:
        things = list(dict.fromkeys(thing for place in places_of(scope) for thing in place.things))
        told.append(f"{scope.start} ({_shortened(things)})")
    return ", ".join(told)


def choose_place(places: Sequence[Place]) -> Place | None:
    """The folder for the rollout: where Grafana is, of the usual name, or with most of monitoring.

    None where it would have to be guessed.
    """
    with_things = [place for place in places if place.things]
    usual = [place for place in places if posixpath.basename(place.path) in USUAL_NAMES]
    with_grafana = [place for place in places if place.has_grafana]
    for narrowed in (with_grafana, [place for place in usual if place.things], usual, with_things, places):
        if len(narrowed) == 1:
            return narrowed[0]
    return None


@dataclass(frozen=True)
class Neighbours:
    """What the folders beside that of our apps have in common, for one that is still to be made.

    ``components`` are those that all their kustomizations name, of which one may bring the Namespace;
    ``listing`` is the kustomization that lists them, None where Flux finds them by itself.
    """

    components: tuple[str, ...] = ()
    brings_namespace: bool = False
    listing: str | None = None


def find_place(settings: Settings, scope: Scope, grafana: str) -> str | MissingError:
    """The folder of the apps: as it is set, as documented, the one that monitoring is in, or a new one.

    ``grafana`` is the file of Grafana's release, empty if there is none. A new folder has no kustomization
    yet: it goes beside folders of apps that are each moved into a namespace of their own.
    """
    wanted = posixpath.normpath(settings.gitops.apps)
    listed = _listed(scope, wanted)
    if listed is not None:
        return listed
    places = places_of(scope)
    parents = {posixpath.dirname(place.path) for place in places if _has_own_namespace(scope.tree, place)}
    if settings.chosen("gitops.apps"):
        if posixpath.dirname(wanted) in parents and _is_free(settings, scope.tree, wanted):
            return wanted
        return MissingError(
            f"{wanted} has no kustomization.yaml",
            "gitops.apps must be a folder of apps with a kustomization, or a new one beside such folders",
        )
    with_grafana = [place for place in places if grafana.startswith(f"{place.path}/")]
    found = with_grafana[0] if len(with_grafana) == 1 else choose_place(places)
    # Where a link hides others, the only folder that is left is no evidence.
    if found is not None and (found.things or not scope.links):
        return found.path
    likely = [place for place in places if place.things]
    if not likely and len(parents) == 1:
        new = f"{parents.pop()}/{posixpath.basename(wanted)}".removeprefix("/")
        # With apps of others in it, a folder that is there would be among the places.
        if new in scope.tree.kustomizations or _is_free(settings, scope.tree, new):
            return new
    hidden = None if places and not scope.links else _hidden([scope])
    return hidden or MissingError(
        f"no folder of monitoring apps: {wanted}/kustomization.yaml does not exist; folders that list apps: "
        f"{', '.join(map(str, likely or places)) or 'none'}",
        "set gitops.apps to the folder whose kustomization lists the apps",
    )


def _is_free(settings: Settings, tree: Tree, folder: str) -> bool:
    """Whether nothing of others lies in a folder; what sops encrypted for us carries no mark."""
    own = tuple(f"{folder}/{name}" for name in (settings.parseable.name, settings.vector.name))
    return all(
        MARKER in text or any(is_below(path, one) for one in own)
        for path, text in tree.texts.items()
        if is_below(path, folder)
    )


def _listed(scope: Scope, folder: str) -> str | MissingError | None:
    """A folder with a kustomization of this cluster; None if it has none."""
    listing = scope.tree.kustomizations.get(folder)
    if listing is None or not scope.has(listing):
        return None
    if listing in scope.shared:
        return MissingError(
            f"{folder} is given to other clusters too, which would get the rollout as well",
            "set gitops.apps to a folder of this cluster alone",
        )
    broken = scope.tree.broken.get(listing)
    return MissingError(f"{listing}:{broken}", "correct the file, then run again") if broken else folder


def _has_own_namespace(tree: Tree, place: Place) -> bool:
    """Whether a folder is moved into the namespace that it is named for."""
    return bool(tree.kustomization(place.path).get("namespace") == posixpath.basename(place.path))


def neighbours_of(scope: Scope, folder: str) -> Neighbours:
    """What the folders of apps beside ``folder`` have in common."""
    tree = scope.tree
    beside = [
        place.path
        for place in places_of(scope)
        if posixpath.dirname(place.path) == posixpath.dirname(folder) != place.path != folder
    ]
    if not beside:
        return Neighbours()
    first, *others = [tree.entries(path, "components") for path in beside]
    common = tuple(entry for entry in first if all(entry in entries for entries in others))
    brought = (posixpath.normpath(posixpath.join(beside[0], entry)) for entry in common)
    lister = lister_of(tree, beside[0])
    return Neighbours(
        common,
        any(_NAMESPACE.search(text) for component in brought for text in _texts(tree, component)),
        None if lister is None else tree.kustomizations[lister],
    )
