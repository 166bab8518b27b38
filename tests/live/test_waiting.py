"""Waiting for a push: real watches of the real kubectl, against clusters in which something happens."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.core.errors import SettingsError
from tasks.effects.kubectl import Kubectl, UnreachableError
from tasks.live import waiting
from tasks.live.judgement import Judgement, State
from tasks.live.live import Live
from tasks.live.waiting import Awaited, End, Waiting
from tasks.verifying.waiting import _Display, seconds_of
from tests.api_double import Cluster, Object, Reply, Request, cut, kubeconfig, serving, status
from tests.live.situations import MONITORING, commit_of, items_of, objects_of, wanted

COMMIT = commit_of(objects_of("healthy"))
OLD = "b" * 40


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with serving(Cluster()) as running:
        running.put(*items_of("healthy"))
        yield running


@contextmanager
def live(cluster: Cluster, folder: Path) -> Iterator[Live]:
    file = kubeconfig(folder / "kubeconfig", {"lab": cluster.url})
    with Kubectl(kubeconfig=str(file), context=None) as door:
        yield Live(door, wanted(COMMIT))


def revisions(cluster: Cluster, commit: str) -> None:
    """Have source and Kustomizations be at a commit."""
    found = [*cluster.all("GitRepository"), *cluster.all("Kustomization")]
    cluster.put(*(json.loads(json.dumps(one).replace(COMMIT, commit).replace(OLD, commit)) for one in found))


def later(*steps: Callable[[], None], pause: float = 0.25) -> threading.Thread:
    """Have the steps happen one after the other."""

    def run() -> None:
        for step in steps:
            time.sleep(pause)
            step()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_waits_until_all_is_there(cluster: Cluster, tmp_path: Path) -> None:
    revisions(cluster, OLD)
    looks: list[Awaited] = []
    with live(cluster, tmp_path) as found:
        thread = later(lambda: revisions(cluster, COMMIT), pause=1.0)
        began = time.monotonic()
        end, last = Waiting(found, looks.append).until(20, pause=0.05)
        lasted = time.monotonic() - began
        thread.join()
    assert end is End.THERE
    assert 0.9 < lasted < 8
    assert (
        looks[0].open[0].line.startswith("GitRepository flux-system/home-kubernetes: has bbbbbbb, pushed is")
    )
    assert {one.state for one in last.judged} == {State.PASS}
    # Lists are read when something happened, not over and over.
    lists = [one for one in cluster.requests if one.verb == "list" and one.query.get("limit") != "1"]
    assert len([one for one in lists if one.path.endswith("/monitoring/kustomizations")]) <= 6
    assert [one for one in cluster.requests if one.verb == "watch"]


@pytest.mark.parametrize("trouble", ["refused", "cut", "expired"])
def test_watches_that_do_not_last(
    cluster: Cluster, tmp_path: Path, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    revisions(cluster, OLD)
    seen: list[Request] = []

    def refuse(request: Request) -> Reply | None:
        if request.verb != "watch":
            return None
        seen.append(request)
        if trouble == "refused":
            return status(403, "cannot watch")
        return cut(after=40) if trouble == "cut" and len(seen) < 12 else None

    cluster.refuse = refuse
    monkeypatch.setattr(waiting, "_LONGEST", 0.5 if trouble == "refused" else 30.0)
    with live(cluster, tmp_path) as found:
        forget = cluster.forget_history if trouble == "expired" else lambda: None
        thread = later(forget, lambda: revisions(cluster, COMMIT), pause=0.6)
        assert Waiting(found, lambda _: None).until(20, pause=0.05)[0] is End.THERE
        thread.join()
    assert seen


def test_a_server_that_is_away_for_a_while(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_AFTER_REFUSAL", 0.1)
    monkeypatch.setattr(waiting, "_LONGEST", 0.3)
    revisions(cluster, OLD)

    def away() -> None:
        cluster.refuse = lambda request: status(500, "etcdserver: leader changed")

    def back() -> None:
        revisions(cluster, COMMIT)
        cluster.refuse = lambda request: None

    with live(cluster, tmp_path) as found:
        thread = later(away, back, pause=0.8)
        assert Waiting(found, lambda _: None).until(20, pause=0.05)[0] is End.THERE
        thread.join()
        away()
        # One that never answered is not waited for.
        anew = Live(found.kubectl, found.wanted)
        with pytest.raises(UnreachableError, match="leader changed"):
            Waiting(anew, lambda _: None).until(20)


def test_does_not_wait_for_what_will_not_come(cluster: Cluster, tmp_path: Path) -> None:
    commit = commit_of(objects_of("values-do-not-render"))
    cluster.put(*json.loads(json.dumps(items_of("values-do-not-render")).replace(commit, COMMIT)))
    with live(cluster, tmp_path) as found:
        began = time.monotonic()
        end, last = Waiting(found, lambda _: None).until(600)
        assert time.monotonic() - began < 5
    assert end is End.FAILED
    assert [one.about for one in last.failed] == ["HelmRelease monitoring/parseable"]


def test_gives_up_when_the_time_is_over(cluster: Cluster, tmp_path: Path) -> None:
    revisions(cluster, OLD)
    with live(cluster, tmp_path) as found:
        end, last = Waiting(found, lambda _: None).until(1.0, pause=0.05)
    assert end is End.LATE
    assert last.open[0].about == "GitRepository flux-system/home-kubernetes"


def test_what_was_seen_of_sick_pods_is_kept(cluster: Cluster, tmp_path: Path) -> None:
    def of_vector(name: str) -> list[Object]:
        commit = commit_of(objects_of(name))
        text = json.dumps(items_of(name)).replace(commit, COMMIT)
        return [one for one in json.loads(text) if one["metadata"]["name"].startswith("vector")]

    def roll_back() -> None:
        for pod in cluster.all("Pod", MONITORING):
            if pod["metadata"]["name"].startswith("vector"):
                cluster.remove("Pod", MONITORING, pod["metadata"]["name"])
        cluster.put(*of_vector("rolled-back-after-timeout"))

    for pod in cluster.all("Pod", MONITORING):
        if pod["metadata"]["name"].startswith("vector"):
            cluster.remove("Pod", MONITORING, pod["metadata"]["name"])
    cluster.put(*of_vector("image-pull-and-crashloop"))
    with live(cluster, tmp_path) as found:
        thread = later(roll_back, pause=0.8)
        end, last = Waiting(found, lambda _: None).until(20, pause=0.05)
        thread.join()
        assert [one.state for one in found.pods] == [State.PASS] * 2
    assert end is End.FAILED
    (release,) = last.failed
    assert "upgrade failed: context deadline exceeded" in release.evidence
    told = "seen before: DaemonSet monitoring/vector: 2 of 3 ready; vector-jzp98: vector: CrashLoopBackOff"
    assert told in release.evidence


# What lasts, and what is shown ------------------------------------------------------------------------------

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


def awaited(*judged: Judgement, lasting: float = 0) -> Awaited:
    return Awaited(judged, {one.about: NOW - timedelta(seconds=lasting) for one in judged}, NOW)


def test_a_failure_that_flux_tries_again_is_given_one_more_attempt() -> None:
    failing = Judgement(State.FAIL, "Kustomization a/b", "BuildFailed", "do", patience=60)
    assert awaited(failing, lasting=59).end is None
    assert awaited(failing, lasting=60).end is End.FAILED
    assert awaited(replace(failing, patience=0)).end is End.FAILED
    waits = Judgement(State.WAIT, "Kustomization a/c", "x")
    assert awaited(waits, failing, lasting=61).end is End.FAILED
    assert awaited(waits, lasting=9999).end is None
    passes, unknown = Judgement(State.PASS, "a", "x"), Judgement(State.UNKNOWN, "b", "x")
    assert (awaited(passes).end, awaited(passes, unknown).end) == (End.THERE, End.UNKNOWN)
    assert awaited(unknown, waits).end is None


def test_what_is_shown_while_waiting(capsys: pytest.CaptureFixture[str]) -> None:
    from tasks.core.ticker import Ticker

    display = _Display(Ticker())
    source = Judgement(State.WAIT, "GitRepository a/b", "has 1111111, pushed is 2222222")
    release = Judgement(State.WAIT, "HelmRelease a/c", "not begun")
    display.tell(awaited(source, release, lasting=30))
    display.tell(awaited(source, release, lasting=31))
    display.tell(awaited(replace(source, state=State.PASS, evidence="has 2222222"), release, lasting=2))
    display.tell(
        awaited(replace(source, state=State.PASS), replace(release, state=State.FAIL, evidence="no chart"))
    )
    assert capsys.readouterr().err.splitlines() == [
        "waiting for GitRepository a/b since 09:29:30: has 1111111, pushed is 2222222 (and 1 more)",
        "waiting for GitRepository a/b since 09:29:29: has 1111111, pushed is 2222222 (and 1 more)",
        "09:30:00 pass: GitRepository a/b: has 2222222",
        "waiting for HelmRelease a/c since 09:29:58: not begun",
        "09:30:00 fail: HelmRelease a/c: no chart",
    ]


def test_what_is_a_duration() -> None:
    assert [seconds_of(text) for text in ("90s", "10m", "1h30m")] == [90, 600, 5400]
    for text in ("10", "0s", "m", "10 m", "soon", "10m later"):
        with pytest.raises(SettingsError, match="is no duration"):
            seconds_of(text)


def test_a_watch_that_ends_at_once_is_not_begun_over_and_over(cluster: Cluster, tmp_path: Path) -> None:
    seen: list[Request] = []

    def end(request: Request) -> Reply | None:
        if request.verb != "watch":
            return None
        seen.append(request)
        return cut(after=0)

    cluster.refuse = end
    path = "/api/v1/namespaces/monitoring/pods"
    with live(cluster, tmp_path) as found:
        waiting._start(found.kubectl, path, "", found.kubectl.version(path), threading.Event())
        time.sleep(2.5)
        assert 1 <= len(seen) <= 3
