"""DoD-010: Grafana's plugin and data source, as its chart or its operator gets them."""

from collections.abc import Iterator, Mapping
from typing import Any

from checks import grafana_operator
from checks.answers import NEEDS_CLUSTER, judged
from checks.data_sources import common_problems, connected
from checks.model import Cause, Model, Outcome, failed, skipped, unknown
from checks.references import key_problem
from tasks.core.errors import RefusedError
from tasks.flux.grafana import GrafanaPlace
from tasks.flux.grafana_operator import GrafanaInstance
from tasks.flux.grafana_plugins import VARIABLES, entries, is_ours, problem, url_in, variable_of
from tasks.flux.grafana_values import PLUGINS, holders_of
from tasks.flux.missing import need
from tasks.kube.pods import Pod, variables
from tasks.subjects.grafana import ENVIRONMENT, left_out
from tasks.yaml.documents import dig, items, load_documents, mapping

# The keys of Grafana's own configuration that stand for variables of plugins.
_CONFIGURED = {"preinstall": "GF_PLUGINS_PREINSTALL", "preinstall_sync": "GF_PLUGINS_PREINSTALL_SYNC"}
_NO_PLUGIN = "Grafana would not know the data source's type"


def plugin_is_installed(model: Model) -> Outcome:
    """DoD-010-01: what Grafana is told to install, by whichever way it is told."""
    skip = left_out(model.settings)
    if skip:
        return skipped(skip)
    if _is_by_operator(model):
        return grafana_operator.plugin_is_installed(model)
    grafana, place = model.settings.grafana, _place(model)
    told = [(variable, one) for variable, one in _told(model, place) if is_ours(grafana, one)]
    if not told:
        hidden = model.grafana_values[1]
        if hidden:
            return unknown(
                f"whether Grafana gets the plugin {grafana.datasource_type}: {hidden}", Cause.CLUSTER
            )
        return failed(
            f"what Grafana gets does not list the plugin {grafana.datasource_type}",
            _NO_PLUGIN,
            "invoke task-010",
            _place_of_plugins(model, place),
        )
    problems = [found for variable, one in told if (found := problem(grafana, variable, one))]
    return judged(
        problems,
        unknown(f"the plugin is listed; whether Grafana can download it: {NEEDS_CLUSTER}", Cause.CLUSTER),
        consequence="Grafana would not get the plugin, and as a rule not start",
        remedy="invoke task-010",
        place=_place_of_plugins(model, place),
    )


def plugin_urls(model: Model) -> list[str]:
    """The URLs that Grafana would download the plugin from; none where it is named by its id only."""
    place = model.layout.grafana
    if not isinstance(place, GrafanaPlace):
        return []
    ours = (one for _, one in _told(model, place) if is_ours(model.settings.grafana, one))
    return [url for one in ours if (url := url_in(one)) is not None]


def _is_by_operator(model: Model) -> bool:
    """Whether the operator's data sources are what counts: it runs Grafana, or there is one of our type."""
    place = model.layout.grafana
    return isinstance(place, GrafanaInstance) or (
        not isinstance(place, GrafanaPlace) and bool(grafana_operator.sources(model))
    )


def _place(model: Model) -> GrafanaPlace:
    place = need(model.layout.grafana)
    assert isinstance(place, GrafanaPlace)
    return place


def _place_of_plugins(model: Model, place: GrafanaPlace) -> str:
    """Where the list, or the variable, is that wins."""
    try:
        holders = holders_of(place, model.tree)
    except RefusedError:
        return model.place_in(place.path, f"{PLUGINS}:")
    word = PLUGINS if holders.variable is None else holders.variable[1]
    return model.place_in(holders.plugins.path, f"{word}:")


def _told(model: Model, place: GrafanaPlace) -> Iterator[tuple[str, str]]:
    """The plugins that Grafana is told to install: the variable that says so, and an entry of it."""
    values, _ = model.grafana_values
    for key, variable in _CONFIGURED.items():
        text = dig(values, "grafana.ini", PLUGINS, key)
        yield from ((variable, one) for one in entries(text if isinstance(text, str) else ""))
    given = list(_variables(model))
    if model.grafana_pods():
        for name, text in given:
            yield from ((name, one) for one in entries(text))
        return
    listed = variable_of(place.chart, place.version, place.repository)
    yield from ((listed, str(one)) for one in items(values, PLUGINS))
    for name in VARIABLES:
        text = dig(values, "env", name)
        yield from ((name, one) for one in entries(text if isinstance(text, str) else ""))


def _variables(model: Model) -> Iterator[tuple[str, str]]:
    """The variables of Grafana's containers that name plugins, with their texts."""
    for pod in model.grafana_pods():
        for container in pod.containers():
            given = {**_taken(model, pod, container), **variables(container)}
            for name in VARIABLES:
                value = given.get(name)
                reference = mapping(value, "configMapKeyRef")
                if reference:
                    holder = model.resources.find(
                        "ConfigMap", pod.owner.key.namespace, str(reference.get("name"))
                    )
                    value = dig(holder.data if holder else {}, "data", str(reference.get("key")))
                if isinstance(value, str):
                    yield name, value


