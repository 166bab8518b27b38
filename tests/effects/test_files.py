import os
import stat
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tasks.core.errors import RefusedError
from tasks.effects.files import MakeFolder, WriteFile, expanded, read_text, refuse_links, write_text


def test_line_ends_survive(tmp_path: Path) -> None:
    write_text(tmp_path, "a/b.yaml", "x: 1\r\ny: 2")
    assert (tmp_path / "a/b.yaml").read_bytes() == b"x: 1\r\ny: 2"
    assert read_text(tmp_path, "a/b.yaml") == "x: 1\r\ny: 2"


def test_modes(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("")
    (tmp_path / "old").chmod(0o640)
    write_text(tmp_path, "old", "x")
    write_text(tmp_path, "new", "x")
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o640
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~umask


def test_a_write_that_breaks_leaves_the_old_text_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("old")

    def interrupted(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path, "a", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".a.x1y2.tmp").write_text("half")
    (tmp_path / ".b.x1y2.tmp").write_text("not ours to clear")
    write_text(tmp_path, "a", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.x1y2.tmp", "a"]


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A repository with links inside, out of it, to nowhere and in a circle."""
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "real/a").write_text("old")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/a").write_text("theirs")
    (root / "folder").symlink_to("real")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "file").symlink_to("real/a")
    (root / "outfile").symlink_to("../outside/a")
    (root / "nowhere").symlink_to("../outside/none")
    (root / "circle").symlink_to("circle")
    return root


LINKS = [
    ("folder/a", "folder"),
    ("folder/new/a", "folder"),
    ("out/a", "out"),
    ("out/new", "out"),
    ("file", "file"),
    ("outfile", "outfile"),
    ("nowhere", "nowhere"),
    ("circle", "circle"),
    ("circle/a", "circle"),
]


@pytest.mark.parametrize(("path", "link"), LINKS)
def test_no_link_is_followed(linked: Path, path: str, link: str) -> None:
    def tree() -> dict[str, object]:
        return {
            str(one): one.readlink() if one.is_symlink() else one.is_file() and one.read_text()
            for one in sorted(linked.parent.rglob("*"))
        }

    before = tree()
    message = f"^{link} is a symbolic link"
    with pytest.raises(RefusedError, match=message) as caught:
        write_text(linked, path, "new")
    assert "put the folder or file itself in its place" in caught.value.hint
    with pytest.raises(RefusedError, match=message):
        read_text(linked, path)
    with pytest.raises(RefusedError, match=message):
        refuse_links(linked, path)
    with pytest.raises(RefusedError, match=message):
        MakeFolder(linked, path).apply()
    assert tree() == before


def test_a_folder_that_becomes_a_link_while_it_is_written_to(
    linked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def swapped(*args: Any, **more: Any) -> None:
        rename(linked / "real", linked / "moved")
        (linked / "real").symlink_to(linked.parent / "outside")
        rename(*args, **more)

    monkeypatch.setattr(os, "rename", swapped)
    write_text(linked, "real/a", "new")
    assert (linked.parent / "outside/a").read_text() == "theirs"
    assert (linked / "moved/a").read_text() == "new"


@pytest.mark.parametrize("path", ["../outside/a", "real/../../outside/a", "/etc/hostname"])
def test_no_path_leads_upwards(linked: Path, path: str) -> None:
    with pytest.raises(RefusedError, match="leads out of the repository"):
        write_text(linked, path, "new")
    with pytest.raises(RefusedError, match="leads out of the repository"):
        read_text(linked, path)
    assert (linked.parent / "outside/a").read_text() == "theirs"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RefusedError, match="pipe is not a regular file"):
        read_text(tmp_path, "pipe")


def test_a_name_that_is_a_pattern_clears_nothing_of_others(tmp_path: Path) -> None:
    (tmp_path / ".a.x1y2.tmp").write_text("not ours to clear")
    write_text(tmp_path, "[ab]", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.x1y2.tmp", "[ab]"]


def test_not_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xfe")
    with pytest.raises(RefusedError, match="is not UTF-8"):
        read_text(tmp_path, "a")


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(RefusedError, match="cannot write a/b"):
        write_text(tmp_path, "a/b", "x")


def test_a_change_since_the_plan_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("plan saw this")
    change = WriteFile(tmp_path, "a", "plan saw this", "new")
    (tmp_path / "a").write_text("somebody was quicker")
    with pytest.raises(RefusedError, match="was changed since the plan"):
        change.apply()
    assert (tmp_path / "a").read_text() == "somebody was quicker"


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    assert expanded("~/x") == Path.home() / "x"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", mock.Mock(side_effect=KeyError))
    assert expanded("/x") == Path("/x")
    with pytest.raises(RefusedError, match="there is no home folder for ~/x"):
        expanded("~/x")
