"""Grafana in the forms that people have: what TASK-010 does there, and what the checks say of the result."""

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks.grafana import datasource_connects, plugin_is_installed
from checks.kubernetes import objects_are_accepted
from tasks.core.changes import Change, Remark, Skip
from tasks.core.errors import PlaybookError, RefusedError
from tasks.core.outcomes import Outcome, Status
from tasks.core.settings import DOCUMENTED, Charts, Settings
from tasks.demo.sandbox import make_repository
from tasks.model import Model
from tasks.steps import STEPS
from tasks.yaml.templates import MARKER
from tests import charts, shapes
from tests.checks.deployed import answers, deploy, edit, workspace_of
from tests.checks.memory import Memory, remember
from tests.tools import helm_folder  # noqa: F401

APPS = "kubernetes/apps/monitoring"
RELEASE = f"{APPS}/grafana/app/helmrelease.yaml"
SOURCE = f"{APPS}/parseable/app/grafanadatasource.yaml"
ENTRY = "https://grafana.com/api/plugins/parseable-parseable-datasource/versions/1.1.0/download"
OLD_FORM = f"{ENTRY};parseable-parseable-datasource"
NEW_FORM = f"parseable-parseable-datasource@1.1.0@{ENTRY}"
REPOSITORIES = (
    "https://charts.parseable.com",
    "https://helm.vector.dev",
    "https://grafana.github.io/helm-charts",
    "https://grafana-community.github.io/helm-charts",
)


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small charts, and one of Grafana that hands its plugins over as those since 11.1.1 do."""
    folder = tmp_path_factory.mktemp("charts")
    charts.write_charts(folder)
    with (
        tarfile.open(folder / "grafana-8.8.2.tgz") as before,
        tarfile.open(folder / "grafana-12.11.1.tgz", "w:gz") as after,
    ):
        for member in before:
            file = before.extractfile(member)
            assert file is not None
            text = file.read().replace(b"GF_INSTALL_PLUGINS", b"GF_PLUGINS_PREINSTALL_SYNC")
            text = text.replace(b"version: 8.8.2", b"version: 12.11.1")
            member.size = len(text)
            after.addfile(member, io.BytesIO(text))
    return folder


@pytest.fixture(scope="session")
def memory() -> Memory:
    return {}


@pytest.fixture(autouse=True)
def _programs(
    helm_folder: Path,  # noqa: F811
    memory: Memory,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join((str(helm_folder), os.environ["PATH"])))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    remember(memory, monkeypatch)


@pytest.fixture
def settings(mirror: Path) -> Settings:
    return Settings(charts=Charts(mirrors=dict.fromkeys(REPOSITORIES, str(mirror))))


def asked(run: Callable[[Model], Any], root: Path, settings: Settings) -> list[Outcome]:
    return answers(run, Model(workspace_of(root, settings)))


def told(run: Callable[[Model], Any], root: Path, settings: Settings) -> tuple[Status, str, str]:
    (outcome,) = asked(run, root, settings)
    return outcome.status, outcome.evidence, outcome.place


def planned(root: Path, settings: Settings = DOCUMENTED) -> list[Change | Remark | Skip]:
    """What TASK-010 would do in the sample that is made in ``root``."""
    workspace = workspace_of(root, settings)
    step = STEPS["TASK-010"]
    return list(step.plan(workspace, step.facts(workspace)))


def repository(root: Path, shape: shapes.Shape) -> Path:
    make_repository(root, root.with_name(f"{root.name}.git"), "age1x")
    shape(root)
    for arguments in (("add", "--all"), ("commit", "-q", "--allow-empty", "-m", "Another layout")):
        subprocess.run(("git", *arguments), cwd=root, check=True)
    return root


def rolled_out(root: Path, shape: shapes.Shape, settings: Settings = DOCUMENTED) -> None:
    """What ``deploy`` makes, with the Secret of the settings."""
    deploy(root, shape, settings)
    path = root / APPS / "parseable/app/secret.sops.yaml"
    secret = path.read_text().replace("parseable-env-secret", "parseable-s3-secret")
    path.write_text(
        secret.replace("addr:", "username: ENC[AES256_GCM,data:y,iv:x,tag:x,type:str]\n  password:")
    )


def load(root: Path, path: str) -> Any:
    return yaml.safe_load((root / path).read_text())


def refusal(root: Path, shape: shapes.Shape, settings: Settings = DOCUMENTED) -> PlaybookError:
    with pytest.raises(RefusedError) as caught:
        planned(repository(root, shape), settings)
    return caught.value


# --- the operator -------------------------------------------------------------------------------------------


GRAFANA = """\
---
apiVersion: grafana.integreatly.org/v1beta1
kind: Grafana
metadata:
  name: grafana
  labels: {dashboards: grafana, team: home}
