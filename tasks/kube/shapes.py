"""The door for objects: what is read of each kind, and what stands there in a shape that it cannot have.

Whatever an author wrote, what passes here has maps where maps are read, lists where lists are, and texts
where texts are; what was odd is left out, and told.
"""

from collections.abc import Mapping
from typing import Any

from tasks.kube.keys import group_of
from tasks.kube.rules import Fault, Path

# A shape is a mapping of fields, a list with the shape of its items, or one of these.
TEXT = "a text"
MAP = "a map"
ANY = "anything"
Shape = str | dict[str, Any] | list[Any]

_REFERENCE = {"kind": TEXT, "name": TEXT, "namespace": TEXT}
_KEY_OF = {"name": TEXT, "key": TEXT}
_METADATA = {"name": TEXT, "generateName": TEXT, "namespace": TEXT, "labels": MAP, "annotations": MAP}
_PROBE = {"httpGet": MAP, "tcpSocket": MAP}
_CONTAINER = {
    "name": TEXT,
    "image": TEXT,
    "command": [ANY],
    "args": [ANY],
    "env": [{"name": TEXT, "valueFrom": {"secretKeyRef": _KEY_OF, "configMapKeyRef": _KEY_OF}}],
    "envFrom": [{"prefix": TEXT, "secretRef": {"name": TEXT}, "configMapRef": {"name": TEXT}}],
    "ports": [{"name": TEXT}],
    "volumeMounts": [{"name": TEXT, "mountPath": TEXT}],
    "resources": {"limits": MAP, "requests": MAP},
    "livenessProbe": _PROBE,
    "readinessProbe": _PROBE,
    "startupProbe": _PROBE,
}
_ITEMS = [{"key": TEXT, "path": TEXT}]
_POD = {
    "serviceAccountName": TEXT,
    "serviceAccount": TEXT,
    "containers": [_CONTAINER],
    "initContainers": [_CONTAINER],
    "volumes": [
        {
            "name": TEXT,
            "secret": {"secretName": TEXT, "items": _ITEMS},
            "configMap": {"name": TEXT, "items": _ITEMS},
            "hostPath": {"path": TEXT},
            "projected": {
                "sources": [
                    {"secret": {"name": TEXT, "items": _ITEMS}, "configMap": {"name": TEXT, "items": _ITEMS}}
                ]
            },
        }
    ],
}
_CLAIMS = [{"metadata": _METADATA, "spec": {"storageClassName": TEXT}}]
_WORKLOAD = {
    "spec": {
        "selector": MAP,
        "template": {"metadata": _METADATA, "spec": _POD},
        "volumeClaimTemplates": _CLAIMS,
    }
}
_ROLE = {"rules": [{"apiGroups": [TEXT], "resources": [TEXT], "verbs": [TEXT]}], "aggregationRule": MAP}
_BINDING = {"roleRef": _REFERENCE, "subjects": [_REFERENCE]}
_HELM_SOURCE = {"spec": {"url": TEXT, "type": TEXT, "interval": TEXT}}
_ARTIFACT_SOURCE = {
    "spec": {"url": TEXT, "ref": {"semver": TEXT, "tag": TEXT, "digest": TEXT, "branch": TEXT}}
}
_PATCHES = [{"patch": TEXT, "target": {**_REFERENCE, "labelSelector": TEXT, "annotationSelector": TEXT}}]
_FLUX = "toolkit.fluxcd.io"

