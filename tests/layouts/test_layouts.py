"""Every layout: all of it runs where it is served, a second run does nothing, and nothing fails.

``golden/`` holds what is written where the layout matters; whoever changes it on purpose runs
``RENEW=1 python -m pytest tests/layouts`` and reads the difference.
"""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.core.settings import DOCUMENTED, Gitops, Settings
from tasks.effects.git import start_repository
from tasks.flux.layout import Layout, discover
from tasks.flux.missing import MissingError, need_all
from tasks.flux.tree import Tree
from tasks.subjects.flux import apps_lists
from tests.checks.deployed import workspace_of
from tests.layouts import trees
from tests.layouts.trees import Files
from tests.playground import Playground
from tests.whole.conftest import PlaygroundMaker, playground, rolled_out, sample  # noqa: F401

GOLDEN = Path(__file__).parent / "golden"
WITHOUT_GRAFANA = {"INVOKE_GRAFANA_MANAGE": "none"}

# With the choices that only the owner can make, as variables.
SERVED: dict[Callable[[], Files], dict[str, str]] = {
    trees.beside_apps: {},
    trees.nothing_of_monitoring: WITHOUT_GRAFANA,
    trees.base_and_overlay: {},
    trees.artifacts: {"INVOKE_GITOPS_CLUSTER": "production", **WITHOUT_GRAFANA},
    trees.plain_folders: {},
    trees.clusters: {"INVOKE_GITOPS_CLUSTER": "main"},
    trees.by_file: {},
    trees.operated_grafana: {"INVOKE_SECRET_MANAGE": "existing"},
}


def planted(files: Files) -> Callable[[Path], None]:
    """A shape: nothing but ``files``, with the key of the sample."""

    def shape(root: Path) -> None:
        found = re.search(r"age1\w+", (root / ".sops.yaml").read_text(encoding="utf-8"))
        assert found is not None
        for part in root.iterdir():
            if part.name != ".git":
                shutil.rmtree(part) if part.is_dir() else part.unlink()
        trees.plant(files, root, found[0])

    return shape


def written(play: Playground) -> str:
    """What the last commit changed of the files that depend on the layout."""
    paths = [path for path in play.git("show", "--format=", "--name-only").splitlines() if _matters(path)]
    shown = play.git("show", "--format=", "--no-prefix", "--no-renames", "HEAD", "--", *sorted(paths))
    return re.sub(r"(?m)^(index|diff|new file|---) .*\n", "", shown) + "\n"


def _matters(path: str) -> bool:
    is_ours = "/parseable/app/" in path or "/vector/app/" in path
    return not is_ours or bool(re.search(r"kustomization|repository|namespace|datasource", path))


