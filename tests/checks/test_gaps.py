"""What is not seen hides only what it may hold: by its namespace, its kinds and its texts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.core.outcomes import Cause, Outcome, Status
from tests.checks.deployed import edit, flux, listing, write
from tests.checks.test_links import (
    Place,
    _programs,  # noqa: F401
    answers,  # noqa: F401
    chart_cache,  # noqa: F401
    finished,  # noqa: F401
    mirror,  # noqa: F401
    place,  # noqa: F401
)
from tests.tools import helm_folder  # noqa: F401

APPS = "kubernetes/apps/monitoring"
CRD = "https://raw.githubusercontent.com/acme/operator/v1/crds/widgets.yaml"
BASE = "https://github.com/acme/base//deploy?ref=v1"


def depend_on_nothing(root: Path) -> None:
    edit(root, f"{APPS}/vector/ks.yaml", "  prune: true\n", "  prune: true\n  dependsOn: [{name: nowhere}]\n")


def name_no_secret(root: Path) -> None:
    edit(root, f"{APPS}/vector/app/helmrelease.yaml", "name: parseable-s3-secret", "name: nobodys-secret")


def archive(root: Path) -> None:
    """A folder that nothing applies."""
    write(root, "archive/old/ks.yaml", flux("old", "./archive/old/app"))
    write(root, "archive/old/app/kustomization.yaml", listing("./gone.yaml", BASE))


def definitions(root: Path) -> None:
    """Definitions of kinds by their URL, in the kustomization of somebody's app."""
    edit(
        root,
        "kubernetes/apps/default/podinfo/app/kustomization.yaml",
        "resources:\n",
        f"resources:\n  - {CRD}\n",
    )


def definitions_beside_our_apps(root: Path) -> None:
    edit(root, f"{APPS}/kustomization.yaml", "resources:\n", f"resources:\n  - {CRD}\n")


def base_elsewhere(root: Path) -> None:
    """A remote base, whose Kustomization puts it into another namespace."""
    edit(
        root,
        "kubernetes/apps/default/podinfo/app/kustomization.yaml",
        "resources:\n",
        f"resources:\n  - {BASE}\n",
    )


def repository_elsewhere(root: Path) -> None:
    """Another repository, applied into another namespace."""
    other = flux("other", "./", "targetNamespace: other").replace("name: home-kubernetes", "name: another")
    source = (
        "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata:\n  name: another\n"
        "  namespace: flux-system\nspec: {interval: 1h, url: https://git.test/another}\n"
    )
    own = source.replace("another", "home-kubernetes")
    write(root, "kubernetes/flux/cluster/other.yaml", other + source + own)


def all_of_them(root: Path) -> None:
    for change in (archive, definitions, definitions_beside_our_apps, repository_elsewhere):
        change(root)


def base_of_ours(root: Path) -> None:
    """A remote base in the folder of our app, which may hold whatever that lacks."""
    edit(root, f"{APPS}/vector/app/kustomization.yaml", "resources:\n", f"resources:\n  - {BASE}\n")


def base_beside_our_apps(root: Path) -> None:
    edit(root, f"{APPS}/kustomization.yaml", "resources:\n", f"resources:\n  - {BASE}\n")


def answers_of(place: Place, check: str, text: str) -> list[Outcome]:  # noqa: F811
    return [one.outcome for one in place.link() if one.id == check and text in one.outcome.evidence]


@pytest.mark.parametrize(
    "unseen",
    [archive, definitions, definitions_beside_our_apps, base_elsewhere, repository_elsewhere, all_of_them],
    ids=lambda unseen: unseen.__name__,
)
@pytest.mark.parametrize(
    ("wrong", "check", "text"),
    [
        (depend_on_nothing, "sources", "dependsOn monitoring/nowhere is no Kustomization of this cluster"),
        (name_no_secret, "references", "Secret monitoring/nobodys-secret for "),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_hold_it_hides_nothing(
    wrong: Callable[[Path], None],
    check: str,
    text: str,
    unseen: Callable[[Path], None],
    place: Place,  # noqa: F811
) -> None:
    unseen(place.root)
    assert not [one for one in place.link() if one.outcome.stops_push]
    wrong(place.root)
    assert {one.status for one in answers_of(place, check, text)} == {Status.FAIL}


@pytest.mark.parametrize(
    ("unseen", "wrong", "check", "text", "status"),
    [
        (base_of_ours, name_no_secret, "references", "Secret monitoring/nobodys-secret for ", Status.UNKNOWN),
        (
            base_of_ours,
            depend_on_nothing,
            "sources",
            "dependsOn monitoring/nowhere is not seen",
            Status.UNKNOWN,
        ),
        (
            base_beside_our_apps,
            depend_on_nothing,
            "sources",
            "dependsOn monitoring/nowhere is not seen; Kustomization cluster-apps, which may hold it",
            Status.UNKNOWN,
        ),
    ],
)
def test_what_may_hold_it_leaves_it_open(
    unseen: Callable[[Path], None],
    wrong: Callable[[Path], None],
    check: str,
    text: str,
    status: Status,
    place: Place,  # noqa: F811
) -> None:
    unseen(place.root)
    wrong(place.root)
    found = answers_of(place, check, text)
    assert {(one.status, one.cause) for one in found} == {(status, Cause.NETWORK)}
    assert all("would have to be fetched" in one.evidence for one in found)
    assert all(one.remedy.startswith("kubectl kustomize ") for one in found)


def test_the_build_goes_on_without_what_would_be_fetched(place: Place) -> None:  # noqa: F811
    before = {one.id for one in place.link() if one.outcome.status is Status.PASS}
    definitions_beside_our_apps(place.root)
    now = {one.id for one in place.link() if one.outcome.status is Status.PASS}
    # Whether what the URL gives builds is not known.
    assert before - now == {"entries"}
