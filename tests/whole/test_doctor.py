"""`doctor` as a command: what it says of a machine, and that nothing ends it in a traceback."""

from pathlib import Path

import pytest

from tests.playground import Playground


def test_all_is_there(play: Playground) -> None:
    done = play.on_repository("doctor", "--offline", "--json")
    assert done.code == 0, done.out
    assert all(task["can_run"] for task in done.data["tasks"])
    assert {part["state"] for part in done.data["parts"]} <= {"ok", "optional"}


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({"HOME": None, "TMPDIR": "/nowhere"}, set()),
        ({"S3_SECRET_ACCESS_KEY": "wrong"}, {"S3 server"}),
        ({"INVOKE_S3_BUKET": "x"}, {"repository"}),
    ],
)
def test_no_state_of_the_machine_ends_it(
    play: Playground, environment: dict[str, str | None], missing: set[str]
) -> None:
    done = play.on_repository("doctor", "--offline", "--json", **environment)
    assert done.code == (3 if missing else 0), done.out
    assert {part["name"] for part in done.data["parts"] if part["state"] == "missing"} == missing
    assert "Traceback" not in done.err
    assert "internal error" not in done.out


def test_a_broken_repository(play: Playground, tmp_path: Path) -> None:
    (play.root / ".git/HEAD").write_text("nonsense")
    broken = play.on_repository("doctor", "--offline")
    assert broken.code == 3
    assert "missing   repository:" in broken.out
    assert "can run now: nothing" in broken.out
    none = play.invoke("doctor", "--offline", "--repo", str(tmp_path / "nowhere"))
    assert none.code == 3
    assert "no folder" in none.out
