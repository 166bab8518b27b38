"""`verify` with a cluster, as a user runs it."""

import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.api_double import Cluster, kubeconfig, serving, status
from tests.checks.test_live import recorded
from tests.playground import Playground, wait_for

FLUX, PODS = "DoD-011-01", "DoD-011-02"


@pytest.fixture
def cluster(done: Playground, tmp_path: Path) -> Iterator[Cluster]:
    with serving(Cluster()) as running:
        running.put(*recorded("healthy", done.remote_head()))
        done.environment["KUBECONFIG"] = str(kubeconfig(tmp_path / "kubeconfig", {"lab": running.url}))
        yield running


def test_after_the_push(done: Playground, cluster: Cluster) -> None:
    found = done.on_repository("verify", "--stage", "live", "--only", f"{FLUX},{PODS}")
    assert found.code == 0, found.err
    assert f"GitRepository flux-system/home-kubernetes: has {done.head()[:7]}" in found.out
    # Without a stage the repository is asked, too; without the network neither the cluster is.
    both = done.on_repository("verify", "--only", f"{FLUX},{PODS},entries", "--json")
    assert [one["status"] for one in both.data["checks"]] == ["pass"] * 3
    asked = len(cluster.requests)
    offline = done.verify("--only", FLUX, "--json")
    assert [one["status"] for one in offline.data["checks"]] == ["unknown"]
    assert len(cluster.requests) == asked


def test_a_sick_cluster_is_a_failure_that_stops_no_push(done: Playground, cluster: Cluster) -> None:
    cluster.put(*recorded("sick-after-ready", done.remote_head()))
    found = done.on_repository("verify", "--stage", "live", "--only", PODS, "--json")
    assert found.code == 1
    assert f"error: 1 of 1 checks fail: {PODS}" in found.err
    (one, *_) = found.data["checks"]
    assert (one["status"], one["cause"], one["stops_push"]) == ("fail", "cluster", False)
    assert "OOMKilled (137)" in one["evidence"]
    assert done.on_repository("verify", "--stage", "static", "--only", PODS).code == 0
    wrong = done.on_repository("verify", "--stage", "live", "--only", "entries")
    assert (wrong.code, "the running cluster answers none of these" in wrong.err) == (2, True)


@pytest.mark.parametrize("stage", [(), ("--stage", "live")])
def test_several_clusters_are_listed(
    done: Playground, cluster: Cluster, tmp_path: Path, stage: tuple[str, ...]
) -> None:
    file = kubeconfig(tmp_path / "several", {"b": "http://127.0.0.1:1", "a": cluster.url})
    found = done.on_repository("verify", "--only", FLUX, *stage, KUBECONFIG=str(file))
    assert found.code == 4
    assert "none of the contexts is chosen: a, b" in found.err
    chosen = {"KUBECONFIG": str(file), "INVOKE_CLUSTER_CONTEXT": "a"}
    assert done.on_repository("verify", "--only", FLUX, *stage, **chosen).code == 0


def test_without_a_cluster_it_is_as_before(done: Playground, tmp_path: Path) -> None:
    found = done.on_repository("verify", "--only", FLUX, KUBECONFIG=str(tmp_path / "nothing"))
    assert found.code == 0
    assert "only the running cluster can answer this" in found.out
    live = done.on_repository("verify", "--stage", "live", KUBECONFIG=str(tmp_path / "nothing"))
    assert live.code == 4
    assert "no cluster is known" in live.err


def test_a_cluster_that_refuses_everything_leaves_the_rest(done: Playground, cluster: Cluster) -> None:
    cluster.refuse = lambda request: status(401, "Unauthorized")
    found = done.on_repository("verify", "--only", f"{FLUX},entries", "--json")
    assert found.code == 0
    answers = {one["id"]: (one["status"], one["evidence"]) for one in found.data["checks"]}
    assert answers["entries"][0] == "pass"
    assert answers[FLUX][0] == "unknown"
    assert "refuses the credentials in the kubeconfig" in answers[FLUX][1]


def test_before_the_first_push_the_cluster_is_not_asked(play: Playground, tmp_path: Path) -> None:
    assert play.all("--no-push").code == 0
    with serving(Cluster()) as running:
        play.environment["KUBECONFIG"] = str(kubeconfig(tmp_path / "kubeconfig", {"lab": running.url}))
        found = play.on_repository("verify", "--only", f"{FLUX},{PODS}")
        assert found.code == 0, found.out
        assert "the rollout is not pushed yet, so the cluster is not asked" in found.err
        assert running.requests == []
        # Who asks for it gets the answer.
        asked = play.on_repository("verify", "--stage", "live", "--only", PODS)
        assert "not pushed yet" not in asked.err


def test_waits_for_the_push(done: Playground, cluster: Cluster) -> None:
    found = done.on_repository("verify", "--wait", "1m", "--stage", "live", "--only", f"{FLUX},{PODS}")
    assert found.code == 0
    assert found.err == f"asking the cluster of context lab, {cluster.url}\n"
    assert "DaemonSet monitoring/vector: 3 of 3 ready" in found.out
    done.git("commit", "-q", "--allow-empty", "-m", "Not fetched yet")
    done.git("push", "-q")
    late = done.on_repository("verify", "--wait", "1s", "--stage", "live", "--only", FLUX, "--json")
    assert late.code == 1
    assert "waiting for GitRepository flux-system/home-kubernetes since " in late.err
    assert "error: not there after 1 s: GitRepository flux-system/home-kubernetes: has " in late.err
    assert "hint: flux reconcile source git home-kubernetes -n flux-system" in late.err
    assert [one["status"] for one in late.data["checks"]] == ["unknown"]
    for arguments in (("--wait", "soon"), ("--wait", "1m", "--stage", "built")):
        assert done.on_repository("verify", *arguments).code == 2


def test_an_interrupt_ends_the_waiting(done: Playground, cluster: Cluster) -> None:
    done.git("commit", "-q", "--allow-empty", "-m", "Not fetched yet")
    done.git("push", "-q")
    with done.started("verify", "--wait", "10m", "--stage", "live") as process:
        wait_for(lambda: any(one.verb == "watch" for one in cluster.requests))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "error: interrupted" in err
    wait_for(lambda: not _proxies(done.environment["KUBECONFIG"]))


def _proxies(file: str) -> list[str]:
    """The programs that were told to read a kubeconfig."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(line.read_bytes().decode(errors="replace"))
    return [one for one in found if "proxy" in one and file in one]
