"""`verify` with what it changes in the cluster, as a user runs it."""

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.api_double import Reply, Request
from tests.kubectl_double import put
from tests.live.lab import ADMIN, LOGIN, PASSWORD, Lab, event, running, thing
from tests.playground import Playground, wait_for

TRIAL = ("verify", "--only", "DoD-003-04,DoD-010-02,DoD-011-04", "--stage", "live", "--json")


@pytest.fixture
def lab(done: Playground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with running(put(tmp_path, monkeypatch), tmp_path) as found:
        found.parseable.take("kubernetes", event(timestamp="2026-01-01T00:00:00Z"))
        path = os.pathsep.join((str(found.kubectl.folder), done.environment.get("PATH", os.environ["PATH"])))
        done.environment.update(KUBECONFIG=str(found.kubeconfig), PATH=path)
        yield found


def job(lab: Lab, phase: str) -> dict[str, Any] | None:
    """The Job that was made, with a pod in ``phase``; None while there is none."""
    for one in lab.cluster.all("Job"):
        name = one["metadata"]["name"]
        labels = {"app.kubernetes.io/instance": name}
        lab.cluster.put(thing("v1", "Pod", f"{name}-x", labels=labels, status={"phase": phase}))
        return one
    return None


def write_all(lab: Lab) -> None:
    """Have the lines of the Job arrive as it is made."""

    def refuse(request: Request) -> Reply | None:
        found = job(lab, "Succeeded") if request.path.endswith("/pods") else None
        if found is not None and len(lab.parseable.ingestion.streams["kubernetes"].rows) == 1:
            (container,) = found["spec"]["template"]["spec"]["containers"]
            given = dict(one.split("=") for one in container["args"] if "=" in one and "\n" not in one)
            begun = datetime.now(UTC) - timedelta(seconds=10)
            for number in range(int(given["total"])):
                at = begun + timedelta(seconds=number / int(given["rate"]))
                line = event(message=f"{given['nonce']} {number:09d} x", timestamp=at.isoformat())
                lab.parseable.take("kubernetes", line, at=at)
        return None

    lab.cluster.refuse = refuse


def test_the_retention_is_set_and_a_load_is_compared(done: Playground, lab: Lab) -> None:
    refused = done.on_repository(*TRIAL, "--fix", "--load", "40,5")
    assert (refused.code, "confirmation needed" in refused.err) == (2, True)
    dry = done.invoke("--dry", *TRIAL[:1], "--repo", str(done.root), *TRIAL[1:], "--fix", "--load", "40,5")
    assert "would set the retention of stream kubernetes to 28 days" in dry.err
    assert (lab.cluster.all("Job"), lab.parseable.retention) == ([], {})
    write_all(lab)
    found = done.on_repository(*TRIAL, "--fix", "--load", "40,5", "--yes")
    answers = {one["id"]: one for one in found.data["checks"]}
    assert found.code == 0, found.err
    assert {name: one["status"] for name, one in answers.items()} == {
        "DoD-003-04": "pass",
        "DoD-010-02": "pass",
        "DoD-011-04": "unknown",  # it was asked for less than has to be shown
    }
    assert (
        "200 lines written at 40 a second, 200 found (0 lost, 0 twice)" in answers["DoD-011-04"]["evidence"]
    )
    assert f"context lab, server {lab.cluster.url}, namespace monitoring:" in found.err
    assert lab.cluster.all("Job") == []
    assert not lab.kubectl.is_running()
    for hidden in (PASSWORD, ADMIN, LOGIN.header.partition(" ")[2], "logs:"):
        assert hidden not in found.out + found.err


@pytest.mark.parametrize("form", [(), ("--json",), ("--format", "github")], ids=["text", "json", "github"])
def test_no_output_shows_a_login(done: Playground, lab: Lab, form: tuple[str, ...]) -> None:
    # The server has another login, and everything that it answers repeats the one that it was given.
    lab.parseable.ingestion.password = "another-5311"
    lab.grafana.health = (500, {"status": "ERROR", "message": f"{PASSWORD} {ADMIN} {LOGIN.header}"})
    lab.grafana.has_backend = True
    found = done.on_repository("verify", "--stage", "live", "--read-logins", *form)
    assert found.code == 1
    assert "the login of Secret monitoring/parseable-s3-secret is not the one that it has" in found.out
    assert "(not shown)" in found.out
    for hidden in (PASSWORD, ADMIN, LOGIN.header.partition(" ")[2]):
        assert hidden not in found.out + found.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_load_leaves_no_job(done: Playground, lab: Lab, number: int) -> None:
    with done.started("verify", "--stage", "live", "--load", "--yes") as process:
        wait_for(lambda: job(lab, "Running") is not None)
        wait_for(lambda: any(one.path == "/api/v1/query" for one in lab.requests["parseable"]))
        started = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert time.monotonic() - started < 15
    assert lab.cluster.all("Job") == []
    assert "Traceback" not in err
    assert not lab.kubectl.is_running()
    assert PASSWORD not in out + err


def test_without_a_cluster_nothing_is_changed(done: Playground) -> None:
    found = done.on_repository("verify", "--stage", "static", "--fix", "--yes")
    assert (found.code, "there is no running cluster to change" in found.err) == (2, True)
