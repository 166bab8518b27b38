"""A data source that is given another name or uid leaves nothing of the old one, and nothing else changes."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.core.settings import DOCUMENTED, Settings
from tasks.effects.files import WriteFile
from tasks.steps import STEPS
from tests.checks.deployed import APPS, deploy, deployed, workspace_of
from tests.checks.deployed import root as root  # noqa: PLC0414 (a fixture)
from tests.checks.test_grafana import SOURCE, by_operator

__all__ = ["deployed"]

GRAFANA = f"{APPS}/grafana/app/helmrelease.yaml"
MARK = "Deployed-by: parseable-playbook"


def commit(root: Path, mark: str = "") -> None:
    for arguments in (("add", "--all"), ("commit", "-q", "-m", f"x\n\n{mark}")):
        subprocess.run(("git", *arguments), cwd=root, check=True)


def named(name: str, uid: str) -> Settings:
    return replace(DOCUMENTED, grafana=replace(DOCUMENTED.grafana, datasource_name=name, datasource_uid=uid))


def run(root: Path, settings: Settings) -> list[str]:
    """What TASK-010 writes is committed; the paths."""
    workspace = workspace_of(root, settings)
    step = STEPS["TASK-010"]
    written = [one for one in step.plan(workspace, step.facts(workspace)) if isinstance(one, WriteFile)]
    for change in written:
        change.apply()
    if written:
        commit(root, MARK)
    return [one.path for one in written]


def provisioned(root: Path) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((root / GRAFANA).read_text())["spec"]["values"]["datasources"]
    return dict(data["datasources.yaml"])


def keys(root: Path) -> list[tuple[str, str | None]]:
    return [(one["name"], one.get("uid")) for one in provisioned(root)["datasources"]]


def deleted(root: Path) -> list[dict[str, object]]:
    """What Grafana is told to delete, beside what its owner wants gone."""
    return [one for one in provisioned(root)["deleteDatasources"] if one["name"] != "Loki"]


def lines_of(root: Path) -> list[str]:
    return (root / GRAFANA).read_text().splitlines(keepends=True)


def number_of(lines: list[str], text: str, start: int = 0) -> int:
    return next(number for number in range(start, len(lines)) if text in lines[number])


@pytest.mark.parametrize(
    ("name", "uid", "gone"),
    [
        ("Logs", "logs", [{"name": "Parseable", "orgId": 1}]),
        ("Logs", "parseable", [{"name": "Parseable", "orgId": 1}]),
        ("Parseable", "logs", []),
    ],
)
def test_the_old_entry_becomes_the_new_one(
    root: Path, name: str, uid: str, gone: list[dict[str, object]]
) -> None:
    commit(root, MARK)
    lines = lines_of(root)
    url = number_of(lines, "url: http://parseable.")
    lines.insert(url, lines[url].partition("url")[0] + "isDefault: false  # ours\n")
    (root / GRAFANA).write_text("".join(lines))
    commit(root)
    before = keys(root)
    assert ("Parseable", "parseable") in before
    assert run(root, named(name, uid)) == [GRAFANA]
    # At its place, with what its owner added; Grafana forgets the name that it had.
    assert keys(root) == [(name, uid) if one == ("Parseable", "parseable") else one for one in before]
    assert deleted(root) == gone
    assert "isDefault: false  # ours\n" in (root / GRAFANA).read_text()
    assert run(root, named(name, uid)) == []
    assert run(root, named("Third", "third")) == [GRAFANA]
    assert ("Third", "third") in keys(root)
    assert len(keys(root)) == len(before)


def test_a_data_source_of_the_owner_stays(root: Path) -> None:
    commit(root, MARK)
    lines = lines_of(root)
    start = number_of(lines, "- name: Parseable\n")
    own = "".join(lines[start : number_of(lines, "editable: false", start) + 1])
    own = own.replace("name: Parseable", "name: Mine").replace("uid: parseable", "uid: mine")
    lines.insert(start, own)
    (root / GRAFANA).write_text("".join(lines))
    commit(root)
    run(root, named("Logs", "logs"))
    assert {("Logs", "logs"), ("Mine", "mine")} <= set(keys(root))
    assert deleted(root) == [{"name": "Parseable", "orgId": 1}]
    # Where ours is not there, his is not taken for it.
    text = (
        (root / GRAFANA).read_text().replace("- name: Logs", "- name: More").replace("uid: logs", "uid: more")
    )
    (root / GRAFANA).write_text(text)
    commit(root)
    run(root, named("Parseable", "parseable"))
    assert {("Parseable", "parseable"), ("Mine", "mine"), ("More", "more")} <= set(keys(root))


def test_an_entry_that_nothing_shows_to_be_ours_stays(root: Path) -> None:
    commit(root)
    run(root, named("Logs", "logs"))
    assert {("Logs", "logs"), ("Parseable", "parseable")} <= set(keys(root))
    assert deleted(root) == []


def test_the_operators_object_stays_one(tmp_path: Path) -> None:
    """The operator deletes what it made with the former uid, and knows a data source by its uid."""
    root = tmp_path / "repository"
    deploy(root, by_operator)
    commit(root, MARK)
    before = yaml.safe_load((root / SOURCE).read_text())
    assert run(root, named("Logs", "logs")) == [SOURCE]
    after = yaml.safe_load((root / SOURCE).read_text())
    assert after["metadata"] == before["metadata"]
    assert (after["spec"]["datasource"]["name"], after["spec"]["datasource"]["uid"]) == ("Logs", "logs")
    assert len([path for path in root.rglob("*.yaml") if "kind: GrafanaDatasource" in path.read_text()]) == 1
