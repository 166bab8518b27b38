from pathlib import Path

import pytest

from tasks.core.errors import RefusedError
from tasks.effects import shell


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
