"""The identity of Kubernetes objects: group, kind, namespace and name, and which kinds have no namespace."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tasks.yaml.documents import dig

# Kinds without a namespace, as far as a repository of apps holds them; with ``kubectl api-resources
# --namespaced=false`` a cluster lists its own.
CLUSTER_SCOPED = {
    "APIService",
    "CSIDriver",
    "ClusterIssuer",
    "ClusterPolicy",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterSecretStore",
    "CustomResourceDefinition",
    "GatewayClass",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeSnapshotClass",
}


class Key(NamedTuple):
    """The identity of an object in the cluster; ``namespace`` is empty for cluster-scoped kinds."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def group_of(data: Mapping[str, Any]) -> str:
    """The API group of an object, without the version; empty for the core group."""
    return str(data.get("apiVersion") or "").rpartition("/")[0]


def key_of(data: Mapping[str, Any], namespace: str = "") -> Key:
    """The identity of ``data``, which is put into ``namespace`` where it names none."""
    kind = str(data.get("kind"))
    placed = "" if kind in CLUSTER_SCOPED else str(dig(data, "metadata", "namespace") or namespace)
    return Key(group_of(data), kind, placed, str(dig(data, "metadata", "name")))
