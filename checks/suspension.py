"""What Flux is told to leave alone: whether that is on the way to what is ours."""

from collections.abc import Iterator, Mapping
from typing import Any

from checks.flux import applied
from checks.model import Model, Outcome, failed, passed
from tasks.flux.cluster import Cluster
from tasks.flux.kustomizations import FluxKustomization, dependencies_of
from tasks.kube.keys import key_of
from tasks.yaml.documents import dig, mapping

# Marks of an object, as label or annotation, with which it is not applied:
# https://fluxcd.io/flux/components/kustomize/kustomizations/#controlling-the-apply-behavior-of-resources.
_MARKS = {"kustomize.toolkit.fluxcd.io/reconcile": "disabled", "kustomize.toolkit.fluxcd.io/ssa": "Ignore"}
_Flux = tuple[Mapping[str, Any], str]


def nothing_is_suspended(model: Model) -> Iterator[Outcome]:
    """Every Kustomization, source and release that leads to ours goes on; no object of ours is left out."""
    ours = applied(model)
    for found in model.clusters:
        own = [item for cluster, item in ours if cluster is found]
        grafana = [item for item in found.kustomizations if model.grafana_file in item.files]
        held = [(item, one) for item in (*own, *grafana) for one in item.objects or ()]
        releases = [
            (one.data, one.path or item.path)
            for item, one in held
            if one.data.get("kind") == "HelmRelease" and (item in own or one.path == model.grafana_file)
        ]
        charts = [item for item in found.kustomizations if item.files & model.ours]
        way = found.holders(*own, *grafana, *charts)
        needed = list(_needed(found, way))
        seen: dict[int, _Flux] = {
            id(data): (data, path)
            for data, path in (
                *((item.data, item.path) for item in (*way, *needed)),
                *_sources(found, [*way, *needed], releases),
                *releases,
            )
        }
        for data, path in seen.values():
            if dig(data, "spec", "suspend") is True:
                yield _suspended(model, data, path, is_needed=any(data is item.data for item in needed))
        for data, path in (
            *((item.data, item.path) for item in way),
            *((one.data, one.path or item.path) for item, one in held if item in own),
        ):
            yield from _left_out(model, data, path)
    yield passed("nothing that leads to ours is suspended")


def _needed(found: Cluster, way: list[FluxKustomization]) -> Iterator[FluxKustomization]:
    """What those on the way wait for, and that waits for, as far as it has the same source.

    Of those Flux wants the same revision to be applied, which one that is suspended never is
    (kustomize-controller, checkDependencies); of others, that they are ready.
    """
    known = {item.key: item for item in found.kustomizations}
    seen = {item.key for item in way}
    waiting = list(way)
    while waiting:
        item = waiting.pop()
        for key in dependencies_of(item):
            other = known.get(key)
            if other is not None and key not in seen and other.origin == item.origin:
                seen.add(key)
                waiting.append(other)
                yield other


def _sources(found: Cluster, way: list[FluxKustomization], releases: list[_Flux]) -> Iterator[_Flux]:
    """The sources of Kustomizations and releases, as far as the repository defines them."""
    wanted = {
        (kind, namespace, name) for item in way if item.origin for kind, name, namespace in [item.origin]
    }
    for data, _ in releases:
        for keys in (("spec", "chart", "spec", "sourceRef"), ("spec", "chartRef")):
            reference = mapping(data, *keys)
            namespace = str(reference.get("namespace") or key_of(data).namespace)
            wanted.add((str(reference.get("kind")), namespace, str(reference.get("name"))))
    for kind, namespace, name in sorted(wanted):
        defined = found.defined(kind, namespace, name)
        # Of a registry there is nothing to fetch beforehand, so that nothing is suspended.
        if defined is not None and dig(defined[0], "spec", "type") != "oci":
            yield defined


def _suspended(model: Model, data: Mapping[str, Any], path: str, *, is_needed: bool) -> Outcome:
    key = key_of(data)
    what = {"Kustomization": "apply what it lists", "HelmRelease": "install or upgrade anything"}
    return failed(
        f"{key} is suspended (spec.suspend){', and ours wait for it' if is_needed else ''}",
        f"Flux would not {what.get(key.kind, 'fetch anything new from it')}, nor say that anything is wrong",
        "take suspend out where it is written (flux resume undoes one that was set by hand)",
        model.place(path, data, "spec", "suspend"),
    )


def _left_out(model: Model, data: Mapping[str, Any], path: str) -> Iterator[Outcome]:
    for field in ("annotations", "labels"):
        for name, value in _MARKS.items():
            if str(mapping(data, "metadata", field).get(name)).lower() == value.lower():
                yield failed(
                    f"{key_of(data)} has the {field[:-1]} {name}: {value}",
                    "Flux would leave it as it is in the cluster, and not make it where it is not there",
                    "take it out",
                    model.place(path, data, "metadata", field, name),
                )
