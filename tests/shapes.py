"""Repositories of different layouts, each made from the sample by what is different about it."""

import shutil
from collections.abc import Callable
from pathlib import Path

Shape = Callable[[Path], None]

APPS = "kubernetes/apps/monitoring"
REPOS = "kubernetes/flux/meta/repos"


def edit(path: Path, old: str, new: str) -> None:
    """Replace ``old``, which must be there, in the file ``path``."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} does not hold {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def documented(root: Path) -> None:
    """The sample as it is."""


def without_namespace(root: Path) -> None:
    """The parent kustomization has no namespace transformer: Flux's own objects stay where its key is."""
    edit(
        root / APPS / "kustomization.yaml",
        "namespace: monitoring\ncomponents:\n  - ../../components/sops\n",
        "",
    )


def other_repositories_folder(root: Path) -> None:
    """HelmRepositories under flux/repositories/helm; Vector's is there already, under another name."""
    target = root / "kubernetes/flux/repositories/helm"
    target.parent.mkdir(parents=True)
    shutil.move(root / REPOS, target)
    (root / "kubernetes/flux/meta/kustomization.yaml").unlink()
    edit(root / "kubernetes/flux/cluster/ks.yaml", "./kubernetes/flux/meta", "./kubernetes/flux/repositories")
    (root / "kubernetes/flux/repositories/kustomization.yaml").write_text(
        "---\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - ./helm\n"
    )
    (target / "vector.yaml").write_text(
        "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata:\n"
        "  name: vectordotdev\n  namespace: flux-system\nspec:\n  interval: 2h\n  url: https://helm.vector.dev/\n"
    )
    with (target / "kustomization.yaml").open("a") as stream:
        stream.write("  - ./vector.yaml\n")


def observability(root: Path) -> None:
    """Apps and namespace are called observability."""
    shutil.move(root / APPS, root / "kubernetes/apps/observability")
    for path in root.rglob("*.yaml"):
        text = path.read_text()
        path.write_text(
            text.replace("apps/monitoring", "apps/observability")
            .replace("Namespace: monitoring", "Namespace: observability")
            .replace("namespace: monitoring", "namespace: observability")
            .replace("name: monitoring", "name: observability")
            .replace("- ./monitoring", "- ./observability")
        )


def grafana_from_oci(root: Path) -> None:
    """Grafana's file has two documents: an OCIRepository, then the HelmRelease with chartRef."""
    path = root / APPS / "grafana/app/helmrelease.yaml"
    text = path.read_text()
    start, end = text.index("  chart:\n"), text.index("  install:\n")
    release = text[:start] + "  chartRef:\n    kind: OCIRepository\n    name: grafana\n" + text[end:]
    path.write_text(
        "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata:\n  name: grafana\n"
        "spec:\n  interval: 1h\n  layerSelector:\n"
        "    mediaType: application/vnd.cncf.helm.chart.content.v1.tar+gzip\n  ref:\n    tag: 8.8.2\n  url: oci://ghcr.io/grafana/helm-charts/grafana\n"
        + release
    )


def grafana_in_stack(root: Path) -> None:
    """Grafana is part of kube-prometheus-stack."""
    shutil.rmtree(root / APPS / "grafana")
    edit(root / APPS / "kustomization.yaml", "  - ./grafana/ks.yaml\n", "")
    edit(
        root / APPS / "kube-prometheus-stack/app/helmrelease.yaml",
        "    # Grafana has a release of its own\n    grafana:\n      enabled: false\n",
        "    grafana:\n      enabled: true\n",
    )


def older_flux(root: Path) -> None:
    """A cluster before Flux 2.3."""
    for path in root.rglob("*.yaml"):
        text = path.read_text()
        path.write_text(
            text.replace("helm.toolkit.fluxcd.io/v2", "helm.toolkit.fluxcd.io/v2beta2").replace(
                "source.toolkit.fluxcd.io/v1\n", "source.toolkit.fluxcd.io/v1beta2\n"
            )
        )


def decryption_by_siblings(root: Path) -> None:
    """No parent patches decryption in; a sibling has its own."""
    path = root / "kubernetes/flux/cluster/ks.yaml"
    text = path.read_text()
    path.write_text(text[: text.index("  # Children decrypt")])
    edit(
        root / APPS / "grafana/ks.yaml",
        "  prune: true\n",
        "  prune: true\n  decryption:\n    provider: sops\n    secretRef:\n      name: age-key\n",
    )


def flux_system_source(root: Path) -> None:
    """The source is called flux-system, as `flux bootstrap` names it."""
    for path in root.rglob("ks.yaml"):
        path.write_text(path.read_text().replace("name: home-kubernetes", "name: flux-system"))


VECTOR_REPOSITORY = (
    "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata:\n"
    "  name: vector\n  namespace: flux-system\nspec:\n  interval: 2h\n  url: https://helm.vector.dev\n"
)


def repositories_in_one_file(root: Path) -> None:
    """All HelmRepositories in one file, Vector's among them and not the first."""
    folder = root / REPOS
    names = ("grafana", "podinfo", "prometheus-community")
    (folder / "all.yaml").write_text(
        "".join((folder / f"{n}.yaml").read_text() for n in names) + VECTOR_REPOSITORY
    )
    for name in names:
        (folder / f"{name}.yaml").unlink()
    text = (folder / "kustomization.yaml").read_text()
    (folder / "kustomization.yaml").write_text(text[: text.index("  - ./grafana")] + "  - ./all.yaml\n")


