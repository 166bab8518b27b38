"""Every object that will exist after a push, as far as the repository shows: plain ones and rendered ones."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from checks.links.applied import Key, key_of
from checks.links.cluster import Cluster, cluster
from checks.links.flux import own_kustomizations
from checks.links.releases import Release, releases
from tasks.workspace import Workspace
from tasks.yaml.documents import load_documents
from tasks.yaml.marks import line_of

# Of Kubernetes itself: others have kinds of the same names.
_OWN_GROUPS = ("", "apps", "rbac.authorization.k8s.io", "storage.k8s.io")


@dataclass(frozen=True)
class Placed:
    """An object with its namespace, the file it comes from, and the release it is rendered by, if it is.

    ``is_with_ours`` says that one of our Kustomizations applies it: if it is refused, so is all of that.
    """

    key: Key
    data: Mapping[str, Any] = field(repr=False)
    path: str
    release: Release | None = field(default=None, repr=False)
    is_with_ours: bool = False


@dataclass(frozen=True)
class Inventory:
    """What will exist, as far as it was built and rendered: ``objects`` in no order that matters."""

    cluster: Cluster
    releases: tuple[Release, ...]
    objects: tuple[Placed, ...]

    def of_kind(self, *kinds: str, namespace: str | None = None) -> Iterator[Placed]:
        """The objects of these kinds, of one namespace or of all."""
        return (
            item
            for item in self.objects
            if item.key.kind in kinds and namespace in (None, item.key.namespace)
        )

    def find(self, kind: str, namespace: str, name: str) -> Placed | None:
        """The object of that identity, of Kubernetes' own API groups."""
        wanted = (kind, namespace, name)
        found = (
            item
            for item in self.objects
            if (item.key.kind, *item.key[2:]) == wanted and item.key.group in _OWN_GROUPS
        )
        return next(found, None)

    def release_of(self, path: str) -> Release | None:
        """The release that the file ``path`` defines."""
        return next((item for item in self.releases if item.path == path), None)

    def mentioned(self, kind: str, name: str) -> str | None:
        """A file of the repository, built or not, that defines an object of this kind and name."""
        for path, text in self.cluster.tree.texts.items():
            if name in text and kind in text:
                for document in load_documents(text):
                    if isinstance(document, dict) and document.get("kind") == kind:
                        metadata = document.get("metadata")
                        if isinstance(metadata, dict) and metadata.get("name") == name:
                            return path
        return None


def inventory(workspace: Workspace) -> Inventory:
    """What will exist; made once for a state of the repository.

    Raises:
        RefusedError: there is no kustomize, or the layout is not known.
    """
    return workspace.remember("inventory", lambda: _make(workspace))


def _make(workspace: Workspace) -> Inventory:
    found = cluster(workspace)
    ours = own_kustomizations(workspace)
    plain = [
        Placed(key_of(one.data, item.key[0]), one.data, one.path or item.path, is_with_ours=item.path in ours)
        for item, one in found.built()
    ]
    rendered = [
        Placed(key_of(data, release.namespace), data, release.path, release)
        for release in releases(workspace)
        for data in release.objects or ()
    ]
    return Inventory(found, releases(workspace), (*plain, *rendered))


def place_of(workspace: Workspace, item: Placed) -> str:
    """FILE:LINE of an object, of its release's values where it is rendered."""
    text = workspace.repository.text(item.path)
    if item.release is None:
        return f"{item.path}:{line_of(text, item.key.kind, item.key.name)}"
    name = key_of(item.release.data).name
    return f"{item.path}:{line_of(text, 'HelmRelease', name, 'spec', 'values')}"
