"""An app of ours as Flux sees it: a folder with a ks.yaml and an app/ folder of manifests."""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tasks.core.settings import DOCUMENTED, Parseable, Settings, Vector
from tasks.flux.layout import HelmSource, Layout, MissingError, need
from tasks.workspace import Workspace

# Paths below the folder of an app.
KS = "ks.yaml"
APP_FOLDER = "app/"
KUSTOMIZATION = f"{APP_FOLDER}kustomization.yaml"
RELEASE = f"{APP_FOLDER}helmrelease.yaml"


@dataclass(frozen=True)
class App:
    """One app: ``name`` is that of its chart, of its templates' folder and of its HelmRepository's file.

    ``files`` are all of its files below its folder; ``settings`` and ``charts`` find its section of the
    settings and the HelmRepository of its chart.
    """

    name: str
    files: tuple[str, ...]
    settings: Callable[[Settings], Parseable | Vector] = field(repr=False)
    charts: Callable[[Layout], HelmSource | MissingError] = field(repr=False)

    @property
    def listed(self) -> tuple[str, ...]:
        """The manifests that its kustomization lists."""
        return tuple(posixpath.basename(file) for file in self.files if file not in (KS, KUSTOMIZATION))

    def folder(self, workspace: Workspace) -> str:
        """The app's folder in the repository.

        Raises:
            MissingError: the repository shows no folder of apps.
        """
        return f"{need(workspace.layout.apps)}/{self.settings(workspace.settings).name}"

    def path(self, workspace: Workspace, file: str) -> str:
        """The path of one of the app's files in the repository: ``path(workspace, RELEASE)``.

        Raises:
            MissingError: the repository shows no folder of apps.
        """
        return f"{self.folder(workspace)}/{file.rstrip('/')}"

    def template(self, file: str) -> str:
        """The path of the template of one of the app's files, below manifests/."""
        return str(PurePosixPath(DOCUMENTED.gitops.apps, self.name, file))
