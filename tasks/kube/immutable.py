"""Fields that the API server refuses to change: an object that needs it must be deleted and made anew."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tasks.kube.keys import group_of
from tasks.kube.quantities import amount
from tasks.yaml.documents import dig, mapping

_Rule = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterator[str]]

# Everything else of its spec is refused: pkg/apis/apps/validation/validation.go of Kubernetes,
# ValidateStatefulSetUpdate ("updates to statefulset spec for fields other than … are forbidden").
_OF_STATEFUL_SETS = {
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
}
# What the API server puts where a manifest says nothing: a manifest that says it changes nothing.
_DEFAULTS = {
    "podManagementPolicy": "OrderedReady",
    "volumeMode": "Filesystem",
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
    "completionMode": "NonIndexed",
    "type": "Opaque",
}
# Set by the API server, or by whoever wrote the manifest down from a cluster.
_NO_MATTER = {"creationTimestamp", "status"}


def immutable_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The fields, as dotted paths, that differ between two states of one object and cannot be changed."""
    rule = _RULES.get((group_of(after), str(after.get("kind"))))
    return [] if rule is None else list(rule(before, after))


def _fields(*paths: str) -> _Rule:
    """A rule for fields that can never be changed."""

    def rule(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
        for path in paths:
            keys = path.split(".")
            if _plain(dig(before, *keys), keys[-1]) != _plain(dig(after, *keys), keys[-1]):
                yield path

    return rule


def _stateful_set(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    keys = {*mapping(before, "spec"), *mapping(after, "spec")} - _OF_STATEFUL_SETS
    yield from _fields(*(f"spec.{key}" for key in sorted(map(str, keys))))(before, after)


def _job(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """ValidateJobSpecUpdate in pkg/apis/batch/validation/validation.go of Kubernetes.

    An Indexed Job may have another number of completions, together with its parallelism.
    """
    fields = ["selector", "template", "completionMode", "podFailurePolicy", "backoffLimitPerIndex"]
    fields += ["successPolicy", "managedBy"]
    if dig(after, "spec", "completionMode") != "Indexed":
        fields.append("completions")
    yield from _fields(*(f"spec.{key}" for key in fields))(before, after)


def _claim(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """A claim can only be made larger: https://kubernetes.io/docs/concepts/storage/persistent-volumes/."""
    old, new = (dict(mapping(one, "spec")) for one in (before, after))
    sizes = [amount(dig(one, "resources", "requests", "storage")) for one in (old, new)]
    if None not in sizes and sizes[1] < sizes[0]:  # type: ignore[operator]
        yield "spec.resources.requests.storage"
    keys = {*map(str, old), *map(str, new)} - {"resources", "volumeAttributesClassName"}
    yield from _fields(*(f"spec.{key}" for key in sorted(keys)))(before, after)


def _service(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/#ServiceSpec.

    An address that the cluster gave is kept; "None" and an address do not become each other.
    """
    if "ExternalName" not in (dig(before, "spec", "type"), dig(after, "spec", "type")):
        yield from _fields("spec.clusterIP")(before, after)
    yield from _fields("spec.loadBalancerClass")(before, after)


def _sealed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """https://kubernetes.io/docs/concepts/configuration/configmap/#configmap-immutable."""
    if before.get("immutable") is True:
        yield from _fields("data", "stringData", "binaryData", "immutable")(before, after)
    if after.get("kind") == "Secret":
        yield from _fields("type")(before, after)


_RULES: Mapping[tuple[str, str], _Rule] = {
    ("apps", "StatefulSet"): _stateful_set,
    # https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#label-selector-updates
    **{("apps", kind): _fields("spec.selector") for kind in ("Deployment", "DaemonSet", "ReplicaSet")},
    ("batch", "Job"): _job,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("", "ConfigMap"): _sealed,
    ("", "Secret"): _sealed,
    # https://kubernetes.io/docs/reference/access-authn-authz/rbac/#clusterrolebinding-example
    **{
        ("rbac.authorization.k8s.io", kind): _fields("roleRef")
        for kind in ("RoleBinding", "ClusterRoleBinding")
    },
    # ValidateStorageClassUpdate in pkg/apis/storage/validation/validation.go of Kubernetes
    ("storage.k8s.io", "StorageClass"): _fields(
        "provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"
    ),
    # https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/priority-class-v1/
    ("scheduling.k8s.io", "PriorityClass"): _fields("value", "preemptionPolicy"),
}


def _plain(value: Any, name: str) -> Any:
    """``value`` of the field ``name`` as the API server compares it: with defaults, sizes as numbers."""
    if isinstance(value, Mapping):
        found = {
            key: _plain(one, str(key))
            for key, one in value.items()
            if key not in _NO_MATTER and one is not None
        }
        if "accessModes" in found:
            found.setdefault("volumeMode", _DEFAULTS["volumeMode"])
        return found or None
    if isinstance(value, list):
        return [_plain(one, "") for one in value] or None
    if name == "storage":
        return amount(value)
    return _DEFAULTS.get(name) if value is None else value
