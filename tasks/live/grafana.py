"""Grafana as a client sees it: its plugin, its data source, and queries as a panel sends them.

https://grafana.com/docs/grafana/latest/developers/http_api/
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tasks.effects.http import BODY_BYTES, Answer
from tasks.live.asking import Service, ServiceError, said
from tasks.live.parseable import QUERY, STREAMS

QUERY_SECONDS = 30.0
_NOT_FOUND = 404
# What Grafana makes of a 401 of the data source (pkg/api/pluginproxy/ds_proxy.go).
_UNAUTHORIZED = "Authentication to data source failed"


@dataclass(frozen=True)
class DataSource:
    """A data source: ``uid`` is what it is asked by, ``url`` where it leads to."""

    name: str
    kind: str
    uid: str
    url: str


@dataclass(frozen=True)
class Timed:
    """An answer to a query, and how many seconds it took; ``problem`` is why there are no rows, or empty."""

    rows: tuple[Mapping[str, Any], ...]
    seconds: float
    problem: str = ""


class Grafana:
    """Asks one Grafana, with the login of its administrator.

    Every method raises ``LoginRefusedError`` where the login is refused, and ``ServiceError`` where there is
    no answer or an unexpected one.
    """

    def __init__(self, service: Service) -> None:
        self.service = service

    def plugin_version(self, plugin: str) -> str | None:
        """The version of an installed plugin; None where it is not installed."""
        path = f"/api/plugins/{quote(plugin, safe='')}/settings"
        answer = self.service.ask(path)
        if answer.status == _NOT_FOUND and _message(answer).startswith("Plugin not found"):
            return None
        found = self.service.parsed(answer, path)
        return str((found.get("info") or {}).get("version") or "of an unknown version")

    def data_source(self, name: str, kind: str) -> DataSource | None:
        """The data source of that name, or else of that kind; None where there is neither."""
        found = [
            DataSource(*(str(one.get(key) or "") for key in ("name", "type", "uid", "url")))
            for one in self.service.read("/api/datasources")
        ]
        named = [one for one in found if one.name == name] or [one for one in found if one.kind == kind]
        return named[0] if named else None

    def health_problem(self, source: DataSource) -> str:
        """What is wrong with a data source; empty where it works.

        Its own health is asked for where the plugin has a part in Grafana's server, which the documented
        version has not, and which asks without a login. What needs the login is asked through Grafana, as a
        panel asks.
        """
        answer = self.service.ask(f"/api/datasources/uid/{quote(source.uid, safe='')}/health")
        if answer.status != _NOT_FOUND and _status(answer) != "OK":
            return _message(answer) or f"its health is answered with {answer.status}"
        return self._problem(self._through(source, STREAMS))

    def query(self, source: DataSource, statement: str, minutes: int) -> Timed:
        """The rows of ``statement`` over the last ``minutes``, asked as the plugin's panels ask it.

        They send it through Grafana: src/datasource.ts of https://github.com/parseablehq/parseable-datasource.
        """
        data = {"query": statement, "startTime": f"{minutes}m", "endTime": "now", "send_null": True}
        begun = time.monotonic()
        answer = self._through(source, QUERY, data)
        seconds = time.monotonic() - begun
        problem = self._problem(answer)
        if problem:
            return Timed((), seconds, problem)
        try:
            return Timed(tuple(json.loads(answer.body)), seconds)
        except (ValueError, TypeError):
            rows = _first_rows(answer.body) if len(answer.body) >= BODY_BYTES else ()
            if rows:
                return Timed(rows, seconds)
            return Timed((), seconds, "the answer is no list of rows, or too long to be read")

    def _through(self, source: DataSource, path: str, data: object = None) -> Answer:
        return self.service.ask(
            f"/api/datasources/proxy/uid/{quote(source.uid, safe='')}{path}",
            method="GET" if data is None else "POST",
            data=data,
            timeout=QUERY_SECONDS,
        )

    def _problem(self, answer: Answer) -> str:
        """What an answer that came through Grafana says is wrong; empty if nothing is."""
        if answer.status == 200:
            return ""
        text = said(answer)
        if answer.status == 403 or _UNAUTHORIZED in text:
            return "Parseable does not take the login that the data source has"
        if answer.status in (502, 504):
            return f"Grafana does not reach Parseable ({answer.status})"
        if answer.status == 401:
            raise ServiceError(f"{self.service.name} answers 401: its login is not taken any more")
        return f"it answers {answer.status}{text and f': {text}'}"


def _first_rows(body: bytes) -> tuple[Any, ...]:
    """The whole rows at the beginning of a list whose rest was not read."""
    text, decoder = body.decode(errors="replace"), json.JSONDecoder()
    rows, place = [], text.find("{")
    while place >= 0:
        try:
            row, end = decoder.raw_decode(text, place)
        except ValueError:
            break
        rows.append(row)
        place = text.find("{", end)
    return tuple(rows)


def _body(answer: Answer) -> Mapping[str, Any]:
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _message(answer: Answer) -> str:
    return str(_body(answer).get("message") or "")


def _status(answer: Answer) -> str:
    return str(_body(answer).get("status") or "")
