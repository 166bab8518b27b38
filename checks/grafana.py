"""DoD-010: Grafana's plugin and data source, as its chart gets them."""

from collections.abc import Mapping, Sequence
from typing import Any

from checks.addresses import reached
from checks.answers import NEEDS_CLUSTER, judged, shown
from checks.model import AnsweredError, Cause, Model, Outcome, failed, passed, unknown
from checks.references import key_problem
from tasks.flux.grafana import GrafanaPlace
from tasks.flux.missing import need
from tasks.flux.releases import Release
from tasks.kube.pods import variables
from tasks.kube.services import address_of
from tasks.subjects.grafana import ENVIRONMENT, PLUGINS, values_at
from tasks.subjects.parseable import PARSEABLE, parseable_url
from tasks.yaml.documents import dig, items, mapping

# What Grafana installs at its start: https://grafana.com/docs/grafana/latest/setup-grafana/configure-docker/
_INSTALLED = ("GF_INSTALL_PLUGINS", "GF_PLUGINS_PREINSTALL", "GF_PLUGINS_PREINSTALL_SYNC")


def _place(model: Model) -> GrafanaPlace:
    return need(model.layout.grafana)


def _release(model: Model) -> Release | None:
    """Grafana's release as Flux would install it; None where it, or its values, are not known."""
    try:
        found = next((one for one in model.releases if one.path == model.grafana_file), None)
    except AnsweredError:
        return None
    return found if found is not None and found.chart is not None and found.values else None


def _values(model: Model) -> Mapping[str, Any]:
    """The values that Grafana's chart reads: as Flux hands them over, else as they are written."""
    place, release = _place(model), _release(model)
    if release is not None:
        return mapping(release.values, *place.level[2:])
    return mapping(values_at(place, model.text(place.path)))


def plugin_is_installed(model: Model) -> Outcome:
    """DoD-010-01: the chart's list of plugins, or what Grafana's container is told to install."""
    grafana, place = model.settings.grafana, _place(model)
    told = [*items(_values(model), PLUGINS), *_preinstalled(model)]
    if not any(_is_plugin(model, text) for entry in told for text in str(entry).split(",")):
        return failed(
            f"what Grafana gets does not list the plugin {grafana.datasource_type}",
            "Grafana would not know the data source's type",
            "invoke task-010",
            model.place_in(place.path, "plugins:"),
        )
    return unknown(f"the plugin is listed; whether Grafana can download it: {NEEDS_CLUSTER}", Cause.CLUSTER)


def _preinstalled(model: Model) -> Sequence[str]:
    """The variables of Grafana's containers that name plugins."""
    found = []
    for pod in model.grafana_pods():
        for container in pod.containers():
            given = variables(container)
            for name in _INSTALLED:
                value = given.get(name)
                reference = mapping(value, "configMapKeyRef")
                if reference:
                    holder = model.resources.find(
                        "ConfigMap", pod.owner.key.namespace, str(reference.get("name"))
                    )
                    value = dig(holder.data if holder else {}, "data", str(reference.get("key")))
                if isinstance(value, str):
                    found.append(value)
    return found


def _is_plugin(model: Model, entry: str) -> bool:
    grafana = model.settings.grafana
    return (
        grafana.plugin_url in entry
        or grafana.datasource_type == entry.strip().partition(" ")[0].partition("@")[0]
    )


def datasource_connects(model: Model) -> Outcome:
    """DoD-010-02: the data source's type, URL and login, and that the URL leads to Parseable."""
    grafana, place, values = model.settings.grafana, _place(model), _values(model)
    listed = [
        source for file in mapping(values, "datasources").values() for source in items(file, "datasources")
    ]
    named = [item for item in listed if dig(item, "name") == grafana.datasource_name]
    if not named:
        return failed(
            f"what Grafana gets has no data source {grafana.datasource_name}",
            "Grafana would not show the logs",
            "invoke task-010",
            model.place_in(place.path, "datasources:"),
        )
    url = parseable_url(model.workspace)
    where = model.place_in(place.path, grafana.datasource_name)
    problems = _source_problems(model, named[0], values)
    if problems:
        return judged(
            problems,
            passed(""),
            consequence="queries from Grafana would be refused or go nowhere",
            remedy="invoke task-010",
            place=where,
        )
    model.pods_of(PARSEABLE)
    address = address_of(
        str(dig(named[0], "url")), place.namespace or model.layout.namespace, model.resources
    )
    if address is None:
        return unknown(
            f"the data source's URL {dig(named[0], 'url')} leads out of the cluster", Cause.NETWORK
        )
    outcome = reached(model, address, f"the data source's {url}", model.place_in(place.path, url))
    if outcome.stops_push or outcome.cause is not None:
        return outcome
    return passed(f"the data source has the login, and {url} leads to the Service of Parseable")


def _source_problems(model: Model, source: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """What is wrong with the data source by itself."""
    grafana, problems = model.settings.grafana, []
    wanted: dict[tuple[str, ...], object] = {("type",): grafana.datasource_type, ("basicAuth",): True}
    for path, value in wanted.items():
        found = dig(source, *path)
        if found != value:
            problems.append(f"{'.'.join(path)} is {shown(found)}, not {value!r}")
    namespace = _place(model).namespace or model.layout.namespace
    url, expected = str(dig(source, "url")), parseable_url(model.workspace)
    if url.rstrip("/") != expected and address_of(url, namespace, model.resources) != address_of(
        expected, namespace, model.resources
    ):
        problems.append(f"url is {url!r}, not {expected!r}")
    for path in (("basicAuthUser",), ("secureJsonData", "basicAuthPassword")):
        value = dig(source, *path)
        variable = value.strip("${}") if isinstance(value, str) and value.startswith("$") else ""
        if not variable:
            told = "not set" if value in (None, "") else "not a variable"
            problems.append(f"{'.'.join(path)} is {told}")
            continue
        problem = _variable_problem(model, variable, values)
        if problem:
            problems.append(problem)
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
    place = _place(model)
    namespace = place.target or place.namespace or model.layout.namespace
    name, key = str(reference.get("name")), str(reference.get("key"))
    if name != model.settings.parseable.secret and model.resources.find("Secret", namespace, name) is None:
        # A copy of the login that somebody made for Grafana's own namespace.
        return ""
    problem = key_problem(model, namespace, name, key)
    return f"{variable} is taken from {problem}" if problem else ""


def queries_are_fast(_: Model) -> Outcome:
    """DoD-010-03."""
    return unknown(f"{NEEDS_CLUSTER}: a query over 15 minutes within 5 seconds", Cause.CLUSTER)
