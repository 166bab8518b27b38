"""What waits for what: whether something of ours would wait for ever, for a ring or for what does not exist.

Flux applies a Kustomization when those that it depends on are ready, and calls it ready when all that it is
told to wait for is; a release is ready when its pods run. No way through all of these may lead back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from checks.flux import applied
from checks.model import Cause, Model, Outcome, failed, passed, unknown
from checks.references import needed_by
from tasks.flux.cluster import Cluster
from tasks.flux.kustomizations import FluxKustomization, dependencies_of
from tasks.flux.substitution import has_variable
from tasks.kube.keys import Key, key_of
from tasks.kube.pods import Pod, pods_of
from tasks.kube.shapes import shaped
from tasks.subjects.manifests import APPS
from tasks.yaml.documents import dig, items, load_documents, mapping

_FOR_EVER = "each would wait for the next for ever: Flux would say 'dependency is not ready', and apply none"


class _State(NamedTuple):
    """What can be waited for: that an object is applied (a release: installed), or that it is ready."""

    kind: str
    namespace: str
    name: str
    is_ready: bool

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class _Wait(NamedTuple):
    """What comes first, why, and FILE:LINE of that."""

    first: _State
    why: str
    place: str


@dataclass(frozen=True)
class _Release:
    data: Mapping[str, Any] = field(repr=False)
    path: str
    kustomization: tuple[str, str]

    @property
    def key(self) -> Key:
        return key_of(self.data)

    @property
    def ready(self) -> _State:
        """The state in which its pods run."""
        return _State("HelmRelease", self.key.namespace, self.key.name, is_ready=True)

    @property
    def waits(self) -> bool:
        """Whether it is ready only when its pods are."""
        return not all(dig(self.data, "spec", on, "disableWait") is True for on in ("install", "upgrade"))


class _Graph:
    """What everything in one cluster waits for, as far as the repository shows."""

    def __init__(self, model: Model, found: Cluster) -> None:
        self._model = model
        self.releases = list(_releases(found))
        self.waits: dict[_State, list[_Wait]] = {}
        self._makers = {
            (item.key.kind, item.key.namespace, item.key.name): _maker(item.helm_release, item.kustomization)
            for item in model.resources.of_kind("Secret", "ConfigMap", "ServiceAccount")
        }
        for item in found.kustomizations:
            self._add_kustomization(item)
        for release in self.releases:
            self._add_release(release)

    def _add(self, then: _State, first: _State | None, why: str, place: str) -> None:
        if first is not None and first != then:
            self.waits.setdefault(then, []).append(_Wait(first, why, place))

    def _add_kustomization(self, item: FluxKustomization) -> None:
        own, ready = _of(item.key), _of(item.key, is_ready=True)
        place = self._model.place
        for position, (namespace, name) in enumerate(dependencies_of(item)):
            # Whatever an expression says of another may hold before that is ready.
            if not dig(items(item.spec, "dependsOn")[position], "readyExpr"):
                where = place(item.path, item.data, "spec", "dependsOn", position)
                self._add(own, _of((namespace, name), is_ready=True), "depends on", where)
        for source in items(item.spec, "postBuild", "substituteFrom"):
            if dig(source, "optional") is not True:
                wanted = (str(dig(source, "kind")), item.key[0], str(dig(source, "name")))
                where = place(item.path, item.data, "spec", "postBuild")
                why = f"gets variables of {wanted[0]} {wanted[2]} from"
                self._add(own, self._makers.get(wanted), why, where)
        self._add(ready, own, "has to be applied with", f"{item.path}:1")
        waits = "wait" if item.spec.get("wait") is True else "healthChecks"
        checked = {
            (str(dig(one, "kind")), str(dig(one, "namespace") or item.key[0]), str(dig(one, "name")))
            for one in items(item.spec, "healthChecks")
        }
        if waits == "healthChecks" and not checked:
            return
        where = place(item.path, item.data, "spec", waits)
        for one in item.objects or ():
            key = key_of(one.data, item.key[0])
            if waits == "healthChecks" and (key.kind, key.namespace, key.name) not in checked:
                continue
            if key.group.endswith("toolkit.fluxcd.io") and key.kind in ("Kustomization", "HelmRelease"):
                then = _State(key.kind, key.namespace, key.name, is_ready=True)
                self._add(ready, then, f"waits ({waits}) for", where)
        for pod in pods_of(self._model.resources.objects):
            owner, release = pod.owner.key, pod.owner.helm_release
            is_held = waits == "wait" and release is None and pod.owner.kustomization == item.key
            if is_held or (waits == "healthChecks" and (owner.kind, owner.namespace, owner.name) in checked):
                if release is not None:
                    self._add(ready, _maker(release, item.key), f"waits ({waits}) for {owner} of", where)
                self._add_pod(ready, pod, where)

    def _add_release(self, release: _Release) -> None:
        key, place = release.key, self._model.place
        ready = release.ready
        own = ready._replace(is_ready=False)
        self._add(own, _of(release.kustomization), "is applied by", f"{release.path}:1")
        for position, one in enumerate(items(release.data, "spec", "dependsOn")):
            if not dig(one, "readyExpr"):
                namespace, name = str(dig(one, "namespace") or key.namespace), str(dig(one, "name"))
                where = place(release.path, release.data, "spec", "dependsOn", position)
                first = _State("HelmRelease", namespace, name, is_ready=True)
                self._add(own, first, "depends on", where)
        for source in items(release.data, "spec", "valuesFrom"):
            if dig(source, "optional") is not True:
                wanted = (str(dig(source, "kind")), key.namespace, str(dig(source, "name")))
                where = place(release.path, release.data, "spec", "valuesFrom")
                self._add(
                    own, self._makers.get(wanted), f"gets values of {wanted[0]} {wanted[2]} from", where
                )
        self._add(ready, own, "has to be installed with", f"{release.path}:1")
        if release.waits:
            for pod in pods_of(one for one in self._model.resources.objects if one.helm_release == key):
                self._add_pod(ready, pod, f"{release.path}:1")

    def _add_pod(self, ready: _State, pod: Pod, where: str) -> None:
        """``ready`` waits for a pod, and so for what that needs."""
        for kind, name in (*needed_by(pod), ("ServiceAccount", pod.account)):
            maker = self._makers.get((kind, pod.owner.key.namespace, name))
            self._add(ready, maker, f"has pods that need {kind} {name} of", where)

    def reached(self, starts: list[_State]) -> set[_State]:
        """All that ``starts`` wait for, themselves included."""
        seen, waiting = set(starts), list(starts)
        while waiting:
            for wait in self.waits.get(waiting.pop(), ()):
                if wait.first not in seen:
                    seen.add(wait.first)
                    waiting.append(wait.first)
        return seen

    def ring(self, start: _State) -> list[tuple[_State, _Wait]]:
        """The shortest way from ``start`` back to it; empty where there is none."""
        ways: dict[_State, list[tuple[_State, _Wait]]] = {start: []}
        waiting = [start]
        for state in waiting:
            for wait in self.waits.get(state, ()):
                way = [*ways[state], (state, wait)]
                if wait.first == start:
                    return way
                if wait.first not in ways:
                    ways[wait.first] = way
                    waiting.append(wait.first)
        return []


def _of(key: tuple[str, str], *, is_ready: bool = False) -> _State:
    return _State("Kustomization", key[0], key[1], is_ready)


def _maker(release: Key | None, kustomization: tuple[str, str]) -> _State:
    if release is not None:
        return _State("HelmRelease", release.namespace, release.name, is_ready=False)
    return _of(kustomization)


def _releases(found: Cluster) -> Iterator[_Release]:
    """All HelmReleases of the cluster: as builds give them, else as files say that are not built.

    The latter are looked for only if one of the former depends on another.
    """
    depends = False
    for item, one in found.built():
        if one.data.get("kind") == "HelmRelease":
            depends |= bool(items(one.data, "spec", "dependsOn"))
            yield _placed(one.data, one.path or item.path, item.key, key_of(one.data, item.key[0]).namespace)
    for item in found.kustomizations if depends else ():
        if item.objects is None:
            for path in sorted(item.files):
                for document in load_documents(found.tree.texts[path]):
                    if dig(document, "kind") == "HelmRelease":
                        given = item.spec.get("targetNamespace") or dig(document, "metadata", "namespace")
                        yield _placed(shaped(document)[0], path, item.key, str(given or item.key[0]))


def _placed(data: Mapping[str, Any], path: str, by: tuple[str, str], namespace: str) -> _Release:
    return _Release({**data, "metadata": {**mapping(data, "metadata"), "namespace": namespace}}, path, by)


def nothing_waits_for_ever(model: Model) -> Iterator[Outcome]:
    """Nothing that ours wait for waits for ours in turn, and every release that is waited for exists."""
    ours = applied(model)
    for found in model.clusters:
        own = [item for cluster, item in ours if cluster is found]
        grafana = [item for item in found.kustomizations if model.grafana_file in item.files]
        graph = _Graph(model, found)
        keys = {item.key for item in own}
        releases = [
            one for one in graph.releases if one.kustomization in keys or one.path == model.grafana_file
        ]
        starts = [_of(item.key) for item in found.holders(*own, *grafana)]
        starts += [one.ready for one in releases]
        reached = graph.reached(starts)
        seen: set[frozenset[_State]] = set()
        for state in sorted(reached):
            way = graph.ring(state)
            states = frozenset(one for one, _ in way)
            # Of rings that share a part one is told, the shortest that is met first.
            if way and not any(states & other for other in seen):
                seen.add(states)
                yield _ring(way, is_ours=bool(states & set(starts)))
        for release in releases:
            yield from _missing(model, found, graph, release)
        if any(one.ready in _needed(graph, reached) for one in releases):
            yield from model.pods_and_gaps(*APPS)[1]
    yield passed("nothing that ours wait for waits for ours")


def _needed(graph: _Graph, reached: set[_State]) -> set[_State]:
    return {wait.first for state in reached for wait in graph.waits.get(state, ())}


def _ring(way: list[tuple[_State, _Wait]], *, is_ours: bool) -> Outcome:
    start = next((at for at, (_, wait) in enumerate(way) if wait.why == "depends on"), 0)
    way = [*way[start:], *way[:start]]
    # To be applied is no more than a step between two others.
    told = [f"{state} {wait.why} {wait.first}" for state, wait in way if str(state) != str(wait.first)]
    return failed(
        f"a ring: {'; '.join(told)}{'' if is_ours else '; and ours wait for it'}",
        _FOR_EVER,
        "take one of these waits out (dependsOn, wait, healthChecks)",
        way[0][1].place,
    )


def _missing(model: Model, found: Cluster, graph: _Graph, release: _Release) -> Iterator[Outcome]:
    """What a release of ours depends on and that is no release of the cluster."""
    known = {(one.key.namespace, one.key.name) for one in graph.releases}
    for position, one in enumerate(items(release.data, "spec", "dependsOn")):
        name = str(dig(one, "name") or "")
        namespace = str(dig(one, "namespace") or release.key.namespace)
        named = f"dependsOn of HelmRelease {release.key.name} names {namespace}/{name}"
        where = model.place(release.path, release.data, "spec", "dependsOn", position)
        if not name or (namespace, name) in known:
            continue
        if has_variable(name) or has_variable(namespace):
            yield unknown(f"{named}, which holds a variable", Cause.CLUSTER, place=where)
            continue
        near = sorted(f"{other[0]}/{other[1]}" for other in known if other[1] == name)
        gap = next((gap for gap in found.gaps if gap.may_hold("HelmRelease", namespace, name)), None)
        if gap is not None and not near:
            yield unknown(
                f"{named}, which is not seen; {gap.what}, which may hold it, is not known: {gap.reason}",
                gap.cause,
                gap.remedy or f"kubectl get helmrelease -n {namespace} {name}",
                where,
            )
            continue
        there = f" (there is: {', '.join(near)})" if near else ""
        yield failed(
            f"{named}, which is no HelmRelease of this cluster{there}",
            "Flux would wait for it for ever",
            "correct the name or namespace, or take it out",
            where,
        )
