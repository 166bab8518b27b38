"""What the definitions of custom kinds forbid: those that the repository brings, else what is documented.

A CustomResourceDefinition has the schema of its kind; where none is at hand, the fields that a few kinds
cannot do without are known from their documentation.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.kube.keys import group_of
from tasks.kube.rules import Fault
from tasks.kube.schemas import Schema, faults_by
from tasks.yaml.documents import dig, items, mapping

_OPEN: Schema = {}
_TEXT: Schema = {"type": "string"}
_MAP: Schema = {"type": "object"}
_NUMBER_OR_TEXT: Schema = {"oneOf": [{"type": "integer"}, {"type": "string"}]}
_KEEPING = ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource")
_ENVELOPE = {"apiVersion": _TEXT, "kind": _TEXT, "metadata": _MAP}


def _map(*required: str, **properties: Schema) -> Schema:
    """A map that may have other fields too."""
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _of(spec: Schema) -> Schema:
    return _map("spec", spec=spec)


_KEY = _map("key", key=_TEXT, name=_TEXT)
_SELECTOR = _map(matchLabels=_MAP, matchExpressions=_list(_map("key", "operator")))
_ENDPOINT = _map(
    port=_TEXT,
    targetPort=_NUMBER_OR_TEXT,
    path=_TEXT,
    interval=_TEXT,
    scrapeTimeout=_TEXT,
    basicAuth=_map(username=_KEY, password=_KEY),
)
_SOURCE = _map("kind", "name", kind=_TEXT, name=_TEXT, namespace=_TEXT)
_REFERENCE = _map("name", name=_TEXT)
_CHART = _map("chart", "sourceRef", chart=_TEXT, version=_TEXT, sourceRef=_SOURCE)
# https://prometheus-operator.dev/docs/api-reference/api/, https://fluxcd.io/flux/components/ (the API of
# each controller), https://grafana.github.io/grafana-operator/docs/api/.
_DOCUMENTED: Mapping[tuple[str, str], Schema] = {
    ("monitoring.coreos.com", "ServiceMonitor"): _of(
        _map("selector", "endpoints", selector=_SELECTOR, endpoints=_list(_ENDPOINT))
    ),
    ("monitoring.coreos.com", "PodMonitor"): _of(
        _map("selector", "podMetricsEndpoints", selector=_SELECTOR, podMetricsEndpoints=_list(_ENDPOINT))
    ),
    ("monitoring.coreos.com", "PrometheusRule"): _of(
        _map(groups=_list(_map("name", name=_TEXT, rules=_list(_map("expr", expr=_NUMBER_OR_TEXT)))))
    ),
    ("kustomize.toolkit.fluxcd.io", "Kustomization"): _of(
        _map(
            "interval",
            "prune",
            "sourceRef",
            interval=_TEXT,
            prune={"type": "boolean"},
            path=_TEXT,
            sourceRef=_SOURCE,
            dependsOn=_list(_REFERENCE),
            decryption=_map("provider", provider=_TEXT),
        )
    ),
    ("helm.toolkit.fluxcd.io", "HelmRelease"): _of(
        _map(
            "interval",
            interval=_TEXT,
            chart=_map("spec", spec=_CHART),
            chartRef=_SOURCE,
            values=_MAP,
            valuesFrom=_list(_map("kind", "name", kind=_TEXT, name=_TEXT)),
            dependsOn=_list(_REFERENCE),
        )
    ),
    ("source.toolkit.fluxcd.io", "HelmRepository"): _of(_map("url", url=_TEXT, interval=_TEXT)),
    ("source.toolkit.fluxcd.io", "GitRepository"): _of(
        _map("url", "interval", url=_TEXT, interval=_TEXT, ref=_MAP)
    ),
    ("source.toolkit.fluxcd.io", "OCIRepository"): _of(
        _map("url", "interval", url=_TEXT, interval=_TEXT, ref=_MAP)
    ),
    ("grafana.integreatly.org", "GrafanaDatasource"): _of(
        _map("datasource", "instanceSelector", datasource=_MAP, instanceSelector=_SELECTOR)
    ),
    ("grafana.integreatly.org", "GrafanaDashboard"): _of(
        _map("instanceSelector", instanceSelector=_SELECTOR, json=_TEXT, url=_TEXT)
    ),
}


class Definitions:
    """The schemas of custom kinds: ``definitions`` are the CustomResourceDefinitions that are at hand."""

    def __init__(self, definitions: Iterable[Mapping[str, Any]]) -> None:
        self._given: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for one in definitions:
            named = str(dig(one, "spec", "group")), str(dig(one, "spec", "names", "kind"))
            self._given.setdefault(named, []).append(one)
        self._read: dict[tuple[str, str, str], Schema | None] = {}

    def faults(self, item: Mapping[str, Any]) -> list[Fault]:
        """What the schema of the object's kind and version forbids; nothing if there is no schema."""
        group, kind = group_of(item), str(item.get("kind"))
        version = str(item.get("apiVersion")).rpartition("/")[2]
        if (group, kind) not in self._given:
            return faults_by(item, _DOCUMENTED.get((group, kind), _OPEN))
        slot = group, kind, version
        if slot not in self._read:
            self._read[slot] = self._schema(*slot)
        return faults_by(item, self._read[slot] or _OPEN)

    def _schema(self, group: str, kind: str, version: str) -> Schema | None:
        for one in self._given[group, kind]:
            for served in items(one, "spec", "versions"):
                schema = mapping(served, "schema", "openAPIV3Schema")
                if dig(served, "name") == version and schema:
                    read = _structural(schema)
                    return {**read, "properties": {**mapping(read, "properties"), **_ENVELOPE}}
        return None


def _structural(schema: Mapping[str, Any]) -> Schema:
    """A structural schema in the words that ``faults_by`` reads.

    https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema:
    a field that the schema does not name is no field of the kind, a default stands in for a missing one.
    """
    if schema.get("x-kubernetes-int-or-string") is True:
        return _NUMBER_OR_TEXT
    found: dict[str, Any] = {name: schema[name] for name in ("type", "format") if name in schema}
    values = items(schema, "enum")
    if values and all(isinstance(value, str) for value in values):
        found["enum"] = values
    if isinstance(schema.get("items"), dict):
        found["items"] = _structural(schema["items"])
    properties = mapping(schema, "properties")
    more = schema.get("additionalProperties")
    if properties:
        found["properties"] = {
            str(name): _structural(one) for name, one in properties.items() if isinstance(one, dict)
        }
        is_open = any(schema.get(name) is True for name in _KEEPING)
        found["additionalProperties"] = _OPEN if is_open or more is not None else False
    elif isinstance(more, dict):
        found["additionalProperties"] = _structural(more)
    found["required"] = [
        name for name in items(schema, "required") if "default" not in mapping(properties, str(name))
    ]
    return found
