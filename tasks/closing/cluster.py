"""The rollout in the running cluster: its Flux Kustomizations, deleting them, waiting until all is pruned."""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.closing.ending import Ending
from tasks.closing.pruning import kept_by
from tasks.core.console import Console
from tasks.core.errors import SettingsError, StepFailedError
from tasks.effects.kube_deletion import LateError, Object, delete, wait_until_gone
from tasks.effects.kubectl import Kubectl
from tasks.flux.kustomizations import GROUP
from tasks.flux.missing import need
from tasks.subjects.apps import APP_FOLDER, KS
from tasks.subjects.manifests import APPS
from tasks.workspace import Workspace
from tasks.yaml.documents import dig, items, mapping

_KUSTOMIZATIONS = f"kustomizations.{GROUP}"
_HELM = "helm.toolkit.fluxcd.io"
# Flux's own labels on what it applies: who applied it.
_PARENT = (f"{GROUP}/namespace", f"{GROUP}/name")
_LONGEST = "10m"
_TIME = re.compile(r"[1-9]\d*[smh]")


@dataclass(frozen=True)
class Deployed:
    """A Flux Kustomization of the rollout, as the cluster has it; ``parent`` is the one that applied it."""

    data: Mapping[str, Any] = field(repr=False)
    parent: Mapping[str, Any] = field(repr=False)

    @property
    def object(self) -> Object:
        """What it is to kubectl."""
        about = mapping(self.data, "metadata")
        return Object(_KUSTOMIZATIONS, str(about.get("namespace")), str(about.get("name")))

    @property
    def inventory(self) -> Sequence[Any]:
        """What it applied, an entry an object."""
        return items(self.data, "status", "inventory", "entries")

    @property
    def releases(self) -> Iterator[Object]:
        """The HelmReleases that it applied: they go when Helm has uninstalled what they installed.

        All else that it applied is deleted before it goes itself. An entry is NAMESPACE_NAME_GROUP_KIND:
        https://fluxcd.io/flux/components/kustomize/kustomizations/#inventory
        """
        for entry in self.inventory:
            namespace, _, rest = str(dig(entry, "id") or "").partition("_")
            name, _, group_and_kind = rest.partition(f"_{_HELM}_")
            if group_and_kind == "HelmRelease":
                yield Object(f"helmreleases.{_HELM}", namespace, name)

    @property
    def keeps(self) -> str:
        """Why Flux deletes nothing of what it applied when it is deleted; empty if Flux does."""
        return kept_by(mapping(self.data, "spec"))

    def lines(self, *, is_in_git: bool) -> Iterator[str]:
        """What deleting it means."""
        one, count = self.object, len(self.inventory)
        more = f"what it applied stays: {self.keeps}" if self.keeps else f"with its {count} objects"
        yield f"    delete Kustomization {one.name} in namespace {one.namespace}, {more}"
        if self.parent and is_in_git and not dig(self.parent, "spec", "suspend"):
            about = mapping(self.parent, "metadata")
            yield (
                f"        Kustomization {about.get('name')} in namespace {about.get('namespace')} applies it "
                "again at its next reconciliation: take it out of the repository, too (invoke rollback)"
            )


def checked_time(given: str) -> str:
    """A time to wait, as kubectl takes it; empty if none is given.

    Raises:
        SettingsError: it is none.
    """
    if given and not _TIME.fullmatch(given):
        raise SettingsError(f"--wait {given} is no time", "write it as in 90s, 10m or 1h")
    return given


def deployed(workspace: Workspace) -> list[Deployed]:
    """The Kustomizations of the cluster that apply the folders of our apps, wherever they are.

    Raises:
        ClusterError: the cluster cannot be asked.
        MissingError: the repository shows no folder of apps.
    """
    kubectl = workspace.kubectl
    found = kubectl.items(kubectl.path(GROUP, "kustomizations"))
    by_name = {_key(one): one for one in found}
    folders = [_plain(need(workspace.layout.applied_path(app.path(workspace, APP_FOLDER)))) for app in APPS]
    source = need(workspace.layout.reference)
    # Others may have the same path, in a repository of theirs.
    wanted = (source.kind, source.name, source.namespace)
    ours = [
        one
        for one in found
        if _plain(str(dig(one, "spec", "path") or "")) in folders and _source(one) == wanted
    ]
    return [Deployed(one, by_name.get(_parent(one), {})) for one in ours]


