"""The whole repository: the links of all apps are judged, whether a rollout of ours is among them or not."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from checks.model import judge
from checks.registry import CHECKS
from tasks.core.outcomes import Cause, Outcome, Status
from tasks.core.settings import Charts, Settings
from tasks.demo.sandbox import make_repository
from tasks.flux.grafana import GrafanaPlace
from tasks.model import Model
from tests.charts import write_chart, write_charts
from tests.checks.deployed import SECRET, deploy, edit, flux, listing, workspace_of, write
from tests.checks.memory import Memory, remember
from tests.checks.test_links import REPOSITORIES
from tests.tools import helm_folder  # noqa: F401

PODINFO = "kubernetes/apps/default/podinfo"
RELEASE = f"{PODINFO}/app/helmrelease.yaml"
LINKS = [name for name in CHECKS if not name.startswith("DoD-")]
# What is asked of Parseable and Vector only.
OF_OURS = {
    "admission", "columns", "delivery", "ignored", "ingestors", "login", "memory", "pipeline", "plugin",
    "queries", "remap", "retention", "rollout", "rows", "staging", "suspended", "tested", "variables",
    "waiting",
}  # fmt: skip

_PODINFO = """\
apiVersion: v1
kind: Service
metadata: {name: podinfo, namespace: {{ .Release.Namespace }}}
spec:
  ports: [{name: http, port: {{ required "a port is needed" .Values.port }}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: podinfo, namespace: {{ .Release.Namespace }}}
spec:
  replicas: {{ .Values.replicaCount }}
  selector: {matchLabels: {app: podinfo}}
  template:
    metadata: {labels: {app: podinfo}}
    spec:
      containers:
        - name: podinfo
          image: ghcr.io/stefanprodan/podinfo:6.7.1
          ports: [{name: http, containerPort: 9898}]
          env: {{ toYaml .Values.env | nindent 12 }}
"""
_VALUES = "replicaCount: 1\nport: 9898\nenv: []\n"
_STACK = "{{- $_ := list .Values.grafana .Values.prometheus -}}\n"


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a folder of charts for every release of the sample."""
    folder = tmp_path_factory.mktemp("charts")
    write_charts(folder)
    write_chart(folder, "podinfo", "6.7.1", {"values.yaml": _VALUES, "templates/all.yaml": _PODINFO})
    stack = {"values.yaml": "grafana: {}\nprometheus: {}\n", "templates/none.yaml": _STACK}
    write_chart(folder, "kube-prometheus-stack", "67.4.0", stack)
    places = (*REPOSITORIES, "https://stefanprodan.github.io/podinfo")
    return Settings(charts=Charts(mirrors=dict.fromkeys(places, str(folder))))


@pytest.fixture(scope="session")
def seen() -> Memory:
    """What kustomize and helm made of the same before."""
    return {}


@pytest.fixture(autouse=True)
def _programs(
    helm_folder: Path,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
    seen: Memory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join((str(helm_folder), os.environ["PATH"])))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "whole-cache"))
    remember(seen, monkeypatch)


@pytest.fixture(scope="session")
def rolled_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with a rollout of ours whose Secret has all keys, to be copied."""
    keys = ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "username", "password")
    lines = "".join(f"  {key}: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]\n" for key in keys)
    text = SECRET.replace("parseable-env-secret", "parseable-s3-secret")
    root = tmp_path_factory.mktemp("rolled-out") / "repository"
    deploy(root, secret=text.replace("stringData:\n", f"stringData:\n{lines}"))
    return root


@pytest.fixture
def whole(rolled_out: Path, tmp_path: Path) -> Path:
    """A copy of that, to be changed."""
    return Path(shutil.copytree(rolled_out, tmp_path / "whole", symlinks=True))


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The sample without a rollout of ours."""
    make_repository(tmp_path / "bare", tmp_path / "bare.git", "age1x")
    return tmp_path / "bare"


def told(root: Path, settings: Settings, *links: str, whole: bool = True) -> list[tuple[str, Outcome]]:
    """What the links say beside passes."""
    model = Model(workspace_of(root, settings), whole_repository=whole)
    verdicts = judge([CHECKS[name] for name in links or LINKS], model)
    return [(one.id, one.outcome) for one in verdicts if one.outcome.status is not Status.PASS]


def refused(root: Path, settings: Settings, *links: str, whole: bool = True) -> list[tuple[str, str]]:
    """Check and evidence of all that stops a push, or is a note."""
    return [
        (name, one.evidence)
        for name, one in told(root, settings, *links, whole=whole)
        if one.stops_push or one.status is Status.NOTE
    ]


