"""What the deployed services show, item by item, healthy and with one thing wrong at a time."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks import live_arrivals, live_grafana, live_metrics, live_parseable
from checks.model import Check, Outcome, Stage, Status, judge_live
from checks.registry import CHECKS
from tasks.core.console import verdict_data
from tasks.core.outcomes import Cause, Verdict
from tasks.live.arrivals import Loaded
from tasks.live.load import Plan, Report
from tasks.model import Model
from tasks.verifying.rights import reader
from tests.api_double import status
from tests.checks.deployed import deployed, workspace_of
from tests.kubectl_double import put
from tests.live.lab import ADMIN, FORWARDS, LOGIN, PASSWORD, Lab, event, running, secret, thing

__all__ = ["deployed"]

OURS = {"namespace": "monitoring", "service": "parseable"}
NEEDS = {"stream": "kubernetes"}
PLAN = Plan(1200, 60, "monitoring", "busybox", nonce="n0nce")


def pod(name: str, namespace: str, **labels: str) -> dict[str, Any]:
    return thing(
        "v1",
        "Pod",
        name,
        namespace,
        labels=labels,
        spec={"containers": [{"name": "main"}]},
        status={"phase": "Running"},
    )


def wrote(lab: Lab, namespace: str, name: str, ago: float) -> None:
    at = datetime.now(UTC) - timedelta(seconds=ago)
    lab.cluster.logs[namespace, name, "main", False] = f"{at.isoformat()} a line\n"


@pytest.fixture(scope="module")
def shared(deployed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One cluster for all tests: kubectl takes its time to start."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("lab")
        with running(put(folder, patch), folder) as found:
            yield found


@pytest.fixture
def lab(shared: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The healthy cluster."""
    found = shared
    # Each test has a PATH of its own.
    monkeypatch.setenv("PATH", f"{found.kubectl.folder}:{os.environ['PATH']}")
    before = {name: dict(one.__dict__) for name, one in doubles(found).items()}
    objects = dict(found.cluster._objects)
    taken = found.parseable.ingestion
    taken.streams.clear()
    found.parseable.take("kubernetes", event("apps"), event("monitoring", fingerprint="f2"))
    found.parseable.retention = {"kubernetes": [{"action": "delete", "duration": "28d"}]}
    found.prometheus.series = {
        "up": [(OURS, 1.0)],
        "parseable_events_ingested": [(NEEDS, 5.0)],
        "parseable_query_execute_time_count": [(NEEDS, 5.0)],
    }
    found.cluster.put(
        pod("web-1", "apps"), pod("vector-1", "monitoring", **{"app.kubernetes.io/name": "vector"})
    )
    found.cluster.logs["monitoring", "vector-1", "", False] = "2026 INFO vector: Vector has started.\n"
    yield found
    for name, one in doubles(found).items():
        one.__dict__.update(before[name])
    found.cluster._objects = objects
    found.cluster.logs.clear()
    taken.password, found.cluster.rules, found.cluster.refuse = PASSWORD, None, lambda _: None


def doubles(lab: Lab) -> dict[str, Any]:
    return {"parseable": lab.parseable, "prometheus": lab.prometheus, "grafana": lab.grafana}


ASKS = {
    "DoD-003-02": live_parseable.reaches_s3,
    "DoD-003-04": live_parseable.deletes_in_time,
    "DoD-004-03": live_parseable.is_authenticated,
    "DoD-005-01": live_metrics.is_scraped,
    "DoD-005-02": live_metrics.has_figures,
    "DoD-008-01": live_arrivals.come_from_everywhere,
    "DoD-008-02": live_arrivals.have_columns,
    "DoD-008-03": live_arrivals.come_now,
    "DoD-010-01": live_grafana.has_plugin,
    "DoD-010-02": live_grafana.reaches_parseable,
    "DoD-010-03": live_grafana.answers_fast,
    "DoD-011-03": live_grafana.finds_all_namespaces,
    "DoD-011-04": live_arrivals.are_fast,
    "login": live_parseable.takes_its_login,
}


def model(
    lab: Lab,
    root: Path,
    *,
    may_read_logins: bool = True,
    load: Report | None = None,
) -> Model:
    workspace = workspace_of(root)
    workspace.may_read_logins = may_read_logins
    workspace.__dict__.update(kubectl=lab.door, forwards=lab.forwards)
    found = Model(workspace, Stage.LIVE)
    found.load = load
    return found


