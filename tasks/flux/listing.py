"""What the folders of a repository are made of, as their kustomizations say."""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tasks.effects import kustomize
from tasks.flux.kustomizations import FluxKustomization
from tasks.flux.tree import Tree
from tasks.yaml.documents import load_documents

# Where a kustomization lists folders and files to build.
LISTS = ("resources", "components", "bases")


@dataclass(frozen=True)
class Contents:
    """The files and folders that a Kustomization is made of.

    ``remote`` are folders and entries to fetch; ``links`` are paths that are symbolic links or lie behind
    one, which Flux leaves out of what it downloads.
    """

    files: frozenset[str] = field(default=frozenset(), repr=False)
    folders: frozenset[str] = field(default=frozenset(), repr=False)
    remote: tuple[tuple[str, str], ...] = ()
    links: frozenset[str] = frozenset()


class Listing:
    """What the folders below ``root`` are made of, as their kustomizations say; read once."""

    def __init__(self, root: Path, tree: Tree) -> None:
        self.tree = tree
        self._root = root
        self._found: dict[tuple[str, ...], Contents] = {}
        self._real: dict[str, str] = {".": "."}

    def kustomization(self, folder: str) -> str | None:
        """The path of the kustomization of ``folder`` ("." is the top)."""
        return self.tree.kustomizations.get(_key(folder))

    def entries(self, folder: str) -> list[str]:
        """What the kustomization of ``folder`` lists."""
        return self.tree.entries(_key(folder), *LISTS)

    def real(self, path: str) -> str:
        """``path`` without links, as far as it stays in the repository."""
        if path not in self._real:
            folder, _, name = path.rpartition("/")
            place = f"{self.real(folder)}/{name}" if folder else path
            self._real[path] = self._resolved(path) if (self._root / place).is_symlink() else place
        return self._real[path]

    def _resolved(self, path: str) -> str:
        found = (self._root / path).resolve()
        return found.relative_to(self._root).as_posix() if found.is_relative_to(self._root) else path

    def contents(self, item: FluxKustomization) -> Contents:
        """What a Kustomization is made of."""
        folder = item.folder
        more = [str(path) for path in item.spec.get("components") or ()]
        start = (folder, *(posixpath.normpath(posixpath.join(folder, path)) for path in more))
        if start not in self._found:
            self._found[start] = self._walked(start)
        return self._found[start]

    def _walked(self, start: tuple[str, ...]) -> Contents:
        files: set[str] = set()
        folders: set[str] = set()
        links: set[str] = set()
        remote: dict[tuple[str, str], None] = {}
        waiting = list(start)
        while waiting:
            folder = waiting.pop()
            if folder in folders:
                continue
            if self.real(folder) != folder:
                links.add(folder)
                continue
            folders.add(folder)
            path = self.kustomization(folder)
            if path is None:
                entries = self.generated(folder) if folder in start else []
            else:
                files.add(path)
                entries = []
                for entry in self.entries(folder):
                    local = posixpath.normpath(posixpath.join(folder, entry))
                    is_local = local in self.tree.texts or (self._root / local).exists()
                    if not is_local and kustomize.is_remote(entry):
                        remote[folder, entry] = None
                    entries.append(local)
            for entry in entries:
                if entry in self.tree.texts:
                    files.add(entry)
                else:
                    waiting.append(entry)
        return Contents(frozenset(files), frozenset(folders), tuple(remote), frozenset(links))

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


def _key(folder: str) -> str:
    """A folder as the tree names it, where the top is the empty text."""
    return "" if folder == "." else folder


def is_below(path: str, folder: str) -> bool:
    """Whether ``path`` lies in ``folder``, "." for the top."""
    return folder == "." or path.startswith(f"{folder}/")


def above(path: str) -> list[str]:
    """The folders that ``path`` lies in, the nearest first, "." for the top."""
    found = []
    while "/" in path:
        path = path.rpartition("/")[0]
        found.append(path)
    return found if path == "." else [*found, "."]


def _is_manifest(text: str) -> bool:
    # Most are told by their first lines; the others are read, and what is no manifest is left to its owner.
    if not re.search(r"(?m)^[\"']?apiVersion[\"']?:", text):
        return False
    return any(isinstance(one, dict) and "kind" in one for one in load_documents(text))


def holding(tree: Tree, *words: str) -> Iterator[str]:
    """The files in whose texts all ``words`` stand."""
    return (path for path, text in tree.texts.items() if all(word in text for word in words))
