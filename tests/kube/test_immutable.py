"""What cannot be changed of each kind, and what nearly the same can."""

from typing import Any

import pytest
import yaml

from tasks.kube.immutable import immutable_changes

STATEFUL_SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: a}
spec:
  serviceName: a
  replicas: 1
  selector: {matchLabels: {app: a}}
  template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: a:1}]}}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
DEPLOYMENT = "{apiVersion: apps/v1, kind: Deployment, spec: {replicas: 1, selector: {matchLabels: {app: a}}}}"
DAEMON_SET = DEPLOYMENT.replace("Deployment", "DaemonSet")
JOB = (
    "{apiVersion: batch/v1, kind: Job, spec: {backoffLimit: 6, template: {spec: {containers: [{image: a}]}}}}"
)
INDEXED = JOB.replace("backoffLimit: 6", "completionMode: Indexed, completions: 2")
CLAIM = (
    "{apiVersion: v1, kind: PersistentVolumeClaim, spec: {accessModes: [ReadWriteOnce], "
    "storageClassName: fast, resources: {requests: {storage: 5Gi}}}}"
)
SERVICE = "{apiVersion: v1, kind: Service, spec: {ports: [{port: 80}], selector: {app: a}}}"
HEADLESS = SERVICE.replace("ports:", "clusterIP: None, ports:")
BINDING = (
    "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, roleRef: {kind: ClusterRole, "
    "name: a}, subjects: [{kind: ServiceAccount, name: a}]}"
)
CONFIG_MAP = "{apiVersion: v1, kind: ConfigMap, data: {a: b}}"
SEALED = CONFIG_MAP.replace("data:", "immutable: true, data:")
SECRET = "{apiVersion: v1, kind: Secret, stringData: {a: b}}"
CLASS = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, provisioner: a, parameters: {a: b}}"
PRIORITY = "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, value: 100}"

CASES: list[tuple[str, str, str, list[str]]] = [
    (STATEFUL_SET, "serviceName: a", "serviceName: b", ["spec.serviceName"]),
    (
        STATEFUL_SET,
        "selector: {matchLabels: {app: a}}",
        "selector: {matchLabels: {app: b}}",
        ["spec.selector"],
    ),
    (STATEFUL_SET, "storage: 1Gi", "storage: 2Gi", ["spec.volumeClaimTemplates"]),
    (STATEFUL_SET, "name: data", "name: staging", ["spec.volumeClaimTemplates"]),
    (STATEFUL_SET, "  replicas: 1", "  podManagementPolicy: Parallel", ["spec.podManagementPolicy"]),
    (STATEFUL_SET, "  replicas: 1", "  podManagementPolicy: OrderedReady", []),
    (STATEFUL_SET, "storage: 1Gi", "storage: 1024Mi", []),
    (STATEFUL_SET, "spec: {accessModes", "spec: {volumeMode: Filesystem, accessModes", []),
    (STATEFUL_SET, "metadata: {name: data}", "metadata: {name: data, creationTimestamp: null}", []),
    (STATEFUL_SET, "image: a:1", "image: a:2", []),
    (STATEFUL_SET, "replicas: 1", "replicas: 3\n  minReadySeconds: 5", []),
    (STATEFUL_SET, "replicas: 1", "persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}", []),
    (DEPLOYMENT, "app: a", "app: b", ["spec.selector"]),
    (DEPLOYMENT, "replicas: 1", "replicas: 2, strategy: {type: Recreate}", []),
    (DAEMON_SET, "app: a", "app: a, more: b", ["spec.selector"]),
    (JOB, "image: a", "image: b", ["spec.template"]),
    (JOB, "backoffLimit: 6", "backoffLimit: 3, ttlSecondsAfterFinished: 60", []),
    (JOB, "backoffLimit: 6", "backoffLimit: 6, completions: 2", ["spec.completions"]),
    (JOB, "backoffLimit: 6", "backoffLimit: 6, completionMode: NonIndexed", []),
    (INDEXED, "completions: 2", "completions: 3, parallelism: 3", []),
    (CLAIM, "storage: 5Gi", "storage: 10Gi", []),
    (CLAIM, "storage: 5Gi", "storage: 4Gi", ["spec.resources.requests.storage"]),
    (CLAIM, "fast", "slow", ["spec.storageClassName"]),
    (CLAIM, "ReadWriteOnce", "ReadWriteMany", ["spec.accessModes"]),
    (CLAIM, "storageClassName", "volumeMode: Filesystem, storageClassName", []),
    (CLAIM, "storageClassName", "volumeMode: Block, storageClassName", ["spec.volumeMode"]),
    (SERVICE, "ports:", "clusterIP: None, ports:", ["spec.clusterIP"]),
    (HEADLESS, "clusterIP: None, ", "", ["spec.clusterIP"]),
    (HEADLESS, "clusterIP: None, ", "type: ExternalName, externalName: a.example.com, ", []),
    (SERVICE, "port: 80", "port: 8000, name: http", []),
    (BINDING, "name: a}, subjects", "name: b}, subjects", ["roleRef"]),
    (BINDING, "ServiceAccount, name: a", "ServiceAccount, name: b", []),
    (CONFIG_MAP, "a: b", "a: c", []),
    (SEALED, "a: b", "a: c", ["data"]),
    (SEALED, "immutable: true, ", "", ["immutable"]),
    (SECRET, "stringData", "type: kubernetes.io/tls, stringData", ["type"]),
    (SECRET, "stringData", "type: Opaque, stringData", []),
    (CLASS, "provisioner: a", "provisioner: b", ["provisioner"]),
    (CLASS, "provisioner: a", "reclaimPolicy: Delete, allowVolumeExpansion: true, provisioner: a", []),
    (CLASS, "provisioner: a", "reclaimPolicy: Retain, provisioner: a", ["reclaimPolicy"]),
    (PRIORITY, "100", "200", ["value"]),
]


@pytest.mark.parametrize(("text", "old", "new", "expected"), CASES)
def test_what_cannot_be_changed(text: str, old: str, new: str, expected: list[str]) -> None:
    assert old in text
    before: Any = yaml.safe_load(text)
    assert immutable_changes(before, yaml.safe_load(text.replace(old, new))) == expected
    assert immutable_changes(before, before) == []


def test_a_kind_of_others_has_no_rule() -> None:
    other = {"apiVersion": "example.com/v1", "kind": "StatefulSet", "spec": {"selector": 1}}
    assert immutable_changes(other, {**other, "spec": {"selector": 2}}) == []
