"""Temporary folders that go away: with the run that made them, or if it was killed, with a later one."""

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.core.errors import RefusedError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def scratch_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder that only this user can read, deleted at the end; what killed runs left goes first.

    It lies in ``parent``, or in a folder of this user's in the temporary folder (TMPDIR).

    Raises:
        RefusedError: it cannot be made, or the disk is full.
    """
    hint = "make it writable, or free some space there"
    if parent is None:
        parent = Path(tempfile.gettempdir()) / f"parseable-playbook-{os.getuid()}"
        hint += ", or set TMPDIR to another folder"
    try:
        parent = _private(parent)
        _clear(parent)
        folder, handle = _made(prefix, parent)
    except OSError as error:
        raise RefusedError(f"cannot make a temporary folder in {parent}: {error.strerror}", hint) from None
    try:
        yield folder
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise RefusedError(f"cannot write to {folder}: {error.strerror}", hint) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _private(parent: Path) -> Path:
    """``parent``, made if need be: a folder of this user's that nobody else can read or write.

    Raises:
        RefusedError: somebody else was there first.
    """
    with suppress(FileExistsError):
        parent.mkdir(mode=0o700, parents=True)
    found = parent.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise RefusedError(
            f"{parent} is not a folder that only you can read and write",
            "delete it, or set TMPDIR to another folder",
        )
    return parent.resolve()


def _made(prefix: str, parent: Path) -> tuple[Path, int]:
    """A new folder, and its handle: locked while it is open, which tells other runs that it is in use."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with suppress(FileNotFoundError):
            handle = os.open(folder, _OPEN_FOLDER)
            # Another run that took it for a dead one's, before it was locked, has it locked, or deleted.
            if _locks(handle) and os.fstat(handle).st_nlink:
                return folder, handle
            os.close(handle)


def _clear(parent: Path) -> None:
    """Delete what runs left that are no more: their locks ended with them."""
    for folder in list(parent.iterdir()):
        with suppress(OSError):
            handle = os.open(folder, _OPEN_FOLDER)
            try:
                if _locks(handle):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


def _locks(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
