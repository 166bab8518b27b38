"""Asks registries whether images exist, as anybody who has no account there.

The protocol: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pull
and https://distribution.github.io/distribution/spec/auth/token/
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode, urlsplit

from tasks.core.errors import OfflineError
from tasks.effects import http

# All in one header: a registry may say 404 where it has the image in a form that was not asked for
# (https://github.com/Mic92/niks3/issues/229).
_MEDIA_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

# The grammar and the defaults are those of https://github.com/distribution/reference (reference.go,
# regexp.go, normalize.go), which container runtimes use.
_HUB = "docker.io"
_HUB_NAMES = frozenset({_HUB, "index.docker.io"})
_HUB_HOST = "registry-1.docker.io"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[A-Fa-f0-9:]+\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_LONGEST_REPOSITORY = 255
_LONGEST = 1000  # of the whole; a host, a repository, a tag and a digest have less
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
# Those of https://github.com/opencontainers/go-digest; a runtime refuses others.
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}")

# One parameter or one scheme (maybe with a token68) of WWW-Authenticate: RFC 9110, sections 11.2 to 11.6.1.
_WORD = r"[\w!#$%&'*+.^`|~-]+"
_END = r"(?=\s*(?:,|$))"
_CHALLENGE_PART = re.compile(
    rf'[\s,]*(?:(?P<name>{_WORD})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s,"]+)){_END}'
    rf"|(?P<scheme>{_WORD})(?:\s+[\w.~+/-]+=*{_END}|(?=[\s,]|$)))",
    re.ASCII,
)
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Image:
    """An image as a container's ``image`` names it, with all that may be left out filled in.

    ``registry`` is a host with or without port (``docker.io`` for Docker Hub), ``reference`` a tag or digest.
    """

    registry: str
    repository: str
    reference: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``[registry/]repository[:tag][@digest]``; the tag does not count where there is a digest.

        Raises:
            ValueError: it is none, with the part that is wrong.
        """
        if len(text) > _LONGEST:
            raise ValueError(f"image '{text[:40]}…' is longer than any can be")
        name, at, digest = text.partition("@")
        if at and not _DIGEST.fullmatch(digest):
            raise ValueError(f"image {text!r} has the digest {digest!r}, which is none")
        folder, slash, last = name.rpartition("/")
        last, colon, tag = last.partition(":")
        if colon and not _TAG.fullmatch(tag):
            raise ValueError(f"image {text!r} has the tag {tag!r}, which is none")
        registry, repository = _split(folder + slash + last)
        if not _REGISTRY.fullmatch(registry):
            raise ValueError(f"image {text!r} has the registry {registry!r}, which is none")
        is_repository = _REPOSITORY.fullmatch(repository) and not _IDENTIFIER.fullmatch(text)
        if not is_repository or len(repository) > _LONGEST_REPOSITORY:
            why = "has capital letters" if repository.lower() != repository else "is none"
            raise ValueError(f"image {text!r} has the repository {repository!r}, which {why}")
        return cls(registry, repository, digest or tag or "latest")

    def __str__(self) -> str:
        separator = "@" if ":" in self.reference else ":"
        return f"{self.registry}/{self.repository}{separator}{self.reference}"

    @property
    def host(self) -> str:
        """Where the registry answers, with its port if it has one of its own."""
        return _HUB_HOST if self.registry == _HUB else self.registry


