"""The checks that ask the running cluster: the real kubectl, and clusters as they were recorded."""

import base64
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks.model import Cause, Model, Outcome, Stage, Status, judge, judge_live
from checks.registry import CHECKS
from tasks.core.errors import StepFailedError
from tasks.core.settings import DOCUMENTED
from tasks.core.settings import Cluster as ClusterSettings
from tasks.effects.git import Git
from tasks.effects.kubectl import Event
from tasks.live.reading import watched
from tasks.verifying.rights import reader
from tasks.verifying.waiting import wait
from tests.api_double import Cluster, Object, kubeconfig, serving, status
from tests.checks.deployed import deployed as deployed  # noqa: PLC0414 (a fixture)
from tests.checks.deployed import root as root  # noqa: PLC0414 (a fixture)
from tests.checks.deployed import workspace_of
from tests.checks.memory import Memory
from tests.live.situations import commit_of, items_of, objects_of

MONITORING = "monitoring"
FLUX, PODS, KEYS, CURRENT = "DoD-011-01", "DoD-011-02", "DoD-004-01", "rollout"


ALL = [CHECKS[name] for name in (FLUX, PODS, KEYS, CURRENT)]


class Lab:
    """A repository, and a cluster that runs what it holds, or does not."""

    def __init__(self, root: Path, cluster: Cluster, folder: Path) -> None:
        self.root = root
        self.cluster = cluster
        file = kubeconfig(folder / "kubeconfig", {"lab": cluster.url}, current="lab")
        self.settings = replace(DOCUMENTED, cluster=ClusterSettings(kubeconfig=str(file)))
        self.pushed = str(Git(root).seen("origin", "main"))

    def load(self, name: str) -> None:
        """Have the cluster be as it was recorded, with our commit for its newest."""
        self.cluster.put(*recorded(name, self.pushed))

    def model(self) -> Model:
        return Model(workspace_of(self.root, self.settings), Stage.LIVE)

    def ask(self, name: str) -> list[Outcome]:
        """What the cluster alone answers to a check, asked anew; the repository stays as it was built."""
        model = self.model()
        kept = self.__dict__.setdefault("kept", model)
        model.__dict__["_clusters"] = kept._clusters
        model.workspace.__dict__["kubectl"] = kept.workspace.kubectl
        return [one.outcome for one in judge_live([CHECKS[name]], model)]

    def told(self, name: str) -> tuple[Status, str, str]:
        """The only answer: status, evidence and remedy."""
        (found,) = self.ask(name)
        return found.status, found.evidence, found.remedy


def recorded(name: str, commit: str) -> list[Object]:
    """The objects of a situation, with ``commit`` for the newest, and what pods read when they start."""
    text = json.dumps(items_of(name)).replace(commit_of(objects_of(name)), commit)
    nodes = [node(f"node-{number}") for number in (1, 2, 3)]
    return [*map(_with_secret, json.loads(text)), secret(), config_map(), *nodes]


def node(name: str, *taints: dict[str, str]) -> Object:
    about = {"name": name, "labels": {"kubernetes.io/os": "linux"}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": about, "spec": {"taints": list(taints)}}


def _with_secret(one: Object) -> Object:
    if one["kind"] == "Pod" and one["metadata"]["name"].startswith("parseable"):
        variables = {"P_S3_ACCESS_KEY": "S3_ACCESS_KEY_ID", "P_PASSWORD": "password"}
        one["spec"]["containers"][0]["env"] = [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": "parseable-s3-secret", "key": key}}}
            for name, key in variables.items()
        ]
    if one["kind"] == "Pod" and one["metadata"]["name"].startswith("vector"):
        one["spec"]["serviceAccountName"] = "vector"
        one["spec"]["volumes"] = [{"name": "config", "configMap": {"name": "vector-config"}}]
    return one


def secret(**values: str) -> Object:
    given = {
        "S3_ACCESS_KEY_ID": "key",
        "S3_SECRET_ACCESS_KEY": "x",
        "username": "me",
        "password": "canary",
        **values,
    }
    data = {key: base64.b64encode(value.encode()).decode() for key, value in given.items()}
    made = "2026-11-25T09:23:23Z"
    about = {"name": "parseable-s3-secret", "namespace": MONITORING, "creationTimestamp": made}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": about, "data": data}


def config_map(changed: str = "2026-11-25T09:23:23Z") -> Object:
    fields = [
        {"manager": "kustomize-controller", "time": changed, "fieldsV1": {"f:data": {"f:vector.yaml": {}}}},
        {"manager": "other", "time": "2026-11-26T00:00:00Z", "fieldsV1": {"f:metadata": {"f:labels": {}}}},
    ]
    about = {"name": "vector-config", "namespace": MONITORING, "managedFields": fields}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {"vector.yaml": "…"}}