def answer(name: str, asked: Model) -> Outcome:
    """The answer of the cluster alone: nothing is built or rendered."""
    asked.__dict__["grafana_release"] = None
    (verdict,) = judge_live([Check(name, "", Stage.WRITTEN, ASKS[name], ASKS[name])], asked)
    return verdict.outcome


def whole_answers(asked: Model) -> dict[str, Outcome]:
    """The answers of the checks of the registry."""
    asked.__dict__["grafana_release"] = None
    return {one.id: one.outcome for one in judge_live([CHECKS[name] for name in ASKS], asked)}


def test_a_healthy_cluster_answers_every_item(lab: Lab, deployed: Path) -> None:
    found = whole_answers(model(lab, deployed))
    told = {name: (one.status, one.evidence) for name, one in found.items()}
    # A quiet cluster does not show how much it could take; without credentials the bucket is not looked at.
    assert told.pop("DoD-011-04")[0] is Status.UNKNOWN
    assert {one[0] for one in told.values()} == {Status.PASS}, told
    assert "its bucket was not looked at" in told["DoD-003-02"][1]
    assert told["DoD-008-01"][1] == "lines of apps, monitoring came in the last 15 minutes"
    assert told["DoD-008-03"][1].endswith("ago, each line once")
    assert told["DoD-010-03"][1].startswith("20 queries for 2 rows of the last 15 minutes: 95 % within")
    assert len([one for one in lab.kubectl.calls if "port-forward" in one]) <= 3


def test_without_permission_no_login_is_read(lab: Lab, deployed: Path) -> None:
    before = len(lab.cluster.requests)
    found = whole_answers(model(lab, deployed, may_read_logins=False))
    assert not [one for one in lab.cluster.requests[before:] if "/secrets/" in one.path]
    without = {name for name, one in found.items() if one.status is Status.PASS}
    assert without == {"DoD-003-02", "DoD-004-03", "DoD-005-01", "DoD-005-02"}
    others = [one for name, one in found.items() if name not in without]
    assert {(one.status, one.remedy) for one in others} == {(Status.UNKNOWN, "invoke verify --read-logins")}


def no_store(lab: Lab) -> None:
    lab.parseable.has_store = False


def other_login(lab: Lab) -> None:
    lab.parseable.ingestion.password = "another-5311"
    lab.cluster.logs["monitoring", "vector-1", "", False] = (
        "2026-11-26T18:00:00Z ERROR sink{component_id=parseable}:request{request_id=1}: "
        "vector::sinks::util::retries: Not retriable; dropping the request. "
        'reason="response status: 403 Forbidden"\n'
    )


def retention(days: int | None) -> Callable[[Lab], None]:
    def change(lab: Lab) -> None:
        rules = [] if days is None else [{"action": "delete", "duration": f"{days}d"}]
        lab.parseable.retention = {"kubernetes": rules}

    return change


def nothing_ever(lab: Lab) -> None:
    other_login(lab)
    lab.parseable.ingestion.password = PASSWORD
    lab.parseable.ingestion.streams.clear()


def nothing_now(lab: Lab) -> None:
    lab.parseable.ingestion.streams.clear()
    lab.parseable.take("kubernetes", event(), at=datetime.now(UTC) - timedelta(minutes=7))


def silent_namespace(lab: Lab) -> None:
    lab.cluster.put(pod("db-1", "data"))
    wrote(lab, "data", "db-1", 200)


def bare(lab: Lab) -> None:
    lab.parseable.take("kubernetes", event(k8s_node_name="", fingerprint="f3"))


def no_column(lab: Lab) -> None:
    lab.parseable.ingestion.streams.clear()
    lacking = event()
    del lacking["k8s_node_name"]
    lab.parseable.take("kubernetes", lacking)


def twice(lab: Lab) -> None:
    lab.parseable.take("kubernetes", event("apps"))


def refused_batches(lab: Lab) -> None:
    lab.cluster.logs["monitoring", "vector-1", "", False] = (
        "2026 ERROR vector::sinks::util::sink: Response failed. "
        "response=Response { status: 400, version: HTTP/1.1 }\n"
    )


def down(lab: Lab) -> None:
    lab.prometheus.series["up"] = [(OURS, 0.0)]
    error = "server returned HTTP status 401 Unauthorized"
    lab.prometheus.targets = [{"labels": OURS, "lastError": error}]