def app(root: Path, name: str, text: str) -> None:
    """Put one more manifest into podinfo's app."""
    write(root, f"{PODINFO}/app/{name}.yaml", text)
    edit(root, f"{PODINFO}/app/kustomization.yaml", "resources:\n", f"resources:\n  - ./{name}.yaml\n")


def values(root: Path, *lines: str) -> None:
    edit(
        root,
        RELEASE,
        "    replicaCount: 1\n",
        "".join(f"    {line}\n" for line in ("replicaCount: 1", *lines)),
    )


def no_yaml(root: Path) -> None:
    app(root, "broken", "a: [\n")


def no_entry(root: Path) -> None:
    edit(root, f"{PODINFO}/app/kustomization.yaml", "resources:\n", "resources:\n  - ./nowhere.yaml\n")


def no_folder(root: Path) -> None:
    edit(root, f"{PODINFO}/ks.yaml", "podinfo/app", "podinfo/nowhere")


def no_source(root: Path) -> None:
    edit(root, f"{PODINFO}/ks.yaml", "name: home-kubernetes", "name: nowhere")


def no_chart_source(root: Path) -> None:
    edit(root, RELEASE, "name: podinfo\n        namespace", "name: nowhere\n        namespace")


def no_decryption(root: Path) -> None:
    label = "metadata:\n  labels: {home/decryption: disabled}\n"
    edit(root, f"{PODINFO}/ks.yaml", "metadata:\n", label)
    secret = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {a: 'ENC[x]'}\nsops: {mac: x}\n"
    )
    app(root, "secret", secret)


def no_version(root: Path) -> None:
    edit(root, RELEASE, "version: 6.7.1", "version: 6.7.2")


def no_port(root: Path) -> None:
    values(root, "port: null")


def no_value(root: Path) -> None:
    values(root, "replicas: 2")


def no_object(root: Path) -> None:
    app(root, "service", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {}\n")


def old_version(root: Path) -> None:
    versions = "[{name: v2beta2, served: true, storage: true}]"
    app(
        root,
        "crd",
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
        "metadata: {name: helmreleases.helm.toolkit.fluxcd.io}\n"
        "spec:\n  group: helm.toolkit.fluxcd.io\n  scope: Namespaced\n"
        f"  names: {{kind: HelmRelease, plural: helmreleases}}\n  versions: {versions}\n",
    )


def two_owners(root: Path) -> None:
    spec = "spec: {ports: [{port: 80}]}"
    app(root, "service", f"apiVersion: v1\nkind: Service\nmetadata: {{name: podinfo}}\n{spec}\n")


def two_lists(root: Path) -> None:
    """Two Kustomizations apply the same folder."""
    text = flux("again", f"./{PODINFO}/app", "targetNamespace: default")
    write(root, f"{PODINFO}/again.yaml", text)
    edit(
        root,
        "kubernetes/apps/default/kustomization.yaml",
        "resources:\n",
        "resources:\n  - ./podinfo/again.yaml\n",
    )


def no_key(root: Path) -> None:
    app(root, "map", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: colours}\ndata: {red: '1'}\n")
    values(root, "env: [{name: A, valueFrom: {configMapKeyRef: {name: colours, key: blue}}}]")


def wrong_port(root: Path) -> None:
    values(root, "env: [{name: SELF, value: 'http://podinfo:80'}]")


def wrong_port_in_a_text(root: Path) -> None:
    text = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {url: 'http://podinfo.default.svc/'}\n"
    )
    app(root, "map", text)


FAULTS: list[tuple[Callable[[Path], None], str, str]] = [
    (no_yaml, "documents", f"{PODINFO}/app/broken.yaml is not YAML"),
    (no_entry, "entries", f"kustomize cannot build {PODINFO}/app: "),
    (no_folder, "entries", f"Kustomization podinfo applies {PODINFO}/nowhere, which does not exist"),
    (no_source, "sources", "sourceRef GitRepository flux-system/nowhere does not exist"),
    (no_chart_source, "sources", "chart.spec.sourceRef names HelmRepository flux-system/nowhere"),
    (no_decryption, "decryption", "Kustomization podinfo has no spec.decryption"),
    (no_version, "charts", "https://stefanprodan.github.io/podinfo (mirror "),
    (no_port, "charts", "release podinfo does not render: "),
    (no_value, "values", "chart podinfo 6.7.1 does not read the value replicas"),
    (no_object, "objects", "Service default/a: spec.ports: Required value"),
    (
        old_version,
        "versions",
        "HelmRelease default/podinfo has API version helm.toolkit.fluxcd.io/v2; its CRD",
    ),
    (two_owners, "owners", "Service default/podinfo is created twice"),
    (two_lists, "owners", "HelmRelease default/podinfo is applied twice: by Kustomization "),
    (no_key, "references", "ConfigMap default/colours has no key blue"),
    (wrong_port, "urls", "Deployment default/podinfo: http://podinfo:80 leads to port 80 of Service"),
    (wrong_port_in_a_text, "urls", "ConfigMap default/a: http://podinfo.default.svc/ leads to port 80"),
]


