"""Commands that only look, settings errors, and what a terminal sees."""

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from checks.registry import CHECKS
from tests import shapes
from tests.playground import APPS, GRAFANA, ROOT, Playground, without_login
from tests.whole.conftest import PlaygroundMaker


def test_plan_changes_nothing_and_shows_everything(play: Playground) -> None:
    before, head = play.tree(), play.head()
    refs = play.git("for-each-ref")
    stat = {path: path.stat().st_mtime_ns for path in (play.root / ".git").rglob("*")}
    done = play.on_repository("plan")
    assert done.code == 5
    assert (play.tree(), play.head(), play.git("for-each-ref")) == (before, head, refs)
    assert {path: path.stat().st_mtime_ns for path in (play.root / ".git").rglob("*")} == stat
    assert not play.s3().facts().exists
    for path in (f"{APPS}/parseable/ks.yaml", f"{APPS}/kustomization.yaml", GRAFANA):
        assert f"+++ b/{path}" in done.out
    assert f"create bucket '{play.bucket}'" in done.out
    assert "push main to origin/main" in done.out
    assert "ENC[" not in done.out


def test_what_was_shown_is_what_is_done(play: Playground) -> None:
    shown = play.on_repository("plan", "--json").data
    done = play.all("--json").data
    for planned, made in zip(shown["tasks"], done["tasks"], strict=True):
        assert without_login(planned["changes"]) == without_login(made["changes"])
    assert [task["state"] for task in shown["tasks"]] == ["changes"] * 11


def test_plan_names_what_blocks(playground: PlaygroundMaker) -> None:
    play = playground(shapes.none_of_it)
    done = play.on_repository("plan", "--json")
    assert done.code == 4
    states = {task["id"]: (task["state"], task["blocked_by"]) for task in done.data["tasks"]}
    assert states["TASK-001"] == ("changes", None)
    assert states["TASK-002"] == ("blocked", None)
    assert states["TASK-005"][0] == "blocked"
    assert done.data["tasks"][9]["error"]["exit_code"] == 4


def test_status(play: Playground) -> None:
    before = play.on_repository("status")
    assert before.code == 0
    assert "Progress 0/11" in before.out
    assert len(re.findall(r"(?m)^TASK-\d{3} .* not started *$", before.out)) == 11
    assert "fail" not in before.out
    assert play.on_repository("task-001").code == 0
    assert "Progress 1/11" in play.on_repository("status").out
    assert play.all().code == 0
    after = play.on_repository("status")
    assert "Progress 11/11" in after.out
    assert len(re.findall(r"(?m)^TASK-\d{3} .* done ", after.out)) == 11
    assert all(len(line) <= 80 for line in after.out.splitlines())


def test_status_without_credentials_says_so(done: Playground) -> None:
    shown = done.on_repository("status", S3_ACCESS_KEY_ID=None, S3_SECRET_ACCESS_KEY=None)
    assert shown.code == 0
    assert "TASK-001: no S3 credentials" in shown.out
    assert "hint: set S3_ACCESS_KEY_ID" in shown.out
    # What does not need them is known.
    assert "Progress 10/11" in shown.out


def test_verify(play: Playground) -> None:
    nothing = play.verify("--json")
    assert nothing.code == 1
    assert play.all().code == 0
    found = play.verify("--json")
    assert found.code == 0
    statuses = {check["id"]: check["status"] for check in found.data["checks"]}
    assert set(CHECKS) == set(statuses)
    assert "fail" not in statuses.values()
    assert statuses["DoD-001-03"] == statuses["DoD-004-02"] == statuses["DoD-008-03"] == "pass"
    assert statuses["DoD-011-02"] == "unknown"
    assert all(check["evidence"] for check in found.data["checks"])
    assert play.verify("--strict").code == 1


def test_verify_leaves_no_probe_behind(done: Playground) -> None:
    assert done.verify("--only", "DoD-001-02").code == 0
    client = done.s3()._client
    assert client.list_objects_v2(Bucket=done.bucket)["KeyCount"] == 0


