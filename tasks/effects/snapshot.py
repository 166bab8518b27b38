"""A copy of what a commit would give to those who get it, whatever else lies about in the work tree."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from tasks.core.errors import RefusedError
from tasks.effects.files import read_bytes, read_text
from tasks.effects.git import Entry, Git
from tasks.effects.scratch import scratch_folder

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SUFFIXES = (".yaml", ".yml")


class Snapshot:
    """A folder that holds what was committed and nothing else: no git directory, no file that is ignored."""

    def __init__(self, root: Path, files: Iterable[str]) -> None:
        self.root = root
        self._files = frozenset(files)

    def yaml_files(self) -> tuple[str, ...]:
        """Paths of the YAML files, sorted."""
        names = (PurePosixPath(path) for path in self._files)
        return tuple(
            sorted(str(name) for name in names if name.suffix in _SUFFIXES or name.name == "Kustomization")
        )

    def head_texts(self, paths: Iterable[str]) -> dict[str, str | None]:
        """For each path its text, or None where there is no such file: all that is here is committed."""
        return {path: read_text(self.root, path) if path in self._files else None for path in paths}


@contextmanager
def snapshot(
    git: Git, files: Iterable[str], planned: Mapping[str, str | None] = MappingProxyType({})
) -> Iterator[Snapshot]:
    """What HEAD of ``git`` holds, with ``files`` as they are in the work tree, or as ``planned`` has them.

    A planned text is None where there is to be no file. Nothing is run for it but git, which only reads: no
    second repository, no hook, no filter.

    Raises:
        RefusedError: HEAD cannot be read, a file leads through a symbolic link, or the disk is full.
    """
    texts = {path: None if text is None else text.encode() for path, text in planned.items()}
    ours = {path: read_bytes(git.root, path) for path in files if path not in texts} | texts
    entries = _beside(git.head_entries(), ours)
    with scratch_folder("head-") as root:
        try:
            _write(root, git, entries, ours)
        except OSError as error:
            raise RefusedError(
                f"cannot write a copy of HEAD to {root}: {error.strerror}",
                "free some space there, or set TMPDIR to another folder",
            ) from None
        regular = {path for path, entry in entries.items() if not entry.is_link}
        yield Snapshot(root, regular | {path for path, content in ours.items() if content is not None})


def _beside(entries: Mapping[str, Entry], ours: Mapping[str, object]) -> dict[str, Entry]:
    """The ``entries`` that stay when ``ours`` are committed: those that are not, and are in no one's way."""
    above = {str(folder) for path in ours for folder in PurePosixPath(path).parents}
    return {
        path: entry
        for path, entry in entries.items()
        if path not in ours and path not in above and not any(path.startswith(f"{one}/") for one in ours)
    }


def _write(root: Path, git: Git, entries: Mapping[str, Entry], ours: Mapping[str, bytes | None]) -> None:
    made = {root}
    links: dict[Path, bytes] = {}
    for path, entry, content in git.contents(entries):
        if entry.is_link:
            links[_place(root, path)] = content
        else:
            _write_file(_place(root, path), content, 0o755 if entry.is_executable else 0o644, made)
    for path, ours_now in ours.items():
        if ours_now is not None:
            _write_file(_place(root, path), ours_now, 0o644, made)
    # Last of all: while files are written there is no link that could lead one elsewhere.
    for place, target in links.items():
        _make_folder(place.parent, made)
        place.symlink_to(os.fsdecode(target))


def _place(root: Path, path: str) -> Path:
    # git itself makes no such names; whoever wrote a tree by hand can.
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise RefusedError(f"HEAD holds a file named {path!r}", "git fsck says more")
    return root / path


def _make_folder(folder: Path, made: set[Path]) -> None:
    if folder not in made:
        _make_folder(folder.parent, made)
        folder.mkdir()
        made.add(folder)


def _write_file(place: Path, content: bytes, mode: int, made: set[Path]) -> None:
    _make_folder(place.parent, made)
    with os.fdopen(os.open(place, _CREATE, mode), "wb") as stream:
        stream.write(content)
