"""Reading and writing files of the repository: whole, byte for byte, never through a symbolic link."""

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from tasks.core.changes import Change
from tasks.core.errors import RefusedError, UnavailableError, refused_by_system
from tasks.yaml.diff import unified_diff

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a named pipe would be waited for.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read_bytes(root: Path, path: str) -> bytes | None:
    """The content of the file ``root/path``, or None if there is none.

    Raises:
        RefusedError: it cannot be read, is no regular file, or ``path`` leads through a symbolic link.
    """
    folder, name = _split(path)
    try:
        with _opened(root, folder) as where:
            handle = _open(where, name, path, _READ)
            with os.fdopen(handle, "rb") as stream:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise RefusedError(f"{path} is not a regular file", "put a file in its place")
                return stream.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused_by_system(f"cannot read {path}", error) from None


def read_text(root: Path, path: str) -> str | None:
    """The text of the file ``root/path`` with its line ends as they are, or None if there is no such file.

    Raises:
        RefusedError: it cannot be read, is not UTF-8, or ``path`` leads through a symbolic link.
    """
    content = read_bytes(root, path)
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        raise RefusedError(f"{path} is not UTF-8 text", "convert it, then run again") from None


def write_text(root: Path, path: str, text: str) -> None:
    """Write ``text`` to ``root/path``: beside it first, then renamed over it, so that no half file is seen.

    Missing folders are made; the mode of an existing file is kept.

    Raises:
        RefusedError: the folder or disk refuses, or ``path`` leads through a symbolic link, or is one.
    """
    folder, name = _split(path)
    try:
        with _opened(root, folder, make=True) as where:
            # What a killed run left; the lock keeps other runs away.
            for stale in os.listdir(where):  # noqa: PTH208  # a handle is no path
                if stale.startswith(f".{name}.") and stale.endswith(".tmp"):
                    os.unlink(stale, dir_fd=where)
            mode = _mode(where, name, path)
            beside = f".{name}.{token_hex(6)}.tmp"
            # The umask decides on a new file; an existing one's readers are not widened in between.
            handle = os.open(beside, _CREATE, 0o666 if mode is None else 0o600, dir_fd=where)
            try:
                with os.fdopen(handle, "wb") as stream:
                    if mode is not None:
                        os.fchmod(handle, mode)
                    stream.write(text.encode())
                # Over the name itself: had it become a link meanwhile, the link would go, not its target.
                os.rename(beside, name, src_dir_fd=where, dst_dir_fd=where)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(beside, dir_fd=where)
                raise
    except OSError as error:
        raise refused_by_system(f"cannot write {path}", error) from None


def expanded(path: str | Path) -> Path:
    """``path`` with a home folder in the place of ``~``.

    Raises:
        UnavailableError: nobody knows of a home folder, as in a container for a user without a name.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UnavailableError(f"there is no home folder for {path}", "set HOME") from None


def refuse_links(root: Path, path: str) -> None:
    """Check that ``path`` neither leads through a symbolic link nor is one; it need not exist.

    Raises:
        RefusedError: it does, and which part of it is the link.
    """
    folder, name = _split(path)
    here = root
    for part in (*folder, name):
        here /= part
        if here.is_symlink():
            raise _link_error(here.relative_to(root).as_posix())


def _link_error(path: str) -> RefusedError:
    # Flux too: what is a link in a git repository is left out of the artifact that it applies
    # (source-controller, internal/controller/storage.go, Archive).
    return RefusedError(
        f"{path} is a symbolic link, and links are never followed (nor does Flux)",
        "put the folder or file itself in its place, and commit that",
    )


def _split(path: str) -> tuple[tuple[str, ...], str]:
    """The folders of ``path``, and its last part.

    Raises:
        RefusedError: it leads upwards, or starts at the top of the disk.
    """
    if path.startswith("/") or ".." in path.split("/"):
        raise RefusedError(f"{path} leads out of the repository", "name a path below its top folder")
    *folder, name = (part for part in path.split("/") if part not in ("", "."))
    return tuple(folder), name


@contextmanager
def _opened(root: Path, folder: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """The folder below ``root`` as a handle, reached step by step, so that no link can come between.

    Raises:
        RefusedError: a step is a symbolic link.
    """
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for number, part in enumerate(folder, 1):
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=handle)
            below = _open(handle, part, "/".join(folder[:number]), _FOLDER)
            os.close(handle)
            handle = below
        yield handle
    finally:
        os.close(handle)


def _open(where: int, name: str, path: str, flags: int) -> int:
    try:
        return os.open(name, flags, dir_fd=where)
    except OSError as error:
        # For a link it is one or the other, depending on the system and on what was asked for.
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK) and stat.S_ISLNK(
            os.stat(name, dir_fd=where, follow_symlinks=False).st_mode
        ):
            raise _link_error(path) from None
        raise


def _mode(where: int, name: str, path: str) -> int | None:
    """The mode of the file that will be replaced; None if there is none yet."""
    try:
        found = os.stat(name, dir_fd=where, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found):
        raise _link_error(path)
    return stat.S_IMODE(found)


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

    def results(self) -> Mapping[str, str | None]:
        return {self.path: self.after}

    def diff(self) -> str:
        return unified_diff(self.path, self.before, self.after)

    def apply(self) -> None:
        """Write it.

        Raises:
            RefusedError: somebody changed the file since the plan was made, or the disk refuses.
        """
        if read_text(self.root, self.path) != self.before:
            raise RefusedError(
                f"{self.path} was changed since the plan was shown", "run the same command again"
            )
        write_text(self.root, self.path, self.after)


def delete_file(root: Path, path: str) -> None:
    """Delete the file ``root/path``, and the folders above it that are empty after that.

    Raises:
        RefusedError: the folder refuses, or ``path`` leads through a symbolic link.
    """
    folder, name = _split(path)
    try:
        with _opened(root, folder) as where:
            os.unlink(name, dir_fd=where)
        for number in range(len(folder), 0, -1):
            with _opened(root, folder[: number - 1]) as above:
                os.rmdir(folder[number - 1], dir_fd=above)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise refused_by_system(f"cannot delete {path}", error) from None


@dataclass(frozen=True)
class DeleteFile(Change):
    """Delete one file of the repository. ``before`` is what the plan saw."""

    root: Path
    path: str
    before: str = field(repr=False)

    @property
    def summary(self) -> str:
        return f"delete {self.path}"

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,)

    def results(self) -> Mapping[str, str | None]:
        return {self.path: None}

    def diff(self) -> str:
        return unified_diff(self.path, self.before, None)

    def apply(self) -> None:
        """Delete it.

        Raises:
            RefusedError: somebody changed the file since the plan was made, or the folder refuses.
        """
        if read_text(self.root, self.path) != self.before:
            raise RefusedError(
                f"{self.path} was changed since the plan was shown", "run the same command again"
            )
        delete_file(self.root, self.path)


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
            RefusedError: the disk refuses, or the path leads through a symbolic link.
        """
        try:
            folder, name = _split(self.path)
            with _opened(self.root, (*folder, name), make=True):
                pass
        except OSError as error:
            raise refused_by_system(f"cannot create {self.path}", error) from None
