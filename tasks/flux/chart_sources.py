"""Where charts come from: HelmRepositories in a folder for all of them, or one beside each app."""

import posixpath
import re
from collections import Counter
from dataclasses import dataclass

from tasks.core.settings import Settings
from tasks.flux.missing import MissingError
from tasks.flux.namespaces import namespace_of
from tasks.flux.scope import Scope
from tasks.flux.sources import most_common, plain_name
from tasks.flux.tree import FluxObject

# What a HelmRepository beside its app is called where no neighbour shows another name.
USUAL_FILE = "helmrepository.yaml"
_HELM, _OCI = "HelmRepository", "OCIRepository"


@dataclass(frozen=True)
class HelmSource:
    """A HelmRepository: ``path`` is the file that defines it, None if it is still to be written.

    ``namespace`` is where it is after the build. ``is_beside`` says that it lies beside its app.
    """

    path: str | None
    name: str
    namespace: str
    is_beside: bool = False


@dataclass(frozen=True)
class ChartSources:
    """How the repository keeps them: in the one ``folder`` for all, or, where that is None, beside each app.

    ``file`` is the name of such a file beside an app.
    """

    folder: str | None
    file: str = USUAL_FILE


def charts_file(folder: str, name: str) -> str:
    """The file for the HelmRepository of chart ``name`` in the ``folder`` of all."""
    return f"{folder}/{name}.yaml"


def find_chart_sources(settings: Settings, scope: Scope) -> ChartSources | MissingError:
    """How the repository keeps its chart sources: where most of them are."""
    tree = scope.tree
    if settings.gitops.repositories is None:
        return ChartSources(None, _file_beside(scope))
    wanted = posixpath.normpath(settings.gitops.repositories)
    is_chosen = settings.chosen("gitops.repositories")
    # A HelmRepository in a folder of several clusters harms none; that is for the owner to say.
    if _is_given(scope, wanted) if is_chosen else _is_of_one_cluster(scope, wanted):
        return ChartSources(wanted)
    if is_chosen:
        return MissingError(
            f"{wanted} has no kustomization.yaml that this cluster is given",
            "gitops.repositories must be a folder of HelmRepositories with a kustomization, or null: "
            "then one is written beside each app",
        )
    common, beside = Counter[str](), 0
    for item in scope.of_others(_HELM, _OCI):
        folder = posixpath.dirname(item.path)
        if _is_beside_release(scope, item):
            beside += 1
        elif item.kind == _HELM and tree.lists(folder, item.path) and _is_of_one_cluster(scope, folder):
            common[folder] += 1
    ranked = common.most_common(2)
    is_clear = bool(ranked) and (len(ranked) == 1 or ranked[0][1] > ranked[1][1])
    if is_clear and ranked[0][1] >= beside:
        return ChartSources(ranked[0][0])
    if beside or not common:
        return ChartSources(None, _file_beside(scope))
    return MissingError(
        f"several folders of HelmRepositories: {', '.join(sorted(common))}",
        "set gitops.repositories to the one to use, or to null: then one is written beside each app",
    )


def _is_beside_release(scope: Scope, item: FluxObject) -> bool:
    """Whether a chart source lies in a file or folder with the HelmRelease that uses it."""
    return posixpath.dirname(item.path) in scope.release_folders or scope.holds_release(item.path)


def _is_of_one_cluster(scope: Scope, folder: str) -> bool:
    """Whether a folder has a kustomization that this cluster gets, and no other does."""
    return _is_given(scope, folder) and scope.tree.kustomizations[folder] not in scope.shared


def _is_given(scope: Scope, folder: str) -> bool:
    """Whether a folder has a kustomization that this cluster gets."""
    listing = scope.tree.kustomizations.get(folder)
    return listing is not None and scope.has(listing)


def _file_beside(scope: Scope) -> str:
    """What the neighbours call the file of a HelmRepository, or would, as that of an OCIRepository."""
    for kind in (_HELM, _OCI):
        # A name that holds that of its app says nothing of ours.
        names = (
            posixpath.basename(item.path)
            for item in scope.of_others(kind)
            if _is_beside_release(scope, item)
            and not scope.holds_release(item.path)
            and item.name not in posixpath.basename(item.path)
        )
        found = most_common(name for name in names if "repo" in name)
        if found is not None:
            return re.sub(r"\boci", "helm", str(found))
    return USUAL_FILE


def find_charts(
    scope: Scope,
    name: str,
    url: str,
    sources: ChartSources | MissingError,
    *,
    beside: str | MissingError,
    namespace: str,
    flux_namespace: str,
) -> HelmSource | MissingError:
    """The HelmRepository of the chart ``name`` at ``url``: one that is there already, else where ours goes.

    ``beside`` is the folder of our app's manifests, ``namespace`` that of its objects.
    """
    there = [item for item in scope.of_others(_HELM) if scope.tree.is_applied(item.path)]
    for item in there:
        built = namespace_of(scope, item)
        # One beside another app goes when that app goes, unless it could not be made a second time.
        is_common = not _is_beside_release(scope, item)
        is_ours = (item.name, built) == (name, namespace)
        if _url(item) == url.rstrip("/") and (is_common or is_ours):
            return HelmSource(item.path, item.name, built or flux_namespace)
    if isinstance(sources, MissingError):
        return sources
    if sources.folder is None:
        if isinstance(beside, MissingError):
            return beside
        taken = [item for item in there if (item.name, namespace_of(scope, item)) == (name, namespace)]
        if taken:
            return _other_url(taken[0], name, url)
        return HelmSource(f"{beside}/{sources.file}", name, namespace, is_beside=True)
    return _in_folder(scope, name, url, sources.folder, there, flux_namespace)


def _in_folder(
    scope: Scope, name: str, url: str, folder: str, there: list[FluxObject], flux_namespace: str
) -> HelmSource | MissingError:
    tree = scope.tree
    ours = charts_file(folder, name)
    others = [item for item in scope.of_others(_HELM) if item.path.startswith(f"{folder}/")]
    named = most_common(plain_name(item.namespace) for item in others)
    namespace = str(tree.namespace_for(ours) or named or flux_namespace)
    for item in scope.of_others(_HELM):
        if item.path == ours and _url(item) == url.rstrip("/"):
            # There, and only not listed.
            return HelmSource(ours, item.name, tree.namespace_for(ours) or item.namespace or namespace)
        is_same_name = item.name == name and item in there and item.namespace in (None, namespace)
        if item.path == ours or (is_same_name and not _is_beside_release(scope, item)):
            return _other_url(item, name, url)
    return HelmSource(ours if ours in tree.texts else None, name, namespace)


def _url(item: FluxObject) -> str:
    return str(item.spec.get("url", "")).rstrip("/")


def _other_url(item: FluxObject, name: str, url: str) -> MissingError:
    return MissingError(
        f"HelmRepository {item.name} in {item.path} has another URL than {url}",
        f"set {name}.chart_repository to the URL it has, if that serves the same charts",
    )
