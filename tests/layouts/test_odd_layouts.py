"""What odd repositories make of the discovery: each beside its twin that is nearly the same."""

import time
from dataclasses import replace
from pathlib import Path


from tasks.core.settings import DOCUMENTED, Gitops, Settings
from tasks.flux.layout import Layout, discover
from tasks.flux.missing import MissingError
from tasks.flux.tree import Tree
from tests.layouts import trees
from tests.layouts.trees import Files, helm_repository, listing

SYNC = "flux/sync.yaml"


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
