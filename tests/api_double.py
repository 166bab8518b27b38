"""An API server that serves objects as Kubernetes does, on a free port of loopback, and can be told to fail.

https://kubernetes.io/docs/reference/using-api/api-concepts/ (lists in parts, watches, bookmarks, 410),
https://kubernetes.io/docs/reference/access-authn-authz/rbac/ (rules).
"""

import copy
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import trustme

Object = dict[str, Any]

# group, versions with the preferred one first, plural, whether it lies in a namespace
KINDS: dict[str, tuple[str, tuple[str, ...], str, bool]] = {
    "Namespace": ("", ("v1",), "namespaces", False),
    "Node": ("", ("v1",), "nodes", False),
    "Pod": ("", ("v1",), "pods", True),
    "Service": ("", ("v1",), "services", True),
    "ConfigMap": ("", ("v1",), "configmaps", True),
    "Secret": ("", ("v1",), "secrets", True),
    "ServiceAccount": ("", ("v1",), "serviceaccounts", True),
    "Event": ("", ("v1",), "events", True),
    "PersistentVolumeClaim": ("", ("v1",), "persistentvolumeclaims", True),
    "Deployment": ("apps", ("v1",), "deployments", True),
    "StatefulSet": ("apps", ("v1",), "statefulsets", True),
    "DaemonSet": ("apps", ("v1",), "daemonsets", True),
    "ReplicaSet": ("apps", ("v1",), "replicasets", True),
    "Job": ("batch", ("v1",), "jobs", True),
    "GitRepository": ("source.toolkit.fluxcd.io", ("v1",), "gitrepositories", True),
    "OCIRepository": ("source.toolkit.fluxcd.io", ("v1",), "ocirepositories", True),
    "Bucket": ("source.toolkit.fluxcd.io", ("v1",), "buckets", True),
    "HelmRepository": ("source.toolkit.fluxcd.io", ("v1",), "helmrepositories", True),
    "HelmChart": ("source.toolkit.fluxcd.io", ("v1",), "helmcharts", True),
    "Kustomization": ("kustomize.toolkit.fluxcd.io", ("v1",), "kustomizations", True),
    "HelmRelease": ("helm.toolkit.fluxcd.io", ("v2",), "helmreleases", True),
    "Prometheus": ("monitoring.coreos.com", ("v1",), "prometheuses", True),
    "SubjectAccessReview": ("authorization.k8s.io", ("v1",), "subjectaccessreviews", False),
    "ServiceMonitor": ("monitoring.coreos.com", ("v1",), "servicemonitors", True),
}
REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict",
           410: "Expired", 429: "TooManyRequests", 500: "InternalError"}  # fmt: skip
_DISCOVERY = re.compile(r"/(?:version|api(?:/v1)?|apis(?:/[^/]+){0,2})")
_RESOURCE = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+))?"
)
_WAIT = 0.02


class Request(NamedTuple):
    """What was asked: method, path without its query, the query, and the verb in the words of RBAC."""

    method: str
    path: str
    query: Mapping[str, str]
    verb: str


