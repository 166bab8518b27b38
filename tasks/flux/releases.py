"""HelmReleases as Flux would install them: the chart, the merged values, and the objects it renders to."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tasks.core.errors import HiddenError, OfflineError, RefusedError
from tasks.core.pace import Pace
from tasks.effects import kustomize
from tasks.effects.helm import Chart, ChartError, Helm
from tasks.effects.kustomize import BuildError, Built
from tasks.flux.cluster import Cluster
from tasks.flux.kustomizations import FluxKustomization
from tasks.kube.keys import key_of
from tasks.kube.resources import ReleaseName
from tasks.kube.shapes import shaped
from tasks.yaml.documents import dig, items, load_documents, mapping, merged, syntax_error

# Each may need hundreds of megabytes for a large chart.
_AT_ONCE = 4
# What a chart's source may be called in a HelmRelease, and is not a repository that helm can ask.
_FILES = ("GitRepository", "Bucket")


class ValuesError(ChartError):
    """What ``valuesFrom`` names does not have the values."""


@dataclass(frozen=True)
class Release:
    """A HelmRelease as the build gives it, with what helm makes of it.

    ``objects`` is None where it was not rendered; ``error`` says why. A ``helm.ChartError`` or a
    ``kustomize.BuildError`` is what Flux would meet too; any other error leaves it open. ``kustomization`` is
    the Flux Kustomization that applies it, as namespace and name.
    """

    data: Mapping[str, Any] = field(repr=False)
    path: str
    kustomization: tuple[str, str] = ("", "")
    chart: Chart | None = None
    archive: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    objects: tuple[Built, ...] | None = field(default=None, repr=False)
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

    @property
    def identity(self) -> ReleaseName:
        """What Helm knows it by."""
        return ReleaseName(self.namespace, self.name)


def releases_of(
    found: Cluster, helm: Helm, is_wanted: Callable[[FluxKustomization, Built], bool]
) -> tuple[Release, ...]:
    """The HelmReleases of the cluster that are wanted, rendered as far as that is possible."""
    wanted = [
        (item, one)
        for item, one in found.built()
        if one.data.get("kind") == "HelmRelease" and is_wanted(item, one)
    ]
    pace = Pace("rendering release", len(wanted))

    def rendered(pair: tuple[FluxKustomization, Built]) -> Release:
        pace.begin(f"{pair[0].key[1]}/{key_of(pair[1].data).name}")
        return _rendered(found, helm, *pair)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return tuple(pool.map(rendered, wanted))


def _rendered(found: Cluster, helm: Helm, item: FluxKustomization, one: Built) -> Release:
    data = one.data
    if dig(data, "metadata", "namespace") is None:
        data = {**data, "metadata": {**mapping(data, "metadata"), "namespace": item.key[0]}}
    bare = Release(data, one.path or item.path, item.key)
    chart: Chart | None = None
    archive: Path | None = None
    values: Mapping[str, Any] = {}
    try:
        chart = chart_of(found, data)
        values = merged_values(found, data)
        archive = helm.fetch(chart)
        objects = _objects(helm, bare, archive, values)
    except BuildError as error:
        refused = BuildError(f"postRenderers of HelmRelease {bare.name}: {error.summary}", error.hint)
        return replace(bare, chart=chart, archive=archive, values=values, error=refused)
    except RefusedError as error:
        return replace(bare, chart=chart, archive=archive, values=values, error=error)
    return replace(bare, chart=chart, archive=archive, values=values, objects=objects)


def objects_with(helm: Helm, release: Release, values: Mapping[str, Any]) -> tuple[Built, ...] | None:
    """What ``release`` would render to with other values; None if to nothing."""
    if release.archive is None:
        return None
    try:
        return _objects(helm, release, release.archive, values)
    except RefusedError:
        return None


def _objects(helm: Helm, release: Release, archive: Path, values: Mapping[str, Any]) -> tuple[Built, ...]:
    renderers = items(release.data, "spec", "postRenderers")
    made_of = repr((archive, release.name, release.namespace, values, renderers))
    # What is planned and what is pushed are two states of the repository, whose releases are mostly the same.
    text = helm.rendered.get(made_of)
    if text is None:
        text = helm.render(archive, release.name, release.namespace, values)
        for renderer in renderers:
            text = kustomize.patch(text, mapping(renderer, "kustomize"))
        helm.rendered[made_of] = text
    shapes = [shaped(document) for document in load_documents(text) if isinstance(document, dict)]
    return tuple(Built(data, release.path, faults=faults) for data, faults in shapes)


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
        return _from_repository(found, source, mapping(source, "spec"))
    wanted = dig(release, "spec", "chart", "spec")
    if not isinstance(wanted, dict):
        raise ChartError("the HelmRelease names no chart", "give it spec.chart or spec.chartRef")
    return _from_repository(found, release, wanted)


def _from_registry(source: Mapping[str, Any]) -> Chart:
    url, _, name = _url_of(source).rstrip("/").rpartition("/")
    version = dig(source, "spec", "ref", "semver") or dig(source, "spec", "ref", "tag")
    if version is None and dig(source, "spec", "ref", "digest"):
        raise OfflineError(f"OCIRepository {key_of(source).name} names its chart by digest only")
    return Chart(url, name, str(version or ""))


def _from_repository(found: Cluster, holder: Mapping[str, Any], wanted: Mapping[str, Any]) -> Chart:
    reference = wanted.get("sourceRef")
    if not isinstance(reference, dict) or reference.get("kind") in _FILES:
        kind = dig(reference, "kind") or "an unknown source"
        raise OfflineError(f"the chart {wanted.get('chart')} comes from {kind}, not from a chart repository")
    source = _source(found, holder, reference)
    version = str(wanted.get("version") or "")
    # Flux's default, any release: https://fluxcd.io/flux/components/source/helmcharts/#version.
    return Chart(
        _url_of(source).rstrip("/"),
        str(wanted.get("chart")),
        "" if version == "*" else version,
    )


def _url_of(source: Mapping[str, Any]) -> str:
    url = dig(source, "spec", "url")
    if not url:
        raise ChartError(f"{key_of(source)}, which the chart comes from, names no URL", "give it spec.url")
    return str(url)


def _source(found: Cluster, holder: Mapping[str, Any], reference: Mapping[str, Any]) -> Mapping[str, Any]:
    namespace = str(reference.get("namespace") or key_of(holder).namespace)
    kind, name = str(reference.get("kind")), str(reference.get("name"))
    defined = found.defined(kind, namespace, name)
    if defined is not None:
        return defined[0]
    raise HiddenError(
        f"{kind} {namespace}/{name}, which the chart comes from, is not in the repository",
        "commit its manifest",
    )


def merged_values(found: Cluster, release: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values of a HelmRelease: those of ``valuesFrom`` in their order, then its own over them.

    Raises:
        ValuesError: what holds some of them lacks the key.
        RefusedError: some of them are not to be read from the repository.
    """
    values: Mapping[str, Any] = {}
    for reference in items(release, "spec", "valuesFrom"):
        values = merged(values, _referred(found, release, reference))
    return merged(values, mapping(release, "spec", "values"))