def test_verify_some(done: Playground) -> None:
    only = done.verify("--only", "dod-004-02,DoD-001-03", "--json").data
    assert [check["id"] for check in only["checks"]] == ["DoD-001-03", "DoD-004-02"]
    for name in ("4", "004", "TASK-004"):
        task = done.verify("--task", name, "--json").data
        assert [check["id"] for check in task["checks"]] == ["DoD-004-01", "DoD-004-02", "DoD-004-03"]
    assert done.verify("--task", "012").code == 2
    assert done.verify("--only", "DoD-099-01").code == 2


def test_an_empty_choice_is_an_error(done: Playground) -> None:
    none = done.verify("--task", "004", "--only", "DoD-001-01")
    assert none.code == 2
    assert "none of DoD-001-01 belongs to 004" in none.err


@pytest.mark.parametrize(
    ("arguments", "environment", "code"),
    [
        (["all", "--json", "--yes"], {"S3_SECRET_ACCESS_KEY": "wrong"}, 4),
        (["all", "--json"], {}, 2),
        (["task-011", "--json"], {}, 3),
        (["status", "--json"], {"INVOKE_S3_BUKET": "x"}, 2),
        (["plan", "--json", "--repo", "/nowhere"], {}, 2),
    ],
)
def test_a_failure_is_json_too(
    play: Playground, arguments: list[str], environment: dict[str, str], code: int
) -> None:
    done = play.invoke(*arguments) if "--repo" in arguments else play.on_repository(*arguments, **environment)
    assert done.code == code
    assert done.data["error"]["exit_code"] == code
    assert done.data["error"]["message"] in done.err


def test_verify_shows_failures_first(done: Playground) -> None:
    path = f"{APPS}/vector/app/configmap.yaml"
    done.write(path, done.read(path).replace("X-P-Stream: kubernetes", "X-P-Stream: other"))
    shown = done.verify()
    assert shown.code == 1
    assert shown.out.startswith("FAIL    DoD-008-03")
    assert "after a push: " in shown.out
    assert "do: invoke task-008" in shown.out
    assert f"1 of {len(CHECKS)} checks fail: DoD-008-03" in shown.err


def test_graph(play: Playground) -> None:
    assert "└─ TASK-011" in play.invoke("graph").out
    assert "TASK-006 --> TASK-007" in play.invoke("graph", "--mermaid").out
    assert play.invoke("graph", "--json").data["TASK-007"] == ["TASK-005", "TASK-006"]


