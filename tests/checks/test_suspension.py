"""Suspension: what keeps Flux from applying ours, and what is suspended beside them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from checks.suspension import nothing_is_suspended
from tasks.core.outcomes import Status
from tasks.core.settings import DOCUMENTED
from tasks.model import Model
from tests.checks.deployed import (
    APPS,
    CLUSTER,
    KS,
    RELEASE,
    answers,
    deployed,  # noqa: F401
    edit,
    flux,
    found,
    root,  # noqa: F401
    workspace_of,
    write,
)
from tests.flux.test_cluster import SOURCE

REPOS = "kubernetes/flux/meta/repos"
SUSPENDED = "\nspec:\n  suspend: true\n"
Change = Callable[[Path], None]


def suspended(path: str, old: str = "\nspec:\n") -> Change:
    return lambda where: edit(where, path, old, old.replace("\nspec:\n", SUSPENDED))


def by_patch(root: Path) -> None:  # noqa: F811
    edit(root, CLUSTER, "  patches:\n", "  patches:\n    - patch: |-\n        - op: add\n"
         "          path: /spec/suspend\n          value: true\n      target:\n"
         "        kind: Kustomization\n        name: vector\n")  # fmt: skip


def source(root: Path) -> None:  # noqa: F811
    text = SOURCE.format("home-kubernetes", "https://x/y")
    write(root, "kubernetes/flux/cluster/source.yaml", text.replace("\nspec:\n", SUSPENDED))


def dependency(root: Path) -> None:  # noqa: F811
    """With the same source: its revision is waited for."""
    edit(root, KS, "spec:\n", "spec:\n  dependsOn: [{name: podinfo, namespace: default}]\n")
    suspended("kubernetes/apps/default/podinfo/ks.yaml")(root)


def dependency_of_another_source(root: Path) -> None:  # noqa: F811
    dependency(root)
    edit(root, "kubernetes/apps/default/podinfo/ks.yaml", "name: home-kubernetes", "name: other")


def neighbours(root: Path) -> None:  # noqa: F811
    """Nothing of ours comes from these."""
    suspended("kubernetes/apps/default/podinfo/ks.yaml")(root)
    suspended(f"{REPOS}/podinfo.yaml")(root)
    suspended(f"{APPS}/kube-prometheus-stack/ks.yaml")(root)
    write(root, "kubernetes/flux/cluster/x.yaml", flux("x", "./kubernetes/nothing", "suspend: true"))


MARK = "kustomize.toolkit.fluxcd.io/reconcile"


def marked(value: str) -> Change:
    name = "\nmetadata:\n  name: parseable\n"
    return lambda where: edit(where, RELEASE, name, f"{name}  annotations: {{{MARK}: {value}}}\n")


def left_out_by_all(root: Path) -> None:  # noqa: F811
    more = "labels:\n      kustomize.toolkit.fluxcd.io/ssa: Ignore\n"
    edit(root, f"{APPS}/vector/ks.yaml", "labels:\n", more)


def told_to_go_on(root: Path) -> None:  # noqa: F811
    edit(root, KS, "spec:\n", "spec:\n  suspend: false\n")
    marked("enabled")(root)


def registry(root: Path) -> None:  # noqa: F811
    edit(root, f"{REPOS}/vector.yaml", "spec:\n", "spec:\n  type: oci\n  suspend: true\n")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (suspended(KS), [("Kustomization monitoring/parseable is suspended", f"{KS}:", "suspend: true")]),
        (by_patch, [("Kustomization monitoring/vector is suspended", f"{APPS}/vector/ks.yaml:", "spec:")]),
        (
            suspended(CLUSTER, "cluster-apps\n  namespace: flux-system\nspec:\n"),
            [("Kustomization flux-system/cluster-apps is", f"{CLUSTER}:", "suspend: true")],
        ),
        (
            suspended(CLUSTER, "cluster-meta\n  namespace: flux-system\nspec:\n"),
            [("Kustomization flux-system/cluster-meta is", f"{CLUSTER}:", "suspend: true")],
        ),
        (suspended(RELEASE), [("HelmRelease monitoring/parseable is", f"{RELEASE}:", "suspend: true")]),
        (
            suspended(f"{APPS}/grafana/app/helmrelease.yaml"),
            [("HelmRelease monitoring/grafana is", f"{APPS}/grafana/app/helmrelease.yaml:", "suspend: true")],
        ),
        (
            suspended(f"{REPOS}/vector.yaml"),
            [("HelmRepository flux-system/vector is", f"{REPOS}/vector.yaml:", "suspend: true")],
        ),
        (
            source,
            [
                (
                    "GitRepository flux-system/home-kubernetes is",
                    "kubernetes/flux/cluster/source.yaml:",
                    "susp",
                )
            ],
        ),
        (
            dependency,
            [
                (
                    "podinfo is suspended (spec.suspend), and ours wait for it",
                    "kubernetes/apps/default/",
                    "susp",
                )
            ],
        ),
        (
            marked("disabled"),
            [(f"HelmRelease monitoring/parseable has the annotation {MARK}", f"{RELEASE}:", "disabled")],
        ),
        (left_out_by_all, [("has the label kustomize.toolkit.fluxcd.io/ssa", f"{APPS}/vector/app/", "")] * 5),
        (dependency_of_another_source, []),
        (neighbours, []),
        (told_to_go_on, []),
        (registry, []),
    ],
)
def test_what_is_suspended(
    change: Change,
    expected: list[tuple[str, str, str]],
    root: Path,  # noqa: F811
) -> None:
    change(root)
    answers = found(nothing_is_suspended, root)
    failures = [(text, place) for status, text, place in answers if status is Status.FAIL]
    assert len(failures) == len(expected), answers
    assert expected or [status for status, _, _ in answers] == [Status.PASS]
    for (text, place), (words, path, line) in zip(failures, expected, strict=True):
        assert words in text
        assert place.startswith(path)
        file, _, number = place.partition(":")
        assert line in (root / file).read_text().splitlines()[int(number) - 1]


def test_grafana_that_is_left_out_may_be_suspended(root: Path) -> None:  # noqa: F811
    suspended(f"{APPS}/grafana/app/helmrelease.yaml")(root)
    settings = replace(DOCUMENTED, grafana=replace(DOCUMENTED.grafana, manage="none"))
    outcomes = answers(nothing_is_suspended, Model(workspace_of(root, settings)))
    assert [one.status for one in outcomes] == [Status.PASS]
