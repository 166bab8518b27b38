"""What the repository itself shows about its layout: folders, namespace, source, decryption, API versions.

A setting at its documented value yields to what the repository shows; a setting that was changed is obeyed.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tasks.core.errors import RefusedError
from tasks.core.flux_tree import FluxObject, Tree, parents
from tasks.core.grafana import GrafanaPlace, find_grafana
from tasks.core.render import MARKER
from tasks.core.settings import Settings

# The spec's documented API versions; an older cluster's repository shows others (errata E23).
_DOCUMENTED_APIS = {
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
    "HelmRepository": "source.toolkit.fluxcd.io/v1",
}
_FLUX_API = re.compile(r"(?m)^apiVersion:\s*[\"']?((?:kustomize|helm|source)\.toolkit\.fluxcd\.io/\w+)")
_APP_ENTRY = re.compile(r"^(\./)?[^/]+/ks\.ya?ml$")
_USUAL_FOLDERS = ("monitoring", "observability")

T = TypeVar("T")


class MissingError(RefusedError):
    """Something that a task needs and the repository does not show."""


@dataclass(frozen=True)
class Source:
    """What a Flux object refers to."""

    kind: str
    name: str
    namespace: str


@dataclass(frozen=True)
class HelmSource:
    """A HelmRepository: ``path`` is the file that defines it, None if it is still to be written."""

    path: str | None
    name: str
    namespace: str


@dataclass(frozen=True)
class Layout:
    """Where things are. A field that could not be found holds the error that says so: read it with ``need``.

    ``decryption`` is what the Parseable Kustomization must say itself, None where its parent patches it in.
    ``apis`` maps a kind of Flux object to the API version to write.
    """

    apps: str | MissingError
    apps_kustomization: str | MissingError
    namespace: str
    source: Source | MissingError
    decryption: Mapping[str, Any] | None
    repositories: str | MissingError
    repositories_kustomization: str | MissingError
    parseable_charts: HelmSource | MissingError
    vector_charts: HelmSource | MissingError
    grafana: GrafanaPlace | MissingError
    apis: Mapping[str, str]


def need(found: T | MissingError) -> T:
    """The value that was found.

    Raises:
        MissingError: it was not.
    """
    if isinstance(found, MissingError):
        raise found
    return found


def need_all(*found: object) -> None:
    """Check several at once.

    Raises:
        MissingError: one of them, or one error naming all that is missing.
    """
    missing = list({str(item): item for item in found if isinstance(item, MissingError)}.values())
    if len(missing) == 1:
        raise missing[0]
    if missing:
        raise MissingError(
            "; ".join(item.summary for item in missing), "; ".join(item.hint for item in missing if item.hint)
        )


def discover(settings: Settings, paths: Sequence[str], read: Callable[[str], str | None]) -> Layout:
    """Read the layout from the YAML files ``paths`` of a repository; ``read`` gives a file's text."""
    tree = Tree(paths, read)
    grafana = find_grafana(settings, tree.texts)
    apps = _find_apps(settings, tree, grafana)
    siblings = [
        item
        for item in tree.of_kind("Kustomization")
        if isinstance(apps, str) and item.path.startswith(apps + "/")
    ]
    namespace = _find_namespace(settings, tree, apps, siblings)
    repositories = _find_repositories(settings, tree)
    found_grafana: GrafanaPlace | MissingError
    if isinstance(grafana, GrafanaPlace):
        found_grafana = _same_namespace(_placed(grafana, tree, siblings), namespace)
    else:
        found_grafana = MissingError(grafana.summary, grafana.hint)
    return Layout(
        apps=apps,
        apps_kustomization=tree.kustomizations[apps] if isinstance(apps, str) else apps,
        namespace=namespace,
        source=_find_source(settings, tree, siblings),
        decryption=_find_decryption(tree, apps, siblings),
        repositories=repositories,
        repositories_kustomization=(
            tree.kustomizations[repositories] if isinstance(repositories, str) else repositories
        ),
        parseable_charts=_find_charts(
            settings, tree, "parseable", settings.parseable.chart_repository, repositories
        ),
        vector_charts=_find_charts(settings, tree, "vector", settings.vector.chart_repository, repositories),
        grafana=found_grafana,
        apis=_find_apis(tree),
    )


