"""What a repository shows of the settings: the value, why it is taken, what else was seen."""

import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.core.redaction import redacted
from tasks.core.settings import DOCUMENTED
from tasks.flux.grafana_operator import GrafanaInstance
from tasks.flux.layout import Layout
from tasks.flux.missing import MissingError
from tasks.flux.sources import Source
from tasks.flux.tree import FluxObject, Tree
from tasks.setup.endpoints import Endpoint, endpoints
from tasks.subjects.grafana import left_out
from tasks.workspace import Workspace


@dataclass(frozen=True)
class Candidate:
    """Something that was considered for a setting; ``why_not`` is what speaks against it."""

    value: str
    why_not: str


@dataclass(frozen=True)
class Finding:
    """What was found for the dotted ``key``: ``value`` is None where nothing was.

    ``why`` is the evidence, or the reason for there being none; ``hint`` what to do then.
    """

    key: str
    value: str | None
    why: str
    candidates: tuple[Candidate, ...] = ()
    hint: str = ""


def look(workspace: Workspace) -> list[Finding]:
    """Look for everything that init can answer from the repository."""
    layout, tree = workspace.layout, workspace.tree
    if isinstance(layout.apps, MissingError) and layout.apps.is_all:
        # Nothing else is known before the cluster is.
        return [_missing("gitops.cluster", layout.apps), *_bucket(workspace)]
    found = [
        _apps(layout, tree),
        _namespace(layout, tree),
        *_source(layout, tree),
        *_repositories(layout, tree),
        *([] if left_out(workspace.settings) else [_grafana(layout, tree)]),
        *_bucket(workspace),
    ]
    # What the user has set already needs no evidence.
    return [
        Finding(item.key, _setting(workspace, item.key), "given by you")
        if workspace.settings.chosen(item.key) and (item.value is not None or item.key.startswith("s3."))
        else item
        for item in found
    ]


def _setting(workspace: Workspace, key: str) -> str:
    section, name = key.split(".")
    return str(getattr(getattr(workspace.settings, section), name))


def _missing(key: str, error: MissingError, candidates: Sequence[Candidate] = ()) -> Finding:
    return Finding(key, None, error.summary, tuple(candidates), error.hint)


def _apps(layout: Layout, tree: Tree) -> Finding:
    listing = {folder: _apps_in(tree, folder) for folder in sorted(tree.kustomizations)}
    if isinstance(layout.apps, MissingError):
        considered = [
            Candidate(folder, f"lists {_count(apps, 'app')}; nothing shows that it is the one")
            for folder, apps in listing.items()
            if apps
        ]
        return _missing("gitops.apps", layout.apps, considered)
    reasons = [f"its kustomization lists {_count(listing.get(layout.apps, 0), 'app')}"]
    grafana = layout.grafana
    if not isinstance(grafana, MissingError) and grafana.path.startswith(f"{layout.apps}/"):
        reasons.append("Grafana among them")
    return Finding("gitops.apps", layout.apps, ", ".join(reasons))


def _apps_in(tree: Tree, folder: str) -> int:
    """How many entries of the kustomization in ``folder`` lead to a Flux Kustomization."""
    defined = {item.path for item in tree.of_kind("Kustomization")}
    entries = (posixpath.normpath(posixpath.join(folder, entry)) for entry in tree.entries(folder))
    return sum(entry in defined for entry in entries)


def _namespace(layout: Layout, tree: Tree) -> Finding:
    siblings = _beside(layout, tree)
    same = sum(item.spec.get("targetNamespace") == layout.namespace for item in siblings)
    if same:
        why = f"targetNamespace of {same} of {_count(len(siblings), 'Kustomization')} beside it"
    elif (
        isinstance(layout.apps, str) and tree.kustomization(layout.apps).get("namespace") == layout.namespace
    ):
        why = "the kustomization of the apps sets it"
    elif isinstance(layout.apps, str) and posixpath.basename(layout.apps) == layout.namespace:
        why = "the folder of the apps has this name"
    else:
        why = "nothing says another than the documented one"
    return Finding("gitops.namespace", layout.namespace, why)


