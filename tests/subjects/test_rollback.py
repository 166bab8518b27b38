"""Which commits a rollback takes back, what it leaves, and when it refuses: with real git."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.core.errors import PlaybookError, RefusedError
from tasks.core.settings import DOCUMENTED, Settings
from tasks.demo.sandbox import make_key, make_repository
from tasks.effects.history import History
from tasks.subjects.rollback import Rollback, plan
from tasks.subjects.signature import MARK, ROLLED_BACK
from tasks.yaml.templates import MARKER
from tests.checks.deployed import workspace_of
from tests.shapes import edit

APPS = "kubernetes/apps/monitoring"
LIST = f"{APPS}/kustomization.yaml"
KS = f"{APPS}/parseable/ks.yaml"
RELEASE = f"{APPS}/parseable/app/helmrelease.yaml"
GRAFANA = f"{APPS}/grafana/app/helmrelease.yaml"
# Of others, in the folders of our apps.
SCRIPT = f"{APPS}/parseable/own.sh"
NOTE = f"{APPS}/vector/own.txt"


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, to be copied."""
    root = tmp_path_factory.mktemp("sample") / "repository"
    key = root.with_name("key")
    make_repository(root, root.with_name("remote.git"), make_key(key), key)
    return root


@pytest.fixture
def root(sample: Path, tmp_path: Path) -> Path:
    """A copy of the sample, in which a commit with the playbook's mark made two files and edited two."""
    root = Path(shutil.copytree(sample, tmp_path / "repository", symlinks=True))
    roll_out(root)
    return root


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(("git", *arguments), cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.rstrip()


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def commit(root: Path, message: str, mark: str = "") -> str:
    git(root, "add", "--all")
    git(root, "commit", "-q", "-m", f"{message}\n\n{mark}".strip())
    return git(root, "rev-parse", "HEAD")


def roll_out(root: Path, apps: str = APPS) -> str:
    write(root, f"{apps}/parseable/ks.yaml", f"---\n{MARKER}: it.\nkind: Kustomization\n")
    write(root, f"{apps}/parseable/app/helmrelease.yaml", f"---\n{MARKER}: it.\nversion: 1\nmemory: 2Gi\n")
    if apps == APPS:
        edit(root / LIST, "resources:\n", "resources:\n  - ./parseable/ks.yaml\n")
        edit(root / GRAFANA, "  values:\n", "  values:\n    parseable:\n      timeout: 30\n")
    return commit(root, "feat: deploy Parseable", MARK)


def planned(root: Path, settings: Settings = DOCUMENTED) -> Rollback | None:
    return plan(workspace_of(root, settings), History(root))


def take_back(root: Path) -> None:
    found = planned(root)
    assert found is not None
    found.apply()
    assert git(root, "status", "--porcelain") == ""
    assert not (root / ".git/REVERT_HEAD").exists()


def tree(root: Path, commit: str = "HEAD") -> str:
    return git(root, "rev-parse", f"{commit}^{{tree}}")


def state(root: Path) -> list[str]:
    """HEAD, the index and what differs from them."""
    return [git(root, *command) for command in (("rev-parse", "HEAD"), ("ls-files", "-s"), ("status", "-s"))]


def refusal(root: Path) -> str:
    """What is said; nothing must be changed."""
    before = state(root)
    with pytest.raises(PlaybookError) as refused:
        take_back(root)
    assert state(root) == before
    return f"{refused.value.summary}\n{refused.value.hint}"


def test_two_commits_newest_first_and_what_others_did_stays(root: Path) -> None:
    edit(root / LIST, "resources:\n  - ./parseable", "resources:\n  - ./argo\n  - ./parseable")
    write(root, "notes.txt", "theirs\n")
    commit(root, "Others add an entry beside ours")
    edit(root / RELEASE, "version: 1", "version: 2")
    edit(root / GRAFANA, "timeout: 30", "timeout: 60")
    second = commit(root, "chore: upgrade", MARK)
    found = planned(root)
    assert found is not None
    assert [one.subject for one in found.commits] == ["chore: upgrade", "feat: deploy Parseable"]
    assert found.summary == "commit 4 files: revert(monitoring): take back Parseable and Vector"
    assert "--- a/" in found.diff()
    assert "+++ /dev/null" in found.diff()
    take_back(root)
    assert (root / "notes.txt").exists()
    assert not (root / APPS / "parseable").exists()
    assert "resources:\n  - ./argo\n" in (root / LIST).read_text()
    assert (root / GRAFANA).read_text() == git(root, "show", f"HEAD~3^:{GRAFANA}") + "\n"
    assert f"This reverts commit {second}." in git(root, "log", "-1", "--format=%B")
    assert planned(root) is None


def test_an_executable_file_and_one_that_we_deleted_come_back(root: Path) -> None:
    write(root, SCRIPT, "#!/bin/sh\n")
    (root / SCRIPT).chmod(0o755)
    commit(root, "Theirs")
    (root / SCRIPT).unlink()
    commit(root, "feat: more of Parseable", MARK)
    take_back(root)
    assert os.access(root / SCRIPT, os.X_OK)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (RELEASE, "version: 1", "version: 3"),
        (LIST, "./parseable/ks.yaml", "./parseable/ks.yaml # ours"),
        (GRAFANA, "timeout: 30", "timeout: 31"),
        (GRAFANA, "      timeout: 30\n", "      timeout: 30\n      more: x\n"),
    ],
)
def test_later_commits_on_the_same_lines_are_named(root: Path, path: str, old: str, new: str) -> None:
    write(root, "notes.txt", "x\n")
    with (root / path).open("a") as file:
        file.write("# the end\n")
    commit(root, "Somewhere else in the file")
    edit(root / path, old, new)
    theirs = commit(root, "Theirs")
    said = refusal(root)
    assert f"{path}: {theirs[:10]} Theirs (Demo, " in said
    # The file is all ours: whatever is changed in it is in the way.
    assert ("Somewhere else" in said) == (path == RELEASE)
    assert f"git revert {theirs[:10]}" in said
    git(root, "revert", "--no-edit", "HEAD")
    if path == RELEASE:
        git(root, "revert", "--no-edit", "HEAD~2")
    take_back(root)


