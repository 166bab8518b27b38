"""What keeps pods from running, read from their own status, their Events and the claims that they use.

The reasons are kubelet's (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tasks.live.judgement import clock, condition, message, moment
from tasks.live.objects import Object, Objects
from tasks.yaml.documents import dig, items, mapping

_IMAGE = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull")
_STARTING = ("ContainerCreating", "PodInitializing")
_KILLED = timedelta(hours=1)  # in which a container that was killed counts
_OFTEN, _LATELY = 3, timedelta(minutes=10)  # restarts, of which the last was so long ago
_SLOW = timedelta(minutes=5)  # after which a pod that is not ready is not just starting
_PENDING = 120.0  # seconds in which a node may still come
_LOST = 60.0
_UNMOUNTED = re.compile(
    r"(?:MountVolume\.SetUp failed for volume \S+ : |Unable to attach or mount volumes: )"
)


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a pod; ``is_starting`` says that it is only not ready yet.

    In ``remedy``, {task} stands for the command of what writes its release.
    ``crashes`` names the container that ends again and again: its log says why.
    """

    pod: str
    evidence: str
    remedy: str = ""
    is_starting: bool = False
    crashes: str = ""
    patience: float = 0.0


def trouble_of(objects: Objects, pod: Object) -> Trouble | None:
    """What is wrong with a pod, the cause first; None if it runs and is ready, or is about to go."""
    if dig(pod, "metadata", "deletionTimestamp") or dig(pod, "status", "phase") == "Succeeded":
        return None
    statuses = [
        *items(pod, "status", "initContainerStatuses"),
        *items(pod, "status", "containerStatuses"),
    ]
    for one in statuses:
        if (found := _container(objects, pod, one)) is not None:
            return found
    ready = condition(pod, "Ready")
    if condition(pod, "PodScheduled").get("status") == "False":
        return _unscheduled(objects, pod)
    if ready.get("status") == "True":
        return None
    return _not_ready(objects, pod, ready, [one for one in statuses if not dig(one, "ready")])


def _container(objects: Objects, pod: Object, status: Any) -> Trouble | None:
    """What is wrong with one container."""
    name, container = str(dig(pod, "metadata", "name")), str(dig(status, "name"))
    waiting, ended = mapping(status, "state", "waiting"), mapping(status, "lastState", "terminated")
    reason, restarts = waiting.get("reason"), int(dig(status, "restartCount") or 0)
    when = moment(ended.get("finishedAt"))
    if ended.get("reason") == "OOMKilled" and (reason or (when and objects.now - when < _KILLED)):
        limit = _limit(pod, container)
        return Trouble(
            name,
            f"{container}: OOMKilled ({ended.get('exitCode')}) at {clock(when, objects.now)}, "
            f"{_times(restarts)}, limit {limit}",
            f"raise {container}.memory_limit above {limit}, and push: invoke {{task}}",
        )
    if reason in _IMAGE:
        return Trouble(
            name, _image(objects, pod, status), "correct the image and its tag, and push: invoke {task}"
        )
    if reason in ("CreateContainerConfigError", "CreateContainerError"):
        return Trouble(name, f"{reason}: {message(waiting)}", _for_configuration(message(waiting), pod))
    if reason == "CrashLoopBackOff" or (reason is None and _crashes(objects, status)):
        code = ended.get("exitCode", dig(status, "state", "terminated", "exitCode"))
        words = objects.last_words.get((str(dig(pod, "metadata", "namespace")), name, container))
        return Trouble(
            name,
            f"{container}: {reason or 'ends again and again'}, {_times(restarts)}, last exit {code}"
            + (f", its last words: {words}" if words else ""),
            f"kubectl logs -n {dig(pod, 'metadata', 'namespace')} {name} -c {container} --previous",
            crashes=container,
        )
    return None


def _crashes(objects: Objects, status: Any) -> bool:
    """Whether a container has ended with an error just now, or runs between two of many such ends."""
    if dig(status, "state", "terminated", "exitCode"):
        return True
    ended = mapping(status, "lastState", "terminated")
    when = moment(ended.get("finishedAt"))
    is_often = int(dig(status, "restartCount") or 0) >= _OFTEN
    return bool(is_often and ended.get("exitCode") and when and objects.now - when < _LATELY)


def _image(objects: Objects, pod: Object, status: Any) -> str:
    """Why an image cannot be pulled: an Event tells more than "Back-off pulling image"."""
    waiting = mapping(status, "state", "waiting")
    texts = [
        message(waiting),
        *(message(one) for one in _events(objects, pod) if one.get("reason") == "Failed"),
    ]
    telling = next((text for text in texts if text and not text.startswith("Back-off")), texts[0])
    found = re.search(r"([\w./:@-]+): (not found|[^:]*(?:denied|unauthorized)[^:]*)$", telling)
    words = f"{found[1]}: {found[2]}" if found else telling
    return f"{waiting.get('reason')}: {words or dig(status, 'image')}"


