"""Where the user's Grafana is: the HelmRelease, and the level of its values that the chart reads."""

import dataclasses
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.core.errors import RefusedError
from tasks.core.settings import Settings
from tasks.yaml.documents import load_documents, syntax_error

# Charts that deploy Grafana, with the level of their values that Grafana's own keys are at: in the stack
# it is a subchart.
_LEVELS: dict[str, tuple[str, ...]] = {
    "grafana": ("spec", "values"),
    "kube-prometheus-stack": ("spec", "values", "grafana"),
}
_CANDIDATE = re.compile(r"(?s)\bkind:\s*[\"']?HelmRelease\b")


@dataclass(frozen=True)
class GrafanaPlace:
    """A HelmRelease: file, number of the document in it, level of Grafana's values, namespace if known.

    ``target`` is the namespace that the release itself names for its pods; ``has_values_elsewhere`` says that
    ConfigMaps or Secrets hold values too (spec.valuesFrom).
    """

    path: str
    document: int
    level: tuple[str, ...]
    namespace: str | None
    target: str | None = None
    has_values_elsewhere: bool = False

    def in_namespace(self, namespace: str) -> "GrafanaPlace":
        """The same place in ``namespace``."""
        return dataclasses.replace(self, namespace=namespace)


def find_grafana(
    settings: Settings, texts: Mapping[str, str], is_reconciled: Callable[[str], bool]
) -> GrafanaPlace | RefusedError:
    """The Grafana among the YAML files ``texts`` of a repository, or an error that says where it was not.

    Of several, those count that Flux is pointed at (``is_reconciled``), not one in an archive, say.
    """
    wanted = posixpath.normpath(settings.grafana.path)
    if wanted in texts:
        return _in_file(wanted, texts[wanted])
    if settings.chosen("grafana.path"):
        return RefusedError(
            f"no Grafana: {wanted} does not exist", "set grafana.path to Grafana's HelmRelease"
        )
    places = [
        place
        for path, text in texts.items()
        if "grafana" in text or "kube-prometheus-stack" in text
        for place in _places(path, text)
    ]
    places = [place for place in places if is_reconciled(place.path)] or places
    own = [place for place in places if place.level == _LEVELS["grafana"]]
    for found in (own, places):
        if len(found) == 1:
            return found[0]
    if places:
        listed = ", ".join(sorted(place.path for place in places))
        return RefusedError(f"several Grafanas: {listed}", "set grafana.path to the one to extend")
    return RefusedError(
        f"no Grafana: {wanted} does not exist, and no HelmRelease of the charts "
        f"{' or '.join(_LEVELS)} was found in {len(texts)} YAML files",
        "set grafana.path to Grafana's HelmRelease (Grafana installed by grafana-operator is not supported)",
    )


def _in_file(path: str, text: str) -> GrafanaPlace | RefusedError:
    places = _places(path, text, anything=True)
    if places:
        return places[0]
    broken = syntax_error(text)
    if broken:
        return RefusedError(f"{path}:{broken}", "correct the file, then run again")
    return RefusedError(f"{path} holds no HelmRelease of Grafana", "set grafana.path to the file that does")


def _places(path: str, text: str, *, anything: bool = False) -> list[GrafanaPlace]:
    """Grafana HelmReleases in one file; with ``anything`` also one whose chart is not a known name."""
    if not _CANDIDATE.search(text):
        return []
    documents = load_documents(text)
    oci = {
        document["metadata"].get("name"): _last_part(document.get("spec", {}).get("url"))
        for document in documents
        if isinstance(document, dict) and document.get("kind") == "OCIRepository"
        and isinstance(document.get("metadata"), dict) and isinstance(document.get("spec"), dict)
    }  # fmt: skip
    places = []
    for number, document in enumerate(documents):
        if not isinstance(document, dict) or document.get("kind") != "HelmRelease":
            continue
        level = _level(document, oci, anything=anything)
        if level is not None:
            metadata = document.get("metadata")
            namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
            spec = document["spec"]
            target = spec.get("targetNamespace")
            places.append(
                GrafanaPlace(
                    path, number, level, namespace, target, has_values_elsewhere=bool(spec.get("valuesFrom"))
                )
            )
    return places


def _level(release: Mapping[str, Any], oci: Mapping[str, str], *, anything: bool) -> tuple[str, ...] | None:
    spec = release.get("spec")
    if not isinstance(spec, dict):
        return None
    chart = _chart(spec, oci)
    values = spec.get("values") if isinstance(spec.get("values"), dict) else {}
    nested = values.get("grafana") if isinstance(values, dict) else None
    if chart == "kube-prometheus-stack" and isinstance(nested, dict) and nested.get("enabled") is False:
        return None
    if chart in _LEVELS:
        return _LEVELS[chart]
    if not anything:
        return None
    return _LEVELS["kube-prometheus-stack" if isinstance(nested, dict) else "grafana"]


def _chart(spec: Mapping[str, Any], oci: Mapping[str, str]) -> str:
    """The name of the chart: from spec.chart, or from the OCIRepository that spec.chartRef names."""
    chart = spec.get("chart")
    if isinstance(chart, dict) and isinstance(chart.get("spec"), dict):
        return _last_part(chart["spec"].get("chart"))
    reference = spec.get("chartRef")
    if isinstance(reference, dict):
        name = str(reference.get("name"))
        return oci.get(name, name)
    return ""


def _last_part(reference: object) -> str:
    return posixpath.basename(str(reference or "").rstrip("/"))
