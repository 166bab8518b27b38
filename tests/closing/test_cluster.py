"""The rollout deleted from a cluster: the real kubectl, and an API server whose Flux prunes, or does not."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tasks.closing.cluster import InCluster, checked_time, planned
from tasks.closing.rollback import planned as in_git
from tasks.core.console import Console
from tasks.core.errors import SettingsError, StepFailedError
from tasks.core.settings import DOCUMENTED
from tasks.demo.sandbox import make_key, make_repository
from tasks.effects.api_errors import ForbiddenError
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.subjects.signature import MARK
from tasks.workspace import Permissions, Workspace
from tests.api_double import Cluster, Object, Reply, Request, kubeconfig, serving, status

APPS = "kubernetes/apps/monitoring"
FLUX = "kustomize.toolkit.fluxcd.io"
PARENT = {f"{FLUX}/name": "cluster-apps", f"{FLUX}/namespace": "flux-system"}

SOURCE = {"kind": "GitRepository", "name": "home-kubernetes", "namespace": "flux-system"}


def kustomization(name: str, namespace: str, path: str, *entries: str, **spec: Any) -> Object:
    return {
        "apiVersion": f"{FLUX}/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": namespace, "uid": name, "labels": PARENT},
        "spec": {"path": path, "prune": True, "interval": "30m", "sourceRef": SOURCE, **spec},
        "status": {"inventory": {"entries": [{"id": one, "v": "v1"} for one in entries]}},
    }


def release(name: str) -> Object:
    about = {"name": name, "namespace": "logs", "uid": f"release-{name}"}
    return {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": about, "spec": {}}


def named(one: Object) -> str:
    return str(one["metadata"]["name"])


@dataclass
class Lab:
    """A cluster with Flux, and the workspace that leads to it; each step of pruning takes ``seconds``."""

    cluster: Cluster
    workspace: Workspace
    stack: ExitStack
    seconds: float = 0.15

    def flux(self, request: Request) -> Reply | None:
        """As kustomize-controller and helm-controller: an object goes when its finalizers are done."""
        if request.method != "DELETE":
            return None
        *_, namespace, _, name = request.path.split("/")
        self.cluster.change("Kustomization", namespace, name, metadata={"deletionTimestamp": "now"})
        item = next(one for one in self.cluster.all("Kustomization", namespace) if named(one) == name)
        is_pruned = item["spec"]["prune"] and not item["spec"].get("suspend")
        self.later(1, "Kustomization", namespace, name)
        if is_pruned:
            self.later(2, "HelmRelease", "logs", name)
        return Reply(200, json.dumps(item).encode())

    def later(self, steps: int, *key: str) -> None:
        timer = threading.Timer(steps * self.seconds, self.cluster.remove, key)
        timer.daemon = True
        timer.start()
        self.stack.callback(timer.cancel)

    def deletions(self) -> list[str]:
        asked = [request.path for request in self.cluster.requests if request.method == "DELETE"]
        return [path.rpartition("/")[2] for path in asked]

    def run(self, wait: str = "20s") -> InCluster:
        found = planned(self.workspace, wait)
        found.carry_out(Console())
        return found


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cluster") / "repository"
    key = root.with_name("key")
    make_repository(root, root.with_name("remote.git"), make_key(key), key)
    (root / APPS / "parseable").mkdir()
    (root / APPS / "parseable/ks.yaml").write_text("kind: Kustomization\n")
    for arguments in (("add", "--all"), ("commit", "-qm", "Ours")):
        subprocess.run(("git", *arguments), cwd=root, check=True)
    return root


@pytest.fixture
def lab(repository: Path, tmp_path: Path) -> Iterator[Lab]:
    with ExitStack() as stack:
        cluster = stack.enter_context(serving(Cluster()))
        # Not in the namespace that the documents name: where the build put them.
        for name in ("parseable", "vector"):
            kinds = (f"{name}_helm.toolkit.fluxcd.io_HelmRelease", f"{name}__Secret", f"{name}__ConfigMap")
            entries = [f"logs_{kind}" for kind in kinds]
            cluster.put(kustomization(name, "logs", f"./{APPS}/{name}/app", *entries), release(name))
        cluster.put(kustomization("cluster-apps", "flux-system", "./kubernetes/apps"))
        cluster.put(kustomization("parseable", "flux-system", "./kubernetes/other/parseable/app"))
        file = kubeconfig(tmp_path / "kubeconfig", {"lab": cluster.url}, current="lab")
        settings = replace(DOCUMENTED, cluster=replace(DOCUMENTED.cluster, kubeconfig=str(file)))
        workspace = Workspace(settings, Repository(Git(repository)))
        stack.callback(workspace.kubectl.close)
        made = Lab(cluster, workspace, stack)
        cluster.refuse = made.flux
        yield made


def test_they_are_deleted_where_they_are_and_waited_for(lab: Lab) -> None:
    found = lab.run()
    assert lab.deletions() == ["parseable", "vector"]
    assert lab.cluster.all("HelmRelease") == []
    assert lab.cluster.all("Kustomization", "logs") == []
    assert [named(one) for one in lab.cluster.all("Kustomization")] == ["cluster-apps", "parseable"]
    assert list(found.outcome()) == [
        "deleted kustomizations/parseable in namespace logs, with all that it applied",
        "deleted kustomizations/vector in namespace logs, with all that it applied",
        "the bucket and the logs in it stay: nothing here deletes them",
    ]
    again = lab.run()
    assert again.is_empty
    assert len(lab.deletions()) == 2
    assert "nothing to delete" in "\n".join(again.lines())


@pytest.mark.parametrize(
    "other", [{"name": "theirs"}, {"kind": "OCIRepository"}, {"namespace": "team"}, {"namespace": None}]
)
def test_the_same_path_of_another_source_is_not_ours(lab: Lab, other: dict[str, Any]) -> None:
    lab.cluster.put(
        kustomization("vector", "team", f"./{APPS}/vector/app", sourceRef={**SOURCE, **other}),
        kustomization("own", "flux-system", f"./{APPS}/vector/app", sourceRef={**SOURCE, "namespace": None}),
    )
    lab.cluster.remove("Kustomization", "logs", "vector")
    found = [(one.object.namespace, one.object.name) for one in planned(lab.workspace).found]
    assert sorted(found) == [("flux-system", "own"), ("logs", "parseable")]


def test_what_is_shown_before_asking(lab: Lab) -> None:
    found = planned(lab.workspace)
    lines = list(found.lines())
    assert lines[:2] == [
        f"in context lab, server {lab.cluster.url}:",
        "    delete Kustomization parseable in namespace logs, with its 3 objects",
    ]
    assert lines[2].startswith("        Kustomization cluster-apps in namespace flux-system applies it again")
    assert [one["namespace"] for one in found.data()["kustomizations"]] == ["logs", "logs"]  # type: ignore[attr-defined]
    assert lab.deletions() == []
    lab.cluster.change("Kustomization", "flux-system", "cluster-apps", spec={"suspend": True})
    assert "again" not in "\n".join(planned(lab.workspace).lines())


def test_without_the_files_in_git_nothing_comes_again(lab: Lab, repository: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(repository, tmp_path / "repository", symlinks=True))
    subprocess.run(("git", "rm", "-rq", f"{APPS}/parseable"), cwd=root, check=True)
    subprocess.run(("git", "commit", "-qm", "Gone"), cwd=root, check=True)
    other = Workspace(lab.workspace.settings, Repository(Git(root)))
    found = planned(other)
    other.kubectl.close()
    assert len(found.found) == 2
    assert "again" not in "\n".join(found.lines())


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"suspend": True}, "it is suspended"),
        ({"prune": False}, "it does not prune"),
        ({"deletionPolicy": "Orphan"}, "it does not prune"),
        ({"deletionPolicy": "Delete", "prune": False}, ""),
    ],
)
def test_what_flux_leaves_is_said_and_not_waited_for(lab: Lab, spec: dict[str, Any], why: str) -> None:
    lab.cluster.change("Kustomization", "logs", "vector", spec=spec)
    found = planned(lab.workspace, "20s")
    assert found.found[1].keeps == why
    assert (f"what it applied stays: {why}" in "\n".join(found.lines())) == bool(why)
    if why:
        found.carry_out(Console())
        assert lab.deletions() == ["parseable", "vector"]


def test_what_does_not_go_in_time(lab: Lab) -> None:
    lab.seconds = 30
    with pytest.raises(StepFailedError, match="kustomizations/parseable in namespace logs is still there"):
        lab.run("1s")


def test_who_may_not_delete_is_told(lab: Lab) -> None:
    words = 'kustomizations.kustomize.toolkit.fluxcd.io "parseable" is forbidden: User "me" cannot delete'
    lab.cluster.refuse = lambda request: status(403, words) if request.method == "DELETE" else None
    with pytest.raises(ForbiddenError, match='User "me" cannot delete'):
        lab.run()
    assert len(lab.cluster.all("Kustomization")) == 4


def test_what_makes_no_sense_is_refused(lab: Lab) -> None:
    with pytest.raises(SettingsError, match="--wait ten is no time"):
        checked_time("ten")
    assert [checked_time(one) for one in ("", "90s", "10m")] == ["", "90s", "10m"]
    silent = Workspace(lab.workspace.settings, lab.workspace.repository, permissions=Permissions(push=False))
    with pytest.raises(SettingsError, match="pushes nothing"):
        planned(silent)


def test_a_rollback_in_git_waits_for_what_its_push_leads_to(
    lab: Lab, repository: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(repository, tmp_path / "repository", symlinks=True))
    for arguments in (
        ("init", "-q", "--bare", str(tmp_path / "remote.git")),
        ("remote", "set-url", "origin", str(tmp_path / "remote.git")),
        ("commit", "-q", "--amend", "-m", f"Ours\n\n{MARK}"),
    ):
        subprocess.run(("git", *arguments), cwd=root, check=True)
    workspace = Workspace(lab.workspace.settings, Repository(Git(root)))
    lab.stack.callback(workspace.kubectl.close)
    with pytest.raises(SettingsError, match="--wait waits for what a push leads to"):
        in_git(Workspace(workspace.settings, workspace.repository, permissions=Permissions(push=False)), "9s")
    found = in_git(workspace, "20s")
    for name in ("parseable", "vector"):
        lab.later(4, "Kustomization", "logs", name)
        lab.later(6, "HelmRelease", "logs", name)
    found.carry_out(Console())
    assert lab.cluster.all("HelmRelease") == []
    assert lab.deletions() == []
    pushed = subprocess.run(
        ("git", "log", "-1", "--format=%s", "main"),
        cwd=tmp_path / "remote.git",
        capture_output=True,
        check=True,
    )
    assert pushed.stdout.startswith(b"revert(monitoring): take back")