def not_selected(lab: Lab) -> None:
    lab.prometheus.series = {}
    spec = {"serviceMonitorSelector": {"matchLabels": {"release": "stack"}}}
    lab.cluster.put(thing("monitoring.coreos.com/v1", "Prometheus", "stack", spec=spec))


def no_plugin(lab: Lab) -> None:
    lab.grafana.plugin = None


def source_without_login(lab: Lab) -> None:
    lab.grafana.login = ""


def no_source(lab: Lab) -> None:
    lab.grafana.sources = []


def other_kind(lab: Lab) -> None:
    lab.grafana.sources = [{**lab.grafana.sources[0], "type": "loki"}]


@pytest.mark.parametrize(
    ("name", "change", "evidence", "remedy"),
    [
        ("DoD-003-02", no_store, "Parseable is not ready (503): S3 does not answer", "key: invoke task-004"),
        (
            "DoD-004-03",
            no_store,
            "Parseable is not ready (503): S3 does not answer",
            "kubectl logs -n monitoring",
        ),
        (
            "login",
            other_login,
            "is not the one that it has",
            "deployment,statefulset,daemonset",
        ),
        ("DoD-003-04", retention(None), "no retention is set", "invoke verify --fix"),
        ("DoD-003-04", retention(29), "after 29 days, not 28", "invoke verify --fix"),
        ("DoD-003-04", retention(7), "after 7 days, before the 28", "invoke verify --fix"),
        (
            "DoD-008-01",
            nothing_ever,
            "403 1 times: the login in its Secret is not",
            "kubectl rollout restart",
        ),
        ("DoD-008-02", nothing_ever, "nothing came into stream kubernetes", "another login: invoke task-004"),
        (
            "DoD-008-03",
            nothing_now,
            "nothing came into stream kubernetes in the last",
            "kubectl logs -n monitoring",
        ),
        (
            "DoD-008-01",
            silent_namespace,
            "nothing of the last 15 minutes of data, where pod db-1",
            "task-008",
        ),
        ("DoD-011-03", silent_namespace, "Grafana has nothing of the last 15 minutes of data", "task-008"),
        ("DoD-008-02", bare, "1 of 3 rows of the last 15 minutes lack one of", "invoke task-008"),
        ("DoD-008-02", no_column, "no row has a column k8s_node_name", "invoke task-008"),
        (
            "DoD-008-03",
            twice,
            "1 of 3 rows of the last minutes are of a line that was there",
            "invoke task-008",
        ),
        ("DoD-008-03", refused_batches, "but Vector's log has 1 times 400", "what is sent: invoke task-008"),
        (
            "DoD-005-01",
            down,
            "cannot scrape Service monitoring/parseable: server returned HTTP",
            "parseable-s3-secret",
        ),
        (
            "DoD-005-01",
            not_selected,
            "stack takes ServiceMonitors with release: stack only",
            "invoke task-005",
        ),
        ("DoD-005-02", not_selected, "neither parseable_events_ingested nor", "--only DoD-005-01"),
        ("DoD-010-01", no_plugin, "Grafana has no plugin parseable-parseable-datasource", "invoke task-010"),
        ("DoD-010-02", source_without_login, "does not take the login", "restart Grafana"),
        ("DoD-010-03", source_without_login, "a query through data source Parseable fails", "DoD-010-02"),
        ("DoD-010-02", no_source, "Grafana has no data source Parseable", "invoke task-010"),
        ("DoD-010-02", other_kind, "is of type loki", "invoke task-010"),
        ("DoD-010-03", nothing_now, "", ""),
    ],
)
def test_what_is_wrong_is_named_with_its_cause_and_what_to_do(
    lab: Lab, deployed: Path, name: str, change: Callable[[Lab], None], evidence: str, remedy: str
) -> None:
    change(lab)
    found = answer(name, model(lab, deployed))
    if not evidence:
        assert found.status is Status.PASS  # seven minutes old, and still of the last fifteen
        return
    assert (found.status, evidence in found.evidence) == (Status.FAIL, True), found.evidence
    assert remedy in found.remedy
    assert found.consequence


