"""What is said of clusters that were recorded, healthy and sick, and of what is nearly the same."""

import re
from datetime import timedelta
from typing import Any

import pytest
import yaml

from tasks.core.errors import HiddenError
from tasks.live.judgement import Judgement, State
from tasks.live.objects import Objects
from tasks.live.rollout import judge_flux, judge_pods
from tasks.live.wanted import Wanted, WantedRelease
from tasks.live.workloads import judge_workload
from tests.live.situations import (
    FOLDER,
    KUSTOMIZATIONS,
    MONITORING,
    SOURCE,
    commit_of,
    edited,
    objects_of,
    wanted,
)

SITUATIONS: dict[str, dict[str, Any]] = yaml.safe_load(
    (FOLDER / "situations.yaml").read_text(encoding="utf-8")
)


def test_every_recording_is_judged() -> None:
    assert set(SITUATIONS) == {file.stem for file in FOLDER.glob("*.json")}


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_said_of_a_situation(name: str) -> None:
    given, objects = SITUATIONS[name], objects_of(name)
    commit = given.get("commit") or commit_of(objects)
    if "all" in given:
        found = judge_all(objects, given["all"], commit)
    else:
        found = [*judge_flux(objects, wanted(commit)), *judge_pods(objects, wanted(commit))]
    told = [one for one in found if one.state is not State.PASS]
    assert len(told) == len(given["said"]), "\n".join(f"{one.state} {one.line}" for one in told)
    for one, line in zip(told, given["said"], strict=True):
        check(one, line)
    for one in found:
        assert "\n" not in one.line
        assert one.evidence
        assert one.remedy or one.state in (State.WAIT, State.PASS), one.line


def judge_all(objects: Objects, namespace: str, commit: str) -> list[Judgement]:
    """What is said of everything in a namespace."""
    kustomizations = tuple(
        (namespace, one["metadata"]["name"]) for one in objects.of("Kustomization", namespace)
    )
    releases = tuple(
        WantedRelease((namespace, one["metadata"]["name"]), namespace, ("", ""), "task-003")
        for one in objects.of("HelmRelease", namespace)
    )
    asked = Wanted(commit, lambda revision: revision[-40:] == commit, kustomizations, releases)
    workloads = [judge_workload(objects, one, "task-003") for one in objects.of("Deployment", namespace)]
    return [*judge_flux(objects, asked), *judge_pods(objects, asked), *workloads]


def check(one: Judgement, line: str) -> None:
    """Check a judgement against a line of the table."""
    said, _, remedy = line.partition("->")
    found = re.fullmatch(r"(\w+) (pods of \w+ \S+|\w+ \S+) (.*?)\s*", said)
    assert found is not None
    assert (one.state, one.about) == (found[1], found[2])
    for part in found[3].split("…"):
        assert part.strip() in one.evidence, one.line
    assert remedy.strip() in one.remedy


# What is nearly the same ---------------------------------------------------------------------------------


def said(objects: Objects, commit: str = "") -> list[tuple[State, str, str]]:
    asked = wanted(commit or commit_of(objects))
    return [
        (one.state, one.about, one.evidence)
        for one in (*judge_flux(objects, asked), *judge_pods(objects, asked))
        if one.state is not State.PASS
    ]


def test_a_source_that_fails_to_look_again_still_has_the_commit() -> None:
    objects = objects_of("git-unreachable")
    found = said(objects)
    assert not any("GitRepository" in about for _, about, _ in found)


def test_a_commit_that_came_after_ours_holds_it() -> None:
    objects = objects_of("healthy")
    newer = commit_of(objects)
    asked = Wanted("a" * 40, lambda revision: revision[-40:] == newer, KUSTOMIZATIONS, wanted("").releases)
    assert {one.state for one in judge_flux(objects, asked)} == {State.PASS}
    unknown = Wanted("a" * 40, lambda revision: None, KUSTOMIZATIONS, ())
    assert {one.state for one in judge_flux(objects, unknown)} == {State.UNKNOWN}
    assert "git fetch" in judge_flux(objects, unknown)[0].remedy