@pytest.mark.parametrize("tree", SERVED, ids=lambda tree: tree.__name__)
def test_all_of_it_runs(
    tree: Callable[[], Files],
    playground: PlaygroundMaker,  # noqa: F811
) -> None:
    play, chosen = playground(planted(tree())), SERVED[tree]
    first = play.all(**chosen)
    assert first.code == 0, first.err
    text, golden = written(play), GOLDEN / f"{tree.__name__}.diff"
    if os.environ.get("RENEW"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    head = play.head()
    again = play.all(**chosen)
    assert (again.code, play.head()) == (0, head), again.err
    assert "nothing to change" in again.out
    verified = play.verify("--json", **chosen)
    failing = [one for one in verified.data["checks"] if one["stops_push"] or one["status"] == "fail"]
    assert not failing
    assert verified.code == 0


# What is nearly the same, and refused -----------------------------------------------------------------------


def layout(root: Path, files: Files, gitops: Gitops = DOCUMENTED.gitops) -> Layout:
    """What is discovered of a repository of ``files``."""
    trees.plant(files, root)
    paths = sorted(path for path in files if path.endswith(".yaml") and not path.startswith("."))
    settings: Settings = replace(DOCUMENTED, gitops=gitops)
    return discover(settings, Tree(paths, lambda path: (root / path).read_text(encoding="utf-8")), root)


def refusal(root: Path, files: Files, gitops: Gitops = DOCUMENTED.gitops) -> str:
    """Why a repository of ``files`` is refused at the plan, Grafana aside."""
    found = layout(root, files, gitops)
    path = found.apps if isinstance(found.apps, MissingError) else found.applied_path(f"{found.apps}/x/app")
    with pytest.raises(MissingError) as caught:
        need_all(found.apps, found.reference, path, found.parseable_charts, found.vector_charts)
    assert caught.value.hint
    return caught.value.summary


def test_another_source_of_our_name_beside_another_app(tmp_path: Path) -> None:
    files = trees.beside_apps()
    folder = "kubernetes/apps/observability/unpoller/app"
    files[f"{folder}/kustomization.yaml"] = trees.listing("./configmap.yaml", "./helmrepository.yaml")
    files[f"{folder}/helmrepository.yaml"] = trees.helm_repository("parseable", "https://mirror.example.com")
    assert refusal(tmp_path, files) == (
        f"HelmRepository parseable in {folder}/helmrepository.yaml has another URL than "
        "https://charts.parseable.com"
    )


def test_an_instance_that_is_left_over(tmp_path: Path) -> None:
    files = trees.beside_apps()
    folder = "kubernetes/apps/flux-system/flux-instance"
    text = files[f"{folder}/app/fluxinstance.yaml"]
    files[f"{folder}/old.yaml"] = text.replace("path: kubernetes/flux/cluster", "path: kubernetes")
    assert layout(tmp_path, files).cluster == "kubernetes/flux/cluster"
    # It is the one that counts where no kustomization lists another.
    del files[f"{folder}/app/fluxinstance.yaml"], files["kubernetes/flux/cluster/ks.yaml"]
    assert layout(tmp_path / "alone", files).cluster == "kubernetes"


@pytest.mark.parametrize(
    ("listing", "entry"),
    [
        ("kubernetes/apps/", "./monitoring"),
        ("kubernetes/", "./apps/monitoring"),
        ("", "./kubernetes/apps/monitoring"),
    ],
)
def test_a_new_folder_is_listed_where_its_neighbours_are(tmp_path: Path, listing: str, entry: str) -> None:
    files = trees.nothing_of_monitoring()
    listed = [f"{entry.removesuffix('monitoring')}{name}" for name in ("default", "flux-system", "network")]
    files[f"{listing}kustomization.yaml"] = trees.listing(*listed)
    trees.plant(files, tmp_path)
    start_repository(tmp_path, tmp_path / "remote.git", ("A", "a@example.com"))
    edits = {item.path: item.edit(item.current or "") for item in apps_lists(workspace_of(tmp_path))}
    assert list(edits)[2:] == [f"{listing}kustomization.yaml"]
    assert f"  - {entry}\n" in edits[f"{listing}kustomization.yaml"]


def test_a_folder_that_flux_lists_by_itself(tmp_path: Path) -> None:
    files = trees.nothing_of_monitoring()
    files["kubernetes/apps/monitoring/gatus.yaml"] = trees.config("gatus")
    summary = refusal(tmp_path, files)
    assert summary.startswith(
        "no folder of monitoring apps: kubernetes/apps/monitoring/kustomization.yaml does"
    )
    assert summary.endswith(
        "folders that list apps: kubernetes/apps/default (nothing of monitoring), "
        "kubernetes/apps/network (nothing of monitoring)"
    )


def test_a_second_cluster(tmp_path: Path) -> None:
    files = trees.base_and_overlay()
    files |= {
        path.replace("production", "staging"): text.replace("production", "staging")
        for path, text in files.items()
        if "production" in path
    }
    assert refusal(tmp_path, files) == (
        "several clusters: clusters/production (grafana), clusters/staging (grafana)"
    )
    assert layout(tmp_path, files, Gitops(cluster="clusters/production")).apps == "apps/production"
    chosen = layout(tmp_path, files, Gitops(cluster="staging"))
    assert (chosen.cluster, chosen.apps) == ("clusters/staging", "apps/staging")
    # The base is that of both.
    assert isinstance(chosen.grafana, MissingError)
    assert chosen.grafana.summary == (
        "apps/base/grafana/release.yaml, Grafana's release, is given to other clusters too, "
        "which have no Parseable"
    )


def test_an_artifact_that_holds_other_folders(tmp_path: Path) -> None:
    files = trees.artifacts()
    path = "clusters/production/artifacts.yaml"
    files[path] = files[path].replace("apps/production/**", "apps/production/*.yaml")
    assert refusal(tmp_path, files, Gitops(cluster="production")) == (
        "Kustomization apps applies ./production of ExternalArtifact apps, and no folder of this repository "
        "is known to lie there: its ArtifactGenerator is not here, or copies more than whole folders (DIR/**)"
    )


def test_a_cluster_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(tmp_path, trees.clusters(), Gitops(cluster="west")) == (
        "gitops.cluster is west, which fits none of the clusters: kubernetes/edge/flux (grafana), "
        "kubernetes/main/flux (grafana)"
    )


def test_two_folders_with_grafana(tmp_path: Path) -> None:
    files = trees.by_file()
    more = {
        path.replace("observability", name): text.replace("observability", name)
        for path, text in files.items()
        for name in ("insight", "telemetry")
    }
    assert refusal(tmp_path, more).endswith(
        "folders that list apps: apps/main/insight (gatus, grafana), apps/main/telemetry (gatus, grafana)"
    )


def test_a_fleet_of_tenants(tmp_path: Path) -> None:
    assert refusal(tmp_path, trees.fleet()) == (
        "the Kustomizations of this repository apply other sources (blue, red), and list no apps here"
    )
    one = tmp_path / "one"
    own = trees.plain_folders()
    assert layout(one, trees.fleet() | own).apps == "apps/monitoring"
