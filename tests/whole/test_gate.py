"""The gate before a push: what stops it and what does not, and that `verify` ends as `all` does."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from checks import registry
from checks.model import Model
from tasks import commands
from tasks.core.errors import InternalError, PlaybookError
from tasks.core.outcomes import Cause, Outcome, Status, failed, passed, unknown
from tasks.core.reporting import reported
from tasks.core.settings import Charts, Parseable, Settings, Vector
from tasks.verifying.answers import Questions
from tasks.workspace import Permissions
from tests.checks.memory import Memory
from tests.checks.test_links import (
    Place,
    _programs,  # noqa: F401
    answers,  # noqa: F401
    chart_cache,  # noqa: F401
    finished,  # noqa: F401
    mirror,  # noqa: F401
)
from tests.playground import APPS, ROOT
from tests.storage import Storage
from tests.tools import helm_folder  # noqa: F401

PODINFO = "kubernetes/apps/default/podinfo"
Run = Callable[[Model], Outcome | Iterable[Outcome]]


class Gate:
    """A finished repository with its remote, in which a run has one manifest to change, and to push."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.cache = folder / "cache"
        self.root = place.root
        # What differs from the finished repository is what the run writes.
        self.settings = dataclasses.replace(place.settings, parseable=Parseable(cpu_request="400m"))

    def run(self, command: Callable[[Settings, commands.Options], object]) -> PlaybookError | None:
        """How a command ends: with an error, or well."""
        try:
            with reported():
                command(self.settings, commands.Options(yes=True, permissions=Permissions(force=True)))
        except PlaybookError as error:
            return error
        return None

    def all(self) -> PlaybookError | None:
        return self.run(commands.run_all)

    def plan(self) -> PlaybookError | None:
        return self.run(commands.plan)

    def last_task(self) -> PlaybookError | None:
        return self.task("TASK-011")

    def task(self, name: str) -> PlaybookError | None:
        return self.run(
            lambda settings, options: commands.run_one(settings, options, name, with_prerequisites=False)
        )

    def verify(self, *, as_json: bool = False) -> PlaybookError | None:
        def command(settings: Settings, options: commands.Options) -> None:
            commands.verify(settings, dataclasses.replace(options, as_json=as_json), Questions())

        return self.run(command)

    def commit(self, message: str = "Another") -> None:
        self.git("add", "--all")
        self.git("commit", "-qm", message)
        self.git("push", "-q")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(("git", *arguments), cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout

    def heads(self) -> tuple[str, str]:
        """Where the branch is here, and on the remote."""
        return self.git("rev-parse", "HEAD"), self.git("ls-remote", "origin", "refs/heads/main")

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text()
        assert old in text
        (self.root / path).write_text(text.replace(old, new))


@pytest.fixture
def gate(
    finished: Path,  # noqa: F811
    tmp_path: Path,
    storage: Storage,
    mirror: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> Gate:
    folder = tmp_path / "play"
    shutil.copytree(finished.parent, folder)
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(folder / "age.key"))
    monkeypatch.setenv("S3_ACCESS_KEY_ID", "access-of-owner")
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "secret-of-owner")
    made = Gate(folder, Place(folder / finished.name, storage.endpoint, mirror))
    made.git("remote", "set-url", "origin", str(folder / "remote.git"))
    return made


def answer(monkeypatch: pytest.MonkeyPatch, run: Run, name: str = "storage") -> None:
    """Have a check answer with ``run``."""
    monkeypatch.setitem(registry.CHECKS, name, dataclasses.replace(registry.CHECKS[name], run=run))


# --- every answer, at the real gate -----------------------------------------------------------------------

ANSWERS = [
    (passed("fine"), False),
    (failed("wrong", "it breaks", "mend it"), True),
    (Outcome(Status.NOTE, "theirs"), False),
    (Outcome(Status.ERROR, "a bug", "nothing is known", "report it"), True),
    *((unknown("not known", cause), cause is Cause.REPOSITORY) for cause in Cause),
]


