"""A place to run the playbook's commands as a user does: repository, remote, age key, bucket, credentials."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.exceptions import ClientError

from tasks.core.credentials import S3Credentials, Secret
from tasks.core.settings import S3
from tasks.demo.sandbox import make_key, make_repository
from tasks.effects import shell
from tasks.effects.s3 import Bucket
from tests.commands import Commands

ROOT = Path(__file__).resolve().parents[1]
APPS = "kubernetes/apps/monitoring"
COMMANDS = Commands()
SOPS = shell.find("sops") or "sops"
SECRET = f"{APPS}/parseable/app/secret.sops.yaml"
RELEASE = f"{APPS}/parseable/app/helmrelease.yaml"
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

    def __post_init__(self) -> None:
        self.bucket = f"logs-{secrets.token_hex(6)}"
        self.environment = {
            "S3_ACCESS_KEY_ID": self.access_key,
            "S3_SECRET_ACCESS_KEY": self.secret_key,
            "SOPS_AGE_KEY_FILE": str(self.folder / "age.key"),
            "INVOKE_S3_ENDPOINT": self.endpoint,
            "INVOKE_S3_BUCKET": self.bucket,
        }

    @classmethod
    def make(
        cls, folder: Path, endpoint: str, keys: tuple[str, str], shape: Callable[[Path], None] | None = None
    ) -> "Playground":
        """Make the sample repository with its remote and a key, changed by ``shape``."""
        made = cls(folder, endpoint, *keys)
        key = folder / "age.key"
        make_repository(made.root, folder / "remote.git", make_key(key), key)
        if shape is not None:
            made.reshape(shape)
        return made

    def copy(self, folder: Path) -> "Playground":
        """The same in another folder, with a remote and a bucket of its own."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        made = Playground(folder, self.endpoint, self.access_key, self.secret_key)
        for config in (made.root / ".git/config", folder / "remote.git/config"):
            config.write_text(config.read_text().replace(str(self.folder), str(folder)))
        if (made.root / RELEASE).exists():
            made._take_bucket_of(self)
        return made

    def _take_bucket_of(self, other: "Playground") -> None:
        """Make our bucket like that of ``other``, and name it in our repository, where its is named."""
        s3 = _client(self.endpoint, self.access_key, self.secret_key)
        s3.create_bucket(Bucket=self.bucket)
        rules = s3.get_bucket_lifecycle_configuration(Bucket=other.bucket)["Rules"]
        s3.put_bucket_lifecycle_configuration(Bucket=self.bucket, LifecycleConfiguration={"Rules": rules})
        is_committed = not self.git("status", "--porcelain", RELEASE)
        self.write(RELEASE, self.read(RELEASE).replace(other.bucket, self.bucket))
        if is_committed:
            self.git("commit", "-q", "--amend", "--no-edit", RELEASE)
            self.git("push", "-q", "--force")

    def reshape(self, shape: Callable[[Path], None]) -> None:
        """Commit and push what ``shape`` changes."""
        shape(self.root)
        if self.git("status", "--porcelain"):
            self.commit_all("Another layout")
            self.git("push", "-q")

    def discard(self) -> None:
        """Delete the bucket, unless there is something in it: the server has room for a hundred."""
        with suppress(ClientError):
            _client(self.endpoint, self.access_key, self.secret_key).delete_bucket(Bucket=self.bucket)

    @property
    def root(self) -> Path:
        """The GitOps repository."""
        return self.folder / "work"

    # Commands ---------------------------------------------------------------------------------------------

    def invoke(self, *arguments: str, **environment: str | None) -> Done:
        """Run a command to its end; ``environment`` adds variables, or takes away those that are None."""
        return Done(*COMMANDS.run(arguments, self._environment(environment), seconds=120))

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

    def decrypted(self, path: str = SECRET) -> dict[str, str]:
        """The values of the Secret."""
        done = subprocess.run(
            (SOPS, "decrypt", "--output-type", "json", path),
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


@cache
def _client(endpoint: str, access_key: str, secret_key: str) -> Any:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )


def without_login(data: Any) -> Any:
    """``data`` of a plan without the revision of its Secret: each plan makes other ciphertext."""
    return json.loads(re.sub(r"parseable-login: [0-9a-f]{10}", "parseable-login: …", json.dumps(data)))


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until ``condition`` holds.

    Raises:
        AssertionError: it does not in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
