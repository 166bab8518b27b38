import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.core.errors import RefusedError
from tasks.kube import schemas
from tasks.kube.rules import faults
from tasks.kube.schemas import knows, schema_faults


def one(kind: str, version: str, text: str) -> dict[str, Any]:
    data = yaml.safe_load(f"{{apiVersion: {version}, kind: {kind}, metadata: {{name: a}}, {text}}}")
    assert isinstance(data, dict)
    return data


def deployment(text: str) -> dict[str, Any]:
    labels = "matchLabels: {app: a}"
    template = "template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a}]}}"
    return one("Deployment", "apps/v1", f"spec: {{selector: {{{labels}}}, {template}, {text}}}")


def pod(text: str) -> dict[str, Any]:
    return one("Pod", "v1", f"spec: {{{text}}}")


def container(text: str) -> dict[str, Any]:
    return pod(f"containers: [{{name: a, {text}}}]")


def service(text: str) -> dict[str, Any]:
    return one("Service", "v1", f"spec: {{{text}}}")


def secret(text: str) -> dict[str, Any]:
    return one("Secret", "v1", text)


def role(text: str) -> dict[str, Any]:
    return one("ClusterRole", "rbac.authorization.k8s.io/v1", text)


def scaler(text: str) -> dict[str, Any]:
    target = "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: a}"
    return one("HorizontalPodAutoscaler", "autoscaling/v2", f"spec: {{{target}, {text}}}")


def ingress(path: str) -> dict[str, Any]:
    backend = "backend: {service: {name: a, port: {name: http}}}"
    rules = f"rules: [{{host: a.example.test, http: {{paths: [{{path: /, {backend}, {path}}}]}}}}]"
    return one("Ingress", "networking.k8s.io/v1", f"spec: {{ingressClassName: nginx, {rules}}}")


def webhook(text: str) -> dict[str, Any]:
    hook = "name: a.example.test, sideEffects: None, admissionReviewVersions: [v1]"
    rules = "rules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods]}]"
    client = f"clientConfig: {{service: {{name: a, namespace: b, path: /}}, {text}}}"
    version = "admissionregistration.k8s.io/v1"
    return one("ValidatingWebhookConfiguration", version, f"webhooks: [{{{hook}, {rules}, {client}}}]")


def definition(text: str) -> dict[str, Any]:
    names = "names: {kind: Widget, plural: widgets}"
    schema = f"schema: {{openAPIV3Schema: {{type: object, properties: {{spec: {{{text}}}}}}}}}"
    spec = (
        f"group: example.test, scope: Namespaced, {names}, versions: [{{name: v1, served: true, {schema}}}]"
    )
    return one("CustomResourceDefinition", "apiextensions.k8s.io/v1", f"spec: {{{spec}}}")


def policy(text: str) -> dict[str, Any]:
    return one("NetworkPolicy", "networking.k8s.io/v1", f"spec: {{podSelector: {{}}, {text}}}")


def claim(text: str) -> dict[str, Any]:
    return one("PersistentVolumeClaim", "v1", f"spec: {{accessModes: [ReadWriteOnce], {text}}}")