def _source(one: Mapping[str, Any]) -> tuple[Any, ...]:
    """The kind, name and namespace of what a Kustomization is built from, by default in its own namespace."""
    reference = mapping(one, "spec", "sourceRef")
    namespace = reference.get("namespace") or dig(one, "metadata", "namespace")
    return reference.get("kind"), reference.get("name"), namespace


def _plain(path: str) -> str:
    return posixpath.normpath(posixpath.join("/", path))


def _key(one: Mapping[str, Any]) -> tuple[Any, Any]:
    return dig(one, "metadata", "namespace"), dig(one, "metadata", "name")


def _parent(one: Mapping[str, Any]) -> tuple[Any, ...]:
    labels = mapping(one, "metadata", "labels")
    return tuple(labels.get(name) for name in _PARENT)


@dataclass(frozen=True)
class InCluster(Ending):
    """The Kustomizations that would be deleted, and where; ``is_in_git`` says that git still has them."""

    kubectl: Kubectl = field(repr=False)
    found: tuple[Deployed, ...]
    is_in_git: bool
    wait: str

    @property
    def is_empty(self) -> bool:
        return not self.found

    def lines(self) -> Iterator[str]:
        yield f"in context {self.kubectl.context or 'of this pod'}, server {self.kubectl.server}:"
        for one in self.found:
            yield from one.lines(is_in_git=self.is_in_git)
        yield from self._closing()

    def _closing(self) -> Iterator[str]:
        if self.is_empty:
            yield "no Kustomization there applies the folders of Parseable and Vector: nothing to delete"
        yield "the bucket and the logs in it stay: nothing here deletes them"

    def data(self) -> dict[str, object]:
        return {
            "context": self.kubectl.context,
            "server": self.kubectl.server,
            "kustomizations": [
                {
                    "namespace": one.object.namespace,
                    "name": one.object.name,
                    "objects": [str(dig(entry, "id")) for entry in one.inventory],
                    "keeps": one.keeps,
                }
                for one in self.found
            ],
        }

    def carry_out(self, console: Console) -> None:
        for one in self.found:
            console.note(f"    delete {one.object} (at most {self.wait})")
            _in_time(delete, self.kubectl, one.object, self.wait)
        pruned = [release for one in self.found if not one.keeps for release in one.releases]
        wait_for(self.kubectl, pruned, console, self.wait)

    def outcome(self) -> Iterator[str]:
        for one in self.found:
            more = f"what it applied stays: {one.keeps}" if one.keeps else "with all that it applied"
            yield f"deleted {one.object}, {more}"
        yield from self._closing()


def planned(workspace: Workspace, wait: str = "") -> InCluster:
    """What would be deleted from the cluster. Changes nothing.

    Raises:
        SettingsError: not to push has no meaning here.
        ClusterError: the cluster cannot be asked.
        MissingError: the repository shows no folder of apps.
    """
    if not workspace.permissions.push:
        raise SettingsError("--cluster pushes nothing", "leave --no-push out")
    is_in_git = any(workspace.repository.head(app.path(workspace, KS)) is not None for app in APPS)
    return InCluster(workspace.kubectl, tuple(deployed(workspace)), is_in_git, wait or _LONGEST)


def wait_for(kubectl: Kubectl, found: Iterable[Object], console: Console, wait: str) -> None:
    """Wait until objects are gone.

    Raises:
        StepFailedError: they are not, after ``wait`` each.
        ClusterError: the cluster refuses.
    """
    for one in found:
        console.note(f"    waiting until {one} is gone (at most {wait})")
        _in_time(wait_until_gone, kubectl, one, wait)


def _in_time(do: Callable[[Kubectl, Object, str], None], kubectl: Kubectl, one: Object, wait: str) -> None:
    try:
        do(kubectl, one, wait)
    except LateError as error:
        raise StepFailedError(f"{error.summary} after {wait}", error.hint) from None
