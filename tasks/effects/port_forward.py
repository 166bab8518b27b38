"""Ports of this computer that lead to pods: `kubectl port-forward`, opened when asked for, ended always."""

import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tasks.effects import shell
from tasks.effects.api_errors import ClusterError, ForbiddenError, PodError, UnreachableError, ended
from tasks.effects.kubeconfig import ENVIRONMENT, MISSING, withheld

SECONDS = 20.0  # until it is ready
_POD_SECONDS = 5  # that a pod has to begin to run

_READY = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) -> \d+")
# Why it can end that is about pods.
_PODS = ("timed out waiting", "pod is not running")


class Target(NamedTuple):
    """What a port leads to: ``object`` is as in ``service/parseable`` or ``pod/grafana-0``."""

    namespace: str
    object: str
    port: int

    def __str__(self) -> str:
        return f"port {self.port} of {self.object} in namespace {self.namespace}"


@dataclass
class _Forward:
    lock: threading.Lock = field(default_factory=threading.Lock)
    stack: ExitStack = field(default_factory=ExitStack)
    companion: shell.Companion | None = None
    url: str = ""


class Forwards:
    """The ports of one run; ``arguments`` tells kubectl which cluster is meant. Several threads may ask."""

    def __init__(self, arguments: Callable[[], Sequence[str]]) -> None:
        self._arguments = arguments
        self._lock = threading.Lock()
        self._forwards: dict[Target, _Forward] = {}
        self._is_closed = False

    def url(self, target: Target) -> str:
        """The URL that leads to ``target`` now: opened when first asked for, and again after it broke.

        kubectl ends when a pod cuts a connection, or is gone (https://github.com/kubernetes/kubectl/issues/1169).

        Raises:
            NotFoundError: there is no such object.
            ForbiddenError: the user may not; it takes get and create of pods/portforward.
            ClusterError: these, or it did not get ready.
            UnavailableError: there is no kubectl.
        """
        with self._lock:
            if self._is_closed:
                raise ClusterError("the connection to the cluster is closed")
            forward = self._forwards.setdefault(target, _Forward())
        with forward.lock:
            if forward.companion is None or not forward.companion.is_alive:
                forward.stack.close()
                forward.url = self._opened(target, forward)
            return forward.url

    def close(self) -> None:
        """End them all."""
        with self._lock:
            self._is_closed = True
        for forward in self._forwards.values():
            with forward.lock:
                forward.stack.close()

    def _opened(self, target: Target, forward: _Forward) -> str:
        argv = (
            *("kubectl", *self._arguments(), "port-forward", "--namespace", target.namespace),
            *("--address", "127.0.0.1", f"--pod-running-timeout={_POD_SECONDS}s"),
            # Port 0: kubectl takes a free one and says which.
            *(target.object, f":{target.port}"),
        )
        forward.companion = forward.stack.enter_context(
            shell.beside(
                argv, cwd=Path.cwd(), environment=ENVIRONMENT, withheld=withheld, missing_hint=MISSING
            )
        )
        try:
            return f"http://127.0.0.1:{_port(forward.companion, target)}"
        except BaseException:
            forward.stack.close()
            forward.companion = None
            raise


def _port(companion: shell.Companion, target: Target) -> int:
    """The port of this computer, once kubectl says that it is ready."""
    deadline = time.monotonic() + SECONDS
    try:
        while (line := companion.line(max(deadline - time.monotonic(), 0))) is not None:
            if found := _READY.match(line):
                return int(found[1])
    except shell.EndlessError:
        raise UnreachableError(f"{target} was not forwarded within {SECONDS:g} s", _by_hand(target)) from None
    raise _failure(companion.said, target)


def _failure(said: str, target: Target) -> ClusterError:
    """The error of a kubectl that ended."""
    error = ended(said, f"{target} cannot be reached")
    if isinstance(error, ForbiddenError):
        return ForbiddenError(error.summary, "grant get and create of pods/portforward in that namespace")
    if any(words in said for words in _PODS):
        return PodError(error.summary, f"see the pods: kubectl get pods -n {target.namespace}")
    return error if error.hint else ClusterError(error.summary, _by_hand(target))


def _by_hand(target: Target) -> str:
    return f"try it: kubectl port-forward -n {target.namespace} {target.object} :{target.port}"
