"""What `all` offers after a push, and what `verify --reconcile` asks of Flux."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.core.console import Console
from tasks.core.errors import SettingsError, StepFailedError
from tasks.verifying import arrival
from tasks.verifying.reconciling import reconcile
from tasks.workspace import Network, Workspace
from tests.api_double import Cluster, Reply, Request, serving, status
from tests.checks.deployed import deployed as deployed  # noqa: PLC0414 (a fixture)
from tests.checks.deployed import root as root  # noqa: PLC0414 (a fixture)
from tests.checks.deployed import workspace_of
from tests.checks.test_live import Lab

OLD = "main@sha1:" + "b" * 40
GIT = ("GitRepository", "flux-system", "home-kubernetes")


@pytest.fixture
def lab(root: Path, tmp_path: Path) -> Iterator[Lab]:
    with serving(Cluster()) as cluster:
        found = Lab(root, cluster, tmp_path)
        found.load("healthy")
        yield found


def workspace(lab: Lab) -> Workspace:
    found = workspace_of(lab.root, lab.settings)
    found.network = Network.ONLINE
    return found


def offered(lab: Lab, monkeypatch: pytest.MonkeyPatch, *, answer: str = "", can_ask: bool = True) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    arrival.offer(workspace(lab), Console(), can_ask=can_ask)


def test_without_a_terminal_the_command_is_named(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offered(lab, monkeypatch, can_ask=False)
    assert capsys.readouterr().out == "see it arrive in lab: invoke verify --stage live --wait 10m\n"
    assert lab.cluster.requests == []
    offered(lab, monkeypatch, answer="\n")
    assert lab.cluster.requests == []


def test_waiting_ends_well_or_with_what_fails(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offered(lab, monkeypatch, answer="y\n")
    assert "see what runs, with evidence" in capsys.readouterr().out
    lab.load("values-do-not-render")
    with pytest.raises(StepFailedError, match=r"HelmRelease monitoring/parseable: upgrade failed: "):
        offered(lab, monkeypatch, answer="y\n")


def test_nothing_is_offered_where_no_cluster_is_known(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path(str(lab.settings.cluster.kubeconfig))
    for text in ("{}", "broken: ["):
        file.write_text(text)
        offered(lab, monkeypatch, can_ask=False)
    assert capsys.readouterr().out == ""


# Reconciling ------------------------------------------------------------------------------------------------


def behind(lab: Lab) -> None:
    """Have the source be at an older commit, until it is told to look."""
    newest = json.loads(json.dumps(lab.cluster.all("GitRepository")[0]))
    lab.cluster.change(*GIT, status={"artifact": {"revision": OLD}})

    def refuse(request: Request) -> Reply | None:
        if request.method == "PATCH":
            lab.cluster.put(newest)
        return None

    lab.cluster.refuse = refuse


def test_flux_is_told_to_look_after_asking(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    behind(lab)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    live = lab.model().live
    with pytest.raises(SettingsError, match="confirmation needed"):
        reconcile(live, yes=False, is_dry=False)
    reconcile(live, yes=False, is_dry=True)
    assert not [one for one in lab.cluster.requests if one.method != "GET"]
    told = capsys.readouterr().err
    assert f"context lab, server {lab.cluster.url}, namespace flux-system:" in told
    assert f"would annotate GitRepository home-kubernetes, so that Flux fetches {lab.pushed[:7]} now" in told
    reconcile(live, yes=True, is_dry=False)
    (patch,) = [one for one in lab.cluster.requests if one.method != "GET"]
    assert (patch.verb, patch.path.rpartition("/")[2]) == ("patch", "home-kubernetes")
    annotations: dict[str, Any] = lab.cluster.all("GitRepository")[0]["metadata"]["annotations"]
    assert list(annotations) == ["reconcile.fluxcd.io/requestedAt"]
    live.look_again()
    reconcile(live, yes=False, is_dry=False)
    assert f"Flux has {lab.pushed[:7]} already" in capsys.readouterr().err


def test_a_reader_may_not_tell_flux_to_look(lab: Lab) -> None:
    behind(lab)
    live = lab.model().live
    assert live.objects.find(*GIT) is not None
    lab.cluster.refuse = lambda request: status(403, "me cannot patch") if request.method == "PATCH" else None
    with pytest.raises(Exception, match="me cannot patch"):
        reconcile(live, yes=True, is_dry=False)