spec:
  config:
    server: {root_url: https://grafana.example.com}
"""


def by_operator(root: Path) -> None:
    """Grafana is an object of the operator."""
    (root / RELEASE).unlink()
    (root / APPS / "grafana/app/grafana.yaml").write_text(GRAFANA)
    shapes.edit(root / APPS / "grafana/app/kustomization.yaml", "./helmrelease.yaml", "./grafana.yaml")


def in_another_namespace(root: Path) -> None:
    by_operator(root)
    namespace_of_its_own(root)


@pytest.fixture(scope="session")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("operated") / "repository"
    rolled_out(root, by_operator)
    return root


@pytest.fixture
def root(operated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(operated, tmp_path / "repository", symlinks=True))


def test_the_operator_gets_a_data_source_beside_parseable(root: Path, settings: Settings) -> None:
    source = load(root, SOURCE)
    assert source["metadata"]["namespace"] == "monitoring"
    assert source["spec"]["instanceSelector"] == {"matchLabels": {"dashboards": "grafana", "team": "home"}}
    assert source["spec"]["plugins"] == [{"name": "parseable-parseable-datasource", "version": "1.1.0"}]
    assert "allowCrossNamespaceImport" not in source["spec"]
    assert source["spec"]["datasource"]["secureJsonData"] == {"basicAuthPassword": "${password}"}
    listed = load(root, f"{APPS}/parseable/app/kustomization.yaml")["resources"]
    assert "./grafanadatasource.yaml" in listed
    assert planned(root, settings) == []
    assert told(plugin_is_installed, root, settings)[0] is Status.UNKNOWN
    status, evidence, _ = told(datasource_connects, root, settings)
    assert status is Status.PASS, evidence


@pytest.mark.parametrize(
    ("old", "new", "run", "evidence"),
    [
        ("team: home", "team: work", datasource_connects, "no Grafana's labels match"),
        ("team: home", "team: work", plugin_is_installed, "no Grafana's labels match"),
        ("version: 1.1.0", "version: v1", plugin_is_installed, "version v1 of the plugin"),
        (
            "- name: parseable-parse",
            "- name: other-parse",
            plugin_is_installed,
            "no object of the operator lists",
        ),
        ("basicAuth: true", "basicAuth: false", datasource_connects, "basicAuth is False"),
        ("          key: password", "          key: pass", datasource_connects, "has no ${pass}"),
        ("targetPath: basicAuthUser", "targetPath: user", datasource_connects, "gives basicAuthUser"),
        ("${password}", "secret", datasource_connects, "has no ${password} for the value"),
        (
            ":8000",
            ":8001",
            datasource_connects,
            "url is 'http://parseable.monitoring.svc.cluster.local:8001'",
        ),
        ("parseable-s3-secret", "another-secret", datasource_connects, "monitoring/another-secret"),
    ],
)
def test_what_the_operator_would_make_nothing_of_fails(
    root: Path, settings: Settings, old: str, new: str, run: Callable[[Model], Outcome], evidence: str
) -> None:
    edit(root, SOURCE, old, new)
    status, found, place = told(run, root, settings)
    assert status is Status.FAIL
    assert evidence in found
    assert place.startswith(f"{SOURCE}:")


def test_a_data_source_that_others_wrote_counts(root: Path, settings: Settings) -> None:
    """Another name and file, a selector by an expression, the plugin listed by the Grafana itself."""
    text = (root / SOURCE).read_text().replace("  name: parseable\n", "  name: logs\n")
    text = text.replace(
        "matchLabels: {dashboards: grafana, team: home}", "matchExpressions: [{key: team, operator: Exists}]"
    )
    plugins = text[text.index("  plugins:") : text.index("  valuesFrom:")]
    (root / SOURCE).with_name("logs.yaml").write_text(text.replace(plugins, ""))
    (root / SOURCE).unlink()
    edit(root, f"{APPS}/parseable/app/kustomization.yaml", "grafanadatasource", "logs")
    assert told(plugin_is_installed, root, settings)[0] is Status.FAIL
    path = f"{APPS}/grafana/app/grafana.yaml"
    edit(root, path, "  config:\n", "  config:\n    plugins: {preinstall: parseable-parseable-datasource}\n")
    assert told(plugin_is_installed, root, settings)[0] is Status.UNKNOWN
    assert told(datasource_connects, root, settings)[0] is Status.PASS


def test_a_grafana_in_another_namespace_is_reached_across(tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "repository"
    rolled_out(root, in_another_namespace)
    assert load(root, SOURCE)["spec"]["allowCrossNamespaceImport"] is True
    assert "Grafana's labels match" not in told(datasource_connects, root, settings)[1]
    edit(root, SOURCE, "  allowCrossNamespaceImport: true\n", "")
    status, evidence, _ = told(datasource_connects, root, settings)
    assert status is Status.FAIL
    assert "is in another namespace than" in evidence


def test_of_several_grafanas_one_must_be_chosen(tmp_path: Path) -> None:
    def two(root: Path) -> None:
        by_operator(root)
        other = GRAFANA.replace("name: grafana\n", "name: other\n").replace("team: home", "team: work")
        (root / APPS / "grafana/app/other.yaml").write_text(other)
        shapes.edit(
            root / APPS / "grafana/app/kustomization.yaml",
            "  - ./grafana.yaml",
            "  - ./grafana.yaml\n  - ./other.yaml",
        )

    error = refusal(tmp_path / "one", two)
    assert "several Grafanas of the operator: grafana" in error.summary
    assert "other (" in error.summary
    path = f"{APPS}/grafana/app/other.yaml"
    chosen = replace(DOCUMENTED, grafana=replace(DOCUMENTED.grafana, path=path))
    rolled_out(tmp_path / "two", two, chosen)
    assert load(tmp_path / "two", SOURCE)["spec"]["instanceSelector"]["matchLabels"]["team"] == "work"


def without_labels(root: Path) -> None:
    by_operator(root)
    shapes.edit(root / APPS / "grafana/app/grafana.yaml", "  labels: {dashboards: grafana, team: home}\n", "")


def external(root: Path) -> None:
    by_operator(root)
    shapes.edit(
        root / APPS / "grafana/app/grafana.yaml",
        "spec:\n",
        "spec:\n  external: {url: https://g.example.com}\n",
    )


def operator_only(root: Path) -> None:
    by_operator(root)
    (root / APPS / "grafana/app/grafana.yaml").write_text(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: grafana-operator}\n"
        "spec:\n  chart:\n    spec:\n      chart: grafana-operator\n"
    )


@pytest.mark.parametrize(
    ("shape", "summary"),
    [
        (without_labels, "no Grafana can be selected: grafana"),
        (external, "runs outside of the cluster"),
        (operator_only, "installs grafana-operator, and no Grafana of it is in the repository"),
    ],
)
def test_what_the_operator_cannot_do_is_refused_with_a_way_on(
    tmp_path: Path, shape: shapes.Shape, summary: str
) -> None:
    error = refusal(tmp_path / "repository", shape)
    assert summary in error.summary
    assert "grafana.manage to none" in error.hint


def test_a_second_data_source_of_our_name_is_refused(tmp_path: Path) -> None:
    def with_another(root: Path) -> None:
        by_operator(root)
        (root / APPS / "grafana/app/logs.yaml").write_text(
            "apiVersion: grafana.integreatly.org/v1beta1\nkind: GrafanaDatasource\nmetadata: {name: logs}\n"
            "spec:\n  datasource: {name: Parseable, uid: logs}\n"
            "  instanceSelector: {matchLabels: {dashboards: grafana}}\n"
        )

    error = refusal(tmp_path / "repository", with_another)
    assert "grafana/app/logs.yaml has a data source named 'Parseable'" in error.summary
    own = replace(DOCUMENTED, grafana=replace(DOCUMENTED.grafana, datasource_name="Logs"))
    assert paths_of(planned(tmp_path / "repository", own)) == [SOURCE]
    # One that the playbook wrote is that of another cluster.
    other = tmp_path / "repository" / APPS / "grafana/app/logs.yaml"
    other.write_text(f"{MARKER}\n{other.read_text()}")
    assert paths_of(planned(tmp_path / "repository")) == [SOURCE]


def test_a_url_of_the_plugin_is_nothing_for_the_operator(tmp_path: Path) -> None:
    own = replace(
        DOCUMENTED, grafana=replace(DOCUMENTED.grafana, plugin_url="https://mirror.example.com/p.zip")
    )
    error = refusal(tmp_path / "repository", by_operator, own)
    assert "installs plugins from Grafana's catalogue only" in error.summary


def test_a_dashboard_that_names_an_instance_tells_the_labels(tmp_path: Path) -> None:
    def dashboards_only(root: Path) -> None:
        by_operator(root)
        (root / APPS / "grafana/app/grafana.yaml").write_text(
            "apiVersion: grafana.integreatly.org/v1beta1\nkind: GrafanaDashboard\nmetadata: {name: nodes}\n"
            "spec:\n  allowCrossNamespaceImport: true\n  instanceSelector: {matchLabels: {dashboards: all}}\n"
        )

    rolled_out(tmp_path / "repository", dashboards_only)
    spec = load(tmp_path / "repository", SOURCE)["spec"]
    assert spec["instanceSelector"] == {"matchLabels": {"dashboards": "all"}}
    assert spec["allowCrossNamespaceImport"] is True


def test_auto_says_which_way_it_takes(tmp_path: Path) -> None:
    plan = planned(repository(tmp_path / "one", by_operator))
    assert any(
        isinstance(item, Remark) and "beside Parseable, for Grafana grafana" in item.text for item in plan
    )
    plan = planned(repository(tmp_path / "two", shapes.documented))
    assert any(isinstance(item, Remark) and f"an edit of {RELEASE}" in item.text for item in plan)


def both(root: Path) -> None:
    """The operator's Grafana beside that of a chart."""
    (root / APPS / "grafana/app/grafana.yaml").write_text(GRAFANA)
    listing = root / APPS / "grafana/app/kustomization.yaml"
    shapes.edit(listing, "./helmrelease.yaml", "./helmrelease.yaml\n  - ./grafana.yaml")


def paths_of(plan: list[Change | Remark | Skip]) -> list[str]:
    return [path for item in plan if isinstance(item, Change) for path in item.paths]


def test_of_both_kinds_the_one_without_an_edit_is_taken(tmp_path: Path) -> None:
    root = repository(tmp_path / "repository", both)
    plan = planned(root)
    assert paths_of(plan) == [SOURCE]
    (remark,) = (item.text for item in plan if isinstance(item, Remark))
    assert f"grafana.manage: release would edit {RELEASE}" in remark
    chosen = replace(DOCUMENTED, grafana=replace(DOCUMENTED.grafana, manage="release"))
    assert paths_of(planned(root, chosen)) == [RELEASE]
    # What is there already is not made a second time.
    shapes.edit(root / RELEASE, "type: prometheus", "type: parseable-parseable-datasource")
    subprocess.run(("git", "commit", "-qam", "Edit"), cwd=root, check=True)
    assert paths_of(planned(root)) == [RELEASE]


# --- left out -----------------------------------------------------------------------------------------------


def no_grafana(root: Path) -> None:
    (root / RELEASE).unlink()


def test_without_a_grafana_the_way_on_is_named_and_works(tmp_path: Path) -> None:
    error = refusal(tmp_path / "one", no_grafana)
    assert "no Grafana" in error.summary
    assert "grafana.manage to none" in error.hint
    none = replace(DOCUMENTED, grafana=replace(DOCUMENTED.grafana, manage="none"))
    root = tmp_path / "two"
    assert planned(repository(root, no_grafana), none) == [Skip("grafana.manage is none")]
    workspace = workspace_of(root, none)
    for run in (plugin_is_installed, datasource_connects):
        (outcome,) = answers(run, Model(workspace))
        assert outcome.status is Status.SKIPPED
    # The last task asks for all that it needs, and that is not Grafana.
    assert STEPS["TASK-011"].facts(workspace).grafana == ()


# --- the release --------------------------------------------------------------------------------------------


def community_chart(root: Path) -> None:
    """A chart that makes GF_PLUGINS_PREINSTALL_SYNC of its list."""
    shapes.edit(root / RELEASE, "version: 8.8.2", "version: 12.11.1")
    repo = root / shapes.REPOS / "grafana.yaml"
    shapes.edit(repo, "https://grafana.github.io", "https://grafana-community.github.io")


def with_an_entry_in_the_old_form(root: Path) -> None:
    community_chart(root)
    shapes.edit(
        root / RELEASE, "      - natel-discrete-panel", f"      - {OLD_FORM}\n      - natel-discrete-panel"
    )


@pytest.mark.parametrize(
    ("shape", "entry", "other"),
    [
        (shapes.documented, OLD_FORM, NEW_FORM),
        (community_chart, NEW_FORM, OLD_FORM),
        (with_an_entry_in_the_old_form, NEW_FORM, OLD_FORM),
    ],
)
def test_the_entry_has_the_form_that_the_chart_hands_over(
    tmp_path: Path, settings: Settings, shape: shapes.Shape, entry: str, other: str
) -> None:
    root = tmp_path / "repository"
    rolled_out(root, shape, settings)
    plugins = load(root, RELEASE)["spec"]["values"]["plugins"]
    assert [one for one in plugins if "parseable" in one] == [entry]
    status, evidence, _ = told(plugin_is_installed, root, settings)
    assert (status, evidence[:20]) == (Status.UNKNOWN, "the plugin is listed")
    edit(root, RELEASE, entry, other)
    status, evidence, place = told(plugin_is_installed, root, settings)
    assert status is Status.FAIL
    assert f"the entry '{other}'" in evidence
    assert place.startswith(f"{RELEASE}:")


def plugins_in_env(root: Path) -> None:
    text = (root / RELEASE).read_text()
    start, end = text.index("    plugins:\n"), text.index("    datasources:\n")
    env = "    env:\n      GF_INSTALL_PLUGINS: grafana-clock-panel,natel-panel\n      GF_EXPLORE: true\n"
    (root / RELEASE).write_text(text[:start] + env + text[end:])


def test_plugins_in_a_variable_stay_there(tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "repository"
    rolled_out(root, plugins_in_env, settings)
    values = load(root, RELEASE)["spec"]["values"]
    assert "plugins" not in values
    assert values["env"]["GF_INSTALL_PLUGINS"] == f"grafana-clock-panel,natel-panel,{OLD_FORM}"
    assert told(plugin_is_installed, root, settings)[0] is Status.UNKNOWN
    assert planned(root, settings) == []
    # A list beside it would be a second variable of the name: a fault that was not there before.
    edit(root, RELEASE, "    env:\n", f"    plugins: ['{OLD_FORM}']\n    env:\n")
    found = [
        one for one in asked(objects_are_accepted, root, settings) if "GF_INSTALL_PLUGINS" in one.evidence
    ]
    assert [one.status for one in found] == [Status.FAIL]


def plugins_in_a_config_map(root: Path) -> None:
    plugins_in_env(root)
    shapes.edit(
        root / RELEASE,
        "    env:\n      GF_INSTALL_PLUGINS: grafana-clock-panel,natel-panel\n      GF_EXPLORE: true\n",
        "    envFromConfigMaps: [{name: grafana-env}]\n",
    )
    (root / APPS / "grafana/app/env.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: grafana-env}\n"
        "data:\n  GF_INSTALL_PLUGINS: natel-panel\n"
    )
    listing = root / APPS / "grafana/app/kustomization.yaml"
    shapes.edit(listing, "./helmrelease.yaml", "./helmrelease.yaml\n  - ./env.yaml")


def test_plugins_in_a_config_map_of_variables_stay_there(tmp_path: Path) -> None:
    """Beside it, a variable of the chart's list would win, and the others be gone."""
    root = repository(tmp_path / "repository", plugins_in_a_config_map)
    (change, *_) = (item for item in planned(root) if isinstance(item, Change))
    assert change.paths == (f"{APPS}/grafana/app/env.yaml",)
    assert f"+  GF_INSTALL_PLUGINS: natel-panel,{OLD_FORM}" in change.diff()


@pytest.mark.parametrize(
    ("plugin", "settled"),
    [
        ("parseable-parseable-datasource", True),
        ("parseable-parseable-datasource 2.0.0", True),
        (OLD_FORM.replace("1.1.0", "1.0.2"), False),
        ("https://example.com/parseable-parseable-datasource-1.0.0.zip;parseable-datasource", False),
        ("parseable-parseable-datasource@2.0.0", False),
    ],
)
def test_an_entry_that_works_stays(tmp_path: Path, plugin: str, settled: bool) -> None:
    root = repository(
        tmp_path / "repository",
        lambda root: shapes.edit(root / RELEASE, "      - natel-", f"      - {plugin}\n      - natel-"),
    )
    (change,) = (item for item in planned(root) if isinstance(item, Change))
    assert (OLD_FORM not in change.diff()) is settled
    newer = replace(DOCUMENTED, grafana=replace(DOCUMENTED.grafana, plugin_version="2.0.1"))
    (change,) = (item for item in planned(root, newer) if isinstance(item, Change))
    assert OLD_FORM.replace("1.1.0", "2.0.1") in change.diff()


def test_a_fault_that_was_there_before_is_a_note(tmp_path: Path, settings: Settings) -> None:
    def double(root: Path) -> None:
        plugins_in_env(root)
        shapes.edit(root / RELEASE, "    env:\n", "    plugins: [natel-discrete-panel]\n    env:\n")

    root = tmp_path / "repository"
    rolled_out(root, double, settings)
    found = [
        one for one in asked(objects_are_accepted, root, settings) if "GF_INSTALL_PLUGINS" in one.evidence
    ]
    assert [one.status for one in found] == [Status.NOTE]


def with_overlay(patch: str, *, inline: bool = False) -> shapes.Shape:
    """Flux is pointed at an overlay of Grafana's folder that patches the values with ``patch``."""

    def shape(root: Path) -> None:
        folder = root / APPS / "grafana/overlay"
        folder.mkdir()
        text = (
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: grafana}\n"
            f"spec:\n  values:\n    {patch}\n"
        )
        listed = "  - patch: |\n" + "".join(f"      {line}\n" for line in text.splitlines())
        if not inline:
            (folder / "values.yaml").write_text(text)
            listed = "  - path: ./values.yaml\n"
        (folder / "kustomization.yaml").write_text(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../app]\n"
            f"patches:\n{listed}"
        )
        shapes.edit(root / APPS / "grafana/ks.yaml", "monitoring/grafana/app", "monitoring/grafana/overlay")

    return shape


