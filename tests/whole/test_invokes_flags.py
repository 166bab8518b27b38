"""Flags of Invoke itself, which its help shows: --dry is honoured, and no other changes what is promised."""

from pathlib import Path

import pytest

from tests.playground import Playground, without_login
from tests.s3_double import Minio, serving


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        (["--dry"], ["all", "--yes", "--offline"]),
        (["-R"], ["all"]),
        ([], ["all", "--yes"]),
        (["--dry"], ["plan"]),
        (["--dry"], ["task-001"]),
        (["--dry"], ["task-011", "--with-prerequisites", "--yes"]),
    ],
)
def test_dry_shows_and_changes_nothing(play: Playground, given: list[str], arguments: list[str]) -> None:
    play.environment |= {} if given else {"INVOKE_RUN_DRY": "1"}
    before, head = play.tree(), play.head()
    git_directory = sorted(path.name for path in (play.root / ".git").iterdir())
    with serving(Minio("minio")) as server:
        done = play.invoke(*given, *arguments, "--repo", str(play.root), INVOKE_S3_ENDPOINT=server.endpoint)
    assert done.code == 5, done.err
    assert f"create bucket '{play.bucket}'" in done.out
    assert "changes: " in done.out
    assert ("TASK-011" in done.out) == (arguments[0] != "task-001")
    assert {request.method for request in server.requests} == {"GET"}
    assert (play.tree(), play.head()) == (before, head)
    assert play.remote_head() == head
    assert sorted(path.name for path in (play.root / ".git").iterdir()) == git_directory


def test_dry_says_what_plan_says(play: Playground) -> None:
    plan = play.on_repository("plan", "--json")
    dry = play.invoke("--dry", "all", "--yes", "--json", "--repo", str(play.root))
    assert dry.code == plan.code
    assert without_login(dry.data) == without_login(plan.data)
    missing = play.invoke("--dry", "task-004", "--repo", str(play.root))
    assert missing.code == 3
    assert "TASK-004 needs TASK-001" in missing.err
    assert play.all().code == 0
    for command in ("all", "task-011"):
        assert play.invoke("--dry", command, "--repo", str(play.root)).code == 0


def test_a_file_may_say_dry_and_a_variable_otherwise(play: Playground, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(f"run: {{dry: true}}\ngitops: {{path: {play.root}}}\n")
    arguments = ("-f", str(tmp_path / "my.yaml"), "task-006", "--json")
    assert play.invoke(*arguments).code == 5
    assert play.invoke(*arguments, INVOKE_RUN_DRY="0").code == 0


def test_verify_writes_no_probe_when_dry(play: Playground) -> None:
    with serving(Minio("minio", {play.bucket: ""})) as server:
        play.invoke(
            "--dry", "verify", "--offline", "--only", "DoD-001-02", "--repo", str(play.root),
            INVOKE_S3_ENDPOINT=server.endpoint,
        )  # fmt: skip
    assert {request.method for request in server.requests} == {"GET"}


def test_the_demo_cannot_be_dry(play: Playground, tmp_path: Path) -> None:
    done = play.invoke("--dry", "demo", "--path", str(tmp_path / "demo"))
    assert done.code == 2
    assert "the demo cannot be shown without being run" in done.err
    assert not (tmp_path / "demo").exists()


def test_a_settings_file_cannot_be_dry(play: Playground) -> None:
    done = play.invoke("--dry", "init", "--repo", str(play.root))
    assert done.code == 2
    assert "the settings file cannot be shown without being written" in done.err
    assert not (play.root / ".parseable-playbook.yaml").exists()


def test_other_flags_change_nothing(play: Playground) -> None:
    flags = ("--echo", "--pty", "--warn-only", "--hide=both", "--command-timeout=1", "--no-dedupe", "-D", "1")
    first = play.invoke(*flags, "all", "--yes", "--offline", "--repo", str(play.root))
    assert (first.code, first.out.splitlines()[0]) == (0, "11/11 done, 23 changes"), first.err
    assert "push main to origin/main" in first.err
    refused = play.invoke(*flags, "plan", "--repo", "/nowhere")
    assert refused.code == 2
    assert refused.err.startswith("error: no folder /nowhere")
    debugged = play.invoke("--debug", "status", "--repo", str(play.root))
    assert debugged.code == 0
    assert "Progress 11/11" in debugged.out
    assert play.secret_key not in debugged.out + debugged.err
