"""Whether Parseable deletes old logs before the bucket does, so that no query looks for what is gone."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from checks.model import Cause, Model, Outcome, failed, passed, unknown
from tasks.kube.pods import Pod, pods_of, variables
from tasks.kube.resources import Resource
from tasks.kube.services import address_of, pods_behind, urls_in
from tasks.subjects.parseable import (
    ALL,
    INGEST,
    MODE_VARIABLE,
    PARSEABLE,
    QUERY,
    RETENTION_MARGIN,
    retention_path,
)
from tasks.yaml.documents import items

_DAYS = re.compile(r"\"duration\"\s*:\s*\"(\d+)d\"")


def parseable_deletes_first(model: Model) -> Iterator[Outcome]:
    """Parseable's own retention ends two days before the rule of the bucket.

    The rule looks at the age of each object, and a day's manifest is written until the day ends: its first
    files go before it, and each query that touches the day answers 500. Parseable deletes a day and its
    manifest together, at the midnight after it has become too old: v1.7.3, src/storage/retention.rs.
    """
    path = retention_path(model.settings.parseable)
    found = 0
    for pod in pods_of(model.objects_of(PARSEABLE)):
        for container in pod.containers():
            days = _days_set(container, path)
            if days is None:
                continue
            found += 1
            elsewhere = _asked_elsewhere(model, pod, container, path)
            yield elsewhere or _judged(model, pod.owner, days)
    if not found:
        yield unknown(
            f"nothing in the repository sets the retention of stream {model.settings.parseable.stream}: "
            + (
                "without it the bucket deletes first, and queries of its last day answer 500"
                if model.settings.s3.retention == "bucket"
                else "without it nothing deletes old logs"
            ),
            Cause.CLUSTER,
            "invoke task-003",
        )


def _asked_elsewhere(model: Model, pod: Pod, container: Mapping[str, Any], path: str) -> Outcome | None:
    """A failure if the retention is set at servers that only take logs: those delete none."""
    told = [str(one) for name in ("command", "args") for one in items(container, name)]
    for url in (one for one in urls_in(told) if path in one):
        address = address_of(url, pod.owner.key.namespace, model.resources)
        service = address and model.resources.find("Service", address.namespace, address.service)
        modes = {
            variables(one).get(MODE_VARIABLE)
            for server in (pods_behind(model.resources, service) if service else ())
            for one in server.containers()
        }
        if INGEST in modes and not modes & {ALL, QUERY}:
            return failed(
                f"{pod.owner.key} sets the retention at {url}, whose servers only take logs",
                "nothing would delete old logs before the bucket does",
                "set it at the server that answers queries: invoke task-003",
                model.place_with(pod.owner, path),
            )
    return None


def _judged(model: Model, owner: Resource, days: int) -> Outcome:
    s3 = model.settings.s3
    if s3.retention != "bucket":
        return passed(f"{owner.key} has Parseable delete after {days} days, and the bucket deletes nothing")
    most = s3.retention_days
    if days + RETENTION_MARGIN <= most:
        return passed(f"{owner.key} has Parseable delete after {days} days, the bucket after {most}")
    return failed(
        f"{owner.key} has Parseable delete after {days} days, and the bucket deletes after {most}",
        "the bucket would be the first to delete, and every query that touches its last day answers 500",
        f"let Parseable delete {RETENTION_MARGIN} days before the bucket: invoke task-003",
        model.place_with(owner, '"duration"'),
    )


def _days_set(container: Mapping[str, Any], path: str) -> int | None:
    """The days of retention that a container sets for a stream; None if it sets none."""
    told = [str(one) for name in ("command", "args") for one in items(container, name)]
    if not any(path in one for one in told):
        return None
    days = [int(found[1]) for one in told if (found := _DAYS.search(one))]
    return days[0] if days else None