def test_a_file_that_others_deleted_or_moved_is_in_the_way(root: Path) -> None:
    git(root, "mv", GRAFANA, f"{APPS}/grafana/app/release.yaml")
    theirs = commit(root, "Move it")
    assert f"{GRAFANA}: {theirs[:10]} Move it" in refusal(root)


def test_files_of_ours_that_were_moved_are_left(root: Path) -> None:
    git(root, "mv", f"{APPS}/parseable", f"{APPS}/logs")
    commit(root, "Another name")
    assert f"files of the playbook would be left: {APPS}/logs/app/helmrelease.yaml" in refusal(root)


def test_a_commit_whose_mark_was_lost_is_missed(root: Path) -> None:
    git(root, "commit", "-q", "--amend", "-m", "Squashed by a forge, in other words")
    assert f"no commit of it is found that is in effect: {RELEASE}, {KS}" in refusal(root)


def test_what_we_overwrote_ourselves_is_nobodys(root: Path) -> None:
    edit(root / RELEASE, "version: 1", "version: 9")
    commit(root, "Theirs")
    edit(root / RELEASE, "version: 9", "version: 1")
    commit(root, "chore: back", MARK)
    take_back(root)
    assert not (root / RELEASE).exists()


def squashed(root: Path) -> None:
    """As `git merge --squash` has it: the messages indented, and somebody's work beside."""
    git(root, "switch", "-qc", "side", "HEAD^")
    git(root, "cherry-pick", "main")
    write(root, "notes.txt", "theirs\n")
    commit(root, "Notes")
    git(root, "switch", "-q", "main")
    git(root, "reset", "-q", "--hard", "HEAD^")
    git(root, "merge", "-q", "--squash", "side")
    git(root, "commit", "-q", "--no-edit")
    assert f"    {MARK}" in git(root, "log", "-1", "--format=%B")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("kubernetes/apps/ai/pgvector/app.yaml", "kind: HelmRelease\nname: pgvector\n"),
        ("NOTES.md", "It uses a vector index, see parseable and ./vector/ks.yaml.\n"),
        ("kubernetes/apps/ai/kustomization.yaml", "# of vector\nresources:\n  - ./pgvector/ks.yaml\n"),
        ("kubernetes/apps/ai/search/app.yaml", "description: a vector store\n"),
    ],
)
def test_what_others_only_call_so_stays(root: Path, path: str, text: str) -> None:
    write(root, path, text)
    secret = f"{APPS}/parseable/app/secret.sops.yaml"
    write(root, secret, "sops: encrypted\n")
    git(root, "add", "--all")
    git(root, "commit", "-q", "--amend", "--no-edit")
    take_back(root)
    assert (root / path).read_text() == text
    assert not (root / secret).exists()
    assert "parseable" not in (root / LIST).read_text() + (root / GRAFANA).read_text()


