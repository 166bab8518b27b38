"""One run at a time on one repository: a lock file in its git directory that the kernel frees when we end."""

import fcntl
import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tasks.core.errors import RefusedError, refused_by_system

_NAME = "parseable-playbook.lock"


@contextmanager
def locked(directory: Path, command: str) -> Iterator[None]:
    """Hold the lock of the repository whose git directory is ``directory`` while the block runs.

    Raises:
        RefusedError: another run holds it (who, since when), or the git directory cannot be written to.
    """
    path = directory / _NAME
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise refused_by_system(f"cannot lock the repository: {path}", error) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(handle, 0)
            os.write(handle, json.dumps(_self(command)).encode())
        except BlockingIOError:
            raise RefusedError(
                f"another run works on this repository: {_holder(path)}", "wait for it, or end it"
            ) from None
        except OSError as error:
            raise refused_by_system(f"cannot lock the repository: {path}", error) from None
        try:
            yield
        finally:
            # Emptied, not removed: a second run may be about to lock this very file.
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _self(command: str) -> dict[str, object]:
    return {
        "command": command,
        "pid": os.getpid(),
        "user": _user(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A number without a name, as in a container.
        return str(os.getuid())


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return "'{command}' by {user} on {host}, process {pid}, since {since}".format_map(holder)
    except (OSError, ValueError, KeyError, TypeError):
        return "it has not yet said who it is"
