"""The door to the cluster: reads it through one `kubectl proxy` that lets nothing but GET pass."""

import http.client
import json
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

from tasks.effects.api_errors import (
    ClusterError,
    ContextError,
    ExpiredError,
    ForbiddenError,
    NoContextError,
    NotFoundError,
    NotInstalledError,
    SilentError,
    UnauthorizedError,
    UnreachableError,
    refusal,
)
from tasks.effects.kube_proxy import SECONDS, Proxy
from tasks.effects.kubeconfig import Contexts, chosen, read_contexts

__all__ = [
    "ClusterError",
    "ContextError",
    "Event",
    "ExpiredError",
    "ForbiddenError",
    "Kubectl",
    "Listing",
    "NoContextError",
    "NotFoundError",
    "NotInstalledError",
    "UnauthorizedError",
    "UnreachableError",
]

_ATTEMPTS = 4
_LONGEST_PAUSE = 20.0  # seconds that a server may ask us to wait
_PAUSE = 0.2


class Event(NamedTuple):
    """What a watch tells: ``kind`` is ADDED, MODIFIED, DELETED or BOOKMARK (only a newer version)."""

    kind: str
    data: dict[str, Any]


class Listing(NamedTuple):
    """The objects of a list, and the version of it that a watch goes on from."""

    items: list[dict[str, Any]]
    version: str


