"""What doctor finds on machines and in repositories of every state; none of them ends it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.core.catalogue import CATALOGUE
from tasks.core.errors import RefusedError, SettingsError
from tasks.core.packages import install_command
from tasks.core.runner import TaskPlan
from tasks.core.settings import DOCUMENTED, FILE, Charts, Settings, VersionsSettings
from tasks.demo.sandbox import make_key, make_repository
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.setup.doctor import Part, State, examine_machine, examine_repository, not_found, task_lines
from tasks.workspace import Network, Workspace
from tests import shapes
from tests.s3_double import Minio, serving

OK, MISSING, OPTIONAL = State.OK, State.MISSING, State.OPTIONAL


def states(parts: Iterable[Part]) -> dict[str, State]:
    return {part.name: part.state for part in parts}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Nothing is installed but what the test puts there: programs that print a text and end with a code."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "executable", str(folder / "python"))

    def install(name: str, says: str, code: int = 0) -> None:
        (folder / name).write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
        (folder / name).chmod(0o755)

    return install


def test_an_empty_machine(programs: Callable[..., None]) -> None:
    parts = {part.name: part for part in examine_machine("1.2.3")}
    assert states(parts.values()) == {
        "parseable-playbook": OK,
        "git": MISSING,
        "sops": MISSING,
        "kubectl": OPTIONAL,
        "helm": OPTIONAL,
        "vector": OPTIONAL,
        "schemas of Kubernetes": OK,
    }
    assert parts["sops"].tasks == ("TASK-004",)
    assert list(parts["sops"].lines()) == [
        "missing   sops: not installed",
        "          do: https://github.com/getsops/sops/releases",
        "          needed by: TASK-004",
    ]
    assert "needed by: TASK-002 to TASK-011" in "\n".join(parts["git"].lines())
    # What can be done without is needed by nobody.
    assert "needed" not in "\n".join(parts["helm"].lines())


@pytest.mark.parametrize(
    ("says", "code", "state", "found"),
    [
        ("sops 3.9.0 (latest)", 0, OK, "3.9.0 ("),
        ("sops 3.10.2", 0, OK, "3.10.2 ("),
        ("sops 3.8.1 (latest)", 0, MISSING, "3.8.1, 3.9 or newer is needed"),
        ("no version", 0, MISSING, "does not tell its version: no version"),
        ("sops 3.9.0", 1, MISSING, "does not tell its version: sops 3.9.0"),
    ],
)
def test_the_version_counts(
    programs: Callable[..., None], says: str, code: int, state: State, found: str
) -> None:
    programs("sops", says, code)
    [sops] = [part for part in examine_machine("1") if part.name == "sops"]
    assert sops.state is state
    assert found in sops.found


def test_one_of_two_builders_is_enough(programs: Callable[..., None]) -> None:
    programs("kustomize", "v5.4.3")
    found = states(examine_machine("1"))
    assert found["kustomize"] is OK
    assert "kubectl" not in found
    programs("kubectl", "Client Version: v1.34.0")
    assert states(examine_machine("1"))["kubectl"] is OK


def test_a_program_that_cannot_be_run(programs: Callable[..., None], tmp_path: Path) -> None:
    programs("helm", "v3.1.0")
    (tmp_path / "bin/helm").write_text("#!/nowhere\n")
    assert states(examine_machine("1"))["helm"] is OPTIONAL


@pytest.mark.parametrize(
    ("mark", "command"),
    [
        ("pipx_metadata.json", "pipx inject parseable-playbook x"),
        ("uv-receipt.toml", "uv pip install --python {}/bin/python x"),
        ("pyvenv.cfg", "{}/bin/python -m pip install x"),
    ],
)
def test_how_a_package_is_added(tmp_path: Path, mark: str, command: str) -> None:
    prefix = tmp_path / "parseable-playbook"
    prefix.mkdir()
    (prefix / mark).touch()
    assert install_command("x", str(prefix), "/usr") == command.format(prefix)


def test_a_systems_own_python_is_not_installed_into() -> None:
    assert "pip install" not in install_command("x", "/usr", "/usr")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("doctor")
    make_repository(folder / "work", folder / "remote.git", make_key(folder / "age.key"))
    return folder


@pytest.fixture
def root(sample: Path, tmp_path: Path) -> Path:
    shutil.copytree(sample / "work", tmp_path / "work")
    return tmp_path / "work"


def examined(root: Path, settings: Settings = DOCUMENTED, network: Network = Network.OFFLINE) -> list[Part]:
    return list(examine_repository(Workspace(settings, Repository(Git(root)), network=network)))


def test_a_repository_with_all_of_it(sample: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(sample / "age.key"))
    monkeypatch.setenv("S3_ACCESS_KEY_ID", "access")
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "secret")
    (root / FILE).write_text("s3: {}\n")
    (sample / "charts").mkdir(exist_ok=True)
    mirrors = dict.fromkeys(
        (DOCUMENTED.parseable.chart_repository, DOCUMENTED.vector.chart_repository), str(sample / "charts")
    )
    with serving(Minio("minio", {"parseable-logs": ""})) as server:
        settings = replace(
            DOCUMENTED, s3=replace(DOCUMENTED.s3, endpoint=server.endpoint), charts=Charts(mirrors)
        )
        parts = {part.name: part for part in examined(root, settings, Network.CHARTS)}
    # There is no cluster in a test.
    assert set(states(parts.values()).values()) - {parts["cluster"].state} <= {OK}
    assert parts["apps"].found == "kubernetes/apps/monitoring"
    assert parts["Flux source"].found == "GitRepository flux-system/home-kubernetes"
    assert parts["branch and remote"].found == "main, pushed to origin/main"
    assert "1 age recipient" in parts["sops rule"].found
    assert "takes the key; bucket parseable-logs exists" in parts["S3 server"].found
    assert parts["charts of vector"].found == f"folder {sample / 'charts'}"


def test_a_repository_with_nothing_around_it(root: Path) -> None:
    with serving(Minio("minio")) as server:
        settings = replace(DOCUMENTED, s3=replace(DOCUMENTED.s3, endpoint=server.endpoint))
        parts = {part.name: part for part in examined(root, settings)}
    assert parts["S3 credentials"].state is MISSING
    assert parts["S3 credentials"].tasks == ("TASK-001", "TASK-004")
    assert (parts["S3 server"].state, parts["S3 server"].found) == (
        OK, f"{server.endpoint} answers; not asked with a key",
    )  # fmt: skip
    assert parts["private key"].state is OPTIONAL
    assert "SOPS_AGE_KEY_FILE" in parts["private key"].mends
    assert parts["settings"].state is OPTIONAL


@pytest.mark.parametrize(
    ("break_it", "name", "state"),
    [
        (lambda root: (root / ".sops.yaml").unlink(), "sops rule", MISSING),
        (lambda root: (root / ".sops.yaml").write_text("{"), "sops rule", MISSING),
        (lambda root: os.system(f"git -C {root} remote remove origin"), "branch and remote", MISSING),
        (lambda root: os.system(f"git -C {root} checkout -q --detach"), "branch and remote", MISSING),
        (
            lambda root: os.system(
                f"git -C {root} config --unset user.email; git -C {root} config user.useConfigOnly true"
            ),
            "git identity",
            MISSING,
        ),
        (lambda root: shutil.rmtree(root / "kubernetes/apps"), "apps", MISSING),
        (
            lambda root: (root / "kubernetes/apps/monitoring/kustomization.yaml").write_text("{"),
            "repository",
            OK,
        ),
        (lambda root: (root / "kubernetes/flux/cluster/ks.yaml").write_bytes(b"\xff\xfe"), "repository", OK),
    ],
)
def test_what_is_broken_is_told(
    root: Path, break_it: Callable[[Path], object], name: str, state: State
) -> None:
    break_it(root)
    with serving(Minio("minio")) as server:
        settings = replace(DOCUMENTED, s3=replace(DOCUMENTED.s3, endpoint=server.endpoint))
        parts = {part.name: part for part in examined(root, settings)}
    assert parts[name].state is state
    assert "internal error" not in " ".join(part.found for part in parts.values())
    if state is MISSING:
        assert parts[name].mends
        assert parts[name].tasks


def test_an_s3_server_that_is_not_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Minio("minio")) as server:
        gone = server.endpoint
    settings = replace(DOCUMENTED, s3=replace(DOCUMENTED.s3, endpoint=gone))
    assert states(examined(root, settings))["S3 server"] is MISSING
    monkeypatch.setenv("S3_ACCESS_KEY_ID", "access")
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "secret")
    assert states(examined(root, settings))["S3 server"] is MISSING


def test_the_versions_and_whether_they_were_tested(root: Path) -> None:
    current = replace(DOCUMENTED, versions=VersionsSettings("current"))
    (part,) = (one for one in examined(root, current) if one.name == "versions")
    told = "Parseable v3.1.0 (chart 3.2.1), Vector (chart 0.56.0)"
    assert (part.state, part.found) == (OK, f"current: {told}, a tested set")
    other = replace(current, vector=replace(current.vector, chart_version="0.57.0"))
    (part,) = (one for one in examined(root, other) if one.name == "versions")
    assert part.state is OPTIONAL
    assert part.found.endswith("Vector (chart 0.57.0); not tested: vector.chart_version is not of the set")
    assert part.mends.startswith("delete it from the settings")


def test_what_is_left_out_is_not_missing(root: Path) -> None:
    shutil.rmtree(root / "kubernetes/apps/monitoring/grafana")
    shapes.edit(root / "kubernetes/apps/monitoring/kustomization.yaml", "  - ./grafana/ks.yaml\n", "")
    parts = {part.name: part for part in examined(root)}
    assert parts["Grafana"].state is MISSING
    settings = replace(
        DOCUMENTED,
        grafana=replace(DOCUMENTED.grafana, manage="none"),
        secret=replace(DOCUMENTED.secret, manage="existing"),
    )
    parts = {part.name: part for part in examined(root, settings)}
    assert "Grafana" not in parts
    assert parts["S3 credentials"].tasks == ("TASK-001",)


def test_a_bug_in_one_look_does_not_end_the_others(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Git, "check_identity", lambda _: 1 // 0)
    with serving(Minio("minio")) as server:
        settings = replace(DOCUMENTED, s3=replace(DOCUMENTED.s3, endpoint=server.endpoint))
        parts = {part.name: part for part in examined(root, settings)}
    assert parts["git identity"].state is MISSING
    assert parts["git identity"].found.startswith("internal error: ZeroDivisionError in")
    assert parts["branch and remote"].state is OK


def test_no_repository_at_all() -> None:
    part = not_found(SettingsError("which GitOps repository?", "give it"))
    assert (part.state, part.found, part.mends) == (MISSING, "which GitOps repository?", "give it")
    assert "the current folder" in not_found(FileNotFoundError(2, "No such file or directory")).found


def test_what_can_run_now() -> None:
    plans = [
        TaskPlan(CATALOGUE["TASK-001"], error=RefusedError("no S3")),
        TaskPlan(CATALOGUE["TASK-002"], blocked_by="TASK-001"),
        TaskPlan(CATALOGUE["TASK-003"], blocked_by="TASK-001"),
        TaskPlan(CATALOGUE["TASK-006"]),
    ]
    assert list(task_lines(plans)) == [
        "can run now: TASK-006",
        "TASK-001 cannot: no S3",
        "waiting for TASK-001: TASK-002 to TASK-003",
    ]
    assert list(task_lines([])) == ["can run now: nothing"]
