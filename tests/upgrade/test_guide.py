"""The order of an upgrade: what is stopped, deleted and resumed for which difference, and in which order."""

from collections.abc import Iterator

import yaml

from tasks.core.settings import S3
from tasks.kube.comparison import compare
from tasks.kube.keys import key_of
from tasks.kube.resources import Resource, Resources
from tasks.upgrade.guide import Place, source_of, steps
from tasks.upgrade.telling import lines
from tests.kube.test_comparison import (
    CLAIM,
    CONFIG,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    OTHER_SERVICE,
    RELEASE,
    SERVICE,
    STATEFUL_SET,
)

FLUX = ("monitoring", "parseable")
PLACE = Place(S3(endpoint="https://s3.example.com"), source_of("OCIRepository", "flux", "flux-system"))
SUSPENDED = [
    "flux suspend kustomization parseable -n monitoring",
    "flux suspend helmrelease parseable -n monitoring",
]
RESUMED = [one.replace("suspend", "resume") for one in SUSPENDED]
FETCHED = "flux reconcile source oci flux -n flux-system"


def resources(*texts: str, is_plain: bool = False) -> Resources:
    def made() -> Iterator[Resource]:
        for text in texts:
            data = yaml.safe_load(text)
            release = None if is_plain else RELEASE
            yield Resource(
                key_of(data, "monitoring"), data, "a.yaml", helm_release=release, kustomization=FLUX
            )

    return Resources(made())


def commands(before: Resources, after: Resources, place: Place = PLACE) -> dict[str, list[str]]:
    return {step.title: list(step.commands) for step in steps(compare(before, after), place)}


def test_pods_of_another_kind_are_stopped_before_the_new_ones_come() -> None:
    before, after = resources(DEPLOYMENT, CLAIM, SERVICE), resources(STATEFUL_SET, OTHER_SERVICE)
    found = commands(before, after)
    assert list(found) == ["Back up", "Stop", "Switch", "Verify", "The way back, if it must be"]
    (copy,) = found["Back up"]
    assert copy == (
        "aws --endpoint-url https://s3.example.com s3 sync s3://parseable-logs parseable-metadata "
        "--exclude '*' --include '.parseable/*' --include '*/.stream/*'"
    )
    assert found["Stop"] == [
        *SUSPENDED,
        "kubectl -n monitoring scale deployment/parseable --replicas=0",
        "kubectl -n monitoring wait --for=delete pod -l app=parseable --timeout=5m",
    ]
    # What is resumed before the source is fetched would put the old objects back.
    assert found["Switch"] == [FETCHED, *RESUMED]
    rollout = "kubectl -n monitoring rollout status statefulset/parseable-standalone --timeout=10m"
    assert found["Verify"] == [rollout, "invoke verify --stage live"]
    back = found["The way back, if it must be"]
    assert back == [
        *SUSPENDED,
        "kubectl -n monitoring scale statefulset/parseable-standalone --replicas=0",
        "kubectl -n monitoring wait --for=delete pod -l app=parseable --timeout=5m",
        "git revert --no-edit COMMIT && git push",
        "aws --endpoint-url https://s3.example.com s3 sync parseable-metadata s3://parseable-logs",
        FETCHED,
        *RESUMED,
    ]
    told = "\n".join(line for step in steps(compare(before, after), PLACE) for line in step.why)
    claim = "PersistentVolumeClaim monitoring/parseable-staging-pvc"
    assert f"What is on {claim} goes with it" in told
    assert f"- what was on {claim}" in told
    assert "the claims staging-parseable-standalone-0, … stays behind" in told


def test_what_is_replaced_where_it_runs_is_not_stopped() -> None:
    found = commands(resources(DAEMON_SET), resources(DAEMON_SET.replace("0.40", "0.56")))
    assert found["Stop"] == []
    assert found["Switch"] == [FETCHED, *(one.replace("suspend", "reconcile") for one in SUSPENDED)]
    assert found["Verify"][0] == "kubectl -n monitoring rollout status daemonset/vector --timeout=10m"


def test_what_cannot_be_changed_is_deleted() -> None:
    before = resources(STATEFUL_SET, CONFIG)
    after = resources(STATEFUL_SET.replace("-headless", ""), CONFIG)
    found = commands(before, after)
    assert found["Stop"] == [
        *SUSPENDED,
        "kubectl -n monitoring scale statefulset/parseable-standalone --replicas=0",
        "kubectl -n monitoring wait --for=delete pod -l app=parseable --timeout=5m",
        "kubectl -n monitoring delete statefulset parseable-standalone",
    ]
    assert (
        "kubectl -n monitoring delete statefulset parseable-standalone"
        in found["The way back, if it must be"]
    )
    told = list(lines(compare(before, after)))
    assert told[1] == "    the API server refuses to change spec.serviceName: it must be deleted first"


def test_a_plain_object_is_no_release() -> None:
    plain = JOB.replace("enabled", "disabled")
    found = commands(
        resources(plain, is_plain=True), resources(plain.replace("curl:1", "curl:2"), is_plain=True)
    )
    assert found["Stop"] == [SUSPENDED[0], "kubectl -n monitoring delete job parseable-retention"]
    forced = commands(
        resources(JOB, is_plain=True), resources(JOB.replace("curl:1", "curl:2"), is_plain=True)
    )
    assert forced["Stop"] == []


def test_who_does_not_push_is_told_to() -> None:
    place = Place(PLACE.s3, PLACE.source, is_pushed=False, commit="abc123")
    found = commands(resources(DAEMON_SET), resources(DAEMON_SET.replace("0.40", "0.56")), place)
    assert found["Switch"][0] == "git push"
    assert "git revert --no-edit abc123 && git push" in found["The way back, if it must be"]
