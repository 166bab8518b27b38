import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.core.errors import RefusedError
from tasks.effects.scratch import scratch_folder
from tests.playground import ROOT

HOLD = """
from tasks.effects.scratch import scratch_folder
with scratch_folder("held-") as folder:
    (folder / "sub").mkdir()
    (folder / "sub/file").write_text("secret")
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


def test_a_folder_for_this_user_only_that_goes_away(temporary: Path) -> None:
    with scratch_folder("x-") as folder:
        (folder / "file").write_text("x")
        assert folder.name.startswith("x-")
        assert [path.stat().st_mode & 0o777 for path in (folder, folder.parent)] == [0o700, 0o700]
        assert folder.parent.parent == temporary.resolve()
    assert not folder.exists()


def test_it_goes_away_when_the_run_is_interrupted() -> None:
    with pytest.raises(KeyboardInterrupt), scratch_folder("x-") as folder:
        raise KeyboardInterrupt
    assert not folder.exists()


def test_what_a_killed_run_left_is_deleted_and_nothing_that_is_in_use() -> None:
    def start() -> tuple[subprocess.Popen[str], Path]:
        process = subprocess.Popen(
            (sys.executable, "-c", HOLD),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    killed, left = start()
    running, held = start()
    try:
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        assert (left / "sub/file").exists()
        with scratch_folder("x-") as folder:
            assert set(folder.parent.iterdir()) == {folder, held}
        assert (held / "sub/file").read_text() == "secret"
    finally:
        running.communicate("\n")
    assert not held.exists()


def test_a_link_that_somebody_put_there_is_not_followed(temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("x")
    with scratch_folder("x-") as folder:
        (folder / "link").symlink_to(tmp_path / "outside")
        (folder.parent / "link").symlink_to(tmp_path / "outside")
    with scratch_folder("x-"):
        pass
    assert (tmp_path / "outside/file").exists()


@pytest.mark.parametrize("kind", ["link", "file", "readable"])
def test_somebody_elses_folder_is_not_used(temporary: Path, tmp_path: Path, kind: str) -> None:
    place = temporary / f"parseable-playbook-{os.getuid()}"
    if kind == "link":
        (tmp_path / "outside").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "outside")
    elif kind == "file":
        place.touch(0o600)
    else:
        place.mkdir(0o755)
    with (
        pytest.raises(RefusedError, match="is not a folder that only you can read and write") as caught,
        scratch_folder("x-"),
    ):
        pass
    assert "TMPDIR" in caught.value.hint


def test_a_full_disk_is_told() -> None:
    with pytest.raises(RefusedError, match="No space left on device") as caught, scratch_folder("x-"):
        Path("/dev/full").write_text("x")
    assert "free some space" in caught.value.hint


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), scratch_folder("x-"):
        (tmp_path / "none").read_text()
