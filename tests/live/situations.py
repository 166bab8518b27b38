"""Situations that were recorded in a cluster, as objects."""

import copy
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks.live.objects import Objects
from tasks.live.wanted import Wanted, WantedRelease

FOLDER = Path(__file__).resolve().parents[1] / "cases/cluster"
SOURCE = ("GitRepository", "flux-system", "home-kubernetes")
MONITORING = "monitoring"
PARSEABLE = WantedRelease((MONITORING, "parseable"), MONITORING, (MONITORING, "parseable"), "task-003")
VECTOR = WantedRelease((MONITORING, "vector"), MONITORING, (MONITORING, "vector"), "task-009")
KUSTOMIZATIONS = (
    ("flux-system", "cluster"),
    ("flux-system", "cluster-meta"),
    ("flux-system", "cluster-apps"),
    (MONITORING, "parseable"),
    (MONITORING, "vector"),
)


def items_of(name: str) -> list[dict[str, Any]]:
    """The objects of a situation."""
    return list(_read(name)["items"])


def objects_of(name: str) -> Objects:
    """The same, as they are read."""
    data = _read(name)
    return Objects(tuple(data["items"]), now=datetime.fromisoformat(data["now"]))


def _read(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return data


def edited(name: str, kind: str, key: tuple[str, str], change: Callable[[dict[str, Any]], None]) -> Objects:
    """A situation in which one object is another."""
    found = objects_of(name)
    items = copy.deepcopy(list(found.all))
    (one,) = [
        one
        for one in items
        if one["kind"] == kind and (one["metadata"]["namespace"], one["metadata"]["name"]) == key
    ]
    assert isinstance(one, dict)
    change(one)
    return Objects(tuple(items), now=found.now)


def commit_of(objects: Objects) -> str:
    """The newest commit that the source has."""
    data: Any = objects.find(*SOURCE)
    return str(data["status"]["artifact"]["revision"])[-40:]


def wanted(commit: str) -> Wanted:
    """What the playbook's own rollout wants."""
    return Wanted(commit, lambda revision: revision[-40:] == commit, KUSTOMIZATIONS, (PARSEABLE, VECTOR))
