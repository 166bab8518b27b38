"""Flux Kustomizations as a cluster gets them."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.core.errors import RefusedError
from tasks.effects.kustomize import Built
from tasks.flux.artifacts import Artifact
from tasks.flux.tree import EXTERNAL, Tree
from tasks.kube.keys import group_of
from tasks.kube.rules import Fault
from tasks.kube.shapes import shaped
from tasks.yaml.documents import dig, items, load_documents, mapping

GROUP = "kustomize.toolkit.fluxcd.io"


@dataclass(frozen=True)
class FluxKustomization:
    """A Flux Kustomization as the cluster gets it, with what it applies.

    ``data`` has passed the door (``tasks.kube.shapes``). ``path`` is the file that defines it; ``objects`` is
    None where it was not built (nothing that matters here lies below it) or could not be, then ``error`` says
    why: Flux would meet a ``BuildError`` as well. A ``${…}`` that is left in an object is not known.
    ``files`` are those of the repository that it is made of, also where it was not built; ``remote`` are
    folders with entries of theirs that were left out, for they would have to be fetched. ``is_stray`` says
    that nothing connects it with our files: it may lie in an archive, say, and be applied by nobody.
    ``artifact`` is what it applies where that is made of this repository by an ArtifactGenerator.
    """

    data: Mapping[str, Any] = field(repr=False)
    path: str
    objects: tuple[Built, ...] | None = field(default=None, repr=False)
    error: RefusedError | None = None
    files: frozenset[str] = field(default=frozenset(), repr=False)
    remote: tuple[tuple[str, str], ...] = ()
    is_stray: bool = False
    artifact: Artifact | None = field(default=None, repr=False)

    @classmethod
    def read(cls, data: Mapping[str, Any], path: str, tree: Tree) -> "FluxKustomization":
        """The Kustomization of ``tree`` that ``data`` describes, without what is odd in it."""
        data = shaped(data)[0]
        return cls(data, path, artifact=tree.artifact_of(data, path))

    def holding(self, files: frozenset[str]) -> "FluxKustomization":
        """The same, made of these ``files``."""
        return replace(self, files=files)

    @property
    def key(self) -> tuple[str, str]:
        """Its namespace and name."""
        return str(dig(self.data, "metadata", "namespace") or ""), str(dig(self.data, "metadata", "name"))

    @property
    def spec(self) -> Mapping[str, Any]:
        """Its spec; empty where it has none."""
        return mapping(self.data, "spec")

    @property
    def folder(self) -> str:
        """The folder of the repository that it applies."""
        path = str(self.spec.get("path") or ".")
        path = posixpath.normpath(posixpath.join("/", path)).lstrip("/") or "."
        return path if self.artifact is None else self.artifact.origin(path) or path

    @property
    def is_unseen(self) -> bool:
        """Whether it applies an artifact, and what of this repository lies where in it is not known."""
        if self.origin is None or self.origin[0] != EXTERNAL:
            return False
        path = str(self.spec.get("path") or ".")
        return self.artifact is None or self.artifact.origin(path.lstrip("/") or ".") is None

    @property
    def origin(self) -> tuple[str, str, str] | None:
        """Kind, name and namespace of its source; None where it names none."""
        reference = mapping(self.spec, "sourceRef")
        if not reference:
            return None
        namespace = reference.get("namespace") or self.key[0]
        return str(reference.get("kind")), str(reference.get("name")), str(namespace)


def is_flux_kustomization(data: Mapping[str, Any]) -> bool:
    """Whether an object is a Kustomization of Flux, not one of kustomize."""
    return data.get("kind") == "Kustomization" and group_of(data) == GROUP


def says_what_it_applies(data: Mapping[str, Any], faults: Iterable[Fault]) -> bool:
    """Whether a Flux Kustomization names what it applies; ``faults`` are what was left out of ``data``.

    Without a path it is the top of its source. But where an odd path was left out, or no source is named
    either, the API server refuses it as a whole: it must not be taken for one that applies everything.
    """
    spec = mapping(data, "spec")
    is_odd = any(fault.path in {("spec",), ("spec", "path")} for fault in faults)
    return not is_odd and bool(spec.get("path") or mapping(spec, "sourceRef"))


def operator_kustomizations(tree: Tree) -> list[FluxKustomization]:
    """The Kustomizations that the Flux operator makes of a FluxInstance, or of the values of its chart.

    Where files disagree, those count that a kustomization lists: another may be left over.
    """
    found = list(_operated(tree))
    listed = [item for item in found if _is_listed(tree, item.path)]
    return listed or found


def _is_listed(tree: Tree, path: str) -> bool:
    """Whether a kustomization above lists a file, or makes a ConfigMap of it."""
    folder = posixpath.dirname(path)
    while True:
        generated = (
            str(file).rpartition("=")[2]
            for generator in items(tree.kustomization(folder), "configMapGenerator")
            for file in items(generator, "files")
        )
        named = (*tree.entries(folder), *generated)
        if any(posixpath.normpath(posixpath.join(folder, str(one))) == path for one in named):
            return True
        if not folder:
            return False
        folder = posixpath.dirname(folder)


def _operated(tree: Tree) -> Iterator[FluxKustomization]:
    for item in tree.of_kind("FluxInstance"):
        yield from _synced(mapping(item.spec, "sync"), item.namespace, item.path, tree)
    for path, text in tree.texts.items():
        if "instance:" in text and "sync:" in text:
            for document in load_documents(text):
                for values in (document, dig(document, "spec", "values")):
                    yield from _synced(mapping(values, "instance", "sync"), None, path, tree)


def _synced(
    sync: Mapping[str, Any], namespace: str | None, path: str, tree: Tree
) -> Iterator[FluxKustomization]:
    if not isinstance(sync.get("path"), str):
        return
    namespace = namespace or "flux-system"
    name = str(sync.get("name") or namespace)
    yield FluxKustomization.read(
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "Kustomization",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "path": sync["path"],
                "sourceRef": {"kind": sync.get("kind", "GitRepository"), "name": name},
            },
        },
        path,
        tree,
    )


def decryption_of(item: FluxKustomization) -> tuple[str, str]:
    """Provider and name of the key's Secret in ``spec.decryption``; empty where they are not set."""
    provider = dig(item.spec, "decryption", "provider")
    return str(provider or ""), str(dig(item.spec, "decryption", "secretRef", "name") or "")


def dependencies_of(item: FluxKustomization) -> list[tuple[str, str]]:
    """Namespace and name of what it waits for, in the order of ``spec.dependsOn``; one may lack its name."""
    return [
        (str(dig(one, "namespace") or item.key[0]), str(dig(one, "name") or ""))
        for one in items(item.spec, "dependsOn")
    ]