# Refused; where; why; what is nearly the same and taken.
CASES = [
    (
        deployment("replica: 3"),
        "spec.replica",
        "there is no field `replica`; did you mean `replicas`?",
        deployment("replicas: 3"),
    ),
    (deployment("zzz: 3"), "spec.zzz", "there is no field `zzz`", deployment("paused: false")),
    (
        deployment("replicas: '3'"),
        "spec.replicas",
        "a string where an integer is expected: take the quotes off",
        deployment("replicas: 3.0"),
    ),
    (
        deployment("replicas: many"),
        "spec.replicas",
        "a string where an integer is expected",
        deployment("replicas: 1e+06"),
    ),
    (
        deployment("replicas: 1.5"),
        "spec.replicas",
        "a number where an integer is expected",
        deployment("replicas: "),
    ),
    (
        deployment("replicas: true"),
        "spec.replicas",
        "a boolean where an integer is expected",
        deployment("replicas: 0"),
    ),
    (
        deployment("paused: 'true'"),
        "spec.paused",
        "a string where a boolean is expected: take the quotes off",
        deployment("paused: true"),
    ),
    (
        deployment("strategy: []"),
        "spec.strategy",
        "a list where a map is expected",
        deployment("strategy: {}"),
    ),
    (
        deployment("strategy: {rollingUpdate: {maxSurge: {}}}"),
        "spec.strategy.rollingUpdate.maxSurge",
        "a map where a string or an integer is expected",
        deployment("strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}}"),
    ),
    (
        container("env: [{name: A, value: 5}]"),
        "spec.containers.0.env.0.value",
        "an integer where a string is expected: put it in quotes",
        container("env: [{name: A, value: '5'}]"),
    ),
    (
        container("args: [--port, 80]"),
        "spec.containers.0.args.1",
        "an integer where a string is expected: put it in quotes",
        container("args: [--port, '80', ]"),
    ),
    (
        container("resources: {limits: {cpu: true}}"),
        "spec.containers.0.resources.limits.cpu",
        "a boolean where a string or a number is expected",
        container("resources: {limits: {cpu: 0.5, memory: 1}, requests: {cpu: 100m}}"),
    ),
    (
        pod("containers: [{image: a}]"),
        "spec.containers.0.name",
        "Required value",
        pod("containers: [{name: a}]"),
    ),
    (pod("volumes: []"), "spec.containers", "Required value", pod("containers: [{name: a}], volumes: []")),
    (
        container("livenessProbe: {httpGet: {path: /, httpHeaders: [{value: a}], port: 1}}"),
        "spec.containers.0.livenessProbe.httpGet.httpHeaders.0.name",
        "Required value",
        container("livenessProbe: {httpGet: {path: /, httpHeaders: [{name: A, value: }], port: http}}"),
    ),
    (service("ports: [{name: a}]"), "spec.ports.0.port", "Required value", service("ports: [{port: 1}]")),
    (service("ports: {port: 1}"), "spec.ports", "a map where a list is expected", service("ports: ")),
    (
        one("DaemonSet", "apps/v1", ""),
        "spec",
        "Required value",
        one("DaemonSet", "apps/v1", "spec: {selector: {}, template: {}}"),
    ),
    (
        one("ConfigMap", "v1", "spec: {a: b}"),
        "spec",
        "there is no field `spec`",
        one("ConfigMap", "v1", "data: {spec: a, b: 2024-01-01}"),
    ),
    (
        one("ConfigMapList", "v1", "metadata: , items: [{kind: Secret}]"),
        "items.0.kind",
        "must be ConfigMap",
        one("ConfigMapList", "v1", "metadata: , items: [{kind: ConfigMap}]"),
    ),
    (
        secret("data: {a: 'a b'}"),
        "data.a",
        "is not base64",
        secret("data: {a: YWJj, b: '', c: \"YW\\nJj\\n\"}"),
    ),
    (secret("data: {a: abcé}"), "data.a", "is not base64", secret("stringData: {a: 'a b'}")),
    (role("rules: [{apiGroups: ['']}]"), "rules.0.verbs", "Required value", role("rules: [{verbs: [get]}]")),
    (
        role("rules: [{verbs: get}]"),
        "rules.0.verbs",
        "a string where a list is expected",
        role("aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}, rules: "),
    ),
    (ingress(""), "spec.rules.0.http.paths.0.pathType", "Required value", ingress("pathType: Prefix")),
    (
        policy("policyType: [Egress]"),
        "spec.policyType",
        "there is no field `policyType`; did you mean `policyTypes`?",
        policy("policyTypes: [Egress], egress: [{ports: [{port: dns, protocol: UDP}, {port: 53}]}]"),
    ),
    (
        scaler("maxReplicas: 3, metrics: [{resource: {}}]"),
        "spec.metrics.0.type spec.metrics.0.resource.name spec.metrics.0.resource.target",
        "Required value",
        scaler(
            "maxReplicas: 3, metrics: [{type: Resource, resource: "
            "{name: cpu, target: {type: Utilization, averageUtilization: 80}}}]"
        ),
    ),
    (
        claim("storage: 1Gi"),
        "spec.storage",
        "there is no field `storage`; did you mean `storageClassName`?",
        claim("resources: {requests: {storage: 1Gi}}"),
    ),
    (
        one("StorageClass", "storage.k8s.io/v1", "parameters: {a: b}"),
        "provisioner",
        "Required value",
        one("StorageClass", "storage.k8s.io/v1", "provisioner: a, allowVolumeExpansion: true"),
    ),
    (
        webhook("caBundle: '<pem>'"),
        "webhooks.0.clientConfig.caBundle",
        "is not base64",
        webhook("caBundle: Cg=="),
    ),
    (
        definition("typ: string"),
        "spec.versions.0.schema.openAPIV3Schema.properties.spec.typ",
        "there is no field `typ`; did you mean `type`?",
        definition("type: object, x-kubernetes-preserve-unknown-fields: true, default: {any: [thing]}"),
    ),
]