@pytest.mark.parametrize(
    ("outcome", "stops"),
    ANSWERS,
    ids=lambda value: getattr(value, "cause", None) or getattr(value, "status", ""),
)
def test_what_stops_a_push_fails_verify_and_nothing_else_does(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, stops: bool
) -> None:
    answer(monkeypatch, lambda _: outcome)
    before = gate.heads()
    refused = gate.all()
    assert (refused is not None) == stops
    assert (gate.heads() == before) == stops
    if refused is not None:
        assert refused.exit_code == 1
        assert refused.summary.startswith("the planned result ")
        assert refused.summary.endswith("; nothing was written")
        assert f" check storage: {outcome.evidence}" in refused.summary
    shown = gate.verify()
    assert (shown is not None) == stops
    assert shown is None or (shown.exit_code == 1 and "storage" in shown.summary)


# --- what real causes become ------------------------------------------------------------------------------


def as_it_is(gate: Gate, programs: Path) -> None:
    """Much is unknown there, because only the cluster knows it."""


def no_helm(gate: Gate, programs: Path) -> None:
    (programs / "helm").unlink()


def no_kubectl(gate: Gate, programs: Path) -> None:
    (programs / "kubectl").unlink()


def no_charts(gate: Gate, programs: Path) -> None:
    shutil.rmtree(gate.cache)
    gate.settings = dataclasses.replace(gate.settings, charts=Charts())


def a_variable_of_the_cluster(gate: Gate, programs: Path) -> None:
    gate.edit(f"{PODINFO}/ks.yaml", "path: ./kubernetes/apps/default/podinfo/app", "path: ./${WHERE}/app")
    gate.commit()


def an_odd_document_of_others(gate: Gate, programs: Path) -> None:
    gate.edit(f"{PODINFO}/ks.yaml", "  sourceRef:\n", "  sourceRef: home-kubernetes\n  other:\n")
    gate.commit()


def a_chart_that_is_not_listed(gate: Gate, programs: Path) -> None:
    gate.settings = dataclasses.replace(gate.settings, vector=Vector(chart_version="0.35.9"))


def both(gate: Gate, programs: Path) -> None:
    an_odd_document_of_others(gate, programs)
    a_chart_that_is_not_listed(gate, programs)


def a_dependency_on_nothing(gate: Gate, programs: Path) -> None:
    """A parent patches it into our Kustomizations, so that no run of the playbook takes it out."""
    patch = (
        "  patches:\n    - target: {kind: Kustomization, name: vector}\n"
        "      patch: |\n        - {op: add, path: /spec/dependsOn, value: [{name: nowhere}]}\n"
    )
    gate.edit("kubernetes/flux/cluster/ks.yaml", "  patches:\n", patch)
    gate.commit()


def a_file_that_is_not_yaml(gate: Gate, programs: Path) -> None:
    gate.edit(f"{APPS}/grafana/ks.yaml", "  interval:", "\tinterval:")
    gate.commit()


@pytest.mark.parametrize(
    ("cause", "stops"),
    [
        (as_it_is, False),
        (no_helm, False),
        (no_kubectl, False),
        (no_charts, False),
        (a_variable_of_the_cluster, False),
        (an_odd_document_of_others, False),
        (a_chart_that_is_not_listed, True),
        (both, True),
        (a_dependency_on_nothing, True),
        (a_file_that_is_not_yaml, True),
    ],
)
def test_verify_ends_as_all_does(
    gate: Gate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: Memory,  # noqa: F811
    cause: Callable[[Gate, Path], None],
    stops: bool,
    request: pytest.FixtureRequest,
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "sops", "kubectl", "helm"):
        (programs / name).symlink_to(str(shutil.which(name)))
    shutil.copytree(os.environ["XDG_CACHE_HOME"], gate.cache)
    monkeypatch.setenv("XDG_CACHE_HOME", str(gate.cache))
    cause(gate, programs)
    monkeypatch.setenv("PATH", str(programs))
    if cause in (no_helm, no_kubectl):
        # What these made of the same before is remembered, and asked anew for this test.
        kept = dict(answers)
        answers.clear()
        request.addfinalizer(lambda: answers.update(kept))
    before = gate.heads()
    refused = gate.all()
    assert (refused is not None) == stops, refused
    assert (gate.heads() == before) == stops
    planned, shown = gate.plan(), gate.verify()
    assert (planned is not None) == stops, planned
    assert (shown is not None) == stops, shown


# --- a bug in a check -------------------------------------------------------------------------------------


def wrong_type(model: Model) -> Outcome:
    return passed(model.settings.s3.bucket + 5)  # type: ignore[operator]


def missing_key(model: Model) -> Outcome:
    nothing: dict[str, str] = {}
    return passed(nothing[model.settings.s3.bucket])


