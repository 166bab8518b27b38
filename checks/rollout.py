"""Whether pods are made anew when what they read at their start changes: the pipeline, and the login."""

import hashlib
from collections.abc import Iterable, Iterator, Set

from checks.model import Cause, Model, Outcome, failed, passed, unknown
from checks.pipeline import agents_of, config_maps_of
from tasks.effects.encrypted import revision
from tasks.kube.pods import Pod, variables
from tasks.kube.resources import Resource
from tasks.subjects.given_secret import is_given
from tasks.subjects.parseable import PARSEABLE
from tasks.subjects.vector import VECTOR, checksum_of
from tasks.yaml.documents import dig, items, mapping

# A controller that restarts pods whose ConfigMaps or Secrets change, and the annotations that ask for it:
# https://github.com/stakater/Reloader
_RELOADER = "reloader.stakater.com/auto"
_RELOADERS = {
    kind: (_RELOADER, f"{kind}.reloader.stakater.com/reload", f"{kind}.reloader.stakater.com/auto")
    for kind in ("configmap", "secret")
}


def changes_reach_the_pods(model: Model) -> Iterator[Outcome]:
    """Another pipeline makes other pods, or is read by those that run; another login makes others of both."""
    yield from _pipeline_reached(model)
    yield from _login_reached(model)


def _pipeline_reached(model: Model) -> Iterator[Outcome]:
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
    if _is_reloaded(pod, "configmap"):
        return unknown(f"{pod.owner.key} is left to Reloader, which only the cluster shows", Cause.CLUSTER)
    stale = next((name for name in pod.annotations if "checksum" in str(name)), None)
    told = f"annotation {stale} is not the checksum of it" if stale else "nothing in them changes with it"
    return failed(
        f"the pods of {pod.owner.key} stay as they are when {holder.key} changes: {told}",
        "the changed pipeline would reach the cluster, and not the running Vector",
        "invoke task-009",
        model.place_of(pod.owner),
    )


def _is_reloaded(pod: Pod, kind: str) -> bool:
    annotations = {**mapping(pod.owner.data, "metadata", "annotations"), **pod.annotations}
    return any(name in annotations for name in _RELOADERS[kind])


def _login_reached(model: Model) -> Iterator[Outcome]:
    """Another Secret makes other pods on both sides: one alone would have a login that the other refuses."""
    name = model.settings.parseable.secret
    revisions = _revisions(model, name)
    sides = [
        [pod for pod in model.pods_of(app) if pod.owner.key.kind != "Job" and _reads_secret(pod, name)]
        for app in (PARSEABLE, VECTOR)
    ]
    if not all(sides):
        # Who has no login is told by the checks of the login.
        yield passed(f"nothing on {'either' if not any(sides) else 'one'} side reads Secret {name}")
        return
    pods = [pod for side in sides for pod in side]
    left = [pod for pod in pods if not _carries(model, pod, revisions)]
    to_others = [pod for pod in left if _is_reloaded(pod, "secret")]
    if not left:
        yield passed(f"{_named(pods)} carry the revision of Secret {name}")
    elif left == to_others:
        yield unknown(f"{_named(left)}: left to Reloader, which only the cluster shows", Cause.CLUSTER)
    elif len(left) == len(pods) and not to_others and (is_given(model.workspace) or not revisions):
        yield unknown(
            f"Secret {name} is not one that the playbook encrypted, and nothing in {_named(pods)} changes "
            "with it",
            Cause.CLUSTER,
            "restart both when the login changes, in the order of docs/pipeline.md; or let Reloader do it",
        )
    else:
        stale = [pod for pod in left if pod not in to_others]
        yield failed(
            f"the pods of {_named(stale)} stay as they are when Secret {name} changes",
            "they would go on with the former login: what is sent with another than Parseable's is lost",
            f"invoke {'task-004' if stale[0] in sides[0] else 'task-009'}",
            model.place_of(stale[0].owner),
        )


def _named(pods: Iterable[Pod]) -> str:
    return " and ".join(dict.fromkeys(str(pod.owner.key) for pod in pods))


def _revisions(model: Model, name: str) -> set[str]:
    """What the Secret is known by, in whatever file it was encrypted; none where it is made elsewhere."""
    texts = (model.text(item.path) for item in model.resources.of_kind("Secret") if item.key.name == name)
    return {found for text in texts if (found := revision(text)) is not None}


def _carries(model: Model, pod: Pod, revisions: Set[str]) -> bool:
    """Whether the pods change with the Secret: by a label, an annotation, or a ConfigMap that names it."""
    if revisions & {str(value) for value in (*pod.labels.values(), *pod.annotations.values())}:
        return True
    # Whether they change with that is the question of the pipeline.
    return any(
        one in str(text)
        for one in revisions
        for holder in config_maps_of(model, pod)
        for text in mapping(holder.data, "data").values()
    )


def _reads_secret(pod: Pod, name: str) -> bool:
    """Whether a container has variables or files of a Secret."""
    if name in pod.mounted("secret"):
        return True
    return any(
        name in (dig(one, "valueFrom", "secretKeyRef", "name"), dig(one, "secretRef", "name"))
        for container in pod.containers()
        for field in ("env", "envFrom")
        for one in items(container, field)
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
