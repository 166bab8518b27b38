"""Fixtures of the tests of whole commands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.playground import Playground
from tests.storage import Storage, credentials

PlaygroundMaker = Callable[..., Playground]


@pytest.fixture
def playground(storage: Storage, tmp_path: Path) -> PlaygroundMaker:
    """Make a playground, in a layout of its own if asked."""

    def make(shape: Callable[[Path], None] | None = None) -> Playground:
        owner = credentials("owner")
        keys = (owner.access_key.reveal(), owner.secret_key.reveal())
        return Playground.make(tmp_path, storage.endpoint, keys, shape)

    return make


@pytest.fixture
def play(playground: PlaygroundMaker) -> Playground:
    """A playground with the documented layout."""
    return playground()


@pytest.fixture
def done(play: Playground) -> Playground:
    """A playground with everything done, committed and pushed."""
    result = play.all()
    assert result.code == 0, result.err
    return play
