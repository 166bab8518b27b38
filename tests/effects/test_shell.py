import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.core.errors import RefusedError
from tasks.effects import shell

ROOT = Path(__file__).resolve().parents[2]


def test_bytes_and_codes(tmp_path: Path) -> None:
    done = shell.run(("sh", "-c", "cat; echo oops >&2; exit 3"), cwd=tmp_path, stdin=b"\x00\xff")
    assert (done.code, done.stdout, done.said.splitlines()[0]) == (3, b"\x00\xff", "oops")
    assert shell.run(("sh", "-c", "kill -9 $$"), cwd=tmp_path).code == -9


def test_much_output(tmp_path: Path) -> None:
    assert len(shell.run(("cat",), cwd=tmp_path, stdin=b"x" * 9_000_000).stdout) == 9_000_000


def test_variables_are_added_and_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONE", "1")
    done = shell.run(("env",), cwd=tmp_path, environment={"GONE": None, "THERE": "2"})
    assert "THERE=2" in done.text
    assert "GONE" not in done.text


def test_what_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no-such-program is not installed") as caught:
        shell.run(("no-such-program",), cwd=tmp_path, missing_hint="get it")
    assert caught.value.hint == "get it"


@pytest.mark.parametrize("content", ["#!/no/such/interpreter\n", "not a program\x00\x01"])
def test_what_cannot_be_run(tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "broken"
    program.write_text(content)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RefusedError, match="broken cannot be run"):
        shell.run(("broken",), cwd=tmp_path)


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from tasks.effects import shell

signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
try:
    shell.run(("sh", "-c", "echo $$ > pid; exec sleep 0.5"), cwd=Path(sys.argv[2]))
    print("ended")
except KeyboardInterrupt:
    print("interrupted")
"""


# While it runs, and about when it ends by itself.
@pytest.mark.parametrize("after", ["0.3", "0.50", "0.51", "0.52", "0.53"])
def test_an_interruption_takes_the_program_along(tmp_path: Path, after: str) -> None:
    done = subprocess.run(
        (sys.executable, "-c", INTERRUPTED, after, str(tmp_path)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout in ("interrupted\n", "ended\n"), done.stderr
    assert not done.stderr
    # On a busy machine it may have been interrupted before it wrote anything.
    written = tmp_path / "pid"
    process = written.read_text().strip() if written.exists() else ""
    assert not process or not Path("/proc", process, "cmdline").exists()


def test_what_does_not_end_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"sh did not end within 0\.5 s, and was stopped"):
        shell.run(("sh", "-c", "echo $$ > pid; exec sleep 60"), cwd=tmp_path, seconds=0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_what_takes_too_much_memory_is_refused_more(tmp_path: Path) -> None:
    program = (sys.executable, "-c", "print(len(bytearray(300 << 20)))")
    assert shell.run(program, cwd=tmp_path, memory=1 << 30).text == str(300 << 20)
    done = shell.run(program, cwd=tmp_path, memory=200 << 20)
    assert done.code == 1
    assert "MemoryError" in done.stderr


@pytest.mark.parametrize("stream", ["", " >&2"])
def test_what_writes_without_end_is_not_kept(
    tmp_path: Path, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "_MOST_OUTPUT", 1 << 20)
    assert shell.run(("sh", "-c", f"head -c 1000000 /dev/zero{stream}"), cwd=tmp_path).code == 0
    with pytest.raises(shell.EndlessError, match="sh wrote more than 1 MiB"):
        shell.run(("sh", "-c", f"head -c 3000000 /dev/zero{stream}"), cwd=tmp_path)
