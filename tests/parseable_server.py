"""Parseable over HTTP, as v1.7.3 was recorded to answer (tests/cases/live/parseable.json).

It takes events as `parseable_double` has it; statements are run by SQLite, which has what ours need.
"""

import base64
import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.parseable_double import INGEST, Ingestion, PanicError, Stream
from tests.registry_double import Reply, Request

_STREAMS = "/api/v1/logstream"
_NO_ANSWER = Reply(0)
_TEXT, _PLAIN = "text/plain; charset=utf-8", "text/plain; version=0.0.4; charset=utf-8"
_PARTS = {"info", "stats", "schema", "retention"}
_BARE_COUNT = re.compile(r"(?i)select\s+count\(\*\)(?:\s+as\s+(\w+))?\s+from\s+\"?(\w+)\"?\s*")
_SPAN = re.compile(r"(\d+)([mh])")


def written(when: datetime) -> str:
    """A time as it is stored: UTC, in milliseconds."""
    return when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


@dataclass
class Server:
    """One server: what it took, its clock, whether its store answers, and how slow its queries are.

    ``is_hidden`` says of a row whether it is not shown, as the last minute's are while they are uploaded;
    ``uploaded`` are the rows that the catalogue knows.
    """

    ingestion: Ingestion = field(default_factory=Ingestion)
    has_store: bool = True
    retention: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    is_hidden: Callable[[Mapping[str, Any]], bool] = lambda row: False
    uploaded: int = 0
    before: Callable[[str], None] = lambda statement: None
    queried: dict[str, int] = field(default_factory=dict)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    def take(self, stream: str, *rows: Mapping[str, Any], at: datetime | None = None) -> None:
        """Have events stored, as if they had come at ``at``."""
        taken = self.ingestion.streams.setdefault(stream, Stream())
        before = len(taken.rows)
        taken.take(rows)
        for row in taken.rows[before:]:
            row["p_timestamp"] = written(at or datetime.now(UTC))

    def __call__(self, request: Request) -> Reply:  # noqa: PLR0911 (a table of answers)
        """The answer to a request."""
        path = request.path.partition("?")[0]
        if request.path == "/api/v1/liveness":
            return Reply(200)
        if request.path == "/api/v1/readiness":
            return Reply(200 if self.has_store else 503)
        if not path.startswith("/api/"):
            return _typed(200, "<html>ui</html>\n", "text/html")
        refused = self._refused(request)
        if refused is not None:
            return refused
        match request.method, path.removeprefix(_STREAMS).strip("/").split("/"):
            case "POST", _ if path == INGEST:
                return self._ingest(request)
            case "POST", _ if path == "/api/v1/query":
                return self._query(json.loads(request.body))
            case "GET", _ if path == "/api/v1/metrics":
                return _typed(200, self._metrics(), _PLAIN)
            case "GET", _ if path == "/api/v1/about":
                return _json({"version": "v1.7.3", "mode": "Standalone"})
            case "GET", [""] if path == _STREAMS:
                return (
                    _json([{"name": name} for name in self.ingestion.streams])
                    if self.has_store
                    else _NO_ANSWER
                )
            case method, [name, part] if path.startswith(_STREAMS) and part in _PARTS:
                return self._of_stream(method, name, part, request.body)
        return Reply(404)

    def _refused(self, request: Request) -> Reply | None:
        given = request.headers.get("Authorization")
        wanted = f"{self.ingestion.username}:{self.ingestion.password}".encode()
        if given is None:
            return _typed(401, "No authentication method supplied")
        if given != f"Basic {base64.b64encode(wanted).decode()}":
            return _typed(
                403,
                "You don't have permission to access this resource. "
                "Please contact your administrator for assistance.",
            )
        return None

    def _ingest(self, request: Request) -> Reply:
        before = {name: len(stream.rows) for name, stream in self.ingestion.streams.items()}
        try:
            status, text = self.ingestion.answer(
                {name.title(): one for name, one in request.headers.items()}, request.body
            )
        except PanicError:
            return _NO_ANSWER
        for name, stream in self.ingestion.streams.items():
            for row in stream.rows[before.get(name, 0) :]:
                row["p_timestamp"] = written(datetime.now(UTC))
        return _typed(status, text) if text else Reply(status)

    def _of_stream(self, method: str, name: str, part: str, body: bytes) -> Reply:
        if name not in self.ingestion.streams:
            return _typed(404, f"Log stream {name} does not exist")
        if part == "retention" and method == "PUT":
            given = json.loads(body)
            if not isinstance(given, list):
                told = (
                    "failed to set retention configuration due to err: invalid type: map, expected a sequence"
                )
                return _typed(400, told)
            self.retention[name] = given
            return _typed(200, f"set retention configuration for log stream {name}")
        rows, schema = self.ingestion.streams[name].rows, self.ingestion.streams[name].schema
        return _json(
            {
                "retention": self.retention.get(name, []),
                "info": {
                    "created-at": self.created.isoformat(),
                    "stream_type": "UserDefined",
                    "log_source": "Json",
                },
                "stats": {"stream": name, "ingestion": {"count": len(rows)}},
                "schema": {"fields": [{"name": column} for column in schema], "metadata": {}},
            }[part]
        )

    def _metrics(self) -> str:
        counts = {name: len(stream.rows) for name, stream in self.ingestion.streams.items()}
        lines = ["# HELP parseable_events_ingested Events ingested", "# TYPE parseable_events_ingested gauge"]
        lines += [
            f'parseable_events_ingested{{format="json",stream="{name}"}} {count}'
            for name, count in counts.items()
        ]
        lines += [
            f'parseable_query_execute_time_count{{stream="{name}"}} {count}'
            for name, count in self.queried.items()
        ]
        return "".join(f"{line}\n" for line in lines)

    def _query(self, asked: Mapping[str, str]) -> Reply:
        statement = asked["query"]
        self.before(statement)
        if not self.has_store:
            return _typed(500, "Execution Error: Query Execution failed due to error in datafusion: no store")
        span = _SPAN.fullmatch(asked["startTime"])
        if span is not None:
            since = datetime.now(UTC) - timedelta(**{{"m": "minutes", "h": "hours"}[span[2]]: int(span[1])})
        else:
            try:
                since = datetime.fromisoformat(asked["startTime"])
            except ValueError:
                return _typed(400, "Error while parsing provided time range: Parsing humantime")
        bare = _BARE_COUNT.fullmatch(statement)
        if bare is not None and bare[2] in self.ingestion.streams:
            return _json([{bare[1] or "count(*)": self.uploaded}])
        return self._run(statement, written(since))

    def _run(self, statement: str, since: str) -> Reply:
        base = sqlite3.connect(":memory:")
        base.row_factory = sqlite3.Row
        base.create_function("date_part", 2, _date_part)
        base.create_function("date_trunc", 2, lambda _, text: text[:16])  # of minutes
        base.create_aggregate("approx_percentile_cont", 2, _Percentile)  # type: ignore[arg-type]
        try:
            for name, stream in self.ingestion.streams.items():
                # One column more, for a table without any cannot be.
                columns = ["_nothing", *stream.schema, *(["p_timestamp"] if stream.rows else [])]
                base.execute(f'create table "{name}" ({", ".join(f"`{one}`" for one in columns)})')
                values = [
                    [row.get(one) for one in columns]
                    for row in stream.rows
                    if row["p_timestamp"] >= since and not self.is_hidden(row)
                ]
                base.executemany(f'insert into "{name}" values ({", ".join("?" * len(columns))})', values)
                if name in statement:
                    self.queried[name] = self.queried.get(name, 0) + 1
            return _json([dict(row) for row in base.execute(statement)])
        except sqlite3.OperationalError as error:
            what, _, of = str(error).partition(": ")
            if what == "no such table":
                told = f"Error during planning: table 'datafusion.public.{of}' not found"
            elif what == "no such column":
                told = f"Schema error: No field named {of}."
            else:
                told = f"SQL error: ParserError({str(error)!r})"
            return _typed(400, f"Datafusion Error: {told}")
        finally:
            base.close()


def _date_part(part: str, text: str | None) -> float | None:
    assert part == "epoch"
    if text is None:
        return None
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


class _Percentile:
    def __init__(self) -> None:
        self._values: list[float] = []
        self._part = 0.5

    def step(self, value: float | None, part: float) -> None:
        self._part = part
        if value is not None:
            self._values.append(value)

    def finalize(self) -> float | None:
        values = sorted(self._values)
        return values[min(int(self._part * len(values)), len(values) - 1)] if values else None


def _typed(status: int, text: str, kind: str = _TEXT) -> Reply:
    return Reply(status, text.encode(), [("Content-Type", kind)])


def _json(data: object) -> Reply:
    return _typed(200, json.dumps(data), "application/json")
