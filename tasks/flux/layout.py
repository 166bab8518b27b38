"""What the repository itself shows about its layout: folders, namespace, source, decryption, API versions.

A setting at its documented value yields to what the repository shows; a setting that was changed is obeyed.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tasks.core.errors import RefusedError
from tasks.core.settings import Settings
from tasks.flux.grafana import GrafanaPlace, find_grafana
from tasks.flux.tree import FluxObject, Tree, parents
from tasks.yaml.documents import items, load_documents, mapping
from tasks.yaml.templates import MARKER

# The documented API versions. HelmRelease v2 and HelmRepository v1 exist since Flux 2.3; a repository for an
# older cluster shows others.
_DOCUMENTED_APIS = {
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
    "HelmRepository": "source.toolkit.fluxcd.io/v1",
}
_FLUX_API = re.compile(r"(?m)^apiVersion:\s*[\"']?((?:kustomize|helm|source)\.toolkit\.fluxcd\.io/\w+)")
_APP_ENTRY = re.compile(r"^(\./)?[^/]+/ks\.ya?ml$")
# What a creation rule calls keys of services that a pod may log in to as itself, and those that are kept in a
# Secret: https://getsops.io/docs/#using-sops-yaml-conf-to-select-kms-pgp-and-age-for-new-files
_CLOUD_KEYS = frozenset({"kms", "gcp_kms", "azure_keyvault"})
_KEPT_KEYS = frozenset({"age", "pgp", "hc_vault", "hc_vault_transit_uri"})
_USUAL_FOLDERS = ("monitoring", "observability")

T = TypeVar("T")


class MissingError(RefusedError):
    """Something that a task needs and the repository does not show, or several such things."""

    def __init__(self, summary: str, hint: str = "", parts: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(summary, hint)
        self._parts = tuple(parts) or ((summary, hint),)

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        return self._parts


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
    ``flux_namespace`` is the one that the Flux objects say they are in; ``apis`` maps a kind of Flux object
    to the API version to write.
    """

    apps: str | MissingError
    apps_kustomization: str | MissingError
    namespace: str
    flux_namespace: str
    source: Source | MissingError
    decryption: Mapping[str, Any] | None
    repositories: str | MissingError
    repositories_kustomization: str | MissingError
    parseable_charts: HelmSource | MissingError
    vector_charts: HelmSource | MissingError
    grafana: GrafanaPlace | MissingError
    apis: Mapping[str, str]


def charts_file(repositories: str, name: str) -> str:
    """The file for the HelmRepository of chart ``name`` in the folder ``repositories``."""
    return f"{repositories}/{name}.yaml"


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
            "; ".join(item.summary for item in missing),
            "; ".join(item.hint for item in missing if item.hint),
            [part for item in missing for part in item.parts],
        )


def discover(settings: Settings, tree: Tree) -> Layout:
    """Read the layout from the parts of a repository."""
    grafana = find_grafana(settings, tree.texts, tree.is_reconciled)
    apps = _find_apps(settings, tree, grafana)
    siblings = [
        item
        for item in tree.of_others("Kustomization")
        if isinstance(apps, str) and item.path.startswith(apps + "/")
    ]
    flux_namespace = _find_flux_namespace(settings, tree, siblings)
    namespace = _find_namespace(settings, tree, apps, siblings)
    repositories = _find_repositories(settings, tree)
    found_grafana: GrafanaPlace | MissingError
    if isinstance(grafana, GrafanaPlace):
        found_grafana = _same_namespace(_placed(grafana, tree, siblings), namespace)
    else:
        found_grafana = MissingError(grafana.summary, grafana.hint)

    def charts(name: str, url: str) -> HelmSource | MissingError:
        return _find_charts(tree, name, url, repositories, flux_namespace)

    return Layout(
        apps=apps,
        apps_kustomization=tree.kustomizations[apps] if isinstance(apps, str) else apps,
        namespace=namespace,
        flux_namespace=flux_namespace,
        source=_find_source(settings, tree, siblings, flux_namespace),
        decryption=_find_decryption(tree, apps, siblings),
        repositories=repositories,
        repositories_kustomization=(
            tree.kustomizations[repositories] if isinstance(repositories, str) else repositories
        ),
        parseable_charts=charts("parseable", settings.parseable.chart_repository),
        vector_charts=charts("vector", settings.vector.chart_repository),
        grafana=found_grafana,
        apis=newest_apis(text for text in tree.texts.values() if MARKER not in text),
    )


