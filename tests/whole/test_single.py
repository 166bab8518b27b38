"""Single tasks: step by step, prerequisites, and the refusals of the S3 server as a user sees them."""

from dataclasses import dataclass

import pytest

from tests.playground import APPS, Playground
from tests.s3_double import Minio, serving
from tests.storage import Storage
from tests.whole.conftest import PlaygroundMaker

STEPS = [f"task-{number:03}" for number in range(1, 12)]


def test_one_step_at_a_time_ends_where_all_does(play: Playground) -> None:
    for step in STEPS:
        done = play.on_repository(step)
        assert done.code == 0, done.err
        assert done.out.startswith("1/1 done, ")
    assert play.git("status", "--porcelain") == ""
    assert play.head() == play.remote_head()
    assert play.all().out == "11/11 done, nothing to change\n"


def test_the_scaffold_leaves_an_empty_app_folder(play: Playground) -> None:
    play.on_repository("task-001")
    assert play.on_repository("task-002").code == 0
    folder = play.root / APPS / "parseable"
    assert sorted(path.name for path in folder.iterdir()) == ["app", "ks.yaml"]
    assert not list((folder / "app").iterdir())


@pytest.mark.parametrize(
    ("task", "missing"),
    [("task-002", "TASK-001"), ("task-004", "TASK-001"), ("task-011", "TASK-001")],
)
def test_the_first_missing_prerequisite_is_named(play: Playground, task: str, missing: str) -> None:
    before = play.tree()
    done = play.on_repository(task)
    assert done.code == 3
    assert f"{task.upper()} needs {missing}" in done.err
    assert f"invoke {missing.lower()}" in done.err
    assert play.tree() == before


def test_a_later_prerequisite_is_named_once_the_first_is_done(play: Playground) -> None:
    play.on_repository("task-001")
    done = play.on_repository("task-004")
    assert done.code == 3
    assert "TASK-004 needs TASK-002 (Create the Parseable folder structure), not done yet" in done.err


def test_tasks_without_prerequisites_run_at_once(play: Playground) -> None:
    assert play.on_repository("task-006", S3_ACCESS_KEY_ID=None, S3_SECRET_ACCESS_KEY=None).code == 0


def test_prerequisites_can_be_run_along(play: Playground) -> None:
    asked = play.on_repository("task-005", "--with-prerequisites")
    assert asked.code == 2
    done = play.on_repository("task-005", "--with-prerequisites", "--yes")
    assert done.code == 0
    assert done.out.startswith("5/5 done, ")
    assert not (play.root / APPS / "vector").exists()
    assert play.git("log", "--format=%s") == "Start the cluster"


@dataclass(frozen=True)
class Case:
    name: str
    environment: dict[str, str | None]
    code: int
    message: str


def test_what_the_s3_server_refuses(playground: PlaygroundMaker, storage: Storage) -> None:
    play = playground()
    play.s3().create()
    reader = {"S3_ACCESS_KEY_ID": "access-of-reader", "S3_SECRET_ACCESS_KEY": "secret-of-reader"}
    stranger = {"S3_ACCESS_KEY_ID": "access-of-stranger", "S3_SECRET_ACCESS_KEY": "secret-of-stranger"}
    with serving(Minio("eu-central-9")) as elsewhere:
        cases = [
            Case("unreachable", {"INVOKE_S3_ENDPOINT": "http://127.0.0.1:9"}, 4, "http://127.0.0.1:9"),
            Case("TLS", {"INVOKE_S3_ENDPOINT": storage.tls_endpoint}, 4, "is not trusted"),
            Case("key", {"S3_ACCESS_KEY_ID": "nobody"}, 4, "does not know the S3 access key"),
            Case("secret", {"S3_SECRET_ACCESS_KEY": "wrong"}, 4, "the S3 secret key"),
            Case("region", {"INVOKE_S3_ENDPOINT": elsewhere.endpoint}, 4, "eu-central-9"),
            Case("foreign", dict(stranger), 4, "belongs to another account"),
            Case("lifecycle", dict(reader), 4, "may not set the lifecycle"),
            Case("scheme", {"INVOKE_S3_ENDPOINT": "s3.68cc.io"}, 2, "must be a URL with its scheme"),
        ]
        for case in cases:
            done = play.on_repository("task-001", **case.environment)
            assert (done.code, case.message in done.err) == (case.code, True), (case.name, done.err)
            assert "Traceback" not in done.err
            assert "wrong" not in done.err or case.name != "secret"
