"""The S3 servers that the apps of a repository use already."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from tasks.core.redaction import HIDDEN, redacted
from tasks.yaml.templates import MARKER

# "endpointURL: https://…", "s3Url: …", and the value of a variable whose name ends so, one line below it.
_URL = r"[\"']?(?P<url>https?://[^\s\"'#,}]+)"
_KEY = re.compile(rf"(?i)^\s*(?:- )?[\"']?[\w./-]*(?:endpoint(?:_?url)?|s3_?url)[\"']?\s*:\s*{_URL}")
_NAME = re.compile(r"(?i)^\s*-?\s*name:\s*[\"']?\w*(?:endpoint(?:_url)?|s3_url)[\"']?\s*$")
_VALUE = re.compile(rf"^\s*-?\s*value:\s*{_URL}")
_REGION = re.compile(
    r"(?i)^\s*(?:- )?[\"']?\w*region[\"']?\s*:\s*[\"']?(?P<region>[a-z0-9][a-z0-9-]*)[\"']?\s*(?:#.*)?$"
)
_SAYS_S3 = re.compile(r"(?i)bucket|\bs3|s3\b")
_NEAR = 8  # lines


@dataclass(frozen=True)
class Endpoint:
    """An S3 server: how many ``files`` name it, the first of them, and the region beside it, if any.

    ``why_not`` is what keeps it from being used from here, empty if nothing does.
    """

    url: str
    files: int
    path: str
    region: str
    why_not: str


def endpoints(texts: Mapping[str, str]) -> list[Endpoint]:
    """All that ``texts`` name, the most used first; what the playbook wrote is no evidence."""
    seen: dict[str, list[tuple[str, str]]] = {}
    for path, text in texts.items():
        if _SAYS_S3.search(text) and MARKER not in text:
            for url, region in dict(_named(text.splitlines())).items():
                seen.setdefault(url, []).append((path, region))
    found = [
        Endpoint(
            url, len(uses), uses[0][0], next((region for _, region in uses if region), ""), _why_not(url)
        )
        for url, uses in seen.items()
    ]
    return sorted(found, key=lambda item: (-item.files, item.url))


def _named(lines: list[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines):
        named = number > 0 and _NAME.match(lines[number - 1])
        found = _KEY.match(line) or (_VALUE.match(line) if named else None)
        near = lines[max(0, number - _NEAR) : number + _NEAR]
        if found and any(_SAYS_S3.search(one) for one in near):
            regions = (_REGION.match(one) for one in near)
            region = next((one["region"] for one in regions if one), "")
            yield found["url"].rstrip("/"), region


def _why_not(url: str) -> str:
    if "$" in url or "{" in url:
        return "a variable is in it"
    if HIDDEN in redacted(url):
        return "a login is in it"
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return "it is no URL"
    if "." not in host or host.endswith((".svc", ".svc.cluster.local")):
        return "only pods can reach it, and the bucket is made from here"
    return ""
