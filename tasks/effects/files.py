"""Reading and writing files of the repository: whole, byte for byte, or not at all. Temporary folders."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tasks.core.changes import Change
from tasks.core.errors import RefusedError, refused_by_system
from tasks.yaml.diff import unified_diff


def read_text(path: Path) -> str | None:
    """The text of ``path`` with its line ends as they are, or None if there is no such file.

    Raises:
        RefusedError: it cannot be read, or is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise RefusedError(f"{path} is not UTF-8 text", "convert it, then run again") from None
    except OSError as error:
        raise refused_by_system(f"cannot read {path}", error) from None


def write_text(root: Path, path: str, text: str) -> None:
    """Write ``text`` to ``root/path``: beside it first, then renamed over it, so that no half file is seen.

    Missing folders are made; the mode of an existing file is kept.

    Raises:
        RefusedError: the folder or disk refuses, or the path leads out of ``root`` through a link.
    """
    target = root / path
    check_inside(root, path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # What a killed run left; the lock keeps other runs away.
        for stale in target.parent.glob(f".{target.name}.*.tmp"):
            stale.unlink(missing_ok=True)
        mode = target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~_umask()
        handle, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                stream.write(text)
            Path(beside).chmod(mode)
            # A link inside the repository stays a link; its target gets the new text.
            Path(beside).replace(target.resolve())
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise refused_by_system(f"cannot write {path}", error) from None


def expanded(path: str | Path) -> Path:
    """``path`` with a home folder in the place of ``~``.

    Raises:
        RefusedError: nobody knows of a home folder, as in a container for a user without a name.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise RefusedError(f"there is no home folder for {path}", "set HOME") from None


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is deleted when the block ends, with all that is in it.

    Raises:
        RefusedError: it cannot be made or written to, or a file in the block cannot be used.
    """
    name = "the folder for temporary files"
    try:
        with tempfile.TemporaryDirectory(prefix="parseable-playbook-") as name:
            yield Path(name).resolve()
    except OSError as error:
        raise refused_by_system(f"cannot use {error.filename or name}", error) from None


def check_inside(root: Path, path: str) -> None:
    """Check that ``path`` does not lead out of ``root`` through a link.

    Raises:
        RefusedError: it does, or its links go round in a circle.
    """
    try:
        inside = (root / path).resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        inside = False
    if not inside:
        raise RefusedError(
            f"{path} leads out of the repository through a link", "replace the link by a folder or file"
        )


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


@dataclass(frozen=True)
class WriteFile(Change):
    """Write one file of the repository. ``before`` is what the plan saw (None: no file)."""

    root: Path
    path: str
    before: str | None = field(repr=False)
    after: str = field(repr=False)

    @property
    def summary(self) -> str:
        return f"{'create' if self.before is None else 'edit'} {self.path}"

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,)

    def diff(self) -> str:
        return unified_diff(self.path, self.before, self.after)

    def apply(self) -> None:
        """Write it.

        Raises:
            RefusedError: somebody changed the file since the plan was made, or the disk refuses.
        """
        if read_text(self.root / self.path) != self.before:
            raise RefusedError(f"{self.path} was changed since the plan was shown", "run the same again")
        write_text(self.root, self.path, self.after)


@dataclass(frozen=True)
class MakeFolder(Change):
    """Make an empty folder of the repository (git does not see it until there is a file in it)."""

    root: Path
    path: str

    @property
    def summary(self) -> str:
        return f"create {self.path}/"

    def apply(self) -> None:
        """Make it, with the folders above it.

        Raises:
            RefusedError: the disk refuses, or the path leads out of the repository.
        """
        check_inside(self.root, self.path)
        try:
            (self.root / self.path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise refused_by_system(f"cannot create {self.path}", error) from None
