"""What odd repositories make of the discovery: each beside its twin that is nearly the same."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.core.settings import DOCUMENTED, Gitops, Settings
from tasks.flux.layout import Layout, discover
from tasks.flux.missing import MissingError
from tasks.flux.tree import Tree
from tasks.yaml.templates import MARKER
from tests.layouts import trees
from tests.layouts.trees import Files, config, flux, helm_repository, listing, namespace

OBSERVABILITY = "kubernetes/apps/observability"
SOURCE = (
    "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata:\n  name: flux-system\n"
    "spec:\n  url: https://git.example.com/home/cluster.git\n"
)


def found(root: Path, files: Files, gitops: Gitops = DOCUMENTED.gitops) -> Layout:
    """What is discovered of ``files``, which are planted where they are not there yet."""
    for path, text in files.items():
        if not (root / path).exists():
            trees.plant({path: text}, root)
    listed = (path.relative_to(root).as_posix() for path in _files(root))
    paths = sorted(path for path in listed if path.endswith((".yaml", ".yml")) and path[0] != ".")
    settings: Settings = replace(DOCUMENTED, gitops=gitops)
    return discover(settings, Tree(paths, lambda path: (root / path).read_bytes().decode()), root)


def _files(folder: Path) -> list[Path]:
    """The files below a folder, as git lists them: none behind a link."""
    inside = [one for one in folder.iterdir() if not one.is_symlink()]
    return [one for one in inside if one.is_file()] + [
        file for one in inside if one.is_dir() for file in _files(one)
    ]


def apps_of(layout: Layout) -> str:
    """The folder of the apps, or why there is none."""
    return layout.apps.summary if isinstance(layout.apps, MissingError) else layout.apps


def test_two_thousand_apps_of_one_folder(tmp_path: Path) -> None:
    files, names = trees.plain_folders(), [f"app{number}" for number in range(2000)]
    files["apps/web/kustomization.yaml"] = listing("podinfo", *names, namespace="web")
    for name in names:
        files |= {
            f"apps/web/{name}/kustomization.yaml": listing("release.yaml", "repository.yaml"),
            f"apps/web/{name}/release.yaml": trees.grafana("", "{}\n").replace("grafana", name),
            f"apps/web/{name}/repository.yaml": helm_repository(name, "https://charts.example.com"),
        }
    tree = Tree(sorted(path for path in files if path[0] != "."), files.__getitem__)
    start = time.process_time()
    assert apps_of(discover(DOCUMENTED, tree, tmp_path)) == "apps/monitoring"
    # It takes half a second; a look at all entries for each of them takes twenty.
    assert time.process_time() - start < 5


def test_what_was_put_away_is_no_cluster(tmp_path: Path) -> None:
    """Nothing applies it, and it applies nothing but apps; with its own source it may be one."""
    files = {
        path.replace(OBSERVABILITY, "archive/observability"): text.replace(
            OBSERVABILITY, "archive/observability"
        )
        for path, text in trees.beside_apps().items()
    }
    assert found(tmp_path, files).cluster == "kubernetes/flux/cluster"
    trees.plant({"archive/observability/source.yaml": SOURCE}, tmp_path)
    trees.plant(
        {"archive/observability/kustomization.yaml": listing("source.yaml", "grafana/ks.yaml")}, tmp_path
    )
    assert found(tmp_path, files).cluster == "archive/observability"


@pytest.mark.parametrize("where", ["kustomization", "targets"])
def test_a_namespace_that_is_a_variable(tmp_path: Path, where: str) -> None:
    if where == "kustomization":
        files = trees.plain_folders()
        folder = "apps/monitoring"
        files[f"{folder}/kustomization.yaml"] = listing("namespace.yaml", "grafana", namespace="${NS}")
        files[f"{folder}/namespace.yaml"] = namespace("${NS}")
    else:
        files, folder = trees.beside_apps(), OBSERVABILITY
        files = {
            path: text.replace("targetNamespace: observability", "targetNamespace: ${NS}").replace(
                "name: observability", "name: ${NS}"
            )
            for path, text in files.items()
        }
    assert apps_of(found(tmp_path, files)) == (
        f"the namespace of {folder} is ${{NS}}, a variable of Flux whose value is not known here"
    )
    chosen = found(tmp_path, files, Gitops(namespace="logs"))
    assert (chosen.apps, chosen.namespace) == (folder, "logs")
    # The one that the variable stands for is there, and must not be made a second time.
    assert not chosen.lacks_namespace
    assert not isinstance(chosen.grafana, MissingError)
    assert chosen.grafana.namespace in (None, "observability")


def test_line_ends_say_nothing_of_the_style(tmp_path: Path) -> None:
    for name, ends in (("unix", "\n"), ("windows", "\r\n")):
        files = {path: text.replace("\n", ends) for path, text in trees.beside_apps().items()}
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(text.encode())
    windows, unix = (found(tmp_path / name, {}).style for name in ("windows", "unix"))
    assert windows == unix
    assert windows.has_start
    assert windows.schemas


def test_the_secret_that_was_encrypted_for_us_is_no_evidence_of_the_style(tmp_path: Path) -> None:
    """It carries no mark, and must not make the second run write all files in another style."""
    files = {**trees.plain_folders(), "apps/web/podinfo/marked.yaml": f"---\n{config('marked')}"}
    marked = sum(text.startswith("---") for text in files.values())
    plain = sum("apiVersion" in text and not text.startswith("---") for text in files.values())
    for number in range(plain - marked):
        files[f"apps/web/podinfo/{number}.yaml"] = f"---\n{config(str(number))}"
    assert found(tmp_path, files).style.has_start
    trees.plant({"apps/monitoring/parseable/app/secret.sops.yaml": config("ours")}, tmp_path)
    assert found(tmp_path, files).style.has_start
    trees.plant({"apps/monitoring/other.yaml": config("theirs")}, tmp_path)
    assert not found(tmp_path, files).style.has_start


@pytest.mark.parametrize(("link", "real"), [("apps", "real"), ("apps/monitoring", "real")])
def test_what_lies_behind_a_link(tmp_path: Path, link: str, real: str) -> None:
    """Flux leaves links out of what it downloads, so that no other folder must be taken in its place."""
    files = trees.plain_folders()
    assert apps_of(found(tmp_path, files)) == "apps/monitoring"
    (tmp_path / link).rename(tmp_path / real)
    (tmp_path / link).symlink_to(tmp_path / real)
    assert apps_of(found(tmp_path, {})) == (
        f"{link} is a symbolic link or lies behind one, which Flux leaves out of what it downloads: "
        "what lies there is not applied"
    )


def test_a_link_of_another_app(tmp_path: Path) -> None:
    trees.plant(trees.plain_folders(), tmp_path)
    (tmp_path / "apps/web/podinfo").rename(tmp_path / "podinfo")
    (tmp_path / "apps/web/podinfo").symlink_to("../../podinfo")
    assert apps_of(found(tmp_path, {})) == "apps/monitoring"


def test_a_path_that_is_a_variable(tmp_path: Path) -> None:
    files = trees.beside_apps()
    path = "kubernetes/flux/cluster/ks.yaml"
    files[path] = files[path].replace("./kubernetes/apps", "./${FOLDER}/apps")
    assert apps_of(found(tmp_path, files)) == (
        "Kustomization cluster-apps applies ./${FOLDER}/apps, a variable of Flux whose value is not known "
        "here, and no other leads to a kustomization that lists apps"
    )
    assert apps_of(found(tmp_path, files, Gitops(apps=OBSERVABILITY))) == OBSERVABILITY


@pytest.mark.parametrize("name", ["kustomization.yml", "Kustomization"])
def test_other_names_of_kustomizations(tmp_path: Path, name: str) -> None:
    files = {path.replace("kustomization.yaml", name): text for path, text in trees.plain_folders().items()}
    tree = Tree(sorted(path for path in files if path[0] != "."), files.__getitem__)
    trees.plant(files, tmp_path)
    layout = discover(DOCUMENTED, tree, tmp_path)
    assert (layout.apps, layout.apps_kustomization) == ("apps/monitoring", f"apps/monitoring/{name}")


@pytest.mark.parametrize("apps", [f"{OBSERVABILITY}/", f"./{OBSERVABILITY}", f"{OBSERVABILITY}//"])
def test_ways_to_write_a_folder(tmp_path: Path, apps: str) -> None:
    assert apps_of(found(tmp_path, trees.beside_apps(), Gitops(apps=apps))) == OBSERVABILITY


def test_what_leads_to_the_apps_may_lie_elsewhere(tmp_path: Path) -> None:
    """Our own Kustomizations, which are then the only ones there, are no cluster in the second run."""
    files = trees.plain_folders()
    files["apps/kustomization.yaml"] = listing("web")
    chosen = Gitops(apps="apps/monitoring")
    first = found(tmp_path, files, chosen)
    assert (first.cluster, first.apps) == ("flux", "apps/monitoring")
    own = flux("parseable", "./apps/monitoring/parseable/app", namespace="monitoring")
    trees.plant({"apps/monitoring/parseable/ks.yaml": f"{MARKER}\n{own}"}, tmp_path)
    trees.plant({"apps/monitoring/kustomization.yaml": listing("grafana", "parseable/ks.yaml")}, tmp_path)
    second = found(tmp_path, files, chosen)
    assert (second.cluster, second.apps) == ("flux", "apps/monitoring")
    assert second.source == first.source


def test_the_folder_of_flux_itself_is_none_of_apps(tmp_path: Path) -> None:
    """It lists one Kustomization for all apps, which looks like an app; beside the source of the cluster."""
    files = trees.plain_folders()
    files["apps/kustomization.yaml"] = listing("web")
    summary = "the Kustomizations of this repository lead to no kustomization that lists apps"
    assert apps_of(found(tmp_path, files)) == summary
    files = {path: text.replace("name: apps", "name: grafana") for path, text in files.items()}
    assert apps_of(found(tmp_path / "other", files)) == "flux"
