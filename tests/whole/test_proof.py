"""Prove first, write after: what would stop a push of the planned result stops the run before any change."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tasks import commands
from tasks.core.errors import PlaybookError
from tasks.core.reporting import reported
from tasks.core.settings import Charts, Parseable, Settings, Vector
from tests.checks.test_links import (
    REPOSITORIES,
    _programs,  # noqa: F401
    answers,  # noqa: F401
    chart_cache,  # noqa: F401
    mirror,  # noqa: F401
)
from tests.playground import RELEASE, Playground
from tests.storage import prefix, rule
from tests.tools import helm_folder  # noqa: F401

VECTOR_RELEASE = RELEASE.replace("parseable", "vector")
EVERYTHING = prefix("")
NOT_LISTED = Vector(chart_version="0.35.9")


class Bench:
    """Commands on a playground, in this process, with charts at hand."""

    def __init__(self, play: Playground, charts: Path) -> None:
        self.play = play
        self.settings = Settings(
            gitops=dataclasses.replace(Settings().gitops, path=str(play.root)),
            s3=dataclasses.replace(Settings().s3, endpoint=play.endpoint, bucket=play.bucket),
            charts=Charts(mirrors=dict.fromkeys(REPOSITORIES, str(charts))),
        )

    def run(
        self, command: Callable[[Settings, commands.Options], object], **more: object
    ) -> PlaybookError | None:
        """How a command ends: with an error, or well; ``more`` are settings."""
        settings = dataclasses.replace(self.settings, **more)  # type: ignore[arg-type]
        try:
            with reported():
                command(settings, commands.Options(yes=True))
        except PlaybookError as error:
            return error
        return None

    def all(self, **more: object) -> PlaybookError | None:
        return self.run(commands.run_all, **more)

    def task(self, name: str, **more: object) -> PlaybookError | None:
        return self.run(
            lambda settings, options: commands.run_one(settings, options, name, with_prerequisites=False),
            **more,
        )

    def state(self) -> object:
        """All that a run may change."""
        found = self.play.s3().facts()
        return self.play.tree(), self.play.head(), self.play.remote_head(), found.exists, found.rules


@pytest.fixture
def bench(play: Playground, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:  # noqa: F811
    return made(play, mirror, monkeypatch)


@pytest.fixture
def deployed(done: Playground, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:  # noqa: F811
    return made(done, mirror, monkeypatch)


def made(play: Playground, charts: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for name, value in play.environment.items():
        if not name.startswith("INVOKE_"):
            monkeypatch.setenv(name, value)
    return Bench(play, charts)


def test_nothing_is_written_of_a_first_rollout_that_would_not_be_pushed(bench: Bench) -> None:
    before = bench.state()
    refused = bench.all(vector=NOT_LISTED)
    assert refused is not None
    assert refused.exit_code == 1
    assert refused.summary.startswith("the planned result would fail check charts: ")
    assert "does not list version 0.35.9 of chart vector" in refused.summary
    assert f" ({VECTOR_RELEASE}:" in refused.summary
    assert refused.summary.endswith("; nothing was written")
    assert refused.hint.startswith("see what it lists: ")
    assert bench.state() == before
    # The Secret, the bucket and the lists that are not there yet stop nothing.
    assert bench.all() is None
    assert bench.play.head() == bench.play.remote_head()


def test_the_plan_shows_what_would_stop_it(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    before = bench.state()
    refused = bench.run(commands.plan, vector=NOT_LISTED)
    assert refused is not None
    assert refused.exit_code == 1
    shown = capsys.readouterr().out
    assert "+++ b/" in shown
    refused = bench.run(
        lambda settings, options: commands.plan(settings, dataclasses.replace(options, as_json=True)),
        vector=NOT_LISTED,
    )
    assert refused is not None
    data = json.loads(capsys.readouterr().out)
    assert all(one["stops_push"] for one in data["refused"])
    assert [one["id"] for one in data["refused"] if one["status"] == "fail"] == ["charts"]
    assert bench.run(commands.plan) is None
    assert bench.state() == before


def test_a_single_task_answers_for_its_own_files_only(deployed: Bench) -> None:
    before = deployed.state()
    refused = deployed.task("TASK-009", vector=NOT_LISTED)
    assert refused is not None
    assert refused.summary.startswith("the planned result would fail check charts: ")
    assert deployed.state() == before
    # Another task is not stopped by it, and what is written meets what later tasks would make of the rest.
    both = {"vector": NOT_LISTED, "parseable": Parseable(port=9000)}
    assert deployed.task("TASK-003", **both) is None
    assert (
        yaml.safe_load(deployed.play.read(RELEASE))["spec"]["values"]["parseable"]["service"]["port"] == 9000
    )


def test_a_single_task_is_proved_before_the_others_exist(bench: Bench) -> None:
    for name in ("TASK-001", "TASK-002"):
        assert bench.task(name) is None
    before = bench.state()
    refused = bench.task("TASK-003", parseable=Parseable(chart_version="1.6.9"))
    assert refused is not None
    assert "does not list version 1.6.9 of chart parseable" in refused.summary
    assert bench.state() == before
    assert bench.task("TASK-003") is None


def test_a_task_that_needs_no_key_is_proved_without_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert bench.task("TASK-006") is None


def test_the_rules_of_a_bucket_are_judged_as_they_would_be(bench: Bench) -> None:
    bucket = bench.play.s3()
    bucket.create()
    bucket.put_rules((rule("theirs", EVERYTHING, "7"),))
    before = bench.state()
    for refused in (bench.all(), bench.task("TASK-001")):
        assert refused is not None
        assert "loses its deployment id, users and roles" in refused.summary
        assert refused.summary.count("nothing was written") == 1
        assert bench.state() == before
    bucket.put_rules((rule("theirs", prefix("others/"), "7"),))
    assert bench.all() is None
    assert [one.id for one in bucket.facts().rules] == ["theirs", "parseable-expire-logs"]
