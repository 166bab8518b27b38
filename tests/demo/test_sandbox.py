"""`invoke demo` as a newcomer types it: made, run again, looked at, ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def invoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "invoke", *arguments), cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_demo(tmp_path: Path) -> None:
    sandbox = tmp_path / "sandbox"
    try:
        first = invoke("demo", "--path", str(sandbox))
        assert first.returncode == 0, first.stderr
        assert "11/11 done, 23 changes" in first.stdout
        assert "Progress 11/11" in first.stdout
        assert "feat(monitoring): deploy Parseable log aggregation with Vector" in first.stdout
        assert f"-f {sandbox}/settings.yaml status" in first.stdout

        again = invoke("demo", "--path", str(sandbox))
        assert again.returncode == 0, again.stderr
        assert "11/11 done, nothing to change" in again.stdout

        # What it says to type next, typed.
        typed = subprocess.run(
            f". {sandbox}/env && {sys.executable} -m invoke -f {sandbox}/settings.yaml status",
            shell=True,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Progress 11/11" in typed.stdout, typed.stderr
        for private in ("env", "age.key"):
            assert (sandbox / private).stat().st_mode & 0o077 == 0

        (sandbox / "mine.txt").write_text("mine")
    finally:
        ended = invoke("demo", "--stop", "--path", str(sandbox))
    assert ended.returncode == 0
    assert [path.name for path in sandbox.iterdir()] == ["mine.txt"]


def test_a_folder_of_somebody_else_is_not_taken_and_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.txt").write_text("mine")
    for flags in ([], ["--stop"]):
        done = invoke("demo", "--path", str(tmp_path), *flags)
        assert done.returncode == 2
        assert "sandbox" in done.stderr
    assert (tmp_path / "src/a.txt").read_text() == "mine"


def test_a_start_that_was_killed_is_continued(tmp_path: Path) -> None:
    sandbox = tmp_path / "sandbox"
    process = subprocess.Popen(
        (sys.executable, "-m", "invoke", "demo", "--path", str(sandbox)),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (sandbox / "home-kubernetes/.git").exists():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    try:
        done = invoke("demo", "--path", str(sandbox))
        assert done.returncode == 0, done.stderr
        assert "Progress 11/11" in done.stdout
    finally:
        invoke("demo", "--stop", "--path", str(sandbox))
    assert not sandbox.exists()
