"""Whether the pods of Vector are made anew when their pipeline changes."""

import hashlib
from collections.abc import Iterator

from checks.model import Cause, Model, Outcome, failed, passed, unknown
from checks.pipeline import agents_of, config_maps_of
from tasks.kube.pods import Pod, variables
from tasks.kube.resources import Resource
from tasks.subjects.vector import checksum_of
from tasks.yaml.documents import items, mapping

# Controllers that restart pods whose ConfigMaps change, and the annotations that ask for it.
_RELOADERS = (
    "reloader.stakater.com/auto",
    "configmap.reloader.stakater.com/reload",
    "configmap.reloader.stakater.com/auto",
)


def changes_reach_the_pods(model: Model) -> Iterator[Outcome]:
    """Another pipeline makes other pods, or is read by those that run."""
    for pod in agents_of(model):
        holders = config_maps_of(model, pod)
        for holder in holders:
            yield _reached(model, pod, holder)
        if not holders:
            yield unknown(f"{pod.owner.key} mounts no ConfigMap that the repository shows", Cause.CLUSTER)


def _reached(model: Model, pod: Pod, holder: Resource) -> Outcome:
    data = mapping(holder.data, "data")
    values = {str(value) for value in pod.annotations.values()}
    checksums = {
        checksum_of(data),
        *(hashlib.sha256(str(text).encode()).hexdigest() for text in data.values()),
    }
    if values & checksums:
        return passed(f"the pods of {pod.owner.key} carry the checksum of {holder.key}")
    same_release = holder.helm_release is not None and holder.helm_release == pod.owner.helm_release
    if same_release and any("checksum" in str(name) for name in pod.annotations):
        return passed(f"the chart gives the pods of {pod.owner.key} the checksum of {holder.key}")
    if _is_generated(model, holder):
        return passed(f"{holder.key} is generated, with a hash of its content in its name")
    if _watches(pod):
        return passed(f"{pod.owner.key} reads its configuration again when it changes")
    annotations = {**mapping(pod.owner.data, "metadata", "annotations"), **pod.annotations}
    if any(name in annotations for name in _RELOADERS):
        return unknown(f"{pod.owner.key} is left to Reloader, which only the cluster shows", Cause.CLUSTER)
    stale = next((name for name in pod.annotations if "checksum" in str(name)), None)
    told = f"annotation {stale} is not the checksum of it" if stale else "nothing in them changes with it"
    return failed(
        f"the pods of {pod.owner.key} stay as they are when {holder.key} changes: {told}",
        "the changed pipeline would reach the cluster, and not the running Vector",
        "invoke task-009",
        model.place_of(pod.owner),
    )


def _is_generated(model: Model, holder: Resource) -> bool:
    """Whether the name of a ConfigMap ends with a hash that kustomize made of its content."""
    name = holder.key.name.rpartition("-")[0]
    return any(
        str(mapping(one).get("name")) == name
        for path in model.tree.kustomizations
        for one in items(model.tree.kustomization(path), "configMapGenerator")
    )


def _watches(pod: Pod) -> bool:
    """Whether Vector is told to read its configuration again: https://vector.dev/docs/reference/cli/."""
    return any(
        {"--watch-config", "-w"}
        & {str(one) for name in ("command", "args") for one in items(container, name)}
        or str(variables(container).get("VECTOR_WATCH_CONFIG", "")).lower() == "true"
        for container in pod.containers()
    )