def _find_apps(settings: Settings, tree: Tree, grafana: GrafanaPlace | RefusedError) -> str | MissingError:
    wanted = settings.gitops.apps.rstrip("/")
    if wanted in tree.kustomizations:
        return wanted
    if settings.chosen("gitops.apps"):
        return MissingError(
            f"{wanted} has no kustomization.yaml", "gitops.apps must be a folder of apps with a kustomization"
        )
    candidates = [
        folder for folder in tree.kustomizations if any(_APP_ENTRY.match(e) for e in tree.entries(folder))
    ]
    grafana_path = grafana.path if isinstance(grafana, GrafanaPlace) else ""
    with_grafana = [folder for folder in candidates if grafana_path.startswith(folder + "/")]
    usual = [folder for folder in candidates if posixpath.basename(folder) in _USUAL_FOLDERS]
    for narrowed in (with_grafana, usual):
        if len(narrowed) == 1:
            return narrowed[0]
    seen = f"; folders that list apps: {', '.join(sorted(candidates))}" if candidates else ""
    return MissingError(
        f"no folder of monitoring apps: {wanted}/kustomization.yaml does not exist{seen}",
        "set gitops.apps to the folder whose kustomization lists the apps",
    )


def _find_namespace(
    settings: Settings, tree: Tree, apps: str | MissingError, siblings: Sequence[FluxObject]
) -> str:
    documented = settings.gitops.namespace
    if settings.chosen("gitops.namespace") or not isinstance(apps, str):
        return documented
    targets = _most_common(item.spec.get("targetNamespace") for item in siblings)
    transformer = tree.kustomization(apps).get("namespace")
    if targets is not None:
        return str(targets)
    if isinstance(transformer, str) and transformer != settings.flux.namespace:
        return transformer
    return documented if apps == settings.gitops.apps else posixpath.basename(apps)


def _find_source(settings: Settings, tree: Tree, siblings: Sequence[FluxObject]) -> Source | MissingError:
    flux = settings.flux
    if settings.chosen("flux.source"):
        return Source(flux.source_kind, flux.source, flux.namespace)
    defined = {
        (item.kind, item.name): tree.built_namespace(item)
        for item in tree.of_kind("GitRepository", "OCIRepository", "Bucket")
    }
    for group in (siblings, list(tree.of_kind("Kustomization"))):
        used = _most_common(
            (ref.get("kind"), ref.get("name"))
            for ref in (item.spec.get("sourceRef") for item in group)
            if isinstance(ref, dict)
        )
        if used is not None:
            kind, name = used
            named = _most_common(
                item.spec["sourceRef"].get("namespace")
                for item in group
                if isinstance(item.spec.get("sourceRef"), dict) and item.spec["sourceRef"].get("name") == name
            )
            return Source(str(kind), str(name), str(named or defined.get((kind, name)) or flux.namespace))
    for item in tree.of_kind("FluxInstance"):
        # The operator names source and namespace after the instance's own namespace (its spec.sync).
        sync = item.spec.get("sync")
        if isinstance(sync, dict):
            namespace = item.namespace or flux.namespace
            return Source(str(sync.get("kind", "GitRepository")), str(sync.get("name", namespace)), namespace)
    repositories = [key for key in defined if key[0] == "GitRepository"]
    if len(repositories) == 1:
        kind, name = repositories[0]
        return Source(kind, name, defined[repositories[0]] or flux.namespace)
    return MissingError(
        "no Flux source: no Kustomization with a sourceRef, no GitRepository and no FluxInstance was found",
        "set flux.source (and flux.source_kind, flux.namespace) to what your Kustomizations reconcile from",
    )


def _find_decryption(
    tree: Tree, apps: str | MissingError, siblings: Sequence[FluxObject]
) -> Mapping[str, Any] | None:
    for item in tree.of_kind("Kustomization"):
        path = posixpath.normpath(str(item.spec.get("path", "")).lstrip("/"))
        covers = isinstance(apps, str) and (apps == path or apps.startswith(path + "/") or path == ".")
        patches = item.spec.get("patches")
        if covers and item not in siblings and any(_patches_decryption(p) for p in patches or ()):
            return None
    for group in (siblings, list(tree.of_kind("Kustomization"))):
        for item in group:
            own = item.spec.get("decryption")
            if isinstance(own, dict) and own.get("provider") == "sops":
                return own
    return {"provider": "sops", "secretRef": {"name": "sops-age"}}


def _patches_decryption(patch: object) -> bool:
    if not isinstance(patch, dict) or "decryption" not in str(patch.get("patch", "")):
        return False
    target = patch.get("target")
    if not isinstance(target, dict):
        return True
    # Our Kustomizations have no labels: a selector that wants one passes them by.
    selector = str(target.get("labelSelector", "!"))
    return target.get("kind", "Kustomization") == "Kustomization" and ("notin" in selector or "!" in selector)


