"""Whether Parseable deletes old logs before the bucket does, so that no query looks for what is gone."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from checks.model import Cause, Model, Outcome, failed, passed, unknown
from tasks.kube.pods import pods_of
from tasks.kube.resources import Resource
from tasks.subjects.parseable import PARSEABLE, RETENTION_MARGIN, retention_path
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
            yield _judged(model, pod.owner, days)
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
