"""What goes with the apps and what stays, and when nothing is touched."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.core.errors import RefusedError
from tasks.core.settings import DOCUMENTED
from tasks.effects import shell
from tasks.subjects.removal import Removal, plan
from tests.checks.deployed import APPS, deployed, edit, flux, listing, root, workspace_of, write

__all__ = ["deployed", "root"]
KUSTOMIZATION = f"{APPS}/kustomization.yaml"
SOURCES = "kubernetes/flux/meta/repos"


def git(root: Path, *arguments: str) -> str:
    command = ("git", "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments)
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "-qm", "more")


def planned(root: Path) -> Removal:
    return plan(workspace_of(root))


def removed(root: Path) -> Removal:
    """What is planned, and done but for the commit."""
    found = planned(root)
    for change in found.files:
        change.apply()
    return found


def test_all_that_was_written_goes(root: Path) -> None:
    before = git(root, "ls-tree", "-r", "HEAD")
    commit(root)
    found = removed(root)
    assert found.kept == ()
    assert found.commit is not None
    assert "Rolled-back-by: parseable-playbook" in found.commit.message
    assert {change.path for change in found.files} == set(found.commit.files)
    commit(root)
    assert git(root, "ls-tree", "-r", "HEAD") == before
    assert planned(root) == Removal((), None)


def test_what_was_never_committed_goes_without_a_commit(root: Path) -> None:
    found = removed(root)
    assert f"{APPS}/parseable/ks.yaml" in {change.path for change in found.files}
    # The files of others had our lines in the work tree only: they are as HEAD has them.
    assert found.commit is None
    assert git(root, "status", "--porcelain") == ""


def test_files_of_others_stay(root: Path) -> None:
    write(root, f"{APPS}/parseable/app/ingress.yaml", "kind: Ingress\n")
    write(root, f"{APPS}/vector/README", "mine\n")
    commit(root)
    found = removed(root)
    assert found.kept == (
        f"{APPS}/parseable/app/ingress.yaml is not the playbook's and stays; Flux no longer applies it",
        f"{APPS}/vector/README is not the playbook's and stays; Flux no longer applies it",
    )
    assert (root / APPS / "parseable/app/ingress.yaml").exists()
    assert not (root / APPS / "parseable/ks.yaml").exists()


def test_an_app_of_somebody_else_is_left_alone(root: Path) -> None:
    for path in (root / APPS / "vector").rglob("*.yaml"):
        path.write_text(path.read_text().replace("# Written by parseable-playbook", "# Written by me"))
    commit(root)
    found = removed(root)
    assert not any("/vector/" in change.path for change in found.files)
    # It has the login of what goes.
    (told,) = found.kept
    assert told.startswith(f"{APPS}/vector/app/helmrelease.yaml goes on naming Secret")


def test_a_source_that_others_use_stays(root: Path) -> None:
    release = (
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: other}\nspec:\n"
        "  chart: {spec: {chart: vector, sourceRef: {kind: HelmRepository, name: vector}}}\n"
    )
    write(root, "kubernetes/apps/default/other.yaml", release)
    commit(root)
    found = removed(root)
    assert found.kept == (
        f"{SOURCES}/vector.yaml stays: kubernetes/apps/default/other.yaml takes its chart from there",
    )
    assert "./vector.yaml" in (root / SOURCES / "kustomization.yaml").read_text()
    assert not (root / SOURCES / "parseable.yaml").exists()


def test_what_waits_for_ours_is_named(root: Path) -> None:
    ks = flux("own", "./kubernetes/apps/own", "dependsOn:\n  - name: parseable\n    namespace: monitoring")
    write(root, "kubernetes/apps/own/ks.yaml", ks)
    commit(root)
    with pytest.raises(RefusedError, match=r"own/ks\.yaml waits for parseable \(dependsOn\)"):
        planned(root)
    edit(root, "kubernetes/apps/own/ks.yaml", "name: parseable", "name: grafana")
    commit(root)
    assert planned(root).files


@pytest.mark.parametrize(
    "path", [KUSTOMIZATION, f"{APPS}/vector/ks.yaml", f"{APPS}/grafana/app/helmrelease.yaml"]
)
def test_edits_that_are_not_committed_stop_it(root: Path, path: str) -> None:
    commit(root)
    (root / path).write_text((root / path).read_text() + "# mine\n")
    with pytest.raises(RefusedError, match=r"changed and not committed"):
        planned(root)
    commit(root)
    assert planned(root).files


def test_other_entries_of_grafana_stay(root: Path) -> None:
    release = f"{APPS}/grafana/app/helmrelease.yaml"
    text = (root / release).read_text()
    (indent,) = re.findall(r"(?m)^( +)- name: Parseable$", text)
    edit(root, release, f"{indent}- name: Parseable\n", f"{indent}- name: Mine\n{indent}- name: Parseable\n")
    commit(root)
    assert removed(root).kept == ()
    text = (root / release).read_text()
    assert "name: Mine" in text
    assert "arseable" not in text


def test_who_goes_on_naming_the_secret_is_told(root: Path) -> None:
    commit(root)
    left_out = replace(DOCUMENTED, grafana=replace(DOCUMENTED.grafana, manage="none"))
    (told,) = plan(workspace_of(root, left_out)).kept
    assert told.startswith(f"{APPS}/grafana/app/helmrelease.yaml goes on naming Secret parseable-s3-secret")
    # Where its entries go too, nobody does.
    assert planned(root).kept == ()


def test_a_grafana_that_is_not_found_is_told(root: Path) -> None:
    (root / f"{APPS}/grafana/app/helmrelease.yaml").write_text("no: release\n")
    commit(root)
    (told,) = removed(root).kept
    assert told.startswith("entries of ours in Grafana, if there are any, stay: ")


@pytest.mark.parametrize("more", ["", "namespace: monitoring\n"])
def test_an_empty_list_is_left_valid(root: Path, more: str) -> None:
    write(root, KUSTOMIZATION, listing("./parseable/ks.yaml", "./vector/ks.yaml", more=more))
    commit(root)
    removed(root)
    assert "resources: []\n" in (root / KUSTOMIZATION).read_text()
    # Flux must build it to prune what it applied.
    subprocess.run((str(shell.find("kubectl")), "kustomize", str((root / KUSTOMIZATION).parent)), check=True)
