from typing import Any

import pytest
import yaml

from tasks.kube.rules import faults


def one(text: str) -> dict[str, Any]:
    data: dict[str, Any] = {"apiVersion": "v1", "metadata": {"name": "a"}, **yaml.safe_load(text)}
    return data


def service(text: str) -> dict[str, Any]:
    return one(f"{{kind: Service, spec: {{{text}}}}}")


def container(text: str, volumes: str = "") -> dict[str, Any]:
    return one(f"{{kind: Pod, spec: {{volumes: [{volumes}], containers: [{{name: a, {text}}}]}}}}")


def deployment(selector: str, kind: str = "Deployment") -> dict[str, Any]:
    template = "template: {metadata: {labels: {app: a}}}"
    return one(f"{{apiVersion: apps/v1, kind: {kind}, spec: {{{selector}{template}}}}}")


def match(rule: str) -> dict[str, Any]:
    return deployment(f"selector: {{matchExpressions: [{{{rule}}}]}}, ")


def named(name: str, rest: str = "kind: ConfigMap") -> dict[str, Any]:
    return one(f"{{{rest}, metadata: {{{name}}}}}")


CASES = [
    (service("type: ClusterIP"), service("clusterIP: None")),
    (service("ports: []"), service("type: ExternalName")),
    (service("ports: [{port: 1}, {port: 2, name: b}]"), service("ports: [{port: 1}]")),
    (
        service("ports: [{port: 1, name: b}, {port: 2, name: b}]"),
        service("ports: [{port: 1, name: a}, {port: 2, name: b}]"),
    ),
    (
        service("ports: [{port: 1, name: a}, {port: 1, name: b, protocol: TCP}]"),
        service("ports: [{port: 1, name: a}, {port: 1, name: b, protocol: UDP}]"),
    ),
    (deployment("selector: {matchLabels: {app: b}}, "), deployment("selector: {matchLabels: {app: a}}, ")),
    (deployment(""), one("{apiVersion: batch/v1, kind: Job, spec: {template: {}}}")),
    (match("key: app, operator: In, values: [b]"), match("key: app, operator: In, values: [a]")),
    (match("key: app, operator: NotIn, values: [a]"), match("key: app, operator: NotIn, values: [b]")),
    (match("key: b, operator: Exists"), match("key: app, operator: Exists")),
    (match("key: app, operator: DoesNotExist"), match("key: b, operator: DoesNotExist")),
    (
        one("{kind: Pod, spec: {containers: [{name: a}], initContainers: [{name: a}]}}"),
        one("{kind: Pod, spec: {containers: [{name: a}], initContainers: [{name: b}]}}"),
    ),
    (container("env: [{name: A}, {name: A}]"), container("env: [{name: A}, {name: B}]")),
    (container("env: [{name: A, value: true}]"), container("env: [{name: A, value: 'true'}]")),
    (
        container("env: [{name: A, value: b, valueFrom: {x: y}}]"),
        container("env: [{name: A, value: '', valueFrom: {x: y}}]"),
    ),
    (
        container("ports: [{containerPort: 1}, {containerPort: 1}]"),
        container("ports: [{containerPort: 1}, {containerPort: 1, protocol: UDP}]"),
    ),
    (
        container("volumeMounts: [{name: v, mountPath: /a}, {name: v, mountPath: /a}]", "{name: v}"),
        container("volumeMounts: [{name: v, mountPath: /a}, {name: v, mountPath: /b}]", "{name: v}"),
    ),
    (container("", "{name: v}, {name: v}"), container("", "{name: v}, {name: w}")),
    (
        container("volumeMounts: [{name: w}]", "{name: v}"),
        container("volumeMounts: [{name: v}]", "{name: v}"),
    ),
    (container("resources: {limits: {cpu: 1 core}}"), container("resources: {limits: {cpu: 1e3}}")),
    (
        container("resources: {limits: {memory: 1G}, requests: {memory: 1Gi}}"),
        container("resources: {limits: {memory: 1Gi}, requests: {memory: 1G}}"),
    ),
    (
        container("resources: {limits: {cpu: 0.1}, requests: {cpu: 200m}}"),
        container("resources: {limits: {cpu: 0.2}, requests: {cpu: 200m}}"),
    ),
    (container("resources: {limits: {cpu: -1}}"), container("resources: {limits: {cpu: '${cpu}'}}")),
    (named("x: y"), named("generateName: a-")),
    (named("name: a_b"), named("name: a.b-c")),
    (named("name: 'a:b'"), named("name: 'a:b'", "apiVersion: rbac.authorization.k8s.io/v1, kind: Role")),
    (named("name: 123"), named("name: '123'")),
    (named("name: a, labels: {b: a b}"), named("name: a, labels: {b: a.b}")),
    (named(f"name: a, labels: {{b: {'a' * 64}}}"), named(f"name: a, labels: {{b: {'a' * 63}}}")),
    (one("{kind: ConfigMap, data: {a: 1}}"), one("{kind: ConfigMap, data: {a: '1'}}")),
    (one("{kind: Secret, stringData: {a: true}}"), one("{kind: Secret, stringData: {a: 'true'}}")),
]


@pytest.mark.parametrize(("refused", "taken"), CASES)
def test_what_is_refused_and_what_nearly_is(refused: dict[str, Any], taken: dict[str, Any]) -> None:
    assert len(faults(refused)) == 1, faults(refused)
    assert faults(taken) == []


def test_claims_of_a_stateful_set_are_volumes() -> None:
    item = deployment("selector: {matchLabels: {app: a}}, ", "StatefulSet")
    mounts = [{"name": "data", "mountPath": "/data"}]
    item["spec"]["template"]["spec"] = {"containers": [{"name": "a", "volumeMounts": mounts}]}
    (found,) = faults(item)
    assert found.path == ("spec", "template", "spec", "containers", 0, "volumeMounts", 0, "name")
    item["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}}]
    assert faults(item) == []
