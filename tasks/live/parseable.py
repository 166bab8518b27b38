"""Parseable as a client sees it: readiness, streams, retention, queries.

What it answers was recorded with v1.7.3 (tests/cases/live/parseable).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from tasks.effects.http import Answer
from tasks.live.asking import Service, ServiceError, said

READINESS = "/api/v1/readiness"
STREAMS = "/api/v1/logstream"
QUERY = "/api/v1/query"
QUERY_SECONDS = 60.0

_NO_STREAM = re.compile(r"table '[^']*' not found|does not exist|Metadata for stream \S+ not found")
_NO_COLUMN = re.compile(r"No field named \"?(?:\w+\.)?\"?([\w.-]+?)\"?\.(?:\s|$)")
_DAYS = re.compile(r"(\d+)d")
# What a stream is called; anything else would be more than a name in a statement.
_STREAM = re.compile(r"[\w.-]+")


class NoStreamError(ServiceError):
    """The stream does not exist: nothing was ever stored in it."""


class NoColumnError(ServiceError):
    """The stream has no such column (``column``)."""

    def __init__(self, name: str, column: str) -> None:
        super().__init__(f"{name}: the stream has no column {column}")
        self.column = column


@dataclass(frozen=True)
class Rows:
    """The rows of a query, and when the server gave them, by its own clock (in whole seconds)."""

    rows: Sequence[Mapping[str, Any]]
    at: datetime


class Parseable:
    """Asks one server about one stream.

    Every method raises ``LoginRefusedError`` where the login is refused, and ``ServiceError`` where there is
    no answer or an unexpected one.
    """

    def __init__(self, service: Service, stream: str) -> None:
        if not _STREAM.fullmatch(stream):
            raise ValueError(stream)
        self.service = service
        self.stream = stream

    def is_ready(self) -> bool:
        """Whether it is ready, which it is only if its object store answers; asked without a login."""
        answer = self.service.ask(READINESS, with_login=False)
        if answer.status == 503:
            return False
        self.service.checked(answer, READINESS)
        return True

    def streams(self) -> list[str]:
        """The names of all streams; empty before the first event."""
        return [str(one.get("name")) for one in self.service.read(STREAMS)]

    def retention_days(self) -> int | None:
        """The days after which it deletes events of the stream; None if it never does.

        Raises:
            NoStreamError: there is no such stream.
        """
        rules = self.service.parsed(*self._of_stream("retention"))
        days = [
            int(found[1])
            for rule in rules
            if rule.get("action") == "delete" and (found := _DAYS.fullmatch(str(rule.get("duration"))))
        ]
        return min(days, default=None)

    def set_retention(self, days: int) -> None:
        """Have it delete events of the stream after ``days`` days.

        Raises:
            NoStreamError: there is no such stream.
        """
        rule = {"description": "delete old logs", "action": "delete", "duration": f"{days}d"}
        self._of_stream("retention", [rule])

    def query(self, statement: str, minutes: int) -> Rows:
        """The rows of ``statement``, which names the stream {stream}, over the last ``minutes``.

        A count without any filter or group would be answered from the catalogue, which knows no fresh event.
        An event is found at once, hidden for about 5 s while its minute is uploaded, and found again.

        Raises:
            NoStreamError: there is no such stream.
            NoColumnError: it has no such column.
        """
        data = {"query": self.statement(statement), "startTime": f"{minutes}m", "endTime": "now"}
        answer = self.service.ask(QUERY, method="POST", data=data, timeout=QUERY_SECONDS)
        self._told(answer)
        return Rows(self.service.parsed(answer, QUERY), _when(answer))

    def statement(self, template: str) -> str:
        """The statement that ``template`` stands for: {stream} is the stream."""
        return template.replace("{stream}", f'"{self.stream}"')

    def _of_stream(self, part: str, data: object = None) -> tuple[Answer, str]:
        path = f"{STREAMS}/{self.stream}/{part}"
        answer = self.service.ask(path, method="GET" if data is None else "PUT", data=data)
        self._told(answer)
        return self.service.checked(answer, path), path

    def _told(self, answer: Answer) -> None:
        if answer.status not in (400, 404):
            return
        text = said(answer)
        if _NO_STREAM.search(text):
            raise NoStreamError(f"{self.service.name} has no stream {self.stream}: it never got an event")
        if found := _NO_COLUMN.search(text):
            raise NoColumnError(self.service.name, found[1])


def moment(text: object) -> datetime | None:
    """A time as Parseable writes it (UTC, without saying so); None where there is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _when(answer: Answer) -> datetime:
    try:
        return parsedate_to_datetime(str(answer.headers.get("Date")))
    except (TypeError, ValueError):
        return datetime.now(UTC)