def _referred(found: Cluster, release: Mapping[str, Any], reference: Any) -> Mapping[str, Any]:
    kind, name = str(dig(reference, "kind")), str(dig(reference, "name"))
    namespace, key = key_of(release).namespace, str(dig(reference, "valuesKey") or "values.yaml")
    what = f"key {key} of {kind} {namespace}/{name}"
    holder = found.find(kind, namespace, name)
    is_optional = dig(reference, "optional") is True
    fields = ("data",) if kind == "ConfigMap" else ("stringData", "data")
    if holder is None:
        raise HiddenError(f"valuesFrom names {what}, which the repository does not show")
    if not any(key in mapping(holder, name) for name in fields):
        if is_optional:
            return {}
        raise ValuesError(
            f"valuesFrom names {what}, which is not there (it has "
            f"{', '.join(str(known) for name in fields for known in mapping(holder, name)) or 'none'})",
            "name a key that it has",
        )
    text = dig(holder, fields[0], key)
    if not isinstance(text, str) or "sops" in holder or dig(reference, "targetPath") is not None:
        raise HiddenError(f"valuesFrom names {what}, which cannot be read here")
    documents = load_documents(text)
    if (documents or syntax_error(text)) and not (documents and isinstance(documents[0], dict | type(None))):
        raise ValuesError(f"valuesFrom names {what}, which is not a map of values", "correct it")
    return documents[0] or {} if documents else {}
