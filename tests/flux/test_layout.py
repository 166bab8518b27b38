import shutil
from pathlib import Path

import pytest

from tasks.core.settings import Gitops, Settings
from tasks.flux.chart_sources import HelmSource
from tasks.flux.grafana import GrafanaPlace
from tasks.flux.layout import Layout, discover
from tasks.flux.missing import MissingError, need, need_all
from tasks.flux.sources import Source
from tasks.flux.tree import Tree
from tasks.yaml.templates import MARKER
from tests import shapes

SAMPLE = Path(__file__).resolve().parents[2] / "tasks/demo/sample"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    target = tmp_path / "repository"
    shutil.copytree(SAMPLE, target)
    (target / ".sops.yaml").write_text("creation_rules: []\n")
    return target


def layout(root: Path, settings: Settings = Settings()) -> Layout:  # noqa: B008
    paths = sorted(str(path.relative_to(root)) for path in root.rglob("*.yaml"))
    return discover(settings, Tree(paths, lambda path: (root / path).read_text()), root)


def path_of(found: Layout) -> str:
    """The file of Grafana's HelmRelease."""
    assert isinstance(found.grafana, GrafanaPlace)
    return found.grafana.path


def test_the_documented_layout(root: Path) -> None:
    found = layout(root)
    assert found.apps == "kubernetes/apps/monitoring"
    assert found.apps_kustomization == "kubernetes/apps/monitoring/kustomization.yaml"
    assert found.namespace == "monitoring"
    assert found.source == Source("GitRepository", "home-kubernetes", "flux-system")
    assert need(found.chart_sources).folder == "kubernetes/flux/meta/repos"
    assert found.parseable_charts == HelmSource(None, "parseable", "flux-system")
    assert isinstance(found.grafana, GrafanaPlace)
    assert found.grafana.level == ("spec", "values")
    assert dict(found.apis) == {
        "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
        "HelmRelease": "helm.toolkit.fluxcd.io/v2",
        "HelmRepository": "source.toolkit.fluxcd.io/v1",
    }


def test_a_repository_url_that_is_there_is_used(root: Path) -> None:
    shapes.other_repositories_folder(root)
    found = layout(root)
    assert need(found.chart_sources).folder == "kubernetes/flux/repositories/helm"
    assert found.vector_charts == HelmSource(
        "kubernetes/flux/repositories/helm/vector.yaml", "vectordotdev", "flux-system"
    )
    assert need(found.parseable_charts).path is None


def test_a_repository_of_our_name_with_another_url_is_refused(root: Path) -> None:
    shapes.other_repositories_folder(root)
    path = root / "kubernetes/flux/repositories/helm/vector.yaml"
    shapes.edit(path, "https://helm.vector.dev/", "https://mirror.example.com")
    shapes.edit(path, "vectordotdev", "vector")
    with pytest.raises(MissingError, match=r"HelmRepository vector in .* has another URL"):
        need(layout(root).vector_charts)


def test_apps_and_namespace_of_another_name(root: Path) -> None:
    shapes.observability(root)
    found = layout(root)
    assert (found.apps, found.namespace) == ("kubernetes/apps/observability", "observability")
    assert path_of(found) == "kubernetes/apps/observability/grafana/app/helmrelease.yaml"


def test_a_setting_that_was_changed_is_obeyed_or_refused(root: Path) -> None:
    found = layout(root, Settings(gitops=Gitops(apps="kubernetes/apps/default")))
    assert found.apps == "kubernetes/apps/default"
    absent = layout(root, Settings(gitops=Gitops(apps="kubernetes/elsewhere/monitoring")))
    assert isinstance(absent.apps, MissingError)


def test_grafana_of_two_documents(root: Path) -> None:
    shapes.grafana_from_oci(root)
    place = layout(root).grafana
    assert isinstance(place, GrafanaPlace)
    assert (place.document, place.level) == (1, ("spec", "values"))


def test_grafana_in_the_stack(root: Path) -> None:
    shapes.grafana_in_stack(root)
    place = layout(root).grafana
    assert isinstance(place, GrafanaPlace)
    assert (place.path.split("/")[3], place.level) == ("kube-prometheus-stack", ("spec", "values", "grafana"))


