"""What an S3 server or botocore says went wrong, in words for the user: one line, a hint, never a key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from tasks.core.errors import OfflineError, PlaybookError, RefusedError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.core.credentials import S3Credentials
    from tasks.core.settings import S3

REGION_CODES = frozenset(
    {
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "InvalidLocationConstraint",
        "InvalidRegion",
        "PermanentRedirect",
        "TemporaryRedirect",
    }
)
"""Codes of a server that wants requests signed for, or sent to, another region."""


class UnreachableError(OfflineError):
    """The server could not be asked, or not answer: nothing is known about the bucket (exit code 4)."""


class UntrustedError(UnreachableError):
    """The server's certificate is of no authority that is known here."""


class NamedRefusalError(RefusedError):
    """The server refused, with ``server_code`` as its reason (exit code 4)."""

    def __init__(self, summary: str, hint: str = "", server_code: str = "") -> None:
        super().__init__(summary, hint)
        self.server_code = server_code


class Action(NamedTuple):
    """One kind of request: ``verb`` goes before "bucket '…'", the rest is for a key that may not do it."""

    verb: str
    denied: str
    remedy: str


def _action(verb: str, permission: str) -> Action:
    return Action(
        verb,
        f"this S3 key may not {verb} bucket '{{bucket}}' at {{endpoint}}",
        f"grant it {permission} on the bucket",
    )


LIST = Action(
    "list",
    "{endpoint} denies bucket '{bucket}': it belongs to another account, or this key may not list it",
    "use a key of the bucket's account, grant the key s3:ListBucket, or set s3.bucket to another name",
)
CREATE = _action("create", "")._replace(
    remedy="let the server's administrator create it, or grant the key s3:CreateBucket; then run again"
)
READ_RULES = _action("read the lifecycle rules of", "s3:GetLifecycleConfiguration")
READ_VERSIONING = _action("read the versioning of", "s3:GetBucketVersioning")
SET_RULES = _action("set the lifecycle rules of", "s3:PutLifecycleConfiguration")
WRITE = _action("write to", "s3:PutObject")
READ = _action("read from", "s3:GetObject")
DELETE = _action("delete from", "s3:DeleteObject")