def _find_apps(settings: Settings, tree: Tree, grafana: GrafanaPlace | RefusedError) -> str | MissingError:
    wanted = posixpath.normpath(settings.gitops.apps)
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
    targets = _most_common(_plain(item.spec.get("targetNamespace")) for item in siblings)
    transformer = tree.kustomization(apps).get("namespace")
    if targets is not None:
        return str(targets)
    if isinstance(transformer, str) and transformer != settings.flux.namespace:
        return transformer
    return documented if apps == settings.gitops.apps else posixpath.basename(apps)


def _find_flux_namespace(settings: Settings, tree: Tree, siblings: Sequence[FluxObject]) -> str:
    if settings.chosen("flux.namespace"):
        return settings.flux.namespace
    for group in (siblings, tree.of_others("Kustomization")):
        named = _most_common(_plain(item.namespace) for item in group)
        if named is not None:
            return str(named)
    return settings.flux.namespace


def _find_source(
    settings: Settings, tree: Tree, siblings: Sequence[FluxObject], flux_namespace: str
) -> Source | MissingError:
    flux = settings.flux
    if settings.chosen("flux.source"):
        return Source(flux.source_kind, flux.source, flux_namespace)
    found = _used_source(tree, siblings, flux_namespace)
    if isinstance(found, Source):
        return Source(
            flux.source_kind if settings.chosen("flux.source_kind") else found.kind,
            found.name,
            flux.namespace if settings.chosen("flux.namespace") else found.namespace,
        )
    return found


def _used_source(tree: Tree, siblings: Sequence[FluxObject], flux_namespace: str) -> Source | MissingError:
    """The source that most Kustomizations use, that a FluxInstance makes, or the only GitRepository."""
    defined = {
        (item.kind, item.name): tree.built_namespace(item)
        for item in tree.of_kind("GitRepository", "OCIRepository", "Bucket")
    }
    for group in (siblings, tree.of_others("Kustomization")):
        references = [ref for item in group if isinstance(ref := item.spec.get("sourceRef"), dict)]
        used = _most_common((str(ref.get("kind")), str(ref.get("name"))) for ref in references)
        if used is not None:
            kind, name = used
            named = _most_common(_plain(r.get("namespace")) for r in references if r.get("name") == name)
            return Source(kind, name, str(named or defined.get((kind, name)) or flux_namespace))
    for item in tree.of_kind("FluxInstance"):
        # The operator names source and namespace after the instance's own namespace (its spec.sync).
        sync = item.spec.get("sync")
        if isinstance(sync, dict):
            namespace = item.namespace or flux_namespace
            return Source(str(sync.get("kind", "GitRepository")), str(sync.get("name", namespace)), namespace)
    repositories = [key for key in defined if key[0] == "GitRepository"]
    if len(repositories) == 1:
        kind, name = repositories[0]
        return Source(kind, name, defined[repositories[0]] or flux_namespace)
    return MissingError(
        "no Flux source: no Kustomization with a sourceRef, no GitRepository and no FluxInstance was found",
        "set flux.source (and flux.source_kind, flux.namespace) to what your Kustomizations reconcile from",
    )


def _find_decryption(
    tree: Tree, apps: str | MissingError, siblings: Sequence[FluxObject]
) -> Mapping[str, Any] | None:
    for item in tree.of_others("Kustomization"):
        path = posixpath.normpath(str(item.spec.get("path", "")).lstrip("/"))
        covers = isinstance(apps, str) and (apps == path or apps.startswith(path + "/") or path == ".")
        patches = item.spec.get("patches")
        if covers and item not in siblings and any(_patches_decryption(p) for p in patches or ()):
            return None
    for group in (siblings, tree.of_others("Kustomization")):
        for item in group:
            own = item.spec.get("decryption")
            if isinstance(own, dict) and own.get("provider") == "sops":
                return own
    # The names of Flux's own guides: https://fluxcd.io/flux/guides/mozilla-sops/
    named = _keys_in_rules(tree)
    if named & _CLOUD_KEYS and not named & _KEPT_KEYS:
        # The controller has those by the identity of its workload.
        return {"provider": "sops"}
    return {
        "provider": "sops",
        "secretRef": {"name": "sops-gpg" if named & _KEPT_KEYS == {"pgp"} else "sops-age"},
    }


def _keys_in_rules(tree: Tree) -> set[str]:
    """The kinds of keys that the creation rules of sops name, as they spell them."""
    rules = [
        rule
        for document in load_documents(tree.texts.get(".sops.yaml", ""))
        for rule in items(document, "creation_rules")
    ]
    return {
        str(key)
        for rule in rules
        for part in (rule, *items(rule, "key_groups"))
        for key, value in mapping(part).items()
        if value
    }