def rebased(root: Path) -> None:
    git(root, "switch", "-qc", "side", "HEAD^")
    write(root, "notes.txt", "theirs\n")
    commit(root, "Notes")
    git(root, "switch", "-q", "main")
    git(root, "rebase", "-q", "side")


def merged(root: Path) -> None:
    git(root, "switch", "-qc", "side")
    git(root, "switch", "-q", "main")
    git(root, "reset", "-q", "--hard", "HEAD^")
    write(root, "notes.txt", "theirs\n")
    commit(root, "Notes")
    git(root, "merge", "-q", "--no-edit", "--no-ff", "side")


@pytest.mark.parametrize("how", [squashed, rebased, merged])
def test_however_it_came_to_the_branch(root: Path, how: Callable[[Path], None]) -> None:
    before = tree(root, "HEAD^")
    how(root)
    take_back(root)
    assert (root / "notes.txt").read_text() == "theirs\n"
    (root / "notes.txt").unlink()
    commit(root, "No notes")
    assert tree(root) == before
    assert planned(root) is None


def test_a_revert_by_hand_counts_and_so_does_its_revert(root: Path) -> None:
    git(root, "revert", "--no-edit", "HEAD")
    assert planned(root) is None
    write(root, KS, "kind: theirs\n")
    commit(root, "An app of theirs in the same place")
    assert planned(root) is None
    git(root, "revert", "--no-edit", "HEAD")
    git(root, "revert", "--no-edit", "HEAD~2")
    take_back(root)
    assert not (root / KS).exists()


def test_a_rollback_is_undone_by_a_revert_or_another_rollout(root: Path) -> None:
    deployed, before = tree(root), tree(root, "HEAD^")
    take_back(root)
    git(root, "revert", "--no-edit", "HEAD")
    assert tree(root) == deployed
    take_back(root)
    assert tree(root) == before
    roll_out(root)
    take_back(root)
    assert tree(root) == before
    assert git(root, "log", "--format=%s").count("\n") == 6


def test_a_rollback_and_a_new_rollout_in_one_commit_are_a_rollout(root: Path) -> None:
    before = tree(root, "HEAD^")
    edit(root / RELEASE, "version: 1", "version: 2")
    commit(root, "Squashed", f"    {ROLLED_BACK}\n\n    {MARK}")
    take_back(root)
    assert tree(root) == before
    write(root, KS, "kind: theirs\n")
    commit(root, "Squashed, and gone again", f"    {MARK}\n\n    {ROLLED_BACK}")
    assert planned(root) is None


def test_work_elsewhere_stays_staged_and_unstaged(root: Path) -> None:
    write(root, "staged.txt", "staged\n")
    git(root, "add", "staged.txt")
    write(root, "staged.txt", "more\n")
    write(root, "README.md", "edited\n")
    write(root, f"{APPS}/parseable/untracked.txt", "x\n")
    before = git(root, "status", "--porcelain", "--untracked-files=all")
    found = planned(root)
    assert found is not None
    found.apply()
    assert git(root, "status", "--porcelain", "--untracked-files=all") == before
    assert git(root, "show", ":staged.txt") == "staged"
    assert sorted(git(root, "show", "--name-only", "--format=").split()) == sorted(
        (KS, RELEASE, LIST, GRAFANA)
    )