class Reply(NamedTuple):
    """What is answered instead; with ``cut_after`` the connection ends after as many bytes."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    cut_after: int | None = None


def status(code: int, message: str, **more: Any) -> Reply:
    """A refusal as the API server words it; ``more`` are headers, with "_" for "-"."""
    data = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": REASONS[code], "code": code}  # fmt: skip
    return Reply(
        code, json.dumps(data).encode(), {name.replace("_", "-"): str(v) for name, v in more.items()}
    )


def cut(after: int) -> Reply:
    """An answer that ends in the middle."""
    return Reply(200, b'{"kind": "List", "items": [' + b" " * 4096, {}, after)


_NOTHING = Reply(404, b"404 page not found\n", {"Content-Type": "text/plain"})


@dataclass
class Cluster:
    """The objects of a cluster, and how it answers.

    ``refuse`` is asked before each answer. ``rules`` are RBAC rules by namespace ("": the whole cluster),
    None: everything is allowed. ``delay`` is in seconds. ``versions`` replaces those of a group.
    """

    url: str = ""
    delay: float = 0.0
    # Whether a user may do something to all objects of a kind: user, verb, plural.
    may: Callable[[str, str, str], bool] = lambda *_: True
    refuse: Callable[[Request], Reply | None] = lambda _: None
    rules: Mapping[str, Iterable[Mapping[str, Any]]] | None = None
    user: str = "system:serviceaccount:default:reader"
    versions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    without: frozenset[str] = frozenset()  # kinds that are not installed
    logs: dict[tuple[str, str, str, bool], str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    oldest: int = 0

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self.is_ending = False
        self._version = 1000
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._history: list[tuple[int, str, Object]] = []

    # What is there ----------------------------------------------------------------------------------------

    def put(self, *objects: Object) -> None:
        """Add objects, or change them."""
        with self.changed:
            for one in objects:
                self._version += 1
                data = copy.deepcopy(one)
                data.setdefault("metadata", {})["resourceVersion"] = str(self._version)
                key = _key(data)
                event = "MODIFIED" if key in self._objects else "ADDED"
                self._objects[key] = data
                self._history.append((self._version, event, data))
            self.changed.notify_all()

    def remove(self, kind: str, namespace: str, name: str) -> Object:
        """Delete an object."""
        with self.changed:
            self._version += 1
            data = self._objects.pop((kind, namespace, name))
            self._history.append((self._version, "DELETED", data))
            self.changed.notify_all()
            return data

    def load(self, folder: Path) -> None:
        """Add what lies in a folder of lists, each as the API gave it."""
        for file in sorted(folder.glob("*.json")):
            self.put(*json.loads(file.read_text(encoding="utf-8"))["items"])

    def all(self, kind: str, namespace: str = "") -> list[Object]:
        """The objects of a kind, in the order of their names."""
        found = sorted(self._objects.items())
        return [one for (what, where, _), one in found if what == kind and namespace in ("", where)]

    def change(self, kind: str, namespace: str, name: str, **parts: Any) -> None:
        """Merge ``parts`` into an object."""
        self.put(_merged(self._objects[kind, namespace, name], parts))

    def forget_history(self) -> None:
        """Have every version so far be too old to watch from."""
        self.oldest = self._version

    # What is asked ----------------------------------------------------------------------------------------

    def groups(self) -> dict[str, dict[str, list[str]]]:
        """The kinds of each version of each group."""
        found: dict[str, dict[str, list[str]]] = {}
        for kind, (group, versions, _, _) in KINDS.items():
            if kind not in self.without:
                for version in self.versions.get(kind, self.versions.get(group, versions)):
                    found.setdefault(group, {}).setdefault(version, []).append(kind)
        return found

    def answer(self, request: Request, body: bytes = b"") -> Reply | Iterator[bytes]:
        """The answer to a question; of a watch, its lines."""
        if self.delay:
            time.sleep(self.delay)
        refused = self.refuse(request)
        if refused is not None:
            return refused
        if _DISCOVERY.fullmatch(request.path):
            return self._discovery(request.path)
        asked = _RESOURCE.fullmatch(request.path)
        return _NOTHING if asked is None else self._resource(request, asked, body)

    def _resource(self, request: Request, asked: re.Match[str], body: bytes) -> Reply | Iterator[bytes]:
        group, plural, name = asked["group"] or "", asked["plural"], asked["name"] or ""
        namespace = name if plural == "namespaces" and name else asked["namespace"] or ""
        denied = self._denied(request.verb, group, plural, asked["sub"], namespace, name)
        kinds = self.groups().get(group, {}).get(asked["version"], ())
        kind = next((kind for kind in kinds if KINDS[kind][2] == plural), None)
        if denied is not None or kind is None:
            return denied or _NOTHING
        where = namespace if KINDS[kind][3] else ""
        if asked["sub"] == "log":
            return self._log(namespace, name, request.query)
        if request.method == "POST" and not name:
            return self._created(kind, where, json.loads(body))
        if name:
            return self._one(kind, where, name, request.method, body)
        if "watch" in request.query:
            return self._watch(kind, where, request.query)
        return self._list(kind, where, f"{group}/{asked['version']}".lstrip("/"), request.query)

    def _created(self, kind: str, namespace: str, data: Object) -> Reply:
        if kind == "SubjectAccessReview":
            wanted = data["spec"]["resourceAttributes"]
            is_allowed = self.may(data["spec"]["user"], wanted["verb"], wanted["resource"])
            return _ok({**data, "status": {"allowed": is_allowed}})._replace(status=201)
        self.put(data)
        return _ok(self._objects[kind, namespace, data["metadata"]["name"]])._replace(status=201)

    def _one(self, kind: str, namespace: str, name: str, method: str, body: bytes) -> Reply:
        if (kind, namespace, name) not in self._objects:
            group, _, plural, _ = KINDS[kind]
            return status(404, f'{plural}{"." + group if group else ""} "{name}" not found')
        if method == "PATCH":
            self.change(kind, namespace, name, **json.loads(body))
        if method == "DELETE":
            return _ok(self.remove(kind, namespace, name))
        return _ok(self._objects[kind, namespace, name])

    def _discovery(self, path: str) -> Reply:
        groups = self.groups()
        if path == "/version":
            return _ok({"major": "1", "minor": "34", "gitVersion": "v1.34.0"})
        if path == "/api":
            return _ok({"kind": "APIVersions", "versions": ["v1"]})
        if path == "/apis":
            listed = [
                {
                    "name": group,
                    "versions": [{"groupVersion": f"{group}/{one}", "version": one} for one in versions],
                    "preferredVersion": {
                        "groupVersion": f"{group}/{next(iter(versions))}",
                        "version": next(iter(versions)),
                    },
                }
                for group, versions in groups.items()
                if group
            ]
            return _ok({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed})
        name = path.removeprefix("/apis/").removeprefix("/api/")
        group, _, version = name.rpartition("/")
        kinds = groups.get(group, {}).get(version)
        if kinds is None:
            return _NOTHING
        resources = [
            {"name": KINDS[kind][2], "singularName": kind.lower(), "namespaced": KINDS[kind][3], "kind": kind,
             "verbs": ["get", "list", "watch", "patch", "delete", "create"]}
            for kind in kinds
        ]  # fmt: skip
        return _ok(
            {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources}
        )

    def _denied(
        self, verb: str, group: str, plural: str, sub: str | None, namespace: str, name: str
    ) -> Reply | None:
        resource = f"{plural}/{sub}" if sub else plural
        if self.rules is None:
            return None
        rules = [*self.rules.get("", ()), *(self.rules.get(namespace, ()) if namespace else ())]
        for rule in rules:
            names = rule.get("resourceNames")
            if (
                verb in rule["verbs"]
                and group in rule["apiGroups"]
                and resource in rule["resources"]
                and (not names or name in names)
            ):
                return None
        scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        full = f"{plural}.{group}" if group else plural
        named = f' "{name}"' if name else ""
        return status(
            403,
            f'{full}{named} is forbidden: User "{self.user}" cannot {verb} resource "{resource}" '
            f'in API group "{group}" {scope}',
        )

    def _list(self, kind: str, namespace: str, version: str, query: Mapping[str, str]) -> Reply:
        found = [one for one in self.all(kind, namespace) if _is_selected(one, query)]
        start = 0
        if "continue" in query:
            asked, start = map(int, query["continue"].split("."))
            if asked < self.oldest:
                return status(410, "The provided continue parameter is too old")
        limit = int(query.get("limit", "0")) or len(found)
        about: Object = {"resourceVersion": str(self._version)}
        if start + limit < len(found):
            about["continue"] = f"{self._version}.{start + limit}"
        items = [dict(one) for one in found[start : start + limit]]
        if "." not in version:  # as the API server has it for its own kinds
            for one in items:
                del one["kind"], one["apiVersion"]
        return _ok({"kind": f"{kind}List", "apiVersion": version, "metadata": about, "items": items})

    def _watch(self, kind: str, namespace: str, query: Mapping[str, str]) -> Iterator[bytes]:
        since = int(query.get("resourceVersion") or 0)
        ends = time.monotonic() + float(query.get("timeoutSeconds", "60"))
        if query.get("sendInitialEvents") == "true":
            # https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists
            since = self._version
            for one in self.all(kind, namespace):
                if _is_selected(one, query):
                    yield _line("ADDED", one)
            about = {"resourceVersion": str(since), "annotations": {"k8s.io/initial-events-end": "true"}}
            yield _line("BOOKMARK", {"kind": kind, "apiVersion": "v1", "metadata": about})
        if since < self.oldest:
            yield _line("ERROR", json.loads(status(410, f"too old resource version: {since}").body))
            return
        while not self.is_ending and time.monotonic() < ends:
            with self.changed:
                news = [one for one in self._history if one[0] > since]
                if not news:
                    self.changed.wait(min(0.1, max(0.0, ends - time.monotonic())))
                    continue
            since = news[-1][0]
            for _, event, data in news:
                where = data["metadata"].get("namespace", "")
                if data["kind"] == kind and namespace in ("", where) and _is_selected(data, query):
                    yield _line(event, data)
        bookmark = {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": str(self._version)}}
        yield _line("BOOKMARK", bookmark)

    def _log(self, namespace: str, name: str, query: Mapping[str, str]) -> Reply:
        key = (namespace, name, query.get("container", ""), query.get("previous") == "true")
        if key not in self.logs:
            return status(400, f'previous terminated container "{key[2]}" in pod "{name}" not found')
        lines = self.logs[key].splitlines(keepends=True)
        text = "".join(lines[-int(query.get("tailLines", "1000")) :])
        return Reply(200, text.encode(), {"Content-Type": "text/plain"})


@contextmanager
def serving(cluster: Cluster, certificate: trustme.LeafCert | None = None) -> Iterator[Cluster]:
    """Have ``cluster`` answer at ``cluster.url`` while the block runs; by https with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate is not None:
        certificate.configure_cert(context)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def _reply(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, parts.path, query, _verb(self.command, parts.path, query))
            cluster.requests.append(request)
            answer = cluster.answer(request, body)
            if not isinstance(answer, Reply):
                self._stream(answer)
                return
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: answer.cut_after])
            self.close_connection = answer.cut_after is not None

        def _stream(self, lines: Iterator[bytes]) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in lines:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

        do_GET = do_PATCH = do_DELETE = do_POST = do_PUT = _reply  # noqa: N815 (the base class's names)

        def setup(self) -> None:
            if certificate is not None:
                self.request = context.wrap_socket(
                    self.request, server_side=True, do_handshake_on_connect=False
                )
            super().setup()

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                pass  # whoever asked has gone
            finally:
                self.connection.close()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(_WAIT,), daemon=True)
        thread.start()
        cluster.url = f"http{'' if certificate is None else 's'}://127.0.0.1:{server.server_address[1]}"
        try:
            yield cluster
        finally:
            cluster.is_ending = True
            with cluster.changed:
                cluster.changed.notify_all()
            server.shutdown()
            thread.join()


