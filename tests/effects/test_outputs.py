"""What we wrote is known again by its bytes, and whatever happens to the record, nothing else is."""

import json
import os
from pathlib import Path

import pytest

from tasks.core.errors import RefusedError
from tasks.effects.outputs import Outputs, WriteOutput

RECORD = "parseable-playbook.written"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    return tmp_path / ".git"


def write(directory: Path, text: str, head: str | None = None, before: str | None = None) -> None:
    WriteOutput(directory.parent, "a.yaml", before, text, head, Outputs(directory)).apply()


def test_the_very_bytes_count_and_only_where_they_were_written(directory: Path) -> None:
    outputs = Outputs(directory)
    write(directory, "a: 1\n")
    write(directory, "a: 2\n", before="a: 1\n")
    # All that was written since the last commit: a run may be killed in between.
    assert [outputs.has("a.yaml", None, f"a: {one}\n") for one in (1, 2, 3)] == [True, True, False]
    assert not outputs.has("a.yaml", None, "a: 1\r\n")
    assert not outputs.has("b.yaml", None, "a: 1\n")
    assert not outputs.has("a.yaml", None, None)
    # Once it is committed, whoever brings an old text back means it.
    assert not outputs.has("a.yaml", "a: 2\n", "a: 1\n")
    write(directory, "a: 3\n", head="a: 2\n", before="a: 2\n")
    assert outputs.has("a.yaml", "a: 2\n", "a: 3\n")
    assert not outputs.has("a.yaml", None, "a: 1\n")


def test_it_is_noted_before_it_is_written(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory.parent / "a.yaml").write_text("somebody's\n")
    with pytest.raises(RefusedError):
        write(directory, "a: 1\n")
    assert Outputs(directory).has("a.yaml", None, "a: 1\n")
    assert (directory.parent / "a.yaml").read_text() == "somebody's\n"


@pytest.mark.parametrize(
    "record",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        '{"a.yaml": 1}',
        '{"a.yaml": {"head": "", "texts": {}}}',
        '{"a.yaml": {"head": "", "texts": [1, null]}}',
        '{"a.yaml": {"texts": ["x"]}}',
        "\x00\xff",
    ],
)
def test_a_record_that_is_broken_is_none(directory: Path, record: str) -> None:
    (directory / RECORD).write_bytes(record.encode("latin-1"))
    assert not Outputs(directory).has("a.yaml", None, "a: 1\n")
    write(directory, "a: 1\n")
    assert Outputs(directory).has("a.yaml", None, "a: 1\n")


def test_without_a_record_the_file_is_written_all_the_same(directory: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (directory / RECORD).symlink_to(outside)
    write(directory, "a: 1\n")
    assert (directory.parent / "a.yaml").read_text() == "a: 1\n"
    # No link is followed, and nothing is known of what was written.
    assert outside.read_text() == "mine"
    assert not Outputs(directory).has("a.yaml", None, "a: 1\n")


def test_a_pipe_or_folder_in_its_place_is_none(directory: Path) -> None:
    os.mkfifo(directory / RECORD)
    assert not Outputs(directory).has("a.yaml", None, "a: 1\n")
    (directory / RECORD).unlink()
    (directory / RECORD).mkdir()
    write(directory, "a: 1\n")
    assert not Outputs(directory).has("a.yaml", None, "a: 1\n")


def test_it_stays_small(directory: Path) -> None:
    for number in range(5):
        write(directory, f"a: {number}\n", head=str(number), before=f"a: {number - 1}\n" if number else None)
    (known,) = json.loads((directory / RECORD).read_text()).values()
    assert len(known["texts"]) == 1