def test_an_entry_goes_to_the_patch_that_wins(tmp_path: Path, settings: Settings) -> None:
    root, path = tmp_path / "repository", f"{APPS}/grafana/overlay/values.yaml"
    rolled_out(root, with_overlay("plugins: [grafana-clock-panel]"), settings)
    assert load(root, path)["spec"]["values"]["plugins"] == ["grafana-clock-panel", OLD_FORM]
    assert "parseable" not in str(load(root, RELEASE)["spec"]["values"]["plugins"])
    assert told(plugin_is_installed, root, settings)[0] is Status.UNKNOWN
    assert told(datasource_connects, root, settings)[0] is not Status.FAIL
    # In the list that loses it is worth nothing.
    edit(root, path, OLD_FORM, "grafana-worldmap-panel")
    edit(root, RELEASE, "      - natel-discrete-panel", f"      - natel-discrete-panel\n      - {OLD_FORM}")
    status, evidence, place = told(plugin_is_installed, root, settings)
    assert (status, evidence[:31]) == (Status.FAIL, "what Grafana gets does not list")
    assert place == f"{path}:6"


def test_a_patch_of_other_values_is_no_obstacle(tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "repository"
    rolled_out(root, with_overlay("replicas: 2", inline=True), settings)
    assert OLD_FORM in load(root, RELEASE)["spec"]["values"]["plugins"]
    assert told(plugin_is_installed, root, settings)[0] is Status.UNKNOWN


def test_a_patch_inside_of_a_kustomization_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path / "one", with_overlay("plugins: [a-panel]", inline=True))
    assert "grafana/overlay/kustomization.yaml holds Grafana's lists" in error.summary


