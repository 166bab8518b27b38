"""What the repository itself shows about its layout: folders, namespace, source, decryption, API versions.

A setting at its documented value yields to what the repository shows; a setting that was changed is obeyed.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core.errors import RefusedError
from tasks.core.settings import Settings
from tasks.flux.apis import newest_apis
from tasks.flux.artifacts import Artifact
from tasks.flux.chart_sources import ChartSources, HelmSource, find_chart_sources, find_charts
from tasks.flux.decryption import find_decryption
from tasks.flux.grafana import GrafanaPlace, find_grafana
from tasks.flux.grafana_operator import GrafanaInstance
from tasks.flux.listing import Listing, is_below
from tasks.flux.missing import MissingError
from tasks.flux.namespaces import namespace_in, variable_in
from tasks.flux.places import Neighbours, choose_scope, find_place, neighbours_of
from tasks.flux.scope import Scope, scopes_of
from tasks.flux.sources import Source, most_common, most_used, plain_name, references
from tasks.flux.style import Style, find_style
from tasks.flux.substitution import has_variable
from tasks.flux.tree import EXTERNAL, FluxObject, Tree, parents
from tasks.yaml.templates import MARKER


@dataclass(frozen=True)
class Layout:
    """Where things are. A field that could not be found holds the error that says so: read it with ``need``.

    ``namespace`` is that of the pods; ``lacks_namespace`` says that nothing in the repository is in it.

    ``cluster`` is the folder that the cluster starts from. ``source`` is what Flux calls this repository,
    ``reference`` what our Kustomizations refer to: that, or an ``artifact`` that is made of it.
    ``flux_namespace`` is what our Kustomizations say that they are in, None where their neighbours leave that
    to the kustomization above. ``decryption`` is what the Parseable Kustomization must say itself, None where
    its parent patches it in. ``apis`` maps a kind of Flux object to the API version to write; ``style`` is
    how the neighbours' files look, ``neighbours`` what a new folder of apps needs.
    """

    cluster: str
    apps: str | MissingError
    apps_kustomization: str | MissingError
    namespace: str
    lacks_namespace: bool
    flux_namespace: str | None
    source: Source | MissingError
    reference: Source | MissingError
    artifact: Artifact | None
    decryption: Mapping[str, Any] | None
    chart_sources: ChartSources | MissingError
    repositories_kustomization: str | MissingError | None
    parseable_charts: HelmSource | MissingError
    vector_charts: HelmSource | MissingError
    grafana: GrafanaPlace | GrafanaInstance | MissingError
    apis: Mapping[str, str]
    style: Style
    neighbours: Neighbours

    def applied_path(self, folder: str) -> str | MissingError:
        """What the Kustomization for a ``folder`` of the repository says as its path."""
        place = folder if self.artifact is None else self.artifact.place(folder)
        if place is not None:
            return f"./{place}"
        assert self.artifact is not None
        return MissingError(
            f"ExternalArtifact {self.artifact.name} does not hold {folder}",
            "let its ArtifactGenerator copy that folder, or set gitops.apps to one that it copies",
        )


def discover(settings: Settings, tree: Tree, root: Path) -> Layout:
    """Read the layout from the parts of the repository at ``root``."""
    scope = choose_scope(settings, tree, scopes_of(Listing(root, tree)))
    if isinstance(scope, MissingError):
        return _nothing(settings, tree, scope)
    grafana = find_grafana(settings, scope.view)
    apps = find_place(settings, scope, "" if isinstance(grafana, RefusedError) else grafana.path)
    folder = apps if isinstance(apps, str) else None
    siblings = [
        item
        for item in scope.of_others("Kustomization")
        if folder is not None and is_below(item.path, folder)
    ]
    flux_namespace = _find_flux_namespace(settings, scope, siblings)
    found_grafana: GrafanaPlace | GrafanaInstance | MissingError
    if isinstance(grafana, RefusedError):
        found_grafana = MissingError(grafana.summary, grafana.hint)
    elif isinstance(grafana, GrafanaPlace) and grafana.path in scope.shared:
        found_grafana = MissingError(
            f"{grafana.path}, Grafana's release, is given to other clusters too, which have no Parseable",
            "set grafana.path to a file of this cluster alone, such as the patch of its overlay, "
            "or grafana.manage to none, to leave Grafana out",
        )
    else:
        found_grafana = _placed(grafana, tree, siblings)
    namespace = _find_namespace(settings, scope, apps, siblings, found_grafana)
    variable = None if isinstance(apps, MissingError) else _variable_of(scope, apps, siblings)
    is_known = variable is None or settings.chosen("gitops.namespace")
    sources = find_chart_sources(settings, scope)
    source = _find_source(settings, scope, siblings, flux_namespace)
    reference, artifact = _find_reference(settings, scope, apps, siblings, source)

    def charts(name: str, app: str, url: str) -> HelmSource | MissingError:
        return find_charts(
            scope,
            name,
            url,
            sources,
            beside=f"{apps}/{app}/app" if isinstance(apps, str) else apps,
            namespace=namespace,
            flux_namespace=flux_namespace,
        )

    return Layout(
        cluster=scope.start,
        apps=apps if is_known else _unknown_namespace(apps, variable),
        apps_kustomization=_kustomization_of(tree, apps) if isinstance(apps, str) else apps,
        namespace=namespace,
        lacks_namespace=(
            variable is None
            and isinstance(apps, str)
            and apps in tree.kustomizations
            and _is_nowhere(settings, scope, apps, namespace)
        ),
        flux_namespace=_written_namespace(settings, scope, apps, siblings, flux_namespace),
        source=source,
        reference=reference,
        artifact=artifact,
        decryption=find_decryption(scope, apps, siblings),
        chart_sources=sources,
        repositories_kustomization=(
            sources
            if isinstance(sources, MissingError)
            else None
            if sources.folder is None
            else tree.kustomizations[sources.folder]
        ),
        parseable_charts=charts("parseable", settings.parseable.name, settings.parseable.chart_repository),
        vector_charts=charts("vector", settings.vector.name, settings.vector.chart_repository),
        grafana=found_grafana,
        apis=newest_apis(text for path, text in tree.texts.items() if MARKER not in text and scope.has(path)),
        style=find_style(scope, siblings, _own_folders(settings, apps)),
        neighbours=neighbours_of(scope, apps) if isinstance(apps, str) else Neighbours(),
    )


def _kustomization_of(tree: Tree, folder: str) -> str:
    return tree.kustomizations.get(folder, f"{folder}/kustomization.yaml")


def _nothing(settings: Settings, tree: Tree, missing: MissingError) -> Layout:
    """The layout of a repository that cannot be served, whatever is asked of it."""
    return Layout(
        cluster="",
        apps=missing,
        apps_kustomization=missing,
        namespace=settings.gitops.namespace,
        lacks_namespace=False,
        flux_namespace=settings.flux.namespace,
        source=missing,
        reference=missing,
        artifact=None,
        decryption=None,
        chart_sources=missing,
        repositories_kustomization=missing,
        parseable_charts=missing,
        vector_charts=missing,
        grafana=missing,
        apis=newest_apis(tree.texts.values()),
        style=Style(),
        neighbours=Neighbours(),
    )


def _find_namespace(
    settings: Settings,
    scope: Scope,
    apps: str | MissingError,
    siblings: Sequence[FluxObject],
    grafana: GrafanaPlace | GrafanaInstance | MissingError,
) -> str:
    documented = settings.gitops.namespace
    if settings.chosen("gitops.namespace") or not isinstance(apps, str):
        return documented
    targets = most_common(plain_name(item.spec.get("targetNamespace")) for item in siblings)
    if targets is not None:
        return str(targets)
    moved = _moved_to(settings, scope, apps)
    if moved is not None and moved != settings.flux.namespace:
        return moved
    if not siblings:
        # Grafana reads Parseable's Secret, and can so in its own namespace only.
        beside = None if isinstance(grafana, MissingError) else grafana.namespace
        return documented if beside is None else beside
    return documented if apps == settings.gitops.apps else posixpath.basename(apps)


def _is_nowhere(settings: Settings, scope: Scope, apps: str | None, namespace: str) -> bool:
    """Whether no file of others makes or names a namespace; what is not shown may be made by hand."""
    # What sops encrypted for us carries no mark.
    own = _own_folders(settings, apps)
    name = re.escape(namespace)
    named = re.compile(rf"(?m)^[-\s]*(?:name|namespace|targetNamespace):\s*[\"']?{name}[\"']?\s*(?:#|$)")
    return not any(
        MARKER not in text
        and scope.has(path)
        and not any(is_below(path, folder) for folder in own)
        and named.search(text)
        for path, text in scope.tree.texts.items()
    )


def _variable_of(scope: Scope, apps: str, siblings: Sequence[FluxObject]) -> str | None:
    """The variable of Flux that stands for the namespace of the apps' pods; None if none does."""
    targets = most_common(item.spec.get("targetNamespace") for item in siblings)
    if isinstance(targets, str):
        return targets if has_variable(targets) else None
    return variable_in(scope, apps)


