"""Where something of ours is not built or not rendered: what depends on it is unknown, and says why."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from checks.model import Model, judge
from checks.registry import CHECKS
from tasks.core.outcomes import Cause, Outcome, Status
from tasks.core.settings import Charts
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.effects.s3 import BucketFacts
from tasks.workspace import Workspace
from tests.checks.deployed import edit
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
from tests.tools import helm_folder  # noqa: F401

APPS = "kubernetes/apps/monitoring"
# What is asked of the pods of both apps, of Parseable's, of Vector's.
OF_BOTH = {"objects", "owners", "references", "storage", "urls", "images"}
OF_PARSEABLE = {"DoD-003-02", "DoD-003-03", "DoD-004-03", "login", *OF_BOTH}
OF_VECTOR = {"DoD-007-01", "DoD-007-02", "DoD-009-01", "DoD-009-02", "pipeline", *OF_BOTH}


def parseable_does_not_render(root: Path) -> None:
    edit(root, f"{APPS}/parseable/app/helmrelease.yaml", "store: s3-store", "store: {type: s3}")


def vector_does_not_render(root: Path) -> None:
    edit(root, f"{APPS}/vector/app/helmrelease.yaml", "dataDir: /vector-data-dir", "dataDir: ''")


def no_such_chart(root: Path) -> None:
    edit(root, f"{APPS}/vector/app/helmrelease.yaml", "version: 0.35.0", "version: 0.35.9")


def patch_fits_nothing(root: Path) -> None:
    edit(
        root,
        f"{APPS}/parseable/app/helmrelease.yaml",
        "            patch: |\n",
        "            patch: |\n              - {\n",
    )


def not_built(root: Path) -> None:
    edit(root, f"{APPS}/parseable/app/kustomization.yaml", "./servicemonitor.yaml", "./nowhere.yaml")


def not_applied(root: Path) -> None:
    edit(root, f"{APPS}/kustomization.yaml", "  - ./vector/ks.yaml\n", "")


def told(place: Place, charts: Charts | None = None) -> dict[str, list[Outcome]]:  # noqa: F811
    settings = place.settings if charts is None else replace(place.settings, charts=charts)
    workspace = Workspace(settings, Repository(Git(place.root)))
    workspace.bucket_facts = BucketFacts(exists=True, rules=(OURS,))
    found: dict[str, list[Outcome]] = {}
    for one in judge(CHECKS.values(), Model(workspace)):
        found.setdefault(one.id, []).append(one.outcome)
    return found


@pytest.mark.parametrize(
    ("hide", "hidden", "failing", "reason"),
    [
        (parseable_does_not_render, OF_PARSEABLE, "charts", "incompatible types for comparison"),
        (vector_does_not_render, OF_VECTOR, "charts", "existingConfigMaps need dataDir"),
        (no_such_chart, {*OF_VECTOR, "values"}, "charts", "does not list version 0.35.9 of chart vector"),
        (patch_fits_nothing, OF_PARSEABLE, "charts", "postRenderers of HelmRelease parseable: "),
        (not_built, {*OF_PARSEABLE, "values"}, "entries", "nowhere.yaml"),
        (not_applied, {*OF_VECTOR, "values"}, "entries", "vector is applied (see the check of entries)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_hidden_is_unknown_and_says_what_hides_it(
    hide: Callable[[Path], None],
    hidden: set[str],
    failing: str,
    reason: str,
    place: Place,  # noqa: F811
) -> None:
    hide(place.root)
    found = told(place)
    assert Status.FAIL in {one.status for one in found[failing]}
    for check in hidden:
        assert Status.PASS not in {one.status for one in found[check]}, check
        reasons = [one for one in found[check] if one.status is Status.UNKNOWN and reason in one.evidence]
        assert reasons, f"{check}: {found[check]}"
        assert {one.cause for one in reasons} == {Cause.REPOSITORY}
    # The other app is judged as before.
    others = (OF_VECTOR if hidden >= OF_PARSEABLE else OF_PARSEABLE) - hidden
    assert {one.status for check in others for one in found[check]} <= {Status.PASS, Status.UNKNOWN}
    assert {one.cause for check in others for one in found[check]} <= {None, Cause.CLUSTER}


def test_charts_that_are_not_at_hand_stop_nothing(
    place: Place,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    found = told(place, Charts())
    for check in {*OF_PARSEABLE, *OF_VECTOR, "charts", "values"}:
        assert Status.PASS not in {one.status for one in found[check]}, check
        assert any(
            one.cause is Cause.NETWORK and "is not in the cache" in one.evidence for one in found[check]
        ), check
    assert not [one for outcomes in found.values() for one in outcomes if one.stops_push]