def without_lists(root: Path, values_from: str) -> None:
    text = (root / RELEASE).read_text()
    start, end = text.index("    plugins:\n"), text.index("    # Everything below")
    text = text[:start] + text[end:]
    (root / RELEASE).write_text(text.replace("  values:\n", f"  valuesFrom:\n{values_from}  values:\n", 1))


def at_a_path(target: str) -> shapes.Shape:
    """One value comes from a Secret that is nowhere to be seen."""
    return lambda root: without_lists(
        root, f"    - {{kind: Secret, name: grafana-oidc, valuesKey: secret, targetPath: '{target}'}}\n"
    )


def test_a_value_at_a_path_of_its_own_is_no_obstacle(tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "repository"
    rolled_out(root, at_a_path(r"grafana\.ini.auth\.generic_oauth.client_secret"), settings)
    assert load(root, RELEASE)["spec"]["values"]["plugins"] == [OLD_FORM]
    assert told(plugin_is_installed, root, settings)[0] is Status.UNKNOWN


@pytest.mark.parametrize("target", ["plugins[0]", r"datasources.datasources\.yaml.datasources[1]", "env"])
def test_a_value_at_a_path_in_our_lists_is_refused(tmp_path: Path, target: str) -> None:
    error = refusal(tmp_path / "repository", at_a_path(target))
    assert f"Secret grafana-oidc sets {target}" in error.summary


GENERATOR = """\
configMapGenerator:
  - {name: grafana-values, files: [values.yaml=./own-values.yaml]}
generatorOptions: {disableNameSuffixHash: true}
"""
OWN_VALUES = """\
# Grafana's own
plugins:
  - grafana-clock-panel
datasources:
  datasources.yaml:
    apiVersion: 1
    datasources:
      - name: Prometheus
        type: prometheus
        url: http://p.monitoring:9090
"""
LOGIN = """\
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: parseable-s3-secret}
spec:
  secretStoreRef: {kind: ClusterSecretStore, name: store}
  dataFrom: [{extract: {key: parseable}}]
"""


def values_in_a_file(root: Path) -> None:
    """The lists are in a file that a configMapGenerator takes in."""
    without_lists(root, "    - {kind: ConfigMap, name: grafana-values}\n")
    folder = root / APPS / "grafana/app"
    (folder / "own-values.yaml").write_text(OWN_VALUES)
    with (folder / "kustomization.yaml").open("a") as stream:
        stream.write(GENERATOR)


def test_lists_in_the_file_of_a_generator_are_edited_there(tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "repository"
    rolled_out(root, values_in_a_file, settings)
    values = load(root, f"{APPS}/grafana/app/own-values.yaml")
    assert values["plugins"] == ["grafana-clock-panel", OLD_FORM]
    assert [one["name"] for one in values["datasources"]["datasources.yaml"]["datasources"]] == [
        "Prometheus",
        "Parseable",
    ]
    own = load(root, RELEASE)["spec"]["values"]
    assert "plugins" not in own
    assert set(own["envValueFrom"]) == {"PARSEABLE_USERNAME", "PARSEABLE_PASSWORD"}
    assert told(plugin_is_installed, root, settings)[0] is Status.UNKNOWN
    assert planned(root, settings) == []
    edit(root, f"{APPS}/grafana/app/own-values.yaml", OLD_FORM, "another-panel")
    assert told(plugin_is_installed, root, settings)[0] is Status.FAIL


def in_a_config_map(values: str) -> shapes.Shape:
    def shape(root: Path) -> None:
        without_lists(root, "    - {kind: ConfigMap, name: grafana-values}\n")
        path = root / APPS / "grafana/app/values.yaml"
        path.write_text(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: grafana-values}\ndata:\n"
            f"  values.yaml: |\n    {values}\n"
        )
        shapes.edit(
            root / APPS / "grafana/app/kustomization.yaml",
            "./helmrelease.yaml",
            "./helmrelease.yaml\n  - ./values.yaml",
        )

    return shape


def test_a_config_map_is_read(tmp_path: Path, settings: Settings) -> None:
    """Only if it has one of the lists there is anything to refuse."""
    root = tmp_path / "one"
    rolled_out(root, in_a_config_map("replicas: 2"), settings)
    assert load(root, RELEASE)["spec"]["values"]["plugins"] == [OLD_FORM]
    error = refusal(tmp_path / "two", in_a_config_map("plugins: [grafana-clock-panel]"))
    assert "the ConfigMap grafana-values in" in error.summary


def namespace_of_its_own(root: Path) -> None:
    shapes.edit(root / APPS / "grafana/ks.yaml", "targetNamespace: monitoring", "targetNamespace: grafana")
    # The others still tell the namespace of ours.
    shutil.copytree(root / APPS / "kube-prometheus-stack", root / APPS / "another")


def with_a_secret_there(root: Path) -> None:
    namespace_of_its_own(root)
    (root / APPS / "grafana/app/login.yaml").write_text(LOGIN)
    shapes.edit(
        root / APPS / "grafana/app/kustomization.yaml",
        "./helmrelease.yaml",
        "./helmrelease.yaml\n  - ./login.yaml",
    )


def test_a_release_in_another_namespace_needs_a_secret_there(tmp_path: Path, settings: Settings) -> None:
    error = refusal(tmp_path / "one", namespace_of_its_own)
    assert "runs in namespace grafana" in error.summary
    assert "grafana.manage to none" in error.hint
    root = tmp_path / "two"
    rolled_out(root, with_a_secret_there, settings)
    assert told(datasource_connects, root, settings)[0] is not Status.FAIL
    # The namespace is that of the build, not ours: without the Secret there, nothing gives the login.
    edit(root, f"{APPS}/grafana/app/kustomization.yaml", "  - ./login.yaml\n", "")
    status, evidence, _ = told(datasource_connects, root, settings)
    assert status is Status.FAIL
    assert "grafana/parseable-s3-secret" in evidence


SIDECAR = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: logs, labels: {grafana_datasource: "1"}}
data:
  logs.yaml: |
    apiVersion: 1
    datasources:
      - name: Parseable
        type: parseable-parseable-datasource
        url: http://parseable.monitoring.svc.cluster.local:8000
        basicAuth: true
        basicAuthUser: $PARSEABLE_USERNAME
        secureJsonData: {basicAuthPassword: $PARSEABLE_PASSWORD}
"""


@pytest.mark.parametrize(
    ("sidecar", "label", "status"),
    [
        ("true", "grafana_datasource", Status.PASS),
        ("false", "grafana_datasource", Status.FAIL),
        ("true", "a", Status.FAIL),
    ],
)
def test_a_data_source_for_the_sidecar_counts(
    tmp_path: Path, settings: Settings, sidecar: str, label: str, status: Status
) -> None:
    root = tmp_path / "repository"
    rolled_out(root, shapes.documented, settings)
    text = (root / RELEASE).read_text()
    start, end = text.index("          - name: Parseable\n"), text.index("    # Everything below")
    text = text[:start] + f"    sidecar: {{datasources: {{enabled: {sidecar}}}}}\n" + text[end:]
    (root / RELEASE).write_text(text)
    (root / APPS / "grafana/app/logs.yaml").write_text(SIDECAR.replace("grafana_datasource", label))
    listing = root / APPS / "grafana/app/kustomization.yaml"
    shapes.edit(listing, "./helmrelease.yaml", "./helmrelease.yaml\n  - ./logs.yaml")
    assert told(datasource_connects, root, settings)[0] is status
