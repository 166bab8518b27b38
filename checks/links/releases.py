"""HelmReleases as Flux would install them: the chart, the merged values, and the objects it renders to."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from checks.links.applied import Applied, key_of
from checks.links.cluster import Cluster, cluster
from checks.objects import dig, items
from tasks.core.errors import RefusedError
from tasks.effects import kustomize
from tasks.effects.helm import Chart, ChartError
from tasks.effects.kustomize import BuildError, Built
from tasks.flux.grafana import GrafanaPlace
from tasks.subjects.manifests import own_files
from tasks.workspace import Workspace
from tasks.yaml.documents import load_documents

# What a chart's source may be called in a HelmRelease, and is not a repository that helm can ask.
_FILES = ("GitRepository", "Bucket")


class ValuesError(ChartError):
    """What ``valuesFrom`` names does not have the values."""


@dataclass(frozen=True)
class Release:
    """A HelmRelease as the build gives it, with what helm makes of it.

    ``objects`` is None where it was not rendered; ``error`` says why. A ``helm.ChartError`` or a
    ``kustomize.BuildError`` is what Flux would meet too; any other error leaves it open.
    """

    data: Mapping[str, Any] = field(repr=False)
    path: str
    chart: Chart | None = None
    archive: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    objects: tuple[Mapping[str, Any], ...] | None = field(default=None, repr=False)
    error: RefusedError | None = None

    @property
    def is_refused(self) -> bool:
        """Whether Flux would fail as helm or kustomize did here."""
        return isinstance(self.error, ChartError | BuildError)

    @property
    def namespace(self) -> str:
        """Where its objects are put."""
        return str(dig(self.data, "spec", "targetNamespace") or key_of(self.data).namespace)

    @property
    def name(self) -> str:
        """The name of the Helm release: https://fluxcd.io/flux/components/helm/helmreleases/#release-name."""
        given, target = dig(self.data, "spec", "releaseName"), dig(self.data, "spec", "targetNamespace")
        name = key_of(self.data).name
        return str(given) if given else f"{target}-{name}" if target else name


def releases(workspace: Workspace) -> tuple[Release, ...]:
    """The releases of the deployment, those of Parseable, Vector and Grafana, that the cluster would get.

    Raises:
        RefusedError: there is no kustomize, or the layout is not known.
    """
    return workspace.remember("releases", lambda: _make(workspace))


def _make(workspace: Workspace) -> tuple[Release, ...]:
    found = cluster(workspace)
    ours = {*own_files(workspace), grafana_file(workspace)}
    wanted = [
        (item, one)
        for item, one in found.built()
        if one.data.get("kind") == "HelmRelease" and one.path in ours and _is_grafana(workspace, one)
    ]
    with ThreadPoolExecutor() as pool:
        return tuple(pool.map(lambda pair: _rendered(workspace, found, *pair), wanted))


def grafana_file(workspace: Workspace) -> str:
    """The file of Grafana's release; empty where there is none, which is told by the checks of it."""
    place = workspace.layout.grafana
    return place.path if isinstance(place, GrafanaPlace) else ""


def _is_grafana(workspace: Workspace, one: Built) -> bool:
    """Whether ``one`` is not another release that shares the file with Grafana's."""
    place = workspace.layout.grafana
    if not isinstance(place, GrafanaPlace) or one.path != place.path:
        return True
    documents = load_documents(workspace.repository.text(place.path))
    return bool(dig(documents, place.document, "metadata", "name") == dig(one.data, "metadata", "name"))


def _rendered(workspace: Workspace, found: Cluster, item: Applied, one: Built) -> Release:
    data = one.data
    if dig(data, "metadata", "namespace") is None:
        data = {**data, "metadata": {**data["metadata"], "namespace": item.key[0]}}
    bare = Release(data, one.path or item.path)
    chart: Chart | None = None
    archive: Path | None = None
    values: Mapping[str, Any] = {}
    try:
        chart = chart_of(found, data)
        values = merged_values(found, data)
        archive = workspace.helm.fetch(chart)
        text = workspace.helm.render(archive, bare.name, bare.namespace, values)
        for renderer in items(dig(data, "spec", "postRenderers")):
            text = kustomize.patch(text, dig(renderer, "kustomize") or {})
    except BuildError as error:
        refused = BuildError(f"postRenderers of HelmRelease {bare.name}: {error.summary}", error.hint)
        return Release(data, bare.path, chart, archive, values, error=refused)
    except RefusedError as error:
        return Release(data, bare.path, chart, archive, values, error=error)
    objects = tuple(document for document in load_documents(text) if isinstance(document, dict))
    return Release(data, bare.path, chart, archive, values, objects)


