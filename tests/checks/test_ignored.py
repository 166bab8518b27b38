"""Patterns of sources: those that meet files of ours, and those that meet none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from checks.ignored import files_are_downloaded
from tasks.core.outcomes import Status
from tests.checks.deployed import (
    APPS,
    deployed,  # noqa: F401
    edit,
    found,
    listing,
    root,  # noqa: F401
    write,
)
from tests.flux.test_cluster import SOURCE

SECRET = f"{APPS}/parseable/app/secret.sops.yaml"
OF_FLUX = "kubernetes/flux/cluster/source.yaml"
Change = Callable[[Path], None]


def ignoring(text: str, path: str = ".sourceignore") -> Change:
    return lambda where: write(where, path, text)


def source(more: str) -> Change:
    text = SOURCE.format("home-kubernetes", "https://x/y")
    return lambda where: write(where, OF_FLUX, text.replace("\nspec:\n", f"\nspec:\n{more}"))


def other_source(root: Path) -> None:  # noqa: F811
    write(
        root, OF_FLUX, SOURCE.format("other", "https://x/z").replace("\nspec:\n", "\nspec:\n  ignore: '*'\n")
    )


def without_kustomization(root: Path) -> None:  # noqa: F811
    """What lies in the folder of the apps is taken as it is found."""
    (root / "kubernetes/apps/kustomization.yaml").unlink()
    write(root, "kubernetes/apps/more.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    write(root, ".sourceignore", "more.yaml\n")


def generated(root: Path) -> None:  # noqa: F811
    app = f"{APPS}/grafana/app"
    more = "configMapGenerator: [{name: g, files: [a=board.json]}]\n"
    write(root, f"{app}/kustomization.yaml", listing("helmrelease.yaml", more=more))
    write(root, f"{app}/board.json", "{}")
    write(root, ".sourceignore", "*.json\n")


def only(*folders: str) -> Change:
    return source(f"  sparseCheckout: [{', '.join(folders)}]\n")


@pytest.mark.parametrize(
    ("change", "words", "place"),
    [
        (
            ignoring("# never\nsecret*.yaml\n**/*.md\n"),
            f"{SECRET} is left out of what Flux downloads: the pattern secret*.yaml meets it",
            ".sourceignore:2",
        ),
        (ignoring("app/*.sops.yaml", f"{APPS}/parseable/.sourceignore"), SECRET, f"{APPS}/parseable/.sourc"),
        (ignoring("/kubernetes/flux/\n"), "kubernetes/flux/meta/kustomization.yaml", ".sourceignore:1"),
        # Without it, the folder that lists ours too is not built.
        (ignoring("**/podinfo/ks.yaml\n"), "kubernetes/apps/default/podinfo/ks.yaml", ".sourceignore:1"),
        (generated, f"{APPS}/grafana/app/board.json", ".sourceignore:1"),
        (
            source("  ignore: |\n    /*\n    !/kubernetes/flux\n"),
            "the pattern /* of spec.ignore",
            f"{OF_FLUX}:",
        ),
        (only("kubernetes/flux", "docs"), "checks out kubernetes/flux, docs only", f"{OF_FLUX}:"),
        (ignoring("secret*.yaml\n!secret.sops.yaml\n"), "", ""),
        (ignoring("docs/\n*.md\n/secret.sops.yaml\n"), "", ""),
        (ignoring("**/podinfo/app/\n"), "", ""),
        (ignoring("*.yaml\n", "docs/.sourceignore"), "", ""),
        (source("  ignore: |\n    /*\n    !/kubernetes\n"), "", ""),
        (other_source, "", ""),
        (only("kubernetes"), "", ""),
        (without_kustomization, "", ""),
    ],
)
def test_what_flux_leaves_out(change: Change, words: str, place: str, root: Path) -> None:  # noqa: F811
    change(root)
    answers = found(files_are_downloaded, root)
    if words:
        assert any(status is Status.FAIL and words in text for status, text, _ in answers), answers
        assert all(where.startswith(place) for _, _, where in answers), answers
    else:
        assert [status for status, _, _ in answers] == [Status.PASS], answers


def test_the_line_of_a_pattern_of_a_source(root: Path) -> None:  # noqa: F811
    source("  ignore: |\n    # all\n    /*\n    !/docs\n")(root)
    ((_, text, place),) = found(files_are_downloaded, root)
    assert f"{APPS}/vector/app/rbac.yaml" in text
    path, _, line = place.partition(":")
    assert (root / path).read_text().splitlines()[int(line) - 1] == "    /*"
    edit(root, OF_FLUX, "!/docs", "!/kubernetes/")
    assert [status for status, _, _ in found(files_are_downloaded, root)] == [Status.PASS]
