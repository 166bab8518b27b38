"""Each check of the repository: one edit makes it fail, with what depends on it, and nothing else fails."""

import shutil
from typing import Any

import pytest
import yaml

from checks.registry import CHECKS
from tasks.core.outcomes import Status
from tests.checks.test_links import (
    CASES,
    OF_THE_BUCKET,
    Place,
    _programs,  # noqa: F401
    answers,  # noqa: F401
    chart_cache,  # noqa: F401
    finished,  # noqa: F401
    mirror,  # noqa: F401
    place,  # noqa: F401
)
from tests.tools import helm_folder  # noqa: F401

BROKEN: list[dict[str, Any]] = yaml.safe_load((CASES / "checks/broken.yaml").read_text(encoding="utf-8"))
# What no repository can fail: only the cluster answers these.
LIVE_ONLY = {"DoD-005-02", "DoD-010-03", "DoD-011-02", "DoD-011-03", "DoD-011-04"}


def test_every_item_has_a_case() -> None:
    items = {check.id for check in CHECKS.values() if check.is_item}
    named = {name for case in BROKEN for name in (case["check"], *case.get("also", ()))}
    assert items - named == LIVE_ONLY | OF_THE_BUCKET


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: f"{case['check']}: {case['found'][:40]}")
def test_one_edit_fails_what_depends_on_it(case: dict[str, Any], place: Place) -> None:  # noqa: F811
    assert set(case) <= {"check", "file", "replace", "with", "delete", "found", "also"}
    if "delete" in case:
        path = place.root / case["delete"]
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    else:
        path = place.root / case["file"]
        text = path.read_text()
        assert case["replace"] in text
        path.write_text(text.replace(case["replace"], case["with"]))
    place.stamp()
    verdicts = place.link()
    failing = [one for one in verdicts if one.outcome.status is Status.FAIL]
    assert {one.id for one in failing} == {case["check"], *case.get("also", ())}
    assert any(one.id == case["check"] and case["found"] in one.outcome.evidence for one in failing)
    assert all(one.outcome.consequence and one.outcome.remedy for one in failing)
    assert not any(one.outcome.status is Status.ERROR for one in verdicts)


def test_a_repository_without_a_layout_fails_plainly(place: Place) -> None:  # noqa: F811
    shutil.rmtree(place.root / "kubernetes")
    found = {one.id: one.outcome for one in place.link()}
    assert found["DoD-002-01"].status is Status.FAIL
    assert "nothing in this repository is for Flux" in found["DoD-002-01"].evidence
    assert all(one.status is not Status.ERROR for one in found.values())
