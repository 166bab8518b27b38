"""Reads from the cluster what the way of a commit leads through, in few questions, and those at once."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

from tasks.core.errors import PlaybookError
from tasks.effects.kubectl import ClusterError, ForbiddenError, Kubectl, NotFoundError, NotInstalledError
from tasks.live.kustomizations import source_of
from tasks.live.logs import last_words
from tasks.live.objects import Object, Objects
from tasks.live.pods import trouble_of
from tasks.live.secrets import reduced
from tasks.live.wanted import Wanted
from tasks.live.workloads import KINDS, labels_of, pods_of, references_of, workloads_of
from tasks.yaml.documents import dig, mapping

SOURCES = "source.toolkit.fluxcd.io"
PLURALS = {
    "Kustomization": ("kustomize.toolkit.fluxcd.io", "kustomizations"),
    "HelmRelease": ("helm.toolkit.fluxcd.io", "helmreleases"),
    "GitRepository": (SOURCES, "gitrepositories"),
    "OCIRepository": (SOURCES, "ocirepositories"),
    "Bucket": (SOURCES, "buckets"),
    "ExternalArtifact": (SOURCES, "externalartifacts"),
    "HelmRepository": (SOURCES, "helmrepositories"),
    "HelmChart": (SOURCES, "helmcharts"),
    "Deployment": ("apps", "deployments"),
    "StatefulSet": ("apps", "statefulsets"),
    "DaemonSet": ("apps", "daemonsets"),
    "Pod": ("", "pods"),
    "Event": ("", "events"),
    "ConfigMap": ("", "configmaps"),
    "Secret": ("", "secrets"),
    "PersistentVolumeClaim": ("", "persistentvolumeclaims"),
}
_AT_ONCE = 8
_NAME = "helm.toolkit.fluxcd.io/name"


class _Question(NamedTuple):
    """A list of a kind in a namespace, or one object of it."""

    kind: str
    namespace: str
    name: str = ""
    labels: str = ""
    fields: str = ""


def read(kubectl: Kubectl, wanted: Wanted) -> Objects:
    """All objects that lead from the pushed commit to running pods, as they are now.

    What may not be read is told in ``hidden``, under its kind and namespace, for a single object with its
    name ("monitoring/vector-config").

    Raises:
        ClusterError: the cluster cannot be asked at all.
    """
    found = read_flux(kubectl, wanted)
    found = _with(kubectl, found, _workloads(wanted))
    workloads = [
        one for release in wanted.releases for one in workloads_of(found, release.key, release.namespace)
    ]
    found = _with(kubectl, found, (_pods(one) for one in workloads))
    namespaces = {release.namespace for release in wanted.releases}
    named = {
        (str(dig(one, "metadata", "namespace")), *reference)
        for one in workloads
        for reference in references_of(pods_of(found, one))
    }
    # Also where there is no pod yet that refers to it.
    named |= {(one.namespace, "Secret", wanted.secret) for one in wanted.releases[:1] if wanted.secret}
    found = _with(
        kubectl,
        found,
        (
            *(_Question("Event", where, fields="type=Warning") for where in sorted(namespaces)),
            *(_Question("PersistentVolumeClaim", where) for where in sorted(namespaces)),
            *(_Question(kind, where, name) for where, kind, name in sorted(named)),
        ),
    )
    return replace(found, last_words=dict(_last_words(kubectl, found, workloads)))


def _last_words(
    kubectl: Kubectl, found: Objects, workloads: Iterable[Object]
) -> Iterator[tuple[tuple[str, str, str], str]]:
    """What containers said that end again and again: of one pod of each workload."""
    for workload in workloads:
        troubles = ((pod, trouble_of(found, pod)) for pod in pods_of(found, workload))
        crashing = next(((pod, one) for pod, one in troubles if one is not None and one.crashes), None)
        if crashing is not None:
            pod, trouble = crashing
            key = (str(dig(pod, "metadata", "namespace")), trouble.pod, trouble.crashes)
            yield key, last_words(kubectl, pod, trouble.crashes)


def read_flux(kubectl: Kubectl, wanted: Wanted) -> Objects:
    """The Kustomizations and HelmReleases, then what they are made of.

    Raises:
        ClusterError: the cluster cannot be asked at all, or is another one than that of the repository.
    """
    first = [_Question("Kustomization", where) for where in sorted({key[0] for key in wanted.kustomizations})]
    first += [_Question("HelmRelease", where) for where in sorted({one.key[0] for one in wanted.releases})]
    found = _with(kubectl, Objects(()), first)
    is_ours = any(found.find("Kustomization", *key) for key in wanted.kustomizations)
    if wanted.kustomizations and not found.hidden and not is_ours:
        # The first of them is what Flux begins with: not even that is there before Flux was told of it.
        raise ClusterError(
            "this does not look like the cluster of this repository: it has none of its Kustomizations",
            "set cluster.context to the right one, or set Flux up there",
        )
    return _with(kubectl, found, dict.fromkeys(_made_of(found, wanted)))


def _made_of(found: Objects, wanted: Wanted) -> Iterator[_Question]:
    """The sources of Kustomizations, and the charts and repositories of releases."""
    for key in wanted.kustomizations:
        data = found.find("Kustomization", *key)
        if data is not None:
            yield _Question(*source_of(data, key))
    for one in wanted.releases:
        release = found.find("HelmRelease", *one.key)
        spec = mapping(release, "spec", "chart", "spec", "sourceRef") or mapping(release, "spec", "chartRef")
        if release is None or not spec:
            continue
        namespace = str(spec.get("namespace") or one.key[0])
        yield _Question(str(spec.get("kind")), namespace, str(spec.get("name")))
        if mapping(release, "spec", "chart"):
            chart = str(dig(release, "status", "helmChart") or f"{namespace}/{one.key[0]}-{one.key[1]}")
            yield _Question("HelmChart", *chart.split("/", 1))


def _workloads(wanted: Wanted) -> Iterator[_Question]:
    names: dict[str, list[str]] = {}
    for one in wanted.releases:
        names.setdefault(one.namespace, []).append(labels_of(one.key)[_NAME])
    for namespace, listed in sorted(names.items()):
        for kind in KINDS:
            yield _Question(kind, namespace, labels=f"{_NAME} in ({', '.join(sorted(listed))})")


def _pods(workload: Object) -> _Question:
    labels: Mapping[str, Any] = mapping(workload, "spec", "selector", "matchLabels")
    selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    return _Question("Pod", str(dig(workload, "metadata", "namespace")), labels=selector)


def _with(kubectl: Kubectl, objects: Objects, questions: Iterable[_Question]) -> Objects:
    """``objects`` and what the answers to ``questions`` hold."""
    asked = [one for one in questions if one.kind in PLURALS]

    def ask(question: _Question) -> list[Object] | PlaybookError:
        try:
            return _answer(kubectl, question)
        except (ForbiddenError, NotInstalledError) as error:
            return error
        except NotFoundError:
            return []

    if not asked:
        return objects
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(zip(asked, pool.map(ask, asked), strict=True))
    more = [one for _, answer in answers if not isinstance(answer, PlaybookError) for one in answer]
    hidden = {
        (one.kind, f"{one.namespace}/{one.name}" if one.kind in _BY_NAME else one.namespace): answer
        for one, answer in answers
        if isinstance(answer, PlaybookError)
    }
    return objects.with_more(more, hidden)


_BY_NAME = ("ConfigMap", "Secret")


def _answer(kubectl: Kubectl, question: _Question) -> list[Object]:
    path = kubectl.path(*PLURALS[question.kind], question.namespace, question.name)
    if question.name:
        data = {"kind": question.kind, **kubectl.get(path)}
        return [reduced(data) if question.kind == "Secret" else data]
    if question.kind == "Event":
        # As many as tell the way: they are kept for an hour, and a namespace may have thousands.
        found = kubectl.get(f"{path}?limit=500&fieldSelector=type%3DWarning").get("items") or ()
        return [{"kind": "Event", **one} for one in found]
    return list(kubectl.items(path, labels=question.labels, fields=question.fields))


def watched(kubectl: Kubectl, found: Objects, wanted: Wanted) -> list[tuple[str, str]]:
    """The lists in which something changes on the way of a commit, as paths and labels."""
    flux = {
        (kind, str(dig(one, "metadata", "namespace")))
        for one in found.all
        if (kind := str(one.get("kind"))) in PLURALS and PLURALS[kind][0].endswith("toolkit.fluxcd.io")
    }
    flux |= {("Kustomization", key[0]) for key in wanted.kustomizations}
    flux |= {("HelmRelease", one.key[0]) for one in wanted.releases}
    lists = [(kind, namespace, "") for kind, namespace in sorted(flux)]
    lists += [(one.kind, one.namespace, one.labels) for one in _workloads(wanted)]
    lists += [("Pod", namespace, "") for namespace in sorted({one.namespace for one in wanted.releases})]
    asked = [one for one in lists if (one[0], one[1]) not in found.hidden]
    return [(kubectl.path(*PLURALS[kind], namespace), labels) for kind, namespace, labels in asked]