def kubeconfig(
    path: Path, contexts: Mapping[str, str], *, current: str = "", user: Mapping[str, Any] | None = None
) -> Path:
    """Write a kubeconfig with these contexts, each with the address of its server."""
    data = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current,
        "clusters": [{"name": name, "cluster": {"server": url}} for name, url in contexts.items()],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "me"}} for name in contexts],
        "users": [{"name": "me", "user": dict(user or {})}],
    }
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def _verb(method: str, path: str, query: Mapping[str, str]) -> str:
    if method != "GET":
        return {"PATCH": "patch", "DELETE": "delete", "POST": "create", "PUT": "update"}[method]
    found = _RESOURCE.fullmatch(path)
    if found is not None and not found["name"]:
        return "watch" if "watch" in query else "list"
    return "get"


def _is_selected(one: Object, query: Mapping[str, str]) -> bool:
    labels = one["metadata"].get("labels") or {}
    return all(
        _matches(labels, term, lambda data, key: data.get(key))
        for term in _terms(query.get("labelSelector", ""))
    ) and all(_matches(one, term, _dug) for term in _terms(query.get("fieldSelector", "")))


def _terms(selector: str) -> list[str]:
    return [term for term in re.split(r",(?![^(]*\))", selector) if term]


def _matches(data: Object, term: str, value: Callable[[Object, str], Any]) -> bool:
    found = re.fullmatch(r"([\w./-]+)\s+in\s+\(([^)]*)\)", term)
    if found:
        return value(data, found[1]) in [one.strip() for one in found[2].split(",")]
    if "!=" in term:
        key, _, wanted = term.partition("!=")
        return str(value(data, key) or "") != wanted
    key, sign, wanted = term.partition("=")
    return value(data, key) is not None if not sign else str(value(data, key) or "") == wanted.lstrip("=")


def _dug(data: Object, path: str) -> Any:
    for key in path.split("."):
        data = data.get(key) if isinstance(data, dict) else None  # type: ignore[assignment]
    return data


def _key(data: Object) -> tuple[str, str, str]:
    return data["kind"], data["metadata"].get("namespace", ""), data["metadata"]["name"]


def _merged(data: Object, more: Mapping[str, Any]) -> Object:
    found = dict(data)
    for key, value in more.items():
        if isinstance(value, dict):
            found[key] = _merged(found.get(key) or {}, value)
        elif value is None:
            found.pop(key, None)
        else:
            found[key] = value
    return found


def _ok(data: Object) -> Reply:
    return Reply(200, json.dumps(data).encode())


def _line(kind: str, data: Object) -> bytes:
    return json.dumps({"type": kind, "object": data}).encode() + b"\n"