def _unknown_namespace(apps: str | MissingError, variable: str | None) -> MissingError:
    return MissingError(
        f"the namespace of {apps} is {variable}, a variable of Flux whose value is not known here",
        "set gitops.namespace to its value",
    )


def _own_folders(settings: Settings, apps: str | MissingError | None) -> tuple[str, ...]:
    """The folders of our apps."""
    return tuple(f"{apps}/{name}" for name in (settings.parseable.name, settings.vector.name))


def _moved_to(settings: Settings, scope: Scope, apps: str) -> str | None:
    """The namespace that what is listed in the folder ``apps`` is moved to; a new folder is named for it."""
    if apps in scope.tree.kustomizations:
        return namespace_in(scope, apps)
    return settings.gitops.namespace if settings.chosen("gitops.namespace") else posixpath.basename(apps)


def _find_flux_namespace(settings: Settings, scope: Scope, siblings: Sequence[FluxObject]) -> str:
    """The namespace of Flux itself, where nothing moves its objects."""
    if settings.chosen("flux.namespace"):
        return settings.flux.namespace
    for group in (siblings, scope.of_others("Kustomization")):
        named = most_common(plain_name(item.namespace) for item in group)
        if named is not None:
            return str(named)
    return settings.flux.namespace


def _written_namespace(
    settings: Settings,
    scope: Scope,
    apps: str | MissingError,
    siblings: Sequence[FluxObject],
    flux_namespace: str,
) -> str | None:
    """The namespace that our Kustomizations name: that of the build, or none, as their neighbours."""
    moved = _moved_to(settings, scope, apps) if isinstance(apps, str) else None
    if moved is None:
        return flux_namespace
    neighbours = siblings or scope.of_others("Kustomization")
    silent = sum(item.namespace is None for item in neighbours)
    return None if 2 * silent > len(neighbours) else moved


