import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import RefusedError
from tasks.effects.git import Git, start_repository
from tasks.effects.repository import Repository
from tasks.effects.snapshot import snapshot
from tests.effects.test_git import everything, git, hook

OURS = ["apps/vector/ks.yaml", "apps/vector/app/rbac.yaml", "apps/kustomization.yaml"]


@pytest.fixture
def repository(tmp_path: Path) -> Git:
    root = tmp_path / "work"
    (root / "apps").mkdir(parents=True)
    (root / "apps/kustomization.yaml").write_text("resources: []\n")
    (root / "Kustomization").write_text("{}\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "\udcff.yml").write_bytes(b"\xff")
    (root / "link.yaml").symlink_to("run.sh")
    start_repository(root, tmp_path / "remote.git", ("Tester", "tester@example.com"))
    return Git(root)


def write_ours(root: Path) -> None:
    for path in OURS:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"ours: {path}\n")


def commit_tree(root: Path, tree: str) -> None:
    """Make a commit of a tree that was made by hand, and point main to it."""
    git(root, "update-ref", "refs/heads/main", git(root, "commit-tree", "-m", "x", tree))


def make_tree(root: Path, *entries: str) -> str:
    done = subprocess.run(
        ("git", "hash-object", "-t", "tree", "--literally", "-w", "--stdin"),
        cwd=root,
        input=b"".join(
            entry.partition("\t")[0].split()[0].encode()
            + b" "
            + entry.partition("\t")[2].encode()
            + b"\0"
            + bytes.fromhex(entry.partition("\t")[0].split()[1])
            for entry in entries
        ),
        check=True,
        capture_output=True,
    )
    return done.stdout.decode().strip()


def test_what_head_holds_and_our_files(repository: Git) -> None:
    root = repository.root
    write_ours(root)
    (root / "other.yaml").write_text("not: ours\n")
    (root / "Kustomization").write_text("edited: {}\n")
    (root / "run.sh").unlink()
    with snapshot(repository, OURS) as files:
        assert everything(files.root) == {
            "Kustomization": b"{}\n",
            "apps/kustomization.yaml": b"ours: apps/kustomization.yaml\n",
            "apps/vector/app/rbac.yaml": b"ours: apps/vector/app/rbac.yaml\n",
            "apps/vector/ks.yaml": b"ours: apps/vector/ks.yaml\n",
            "link.yaml": Path("run.sh"),
            "run.sh": b"#!/bin/sh\n",
            "\udcff.yml": b"\xff",
        }
        assert os.access(files.root / "run.sh", os.X_OK)
        assert files.yaml_files() == tuple(sorted([*OURS, "Kustomization", "\udcff.yml"]))
        view = Repository(repository, files)
        assert view.read(OURS[0]) == view.head(OURS[0]) == f"ours: {OURS[0]}\n"
        assert view.head("other.yaml") is view.head("link.yaml") is view.read("none") is None
    assert not files.root.exists()


def test_nothing_is_written_through_a_link_of_head(repository: Git, tmp_path: Path) -> None:
    root, outside = repository.root, tmp_path / "outside"
    (outside / "app").mkdir(parents=True)
    (root / "apps/vector").symlink_to(outside)
    git(root, "add", "--all")
    git(root, "commit", "-qm", "a link")
    (root / "apps/vector").unlink()
    write_ours(root)
    with snapshot(repository, OURS) as files:
        assert (files.root / OURS[1]).read_text() == f"ours: {OURS[1]}\n"
        assert not (files.root / "apps/vector").is_symlink()
    assert everything(outside) == {}