@pytest.mark.parametrize(("change", "link", "evidence"), FAULTS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_fault_counts_where_nothing_is_ours(
    bare: Path, settings: Settings, change: Callable[[Path], None], link: str, evidence: str
) -> None:
    change(bare)
    found = [text for _, text in refused(bare, settings, link)]
    assert found
    assert found[0].startswith(evidence)
    # The CRD is that of all releases.
    assert len(found) == (3 if change is old_version else 1)


def test_a_fault_counts_beside_ours(whole: Path, settings: Settings) -> None:
    for change in (no_value, no_object, wrong_port_in_a_text):
        change(whole)
    assert {name for name, _ in refused(whole, settings)} == {"values", "objects", "urls"}
    # Nobody asked for the apps of others.
    assert refused(whole, settings, whole=False) == []


def harmless(root: Path) -> None:
    """What is nearly a fault: each is as it should be, or a word that only looks like a Service."""
    app(
        root,
        "map",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: colours}\ndata: {a: 'http://example'}\n",
    )
    variable = "{name: A, valueFrom: {configMapKeyRef: {name: colours, key: a}}}"
    values(root, f"env: [{variable}, {{name: SELF, value: 'http://podinfo.default:9898'}}]", "port: 9898")
    write(root, "archive/old/ks.yaml", flux("old", "./archive/old/app", "dependsOn: [{name: gone}]"))
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\nspec: {}\n"
    write(root, "archive/old/app/service.yaml", service)
    write(root, "archive/old/app/kustomization.yaml", listing("./service.yaml"))


@pytest.mark.parametrize("is_ours", [False, True])
def test_nothing_fails_that_works(bare: Path, whole: Path, settings: Settings, *, is_ours: bool) -> None:
    place = whole if is_ours else bare
    harmless(place)
    assert refused(place, settings) == []
    # The Grafana of the sample has a Secret that was made by hand; no registry or web server is asked.
    answers = told(place, settings)
    assert {one.cause for name, one in answers if name == "references"} == {Cause.CLUSTER}
    skipped = {name for name, one in answers if one.status is Status.SKIPPED}
    assert skipped == (set() if is_ours else OF_OURS)


def test_the_first_key_may_be_there_by_hand(whole: Path, settings: Settings) -> None:
    """What starts the cluster decrypts copies of its key, one of which may be the key itself."""
    (outcome,) = [one for _, one in told(whole, settings, "decryption")]
    assert (outcome.cause, outcome.remedy) == (Cause.CLUSTER, "kubectl get secret -n flux-system sops-age")
    components = "components: [../../components/sops]\n"
    namespace = "namespace: flux-system\n"
    write(whole, "kubernetes/apps/start/kustomization.yaml", f"{namespace}{components}")
    edit(whole, "kubernetes/apps/kustomization.yaml", "resources:\n", "resources:\n  - ./start\n")
    (outcome,) = [one for _, one in told(whole, settings, "decryption")]
    assert "needs Secret flux-system/sops-age" in outcome.evidence
    assert (outcome.cause, outcome.remedy) == (Cause.CLUSTER, "kubectl get secret -n flux-system sops-age")


def test_a_storage_class_of_others_is_not_known(bare: Path, settings: Settings) -> None:
    claim = (
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: a}\nspec: {storageClassName: fast}\n"
    )
    app(bare, "claim", claim)
    ((_, outcome),) = told(bare, settings, "storage")
    assert (outcome.cause, outcome.remedy) == (Cause.CLUSTER, "kubectl get storageclass fast")
    made = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: fast}\nprovisioner: x\n"
    app(bare, "class", made)
    assert told(bare, settings, "storage") == []


def test_a_repository_with_no_place_for_ours(tmp_path: Path, settings: Settings) -> None:
    """No folder of apps, no Grafana, no HelmRepositories: its links are judged all the same."""
    root = tmp_path / "other"
    make_repository(root, tmp_path / "other.git", "age1x")
    for path in sorted(root.rglob("*.yaml")):
        path.unlink()
    write(root, "clusters/a/flux-system/sync.yaml", flux("flux-system", "./clusters/a"))
    write(root, "clusters/a/apps.yaml", flux("apps", "./apps"))
    write(root, "apps/map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n")
    assert not isinstance(workspace_of(root, settings).layout.grafana, GrafanaPlace)
    assert refused(root, settings) == []
    write(
        root,
        "apps/service.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\nspec: {}\n",
    )
    ((name, evidence),) = refused(root, settings)
    assert (name, evidence) == ("objects", "Service b/a: spec.ports: Required value")
