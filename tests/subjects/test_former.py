"""What earlier settings left: told from what is asked for, from others', and from another cluster's."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.core.errors import RefusedError
from tasks.core.settings import DOCUMENTED, SecretSettings, Settings
from tasks.effects.files import DeleteFile
from tasks.subjects.former import Former, former
from tests.checks.deployed import APPS, deployed, flux, root, workspace_of, write

__all__ = ["deployed", "root"]
RENAMED = replace(DOCUMENTED, vector=replace(DOCUMENTED.vector, name="agent"))
OLD = f"{APPS}/vector"


def commit(root: Path) -> None:
    author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    for arguments in (("add", "--all"), (*author, "commit", "-qm", "done")):
        subprocess.run(("git", *arguments), cwd=root, check=True)


def found(root: Path, settings: Settings = RENAMED) -> Former:
    return former(workspace_of(root, settings))


def test_a_folder_under_an_earlier_name(root: Path) -> None:
    assert found(root, DOCUMENTED) == Former()
    left = found(root)
    assert left.folders == (OLD,)
    assert set(left.files) == {
        str(path.relative_to(root)) for path in (root / OLD).rglob("*") if path.is_file()
    }
    # Nothing of it is committed.
    workspace = workspace_of(root, RENAMED)
    assert left.committed(workspace) == ()
    commit(root)
    assert set(left.committed(workspace_of(root, RENAMED))) == set(left.files)


def test_a_run_that_was_interrupted_goes_on(root: Path) -> None:
    commit(root)
    (root / OLD / "ks.yaml").unlink()
    left = found(root)
    assert left.folders == (OLD,)
    workspace = workspace_of(root, RENAMED)
    changes = list(left.changes(workspace))
    assert all(isinstance(change, DeleteFile) for change in changes)
    assert f"{OLD}/ks.yaml" not in {change.path for change in changes}
    assert f"{OLD}/ks.yaml" in left.committed(workspace)


def test_files_of_others_in_it_stop_the_run(root: Path) -> None:
    write(root, f"{OLD}/app/own.yaml", "kind: Ingress\n")
    with pytest.raises(RefusedError, match=r"holds what is not the playbook's: .*/vector/app/own\.yaml"):
        found(root)
    assert found(root, DOCUMENTED) == Former()


def test_edits_that_are_not_committed_stop_the_run(root: Path) -> None:
    commit(root)
    path = root / OLD / "app/rbac.yaml"
    path.write_text(path.read_text() + "# mine\n")
    with pytest.raises(RefusedError, match=r"rbac\.yaml goes, and has changes that are not committed"):
        list(found(root).changes(workspace_of(root, RENAMED)))
    commit(root)
    assert list(found(root).changes(workspace_of(root, RENAMED)))


def test_edits_of_files_that_were_never_committed_stop_the_run(root: Path) -> None:
    assert list(found(root).changes(workspace_of(root, RENAMED)))
    path = root / OLD / "app/rbac.yaml"
    path.write_text(path.read_text() + "# mine\n")
    with pytest.raises(RefusedError, match=r"rbac\.yaml goes, and has changes that are not committed"):
        list(found(root).changes(workspace_of(root, RENAMED)))


def test_another_rollout_is_none_of_an_earlier_name(root: Path) -> None:
    commit(root)
    second = replace(
        RENAMED,
        parseable=replace(DOCUMENTED.parseable, name="parseable-b", stream="other", secret="other-secret"),
    )
    with pytest.raises(RefusedError, match="looks like another rollout"):
        found(root, second)
    # With one of the two it is the same under another name.
    assert found(root, replace(second, parseable=replace(second.parseable, stream="kubernetes"))).folders


def test_a_secret_that_somebody_else_gives_is_not_taken_along(root: Path) -> None:
    commit(root)
    given = replace(
        DOCUMENTED,
        parseable=replace(DOCUMENTED.parseable, name="parseable-b"),
        secret=SecretSettings("existing"),
    )
    with pytest.raises(RefusedError, match=r"holds what is not the playbook's: .*secret\.sops\.yaml"):
        found(root, given)


def test_an_app_of_somebody_else_is_none_of_an_earlier_name(root: Path) -> None:
    write(root, f"{APPS}/other/ks.yaml", flux("other", "./kubernetes/apps/monitoring/other/app"))
    assert found(root, DOCUMENTED) == Former()


def test_a_file_that_is_no_longer_asked_for(root: Path) -> None:
    text = (root / OLD / "app/rbac.yaml").read_text()
    # As a setting without which it is not written would leave it.
    write(root, f"{APPS}/parseable/app/grafanadatasource.yaml", text)
    write(root, f"{APPS}/parseable/app/namespace.yaml", "kind: Namespace\n")
    assert found(root, DOCUMENTED).files == (f"{APPS}/parseable/app/grafanadatasource.yaml",)


def test_what_another_place_holds_counts_where_this_cluster_gets_it(root: Path) -> None:
    folder = "kubernetes/apps/default/vector"
    write(root, f"{folder}/ks.yaml", (root / OLD / "ks.yaml").read_text())
    # Nothing leads there.
    assert found(root, DOCUMENTED) == Former()
    listed = root / "kubernetes/apps/default/kustomization.yaml"
    text = listed.read_text() if listed.exists() else ""
    listed.write_text(text.rstrip("\n") + "\n  - ./vector/ks.yaml\n")
    assert found(root, DOCUMENTED).folders == (folder,)