def test_nothing_is_read_through_a_link_of_the_work_tree(repository: Git, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/ks.yaml").write_text("theirs: 1\n")
    (repository.root / "apps/vector").symlink_to(tmp_path / "outside")
    with (
        pytest.raises(RefusedError, match="apps/vector is a symbolic link"),
        snapshot(repository, OURS[:1]),
    ):
        pass


def test_a_link_and_a_folder_of_one_name(repository: Git, tmp_path: Path) -> None:
    root = repository.root
    (tmp_path / "outside").mkdir()
    (root / "target").write_text(str(tmp_path / "outside"))
    blob, link = (git(root, "hash-object", "-w", name) for name in ("run.sh", "target"))
    folder = make_tree(root, f"100644 {blob}\tfile")
    commit_tree(root, make_tree(root, f"120000 {link}\tboth", f"40000 {folder}\tboth"))
    with pytest.raises(RefusedError, match="cannot write a copy of HEAD"), snapshot(Git(root), []):
        pass
    assert everything(tmp_path / "outside") == {}


def test_a_name_that_leads_upwards(repository: Git, tmp_path: Path) -> None:
    root = repository.root
    blob = git(root, "hash-object", "-w", "run.sh")
    inner = make_tree(root, f"100644 {blob}\tfile")
    commit_tree(root, make_tree(root, f"40000 {inner}\t.."))
    with pytest.raises(RefusedError, match="HEAD holds a file named"), snapshot(Git(root), []):
        pass


def test_submodules_are_left_out(repository: Git) -> None:
    root = repository.root
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{git(root, 'rev-parse', 'HEAD')},sub")
    git(root, "commit", "-qm", "a submodule")
    with snapshot(repository, []) as files:
        assert not (files.root / "sub").exists()


def test_nothing_of_the_users_runs(repository: Git, tmp_path: Path) -> None:
    root, home = repository.root, Path(os.environ["HOME"])
    (root / ".gitattributes").write_text("*.yaml filter=f eol=crlf\n*.yml export-ignore\n")
    (root / "ident.yaml").write_text("a: 1\n")
    git(root, "-c", "filter.f.clean=cat", "add", "--all")
    git(root, "-c", "filter.f.clean=cat", "commit", "-qm", "attributes")
    ran = f"touch {tmp_path}/ran"
    hook(home / "hooks", "post-checkout", ran)
    hook(home / "hooks", "pre-commit", ran)
    hook(home / "hooks", "watch", ran)
    (home / ".gitconfig").write_text(
        f"[core]\n hooksPath = {home}/hooks\n fsmonitor = {home}/hooks/watch\n autocrlf = true\n"
        f'[filter "f"]\n clean = {ran}; cat\n smudge = {ran}; cat\n'
        f"[commit]\n gpgSign = true\n[gpg]\n program = {home}/hooks/watch\n"
    )
    with snapshot(Git(root), []) as files:
        assert (files.root / "ident.yaml").read_bytes() == b"a: 1\n"
        assert (files.root / "\udcff.yml").exists()
    assert not (tmp_path / "ran").exists()


def test_a_replacement_is_not_what_others_get(repository: Git) -> None:
    root = repository.root
    (root / "better").write_text("mine: only\n")
    blob = git(root, "hash-object", "-w", "better")
    git(root, "replace", git(root, "rev-parse", "HEAD:Kustomization"), blob)
    assert repository.head_texts(["Kustomization"]) == {"Kustomization": "{}\n"}
    with snapshot(repository, []) as files:
        assert (files.root / "Kustomization").read_text() == "{}\n"


def test_a_clone_that_is_not_complete_is_told(repository: Git) -> None:
    blob = git(repository.root, "rev-parse", "HEAD:run.sh")
    (repository.root / f".git/objects/{blob[:2]}/{blob[2:]}").unlink()
    with pytest.raises(
        RefusedError, match=r"lacks what HEAD of .* has as run\.sh: the clone is not complete"
    ):
        repository.head_entries()


def test_contents_are_read_a_part_at_a_time(repository: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.effects.git._AT_ONCE", 20)
    with snapshot(repository, []) as files:
        found = everything(files.root)
    assert found["run.sh"] == b"#!/bin/sh\n"
    assert len(found) == 5


def test_planned_texts_take_the_place_of_what_is_there(repository: Git) -> None:
    write_ours(repository.root)
    planned = {OURS[0]: "planned: {}\n", "new/app/a.yaml": "new: {}\n", "Kustomization": None}
    with snapshot(repository, OURS, planned) as files:
        found = everything(files.root)
        assert found[OURS[0]] == b"planned: {}\n"
        assert found[OURS[1]] == f"ours: {OURS[1]}\n".encode()
        assert found["new/app/a.yaml"] == b"new: {}\n"
        assert "Kustomization" not in found
        assert {"Kustomization", "new/app/a.yaml"} & set(files.yaml_files()) == {"new/app/a.yaml"}
    assert not (repository.root / "new").exists()


def test_a_full_disk_is_told(repository: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def full(path: object, *arguments: Any, **more: Any) -> int:
        if str(path).endswith("run.sh"):
            return opened("/dev/full", os.O_WRONLY)
        return opened(path, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", full)
    with (
        pytest.raises(RefusedError, match=r"cannot write a copy of HEAD to .+: No space left") as caught,
        snapshot(repository, []),
    ):
        pass
    assert "free some space" in caught.value.hint
