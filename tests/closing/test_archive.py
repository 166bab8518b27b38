"""The specification moved by a commit, with real git; what is in the way, and what stays."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.closing.archive import SOURCE, TARGET, planned
from tasks.core.console import Console
from tasks.core.errors import PlaybookError
from tasks.core.settings import DOCUMENTED
from tasks.demo.sandbox import make_key, make_repository
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.workspace import Permissions, Workspace

RELEASE = "kubernetes/apps/monitoring/parseable/app/helmrelease.yaml"


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("archive") / "repository"
    key = root.with_name("key")
    make_repository(root, root.with_name("remote.git"), make_key(key), key)
    write(root, f"{SOURCE}/tasks.md", "# Tasks\n")
    write(root, f"{SOURCE}/more/check.sh", "#!/bin/sh\n").chmod(0o755)
    write(root, "specs/done/earlier/tasks.md", "# Earlier\n")
    write(root, RELEASE, "kind: HelmRelease\n")
    commit(root)
    return root


@pytest.fixture
def root(sample: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sample, tmp_path / "repository", symlinks=True))


def write(root: Path, path: str, text: str) -> Path:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(("git", *arguments), cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "-qm", "Theirs")


def archive(root: Path) -> list[str]:
    workspace = Workspace(DOCUMENTED, Repository(Git(root)), permissions=Permissions(push=False))
    found = planned(workspace)
    found.carry_out(Console())
    return list(found.outcome())


def test_it_is_moved_as_it_is(root: Path) -> None:
    before = git(root, "rev-parse", f"HEAD:{SOURCE}")
    write(root, "notes.txt", "mine\n")
    git(root, "add", "notes.txt")
    assert archive(root) == [f"moved {SOURCE} to {TARGET}", "not pushed"]
    assert git(root, "rev-parse", f"HEAD:{TARGET}") == before
    assert not (root / SOURCE).exists()
    assert git(root, "status", "--porcelain") == "A  notes.txt"
    assert "100%" in git(root, "show", "--stat", "--summary", "-M", "HEAD")
    assert git(root, "log", "-1", "--format=%s%n%(trailers)") == (
        "docs: archive the specification of Parseable\nArchived-by: parseable-playbook"
    )
    assert archive(root) == [f"nothing to archive: {TARGET} is there already"]


def test_where_there_is_none_nothing_is_to_be_done(root: Path) -> None:
    git(root, "rm", "-rq", SOURCE)
    commit(root)
    assert archive(root) == [f"nothing to archive: the repository has no {SOURCE}"]


def test_what_a_killed_run_left_is_continued(root: Path) -> None:
    (root / TARGET).mkdir()
    shutil.copy(root / SOURCE / "tasks.md", root / TARGET / "tasks.md")
    (root / SOURCE / "tasks.md").unlink()
    archive(root)
    assert git(root, "status", "--porcelain") == ""


def edited(root: Path) -> None:
    write(root, f"{SOURCE}/tasks.md", "# Tasks, edited\n")


def staged(root: Path) -> None:
    edited(root)
    git(root, "add", "--all")


def untracked(root: Path) -> None:
    write(root, f"{SOURCE}/notes.md", "mine\n")


def untracked_target(root: Path) -> None:
    write(root, f"{TARGET}/tasks.md", "another\n")


def target(root: Path) -> None:
    write(root, f"{TARGET}/other.md", "another\n")
    commit(root)


def target_file(root: Path) -> None:
    write(root, TARGET, "a file\n")
    commit(root)


def link_inside(root: Path) -> None:
    (root / SOURCE / "link.md").symlink_to("../README.md")
    commit(root)


def link_itself(root: Path) -> None:
    shutil.move(root / SOURCE, root / "elsewhere")
    (root / SOURCE).symlink_to("../elsewhere")
    commit(root)


def linked_folder(root: Path) -> None:
    shutil.rmtree(root / "specs/done")
    (root / "specs/done").symlink_to("../elsewhere")
    commit(root)


def not_rolled_out(root: Path) -> None:
    git(root, "rm", "-q", RELEASE)
    commit(root)


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (edited, 4, f"{SOURCE}/tasks.md: changed and not committed"),
        (staged, 4, f"{SOURCE}/tasks.md: changed and not committed"),
        (untracked, 4, f"{SOURCE}/notes.md: not committed"),
        (untracked_target, 4, f"{TARGET}/tasks.md: changed and not committed"),
        (target, 4, f"{TARGET}/other.md is there already"),
        (target_file, 4, f"{TARGET} is there already"),
        (link_inside, 4, f"{SOURCE}/link.md is a link"),
        (link_itself, 4, f"{SOURCE} is a link"),
        (linked_folder, 4, "specs/done is there already"),
        (not_rolled_out, 3, "the rollout is not committed yet"),
    ],
)
def test_what_is_in_the_way(root: Path, make: Callable[[Path], None], code: int, said: str) -> None:
    make(root)
    before = git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain"), git(root, "ls-files", "-s")
    with pytest.raises(PlaybookError) as refused:
        archive(root)
    assert said in refused.value.summary
    assert refused.value.exit_code == code
    after = git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain"), git(root, "ls-files", "-s")
    assert after == before
