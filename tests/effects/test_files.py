import errno
import os
import stat
import tempfile
from pathlib import Path
from unittest import mock

import pytest

from tasks.core.errors import RefusedError
from tasks.effects.files import WriteFile, expanded, read_text, temporary_folder, write_text


def test_line_ends_survive(tmp_path: Path) -> None:
    write_text(tmp_path, "a/b.yaml", "x: 1\r\ny: 2")
    assert (tmp_path / "a/b.yaml").read_bytes() == b"x: 1\r\ny: 2"
    assert read_text(tmp_path / "a/b.yaml") == "x: 1\r\ny: 2"


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

    def interrupted(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path, "a", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".a.x1y2.tmp").write_text("half")
    (tmp_path / ".b.x1y2.tmp").write_text("not ours to clear")
    write_text(tmp_path, "a", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.x1y2.tmp", "a"]


def test_a_link_inside_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path, "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "root/apps").symlink_to(tmp_path / "outside")
    with pytest.raises(RefusedError, match="leads out of the repository"):
        write_text(tmp_path / "root", "apps/a", "x")
    assert not list((tmp_path / "outside").iterdir())


def test_not_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xfe")
    with pytest.raises(RefusedError, match="is not UTF-8"):
        read_text(tmp_path / "a")


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


def test_temporary_files_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(RefusedError, match=r"cannot use .*gone.*: No such file"), temporary_folder():
        pass
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(RefusedError, match=r"cannot use .*: No space left") as caught, temporary_folder():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "free some space" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    assert expanded("~/x") == Path.home() / "x"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", mock.Mock(side_effect=KeyError))
    assert expanded("/x") == Path("/x")
    with pytest.raises(RefusedError, match="there is no home folder for ~/x"):
        expanded("~/x")
