"""The GitOps repository as one tree of texts: the work tree, with planned changes laid over it."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Protocol

from tasks.core.changes import Change
from tasks.core.errors import RefusedError
from tasks.effects.files import read_text
from tasks.effects.git import Git, Version
from tasks.effects.outputs import Outputs, WriteOutput
from tasks.yaml.documents import same_documents


class FileTree(Protocol):
    """A folder with what was committed there: a work tree, or a copy of what a commit holds."""

    root: Path

    def yaml_files(self) -> tuple[str, ...]:
        """Paths of the YAML files that are there, sorted."""

    def head_texts(self, paths: Iterable[str]) -> dict[str, str | None]:
        """For each path its text as it was committed, or None where there is no such file."""


class Repository:
    """Reads files through a cache. Paths are relative to the top folder, with forward slashes.

    The files are those of the work tree of ``git``, or of ``files`` where that is given.
    """

    def __init__(self, git: Git, files: FileTree | None = None) -> None:
        self.git = git
        self._files: FileTree = files or git
        self.root = self._files.root
        self.outputs = Outputs(git.directory)
        self._texts: dict[str, str | None] = {}
        self._heads: dict[str, str | None] = {}
        self._versions: dict[str, list[Version]] = {}

    @cached_property
    def yaml_files(self) -> tuple[str, ...]:
        """Paths of all YAML files of the work tree that git tracks or would track."""
        return self._files.yaml_files()

    def read(self, path: str) -> str | None:
        """The text of ``path`` as it would be after the planned changes; None if there is no such file."""
        if path not in self._texts:
            self._texts[path] = read_text(self.root, path)
        return self._texts[path]

    def text(self, path: str) -> str:
        """The text of ``path``, empty where it cannot be read: for a look at files that may be anything."""
        try:
            return self.read(path) or ""
        except RefusedError:
            return ""

    def head(self, path: str) -> str | None:
        """The text of ``path`` in HEAD, or None."""
        if path not in self._heads:
            self.load_heads([path])
        return self._heads[path]

    def is_output(self, path: str) -> bool:
        """Whether ``path`` holds what a run of ours wrote there and nobody committed: nobody's edit."""
        return self.outputs.has(path, self.head(path), self.read(path))

    def write(self, path: str, after: str) -> WriteOutput:
        """The change that makes ``path`` hold ``after``."""
        return WriteOutput(self.root, path, self.read(path), after, self.head(path), self.outputs)

    def versions(self, path: str) -> list[Version]:
        """The history of ``path`` in HEAD, the newest commit first."""
        if path not in self._versions:
            self._versions[path] = self.git.versions(path)
        return self._versions[path]

    def load_heads(self, paths: Iterable[str]) -> None:
        """Read many paths of HEAD with one call of git; ``head`` then answers from memory."""
        missing = [path for path in paths if path not in self._heads]
        if missing:
            self._heads.update(self._files.head_texts(missing))

    def plan(self, changes: Iterable[Change]) -> None:
        """Lay planned changes over the tree."""
        for change in changes:
            self._texts.update(change.results())

    def differs_from_head(self, path: str) -> bool:
        """Whether ``path`` exists and, after the planned changes, says something else than HEAD.

        Comments and style do not count: an edit of those alone is its author's to commit.
        """
        text, head = self.read(path), self.head(path)
        if text is None or head is None:
            return text is not None
        return not same_text(text, head) and not same_documents(text, head)

    def texts_of(self, paths: Iterable[str]) -> dict[str, str | None]:
        """What ``paths`` hold after the planned changes; None for a file that is not there."""
        return {path: self.read(path) for path in paths}

    def forget(self) -> None:
        """Drop what was read and planned, after something was changed."""
        self._texts.clear()
        self._heads.clear()
        self._versions.clear()
        self.__dict__.pop("yaml_files", None)


def same_text(one: str, other: str) -> bool:
    """Whether two texts are the same to git: line ends may differ between the work tree and HEAD."""
    return one.replace("\r\n", "\n") == other.replace("\r\n", "\n")
