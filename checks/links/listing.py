"""What the folders of a repository are made of, as their kustomizations say."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from checks.links.applied import Applied
from checks.objects import items
from tasks.effects import kustomize
from tasks.flux.tree import Tree
from tasks.workspace import Workspace
from tasks.yaml.documents import load_documents

# Where a kustomization lists folders and files to build.
LISTS = ("resources", "components", "bases")


class Files:
    """What the folders of a repository are made of, as their kustomizations say; read once."""

    def __init__(self, workspace: Workspace, tree: Tree) -> None:
        self.tree = tree
        self._root = workspace.repository.root
        self._kustomizations: dict[str, Mapping[str, Any]] = {}
        self._found: dict[tuple[str, ...], tuple[frozenset[str], frozenset[str], str]] = {}

    def kustomization(self, folder: str) -> str | None:
        """The path of the kustomization of ``folder`` ("." is the top)."""
        return self.tree.kustomizations.get("" if folder == "." else folder)

    def lists(self, folder: str, *names: str) -> Iterator[str]:
        """The entries of the kustomization of ``folder`` in the lists ``names``."""
        if folder not in self._kustomizations:
            path = self.kustomization(folder)
            documents = load_documents(self.tree.texts[path]) if path else []
            data = documents[0] if documents and isinstance(documents[0], dict) else {}
            self._kustomizations[folder] = data
        for name in names:
            for entry in items(self._kustomizations[folder].get(name)):
                if isinstance(entry, str):
                    yield entry

    def real(self, path: str) -> str:
        """``path`` without links, as far as it stays in the repository."""
        found = (self._root / path).resolve()
        return found.relative_to(self._root).as_posix() if found.is_relative_to(self._root) else path

    def of(self, item: Applied) -> tuple[frozenset[str], frozenset[str], str]:
        """The files and the folders that a Kustomization is made of, and an entry that would be fetched."""
        folder = self.real(item.folder)
        more = [str(path) for path in items(item.spec.get("components"))]
        start = (folder, *(posixpath.normpath(posixpath.join(folder, path)) for path in more))
        if start not in self._found:
            self._found[start] = self._walked(start)
        return self._found[start]

    def _walked(self, start: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str], str]:
        files: set[str] = set()
        folders: set[str] = set()
        fetched = ""
        waiting = list(start)
        while waiting:
            folder = waiting.pop()
            if folder in folders:
                continue
            folders.add(folder)
            path = self.kustomization(folder)
            if path is None:
                entries = self.generated(folder) if folder in start else []
            else:
                files.add(path)
                entries = []
                for entry in self.lists(folder, *LISTS):
                    local = posixpath.normpath(posixpath.join(folder, entry))
                    is_local = local in self.tree.texts or (self._root / local).exists()
                    if not is_local and kustomize.is_remote(entry):
                        fetched = fetched or entry
                    entries.append(local)
            for entry in entries:
                if entry in self.tree.texts:
                    files.add(self.real(entry))
                else:
                    waiting.append(self.real(entry))
        return frozenset(files), frozenset(folders), fetched

    def generated(self, folder: str) -> list[str]:
        """What Flux lists for a ``folder`` without a kustomization: all manifests below it."""
        found: dict[str, None] = {}
        for path in sorted(self.tree.texts):
            if not is_below(path, folder):
                continue
            between = [one for one in reversed(above(path)) if one != folder and is_below(one, folder)]
            highest = next((one for one in between if self.kustomization(one)), None)
            if highest is not None or _is_manifest(self.tree.texts[path]):
                found[highest or path] = None
        return list(found)


def is_below(path: str, folder: str) -> bool:
    """Whether ``path`` lies in ``folder``, "." for the top."""
    return folder == "." or path.startswith(f"{folder}/")


def above(path: str) -> list[str]:
    """The folders that ``path`` lies in, the nearest first, "." for the top."""
    return [str(parent) for parent in PurePosixPath(path).parents]


def _is_manifest(text: str) -> bool:
    # Most are told by their first lines; the others are read, and what is no manifest is left to its owner.
    if not re.search(r"(?m)^[\"']?apiVersion[\"']?:", text):
        return False
    return any(isinstance(one, dict) and "kind" in one for one in load_documents(text))