def endless(model: Model) -> Outcome:
    return endless(model)


def generating(model: Model) -> Iterable[Outcome]:
    yield passed("as far as that goes")
    yield wrong_type(model)


@pytest.mark.parametrize(
    ("name", "bug", "kind"),
    [
        ("storage", wrong_type, "TypeError"),
        ("DoD-004-02", missing_key, "KeyError"),
        ("storage", endless, "RecursionError"),
        ("DoD-004-02", generating, "TypeError"),
    ],
)
def test_a_bug_in_a_check_stops_a_push(
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    bug: Run,
    kind: str,
    name: str,
) -> None:
    before = gate.heads()
    sound = registry.CHECKS[name]
    answer(monkeypatch, bug, name)
    for run in (gate.plan, gate.all, gate.last_task):
        if run == gate.last_task:
            # What it is to commit has been written without the bug.
            monkeypatch.setitem(registry.CHECKS, name, sound)
            assert gate.task("TASK-003") is None
            answer(monkeypatch, bug, name)
        refused = run()
        assert refused is not None
        assert refused.exit_code in (1, 3)
        assert f" a bug in check {name}: {name} broke: {kind} in " in refused.summary
        assert f"{__name__} line " in refused.summary
        assert "README says where (Reporting a bug)" in refused.hint
        # Nothing of what it worked on: it may be a secret.
        assert gate.settings.s3.bucket not in refused.summary
    assert gate.heads() == before
    capsys.readouterr()
    shown = gate.verify(as_json=True)
    assert shown is not None
    assert shown.exit_code == 1
    assert name in shown.summary
    checks = {one["id"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert checks[name]["status"] == "error"
    assert checks[name]["stops_push"] is True
    assert checks[name]["evidence"].startswith(f"{name} broke: {kind} in ")
    assert "Reporting a bug" in checks[name]["remedy"]
    # The others answer as before.
    assert [one for one in checks.values() if one["stops_push"]] == [checks[name]]


# --- a bug elsewhere --------------------------------------------------------------------------------------

# Runs a command with a bug put in.
PREPARED = """
import sys
bug = sys.argv.pop(1)
import tasks.commands, tasks.steps, tasks.workspace, tasks.core.console, dataclasses
def broken(*given, **named):
    {}["AKIA-secret"]
if bug == "facts":
    steps = tasks.steps.STEPS
    steps["TASK-008"] = dataclasses.replace(steps["TASK-008"], facts=broken)
elif bug == "discover":
    tasks.workspace.discover = broken
else:
    setattr(tasks.core.console.Console, bug, broken)
from invoke.main import program
program.run(["invoke", *sys.argv[1:]])
"""


@pytest.mark.parametrize(
    ("bug", "command"),
    [
        ("facts", ["status"]),
        ("facts", ["all", "--yes", "--offline", "--json"]),
        ("discover", ["plan"]),
        ("show_verdicts", ["verify", "--offline"]),
        ("proved", ["all", "--yes", "--offline"]),
        ("say", ["graph"]),
    ],
)
def test_a_bug_elsewhere_is_one_line(gate: Gate, bug: str, command: list[str]) -> None:
    before = gate.heads()
    where = [] if command == ["graph"] else ["--repo", str(gate.root)]
    done = subprocess.run(
        (sys.executable, "-c", PREPARED, bug, *command, *where),
        cwd=ROOT,
        env={
            **os.environ,
            "INVOKE_S3_ENDPOINT": gate.settings.s3.endpoint,
            "INVOKE_S3_BUCKET": gate.settings.s3.bucket,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "AKIA" not in done.stderr + done.stdout
    error, hint = done.stderr.splitlines()[-2:]
    assert error.startswith("error: internal error: KeyError in __main__ line 6 < ")
    assert error.endswith(" (this is a bug of parseable-playbook)")
    assert hint == "  hint: report it with this line: the README says where (Reporting a bug)"
    if "--json" in command:
        assert json.loads(done.stdout)["error"]["message"] == error.removeprefix("error: ")
    assert gate.heads() == before


def test_what_is_raised_deep_is_told_by_its_last_lines() -> None:
    with pytest.raises(InternalError) as caught, reported():
        endless(None)  # type: ignore[arg-type]
    assert caught.value.summary.count(f"{__name__} line ") == 6
