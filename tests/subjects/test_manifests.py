"""The documents as they are written say what the facts of their subjects say, and need what they name."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.core.settings import DOCUMENTED
from tasks.flux.grafana import GrafanaPlace
from tasks.flux.grafana_plugins import url_of
from tasks.flux.grafana_values import DATASOURCES, PLUGINS, ValuesPlace, values_at
from tasks.flux.missing import MissingError
from tasks.flux.versions import resolved
from tasks.steps import STEPS
from tasks.subjects import grafana
from tasks.subjects.apps import APP_FOLDER, CHART_SOURCE, KS, KUSTOMIZATION, RELEASE, App
from tasks.subjects.manifests import APPS
from tasks.subjects.parseable import (
    BUDGET,
    LOGIN_VARIABLES,
    PARSEABLE,
    PASSWORD,
    S3_VARIABLES,
    SECRET,
    SERVICE_MONITOR,
    STORE,
    STREAM_HEADER,
    USERNAME,
    ingest_url,
    store_variables,
)
from tasks.subjects.vector import CONFIG_MAP, LOG_SOURCE, RBAC, VECTOR, WATCHED
from tasks.yaml.templates import MANIFESTS
from tests.checks.deployed import deployed as deployed  # noqa: PLC0414 (a fixture)
from tests.checks.deployed import workspace_of

SECRET_NAME = DOCUMENTED.parseable.secret

# The clients, Vector and Grafana, get the login in variables of these names.
CLIENT_VARIABLES = {"PARSEABLE_USERNAME": USERNAME, "PARSEABLE_PASSWORD": PASSWORD}


def documents(root: Path, app: App, file: str) -> list[Any]:
    """The documents of a file that the playbook wrote."""
    path = app.path(workspace_of(root), file)
    return list(yaml.safe_load_all((root / path).read_text(encoding="utf-8")))


def from_secret(variables: list[Any]) -> dict[str, str]:
    """Name and key of the variables that come from the Secret; there must be no others."""
    references = {item["name"]: item["valueFrom"]["secretKeyRef"] for item in variables}
    assert {reference["name"] for reference in references.values()} == {SECRET_NAME}
    return {name: reference["key"] for name, reference in references.items()}


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_every_file_has_a_template_and_is_listed(app: App, deployed: Path) -> None:
    folder = MANIFESTS / DOCUMENTED.gitops.apps / app.name
    templates = {path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml")}
    # Of the Secret there is none: it is never in plaintext. The budget is of sets with a mode for it.
    assert templates == set(app.files) - {SECRET, CHART_SOURCE, BUDGET}
    (kustomization,) = documents(deployed, app, KUSTOMIZATION)
    files = app.files_in(workspace_of(deployed))
    listed = {f"./{file.removeprefix(APP_FOLDER)}" for file in files if file not in (KS, KUSTOMIZATION)}
    assert set(kustomization["resources"]) == listed
    ours = {app.path(workspace_of(deployed), file) for file in files if file != SECRET}
    assert ours <= {path for task in STEPS for path in files_of(deployed, task)}


def files_of(root: Path, task: str) -> list[str]:
    """The files that a step of manifests looks at."""
    if task in ("TASK-001", "TASK-004", "TASK-010", "TASK-011"):
        return []
    return [item.path for item in STEPS[task].facts(workspace_of(root))]


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_the_chart_is_named_like_the_app(app: App, deployed: Path) -> None:
    (release,) = documents(deployed, app, RELEASE)
    assert release["spec"]["chart"]["spec"]["chart"] == app.name


def test_the_release_of_parseable(deployed: Path) -> None:
    (release,) = documents(deployed, PARSEABLE, RELEASE)
    (renderer,) = release["spec"]["postRenderers"]
    (patch,) = renderer["kustomize"]["patches"]
    (container,) = yaml.safe_load(patch["patch"])["spec"]["template"]["spec"]["containers"]
    assert from_secret(container["env"]) == S3_VARIABLES | LOGIN_VARIABLES
    values = release["spec"]["values"]["parseable"]
    assert values["store"] == STORE
    assert values["env"].items() >= store_variables(DOCUMENTED.s3).items()
    assert values["env"]["P_ADDR"] == "0.0.0.0:8000"


def test_the_service_monitor(deployed: Path) -> None:
    (monitor,) = documents(deployed, PARSEABLE, SERVICE_MONITOR)
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["targetPort"], endpoint["path"]) == (8000, "/api/v1/metrics")
    assert endpoint["basicAuth"] == {
        "username": {"name": SECRET_NAME, "key": USERNAME},
        "password": {"name": SECRET_NAME, "key": PASSWORD},
    }


def test_the_release_of_vector(deployed: Path) -> None:
    (release,) = documents(deployed, VECTOR, RELEASE)
    assert from_secret(release["spec"]["values"]["env"]) == CLIENT_VARIABLES


def test_the_pipeline(deployed: Path) -> None:
    (config,) = documents(deployed, VECTOR, CONFIG_MAP)
    assert list(config["data"]) == ["vector.yaml"]
    pipeline = yaml.safe_load(config["data"]["vector.yaml"])
    (source,) = pipeline["sources"].values()
    assert source["type"] == LOG_SOURCE
    (sink,) = pipeline["sinks"].values()
    assert sink["uri"] == ingest_url(workspace_of(deployed))
    username, password = CLIENT_VARIABLES
    assert (sink["auth"]["user"], sink["auth"]["password"]) == (f"${{{username}}}", f"${{{password}}}")
    assert sink["request"]["headers"] == {STREAM_HEADER: DOCUMENTED.parseable.stream}


def test_the_rights_of_vector(deployed: Path) -> None:
    _, role, _ = documents(deployed, VECTOR, RBAC)
    assert {resource for rule in role["rules"] for resource in rule["resources"]} == set(WATCHED)


def test_the_data_source(deployed: Path) -> None:
    place = workspace_of(deployed).layout.grafana
    assert isinstance(place, GrafanaPlace)
    level = ValuesPlace(place.path, place.document, place.level)
    values = values_at(level, (deployed / place.path).read_text(encoding="utf-8"))
    sources: Any = values
    for key in DATASOURCES:
        sources = sources[key]
    (source,) = (item for item in sources if item["name"] == DOCUMENTED.grafana.datasource_name)
    assert source["basicAuthUser"] == "$PARSEABLE_USERNAME"
    assert source["secureJsonData"]["basicAuthPassword"] == "$PARSEABLE_PASSWORD"
    variables = [{"name": name, "valueFrom": one} for name, one in values[grafana.ENVIRONMENT].items()]
    assert from_secret(variables).items() >= CLIENT_VARIABLES.items()
    assert any(url_of(resolved(DOCUMENTED).grafana) in plugin for plugin in values[PLUGINS])


@pytest.mark.parametrize("task", ["TASK-002", "TASK-003", "TASK-005", "TASK-008", "TASK-009"])
def test_that_there_is_nothing_is_told_once(tmp_path: Path, task: str) -> None:
    subprocess.run(("git", "init", "-q"), cwd=tmp_path, check=True)
    author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    subprocess.run(("git", *author, "commit", "-q", "--allow-empty", "-m", "a"), cwd=tmp_path, check=True)
    with pytest.raises(MissingError) as caught:
        STEPS[task].facts(workspace_of(tmp_path))
    assert [summary.split(":")[0] for summary, _ in caught.value.parts] == [
        "nothing in this repository is for Flux"
    ]