def unstaged(root: Path) -> None:
    edit(root / GRAFANA, "kind: ", "# note\nkind: ")


def staged(root: Path) -> None:
    unstaged(root)
    git(root, "add", GRAFANA)


def staged_only(root: Path) -> None:
    staged(root)
    edit(root / GRAFANA, "# note\n", "")


def deleted(root: Path) -> None:
    (root / GRAFANA).unlink()


@pytest.mark.parametrize("make", [unstaged, staged, staged_only, deleted])
def test_work_that_is_not_committed_is_in_the_way(root: Path, make: Callable[[Path], None]) -> None:
    make(root)
    text = (root / GRAFANA).read_text() if (root / GRAFANA).exists() else None
    assert f"{GRAFANA}: changed and not committed" in refusal(root)
    assert text == ((root / GRAFANA).read_text() if (root / GRAFANA).exists() else None)


def test_a_file_that_lies_where_one_would_come_back(root: Path) -> None:
    write(root, NOTE, "x\n")
    commit(root, "Theirs")
    (root / NOTE).unlink()
    commit(root, "chore: no vector", MARK)
    write(root, ".git/info/exclude", f"{NOTE}\n")
    write(root, NOTE, "new work\n")
    assert f"{NOTE}: changed and not committed" in refusal(root)
    assert (root / NOTE).read_text() == "new work\n"


def test_what_a_killed_run_left_is_continued(root: Path) -> None:
    before = tree(root, "HEAD^")
    git(root, "restore", "--source=HEAD^", "--worktree", "--", RELEASE, LIST)
    take_back(root)
    assert tree(root) == before


def contents(root: Path) -> dict[Path, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {path: path.read_bytes() for path in files}


def test_a_hook_that_refuses_leaves_all_as_it_was(root: Path) -> None:
    write(root, NOTE, "x\n")
    commit(root, "Theirs")
    (root / NOTE).unlink()
    commit(root, "chore: no vector", MARK)
    hook = root / ".git/hooks/pre-commit"
    git(root, "config", "core.hooksPath", str(hook.parent))
    write(root, ".git/hooks/pre-commit", "#!/bin/sh\necho no rollbacks on Fridays\nexit 1\n")
    hook.chmod(0o755)
    write(root, "staged.txt", "staged\n")
    git(root, "add", "staged.txt")
    files = contents(root)
    assert "no rollbacks on Fridays" in refusal(root)
    assert contents(root) == files


def test_an_interrupt_before_the_commit_leaves_all_as_it_was(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, NOTE, "x\n")
    commit(root, "Theirs")
    (root / NOTE).unlink()
    commit(root, "chore: no vector", MARK)
    before, files = state(root), contents(root)

    def interrupted(*_: object) -> None:
        assert (root / NOTE).exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(History, "commit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        take_back(root)
    assert (state(root), contents(root)) == (before, files)


def test_a_commit_that_came_after_the_plan(root: Path) -> None:
    found = planned(root)
    assert found is not None
    write(root, "notes.txt", "x\n")
    commit(root, "Meanwhile")
    with pytest.raises(RefusedError, match="somebody committed since"):
        found.apply()


def test_a_shallow_clone_is_refused(root: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth=1", root.as_uri(), "shallow")
    assert "is a shallow clone" in refusal(tmp_path / "shallow")


def test_the_first_commit_of_a_repository_is_refused(root: Path) -> None:
    git(root, "checkout", "-q", "--orphan", "new")
    commit(root, "All in one", MARK)
    assert "is the first commit of the repository" in refusal(root)


def test_only_the_rollout_of_the_chosen_cluster(tmp_path: Path, sample: Path) -> None:
    root = Path(shutil.copytree(sample, tmp_path / "repository", symlinks=True))
    first = roll_out(root)
    roll_out(root, "other/apps/monitoring")
    chosen = replace(DOCUMENTED, gitops=replace(DOCUMENTED.gitops, cluster="kubernetes/flux/cluster"))
    found = planned(root, chosen)
    assert found is not None
    assert [one.id for one in found.commits] == [first]
