"""Flux Kustomizations as a cluster gets them, with the identity of the objects that they apply."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from checks.objects import dig
from tasks.core.errors import RefusedError
from tasks.effects.kustomize import Built
from tasks.flux.tree import Tree
from tasks.yaml.documents import load_documents

API = "kustomize.toolkit.fluxcd.io/"
# Kinds without a namespace, as far as a repository of apps holds them.
CLUSTER_SCOPED = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
    "PersistentVolume",
    "PriorityClass",
    "StorageClass",
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
}


class Key(NamedTuple):
    """The identity of an object in the cluster; ``namespace`` is empty for cluster-scoped kinds."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def key_of(data: Mapping[str, Any], namespace: str = "") -> Key:
    """The identity of ``data``, which is put into ``namespace`` where it names none."""
    kind = str(data.get("kind"))
    api = str(data.get("apiVersion"))
    placed = "" if kind in CLUSTER_SCOPED else str(dig(data, "metadata", "namespace") or namespace)
    return Key(api.rpartition("/")[0], kind, placed, str(dig(data, "metadata", "name")))


@dataclass(frozen=True)
class Applied:
    """A Flux Kustomization as the cluster gets it, with what it applies.

    ``path`` is the file that defines it; ``objects`` is None where it was not built (nothing that matters
    here lies below it) or could not be, then ``error`` says why: Flux would meet a ``BuildError`` as well.
    A ``${…}`` that is left in an object is not known. ``files`` are those of the repository that it is made
    of, also where it was not built. ``is_stray`` says that nothing connects it with our files: it may lie in
    an archive, say, and be applied by nobody.
    """

    data: Mapping[str, Any] = field(repr=False)
    path: str
    objects: tuple[Built, ...] | None = field(default=None, repr=False)
    error: RefusedError | None = None
    files: frozenset[str] = field(default=frozenset(), repr=False)
    is_stray: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Its namespace and name."""
        return str(dig(self.data, "metadata", "namespace") or ""), str(dig(self.data, "metadata", "name"))

    @property
    def spec(self) -> Mapping[str, Any]:
        """Its spec; empty where it has none."""
        spec = self.data.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def folder(self) -> str:
        """The folder that it applies."""
        return folder_of(self.data)

    @property
    def has_origin(self) -> bool:
        """Whether it names its source."""
        return isinstance(self.spec.get("sourceRef"), dict)

    @property
    def origin(self) -> tuple[str, str, str]:
        """Kind, name and namespace of its source."""
        reference = dig(self.data, "spec", "sourceRef") or {}
        namespace = reference.get("namespace") or self.key[0]
        return str(reference.get("kind")), str(reference.get("name")), str(namespace)


def folder_of(data: Mapping[str, Any]) -> str:
    """The folder of the repository that a Flux Kustomization applies."""
    return posixpath.normpath(posixpath.join("/", str(dig(data, "spec", "path") or "."))).lstrip("/") or "."


def is_flux(data: Mapping[str, Any]) -> bool:
    """Whether an object is a Kustomization of Flux, not one of kustomize."""
    return data.get("kind") == "Kustomization" and str(data.get("apiVersion")).startswith(API)


def of_operator(tree: Tree) -> Iterator[Applied]:
    """The Kustomizations that the Flux operator makes of a FluxInstance, or of the values of its chart."""
    for item in tree.of_kind("FluxInstance"):
        yield from _synced(item.spec.get("sync"), item.namespace, item.path)
    for path, text in tree.texts.items():
        if "instance:" in text and "sync:" in text:
            for document in load_documents(text):
                for values in (document, dig(document, "spec", "values")):
                    yield from _synced(dig(values, "instance", "sync"), None, path)


def _synced(sync: Any, namespace: str | None, path: str) -> Iterator[Applied]:
    if not isinstance(sync, dict) or not isinstance(sync.get("path"), str):
        return
    namespace = namespace or "flux-system"
    name = str(sync.get("name") or namespace)
    yield Applied(
        {
            "apiVersion": f"{API}v1",
            "kind": "Kustomization",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "path": sync["path"],
                "sourceRef": {"kind": sync.get("kind", "GitRepository"), "name": name},
            },
        },
        path,
    )
