"""Why a cluster could not be asked, or did not answer: one error for each reason, in plain words."""

import json
import re
from collections.abc import Mapping
from typing import Any

from tasks.core.errors import HiddenError

_LONGEST = 300  # characters of somebody else's text in one line of ours
# A line of a log, as kubectl writes it about each failed request.
_LOGGED = re.compile(r"[EWIF]\d{4} \d\d:")
_NO_CREDENTIALS = "the kubeconfig gave no credentials"
_NETWORK = "check the network, the VPN, and the address in the kubeconfig"
_LOGIN = "log in, then try: kubectl auth whoami"


class ClusterError(HiddenError):
    """The cluster could not be asked."""


class NoContextError(ClusterError):
    """There is no cluster that could be asked."""


class ContextError(ClusterError):
    """None of several clusters is chosen, or one that the kubeconfig does not have."""


class NotFoundError(ClusterError):
    """The object does not exist."""


class NotInstalledError(NotFoundError):
    """The cluster does not have the kind."""


class PodError(ClusterError):
    """A pod that is to be reached does not run."""


class ForbiddenError(ClusterError):
    """The user may not read that."""


class UnauthorizedError(ClusterError):
    """The credentials are missing, not valid, or could not be got."""


class ExpiredError(ClusterError):
    """A version of a list is too old to go on from."""


class UnreachableError(ClusterError):
    """The API server does not answer, or not as one does."""


class SilentError(UnreachableError):
    """The API server took the time that it has, and said nothing."""


def refusal(
    server: str, path: str, status: int, body: bytes | Mapping[str, Any], said: str = ""
) -> ClusterError:
    """The error that an answer other than 200 is.

    ``body`` is what came with it, or a Status object of a watch; ``said`` what kubectl wrote besides. The
    forms are those of the API server (https://kubernetes.io/docs/reference/using-api/api-concepts/), and of
    kubectl's proxy, which answers 500 or 502 with a text for a server that it did not reach.
    """
    about = body if isinstance(body, Mapping) else _status(body)
    text = "" if isinstance(body, Mapping) else _line(body.decode(errors="replace"))
    message = _line(str(about.get("message") or "")) or text
    if status == 401 or (status == 403 and "system:anonymous" in message):
        words = f"{server} refuses the credentials in the kubeconfig, which are wrong or have expired"
        return UnauthorizedError(words if status == 401 else _NO_CREDENTIALS, _LOGIN)
    if status == 403:
        return ForbiddenError(
            message or f"{path} is forbidden", "the rules that are needed: invoke verify --print-rbac"
        )
    if status == 404:
        nothing = NotInstalledError(f"the cluster has nothing at {path.partition('?')[0]}")
        return NotFoundError(message) if about else nothing
    if status == 410:
        return ExpiredError(message or "too old")
    if status == 429 or about:
        words = "is overloaded" if status == 429 else "failed"
        return UnreachableError(f"{server} {words} ({status}): {message}", "try again later")
    return not_reached(server, text, said)


def not_started(server: str, said: str) -> ClusterError:
    """The error of a proxy that ended with ``said`` before it served anything."""
    if "Please enter" in said:
        # kubectl asks for a name and a password where the kubeconfig has no credentials for an https address.
        return UnauthorizedError(_NO_CREDENTIALS, _LOGIN)
    last = _line(said.strip().rpartition("\n")[2]).removeprefix("error: ")
    return ClusterError(f"kubectl cannot go to {server}: {last}", "correct the kubeconfig")


# What kubectl says in its last line, and the error and the hint that it stands for.
_ENDINGS: tuple[tuple[str, type[ClusterError], str], ...] = (
    (r"Error from server \(NotFound\): (.*)", NotFoundError, "see what the push made there"),
    (
        r"Error from server \(Forbidden\): (?:error when creating \"STDIN\": )?(.*)",
        ForbiddenError,
        "see what you may: kubectl auth can-i --list",
    ),
    (r".*must be logged in.*", UnauthorizedError, _LOGIN),
    (r".*connection to the server .* was refused.*", UnreachableError, _NETWORK),
    (
        r".*(?:no such host|i/o timeout|no route to host|context deadline exceeded).*",
        UnreachableError,
        _NETWORK,
    ),
)


def ended(said: str, what: str) -> ClusterError:
    """The error of a kubectl that did ``what`` (a sentence's subject) and ended with ``said``."""
    last = _line(said.strip().rpartition("\n")[2])
    for pattern, kind, hint in _ENDINGS:
        if found := re.fullmatch(pattern, last):
            return kind(f"{what}: {(found.groups() or (last,))[0].removeprefix('error: ')}", hint)
    return ClusterError(f"{what}: {last.removeprefix('error: ') or 'kubectl ended without a word'}")


def not_reached(server: str, text: str, said: str = "") -> ClusterError:
    """The error behind a text with which kubectl tells that it got no answer."""
    if "getting credentials" in text or "exec plugin" in text:
        own = _line(next((one for one in reversed(said.splitlines()) if not _LOGGED.match(one)), ""))
        more = f" ({own})" if own and own not in text else ""
        return UnauthorizedError(
            f"the kubeconfig's program for logging in failed: {text.partition('exec: ')[2] or text}{more}",
            _LOGIN,
        )
    if "x509" in text or "tls:" in text:
        return UnreachableError(
            f"the certificate of {server} is not trusted: {_reason(text)}",
            "set certificate-authority of this cluster in the kubeconfig",
        )
    kind = SilentError if "i/o timeout" in text else UnreachableError
    return kind(f"{server} cannot be reached: {_reason(text)}", _NETWORK)


def _reason(text: str) -> str:
    """The last of nested reasons, which is the one that tells."""
    found = re.search(r"(x509: .*|no such host|connection refused|i/o timeout|no route to host)", text)
    return found[1] if found else text or "no answer"


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        data = json.loads(body)
    except ValueError:
        return {}
    return data if isinstance(data, dict) and data.get("kind") == "Status" else {}


def _line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