@pytest.fixture(scope="module")
def memory() -> Memory:
    return {}


@pytest.fixture
def lab(root: Path, tmp_path: Path) -> Iterator[Lab]:
    with serving(Cluster()) as cluster:
        yield Lab(root, cluster, tmp_path)


def test_a_healthy_cluster_passes(lab: Lab) -> None:
    lab.load("healthy")
    model = lab.model()
    found = {one.id: one.outcome for one in judge_live(ALL, model)}
    assert {one.status for one in found.values()} == {Status.PASS}, found
    short = lab.pushed[:7]
    assert f"GitRepository flux-system/home-kubernetes: has {short}" in found[FLUX].evidence
    assert f"Kustomization monitoring/vector: has applied {short}" in found[FLUX].evidence
    assert "HelmRelease monitoring/parseable: runs parseable@1.6.5, v1" in found[FLUX].evidence
    assert "DaemonSet monitoring/vector: 3 of 3 ready" in found[PODS].evidence
    told = "Secret monitoring/parseable-s3-secret: has S3_ACCESS_KEY_ID, password, username, decrypted"
    assert found[KEYS].evidence == told
    assert "3 pods were started since it was changed" in found[CURRENT].evidence
    # Each is asked about once, and nothing of it is kept.
    assert model.workspace.kubectl.calls == len(lab.cluster.requests) < 30
    assert {one.method for one in lab.cluster.requests} == {"GET"}
    assert "canary" not in repr(model.live.objects)


def test_another_cluster_is_no_failure_of_this_repository(lab: Lab) -> None:
    lab.cluster.put(*(one for one in recorded("healthy", lab.pushed) if one["kind"] == "GitRepository"))
    for name in (FLUX, PODS, KEYS, "DoD-003-02"):
        (found,) = lab.ask(name)
        assert found.status is Status.UNKNOWN, found
        assert "does not look like the cluster of this repository" in found.evidence
    lab.cluster.put(*(one for one in recorded("healthy", lab.pushed) if one["kind"] == "Kustomization"))
    assert Status.FAIL in {one.status for one in lab.ask(FLUX)}


def test_the_answer_of_the_cluster_takes_the_place_of_only_the_cluster_knows(lab: Lab) -> None:
    lab.load("healthy")
    (without,) = judge([CHECKS[PODS]], Model(workspace_of(lab.root, lab.settings)))
    assert (without.outcome.status, without.outcome.cause) == (Status.UNKNOWN, Cause.CLUSTER)
    (found,) = judge([CHECKS[PODS]], lab.model())
    assert found.outcome.status is Status.PASS
    lab.load("sick-after-ready")
    found, *more = judge([CHECKS[PODS]], lab.model())
    assert (found.outcome.status, found.outcome.cause, found.outcome.stops_push) == (
        Status.FAIL,
        Cause.CLUSTER,
        False,
    )
    assert len(more) == 1


def test_what_fails_in_the_repository_is_told_beside_what_passes_in_the_cluster(lab: Lab) -> None:
    lab.load("healthy")
    file = lab.root / "kubernetes/apps/monitoring/kustomization.yaml"
    file.write_text(file.read_text().replace("  - ./vector/ks.yaml\n", ""))
    found = judge([CHECKS[FLUX]], lab.model())
    assert Status.FAIL in {one.outcome.status for one in found}


