"""The rooms: what may import what, and who may use which package."""

import ast
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.loader import FilesystemLoader

from checks.registry import CHECKS
from tasks.core.catalogue import CATALOGUE
from tasks.steps import STEPS

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    path.relative_to(ROOT) for room in ("tasks", "checks") for path in (ROOT / room).rglob("*.py")
)

# A room may import from itself and from those below it.
ROOMS = (
    "tasks/core",
    "tasks/yaml",
    "tasks/kube",
    "tasks/effects",
    "tasks/flux",
    "tasks",
    "checks",
    "tasks/commands.py",
    "tasks/demo",
    "tasks/collection.py",
)
DOORS = {
    "sh": {"tasks/effects/shell.py"},
    "boto3": {"tasks/effects/s3.py"},
    "botocore": {"tasks/effects/s3.py"},
    "rich": {"tasks/core/console.py"},
    "subprocess": {"tasks/demo/s3_server.py"},
}


def room(path: str) -> int:
    """The number of the room that a module lives in; the longest name that fits."""
    fitting = [name for name in ROOMS if path == name or path.startswith(name + "/")]
    return ROOMS.index(max(fitting, key=len))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def as_path(module: str) -> str | None:
    """The file or folder of one of our modules."""
    base = module.replace(".", "/")
    if (ROOT / f"{base}.py").exists() and "/" in base:
        return f"{base}.py"
    return base if (ROOT / base).is_dir() and "/" in base else None


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_dependencies_point_one_way(path: Path) -> None:
    for module in imports(path):
        target = as_path(module)
        if target is not None:
            assert room(target) <= room(str(path)), f"{path} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_one_door_for_each_side_effect(path: Path) -> None:
    for module in imports(path):
        package = module.split(".")[0]
        assert str(path) in DOORS.get(package, {str(path)}), f"{path} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_every_module_says_what_lives_there(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    assert docstring
    assert len(docstring.splitlines()) <= 4


def test_the_entry_loads_as_invoke_loads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "tasks"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_IGN)
    module, folder = FilesystemLoader(start=str(ROOT / "tests")).load("tasks")
    assert Path(folder) == ROOT
    commands = set(module.ns.task_names)
    assert commands == {
        "all",
        "plan",
        "verify",
        "status",
        "graph",
        "demo",
        *(t.command for t in CATALOGUE.values()),
    }


def test_every_flag_has_help() -> None:
    from tasks.collection import ns

    for command in ns.tasks.values():
        for argument in command.get_arguments():
            assert argument.help, f"{command.name} --{argument.name}"
        assert command.__doc__


def test_a_step_for_every_task_and_a_check_for_every_item() -> None:
    assert list(STEPS) == list(CATALOGUE)
    assert all(step.SPEC.id == name for name, step in STEPS.items())
    counts = [sum(check.task == task for check in CHECKS.values()) for task in CATALOGUE]
    # As many items as the specification has under each task.
    assert counts == [3, 3, 4, 3, 2, 2, 2, 3, 3, 3, 4]
    assert len({check.run for check in CHECKS.values()}) == 32
