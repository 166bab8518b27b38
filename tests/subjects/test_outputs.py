"""What a run wrote and did not commit is nobody's edit: the next one writes what is wanted now."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.core.changes import Change
from tasks.core.errors import RefusedError
from tasks.core.settings import DOCUMENTED, Settings
from tasks.effects.files import WriteFile
from tasks.effects.git import Commit, Git
from tasks.effects.repository import Repository
from tasks.steps import STEPS
from tasks.workspace import Permissions, Workspace
from tests.checks.deployed import APPS, deployed, edit
from tests.checks.deployed import root as root  # noqa: PLC0414 (a fixture)

__all__ = ["deployed"]

RELEASE = f"{APPS}/parseable/app/helmrelease.yaml"
GRAFANA = f"{APPS}/grafana/app/helmrelease.yaml"
OTHER = replace(
    DOCUMENTED,
    parseable=replace(DOCUMENTED.parseable, memory_limit="3Gi"),
    grafana=replace(DOCUMENTED.grafana, datasource_name="Logs", datasource_uid="logs"),
)


def plan(root: Path, settings: Settings) -> list[Change]:
    """What all tasks but those of the bucket and the Secret would change."""
    workspace = Workspace(settings, Repository(Git(root)), permissions=Permissions(push=False))
    found: list[Change] = []
    for name, step in STEPS.items():
        if name not in ("TASK-001", "TASK-004"):
            changes = [one for one in step.plan(workspace, step.facts(workspace)) if isinstance(one, Change)]
            workspace.lay_over(changes)
            found += changes
    return found


def write(root: Path, settings: Settings) -> None:
    for change in plan(root, settings):
        if isinstance(change, WriteFile):
            change.apply()


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(("git", *arguments), cwd=root, check=True, capture_output=True, text=True)
    return done.stdout


def test_other_settings_before_the_first_commit(root: Path) -> None:
    write(root, OTHER)
    text = (root / GRAFANA).read_text()
    assert "name: Logs" in text
    # Staged, as a commit that a hook refused leaves it, and written once more behind that.
    git(root, "add", "--all", "--", APPS)
    write(root, DOCUMENTED)
    assert "memory: 2Gi" in (root / RELEASE).read_text()
    # The lines that the other settings wanted in somebody's file are gone with them.
    assert "name: Logs" not in (root / GRAFANA).read_text()
    assert "name: Parseable" in (root / GRAFANA).read_text()
    (commit,) = (change for change in plan(root, DOCUMENTED) if isinstance(change, Commit))
    assert {RELEASE, GRAFANA} <= set(commit.files)


@pytest.mark.parametrize("path", [RELEASE, GRAFANA])
def test_an_edit_on_top_of_it_is_somebodys(root: Path, path: str) -> None:
    edit(root, path, "interval: 30m", "interval: 33m")
    with pytest.raises(RefusedError, match=r"not committed|uncommitted changes"):
        plan(root, OTHER)


def test_without_its_record_it_is_somebodys(root: Path) -> None:
    (root / ".git/parseable-playbook.written").unlink()
    with pytest.raises(RefusedError, match="has uncommitted changes that this run would overwrite"):
        plan(root, OTHER)


def test_what_is_staged_by_somebody_stops_it(root: Path) -> None:
    git(root, "add", "--all", "--", APPS)
    blob = subprocess.run(
        ("git", "hash-object", "-w", "--stdin"), cwd=root, input=b"mine\n", capture_output=True, check=True
    ).stdout.decode()
    git(root, "update-index", "--cacheinfo", f"100644,{blob.strip()},{RELEASE}")
    with pytest.raises(RefusedError, match="something else is staged"):
        plan(root, DOCUMENTED)


def test_an_old_text_that_somebody_brings_back_is_theirs(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "-qm", "first\n\nDeployed-by: parseable-playbook")
    write(root, OTHER)
    git(root, "add", "--all")
    git(root, "commit", "-qm", "second\n\nDeployed-by: parseable-playbook")
    git(root, "checkout", "-q", "HEAD~1", "--", RELEASE)
    with pytest.raises(RefusedError, match="has uncommitted changes"):
        plan(root, OTHER)


def test_each_work_tree_has_a_record_of_its_own(root: Path, tmp_path: Path) -> None:
    git(root, "worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    shutil.copytree(root / APPS, tmp_path / "other" / APPS, dirs_exist_ok=True)
    shutil.copytree(root / "kubernetes/flux", tmp_path / "other/kubernetes/flux", dirs_exist_ok=True)
    with pytest.raises(RefusedError, match="has uncommitted changes"):
        plan(tmp_path / "other", OTHER)
    shutil.rmtree(tmp_path / "other" / APPS / "parseable")
    shutil.rmtree(tmp_path / "other" / APPS / "vector")
    git(tmp_path / "other", "checkout", "-q", "--", ".")
    for settings in (OTHER, DOCUMENTED):
        write(tmp_path / "other", settings)
    assert "memory: 2Gi" in (tmp_path / "other" / RELEASE).read_text()
