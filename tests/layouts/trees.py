"""Small Flux repositories, one for each layout that people have, as paths with their texts."""

from pathlib import Path
from textwrap import indent

Files = dict[str, str]

# What the playground replaces by the key that it makes.
SOPS = (
    "creation_rules:\n"
    "  - path_regex: .*\\.sops\\.ya?ml\n"
    '    encrypted_regex: "^(data|stringData)$"\n'
    '    age: "AGE_RECIPIENT"\n'
)
_SCHEMAS = "https://schemas.example.com"
_DECRYPTS_CHILDREN = """\
patches:
  - patch: |-
      apiVersion: kustomize.toolkit.fluxcd.io/v1
      kind: Kustomization
      metadata:
        name: _
      spec:
        decryption:
          provider: sops
    target:
      group: kustomize.toolkit.fluxcd.io
      kind: Kustomization
"""


def plant(files: Files, root: Path, recipient: str = "age1x") -> None:
    """Write ``files`` below ``root``."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text.replace("AGE_RECIPIENT", recipient), encoding="utf-8")


def flux(
    name: str,
    path: str,
    *,
    namespace: str = "",
    target: str = "",
    source: str = "flux-system",
    more: str = "",
) -> str:
    """A Flux Kustomization; ``more`` are lines of its spec."""
    kind, _, source_name = source.rpartition("/")
    return (
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
        f"metadata:\n  name: {name}\n"
        + (f"  namespace: {namespace}\n" if namespace else "")
        + f"spec:\n  interval: 1h\n  path: {path}\n  prune: true\n"
        f"  sourceRef:\n    kind: {kind or 'GitRepository'}\n    name: {source_name}\n"
        + ("" if kind else "    namespace: flux-system\n")
        + (f"  targetNamespace: {target}\n" if target else "")
        + indent(more, "  ")
    )


def listing(*entries: str, namespace: str = "", components: tuple[str, ...] = ()) -> str:
    """A kustomization."""
    named = "".join(f"  - {entry}\n" for entry in components)
    return (
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        + (f"namespace: {namespace}\n" if namespace else "")
        + (f"components:\n{named}" if named else "")
        + "resources:\n"
        + "".join(f"  - {entry}\n" for entry in entries)
    )


def namespace(name: str) -> str:
    """A Namespace."""
    return f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n"


def config(name: str) -> str:
    """An app that is one ConfigMap."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  role: {name}\n"


def helm_repository(name: str, url: str, namespace: str = "") -> str:
    """A HelmRepository."""
    placed = f"  namespace: {namespace}\n" if namespace else ""
    return (
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\n"
        f"metadata:\n  name: {name}\n{placed}spec:\n  interval: 1h\n  url: {url}\n"
    )


def oci_repository(name: str, url: str, tag: str) -> str:
    """An OCIRepository of a chart."""
    return (
        f"apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata:\n  name: {name}\n"
        "spec:\n  interval: 15m\n  layerSelector:\n"
        "    mediaType: application/vnd.cncf.helm.chart.content.v1.tar+gzip\n    operation: copy\n"
        f"  ref:\n    tag: {tag}\n  url: {url}\n"
    )


def grafana(chart: str, values: str = "plugins:\n  - grafana-clock-panel\n") -> str:
    """Grafana's HelmRelease; ``chart`` are lines of its spec."""
    return (
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: grafana\nspec:\n"
        f"  interval: 1h\n{indent(chart, '  ')}  values:\n{indent(values, '    ')}"
    )


_BY_OCI = "chartRef:\n  kind: OCIRepository\n  name: grafana\n"
_BY_HELM = (
    "chart:\n  spec:\n    chart: grafana\n    version: 8.8.2\n    sourceRef:\n"
    "      kind: HelmRepository\n      name: grafana\n"
)
_INSTANCE = (
    "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata:\n  name: flux\nspec:\n"
    "  distribution:\n    registry: ghcr.io/fluxcd\n    version: 2.7.x\n  sync:\n    kind: GitRepository\n"
    "    url: https://git.example.com/home/cluster.git\n    ref: refs/heads/main\n    path: {path}\n"
)
_GRAFANA_CHART = "oci://ghcr.io/grafana/helm-charts/grafana"
_SYNC = (
    "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata:\n  name: flux-system\n"
    "  namespace: flux-system\nspec:\n  interval: 1m\n  ref:\n    branch: main\n"
    "  url: https://git.example.com/home/cluster.git\n"
)


