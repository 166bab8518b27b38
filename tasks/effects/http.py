"""The one door to HTTP and HTTPS: asks a server, and says in plain words why there is no answer."""

import http.client
import ipaddress
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from types import MappingProxyType
from typing import Literal
from urllib.error import URLError
from urllib.parse import SplitResult, quote, urljoin, urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, UnknownHandler

from tasks.core.errors import OfflineError

SECONDS = 10.0  # of silence
BODY_BYTES = 1 << 20  # of a body that are read

Method = Literal["HEAD", "GET", "POST", "PUT"]

_AGENT = "parseable-playbook"  # some servers turn away what urllib calls itself
_MOST_REQUESTS = 10  # for one question
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NO_HEAD = frozenset({405, 501})
# What asks only; anything else is not sent to another address than the one that was meant.
_ASKING = frozenset({"HEAD", "GET"})
# All that goes along to another server: any other header may be a credential.
_HARMLESS = frozenset({"accept", "user-agent"})
_PORTS = {"http": 80, "https": 443}
_UNPRINTABLE = re.compile(r"[^!-~]")
_LONGEST = 200  # characters of somebody else's text in one line of ours
_PUNCTUATION = "!#$%&'()*+,/:;=?@[]~"  # what a URL may have beside letters and digits


class NoAnswerError(OfflineError):
    """The server could not be asked, or did not answer: there is no use in asking it again now."""


@dataclass(frozen=True)
class Answer:
    """What a server answered; ``url`` is where, after redirects.

    ``headers`` find a name in any case; ``body`` ends after ``BODY_BYTES``: the rest was not read.
    """

    url: str
    status: int
    headers: Message
    body: bytes = field(repr=False)


def ask(
    url: str,
    *,
    method: Method = "HEAD",
    headers: Mapping[str, str] = MappingProxyType({}),
    body: bytes | None = None,
    timeout: float = SECONDS,
    is_direct: bool = False,
) -> Answer:
    """Ask for ``url`` (http or https) and follow redirects; a server without HEAD is asked by GET.

    Whatever the status is, it is an answer. ``timeout`` is the longest silence, in seconds. The variables
    ``http_proxy``, ``https_proxy``, ``no_proxy`` and ``SSL_CERT_FILE`` hold; the first three not where
    ``is_direct``, as for a port that is forwarded to this computer. To another server a redirect takes no
    credentials along (RFC 9110, section 15.4), nor from https to http; with a ``body`` none is followed.

    Raises:
        NoAnswerError: no network, no such host, a certificate that is not trusted, silence, or no HTTP.
        OfflineError: ``url`` or a redirect is no address that can be asked, or redirects do not end.
    """
    opener = _opener(is_direct=is_direct)
    sent = {"User-Agent": _AGENT, **headers}
    parts = address(url)
    for _ in range(_MOST_REQUESTS):
        request = Request(url, body, sent, method=method)  # noqa: S310 (its scheme is known by now)
        answer = _exchange(opener, request, timeout)
        if method == "HEAD" and answer.status in _NO_HEAD:
            method = "GET"
            continue
        is_elsewhere = answer.status in _REDIRECTS and "Location" in answer.headers
        if not is_elsewhere or method not in _ASKING:
            return answer
        url = _target(answer)
        before, parts = parts, address(url)
        if (before.scheme, parts.scheme) == ("https", "http"):
            raise OfflineError(
                f"{before.netloc} redirects from https to http, at {parts.netloc}",
                "use an address that is served by https to the end",
            )
        if _origin(before) != _origin(parts):
            sent = {name: value for name, value in sent.items() if name.lower() in _HARMLESS}
    raise OfflineError(f"{parts.netloc} redirects without end", "correct the address")


def address(url: str) -> SplitResult:
    """The parts of ``url``, which has a host that can be asked; a user name and password are never sent.

    Raises:
        OfflineError: it is no address of the web, or holds a user name.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in _PORTS and parts.port != 0
    except ValueError:  # brackets or a port that are none
        known = False
    if not known or not parts.hostname or "@" in parts.netloc or _UNPRINTABLE.search(url):
        shown = re.split(r"[?#]", url)[0].rpartition("@")[2][:_LONGEST]
        raise OfflineError(
            f"{shown!r} is no address that can be asked",
            "it has the form https://host/path, without a user name or password",
        )
    return parts


def is_loopback(parts: SplitResult) -> bool:
    """Whether the host of an address is this computer."""
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _opener(*, is_direct: bool) -> OpenerDirector:
    # urllib's own opener also does FTP and files, and its redirects take every header along.
    opener = OpenerDirector()
    proxies = ProxyHandler({}) if is_direct else ProxyHandler()
    for handler in (proxies, UnknownHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    return opener


def _exchange(opener: OpenerDirector, request: Request, timeout: float) -> Answer:
    url, host = request.full_url, request.host
    try:
        with opener.open(request, timeout=timeout) as response:
            return Answer(url, response.status, response.headers, response.read(BODY_BYTES))
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, URLError) else error
    # A handler for proxies has put the proxy in the host's place.
    proxy = f" through the proxy {request.host}" if request.host != host else ""
    raise _no_answer(host, proxy, cause, timeout)


def _target(answer: Answer) -> str:
    # Headers are read as Latin-1, so this gives the bytes that were sent.
    place = quote(answer.headers["Location"].strip(), _PUNCTUATION, "iso-8859-1")
    try:
        return urljoin(answer.url, place)
    except ValueError:  # brackets that are none; said of the address itself
        return place


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def _no_answer(host: str, proxy: str, cause: object, timeout: float) -> NoAnswerError:
    hint = "check the proxy and the network" if proxy else "check the address and the network"
    match cause:
        case ssl.SSLCertVerificationError():
            words = f"shows a TLS certificate{proxy} that is not trusted: {_line(cause.verify_message)}"
            hint = "set SSL_CERT_FILE to the file with the authority's certificate"
        case ssl.SSLError():
            words = (
                f"does not speak TLS{proxy}: {_line((cause.reason or str(cause)).replace('_', ' ').lower())}"
            )
        case TimeoutError():
            words = f"did not answer{proxy} within {timeout:g} s"
        case socket.gaierror() | UnicodeError():
            words = f"cannot be reached{proxy}: the name cannot be resolved"
        case ConnectionResetError():
            words = f"closed the connection{proxy} without an answer"
        case http.client.HTTPException():
            words = f"does not answer{proxy} as an HTTP server does"
        case _:
            words = f"cannot be reached{proxy}: {_line(getattr(cause, 'strerror', None) or str(cause))}"
    return NoAnswerError(f"{host} {words}", hint)


def _line(said: str) -> str:
    return " ".join(said.split())[:_LONGEST]
