"""Fixtures of the tests of whole commands."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.playground import Playground
from tests.storage import Storage, credentials

PlaygroundMaker = Callable[..., Playground]


@pytest.fixture(scope="session")
def sample(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> Playground:
    """The documented layout, before any command; to be copied."""
    owner = credentials("owner")
    keys = (owner.access_key.reveal(), owner.secret_key.reveal())
    return Playground.make(tmp_path_factory.mktemp("sample"), storage.endpoint, keys)


@pytest.fixture(scope="session")
def rolled_out(sample: Playground, tmp_path_factory: pytest.TempPathFactory) -> Playground:
    """Everything done, committed and pushed; to be copied."""
    play = sample.copy(tmp_path_factory.mktemp("rolled-out"))
    result = play.all()
    assert result.code == 0, result.err
    return play


@pytest.fixture
def playground(sample: Playground, tmp_path: Path) -> Iterator[PlaygroundMaker]:
    """Make a playground, in a layout of its own if asked."""
    made = []

    def make(shape: Callable[[Path], None] | None = None, source: Playground = sample) -> Playground:
        play = source.copy(tmp_path)
        made.append(play)
        if shape is not None:
            play.reshape(shape)
        return play

    yield make
    for play in made:
        play.discard()


@pytest.fixture
def play(playground: PlaygroundMaker) -> Playground:
    """A playground with the documented layout."""
    return playground()


@pytest.fixture
def done(playground: PlaygroundMaker, rolled_out: Playground) -> Playground:
    """A playground with everything done, committed and pushed."""
    return playground(source=rolled_out)
