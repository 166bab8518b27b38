import multiprocessing
import resource
from pathlib import Path

import pytest

from tasks.core.errors import RefusedError
from tasks.effects.lock import locked


def hold(directory: Path, ready: "multiprocessing.synchronize.Event") -> None:
    with locked(directory, "invoke all"):
        ready.set()
        multiprocessing.Event().wait()


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    first = context.Process(target=hold, args=(tmp_path, ready))
    first.start()
    try:
        assert ready.wait(20)
        with pytest.raises(RefusedError) as caught, locked(tmp_path, "invoke task-001"):
            pass
        assert "'invoke all' by" in caught.value.summary
        assert f"process {first.pid}" in caught.value.summary
    finally:
        first.kill()
        first.join()
    # The kernel frees the lock of a run that was killed.
    with locked(tmp_path, "invoke all"):
        pass


def test_it_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path, "invoke all"):
            pass
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0]


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="cannot lock the repository"), locked(tmp_path / "gone", "x"):
        pass


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    # As on a full disk, the file can be made, but nothing written to it.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(RefusedError, match=r"cannot lock the repository: .*too large") as caught:
            locked(tmp_path, "invoke all").__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "free some space" in caught.value.hint
    with locked(tmp_path, "invoke all"):
        pass
