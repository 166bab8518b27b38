"""The link that asks Vector itself. A double stands for it: no package that tests could get has it."""

from pathlib import Path

import pytest

from checks.vector import pipeline_is_valid
from tasks.core.outcomes import Status
from tasks.effects import shell
from tests.checks.deployed import deployed as deployed  # noqa: PLC0414 (a fixture)
from tests.checks.deployed import found
from tests.checks.deployed import root as root  # noqa: PLC0414 (a fixture)

# It ends with 0 if it takes the file, with 78 if not: https://vector.dev/docs/administration/validating/
# Since 0.38 a variable that is not set is an error.
VECTOR = """#!/bin/sh
[ "$1 $2" = "validate --no-environment" ] || exit 2
[ -n "$PARSEABLE_USERNAME$PARSEABLE_PASSWORD" ] || { echo "Missing environment variable" >&2; exit 78; }
grep -q "object(pod.pod_labels)" "$3" || { echo "x [\\"$3\\"]: unexpected syntax token" >&2; exit 78; }
%s
echo Validated
"""
CONFIG = "kubernetes/apps/monitoring/vector/app/configmap.yaml"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def install(programs: Path, more: str = "") -> None:
    (programs / "vector").write_text(VECTOR % more)
    (programs / "vector").chmod(0o755)


def test_vector_takes_it(root: Path, programs: Path) -> None:
    install(programs)
    assert found(pipeline_is_valid, root) == [(Status.PASS, "vector validate takes the configuration", "")]


def test_vector_refuses_it(root: Path, programs: Path) -> None:
    install(programs)
    config = root / CONFIG
    config.write_text(config.read_text().replace("object(pod.pod_labels)", "object(pod.pod_labels"))
    ((status, evidence, place),) = found(pipeline_is_valid, root)
    assert status is Status.FAIL
    assert evidence.startswith("vector validate refuses the configuration: ")
    assert 'x ["vector.yaml"]: unexpected syntax token' in evidence
    assert place.startswith(f"{CONFIG}:")


def test_another_end_says_nothing(root: Path, programs: Path) -> None:
    install(programs, "kill -9 $$")
    ((status, evidence, _),) = found(pipeline_is_valid, root)
    assert status is Status.UNKNOWN
    assert "vector validate ended with -9" in evidence


def test_without_vector(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = shell.find
    monkeypatch.setattr(shell, "find", lambda tool: None if tool == "vector" else find(tool))
    ((status, _, _),) = found(pipeline_is_valid, root)
    assert status is Status.UNKNOWN
