"""What the repository deploys, in views: as written, as Flux builds it, as Helm renders it.

Each view is made when it is first asked for, from the one before it; one that cannot be made says why.
"""

import re
from collections.abc import Iterator, Mapping
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tasks.core.errors import PlaybookError, RefusedError, SettingsError, UnavailableError
from tasks.core.outcomes import Cause, Outcome, unknown
from tasks.effects.kustomize import Built
from tasks.flux.cluster import Cluster, clusters_of
from tasks.flux.grafana import GrafanaPlace
from tasks.flux.grafana_operator import GrafanaInstance
from tasks.flux.grafana_values import written_values
from tasks.flux.kustomizations import GROUP as FLUX
from tasks.flux.kustomizations import FluxKustomization
from tasks.flux.layout import Layout
from tasks.flux.listing import is_below
from tasks.flux.missing import MissingError
from tasks.flux.releases import Release, chart_of, merged_values, objects_with, releases_of
from tasks.flux.sources import Source
from tasks.flux.substitution import has_variable
from tasks.flux.tree import Tree
from tasks.kube.keys import group_of, key_of
from tasks.kube.pods import Pod, pods_of
from tasks.kube.resources import Gap, Resource, Resources
from tasks.kube.shapes import shaped
from tasks.live.deployed import Deployed
from tasks.live.live import Live
from tasks.live.wanting import wanted_of
from tasks.subjects.apps import KS, App
from tasks.subjects.flux import applied_files
from tasks.subjects.grafana import left_out, without_ours
from tasks.subjects.manifests import APPS
from tasks.workspace import Workspace
from tasks.yaml.documents import dig, load_documents, mapping, merged
from tasks.yaml.marks import line_of, line_with

if TYPE_CHECKING:
    from tasks.live.load import Report

# What writes the release of each app.
TASKS = {"parseable": "task-003", "vector": "task-009"}
KUSTOMIZE = "kustomize.config.k8s.io"
_NAMED = re.compile(r"(?m)^\s*(?:-\s+)?(?:secretN|n)ame:\s*[\"']?([\w.-]+)")
# What pods need or are given, what that is made from, and what finds our Services.
_KINDS = re.compile(
    r"(?m)^kind:\s*[\"']?(?:\w*Secret|ConfigMap|ServiceAccount|ServiceMonitor|ClusterRole|ClusterRoleBinding"
    r"|ObjectBucketClaim|Certificate|OnePasswordItem)\b"
)
_FOR_GRAFANA = re.compile(r"(?m)^kind:\s*[\"']?Grafana\w+|^\s*grafana_(?:dashboard|datasource|alert):")
# Releases of the charts that ours are made of: what they make may have the names of ours.
_OUR_CHARTS = tuple(app.name for app in APPS)
_SAME_CHART = re.compile(rf"(?m)^\s*(?:chart|url):\s*[\"']?(?:\S*/)?(?:{'|'.join(_OUR_CHARTS)})[\"']?\s*$")


class Stage(IntEnum):
    """How far the views go, and what an answer may need."""

    WRITTEN = 1
    BUILT = 2
    RENDERED = 3
    LIVE = 4


