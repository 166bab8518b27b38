"""`verify` and the gate before a push, with the real helm and kubectl and charts from a folder."""

import os
import shutil
from pathlib import Path

import pytest
import yaml

from tests.charts import write_charts
from tests.playground import APPS, Done, Playground
from tests.tools import helm_folder as helm_folder  # noqa: PLC0414 (a fixture)

RELEASE = f"{APPS}/parseable/app/helmrelease.yaml"
VECTOR = "https://helm.vector.dev"
# Only the cluster, the network or a program that is not here can answer these.
OPEN = {
    "DoD-004-03",
    "DoD-005-02",
    "DoD-010-01",
    "DoD-010-03",
    "DoD-011-01",
    "DoD-011-02",
    "DoD-011-03",
    "DoD-011-04",
    "images",
    "plugin",
    "remap",
    # The Secret with the login of the sample's Grafana is made by hand.
    "references",
}

SERVICE = """---
apiVersion: v1
kind: Service
metadata:
  name: parseable
spec:
  selector:
    app: parseable
  ports:
    - port: 8000
"""


class Deployment:
    """A playground with helm, and a settings file that names a folder of charts for every repository."""

    def __init__(self, play: Playground, helm: Path) -> None:
        self.play = play
        self.charts = play.folder / "charts"
        self.charts.mkdir()
        write_charts(self.charts)
        play.environment["PATH"] = os.pathsep.join((str(helm), os.environ["PATH"]))
        self.settings = play.folder / "my.yaml"
        self.write_settings()

    def write_settings(self, **sections: object) -> None:
        """Write the settings file, with ``sections`` beside the mirrors."""
        mirrors = dict.fromkeys(
            ("https://charts.parseable.com", VECTOR, "https://grafana.github.io/helm-charts"), "charts"
        )
        self.settings.write_text(yaml.safe_dump({"charts": {"mirrors": mirrors}, **sections}))

    def run(self, command: str, *arguments: str) -> Done:
        """Run a command with the settings file, on the repository, without the network."""
        where = ("--repo", str(self.play.root), "--offline")
        return self.play.invoke("-f", str(self.settings), command, *where, *arguments)

    def edit(self, path: str, old: str, new: str) -> None:
        """Change a file of the repository."""
        text = self.play.read(path)
        assert old in text
        self.play.write(path, text.replace(old, new))


@pytest.fixture
def deployment(play: Playground, helm_folder: Path) -> Deployment:
    return Deployment(play, helm_folder)


@pytest.fixture
def deployed(done: Playground, helm_folder: Path) -> Deployment:
    return Deployment(done, helm_folder)


def test_what_the_playbook_writes_passes(deployed: Deployment) -> None:
    done = deployed.run("verify", "--json")
    assert done.code == 0, done.err
    answers = {(check["id"], check["status"]) for check in done.data["checks"]}
    # Vector may be installed here.
    assert {name for name, status in answers if status == "unknown"} | {"remap"} == OPEN
    assert {status for _, status in answers} == {"pass", "unknown"}


def test_a_failure_as_text_annotation_and_json(deployed: Deployment) -> None:
    deployed.edit(RELEASE, "store: s3-store", "store: {type: s3}")
    line = deployed.play.read(RELEASE).splitlines().index("      store: {type: s3}") + 1
    shown = deployed.run("verify", "--only", "charts")
    assert shown.code == 1
    assert shown.out.startswith("FAIL    charts  every chart exists and renders\n")
    assert f"        at: {RELEASE}:{line}\n" in shown.out
    assert "incompatible types for comparison" in shown.out
    assert "(parseable.store is a map)" in shown.out
    assert "error: 1 of 1 checks fail: charts" in shown.err
    annotated = deployed.run("verify", "--only", "charts", "--format", "github")
    assert annotated.code == 1
    assert annotated.out.startswith(f"::error file={RELEASE},line={line},title=charts::release parseable ")
    data = deployed.run("verify", "--only", "charts", "--json").data["checks"]
    assert {check["status"]: check["place"] for check in data}["fail"] == f"{RELEASE}:{line}"


def test_nothing_is_committed_that_would_not_run(deployment: Deployment) -> None:
    deployment.write_settings(vector={"chart_version": "0.35.9"})
    before, pushed = deployment.play.head(), deployment.play.remote_head()
    done = deployment.run("all", "--yes")
    assert done.code == 1
    assert "the planned result would fail check charts: " in done.err
    assert f"{VECTOR} " in done.err
    assert "does not list version 0.35.9 of chart vector" in done.err
    assert (deployment.play.head(), deployment.play.remote_head()) == (before, pushed)
    deployment.write_settings()
    again = deployment.run("all", "--yes")
    assert again.code == 0, again.err
    assert deployment.play.remote_head() == deployment.play.head() != before


def test_nothing_is_pushed_that_would_not_run(deployment: Deployment) -> None:
    assert deployment.run("all", "--yes", "--no-push").code == 0
    pushed = deployment.play.remote_head()
    # A commit of the user's, on top of ours and not pushed yet either, is what breaks it.
    deployment.edit(f"{APPS}/kustomization.yaml", "resources:\n", "resources:\n  - ./service.yaml\n")
    deployment.play.write(f"{APPS}/service.yaml", SERVICE)
    deployment.play.commit_all("Add a Service")
    done = deployment.run("all", "--yes")
    assert done.code == 1
    assert "TASK-011 failed check owners: Service monitoring/parseable is created twice: by " in done.err
    assert deployment.play.remote_head() == pushed


def test_what_would_be_pushed_is_judged_not_what_lies_about(deployment: Deployment) -> None:
    deployment.edit(f"{APPS}/kustomization.yaml", "resources:\n", "resources:\n  - ./service.yaml\n")
    deployment.play.commit_all("List a Service")
    deployment.play.write(f"{APPS}/service.yaml", SERVICE.replace("name: parseable", "name: other"))
    assert deployment.run("verify", "--only", "sources").code == 1
    pushed = deployment.play.remote_head()
    done = deployment.run("all", "--yes")
    assert done.code == 1
    assert "the planned result would fail check entries: entry ./service.yaml does not exist" in done.err
    assert deployment.play.remote_head() == pushed
    deployment.play.git("add", f"{APPS}/service.yaml")
    deployment.play.git("commit", "-qm", "Add it")
    assert deployment.run("all", "--yes").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--offline", "--online"], "--offline and --online exclude each other"),
        (["--stage", "other"], "there is no stage other"),
        (["--format", "xml"], "there is no format xml"),
        (["--only", "chart"], "there is no check chart"),
    ],
)
def test_what_cannot_be_asked(play: Playground, arguments: list[str], message: str) -> None:
    done = play.on_repository("verify", *arguments)
    assert done.code == 2
    assert message in done.err


def test_without_helm_nothing_fails(deployed: Deployment) -> None:
    programs = deployed.play.folder / "programs"
    programs.mkdir()
    (programs / "git").symlink_to(str(shutil.which("git")))
    deployed.play.environment["PATH"] = str(programs)
    done = deployed.run("verify", "--only", "charts,DoD-003-02", "--json")
    assert done.code == 0, done.err
    assert {check["status"] for check in done.data["checks"]} == {"unknown"}
    charts = [check for check in done.data["checks"] if check["id"] == "charts"]
    assert len(charts) == 3
    assert all("helm is not installed" in check["evidence"] for check in charts)
    assert all("helm" in check["remedy"] for check in charts)
