"""An app of ours as Flux sees it: a folder with a ks.yaml and an app/ folder of manifests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tasks.core.settings import DOCUMENTED, Parseable, Settings, Vector
from tasks.flux.chart_sources import HelmSource
from tasks.flux.layout import Layout
from tasks.flux.missing import MissingError, need
from tasks.workspace import Workspace

# Paths below the folder of an app.
KS = "ks.yaml"
APP_FOLDER = "app/"
KUSTOMIZATION = f"{APP_FOLDER}kustomization.yaml"
RELEASE = f"{APP_FOLDER}helmrelease.yaml"
# Where chart sources lie beside their apps; the neighbours' name for the file takes its place.
CHART_SOURCE = f"{APP_FOLDER}helmrepository.yaml"


@dataclass(frozen=True)
class App:
    """One app: ``name`` is that of its chart, of its templates' folder and of its HelmRepository's file.

    ``files`` are all that it may have below its folder, ``only_if`` says of some when it has them, and
    ``templates`` of some which template the settings choose; ``settings`` and ``charts`` find its section of
    the settings and the HelmRepository of its chart.
    """

    name: str
    files: tuple[str, ...]
    settings: Callable[[Settings], Parseable | Vector] = field(repr=False)
    charts: Callable[[Layout], HelmSource | MissingError] = field(repr=False)
    only_if: Mapping[str, Callable[[Workspace], bool]] = field(default_factory=dict, repr=False)
    templates: Mapping[str, Callable[[Settings], str]] = field(default_factory=dict, repr=False)

    def files_in(self, workspace: Workspace) -> tuple[str, ...]:
        """The files that it has in this repository, of those that it may have."""
        charts = self.charts(workspace.layout)
        is_beside = isinstance(charts, HelmSource) and charts.is_beside
        return tuple(
            file
            for file in self.files
            if (file != CHART_SOURCE or is_beside)
            and (file not in self.only_if or self.only_if[file](workspace))
        )

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
        charts = self.charts(workspace.layout)
        if file == CHART_SOURCE and isinstance(charts, HelmSource) and charts.is_beside and charts.path:
            return charts.path
        return f"{self.folder(workspace)}/{file.rstrip('/')}"

    def template(self, file: str, settings: Settings) -> str:
        """The path of the template of one of the app's files, below manifests/."""
        if file in self.templates:
            return self.templates[file](settings)
        if file == CHART_SOURCE:
            return str(PurePosixPath(str(DOCUMENTED.gitops.repositories), f"{self.name}.yaml"))
        return str(PurePosixPath(DOCUMENTED.gitops.apps, self.name, file))
