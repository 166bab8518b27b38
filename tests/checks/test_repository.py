"""Each check of the repository: one edit makes it fail, and nothing else; without the edit nothing fails."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks.objects import answered
from checks.registry import CHECKS
from tasks.core.outcomes import Status
from tasks.core.settings import S3, Settings
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.workspace import Workspace
from tests.playground import Playground
from tests.storage import Storage, credentials

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).resolve().parents[1] / "cases/checks/broken.yaml").read_text(encoding="utf-8")
)
# Answered by the bucket, in test_bucket.
STORED = ("DoD-001-01", "DoD-001-02", "DoD-001-03", "DoD-003-04")
FROM_FILES = {name: check for name, check in CHECKS.items() if name not in STORED}
# What no repository can fail: only the cluster answers these.
LIVE_ONLY = {"DoD-005-02", "DoD-010-03", "DoD-011-02", "DoD-011-03", "DoD-011-04"}


@pytest.fixture(scope="session")
def finished(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which everything has been done, to be copied."""
    owner = credentials("owner")
    keys = (owner.access_key.reveal(), owner.secret_key.reveal())
    play = Playground.make(tmp_path_factory.mktemp("finished"), storage.endpoint, keys)
    done = play.all(INVOKE_S3_ENDPOINT=storage.endpoint, INVOKE_S3_BUCKET="parseable-logs")
    assert done.code == 0, done.err
    return play.root


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    target = tmp_path / "repository"
    shutil.copytree(finished, target)
    return target


def answers(root: Path, storage: Storage) -> dict[str, tuple[Status, str]]:
    workspace = Workspace(Settings(s3=S3(endpoint=storage.endpoint)), Repository(Git(root)))
    outcomes = {name: answered(check.run, workspace) for name, check in FROM_FILES.items()}
    assert all(outcome.evidence for outcome in outcomes.values())
    assert all(o.consequence and o.remedy for o in outcomes.values() if o.status is Status.FAIL)
    return {name: (outcome.status, outcome.evidence) for name, outcome in outcomes.items()}


def test_nothing_fails_in_a_good_repository(root: Path, storage: Storage) -> None:
    found = answers(root, storage)
    assert [name for name, (status, _) in found.items() if status is Status.FAIL] == []
    assert {name for name, (status, _) in found.items() if status is Status.PASS} >= {
        "DoD-002-01", "DoD-002-02", "DoD-002-03", "DoD-003-01", "DoD-004-01", "DoD-004-02",
        "DoD-006-01", "DoD-006-02", "DoD-007-02", "DoD-008-01", "DoD-008-02", "DoD-008-03",
    }  # fmt: skip


def test_every_check_has_a_case() -> None:
    assert {case["check"] for case in CASES} == set(FROM_FILES) - LIVE_ONLY


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['check']}: {case['found'][:40]}")
def test_one_edit_fails_one_check(case: dict[str, Any], root: Path, storage: Storage) -> None:
    assert set(case) <= {"check", "file", "replace", "with", "delete", "found", "also"}
    before = answers(root, storage)
    if "delete" in case:
        path = root / case["delete"]
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    else:
        path = root / case["file"]
        text = path.read_text()
        assert case["replace"] in text
        path.write_text(text.replace(case["replace"], case["with"]))
    after = answers(root, storage)
    status, evidence = after[case["check"]]
    assert status is Status.FAIL
    assert case["found"] in evidence
    failing = {name for name, (status, _) in after.items() if status is Status.FAIL}
    assert failing == {case["check"], *case.get("also", [])}
    assert before[case["check"]][0] is not Status.FAIL


def test_a_repository_without_a_layout_fails_plainly(tmp_path: Path, storage: Storage, root: Path) -> None:
    shutil.rmtree(root / "kubernetes")
    found = answers(root, storage)
    assert found["DoD-002-01"][0] is Status.FAIL
    assert "no folder of monitoring apps" in found["DoD-002-01"][1]