def _dressed(files: Files) -> Files:
    """The files as editors like them: with a mark at the start, and the schemas of some."""
    comments = {
        "kind: Kustomization\nmetadata": f"{_SCHEMAS}/kustomize.toolkit.fluxcd.io/kustomization_v1.json",
        "kustomize.config.k8s.io": f"{_SCHEMAS}/kustomization.json",
        "kind: HelmRelease": f"{_SCHEMAS}/helm.toolkit.fluxcd.io/helmrelease_v2.json",
    }
    dressed = {}
    for path, text in files.items():
        schema = next((url for sign, url in comments.items() if sign in text), None)
        comment = f"# yaml-language-server: $schema={schema}\n" if schema else ""
        dressed[path] = f"---\n{comment}{text}"
    return dressed


def _app(folder: str, name: str, files: Files, target: str = "", more: str = "") -> Files:
    """One app: its Kustomization without a namespace, and the folder that this applies."""
    manifests = {f"{folder}/{name}/app/{file}": text for file, text in files.items()}
    return {
        f"{folder}/{name}/ks.yaml": flux(name, f"./{folder}/{name}/app", target=target, more=more),
        f"{folder}/{name}/app/kustomization.yaml": listing(*(f"./{file}" for file in files)),
        **manifests,
    }


def _operated(*folders: str) -> Files:
    """A cluster whose operator syncs, and whose folders are each moved into a namespace of their own."""
    apps = "kubernetes/apps"
    files = {
        "kubernetes/flux/cluster/ks.yaml": flux(
            "cluster-apps",
            f"./{apps}",
            namespace="flux-system",
            more=f"decryption:\n  provider: sops\n{_DECRYPTS_CHILDREN}",
        ),
        f"{apps}/flux-system/kustomization.yaml": listing(
            "./namespace.yaml", "./flux-instance/ks.yaml", namespace="flux-system"
        ),
        f"{apps}/flux-system/namespace.yaml": namespace("flux-system"),
        **_app(
            f"{apps}/flux-system",
            "flux-instance",
            {"fluxinstance.yaml": _INSTANCE.format(path="kubernetes/flux/cluster")},
            "flux-system",
        ),
    }
    for folder in folders:
        files |= {
            f"{apps}/{folder}/kustomization.yaml": listing(
                "./namespace.yaml", "./podinfo/ks.yaml", namespace=folder
            ),
            f"{apps}/{folder}/namespace.yaml": namespace(folder),
            **_app(f"{apps}/{folder}", "podinfo", {"configmap.yaml": config("podinfo")}, folder),
        }
    return files


def beside_apps() -> Files:
    """Each chart source lies beside its app, Grafana's too."""
    apps = "kubernetes/apps/observability"
    files = _operated("default") | {
        f"{apps}/kustomization.yaml": listing(
            "./namespace.yaml",
            "./grafana/ks.yaml",
            "./kube-prometheus-stack/ks.yaml",
            "./unpoller/ks.yaml",
            namespace="observability",
        ),
        f"{apps}/namespace.yaml": namespace("observability"),
        **_app(
            apps,
            "grafana",
            {
                "helmrelease.yaml": grafana(_BY_OCI),
                "ocirepository.yaml": oci_repository("grafana", _GRAFANA_CHART, "8.8.2"),
            },
            "observability",
        ),
        **_app(apps, "kube-prometheus-stack", {"configmap.yaml": config("stack")}, "observability"),
        **_app(apps, "unpoller", {"configmap.yaml": config("unpoller")}, "observability"),
    }
    return {**_dressed(files), ".sops.yaml": SOPS}


def nothing_of_monitoring() -> Files:
    """As a template gives it: folders of other apps only, with a component that all of them have."""
    files = _operated("default", "network")
    for path in files:
        if (
            path.startswith("kubernetes/apps/")
            and path.count("/") == 3
            and path.endswith("kustomization.yaml")
        ):
            files[path] = files[path].replace(
                "resources:", "components:\n  - ../../components/sops\nresources:"
            )
    files["kubernetes/components/sops/kustomization.yaml"] = (
        "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources:\n  - ./settings.yaml\n"
    )
    files["kubernetes/components/sops/settings.yaml"] = config("cluster-settings")
    return {**_dressed(files), ".sops.yaml": SOPS}


