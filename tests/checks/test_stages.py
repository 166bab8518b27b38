"""One judge: no check passes at one stage and fails at another, whatever value of ours is edited."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import yaml

from checks.model import Model, Stage, judge
from checks.registry import CHECKS
from tasks.core.outcomes import Outcome, Status
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.effects.s3 import BucketFacts
from tasks.workspace import Workspace
from tasks.yaml.templates import MARKER
from tests.checks.test_links import (
    OURS,
    Place,
    _programs,  # noqa: F401
    answers,  # noqa: F401
    chart_cache,  # noqa: F401
    finished,  # noqa: F401
    mirror,  # noqa: F401
    place,  # noqa: F401
)
from tests.playground import ROOT
from tests.tools import helm_folder  # noqa: F401

APPS = "kubernetes/apps/monitoring"
PARSEABLE = f"{APPS}/parseable/app/helmrelease.yaml"
VECTOR = f"{APPS}/vector/app/helmrelease.yaml"
# All values take two minutes: each commit is held against a third of them, and three in a row against all.
# EVERY_VALUE=yes takes all of them at once.
PARTS = 3
MANIFESTS = sorted(
    str(path.relative_to(ROOT / "manifests")) for path in (ROOT / "manifests/kubernetes").rglob("*.yaml")
)
# What the repository alone answers.
BEFORE_PUSH = (Stage.WRITTEN, Stage.BUILT, Stage.RENDERED)


def part() -> int:
    done = subprocess.run(("git", "rev-parse", "HEAD"), cwd=ROOT, capture_output=True, text=True, check=False)
    return int(done.stdout.strip() or "0", 16) % PARTS


class Edit(NamedTuple):
    """One value of a manifest, by its path; inside a text that is YAML itself after ``None``."""

    file: str
    document: int
    path: tuple[Any, ...]


def values(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all scalars, those in texts of YAML included."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from values(value, (*path, key))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from values(value, (*path, number))
    elif isinstance(inner := nested(data), dict):
        yield from values(inner, (*path, None))
    else:
        yield path


def nested(value: Any) -> Any:
    return yaml.safe_load(value) if isinstance(value, str) and re.search(r"(?m)^[\w.-]+:", value) else None


def edited(data: Any, path: tuple[Any, ...]) -> Any:
    """``data`` with another value of the same type at ``path``."""
    if not path:
        return other(data)
    if path[0] is None:
        return yaml.safe_dump(edited(nested(data), path[1:]), sort_keys=False)
    if isinstance(data, dict):
        return {key: edited(one, path[1:]) if key == path[0] else one for key, one in data.items()}
    return [edited(one, path[1:]) if at == path[0] else one for at, one in enumerate(data)]


def other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else "500m" if value is None else f"{value}x"


# The first is encrypted, Grafana's belongs to somebody else, no operator runs it here, and the namespace is
# there already.
NOT_WRITTEN = (
    "secret.sops.yaml",
    "grafana/app/helmrelease.yaml",
    "grafanadatasource.yaml",
    "parseable/app/namespace.yaml",
)


def edits() -> list[Edit]:
    return [
        Edit(file, number, path)
        for file in MANIFESTS
        for number, document in enumerate(yaml.safe_load_all((ROOT / "manifests" / file).read_text()))
        for path in values(document)
        if not file.endswith(NOT_WRITTEN)
    ]


def statuses(outcomes: list[Outcome]) -> Status:
    """What a check says with all of its answers."""
    found = {one.status for one in outcomes}
    order = (Status.ERROR, Status.FAIL, Status.UNKNOWN, Status.NOTE, Status.PASS)
    return next(status for status in order if status in found)


def answers_at(place: Place) -> Mapping[Stage, Mapping[str, Status]]:  # noqa: F811
    workspace = Workspace(place.settings, Repository(Git(place.root)))
    workspace.bucket_facts = BucketFacts(exists=True, rules=(OURS,))
    found = {}
    for stage in BEFORE_PUSH:
        told: dict[str, list[Outcome]] = {}
        for one in judge(CHECKS.values(), Model(workspace, stage)):
            told.setdefault(one.id, []).append(one.outcome)
        found[stage] = {name: statuses(outcomes) for name, outcomes in told.items()}
    return found


def contradictions(place: Place) -> list[str]:  # noqa: F811
    found = answers_at(place)
    return [
        f"{name}: " + ", ".join(f"{stage.name} {found[stage][name]}" for stage in BEFORE_PUSH)
        for name in CHECKS
        if {Status.PASS, Status.FAIL} <= {found[stage][name] for stage in BEFORE_PUSH}
        or Status.ERROR in {found[stage][name] for stage in BEFORE_PUSH}
    ]


def test_no_value_passes_at_one_stage_and_fails_at_another(place: Place) -> None:  # noqa: F811
    # Some files are written with other settings only.
    chosen = [one for one in edits() if (place.root / one.file).is_file()]
    assert len(chosen) > 190
    if "EVERY_VALUE" not in os.environ:
        chosen = chosen[part() :: PARTS]
    found = []
    for edit in chosen:
        path = place.root / edit.file
        text = path.read_text(encoding="utf-8")
        documents = list(yaml.safe_load_all(text))
        documents[edit.document] = edited(documents[edit.document], edit.path)
        path.write_text(f"{MARKER}\n{yaml.safe_dump_all(documents, sort_keys=False)}", encoding="utf-8")
        found += [f"{edit.file} {edit.path} {one}" for one in contradictions(place)]
        path.write_text(text, encoding="utf-8")
    assert found == []


@pytest.mark.parametrize(
    ("name", "file", "old", "new"),
    [
        ("DoD-003-02", PARSEABLE, '        P_S3_PATH_STYLE: "true"\n', ""),
        ("DoD-003-02", PARSEABLE, 'P_S3_PATH_STYLE: "true"', 'P_S3_PATH_STYLE: "false"'),
        ("DoD-007-02", f"{APPS}/vector/app/rbac.yaml", "      - get\n", ""),
        (
            "DoD-009-02",
            VECTOR,
            "      create: false\n      name: vector",
            "      create: true\n      name: vector",
        ),
        ("DoD-002-03", f"{APPS}/parseable/ks.yaml", "path: ./kubernetes", "path: kubernetes"),
        ("DoD-006-02", f"{APPS}/vector/ks.yaml", "path: ./kubernetes", "path: kubernetes"),
    ],
)
def test_what_was_judged_in_two_ways(name: str, file: str, old: str, new: str, place: Place) -> None:  # noqa: F811
    path = place.root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert contradictions(place) == []
    found = answers_at(place)
    assert found[Stage.RENDERED][name] is not Status.UNKNOWN
