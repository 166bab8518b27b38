"""DoD-010 where Grafana's operator gives plugin and data source to Grafana: objects GrafanaDatasource."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from checks.answers import NEEDS_CLUSTER, judged
from checks.data_sources import common_problems, connected
from checks.model import AnsweredError, Cause, Model, Outcome, failed, unknown
from checks.references import key_problem
from tasks.flux.grafana_operator import GROUP
from tasks.flux.grafana_plugins import VARIABLES
from tasks.kube.resources import Resource
from tasks.subjects.parseable import PARSEABLE
from tasks.yaml.documents import dig, items, mapping

_LOGIN = (("basicAuthUser",), ("secureJsonData", "basicAuthPassword"))
_HOLDERS = ("GrafanaDatasource", "GrafanaDashboard")
# What the operator's CRD takes (api/v1beta1/plugins.go of https://github.com/grafana/grafana-operator).
_VERSION = re.compile(r"latest|\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?")


def sources(model: Model) -> list[Resource]:
    """The operator's data sources that are ours, by type or by name."""
    grafana = model.settings.grafana
    found = [item for item in model.resources.of_kind("GrafanaDatasource") if item.key.group == GROUP]
    typed = [item for item in found if _datasource(item).get("type") == grafana.datasource_type]
    return typed or [item for item in found if _datasource(item).get("name") == grafana.datasource_name]


def _datasource(item: Resource) -> Mapping[Any, Any]:
    return mapping(item.data, "spec", "datasource")


def plugin_is_installed(model: Model) -> Outcome:
    """DoD-010-01: an object that the Grafana is selected by lists the plugin, or the Grafana itself does."""
    found = sources(model)
    if not found:
        return _without(model)
    plugin, source = model.settings.grafana.datasource_type, found[0]
    problem = _selection_problem(model, source)
    if problem:
        return _not_selected(model, source, problem)
    listed = [
        one
        for item in model.resources.of_kind(*_HOLDERS)
        if item is source or _selected(model, item) & _selected(model, source)
        for one in items(item.data, "spec", "plugins")
        if dig(one, "name") == plugin
    ]
    if not listed and not any(plugin in text for text in _installed(model, source)):
        return failed(
            f"no object of the operator lists the plugin {plugin} for the Grafana of {source.key}",
            "Grafana would not know the data source's type",
            "invoke task-010",
            model.place_of(source, "spec", "plugins"),
        )
    wrong = [str(dig(one, "version")) for one in listed if not _VERSION.fullmatch(str(dig(one, "version")))]
    return judged(
        [f"version {version} of the plugin is not one, nor latest" for version in wrong],
        unknown(f"the plugin is listed; whether Grafana can download it: {NEEDS_CLUSTER}", Cause.CLUSTER),
        consequence="the API server would refuse the object",
        remedy="invoke task-010",
        place=model.place_of(source, "spec", "plugins"),
    )


def datasource_connects(model: Model) -> Outcome:
    """DoD-010-02: the data source's type, URL and login, its Grafana, and that the URL leads to Parseable."""
    found = sources(model)
    if not found:
        return _without(model)
    source = found[0]
    problem = _selection_problem(model, source)
    if problem:
        return _not_selected(model, source, problem)
    namespace = _grafana_namespace(model, source)
    problems = [
        *common_problems(model, _datasource(source), namespace),
        *_login_problems(model, source),
    ]
    place = model.place_of(source, "spec", "datasource", *(() if problems else ("url",)))
    return connected(model, str(source.key), _datasource(source), namespace, problems, place)


