"""YAML errors in files that matter: every command names file and line; none says that there is no file."""

import dataclasses
import re

import pytest

from tasks import commands
from tasks.core.errors import PlaybookError
from tasks.core.settings import Parseable, Settings
from tasks.verifying.answers import Questions
from tasks.workspace import Permissions
from tests.checks.test_links import (
    _programs,  # noqa: F401
    answers,  # noqa: F401
    chart_cache,  # noqa: F401
    finished,  # noqa: F401
    mirror,  # noqa: F401
)
from tests.playground import APPS, GRAFANA
from tests.tools import helm_folder  # noqa: F401
from tests.whole.test_gate import Gate
from tests.whole.test_gate import gate as gate  # noqa: PLC0414 (a fixture)

ERRORS = {
    "a tab": "\tx: y\n",
    "conflict markers": "<<<<<<< HEAD\na: b\n=======\na: c\n>>>>>>> other\n",
    "a broken alias": "x: *nowhere\n",
}


def status(settings: Settings, options: commands.Options) -> None:
    commands.status(settings, options)


def verify(settings: Settings, options: commands.Options) -> None:
    commands.verify(settings, options, Questions())


def task_011(settings: Settings, options: commands.Options) -> None:
    commands.run_one(settings, options, "TASK-011", with_prerequisites=False)


@pytest.mark.parametrize(
    ("file", "error"),
    [
        (f"{APPS}/kustomization.yaml", "a tab"),
        (f"{APPS}/kustomization.yaml", "conflict markers"),
        (f"{APPS}/kustomization.yaml", "a broken alias"),
        (f"{APPS}/parseable/ks.yaml", "conflict markers"),
        (f"{APPS}/vector/app/helmrelease.yaml", "a broken alias"),
        (f"{APPS}/parseable/app/secret.sops.yaml", "a tab"),
        ("kubernetes/flux/meta/repos/kustomization.yaml", "a broken alias"),
        (GRAFANA, "conflict markers"),
        (GRAFANA, "a broken alias"),
    ],
)
def test_every_command_names_the_line(
    gate: Gate, file: str, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gate.settings = dataclasses.replace(gate.settings, parseable=Parseable())
    path = gate.root / file
    text = path.read_text()
    path.write_text(text + ERRORS[error])
    # Conflict markers are found at the line that follows the first.
    numbers = {len(text.splitlines()) + more for more in (1, 2)}
    for run in (commands.plan, commands.run_all, status, verify, task_011):
        refused: PlaybookError | None = None
        try:
            run(gate.settings, commands.Options(yes=True))
        except PlaybookError as found:
            refused = found
        assert (refused is None) == (run is status)
        shown = capsys.readouterr()
        told = f"{shown.out}{shown.err}{refused.summary if refused else ''}"
        lines = re.findall(rf"{re.escape(file)}(?::| is [\w ]+: it is not YAML \()(\d+)", told)
        assert numbers & set(map(int, lines)), f"{run.__name__}: {told}"
        assert "no such file" not in told.lower()
        assert f"{file} does not exist" not in told


def test_what_is_committed_like_that_is_written_anew_if_that_is_asked_for(gate: Gate) -> None:
    file = f"{APPS}/vector/app/helmrelease.yaml"
    text = (gate.root / file).read_text()
    (gate.root / file).write_text(f"{text}\tx: y\n")
    gate.commit()
    refused = gate.all()
    assert refused is not None
    assert f"{file}:{len(text.splitlines()) + 1}" in refused.summary
    assert f"--overwrite {file} has it written anew" in refused.hint
    allowed = Permissions(force=True, overwrite=(file,))
    commands.run_all(gate.settings, commands.Options(yes=True, permissions=allowed))
    assert (gate.root / file).read_text() == text