def test_several_grafanas_are_named(root: Path) -> None:
    shutil.copytree(root / shapes.APPS / "grafana", root / "kubernetes/apps/default/grafana")
    (root / shapes.APPS / "grafana/app/helmrelease.yaml").rename(
        root / shapes.APPS / "grafana/app/release.yaml"
    )
    found = layout(root).grafana
    assert isinstance(found, MissingError)
    assert "several Grafanas" in found.summary
    assert "grafana.path" in found.hint


def test_a_grafana_in_an_archive_does_not_count(root: Path) -> None:
    shutil.copytree(root / shapes.APPS / "grafana", root / "archive/grafana")
    shapes.observability(root)
    assert path_of(layout(root)) == "kubernetes/apps/observability/grafana/app/helmrelease.yaml"


def test_grafana_in_another_namespace_is_found_there(root: Path) -> None:
    apps = root / shapes.APPS
    shutil.copytree(apps / "kube-prometheus-stack", apps / "another")
    shapes.edit(apps / "grafana/ks.yaml", "targetNamespace: monitoring", "targetNamespace: grafana")
    found = layout(root).grafana
    assert isinstance(found, GrafanaPlace)
    assert found.namespace == "grafana"


def test_older_api_versions_are_taken_over(root: Path) -> None:
    shapes.older_flux(root)
    apis = layout(root).apis
    assert apis["HelmRelease"] == "helm.toolkit.fluxcd.io/v2beta2"
    assert apis["HelmRepository"] == "source.toolkit.fluxcd.io/v1beta2"


def test_decryption_is_written_only_where_no_parent_patches_it_in(root: Path) -> None:
    assert layout(root).decryption is None
    shapes.decryption_by_siblings(root)
    assert layout(root).decryption == {"provider": "sops", "secretRef": {"name": "age-key"}}


def test_a_parent_that_patches_labelled_children_only_does_not_count(root: Path) -> None:
    shapes.edit(
        root / "kubernetes/flux/cluster/ks.yaml", "home/decryption notin (disabled)", "home/decryption=on"
    )
    assert layout(root).decryption == {"provider": "sops", "secretRef": {"name": "sops-age"}}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("        kind: Kustomization\n", "        kind: Kustomization\n        name: grafana\n"),
        ("        kind: Kustomization\n", "        kind: Kustomization\n        annotationSelector: a=b\n"),
        ("        - op: add\n", "        - op: remove\n"),
    ],
)
def test_a_patch_that_may_not_be_for_ours_does_not_count(root: Path, old: str, new: str) -> None:
    shapes.edit(root / "kubernetes/flux/cluster/ks.yaml", old, new)
    assert layout(root).decryption == {"provider": "sops", "secretRef": {"name": "sops-age"}}


def test_what_the_playbook_wrote_is_no_evidence(root: Path) -> None:
    shapes.decryption_by_siblings(root)
    for app in ("parseable", "vector", "another"):
        ours = root / shapes.APPS / app / "ks.yaml"
        ours.parent.mkdir()
        text = (root / shapes.APPS / "grafana/ks.yaml").read_text()
        text = text.replace("targetNamespace: monitoring", "targetNamespace: drifted")
        text = text.replace("name: age-key", "name: drifted").replace("home-kubernetes", "drifted")
        ours.write_text(f"---\n{MARKER}\n{text.replace('toolkit.fluxcd.io/v1', 'toolkit.fluxcd.io/v9')}")
    found = layout(root)
    assert found.namespace == "monitoring"
    assert found.source == Source("GitRepository", "home-kubernetes", "flux-system")
    assert found.decryption == {"provider": "sops", "secretRef": {"name": "age-key"}}
    assert found.apis["Kustomization"] == "kustomize.toolkit.fluxcd.io/v1"


def test_flux_in_another_namespace(root: Path) -> None:
    shapes.flux_in_another_namespace(root)
    found = layout(root)
    # Its Kustomizations are moved to the namespace of the apps, whatever they say.
    assert found.flux_namespace == "monitoring"
    assert found.source == Source("GitRepository", "home-kubernetes", "gitops")
    assert found.vector_charts == HelmSource(None, "vector", "gitops")


def test_repositories_in_a_namespace_of_their_own(root: Path) -> None:
    shapes.repositories_moved_by_their_kustomization(root)
    assert layout(root).vector_charts == HelmSource(None, "vector", "charts")