def _for_configuration(text: str, pod: Object) -> str:
    secret = re.search(r"[Ss]ecret \"?(?:[\w.-]+/)?([\w.-]+)", text)
    if secret:
        return f"correct the keys of Secret {secret[1]}: invoke task-004"
    return _describe(pod)


def _unscheduled(objects: Objects, pod: Object) -> Trouble:
    """Why no node takes a pod; where a claim is not bound, why that is."""
    name, namespace = str(dig(pod, "metadata", "name")), str(dig(pod, "metadata", "namespace"))
    said = message(condition(pod, "PodScheduled"))
    for volume in items(pod, "spec", "volumes"):
        claim = str(dig(volume, "persistentVolumeClaim", "claimName") or "")
        found = objects.find("PersistentVolumeClaim", namespace, claim) if claim else None
        if found is None or dig(found, "status", "phase") == "Bound":
            continue
        why = [message(one) for one in about(objects, "PersistentVolumeClaim", namespace, claim)]
        return Trouble(
            name,
            f"waits for PersistentVolumeClaim {claim}: {why[-1] if why else 'not bound'}",
            "correct the StorageClass (parseable.staging_class), or: "
            f"kubectl describe pvc -n {namespace} {claim}",
            patience=0.0 if why else _PENDING,
        )
    return Trouble(name, f"no node takes it: {said}", _describe(pod), patience=_PENDING)


def _not_ready(objects: Objects, pod: Object, ready: Object, lacking: list[Any]) -> Trouble:
    name, node = str(dig(pod, "metadata", "name")), dig(pod, "spec", "nodeName")
    since = moment(ready.get("lastTransitionTime")) or moment(dig(pod, "metadata", "creationTimestamp"))
    told = f"not ready since {clock(since, objects.now)}"
    if dig(pod, "status", "containerStatuses") and not lacking:
        return Trouble(
            name,
            f"{told} while its containers run: node {node} does not answer",
            f"kubectl describe node {node}",
            patience=_LOST,
        )
    if dig(pod, "status", "phase") == "Failed":
        return Trouble(
            name, f"{dig(pod, 'status', 'reason')}: {dig(pod, 'status', 'message')}", _describe(pod)
        )
    unmounted = [message(one) for one in _events(objects, pod) if one.get("reason") == "FailedMount"]
    if unmounted:
        said = _UNMOUNTED.sub("", unmounted[-1])
        return Trouble(name, f"cannot be given a volume: {said}", _describe(pod), patience=_LOST)
    probes = [message(one) for one in _events(objects, pod) if one.get("reason") == "Unhealthy"]
    why = f": {probes[-1]}" if probes else ""
    waiting = next((str(found) for one in lacking if (found := dig(one, "state", "waiting", "reason"))), "")
    is_new = since is None or objects.now - since < _SLOW
    what = f"{waiting}, " if waiting and waiting not in _STARTING else ""
    return Trouble(name, f"{what}{told}{why}", _describe(pod), is_starting=is_new)


def about(objects: Objects, kind: str, namespace: str, name: str) -> list[Object]:
    """The Events about an object, the oldest first."""
    found = [
        one
        for one in objects.of("Event", namespace)
        if dig(one, "involvedObject", "kind") == kind and dig(one, "involvedObject", "name") == name
    ]
    return by_time(found)


def by_time(events: Iterable[Object]) -> list[Object]:
    """Events, the oldest first."""
    return sorted(events, key=lambda one: str(_time_of(one)))


def told_at(event: Object) -> datetime | None:
    """When an Event was told last; None if it does not say."""
    return moment(_time_of(event))


def _time_of(event: Object) -> object:
    return event.get("lastTimestamp") or event.get("eventTime") or ""


def _events(objects: Objects, pod: Object) -> list[Object]:
    return about(objects, "Pod", str(dig(pod, "metadata", "namespace")), str(dig(pod, "metadata", "name")))


def started(pod: Object) -> Iterator[tuple[str, datetime]]:
    """When each container of a pod was started that runs now."""
    for one in items(pod, "status", "containerStatuses"):
        if (when := moment(dig(one, "state", "running", "startedAt"))) is not None:
            yield str(dig(one, "name")), when


def restarts(pod: Object) -> int:
    """How often containers of a pod were started again."""
    return sum(int(dig(one, "restartCount") or 0) for one in items(pod, "status", "containerStatuses"))


def _limit(pod: Object, container: str) -> str:
    for one in items(pod, "spec", "containers"):
        if dig(one, "name") == container:
            return str(dig(one, "resources", "limits", "memory") or "not set")
    return "not known"


def _times(restarts: int) -> str:
    return f"{restarts} restart{'s' if restarts != 1 else ''}"


def _describe(pod: Object) -> str:
    return f"kubectl describe pod -n {dig(pod, 'metadata', 'namespace')} {dig(pod, 'metadata', 'name')}"