class AnsweredError(Exception):
    """What a question was about cannot be looked at; ``outcome`` is the answer that follows for the check."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.evidence)
        self.outcome = outcome


class Model:
    """The views of one state of the repository, as far as ``stage``.

    ``settings``, ``layout`` and ``workspace`` are what it is made from; the S3 server and the network are
    reached through the workspace. ``whole_repository`` says that all apps of others are built and rendered,
    and their faults count. ``load`` is what came of a load of lines, where one was written.
    """

    def __init__(
        self,
        workspace: Workspace,
        stage: Stage = Stage.RENDERED,
        *,
        whole_repository: bool = False,
    ) -> None:
        self.workspace = workspace
        self.whole_repository = whole_repository
        self.settings = workspace.settings
        self.stage = stage
        self.load: Report | None = None

    @property
    def layout(self) -> Layout:
        """What the repository shows about its own layout."""
        return self.workspace.layout

    # Files -------------------------------------------------------------------------------------------------

    def text(self, path: str) -> str:
        """The text of a file; empty where there is none, or it cannot be read."""
        return self.workspace.repository.text(path)

    def place(self, path: str, data: Mapping[str, Any], *keys: str | int) -> str:
        """FILE:LINE of an object in ``path``, or of as much of the path ``keys`` in it as the file has."""
        name = str(dig(data, "metadata", "name"))
        return f"{path}:{line_of(self.text(path), str(data.get('kind')), name, *keys)}"

    def place_of(self, item: Resource, *keys: str | int) -> str:
        """FILE:LINE of an object, or of a value in it; of its HelmRelease's values where it is rendered."""
        if item.helm_release is None:
            return self.place(item.path, item.data, *keys)
        name = item.helm_release.name
        return f"{item.path}:{line_of(self.text(item.path), 'HelmRelease', name, 'spec', 'values')}"

    def place_in(self, path: str, word: str) -> str:
        """FILE:LINE where ``word`` first stands in ``path``, else of its beginning."""
        return f"{path}:{line_with(self.text(path), word) or 1}"

    def place_with(self, item: Resource, word: str) -> str:
        """FILE:LINE where ``word`` first stands in the file of ``item``, else the place of ``item``."""
        number = line_with(self.text(item.path), word)
        return self.place_of(item) if number is None else f"{item.path}:{number}"

    @cached_property
    def ours(self) -> frozenset[str]:
        """The files of the rollout: what the playbook writes, and all else in the folders of the two apps.

        Raises:
            MissingError: the repository shows no place for them, and the whole of it is not asked for.
        """
        try:
            folders = [app.folder(self.workspace) for app in APPS]
        except MissingError:
            if not self.whole_repository:
                raise
            return frozenset()
        files = self.workspace.repository.yaml_files
        beside = (path for path in files if any(is_below(path, folder) for folder in folders))
        return frozenset((*applied_files(self.workspace), *beside))

    @cached_property
    def apps(self) -> tuple[App, ...]:
        """The apps whose links are judged: none where the whole of a repository without them is asked for."""
        if not self.whole_repository:
            return APPS
        folders = [app.folder(self.workspace) for app in APPS] if self.ours else []
        is_started = any(is_below(path, folder) for path in self.tree.texts for folder in folders)
        return APPS if is_started else ()

    @property
    def grafana_file(self) -> str:
        """The file of Grafana's release, or of the operator's Grafana; empty where there is none to be seen.

        The checks of Grafana tell that. Nobody asks for it where the settings leave it out.
        """
        place = self.layout.grafana
        if left_out(self.settings):
            return ""
        is_seen = isinstance(place, GrafanaPlace) or (isinstance(place, GrafanaInstance) and place.is_seen)
        return place.path if is_seen and not isinstance(place, PlaybookError) else ""

    # Built -------------------------------------------------------------------------------------------------

    @property
    def tree(self) -> Tree:
        """The Flux objects and kustomizations of the repository."""
        return self.workspace.tree

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """The clusters that get some of our files, with most of them first; all of them where none does.

        Raises:
            AnsweredError: nothing is to be built, or there is no kustomize.
        """
        if isinstance(self._clusters, AnsweredError):
            raise self._clusters
        return self._clusters

    @cached_property
    def _clusters(self) -> tuple[Cluster, ...] | AnsweredError:
        """The clusters, or why they are not known: what cannot be built is not tried again and again."""
        if self.stage < Stage.BUILT:
            return AnsweredError(_not_asked("what Flux would build"))
        source = self.layout.source
        ours = self.ours | ({self.grafana_file} - {""})
        wanted = set(self.tree.texts) if self.whole_repository else ours | set(self._needed(ours))
        try:
            return clusters_of(
                self.workspace.repository.root,
                self.tree,
                source if isinstance(source, Source) else None,
                ours,
                wanted,
            )
        except UnavailableError as error:
            return AnsweredError(unknown(error.summary, error.cause, error.hint))

    def _needed(self, ours: frozenset[str]) -> Iterator[str]:
        """Files of others that define what our texts name, ask Parseable, or release the charts of ours."""
        texts = "\n".join(self.text(path) for path in ours)
        for path, text in self.tree.texts.items():
            asks = _FOR_GRAFANA.search(text) and self.settings.grafana.datasource_type in text
            if asks or (
                path not in ours
                and (
                    _SAME_CHART.search(text)
                    or (_KINDS.search(text) and any(name in texts for name in _NAMED.findall(text)))
                )
            ):
                yield path

    @property
    def cluster(self) -> Cluster:
        """The cluster that gets most of our files.

        Raises:
            AnsweredError: it cannot be built.
        """
        return self.clusters[0]

    def kustomizations_of(self, *apps: App) -> list[tuple[Cluster, FluxKustomization]]:
        """The Flux Kustomizations of the apps, in every cluster that applies them.

        Raises:
            AnsweredError: nothing can be built.
        """
        folders = [app.folder(self.workspace) for app in apps]
        return [
            (cluster, item)
            for cluster in self.clusters
            for item in cluster.kustomizations
            if any(is_below(item.path, folder) or is_below(f"{item.folder}/", folder) for folder in folders)
        ]

    def _applying(self, *apps: App) -> set[tuple[str, str]]:
        """The Kustomizations whose objects are those of the apps, wherever these lie."""
        folders = [app.folder(self.workspace) for app in apps]
        return {
            item.key
            for cluster, item in self.kustomizations_of(*apps)
            # One that is pointed at the folder of another app applies that one's.
            if any(is_below(f"{item.folder}/", folder) for folder in folders)
            or all(other is item or other.folder != item.folder for other in cluster.kustomizations)
        }

    def hidden(self, app: App) -> Outcome | None:
        """Why it is not known what is applied of an app: what would hold it is not built. None if it is."""
        folder = app.folder(self.workspace)
        for cluster in self.clusters:
            for item in cluster.kustomizations:
                if item.error is not None and any(is_below(path, folder) for path in item.files):
                    reason = f"Kustomization {item.key[1]} is not built: {item.error.summary}"
                    return unknown(f"not known what is applied of {folder}: {reason}", cause_of(item.error))
                if has_variable(item.folder):
                    reason = f"Kustomization {item.key[1]} applies {item.folder}, whose variable is not known"
                    return unknown(f"not known what is applied of {folder}: {reason}", Cause.CLUSTER)
        return None

    # Rendered ----------------------------------------------------------------------------------------------

    @cached_property
    def releases(self) -> tuple[Release, ...]:
        """The releases of Parseable, Vector and Grafana as the cluster would get them, or those of all apps.

        Raises:
            AnsweredError: nothing is to be rendered, or nothing can be built.
        """
        if self.stage < Stage.RENDERED:
            raise AnsweredError(_not_asked("what the charts render to"))
        return releases_of(self.cluster, self.workspace.helm, self._is_deployed)

    def _is_deployed(self, item: FluxKustomization, one: Built) -> bool:
        if self.whole_repository and not item.is_stray:
            return True
        if one.path in self.ours or item.key in self._applying(*APPS):
            return True
        grafana = self.layout.grafana
        if not isinstance(grafana, GrafanaPlace) or one.path != grafana.path or left_out(self.settings):
            return False
        # Another release may share the file with Grafana's.
        documents = load_documents(self.text(grafana.path))
        return bool(dig(documents, grafana.document, "metadata", "name") == dig(one.data, "metadata", "name"))

    @cached_property
    def rivals(self) -> tuple[Release, ...]:
        """Other people's releases of the charts that ours are made of, rendered as far as that is possible.

        Raises:
            AnsweredError: nothing is to be rendered, or nothing can be built.
        """
        ours = {(release.path, key_of(release.data)) for release in self.releases}

        def is_rival(item: FluxKustomization, one: Built) -> bool:
            if item.is_stray or (one.path or item.path, key_of(one.data, item.key[0])) in ours:
                return False
            try:
                return chart_of(self.cluster, one.data).name in _OUR_CHARTS
            except RefusedError:
                return dig(one.data, "spec", "chart", "spec", "chart") in _OUR_CHARTS

        return releases_of(self.cluster, self.workspace.helm, is_rival)

    def releases_of(self, app: App) -> list[Release]:
        """The releases of one of the apps.

        Raises:
            AnsweredError: nothing can be built or rendered.
        """
        folder = app.folder(self.workspace)
        own = self._applying(app)
        return [one for one in self.releases if is_below(one.path, folder) or one.kustomization in own]

    # The furthest view --------------------------------------------------------------------------------------

    @cached_property
    def resources(self) -> Resources:
        """The objects of the furthest view that could be made, and what it may lack."""
        try:
            cluster = self.cluster
        except AnsweredError as error:
            reason = error.outcome
            gap = Gap("what Flux would build", reason.evidence, reason.cause or Cause.STAGE, reason.remedy)
            return Resources((item for path in sorted(self.ours) for item in self._written(path)), (gap,))
        plain = [
            Resource(
                key_of(one.data, item.key[0]),
                one.data,
                one.path or item.path,
                kustomization=item.key,
                faults=one.faults,
            )
            for item, one in cluster.built()
        ]
        # Of an app that is not applied, or cannot be built, the files tell what there is to tell.
        for app in self.apps:
            folder = app.folder(self.workspace)
            if not any(is_below(item.path, folder) and item.key.group != FLUX for item in plain):
                plain += [
                    item
                    for path in sorted(self.ours)
                    if is_below(path, folder)
                    for item in self._written(path)
                ]
        try:
            releases = self.releases
        except AnsweredError as error:
            reason = error.outcome
            gap = Gap(
                "what the charts render to", reason.evidence, reason.cause or Cause.STAGE, reason.remedy
            )
            return Resources(plain, (*cluster.gaps, gap))
        rendered = [item for release in releases for item in rendered_by(release)]
        gaps = [
            Gap(
                f"HelmRelease {release.name}",
                release.error.summary,
                cause_of(release.error),
                release.error.hint,
                frozenset({release.namespace}),
            )
            for release in releases
            if release.error is not None
        ]
        return Resources((*plain, *rendered), (*cluster.gaps, *gaps))

    @cached_property
    def judged(self) -> tuple[Resource, ...]:
        """The objects of ``resources`` whose faults count: none of an archive that nobody applies."""
        if not self.whole_repository:
            return self.resources.objects
        try:
            stray = {item.key for item in self.cluster.kustomizations if item.is_stray}
        except AnsweredError:
            stray = set()
        return tuple(one for one in self.resources.objects if one.kustomization not in stray)

    def _written(self, path: str) -> Iterator[Resource]:
        """The objects of a file of ours as they are written, in the namespace that our ks.yaml names."""
        target = self._target_of(path)
        for document in load_documents(self.text(path)):
            if isinstance(document, dict):
                data, faults = shaped(document)
                if data.get("kind") and "apiVersion" in data and group_of(data) != KUSTOMIZE:
                    key = key_of(data, self.layout.namespace)
                    if target and key.namespace and key.group != FLUX:
                        key = key._replace(namespace=target)
                    yield Resource(key, data, path, faults=faults)

    def _target_of(self, path: str) -> str:
        """The namespace that the Kustomization of the app puts the file ``path`` into; empty if in none."""
        for app in APPS:
            if is_below(path, app.folder(self.workspace)):
                own = app.path(self.workspace, KS)
                found = [item for item in self.tree.of_kind("Kustomization") if item.path == own]
                target = found[0].spec.get("targetNamespace") if found else None
                return "" if has_variable(target) else str(target or "")
        return ""

    def objects_of(self, app: App) -> list[Resource]:
        """The objects of one of the apps in the furthest view."""
        folder = app.folder(self.workspace)
        try:
            own = self._applying(app)
        except AnsweredError:
            own = set()
        return [
            item
            for item in self.resources.objects
            if is_below(item.path, folder) or item.kustomization in own
        ]

    def pods_of(self, app: App) -> list[Pod]:
        """The pods of one of the apps; never none.

        Raises:
            AnsweredError: there are none, or it cannot be known which.
        """
        found = list(pods_of(self.objects_of(app)))
        # A Job beside the release says nothing of what the release makes.
        if all(pod.owner.key.kind == "Job" for pod in found):
            raise AnsweredError(self._without_pods(app))
        return found

    def pods_and_gaps(self, *apps: App) -> tuple[list[Pod], list[Outcome]]:
        """The pods of the apps as far as known, and for each app without any the answer that follows."""
        found: list[Pod] = []
        hidden: list[Outcome] = []
        for app in apps:
            try:
                found += self.pods_of(app)
            except AnsweredError as error:
                hidden.append(error.outcome)
        return found, list(dict.fromkeys(hidden))

    def grafana_pods(self) -> list[Pod]:
        """The pods of Grafana's release; none where it is not rendered."""
        return (
            []
            if not self.grafana_file
            else list(pods_of(item for item in self.resources.objects if item.path == self.grafana_file))
        )

    def other_pods(self) -> list[Pod]:
        """The pods of other people that are judged: Grafana's, or those of all apps."""
        if not self.whole_repository:
            return self.grafana_pods()
        own = {item.key for app in self.apps for item in self.objects_of(app)}
        return [pod for pod in pods_of(self.judged) if pod.owner.key not in own]

    @cached_property
    def grafana_release(self) -> Release | None:
        """Grafana's release as Flux would install it; None where nothing is rendered, or there is none."""
        place = self.layout.grafana
        if not isinstance(place, GrafanaPlace):
            return None
        try:
            alike = [one for one in self.releases if dig(one.data, "metadata", "name") == place.name]
        except AnsweredError:
            return None
        return next((one for one in alike if one.path == place.path), None)

    @cached_property
    def grafana_values(self) -> tuple[Mapping[str, Any], str]:
        """What Grafana's chart gets of its own values, and why some are not known; empty if all are.

        As Flux hands them over, else as they are written.
        """
        place = self.layout.grafana
        if not isinstance(place, GrafanaPlace):
            return {}, ""
        inner, release = place.level[2:], self.grafana_release
        if release is None:
            return written_values(place, self.tree)
        try:
            return mapping(merged_values(self.cluster, release.data), *inner), ""
        except PlaybookError:
            values, hidden = written_values(place, self.tree)
            return merged(values, mapping(release.data, "spec", "values", *inner)), hidden

    @cached_property
    def grafana_without_ours(self) -> tuple[Built, ...] | None:
        """What Grafana's release would render to without what the playbook adds; None if not known."""
        place, release = self.layout.grafana, self.grafana_release
        if not isinstance(place, GrafanaPlace) or release is None:
            return None
        values = without_ours(self.settings, mapping(release.values, *place.level[2:]))
        whole: Mapping[str, Any] = values
        for key in reversed(place.level[2:]):
            whole = {key: whole}
        return objects_with(self.workspace.helm, release, {**release.values, **whole})

    @property
    def grafana_namespace(self) -> str:
        """The namespace that Grafana's pods run in: as Flux installs the release, else as it is written."""
        if self.grafana_release is not None:
            return self.grafana_release.namespace
        place = self.layout.grafana
        if isinstance(place, PlaybookError):
            return self.layout.namespace
        return place.target or place.namespace or self.layout.namespace

    def _without_pods(self, app: App) -> Outcome:
        """Why there are no pods of an app: never a failure, for what hides them is told elsewhere."""
        folder = app.folder(self.workspace)
        for release in self.releases_of(app):
            if release.error is not None:
                cause = cause_of(release.error)
                # What keeps all charts from being rendered is told once for all of them.
                what = "no chart is" if cause is Cause.TOOL else f"release {release.name} is not"
                return unknown(
                    f"not known, because {what} rendered (see the check of charts): {release.error.summary}",
                    cause,
                    release.error.hint,
                )
        return self.hidden(app) or unknown(
            f"not known, because no release of {folder} is applied (see the check of entries)",
            Cause.REPOSITORY,
        )

    # The running cluster -----------------------------------------------------------------------------------

    @cached_property
    def live(self) -> Live:
        """The running cluster, for what the pushed commit brings into it.

        Raises:
            AnsweredError: it is not to be asked, or nothing can be built.
            ClusterError: it is not known what was pushed.
        """
        if self.stage < Stage.LIVE:
            raise AnsweredError(_not_asked("the running cluster"))
        ours = {TASKS[app.name]: self._applying(app) for app in APPS}
        workspace = self.workspace
        return Live(
            workspace.kubectl,
            wanted_of(
                workspace.repository.git,
                self.settings.gitops.remote,
                self.cluster,
                ours,
                self.settings.parseable.secret,
            ),
        )

    @cached_property
    def _deployed(self) -> Deployed:
        return Deployed(self.workspace)

    @property
    def deployed(self) -> Deployed:
        """The deployed services.

        Raises:
            AnsweredError: the running cluster is not to be asked.
        """
        if self.stage < Stage.LIVE:
            raise AnsweredError(_not_asked("the running cluster"))
        return self._deployed

    def mentioned(self, kind: str, name: str) -> str | None:
        """A file of the repository, built or not, that defines an object of this kind and name."""
        for path, text in self.tree.texts.items():
            if name in text and kind in text:
                for document in load_documents(text):
                    if dig(document, "kind") == kind and dig(document, "metadata", "name") == name:
                        return path
        return None


def rendered_by(release: Release) -> Iterator[Resource]:
    """The objects that helm makes of a release; none where it is not rendered."""
    for one in release.objects or ():
        yield Resource(
            key_of(one.data, release.namespace),
            one.data,
            release.path,
            key_of(release.data),
            release.identity,
            release.kustomization,
            one.faults,
        )


def cause_of(error: PlaybookError) -> Cause:
    """Why something is not known that ``error`` kept from being looked at."""
    if isinstance(error, SettingsError):
        # Credentials that are not at hand, as a rule.
        return Cause.TOOL
    return error.cause if isinstance(error, UnavailableError) else Cause.REPOSITORY


def _not_asked(what: str) -> Outcome:
    return unknown(f"not looked at: {what}", Cause.STAGE, "invoke verify")
