"""The settings file that init makes of what a repository shows, and of the answers of its owner."""

import atexit
import re
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

from tasks.core.errors import RefusedError, SettingsError
from tasks.core.settings import DOCUMENTED, FILE, Layer, load
from tasks.demo.sandbox import make_repository
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.flux.layout import discover
from tasks.setup.evidence import Finding
from tasks.setup.init import Draft, draft, parsed, write
from tasks.workspace import Workspace
from tasks.yaml.templates import MARKER
from tests import shapes

ENDPOINT = {"s3.endpoint": "https://s3.example.com"}


@cache
def sample() -> Path:
    """One repository, to be copied; it goes when the tests do."""
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    root = Path(folder.name) / "work"
    make_repository(root, Path(folder.name) / "remote.git", "age1x")
    return root


def workspace(folder: Path, shape: shapes.Shape = shapes.documented) -> Workspace:
    root = Path(shutil.copytree(sample(), folder / "work"))
    shape(root)
    return Workspace(DOCUMENTED, Repository(Git(root)))


def by_key(made: Draft) -> dict[str, Finding]:
    return {item.key: item for item in made.findings}


@pytest.mark.parametrize(
    "shape",
    [shapes.documented, shapes.observability, shapes.other_repositories_folder, shapes.grafana_in_stack],
)
def test_with_the_file_the_repository_looks_as_without_it(tmp_path: Path, shape: shapes.Shape) -> None:
    here = workspace(tmp_path, shape)
    made = draft(here, ENDPOINT, None)
    assert not made.missing
    settings = load([Layer(FILE, yaml.safe_load(made.text))])
    assert settings.s3.endpoint == ENDPOINT["s3.endpoint"]
    assert repr(discover(settings, here.tree, here.repository.root)) == repr(here.layout)
    assert max(map(len, made.text.splitlines())) <= 80
    # All that was found is set, not only told.
    assert settings.gitops.apps == here.layout.apps
    assert f"  path: {settings.grafana.path}" in made.text.splitlines()


def test_each_value_has_its_evidence(tmp_path: Path) -> None:
    made = draft(workspace(tmp_path), ENDPOINT, None)
    lines = made.text.splitlines()
    assert "  source: home-kubernetes  # found: 5 of 5 Kustomizations name it" in lines
    assert "  repositories: kubernetes/flux/meta/repos  # found: holds 3 HelmRepositories" in lines
    assert "  namespace: monitoring  # found: targetNamespace of 2 of 2 Kustomizations beside it" not in lines
    place = lines.index("  namespace: monitoring")
    assert lines[place - 1] == "  # found: targetNamespace of 2 of 2 Kustomizations beside it"
    assert "  endpoint: https://s3.example.com  # given by you" in lines


def test_the_minority_is_told(tmp_path: Path) -> None:
    def other_source(root: Path) -> None:
        shapes.edit(root / "kubernetes/apps/default/podinfo/ks.yaml", "name: home-kubernetes", "name: other")

    made = draft(workspace(tmp_path, other_source), ENDPOINT, None)
    source = by_key(made)["flux.source"]
    assert source.why == "4 of 5 Kustomizations name it"
    assert [(item.value, item.why_not) for item in source.candidates] == [
        ("GitRepository/other", "1 of 5 Kustomizations name it")
    ]


def test_the_endpoint_of_other_apps_is_found(tmp_path: Path) -> None:
    def with_s3(root: Path) -> None:
        (root / "kubernetes/apps/default/podinfo/app/values.yaml").write_text(
            "s3:\n  bucket: backups\n  endpoint: https://nas.example.com:9000\n  region: home\n"
        )
        # What an earlier rollout of ours wrote is no evidence, however often it is there.
        for name in ("one", "two"):
            (root / f"kubernetes/apps/default/podinfo/app/{name}.yaml").write_text(
                f"{MARKER}\ns3:\n  bucket: logs\n  endpoint: https://old.example.com\n"
            )

    made = draft(workspace(tmp_path, with_s3), {}, None)
    found = by_key(made)
    assert (found["s3.endpoint"].value, found["s3.region"].value) == ("https://nas.example.com:9000", "home")
    assert "kubernetes/apps/default/podinfo/app/values.yaml" in found["s3.endpoint"].why


