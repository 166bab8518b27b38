"""Prometheus and Grafana over HTTP, as far as they are asked, by their documentation and sources.

https://prometheus.io/docs/prometheus/latest/querying/api/
https://grafana.com/docs/grafana/latest/developers/http_api/
Grafana's words: pkg/api/plugins.go, pkg/api/datasources.go and pkg/api/pluginproxy/ds_proxy.go of
https://github.com/grafana/grafana.
"""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.parseable_server import Server
from tests.registry_double import Reply, Request

_PROXY = re.compile(r"/api/datasources/proxy/uid/(?P<uid>[^/]+)(?P<path>/.*)")
_HEALTH = re.compile(r"/api/datasources/uid/(?P<uid>[^/]+)/health")
_SELECTOR = re.compile(r"(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})?")


def _json(data: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(data).encode(), [("Content-Type", "application/json")])


@dataclass
class PrometheusDouble:
    """Series by name, with labels and a value; targets as its API shows them."""

    series: dict[str, list[tuple[dict[str, str], float]]] = field(default_factory=dict)
    targets: list[dict[str, Any]] = field(default_factory=list)
    prefix: str = ""

    def __call__(self, request: Request) -> Reply:
        """The answer to a request; expressions are selectors, and ``count()`` of one."""
        asked = urlsplit(request.path)
        if asked.path == f"{self.prefix}/api/v1/targets":
            return _json({"status": "success", "data": {"activeTargets": self.targets, "droppedTargets": []}})
        if asked.path != f"{self.prefix}/api/v1/query":
            return Reply(404, b"404 page not found")
        expression = parse_qs(asked.query)["query"][0]
        found = _SELECTOR.fullmatch(expression)
        if found is None:
            error = {"status": "error", "errorType": "bad_data", "error": "invalid parameter"}
            return _json(error, 400)
        wanted = dict(re.findall(r'(\w+)="([^"]*)"', found["labels"] or ""))
        result: list[dict[str, Any]] = [
            {"metric": {"__name__": found["name"], **labels}, "value": [1764000000.0, str(value)]}
            for labels, value in self.series.get(found["name"], [])
            if wanted.items() <= labels.items()
        ]
        return _json({"status": "success", "data": {"resultType": "vector", "result": result}})


@dataclass
class GrafanaDouble:
    """A Grafana whose data source leads to ``parseable``, with ``login``; ``has_backend`` is of its plugin.

    ``health`` is what a plugin with a part in the server answers.
    """

    parseable: Callable[[Request], Reply] = field(default_factory=Server)
    username: str = "admin"
    password: str = "grafana-5311"
    plugin: str | None = "1.1.0"
    sources: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {
                "name": "Parseable",
                "type": "parseable-parseable-datasource",
                "uid": "parseable",
                "url": "http://parseable.monitoring.svc.cluster.local:8000",
            }
        ]
    )
    login: str = ""
    has_backend: bool = False
    is_reached: bool = True
    health: tuple[int, dict[str, str]] = (200, {"status": "OK", "message": "Data source is working"})

    def __call__(self, request: Request) -> Reply:  # noqa: PLR0911 (a table of answers)
        """The answer to a request."""
        wanted = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {wanted}":
            return _json({"message": "Invalid username or password"}, 401)
        if request.path == "/api/datasources":
            return _json(self.sources)
        if request.path == "/api/plugins/parseable-parseable-datasource/settings":
            if self.plugin is None:
                return _json({"message": "Plugin not found, no installed plugin with that id"}, 404)
            return _json({"id": "parseable-parseable-datasource", "info": {"version": self.plugin}})
        if found := _HEALTH.fullmatch(request.path):
            if not self.has_backend:
                return _json({"message": "Plugin not found"}, 404)
            return _json(self.health[1], self.health[0])
        if found := _PROXY.fullmatch(request.path):
            return self._through(found["uid"], found["path"], request)
        return _json({"message": "Not found"}, 404)

    def _through(self, uid: str, path: str, request: Request) -> Reply:
        if all(one["uid"] != uid for one in self.sources):
            return _json({"message": "Unable to find datasource"}, 404)
        if not self.is_reached:
            return Reply(502)
        headers = Message()
        if self.login:
            headers["Authorization"] = self.login
        reply = self.parseable(Request(request.method, path, headers, request.body))
        return Reply(400, b"Authentication to data source failed") if reply.status == 401 else reply
