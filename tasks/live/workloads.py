"""Whether the pods of a release run: all of them, in their newest form, and started with what they read."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from tasks.live.judgement import Judgement, State, clock, condition, is_current, message, moment, name_of
from tasks.live.objects import Object, Objects
from tasks.live.pods import Trouble, about, restarts, started, told_at, trouble_of
from tasks.yaml.documents import dig, items, mapping

KINDS = ("Deployment", "StatefulSet", "DaemonSet")
# helm-controller puts these on all that it installs.
_RELEASE = "helm.toolkit.fluxcd.io/name"
_RELEASE_NAMESPACE = "helm.toolkit.fluxcd.io/namespace"
_ACCOUNT = re.compile(r"serviceaccount \"?([\w.-]+)\"? not found")


def labels_of(key: tuple[str, str]) -> dict[str, str]:
    """The labels of all that a HelmRelease has installed."""
    return {_RELEASE: key[1], _RELEASE_NAMESPACE: key[0]}


def workloads_of(objects: Objects, key: tuple[str, str], namespace: str) -> list[Object]:
    """The workloads that a HelmRelease has installed."""
    return [one for kind in KINDS for one in objects.labelled(kind, namespace, labels_of(key))]


def pods_of(objects: Objects, workload: Object) -> list[Object]:
    """The pods of a workload, the newest first, without those that are only left over.

    A pod that was evicted, or ended with its node, stays as Failed until it is collected, however well the
    pod does that came in its place.
    """
    namespace = str(dig(workload, "metadata", "namespace"))
    found = objects.labelled("Pod", namespace, mapping(workload, "spec", "selector", "matchLabels"))
    pods = sorted(found, key=lambda pod: str(dig(pod, "metadata", "creationTimestamp")), reverse=True)
    wanted, ready, is_updated = _counts(workload)
    first = 0 if wanted and ready == wanted and is_updated else 1
    return pods[:first] + [pod for pod in pods[first:] if dig(pod, "status", "phase") != "Failed"]


def judge_workload(objects: Objects, workload: Object, task: str, until: str = "") -> Judgement:
    """Whether all pods of a workload run in their newest form.

    ``task`` is the command of what writes its release. ``until`` says when an upgrade ends that waits for
    them: until then, what crashes may still come up.
    """
    named = name_of(workload)
    namespace = str(dig(workload, "metadata", "namespace"))
    if (hidden := objects.hidden.get(("Pod", namespace))) is not None:
        return Judgement(State.UNKNOWN, named, hidden.summary, hidden.hint)
    wanted, ready, is_updated = _counts(workload)
    pods = pods_of(objects, workload)
    troubles = [found for pod in pods if (found := trouble_of(objects, pod)) is not None]
    told = f"{ready} of {wanted} ready"
    grave = [one for one in troubles if not one.is_starting]
    if grave:
        # What is told of most pods may be the same; the gravest is what will not pass by itself.
        worst = min(grave, key=lambda one: one.patience)
        more = f" (and {len(grave) - 1} more)" if len(grave) > 1 else ""
        is_awaited = bool(until and worst.crashes)
        return Judgement(
            State.WAIT if is_awaited else State.FAIL,
            named,
            f"{told}; {worst.pod}: {worst.evidence}{more}{f'; {until}' if is_awaited else ''}",
            worst.remedy.replace("{task}", task),
            worst.patience,
        )
    if not wanted:
        name = f"{str(workload.get('kind')).lower()}/{dig(workload, 'metadata', 'name')}"
        see = f"kubectl describe {name} -n {namespace}"
        return Judgement(State.FAIL, named, "no pod is wanted: it is scaled to 0, or fits no node", see)
    if ready == wanted and is_updated and not troubles:
        again = sum(map(restarts, pods))
        return Judgement(State.PASS, named, told + (f", {again} restarts" if again else ""))
    return _no_pods(objects, workload, told) or _coming(workload, told, troubles, is_updated=is_updated)


def _coming(workload: Object, told: str, troubles: list[Trouble], *, is_updated: bool) -> Judgement:
    named = name_of(workload)
    kind, namespace = str(workload.get("kind")).lower(), dig(workload, "metadata", "namespace")
    see = f"kubectl rollout status {kind}/{dig(workload, 'metadata', 'name')} -n {namespace}"
    if troubles:
        return Judgement(State.WAIT, named, f"{told}; {troubles[0].pod}: {troubles[0].evidence}", see)
    rolling = "" if is_updated else ", pods are being replaced"
    return Judgement(State.WAIT, named, f"{told}{rolling}", see)


def _counts(workload: Object) -> tuple[int, int, bool]:
    """How many pods are wanted and ready, and whether these are all there are, in their newest form."""
    status, spec = mapping(workload, "status"), mapping(workload, "spec")
    if workload.get("kind") == "DaemonSet":
        wanted = int(status.get("desiredNumberScheduled") or 0)
        updated = int(status.get("updatedNumberScheduled") or 0)
        return wanted, int(status.get("numberReady") or 0), updated == wanted and is_current(workload)
    wanted = int(spec.get("replicas", 1))
    updated, there = int(status.get("updatedReplicas") or 0), int(status.get("replicas") or 0)
    is_updated = updated == there == wanted and not status.get("unavailableReplicas") and is_current(workload)
    return wanted, int(status.get("readyReplicas") or 0), is_updated


def _no_pods(objects: Objects, workload: Object, told: str) -> Judgement | None:
    """Why pods are not even made: a Deployment has a condition for it, a DaemonSet only an Event."""
    namespace, name = str(dig(workload, "metadata", "namespace")), str(dig(workload, "metadata", "name"))
    failure = condition(workload, "ReplicaFailure")
    said = message(failure) if failure.get("status") == "True" else ""
    if not said and workload.get("kind") != "Deployment":
        made = [str(dig(pod, "metadata", "creationTimestamp")) for pod in pods_of(objects, workload)]
        newest = moment(max(made, default=""))
        # What was refused before a pod was made is over.
        refused = [
            one
            for one in about(objects, str(workload.get("kind")), namespace, name)
            if one.get("reason") == "FailedCreate"
            and (newest is None or (at := told_at(one)) is None or at > newest)
        ]
        said = message(refused[-1]) if refused else ""
    if not said:
        return None
    account = _ACCOUNT.search(said)
    remedy = f"create ServiceAccount {account[1]}: invoke task-007" if account else "correct what is refused"
    return Judgement(State.FAIL, name_of(workload), f"{told}; no pod can be made: {said}", remedy)


# What they were started with --------------------------------------------------------------------------------


def references_of(pods: Iterable[Object]) -> list[tuple[str, str]]:
    """Kind and name of every ConfigMap and Secret that pods read when they start."""
    found = {
        ("ConfigMap" if "onfigMap" in key else "Secret", str(name))
        for pod in pods
        for key, name in _references(mapping(pod, "spec"))
        if name != "kube-root-ca.crt"
    }
    return sorted(found)


def _references(spec: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for volume in items(spec, "volumes"):
        for one in (volume, *items(volume, "projected", "sources")):
            yield from (("configMap", name) for name in [dig(one, "configMap", "name")] if name)
            named = dig(one, "secret", "secretName") or dig(one, "secret", "name")
            yield from (("secret", name) for name in [named] if name)
    for container in (*items(spec, "containers"), *items(spec, "initContainers")):
        given = [*items(container, "envFrom"), *(dig(one, "valueFrom") for one in items(container, "env"))]
        for one in given:
            for key in ("configMapRef", "configMapKeyRef", "secretRef", "secretKeyRef"):
                if (name := dig(one, key, "name")) is not None:
                    yield key, name


def judge_started(objects: Objects, workload: Object) -> Iterator[Judgement]:
    """Whether the pods of a workload were started after what they read when they start was changed."""
    namespace = str(dig(workload, "metadata", "namespace"))
    pods = [pod for pod in pods_of(objects, workload) if not dig(pod, "metadata", "deletionTimestamp")]
    for kind, name in references_of(pods):
        named = f"{kind} {namespace}/{name}"
        data = objects.find(kind, namespace, name)
        if data is None:
            if (hidden := objects.hidden.get((kind, f"{namespace}/{name}"))) is not None:
                yield Judgement(State.UNKNOWN, named, hidden.summary, hidden.hint)
            continue
        changed = changed_at(data)
        readers = [pod for pod in pods if (kind, name) in references_of([pod])]
        old = [
            (pod, when)
            for pod in readers
            for _, when in sorted(started(pod))
            if changed is not None and when < changed
        ]
        if old:
            pod, when = old[0]
            more = f" (and {len(old) - 1} more)" if len(old) > 1 else ""
            target = f"{str(workload.get('kind')).lower()}/{dig(workload, 'metadata', 'name')}"
            yield Judgement(
                State.FAIL,
                named,
                f"changed {clock(changed, objects.now)}, but {dig(pod, 'metadata', 'name')} "
                f"was started {clock(when, objects.now)}{more}",
                f"kubectl rollout restart {target} -n {namespace}",
            )
        else:
            yield Judgement(State.PASS, named, f"{len(readers)} pods were started since it was changed")


def changed_at(data: Object) -> datetime | None:
    """When the data of a ConfigMap or Secret was last changed, as far as its managers' fields tell.

    https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
    """
    times = [
        moment(dig(one, "time"))
        for one in items(data, "metadata", "managedFields")
        if any(key in mapping(one, "fieldsV1") for key in ("f:data", "f:stringData", "f:binaryData"))
    ]
    known = [time for time in times if time is not None]
    return max(known) if known else moment(dig(data, "metadata", "creationTimestamp"))