def chart_of(found: Cluster, release: Mapping[str, Any]) -> Chart:
    """The chart that a HelmRelease names, by ``spec.chart`` or ``spec.chartRef``.

    Raises:
        RefusedError: it comes from elsewhere than a chart repository, or its source is not to be seen.
    """
    reference = dig(release, "spec", "chartRef")
    if isinstance(reference, dict):
        source = _source(found, release, reference)
        if reference.get("kind") == "OCIRepository":
            return _from_registry(source)
        return _from_repository(found, source, source.get("spec") or {})
    wanted = dig(release, "spec", "chart", "spec")
    if not isinstance(wanted, dict):
        raise RefusedError("the HelmRelease names no chart", "give it spec.chart or spec.chartRef")
    return _from_repository(found, release, wanted)


def _from_registry(source: Mapping[str, Any]) -> Chart:
    url, _, name = str(dig(source, "spec", "url")).rstrip("/").rpartition("/")
    version = dig(source, "spec", "ref", "semver") or dig(source, "spec", "ref", "tag")
    if version is None and dig(source, "spec", "ref", "digest"):
        raise RefusedError(f"OCIRepository {key_of(source).name} names its chart by digest only")
    return Chart(url, name, str(version or ""))


def _from_repository(found: Cluster, holder: Mapping[str, Any], wanted: Mapping[str, Any]) -> Chart:
    reference = wanted.get("sourceRef")
    if not isinstance(reference, dict) or reference.get("kind") in _FILES:
        kind = dig(reference, "kind") or "an unknown source"
        raise RefusedError(f"the chart {wanted.get('chart')} comes from {kind}, not from a chart repository")
    source = _source(found, holder, reference)
    version = str(wanted.get("version") or "")
    # Flux's default, any release: https://fluxcd.io/flux/components/source/helmcharts/#version.
    return Chart(
        str(dig(source, "spec", "url")).rstrip("/"),
        str(wanted.get("chart")),
        "" if version == "*" else version,
    )


def _source(found: Cluster, holder: Mapping[str, Any], reference: Mapping[str, Any]) -> Mapping[str, Any]:
    namespace = str(reference.get("namespace") or key_of(holder).namespace)
    kind, name = str(reference.get("kind")), str(reference.get("name"))
    built = found.find(kind, namespace, name)
    if built is not None:
        return built
    for item in found.tree.of_kind(kind):
        if (item.name, found.tree.built_namespace(item) or "") == (name, namespace):
            return item.data
    raise RefusedError(
        f"{kind} {namespace}/{name}, which the chart comes from, is not in the repository",
        "commit its manifest",
    )


def merged_values(found: Cluster, release: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values of a HelmRelease: those of ``valuesFrom`` in their order, then its own over them.

    Raises:
        ValuesError: what holds some of them lacks the key.
        RefusedError: some of them are not to be read from the repository.
    """
    merged: Mapping[str, Any] = {}
    for reference in items(dig(release, "spec", "valuesFrom")):
        merged = _merge(merged, _referred(found, release, reference))
    own = dig(release, "spec", "values")
    return _merge(merged, own) if isinstance(own, dict) else merged


def _referred(found: Cluster, release: Mapping[str, Any], reference: Any) -> Mapping[str, Any]:
    kind, name = str(dig(reference, "kind")), str(dig(reference, "name"))
    namespace, key = key_of(release).namespace, str(dig(reference, "valuesKey") or "values.yaml")
    what = f"key {key} of {kind} {namespace}/{name}"
    holder = found.find(kind, namespace, name)
    is_optional = dig(reference, "optional") is True
    fields = ("data",) if kind == "ConfigMap" else ("stringData", "data")
    if holder is None:
        raise RefusedError(f"valuesFrom names {what}, which the repository does not show")
    if not any(key in (dig(holder, name) or {}) for name in fields):
        if is_optional:
            return {}
        raise ValuesError(
            f"valuesFrom names {what}, which is not there (it has "
            f"{', '.join(str(known) for name in fields for known in dig(holder, name) or {}) or 'none'})",
            "name a key that it has",
        )
    text = dig(holder, fields[0], key)
    if not isinstance(text, str) or "sops" in holder or dig(reference, "targetPath") is not None:
        raise RefusedError(f"valuesFrom names {what}, which cannot be read here")
    documents = load_documents(text)
    return documents[0] if documents and isinstance(documents[0], dict) else {}


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> Mapping[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        before = merged.get(key)
        merged[key] = _merge(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return merged
