"""What Flux will do after a rollback, as the repository says: built with the real kubectl."""

from pathlib import Path

import pytest

from tasks.closing.pruning import after_rollback, kept_by
from tasks.effects import shell
from tests.checks.deployed import CLUSTER, KS, deployed, edit, root, workspace_of

__all__ = ["deployed", "root"]


def test_what_prunes_is_deleted(root: Path) -> None:
    assert after_rollback(workspace_of(root)) == [
        "Flux deletes Kustomization monitoring/parseable and all that it applied",
        "Flux deletes Kustomization monitoring/vector and all that it applied",
    ]


def test_what_does_not_prune_is_named(root: Path) -> None:
    edit(root, KS, "prune: true", "prune: false")
    first, second = after_rollback(workspace_of(root))
    assert first == (
        "Flux deletes Kustomization monitoring/parseable, but not what that applied: it does not prune"
    )
    assert second.endswith("monitoring/vector and all that it applied")


def test_what_nobody_above_prunes_stays(root: Path) -> None:
    text = (root / CLUSTER).read_text()
    (root / CLUSTER).write_text(text.replace("prune: true", "prune: false"))
    first, _ = after_rollback(workspace_of(root))
    assert first.startswith("Kustomization monitoring/parseable stays in the cluster, for cluster-apps above")
    assert "invoke rollback --cluster" in first


def test_what_something_outside_applies_is_not_known(root: Path) -> None:
    (root / CLUSTER).unlink()
    first, _ = after_rollback(workspace_of(root))
    assert first == (
        "Flux deletes Kustomization monitoring/parseable if what applies it, outside this repository, prunes"
    )


def test_without_a_program_to_build_nothing_is_claimed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = shell.find
    monkeypatch.setattr(shell, "find", lambda name: find(name) if name == "git" else None)
    (line,) = after_rollback(workspace_of(root))
    assert "could not be looked up here" in line


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"prune": True}, ""),
        ({"prune": True, "deletionPolicy": "WaitForTermination"}, ""),
        ({"prune": True, "deletionPolicy": "Orphan"}, "it does not prune"),
        ({}, "it does not prune"),
        ({"prune": True, "suspend": True}, "it is suspended"),
    ],
)
def test_what_keeps_what_was_applied(spec: dict[str, object], why: str) -> None:
    assert kept_by(spec) == why