class Kubectl:
    """Reads a cluster; ended by ``close``, at the end of a ``with``, and in any case with the run.

    ``kubeconfig`` and ``context`` None are as kubectl finds them. Nothing is started before the first
    question. Its methods may be called from several threads.
    """

    def __init__(self, *, kubeconfig: str | None, context: str | None) -> None:
        self._kubeconfig = kubeconfig
        self._wanted = context
        self._proxy = Proxy()
        weakref.finalize(self, self._proxy.close)
        self._discovering = threading.RLock()
        self._plurals: dict[str, frozenset[str]] = {}
        self._has_answered = False
        self._silence: SilentError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the proxy, if there is one."""
        self._proxy.close()

    @property
    def calls(self) -> int:
        """How many questions the cluster was asked."""
        return self._proxy.calls

    @property
    def is_closed(self) -> bool:
        """Whether it was ended."""
        return self._proxy.is_closed

    def another(self) -> "Kubectl":
        """Another door to the same cluster, with an end of its own; what this one knows it need not ask."""
        other = Kubectl(kubeconfig=self._kubeconfig, context=self._wanted)
        other._plurals = dict(self._plurals)
        other._has_answered = self._has_answered
        for known in ("_contexts", "_groups"):
            if known in self.__dict__:
                other.__dict__[known] = self.__dict__[known]
        return other

    # Where it goes ----------------------------------------------------------------------------------------

    def arguments(self) -> tuple[str, ...]:
        """What tells another call of kubectl to go to the same cluster.

        Raises:
            ClusterError: there is no cluster, or several and none is chosen.
        """
        named = ("--kubeconfig", self._kubeconfig) if self._kubeconfig else ()
        return (*named, *(("--context", self.context) if self.context else ()))

    def reached(self) -> tuple[str, ...]:
        """The same ``arguments``, once it is known that the server answers at all.

        Raises:
            ClusterError: see ``arguments``.
            UnreachableError: there is no answer.
        """
        try:
            if not self._has_answered:
                self.get("/version")
        except UnreachableError:
            raise
        except ClusterError:
            pass  # a refusal is an answer
        return self.arguments()

    @property
    def context(self) -> str:
        """The name of the context; empty in a pod, where there is none.

        Raises:
            ClusterError: there is no cluster, or several and none is chosen.
        """
        return chosen(self._contexts, self._wanted).name

    @property
    def server(self) -> str:
        """The address of the API server.

        Raises:
            ClusterError: there is no cluster, or several and none is chosen.
        """
        return chosen(self._contexts, self._wanted).server

    @cached_property
    def _contexts(self) -> Contexts:
        return read_contexts(self._kubeconfig)

    # Reading ----------------------------------------------------------------------------------------------

    def get(self, path: str) -> dict[str, Any]:
        """The object at ``path``, as in ``/api/v1/namespaces/monitoring``.

        Raises:
            NotFoundError: there is none (``NotInstalledError``: nor is there its kind).
            ForbiddenError: the user may not.
            UnauthorizedError: the credentials are not taken.
            UnreachableError: there is no answer.
            ClusterError: all of these, and a cluster that is not known.
        """
        found = self._json(path)
        return found if isinstance(found, dict) else {}

    def items(
        self, path: str, *, labels: str = "", fields: str = "", limit: int = 500
    ) -> list[dict[str, Any]]:
        """All objects of the list at ``path``, read in parts of ``limit``; ``get`` says what it raises.

        A namespace that does not exist has an empty list.
        """
        return self.listed(path, labels=labels, fields=fields, limit=limit).items

    def listed(self, path: str, *, labels: str = "", fields: str = "", limit: int = 500) -> Listing:
        """The same as ``items``, with the version to watch from; a list that changed too much starts over."""
        for _ in range(_ATTEMPTS):
            try:
                return self._all_parts(path, {**_selectors(labels, fields), "limit": str(limit)})
            except ExpiredError:
                continue
        raise UnreachableError(f"{path}: the list changes faster than it can be read", "try again later")

    def version(self, path: str) -> str:
        """The version of the list at ``path`` now, to watch from; ``get`` says what it raises."""
        return str((self.get(f"{path}?limit=1").get("metadata") or {}).get("resourceVersion") or "")

    def _all_parts(self, path: str, query: Mapping[str, str]) -> Listing:
        found: list[dict[str, Any]] = []
        more = ""
        while True:
            part = self.get(_asking(path, {**query, **({"continue": more} if more else {})}))
            kind = str(part.get("kind", "")).removesuffix("List")
            # The lists of Kubernetes' own kinds say the kind once for all.
            common = {"apiVersion": part.get("apiVersion"), "kind": kind}
            found += [{**common, **item} for item in part.get("items") or ()]
            about = part.get("metadata") or {}
            more = str(about.get("continue") or "")
            if not more:
                return Listing(found, str(about.get("resourceVersion") or ""))

    def text(self, path: str) -> str:
        """What is at ``path`` as text, such as a pod's log; ``get`` says what it raises."""
        return self._body(path).decode(errors="replace")

    def watch(
        self, path: str, *, labels: str = "", fields: str = "", since: str, seconds: float
    ) -> Iterator[Event]:
        """What changes in the list at ``path`` after the version ``since``, for ``seconds`` at the most.

        It may end sooner, where the connection does: go on from the last version that it told.

        Raises:
            ExpiredError: ``since`` is too old; list again.
            ClusterError: see ``get``.
        """
        query = {
            **_selectors(labels, fields),
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": since,
            "timeoutSeconds": str(max(1, round(seconds))),
        }
        self._proxy.start(self.arguments(), self.server)
        with ExitStack() as stack:
            try:
                answer, connection = self._proxy.opened(_asking(path, query), seconds)
                stack.callback(self._proxy.end, connection)
                if answer.status != http.client.OK:
                    raise self._refusal(path, answer.status, answer.read())
                for line in answer:
                    event = json.loads(line)
                    if event.get("type") == "ERROR":
                        raise self._refusal(path, int(event["object"].get("code") or 0), event["object"])
                    yield Event(str(event["type"]), event["object"])
            except (OSError, http.client.HTTPException, ValueError):
                return  # cut in the middle

    # What there is ----------------------------------------------------------------------------------------

    def path(self, group: str, plural: str, namespace: str = "", name: str = "") -> str:
        """Where the objects of a kind are, in the newest version of ``group`` that has ``plural``.

        Raises:
            NotInstalledError: the cluster does not have the kind.
            ClusterError: see ``get``.
        """
        version = self._version(group, plural)
        parts = [
            version,
            *(("namespaces", namespace) if namespace else ()),
            plural,
            *((name,) if name else ()),
        ]
        return "/".join(parts)

    def _version(self, group: str, plural: str) -> str:
        if not group:
            return "/api/v1"
        with self._discovering:  # asked once, however many threads ask
            for version in self._versions(group):
                if plural in self._known(version):
                    return version
        raise NotInstalledError(
            f"the cluster has no {plural}.{group}", "install what brings this kind, or ask another cluster"
        )

    def _versions(self, group: str) -> list[str]:
        """The versions of a group, as paths, the preferred one first; none where it is not installed."""
        for one in self._groups:
            if one.get("name") == group:
                preferred = one.get("preferredVersion", {}).get("groupVersion")
                names = [version["groupVersion"] for version in one.get("versions", ())]
                return [f"/apis/{name}" for name in sorted(names, key=lambda name: name != preferred)]
        return []

    @cached_property
    def _groups(self) -> list[dict[str, Any]]:
        # Open to everyone who is logged in.
        return list(self.get("/apis").get("groups") or ())

    def _known(self, version: str) -> frozenset[str]:
        """The plurals of the kinds that a version of a group has."""
        if version not in self._plurals:
            found = self.get(version).get("resources") or ()
            self._plurals[version] = frozenset(str(one["name"]) for one in found)
        return self._plurals[version]

    # The way there ----------------------------------------------------------------------------------------

    def _json(self, path: str) -> object:
        for _ in range(_ATTEMPTS):
            body = self._body(path)
            try:
                return json.loads(body)
            except ValueError:
                if not body.lstrip().startswith((b"{", b"[")):
                    break
        raise UnreachableError(
            f"what answers at {self.server} is no Kubernetes API server",
            "check the address in the kubeconfig",
        )

    def _body(self, path: str) -> bytes:
        # Who never said a word is not waited for again by each thread and each check.
        if self._silence is not None:
            raise self._silence
        try:
            found = self._answered(path)
        except SilentError as error:
            if not self._has_answered:
                self._silence = error
            raise
        self._has_answered = True
        return found

    def _answered(self, path: str) -> bytes:
        for attempt in range(_ATTEMPTS):
            self._proxy.start(self.arguments(), self.server)
            try:
                status, wait, body = self._proxy.exchange(path)
            except TimeoutError:
                raise SilentError(
                    f"{self.server} did not answer within {SECONDS:g} s", "check the network and the VPN"
                ) from None
            except (OSError, http.client.HTTPException):
                # Cut in the middle, or closed since the last question: nothing that is read changes by that.
                time.sleep(_PAUSE * attempt)
                continue
            if status == http.client.OK:
                return body
            if wait is None or attempt == _ATTEMPTS - 1:
                raise self._refusal(path, status, body)
            time.sleep(min(wait, _LONGEST_PAUSE))
        raise UnreachableError(f"{self.server} closes the connection without an answer", "try again later")

    def _refusal(self, path: str, status: int, body: bytes | Mapping[str, Any]) -> ClusterError:
        is_login = isinstance(body, bytes) and b"getting credentials" in body
        error = refusal(self.server, path, status, body, self._proxy.complaint() if is_login else "")
        group = path.split("/")[2] if path.startswith("/apis/") else ""
        if isinstance(error, ForbiddenError) and group and not self._versions(group):
            # Whoever has no rule for a kind that does not exist is told the same as for one that does.
            return NotInstalledError(f"the cluster has no API {group}")
        return error


def _selectors(labels: str, fields: str) -> dict[str, str]:
    given = {"labelSelector": labels, "fieldSelector": fields}
    return {name: value for name, value in given.items() if value}


def _asking(path: str, query: Mapping[str, str]) -> str:
    return f"{path}{'&' if '?' in path else '?'}{urlencode(query)}"
