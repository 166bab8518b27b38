"""Custom kinds: without anything that brings them into the cluster it is not known whether it takes them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from checks.kinds import is_custom, unproved
from checks.kubernetes import versions_are_served
from tasks.core.outcomes import Cause, Status
from tasks.kube.keys import Key
from tests.checks.deployed import APPS, answers, edit, model_of, write
from tests.checks.deployed import deployed as deployed  # noqa: PLC0414 (a fixture)
from tests.checks.deployed import root as root  # noqa: PLC0414 (a fixture)

MONITOR = Key("monitoring.coreos.com", "ServiceMonitor", "monitoring", "parseable")
SOURCE = Key("grafana.integreatly.org", "GrafanaDatasource", "monitoring", "parseable")
OTHER = f"{APPS}/grafana/app"


@pytest.fixture
def without(root: Path) -> Path:
    """The sample with our files, and without what brings ServiceMonitors."""
    shutil.rmtree(root / APPS / "kube-prometheus-stack")
    edit(root, f"{APPS}/kustomization.yaml", "  - ./kube-prometheus-stack/ks.yaml\n", "")
    return root


def beside(root: Path, name: str, text: str) -> None:
    """Another manifest of Grafana's app."""
    write(root, f"{OTHER}/{name}.yaml", text)
    edit(root, f"{OTHER}/kustomization.yaml", "resources:\n", f"resources:\n  - ./{name}.yaml\n")


def crd(kind: str, plural: str) -> str:
    return (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
        f"metadata: {{name: {plural}.monitoring.coreos.com}}\n"
        f"spec: {{group: monitoring.coreos.com, names: {{kind: {kind}, plural: {plural}}}}}\n"
    )


def release(chart: str, more: str = "") -> str:
    spec = f"chart: {{spec: {{chart: {chart}, sourceRef: {{kind: HelmRepository, name: x}}}}}}{more}"
    return (
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: more}\n"
        f"spec: {{interval: 1h, {spec}}}\n"
    )


def rule(api: str = "monitoring.coreos.com/v1") -> str:
    return f"apiVersion: {api}\nkind: PrometheusRule\nmetadata: {{name: more}}\n"


def from_registry(root: Path) -> None:
    url = "oci://ghcr.io/prometheus-community/charts/kube-prometheus-stack"
    head = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: stack}\n"
    beside(root, "source", f"{head}spec: {{url: '{url}'}}\n")
    reference = "spec: {interval: 1h, chartRef: {kind: OCIRepository, name: stack}}\n"
    head = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: more}\n"
    beside(root, "more", head + reference)


def fetched(root: Path) -> None:
    url = "https://github.com/prometheus-operator/prometheus-operator/releases/download/v0.80.0/bundle.yaml"
    edit(root, f"{OTHER}/kustomization.yaml", "resources:\n", f"resources:\n  - {url}\n")


def one(text: str) -> Callable[[Path], None]:
    return lambda root: beside(root, "more", text)


@pytest.mark.parametrize(
    "bring",
    [
        one(crd("ServiceMonitor", "servicemonitors")),
        one(release("kube-prometheus-stack")),
        one(release("prometheus-operator-crds", ", values: {crds: {podmonitors: {enabled: false}}}")),
        one(rule()),
        from_registry,
        fetched,
    ],
)
def test_what_brings_the_kind(without: Path, bring: Callable[[Path], None]) -> None:
    assert unproved(model_of(without), MONITOR) is not None
    bring(without)
    assert unproved(model_of(without), MONITOR) is None
    # Of another kind that says nothing.
    assert unproved(model_of(without), SOURCE) is not None


@pytest.mark.parametrize(
    "bring",
    [
        one(crd("PodMonitor", "podmonitors")),
        one(release("kube-prometheus-stack", ", values: {crds: {enabled: false}}")),
        one(release("kube-prometheus-stack", ", install: {crds: Skip}")),
        one(release("prometheus-operator-crds", ", values: {crds: {servicemonitors: {enabled: false}}}")),
        one(release("prometheus")),
        one(rule("monitoring.example.com/v1")),
        # In a file that nothing applies.
        lambda root: write(root, f"{OTHER}/more.yaml", release("kube-prometheus-stack")),
        lambda root: write(root, "archive/more.yaml", rule()),
    ],
)
def test_what_does_not_bring_it(without: Path, bring: Callable[[Path], None]) -> None:
    bring(without)
    outcome = unproved(model_of(without), MONITOR)
    assert outcome is not None
    assert (outcome.status, outcome.cause) == (Status.UNKNOWN, Cause.CLUSTER)
    assert outcome.remedy == "kubectl get crd servicemonitors.monitoring.coreos.com"


def test_the_kinds_that_we_write_are_looked_for(without: Path) -> None:
    (told,) = (one for one in answers(versions_are_served, model_of(without)) if one.cause)
    assert "whether the cluster knows ServiceMonitor of monitoring.coreos.com" in told.evidence
    assert told.place == f"{APPS}/parseable/app/servicemonitor.yaml:3"
    beside(without, "more", rule())
    assert [one.cause for one in answers(versions_are_served, model_of(without))] == [None]


@pytest.mark.parametrize(
    ("group", "kind", "is_one"),
    [
        ("", "Secret", False),
        ("networking.k8s.io", "Ingress", False),
        ("helm.toolkit.fluxcd.io", "HelmRelease", False),
        ("gateway.networking.k8s.io", "HTTPRoute", True),
        ("monitoring.coreos.com", "ServiceMonitor", True),
    ],
)
def test_which_kinds_are_custom(group: str, kind: str, *, is_one: bool) -> None:
    assert is_custom(Key(group, kind, "a", "b")) is is_one
