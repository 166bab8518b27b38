"""What `invoke verify --stage live` takes in a large cluster: seconds, and questions to the API server.

Run from the project's folder, in its virtual environment:

    python -m benchmarks.live [PODS] [NODES] [MILLISECONDS]

The API server is a double that takes MILLISECONDS for each answer; the repository is the sample, rolled out.
What asks the deployed services is left out: there is none behind the double.
"""

import copy
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from checks.model import judge_live
from checks.registry import CHECKS
from tasks.core.settings import DOCUMENTED, Settings
from tasks.core.settings import Cluster as ClusterSettings
from tasks.effects.git import Git
from tasks.model import Model, Stage
from tests.api_double import Cluster, Object, kubeconfig, serving
from tests.checks.deployed import deploy, workspace_of
from tests.checks.test_live import node, recorded

RUNS = 5
ROLLOUT = "DoD-004-01,DoD-007-01,DoD-009-01,DoD-009-02,DoD-009-03,DoD-011-01,DoD-011-02,rollout"


def crowd(cluster: Cluster, commit: str, pods: int, nodes: int) -> None:
    """Fill the cluster: Vector on every node, and the other pods in namespaces of fifty."""
    objects = recorded("healthy", commit)
    vector, parseable = (_first(objects, name) for name in ("vector-", "parseable-"))
    others = [one for one in objects if one["kind"] not in ("Node", "Pod")]
    for one in others:
        if one["kind"] == "DaemonSet":
            counted = ("desiredNumberScheduled", "numberReady", "updatedNumberScheduled")
            one["status"].update(dict.fromkeys(counted, nodes))
    cluster.put(*others, parseable)
    cluster.put(*(node(f"worker-{number}") for number in range(nodes)))
    for number in range(nodes):
        cluster.put(_pod(vector, f"vector-{number:05}", "monitoring", f"worker-{number}"))
        cluster.logs["monitoring", f"vector-{number:05}", "vector", False] = "INFO vector: ready\n" * 200
    name = parseable["metadata"]["name"]
    cluster.logs["monitoring", name, "parseable", False] = "INFO parseable: ready\n" * 200
    stranger = _pod(vector, "x", "x", "x")
    stranger["metadata"]["labels"] = {"app": "stranger"}
    for number in range(pods - nodes):
        cluster.put(_pod(stranger, f"app-{number:05}", f"team-{number // 50}", f"worker-{number % nodes}"))


def _first(objects: list[Object], name: str) -> Object:
    return next(one for one in objects if one["kind"] == "Pod" and one["metadata"]["name"].startswith(name))


def _pod(like: Object, name: str, namespace: str, where: str) -> Object:
    found: Object = copy.deepcopy(like)
    found["metadata"].update(name=name, namespace=namespace)
    found["spec"]["nodeName"] = where
    return found


def main(pods: int, nodes: int, milliseconds: float) -> None:
    """Measure the whole process, and one run of the checks with its questions."""
    with tempfile.TemporaryDirectory() as name, serving(Cluster(delay=milliseconds / 1000)) as cluster:
        root = Path(name) / "repository"
        deploy(root)
        for arguments in (("add", "--all"), ("commit", "-qm", "Roll out"), ("push", "-q")):
            subprocess.run(("git", *arguments), cwd=root, check=True)
        crowd(cluster, str(Git(root).seen("origin", "main")), pods, nodes)
        file = kubeconfig(Path(name) / "kubeconfig", {"large": cluster.url})
        settings = Settings(**{**vars(DOCUMENTED), "cluster": ClusterSettings(kubeconfig=str(file))})
        model = Model(workspace_of(root, settings), Stage.LIVE)
        verdicts = judge_live([CHECKS[one] for one in ROLLOUT.split(",")], model)
        calls = model.workspace.kubectl.calls
        print(f"{pods} pods, {nodes} nodes, {milliseconds:g} ms an answer: {calls} questions")
        for one in verdicts:
            print(f"    {one.outcome.status:7} {one.id}  {one.outcome.evidence[:90]}")
        model.workspace.kubectl.close()
        asked = ("--repo", str(root), "--stage", "live", "--only", ROLLOUT)
        command = (sys.executable, "-m", "invoke", "verify", *asked)
        seconds = statistics.median(_timed(command, file) for _ in range(RUNS))
        print(f"whole command, median of {RUNS}: {seconds:.2f} s")


def _timed(command: tuple[str, ...], file: Path) -> float:
    began = time.perf_counter()
    environment = {
        **os.environ,
        "KUBECONFIG": str(file),
        "S3_ACCESS_KEY_ID": "x",
        "S3_SECRET_ACCESS_KEY": "x",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - began


if __name__ == "__main__":
    PODS, NODES, MILLISECONDS = (*sys.argv[1:4], *("5000", "300", "10")[len(sys.argv) - 1 :])
    main(int(PODS), int(NODES), float(MILLISECONDS))