def test_what_is_needed_and_not_known_is_asked_for(tmp_path: Path) -> None:
    here = workspace(tmp_path)
    with pytest.raises(SettingsError, match=r"s3\.endpoint is not known") as refused:
        draft(here, {}, None)
    assert "--set s3.endpoint=" in refused.value.hint
    asked: list[Finding] = []

    def answer(item: Finding) -> str:
        asked.append(item)
        return "s3.example.com\n" if len(asked) == 1 else "https://s3.example.com\n"

    made = draft(here, {}, answer)
    assert [item.key for item in asked] == ["s3.endpoint", "s3.endpoint"]
    assert "must be a URL" in asked[1].why
    assert by_key(made)["s3.endpoint"].value == "https://s3.example.com"


def second_grafana(root: Path) -> None:
    """Another folder has an app of that name: which one is meant would have to be guessed."""
    folder = root / "kubernetes/apps/default"
    text = (folder / "podinfo/ks.yaml").read_text(encoding="utf-8")
    (folder / "grafana.yaml").write_text(text.replace("&app podinfo", "&app grafana"), encoding="utf-8")
    shapes.edit(folder / "kustomization.yaml", "  - ./podinfo", "  - ./grafana.yaml\n  - ./podinfo")


def called_logs(root: Path) -> None:
    """A folder of a name that tells nothing, without the stack that brings Grafana."""
    shapes.observability(root)
    (root / "kubernetes/apps/observability").rename(root / "kubernetes/apps/logs")
    for path in root.rglob("*.yaml"):
        text = path.read_text().replace("./observability", "./logs")
        path.write_text(text.replace("apps/observability", "apps/logs"))
    (root / "kubernetes/apps/logs/kube-prometheus-stack/app/helmrelease.yaml").unlink()


def test_what_is_not_found_says_what_was_considered(tmp_path: Path) -> None:
    def two_folders(root: Path) -> None:
        called_logs(root)
        grafana = root / "kubernetes/apps/logs/grafana/app/helmrelease.yaml"
        grafana.write_text(
            "apiVersion: grafana.integreatly.org/v1beta1\nkind: Grafana\nmetadata: {name: x}\n"
        )
        second_grafana(root)

    made = draft(workspace(tmp_path, two_folders), ENDPOINT, None)
    found = by_key(made)
    assert {item.key for item in made.missing} == {"gitops.apps", "grafana.path"}
    assert {item.value: item.why_not.split(";")[0] for item in found["gitops.apps"].candidates} == {
        "kubernetes/apps/default": "lists 2 apps",
        "kubernetes/apps/logs": "lists 2 apps",
    }
    [grafana] = found["grafana.path"].candidates
    assert grafana.value == "kubernetes/apps/logs/grafana/app/helmrelease.yaml"
    assert "operator" in grafana.why_not
    assert "# not found: gitops.apps:" in made.text
    assert "considered kubernetes/apps/logs:" in made.text
    assert "gitops.apps: not found:" in "\n".join(made.lines())
    load([Layer(FILE, yaml.safe_load(made.text))])


def test_an_answer_may_show_the_rest(tmp_path: Path) -> None:
    def renamed(root: Path) -> None:
        called_logs(root)
        (root / "kubernetes/apps/logs/grafana/app/helmrelease.yaml").write_text("{}\n")
        second_grafana(root)

    here = workspace(tmp_path, renamed)
    replies = iter(["kubernetes/nowhere", "kubernetes/apps/logs", ""])
    asked: list[Finding] = []

    def answer(item: Finding) -> str:
        asked.append(item)
        return next(replies)

    made = draft(here, ENDPOINT, answer)
    assert [item.key for item in asked] == ["gitops.apps", "gitops.apps", "grafana.path"]
    assert asked[1].why == "kubernetes/nowhere has no kustomization.yaml"
    found = by_key(made)
    assert found["gitops.namespace"].value == "observability"
    assert found["gitops.namespace"].why == "targetNamespace of 2 of 2 Kustomizations beside it"
    assert [item.key for item in made.missing] == ["grafana.path"]
    # Without anybody to ask, a wrong answer is an error.
    with pytest.raises(SettingsError, match="kubernetes/nowhere has no kustomization"):
        draft(here, {**ENDPOINT, "gitops.apps": "kubernetes/nowhere"}, None)


