import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tasks.core.errors import RefusedError, SettingsError
from tasks.effects.git import Commit, Git, Push, start_repository
from tasks.effects.snapshot import snapshot


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
    with pytest.raises(RefusedError, match="there is no remote 'other'"):
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
    with pytest.raises(RefusedError) as caught:
        repository.push("origin", "main", "main")
    assert caught.value.summary == (
        "origin refused the push to main; the commit stays on your local branch main"
    )
    assert "git push origin HEAD:refs/heads/parseable" in caught.value.hint
    assert "git reset --soft HEAD~1" in caught.value.hint
    assert "frozen until Monday" in caught.value.hint
    # What the hint says works: the branch for a pull request, then the commit taken back with its files kept.
    hook(tmp_path / "remote.git/hooks", "pre-receive", "exit 0")
    git(repository.root, "push", "-q", "origin", "HEAD:refs/heads/parseable")
    git(repository.root, "reset", "--soft", "HEAD~1")
    assert git(repository.root, "status", "--porcelain") == "A  b.yaml"


def test_a_pre_push_hook_refuses(repository: Git) -> None:
    hook(repository.root / ".git/hooks", "pre-push", "echo 'tests are red' >&2; exit 1")
    (repository.root / "b.yaml").write_text("b: 1\n")
    repository.commit(["b.yaml"], "ours")
    with pytest.raises(RefusedError, match="pre-push hook refused the push; the commit stays on") as caught:
        repository.push("origin", "main", "main")
    assert "tests are red" in caught.value.hint
    assert "git reset --soft HEAD~1" in caught.value.hint


def test_a_remote_that_is_not_there(repository: Git) -> None:
    git(repository.root, "remote", "set-url", "origin", "/nowhere/at/all.git")
    with pytest.raises(RefusedError, match="pushing to origin failed") as caught:
        repository.push("origin", "main", "main")
    assert "/nowhere/at/all.git" in caught.value.hint


@pytest.mark.parametrize(
    "words",
    [
        # What GitHub says of a protected branch, and of a rule (docs.github.com: GH006, GH013).
        "error: GH006: Protected branch update failed for refs/heads/main.",
        "error: GH013: Repository rule violations found for refs/heads/main.",
        "GitLab: You are not allowed to push code to protected branches on this project.",
    ],
)
def test_a_protected_branch(repository: Git, tmp_path: Path, words: str) -> None:
    hook(tmp_path / "remote.git/hooks", "update", f"echo '{words}' >&2; exit 1")
    (repository.root / "b.yaml").write_text("b: 1\n")
    repository.commit(["b.yaml"], "ours")
    with pytest.raises(RefusedError, match="the commit stays on your local branch main") as caught:
        repository.push("origin", "main", "main")
    assert "pull request" in caught.value.hint
    assert words in caught.value.hint


# Where git is led ---------------------------------------------------------------------------------------