def exists(image: Image) -> bool:
    """Whether the registry has ``image`` for anybody. A registry on this computer is asked without TLS.

    404 means that it has not, as the specification demands; 401 or 403 mean nothing: Docker Hub says 401 of a
    repository that is private or not there (https://github.com/jupyterhub/binderhub/pull/1664,
    https://github.com/distribution/distribution/issues/1291). Being asked by HEAD is not counted as a pull
    by Docker Hub (https://docs.docker.com/docker-hub/usage/pulls/).

    Raises:
        NoAnswerError: the registry, or the server of its tokens, does not answer.
        OfflineError: it cannot be known for another reason: private or not there, too many questions, a
            server's error, or no registry.
    """
    place = http.address(f"https://{image.host}/v2/{image.repository}/manifests/{image.reference}")
    url = place._replace(scheme="http").geturl() if http.is_loopback(place) else place.geturl()
    accept = {"Accept": ", ".join(_MEDIA_TYPES)}
    answer = http.ask(url, headers=accept)
    if answer.status == 401:
        token = _token(image, answer)
        # The server that wants the token gets it, not one that only redirected there.
        answer = http.ask(answer.url, headers={**accept, "Authorization": f"Bearer {token}"})
    if answer.status == 404:
        return False
    if answer.status != 200:
        raise _unknown(image, answer)
    if (
        "Docker-Content-Digest" not in answer.headers
        and answer.headers.get_content_type() not in _MEDIA_TYPES
    ):
        # The page of a proxy or a login, say.
        raise OfflineError(f"{image.host} does not answer as a registry", f"check the name {image}")
    return True


def _split(name: str) -> tuple[str, str]:
    """The registry and the repository of a name without tag and digest."""
    first, slash, rest = name.partition("/")
    is_host = slash and (first == "localhost" or "." in first or ":" in first or first.lower() != first)
    registry, repository = (first, rest) if is_host else (_HUB, name)
    if registry not in _HUB_NAMES:
        return registry, repository
    return _HUB, repository if "/" in repository else f"library/{repository}"


def _token(image: Image, refusal: http.Answer) -> str:
    """A token for nobody in particular, from the place that the registry's refusal names."""
    challenge = _bearer(refusal.headers.get_all("WWW-Authenticate", []))
    if "realm" not in challenge:
        raise OfflineError(
            f"{image.host} wants a login for {image}, and does not say where anybody gets a token",
            _by_hand(image),
        )
    realm = http.address(challenge["realm"])
    # Plain HTTP is for a registry on this computer; no other may lead there.
    if realm.scheme != "https" and not (http.is_loopback(realm) and http.is_loopback(urlsplit(refusal.url))):
        raise OfflineError(
            f"{image.host} gives out tokens at {realm.netloc} without TLS",
            "let the registry's administrator correct it",
        )
    scopes = challenge.get("scope", "").split() or [f"repository:{image.repository}:pull"]
    service = [("service", challenge["service"])] if "service" in challenge else []
    query = urlencode([*service, *(("scope", scope) for scope in scopes)])
    place = realm._replace(query=f"{realm.query}&{query}".lstrip("&"))
    answer = http.ask(place.geturl(), method="GET")
    if answer.status != 200:
        raise _unknown(image, answer)
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        content = None
    found = (content.get("token") or content.get("access_token")) if isinstance(content, dict) else None
    if not isinstance(found, str) or not _TOKEN.fullmatch(found):
        raise OfflineError(f"{realm.netloc} gives no token for {image.host}", "try again later")
    return found


def _bearer(challenges: Iterable[str]) -> Mapping[str, str]:
    """The parameters of the first Bearer challenge that can be read; none if there is no such."""
    return next(filter(None, map(_bearer_in, challenges)), {})


def _bearer_in(text: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    scheme, position, text = "", 0, text.rstrip(" \t,")
    while position < len(text):
        part = _CHALLENGE_PART.match(text, position)
        if part is None:
            return {}
        position = part.end()
        if part["scheme"]:
            scheme = part["scheme"].lower()
        elif scheme == "bearer":
            value = part["bare"] or re.sub(r"\\(.)", r"\1", part["quoted"])
            found.setdefault(part["name"].lower(), value)
    return found


def _unknown(image: Image, answer: http.Answer) -> OfflineError:
    if answer.status in {401, 403}:
        return _hidden(image)
    asked = urlsplit(answer.url).netloc
    if answer.status == 429:
        return OfflineError(
            f"{asked} answers no more questions for now (HTTP 429), so {image} is not looked up",
            "try again later",
        )
    return OfflineError(f"{asked} answered HTTP {answer.status} when asked for {image}", "try again later")


def _hidden(image: Image) -> OfflineError:
    return OfflineError(
        f"{image.host} does not show {image} without an account: it is private, or not there", _by_hand(image)
    )


def _by_hand(image: Image) -> str:
    return f"check the name, and with an account: docker manifest inspect {image}"
