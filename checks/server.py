"""Parseable's server as it runs: what it keeps until it is uploaded, its probes, the memory of queries."""

from collections.abc import Iterator, Mapping
from typing import Any

from checks.answers import judged, shown
from checks.model import Cause, Model, Outcome, failed, passed, unknown
from checks.parseable import servers_of
from tasks.kube.pods import Pod, variables
from tasks.kube.quantities import amount
from tasks.subjects.parseable import (
    INGEST,
    LIVENESS_PATH,
    MODE_VARIABLE,
    QUERY,
    QUERY_MEMORY_VARIABLE,
    READINESS_PATH,
    STAGING,
    STAGING_VARIABLE,
)
from tasks.yaml.documents import dig, mapping

# It waits 60 s for open requests, and then uploads: v1.7.3, src/handlers/http/modal/mod.rs.
_STOPPING = 60
_GRACE = 30  # where a pod does not say: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
# More of the limit than that leaves too little for the answers, which are not in the pool; less than that is
# no query at all, and a figure in GiB taken for one in bytes.
_MOST = 0.75
_LEAST = 64 * 1024**2
_REMEDY = "invoke task-003"


def staged_lines_are_kept(model: Model) -> Iterator[Outcome]:
    """What is not uploaded yet outlives the pod as far as it can, and Kubernetes asks the server."""
    for pod, container in servers_of(model):
        problems = [
            *_probe_problems(container),
            *_ending_problems(pod),
            *_volume_problems(model, pod, container),
        ]
        yield judged(
            problems,
            passed(f"{pod.owner.key}: probes, time to upload, and staging {_staging(pod, container)[1]}"),
            consequence="lines that Parseable took are lost with its pod, or it is asked before it is ready",
            remedy=_REMEDY,
            place=model.place_of(pod.owner),
        )


def _probe_problems(container: Mapping[str, Any]) -> Iterator[str]:
    ready, alive = (dig(container, probe, "httpGet", "path") for probe in ("readinessProbe", "livenessProbe"))
    if ready != READINESS_PATH:
        yield f"readinessProbe asks {shown(ready)}, not {READINESS_PATH!r}"
    # The readiness is S3's too, and a server that is restarted without S3 does not start again.
    if alive != LIVENESS_PATH:
        yield f"livenessProbe asks {shown(alive)}, not {LIVENESS_PATH!r}"


def _ending_problems(pod: Pod) -> Iterator[str]:
    grace = pod.spec.get("terminationGracePeriodSeconds", _GRACE)
    if not isinstance(grace, int) or grace < _STOPPING:
        yield f"terminationGracePeriodSeconds is {grace}, and the server may take {_STOPPING} s to stop"


def _volume_problems(model: Model, pod: Pod, container: Mapping[str, Any]) -> Iterator[str]:
    is_kept, told = _staging(pod, container)
    mode = variables(container).get(MODE_VARIABLE)
    # One that takes no logs stages none.
    if mode == QUERY:
        return
    if not is_kept:
        wanted = model.settings.parseable.staging_class
        if wanted is not None:
            yield f"staging is {told}, not on a volume of StorageClass {wanted}"
        elif mode == INGEST:
            yield f"staging is {told}, and the servers that take logs come and go"
        return
    strategy = mapping(pod.owner.data, "spec", "strategy")
    is_alone = strategy.get("type") == "Recreate" or dig(strategy, "rollingUpdate", "maxSurge") in (
        0,
        "0",
        "0%",
    )
    if pod.owner.key.kind == "Deployment" and not is_alone:
        yield "a new server is started beside the old one (strategy), on the same staging folder"


def _staging(pod: Pod, container: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether the staging folder outlives the pod, and what it is on in words."""
    folder = variables(container).get(STAGING_VARIABLE)
    mount = pod.volume(container, folder if isinstance(folder, str) else STAGING)
    if mount is None:
        return False, "in the container itself, lost with it"
    volume, _ = mount
    # What a StatefulSet claims for each pod is not among the volumes of the pod.
    if not volume or "persistentVolumeClaim" in volume or "hostPath" in volume:
        return True, "on a volume of its own"
    return False, "in an emptyDir, whose last minute is lost with the pod if that is killed"


def queries_are_bounded(model: Model) -> Iterator[Outcome]:
    """Queries get a part of the container's memory, and no more."""
    for pod, container in servers_of(model):
        yield _bounded(model, pod, container, amount(dig(container, "resources", "limits", "memory")))


def _bounded(model: Model, pod: Pod, container: Mapping[str, Any], limit: float | None) -> Outcome:
    given = variables(container).get(QUERY_MEMORY_VARIABLE)
    if isinstance(given, dict) or (given is None and container.get("envFrom")):
        return unknown(f"{pod.owner.key}: {QUERY_MEMORY_VARIABLE} comes from elsewhere", Cause.CLUSTER)
    bytes_given = int(given) if isinstance(given, str) and given.isdecimal() else None
    if given is None:
        told = f"{QUERY_MEMORY_VARIABLE} is not set: queries may take 85 % of the node's free memory"
    elif bytes_given is None:
        told = f"{QUERY_MEMORY_VARIABLE} is {shown(given)}, not a number of bytes"
    elif bytes_given < _LEAST:
        told = f"{QUERY_MEMORY_VARIABLE} is {bytes_given} bytes, too few for any query"
    elif limit is not None and bytes_given > _MOST * limit:
        told = f"{QUERY_MEMORY_VARIABLE} is {bytes_given} bytes, of a limit of {limit:.0f} for all"
    else:
        return passed(f"{pod.owner.key}: queries may take {bytes_given} bytes")
    return failed(
        f"{pod.owner.key}: {told}",
        "one query can end the server, or none can run",
        _REMEDY,
        model.place_of(pod.owner),
    )