def _find_source(
    settings: Settings, scope: Scope, siblings: Sequence[FluxObject], flux_namespace: str
) -> Source | MissingError:
    flux = settings.flux
    if settings.chosen("flux.source"):
        return Source(flux.source_kind, flux.source, flux_namespace)
    found = _used_source(scope, siblings, flux_namespace)
    if isinstance(found, Source):
        return Source(
            flux.source_kind if settings.chosen("flux.source_kind") else found.kind,
            found.name,
            flux.namespace if settings.chosen("flux.namespace") else found.namespace,
        )
    return found


def _used_source(scope: Scope, siblings: Sequence[FluxObject], flux_namespace: str) -> Source | MissingError:
    """The source that most Kustomizations use, that a FluxInstance makes, or the only GitRepository."""
    defined = {
        (item.kind, item.name): scope.tree.built_namespace(item)
        for item in scope.of_kind("GitRepository", "OCIRepository", "Bucket")
    }
    for group in (siblings, scope.of_others("Kustomization")):
        used = most_used(group)
        if used is not None:
            namespace = used.namespace or defined.get((used.kind, used.name)) or flux_namespace
            return Source(used.kind, used.name, str(namespace))
    for item in scope.of_kind("FluxInstance"):
        # The operator names source and namespace after the instance's own namespace (its spec.sync).
        sync = item.spec.get("sync")
        if isinstance(sync, dict):
            namespace = item.namespace or flux_namespace
            return Source(str(sync.get("kind", "GitRepository")), str(sync.get("name", namespace)), namespace)
    generated = {artifact.source for path, artifact in scope.tree.artifacts if scope.has(path)}
    repositories = [key for key in defined if key[0] == "GitRepository"] or sorted(generated)
    if len(repositories) == 1:
        kind, name = repositories[0]
        return Source(kind, name, defined.get(repositories[0]) or flux_namespace)
    return MissingError(
        "no Flux source: no Kustomization with a sourceRef, no GitRepository and no FluxInstance was found",
        "set flux.source (and flux.source_kind, flux.namespace) to what your Kustomizations reconcile from",
    )


def _find_reference(
    settings: Settings,
    scope: Scope,
    apps: str | MissingError,
    siblings: Sequence[FluxObject],
    source: Source | MissingError,
) -> tuple[Source | MissingError, Artifact | None]:
    """What our Kustomizations refer to: as their neighbours, or as the Kustomization that lists them."""
    if settings.chosen("flux.source") or not isinstance(apps, str):
        return source, None
    used = most_common((found.kind, found.name) for found, _ in references(siblings))
    leading = scope.applying(_kustomization_of(scope.tree, apps))
    if used is None:
        used = next((item.origin[:2] for item in leading if item.origin is not None), None)
    if used is None or used[0] != EXTERNAL:
        return source, None
    user = next((item for item in leading if item.origin is not None and item.origin[:2] == used), None)
    artifact = None if user is None else user.artifact
    if user is None or user.origin is None or artifact is None or not artifact.is_whole:
        return (
            MissingError(
                f"what ExternalArtifact {used[1]} is made of is not known: its ArtifactGenerator is not "
                "here, or copies more than whole folders of one source",
                "set flux.source and flux.source_kind to the repository itself",
            ),
            None,
        )
    return Source(EXTERNAL, used[1], user.origin[2] or artifact.namespace), artifact


def _placed(
    place: GrafanaPlace | GrafanaInstance, tree: Tree, siblings: Sequence[FluxObject]
) -> GrafanaPlace | GrafanaInstance:
    """``place`` with the namespace its pods run in: the later of Flux's own steps wins over the earlier."""
    if place.target:
        return place.in_namespace(place.target)
    folder = posixpath.dirname(place.path)
    for item in [*siblings, *tree.of_kind("Kustomization")]:
        path = posixpath.normpath(str(item.spec.get("path", "")))
        target = plain_name(item.spec.get("targetNamespace"))
        if target is not None and (folder == path or folder.startswith(path + "/")):
            return place.in_namespace(target)
    for parent in parents(place.path):
        transformer = plain_name(tree.kustomization(parent).get("namespace"))
        if transformer is not None:
            return place.in_namespace(transformer)
    return place