def _login_problems(model: Model, source: Resource) -> Iterator[str]:
    """What is wrong with the login.

    The operator replaces ${KEY} in the text at ``targetPath`` by the value of that key of a Secret of the
    data source's own namespace: https://grafana.github.io/grafana-operator/docs/datasources/.
    """
    given = items(source.data, "spec", "valuesFrom")
    for path in _LOGIN:
        value, target = dig(_datasource(source), *path), ".".join(path)
        references = [
            mapping(one, "valueFrom", "secretKeyRef") for one in given if dig(one, "targetPath") == target
        ]
        used = [
            one
            for one in references
            if isinstance(value, str) and (f"${{{one.get('key')}}}" in value or f"${one.get('key')}" in value)
        ]
        if value in (None, ""):
            yield f"{target} is not set"
        elif not used:
            yield (
                f"no Secret of valuesFrom gives {target}"
                if not references
                else (f"{target} has no ${{{references[0].get('key')}}} for the value to replace")
            )
        for one in used:
            found = key_problem(model, source.key.namespace, str(one.get("name")), str(one.get("key")))
            if found:
                yield f"{target} is taken from {found}"


# Which Grafana ----------------------------------------------------------------------------------------------


def _grafanas(model: Model) -> Sequence[Resource]:
    return [item for item in model.resources.of_kind("Grafana") if item.key.group == GROUP]


def _selected(model: Model, item: Resource) -> set[tuple[str, str]]:
    """The Grafanas that ``item`` is for."""
    crosses = dig(item.data, "spec", "allowCrossNamespaceImport") is True
    return {
        (one.key.namespace, one.key.name)
        for one in _grafanas(model)
        if (crosses or one.key.namespace == item.key.namespace) and _has_labels(one, item)
    }


def _has_labels(grafana: Resource, item: Resource) -> bool:
    labels = mapping(grafana.data, "metadata", "labels")
    wanted = mapping(item.data, "spec", "instanceSelector", "matchLabels")
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _satisfies(labels, one) for one in items(item.data, "spec", "instanceSelector", "matchExpressions")
    )


def _satisfies(labels: Mapping[Any, Any], expression: Any) -> bool:
    key, operator = dig(expression, "key"), dig(expression, "operator")
    values = items(expression, "values")
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(str(operator), True)


def _selection_problem(model: Model, source: Resource) -> str:
    """Why the data source is for no Grafana that is seen; empty if it is for one, or none is seen."""
    grafanas = _grafanas(model)
    if not grafanas or _selected(model, source):
        return ""
    if dig(source.data, "spec", "instanceSelector") is None:
        return "has no instanceSelector"
    alike = [one for one in grafanas if _has_labels(one, source)]
    if alike:
        return (
            f"is in another namespace than {alike[0].key}, which its instanceSelector matches, and "
            "allowCrossNamespaceImport is not true"
        )
    there = "; ".join(
        f"{one.key} has {_shown(mapping(one.data, 'metadata', 'labels')) or 'none'}" for one in grafanas
    )
    return f"has an instanceSelector that no Grafana's labels match ({there})"


def _shown(labels: Mapping[Any, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in labels.items())


def _not_selected(model: Model, source: Resource, problem: str) -> Outcome:
    return failed(
        f"{source.key} {problem}",
        "the operator would give it to no Grafana",
        "invoke task-010",
        model.place_of(source, "spec", "instanceSelector"),
    )


def _grafana_namespace(model: Model, source: Resource) -> str:
    return min(_selected(model, source), default=(source.key.namespace, ""))[0]


def _installed(model: Model, source: Resource) -> Iterator[str]:
    """What the Grafanas that ``source`` is for say themselves of plugins."""
    selected = _selected(model, source)
    for one in _grafanas(model):
        if (one.key.namespace, one.key.name) not in selected:
            continue
        for key in ("preinstall", "preinstall_sync"):
            yield str(dig(one.data, "spec", "config", "plugins", key) or "")
        for container in items(one.data, "spec", "deployment", "spec", "template", "spec", "containers"):
            yield from (
                str(dig(variable, "value") or "")
                for variable in items(container, "env")
                if dig(variable, "name") in VARIABLES
            )


def _without(model: Model) -> Outcome:
    try:
        hidden = model.hidden(PARSEABLE)
    except AnsweredError:
        hidden = None
    return hidden or failed(
        f"there is no GrafanaDatasource of type {model.settings.grafana.datasource_type}",
        "Grafana would not show the logs",
        "invoke task-010",
    )
