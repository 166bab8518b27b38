"""Where the user's Grafana is: its operator's object, or the HelmRelease and the level of its values."""

import dataclasses
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.core.errors import RefusedError
from tasks.core.settings import Settings
from tasks.flux.grafana_operator import GROUP, GrafanaInstance, find_instance
from tasks.flux.tree import Tree
from tasks.yaml.documents import dig, items, load_documents, syntax_error

# Charts that deploy Grafana, with the level of their values that Grafana's own keys are at: in the stack
# it is a subchart.
_LEVELS: dict[str, tuple[str, ...]] = {
    "grafana": ("spec", "values"),
    "kube-prometheus-stack": ("spec", "values", "grafana"),
}
_CANDIDATE = re.compile(r"(?s)\bkind:\s*[\"']?HelmRelease\b")
_WAY_ON = "or grafana.manage to none, to leave Grafana out"


@dataclass(frozen=True)
class GrafanaPlace:
    """A HelmRelease: file, number of the document in it, level of Grafana's values, namespace if known.

    ``target`` is the namespace that the release itself names for its pods; ``values_from`` are the entries of
    spec.valuesFrom. ``chart``, ``version`` and ``repository`` are those of its chart, as far as they are
    written down.
    """

    path: str
    document: int
    level: tuple[str, ...]
    namespace: str | None
    target: str | None = None
    name: str = ""
    values_from: tuple[Any, ...] = field(default=(), repr=False)
    chart: str = ""
    version: str = ""
    repository: str = ""

    def in_namespace(self, namespace: str) -> "GrafanaPlace":
        """The same place in ``namespace``."""
        return dataclasses.replace(self, namespace=namespace)


def find_grafana(settings: Settings, tree: Tree) -> GrafanaPlace | GrafanaInstance | RefusedError:
    """The Grafana of a repository, or an error that says where it was not.

    Of both kinds the operator's is taken, which needs no edit of anybody's file, unless a HelmRelease has our
    data source already, or the operator's is only named and not there. Of several of a kind those count that
    Flux is pointed at, not one in an archive, say.
    """
    way = settings.grafana.manage
    chosen = posixpath.normpath(settings.grafana.path) if settings.chosen("grafana.path") else None
    if way == "release":
        return _find_release(settings, tree)
    instance = find_instance(tree.texts, tree.is_reconciled, chosen)
    if way == "operator":
        return instance or RefusedError(
            "no Grafana of the operator: grafana.manage is operator, and no object of "
            f"{GROUP}/v1beta1 was found",
            f"set grafana.manage to release, {_WAY_ON}",
        )
    release = _find_release(settings, tree)
    if isinstance(instance, GrafanaInstance):
        is_better = isinstance(release, GrafanaPlace) and (
            not instance.is_seen or settings.grafana.datasource_type in tree.texts[release.path]
        )
        return release if is_better else instance
    # What is in the way of the operator's matters where there is nothing else.
    return instance if instance is not None and isinstance(release, RefusedError) else release


def _find_release(settings: Settings, tree: Tree) -> GrafanaPlace | RefusedError:
    texts = tree.texts
    wanted = posixpath.normpath(settings.grafana.path)
    if wanted in texts:
        return _in_file(wanted, tree)
    if settings.chosen("grafana.path"):
        return RefusedError(
            f"no Grafana: {wanted} does not exist", f"set grafana.path to Grafana's HelmRelease, {_WAY_ON}"
        )
    places = [
        place
        for path, text in texts.items()
        if "grafana" in text or "kube-prometheus-stack" in text
        for place in _places(path, tree)
    ]
    places = [place for place in places if tree.is_reconciled(place.path)] or places
    own = [place for place in places if place.level == _LEVELS["grafana"]]
    for found in (own, places):
        if len(found) == 1:
            return found[0]
    if places:
        listed = ", ".join(sorted(place.path for place in places))
        return RefusedError(
            f"several Grafanas: {listed}", f"set grafana.path to the one to extend, {_WAY_ON}"
        )
    return RefusedError(
        f"no Grafana: {wanted} does not exist, and among {len(texts)} YAML files there is no HelmRelease of "
        f"the charts {' or '.join(_LEVELS)}, and no Grafana of grafana-operator",
        f"set grafana.path to Grafana's HelmRelease, {_WAY_ON}",
    )


