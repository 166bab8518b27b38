"""Other people's apps: their faults are notes, and count only where the whole repository does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from checks.addresses import urls_lead_somewhere
from checks.flux import entries_exist, sources_exist
from checks.kubernetes import objects_are_accepted
from tasks.core.outcomes import Cause, Status
from tests.checks.deployed import Run, answers, edit, flux, listing, model_of, write
from tests.checks.deployed import deployed as deployed  # noqa: PLC0414 (a fixture)
from tests.checks.deployed import root as root  # noqa: PLC0414 (a fixture)

PODINFO = "kubernetes/apps/default/podinfo"


def told(run: Run, root: Path, *, whole: bool) -> list[tuple[Status, str]]:
    """What a check says beside passes and unknowns."""
    outcomes = answers(run, model_of(root, whole=whole))
    return [(one.status, one.evidence) for one in outcomes if one.status in (Status.FAIL, Status.NOTE)]


def depend_on_nothing(root: Path) -> None:
    edit(root, f"{PODINFO}/ks.yaml", "spec:\n", "spec:\n  dependsOn: [{name: nowhere}]\n")


def refuse_an_entry(root: Path) -> None:
    edit(root, f"{PODINFO}/app/kustomization.yaml", "resources:\n", "resources:\n  - ./nowhere.yaml\n")


def open_no_port(root: Path) -> None:
    write(
        root, f"{PODINFO}/app/service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {}\n"
    )
    edit(root, f"{PODINFO}/app/kustomization.yaml", "resources:\n", "resources:\n  - ./service.yaml\n")


@pytest.mark.parametrize(
    ("change", "link", "evidence", "is_seen"),
    [
        # What the parents of all apps show is told; what lies in the folder of an app is not built for it.
        (depend_on_nothing, sources_exist, "dependsOn default/nowhere is no Kustomization of this", True),
        (refuse_an_entry, entries_exist, f"kustomize cannot build {PODINFO}/app: ", False),
        (open_no_port, objects_are_accepted, "Service default/a: spec.ports: Required value", False),
    ],
)
def test_a_fault_of_others(
    root: Path, change: Callable[[Path], None], link: Run, evidence: str, is_seen: bool
) -> None:
    assert told(link, root, whole=True) == []
    change(root)
    notes = told(link, root, whole=False)
    assert [(status, text.startswith(evidence)) for status, text in notes] == [(Status.NOTE, True)] * is_seen
    ((status, text),) = told(link, root, whole=True)
    assert status is Status.FAIL
    assert text.startswith(evidence)


def test_an_archive_is_nobodys_fault(root: Path) -> None:
    write(root, "archive/old/ks.yaml", flux("old", "./archive/old/app", "dependsOn: [{name: gone}]"))
    write(root, "archive/old/app/kustomization.yaml", listing("./gone.yaml"))
    assert told(sources_exist, root, whole=True) == []
    assert told(entries_exist, root, whole=True) == []


def test_another_repository_with_the_same_folders_hides_nothing(root: Path) -> None:
    """Whose URL is not known: its source is told apart by its name."""
    other = flux("other", "./", "").replace("name: home-kubernetes", "name: another")
    write(root, "kubernetes/flux/cluster/other.yaml", other)
    assert [status for status, _ in told(entries_exist, root, whole=False)] == []


def test_an_odd_shape_hides_nothing_else(root: Path) -> None:
    path = "kubernetes/apps/monitoring/grafana/app/helmrelease.yaml"
    text = (root / path).read_text()
    (root / path).write_text(text[: text.index("    datasources:")] + "    datasources: [1]\n")
    outcomes = answers(urls_lead_somewhere, model_of(root))
    # The charts are not at hand here, and nothing else is the matter.
    assert {one.cause for one in outcomes} == {Cause.NETWORK}