def test_an_app_that_nothing_applies_does_not_pass(lab: Lab) -> None:
    lab.load("healthy")
    file = lab.root / "kubernetes/apps/monitoring/kustomization.yaml"
    file.write_text(file.read_text().replace("  - ./vector/ks.yaml\n", ""))
    for name in (FLUX, PODS):
        (found,) = lab.ask(name)
        assert found.status is Status.FAIL
        assert "nothing that the cluster applies from here holds a release of vector" in found.evidence
    file.write_text(file.read_text().replace("  - ./parseable/ks.yaml\n", ""))
    lab.__dict__.pop("kept")
    assert {one.status for one in lab.ask(CURRENT)} == {Status.UNKNOWN}
    with pytest.raises(StepFailedError, match="there is nothing to wait for"):
        wait(lab.model().live, 1)


@pytest.mark.parametrize(
    ("name", "check", "words", "remedy"),
    [
        (
            "sops-key-missing",
            FLUX,
            'secrets "sops-age" not found',
            "copy Secret sops-age into namespace monitoring",
        ),
        ("suspended", FLUX, "is suspended, and has applied 0d6992c", "flux resume kustomization vector"),
        ("sick-after-ready", PODS, "OOMKilled (137)", "raise parseable.memory_limit"),
        ("secret-key-missing", PODS, "couldn't find key username", "correct the keys of Secret"),
    ],
)
def test_a_sick_cluster_fails(lab: Lab, name: str, check: str, words: str, remedy: str) -> None:
    lab.load(name)
    found = lab.ask(check)
    assert {one.status for one in found} == {Status.FAIL}
    assert any(words in one.evidence and one.remedy.startswith(remedy) for one in found), found


def test_what_is_on_its_way_is_no_failure(lab: Lab) -> None:
    lab.load("healthy")
    # Another commit, which the cluster does not have yet, and knows nothing of.
    git = ("git", "-C", str(lab.root))
    subprocess.run((*git, "commit", "-q", "--allow-empty", "-m", "Next"), check=True)
    subprocess.run((*git, "update-ref", "refs/remotes/origin/main", "HEAD"), check=True)
    status_, evidence, remedy = lab.told(FLUX)
    assert status_ is Status.UNKNOWN
    told = f"on its way: GitRepository flux-system/home-kubernetes: has {lab.pushed[:7]}, pushed is"
    assert evidence.startswith(told)
    assert evidence.endswith("more that follow)")
    assert remedy == "flux reconcile source git home-kubernetes -n flux-system"


@pytest.mark.parametrize("changed", ["2026-11-25T09:24:00Z", "2026-11-25T09:30:00Z"])
def test_pods_that_started_before_their_configuration_changed(lab: Lab, changed: str) -> None:
    lab.load("healthy")
    lab.cluster.put(config_map(changed))
    found, evidence, remedy = lab.told(CURRENT)
    if changed < "2026-11-25T09:24:10Z":
        assert found is Status.PASS
        return
    assert found is Status.FAIL
    told = "ConfigMap monitoring/vector-config: changed 2026-11-25 09:30:00, but vector-4wbzl was started"
    assert told in evidence
    assert "(and 2 more)" in evidence
    assert remedy == "kubectl rollout restart daemonset/vector -n monitoring"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"password": "ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]"}, "holds ciphertext under password"),
        ({"password": ""}, "has nothing under password"),
    ],
)
def test_a_secret_that_is_not_what_the_pods_need(lab: Lab, values: dict[str, str], words: str) -> None:
    lab.load("healthy")
    lab.cluster.put(secret(**values))
    found, evidence, _ = lab.told(KEYS)
    assert found is Status.FAIL
    assert words in evidence
    lacking = secret()
    del lacking["data"]["password"]
    lab.cluster.put(lacking)
    assert "lacks password" in lab.told(KEYS)[1]
    lab.cluster.remove("Secret", MONITORING, "parseable-s3-secret")
    assert "does not exist" in lab.told(KEYS)[1]