def base_and_overlay() -> Files:
    """As in Flux's documentation: clusters, infrastructure, and apps in base and overlay, one cluster."""
    return {
        ".sops.yaml": SOPS,
        "clusters/production/flux-system/kustomization.yaml": listing("gotk-sync.yaml"),
        "clusters/production/flux-system/gotk-sync.yaml": (
            f"{_SYNC}---\n{flux('flux-system', './clusters/production', namespace='flux-system')}"
        ),
        "clusters/production/apps.yaml": flux(
            "apps",
            "./apps/production",
            namespace="flux-system",
            more="dependsOn:\n  - name: infra-controllers\nwait: true\n",
        ),
        "clusters/production/infrastructure.yaml": flux(
            "infra-controllers", "./infrastructure/controllers", namespace="flux-system"
        ),
        "infrastructure/controllers/kustomization.yaml": listing("cert-manager.yaml"),
        "infrastructure/controllers/cert-manager.yaml": config("cert-manager").replace(
            "metadata:\n", "metadata:\n  namespace: flux-system\n"
        ),
        "apps/base/grafana/kustomization.yaml": listing(
            "namespace.yaml", "repository.yaml", "release.yaml", namespace="grafana"
        ),
        "apps/base/grafana/namespace.yaml": namespace("grafana"),
        "apps/base/grafana/repository.yaml": helm_repository(
            "grafana", "https://grafana.github.io/helm-charts"
        ),
        "apps/base/grafana/release.yaml": grafana(_BY_HELM),
        "apps/production/kustomization.yaml": listing("../base/grafana"),
    }


def artifacts() -> Files:
    """Apps in base and overlay, cut out of the repository as an artifact for each of two clusters."""
    files = {
        ".sops.yaml": SOPS,
        "apps/base/podinfo/kustomization.yaml": listing(
            "namespace.yaml", "repository.yaml", "release.yaml", namespace="podinfo"
        ),
        "apps/base/podinfo/namespace.yaml": namespace("podinfo"),
        "apps/base/podinfo/repository.yaml": helm_repository("podinfo", "https://charts.example.com"),
        "apps/base/podinfo/release.yaml": grafana(_BY_HELM, "{}\n").replace("grafana", "podinfo"),
    }
    for name in ("production", "staging"):
        files |= {
            f"apps/{name}/kustomization.yaml": listing("../base/podinfo"),
            f"clusters/{name}/apps.yaml": flux(
                "apps", f"./{name}", namespace="flux-system", source="ExternalArtifact/apps"
            ),
            f"clusters/{name}/artifacts.yaml": (
                "apiVersion: source.extensions.fluxcd.io/v1beta1\nkind: ArtifactGenerator\n"
                "metadata:\n  name: flux-system\n  namespace: flux-system\nspec:\n  sources:\n"
                "    - alias: monorepo\n      kind: GitRepository\n      name: flux-system\n"
                "  artifacts:\n    - name: apps\n      copy:\n"
                '        - from: "@monorepo/apps/base/**"\n          to: "@artifact/base/"\n'
                f'        - from: "@monorepo/apps/{name}/**"\n          to: "@artifact/{name}/"\n'
            ),
        }
    return files


def plain_folders() -> Files:
    """Apps are plain folders: one Kustomization applies all, and a parent sets the namespace."""
    return {
        ".sops.yaml": SOPS,
        "flux/sync.yaml": f"{_SYNC}---\n{flux('apps', './apps', namespace='flux-system')}",
        "flux/kustomization.yaml": listing("sync.yaml"),
        "apps/kustomization.yaml": listing("monitoring", "web"),
        "apps/web/kustomization.yaml": listing("podinfo", namespace="web"),
        "apps/web/podinfo/kustomization.yaml": listing("namespace.yaml", "deployment.yaml"),
        "apps/web/podinfo/namespace.yaml": namespace("web"),
        "apps/web/podinfo/deployment.yaml": config("podinfo"),
        "apps/monitoring/kustomization.yaml": listing("namespace.yaml", "grafana", namespace="monitoring"),
        "apps/monitoring/namespace.yaml": namespace("monitoring"),
        "apps/monitoring/grafana/kustomization.yaml": listing("repository.yaml", "release.yaml"),
        "apps/monitoring/grafana/repository.yaml": helm_repository(
            "grafana", "https://grafana.github.io/helm-charts"
        ),
        "apps/monitoring/grafana/release.yaml": grafana(_BY_HELM),
    }