def repository_commented_out(root: Path) -> None:
    """Vector's HelmRepository is there, and its entry is commented out."""
    (root / REPOS / "vector.yaml").write_text(VECTOR_REPOSITORY)
    with (root / REPOS / "kustomization.yaml").open("a") as stream:
        stream.write("  # - ./vector.yaml\n")


def flux_in_another_namespace(root: Path) -> None:
    """Flux and all its objects live in gitops."""
    for path in root.rglob("*.yaml"):
        path.write_text(path.read_text().replace("namespace: flux-system", "namespace: gitops"))


def repositories_moved_by_their_kustomization(root: Path) -> None:
    """The kustomization of the HelmRepositories puts them into a namespace of their own."""
    edit(root / REPOS / "kustomization.yaml", "resources:", "namespace: charts\nresources:")


def grafana_released_from_flux_system(root: Path) -> None:
    """HelmReleases live in flux-system and name the namespace of their pods."""
    path = root / APPS / "grafana/app/helmrelease.yaml"
    edit(
        path,
        "  name: grafana\nspec:\n",
        "  name: grafana\n  namespace: flux-system\nspec:\n  targetNamespace: monitoring\n",
    )
    edit(root / APPS / "grafana/ks.yaml", "  targetNamespace: monitoring\n", "")


def entries_without_dot(root: Path) -> None:
    """Kustomizations list files without "./", and a formatter of others' choosing wrote them."""
    for path in (root / APPS / "kustomization.yaml", root / REPOS / "kustomization.yaml"):
        path.write_text(path.read_text().replace("- ./", "- "))


def strange_neighbours(root: Path) -> None:
    """Files that are no text, no YAML, templates, a loop of links, and odd values."""
    folder = root / "talos"
    folder.mkdir()
    (folder / "locked.yaml").write_bytes(b"\x00GITCRYPT\x00\xff\xfe")
    (folder / "template.yaml").write_text("apiVersion: kustomize\n{{- range .x }}\n\t- [\n")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    odd = (root / APPS / "grafana/ks.yaml").read_text()
    (folder / "ks.yaml").write_text(odd.replace("targetNamespace: monitoring", "targetNamespace: [a]"))
    (root / APPS / "odd").mkdir()
    (root / APPS / "odd/ks.yaml").write_text(
        odd.replace("targetNamespace: monitoring", "targetNamespace: ${NS}")
    )


def foreign_vector(root: Path) -> None:
    """A live vector/ app that the playbook did not write."""
    folder = root / APPS / "vector"
    (folder / "app").mkdir(parents=True)
    (folder / "ks.yaml").write_text(
        (root / APPS / "grafana/ks.yaml").read_text().replace("grafana", "vector")
    )
    (folder / "app/helmrelease.yaml").write_text(
        "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: vector\n"
        "spec:\n  interval: 30m\n  values:\n    role: Aggregator\n"
    )
    edit(
        root / APPS / "kustomization.yaml",
        "  - ./grafana/ks.yaml\n",
        "  - ./grafana/ks.yaml\n  - ./vector/ks.yaml\n",
    )


def none_of_it(root: Path) -> None:
    """No SOPS, Grafana run by the operator, apps and charts laid out in another way."""
    (root / ".sops.yaml").unlink()
    shutil.rmtree(root / "kubernetes")
    folder = root / "clusters/home"
    folder.mkdir(parents=True)
    (folder / "grafana.yaml").write_text(
        "---\napiVersion: grafana.integreatly.org/v1beta1\nkind: Grafana\nmetadata:\n  name: grafana\n"
        "  namespace: grafana\nspec:\n  version: 11.3.0\n"
    )
    (folder / "podinfo.yaml").write_text(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: podinfo\n  namespace: default\n"
    )


_TREES = Path(__file__).resolve().parent / "cases/shapes"


def tree(name: str) -> Shape:
    """A whole repository of its own, from `tests/cases/shapes`; only the rules for sops stay the sample's."""

    def make(root: Path) -> None:
        for part in root.iterdir():
            if part.is_dir() and part.name != ".git":
                shutil.rmtree(part)
        shutil.copytree(_TREES / name, root, dirs_exist_ok=True)
        edit(root / ".sops.yaml", "path_regex: kubernetes/", "path_regex: ")

    make.__name__ = name.replace("-", "_")
    return make


# Layouts in which everything runs as it is.
GOOD: dict[str, Shape] = {
    shape.__name__: shape
    for shape in (
        documented,
        without_namespace,
        other_repositories_folder,
        observability,
        grafana_from_oci,
        grafana_in_stack,
        older_flux,
        decryption_by_siblings,
        flux_system_source,
        repositories_in_one_file,
        repository_commented_out,
        flux_in_another_namespace,
        repositories_moved_by_their_kustomization,
        grafana_released_from_flux_system,
        entries_without_dot,
        strange_neighbours,
        tree("bootstrap"),
        tree("cluster-settings"),
        tree("flux-instance"),
        tree("two-clusters"),
    )
}
