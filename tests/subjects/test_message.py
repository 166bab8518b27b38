"""What a commit says: the first rollout, an upgrade, another bucket, and whatever else differs."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.core.changes import Remark
from tasks.core.errors import SettingsError
from tasks.core.settings import DOCUMENTED, Commit, Layer, Settings, VersionsSettings, load
from tasks.effects.files import WriteFile
from tasks.steps import STEPS
from tasks.subjects.message import is_first, message
from tests.checks.deployed import APPS, deploy, deployed, root, workspace_of

__all__ = ["deployed", "root"]

PARSEABLE, VECTOR = DOCUMENTED.parseable, DOCUMENTED.vector
SECRET = f"{APPS}/parseable/app/secret.sops.yaml"
GRAFANA = f"{APPS}/grafana/app/helmrelease.yaml"


def commit(root: Path) -> None:
    for arguments in (("add", "--all"), ("commit", "-q", "-m", "ours")):
        subprocess.run(("git", *arguments), cwd=root, check=True)


def said(root: Path, settings: Settings, *more: str) -> list[str]:
    """The message of a commit of what follows from ``settings``, and of the files ``more``."""
    workspace = workspace_of(root, settings)
    paths = [*more]
    for name in ("TASK-002", "TASK-003", "TASK-005", "TASK-006", "TASK-007", "TASK-008", "TASK-009"):
        step = STEPS[name]
        for change in step.plan(workspace, step.facts(workspace)):
            if isinstance(change, Remark):
                continue
            assert isinstance(change, WriteFile)
            change.apply()
            paths += change.paths
        workspace.refresh()
    return message(workspace, paths, (GRAFANA,)).splitlines()


def test_the_first_rollout(root: Path) -> None:
    assert is_first(workspace_of(root))
    files = (
        "parseable/app/helmrelease.yaml",
        "vector/app/helmrelease.yaml",
        "parseable/app/secret.sops.yaml",
    )
    paths = [f"{APPS}/{file}" for file in files]
    settings = replace(DOCUMENTED, s3=replace(DOCUMENTED.s3, endpoint="https://nas.example.com:9000/x"))
    workspace = workspace_of(root, settings)
    assert message(workspace, [*paths, GRAFANA], (GRAFANA,)).splitlines() == [
        "feat(monitoring): deploy Parseable log aggregation with Vector",
        "",
        "- Add Parseable, with bucket parseable-logs at nas.example.com:9000",
        "- Add Vector, which collects the logs of all pods",
        "- Encrypt the S3 credentials with SOPS",
        "- Add Parseable's plugin and data source to Grafana",
        "",
        "Deployed-by: parseable-playbook",
    ]
    # What is not in it is not told.
    assert not [line for line in message(workspace, paths, ()).splitlines() if "Grafana" in line]


@pytest.mark.parametrize(
    ("settings", "subject"),
    [
        (
            replace(DOCUMENTED, parseable=replace(PARSEABLE, chart_version="2.9.3")),
            "upgrade the chart of Parseable from 1.6.5 to 2.9.3",
        ),
        (
            replace(DOCUMENTED, vector=replace(VECTOR, chart_version="0.9.0")),
            "downgrade the chart of Vector from 0.35.0 to 0.9.0",
        ),
        (
            replace(DOCUMENTED, parseable=replace(PARSEABLE, image_tag="v1.7.4")),
            "run Parseable v1.7.4 instead of v1.7.3",
        ),
        (
            replace(DOCUMENTED, s3=replace(DOCUMENTED.s3, bucket="other-logs")),
            "use bucket other-logs instead of parseable-logs",
        ),
    ],
)
def test_a_change_that_has_a_name(root: Path, settings: Settings, subject: str) -> None:
    commit(root)
    assert not is_first(workspace_of(root))
    lines = said(root, settings)
    assert lines == [
        f"chore(monitoring): {subject}",
        "",
        f"- {subject[0].upper()}{subject[1:]}",
        "",
        "Deployed-by: parseable-playbook",
    ]


def test_a_change_in_a_patch_has_its_name_too(tmp_path: Path) -> None:
    current = replace(DOCUMENTED, versions=VersionsSettings("current"))
    deploy(tmp_path / "repository", settings=current)
    commit(tmp_path / "repository")
    s3 = replace(DOCUMENTED.s3, bucket="other-logs", endpoint="https://nas.example.com")
    assert said(tmp_path / "repository", replace(current, s3=s3))[2:4] == [
        "- Use the S3 server https://nas.example.com instead of https://s3.68cc.io",
        "- Use bucket other-logs instead of parseable-logs",
    ]


def test_another_set_is_an_upgrade_of_each_chart(root: Path) -> None:
    commit(root)
    lines = said(root, replace(DOCUMENTED, versions=VersionsSettings("current")))
    assert lines[0].startswith("chore(monitoring): upgrade the chart of Parseable from 1.6.5 to 3.2.1 and ")
    assert lines[2:6] == [
        "- Upgrade the chart of Parseable from 1.6.5 to 3.2.1",
        "- Run Parseable v3.1.0 instead of v1.7.3",
        "- Upgrade the chart of Vector from 0.35.0 to 0.56.0",
        "- Change the values and patches of HelmRelease parseable to what that chart reads",
    ]
    assert len(lines) < 15


def test_any_other_change(root: Path) -> None:
    commit(root)
    lines = said(root, replace(DOCUMENTED, parseable=replace(PARSEABLE, memory_limit="4Gi")))
    change = "hange parseable.resources.limits.memory of HelmRelease parseable"
    # The memory of queries follows from it.
    assert lines[0] == f"chore(monitoring): c{change.removesuffix(' parseable')} … and 1 more"
    assert lines[2] == f"- C{change} from 2Gi to 4Gi"


def test_what_weighs_most_comes_first_and_long_subjects_are_cut(root: Path) -> None:
    commit(root)
    parseable = replace(PARSEABLE, memory_limit="4Gi", memory_request="2Gi", chart_version="1.6.6")
    lines = said(root, replace(DOCUMENTED, parseable=parseable), SECRET, GRAFANA)
    assert lines[0] == "chore(monitoring): upgrade the chart of Parseable from 1.6.5 to 1.6.6 and 5 more"
    assert lines[2] == "- Upgrade the chart of Parseable from 1.6.5 to 1.6.6"
    assert "- Encrypt the Secret of Parseable anew" in lines
    assert "- Change Parseable's entries in Grafana" in lines


def test_the_template_and_the_issue(root: Path) -> None:
    commit(root)
    settings = replace(
        DOCUMENTED,
        parseable=replace(PARSEABLE, chart_version="2.9.3"),
        commit=Commit("⬆️ ${namespace}: $$5\n\n${changes}\n\nSigned-off-by: me"),
        gitops=replace(DOCUMENTED.gitops, issue=7),
    )
    assert said(root, settings) == [
        "⬆️ monitoring: $5",
        "",
        "- Upgrade the chart of Parseable from 1.6.5 to 2.9.3",
        "",
        "Signed-off-by: me",
        "",
        "Deployed-by: parseable-playbook",
        "Closes: #7",
    ]


@pytest.mark.parametrize("template", ["", " \n", "${subjekt}", "costs $5", "$subject"])
def test_a_wrong_template(template: str) -> None:
    with pytest.raises(SettingsError, match=r"commit\.message in my\.yaml must be a text"):
        load([Layer("my.yaml", {"commit": {"message": template}})])


def test_a_file_that_goes(root: Path) -> None:
    commit(root)
    (root / APPS / "vector/app/rbac.yaml").unlink()
    workspace = workspace_of(root)
    lines = message(workspace, [f"{APPS}/vector/app/rbac.yaml"], ()).splitlines()
    assert lines[0] == "chore(monitoring): delete vector/app/rbac.yaml"
