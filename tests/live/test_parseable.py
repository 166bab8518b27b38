"""Parseable's client against the double, and the double against what was recorded."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from tasks.core.credentials import Secret
from tasks.core.errors import RefusedError
from tasks.live import arrivals
from tasks.live.arrivals import Arrived, Loaded, Repeated
from tasks.live.asking import Login, LoginRefusedError, Service, ServiceError
from tasks.live.parseable import NoColumnError, NoStreamError, Parseable
from tests.parseable_double import Ingestion, Stream
from tests.parseable_server import Server
from tests.registry_double import Reply, Request, serving

RECORDED = json.loads((Path(__file__).parents[1] / "cases/live/parseable.json").read_text(encoding="utf-8"))
PASSWORD = "never-shown-5311"
LOGIN = Login(Secret("logs"), Secret(PASSWORD), "Secret monitoring/parseable-s3-secret")


@dataclass
class Running:
    """A server on loopback, and a client of it."""

    server: Server
    url: str
    parseable: Parseable
    requests: list[Request]

    def as_login(self, login: Login | None) -> Parseable:
        return Parseable(Service("Parseable", lambda: self.url, login), "kubernetes")


@pytest.fixture
def running() -> Iterator[Running]:
    server = Server(Ingestion("logs", PASSWORD))
    with serving(server) as listener:
        client = Parseable(Service("Parseable", lambda: listener.url, LOGIN), "kubernetes")
        yield Running(server, listener.url, client, listener.requests)


def event(namespace: str = "apps", **more: Any) -> dict[str, Any]:
    """An event as the pipeline sends it."""
    return {
        "message": "hello",
        "k8s_namespace": namespace,
        "k8s_pod_name": "web-1",
        "k8s_container_name": "web",
        "k8s_node_name": "node-1",
        "fingerprint": "f1",
        "timestamp": datetime.now(UTC).isoformat(),
        **more,
    }


# The double -----------------------------------------------------------------------------------------------


_SITUATIONS = {
    "notfound": {},
    "login-ok": {},
    "first-query": {},
    "s3down": {"kk": [{"message": "s3down-1"}]},
}


@pytest.mark.parametrize("name", sorted(set(RECORDED) - {"about", "streams-list"}))
def test_the_double_answers_as_recorded(name: str) -> None:
    asked, answered = RECORDED[name]["request"], RECORDED[name]["response"]
    reply = _situation(name)(_request(asked))
    assert reply.status == (answered["status"] or 0)
    kinds = [value for key, value in reply.headers if key == "Content-Type"]
    assert kinds == ([answered["type"]] if answered["type"] else [])
    text = reply.body.decode()
    if name in (
        "stream-info",
        "stream-stats-before-upload",
        "stream-one-event-schema",
        "query-unknown-column",
    ):
        # Its own times, types and lists of columns are left out.
        assert (
            text[:40] == answered["body"][:40]
            or json.loads(text).keys() <= json.loads(answered["body"]).keys()
        )
    elif name == "metrics":
        assert {line.split("}")[0] for line in text.splitlines() if "kk" in line} <= {
            line.split("}")[0] for line in answered["body"].splitlines()
        }
    elif name == "query-bad-sql":
        assert text.startswith("Datafusion Error: SQL error: ParserError(")
    elif name == "s3down-query":
        assert text.startswith("Execution Error: Query Execution failed due to error in datafusion:")
    elif answered["type"] == "application/json":
        assert _sorted(json.loads(text)) == _sorted(json.loads(answered["body"]))
    else:
        assert text == (answered["body"] or "")


def _sorted(data: Any) -> Any:
    return sorted(data, key=str) if isinstance(data, list) else data


def _situation(name: str) -> Server:
    """The server as it was when the request was recorded."""
    server = Server(Ingestion("logs", PASSWORD), has_store=not name.startswith("s3down"))
    if not name.startswith(("notfound", "login-ok", "first-query", "ingest")):
        server.take("kk", {"message": "s3down-1"})
        server.take("probe2", {"message": "probe", "k8s": {"namespace": "x"}})
        server.ingestion.streams["probe3"] = Stream()
        for namespace, count in (("monitoring", 2), ("apps", 15), ("kube-system", 2)):
            for number in range(count):
                first = namespace == "apps" and not number
                more = {"message": "first-web", "k8s_pod_name": "web-5d9c-aaaaa"} if first else {}
                server.take("kubernetes", event(namespace, **more))
        for row in server.ingestion.streams["kubernetes"].rows:
            row["p_timestamp"] = "2026-11-25T09:44:19.224"
        server.ingestion.streams["ta"] = Stream()
        if name == "retention-get":
            server.retention["ta"] = [{"description": "expire", "action": "delete", "duration": "30d"}]
    return server


def _request(asked: dict[str, Any]) -> Request:
    headers = Message()
    login = {"ok": LOGIN.header, "bad": "Basic " + base64.b64encode(b"logs:wrong").decode()}.get(
        asked["login"]
    )
    if login:
        headers["Authorization"] = login
    headers["X-P-Stream"] = "kubernetes"
    # What was asked of the last hour is asked since then.
    body = (asked["body"] or "").replace('"60m"', '"2026-11-25T09:00:00Z"')
    return Request(asked["method"], asked["path"], headers, body.encode())


# The client -----------------------------------------------------------------------------------------------


def test_readiness_needs_no_login_nor_a_proxy(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert running.as_login(None).is_ready()
    running.server.has_store = False
    assert not running.parseable.is_ready()
    assert {one.headers.get("Authorization") for one in running.requests} == {None}


@pytest.mark.parametrize(
    ("login", "told"),
    [
        (None, "Parseable answers 401 to /api/v1/logstream: no login was given"),
        (
            Login(Secret("logs"), Secret("another-5311"), "Secret a/b"),
            "Parseable answers 403 to /api/v1/logstream: the login of Secret a/b is not the one that it has",
        ),
    ],
    ids=["none", "wrong"],
)
def test_a_login_that_is_refused(running: Running, login: Login | None, told: str) -> None:
    with pytest.raises(LoginRefusedError) as caught:
        running.as_login(login).streams()
    assert caught.value.summary == told


def test_streams_and_retention(running: Running) -> None:
    assert running.parseable.streams() == []
    for ask in (running.parseable.retention_days, lambda: running.parseable.set_retention(28)):
        with pytest.raises(NoStreamError, match="has no stream kubernetes: it never got an event"):
            ask()
    running.server.take("kubernetes", event())
    assert (running.parseable.streams(), running.parseable.retention_days()) == (["kubernetes"], None)
    running.parseable.set_retention(28)
    assert running.parseable.retention_days() == 28
    assert running.server.retention["kubernetes"] == [
        {"description": "delete old logs", "action": "delete", "duration": "28d"}
    ]


def test_a_web_page_is_no_list() -> None:
    with serving(lambda _: Reply(200, b"<html>", [("Content-Type", "text/html")])) as listener:
        client = Parseable(Service("Parseable", lambda: listener.url, LOGIN), "kubernetes")
        with pytest.raises(ServiceError, match="something else than JSON"):
            client.streams()


def test_what_arrived(running: Running) -> None:
    with pytest.raises(NoStreamError):
        arrivals.by_namespace(running.parseable, 15)
    ago = datetime.now(UTC) - timedelta(minutes=20)
    running.server.take("kubernetes", event("old"), at=ago)
    running.server.take(
        "kubernetes", event(), event(k8s_node_name=""), event("web"), event(k8s_namespace=None)
    )
    found = arrivals.by_namespace(running.parseable, 15)
    assert {name: (one.rows, one.bare) for name, one in found.namespaces.items()} == {
        "apps": (2, 1),
        "web": (1, 0),
        "": (1, 1),
    }
    assert found.rows == 4
    assert found.age is not None
    assert found.age < timedelta(seconds=30)
    assert arrivals.by_namespace(running.parseable, 60).namespaces["old"].last is not None


def test_a_count_without_a_filter_is_not_what_is_asked(running: Running) -> None:
    running.server.take("kubernetes", event())
    assert running.parseable.query("select count(*) as n from kubernetes", 60).rows == [{"n": 0}]
    assert arrivals.by_namespace(running.parseable, 60).namespaces["apps"].rows == 1


def test_the_busiest_minute(running: Running) -> None:
    now = datetime.now(UTC)
    minute = now.replace(second=0, microsecond=0) - timedelta(minutes=5)
    for seconds in (-1, 0, 30, 59, 60):
        running.server.take("kubernetes", event(), at=minute + timedelta(seconds=seconds))
    assert arrivals.busiest(running.parseable, 15) == 3 / 60
    running.server.take("kubernetes", *[event()] * 9, at=now - timedelta(minutes=20))
    assert arrivals.busiest(running.parseable, 15) == 3 / 60


def test_a_column_that_is_missing(running: Running) -> None:
    lacking = event()
    del lacking["k8s_node_name"]
    running.server.take("kubernetes", lacking)
    with pytest.raises(NoColumnError) as caught:
        arrivals.by_namespace(running.parseable, 15)
    assert caught.value.column == "k8s_node_name"


def test_lines_that_came_twice(running: Running) -> None:
    running.server.take("kubernetes", event(), event(), event(fingerprint="f2"))
    assert arrivals.repeated(running.parseable, 5) == Repeated(rows=3, lines=2)
    running.server.is_hidden = lambda row: True
    assert arrivals.repeated(running.parseable, 5) == Repeated(0, 0)


def test_what_is_found_of_a_load(running: Running) -> None:
    at = datetime.now(UTC) - timedelta(seconds=30)
    for number in (0, 1, 1, 2):
        when = at + timedelta(seconds=number)
        line = event(message=f"n0nce {number:09d} x", timestamp=(when - timedelta(seconds=2)).isoformat())
        running.server.take("kubernetes", line, at=when)
    running.server.take("kubernetes", event(message="n0ncense 000000001"))
    found = arrivals.loaded(running.parseable, "n0nce", 10)
    assert (found.rows, found.lines) == (4, 3)
    assert found.seconds == pytest.approx(2, abs=0.01)
    assert found.delay == pytest.approx(2, abs=0.01)
    assert arrivals.loaded(running.parseable, "other", 10) == Loaded()


def test_no_store(running: Running) -> None:
    running.server.take("kubernetes", event())
    running.server.has_store = False
    with pytest.raises(ServiceError, match="Parseable answers 500 to /api/v1/query: Execution Error"):
        arrivals.by_namespace(running.parseable, 15)
    with pytest.raises(ServiceError, match="Parseable closed the connection without an answer"):
        running.parseable.streams()


def test_an_answer_of_another_form() -> None:
    with pytest.raises(ServiceError, match="something else than its columns"):
        arrivals.arrived([{"k8s_namespace": "x"}], "Parseable")
    assert arrivals.arrived([{"k8s_namespace": None, "found": 1, "bare": 1, "newest": None}], "P") == {
        "": Arrived(1, 1, None)
    }


def test_no_message_shows_the_password(running: Running) -> None:
    def echo(asked: Request) -> Reply:
        return Reply(500, f"{asked.headers['Authorization']} {PASSWORD}".encode())

    with serving(echo) as listener, pytest.raises(RefusedError) as caught:
        Service("Parseable", lambda: listener.url, LOGIN).read("/x")
    assert PASSWORD not in repr(caught.value) + str(caught.value)
    assert LOGIN.header.partition(" ")[2] not in str(caught.value)
    assert PASSWORD not in repr(LOGIN) + repr(running.parseable.service.__dict__)
