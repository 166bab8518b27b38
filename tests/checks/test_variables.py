"""Variables of Flux: sources that are not where they are looked up, and names that nobody sets."""

from collections.abc import Callable
from pathlib import Path

import pytest

from checks.variables import variables_are_set
from tasks.core.outcomes import Status
from tests.checks.deployed import (
    APPS,
    KS,
    RELEASE,
    config_map,
    deployed,  # noqa: F401
    edit,
    found,
    root,  # noqa: F401
)
from tests.flux.test_cluster import settings, substituting

FAIL, UNKNOWN, PASS = Status.FAIL, Status.UNKNOWN, Status.PASS
Change = Callable[[Path], None]
FROM = "substituteFrom: [{kind: ConfigMap, name: settings}]"


def ours(more: str, text: str = "") -> Change:
    """Parseable's Kustomization substitutes, and its HelmRelease holds ``text``."""

    def change(root: Path) -> None:  # noqa: F811
        edit(root, KS, "  prune:", f"  postBuild: {{{more}}}\n  prune:")
        if text:
            edit(root, RELEASE, "\nspec:\n", f"\nspec:\n  timeout: {text}\n")

    return change


def shown_in(namespace: str, *more: Change) -> Change:
    def change(root: Path) -> None:  # noqa: F811
        ours(FROM)(root)
        settings(root, config_map("settings", namespace, a="5m"))
        for one in more:
            one(root)

    return change


def used_beside(root: Path) -> None:  # noqa: F811
    edit(root, f"{APPS}/grafana/ks.yaml", "  prune:", f"  postBuild: {{{FROM}}}\n  prune:")


def parents(text: str) -> Change:
    """What leads to ours holds a variable."""

    def change(root: Path) -> None:  # noqa: F811
        substituting(root, "substitute: {a: 5m}")
        edit(root, f"{APPS}/vector/ks.yaml", "spec:\n", f"spec:\n  serviceAccountName: {text}\n")

    return change


def of_others(root: Path) -> None:  # noqa: F811
    substituting(root, "substitute: {a: 5m}")
    edit(
        root, "kubernetes/apps/default/podinfo/ks.yaml", "spec:\n", "spec:\n  serviceAccountName: ${nobody}\n"
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (ours("substitute: {a: 5m}", "${a}"), []),
        (ours("substitute: {a: ''}", "${a}"), []),
        (ours("substitute: {a: 5m}", "${b:=5m}"), []),
        (ours("substitute: {a: 5m}", "$${b}"), []),
        # Without any variable Flux replaces nothing.
        (ours("", "${b}"), []),
        (
            ours("substitute: {a: 5m}", "${b}"),
            [(FAIL, "HelmRelease monitoring/parseable: ${b} is set by no source", f"{RELEASE}:")],
        ),
        (parents("${a}"), []),
        (
            parents("${b}"),
            [(FAIL, "Kustomization monitoring/vector: ${b} is set by no", f"{APPS}/vector/ks.yaml:")],
        ),
        (of_others, []),
        (shown_in("monitoring"), []),
        (
            shown_in("flux-system"),
            [(FAIL, "from ConfigMap monitoring/settings, which is not there: it is in", f"{KS}:")],
        ),
        (
            shown_in("flux-system", used_beside),
            [
                (UNKNOWN, "grafana gets variables from ConfigMap monitoring/settings, which the repo", ""),
                (UNKNOWN, "parseable gets variables from ConfigMap monitoring/settings, which the rep", ""),
            ],
        ),
        (
            ours(FROM),
            [(UNKNOWN, "ConfigMap monitoring/settings, which the repository does not show", f"{KS}:")],
        ),
        (ours("substituteFrom: [{kind: ConfigMap, name: settings, optional: true}]", "${b}"), []),
    ],
)
def test_variables(change: Change, expected: list[tuple[Status, str, str]], root: Path) -> None:  # noqa: F811
    change(root)
    answers = [one for one in found(variables_are_set, root) if one[0] is not PASS]
    assert len(answers) == len(expected), answers
    for (status, text, place), (wanted, words, where) in zip(sorted(answers), sorted(expected), strict=True):
        assert status is wanted
        assert words in text
        assert place.startswith(where)


def test_the_line_of_a_variable(root: Path) -> None:  # noqa: F811
    ours("substitute: {a: 5m}", "${b}")(root)
    ((_, _, place),) = found(variables_are_set, root)
    path, _, line = place.partition(":")
    assert "${b}" in (root / path).read_text().splitlines()[int(line) - 1]
