"""The way of a commit into the cluster: source, Kustomizations, releases, pods; what brings others first."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tasks.live.judgement import Judgement, State
from tasks.live.kustomizations import has_attempted, judge_kustomization, source_of
from tasks.live.objects import Key, Object, Objects
from tasks.live.releases import is_of_older, judge_release, until
from tasks.live.sources import judge_source
from tasks.live.wanted import Wanted, WantedRelease
from tasks.live.workloads import KINDS, judge_workload, workloads_of
from tasks.yaml.documents import mapping

_FLUX = "kustomize.toolkit.fluxcd.io"


def judge_flux(objects: Objects, wanted: Wanted) -> list[Judgement]:
    """What is known of each source, Kustomization and HelmRelease, the parents first.

    What fails is only on its way while its source, or the Kustomization that applies it, has still something
    newer to bring.
    """
    sources: dict[tuple[str, str, str], Judgement] = {}
    found: dict[Key, Judgement] = {}
    for key in wanted.kustomizations:
        data = objects.find("Kustomization", *key)
        judged = judge_kustomization(objects, key, wanted)
        if data is not None:
            reference = source_of(data, key)
            if reference not in sources:
                sources[reference] = judge_source(objects, *reference, wanted)
            if not has_attempted(data, wanted):
                judged = _behind(judged, (sources[reference], found.get(_owner(data))))
        elif judged.state is State.FAIL and any(one.state is not State.PASS for one in found.values()):
            judged = replace(judged, state=State.WAIT, evidence="does not exist yet")
        found[key] = judged
    releases = [_release(objects, one, found.get(one.kustomization)) for one in wanted.releases]
    return [*sources.values(), *found.values(), *releases]


def _release(objects: Objects, wanted: WantedRelease, parent: Judgement | None) -> Judgement:
    judged = judge_release(objects, wanted)
    is_there = objects.find("HelmRelease", *wanted.key) is not None
    if parent is not None and not is_there and judged.state is State.FAIL and parent.state is not State.PASS:
        return replace(judged, state=State.WAIT, evidence="does not exist yet")
    return judged if parent is None else judged.behind(parent)


def _owner(data: Object) -> Key:
    """The Kustomization that has applied an object, by the labels that it put there."""
    labels = mapping(data, "metadata", "labels")
    return str(labels.get(f"{_FLUX}/namespace")), str(labels.get(f"{_FLUX}/name"))


def judge_pods(objects: Objects, wanted: Wanted) -> list[Judgement]:
    """What is known of the pods of each release: what fails may be mended by what is still on its way."""
    above = {one.about: one for one in judge_flux(objects, wanted)}
    found: list[Judgement] = []
    for one in wanted.releases:
        parents = [
            above.get(f"Kustomization {one.kustomization[0]}/{one.kustomization[1]}"),
            above[f"HelmRelease {one.key[0]}/{one.key[1]}"],
        ]
        counting = parents if is_of_older(objects, one.key) else parents[:1]
        found += [_behind(judged, counting) for judged in _pods(objects, one)]
    return found


def _behind(judged: Judgement, parents: Iterable[Judgement | None]) -> Judgement:
    for parent in parents:
        if parent is not None:
            judged = judged.behind(parent)
    return judged


def _pods(objects: Objects, wanted: WantedRelease) -> Iterator[Judgement]:
    workloads = workloads_of(objects, wanted.key, wanted.namespace)
    for workload in workloads:
        yield judge_workload(objects, workload, wanted.task, until(objects, wanted.key))
    if workloads:
        return
    about = f"pods of HelmRelease {wanted.key[0]}/{wanted.key[1]}"
    hidden = next(
        (
            objects.hidden[kind, wanted.namespace]
            for kind in KINDS
            if (kind, wanted.namespace) in objects.hidden
        ),
        None,
    )
    release = judge_release(objects, wanted)
    if hidden is not None:
        yield Judgement(State.UNKNOWN, about, hidden.summary, hidden.hint)
    elif release.state is State.PASS:
        yield Judgement(State.FAIL, about, "there are none", f"kubectl get all -n {wanted.namespace}")
    else:
        yield Judgement(State.WAIT, about, "there are none yet")