def clusters() -> Files:
    """Two clusters with monitoring in both, whose Kustomizations have files of another name."""
    files = {".sops.yaml": SOPS}
    for name in ("main", "edge"):
        apps = f"kubernetes/{name}/apps/observability"
        own = {
            f"kubernetes/{name}/flux/flux-sync.yaml": (
                f"{_SYNC}---\n{flux('cluster', f'./kubernetes/{name}/flux', namespace='flux-system')}---\n"
                + flux("apps", f"./kubernetes/{name}/apps", namespace="flux-system")
            ),
            f"kubernetes/{name}/flux/kustomization.yaml": listing("./flux-sync.yaml"),
            f"{apps}/kustomization.yaml": listing(
                "./namespace.yaml", "./grafana/ks.yaml", namespace="observability"
            ),
            f"{apps}/namespace.yaml": namespace("observability"),
            **_app(
                apps,
                "grafana",
                {
                    "helm-release.yaml": grafana(_BY_HELM),
                    "helm-repository.yaml": helm_repository(
                        "grafana", "https://grafana.github.io/helm-charts"
                    ),
                },
                "observability",
            ),
        }
        files |= {
            path.replace("grafana/ks.yaml", "grafana/flux-sync.yaml"): text.replace(
                "./grafana/ks.yaml", "./grafana/flux-sync.yaml"
            )
            for path, text in own.items()
        }
    return files


def by_file() -> Files:
    """The folder of a cluster holds a file for each app, whose manifests lie in a folder of all."""
    base = "apps/base/observability"
    return {
        ".sops.yaml": SOPS,
        "clusters/main/flux.yaml": f"{_SYNC}---\n{flux('apps', './apps/main', namespace='flux-system')}",
        "clusters/main/kustomization.yaml": listing("./flux.yaml"),
        "apps/main/observability/kustomization.yaml": listing(
            "./namespace.yaml", "./gatus.yaml", "./grafana.yaml", namespace="observability"
        ),
        "apps/main/observability/namespace.yaml": namespace("observability"),
        "apps/main/observability/gatus.yaml": flux("gatus", f"./{base}/gatus", target="observability"),
        "apps/main/observability/grafana.yaml": flux("grafana", f"./{base}/grafana", target="observability"),
        f"{base}/gatus/kustomization.yaml": listing("./configmap.yaml"),
        f"{base}/gatus/configmap.yaml": config("gatus"),
        f"{base}/grafana/kustomization.yaml": listing("./helmrelease.yaml", "./helmrepository.yaml"),
        f"{base}/grafana/helmrelease.yaml": grafana(_BY_HELM),
        f"{base}/grafana/helmrepository.yaml": helm_repository(
            "grafana", "https://grafana.github.io/helm-charts"
        ),
    }


def fleet() -> Files:
    """Tenants whose apps lie in repositories of their own."""
    files = {
        "clusters/main/flux.yaml": f"{_SYNC}---\n{flux('tenants', './tenants', namespace='flux-system')}"
    }
    for name in ("red", "blue"):
        files[f"tenants/{name}.yaml"] = (
            _SYNC.replace("flux-system\n", f"{name}\n", 1).replace("home/cluster", name)
            + f"---\n{flux(name, './deploy', namespace='flux-system', source=name)}"
        )
    files["tenants/kustomization.yaml"] = listing("red.yaml", "blue.yaml")
    return files


def operated_grafana() -> Files:
    """Grafana is run by its operator, and Secrets come from a store: there are no rules for sops."""
    files = beside_apps()
    folder = "kubernetes/apps/observability/grafana"
    del (
        files[".sops.yaml"],
        files[f"{folder}/app/helmrelease.yaml"],
        files[f"{folder}/app/ocirepository.yaml"],
    )
    files[f"{folder}/app/kustomization.yaml"] = listing("./grafana.yaml")
    files[f"{folder}/app/grafana.yaml"] = (
        "apiVersion: grafana.integreatly.org/v1beta1\nkind: Grafana\nmetadata:\n  name: grafana\n"
        "  labels:\n    dashboards: grafana\nspec:\n  version: 12.1.0\n"
    )
    store = "kubernetes/apps/observability/unpoller/app"
    files[f"{store}/kustomization.yaml"] = listing("./configmap.yaml", "./externalsecret.yaml")
    keys = ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "username", "password")
    files[f"{store}/externalsecret.yaml"] = (
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata:\n  name: parseable\nspec:\n"
        "  secretStoreRef:\n    kind: ClusterSecretStore\n    name: store\n"
        "  target:\n    name: parseable-s3-secret\n  data:\n"
        + "".join(
            f"    - secretKey: {key}\n      remoteRef:\n        key: /parseable/{key}\n" for key in keys
        )
    )
    return files