@pytest.mark.parametrize(
    ("labels", "ago", "passes"),
    [
        # What was written only now may be on its way; what is left out by its label is not missing.
        ({}, 20, True),
        ({"vector.dev/exclude": "true"}, 200, True),
        ({}, 200, False),
    ],
    ids=["on its way", "left out", "missing"],
)
def test_a_quiet_namespace_is_not_a_silent_one(
    lab: Lab, deployed: Path, labels: dict[str, str], ago: float, passes: bool
) -> None:
    lab.cluster.put(pod("db-1", "data", **labels))
    wrote(lab, "data", "db-1", ago)
    assert (answer("DoD-008-01", model(lab, deployed)).status is Status.PASS) is passes


def test_more_namespaces_than_are_looked_at_are_unknown(lab: Lab, deployed: Path) -> None:
    for number in range(9):
        lab.cluster.put(pod(f"db-{number}", f"quiet-{number}"))
        wrote(lab, f"quiet-{number}", f"db-{number}", 20)
    found = answer("DoD-008-01", model(lab, deployed))
    assert (found.status, "quiet-8" in found.evidence) == (Status.UNKNOWN, True), found.evidence
    lab.cluster.remove("Pod", "quiet-8", "db-8")
    assert answer("DoD-008-01", model(lab, deployed)).status is Status.PASS


def test_what_is_read_twice_after_a_crash_is_no_failure(lab: Lab, deployed: Path) -> None:
    for number in range(30):
        lab.parseable.take("kubernetes", event(fingerprint=f"g{number}"))
    twice(lab)
    found = answer("DoD-008-03", model(lab, deployed))
    assert found.status is Status.PASS
    assert found.evidence.endswith("1 of 33 rows of a line that was there")


