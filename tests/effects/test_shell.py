import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pyrage import x25519

from tasks.core import interrupts
from tasks.core.errors import RefusedError
from tasks.effects import shell
from tasks.effects.git import Git
from tasks.effects.shell import EndlessError
from tasks.effects.sops import Sops, secret_document

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


@pytest.mark.parametrize("name", ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"])
def test_the_keys_of_the_bucket_are_for_no_program(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("ANOTHER", "there")
    assert "canary" not in shell.run(("env",), cwd=tmp_path, environment={"MORE": "1"}).text
    assert "ANOTHER=there" in shell.run(("env",), cwd=tmp_path).text


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


# What a user may have in the environment: keys of S3 and sops, logins, and what only says where those are.
VARIABLES = {
    "S3_ACCESS_KEY_ID": "s3-key",
    "S3_SECRET_ACCESS_KEY": "s3-key",
    "AWS_ACCESS_KEY_ID": "aws-key",
    "AWS_SECRET_ACCESS_KEY": "aws-key",
    "AWS_SESSION_TOKEN": "aws-key",
    "AWS_PROFILE": "place",
    "SOPS_AGE_KEY": "age-key",
    "SOPS_AGE_KEY_FILE": "place",
    "VAULT_TOKEN": "vault-login",
    "AZURE_CLIENT_SECRET": "azure-login",
    "GOOGLE_APPLICATION_CREDENTIALS": "google-login",
    "GITHUB_TOKEN": "git-login",
    "MY_REGISTRY_PASSWORD": "login",
    "KUBECONFIG": "path",
    "HTTPS_PROXY": "proxy",
}


@pytest.fixture
def handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], set[str]]:
    """Put programs in place of all others that write down their environment; gives the values they saw."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "bin"
    folder.mkdir()
    seen = tmp_path / "seen"
    for name in ("git", "helm", "kubectl", "kustomize", "sops", "vector"):
        program = folder / name
        program.write_text(f'#!/bin/sh\nenv > {seen}\nexec {shutil.which(name) or "false"} "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join((str(folder), os.environ["PATH"])))

    def values() -> set[str]:
        lines = (line.partition("=") for line in seen.read_text().splitlines())
        return {value for name, _, value in lines if name in VARIABLES}

    return values


def repository(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit and a rule for sops."""
    root.mkdir()
    (root / ".sops.yaml").write_text(f"creation_rules:\n  - age: {x25519.Identity.generate().to_public()}\n")
    for variable in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{variable}_NAME", "x")
        monkeypatch.setenv(f"GIT_{variable}_EMAIL", "x@host.test")
    for command in (("init", "-q"), ("add", "--all"), ("commit", "-qm", "x")):
        subprocess.run(("git", *command), cwd=root, check=True)
    return root


@pytest.mark.parametrize("program", ["helm", "kubectl", "kustomize", "vector"])
def test_no_key_and_no_login_reaches_a_program(
    program: str, tmp_path: Path, handed_on: Callable[[], set[str]]
) -> None:
    shell.run((program, "version"), cwd=tmp_path)
    assert handed_on() == {"path", "proxy"}


def test_git_and_its_hooks_get_logins_and_no_keys(
    tmp_path: Path, handed_on: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    git = Git(repository(tmp_path / "work", monkeypatch))
    logins = {"git-login", "login", "vault-login", "azure-login", "google-login"}
    assert handed_on() == {"path", "proxy", "place", *logins}
    hook = git.root / ".git/hooks/pre-commit"
    hook.write_text(f"#!/bin/sh\nenv > {tmp_path / 'hook'}\n")
    hook.chmod(0o755)
    (git.root / "new").touch()
    git.commit(["new"], "new")
    said = (tmp_path / "hook").read_text()
    assert "GITHUB_TOKEN=git-login" in said
    assert [line for line in said.splitlines() if line.endswith("-key")] == []


def test_sops_gets_its_keys_and_not_those_of_s3(
    tmp_path: Path, handed_on: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOPS_AGE_KEY_FILE")
    sops = Sops(repository(tmp_path / "work", monkeypatch))
    needed = {"aws-key", "age-key", "place", "vault-login", "azure-login", "google-login", "path", "proxy"}
    secret = secret_document("a", "b", {"c": "d"})
    (sops.root / "a.sops.yaml").write_text(sops.encrypt("a.sops.yaml", secret))
    assert handed_on() == needed
    with pytest.raises(RefusedError, match="sops cannot decrypt no-such"):
        sops.decrypt("no-such")
    assert handed_on() == needed


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


def test_a_program_beside_us_ends_with_the_block(tmp_path: Path) -> None:
    script = "echo ready; echo oops >&2; sleep 60 & echo $!; wait"
    with shell.beside(("sh", "-c", script), cwd=tmp_path) as companion:
        assert companion.line(5) == "ready"
        child = int(companion.line(5) or 0)
        assert (companion.is_alive, companion.said) == (True, "oops")
        with pytest.raises(EndlessError, match=r"no answer within 0\.1 s"):
            companion.line(0.1)
    assert not companion.is_alive
    # What it had started is gone, too.
    with pytest.raises(ProcessLookupError):
        _wait_for_the_end_of(child)


def test_a_program_beside_us_that_does_not_listen_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "_PATIENCE", 0.2)
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    with shell.beside(("sh", "-c", script), cwd=tmp_path) as companion:
        assert companion.line(5) == "ready"
    assert not companion.is_alive


def test_a_program_beside_us_that_dies(tmp_path: Path) -> None:
    with shell.beside(("sh", "-c", "echo no such context >&2; exit 1"), cwd=tmp_path) as companion:
        assert companion.line(5) is None
        assert (companion.is_alive, companion.said) == (False, "no such context")
    with (
        pytest.raises(RefusedError, match="no-such-program is not installed"),
        shell.beside(("no-such-program",), cwd=tmp_path),
    ):
        pass


def _wait_for_the_end_of(pid: int) -> None:
    for _ in range(100):
        os.kill(pid, 0)
        time.sleep(0.02)


def test_what_cleans_up_runs_after_an_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts._State, "is_ending", True)
    assert shell.run(("sleep", "0.3"), cwd=tmp_path, at_end=True).code == 0
    assert shell.run(("sleep", "0.3"), cwd=tmp_path).code < 0
