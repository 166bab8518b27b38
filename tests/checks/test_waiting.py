"""Rings of what waits for what, and ways that lead nowhere back; those through pods are in cases/links."""

from collections.abc import Callable
from pathlib import Path

import pytest

from checks.waiting import nothing_waits_for_ever
from tasks.core.outcomes import Status
from tasks.effects import shell
from tests.checks.deployed import (
    APPS,
    CLUSTER,
    KS,
    RELEASE,
    deployed,  # noqa: F401
    edit,
    found,
    root,  # noqa: F401
)

VECTOR = f"{APPS}/vector/ks.yaml"
OTHER = "kubernetes/apps/default/podinfo/app/helmrelease.yaml"
Change = Callable[[Path], None]


@pytest.fixture(autouse=True)
def _without_helm(monkeypatch: pytest.MonkeyPatch) -> None:
    find = shell.find
    monkeypatch.setattr(shell, "find", lambda tool: None if tool == "helm" else find(tool))


def depending(**names: str) -> Change:
    """Each app's Kustomization on another."""

    def change(root: Path) -> None:  # noqa: F811
        for app, name in names.items():
            edit(root, f"{APPS}/{app}/ks.yaml", "spec:\n", f"spec:\n  dependsOn:\n    - {{name: {name}}}\n")

    return change


def on_parent(more: str) -> Change:
    def change(root: Path) -> None:  # noqa: F811
        where = "{name: cluster-apps, namespace: flux-system}"
        edit(root, KS, "spec:\n", f"spec:\n  dependsOn: [{where}]\n")
        edit(root, CLUSTER, "  # Made by hand", f"{more}  # Made by hand")

    return change


def release_on(*names: tuple[str, str]) -> Change:
    def change(root: Path) -> None:  # noqa: F811
        for path, name in names:
            edit(root, path, "\nspec:\n", f"\nspec:\n  dependsOn:\n    - {name}\n")

    return change


BACK = {"kube-prometheus-stack": "grafana"}
PARSEABLE = "{name: parseable, namespace: monitoring}"
PODINFO = "{name: podinfo, namespace: default}"


@pytest.mark.parametrize(
    ("change", "words", "place"),
    [
        (
            depending(parseable="vector", vector="parseable"),
            "vector; Kustomization monitoring/vector depends on Kustomization monitoring/parseable",
            f"{KS}:",
        ),
        (
            depending(parseable="grafana", grafana="vector", vector="parseable"),
            "a ring: Kustomization monitoring/grafana depends on Kustomization monitoring/vector; Kust",
            f"{APPS}/grafana/ks.yaml:",
        ),
        # Of those that ours wait for.
        (
            depending(**{"parseable": "grafana", "grafana": "kube-prometheus-stack", **BACK}),
            "a ring: Kustomization monitoring/grafana depends on",
            f"{APPS}/grafana/ks.yaml:",
        ),
        (
            on_parent("wait: true\n".rjust(13)),
            "Kustomization flux-system/cluster-apps waits (wait) for Kustomization monitoring/parseable",
            f"{KS}:",
        ),
        (
            on_parent(
                "  healthChecks:\n    - {kind: Kustomization, name: parseable, namespace: monitoring, "
                "apiVersion: kustomize.toolkit.fluxcd.io/v1}\n"
            ),
            "waits (healthChecks) for Kustomization monitoring/parseable",
            f"{KS}:",
        ),
        (
            release_on((RELEASE, PODINFO), (OTHER, PARSEABLE)),
            "HelmRelease monitoring/parseable depends on HelmRelease default/podinfo",
            "kubernetes/apps/",
        ),
        (
            release_on((RELEASE, "{name: podinfo}")),
            "names monitoring/podinfo, which is no HelmRelease of this cluster (there is: default/podinfo)",
            f"{RELEASE}:",
        ),
        (
            release_on((RELEASE, "{name: nothing}")),
            "names monitoring/nothing, which is no HelmRelease of this cluster",
            f"{RELEASE}:",
        ),
        (depending(parseable="vector", vector="grafana"), "", ""),
        (depending(**{"kube-prometheus-stack": "kube-prometheus-stack"}), "", ""),
        (on_parent(""), "", ""),
        (
            on_parent("  healthChecks:\n    - {kind: Kustomization, name: grafana, namespace: monitoring}\n"),
            "",
            "",
        ),
        (release_on((RELEASE, PODINFO)), "", ""),
        (release_on((OTHER, PARSEABLE)), "", ""),
    ],
)
def test_what_waits_for_ever(change: Change, words: str, place: str, root: Path) -> None:  # noqa: F811
    change(root)
    answers = found(nothing_waits_for_ever, root)
    failures = [(text, where) for status, text, where in answers if status is Status.FAIL]
    assert len(failures) == bool(words), answers
    for text, where in failures:
        assert words in text
        assert where.startswith(place)
        path, _, line = where.partition(":")
        assert "dependsOn" in "".join((root / path).read_text().splitlines()[int(line) - 2 : int(line)])