def _source(layout: Layout, tree: Tree) -> Iterator[Finding]:
    source = layout.source
    if not isinstance(source, Source):
        defined = tree.of_kind("GitRepository", "OCIRepository", "Bucket")
        considered = [
            Candidate(f"{item.kind}/{item.name}", "no Kustomization reconciles from it") for item in defined
        ]
        yield _missing("flux.source", source, considered)
        return
    references = [item.spec.get("sourceRef") for item in tree.of_others("Kustomization")]
    named = Counter(
        (ref.get("kind"), ref.get("name")) for ref in references if isinstance(ref, dict) and ref.get("name")
    )
    same, total = named[source.kind, source.name], sum(named.values())
    if same:
        why = f"{same} of {_count(total, 'Kustomization')} name it"
    else:
        why = "the only one that the repository defines"
    others = tuple(
        Candidate(f"{kind}/{name}", f"{number} of {_count(total, 'Kustomization')} name it")
        for (kind, name), number in named.most_common()
        if (kind, name) != (source.kind, source.name)
    )
    yield Finding("flux.source_kind", source.kind, why)
    yield Finding("flux.source", source.name, why, others)
    inside = sum(item.namespace == source.namespace for item in tree.of_others("Kustomization"))
    yield Finding(
        "flux.namespace",
        source.namespace,
        f"the namespace of the source; {_count(inside, 'Kustomization')} named so",
    )


def _repositories(layout: Layout, tree: Tree) -> Iterator[Finding]:
    folders = Counter(posixpath.dirname(item.path) for item in tree.of_others("HelmRepository"))
    sources = layout.chart_sources
    if isinstance(sources, MissingError):
        considered = [
            Candidate(one, _why_not_repositories(tree, one, number)) for one, number in folders.most_common()
        ]
        yield _missing("gitops.repositories", sources, considered)
    elif sources.folder is not None:
        holds = _count(folders[sources.folder], "HelmRepository")
        yield Finding("gitops.repositories", sources.folder, f"holds {holds}")


def _why_not_repositories(tree: Tree, folder: str, number: int) -> str:
    holds = f"holds {_count(number, 'HelmRepository')}"
    if folder not in tree.kustomizations:
        return f"{holds}, and no kustomization that lists them"
    return f"{holds}, no more than another folder does"


def _grafana(layout: Layout, tree: Tree) -> Finding:
    place = layout.grafana
    if isinstance(place, MissingError):
        considered = [
            Candidate(path, _why_not_grafana(text))
            for path, text in tree.texts.items()
            if "grafana" in posixpath.dirname(path).lower()
            and ("HelmRelease" in text or "kind: Grafana" in text)
        ]
        return _missing("grafana.path", place, considered)
    if isinstance(place, GrafanaInstance):
        return Finding("grafana.path", place.path, f"Grafana {place.name} of the operator")
    level = ".".join(place.level)
    where = f", namespace {place.namespace}" if place.namespace else ""
    return Finding("grafana.path", place.path, f"a HelmRelease of Grafana, its values at {level}{where}")


def _why_not_grafana(text: str) -> str:
    if "kind: HelmRelease" not in text:
        return (
            "an object of the Grafana operator, no HelmRelease of the charts grafana, kube-prometheus-stack"
        )
    return "a HelmRelease, and not the only one, or not of the charts grafana, kube-prometheus-stack"


def _bucket(workspace: Workspace) -> Iterator[Finding]:
    seen = endpoints(workspace.tree.texts)
    usable = [item for item in seen if not item.why_not]
    chosen = usable[0] if usable and (len(usable) == 1 or usable[0].files > usable[1].files) else None
    others = tuple(
        Candidate(redacted(item.url), item.why_not or f"{_count(item.files, 'file')} of several: {item.path}")
        for item in seen
        if item is not chosen
    )
    if chosen is None:
        why = (
            "several S3 endpoints are named"
            if usable
            else "no file names an S3 endpoint that can be used here"
        )
        yield Finding(
            "s3.endpoint", None, why, others, "the URL of your S3 server, as https://s3.example.com"
        )
    else:
        yield Finding(
            "s3.endpoint", chosen.url, f"{_count(chosen.files, 'file')} name it: {chosen.path}", others
        )
    yield _region(chosen)
    bucket = DOCUMENTED.s3.bucket
    yield Finding("s3.bucket", bucket, "the documented name; made if there is none")


def _region(endpoint: Endpoint | None) -> Finding:
    if endpoint is not None and endpoint.region:
        return Finding("s3.region", endpoint.region, f"{endpoint.path} has it beside the endpoint")
    return Finding(
        "s3.region", "us-east-1", "what servers other than Amazon's take, unless they were given another"
    )


def _beside(layout: Layout, tree: Tree) -> list[FluxObject]:
    return [
        item
        for item in tree.of_others("Kustomization")
        if isinstance(layout.apps, str) and item.path.startswith(f"{layout.apps}/")
    ]


def _count(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def as_data(finding: Finding) -> dict[str, Any]:
    """A finding for --json."""
    return {
        "setting": finding.key,
        "value": finding.value,
        "why": finding.why,
        "candidates": [{"value": item.value, "why_not": item.why_not} for item in finding.candidates],
        "hint": finding.hint,
    }
