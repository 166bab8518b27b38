"""Parseable's ingestion, as v1.7.3 was seen to answer and as its source has it.

`flattened` and `columns` are what it does to events (src/utils/json/flatten.rs, src/event/format/mod.rs);
`Ingestion` is the endpoint over HTTP, with a login, streams and their schemas.
"""

import base64
import gzip
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from typing import Any

INGEST = "/api/v1/ingest"
_LONGEST = 10 * 1024 * 1024
_TIMES = ("time", "date")


def flattened(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows that an event makes: one for each element of each array, none where an array is empty.

    >>> flattened({"a": [1, 2], "b": {"c": 3}})
    [{'a': 1, 'b_c': 3}, {'a': 2, 'b_c': 3}]
    """
    return [dict(_joined(one, "")) for one in _multiplied(event)]


def _multiplied(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [one for item in value for one in _multiplied(item)]
    if isinstance(value, dict):
        parts = [[(key, one) for one in _multiplied(item)] for key, item in value.items()]
        return [dict(pairs) for pairs in product(*parts)]
    return [value]


def _joined(value: Mapping[str, Any], parent: str) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _joined(item, f"{parent}{key}_")
        else:
            yield f"{parent}{key}", item


def kind_of(column: str, value: Any) -> str:
    """The type that a column takes from its first value."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    is_time = any(part in column.lower() for part in _TIMES)
    return "timestamp" if is_time and _is_timestamp(value) else "text"


def _is_timestamp(value: Any) -> bool:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            if read(str(value)).tzinfo is not None:
                return True
        except (ValueError, TypeError):
            continue
    return False


class RefusedBatchError(Exception):
    """A batch that is answered 400 as a whole."""


class PanicError(Exception):
    """A batch without any row: the worker panics and closes the connection."""


@dataclass
class Stream:
    """A stream: the types of its columns, and its rows."""

    schema: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def take(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Take a batch whole, or not at all.

        Raises:
            RefusedBatchError: a value that is not of its column's type.
            PanicError: the batch has no row.
        """
        rows = [row for event in events for row in flattened(event)]
        if not rows:
            raise PanicError
        schema = dict(self.schema)
        for row in rows:
            for column, value in row.items():
                if value is None:
                    continue
                kind = schema.setdefault(column, kind_of(column, value))
                fits = _is_timestamp(value) if kind == "timestamp" else kind_of("", value) == kind
                if not fits:
                    raise RefusedBatchError(f"whilst decoding field '{column}': failed to parse {value!r}")
        self.schema = schema
        self.rows += rows


@dataclass
class Ingestion:
    """The endpoint, and what it took; ``away`` closes every connection without an answer."""

    username: str = "user"
    password: str = "word"
    streams: dict[str, Stream] = field(default_factory=dict)
    away: bool = False

    def answer(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """The status and the text for a POST of events.

        Raises:
            PanicError: there is no answer.
        """
        given, name = headers.get("Authorization"), headers.get("X-P-Stream", "")
        if given is None:
            return 401, "No authentication method supplied"
        if given != f"Basic {base64.b64encode(f'{self.username}:{self.password}'.encode()).decode()}":
            return 403, "You don't have permission to access this resource."
        if not name or " " in name:
            return (
                400,
                "Header Error: Stream name not found in header [x-p-stream], or not a name",
            )
        return self._take(name, headers, body)

    def _take(self, name: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        text = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
        if len(text) > _LONGEST:
            return 413, "Payload Too Large"
        try:
            events = json.loads(text)
        except ValueError as error:
            return 400, f"Could not deserialize into JSON object, {error}"
        try:
            self.streams.setdefault(name, Stream()).take(events if isinstance(events, list) else [events])
        except RefusedBatchError as error:
            return 400, f"Invalid Request: {error}"
        return 200, ""


@contextmanager
def serving(ingestion: Ingestion) -> Iterator[str]:
    """Answer on loopback as long as the block runs; the URL is what it gives."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if ingestion.away or self.path != INGEST:
                self.close_connection = True
                return
            try:
                status, text = ingestion.answer(
                    {name.title(): one for name, one in self.headers.items()}, body
                )
            except PanicError:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name there)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