def test_a_repository_that_nobody_applies_is_not_used(root: Path) -> None:
    archive = root / "kubernetes/flux/meta/archive"
    archive.mkdir()
    (archive / "vec.yaml").write_text(shapes.VECTOR_REPOSITORY.replace("name: vector", "name: old"))
    (archive / "kustomization.yaml").write_text("kind: Kustomization\nresources: []\n")
    assert layout(root).vector_charts == HelmSource(None, "vector", "flux-system")


def test_broken_yaml_in_grafanas_file_is_placed(root: Path) -> None:
    path = root / shapes.APPS / "grafana/app/helmrelease.yaml"
    path.write_text(path.read_text() + "  broken: [\n")
    found = layout(root).grafana
    assert isinstance(found, MissingError)
    assert found.summary.startswith("kubernetes/apps/monitoring/grafana/app/helmrelease.yaml:6")


def test_the_source_of_a_flux_instance(root: Path) -> None:
    for path in root.rglob("ks.yaml"):
        path.unlink()
    (root / "kubernetes/flux/instance.yaml").write_text(
        "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata:\n  name: flux\n"
        "  namespace: flux-system\nspec:\n  sync:\n    kind: OCIRepository\n    url: oci://example.com/a\n"
    )
    assert layout(root).source == Source("OCIRepository", "flux-system", "flux-system")


def test_a_repository_that_holds_no_apps_is_told_so_once(root: Path) -> None:
    shapes.none_of_it(root)
    found = layout(root)
    with pytest.raises(MissingError) as caught:
        need_all(found.apps, found.source, found.chart_sources, found.apps_kustomization)
    assert caught.value.parts == (
        (
            "nothing in this repository is for Flux: it has no Kustomization of kustomize.toolkit.fluxcd.io",
            "give the repository that lists the apps of the cluster: --repo PATH",
        ),
    )
    assert found.grafana is found.apps


def test_templates_that_are_no_yaml_are_nobodys_error(root: Path) -> None:
    (root / "kubernetes/apps/broken.yaml").write_text("apiVersion: kustomize\n{{ if }}\n\t- x: [")
    assert layout(root).apps == "kubernetes/apps/monitoring"


@pytest.mark.parametrize(
    ("keys", "has_secret"),
    [
        ("kms: arn:aws:kms:eu-west-1:1:key/1", False),
        ("azure_keyvault: https://v.vault.azure.net/keys/k/1", False),
        ("key_groups: [{gcp_kms: [{resource_id: projects/p}]}]", False),
        ("key_groups: [{gcp_kms: [{resource_id: projects/p}]}, {age: [age1x]}]", True),
        ("{kms: 'arn:aws:kms:eu-west-1:1:key/1', age: age1x}", True),
        # The token for it is kept in a Secret.
        ("hc_vault_transit_uri: https://vault.example.com/v1/sops/keys/k", True),
        ("age: age1x", True),
        ("kms: ''", True),
    ],
)
def test_keys_that_the_controller_has_need_no_secret(root: Path, keys: str, has_secret: bool) -> None:
    with_rule(root, keys)
    found = layout(root).decryption
    assert found == {"provider": "sops", **({"secretRef": {"name": "sops-age"}} if has_secret else {})}


@pytest.mark.parametrize(("keys", "name"), [("pgp: F", "sops-gpg"), ("{pgp: F, age: age1x}", "sops-age")])
def test_a_pgp_key_is_in_a_secret_of_its_own(root: Path, keys: str, name: str) -> None:
    with_rule(root, keys)
    assert layout(root).decryption == {"provider": "sops", "secretRef": {"name": name}}


def test_neighbours_that_decrypt_without_a_secret_are_followed(root: Path) -> None:
    shapes.decryption_by_siblings(root)
    for path in root.rglob("ks.yaml"):
        text = path.read_text()
        path.write_text(text.replace("    secretRef:\n      name: age-key\n", ""))
    assert layout(root).decryption == {"provider": "sops"}


def with_rule(root: Path, keys: str) -> None:
    """A repository in which nobody decrypts yet, with one creation rule."""
    path = root / "kubernetes/flux/cluster/ks.yaml"
    before, _, rest = path.read_text().partition("  # Made by hand")
    kept = rest[rest.index("  dependsOn:") : rest.index("  # Children decrypt")]
    path.write_text(before + kept)
    rule = keys if keys.startswith("{") else f"{{{keys}}}"
    (root / ".sops.yaml").write_text(f"creation_rules:\n  - {rule}\n")
