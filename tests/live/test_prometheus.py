"""Prometheus' client against a double of its HTTP API."""

from collections.abc import Callable

import pytest

from tasks.live.asking import Service, ServiceError
from tasks.live.prometheus import Prometheus, Sample, quoted
from tests.registry_double import Reply, Request, serving
from tests.services_double import PrometheusDouble

OURS = {"namespace": "monitoring", "service": "parseable"}


def asked(answer: Callable[[Request], Reply], prefix: str = "") -> tuple[list[Sample], str]:
    with serving(answer) as server:
        client = Prometheus(Service("Prometheus", lambda: server.url), prefix)
        selector = f"up{{namespace={quoted('monitoring')},service={quoted('parseable')}}}"
        return client.samples(selector), client.scrape_error("monitoring", "parseable")


def test_a_target_that_is_up_or_down() -> None:
    double = PrometheusDouble({"up": [(OURS, 1.0), ({**OURS, "service": "other"}, 0.0)]})
    found, error = asked(double)
    assert ([one.value for one in found], error) == ([1.0], "")
    double.series["up"] = [(OURS, 0.0)]
    refused = "server returned HTTP status 401 Unauthorized"
    double.targets = [
        {"labels": {**OURS, "service": "other"}, "health": "down", "lastError": "no route to host"},
        {"labels": OURS, "health": "down", "lastError": refused},
    ]
    found, error = asked(double)
    assert ([one.value for one in found], error) == ([0.0], refused)


def test_one_below_a_path() -> None:
    assert asked(PrometheusDouble({"up": [(OURS, 1.0)]}, prefix="/prometheus"), "/prometheus/")[0]


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(404, b"404 page not found"), "Prometheus answers 404 to /api/v1/query"),
        (Reply(200, b"<html>"), "something else than JSON"),
        (Reply(200, b'{"status": "error"}'), "is not Prometheus, or does not answer query"),
        (Reply(200, b'{"status": "success", "data": {"result": [{}]}}'), "a query with something else"),
        (Reply(0), "Prometheus closed the connection without an answer|does not answer as an HTTP server"),
    ],
    ids=["another path", "no JSON", "error", "another form", "no answer"],
)
def test_answers_of_something_else(reply: Reply, told: str) -> None:
    with pytest.raises(ServiceError, match=told):
        asked(lambda _: reply)


def test_a_value_in_an_expression() -> None:
    assert quoted('a"b\\c') == '"a\\"b\\\\c"'
