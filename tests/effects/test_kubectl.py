"""The door to the cluster: the real kubectl, and an API server that answers as Kubernetes does, or fails."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tasks.configuration import _beside
from tasks.core.errors import UnavailableError
from tasks.core.settings import Layer, load
from tasks.effects import shell
from tasks.effects.api_errors import refusal
from tasks.effects.git import Git
from tasks.effects.kubectl import (
    ClusterError,
    ContextError,
    ExpiredError,
    ForbiddenError,
    Kubectl,
    NoContextError,
    NotFoundError,
    NotInstalledError,
    UnauthorizedError,
    UnreachableError,
)
from tasks.effects.repository import Repository
from tasks.workspace import Workspace
from tests.api_double import Cluster, Reply, Request, cut, kubeconfig, serving, status

PODS = "/api/v1/namespaces/monitoring/pods"


def pod(name: str, **labels: str) -> dict[str, Any]:
    about = {"name": name, "namespace": "monitoring", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": {}, "status": {"phase": "Running"}}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with serving(Cluster()) as running:
        running.put(
            *(pod(f"vector-{number}", app="vector") for number in range(5)), pod("other", app="other")
        )
        yield running


@pytest.fixture
def door(cluster: Cluster, tmp_path: Path) -> Iterator[Kubectl]:
    with to(cluster.url, tmp_path) as found:
        yield found


def to(url: str, folder: Path, user: dict[str, Any] | None = None) -> Kubectl:
    file = kubeconfig(folder / "kubeconfig", {"lab": url}, current="lab", user=user)
    return Kubectl(kubeconfig=str(file), context=None)


def once(*replies: Reply, path: str = PODS) -> Callable[[Request], Reply | None]:
    """Answers one question each with ``replies``, then as ever."""
    left = list(replies)
    return lambda request: left.pop(0) if left and request.path.startswith(path) else None


def test_lists_in_parts_with_selectors(door: Kubectl, cluster: Cluster) -> None:
    names = [one["metadata"]["name"] for one in door.items(PODS, labels="app=vector", limit=2)]
    assert names == [f"vector-{number}" for number in range(5)]
    assert len(cluster.requests) == door.calls == 3
    (other,) = door.items(PODS, fields="metadata.name=other")
    # The API server leaves this out in lists of its own kinds.
    assert (other["kind"], other["apiVersion"]) == ("Pod", "v1")
    assert door.get(f"{PODS}/other")["metadata"]["name"] == "other"
    assert door.server == cluster.url
    assert door.context == "lab"
    assert door.arguments()[2:] == ("--context", "lab")


def test_nothing_is_started_before_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "find", lambda tool: None)
    with (
        Kubectl(kubeconfig=None, context=None) as door,
        pytest.raises(UnavailableError, match="kubectl is not installed"),
    ):
        door.get("/version")


def test_a_list_that_is_too_old_starts_over(door: Kubectl, cluster: Cluster) -> None:
    def refuse(request: Request) -> Reply | None:
        if "continue" in request.query and cluster.oldest == 0:
            cluster.put(pod("late", app="vector"))
            cluster.forget_history()
        return None

    cluster.refuse = refuse
    names = [one["metadata"]["name"] for one in door.items(PODS, labels="app=vector", limit=2)]
    assert names == ["late", *(f"vector-{number}" for number in range(5))]


def test_waits_as_long_as_it_is_told(door: Kubectl, cluster: Cluster) -> None:
    door.get("/version")
    cluster.refuse = once(status(429, "too many requests", Retry_After=1))
    began = time.monotonic()
    assert len(door.items(PODS)) == 6
    assert time.monotonic() - began >= 1
    cluster.refuse = once(*[status(429, "too many requests", Retry_After=0)] * 4)
    with pytest.raises(UnreachableError, match=r"is overloaded \(429\): too many requests"):
        door.items(PODS)


def test_a_connection_that_is_cut_is_made_again(door: Kubectl, cluster: Cluster) -> None:
    cluster.refuse = once(cut(after=100), cut(after=0))
    assert len(door.items(PODS)) == 6
    cluster.refuse = once(*[cut(after=100)] * 9)
    with pytest.raises(UnreachableError, match="closes the connection"):
        door.items(PODS)


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (status(401, "Unauthorized"), UnauthorizedError, "refuses the credentials"),
        (
            status(403, 'pods is forbidden: User "system:anonymous" cannot list resource "pods"'),
            UnauthorizedError,
            "the kubeconfig gave no credentials",
        ),
        (status(403, 'pods is forbidden: User "me" cannot list'), ForbiddenError, 'User "me" cannot list'),
        (status(404, 'pods "x" not found'), NotFoundError, 'pods "x" not found'),
        (status(500, "etcdserver: request timed out"), UnreachableError, r"failed \(500\): etcdserver"),
        (Reply(200, b"<html>please log in</html>"), UnreachableError, "is no Kubernetes API server"),
    ],
)
def test_each_refusal_in_its_own_words(
    door: Kubectl, cluster: Cluster, reply: Reply, kind: type[ClusterError], words: str
) -> None:
    cluster.refuse = once(reply)
    with pytest.raises(kind, match=words) as caught:
        door.get(f"{PODS}/x")
    assert type(caught.value) is kind
    assert caught.value.hint or kind is NotFoundError


def test_a_kind_that_is_not_installed_is_told_from_one_that_is_forbidden(
    door: Kubectl, cluster: Cluster
) -> None:
    cluster.without = frozenset({"ServiceMonitor", "Prometheus"})
    cluster.rules = {}
    with pytest.raises(NotInstalledError, match=r"no API monitoring\.coreos\.com"):
        door.items("/apis/monitoring.coreos.com/v1/namespaces/monitoring/servicemonitors")
    with pytest.raises(NotInstalledError, match=r"no servicemonitors\.monitoring"):
        door.path("monitoring.coreos.com", "servicemonitors", "monitoring")
    with pytest.raises(ForbiddenError, match='cannot list resource "kustomizations"'):
        door.items(door.path("kustomize.toolkit.fluxcd.io", "kustomizations", "flux-system"))


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        ({"HelmRelease": ("v2beta1",)}, "/apis/helm.toolkit.fluxcd.io/v2beta1/namespaces/a/helmreleases"),
        ({"HelmRelease": ("v2", "v2beta2")}, "/apis/helm.toolkit.fluxcd.io/v2/namespaces/a/helmreleases"),
    ],
)
def test_versions_are_those_that_the_cluster_has(
    door: Kubectl, cluster: Cluster, versions: dict[str, tuple[str, ...]], found: str
) -> None:
    cluster.versions = versions
    assert door.path("helm.toolkit.fluxcd.io", "helmreleases", "a") == found


def test_of_two_versions_the_one_that_has_the_kind(door: Kubectl, cluster: Cluster) -> None:
    # Flux 2.0: GitRepository has a version that HelmChart has not.
    cluster.versions = {"source.toolkit.fluxcd.io": ("v1beta2",), "GitRepository": ("v1", "v1beta2")}
    assert door.path("source.toolkit.fluxcd.io", "gitrepositories").startswith(
        "/apis/source.toolkit.fluxcd.io/v1/"
    )
    assert "/v1beta2/" in door.path("source.toolkit.fluxcd.io", "helmcharts", "a")


def test_a_watch_tells_changes_until_its_time_is_over(door: Kubectl, cluster: Cluster) -> None:
    listing = door.listed(PODS, labels="app=vector")
    assert len(listing.items) == 5
    timer = threading.Timer(
        0.2, lambda: cluster.put(pod("other", app="other"), pod("vector-9", app="vector"))
    )
    timer.start()
    events = list(door.watch(PODS, labels="app=vector", since=listing.version, seconds=1))
    timer.join()
    assert [(kind, data["metadata"].get("name")) for kind, data in events] == [
        ("ADDED", "vector-9"),
        ("BOOKMARK", None),
    ]
    cluster.forget_history()
    with pytest.raises(ExpiredError):
        list(door.watch(PODS, since=listing.version, seconds=1))


def test_a_watch_that_is_cut_ends(door: Kubectl, cluster: Cluster) -> None:
    cluster.refuse = lambda request: cut(after=50) if "watch" in request.query else None
    assert list(door.watch(PODS, since=door.listed(PODS).version, seconds=5)) == []
    cluster.refuse = lambda request: status(403, "User cannot watch") if "watch" in request.query else None
    with pytest.raises(ForbiddenError):
        list(door.watch(PODS, since="1", seconds=5))


def test_logs_are_texts(door: Kubectl, cluster: Cluster) -> None:
    cluster.logs["monitoring", "vector-0", "vector", True] = "one\ntwo\nthree\n"
    path = f"{PODS}/vector-0/log?container=vector&tailLines=2"
    assert door.text(f"{path}&previous=true") == "two\nthree\n"
    with pytest.raises(ClusterError, match="previous terminated container"):
        door.text(path)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "GETS"])
def test_nothing_is_written_through_it(door: Kubectl, cluster: Cluster, method: str) -> None:
    door.get("/version")
    before = len(cluster.requests)
    connection = door._proxy._connected(5)
    connection.request(method, PODS, headers={"Host": "localhost"})
    assert connection.getresponse().status == 403
    for path in (f"{PODS}/x/exec", f"{PODS}/x/portforward?ports=1", "/api/v1/nodes/n/proxy/run"):
        connection.close()
        connection.request("GET", path, headers={"Host": "localhost"})
        assert connection.getresponse().status == 403
    assert len(cluster.requests) == before


def test_many_threads_ask_at_once(door: Kubectl, cluster: Cluster) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(door.items(PODS)))) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [6] * 8


def test_it_ends_with_the_block(cluster: Cluster, tmp_path: Path) -> None:
    with to(cluster.url, tmp_path) as door:
        door.get("/version")
        place = Path(door._proxy._place)
        assert place.exists()
        companion = door._proxy._companion
        assert companion is not None
    assert not companion.is_alive
    assert not place.parent.exists()
    with pytest.raises(ClusterError, match="is closed"):
        door.get("/version")


# How it is found -------------------------------------------------------------------------------------------


def test_one_context_is_meant_and_several_are_listed(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kubeconfig(tmp_path / "one", {"only": cluster.url})
    monkeypatch.setenv("KUBECONFIG", str(file))
    with Kubectl(kubeconfig=None, context=None) as door:
        assert door.get("/version")["major"] == "1"
        assert door.arguments() == ("--context", "only")
    kubeconfig(file, {"b": "http://127.0.0.1:1", "a": cluster.url})
    door = Kubectl(kubeconfig=None, context=None)
    with pytest.raises(ContextError, match="none of the contexts is chosen: a, b") as caught:
        door.get("/version")
    assert "cluster.context" in caught.value.hint
    with Kubectl(kubeconfig=None, context="a") as door:
        assert door.get("/version")["major"] == "1"
    with pytest.raises(ContextError, match=r"has no context c \(it has a, b\)"):
        Kubectl(kubeconfig=None, context="c").get("/version")
    kubeconfig(file, {"b": "http://127.0.0.1:1", "a": cluster.url}, current="gone")
    with pytest.raises(ContextError, match="has no context gone"):
        Kubectl(kubeconfig=None, context=None).get("/version")


@pytest.mark.parametrize("home", [True, False])
def test_without_a_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: bool) -> None:
    if not home:
        monkeypatch.delenv("HOME")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    with pytest.raises(NoContextError, match=r"no cluster is known: .*nothing does not exist"):
        Kubectl(kubeconfig=None, context=None).get("/version")
    with pytest.raises(NoContextError, match=r"no cluster is known: .*missing does not exist"):
        Kubectl(kubeconfig=str(tmp_path / "missing"), context=None).get("/version")


def test_a_broken_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("contexts: [\n")
    with pytest.raises(ClusterError, match=r"broken cannot be read: .*yaml"):
        Kubectl(kubeconfig=str(tmp_path / "broken"), context=None).get("/version")


def test_a_server_that_is_down(tmp_path: Path) -> None:
    with to("http://127.0.0.1:1", tmp_path) as door:
        with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1 cannot be reached: connection refused"):
            door.get("/version")
        with pytest.raises(UnreachableError, match="connection refused"):
            list(door.watch(PODS, since="1", seconds=1))


def test_a_certificate_that_nobody_trusts(cluster: Cluster, authority: trustme.CA, tmp_path: Path) -> None:
    with serving(Cluster(), authority.issue_cert("127.0.0.1")) as server:
        with (
            to(server.url, tmp_path, {"token": "x"}) as door,
            pytest.raises(
                UnreachableError, match=r"certificate of .* is not trusted: x509: certificate signed by"
            ),
        ):
            door.get("/version")
        # Where there are no credentials, kubectl asks for some.
        with (
            to(server.url, tmp_path) as door,
            pytest.raises(UnauthorizedError, match="the kubeconfig gave no credentials"),
        ):
            door.get("/version")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            ["sh", "-c", "echo token has expired >&2; exit 7"],
            r"exit code 7 \(token has expired\)",
        ),
        (["no-such-plugin"], "no-such-plugin"),
    ],
)
def test_a_program_for_logging_in_that_fails(
    cluster: Cluster, tmp_path: Path, command: list[str], words: str
) -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": command[0],
        "args": command[1:],
        "interactiveMode": "Never",
    }
    # A plugin is asked for servers with TLS only.
    with (
        to(cluster.url.replace("http:", "https:"), tmp_path, {"exec": plugin}) as door,
        pytest.raises(UnauthorizedError, match=words),
    ):
        door.get("/version")


def test_kubectl_gets_what_logs_it_in_and_not_the_keys_of_the_bucket(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "canary")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "needed")
    script = f"env > {tmp_path}/env; exit 1"
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": ["-c", script],
        "interactiveMode": "Never",
    }
    with (
        to(cluster.url.replace("http:", "https:"), tmp_path, {"exec": plugin}) as door,
        pytest.raises(UnauthorizedError),
    ):
        door.get("/version")
    seen = (tmp_path / "env").read_text()
    assert "AWS_SESSION_TOKEN=needed" in seen
    assert "canary" not in seen


def test_a_long_temporary_folder(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.setattr("tempfile.tempdir", None)
    with to(cluster.url, tmp_path) as door:
        assert door.get("/version")["major"] == "1"
    assert not any(long.iterdir())


def test_it_ends_with_the_run(cluster: Cluster, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "kubeconfig", {"lab": cluster.url})
    script = (
        "from tasks.effects.kubectl import Kubectl\n"
        f"door = Kubectl(kubeconfig={str(file)!r}, context=None)\n"
        "door.get('/version')\n"
        "print(door._proxy._place, flush=True)\n"
    )
    done = subprocess.run((sys.executable, "-c", script), check=True, capture_output=True, text=True)
    assert done.stdout.strip().endswith("/api")
    assert not Path(done.stdout.strip()).parent.exists()
    assert done.stderr == ""


def test_the_settings_name_the_cluster(cluster: Cluster, tmp_path: Path) -> None:
    kubeconfig(tmp_path / "lab kube.yaml", {"a": "http://127.0.0.1:1", "b": cluster.url}, current="a")
    found = _beside(tmp_path / "my.yaml", {"cluster": {"kubeconfig": "lab kube.yaml", "context": "b"}})
    for arguments in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "First")):
        identity = ("-c", "user.name=me", "-c", "user.email=me@example.com")
        subprocess.run(("git", *identity, *arguments), cwd=tmp_path, check=True)
    workspace = Workspace(load([Layer("my.yaml", found)]), Repository(Git(tmp_path)))
    with workspace.kubectl as door:
        assert door.get("/version")["major"] == "1"


# As they were recorded: the status and the message, and what is made of them.
ANONYMOUS = (
    'kustomizations.kustomize.toolkit.fluxcd.io is forbidden: User "system:anonymous" cannot list resource '
    '"kustomizations" in API group "kustomize.toolkit.fluxcd.io" in the namespace "flux-system"'
)
NOBODY = (
    'pods is forbidden: User "system:serviceaccount:default:nobody" cannot list resource "pods" in API '
    'group "" in the namespace "monitoring"'
)
NOPE = 'kustomizations.kustomize.toolkit.fluxcd.io "nope" not found'


@pytest.mark.parametrize(
    ("code", "text", "kind", "words"),
    [
        (401, "Unauthorized", UnauthorizedError, "wrong or have expired"),
        (403, ANONYMOUS, UnauthorizedError, "the kubeconfig gave no credentials"),
        (403, NOBODY, ForbiddenError, "cannot list resource"),
        (404, NOPE, NotFoundError, '"nope" not found'),
    ],
)
def test_refusals_as_they_were_recorded(code: int, text: str, kind: type[ClusterError], words: str) -> None:
    found = refusal("https://127.0.0.1:6443", "/api", code, status(code, text).body)
    assert (type(found), words in found.summary) == (kind, True)
    assert type(refusal("x", "/apis/x/v1/y", 404, b"404 page not found\n")) is NotInstalledError


def test_connections_are_used_again_by_other_threads(door: Kubectl) -> None:
    for _ in range(10):
        threads = [threading.Thread(target=door.items, args=(PODS,)) for _ in range(3)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    list(door.watch(PODS, since=door.version(PODS), seconds=1))
    assert 1 <= len(door._proxy._connections) <= 3


def test_a_server_that_says_nothing_is_waited_for_once(
    door: Kubectl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.effects.kube_proxy.SECONDS", 0.3)
    cluster.delay = 1.0
    for ask in (lambda: door.path("apps", "deployments"), lambda: door.items(PODS), door.reached):
        with pytest.raises(UnreachableError, match="did not answer"):
            ask()
    assert door.calls == 1


def test_one_slow_answer_of_a_server_that_is_there_hides_no_other(
    door: Kubectl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert door.reached() == door.arguments()
    monkeypatch.setattr("tasks.effects.kube_proxy.SECONDS", 0.3)
    # Another connection than the one of before, which has its time already.
    door._proxy.end(*door._proxy._idle)
    door._proxy._idle.clear()
    cluster.delay = 1.0
    with pytest.raises(UnreachableError, match="did not answer"):
        door.items(PODS)
    cluster.delay = 0.0
    assert len(door.items(PODS)) == 6


def test_a_proxy_that_somebody_ended_is_started_again(door: Kubectl) -> None:
    assert len(door.items(PODS)) == 6
    place = Path(door._proxy._place)
    asked = subprocess.run(("pgrep", "-f", str(place)), check=True, capture_output=True, text=True)
    for process in asked.stdout.split():
        os.kill(int(process), signal.SIGKILL)
    assert len(door.items(PODS)) == 6
    assert Path(door._proxy._place) != place
    assert not place.parent.exists()