def test_slow_queries_fail_as_soon_as_that_is_certain(
    lab: Lab, deployed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checks.live_grafana._SECONDS", 0.0)
    before = len(lab.requests["grafana"])
    found = answer("DoD-010-03", model(lab, deployed))
    assert (found.status, found.evidence[:9]) == (Status.FAIL, "2 queries")
    assert len([one for one in lab.requests["grafana"][before:] if "/query" in one.path]) == 2


def test_what_is_forbidden_is_unknown_and_names_the_rule(lab: Lab, deployed: Path) -> None:
    lab.cluster.refuse = lambda asked: (
        status(403, 'pods is forbidden: User "me" cannot list resource "pods" at the cluster scope')
        if asked.path == "/api/v1/pods"
        else None
    )
    found = answer("DoD-008-01", model(lab, deployed))
    assert (found.status, found.cause) == (Status.UNKNOWN, Cause.CLUSTER)
    assert 'cannot list resource "pods" at the cluster scope' in found.evidence


def test_a_server_that_is_not_there_fails_where_that_is_asked_and_hides_the_rest(
    lab: Lab, deployed: Path
) -> None:
    lab.kubectl.forward(
        FORWARDS["parseable"], says="error: unable to forward port because pod is not running."
    )
    asked = model(lab, deployed)
    asked.workspace.__dict__["forwards"] = forwards = type(lab.forwards)(lab.door.arguments)
    try:
        before = len(lab.kubectl.calls)
        found = {name: answer(name, asked) for name in ("DoD-003-02", "DoD-008-01", "login")}
        assert len(lab.kubectl.calls) == before + 1
    finally:
        forwards.close()
        lab.kubectl.forward(FORWARDS["parseable"], lab.parseable_url)
    assert {name: one.status for name, one in found.items()} == {
        "DoD-003-02": Status.FAIL,
        "DoD-008-01": Status.UNKNOWN,
        "login": Status.UNKNOWN,
    }
    assert "invoke verify --only DoD-011-01,DoD-011-02" in found["DoD-003-02"].remedy


def test_a_way_there_that_is_broken_is_no_failure_of_what_was_deployed(lab: Lab, deployed: Path) -> None:
    lab.kubectl.forward(
        FORWARDS["parseable"], says="error: error upgrading connection: net/http: TLS handshake timeout"
    )
    asked = model(lab, deployed)
    asked.workspace.__dict__["forwards"] = forwards = type(lab.forwards)(lab.door.arguments)
    try:
        found = answer("DoD-003-02", asked)
    finally:
        forwards.close()
        lab.kubectl.forward(FORWARDS["parseable"], lab.parseable_url)
    assert found.status is Status.UNKNOWN, found.evidence
    assert "TLS handshake timeout" in found.evidence


@pytest.mark.parametrize(
    ("report", "expected", "told"),
    [
        (
            Report(PLAN, 72000, Loaded(72000, 72000, 60.0, 2.5, 4.0), 5.1),
            Status.PASS,
            "1,200 a second, 95 % within 2.5",
        ),
        (Report(PLAN, 72000, Loaded(71990, 71990, 60.0, 2.5, 4.0), 5.1), Status.FAIL, "(10 lost, 0 twice)"),
        (Report(PLAN, 72000, Loaded(144000, 72000, 60.0), 5.1), Status.FAIL, "(0 lost, 72,000 twice)"),
        (Report(PLAN, 72000, Loaded(72000, 72000, 90.0), 5.1), Status.FAIL, "taken at 800 a second"),
        (
            Report(Plan(500, 60, "m", "i"), 30000, Loaded(30000, 30000, 60.0), 5.1),
            Status.UNKNOWN,
            "500 a second",
        ),
        (
            Report(Plan(500, 60, "m", "i"), 30000, Loaded(30000, 30000, 0.0), 5.1),
            Status.UNKNOWN,
            "taken at 500 a second",
        ),
        (
            Report(PLAN, 600, Loaded(600, 600, 1.0), 0, "its pod ended with Error (1)"),
            Status.UNKNOWN,
            "Error (1)",
        ),
    ],
    ids=["good", "lost", "twice", "slow", "asked for less", "in one batch", "pod failed"],
)
def test_what_a_load_shows(lab: Lab, deployed: Path, report: Report, expected: Status, told: str) -> None:
    found = answer("DoD-011-04", model(lab, deployed, load=report))
    assert found.status is expected
    assert told in found.evidence


def test_the_printed_rights_are_enough_but_for_grafanas_secret(lab: Lab, deployed: Path) -> None:
    rules: dict[str, list[dict[str, Any]]] = {}
    for one in yaml.safe_load_all(reader(workspace_of(deployed))):
        if one["kind"] in ("Role", "ClusterRole"):
            rules.setdefault(one["metadata"].get("namespace", ""), []).extend(one["rules"])
    lab.cluster.rules = rules
    found = whole_answers(model(lab, deployed))
    unknown = {name for name, one in found.items() if one.status is not Status.PASS}
    assert unknown == {"DoD-010-01", "DoD-010-02", "DoD-010-03", "DoD-011-03", "DoD-011-04"}
    assert 'cannot get resource "secrets"' in found["DoD-010-01"].evidence


def test_a_refused_login_is_told_once_and_hides_the_rest(lab: Lab, deployed: Path) -> None:
    other_login(lab)
    found = answer("DoD-008-02", model(lab, deployed))
    assert (found.status, found.remedy) == (Status.UNKNOWN, "see the check of it: invoke verify --only login")
    lab.grafana.password = "changed-5311"
    found = answer("DoD-010-01", model(lab, deployed))
    assert found.status is Status.UNKNOWN
    assert found.remedy.startswith(
        "it was changed in Grafana itself: set it there to what Secret monitoring/"
    )


def test_a_busy_cluster_shows_its_rate_without_a_load(
    lab: Lab, deployed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_arrivals, "_ENOUGH", 1)
    at = datetime.now(UTC).replace(second=30) - timedelta(minutes=3)
    rows = [event(fingerprint=f"r{number}") for number in range(61)]
    lab.parseable.take("kubernetes", *rows[:60], at=at)
    assert answer("DoD-011-04", model(lab, deployed)).status is Status.UNKNOWN
    lab.parseable.take("kubernetes", *rows[60:], at=at + timedelta(seconds=20))
    found = answer("DoD-011-04", model(lab, deployed))
    assert found.status is Status.PASS
    assert found.evidence == "1.0 events a second came in the busiest of the last 15 minutes"


def test_no_answer_shows_a_login(lab: Lab, deployed: Path) -> None:
    lab.cluster.put(secret("grafana-admin", user="admin", password="wrong-5311-wrong"))
    other_login(lab)
    asked = model(lab, deployed)
    found = [answer(name, asked) for name in ASKS]
    text = json.dumps([verdict_data(Verdict("x", "TASK-001", "", one)) for one in found])
    for hidden in (PASSWORD, ADMIN, "wrong-5311-wrong", LOGIN.header.partition(" ")[2]):
        assert hidden not in text
    assert any(one.status is Status.FAIL for one in found)
