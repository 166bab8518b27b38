"""Ctrl-C, SIGTERM and SIGHUP, at any time and to the process alone: an orderly end, soon."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.playground import ROOT, Playground, wait_for
from tests.s3_double import Minio, Reply, Request, serving

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
# Sends its signal to itself when the module is first looked for.
EARLY = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Interrupting(MetaPathFinder):
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            os.kill(os.getpid(), int(sys.argv[2]))

sys.meta_path.insert(0, Interrupting())
from invoke.main import program
program.run(["invoke", "status", "--repo", "."])
"""


def ended(process: subprocess.Popen[str], number: int, seconds: float = 15) -> str:
    """End the process alone, not its group; what it wrote to stderr."""
    started = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert time.monotonic() - started < seconds
    assert "Traceback" not in err
    return err


def script(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def is_alive(pid: str) -> bool:
    """Whether a process runs; one that only waits for somebody to ask how it ended does not."""
    line = Path("/proc", pid, "cmdline")
    return line.exists() and line.read_bytes() != b""


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    ("module", "is_running"),
    [("tasks.configuration", False), ("tasks.commands", True), ("checks.registry", True)],
)
def test_in_the_first_second(number: int, module: str, is_running: bool) -> None:
    done = subprocess.run(
        (sys.executable, "-c", EARLY, module, str(number)),
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (128 + number, "")
    # Once the settings are read, the command tells it, with a hint.
    if is_running:
        assert done.stderr.startswith("error: interrupted")
        assert done.stderr.endswith(
            "; all files are intact\n  hint: run the same command again to continue\n"
        )
    else:
        assert done.stderr == "error: interrupted\n"


@pytest.mark.parametrize("number", SIGNALS)
def test_while_a_hook_runs(play: Playground, number: int) -> None:
    temporary = play.folder / "temporary"
    temporary.mkdir()
    play.environment["TMPDIR"] = str(temporary)
    waiting = play.root / ".git/waiting"
    # A hook that does not end when it is asked to is no reason to wait either.
    script(play.root / ".git/hooks/pre-commit", "echo $$ >.git/hook\ntouch .git/waiting\nexec sleep 60")
    with play.started("all", "--yes", "--offline") as process:
        wait_for(waiting.exists)
        err = ended(process, number)
    by = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
    assert f"error: interrupted{by}; all files are intact" in err
    assert not is_alive((play.root / ".git/hook").read_text().strip())
    # The folder for temporary folders stays.
    assert [item for parent in temporary.iterdir() for item in parent.iterdir()] == []
    assert (play.root / ".git/parseable-playbook.lock").stat().st_size == 0
    assert not (play.root / ".git/index.lock").exists()
    (play.root / ".git/hooks/pre-commit").unlink()
    assert play.all().code == 0


def test_while_tools_run_in_threads(play: Playground) -> None:
    temporary = play.folder / "temporary"
    temporary.mkdir()
    programs = play.folder / "programs"
    # It gets no PATH, and does not listen.
    text = f"trap '' INT TERM\necho $$ >>{play.folder}/pids\n{shutil.which('sleep')} 60"
    script(programs / "kustomize", text)
    play.environment |= {"TMPDIR": str(temporary), "PATH": f"{programs}:{os.environ['PATH']}"}
    with play.started("verify", "--offline") as process:
        wait_for((play.folder / "pids").exists)
        ended(process, signal.SIGINT)
    assert not [pid for pid in (play.folder / "pids").read_text().split() if is_alive(pid)]
    # The folder for temporary folders stays.
    assert [item for parent in temporary.iterdir() for item in parent.iterdir()] == []


def test_while_the_server_is_asked_the_probe_is_taken_back(play: Playground) -> None:
    minio = Minio("minio", {play.bucket: ""})

    def answer(request: Request) -> Reply:
        if "-probe-" in request.path and request.method == "GET":
            time.sleep(3)
        return Reply(204) if "-probe-" in request.path else minio(request)

    with serving(answer) as server:
        play.environment["INVOKE_S3_ENDPOINT"] = server.endpoint
        with play.started("verify", "--offline", "--only", "DoD-001-02") as process:
            wait_for(lambda: any("-probe-" in request.path for request in server.requests))
            time.sleep(0.3)
            ended(process, signal.SIGTERM)
    assert [request.method for request in server.requests if "-probe-" in request.path][-1] == "DELETE"


def test_ignored_signals_stay_ignored(play: Playground) -> None:
    script(
        play.root / ".git/hooks/pre-commit", "touch .git/waiting\nwhile [ ! -e .git/go ]; do sleep 0.05; done"
    )
    program = ("nohup", sys.executable, "-m", "invoke", "all", "--yes", "--offline", "--repo", str(play.root))
    with subprocess.Popen(
        program, cwd=ROOT, env={**os.environ, **play.environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        wait_for((play.root / ".git/waiting").exists)
        process.send_signal(signal.SIGHUP)
        (play.root / ".git/go").touch()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
