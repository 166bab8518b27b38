"""A registry that speaks the protocol of real ones on a free port of loopback, and can be told to fail.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
https://distribution.github.io/distribution/spec/auth/token/
"""

import hashlib
import json
import re
import secrets
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from functools import partial
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import trustme

INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST_PATH = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/]+)")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_SCOPE = re.compile(rf"repository:({_NAME.pattern}):([a-z,*]+)")
_IMPATIENCE = 5  # seconds until a server gives up on whoever connects and is silent


class Request(NamedTuple):
    """What was asked: the path with its query, and the headers, whose names are found in any case."""

    method: str
    path: str
    headers: Message
    body: bytes = b""


class Reply(NamedTuple):
    """What is answered; a header may be given more than once. Status 0: the connection is closed."""

    status: int
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()


@dataclass
class Server:
    """A server that runs at ``host`` (``127.0.0.1:port``); ``requests`` are those it got."""

    host: str
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://{self.host}"


@contextmanager
def serving(
    answer: Callable[[Request], Reply], certificate: trustme.LeafCert | None = None
) -> Iterator[Server]:
    """Have a server on a free port of 127.0.0.1 that gives ``answer`` to every request.

    With a certificate it also is a proxy that plays every HTTPS server itself, whatever its name.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate is not None:
        certificate.configure_cert(context)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _IMPATIENCE

        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, self.headers, body)
            server.requests.append(request)
            reply = answer(request)
            if not reply.status:
                self.close_connection = True
                return
            self.send_response(reply.status)
            given = {name.lower() for name, _ in reply.headers}
            length = [] if "content-length" in given else [("Content-Length", str(len(reply.body)))]
            for name, value in (*length, *reply.headers):
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_HEAD = do_POST = do_PUT = _reply  # noqa: N815 (the base class's names)

        def do_CONNECT(self) -> None:
            if certificate is None:
                self.send_error(403)
                return
            self.send_response(200)
            self.end_headers()
            self.connection = context.wrap_socket(self.connection, server_side=True)
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", 0)
            self.close_connection = False

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                pass  # whoever asked has gone, or does not trust the certificate
            finally:
                self.connection.close()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    # Not HTTPServer, which looks its own name up. Closing it waits for the threads of its requests.
    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as listener:
        server = Server(f"127.0.0.1:{listener.server_address[1]}")
        thread = Thread(target=partial(listener.serve_forever, poll_interval=0.02))
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()


@dataclass
class Registry:
    """Answers as a registry with a server of tokens does; push into it, then have it ``serving``.

    ``realm`` is where its tokens are given out (None: tokens are not wanted). Repositories in ``private`` are
    for others than the anonymous: a token for one of them grants nothing, or is denied if ``denies_tokens``
    is set. ``failing`` is the status of every answer to a question for a manifest, ``token_failing`` for a
    token. ``lacks_head`` is a server that knows only GET.
    """

    realm: str | None = None
    service: str = "registry.example.test"
    private: frozenset[str] = frozenset()
    denies_tokens: bool = False
    forbidden: int = 401  # what a token without access gets: 401 or 403
    token_field: str = "token"
    failing: int | None = None
    token_failing: int | None = None
    lacks_head: bool = False
    _manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    _granted: dict[str, frozenset[tuple[str, str]]] = field(default_factory=dict)  # to each token

    def push(self, name: str, tag: str, media_type: str = INDEX) -> str:
        """Have an image, which is found by ``tag`` and by the digest that this returns."""
        content = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": []}).encode()
        digest = _digest(content)
        for reference in (tag, digest):
            self._manifests[name, reference] = (media_type, content)
        return digest

    def __call__(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        if self.realm is not None and parts.path == urlsplit(self.realm).path:
            return self._token(parse_qs(parts.query))
        if parts.path == "/v2/":
            return self._refusal(request, None) or Reply(200)
        asked = _MANIFEST_PATH.fullmatch(parts.path)
        if asked is None:
            return Reply(404, b"404 page not found\n", [("Content-Type", "text/plain")])
        return self._unable(request, asked["name"]) or self._manifest(request, **asked.groupdict())

    def _unable(self, request: Request, name: str) -> Reply | None:
        if self.lacks_head and request.method == "HEAD":
            return _error(405, "UNSUPPORTED", "The operation is unsupported.")
        if self.failing is not None:
            return _failure(self.failing)
        if not _NAME.fullmatch(name):
            return _error(400, "NAME_INVALID", "invalid repository name")
        return self._refusal(request, name)

    def _manifest(self, request: Request, name: str, reference: str) -> Reply:
        if name not in {known for known, _ in self._manifests}:
            return _error(404, "NAME_UNKNOWN", "repository name not known to registry", {"name": name})
        if (name, reference) not in self._manifests:
            return _error(404, "MANIFEST_UNKNOWN", "manifest unknown", {"Tag": reference})
        media_type, content = self._manifests[name, reference]
        accepted = {word.split(";")[0].strip() for word in request.headers.get("Accept", "*/*").split(",")}
        if not accepted & {media_type, "*/*"}:
            # As GitHub's registry does (https://github.com/Mic92/niks3/issues/229).
            return _error(404, "MANIFEST_UNKNOWN", "found, but the Accept header does not support its type")
        return Reply(
            200, content, [("Content-Type", media_type), ("Docker-Content-Digest", _digest(content))]
        )

    def _refusal(self, request: Request, name: str | None) -> Reply | None:
        """What is said to whoever may not pull from ``name``."""
        if self.realm is None:
            return None
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        granted = self._granted.get(token) if scheme == "Bearer" else None
        if granted is not None and (name is None or (name, "pull") in granted):
            return None
        if granted is not None and self.forbidden == 403:
            return _error(403, "DENIED", "requested access to the resource is denied")
        challenge = f'Bearer realm="{self.realm}",service="{self.service}"'
        if name is not None:
            challenge += f',scope="repository:{name}:pull"'
        if granted is not None:
            challenge += ',error="insufficient_scope"'
        return _error(401, "UNAUTHORIZED", "authentication required", challenge=challenge)

    def _token(self, query: dict[str, list[str]]) -> Reply:
        if self.token_failing is not None:
            return _failure(self.token_failing)
        scopes = [_SCOPE.fullmatch(scope) for scope in query.get("scope", [])]
        if query.get("service") != [self.service] or not all(scopes):
            return _error(400, "UNSUPPORTED", "unknown service or malformed scope")
        wanted = {(found[1], action) for found in scopes if found for action in found[2].split(",")}
        if self.denies_tokens and any(name in self.private for name, _ in wanted):
            return _error(403, "DENIED", "requested access to the resource is denied")
        token = secrets.token_urlsafe()
        # Less access than was asked for is no error at this place.
        self._granted[token] = frozenset(
            (name, action) for name, action in wanted if action == "pull" and name not in self.private
        )
        return _json(200, {self.token_field: token, "expires_in": 300, "issued_at": "2024-05-01T12:00:00Z"})


@contextmanager
def registry_with_tokens(**features: Any) -> Iterator[tuple[Server, Registry]]:
    """Have a registry that wants tokens, which the same server gives out at ``/token``."""
    registry = Registry(**features)
    with serving(registry) as server:
        registry.realm = f"{server.url}/token"
        yield server, registry


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _failure(status: int) -> Reply:
    if status == 429:
        refused = _error(429, "TOOMANYREQUESTS", "too many requests")
        return refused._replace(headers=[*refused.headers, ("Retry-After", "60")])
    return _error(status, "UNKNOWN", "unknown error")


def _error(status: int, code: str, message: str, detail: object = None, challenge: str = "") -> Reply:
    reply = _json(status, {"errors": [{"code": code, "message": message, "detail": detail}]})
    more = [("WWW-Authenticate", challenge)] if challenge else []
    return reply._replace(headers=[*reply.headers, *more])


def _json(status: int, data: object) -> Reply:
    headers = [("Content-Type", "application/json"), ("Docker-Distribution-Api-Version", "registry/2.0")]
    return Reply(status, json.dumps(data).encode(), headers)
