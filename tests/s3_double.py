"""Servers that speak S3's protocol on loopback and answer as a test wants, where no real one does."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import NamedTuple

_EMPTY_LISTING = "<ListBucketResult><Name>{name}</Name><KeyCount>0</KeyCount></ListBucketResult>"


class Request(NamedTuple):
    """What was asked; ``path`` with its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def region(self) -> str:
        """The region it was signed for."""
        found = re.search(r"Credential=[^/]+/\d+/([^/]+)/s3/", self.headers.get("authorization", ""))
        return found[1] if found else ""


class Reply(NamedTuple):
    """What is answered."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = {}


def error(status: int, code: str, message: str = "", **fields: str) -> Reply:
    """S3's form of an error."""
    more = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return Reply(status, f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>")


def listing(name: str = "b") -> Reply:
    """The listing of an empty bucket."""
    return Reply(200, _EMPTY_LISTING.format(name=name))


@dataclass
class Double:
    """A server that runs; ``requests`` are those it got."""

    endpoint: str
    requests: list[Request] = field(default_factory=list)


@contextmanager
def serving(answer: Callable[[Request], Reply]) -> Iterator[Double]:
    """Have a server on a free port of 127.0.0.1 that gives ``answer`` to every request."""
    requests: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            requests.append(request)
            reply = answer(request)
            content = reply.body.encode()
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_DELETE = do_HEAD = _reply  # noqa: N815 (the base class's names)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    # Not HTTPServer, which looks its own name up.
    server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Double(f"http://127.0.0.1:{server.server_address[1]}", requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Minio:
    """Answers as a MinIO server with a configured region does, where that differs from SeaweedFS.

    From MinIO's source (github.com/minio/minio, commit 7aac2a2c):

    - a signature's region other than the configured one is 400 ``AuthorizationHeaderMalformed``
      (``parseCredentialHeader`` in cmd/signature-v4-parser.go, the code in cmd/api-errors.go); the message of
      ``writeErrorResponse`` (cmd/api-response.go) names the region, and so does the element ``Region`` of
      each error (``getAPIErrorResponse`` in cmd/api-errors.go);
    - a location constraint other than it is 400 ``InvalidRegion`` (``parseLocationConstraint`` in
      cmd/handler-utils.go);
    - lifecycle rules may have ``DelMarkerExpiration`` (internal/bucket/lifecycle/rule.go) and
      ``ExpiredObjectAllVersions`` (expiration.go), which Amazon's do not;
    - setting them needs ``Content-MD5`` in releases before ``validateLengthAndChecksum`` (cmd/utils.go).
    """

    def __init__(self, region: str, buckets: Mapping[str, str] | None = None) -> None:
        self.region = region
        self.rules = dict(buckets or {})  # of each bucket, as XML

    def __call__(self, request: Request) -> Reply:
        name, _, query = request.path.lstrip("/").partition("?")
        if request.region != self.region:
            text = f"The authorization header is malformed; the region is wrong; expecting '{self.region}'."
            return self._error(400, "AuthorizationHeaderMalformed", text)
        if request.method == "PUT" and not query:
            return self._create(name, request)
        if name not in self.rules:
            return self._error(404, "NoSuchBucket", "The specified bucket does not exist")
        if query == "lifecycle":
            return self._lifecycle(name, request)
        return listing(name)

    def _create(self, name: str, request: Request) -> Reply:
        if f"<LocationConstraint>{self.region}<".encode() not in request.body:
            return self._error(400, "InvalidRegion", f"Region does not match; expecting '{self.region}'.")
        if name in self.rules:
            return self._error(409, "BucketAlreadyOwnedByYou", "You already own it.")
        self.rules[name] = ""
        return Reply(200)

    def _lifecycle(self, name: str, request: Request) -> Reply:
        if request.method == "PUT":
            if "content-md5" not in request.headers:
                return self._error(400, "MissingContentMD5", "Missing required header: Content-Md5.")
            self.rules[name] = re.sub("</?LifecycleConfiguration.*?>", "", request.body.decode())
            return Reply(200)
        if not self.rules[name]:
            return self._error(
                404, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"
            )
        return Reply(200, f"<LifecycleConfiguration>{self.rules[name]}</LifecycleConfiguration>")

    def _error(self, status: int, code: str, message: str) -> Reply:
        return error(status, code, message, Region=self.region)