# By API group and kind. Other kinds are read by their metadata only.
_SHAPES: dict[tuple[str, str], dict[str, Any]] = {
    ("", "ConfigMap"): {"data": MAP, "binaryData": MAP},
    ("", "Secret"): {"data": MAP, "stringData": MAP},
    ("", "Service"): {"spec": {"ports": [{"name": TEXT}], "selector": MAP, "clusterIP": TEXT, "type": TEXT}},
    ("", "Pod"): {"spec": _POD},
    ("", "PersistentVolumeClaim"): {"spec": {"storageClassName": TEXT}},
    **{("apps", kind): _WORKLOAD for kind in ("Deployment", "DaemonSet", "StatefulSet", "ReplicaSet")},
    ("batch", "Job"): _WORKLOAD,
    ("batch", "CronJob"): {"spec": {"jobTemplate": _WORKLOAD}},
    **{("rbac.authorization.k8s.io", kind): _ROLE for kind in ("Role", "ClusterRole")},
    **{("rbac.authorization.k8s.io", kind): _BINDING for kind in ("RoleBinding", "ClusterRoleBinding")},
    ("apiextensions.k8s.io", "CustomResourceDefinition"): {
        "spec": {"group": TEXT, "names": {"kind": TEXT}, "versions": [{"name": TEXT}]}
    },
    ("monitoring.coreos.com", "ServiceMonitor"): {
        "spec": {
            "selector": {
                "matchLabels": MAP,
                "matchExpressions": [{"key": TEXT, "operator": TEXT, "values": [TEXT]}],
            },
            "namespaceSelector": {"matchNames": [TEXT]},
            "endpoints": [
                {"path": TEXT, "port": TEXT, "basicAuth": {"username": _KEY_OF, "password": _KEY_OF}}
            ],
        }
    },
    (f"kustomize.{_FLUX}", "Kustomization"): {
        "spec": {
            "path": TEXT,
            "targetNamespace": TEXT,
            "namePrefix": TEXT,
            "nameSuffix": TEXT,
            "sourceRef": _REFERENCE,
            "dependsOn": [{"name": TEXT, "namespace": TEXT}],
            "decryption": {"provider": TEXT, "secretRef": {"name": TEXT}},
            "patches": _PATCHES,
            "images": [MAP],
            "components": [TEXT],
            "commonMetadata": {"labels": MAP, "annotations": MAP},
            "postBuild": {"substitute": MAP, "substituteFrom": [{"kind": TEXT, "name": TEXT}]},
        }
    },
    (f"helm.{_FLUX}", "HelmRelease"): {
        "spec": {
            "releaseName": TEXT,
            "targetNamespace": TEXT,
            "chart": {"spec": {"chart": TEXT, "sourceRef": _REFERENCE}},
            "chartRef": _REFERENCE,
            "dependsOn": [{"name": TEXT, "namespace": TEXT}],
            "values": MAP,
            "valuesFrom": [{"kind": TEXT, "name": TEXT, "valuesKey": TEXT, "targetPath": TEXT}],
            "postRenderers": [{"kustomize": {"patches": _PATCHES, "images": [MAP]}}],
        }
    },
    (f"source.{_FLUX}", "HelmRepository"): _HELM_SOURCE,
    (f"source.{_FLUX}", "HelmChart"): {"spec": {"chart": TEXT, "sourceRef": _REFERENCE}},
    (f"source.{_FLUX}", "GitRepository"): _ARTIFACT_SOURCE,
    (f"source.{_FLUX}", "OCIRepository"): _ARTIFACT_SOURCE,
    (f"source.{_FLUX}", "Bucket"): {"spec": {"bucketName": TEXT, "endpoint": TEXT}},
    ("fluxcd.controlplane.io", "FluxInstance"): {
        "spec": {"sync": {"kind": TEXT, "name": TEXT, "path": TEXT, "url": TEXT}}
    },
}
# A kustomization of kustomize, which may leave its API version and kind out.
KUSTOMIZATION: dict[str, Any] = {
    "namespace": TEXT,
    "resources": [TEXT],
    "components": [TEXT],
    "bases": [TEXT],
}


def shaped(data: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Fault, ...]]:
    """An object in the shape that its kind has, and what was left out of it because it was odd."""
    own = _SHAPES.get((group_of(data), str(data.get("kind"))), {})
    return fitted(data, {"apiVersion": TEXT, "kind": TEXT, "metadata": _METADATA, **own})


def fitted(data: Mapping[str, Any], shape: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Fault, ...]]:
    """``data`` as ``shape`` has it; fields that the shape does not name stay as they are."""
    faults: list[Fault] = []
    return _mapping(data, shape, (), faults), tuple(faults)


def _mapping(
    data: Mapping[Any, Any], shape: Mapping[str, Any], at: Path, faults: list[Fault]
) -> dict[Any, Any]:
    found = dict(data)
    for name, wanted in shape.items():
        if name in found:
            value = _value(found[name], wanted, (*at, name), faults)
            if value is None:
                # A null is what Kubernetes takes for a field that is not there.
                del found[name]
            else:
                found[name] = value
    return found


def _value(value: Any, wanted: Shape, at: Path, faults: list[Fault]) -> Any:
    """``value``, fitted; None where it is null or has another shape, which is then among ``faults``."""
    if value is None or wanted == ANY:
        return value
    if isinstance(wanted, dict) and isinstance(value, dict):
        return _mapping(value, wanted, at, faults)
    if isinstance(wanted, list) and isinstance(value, list):
        # An odd item leaves its place behind, so that the others keep theirs.
        empty: Any = {} if isinstance(wanted[0], dict) else ""
        fitting = (_value(one, wanted[0], (*at, number), faults) for number, one in enumerate(value))
        return [empty if one is None else one for one in fitting]
    if (wanted == TEXT and isinstance(value, str)) or (wanted == MAP and isinstance(value, dict)):
        return value
    # A variable of Flux may stand for anything.
    if not (isinstance(value, str) and "${" in value):
        expected = wanted if isinstance(wanted, str) else MAP if isinstance(wanted, dict) else "a list"
        faults.append(Fault(at, f"{_kind(value)} where {expected} belongs"))
    return None


def _kind(value: object) -> str:
    """What ``value`` is, without showing it: it may be a secret."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    names: dict[type, str] = {dict: MAP, list: "a list", str: TEXT}
    return names.get(type(value), type(value).__name__)
