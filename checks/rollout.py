"""DoD-010 and DoD-011: Grafana, and what Flux is told to reconcile, as far as the repository can tell."""

import posixpath
from typing import Any

from checks.model import Outcome, failed, unknown
from checks.objects import NEEDS_CLUSTER, differences, dig, find_object, items, judged, place_with
from tasks.flux.layout import charts_file, need
from tasks.subjects.apps import RELEASE, App
from tasks.subjects.flux import charts_files, is_same_path
from tasks.subjects.grafana import values_at
from tasks.subjects.manifests import APPS
from tasks.subjects.parseable import parseable_url
from tasks.workspace import Workspace
from tasks.yaml.documents import load_documents


def _grafana(workspace: Workspace) -> Any:
    place = need(workspace.layout.grafana)
    return values_at(place, workspace.repository.read(place.path) or "")


def plugin_is_installed(workspace: Workspace) -> Outcome:
    """DoD-010-01."""
    grafana = workspace.settings.grafana
    wanted = f"{grafana.plugin_url};{grafana.plugin_folder}"
    if wanted not in items(dig(_grafana(workspace), "plugins")):
        return failed(
            f"{need(workspace.layout.grafana).path} does not list the plugin {grafana.datasource_type}",
            "Grafana would not know the data source's type",
            "invoke task-010",
            place_with(workspace, need(workspace.layout.grafana).path, "plugins:"),
        )
    return unknown(f"the plugin is listed; whether Grafana can download it: {NEEDS_CLUSTER}")


def datasource_connects(workspace: Workspace) -> Outcome:
    """DoD-010-02."""
    grafana, values = workspace.settings.grafana, _grafana(workspace)
    listed = items(dig(values, "datasources", "datasources.yaml", "datasources"))
    named = [item for item in listed if dig(item, "name") == grafana.datasource_name]
    if not named:
        return failed(
            f"{need(workspace.layout.grafana).path} has no data source {grafana.datasource_name}",
            "Grafana would not show the logs",
            "invoke task-010",
            place_with(workspace, need(workspace.layout.grafana).path, "datasources:"),
        )
    problems = differences(
        named[0],
        [
            (("type",), grafana.datasource_type),
            (("url",), parseable_url(workspace)),
            (("basicAuth",), True),
            (("basicAuthUser",), "$PARSEABLE_USERNAME"),
            (("secureJsonData", "basicAuthPassword"), "$PARSEABLE_PASSWORD"),
        ],
    )
    secret = workspace.settings.parseable.secret
    for variable, key in (("PARSEABLE_USERNAME", "username"), ("PARSEABLE_PASSWORD", "password")):
        reference = dig(values, "envValueFrom", variable, "secretKeyRef")
        if (dig(reference, "name"), dig(reference, "key")) != (secret, key):
            problems.append(f"envValueFrom.{variable} is not key {key} of {secret}")
    return judged(
        problems,
        unknown(f"the data source points to {parseable_url(workspace)} with its login; {NEEDS_CLUSTER}"),
        consequence="queries from Grafana would be refused or go nowhere",
        remedy="invoke task-010",
        place=place_with(workspace, need(workspace.layout.grafana).path, grafana.datasource_name),
    )


def queries_are_fast(workspace: Workspace) -> Outcome:
    """DoD-010-03."""
    return unknown(f"{NEEDS_CLUSTER}: a query over 15 minutes within 5 seconds")


def flux_is_told(workspace: Workspace) -> Outcome:
    """DoD-011-01: statically that both kustomizations list what Flux is to reconcile."""
    settings, layout = workspace.settings, workspace.layout
    path = need(layout.apps_kustomization)
    problems = []
    wanted = [(path, f"{name}/ks.yaml") for name in (settings.parseable.name, settings.vector.name)]
    # A release that names an OCIRepository (spec.chartRef) needs no HelmRepository.
    apps = [app for app in APPS if not _names_its_chart_itself(workspace, app)]
    listed = [file for file, app in charts_files(workspace).items() if app in apps]
    wanted += [(need(layout.repositories_kustomization), posixpath.basename(file)) for file in listed]
    for app in apps:
        charts = need(app.charts(layout))
        file = charts.path or charts_file(need(layout.repositories), app.name)
        url = str(dig(find_object(workspace, file, "HelmRepository", "TASK-011", charts.name), "spec", "url"))
        official = app.settings(settings).chart_repository
        if url.rstrip("/") != official.rstrip("/"):
            problems.append(f"{file} has the URL {url}, not {official}")
    unlisted = [(file, entry) for file, entry in wanted if not _lists(workspace, file, entry)]
    problems += [f"{file} does not list {entry}" for file, entry in unlisted]
    return judged(
        problems,
        unknown(f"both apps and their HelmRepositories are listed; {NEEDS_CLUSTER}"),
        consequence="Flux would not reconcile it",
        remedy="invoke task-011",
        place=f"{unlisted[0][0] if unlisted else need(layout.repositories_kustomization)}:1",
    )


def _names_its_chart_itself(workspace: Workspace, app: App) -> bool:
    documents = load_documents(workspace.repository.text(app.path(workspace, RELEASE)))
    return any(dig(document, "spec", "chartRef") is not None for document in documents)


def _lists(workspace: Workspace, path: str, entry: str) -> bool:
    documents = load_documents(workspace.repository.read(path) or "")
    resources = items(dig(documents[0], "resources")) if documents else ()
    return any(is_same_path(item, entry) for item in resources)


def pods_run(workspace: Workspace) -> Outcome:
    """DoD-011-02."""
    return unknown(f"{NEEDS_CLUSTER}: every pod Running")


def logs_are_found(workspace: Workspace) -> Outcome:
    """DoD-011-03."""
    return unknown(f"{NEEDS_CLUSTER}: recent logs of all namespaces in Grafana")


def ingestion_is_fast(workspace: Workspace) -> Outcome:
    """DoD-011-04."""
    return unknown(f"{NEEDS_CLUSTER}: more than 1000 events per second")