def _find_repositories(settings: Settings, tree: Tree) -> str | MissingError:
    wanted = settings.gitops.repositories.rstrip("/")
    if wanted in tree.kustomizations:
        return wanted
    if settings.chosen("gitops.repositories"):
        return MissingError(
            f"{wanted} has no kustomization.yaml",
            "gitops.repositories must be a folder of HelmRepositories with a kustomization",
        )
    folders = Counter(
        posixpath.dirname(item.path)
        for item in tree.of_kind("HelmRepository")
        if tree.lists(posixpath.dirname(item.path), item.path)
    )
    ranked = folders.most_common(2)
    if ranked and (len(ranked) == 1 or ranked[0][1] > ranked[1][1]):
        return ranked[0][0]
    seen = f"; HelmRepositories are listed in {', '.join(sorted(folders))}" if folders else ""
    return MissingError(
        f"no folder of HelmRepositories: {wanted}/kustomization.yaml does not exist{seen}",
        "set gitops.repositories to the folder whose kustomization lists the HelmRepositories",
    )


def _find_charts(
    settings: Settings, tree: Tree, name: str, url: str, repositories: str | MissingError
) -> HelmSource | MissingError:
    existing = list(tree.of_kind("HelmRepository"))
    for item in existing:
        if str(item.spec.get("url", "")).rstrip("/") == url.rstrip("/"):
            namespace = tree.built_namespace(item) or settings.flux.namespace
            return HelmSource(item.path, item.name, namespace)
    for item in existing:
        if MARKER in tree.texts[item.path] and posixpath.basename(item.path) == f"{name}.yaml":
            # Our own file with another URL than the settings have now: it will be written anew.
            return HelmSource(item.path, item.name, settings.flux.namespace)
    for item in existing:
        if item.name == name and tree.built_namespace(item) in (None, settings.flux.namespace):
            return MissingError(
                f"HelmRepository {name} in {item.path} has another URL than {url}",
                f"set {name}.chart_repository to the URL it has, if that serves the same charts",
            )
    if isinstance(repositories, MissingError):
        return repositories
    return HelmSource(None, name, settings.flux.namespace)


def _find_apis(tree: Tree) -> Mapping[str, str]:
    groups = {api.split("/")[0]: kind for kind, api in _DOCUMENTED_APIS.items()}
    used: dict[str, set[str]] = {kind: set() for kind in _DOCUMENTED_APIS}
    for text in tree.texts.values():
        for match in _FLUX_API.finditer(text):
            api = match[1]
            kind = groups[api.split("/")[0]]
            # OCIRepository and others of the source group are versioned on their own.
            if kind != "HelmRepository" or re.match(
                r"[^\n]*\nkind:\s*[\"']?HelmRepository\b", text[match.start() :]
            ):
                used[kind].add(api)
    return {
        kind: max(apis, key=_api_age) if (apis := used[kind]) else documented
        for kind, documented in _DOCUMENTED_APIS.items()
    }


def _api_age(api: str) -> tuple[int, bool, int]:
    """Sort key of Kubernetes API versions: v2 after v2beta2 after v2beta1 after v1."""
    found = re.fullmatch(r"v(\d+)(?:(?:alpha|beta)(\d+))?", api.split("/")[1])
    if found is None:
        return (0, False, 0)
    return (int(found[1]), found[2] is None, int(found[2] or 0))


def _placed(place: GrafanaPlace, tree: Tree, siblings: Sequence[FluxObject]) -> GrafanaPlace:
    """``place`` with the namespace its Flux Kustomization or kustomization gives it, if it names none."""
    folder = posixpath.dirname(place.path)
    for item in [*siblings, *tree.of_kind("Kustomization")]:
        path = posixpath.normpath(str(item.spec.get("path", "")))
        target = item.spec.get("targetNamespace")
        if isinstance(target, str) and (folder == path or folder.startswith(path + "/")):
            return place.in_namespace(target)
    for parent in parents(place.path):
        transformer = tree.kustomization(parent).get("namespace")
        if isinstance(transformer, str):
            return place.in_namespace(transformer)
    return place


def _same_namespace(place: GrafanaPlace, namespace: str) -> GrafanaPlace | MissingError:
    if place.namespace not in (None, namespace):
        return MissingError(
            f"Grafana ({place.path}) runs in namespace {place.namespace}, Parseable's Secret in {namespace}",
            "pods read Secrets of their own namespace only: set gitops.apps to the folder of Grafana's",
        )
    return place


def _most_common(values: Iterable[Any]) -> Any:
    counted = Counter(value for value in values if value is not None)
    return counted.most_common(1)[0][0] if counted else None
