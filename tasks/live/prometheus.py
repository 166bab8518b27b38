"""Prometheus as a client sees it: whether it scrapes a Service, and the series that it has.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tasks.live.asking import Service, ServiceError

# What Parseable shows of itself at /api/v1/metrics; the second one after its first query.
INGESTED = "parseable_events_ingested"
QUERY_TIME = "parseable_query_execute_time"


@dataclass(frozen=True)
class Sample:
    """One figure, with its labels."""

    labels: Mapping[str, str]
    value: float


class Prometheus:
    """Asks one server, which needs no login as a rule; ``prefix`` is where it serves (its route prefix).

    Every method raises ``ServiceError`` where there is no answer or an unexpected one.
    """

    def __init__(self, service: Service, prefix: str = "") -> None:
        self.service = service
        self._prefix = prefix.rstrip("/")

    def samples(self, expression: str) -> list[Sample]:
        """What ``expression`` gives now; each sample with its labels."""
        data = self._data("query", query=expression)
        try:
            return [Sample(one["metric"], float(one["value"][1])) for one in data["result"]]
        except (KeyError, TypeError, ValueError, IndexError):
            raise ServiceError(f"{self.service.name} answers a query with something else") from None

    def scrape_error(self, namespace: str, service: str) -> str:
        """What the last scrape of a Service failed with; empty where it did not, or that is not told."""
        data = self._data("targets", state="active")
        for target in data.get("activeTargets") or ():
            labels = target.get("labels") or {}
            if (labels.get("namespace"), labels.get("service")) == (namespace, service):
                return str(target.get("lastError") or "")
        return ""

    def _data(self, what: str, **query: str) -> Mapping[str, Any]:
        path = f"{self._prefix}/api/v1/{what}?{urlencode(query)}"
        answer = self.service.read(path)
        if not isinstance(answer, dict) or answer.get("status") != "success":
            raise ServiceError(f"{self.service.name} is not Prometheus, or does not answer {what}")
        found = answer.get("data")
        return found if isinstance(found, dict) else {}


def quoted(text: str) -> str:
    r"""A text as a label's value in an expression.

    >>> quoted('a"b')
    '"a\\"b"'
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