def test_a_secret_that_no_pod_asks_for_yet(lab: Lab) -> None:
    lab.load("healthy")
    for one in recorded("healthy", lab.pushed):
        if one["kind"] == "Pod":
            lab.cluster.remove("Pod", one["metadata"]["namespace"], one["metadata"]["name"])
    assert lab.told(KEYS)[0] is Status.PASS
    lab.cluster.remove("Secret", MONITORING, "parseable-s3-secret")
    assert "does not exist" in lab.told(KEYS)[1]


# What may not be read ---------------------------------------------------------------------------------------


def test_what_the_reader_may_not_see_is_unknown(lab: Lab) -> None:
    lab.load("healthy")
    lab.cluster.refuse = lambda request: (
        status(403, 'secrets "parseable-s3-secret" is forbidden: User "me" cannot get resource "secrets"')
        if "/secrets/" in request.path
        else None
    )
    found, evidence, remedy = lab.told(KEYS)
    assert (found, lab.told(PODS)[0]) == (Status.UNKNOWN, Status.PASS)
    assert 'cannot get resource "secrets"' in evidence
    assert remedy


@pytest.mark.parametrize("code", [401, 500])
def test_a_cluster_that_does_not_answer_is_asked_once(lab: Lab, code: int) -> None:
    lab.load("healthy")
    lab.cluster.refuse = lambda request: status(code, "Unauthorized")
    model = lab.model()
    found = judge_live(ALL, model)
    assert {(one.outcome.status, one.outcome.cause) for one in found} == {(Status.UNKNOWN, Cause.CLUSTER)}
    assert len(lab.cluster.requests) < 8


def test_what_was_pushed_is_not_known(lab: Lab) -> None:
    lab.load("healthy")
    subprocess.run(("git", "-C", str(lab.root), "update-ref", "-d", "refs/remotes/origin/main"), check=True)
    found, evidence, remedy = lab.told(FLUX)
    assert (found, remedy) == (Status.UNKNOWN, "git fetch, or push")
    assert "origin/main was never seen here" in evidence


def test_only_what_asks_the_cluster_has_a_live_answer(lab: Lab) -> None:
    lab.load("healthy")
    live = [check for check in CHECKS.values() if check.live is not None]
    assert {FLUX, PODS, KEYS, CURRENT} <= {check.id for check in live}


# Vector on its nodes ----------------------------------------------------------------------------------------

NODES, ACCOUNT, CONFIG, LOGS = "DoD-009-01", "DoD-007-01", "DoD-009-02", "DoD-009-03"


def test_nodes_that_all_keep_vector_away_are_no_pass(lab: Lab) -> None:
    lab.load("healthy")
    names = [one["metadata"]["name"] for one in recorded("healthy", lab.pushed) if one["kind"] == "Node"]
    lab.cluster.put(*(node(name, {"key": "own", "effect": "NoExecute"}) for name in names))
    found, evidence, _ = lab.told(NODES)
    assert (found, "no node takes its pods; none on" in evidence) == (Status.FAIL, True), evidence


def test_vector_runs_on_every_node_that_it_may(lab: Lab) -> None:
    lab.load("healthy")
    assert lab.told(NODES)[:2] == (Status.PASS, "DaemonSet monitoring/vector: a pod is ready on 3 of 3 nodes")
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    lab.cluster.put(node("cp", taint), node("new", {"key": "x", "effect": "PreferNoSchedule"}))
    found, evidence, _ = lab.told(NODES)
    assert found is Status.FAIL
    assert "no pod is ready on new, of 5 nodes; none on cp, which has the taint node-role" in evidence
    lab.cluster.remove("Node", "", "new")
    assert "a pod is ready on 3 of 4 nodes; none on cp" in lab.told(NODES)[1]
    tolerating = {"tolerations": [{"operator": "Exists"}], "nodeSelector": {"kubernetes.io/os": "linux"}}
    lab.cluster.change("DaemonSet", MONITORING, "vector", spec={"template": {"spec": tolerating}})
    assert "no pod is ready on cp" in lab.told(NODES)[1]
    # A node that is lost has a taint, too, and no pod that works.
    lab.cluster.remove("Node", "", "cp")
    unreachable = {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}
    lab.cluster.put(node("lost", unreachable))
    assert "no pod is ready on lost" in lab.told(NODES)[1]