def _taken(model: Model, pod: Pod, container: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that a container takes from ConfigMaps as a whole."""
    found: dict[str, Any] = {}
    for source in items(container, "envFrom"):
        name = str(dig(source, "configMapRef", "name"))
        holder = model.resources.find("ConfigMap", pod.owner.key.namespace, name)
        prefix = str(dig(source, "prefix") or "")
        found |= {f"{prefix}{key}": value for key, value in mapping(holder and holder.data, "data").items()}
    return found


def datasource_connects(model: Model) -> Outcome:
    """DoD-010-02: the data source's type, URL and login, and that the URL leads to Parseable."""
    skip = left_out(model.settings)
    if skip:
        return skipped(skip)
    if _is_by_operator(model):
        return grafana_operator.datasource_connects(model)
    grafana, place = model.settings.grafana, _place(model)
    values, hidden = model.grafana_values
    listed = [
        source for file in mapping(values, "datasources").values() for source in items(file, "datasources")
    ]
    beside, unread = _from_sidecar(model, values)
    listed, hidden = [*listed, *beside], hidden or unread
    named = [item for item in listed if dig(item, "name") == grafana.datasource_name] or [
        item for item in listed if dig(item, "type") == grafana.datasource_type
    ]
    path = _file_of_sources(model, place)
    if not named:
        return _without_source(model, hidden, path)
    problems = _source_problems(model, named[0], values)
    where = model.place_in(path, str(dig(named[0], "name" if problems else "url")))
    return connected(model, "the data source", named[0], model.grafana_namespace, problems, where)


def _from_sidecar(model: Model, values: Mapping[str, Any]) -> tuple[list[Any], str]:
    """The data sources that the chart's sidecar finds in labelled objects, and why some are not read.

    Facts: sidecar.datasources of the chart's values.yaml.
    """
    sidecar = mapping(values, "sidecar", "datasources")
    label = str(sidecar.get("label") or "grafana_datasource")
    found: list[Any] = []
    unread = ""
    if sidecar.get("enabled") is not True:
        return found, unread
    for item in model.resources.of_kind("ConfigMap", "Secret"):
        wanted, has = sidecar.get("labelValue"), mapping(item.data, "metadata", "labels")
        if label not in has or (wanted and has[label] != wanted):
            continue
        texts = {**mapping(item.data, "data"), **mapping(item.data, "stringData")}
        if "sops" in item.data or (item.key.kind == "Secret" and mapping(item.data, "data")):
            unread = f"{item.key} may hold it, and is not read here"
            continue
        for text in texts.values():
            documents = load_documents(text) if isinstance(text, str) else []
            found += [source for document in documents for source in items(document, "datasources")]
    return found, unread


def _without_source(model: Model, hidden: str, path: str) -> Outcome:
    if hidden:
        return unknown(f"whether Grafana gets the data source: {hidden}", Cause.CLUSTER)
    return failed(
        f"what Grafana gets has no data source {model.settings.grafana.datasource_name}",
        "Grafana would not show the logs",
        "invoke task-010",
        model.place_in(path, "datasources:"),
    )


def _file_of_sources(model: Model, place: GrafanaPlace) -> str:
    try:
        return holders_of(place, model.tree).datasources.path
    except RefusedError:
        return place.path


def _source_problems(model: Model, source: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """What is wrong with the data source by itself."""
    problems = common_problems(model, source, model.grafana_namespace)
    for path in (("basicAuthUser",), ("secureJsonData", "basicAuthPassword")):
        value = dig(source, *path)
        variable = value.strip("${}") if isinstance(value, str) and value.startswith("$") else ""
        if not variable:
            told = "not set" if value in (None, "") else "not a variable"
            problems.append(f"{'.'.join(path)} is {told}")
            continue
        found = _variable_problem(model, variable, values)
        if found:
            problems.append(found)
    return problems


def _variable_problem(model: Model, variable: str, values: Mapping[str, Any]) -> str:
    """What is wrong with a variable that the login is taken from; empty if nothing is."""
    given = {
        name: value
        for pod in model.grafana_pods()
        for container in pod.containers()
        for name, value in variables(container).items()
    }
    reference = mapping(given.get(variable) or dig(values, ENVIRONMENT, variable), "secretKeyRef")
    if not reference:
        return f"{variable} is not taken from a Secret"
    namespace = model.grafana_namespace
    name, key = str(reference.get("name")), str(reference.get("key"))
    if name != model.settings.parseable.secret and model.resources.find("Secret", namespace, name) is None:
        # A copy of the login that somebody made for Grafana's own namespace.
        return ""
    found = key_problem(model, namespace, name, key)
    return f"{variable} is taken from {found}" if found else ""


def queries_are_fast(model: Model) -> Outcome:
    """DoD-010-03."""
    skip = left_out(model.settings)
    return (
        skipped(skip)
        if skip
        else unknown(f"{NEEDS_CLUSTER}: a query over 15 minutes within 5 seconds", Cause.CLUSTER)
    )
