"""A folder for our apps that is still to be made, or is of several clusters; that of chart sources."""

from pathlib import Path

import pytest

from tasks.core.settings import Gitops
from tasks.effects.git import start_repository
from tasks.flux.chart_sources import ChartSources
from tasks.subjects.flux import apps_lists
from tasks.yaml.templates import MARKER
from tests.checks.deployed import workspace_of
from tests.layouts import trees
from tests.layouts.test_odd_layouts import apps_of, found
from tests.layouts.trees import Files, config, flux, helm_repository, listing, namespace

NEW = "kubernetes/apps/monitoring"


@pytest.mark.parametrize("gitops", [Gitops(), Gitops(apps=NEW)], ids=["found", "set"])
def test_a_new_folder_is_found_again_after_its_first_file(tmp_path: Path, gitops: Gitops) -> None:
    files = trees.nothing_of_monitoring()
    assert apps_of(found(tmp_path / "new", files, gitops)) == NEW
    own = flux("parseable", f"./{NEW}/parseable/app")
    files[f"{NEW}/parseable/ks.yaml"] = f"{MARKER}\n{own}"
    files[f"{NEW}/parseable/app/secret.sops.yaml"] = config("encrypted")
    assert apps_of(found(tmp_path / "begun", files, gitops)) == NEW
    files[f"{NEW}/notes.yaml"] = config("of-others")
    assert apps_of(found(tmp_path / "taken", files, gitops)) != NEW


def test_a_new_folder_has_the_namespace_that_is_set(tmp_path: Path) -> None:
    """So have the Kustomizations in it, where the neighbours name theirs."""
    named = "kind: Kustomization\nmetadata:\n  namespace: default\n"
    files = {
        path: text.replace("kind: Kustomization\nmetadata:\n", named) if path.endswith("/ks.yaml") else text
        for path, text in trees.nothing_of_monitoring().items()
    }
    for gitops, expected in ((Gitops(), "monitoring"), (Gitops(namespace="logs"), "logs")):
        layout = found(tmp_path, files, gitops)
        assert (layout.namespace, layout.flux_namespace) == (expected, expected)


@pytest.mark.parametrize("brings", [True, False])
def test_a_component_may_bring_the_namespace(tmp_path: Path, brings: bool) -> None:
    files = trees.nothing_of_monitoring()
    if brings:
        files["kubernetes/components/sops/settings.yaml"] = namespace("not-used")
    trees.plant(files, tmp_path)
    start_repository(tmp_path, tmp_path / "remote.git", ("A", "a@example.com"))
    edits = {item.path: item.edit(item.current or "") for item in apps_lists(workspace_of(tmp_path))}
    assert (f"{NEW}/namespace.yaml" in edits) is not brings
    assert ("./namespace.yaml" in edits[f"{NEW}/kustomization.yaml"]) is not brings


def _of_two_clusters() -> Files:
    """Apps whose overlay both clusters apply."""
    files = trees.plain_folders()
    files["edge/sync.yaml"] = files["flux/sync.yaml"].replace("name: apps", "name: edge-apps")
    files["edge/kustomization.yaml"] = listing("sync.yaml")
    return files


def test_a_folder_that_is_given_to_two_clusters(tmp_path: Path) -> None:
    files = _of_two_clusters()
    shared = Gitops(apps="apps/monitoring", cluster="flux")
    assert apps_of(found(tmp_path / "two", files, shared)) == (
        "apps/monitoring is given to other clusters too, which would get the rollout as well"
    )
    files["edge/sync.yaml"] = files["edge/sync.yaml"].replace("./apps", "./apps/web")
    assert apps_of(found(tmp_path / "one", files, shared)) == "apps/monitoring"


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_folder_of_chart_sources_is_of_this_cluster_alone(tmp_path: Path, is_shared: bool) -> None:
    files = trees.plain_folders()
    for name in ("one", "two", "three"):
        files[f"charts/{name}.yaml"] = helm_repository(name, f"https://{name}.example.com", "flux-system")
    files["charts/kustomization.yaml"] = listing("one.yaml", "two.yaml", "three.yaml")
    charts = flux("charts", "./charts", namespace="flux-system")
    files["flux/sync.yaml"] += f"---\n{charts}"
    if is_shared:
        source = files["flux/sync.yaml"].partition("---")[0]
        files["edge/sync.yaml"] = f"{source}---\n{charts}"
        files["edge/kustomization.yaml"] = listing("sync.yaml")
    here = found(tmp_path, files, Gitops(cluster="flux"))
    assert apps_of(here) == "apps/monitoring"
    assert isinstance(here.chart_sources, ChartSources)
    assert here.chart_sources.folder == (None if is_shared else "charts")
    chosen = found(tmp_path, files, Gitops(cluster="flux", repositories="charts"))
    assert chosen.chart_sources == ChartSources("charts")