def test_vector_uses_its_account_and_configuration(lab: Lab) -> None:
    lab.load("healthy")
    assert {lab.told(name)[0] for name in (ACCOUNT, CONFIG)} == {Status.PASS}
    spec = {"serviceAccountName": None, "volumes": [{"name": "config", "configMap": {"name": "vector"}}]}
    lab.cluster.change("Pod", MONITORING, "vector-4wbzl", spec=spec)
    assert "run as ServiceAccount default" in lab.told(ACCOUNT)[1]
    for name in ("vector-9gc5f", "vector-fgl5v"):
        lab.cluster.change("Pod", MONITORING, name, spec=spec)
    assert [one.evidence for one in lab.ask(CONFIG)][1:] == [
        "the pods of DaemonSet monitoring/vector read ConfigMap vector, not vector-config"
    ]


@pytest.mark.parametrize(
    ("denied", "granted", "words"),
    [
        ((), (), ""),
        ((("watch", "nodes"),), (), "ServiceAccount monitoring/vector: may not watch nodes"),
        ((), (("get", "secrets"),), "may also get secrets, which Vector does not need"),
    ],
)
def test_the_cluster_says_what_the_account_may_do(
    lab: Lab, denied: tuple[tuple[str, str], ...], granted: tuple[tuple[str, str], ...], words: str
) -> None:
    lab.load("healthy")

    def may(user: str, verb: str, resource: str) -> bool:
        assert user == "system:serviceaccount:monitoring:vector"
        is_reading = verb in ("list", "watch") and resource in ("pods", "namespaces", "nodes")
        return (verb, resource) in granted or (is_reading and (verb, resource) not in denied)

    lab.cluster.may = may
    found, evidence, _ = lab.told("DoD-007-02")
    assert (found is Status.FAIL) == bool(words)
    assert words in evidence
    assert {one.method for one in lab.cluster.requests if one.verb != "create"} == {"GET"}
    # Who may not ask does not know.
    lab.cluster.rules = {**rules(lab), "": []}
    assert lab.told("DoD-007-02")[0] is Status.UNKNOWN


QUIET = '2026-11-25T09:24:12Z  INFO vector::app: Log level is enabled. level="info"\n'


@pytest.mark.parametrize(
    ("line", "is_error"),
    [
        (
            "2026-11-25T09:24:13Z ERROR sink{id=parseable}: vector::sinks: dropping the request.",
            True,
        ),
        ("2026-11-25T09:24:13Z \x1b[31mERROR\x1b[0m parseable::storage: S3 away", True),
        ('{"level":"error","msg":"x"}', True),
        ("thread 'main' panicked at src/main.rs:1", True),
        (
            "2026-11-25T09:24:13Z  WARN vector: Retrying after error. error=Server responded 503",
            False,
        ),
        ("2026-11-25T09:24:13Z ERROR source: Failed to annotate event with pod metadata. event=Log", False),
        ("2026-11-25T09:24:13Z  INFO parseable: error_rate=0", False),
        ("2026-11-25T09:24:13Z  WARN sink: vector: Retrying after error error=timed out", False),
        ("2026-11-25T09:24:13Z  INFO parseable: an ERROR was seen", False),
        ('{"level": "ERROR","msg":"x"}', True),
    ],
)
def test_errors_in_the_logs(lab: Lab, line: str, is_error: bool) -> None:
    lab.load("healthy")
    for pod in lab.cluster.all("Pod", MONITORING):
        name, container = pod["metadata"]["name"], pod["spec"]["containers"][0]["name"]
        lab.cluster.logs[MONITORING, name, container, False] = QUIET
    lab.cluster.logs[MONITORING, "vector-9gc5f", "vector", False] = f"{QUIET}{line}\n{QUIET}"
    found, evidence, remedy = lab.told(LOGS)
    assert (found is Status.FAIL) == is_error
    if is_error:
        assert evidence.startswith(
            "log of Pod monitoring/vector-9gc5f: 1 errors (DaemonSet monitoring/vector)"
        )
        assert remedy.startswith("kubectl logs -n monitoring vector-9gc5f")