def everything(root: Path) -> dict[str, object]:
    """Every file below ``root`` with its bytes, links with their targets."""
    return {
        str(path.relative_to(root)): path.readlink() if path.is_symlink() else path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another repository, which the environment leads to as in one of its hooks (githooks(5))."""
    root = tmp_path / "elsewhere"
    root.mkdir()
    (root / ".gitignore").write_text("private.key\n")
    start_repository(root, tmp_path / "elsewhere.git", ("Somebody", "somebody@example.com"))
    (root / "private.key").write_text("canary")
    for name, value in {
        "GIT_DIR": root / ".git",
        "GIT_WORK_TREE": root,
        "GIT_INDEX_FILE": root / ".git/index",
        "GIT_OBJECT_DIRECTORY": root / ".git/objects",
        "GIT_COMMON_DIR": root / ".git",
        "GIT_PREFIX": "sub/",
        "GIT_NAMESPACE": "elsewhere",
        "GIT_CONFIG": root / ".git/config",
        "GIT_CONFIG_PARAMETERS": "'user.name=Mallory'",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": "/nowhere",
        "GIT_CEILING_DIRECTORIES": tmp_path / "work",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_TRACE": "1",
    }.items():
        monkeypatch.setenv(name, str(value))
    return root


def test_the_environment_leads_to_no_other_repository(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(elsewhere)
    root = tmp_path / "work"
    root.mkdir()
    (root / "a.yaml").write_text("a: 1\n")
    start_repository(root, tmp_path / "remote.git", ("Tester", "tester@example.com"))
    repository = Git(root)
    assert repository.directory == root / ".git"
    assert repository.yaml_files() == ("a.yaml",)
    assert repository.head_texts(["a.yaml"]) == {"a.yaml": "a: 1\n"}
    (root / "b.yaml").write_text("b: 1\n")
    with snapshot(repository, ["b.yaml"]) as files:
        assert files.yaml_files() == ("a.yaml", "b.yaml")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Chosen")
    repository.commit(["b.yaml"], "subject")
    repository.push("origin", "main", "main")
    assert everything(elsewhere) == before
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    assert git(root, "log", "-1", "--format=%an %cn %s", "origin/main") == "Chosen Tester subject"


def test_git_looks_in_no_folder_above(repository: Git, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    shutil.rmtree(repository.root / ".git")
    before = everything(tmp_path / ".git")
    with pytest.raises(RefusedError, match="git add refused"):
        repository.commit(["a.yaml"], "subject")
    assert everything(tmp_path / ".git") == before


def test_a_new_repository_runs_nothing_of_the_users(tmp_path: Path) -> None:
    home = Path(os.environ["HOME"])
    hook(home / "hooks", "pre-commit", f"touch {tmp_path}/ran")
    hook(home / "hooks", "pre-receive", f"touch {tmp_path}/ran; exit 1")
    hook(home / "hooks", "watch", f"touch {tmp_path}/ran")
    (home / "templates/hooks").mkdir(parents=True)
    hook(home / "templates/hooks", "commit-msg", f"touch {tmp_path}/ran; exit 1")
    (home / "ignored").write_text("a.yaml\n")
    (home / "attributes").write_text("*.yaml filter=f\n")
    (home / ".gitconfig").write_text(
        f"[core]\n hooksPath = {home}/hooks\n fsmonitor = {home}/hooks/watch\n"
        f" excludesFile = {home}/ignored\n attributesFile = {home}/attributes\n"
        f"[init]\n templateDir = {home}/templates\n"
        f'[filter "f"]\n clean = touch {tmp_path}/ran; cat\n required = true\n'
        "[commit]\n gpgSign = true\n[gpg]\n program = /bin/false\n"
    )
    root = tmp_path / "work"
    root.mkdir()
    (root / "a.yaml").write_text("a: 1\n")
    start_repository(root, tmp_path / "remote.git", ("Tester", "tester@example.com"))
    assert Git(root).head_texts(["a.yaml"]) == {"a.yaml": "a: 1\n"}
    assert not (tmp_path / "ran").exists()


# Names and links ----------------------------------------------------------------------------------------


def test_links_are_no_yaml_files(repository: Git, tmp_path: Path) -> None:
    root = repository.root
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/x.yaml").write_text("x: 1\n")
    (root / "apps").mkdir()
    (root / "apps/x.yaml").write_text("x: 1\n")
    git(root, "add", "apps/x.yaml")
    shutil.rmtree(root / "apps")
    # Tracked as apps/x.yaml, and read from elsewhere.
    (root / "apps").symlink_to(tmp_path / "outside")
    (root / "link.yaml").symlink_to("a.yaml")
    (root / "loop.yaml").symlink_to("loop.yaml")
    assert repository.yaml_files() == ("a.yaml",)


def test_odd_names(repository: Git) -> None:
    root = repository.root
    names = ["b [ab].yaml", "b a.yaml", "star*.yaml", ":(top)x.yaml", "line\nend.yaml", "\udcff.yaml"]
    for name in names:
        (root / name).write_text(f"name: {names.index(name)}\n")
    (root / "stars.yaml").write_text("not: meant\n")
    repository.commit([names[0], names[2]], "two")
    assert set(git(root, "show", "--name-only", "--format=", "-z").strip("\0").split("\0")) == {
        names[0],
        names[2],
    }
    git(root, "add", "--all")
    git(root, "commit", "-qm", "all")
    assert set(repository.yaml_files()) == {"a.yaml", "stars.yaml", *names}
    assert repository.head_texts([*names, "a", ".git", "none\nend.yaml"]) == {
        **{name: f"name: {number}\n" for number, name in enumerate(names)},
        "a": None,
        ".git": None,
        "none\nend.yaml": None,
    }


def test_a_folder_has_no_text(repository: Git) -> None:
    (repository.root / "sub").mkdir()
    (repository.root / "sub/b.yaml").write_text("b: 1\n")
    repository.commit(["sub/b.yaml"], "b")
    assert repository.head_texts(["sub", "sub/b.yaml"]) == {"sub": None, "sub/b.yaml": "b: 1\n"}


def test_a_branch_with_the_name_of_a_tag(repository: Git) -> None:
    git(repository.root, "tag", "main")
    assert repository.branch() == "main"
    (repository.root / "b.yaml").write_text("b: 1\n")
    repository.commit(["b.yaml"], "b")
    repository.push("origin", repository.branch(), "main")
    assert repository.unpushed("origin", "main", "x") == (0, 0)


def test_tags_are_not_pushed(repository: Git, tmp_path: Path) -> None:
    git(repository.root, "config", "push.followTags", "true")
    (repository.root / "b.yaml").write_text("b: 1\n")
    repository.commit(["b.yaml"], "b")
    git(repository.root, "tag", "-am", "mine", "v1")
    repository.push("origin", "main", "main")
    assert git(tmp_path / "remote.git", "tag") == ""


def test_a_damaged_repository_is_told(repository: Git) -> None:
    blob = git(repository.root, "rev-parse", "HEAD:a.yaml")
    (repository.root / f".git/objects/{blob[:2]}/{blob[2:]}").chmod(0o644)
    (repository.root / f".git/objects/{blob[:2]}/{blob[2:]}").write_bytes(b"damaged")
    with pytest.raises(RefusedError, match="git cannot read HEAD") as caught:
        repository.head_texts(["a.yaml"])
    assert "git fsck" in caught.value.hint


# What waits ---------------------------------------------------------------------------------------------


def test_commits_that_the_remote_has_on_another_branch_do_not_wait(repository: Git) -> None:
    for number in range(3):
        (repository.root / "b.yaml").write_text(f"b: {number}\n")
        repository.commit(["b.yaml"], f"mine {number}")
    repository.push("origin", "main", "main")
    git(repository.root, "checkout", "-q", "-b", "new")
    assert repository.unpushed("origin", "new", "Implements: x") == (0, 0)
    (repository.root / "b.yaml").write_text("b: ours\n")
    repository.commit(["b.yaml"], "ours\n\nImplements: x\n")
    assert repository.unpushed("origin", "new", "Implements: x") == (1, 1)
    # For a branch that the remote has, it is that branch which counts.
    repository.push("origin", "new", "new")
    assert repository.unpushed("origin", "main", "Implements: x") == (1, 1)


def test_the_plan_counts_what_goes_along(repository: Git) -> None:
    push = Push(repository, "origin", "main", "main", 302)
    assert push.summary == "push main to origin/main (with 302 of your own unpushed commits)"


# Edits of others ----------------------------------------------------------------------------------------


def test_line_ends_that_git_converts_are_no_difference(repository: Git) -> None:
    assert not repository.stores_alike("a.yaml", "a: 1\n", "a: 1\r\n")
    git(repository.root, "config", "core.autocrlf", "true")
    assert repository.stores_alike("a.yaml", "a: 1\n", "a: 1\r\n")
    assert not repository.stores_alike("a.yaml", "a: 1\n", "a: 1 # mine\r\n")


def test_what_is_staged_and_nowhere_else(repository: Git) -> None:
    root = repository.root
    for name, staged, there in (("a.yaml", "a: 2\n", "a: 1\n"), ("b.yaml", "b: 1\n", "b: 1\n")):
        (root / name).write_text(staged)
        git(root, "add", name)
        (root / name).write_text(there)
    (root / "c.yaml").write_text("c: 1\n")
    assert repository.staged_apart(["a.yaml", "b.yaml", "c.yaml"]) == ["a.yaml"]
    assert repository.staged_apart(["b.yaml", "c.yaml"]) == []
    (root / "a.yaml").unlink()
    assert repository.staged_apart(["a.yaml", "b.yaml", "c.yaml"]) == ["a.yaml"]


def test_a_change_after_the_plan_is_not_committed(repository: Git) -> None:
    (repository.root / "b.yaml").write_text("b: 1\n")
    change = Commit(repository, ("b.yaml",), "subject", {"b.yaml": "b: 1\n"})
    (repository.root / "b.yaml").write_text("b: 1 # mine\n")
    with pytest.raises(RefusedError, match=r"b\.yaml was changed since the plan"):
        change.apply()
    (repository.root / "b.yaml").write_text("b: 1\n")
    change.apply()
    assert git(repository.root, "show", "HEAD:b.yaml") == "b: 1"


def test_a_refused_commit_of_a_deletion_can_be_made_later(repository: Git) -> None:
    root = repository.root
    (root / "b.yaml").write_text("b: 1\n")
    repository.commit(["b.yaml"], "first")
    (root / "b.yaml").unlink()
    (root / "c.yaml").write_text("c: 1\n")
    hook(root / ".git/hooks", "pre-commit", "exit 1")
    for _ in range(2):
        with pytest.raises(RefusedError, match="refused the commit"):
            repository.commit(["b.yaml", "c.yaml"], "second")
    # The deletion was staged meanwhile, by git or by somebody.
    git(root, "rm", "--cached", "--quiet", "--ignore-unmatch", "b.yaml")
    hook(root / ".git/hooks", "pre-commit", "exit 0")
    repository.commit(["b.yaml", "c.yaml"], "second")
    assert git(root, "show", "--name-status", "--format=", "HEAD").split() == ["D", "b.yaml", "A", "c.yaml"]
    assert git(root, "status", "--porcelain") == ""


def test_a_hook_that_formats_beside_a_deletion_is_asked_again(repository: Git) -> None:
    (repository.root / "a.yaml").unlink()
    hook(
        repository.root / ".git/hooks",
        "pre-commit",
        "grep -q 'b:   1' b.yaml && exit 0; sed -i 's/b: 1/b:   1/' b.yaml; exit 1",
    )
    (repository.root / "b.yaml").write_text("b: 1\n")
    repository.commit(["a.yaml", "b.yaml"], "subject")
    assert git(repository.root, "show", "HEAD:b.yaml") == "b:   1"


def test_a_hook_that_formats_and_refuses_is_asked_again(repository: Git) -> None:
    hook(
        repository.root / ".git/hooks",
        "pre-commit",
        "echo once >> .git/asked; grep -q 'b:   1' b.yaml && exit 0; sed -i 's/b: 1/b:   1/' b.yaml; exit 1",
    )
    (repository.root / "b.yaml").write_text("b: 1\n")
    repository.commit(["b.yaml"], "subject")
    assert git(repository.root, "show", "HEAD:b.yaml") == "b:   1"
    assert git(repository.root, "status", "--porcelain") == ""
    assert (repository.root / ".git/asked").read_text() == "once\nonce\n"


def test_a_hook_that_changes_what_is_said_is_not_asked_again(repository: Git) -> None:
    hook(
        repository.root / ".git/hooks",
        "pre-commit",
        "echo once >> .git/asked; sed -i 's/b: 1/b: 2/' b.yaml; exit 1",
    )
    (repository.root / "b.yaml").write_text("b: 1\n")
    with pytest.raises(RefusedError, match="pre-commit hook, refused the commit"):
        repository.commit(["b.yaml"], "subject")
    assert (repository.root / ".git/asked").read_text() == "once\n"


def test_what_is_ignored_is_not_added(repository: Git) -> None:
    (repository.root / ".gitignore").write_text("*.key\n")
    (repository.root / "private.key").write_text("canary")
    with pytest.raises(RefusedError, match="git add refused"):
        repository.commit(["private.key"], "subject")
    stored = subprocess.run(
        ("git", "cat-file", "--batch-all-objects", "--batch"),
        cwd=repository.root,
        check=True,
        capture_output=True,
    )
    assert b"canary" not in stored.stdout


def test_the_history_of_a_file(repository: Git, tmp_path: Path) -> None:
    root, path = repository.root, "d [x]/ü *.yaml"
    (root / "d [x]").mkdir()
    for number, text in enumerate(("a: 1\n", "a: 2\n", "")):
        (root / path).write_text(text)
        if not text:
            (root / path).unlink()
        (root / "a.yaml").write_text(f"a: {number}\n")
        git(root, "add", "--all")
        git(root, "commit", "-qm", f"number {number}\n\nwith a body\n\nTrailer: x")
    found = repository.versions(path)
    assert [(one.before, one.after) for one in found] == [
        ("a: 2\n", None),
        ("a: 1\n", "a: 2\n"),
        (None, "a: 1\n"),
    ]
    assert [one.parents for one in found] == [1, 1, 1]
    assert [one.message.splitlines()[0] for one in found] == ["number 2", "number 1", "number 0"]
    assert "\nTrailer: x\n" in found[0].message
    assert [one.commit for one in repository.versions(path, since=found[1].commit)] == [found[0].commit]
    assert repository.versions("nowhere.yaml") == []
    (first,) = (one for one in repository.versions("a.yaml") if not one.parents)
    assert (first.before, first.after, repository.is_shallow) == (None, "a: 1\n", False)
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{root}", "shallow")
    shallow = Git(tmp_path / "shallow")
    (newest,) = shallow.versions("a.yaml")
    assert (newest.parents, newest.before, shallow.is_shallow) == (0, None, True)


def test_the_history_of_a_file_that_was_moved(repository: Git) -> None:
    root = repository.root
    texts = ["".join(f"line: {number}\n" for number in (*range(20), last)) for last in (0, 1, 2, 3)]
    for text in texts[:2]:
        (root / "b.yaml").write_text(text)
        git(root, "add", "--all")
        git(root, "commit", "-qm", "here")
    git(root, "mv", "b.yaml", "c [x].yaml")
    (root / "c [x].yaml").write_text(texts[2])
    git(root, "commit", "-qam", "moved and changed")
    git(root, "mv", "c [x].yaml", "b.yaml")
    git(root, "commit", "-qm", "and back")
    (root / "b.yaml").write_text(texts[3])
    git(root, "commit", "-qam", "changed")
    assert [(one.before, one.after) for one in repository.versions("b.yaml")] == [
        (texts[2], texts[3]),
        (texts[2], texts[2]),
        (texts[1], texts[2]),
        (texts[0], texts[1]),
        (None, texts[0]),
    ]
    # A copy is another file.
    (root / "d.yaml").write_text(texts[3])
    git(root, "add", "--all")
    git(root, "commit", "-qm", "copied")
    assert [(one.before, one.after) for one in repository.versions("d.yaml")] == [(None, texts[3])]
