"""A load is written, found, counted, and its Job deleted, whatever happens."""

import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.core.errors import SettingsError
from tasks.effects import kubectl_change
from tasks.effects.kubectl import ClusterError
from tasks.live import load
from tasks.live.arrivals import Loaded
from tasks.live.asking import ServiceError
from tasks.live.load import Plan, Report
from tests.api_double import Reply, Request, status
from tests.kubectl_double import KubectlDouble, kubectl
from tests.live.lab import Lab, event, running, thing

__all__ = ["kubectl"]

PLAN = Plan(20, 5, "monitoring", "registry.test/busybox:1", nonce="n0nce")


@pytest.fixture
def lab(kubectl: KubectlDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr(load, "_PAUSE", 0.02)
    monkeypatch.setattr(load, "_ARRIVAL", 0.3)
    with running(kubectl, tmp_path) as found:
        yield found


@pytest.fixture
def quick(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What kubectl would change, without starting it each time."""

    def change(_: object, *words: str, stdin: bytes = b"", **more: object) -> str:
        if words[0] == "create":
            lab.cluster.put(yaml.safe_load(stdin))
        elif lab.cluster.all("Job"):
            lab.cluster.remove("Job", PLAN.namespace, words[1].removeprefix("job/"))
        return ""

    monkeypatch.setattr(load, "change", change)


def pod(phase: str, state: dict[str, Any] | None = None) -> dict[str, Any]:
    labels = {"app.kubernetes.io/instance": PLAN.name}
    seen = {
        "phase": phase,
        "containerStatuses": [{"name": "load", "image": PLAN.image, "state": state or {}}],
    }
    return thing("v1", "Pod", f"{PLAN.name}-x", labels=labels, status=seen)


def written(lab: Lab, numbers: list[int]) -> None:
    """Have these lines arrive, two seconds after they were written."""
    begun = datetime.now(UTC) - timedelta(seconds=10)
    for number in numbers:
        at = begun + timedelta(seconds=number / PLAN.rate)
        ours = event(message=f"n0nce {number:09d} xxx", timestamp=(at - timedelta(seconds=2)).isoformat())
        lab.parseable.take("kubernetes", ours, at=at)


def on_creation(lab: Lab, act: Callable[[], None]) -> None:
    """Have the cluster ``act`` when the Job is made."""
    acted: list[bool] = []

    def refuse(request: Request) -> Reply | None:
        if request.method == "GET" and request.path.endswith("/pods") and not acted:
            assert [one["metadata"]["name"] for one in lab.cluster.all("Job")] == [PLAN.name]
            acted.append(True)
            act()
        return None

    lab.cluster.refuse = refuse


def run(lab: Lab, told: list[str] | None = None) -> Report:
    url = "http://parseable.monitoring.svc.cluster.local:8000"
    keys = ("username", "password")
    client = lab.services().parseable(url, "kubernetes", secret="parseable-s3-secret", keys=keys)
    tell = (lambda _: None) if told is None else told.append
    return load.run(lab.door, client, PLAN, tell)


def test_all_of_it_arrives(lab: Lab) -> None:
    def act() -> None:
        lab.cluster.put(pod("Running"))
        written(lab, list(range(100)))

    on_creation(lab, act)

    def tell(line: str) -> None:
        if line.startswith("writing"):
            return
        told.append(line)

    told: list[str] = []
    looked = load._Run._look

    def look(self: Any, **more: bool) -> None:
        looked(self, **more)
        lab.cluster.put(pod("Succeeded"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load._Run, "_look", look)
        report = run(lab, told)
    assert (report.written, report.lost, report.repeated, report.problem) == (100, 0, 0, "")
    assert report.rate == pytest.approx(20, rel=0.05)
    assert report.found.delay == pytest.approx(2, abs=0.01)
    assert 6 < report.fresh < 9
    assert told[-1] == "100 lines written; waiting until they are found"
    assert lab.cluster.all("Job") == []


@pytest.mark.usefixtures("quick")
def test_what_is_lost_and_what_came_twice(lab: Lab) -> None:
    def act() -> None:
        lab.cluster.put(pod("Succeeded"))
        written(lab, [*range(90), *range(5)])

    on_creation(lab, act)
    report = run(lab)
    assert (report.written, report.lost, report.repeated) == (100, 10, 5)


@pytest.mark.usefixtures("quick")
def test_what_is_hidden_for_a_moment_is_not_lost(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_ARRIVAL", 10)
    asked: list[str] = []

    def before(statement: str) -> None:
        asked.append(statement)
        lab.parseable.is_hidden = lambda row: len(asked) < 4

    def act() -> None:
        lab.cluster.put(pod("Succeeded"))
        written(lab, list(range(100)))
        lab.parseable.before = before

    on_creation(lab, act)
    assert (run(lab).lost, len(asked)) == (0, 4)


@pytest.mark.usefixtures("quick")
def test_what_was_found_once_stays_found(lab: Lab) -> None:
    asked: list[str] = []

    def before(statement: str) -> None:
        asked.append(statement)
        lab.parseable.is_hidden = lambda row: len(asked) > 1

    def act() -> None:
        lab.cluster.put(pod("Succeeded"))
        written(lab, list(range(90)))
        lab.parseable.before = before

    on_creation(lab, act)
    assert run(lab).lost == 10
    assert len(asked) > 1


@pytest.mark.usefixtures("quick")
def test_a_pod_that_is_ended_early_wrote_what_its_log_says(lab: Lab) -> None:
    def act() -> None:
        lab.cluster.put(pod("Failed", {"terminated": {"reason": "OOMKilled", "exitCode": 137}}))
        lab.cluster.logs["monitoring", f"{PLAN.name}-x", "load", False] = "n0nce 000000041 xxx\n"
        written(lab, list(range(42)))

    on_creation(lab, act)
    report = run(lab)
    assert (report.written, report.lost) == (42, 0)
    assert report.problem == "its pod ended with OOMKilled (137)"


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("made", "told"),
    [
        (
            pod("Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}),
            "does not begin: ImagePullBackOff: not found",
        ),
        (None, "does not begin: there is none"),
    ],
    ids=["image", "none"],
)
def test_a_pod_that_does_not_begin(
    lab: Lab, made: dict[str, Any] | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_START", 0.3)
    on_creation(lab, lambda: lab.cluster.put(*([made] if made else [])))
    with pytest.raises(ClusterError, match=told):
        run(lab)
    assert lab.cluster.all("Job") == []


def test_the_job_is_deleted_when_parseable_goes_away_or_somebody_interrupts(lab: Lab) -> None:
    def act() -> None:
        lab.cluster.put(pod("Running"))
        lab.parseable.has_store = False

    on_creation(lab, act)
    lab.parseable.take("kubernetes", event())
    with pytest.raises(ServiceError, match="answers 500"):
        run(lab)
    assert lab.cluster.all("Job") == []

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    lab.cluster.refuse = lambda _: None
    url = "http://parseable.monitoring.svc.cluster.local:8000"
    client = lab.services().parseable(
        url, "kubernetes", secret="parseable-s3-secret", keys=("username", "password")
    )
    with pytest.raises(KeyboardInterrupt):
        load.run(lab.door, client, PLAN, interrupt)
    assert lab.cluster.all("Job") == []


def test_an_interrupt_while_it_is_deleted_does_not_keep_the_job(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_creation(
        lab, lambda: lab.cluster.put(pod("Failed", {"terminated": {"reason": "Error", "exitCode": 1}}))
    )
    interrupted: list[bool] = []

    def change(*given: Any, **more: Any) -> str:
        if "delete" in given and not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return kubectl_change.change(*given, **more)

    monkeypatch.setattr(load, "change", change)
    with pytest.raises(KeyboardInterrupt):
        run(lab)
    assert lab.cluster.all("Job") == []


def test_a_job_that_cannot_be_made_or_deleted(lab: Lab) -> None:
    lab.cluster.refuse = lambda asked: (
        status(403, "jobs.batch is forbidden") if asked.verb == "create" else None
    )
    with pytest.raises(ClusterError, match=r"kubectl create: jobs\.batch is forbidden"):
        run(lab)

    def refuse(asked: Request) -> Reply | None:
        return status(500, "the cluster is on fire") if asked.method == "DELETE" else None

    lab.cluster.refuse = refuse
    lab.cluster.put(pod("Succeeded"))
    written(lab, list(range(100)))
    told: list[str] = []
    assert run(lab, told).lost == 0
    assert f"Job {PLAN.name} could not be deleted (kubectl delete: " in told[-2]
    assert told[-1].endswith(f"kubectl delete job {PLAN.name} -n monitoring")


@pytest.mark.parametrize(
    ("text", "found"), [("", (1200, 60)), ("2000", (2000, 60)), ("2000,30", (2000, 30)), (" 50 , 5", (50, 5))]
)
def test_what_is_asked_for(text: str, found: tuple[int, int]) -> None:
    assert load.asked(text) == found


@pytest.mark.parametrize("text", ["fast", "1,2,3", "0", "20001", "10,4", "10,601", "-5", "1.5"])
def test_what_cannot_be_asked_for(text: str) -> None:
    with pytest.raises(SettingsError, match=f"--load {re.escape(text)}: "):
        load.asked(text)


def test_the_program_writes_each_line_once_at_its_rate() -> None:
    job = yaml.safe_load(Plan(400, 1, "monitoring", "registry.test/busybox:1", nonce="n0nce").manifest())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    begun = datetime.now(UTC)
    done = subprocess.run(
        (*container["command"], *container["args"]), capture_output=True, text=True, check=True
    )
    took = (datetime.now(UTC) - begun).total_seconds()
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == [f"{number:09d}" for number in range(400)]
    assert {len(line) for line in lines} == {99}
    assert {line.split()[0] for line in lines} == {"n0nce"}
    assert 0.95 < took < 3


def test_the_job_bounds_itself() -> None:
    job = yaml.safe_load(PLAN.manifest())
    assert job["spec"]["activeDeadlineSeconds"] == 125
    assert job["spec"]["ttlSecondsAfterFinished"] == 600
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "500m", "memory": "64Mi"}
    assert Report(PLAN, 100, Loaded(), 0).rate == 0