def test_list_names_every_command(play: Playground) -> None:
    listed = play.invoke("--list").out
    for name in ("all", "plan", "verify", "status", "graph", "demo", "task-001", "task-011"):
        assert re.search(rf"(?m)^  {name}\s", listed)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("missing.yaml", None, "no settings file"),
        ("wrong.yaml", "s3: {buket: x}\n", "unknown setting 's3.buket' in"),
        ("broken.yaml", "s3: {bucket: [\n", "broken.yaml cannot be loaded"),
        ("list.yaml", "- s3\n", "settings file"),
        ("scalar.yaml", "s3: logs\n", "'s3' in"),
        ("empty.yaml", "s3:\n", "'s3' in"),
        ("section.yaml", "parsable: {stream: x}\n", "unknown setting 'parsable' in"),
        ("same.yaml", "vector: {name: parseable}\n", "parseable.name and vector.name are both"),
        ("settings.ini", "", "settings.ini cannot be loaded"),
        (
            "twice.yaml",
            "s3:\n  bucket: abc\n  region: x\n  bucket: abd\n",
            "s3.bucket is set twice in settings",
        ),
        ("sections.yaml", "s3: {}\nvector: {}\ns3: {}\n", "sections.yaml: in lines 1 and 3"),
        (
            "merged.yaml",
            'charts: {mirrors: {"http://x": a, "http://x": b}}\n',
            "charts.mirrors.http://x is set",
        ),
        ("twice.json", '{"s3":\n\t{"bucket": "abc", "bucket": "abd"}}\n', "twice.json: in lines 2 and 2"),
        ("broken.json", "{", "broken.json cannot be loaded"),
        ("program.py", "s3 = {'bucket': 'abc'}\n", "program.py is a program"),
        ("failing.py", "1/0\n", "failing.py cannot be loaded: division by zero"),
        ("number.yaml", "charts: {mirrors: {5: x}}\n", "number.yaml must map URLs of chart repositories"),
        ("top.yaml", "5: x\n", "unknown setting '5' in"),
        ("invokes.yaml", "run: 5\n", "Invoke's own settings cannot be used"),
        ("variable.yaml", "run: {env: {5: x}}\n", "Invoke's own settings cannot be used"),
    ],
)
def test_settings_files(play: Playground, tmp_path: Path, name: str, text: str | None, message: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    done = play.invoke("-f", str(path), "status", "--repo", str(play.root))
    assert done.code == 2, done.err
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.err.startswith("error: ")


def test_a_file_that_invoke_cannot_load_is_told_as_json_too(play: Playground, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("s3: {bucket: [\n")
    done = play.invoke("-f", str(tmp_path / "broken.yaml"), "status", "--json", "--repo", str(play.root))
    assert done.code == 2
    assert "broken.yaml cannot be loaded" in done.data["error"]["message"]


def test_json_is_a_settings_file_too(play: Playground, tmp_path: Path) -> None:
    (tmp_path / "my.json").write_text('{"gitops":\t{"path":\n\t\t"work"}}\n')
    assert play.invoke("-f", str(tmp_path / "my.json"), "status").code == 0


def test_a_variable_counts_over_every_file_and_a_flag_over_all(play: Playground, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("gitops: {path: /none}\ns3: {bucket: of-the-file, retention_days: 8}\n")
    (Path(os.environ["HOME"]) / ".invoke.yaml").write_text("s3: {bucket: of-the-user, region: users}\n")
    shown = play.invoke(
        "-f", str(tmp_path / "my.yaml"), "plan", "--repo", str(play.root),
        INVOKE_S3_BUCKET="of-the-variable",
    )  # fmt: skip
    assert "create bucket 'of-the-variable' at" in shown.out
    assert "(region users)" in shown.out
    assert "after 8 days" in shown.out
    wrong = play.invoke("-f", str(tmp_path / "my.yaml"), "plan", INVOKE_GITOPS_PATH="/of-the-variable")
    assert "no folder /of-the-variable" in wrong.err


def test_the_file_of_a_repository_counts_over_the_users_own(play: Playground, tmp_path: Path) -> None:
    (Path(os.environ["HOME"]) / ".invoke.yaml").write_text("s3: {bucket: of-the-user, region: users}\n")
    play.write(".parseable-playbook.yaml", "s3: {bucket: of-the-repository, retention_days: 8}\n")
    nothing = {"INVOKE_S3_BUCKET": None}
    shown = play.on_repository("plan", **nothing)
    assert "create bucket 'of-the-repository' at" in shown.out
    assert "(region users)" in shown.out
    assert "after 8 days" in shown.out
    (tmp_path / "my.yaml").write_text(f"gitops: {{path: {play.root}}}\ns3: {{bucket: of-this-run}}\n")
    shown = play.invoke("-f", str(tmp_path / "my.yaml"), "plan", **nothing)
    assert "create bucket 'of-this-run' at" in shown.out
    assert "after 8 days" in shown.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s3: {bucket: [\n", ".parseable-playbook.yaml cannot be loaded: 2:1"),
        ("s3: {}\ns3: {}\n", ".parseable-playbook.yaml: in lines 1 and 2"),
        ("gitops: {path: .}\n", "gitops.path in"),
        ("- s3\n", "must hold a mapping of sections"),
    ],
)
def test_a_wrong_file_of_a_repository(play: Playground, text: str, message: str) -> None:
    play.write(".parseable-playbook.yaml", text)
    refused = play.on_repository("status", "--json")
    assert refused.code == 2
    assert message in refused.data["error"]["message"]
    assert str(play.root) in refused.err


def test_what_other_projects_say_twice_is_theirs(play: Playground) -> None:
    own = Path(os.environ["HOME"]) / ".invoke.yaml"
    own.write_text("fleet: {a: 1, a: 2}\nfleet: {a: 3}\n")
    assert play.on_repository("status").code == 0
    own.write_text("s3: {bucket: abc}\ns3: {bucket: abd}\n")
    assert "s3 is set twice in settings file" in play.on_repository("status").err


def test_a_path_in_a_settings_file_is_taken_from_its_folder(play: Playground) -> None:
    path = play.folder / "settings" / "my.yaml"
    path.parent.mkdir()
    path.write_text("gitops: {path: ../work}\n")
    assert play.invoke("-f", str(path), "status").code == 0


def test_settings_from_a_file(play: Playground, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(f"gitops: {{path: {play.root}}}\nparseable: {{memory_limit: 4Gi}}\n")
    assert play.invoke("-f", str(path), "all", "--yes", "--offline").code == 0
    release = play.load(f"{APPS}/parseable/app/helmrelease.yaml")
    assert release["spec"]["values"]["parseable"]["resources"]["limits"]["memory"] == "4Gi"


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("INVOKE_S3_BUKET", "INVOKE_S3_BUKET"),
        ("INVOKE_S3_RETENTION_DAYS", "INVOKE_S3_RETENTION_DAYS"),
        ("INVOKE_PARSABLE_STREAM", "INVOKE_PARSABLE_STREAM"),
        ("INVOKE_S3BUCKET", "INVOKE_S3BUCKET"),
        ("INVOKE_RUN_WATCHERS", "Invoke's own settings cannot be used"),
    ],
)
def test_a_wrong_variable(play: Playground, variable: str, message: str) -> None:
    done = play.on_repository("status", **{variable: "soon"})
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


# Nobody is there to leave a pager.
_TERMINAL = {"TERM": "xterm", "COLUMNS": "80", "PAGER": "cat"}


def on_terminal(
    play: Playground, *arguments: str, answers: dict[str, str], **environment: str | None
) -> tuple[int, str]:
    """Run a command on its own terminal and answer its questions; the exit code and what was shown."""
    leader, follower = pty.openpty()
    variables = {**os.environ, **play.environment, **_TERMINAL, **environment}
    process = subprocess.Popen(
        # Of a session whose terminal it is: passwords are read from there.
        ("setsid", "--ctty", sys.executable, "-m", "invoke", *arguments, "--repo", str(play.root)),
        cwd=ROOT,
        env={name: value for name, value in variables.items() if value is not None},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    shown, waiting = b"", dict(answers)
    # A closed terminal is an error to read from.
    with contextlib.suppress(OSError):
        while data := os.read(leader, 4096):
            shown += data
            for question in [question for question in waiting if question.encode() in shown]:
                os.write(leader, f"{waiting.pop(question)}\n".encode())
    os.close(leader)
    return process.wait(), shown.decode()


def test_credentials_are_asked_for_and_not_shown(play: Playground) -> None:
    answers = {
        "S3 access key: ": play.access_key,
        "S3 secret key (not shown): ": play.secret_key,
        "Do this?": "y",
    }
    nothing = {"S3_ACCESS_KEY_ID": None, "S3_SECRET_ACCESS_KEY": None}
    code, shown = on_terminal(play, "all", "--offline", answers=answers, **nothing)
    assert code == 0, shown
    assert shown.count("S3 access key: ") == 1
    assert play.secret_key not in shown
    assert play.decrypted()["S3_SECRET_ACCESS_KEY"] == play.secret_key


def test_the_approval_gate(play: Playground) -> None:
    before = play.tree()
    code, shown = on_terminal(play, "all", "--offline", answers={"Do this?": "n"})
    assert code == 1
    assert "not approved; nothing was changed" in shown
    assert shown.startswith(f"looking at {play.root} and bucket {play.bucket} at {play.endpoint}")
    assert "push main to origin/main" in shown
    assert play.tree() == before
    # The diffs are there for who asks for them.
    assert "+++ b/" not in shown
    code, shown = on_terminal(play, "all", "--offline", answers={"Do this?": "d", "+++ b/": "n"})
    assert code == 1
    assert shown.count("Do this?") == 2
    assert play.tree() == before
    code, shown = on_terminal(play, "all", "--offline", answers={"Do this?": "y"})
    assert code == 0
    assert "11/11 done" in shown
    assert "\x1b[" in shown
    # Nothing to change: nothing to ask.
    code, shown = on_terminal(play, "all", "--offline", answers={"Do this?": "n"})
    assert (code, "Do this?" in shown) == (0, False)


def test_colour_is_for_terminals_only(play: Playground) -> None:
    assert "\x1b[" not in play.on_repository("plan").out
    play.environment["NO_COLOR"] = "1"
    _, shown = on_terminal(play, "plan", answers={})
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)
