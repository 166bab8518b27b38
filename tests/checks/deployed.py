"""Repositories in which the playbook's files are written: the sample in any shape, without S3 and sops."""

import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from checks.model import Check, Outcome, Stage, judge
from tasks.core.outcomes import Status
from tasks.core.settings import DOCUMENTED, Settings
from tasks.demo.sandbox import make_key, make_repository
from tasks.effects.files import MakeFolder, WriteFile
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.flux.cluster import Cluster
from tasks.model import Model
from tasks.steps import STEPS
from tasks.subjects.apps import RELEASE as RELEASE_FILE
from tasks.subjects.manifests import app_facts, plan_files
from tasks.subjects.parseable import PARSEABLE
from tasks.workspace import Permissions, Workspace
from tests import shapes

Run = Callable[[Model], Outcome | Iterable[Outcome]]
APPS = "kubernetes/apps/monitoring"
KS = f"{APPS}/parseable/ks.yaml"
RELEASE = f"{APPS}/parseable/app/helmrelease.yaml"
CLUSTER = "kubernetes/flux/cluster/ks.yaml"

# As sops leaves it: the metadata is what tells.
SECRET = """\
apiVersion: v1
kind: Secret
metadata:
  name: parseable-env-secret
stringData:
  addr: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]
sops:
  mac: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]
  version: 3.9.0
"""


def deploy(
    root: Path,
    shape: shapes.Shape = shapes.documented,
    settings: Settings = DOCUMENTED,
    secret: str = SECRET,
) -> None:
    """Make the sample in ``root``, changed by ``shape``, and write into it what the playbook writes."""
    root.parent.mkdir(parents=True, exist_ok=True)
    key = root.with_name(f"{root.name}.key")
    make_repository(root, root.with_name(f"{root.name}.git"), make_key(key), key)
    shape(root)
    for arguments in (("add", "--all"), ("commit", "-q", "--allow-empty", "-m", "Another layout")):
        subprocess.run(("git", *arguments), cwd=root, check=True)
    workspace = workspace_of(root, settings)
    for name, step in STEPS.items():
        if name not in ("TASK-001", "TASK-004"):
            for change in step.plan(workspace, step.facts(workspace)):
                if isinstance(change, MakeFolder | WriteFile):
                    change.apply()
            workspace.refresh()
        if name == "TASK-004":
            (release,) = root.rglob(f"{settings.parseable.name}/app/helmrelease.yaml")
            release.with_name("secret.sops.yaml").write_text(secret)
            workspace.refresh()
            for change in plan_files(workspace, app_facts(workspace, PARSEABLE, [RELEASE_FILE])):
                assert isinstance(change, WriteFile)
                change.apply()
            workspace.refresh()


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with our files, to be copied."""
    root = tmp_path_factory.mktemp("deployed") / "repository"
    deploy(root)
    return root


@pytest.fixture
def root(deployed: Path, tmp_path: Path) -> Path:
    """A copy of the sample with our files, to be changed."""
    return Path(shutil.copytree(deployed, tmp_path / "repository", symlinks=True))


def workspace_of(root: Path, settings: Settings = DOCUMENTED) -> Workspace:
    """The workspace of a repository, read anew."""
    return Workspace(settings, Repository(Git(root)), permissions=Permissions(push=False))


def clusters_of(root: Path) -> tuple[Cluster, ...]:
    """The clusters that get our files."""
    return model_of(root).clusters


def model_of(root: Path, *, whole: bool = False) -> Model:
    """The model of a repository, read anew."""
    return Model(workspace_of(root), whole_repository=whole)


def answers(run: Run, model: Model) -> list[Outcome]:
    """What a check answers."""
    return [one.outcome for one in judge([Check("any", "", Stage.WRITTEN, run)], model)]


def found(run: Run, root: Path) -> list[tuple[Status, str, str]]:
    """What a check does not pass, or that all passes: status, evidence and place of each."""
    outcomes = answers(run, model_of(root))
    assert all(one.evidence for one in outcomes)
    assert all(one.consequence and one.remedy for one in outcomes if one.status is Status.FAIL)
    return [(one.status, one.evidence, one.place) for one in outcomes]


def write(root: Path, path: str, text: str) -> None:
    """Write a file and the folders that it lies in."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")


def edit(root: Path, path: str, old: str, new: str) -> None:
    """Replace ``old``, which must be there."""
    shapes.edit(root / path, old, new)


def flux(name: str, path: str, more: str = "", namespace: str = "flux-system") -> str:
    """A Flux Kustomization; ``more`` are lines of its spec."""
    lines = "".join(f"  {line}\n" for line in more.splitlines())
    return (
        "---\napiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
        f"metadata:\n  name: {name}\n  namespace: {namespace}\n"
        f"spec:\n  interval: 1h\n  path: {path}\n  prune: true\n"
        "  sourceRef:\n    kind: GitRepository\n    name: home-kubernetes\n    namespace: flux-system\n"
        f"{lines}"
    )


def config_map(name: str, namespace: str = "", **data: str) -> str:
    """A ConfigMap."""
    placed = f", namespace: {namespace}" if namespace else ""
    values = "".join(f"  {key}: {value}\n" for key, value in data.items()) or "  a: b\n"
    return f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}{placed}}}\ndata:\n{values}"


def listing(*entries: str, more: str = "") -> str:
    """A kustomization that lists ``entries``."""
    lines = "".join(f"  - {entry}\n" for entry in entries)
    return f"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{more}resources:\n{lines}"
