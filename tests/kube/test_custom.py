"""Custom kinds: what their definitions forbid, or their documentation where no definition is at hand."""

from typing import Any

import pytest
import yaml

from tasks.kube.custom import Definitions

_CRD = """\
kind: CustomResourceDefinition
spec:
  group: example.com
  names: {kind: Widget}
  versions:
    - name: v1
      served: true
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              required: [size, live, mode]
              properties:
                size: {type: integer}
                live: {type: boolean}
                mode: {type: string, enum: [fast, slow], default: fast}
                port: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
                labels: {type: object, additionalProperties: {type: string}}
                free: {type: object, x-kubernetes-preserve-unknown-fields: true}
                open:
                  type: object
                  x-kubernetes-preserve-unknown-fields: true
                  properties: {a: {type: string}}
                parts:
                  type: array
                  items: {type: object, required: [name], properties: {name: {type: string}}}
"""
_WIDGET = "size: 1\nlive: false\n"
_MONITOR = "selector: {matchLabels: {a: b}}\nendpoints: [{port: http, targetPort: 8000}]\n"


def told(definitions: Definitions, api: str, kind: str, spec: Any) -> list[str]:
    item = {"apiVersion": api, "kind": kind, "metadata": {"name": "a", "labels": {"b": "c"}}}
    if spec is not None:
        item["spec"] = spec
    return [f"{'.'.join(map(str, fault.path))}: {fault.text}" for fault in definitions.faults(item)]


@pytest.mark.parametrize(
    ("more", "faults"),
    [
        ("", []),
        ("port: http\nlabels: {a: b}\nfree: {any: [1]}\nopen: {a: b, c: 1}\nparts: [{name: a}]\n", []),
        ("port: 80\nmode: slow\nsize: 2\n", []),
        ("size: ${SIZE}\nmode: ${MODE}\n", []),
        ("size: null\n", ["spec.size: Required value"]),
        ("live: null\n", ["spec.live: Required value"]),
        ("size: big\n", ["spec.size: a string where an integer is expected"]),
        ("mode: medium\n", ["spec.mode: must be fast or slow"]),
        ("port: [80]\n", ["spec.port: a list where an integer or a string is expected"]),
        ("labels: {a: 1}\n", ["spec.labels.a: an integer where a string is expected: put it in quotes"]),
        ("open: {a: 1}\n", ["spec.open.a: an integer where a string is expected: put it in quotes"]),
        ("parts: [{}]\n", ["spec.parts.0.name: Required value"]),
        ("sice: 1\n", ["spec.sice: there is no field `sice`; did you mean `size`?"]),
    ],
)
def test_a_definition_at_hand(more: str, faults: list[str]) -> None:
    spec = {**yaml.safe_load(_WIDGET), **(yaml.safe_load(more) or {})}
    assert told(Definitions([yaml.safe_load(_CRD)]), "example.com/v1", "Widget", spec) == faults


def test_a_kind_or_version_without_a_definition_is_not_judged() -> None:
    definitions = Definitions([yaml.safe_load(_CRD)])
    assert told(definitions, "example.com/v2", "Widget", {"size": "big"}) == []
    assert told(definitions, "example.org/v1", "Widget", {"size": "big"}) == []
    assert told(definitions, "example.com/v1", "Widget", None) == ["spec: Required value"]


@pytest.mark.parametrize(
    ("kind", "spec", "faults"),
    [
        ("ServiceMonitor", _MONITOR, []),
        ("ServiceMonitor", _MONITOR + "jobLabel: a\n", []),
        ("ServiceMonitor", None, ["spec: Required value"]),
        ("ServiceMonitor", "endpoints: []\n", ["spec.selector: Required value"]),
        ("ServiceMonitor", "selector: {}\n", ["spec.endpoints: Required value"]),
        (
            "ServiceMonitor",
            "selector: {}\nendpoints: [{port: 8000}]\n",
            ["spec.endpoints.0.port: an integer where a string is expected: put it in quotes"],
        ),
        ("PodMonitor", "selector: {}\n", ["spec.podMetricsEndpoints: Required value"]),
        ("PrometheusRule", "groups: [{name: a, rules: [{alert: A, expr: 1}]}]\n", []),
        (
            "PrometheusRule",
            "groups: [{name: a, rules: [{alert: A}]}]\n",
            ["spec.groups.0.rules.0.expr: Required value"],
        ),
    ],
)
def test_kinds_of_the_prometheus_operator(kind: str, spec: str | None, faults: list[str]) -> None:
    given = None if spec is None else yaml.safe_load(spec)
    assert told(Definitions(()), "monitoring.coreos.com/v1", kind, given) == faults


@pytest.mark.parametrize(
    ("api", "kind", "spec", "faults"),
    [
        (
            "kustomize.toolkit.fluxcd.io/v1",
            "Kustomization",
            "interval: 1h\nprune: false\nsourceRef: {kind: a, name: b}",
            [],
        ),
        (
            "kustomize.toolkit.fluxcd.io/v1",
            "Kustomization",
            "prune: 'yes'\nsourceRef: {kind: a}",
            [
                "spec.prune: a string where a boolean is expected",
                "spec.sourceRef.name: Required value",
                "spec.interval: Required value",
            ],
        ),
        (
            "helm.toolkit.fluxcd.io/v2",
            "HelmRelease",
            "interval: 1h\nchartRef: {kind: OCIRepository, name: b}",
            [],
        ),
        (
            "helm.toolkit.fluxcd.io/v2",
            "HelmRelease",
            "interval: 1h\nchart: {spec: {version: 1.5}}",
            [
                "spec.chart.spec.version: a number where a string is expected: put it in quotes",
                "spec.chart.spec.chart: Required value",
                "spec.chart.spec.sourceRef: Required value",
            ],
        ),
        ("source.toolkit.fluxcd.io/v1", "HelmRepository", "url: oci://a/b", []),
        ("source.toolkit.fluxcd.io/v1", "HelmRepository", "interval: 1h", ["spec.url: Required value"]),
        (
            "grafana.integreatly.org/v1beta1",
            "GrafanaDatasource",
            "datasource: {name: a}",
            ["spec.instanceSelector: Required value"],
        ),
    ],
)
def test_documented_kinds(api: str, kind: str, spec: str, faults: list[str]) -> None:
    assert told(Definitions(()), api, kind, yaml.safe_load(spec)) == faults


def test_a_definition_goes_before_what_is_documented() -> None:
    text = _CRD.replace("example.com", "monitoring.coreos.com").replace("Widget", "ServiceMonitor")
    definitions = Definitions([yaml.safe_load(text)])
    assert told(definitions, "monitoring.coreos.com/v1", "ServiceMonitor", {"size": 1, "live": True}) == []
