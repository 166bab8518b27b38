"""Where the time of `invoke verify` goes in a repository of many manifests, with charts in the cache.

Run from the project's folder, in its virtual environment:  python -m benchmarks.verify [MANIFESTS]
"""

import cProfile
import os
import pstats
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

from benchmarks.speed import Rollout
from checks import registry
from checks.model import judge
from tasks.core.credentials import Secret
from tasks.core.settings import S3, Charts, Gitops, Settings
from tasks.demo.s3_server import Identity, running
from tasks.effects import shell
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.model import Model
from tasks.workspace import Workspace
from tests.charts import write_charts

KEYS = ("benchmarkaccess", "benchmarksecret")
REPOSITORIES = (
    "https://charts.parseable.com",
    "https://helm.vector.dev",
    "https://grafana.github.io/helm-charts",
)
PER_APP = 5
TOOLS = ("kustomize", "kubectl", "helm")

KS = """---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: {name}
  namespace: flux-system
spec:
  targetNamespace: default
  path: ./kubernetes/apps/default/{name}/app
  prune: true
  interval: 30m
  sourceRef:
    kind: GitRepository
    name: home-kubernetes
    namespace: flux-system
"""
LIST = """---
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ./helmrelease.yaml
  - ./configmap.yaml
  - ./service.yaml
"""
RELEASE = """---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: {name}
spec:
  interval: 30m
  chart:
    spec:
      chart: podinfo
      version: 6.7.1
      sourceRef:
        kind: HelmRepository
        name: podinfo
        namespace: flux-system
  values:
    replicaCount: 1
    ingress:
      enabled: true
      hosts:
        - host: {name}.example.com
          paths:
            - path: /
              pathType: Prefix
"""
CONFIG = """---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
data:
  key: "{name}"
"""
SERVICE = """---
apiVersion: v1
kind: Service
metadata:
  name: {name}-extra
spec:
  selector:
    app.kubernetes.io/name: {name}
  ports:
    - port: 80
      targetPort: http
"""


def fill(root: Path, manifests: int) -> None:
    """Add apps until the repository holds about ``manifests`` YAML files."""
    apps = root / "kubernetes/apps/default"
    names = [f"app-{number:04}" for number in range((manifests - len(list(root.rglob("*.yaml")))) // PER_APP)]
    for name in names:
        folder = apps / name / "app"
        folder.mkdir(parents=True)
        (folder.parent / "ks.yaml").write_text(KS.format(name=name))
        (folder / "kustomization.yaml").write_text(LIST)
        (folder / "helmrelease.yaml").write_text(RELEASE.format(name=name))
        (folder / "configmap.yaml").write_text(CONFIG.format(name=name))
        (folder / "service.yaml").write_text(SERVICE.format(name=name))
    with (apps / "kustomization.yaml").open("a") as stream:
        stream.writelines(f"  - ./{name}/ks.yaml\n" for name in names)


def verified(settings: Settings) -> float:
    """Seconds of all checks in this process, imports aside; what fails ends the run."""
    started = time.perf_counter()
    workspace = Workspace(settings, Repository(Git(Path(settings.gitops.path))))
    verdicts = judge(registry.CHECKS.values(), Model(workspace))
    seconds = time.perf_counter() - started
    failures = [f"{one.id}: {one.outcome.evidence}" for one in verdicts if one.outcome.status == "fail"]
    if failures:
        sys.exit("\n".join(failures))
    return seconds


def main() -> None:
    """Measure and print."""
    find = shell.find
    manifests = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    if shell.find("helm") is None:
        print("helm is not installed: nothing is rendered")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        (folder / "charts").mkdir()
        write_charts(folder / "charts")
        identity = Identity("benchmark", Secret(KEYS[0]), Secret(KEYS[1]))
        with running(folder / "s3", [identity]) as server:
            rollout = Rollout(folder, server)
            root = rollout.repository()
            rollout.run_all(root)
            fill(root, manifests)
            os.environ |= rollout.environment
            settings = Settings(
                gitops=Gitops(path=str(root)),
                s3=S3(endpoint=server.endpoint, bucket=rollout.environment["INVOKE_S3_BUCKET"]),
                charts=Charts(dict.fromkeys(REPOSITORIES, str(folder / "charts"))),
            )
            print(f"{len(list(root.rglob('*.yaml')))} manifests, {os.cpu_count()} processors")
            print(f"first, charts pulled  {verified(settings):6.2f} s")
            print(f"again, charts cached  {verified(settings):6.2f} s")
            with mock.patch.object(shell, "find", lambda tool: None if tool in TOOLS else find(tool)):
                print(f"without {', '.join(TOOLS)}  {verified(settings):6.2f} s")
            profile = cProfile.Profile()
            profile.runcall(verified, settings)
            pstats.Stats(profile).strip_dirs().sort_stats("cumulative").print_stats(25)


if __name__ == "__main__":
    main()
