"""The wheel, installed as people install tools: one command that works in any folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.playground import APPS, ROOT, Playground

_BUILT = ("tasks", "checks", "manifests")
_FILES = ("tasks.py", "invoke.yaml", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, and with the dependencies of this one."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    for name in _BUILT:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _FILES:
        shutil.copy(ROOT / name, source / name)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    subprocess.run((*pip, "wheel", "--no-deps", "--wheel-dir", folder, source), check=True)
    environment = folder / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    [wheel] = folder.glob("*.whl")
    python = environment / "bin" / "python"
    subprocess.run((*pip, "--python", python, "install", "--no-deps", wheel), check=True)
    [packages] = environment.glob("lib/python*/site-packages")
    ours = {path.name for path in packages.iterdir()}
    assert {name for name in ours if "dist-info" not in name} == {"parseable_playbook"}
    # As plain folder: the .pth files in it, which lead to the checkout, are not read.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return environment / "bin" / "parseable-playbook"


def run(installed: Path, play: Playground, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (str(installed), *arguments),
        cwd=folder,
        env={**os.environ, **play.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_works_in_any_folder_of_a_repository(installed: Path, play: Playground) -> None:
    play.write(".parseable-playbook.yaml", "parseable: {memory_limit: 3Gi}\n")
    done = run(installed, play, play.root / APPS, "plan", "--json")
    assert done.returncode == 5, done.stderr
    plan = {task["id"]: task for task in json.loads(done.stdout)["tasks"]}
    assert {task["state"] for task in plan.values()} == {"changes"}
    assert "memory: 3Gi" in "".join(change["diff"] for change in plan["TASK-003"]["changes"])


def test_it_says_its_version_and_how_a_shell_completes_it(installed: Path, play: Playground) -> None:
    assert run(installed, play, play.folder, "--version").stdout == "parseable-playbook 0.1.0\n"
    script = run(installed, play, play.folder, "--print-completion-script", "bash").stdout
    assert "complete -F" in script
    assert "parseable-playbook" in script
    offered = run(installed, play, play.folder, "--complete", "--", "parseable-playbook plan --")
    assert "--repo" in offered.stdout.splitlines()


def test_flags_that_would_do_nothing_are_not_offered(installed: Path, play: Playground) -> None:
    shown = run(installed, play, play.folder, "--help").stdout
    assert "--dry" in shown
    assert "--config" in shown
    for flag in ("--echo", "--pty", "--warn-only", "--command-timeout", "--write-pyc"):
        assert flag not in shown
    refused = run(installed, play, play.root, "--warn-only", "status")
    assert refused.returncode == 2
    assert "there is no flag --warn-only" in refused.stderr


def test_elsewhere_it_asks_for_the_repository(installed: Path, play: Playground, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    refused = run(installed, play, outside, "status", "--json")
    assert refused.returncode == 2
    assert "which GitOps repository?" in json.loads(refused.stdout)["error"]["message"]
    done = run(installed, play, outside, "plan", "--repo", str(play.root), "--json")
    assert done.returncode == 5
