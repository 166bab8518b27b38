"""Upgrades from one set of versions to the other: what is shown, what is done, what is refused."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from tasks import commands
from tasks.core.errors import PlaybookError
from tasks.core.settings import Parseable, Vector, VersionsSettings
from tasks.effects import shell
from tests.checks.memory import Memory
from tests.checks.test_links import (
    _programs,  # noqa: F401
    answers,  # noqa: F401
    chart_cache,  # noqa: F401
    mirror,  # noqa: F401
)
from tests.later_charts import write_later_charts
from tests.playground import Playground
from tests.tools import helm_folder  # noqa: F401
from tests.whole.test_proof import Bench, made

CURRENT = VersionsSettings("current")


@pytest.fixture(scope="module")
def both(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """The charts of both sets."""
    folder = Path(shutil.copytree(mirror, tmp_path_factory.mktemp("both") / "charts"))
    write_later_charts(folder)
    return folder


@pytest.fixture
def deployed(done: Playground, both: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return made(done, both, monkeypatch)


def upgrade(
    bench: Bench, *, is_dry: bool = False, as_json: bool = False, **more: object
) -> PlaybookError | None:
    return bench.run(
        lambda settings, options: commands.upgrade(
            settings, dataclasses.replace(options, as_json=as_json), is_dry=is_dry
        ),
        **more,
    )


def test_another_set_of_versions(deployed: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    before = deployed.state()
    assert deployed.run(commands.plan, versions=CURRENT) is None
    assert (
        "note: upgrade the chart of Parseable from 1.6.5 to 3.2.1, run Parseable v3.1.0 instead of v1.7.3: "
        "invoke upgrade shows what that changes in the cluster" in capsys.readouterr().out
    )
    assert upgrade(deployed, is_dry=True, versions=CURRENT) is None
    shown = capsys.readouterr().out
    assert deployed.state() == before
    for line in (
        "replaced  Deployment monitoring/parseable → StatefulSet parseable-standalone",
        "image of parseable: parseable/parseable:v1.7.3 → quay.io/parseablehq/parseable:v3.1.0",
        "replaced  Service monitoring/parseable → Service parseable-standalone-service",
        "addressed by Job monitoring/parseable-retention, ",
        "Flux deletes it and makes it anew, for spec.template cannot be changed",
        "kubectl -n monitoring scale deployment/parseable --replicas=0",
        "flux reconcile source git home-kubernetes -n flux-system",
        "git revert --no-edit COMMIT && git push",
    ):
        assert line in shown
    assert "still addressed" not in shown
    assert upgrade(deployed, versions=CURRENT) is None
    shown = capsys.readouterr().out
    play = deployed.play
    head = play.head()
    assert head == play.remote_head()
    assert play.git("log", "--format=%P", "-1") == play.git("rev-parse", "HEAD~1")
    told = play.git("log", "--format=%B", "-1")
    assert told.startswith("chore(monitoring): upgrade the chart of Parseable from 1.6.5 to 3.2.1")
    assert "\nIn the cluster:\n" in told
    assert "replaced  Deployment monitoring/parseable → StatefulSet parseable-standalone" in told
    assert told.rstrip().endswith("Deployed-by: parseable-playbook")
    assert play.git("status", "--porcelain") == ""
    assert f"git revert --no-edit {head[:12]} && git push" in shown
    assert "1. Back up" not in shown
    assert upgrade(deployed, versions=CURRENT) is None
    assert capsys.readouterr().out == "nothing differs in the cluster\n"


def test_what_differs_as_json(deployed: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert upgrade(deployed, is_dry=True, as_json=True, parseable=Parseable(memory_limit="4Gi")) is None
    found = json.loads(capsys.readouterr().out)
    (one,) = found["differences"]
    assert (one["kind"], one["object"], one["blocks"]) == (
        "changed",
        "Deployment monitoring/parseable",
        False,
    )
    assert one["consequences"][-1] == "its pods are replaced"
    assert [step["title"] for step in found["steps"]][:4] == ["Back up", "Stop", "Switch", "Verify"]
    assert found["steps"][1]["commands"] == []


def test_what_would_not_be_pushed_is_not_upgraded_to(deployed: Bench) -> None:
    before = deployed.state()
    refused = upgrade(deployed, vector=Vector(chart_version="0.35.9"))
    assert refused is not None
    assert refused.summary.startswith("the planned result would fail check charts: ")
    assert deployed.state() == before


def test_nothing_is_upgraded_where_nothing_is_deployed(
    play: Playground, both: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = made(play, both, monkeypatch)
    before = bench.state()
    refused = upgrade(bench)
    assert refused is not None
    assert (refused.exit_code, refused.hint) == (3, "invoke all")
    assert bench.state() == before


def test_without_helm_there_is_nothing_to_compare(
    deployed: Bench,
    monkeypatch: pytest.MonkeyPatch,
    answers: Memory,  # noqa: F811
    request: pytest.FixtureRequest,
) -> None:
    kept = dict(answers)
    answers.clear()
    request.addfinalizer(lambda: answers.update(kept))
    find = shell.find
    monkeypatch.setattr(shell, "find", lambda tool: None if tool == "helm" else find(tool))
    before = deployed.state()
    refused = upgrade(deployed, versions=CURRENT)
    assert refused is not None
    assert refused.exit_code == 4
    assert "what HEAD deploys cannot be rendered: " in refused.summary
    assert "helm" in refused.hint
    assert deployed.state() == before
