"""The double of Parseable's ingestion answers as the server was seen to answer."""

import base64
import gzip
import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.parseable_double import INGEST, Ingestion, flattened, serving

LOGIN = {"Authorization": "Basic " + base64.b64encode(b"user:word").decode()}
STREAM = {"X-P-Stream": "probe"}


@pytest.fixture
def server() -> Iterator[tuple[Ingestion, str]]:
    ingestion = Ingestion()
    with serving(ingestion) as url:
        yield ingestion, url


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request("POST", INGEST, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (LOGIN | STREAM, b'[{"a": 1}]', 200),
        (STREAM, b'[{"a": 1}]', 401),
        ({"Authorization": "Basic eDp5"} | STREAM, b'[{"a": 1}]', 403),
        (LOGIN, b'[{"a": 1}]', 400),
        (LOGIN | {"X-P-Stream": "bad name"}, b'[{"a": 1}]', 400),
        (LOGIN | STREAM, b"nope", 400),
        (LOGIN | STREAM | {"Content-Encoding": "gzip"}, gzip.compress(b'[{"a": 1}]'), 200),
        (LOGIN | STREAM, json.dumps([{"a": "x" * 10 * 1024 * 1024}]).encode(), 413),
    ],
    ids=["good", "no login", "wrong login", "no stream", "bad stream", "no JSON", "gzip", "too long"],
)
def test_answers(server: tuple[Ingestion, str], headers: dict[str, str], body: bytes, status: int) -> None:
    ingestion, url = server
    assert post(url, body, headers) == status
    assert sum(len(stream.rows) for stream in ingestion.streams.values()) == (status == 200)


def test_a_batch_is_refused_whole(server: tuple[Ingestion, str]) -> None:
    ingestion, url = server
    assert post(url, b'[{"update_time": "2026-11-25T09:00:00Z"}]', LOGIN | STREAM) == 200
    assert post(url, b'[{"message": "innocent"}, {"update_time": "never"}]', LOGIN | STREAM) == 400
    assert len(ingestion.streams["probe"].rows) == 1


def test_empty_lists_lose_events_and_end_the_worker(server: tuple[Ingestion, str]) -> None:
    ingestion, url = server
    assert post(url, b'[{"message": "lost", "a": []}, {"message": "kept"}]', LOGIN | STREAM) == 200
    assert ingestion.streams["probe"].rows == [{"message": "kept"}]
    with pytest.raises(http.client.RemoteDisconnected):
        post(url, b'[{"message": "lost", "a": []}]', LOGIN | STREAM)


@pytest.mark.parametrize(
    ("event", "rows"),
    [
        ({"a": {"b": {"c": 1}}}, [{"a_b_c": 1}]),
        ({"a": [{"b": 1}, {"c": 2}], "d": {"e": 4}}, [{"a_b": 1, "d_e": 4}, {"a_c": 2, "d_e": 4}]),
        ({"a": {}, "b": 1}, [{"b": 1}]),
        ({"a": {"b": []}, "c": 1}, []),
    ],
)
def test_flattening(event: dict[str, object], rows: list[dict[str, object]]) -> None:
    assert flattened(event) == rows
