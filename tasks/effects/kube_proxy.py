"""One `kubectl proxy` on a socket in a private folder, through which nothing but GET passes."""

import http.client
import os
import socket
import tempfile
import threading
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from tasks.effects import shell
from tasks.effects.api_errors import ClusterError, not_started
from tasks.effects.kubeconfig import ENVIRONMENT, MISSING, withheld
from tasks.effects.scratch import scratch_folder

SECONDS = 30.0  # of silence; a program for logging in may have to ask its own server first
_TRIES, _MOMENT = 10, 0.05  # seconds
_READY = "Starting to serve"
_START = 10.0  # seconds that the proxy has to begin
# Whatever is not GET (https://pkg.go.dev/regexp/syntax has no way to say "not"), and what a GET can do more
# than read: run something in a pod, or open a connection to it.
_NOT_GET = "^([^G]|G[^E]|GE[^T]|GET.)"
_WRITING_PATHS = "/(exec|attach|portforward)$,^/api/v1/nodes/.*/proxy"
_HEADERS = {"Host": "localhost", "Accept": "application/json"}
# A socket of Unix has a path of 108 bytes at the most.
_LONGEST_PATH = 100


class Proxy:
    """Starts with the first question, and ends by ``close``. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._lock = threading.Lock()
        self._place = ""
        self._companion: shell.Companion | None = None
        self.is_closed = False
        # All that are open, and those of them over which nobody is asking just now.
        self._connections: set[_Connection] = set()
        self._idle: list[_Connection] = []
        self.calls = 0

    def complaint(self) -> str:
        """What kubectl, or a program that it ran, has just written: it may come after the answer."""
        for _ in range(_TRIES):
            if self._companion is not None and self._companion.said:
                return self._companion.said
            time.sleep(_MOMENT)
        return ""

    def close(self) -> None:
        """End it, and every connection to it."""
        with self._lock:
            self.is_closed = True
            # First the program: a connection that somebody waits at could not be closed before it ends.
            self._stack.close()
            for connection in self._connections:
                connection.close()

    def start(self, arguments: tuple[str, ...], server: str) -> None:
        """Have it run: ``arguments`` lead kubectl to ``server``.

        Raises:
            ClusterError: kubectl refused.
            UnavailableError: there is no kubectl.
        """
        with self._lock:
            if self.is_closed:
                raise ClusterError("the connection to the cluster is closed")
            if self._place and self._companion is not None and not self._companion.is_alive:
                self._stack.close()  # somebody ended it: another one takes its place
                self._place = ""
            if not self._place:
                self._place = self._started(arguments, server)

    def _started(self, arguments: tuple[str, ...], server: str) -> str:
        place = str(self._stack.enter_context(_folder()) / "api")
        rejected = (f"--reject-methods={_NOT_GET}", f"--reject-paths={_WRITING_PATHS}")
        self._companion = self._stack.enter_context(
            shell.beside(
                ("kubectl", *arguments, "proxy", f"--unix-socket={place}", *rejected),
                cwd=Path.cwd(),
                environment=ENVIRONMENT,
                withheld=withheld,
                missing_hint=MISSING,
            )
        )
        said = self._companion.line(_START)
        if said is None or not said.startswith(_READY):
            self._stack.close()
            raise not_started(server, said or self._companion.said)
        return place

    def exchange(self, path: str) -> tuple[int, float | None, bytes]:
        """Status, seconds to wait before asking again (None: no use in it), and body of an answer.

        Raises:
            OSError: no answer, or one that was cut; the next question goes over a new connection.
            http.client.HTTPException: the same.
        """
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connected(SECONDS)
        try:
            answer = self._sent(connection, path)
            wait = str(answer.headers.get("Retry-After", ""))
            found = answer.status, float(wait) if wait.isdigit() else None, answer.read()
        except (OSError, http.client.HTTPException):
            with self._lock:
                # What nobody asks over may be as broken, or lead to a proxy that has ended.
                broken, self._idle = [connection, *self._idle], []
            self.end(*broken)
            raise
        with self._lock:
            self._idle.append(connection)
        return found

    def end(self, *connections: "_Connection") -> None:
        """Close connections, and forget them."""
        for connection in connections:
            connection.close()
        with self._lock:
            self._connections.difference_update(connections)

    def opened(self, path: str, seconds: float) -> tuple[http.client.HTTPResponse, "_Connection"]:
        """An answer that comes over ``seconds``, and its connection, for ``end``.

        Raises:
            OSError: no answer.
            http.client.HTTPException: the same.
        """
        connection = self._connected(seconds + SECONDS)
        try:
            return self._sent(connection, path), connection
        except (OSError, http.client.HTTPException):
            self.end(connection)
            raise

    def _connected(self, seconds: float) -> "_Connection":
        connection = _Connection(self._place, seconds)
        with self._lock:
            self._connections.add(connection)
        return connection

    def _sent(self, connection: "_Connection", path: str) -> http.client.HTTPResponse:
        with self._lock:
            self.calls += 1
        connection.request("GET", path, headers=_HEADERS)
        return connection.getresponse()


class _Connection(http.client.HTTPConnection):
    """A connection to the socket of the proxy."""

    def __init__(self, place: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._place = place

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._place)


def _folder() -> AbstractContextManager[Path]:
    """A private folder whose path is short enough for a socket in it."""
    name = f"parseable-playbook-{os.getuid()}"
    is_short = len(tempfile.gettempdir()) + len(name) < _LONGEST_PATH - len("//kubectl-12345678/api")
    return scratch_folder("kubectl-", None if is_short else Path("/tmp") / name)  # noqa: S108 (made private)
