import subprocess
from pathlib import Path

import pytest

from tasks.core.errors import RefusedError, SettingsError
from tasks.effects.git import Git, start_repository


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(("git", *arguments), cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Git:
    root = tmp_path / "work"
    root.mkdir()
    (root / "a.yaml").write_text("a: 1\n")
    start_repository(root, tmp_path / "remote.git", ("Tester", "tester@example.com"))
    return Git(root)


def hook(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_the_top_of_a_repository(repository: Git) -> None:
    assert repository.directory == repository.root / ".git"


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("nowhere", SettingsError, "no folder"),
        (".", RefusedError, "is not a git repository"),
        ("work/sub", SettingsError, "is not the top of its repository"),
    ],
)
def test_what_is_no_repository(
    repository: Git, path: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    (repository.root / "sub").mkdir()
    with pytest.raises(error, match=message):
        Git(tmp_path / path)


def test_yaml_files_are_the_ones_git_would_take(repository: Git) -> None:
    root = repository.root
    (root / ".gitignore").write_text("ignored/\n")
    for name in ("ignored/x.yaml", "b.yml", "c.txt", "d e/ü.yaml"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x: 1\n")
    assert repository.yaml_files() == ("a.yaml", "b.yml", "d e/ü.yaml")


def test_texts_of_head(repository: Git) -> None:
    (repository.root / "a.yaml").write_text("changed\n")
    assert repository.head_texts(["a.yaml", "none.yaml"]) == {"a.yaml": "a: 1\n", "none.yaml": None}


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(RefusedError, match="has no commit yet"):
        Git(tmp_path)


def test_a_detached_head_is_refused(repository: Git) -> None:
    git(repository.root, "checkout", "-q", "--detach")
    with pytest.raises(RefusedError, match="HEAD is detached"):
        repository.branch()


@pytest.mark.parametrize("operation", ["merge", "rebase", "cherry-pick", "revert"])
def test_an_operation_in_progress_is_refused(repository: Git, operation: str) -> None:
    root = repository.root
    git(root, "checkout", "-q", "-b", "other")
    (root / "a.yaml").write_text("a: 2\n")
    git(root, "commit", "-qam", "two")
    git(root, "checkout", "-q", "main")
    (root / "a.yaml").write_text("a: 3\n")
    git(root, "commit", "-qam", "three")
    subject = "HEAD~1" if operation == "revert" else "other"
    if operation == "revert":
        (root / "a.yaml").write_text("a: 4\n")
        git(root, "commit", "-qam", "four")
    subprocess.run(("git", operation, subject), cwd=root, check=False, capture_output=True)
    with pytest.raises(RefusedError, match=f"a {operation} is in progress"):
        repository.branch()


def test_a_commit_takes_exactly_the_paths_given(repository: Git) -> None:
    root = repository.root
    for name in ("ours.yaml", "staged.yaml", "loose.yaml"):
        (root / name).write_text("x: 1\n")
    git(root, "add", "staged.yaml")
    repository.commit(["ours.yaml"], "subject\n\nbody\n")
    assert git(root, "show", "--name-only", "--format=%B", "HEAD").split() == ["subject", "body", "ours.yaml"]
    assert git(root, "status", "--porcelain").splitlines() == ["A  staged.yaml", "?? loose.yaml"]


@pytest.mark.parametrize("name", ["pre-commit", "commit-msg"])
def test_a_hook_that_refuses_is_quoted(repository: Git, name: str) -> None:
    hook(repository.root / ".git/hooks", name, "echo 'no tabs please' >&2; exit 1")
    (repository.root / "b.yaml").write_text("b: 1\n")
    with pytest.raises(RefusedError) as caught:
        repository.commit(["b.yaml"], "subject")
    assert name in caught.value.summary
    assert "no tabs please" in caught.value.hint


def test_hooks_do_not_see_the_credentials(repository: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "canary-secret")
    hook(repository.root / ".git/hooks", "pre-commit", "env >&2; exit 1")
    (repository.root / "b.yaml").write_text("b: 1\n")
    with pytest.raises(RefusedError) as caught:
        repository.commit(["b.yaml"], "subject")
    assert "PATH=" in caught.value.hint
    assert "canary" not in caught.value.hint


def test_nobody_commits(repository: Git) -> None:
    git(repository.root, "config", "--unset", "user.name")
    git(repository.root, "config", "--unset", "user.email")
    with pytest.raises(RefusedError, match=r"user\.name and user\.email"):
        repository.check_identity()
    git(repository.root, "config", "user.name", "A")
    git(repository.root, "config", "user.email", "a@example.com")
    repository.check_identity()


def test_remotes(repository: Git) -> None:
    assert repository.remote("main", None) == "origin"
    with pytest.raises(RefusedError, match="no remote 'other', but origin"):
        repository.remote("main", "other")
    git(repository.root, "remote", "add", "other", "/nowhere")
    two = Git(repository.root)
    assert two.remote("main", "other") == "other"
    assert two.remote("new", None) == "origin"
    git(repository.root, "remote", "rename", "origin", "upstream")
    renamed = Git(repository.root)
    assert renamed.remote("main", None) == "upstream"
    with pytest.raises(RefusedError, match="several remotes"):
        renamed.remote("new", None)


def test_no_remote(repository: Git) -> None:
    git(repository.root, "remote", "remove", "origin")
    with pytest.raises(RefusedError, match="no remote to push to"):
        repository.remote("main", None)


def test_what_waits_for_a_push(repository: Git) -> None:
    assert repository.unpushed("origin", "main", "Implements: x") == (0, 0)
    for message in ("mine", "ours\n\nImplements: x\n"):
        (repository.root / "b.yaml").write_text(message)
        repository.commit(["b.yaml"], message)
    assert repository.unpushed("origin", "main", "Implements: x") == (2, 1)
    repository.push("origin", "main", "main")
    assert repository.unpushed("origin", "main", "Implements: x") == (0, 0)


def test_a_branch_that_follows_one_of_another_name(repository: Git) -> None:
    git(repository.root, "checkout", "-q", "-b", "local")
    git(repository.root, "branch", "-q", "--set-upstream-to=origin/main")
    with pytest.raises(RefusedError, match="branch local follows origin/main, a branch of another name"):
        Git(repository.root).target("local", "origin")
    assert Git(repository.root).target("local", "elsewhere") == "local"
    git(repository.root, "config", "push.default", "upstream")
    assert Git(repository.root).target("local", "origin") == "main"


def test_where_git_itself_would_push(repository: Git) -> None:
    git(repository.root, "remote", "add", "fork", "/nowhere")
    git(repository.root, "config", "remote.pushDefault", "fork")
    assert Git(repository.root).remote("main", None) == "fork"
    git(repository.root, "config", "branch.main.pushRemote", "origin")
    assert Git(repository.root).remote("main", None) == "origin"


def test_ignored_paths_are_named(repository: Git) -> None:
    (repository.root / ".gitignore").write_text("*.sops.yaml\n")
    repository.check_not_ignored(["a.yaml", "app/b.yaml"])
    with pytest.raises(RefusedError, match=r"git ignores app/b\.sops\.yaml$"):
        repository.check_not_ignored(["a.yaml", "app/b.sops.yaml"])


def test_the_index_is_what_a_formatting_hook_committed(repository: Git) -> None:
    hook(repository.root / ".git/hooks", "pre-commit", "sed -i 's/b: 1/b:   1/' b.yaml; git add b.yaml")
    (repository.root / "b.yaml").write_text("b: 1\n")
    repository.commit(["b.yaml"], "subject")
    assert git(repository.root, "show", "HEAD:b.yaml") == "b:   1"
    assert git(repository.root, "status", "--porcelain") == ""


def test_a_rejected_push_says_what_to_do(repository: Git, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "remote.git", "other")
    other = tmp_path / "other"
    (other / "o.yaml").write_text("o: 1\n")
    git(other, "add", ".")
    git(other, "-c", "user.name=O", "-c", "user.email=o@example.com", "commit", "-qm", "theirs")
    git(other, "push", "-q")
    (repository.root / "b.yaml").write_text("b: 1\n")
    repository.commit(["b.yaml"], "ours")
    with pytest.raises(RefusedError) as caught:
        repository.push("origin", "main", "main")
    assert "has commits on main that this clone has not" in caught.value.summary
    assert "git pull --rebase origin main" in caught.value.hint
    assert git(tmp_path / "remote.git", "log", "--format=%s", "main").splitlines()[0] == "theirs"


def test_a_hook_of_the_remote_refuses(repository: Git, tmp_path: Path) -> None:
    hook(tmp_path / "remote.git/hooks", "pre-receive", "echo 'frozen until Monday' >&2; exit 1")
    (repository.root / "b.yaml").write_text("b: 1\n")
    repository.commit(["b.yaml"], "ours")
    with pytest.raises(RefusedError, match="a hook on origin refused") as caught:
        repository.push("origin", "main", "main")
    assert "frozen until Monday" in caught.value.hint


def test_a_pre_push_hook_refuses(repository: Git) -> None:
    hook(repository.root / ".git/hooks", "pre-push", "echo 'tests are red' >&2; exit 1")
    (repository.root / "b.yaml").write_text("b: 1\n")
    repository.commit(["b.yaml"], "ours")
    with pytest.raises(RefusedError, match="pre-push hook refused") as caught:
        repository.push("origin", "main", "main")
    assert "tests are red" in caught.value.hint


def test_a_remote_that_is_not_there(repository: Git) -> None:
    git(repository.root, "remote", "set-url", "origin", "/nowhere/at/all.git")
    with pytest.raises(RefusedError, match="pushing to origin failed") as caught:
        repository.push("origin", "main", "main")
    assert "/nowhere/at/all.git" in caught.value.hint