def test_what_the_user_says_counts(tmp_path: Path) -> None:
    made = draft(workspace(tmp_path), {**ENDPOINT, "s3.retention_days": "8", "vector.name": "shipper"}, None)
    settings = load([Layer(FILE, yaml.safe_load(made.text))])
    assert (settings.s3.retention_days, settings.vector.name) == (8, "shipper")


def test_an_answer_may_be_none(tmp_path: Path) -> None:
    made = draft(
        workspace(tmp_path), {**ENDPOINT, "gitops.repositories": "null", "vector.name": "null"}, None
    )
    settings = load([Layer(FILE, yaml.safe_load(made.text))])
    assert (settings.gitops.repositories, settings.vector.name) == (None, "null")


def test_what_is_left_out_is_not_asked_for(tmp_path: Path) -> None:
    here = workspace(tmp_path, second_grafana)
    assert "grafana.path" in by_key(draft(here, ENDPOINT, None))
    settings = replace(DOCUMENTED, grafana=replace(DOCUMENTED.grafana, manage="none"))
    without = Workspace(settings, here.repository)
    assert "grafana.path" not in by_key(draft(without, ENDPOINT, None))


def endpoint_asked_for(here: Workspace) -> str:
    """All that its owner is shown."""
    asked: list[Finding] = []

    def answer(finding: Finding) -> str:
        asked.append(finding)
        return ENDPOINT["s3.endpoint"]

    made = draft(here, {}, answer)
    assert [item.key for item in asked] == ["s3.endpoint"]
    return "\n".join((str(asked), *made.lines(), made.text, str(made.data(FILE))))


def test_a_login_in_an_endpoint_is_not_told(tmp_path: Path) -> None:
    def with_login(root: Path) -> None:
        text = "bucket: backups\nendpoint: https://me:hunter2hunter2@s3.example.com\n"
        (root / "kubernetes/apps/default/podinfo/app/values.yaml").write_text(text, encoding="utf-8")

    told = endpoint_asked_for(workspace(tmp_path, with_login))
    assert "a login is in it" in told
    assert "hunter2hunter2" not in told


def test_the_settings_file_is_no_evidence(tmp_path: Path) -> None:
    def with_settings(root: Path) -> None:
        text = "s3:\n  bucket: logs\n  endpoint: https://old.example.com\n"
        (root / FILE).write_text(text, encoding="utf-8")

    assert "old.example.com" not in endpoint_asked_for(workspace(tmp_path, with_settings))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["s3.buket=x"], "unknown setting 's3.buket'"),
        (["s3.retention_days=soon"], "must be a whole number"),
        (["nothing.at=all"], "unknown setting 'nothing'"),
        (["s3.endpoint"], "--set s3.endpoint names no setting"),
        (["endpoint=x"], "--set endpoint=x names no setting"),
    ],
)
def test_a_wrong_answer(tmp_path: Path, pairs: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        draft(workspace(tmp_path), {**ENDPOINT, **parsed(pairs)}, None)


def test_a_file_that_flux_would_apply_is_not_written(tmp_path: Path) -> None:
    def everything(root: Path) -> None:
        shapes.edit(root / "kubernetes/flux/cluster/ks.yaml", "path: ./kubernetes/apps", "path: ./")

    def of_another_repository(root: Path) -> None:
        text = (root / "kubernetes/apps/default/podinfo/ks.yaml").read_text(encoding="utf-8")
        text = text.replace("name: home-kubernetes", "name: crds").replace("podinfo\n", "crds\n")
        (root / "kubernetes/apps/default/crds.yaml").write_text(
            re.sub(r"(?m)^  path: .*$", "  path: ./", text), encoding="utf-8"
        )

    write(workspace(tmp_path / "other", of_another_repository), FILE, "s3: {}\n")
    here = workspace(tmp_path / "own", everything)
    with pytest.raises(RefusedError, match="Flux would take"):
        write(here, FILE, "s3: {}\n")
    assert not (here.repository.root / FILE).exists()
    (here.repository.root / ".sourceignore").write_text(f"/{FILE}\n")
    write(here, FILE, "s3: {}\n")
    assert (here.repository.root / FILE).read_text() == "s3: {}\n"