# Summary and hint of what means the same whatever was asked.
_KNOWN = {
    "InvalidAccessKeyId": (
        "{endpoint} does not know the S3 access key (from {origin})",
        "check that the key is of this server and not disabled",
    ),
    "SignatureDoesNotMatch": (
        "the S3 secret key (from {origin}) does not match the access key, says {endpoint}",
        "check the secret key; if it is right, a proxy before the server changes the Host header",
    ),
    "RequestTimeTooSkewed": (
        "{endpoint} refused the request because its clock and this computer's differ",
        "synchronise both clocks (NTP)",
    ),
    "BucketAlreadyExists": (
        "bucket '{bucket}' at {endpoint} belongs to another account",
        "set s3.bucket to a name that is free, or use a key of that account",
    ),
}
DENIED = frozenset({"AccessDenied", "AccessForbidden", "AllAccessDisabled", "Forbidden"})
"""Codes of a server that knows the key, and does not let it do this."""
_NOT_IMPLEMENTED = frozenset(
    {"MethodNotAllowed", "NotImplemented", "NotSupported", "UnsupportedOperation", "XNotImplemented"}
)
_NO_SUCH_CALL = frozenset({HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
_PASSING = frozenset({429, 500, 502, 503, 504})
_PROXY_VARIABLES = "HTTPS_PROXY, HTTP_PROXY"
_LONGEST = 200  # characters of somebody else's text in one line of ours


@dataclass(frozen=True)
class Words:
    """Puts errors into words for one bucket and key pair; ``proxy`` is what the requests go through."""

    settings: S3
    credentials: S3Credentials
    proxy: str = ""

    def refusal(self, action: Action, response: Mapping[str, Any]) -> PlaybookError:
        """Describe an error answer of the server, as botocore parsed it."""
        error, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
        code, status = str(error.get("Code", "")), int(metadata.get("HTTPStatusCode", 0))
        headers = metadata.get("HTTPHeaders", {})
        if status in _NO_SUCH_CALL and action in {READ_RULES, SET_RULES}:
            code = code if code and not code.isdigit() else f"HTTP {status}"
            return NamedRefusalError(*self._without_rules(code), code)
        if code.isdigit():  # botocore's code for an answer that is not in S3's form
            return self._foreign(status, headers.get("location", ""))
        message = self._clean(str(error.get("Message", ""))).rstrip(".")
        wanted = _wanted_region(error, headers, message)
        if code in REGION_CODES and wanted != self.settings.region:
            return self._region(code, wanted)
        known = self._known(action, code)
        if known is not None:
            return NamedRefusalError(self._filled(known[0]), self._filled(known[1]), code)
        words = f"{self.settings.asked} refused to {action.verb} bucket '{self.settings.bucket}'"
        if status in _PASSING:
            return UnreachableError(f"{words} for now: {code}: {message}", "try again later")
        return NamedRefusalError(f"{words}: {code}: {message}", server_code=code)

    def silence(self, error: Exception) -> PlaybookError:
        """Describe botocore's failure to ask, or to understand the answer."""
        cause = self._clean(str(getattr(error, "kwargs", {}).get("error") or error))
        for kind in type(error).__mro__:
            if kind.__name__ == "ProxyConnectionError":
                return self._no_proxy(cause)
            if kind.__name__ in _SILENCES:
                return self._with_proxy(_SILENCES[kind.__name__](self.settings, cause))
        return SettingsError(
            f"the S3 client cannot be used: {self._clean(str(error))}",
            "correct the AWS configuration (AWS_* variables, AWS_PROFILE, its files)",
        )

    def _no_proxy(self, cause: str) -> UnreachableError:
        return UnreachableError(
            f"the proxy {self.proxy} does not lead to {self.settings.asked}: {_essence(cause)}",
            f"check the proxy ({_PROXY_VARIABLES}), or name the server in NO_PROXY to ask it directly",
        )

    def _with_proxy(self, error: PlaybookError) -> PlaybookError:
        """``error`` with the proxy named, which may be at fault as well as the server."""
        if not self.proxy or not isinstance(error, RefusedError):
            return error
        summary = f"{error.summary} (asked through the proxy {self.proxy})"
        return type(error)(summary, f"check the proxy ({_PROXY_VARIABLES}); {error.hint}")

    def _known(self, action: Action, code: str) -> tuple[str, str] | None:
        if code in _KNOWN:
            return _KNOWN[code]
        if code in DENIED:
            return action.denied, action.remedy
        if code in _NOT_IMPLEMENTED and action in {READ_RULES, SET_RULES}:
            return self._without_rules(code)
        return None

    def _without_rules(self, code: str) -> tuple[str, str]:
        told = f"{self.settings.asked} does not support lifecycle rules ({code})"
        parseable = "set s3.retention to parseable, which then deletes them itself"
        return (
            f"{told}, so old logs would never be deleted",
            f"{parseable}, or use a server that supports such rules",
        )

    def _region(self, code: str, wanted: str) -> RefusedError:
        wish = f"it wants '{wanted}'" if wanted else "it does not say which one it wants"
        return NamedRefusalError(
            f"{self.settings.asked} refused region '{self.settings.region}': {wish}",
            f"set s3.region to {wanted or 'the one the server is configured with'}",
            code,
        )

    def _foreign(self, status: int, location: str) -> PlaybookError:
        endpoint, phrase = self.settings.asked, f"HTTP {status}"
        if status in set(HTTPStatus):
            phrase += f" {HTTPStatus(status).phrase}"
        if location:
            return RefusedError(
                f"{endpoint} does not answer as an S3 server: "
                f"it redirects to {self._clean(location.partition('?')[0])} ({phrase})",
                f"set {self.settings.asked_name} to where the server itself answers",
            )
        if status in _PASSING:
            return self._with_proxy(
                UnreachableError(
                    f"{endpoint} answered {phrase}: the S3 server behind it does not answer",
                    "try again later",
                )
            )
        return self._with_proxy(_not_s3(self.settings, phrase))

    def _filled(self, text: str) -> str:
        values = {"endpoint": self.settings.asked, "bucket": self.settings.bucket}
        return text.format(**values, origin=self.credentials.origin)

    def _clean(self, text: str) -> str:
        """Give somebody else's text as one short line without keys: servers quote what they were sent."""
        for key in (self.credentials.secret_key, self.credentials.access_key):
            text = text.replace(key.reveal(), "***")
        text = " ".join(text.split())
        return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _not_s3(settings: S3, answer: str) -> RefusedError:
    """Describe an endpoint that answers, but as something else."""
    return RefusedError(
        f"{settings.asked} does not answer as an S3 server: {answer}",
        f"check {settings.asked_name}: a web console often has another port or name than the S3 server",
    )


def bad_endpoint(settings: S3, cause: str) -> SettingsError:
    """Describe an endpoint that is no address."""
    return SettingsError(
        f"{settings.asked_name} is not a usable address: '{settings.asked}'",
        f"{cause}; it looks like https://s3.example.com",
    )


def _wanted_region(error: Mapping[str, Any], headers: Mapping[str, str], message: str) -> str:
    """Give the region that a refusal names: in the error, a header or its text; empty if nowhere."""
    in_text = re.search(r"expect(?:ed|ing):? '([^']+)'", message)
    return str(error.get("Region") or headers.get("x-amz-bucket-region") or (in_text[1] if in_text else ""))


def _bad_region(settings: S3, _: str) -> SettingsError:
    return SettingsError(f"s3.region cannot be '{settings.region}'", "it has letters, digits and '-' only")


def _tls(settings: S3, cause: str) -> UnreachableError:
    if not re.search("(?i)certificate|hostname", cause):
        return UnreachableError(
            f"{settings.asked} does not speak TLS: {cause}", "an endpoint without TLS starts with http://"
        )
    found = re.search(r"certificate verify failed: ([^(]+)", cause)
    reason = found[1].strip() if found else cause
    return UntrustedError(
        f"the TLS certificate of {settings.asked} is not trusted: {reason}",
        "set AWS_CA_BUNDLE to the file with the authority's certificate; Parseable must trust it too "
        "(s3.ca_config_map)",
    )


def _no_connection(settings: S3, cause: str) -> UnreachableError:
    essence = _essence(cause)
    hint = _reach(settings)
    host = urlsplit(settings.asked).hostname or ""
    service = re.fullmatch(r"([^.:]+)(?:\.([^.]+)\.svc(?:\..+)?)?", host)
    if essence == _UNRESOLVED and service:
        url = urlsplit(settings.asked)
        port = url.port or (443 if url.scheme == "https" else 80)
        where = f"-n {service[2]} " if service[2] else ""
        hint = (
            f"if only the cluster knows that name: kubectl port-forward {where}svc/{service[1]} "
            f"19000:{port}, and set s3.admin_endpoint to {url.scheme}://127.0.0.1:19000; Parseable still "
            "gets s3.endpoint"
        )
    return UnreachableError(f"{settings.asked} cannot be reached: {essence}", hint)


def _reach(settings: S3) -> str:
    return f"check {settings.asked_name}, the network and the name server"


_UNRESOLVED = "its name cannot be resolved"


def _essence(cause: str) -> str:
    """The point of what urllib3 says, whose text begins with the connection's description."""
    for words in ("Connection refused", "Network is unreachable", "No route to host", "timed out"):
        if words in cause:
            return words.lower()
    if "resolve" in cause or "Name or service not known" in cause:
        return _UNRESOLVED
    tunnel = re.search(r"Tunnel connection failed: (\d+ [\w ]*\w)", cause)
    return f"it answers {tunnel[1]}" if tunnel else cause


def _no_connection_in_time(settings: S3, cause: str) -> UnreachableError:
    return UnreachableError(
        f"{settings.asked} cannot be reached: no connection{_within(cause)}", _reach(settings)
    )


def _no_answer_in_time(settings: S3, cause: str) -> UnreachableError:
    return UnreachableError(
        f"{settings.asked} accepted the connection, but did not answer{_within(cause)}",
        "the server may be overloaded, or another program may listen there",
    )


def _within(cause: str) -> str:
    """How long was waited, as urllib3 says it."""
    found = re.search(r"timeout=([\d.]+)", cause)
    return f" within {float(found[1]):g} s" if found else " in time"


def _closed(settings: S3, _: str) -> UnreachableError:
    return UnreachableError(
        f"{settings.asked} closed the connection without an answer",
        f"if it speaks TLS, {settings.asked_name} must start with https://; otherwise try again",
    )


def _transport(settings: S3, cause: str) -> UnreachableError:
    return UnreachableError(f"asking {settings.asked} failed: {cause}", _reach(settings))


def _no_xml(settings: S3, _: str) -> RefusedError:
    return _not_s3(settings, "what it sends is not S3's XML")


# By the name of botocore's class or of one above it, the nearest first: naming them needs no import.
_SILENCES: dict[str, Callable[[S3, str], PlaybookError]] = {
    "InvalidRegionError": _bad_region,
    "EndpointProviderError": bad_endpoint,
    "SSLError": _tls,
    "ConnectTimeoutError": _no_connection_in_time,
    "ReadTimeoutError": _no_answer_in_time,
    "EndpointConnectionError": _no_connection,
    "ConnectionClosedError": _closed,
    "HTTPClientError": _transport,
    "IncompleteReadError": _transport,
    "ResponseParserError": _no_xml,
    "ValueError": _no_xml,
}