@pytest.mark.parametrize(("refused", "where", "why", "taken"), CASES)
def test_what_is_refused_and_what_nearly_is(
    refused: dict[str, Any], where: str, why: str, taken: dict[str, Any]
) -> None:
    found = schema_faults(refused)
    assert sorted(".".join(map(str, fault.path)) for fault in found) == sorted(where.split())
    assert {fault.text for fault in found} == {why}
    assert knows(taken)
    assert schema_faults(taken) == []


KINDS = [
    one(
        "StatefulSet",
        "apps/v1",
        "spec: {serviceName: a, selector: {}, template: {}, volumeClaimTemplates: "
        "[{metadata: {name: data, creationTimestamp: }, spec: {}, status: {}}]}",
    ),
    one("ReplicaSet", "apps/v1", "spec: {selector: {matchExpressions: [{key: a, operator: Exists}]}}"),
    one(
        "Job", "batch/v1", "spec: {backoffLimit: 3, template: {spec: {restartPolicy: Never, containers: []}}}"
    ),
    one("CronJob", "batch/v1", "spec: {schedule: '@daily', jobTemplate: {spec: {template: {}}}}"),
    one(
        "RoleBinding",
        "rbac.authorization.k8s.io/v1",
        "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, "
        "name: a}, subjects: [{kind: ServiceAccount, name: a, namespace: b}]",
    ),
    one("PodDisruptionBudget", "policy/v1", "spec: {maxUnavailable: 50%, selector: {matchLabels: {a: b}}}"),
    one("PodDisruptionBudget", "policy/v1", "spec: {minAvailable: 1}, status: {}"),
    one("Namespace", "v1", "spec: {finalizers: [kubernetes]}"),
    one("ServiceAccount", "v1", "imagePullSecrets: [], automountServiceAccountToken: false"),
    one("PersistentVolume", "v1", "spec: {capacity: {storage: 1Gi}, nfs: {server: a, path: /}}"),
    one("ResourceQuota", "v1", "spec: {hard: {pods: 10, requests.cpu: '4'}}"),
    one("LimitRange", "v1", "spec: {limits: [{type: Container, default: {memory: 1Gi}}]}"),
    one("PriorityClass", "scheduling.k8s.io/v1", "value: 1000, globalDefault: false"),
    one("IngressClass", "networking.k8s.io/v1", "spec: {controller: a/b}"),
    one("APIService", "apiregistration.k8s.io/v1", "spec: {groupPriorityMinimum: 100, versionPriority: 1}"),
]


@pytest.mark.parametrize("item", KINDS, ids=lambda item: str(item["kind"]))
def test_other_kinds(item: dict[str, Any]) -> None:
    assert knows(item)
    assert schema_faults(item) == []
    assert [fault.path for fault in schema_faults({**item, "mistake": 1})] == [("mistake",)]


NOT_JUDGED = [
    deployment("replicas: '${replicas}', strategy: '${strategy:={}}', minReadySeconds: '1${zero}'"),
    deployment("'${key}': 1, replicas: 1"),
    # What templates leave empty.
    one(
        "Pod",
        "v1",
        "metadata: {annotations: , labels: , creationTimestamp: }, spec: {nodeSelector: , "
        "containers: [{name: a, resources: , env: [{name: A, value: }], args: [null], ports: }]}, status: ",
    ),
    one(
        "Deployment", "apps/v1", "spec: {selector: {}, template: {}}, status: {mistake: 1, conditions: [{}]}"
    ),
    secret(
        "stringData: {a: 'ENC[AES256_GCM,data:x,type:str]'}, sops: {version: 3.9.0, age: [{recipient: a}]}"
    ),
    secret("data: {a: 'ENC[AES256_GCM,data:x,type:str]'}"),
    pod("securityContext: {sysctls: [{name: a}]}, containers: []"),
    container("volumeMounts: [{name: a, mountPath: /a, readOnly: }], securityContext: {runAsUser: 1e+03}"),
    one("ConfigMap", "v1", "metadata: {annotations: {a: 2024-01-01T00:00:00Z}}, data: {1: a}"),
    one("ConfigMap", "v1", "binaryData: {a: !!binary YWJj}"),
]


