"""The API versions of Flux objects: those that a repository uses, else the documented ones."""

import re
from collections.abc import Iterable, Mapping

# The documented API versions. HelmRelease v2 and HelmRepository v1 exist since Flux 2.3; a repository for an
# older cluster shows others.
_DOCUMENTED_APIS = {
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
    "HelmRepository": "source.toolkit.fluxcd.io/v1",
}
_FLUX_API = re.compile(r"(?m)^apiVersion:\s*[\"']?((?:kustomize|helm|source)\.toolkit\.fluxcd\.io/\w+)")


def newest_apis(texts: Iterable[str]) -> Mapping[str, str]:
    """For each kind of Flux object the newest API version that ``texts`` use, else the documented one."""
    groups = {api.split("/")[0]: kind for kind, api in _DOCUMENTED_APIS.items()}
    used: dict[str, set[str]] = {kind: set() for kind in _DOCUMENTED_APIS}
    for text in texts:
        for match in _FLUX_API.finditer(text):
            api = match[1]
            kind = groups[api.split("/")[0]]
            # OCIRepository and others of the source group are versioned on their own.
            if kind != "HelmRepository" or re.match(
                r"[^\n]*\nkind:\s*[\"']?HelmRepository\b", text[match.start() :]
            ):
                used[kind].add(api)
    return {
        kind: max(apis, key=api_age) if (apis := used[kind]) else documented
        for kind, documented in _DOCUMENTED_APIS.items()
    }


def api_age(api: str) -> tuple[int, bool, int]:
    """Sort key of API versions ("GROUP/VERSION"): v2 after v2beta2 after v2beta1 after v1, odd ones first."""
    found = re.fullmatch(r"v(\d+)(?:(?:alpha|beta)(\d+))?", api.partition("/")[2])
    if found is None:
        return (0, False, 0)
    return (int(found[1]), found[2] is None, int(found[2] or 0))
