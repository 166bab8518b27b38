"""Whether a DaemonSet has a running pod on every node that it may run on.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
"""

from typing import Any

from tasks.live.judgement import Judgement, State, condition, name_of
from tasks.live.objects import Object
from tasks.yaml.documents import dig, items, mapping

_KEEPS_AWAY = ("NoSchedule", "NoExecute")
# What the DaemonSet controller tolerates by itself: a node that is in trouble.
_OF_TROUBLE = "node.kubernetes.io/"


def judge_nodes(workload: Object, pods: list[Object], nodes: list[Object]) -> Judgement:
    """Compare the nodes with the pods of a DaemonSet: one runs on each, but where a taint keeps it away."""
    named = name_of(workload)
    spec = mapping(workload, "spec", "template", "spec")
    ready = {dig(pod, "spec", "nodeName") for pod in pods if condition(pod, "Ready").get("status") == "True"}
    lacking: list[str] = []
    kept_away: dict[str, str] = {}
    for node in nodes:
        name = str(dig(node, "metadata", "name"))
        reason = _kept_away_by(node, spec)
        if reason:
            kept_away[name] = reason
        elif name not in ready:
            lacking.append(name)
    away = "".join(f"; none on {name}, which has {reason}" for name, reason in sorted(kept_away.items()))
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        namespace = dig(workload, "metadata", "namespace")
        return Judgement(
            State.FAIL,
            named,
            f"no pod is ready on {', '.join(sorted(lacking)[:3])}{more}, of {len(nodes)} nodes{away}",
            f"kubectl get pods -n {namespace} -o wide; kubectl describe node {min(lacking)}",
        )
    there = len(nodes) - len(kept_away)
    if not there:
        return Judgement(
            State.FAIL,
            named,
            f"no node takes its pods{away}",
            "no log is collected: add a toleration (invoke task-009), or untaint a node",
        )
    return Judgement(State.PASS, named, f"a pod is ready on {there} of {len(nodes)} nodes{away}")


def _kept_away_by(node: Object, spec: Any) -> str:
    """The taint or label that keeps the pods away from a node; empty if nothing does."""
    labels = mapping(node, "metadata", "labels")
    for key, value in mapping(spec, "nodeSelector").items():
        if labels.get(key) != value:
            return f"not the label {key}={value}"
    for taint in items(node, "spec", "taints"):
        key, effect = str(dig(taint, "key")), str(dig(taint, "effect"))
        if effect in _KEEPS_AWAY and not key.startswith(_OF_TROUBLE) and not _tolerates(spec, taint):
            return f"the taint {key}"
    return ""


def _tolerates(spec: Any, taint: Any) -> bool:
    return any(
        dig(one, "key") in (None, "", dig(taint, "key"))
        and dig(one, "effect") in (None, "", dig(taint, "effect"))
        and (dig(one, "operator") == "Exists" or dig(one, "value") == dig(taint, "value"))
        for one in items(spec, "tolerations")
    )