def test_an_artifact_of_another_kind_is_judged_by_being_the_newest() -> None:
    objects = objects_of("healthy")
    items: list[Any] = [dict(one) for one in objects.all]
    revision = "latest@sha256:3975ceb618117909b4aff4cd851363960d4b0ee58ac8d539a69b2330b1317cd0"
    for one in items:
        if one["kind"] == "GitRepository":
            one["kind"] = "OCIRepository"
            one["status"]["artifact"].update(
                revision=revision, metadata={"org.opencontainers.image.revision": "main@sha1:" + "a" * 40}
            )
        if one["kind"] == "Kustomization":
            one["spec"]["sourceRef"]["kind"] = "OCIRepository"
            one["status"]["lastAppliedRevision"] = revision
    asked = Wanted(
        "a" * 40,
        lambda text: text.endswith("a" * 40) if "sha1" in text else None,
        KUSTOMIZATIONS,
        (),
    )
    changed = Objects(tuple(items), now=objects.now)
    assert [one.state for one in judge_flux(changed, asked)] == [State.PASS] * 6
    items[-1]["status"] = {}
    for one in items:
        if one["metadata"]["name"] == "vector" and one["kind"] == "Kustomization":
            one["status"]["lastAppliedRevision"] = revision.replace("397", "398")
    assert [one.about for one in judge_flux(changed, asked) if one.state is State.WAIT] == [
        "Kustomization monitoring/vector"
    ]


def test_ready_with_the_message_of_the_new_commit_is_not_yet_applied() -> None:
    def between_two_patches(one: dict[str, Any]) -> None:
        one["status"]["lastAppliedRevision"] = "main@sha1:" + "b" * 40

    objects = edited("healthy", "Kustomization", (MONITORING, "vector"), between_two_patches)
    (found,) = said(objects)
    assert found[:2] == (State.WAIT, "Kustomization monitoring/vector")


def test_a_kustomization_that_failed_with_the_commit_before_is_awaited() -> None:
    def older(one: dict[str, Any]) -> None:
        one["status"]["lastAttemptedRevision"] = "main@sha1:" + "b" * 40

    objects = edited("sops-key-missing", "Kustomization", (MONITORING, "parseable"), older)
    found = {about: state for state, about, _ in said(objects)}
    assert found["Kustomization monitoring/parseable"] is State.WAIT
    assert found["Kustomization monitoring/vector"] is State.FAIL


def test_an_attempt_that_should_have_ended_is_overdue() -> None:
    objects = objects_of("helm-controller-down")
    late = Objects(objects.all, now=objects.now + timedelta(minutes=10))
    (evidence,) = [text for _, about, text in said(late) if about == "HelmRelease monitoring/parseable"]
    assert "is overdue: helm-controller does not seem to run" in evidence


def test_what_was_seen_of_pods_that_are_gone() -> None:
    objects = objects_of("rolled-back-after-timeout")
    event = {
        "kind": "Event",
        "metadata": {"namespace": MONITORING, "name": "vector-abc.1"},
        "involvedObject": {"kind": "Pod", "namespace": MONITORING, "name": "vector-abc"},
        "reason": "Failed",
        "message": 'Failed to pull image "timberio/vector:0.0.0": not found',
    }
    found = said(Objects((*objects.all, event), now=objects.now))
    assert 'Pod vector-abc: Failed to pull image "timberio/vector:0.0.0": not found' in found[1][2]
    assert "Failed to pull" not in found[0][2]


@pytest.mark.parametrize(
    ("reason", "state"), [("Completed", None), ("OOMKilled", State.FAIL), ("Error", None)]
)
def test_a_pod_that_runs_again(reason: str, state: State | None) -> None:
    def killed(one: dict[str, Any]) -> None:
        status = one["status"]["containerStatuses"][0]
        status["restartCount"] = 1
        status["lastState"] = {
            "terminated": {"exitCode": 137, "reason": reason, "finishedAt": "2026-11-25T09:20:00Z"}
        }

    key = (MONITORING, "vector-4wbzl")
    objects = edited("healthy", "Pod", key, killed)
    assert [one[0] for one in said(objects)] == ([state] if state else [])
    # What happened yesterday is no news.
    later = Objects(objects.all, now=objects.now + timedelta(days=1))
    assert said(later) == []


