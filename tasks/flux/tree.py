"""The Flux objects and kustomizations of a repository, with the files that define them."""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tasks.flux.artifacts import GROUP as ARTIFACTS
from tasks.flux.artifacts import Artifact, artifacts_of
from tasks.kube.keys import group_of
from tasks.kube.rules import Fault
from tasks.kube.shapes import KUSTOMIZATION, fitted, shaped
from tasks.yaml.documents import dig, load_documents, mapping, syntax_error
from tasks.yaml.templates import MARKER

# The kind of what ArtifactGenerators make.
EXTERNAL = "ExternalArtifact"
_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_FLUX_OBJECT = re.compile(r"(?m)^apiVersion:\s*[\"']?(?:kustomize|source|fluxcd\.controlplane)\b")


@dataclass(frozen=True)
class FluxObject:
    """A Flux object with the file that defines it; ``faults`` are what was odd in it and left out."""

    path: str
    kind: str
    name: str
    namespace: str | None
    data: Mapping[str, Any]
    faults: tuple[Fault, ...] = ()

    @property
    def spec(self) -> Mapping[str, Any]:
        """Its spec; empty where it has none."""
        spec = self.data.get("spec")
        return spec if isinstance(spec, dict) else {}


class Tree:
    """The parts of the repository that the layout is read from.

    ``broken`` maps files of these parts that are not YAML to where and why, as "LINE:COLUMN: reason";
    ``odd`` kustomizations to what was left out of them because of its shape.
    """

    def __init__(self, paths: Sequence[str], read: Callable[[str], str]) -> None:
        self.texts = {path: read(path) for path in paths}
        self.broken: dict[str, str] = {}
        self.odd: dict[str, tuple[Fault, ...]] = {}
        self._targets: dict[tuple[str, tuple[str, ...]], frozenset[str]] = {}
        self.kustomizations = {
            posixpath.dirname(path): path for path in paths if posixpath.basename(path) in _NAMES
        }
        self._listings = {folder: self._listing(path) for folder, path in self.kustomizations.items()}
        self.objects = [
            item
            for path, text in self.texts.items()
            if _FLUX_OBJECT.search(text)
            for item in _parse(path, self._documents(path))
        ]

    def within(self, paths: Set[str]) -> "Tree":
        """The same, as if there were no other files than ``paths``."""
        part = copy(self)
        part.texts = {path: text for path, text in self.texts.items() if path in paths}
        part.kustomizations = {f: path for f, path in self.kustomizations.items() if path in paths}
        part.objects = [item for item in self.objects if item.path in paths]
        part.__dict__.pop("artifacts", None)
        return part

    def _documents(self, path: str) -> list[Any]:
        documents = load_documents(self.texts[path])
        if not documents and (reason := syntax_error(self.texts[path])):
            self.broken[path] = reason
        return documents

    def _listing(self, path: str) -> Mapping[str, Any]:
        documents = self._documents(path)
        if not documents or not isinstance(documents[0], dict):
            return {}
        listing, self.odd[path] = fitted(documents[0], KUSTOMIZATION)
        return listing

    @cached_property
    def artifacts(self) -> list[tuple[str, Artifact]]:
        """What the ArtifactGenerators make, with the files that define them."""
        return [
            (item.path, artifact)
            for item in self.of_kind("ArtifactGenerator")
            for artifact in artifacts_of(item.data, self.built_namespace(item) or "")
        ]

    def artifact_of(self, data: Mapping[str, Any], path: str) -> Artifact | None:
        """The artifact that the Kustomization ``data`` of the file ``path`` applies; None if none is known.

        Clusters that share a repository have artifacts of the same name: the nearest generator counts.
        """
        reference = mapping(data, "spec", "sourceRef")
        if reference.get("kind") != EXTERNAL:
            return None
        namespace = reference.get("namespace") or dig(data, "metadata", "namespace")
        fitting = [
            (len(posixpath.commonpath([posixpath.dirname(file), posixpath.dirname(path)])), artifact)
            for file, artifact in self.artifacts
            if (artifact.name == reference.get("name") and "" in (artifact.namespace, namespace or ""))
            or (artifact.name, artifact.namespace) == (reference.get("name"), namespace)
        ]
        return max(fitting, key=lambda one: one[0])[1] if fitting else None

    def of_kind(self, *kinds: str) -> Iterator[FluxObject]:
        """The objects of these kinds, in the order of their files."""
        return (item for item in self.objects if item.kind in kinds)

    def of_others(self, *kinds: str) -> list[FluxObject]:
        """Those that the playbook did not write: what it wrote is no evidence of how the repository is."""
        return [item for item in self.of_kind(*kinds) if MARKER not in self.texts[item.path]]

    def is_applied(self, path: str) -> bool:
        """Whether the kustomizations of its folder or the one above list ``path``, or there are none."""
        folders = [folder for folder in parents(path) if folder in self.kustomizations]
        return not folders or any(self.lists(folder, path) for folder in folders)

    def is_reconciled(self, path: str) -> bool:
        """Whether a Flux Kustomization is pointed at a folder that ``path`` lies in.

        One without a path is pointed at the top of its source, which is another repository as a rule.
        """
        folders = (
            posixpath.normpath(str(item.spec.get("path", "")).lstrip("/"))
            for item in self.of_kind("Kustomization")
        )
        return any(path.startswith(f"{folder}/") for folder in folders)

    def namespace_for(self, path: str) -> str | None:
        """The namespace that the kustomization of its folder would give the file ``path``."""
        transformer = self.kustomization(posixpath.dirname(path)).get("namespace")
        return transformer if isinstance(transformer, str) else None

    def kustomization(self, folder: str) -> Mapping[str, Any]:
        """The first document of the kustomization in ``folder``; empty where there is none."""
        return self._listings.get(folder, {})

    def entries(self, folder: str, *lists: str) -> list[str]:
        """What the kustomization in ``folder`` lists: its resources, or all of the ``lists`` named."""
        listing = self.kustomization(folder)
        return [entry for name in lists or ("resources",) for entry in listing.get(name, ()) if entry]

    def lists(self, folder: str, path: str, *lists: str) -> bool:
        """Whether the kustomization in ``folder`` lists ``path``: in its resources, or in these ``lists``."""
        key = (folder, lists)
        if key not in self._targets:
            # Asked for each of the many that one folder may list.
            self._targets[key] = frozenset(
                posixpath.normpath(posixpath.join(folder, entry)) for entry in self.entries(folder, *lists)
            )
        return path in self._targets[key]

    def built_namespace(self, item: FluxObject) -> str | None:
        """The namespace of an object after the kustomizations above its file: the nearest transformer wins.

        Only the two nearest levels are looked at: the folder that lists the file, and the file itself.
        """
        for folder in parents(item.path):
            transformer = self.kustomization(folder).get("namespace")
            if isinstance(transformer, str) and self.lists(folder, item.path):
                return transformer
        return item.namespace


def _parse(path: str, documents: Sequence[Any]) -> Iterator[FluxObject]:
    for document in documents:
        if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
            continue
        is_flux = "toolkit.fluxcd.io" in str(document.get("apiVersion")) or group_of(document) == ARTIFACTS
        if not is_flux and document.get("kind") != "FluxInstance":
            continue
        data, faults = shaped(document)
        metadata = data["metadata"]
        yield FluxObject(
            path, str(data.get("kind")), str(metadata.get("name")), metadata.get("namespace"), data, faults
        )


def parents(path: str) -> Iterator[str]:
    """The folder of ``path`` and the one above it."""
    folder = posixpath.dirname(path)
    yield folder
    if folder:
        yield posixpath.dirname(folder)