@pytest.mark.parametrize("item", NOT_JUDGED)
def test_no_false_alarms(item: dict[str, Any]) -> None:
    assert knows(item)
    assert schema_faults(item) == []


@pytest.mark.parametrize(
    "item",
    [
        one("HelmRelease", "helm.toolkit.fluxcd.io/v2", "spec: {chart: 1}"),
        # Groups that begin like a built-in one.
        one("Deployment", "apps.example.com/v1", "spec: {replica: 1}"),
        one("Ingress", "networking.internal.knative.dev/v1alpha1", "spec: 1"),
        # No longer served, or never.
        one("PodSecurityPolicy", "policy/v1beta1", "spec: {mistake: 1}"),
        one("Deployment", "apps/v9", "spec: {replica: 1}"),
        one("deployment", "apps/v1", "spec: {replica: 1}"),
        {"kind": ["Pod"]},
        {},
    ],
)
def test_what_has_no_schema_is_not_judged(item: dict[str, Any]) -> None:
    assert not knows(item)
    assert schema_faults(item) == []


def test_no_value_is_repeated() -> None:
    item = secret("data: {a: s3cret!}, stringData: {b: {c: s3cret}}, immutable: s3cret, type: [s3cret]")
    found = schema_faults(item)
    assert len(found) == 4
    assert "s3cret" not in str(found)


def test_both_sets_of_rules_say_the_same_of_a_missing_field() -> None:
    item = one("Deployment", "apps/v1", "spec: {template: {}}")
    assert schema_faults(item) == faults(item)


def test_the_schemas_need_no_word_that_is_not_understood() -> None:
    understood = {
        "$ref",
        "additionalProperties",
        "enum",
        "format",
        "items",
        "oneOf",
        "properties",
        "required",
        "type",
    }
    words: set[str] = set()
    formats: set[str] = set()
    for schema in _all_schemas():
        words |= {word for word in schema if not word.startswith("x-")}
        formats.add(schema.get("format", ""))
        assert {"type"} >= set().union(*schema.get("oneOf", ()))
        assert schema.get("additionalProperties") is not True
    assert words - {"description"} == understood
    # Numbers' sizes and dates are left to the server.
    assert formats == {"", "byte", "date-time", "double", "int32", "int64"}


def _all_schemas() -> Iterator[Mapping[str, Any]]:
    waiting: list[Any] = list(schemas._definitions().values())
    while waiting:
        schema = waiting.pop()
        yield schema
        waiting += schema.get("properties", {}).values()
        waiting += [schema[word] for word in ("items", "additionalProperties") if schema.get(word)]


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    schemas._definitions.cache_clear()
    schemas._kinds.cache_clear()
    yield monkeypatch
    schemas._definitions.cache_clear()
    schemas._kinds.cache_clear()


def test_a_missing_package_is_named(unread: pytest.MonkeyPatch) -> None:
    unread.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RefusedError, match="kubernetes-validate") as caught:
        schema_faults(deployment("replicas: 1"))
    assert "kubernetes-validate" in caught.value.hint


def test_the_newest_version_counts(unread: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "kubernetes_validate"
    for version, kind in (("1.9.0", "Old"), ("1.10.0", "New")):
        folder = package / "kubernetes-json-schema" / f"v{version}-local-strict"
        folder.mkdir(parents=True)
        names = [{"group": "", "version": "v1", "kind": kind}]
        content = {"$defs": {kind: {"x-kubernetes-group-version-kind": names}}}
        (folder / "_definitions.json").write_text(json.dumps(content))
    (package / "__init__.py").touch()
    unread.syspath_prepend(tmp_path)
    unread.delitem(sys.modules, "kubernetes_validate", raising=False)
    assert knows(one("New", "v1", ""))
    assert not knows(one("Old", "v1", ""))
