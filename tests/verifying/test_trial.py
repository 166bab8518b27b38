"""What `verify` changes in the cluster is shown, asked for, and done; or nothing is."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.core.errors import SettingsError, StepFailedError
from tasks.live import load
from tasks.live.arrivals import Loaded
from tasks.live.load import Plan, Report
from tasks.verifying import trial
from tasks.verifying.trial import Trial
from tasks.workspace import Workspace
from tests.checks.deployed import deployed, workspace_of
from tests.kubectl_double import KubectlDouble, kubectl
from tests.live.lab import PASSWORD, Lab, event, running

__all__ = ["deployed", "kubectl"]


@pytest.fixture
def lab(kubectl: KubectlDouble, tmp_path: Path) -> Iterator[Lab]:
    with running(kubectl, tmp_path) as found:
        found.parseable.take("kubernetes", event())
        yield found


@pytest.fixture
def workspace(lab: Lab, deployed: Path) -> Workspace:
    found = workspace_of(deployed)
    found.may_read_logins = True
    found.__dict__.update(kubectl=lab.door, forwards=lab.forwards)
    return found


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Have somebody at the terminal who says ``text``."""
    stdin = io.StringIO(text)
    stdin.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", stdin)


def test_the_retention_is_set_once_it_is_approved(
    lab: Lab, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingsError, match="confirmation needed"):
        trial.carry_out(workspace, Trial(fix=True))
    answer(monkeypatch, "\n")
    with pytest.raises(StepFailedError, match="not approved; nothing was changed"):
        trial.carry_out(workspace, Trial(fix=True))
    trial.carry_out(workspace, Trial(fix=True, is_dry=True))
    assert lab.parseable.retention == {}
    answer(monkeypatch, "y\n")
    assert trial.carry_out(workspace, Trial(fix=True)) is None
    (rule,) = lab.parseable.retention["kubernetes"]
    assert rule["duration"] == "28d"
    # A second time there is nothing to ask.
    trial.carry_out(workspace, Trial(fix=True))
    out, err = capsys.readouterr()
    assert out == ""
    assert f"context lab, server {lab.cluster.url}, namespace monitoring:" in err
    assert "    would set the retention of stream kubernetes to 28 days" in err
    assert err.endswith("the retention of stream kubernetes is set as it should be\n")
    assert PASSWORD not in err


def test_without_a_stream_there_is_no_retention_to_set(lab: Lab, workspace: Workspace) -> None:
    lab.parseable.ingestion.streams.clear()
    with pytest.raises(StepFailedError, match="so there is no retention to set"):
        trial.carry_out(workspace, Trial(fix=True, yes=True))


def test_a_load_is_shown_with_all_that_it_does(
    lab: Lab, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plans: list[Plan] = []

    def run(_kubectl: object, _parseable: object, plan: Plan, _tell: object) -> Report:
        plans.append(plan)
        return Report(plan, plan.total, Loaded(), 0.0)

    monkeypatch.setattr(load, "run", run)
    assert trial.carry_out(workspace, Trial(load=(2000, 30), is_dry=True, yes=True)) is None
    assert plans == []
    report = trial.carry_out(workspace, Trial(load=(2000, 30), yes=True))
    assert report is not None
    (plan,) = plans
    assert (plan.rate, plan.seconds, plan.namespace, plan.image) == (2000, 30, "monitoring", "busybox:1.37.0")
    assert f"write 60,000 lines, 2,000 a second, by Job {plan.name} (busybox:1.37.0)" in " ".join(
        capsys.readouterr().err.split()
    )


def test_nothing_asked_for_is_nothing_done(workspace: Workspace) -> None:
    assert trial.carry_out(workspace, Trial()) is None