def _in_file(path: str, tree: Tree) -> GrafanaPlace | RefusedError:
    places = _places(path, tree, anything=True)
    if places:
        return places[0]
    broken = syntax_error(tree.texts[path])
    if broken:
        return RefusedError(f"{path}:{broken}", "correct the file, then run again")
    return RefusedError(
        f"{path} holds no HelmRelease of Grafana", f"set grafana.path to the file that does, {_WAY_ON}"
    )


def _places(path: str, tree: Tree, *, anything: bool = False) -> list[GrafanaPlace]:
    """Grafana HelmReleases in one file; with ``anything`` also one whose chart is not a known name."""
    text = tree.texts[path]
    if not _CANDIDATE.search(text):
        return []
    places = []
    for number, document in enumerate(load_documents(text)):
        if not isinstance(document, dict) or document.get("kind") != "HelmRelease":
            continue
        chart, version, repository = _chart(document, path, tree)
        level = _level(document, chart, anything=anything)
        if level is not None:
            spec = document["spec"]
            places.append(
                GrafanaPlace(
                    path,
                    number,
                    level,
                    dig(document, "metadata", "namespace"),
                    spec.get("targetNamespace"),
                    str(dig(document, "metadata", "name")),
                    tuple(items(spec, "valuesFrom")),
                    chart if chart in _LEVELS else ("grafana", "kube-prometheus-stack")[len(level) - 2],
                    version,
                    repository,
                )
            )
    return places


def _level(release: Mapping[str, Any], chart: str, *, anything: bool) -> tuple[str, ...] | None:
    spec = release.get("spec")
    if not isinstance(spec, dict):
        return None
    values = spec.get("values") if isinstance(spec.get("values"), dict) else {}
    nested = values.get("grafana") if isinstance(values, dict) else None
    if chart == "kube-prometheus-stack" and isinstance(nested, dict) and nested.get("enabled") is False:
        return None
    if chart in _LEVELS:
        return _LEVELS[chart]
    if not anything:
        return None
    return _LEVELS["kube-prometheus-stack" if isinstance(nested, dict) else "grafana"]


def _chart(release: Mapping[str, Any], path: str, tree: Tree) -> tuple[str, str, str]:
    """Name, version and repository of the chart: from spec.chart, or from what spec.chartRef names."""
    wanted = dig(release, "spec", "chart", "spec")
    if isinstance(wanted, dict):
        source = _source(tree, path, "HelmRepository", dig(wanted, "sourceRef", "name"))
        return (
            _last_part(wanted.get("chart")),
            str(wanted.get("version") or ""),
            str(dig(source, "spec", "url") or ""),
        )
    reference = dig(release, "spec", "chartRef")
    if not isinstance(reference, dict):
        return "", "", ""
    name = reference.get("name")
    source = _source(tree, path, "OCIRepository", name)
    if source is None:
        return str(name), "", ""
    url = str(dig(source, "spec", "url") or "")
    version = dig(source, "spec", "ref", "semver") or dig(source, "spec", "ref", "tag") or ""
    return _last_part(url), str(version), url


def _source(tree: Tree, path: str, kind: str, name: object) -> Mapping[str, Any] | None:
    """The source of that kind and name: the one nearest to the file ``path``, if there are several."""
    alike = [item for item in tree.of_kind(kind) if item.name == name]
    nearest = max(alike, key=lambda item: len(posixpath.commonprefix((item.path, path))), default=None)
    return nearest.data if nearest is not None else None


def _last_part(reference: object) -> str:
    return posixpath.basename(str(reference or "").rstrip("/"))