def test_a_pod_that_is_not_ready_is_starting_or_not() -> None:
    def starting(one: dict[str, Any]) -> None:
        status = one["status"]
        status["containerStatuses"][0].update(ready=False)
        for condition in status["conditions"]:
            if condition["type"] in ("Ready", "ContainersReady"):
                condition.update(status="False", lastTransitionTime="2026-11-25T09:24:30Z")

    objects = edited("healthy", "Pod", (MONITORING, "vector-4wbzl"), starting)
    probe = {
        "kind": "Event",
        "metadata": {"namespace": MONITORING, "name": "vector-4wbzl.1"},
        "involvedObject": {"kind": "Pod", "namespace": MONITORING, "name": "vector-4wbzl"},
        "reason": "Unhealthy",
        "message": "Readiness probe failed: HTTP probe failed with statuscode: 503",
    }
    items = (*objects.all, probe)
    ((state, _, evidence),) = said(Objects(items, now=objects.now))
    assert state is State.WAIT
    assert (
        "not ready since 09:24:30: Readiness probe failed: HTTP probe failed with statuscode: 503" in evidence
    )
    ((state, _, _),) = said(Objects(items, now=objects.now + timedelta(minutes=10)))
    assert state is State.FAIL


@pytest.mark.parametrize(("age", "is_whole"), [("2026", True), ("2020", True), ("2020", False)])
def test_a_pod_that_was_evicted_is_left_over(age: str, is_whole: bool) -> None:
    objects = objects_of("healthy")
    (pod,) = (one for one in objects.all if one["metadata"]["name"] == "vector-4wbzl")
    failed = {
        **pod,
        "metadata": {**pod["metadata"], "name": "vector-gone", "creationTimestamp": f"{age}-12-31T00:00:00Z"},
        "status": {
            "phase": "Failed",
            "reason": "Evicted",
            "message": "The node was low on resource: memory.",
        },
    }
    if not is_whole:
        objects = edited(
            "healthy", "DaemonSet", (MONITORING, "vector"), lambda one: one["status"].update(numberReady=2)
        )
    found = said(Objects((*objects.all, failed), now=objects.now))
    assert not any("Evicted" in evidence for _, _, evidence in found)
    assert (found == []) == is_whole


def test_an_evicted_pod_with_none_in_its_place_is_told() -> None:
    def evicted(one: dict[str, Any]) -> None:
        one["metadata"]["creationTimestamp"] = "2026-12-31T00:00:00Z"
        one["status"] = {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}

    objects = edited("healthy", "Pod", (MONITORING, "vector-4wbzl"), evicted)
    daemons = [one for one in objects.all if one["kind"] == "DaemonSet"]
    daemons[0]["status"]["numberReady"] -= 1
    ((state, _, evidence),) = said(objects)
    assert state is State.FAIL
    assert "Evicted: low on memory" in evidence


def test_pods_that_go_or_are_replaced_are_awaited() -> None:
    def rolling(one: dict[str, Any]) -> None:
        one["status"]["updatedNumberScheduled"] = 2

    ((state, about, evidence),) = said(edited("healthy", "DaemonSet", (MONITORING, "vector"), rolling))
    assert (state, about) == (State.WAIT, "DaemonSet monitoring/vector")
    assert "pods are being replaced" in evidence


@pytest.mark.parametrize(
    ("told", "state"), [("2020-01-01T00:00:00Z", State.WAIT), ("2026-12-31T00:00:00Z", State.FAIL)]
)
def test_a_refused_pod_tells_of_now_only_if_no_pod_was_made_since(told: str, state: State) -> None:
    def rolling(one: dict[str, Any]) -> None:
        one["status"].update(numberReady=2, updatedNumberScheduled=2)

    objects = edited("healthy", "DaemonSet", (MONITORING, "vector"), rolling)
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "vector.1", "namespace": MONITORING},
        "involvedObject": {"kind": "DaemonSet", "name": "vector", "namespace": MONITORING},
        "reason": "FailedCreate",
        "message": "pods is forbidden",
        "lastTimestamp": told,
    }
    ((found, _, _),) = said(Objects((*objects.all, event), now=objects.now))
    assert found is state


