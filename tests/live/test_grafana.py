"""Grafana's client against a double of its HTTP API that leads to the double of Parseable."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tasks.core.credentials import Secret
from tasks.live.asking import Login, LoginRefusedError, Service, ServiceError
from tasks.live.grafana import DataSource, Grafana, _first_rows
from tests.parseable_double import Ingestion
from tests.parseable_server import Server
from tests.registry_double import Reply, serving
from tests.services_double import GrafanaDouble

PLUGIN = "parseable-parseable-datasource"
ADMIN = Login(Secret("admin"), Secret("grafana-5311"), "Secret monitoring/grafana")
LOGIN = Login(Secret("logs"), Secret("never-shown-5311"), "Secret monitoring/parseable-s3-secret")


@dataclass
class Running:
    double: GrafanaDouble
    grafana: Grafana
    url: str

    @property
    def source(self) -> DataSource:
        found = self.grafana.data_source("Parseable", PLUGIN)
        assert found is not None
        return found


@pytest.fixture
def running() -> Iterator[Running]:
    parseable = Server(Ingestion("logs", "never-shown-5311"))
    parseable.take("kubernetes", {"message": "hello"})
    double = GrafanaDouble(parseable, login=LOGIN.header)
    with serving(double) as server:
        yield Running(double, Grafana(Service("Grafana", lambda: server.url, ADMIN)), server.url)


def test_the_plugin(running: Running) -> None:
    assert running.grafana.plugin_version(PLUGIN) == "1.1.0"
    running.double.plugin = None
    assert running.grafana.plugin_version(PLUGIN) is None


def test_what_is_no_grafana_does_not_lack_the_plugin() -> None:
    with (
        serving(lambda _: Reply(404, b"404 page not found")) as server,
        pytest.raises(ServiceError, match="Grafana answers 404"),
    ):
        Grafana(Service("Grafana", lambda: server.url, ADMIN)).plugin_version(PLUGIN)


def test_the_data_source_by_name_or_by_kind(running: Running) -> None:
    assert running.grafana.data_source("Logs", PLUGIN) == running.source
    running.double.sources.append({**running.double.sources[0], "name": "Logs", "uid": "other"})
    found = running.grafana.data_source("Logs", PLUGIN)
    assert found is not None
    assert found.uid == "other"
    running.double.sources.clear()
    assert running.grafana.data_source("Logs", PLUGIN) is None


@pytest.mark.parametrize("has_backend", [False, True], ids=["1.1.0", "1.2.1"])
def test_health_is_that_of_what_a_panel_asks(running: Running, has_backend: bool) -> None:
    running.double.has_backend = has_backend
    assert running.grafana.health_problem(running.source) == ""
    # The part in the server asks without a login, so it takes this for healthy.
    for login in ("", "Basic bG9nczp3cm9uZw=="):
        running.double.login = login
        assert "does not take the login" in running.grafana.health_problem(running.source)
    running.double.is_reached = False
    assert running.grafana.health_problem(running.source) == "Grafana does not reach Parseable (502)"


def test_health_that_the_plugin_itself_denies(running: Running) -> None:
    running.double.has_backend = True
    running.double.health = (400, {"status": "ERROR", "message": "request error"})
    assert running.grafana.health_problem(running.source) == "request error"


def test_a_query_and_its_time(running: Running) -> None:
    found = running.grafana.query(running.source, 'select message from "kubernetes" limit 1', 15)
    assert (found.rows, found.problem) == (({"message": "hello"},), "")
    assert 0 < found.seconds < 5
    wrong = running.grafana.query(running.source, 'select nocol from "kubernetes"', 15)
    assert wrong.problem == "it answers 400: Datafusion Error: Schema error: No field named nocol."


def test_a_login_that_is_refused(running: Running) -> None:
    grafana = Grafana(Service("Grafana", lambda: running.url, LOGIN))
    with pytest.raises(LoginRefusedError, match="Grafana answers 401 to /api/datasources"):
        grafana.data_source("Parseable", PLUGIN)
    with pytest.raises(ServiceError, match="answers 401"):
        grafana.query(running.source, "select 1", 15)


def test_rows_of_an_answer_that_is_too_long_to_be_read() -> None:
    body = b'[{"message": "a"}, {"message": "{b}"}, {"mess'
    assert _first_rows(body) == ({"message": "a"}, {"message": "{b}"})
    assert _first_rows(b"<html>") == ()