def _patches_decryption(patch: object) -> bool:
    """Whether a patch certainly gives our Kustomization decryption; saying so once too often harms nobody."""
    if not isinstance(patch, dict):
        return False
    text, target = str(patch.get("patch", "")), patch.get("target")
    if "decryption" not in text or re.search(r"\bop[\"']?:\s*[\"']?remove\b", text):
        return False
    if not isinstance(target, dict) or target.get("kind", "Kustomization") != "Kustomization":
        return False
    if any(key in target for key in ("name", "namespace", "annotationSelector")):
        return False
    # Our Kustomizations have no labels: a selector that wants one passes them by.
    selector = str(target.get("labelSelector", "!"))
    return "notin" in selector or "!" in selector


def _find_repositories(settings: Settings, tree: Tree) -> str | MissingError:
    wanted = posixpath.normpath(settings.gitops.repositories)
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
    tree: Tree, name: str, url: str, repositories: str | MissingError, flux_namespace: str
) -> HelmSource | MissingError:
    ours = charts_file(str(repositories), name)
    existing = [item for item in tree.of_kind("HelmRepository") if tree.is_applied(item.path)]
    for item in existing:
        if str(item.spec.get("url", "")).rstrip("/") == url.rstrip("/"):
            return HelmSource(item.path, item.name, tree.built_namespace(item) or flux_namespace)
    if isinstance(repositories, MissingError):
        return repositories
    beside = [item for item in tree.of_others("HelmRepository") if item.path.startswith(f"{repositories}/")]
    namespace = str(
        tree.namespace_for(ours) or _most_common(_plain(item.namespace) for item in beside) or flux_namespace
    )
    for item in tree.of_others("HelmRepository"):
        is_same_url = str(item.spec.get("url", "")).rstrip("/") == url.rstrip("/")
        if item.path == ours and is_same_url:
            # There, and only not listed.
            return HelmSource(ours, item.name, tree.namespace_for(ours) or item.namespace or namespace)
        is_same_name = item.name == name and item in existing and item.namespace in (None, namespace)
        if item.path == ours or is_same_name:
            return MissingError(
                f"HelmRepository {item.name} in {item.path} has another URL than {url}",
                f"set {name}.chart_repository to the URL it has, if that serves the same charts",
            )
    return HelmSource(ours if ours in tree.texts else None, name, namespace)


def newest_apis(texts: Iterable[str]) -> Mapping[str, str]:
    """For each kind of Flux object the newest API version that ``texts`` use, else the documented one."""
    groups = {api.split("/")[0]: kind for kind, api in _DOCUMENTED_APIS.items()}
    used: dict[str, set[str]] = {kind: set() for kind in _DOCUMENTED_APIS}
    for text in texts:
        for match in _FLUX_API.finditer(text):
            api = match[1]
            kind = groups[api.split("/")[0]]
            # OCIRepository and others of the source group are versioned on their own.
            if kind != "HelmRepository" or re.match(
                r"[^\n]*\nkind:\s*[\"']?HelmRepository\b", text[match.start() :]
            ):
                used[kind].add(api)
    return {
        kind: max(apis, key=api_age) if (apis := used[kind]) else documented
        for kind, documented in _DOCUMENTED_APIS.items()
    }


def api_age(api: str) -> tuple[int, bool, int]:
    """Sort key of API versions ("GROUP/VERSION"): v2 after v2beta2 after v2beta1 after v1, odd ones first."""
    found = re.fullmatch(r"v(\d+)(?:(?:alpha|beta)(\d+))?", api.partition("/")[2])
    if found is None:
        return (0, False, 0)
    return (int(found[1]), found[2] is None, int(found[2] or 0))


def _placed(place: GrafanaPlace, tree: Tree, siblings: Sequence[FluxObject]) -> GrafanaPlace:
    """``place`` with the namespace its pods run in: the later of Flux's own steps wins over the earlier."""
    if place.target:
        return place.in_namespace(place.target)
    folder = posixpath.dirname(place.path)
    for item in [*siblings, *tree.of_kind("Kustomization")]:
        path = posixpath.normpath(str(item.spec.get("path", "")))
        target = _plain(item.spec.get("targetNamespace"))
        if target is not None and (folder == path or folder.startswith(path + "/")):
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
            "pods read Secrets of their own namespace: gitops.apps and gitops.namespace must be Grafana's",
        )
    return place


def _plain(value: object) -> str | None:
    """``value`` if it is a name, and not a variable that Flux replaces later, or something else."""
    is_name = isinstance(value, str) and re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", value)
    return str(value) if is_name else None


def _most_common(values: Iterable[Any]) -> Any:
    counted = Counter(value for value in values if value is not None)
    return counted.most_common(1)[0][0] if counted else None
