"""Other people's apps: their faults are notes, and count only where the whole repository does."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from checks.links.admission import objects_are_accepted
from checks.links.flux import entries_exist, sources_exist
from checks.links.urls import urls_lead_somewhere
from checks.model import Outcome
from checks.objects import linked
from tasks.core.outcomes import Status
from tasks.core.settings import Settings
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.workspace import Workspace
from tests.checks.deployed import deployed as deployed  # noqa: PLC0414 (a fixture)
from tests.checks.deployed import edit, flux, listing, write
from tests.checks.deployed import root as root  # noqa: PLC0414 (a fixture)

PODINFO = "kubernetes/apps/default/podinfo"
Link = Callable[[Workspace], Iterable[Outcome]]


def told(link: Link, root: Path, *, whole: bool) -> list[tuple[Status, str]]:
    """What a link says beside passes and unknowns."""
    workspace = Workspace(Settings(), Repository(Git(root)), whole_repository=whole)
    outcomes = linked(link, workspace)
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
    root: Path, change: Callable[[Path], None], link: Link, evidence: str, is_seen: bool
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


def test_an_odd_shape_is_unknown(root: Path) -> None:
    path = "kubernetes/apps/monitoring/grafana/app/helmrelease.yaml"
    text = (root / path).read_text()
    (root / path).write_text(text[: text.index("    datasources:")] + "    datasources: [1]\n")
    outcomes = linked(urls_lead_somewhere, Workspace(Settings(), Repository(Git(root))))
    assert {one.status for one in outcomes} == {Status.UNKNOWN}
    assert outcomes[-1].evidence.startswith("a document has a shape that this check cannot read (Attr")
