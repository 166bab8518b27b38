"""Where the time of `invoke verify` and `invoke plan` goes in a repository of many apps, charts in the cache.

Run from the project's folder, in its virtual environment:  python -m benchmarks.verify [APPS]
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
from tasks.core.graph import order
from tasks.core.runner import make_plans
from tasks.core.settings import S3, Charts, Gitops, Settings
from tasks.demo.s3_server import Identity, running
from tasks.effects import shell
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.model import Model
from tasks.steps import STEPS
from tasks.workspace import Workspace
from tests.charts import write_chart, write_charts

KEYS = ("benchmarkaccess", "benchmarksecret")
REPOSITORIES = (
    "https://charts.parseable.com",
    "https://helm.vector.dev",
    "https://grafana.github.io/helm-charts",
    "https://prometheus-community.github.io/helm-charts",
    "https://stefanprodan.github.io/podinfo",
)
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
  - ./pvc.yaml
  - ./account.yaml
  - ./role.yaml
  - ./binding.yaml
  - ./monitor.yaml
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
MORE = {
    "pvc": """---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {name}
spec:
  accessModes: [ReadWriteOnce]
  resources:
    requests:
      storage: 1Gi
""",
    "account": """---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {name}-extra
""",
    "role": """---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {name}-extra
rules:
  - apiGroups: [""]
    resources: [pods]
    verbs: [get, list]
""",
    "binding": """---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {name}-extra
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {name}-extra
subjects:
  - kind: ServiceAccount
    name: {name}-extra
""",
    "monitor": """---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {name}
spec:
  selector:
    matchLabels:
      app.kubernetes.io/name: {name}
  endpoints:
    - port: http
""",
}
# Small, with what every app has: most of the time is what any chart takes.
PODINFO = {
    "values.yaml": "replicaCount: 2\nimage: ghcr.io/stefanprodan/podinfo:6.7.1\n"
    "ingress:\n  enabled: false\n  hosts: []\n",
    "templates/all.yaml": """---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
spec:
  replicas: {{ .Values.replicaCount }}
  selector:
    matchLabels: {app: {{ .Release.Name }}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
    spec:
      containers:
        - name: podinfo
          image: {{ .Values.image }}
          ports:
            - {name: http, containerPort: 9898}
          env:
            - {name: SELF, value: "http://{{ .Release.Name }}:9898"}
          envFrom:
            - configMapRef: {name: {{ .Release.Name }}}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
spec:
  selector: {app: {{ .Release.Name }}}
  ports:
    - {name: http, port: 9898, targetPort: http}
{{- if .Values.ingress.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
spec:
  rules:
    {{- range .Values.ingress.hosts }}
    - host: {{ .host }}
      http:
        paths:
          {{- range .paths }}
          - path: {{ .path }}
            pathType: {{ .pathType }}
            backend: {service: {name: {{ $.Release.Name }}, port: {name: http}}}
          {{- end }}
    {{- end }}
{{- end }}
""",
}
STACK = {
    "values.yaml": "grafana: {}\nprometheus:\n  prometheusSpec: {}\n",
    "templates/all.yaml": "{{- $_ := list .Values.grafana .Values.prometheus -}}\n",
}


def fill(root: Path, apps: int) -> None:
    """Add ``apps`` of ten files each, with a release of their own."""
    names = [f"app-{number:04}" for number in range(apps)]
    folder = root / "kubernetes/apps/default"
    with (folder / "kustomization.yaml").open("a") as stream:
        stream.writelines(f"  - ./{name}/ks.yaml\n" for name in names)
    for name in names:
        _write_app(folder / name / "app", name)


def _write_app(folder: Path, name: str) -> None:
    folder.mkdir(parents=True)
    (folder.parent / "ks.yaml").write_text(KS.format(name=name))
    (folder / "kustomization.yaml").write_text(LIST)
    texts = {"helmrelease": RELEASE, "configmap": CONFIG, "service": SERVICE, **MORE}
    for file, text in texts.items():
        (folder / f"{file}.yaml").write_text(text.format(name=name))


def verified(settings: Settings, *, whole: bool = False) -> float:
    """Seconds of all checks in this process, imports aside; what fails ends the run."""
    started = time.perf_counter()
    workspace = Workspace(settings, Repository(Git(Path(settings.gitops.path))))
    verdicts = judge(registry.CHECKS.values(), Model(workspace, whole_repository=whole))
    seconds = time.perf_counter() - started
    failures = [f"{one.id}: {one.outcome.evidence}" for one in verdicts if one.outcome.status == "fail"]
    if failures:
        sys.exit("\n".join(failures))
    return seconds


def planned(settings: Settings) -> float:
    """Seconds of the plan of all tasks in this process, imports aside."""
    started = time.perf_counter()
    make_plans(STEPS, Workspace(settings, Repository(Git(Path(settings.gitops.path)))), order())
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    find = shell.find
    apps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    if shell.find("helm") is None:
        print("helm is not installed: nothing is rendered")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        (folder / "charts").mkdir()
        write_charts(folder / "charts")
        write_chart(folder / "charts", "podinfo", "6.7.1", PODINFO)
        write_chart(folder / "charts", "kube-prometheus-stack", "67.4.0", STACK)
        identity = Identity("benchmark", Secret(KEYS[0]), Secret(KEYS[1]))
        with running(folder / "s3", [identity]) as server:
            rollout = Rollout(folder, server)
            root = rollout.repository()
            rollout.run_all(root)
            fill(root, apps)
            os.environ |= rollout.environment
            settings = Settings(
                gitops=Gitops(path=str(root)),
                s3=S3(endpoint=server.endpoint, bucket=rollout.environment["INVOKE_S3_BUCKET"]),
                charts=Charts(dict.fromkeys(REPOSITORIES, str(folder / "charts"))),
            )
            print(f"{len(list(root.rglob('*.yaml')))} manifests, {os.cpu_count()} processors")
            print(f"plan                       {planned(settings):6.2f} s")
            print(f"verify, charts pulled      {verified(settings):6.2f} s")
            print(f"verify, charts cached      {verified(settings):6.2f} s")
            verified(settings, whole=True)
            print(f"verify of the whole        {verified(settings, whole=True):6.2f} s")
            with mock.patch.object(shell, "find", lambda tool: None if tool in TOOLS else find(tool)):
                print(f"verify, no {', no '.join(TOOLS)}  {verified(settings):6.2f} s")
            profile = cProfile.Profile()
            profile.runcall(verified, settings, whole=True)
            pstats.Stats(profile).strip_dirs().sort_stats("cumulative").print_stats(25)


if __name__ == "__main__":
    main()
