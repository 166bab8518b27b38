"""Runs `invoke` as often as the tests want it, without loading Python and its modules each time.

``python -m tests.commands FD`` is the process that has all modules loaded. It forks for every command, and
the child becomes ``python -m invoke`` from there on, with an environment, files and an end of its own. What
comes before (Python's start, the first imports) is proved where ``Playground.started`` is used.
"""

import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
# What our modules import when they need it.
_LATER = (
    "boto3",
    "botocore.auth",
    "botocore.endpoint",
    "botocore.handlers",
    "rich.table",
    "sh",
    "invoke.main",
)
_LONGEST = 1 << 18


class Commands:
    """The process that forks, started when first needed; it ends with ours, or by ``close``."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def run(
        self, arguments: tuple[str, ...], environment: Mapping[str, str], seconds: float
    ) -> tuple[int, str, str]:
        """The exit code (negative: the signal that ended it) and what was written to stdout and stderr.

        Raises:
            subprocess.TimeoutExpired: it did not end in time, and was killed.
        """
        channel = self._channel or self._start()
        with Path(os.devnull).open("rb") as nothing, TemporaryFile() as out, TemporaryFile() as err:
            files = [file.fileno() for file in (nothing, out, err)]
            request = json.dumps({"arguments": arguments, "environment": dict(environment)})
            socket.send_fds(channel, [request.encode()], files)
            child = int(channel.recv(_LONGEST))
            channel.settimeout(seconds)
            try:
                code = int(channel.recv(_LONGEST))
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                channel.settimeout(None)
                channel.recv(_LONGEST)
                raise subprocess.TimeoutExpired(arguments, seconds) from None
            finally:
                channel.settimeout(None)
            return code, _text(out), _text(err)

    def close(self) -> None:
        """End the process."""
        if self._process is not None and self._channel is not None:
            self._channel.close()
            self._process.wait()
        self._process = self._channel = None

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "tests.commands", str(theirs.fileno())),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._channel = ours
        return ours


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _serve(channel: socket.socket) -> None:
    """Fork for each request; returns in the child, which is to run what was asked for."""
    for package in ("tasks", "checks"):
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            importlib.import_module(module.name)
    for name in _LATER:
        importlib.import_module(name)
    gc.freeze()  # what is looked at by nobody need not be copied for each child
    while True:
        request, files, _, _ = socket.recv_fds(channel, _LONGEST, 3)
        if not request:
            os._exit(0)
        child = os.fork()
        if child == 0:
            channel.close()
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            asked = json.loads(request)
            os.environ.clear()
            os.environ.update(asked["environment"])
            sys.argv[1:] = asked["arguments"]
            return
        for file in files:
            os.close(file)
        channel.send(b"%d" % child)
        _, status = os.waitpid(child, 0)
        channel.send(b"%d" % os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
    # Not in a function: the interpreter is to end as it does for any program.
    runpy.run_module("invoke", run_name="__main__", alter_sys=True)
