"""What the repository asks Parseable in SQL: dashboards, alert rules and data sources for Grafana.

Facts: src/types.ts of https://github.com/parseablehq/parseable-datasource, values.yaml of Grafana's chart,
https://grafana.github.io/grafana-operator/docs/, and the JSON model in Grafana's documentation of dashboards.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from checks.model import Model
from tasks.flux.grafana_operator import GROUP
from tasks.kube.resources import Resource
from tasks.yaml.documents import dig, items, load_documents, mapping

# What the sidecars of Grafana's chart look for, unless the values name another label.
_LABELS = {"dashboards": "grafana_dashboard", "datasources": "grafana_datasource", "alerts": "grafana_alert"}
_BY_OPERATOR = ("GrafanaDashboard", "GrafanaDatasource", "GrafanaAlertRuleGroup", "GrafanaLibraryPanel")
_SQL = re.compile(r"(?is)\s*(?:select|with)\b")
_VARIABLE = re.compile(r"\$\{?(\w[\w-]*)")


@dataclass(frozen=True)
class Asked:
    """A query for Parseable: who asks it, its text, its file, and its object (None in Grafana's values)."""

    who: str
    sql: str
    path: str
    item: Resource | None


def asked_of_parseable(model: Model) -> Iterator[Asked]:
    """All queries whose data source is the one of Parseable, as far as they are seen here."""
    is_only_one = _data_sources(model) <= 1
    values = model.grafana_values[0]
    for item in model.resources.of_kind("ConfigMap", "Secret"):
        if _is_for_sidecar(item, values):
            texts = {**mapping(item.data, "data"), **mapping(item.data, "stringData")}
            for key, text in texts.items():
                yield from _in(model, _parsed(text), f"{item.key} ({key})", item.path, item, is_only_one)
    for item in model.resources.of_kind(*_BY_OPERATOR):
        if item.key.group == GROUP:
            for data in (mapping(item.data, "spec"), *_by_operator(model, item)):
                inputs = {
                    str(dig(one, "inputName")): str(dig(one, "datasourceName"))
                    for one in items(item.data, "spec", "datasources")
                }
                yield from _in(model, data, str(item.key), item.path, item, is_only_one, inputs)
    if model.grafana_file:
        yield from _in(model, values, "Grafana's release", model.grafana_file, None, is_only_one)
        for name, text in _in_values(values):
            who = f"dashboard {name} of Grafana's release"
            yield from _in(model, _parsed(text), who, model.grafana_file, None, is_only_one)


def _data_sources(model: Model) -> int:
    """How many data sources of the plugin's type the files define: a variable may stand for any of them."""
    kind = model.settings.grafana.datasource_type
    wanted = re.compile(rf"(?m)^\s*(?:-\s+)?type:\s*[\"']?{re.escape(kind)}[\"']?\s*$")
    return sum(len(wanted.findall(text)) for text in model.tree.texts.values() if kind in text)


def _is_for_sidecar(item: Resource, values: Mapping[str, Any]) -> bool:
    labels = mapping(item.data, "metadata", "labels")
    wanted = (dig(values, "sidecar", part, "label") or label for part, label in _LABELS.items())
    listed = mapping(values, "dashboardsConfigMaps").values()
    return "sops" not in item.data and (any(label in labels for label in wanted) or item.key.name in listed)


def _by_operator(model: Model, item: Resource) -> Iterator[Any]:
    """The JSON that an object of the operator holds or refers to."""
    yield _parsed(dig(item.data, "spec", "json"))
    reference = mapping(item.data, "spec", "configMapRef")
    holder = model.resources.find("ConfigMap", item.key.namespace, str(reference.get("name")))
    if holder is not None:
        yield _parsed(dig(holder.data, "data", str(reference.get("key"))))


def _in_values(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for provider in mapping(values, "dashboards").values():
        for name, one in (provider if isinstance(provider, dict) else {}).items():
            yield str(name), dig(one, "json")


def _parsed(text: object) -> Any:
    """The JSON or YAML ``text``; nothing where it is neither, or asks nothing."""
    if not isinstance(text, str) or not re.search(r"(?i)\bselect\b", text):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return load_documents(text)


def _in(
    model: Model,
    data: Any,
    who: str,
    path: str,
    item: Resource | None,
    is_only_one: bool,
    inputs: Mapping[str, str] | None = None,
) -> Iterator[Asked]:
    grafana = model.settings.grafana
    names = (grafana.datasource_uid, grafana.datasource_name)
    reader = _Reader(grafana.datasource_type, names, is_only_one, {**_inputs(data), **(inputs or {})})
    yield from (Asked(who, sql, path, item) for sql in dict.fromkeys(reader.queries(data)))


def _inputs(data: Any) -> dict[str, str]:
    """The variables of a dashboard that stand for a data source, with the type that each is of."""
    given = {dig(one, "name"): dig(one, "pluginId") for one in items(data, "__inputs")}
    listed = items(data, "templating", "list")
    chosen = {dig(one, "name"): dig(one, "query") for one in listed if dig(one, "type") == "datasource"}
    return {str(name): str(one) for name, one in (given | chosen).items()}


@dataclass(frozen=True)
class _Reader:
    """Finds the queries for one data source: its type, its names, and what variables stand for."""

    kind: str
    names: tuple[str, str]
    is_only_one: bool
    inputs: Mapping[str, str]

    def queries(self, data: Any, is_asked: bool = False) -> Iterator[str]:
        """The SQL in ``data``; what names no data source has that of what it is a part of."""
        if isinstance(data, list):
            for one in data:
                yield from self.queries(one, is_asked)
        if not isinstance(data, dict) or data.get("hide") is True:
            return
        for key in ("datasource", "datasourceUid", "targetUID"):
            # A panel without one has Grafana's default; a query without one has that of its panel.
            if key in data and not (data[key] is None and "queryText" in data):
                is_asked = self.is_ours(data[key])
        for key, one in data.items():
            if isinstance(one, dict | list):
                yield from self.queries(one, is_asked)
            elif is_asked and key in ("queryText", "query") and isinstance(one, str) and _SQL.match(one):
                yield one

    def is_ours(self, reference: Any) -> bool:
        """Whether what a panel names (a text, or type and uid) is the data source of Parseable."""
        uid = reference if isinstance(reference, str) else dig(reference, "uid")
        kind = dig(reference, "type")
        if uid in (None, ""):
            return bool(kind == self.kind) and self.is_only_one
        variable = _VARIABLE.match(str(uid))
        if variable is None:
            return uid in self.names and kind in (None, self.kind)
        stands_for = self.inputs.get(variable[1], kind)
        return stands_for in self.names or (stands_for == self.kind and self.is_only_one)