def test_a_release_without_pods_and_kinds_that_may_not_be_read() -> None:
    objects = objects_of("healthy")
    without = tuple(one for one in objects.all if one["kind"] != "DaemonSet")
    ((state, about, evidence),) = said(Objects(without, now=objects.now))
    assert (state, about, evidence) == (State.FAIL, "pods of HelmRelease monitoring/vector", "there are none")
    refused = HiddenError('cannot list resource "daemonsets"', "docs/reader.yaml")
    ((state, _, evidence),) = said(Objects(without, {("DaemonSet", MONITORING): refused}, objects.now))
    assert (state, evidence) == (State.UNKNOWN, 'cannot list resource "daemonsets"')
    nothing = dict.fromkeys((("Kustomization", "flux-system"), ("Kustomization", MONITORING)), refused)
    bare = Objects(
        (),
        {**nothing, ("HelmRelease", MONITORING): refused, ("Deployment", MONITORING): refused},
        objects.now,
    )
    assert {one[0] for one in said(bare, "a" * 40)} == {State.UNKNOWN}


@pytest.mark.parametrize("version", ["v2beta1", "v2beta2"])
def test_a_release_of_an_older_flux(version: str) -> None:
    def older(one: dict[str, Any]) -> None:
        one["apiVersion"] = f"helm.toolkit.fluxcd.io/{version}"
        for new in ("history", "lastAttemptedGeneration", "lastAttemptedConfigDigest"):
            one["status"].pop(new)
        one["status"].update(lastAppliedRevision="1.6.5", lastReleaseRevision=1)

    assert said(edited("healthy", "HelmRelease", (MONITORING, "parseable"), older)) == []

    def failing(one: dict[str, Any]) -> None:
        older(one)
        one["status"]["conditions"] = [
            {
                "type": "Ready",
                "status": "False",
                "reason": "UpgradeFailed",
                "message": "Helm upgrade failed: x",
            },
            {
                "type": "Released",
                "status": "False",
                "reason": "UpgradeFailed",
                "message": "Helm upgrade failed: x",
            },
        ]
        one["status"]["failures"] = 2

    ((state, _, evidence),) = said(edited("healthy", "HelmRelease", (MONITORING, "parseable"), failing))
    assert state is State.FAIL
    assert re.search(r"Helm upgrade failed: x \(tried 2 times", evidence)


def test_a_suspended_source_is_named() -> None:
    def suspended(one: dict[str, Any]) -> None:
        one["spec"]["suspend"] = True

    ((state, _, evidence),) = said(edited("healthy", SOURCE[0], SOURCE[1:], suspended))
    assert (state, evidence) == (State.FAIL, "is suspended, and has a577e82")


def test_what_is_scaled_to_nothing_does_not_run() -> None:
    def nothing(one: dict[str, Any]) -> None:
        one["spec"]["replicas"] = 0
        one["status"] = {"observedGeneration": one["metadata"]["generation"]}

    ((state, about, evidence),) = said(edited("healthy", "Deployment", (MONITORING, "parseable"), nothing))
    assert (state, about) == (State.FAIL, "Deployment monitoring/parseable")
    assert "scaled to 0" in evidence


@pytest.mark.parametrize(("times", "minutes", "fails"), [(3, 5, True), (2, 5, False), (9, 15, False)])
def test_a_pod_that_runs_between_two_crashes(times: int, minutes: int, fails: bool) -> None:
    now = objects_of("healthy").now

    def crashing(one: dict[str, Any]) -> None:
        ended = (now - timedelta(minutes=minutes)).isoformat()
        one["status"]["containerStatuses"][0].update(
            restartCount=times, lastState={"terminated": {"exitCode": 1, "finishedAt": ended}}
        )

    found = said(edited("healthy", "Pod", (MONITORING, "vector-4wbzl"), crashing))
    assert [one[0] for one in found] == ([State.FAIL] if fails else [])
    if fails:
        assert f"vector: ends again and again, {times} restarts, last exit 1" in found[0][2]


@pytest.mark.parametrize("kind", ["HelmRelease", "Kustomization"])
def test_what_stalled_before_the_fix_is_awaited(kind: str) -> None:
    def fixed(one: dict[str, Any]) -> None:
        if kind == "Kustomization":
            stalled = {"type": "Stalled", "status": "True", "reason": "x", "message": "x"}
            stalled["observedGeneration"] = one["metadata"]["generation"]
            one["status"]["conditions"].append(stalled)
        one["metadata"]["generation"] += 1

    objects = edited("retries-exhausted", kind, (MONITORING, "vector"), fixed)
    found = {about: state for state, about, _ in said(objects)}
    assert found[f"{kind} monitoring/vector"] is State.WAIT
