"""A place to run the playbook's commands as a user does: repository, remote, age key, bucket, credentials."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tasks.core.credentials import S3Credentials, Secret
from tasks.core.settings import S3
from tasks.demo.sandbox import make_key, make_repository
from tasks.effects import shell
from tasks.effects.s3 import Bucket

ROOT = Path(__file__).resolve().parents[1]
APPS = "kubernetes/apps/monitoring"
SOPS = shell.find("sops") or "sops"
SECRET = f"{APPS}/parseable/app/secret.sops.yaml"
GRAFANA = f"{APPS}/grafana/app/helmrelease.yaml"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The JSON document on stdout."""
        return json.loads(self.out)


@dataclass
class Playground:
    """One repository with all around it. ``access_key`` and ``secret_key`` are those of the S3 server."""

    folder: Path
    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(
        cls, folder: Path, endpoint: str, keys: tuple[str, str], shape: Callable[[Path], None] | None = None
    ) -> "Playground":
        """Make the sample repository, changed by ``shape`` before its first commit."""
        made = cls(folder, endpoint, *keys, bucket=f"logs-{secrets.token_hex(6)}")
        recipient = make_key(folder / "age.key")
        make_repository(made.root, folder / "remote.git", recipient)
        if shape is not None:
            shape(made.root)
            if made.git("status", "--porcelain"):
                made.commit_all("Another layout")
                made.git("push", "-q")
        made.environment = {
            "S3_ACCESS_KEY_ID": keys[0],
            "S3_SECRET_ACCESS_KEY": keys[1],
            "SOPS_AGE_KEY_FILE": str(folder / "age.key"),
            "INVOKE_S3_ENDPOINT": endpoint,
            "INVOKE_S3_BUCKET": made.bucket,
        }
        return made

    @property
    def root(self) -> Path:
        """The GitOps repository."""
        return self.folder / "work"

    # Commands ---------------------------------------------------------------------------------------------

    def invoke(self, *arguments: str, **environment: str | None) -> Done:
        """Run a command to its end; ``environment`` adds variables, or takes away those that are None."""
        done = subprocess.run(
            (sys.executable, "-m", "invoke", *arguments),
            cwd=ROOT,
            env=self._environment(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def on_repository(self, command: str, *arguments: str, **environment: str | None) -> Done:
        """Run a command with --repo."""
        return self.invoke(command, "--repo", str(self.root), *arguments, **environment)

    def all(self, *arguments: str, **environment: str | None) -> Done:
        """Run `all --yes --offline`."""
        return self.on_repository("all", "--yes", "--offline", *arguments, **environment)

    def verify(self, *arguments: str, **environment: str | None) -> Done:
        """Run `verify --offline`."""
        return self.on_repository("verify", "--offline", *arguments, **environment)

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Have a command running while the block does; it is killed at the block's end if it still runs."""
        process = subprocess.Popen(
            (sys.executable, "-m", "invoke", *arguments, "--repo", str(self.root)),
            cwd=ROOT,
            env=self._environment({}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def _environment(self, more: dict[str, str | None]) -> dict[str, str]:
        merged = {**os.environ, **self.environment, **more}
        return {name: value for name, value in merged.items() if value is not None}

    # The surroundings --------------------------------------------------------------------------------------

    def git(self, *arguments: str) -> str:
        """Run git in the repository; its output without the white space at the end."""
        done = subprocess.run(("git", *arguments), cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.rstrip()

    def commit_all(self, message: str) -> None:
        """Commit whatever is there."""
        self.git("add", "--all")
        self.git("commit", "-qm", message)

    def head(self) -> str:
        """The id of the last commit."""
        return self.git("rev-parse", "HEAD")

    def remote_head(self) -> str:
        """The id of the last commit of the remote's main."""
        return self.git("ls-remote", "origin", "refs/heads/main").split()[0]

    def tree(self) -> dict[str, bytes]:
        """Every file outside .git with its bytes."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and ".git" not in path.relative_to(self.root).parts
        }

    def read(self, path: str) -> str:
        """A file's text."""
        return (self.root / path).read_text(encoding="utf-8")

    def load(self, path: str) -> Any:
        """A file's only document."""
        return yaml.safe_load(self.read(path))

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def decrypted(self) -> dict[str, str]:
        """The values of the Secret."""
        done = subprocess.run(
            (SOPS, "decrypt", "--output-type", "json", SECRET),
            cwd=self.root,
            env=self._environment({}),
            check=True,
            capture_output=True,
        )
        return dict(json.loads(done.stdout)["stringData"])

    def s3(self) -> Bucket:
        """The bucket, seen with the right key."""
        settings = S3(endpoint=self.endpoint, bucket=self.bucket)
        return Bucket(settings, S3Credentials(Secret(self.access_key), Secret(self.secret_key), "test"))


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until ``condition`` holds.

    Raises:
        AssertionError: it does not in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