def test_the_last_words_of_a_container_that_ends(lab: Lab) -> None:
    lab.load("sick-after-ready")
    words = "one\ntwo\nConfiguration error: x\nthree\n"
    lab.cluster.logs[MONITORING, "vector-t5nnn", "vector", True] = words
    found = [one.evidence for one in lab.ask(PODS)]
    assert found[1].endswith("last exit 1, its last words: two / Configuration error: x / three")


# Least rights -----------------------------------------------------------------------------------------------


def rules(lab: Lab) -> dict[str, list[dict[str, Any]]]:
    """The rules that --print-rbac shows, by namespace."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in yaml.safe_load_all(reader(workspace_of(lab.root, lab.settings))):
        if one["kind"] in ("Role", "ClusterRole"):
            found.setdefault(one["metadata"].get("namespace", ""), []).extend(one["rules"])
    return found


def quiet(lab: Lab) -> None:
    for pod in lab.cluster.all("Pod", MONITORING):
        name, container = pod["metadata"]["name"], pod["spec"]["containers"][0]["name"]
        lab.cluster.logs[MONITORING, name, container, False] = QUIET


def test_the_printed_rights_are_enough(lab: Lab) -> None:
    lab.load("healthy")
    quiet(lab)
    lab.cluster.rules = rules(lab)
    lab.cluster.may = lambda user, verb, resource: verb in ("list", "watch")
    own = [CHECKS[name] for name in (FLUX, PODS, KEYS, CURRENT, NODES, ACCOUNT, "DoD-007-02", CONFIG, LOGS)]
    model = lab.model()
    found = {one.id: one.outcome for one in judge_live(own, model)}
    assert {one.status for one in found.values()} == {Status.PASS}, found
    # And for waiting, which watches.
    kubectl = model.workspace.kubectl

    def told(one: tuple[str, str]) -> list[Event]:
        return list(kubectl.watch(one[0], labels=one[1], since=kubectl.version(one[0]), seconds=1))

    lists = watched(kubectl, model.live.objects, model.live.wanted)
    with ThreadPoolExecutor(len(lists)) as pool:
        assert all(pool.map(told, lists))


def is_elsewhere(namespace: str, rule: dict[str, Any]) -> bool:
    """Whether a rule is for what this repository has in another namespace, or what another rule gives."""
    if rule["resources"] in (["events", "persistentvolumeclaims"], ["pods"]):
        return True
    return namespace == MONITORING and "gitrepositories" in rule["resources"]


def test_without_rights_each_answer_names_what_is_missing(lab: Lab) -> None:
    lab.load("healthy")
    quiet(lab)
    given = rules(lab)
    for namespace, listed in given.items():
        for rule in listed:
            if {"services", "pods/portforward", "prometheuses"} & set(rule["resources"]):
                continue  # asked for by what talks to the services themselves
            left = [one for one in listed if one is not rule]
            lab.cluster.rules = {**given, namespace: left}
            own = [CHECKS[name] for name in (FLUX, PODS, KEYS, CURRENT, NODES, "DoD-007-02", LOGS)]
            model = lab.model()
            kept = lab.__dict__.setdefault("kept", model)
            model.__dict__["_clusters"] = kept._clusters
            model.workspace.__dict__["kubectl"] = kept.workspace.kubectl
            outcomes = [one.outcome for one in judge_live(own, model)]
            unknowns = [one for one in outcomes if one.status is Status.UNKNOWN]
            if not is_elsewhere(namespace, rule):
                assert any("cannot" in one.evidence for one in unknowns), (namespace, rule)
            assert all("--print-rbac" in one.remedy for one in unknowns if "cannot" in one.evidence)
            assert not any(one.status is Status.ERROR for one in outcomes)
