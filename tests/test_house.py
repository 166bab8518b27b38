"""The rooms: what may import what, and who may use which package."""

import ast
import re
import runpy
import signal
import sys
import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import chain
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
    "tasks/__init__.py",
    "tasks/core",
    "tasks/yaml",
    "tasks/kube",
    "tasks/effects",
    "tasks/flux",
    "tasks/workspace.py",
    "tasks/subjects",
    "tasks/live",
    "tasks/model.py",
    "tasks/steps.py",
    "checks",
    "tasks/proof.py",
    "tasks/setup",
    "tasks/closing",
    "tasks/verifying",
    "tasks/upgrade",
    "tasks/commands.py",
    "tasks/demo",
    "tasks/configuration.py",
    "tasks/collection.py",
    "tasks/command_line.py",
    "tasks/program.py",
)
DOORS = {
    "sh": {"tasks/effects/shell.py"},
    "boto3": {"tasks/effects/s3.py"},
    "botocore": {"tasks/effects/s3.py"},
    "rich": {"tasks/core/console.py"},
    "subprocess": {"tasks/demo/s3_server.py", "tasks/effects/pager.py"},
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


def wrong_way(path: Path) -> Iterator[str]:
    """Imports from a room above."""
    for module in imports(path):
        target = as_path(module)
        if target is not None and room(target) > room(str(path)):
            yield f"imports {module}, which lives in a room above"


def second_door(path: Path) -> Iterator[str]:
    """Packages with a side effect that another module is the door of."""
    for module in imports(path):
        doors = DOORS.get(module.split(".")[0])
        if doors is not None and str(path) not in doors:
            yield f"imports {module}, for which {' or '.join(sorted(doors))} is the door"


def no_introduction(path: Path) -> Iterator[str]:
    """A module that does not say, in few lines, what lives there."""
    docstring = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    if not docstring or len(docstring.splitlines()) > 4:
        yield "does not open with one to four lines that say what lives there"


@pytest.mark.parametrize("rule", [wrong_way, second_door, no_introduction])
def test_every_module_keeps_the_rules(rule: Callable[[Path], Iterator[str]]) -> None:
    offenders = sorted({f"{path} {offence}" for path in MODULES for offence in rule(path)})
    assert not offenders, "\n".join(["", *offenders])


def test_every_dependency_has_an_exact_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    pinned = (ROOT / ".ci/constraints.txt").read_text(encoding="utf-8").splitlines()
    names = {re.split(r"[\[<>=]", line)[0].lower() for line in wanted} - {project["name"]}
    missing = sorted(names - {line.partition("==")[0] for line in pinned})
    assert not missing, f".ci/renew has to be run for: {', '.join(missing)}"


def test_every_package_is_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {"parseable_playbook", "parseable_playbook.manifests"}
    packages |= {".".join(("parseable_playbook", *path.parent.parts)) for path in MODULES}
    assert set(project["tool"]["setuptools"]["packages"]) == packages


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
        "upgrade",
        "verify",
        "status",
        "rollback",
        "archive",
        "remove",
        "graph",
        "settings-schema",
        "init",
        "doctor",
        "demo",
        *(t.command for t in CATALOGUE.values()),
    }


def test_an_older_python_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    monkeypatch.setattr(sys, "version", "3.10.12 (main)")
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "tasks.py"))
    assert ended.value.code == "error: Python 3.11 or newer is needed, and this is 3.10.12"


def test_every_command_is_named_as_the_user_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.collection import ns
    from tasks.core import called

    monkeypatch.setattr(called._Program, "name", "parseable-playbook")
    left = [name for name in ns.task_names if "invoke" in called.as_called(f"run: invoke {name}")]
    assert left == []


def test_every_flag_has_help() -> None:
    from tasks.collection import ns

    for command in ns.tasks.values():
        for argument in command.get_arguments():
            assert argument.help, f"{command.name} --{argument.name}"
        assert command.__doc__


def test_no_task_offers_a_flag_that_does_nothing_for_it() -> None:
    from tasks.collection import ns

    offered = {
        name: {argument.name for argument in command.get_arguments()}
        for name, command in deepcopy(ns).tasks.items()
    }
    assert offered["task-001"] == {"repo", "json"}
    assert offered["task-006"] == {"repo", "cluster", "json", "force", "adopt", "overwrite", "offline"}
    assert offered["task-003"] == offered["task-006"] | {"with_prerequisites", "yes", "unproved"}
    assert offered["task-004"] == offered["task-003"] | {"new_login"}
    assert offered["task-011"] == offered["task-003"] | {"no_push"}


def test_a_step_for_every_task_and_a_check_for_every_item() -> None:
    assert list(STEPS) == list(CATALOGUE)
    assert all(step.spec.id == name for name, step in STEPS.items())
    counts = [sum(check.is_item and check.task == task for check in CHECKS.values()) for task in CATALOGUE]
    # As many items as the specification has under each task.
    assert counts == [3, 3, 4, 3, 2, 2, 2, 3, 3, 3, 4]
    assert len({check.run for check in CHECKS.values()}) == len(CHECKS)
