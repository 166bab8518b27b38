"""Links: what would go wrong after a push is found before it, and nothing else is.

Each case puts something wrong into a copy of the good repository, in which everything has been done, and
names every failure that it must give: `tests/cases/rows` the documented blocks one by one,
`tests/cases/documented` all of them at once, `tests/cases/links` what no document foresaw, and what looks
like it and is harmless.
"""

import io
import os
import re
import shutil
import tarfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from checks.model import judge
from checks.registry import CHECKS
from tasks import commands
from tasks.core.outcomes import Outcome, Status, Verdict
from tasks.core.settings import S3, Charts, Gitops, Settings
from tasks.effects.encrypted import revision
from tasks.effects.git import Git
from tasks.effects.lifecycle import RULE_ID, LifecycleRule
from tasks.effects.repository import Repository
from tasks.effects.s3 import BucketFacts
from tasks.model import Model
from tasks.subjects.vector import config_checksum
from tasks.workspace import Network, Permissions, Workspace
from tests import shapes
from tests.charts import write_charts
from tests.checks.memory import Memory, remember
from tests.playground import Playground
from tests.registry_double import Registry, Reply, Request, serving
from tests.storage import Storage, credentials, prefix, rule
from tests.tools import helm_folder  # noqa: F401

CASES = Path(__file__).resolve().parents[1] / "cases"
DOCUMENTED = CASES / "documented"
BUCKET = "parseable-logs"
SECRET = "kubernetes/apps/monitoring/parseable/app/secret.sops.yaml"
PARSEABLE_RELEASE = "kubernetes/apps/monitoring/parseable/app/helmrelease.yaml"
VECTOR_CONFIG = "kubernetes/apps/monitoring/vector/app/configmap.yaml"
VECTOR_RELEASE = "kubernetes/apps/monitoring/vector/app/helmrelease.yaml"
OURS = rule(RULE_ID, prefix("kubernetes/date="), "30")
REPOSITORIES = (
    "https://charts.parseable.com",
    "https://helm.vector.dev",
    "https://grafana.github.io/helm-charts",
    "https://prometheus-community.github.io/helm-charts",
    "oci://ghcr.io/grafana/helm-charts",
)

# Rows that no YAML of a repository can break, and where they are held instead.
ELSEWHERE = {
    "E02": "the scaffold writes both ks.yaml: tests/whole",
    "E16": "a query is put to the running cluster",
    "E17": "a namespace is looked up in the running cluster",
    "E18": "the commit takes the playbook's own paths only: tests/whole",
    "E20": "a process that runs out of memory is seen in the running cluster",
    "E25": "a tick in a document is no state that anything reads",
}
# What is in no file of the repository, and so has no place in one.
OF_THE_BUCKET = {"DoD-001-01", "DoD-001-02", "DoD-001-03", "DoD-003-04"}
# What is not asked here: the cluster, the web, Vector itself.
NOT_ASKED = {"images", "plugin", "remap"} | {
    "DoD-004-03", "DoD-005-02", "DoD-010-01", "DoD-010-03", "DoD-011-01", "DoD-011-02", "DoD-011-03",
    "DoD-011-04",
}  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """One failure: what its evidence holds, the file it points to, and what stands on the line."""

    check: str
    found: str
    at: str = ""
    line: str = ""


@dataclass(frozen=True)
class Case:
    """What is changed in the good repository, and what must then fail: nothing, if that is empty."""

    name: str
    edits: Sequence[Mapping[str, Any]]
    fails: Sequence[Expected]
    unknown: Mapping[str, str]
    online: bool = False
    rule: Mapping[str, Any] | None = None
    stamped: bool = True


def read_case(name: str, data: Mapping[str, Any]) -> Case:
    """The case that the YAML ``data`` describes.

    ``fails`` maps the id of a check to the text of its evidence, or to a mapping of ``found``, ``at`` and
    ``line``, or to a list of those where the check fails more than once.
    """
    assert set(data) <= {"name", "about", "edits", "fails", "at", "unknown", "online", "rule", "stamped"}, (
        name
    )
    expected = []
    for check, told in data["fails"].items():
        for one in told if isinstance(told, list) else [told]:
            fields = {"found": one} if isinstance(one, str) else one
            expected.append(Expected(check, **{"at": data.get("at", ""), **fields}))
    optional = {key: data[key] for key in ("online", "rule", "stamped") if key in data}
    return Case(name, data.get("edits", ()), expected, data.get("unknown", {}), **optional)


def read_cases() -> Iterator[Case]:
    for path in sorted((CASES / "rows").glob("*/case.yaml")):
        yield read_case(path.parent.name, yaml.safe_load(path.read_text()))
    for path in sorted((CASES / "links").glob("*.yaml")):
        for data in yaml.safe_load(path.read_text()):
            yield read_case(f"{path.stem}: {data['name']}", data)


ALL = list(read_cases())


# --- the good repository ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def finished(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which everything has been done, to be copied."""
    play = playground(tmp_path_factory.mktemp("finished"), storage, shapes.documented)
    done = play.all(INVOKE_S3_BUCKET=BUCKET)
    assert done.code == 0, done.err
    return play.root


def playground(folder: Path, storage: Storage, shape: shapes.Shape) -> Playground:
    owner = credentials("owner")
    keys = (owner.access_key.reveal(), owner.secret_key.reveal())
    return Playground.make(folder, storage.endpoint, keys, shape)


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small charts, and one that has that of Grafana inside."""
    folder = tmp_path_factory.mktemp("charts")
    write_charts(folder)
    about = "apiVersion: v2\nname: kube-prometheus-stack\nversion: 67.4.0\ndependencies:\n"
    about += "  - {name: grafana, version: 8.x, condition: grafana.enabled}\n"
    values = "grafana: {enabled: true}\nprometheus: {prometheusSpec: {retention: 10d}}\n"
    parts = {
        "Chart.yaml": about.encode(),
        "values.yaml": values.encode(),
        "templates/_all.tpl": b'{{ define "all" }}{{ toYaml .Values }}{{ end }}',
        "charts/grafana-8.8.2.tgz": (folder / "grafana-8.8.2.tgz").read_bytes(),
    }
    with tarfile.open(folder / "kube-prometheus-stack-67.4.0.tgz", "w:gz") as archive:
        for name, content in parts.items():
            member = tarfile.TarInfo(f"kube-prometheus-stack/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return folder


@pytest.fixture(scope="session")
def chart_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of charts for all tests of this worker."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def answers() -> Memory:
    """What kustomize and helm made of the same before: most of each repository is."""
    return {}


@pytest.fixture(autouse=True)
def _programs(
    helm_folder: Path,  # noqa: F811
    chart_cache: Path,
    answers: Memory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join((str(helm_folder), os.environ["PATH"])))
    monkeypatch.setenv("XDG_CACHE_HOME", str(chart_cache))
    remember(answers, monkeypatch)


@dataclass(frozen=True)
class Place:
    """A repository with what its checks need."""

    root: Path
    endpoint: str
    mirror: Path

    @property
    def settings(self) -> Settings:
        return Settings(
            gitops=Gitops(path=str(self.root)),
            s3=S3(endpoint=self.endpoint, bucket=BUCKET),
            charts=Charts(mirrors=dict.fromkeys(REPOSITORIES, str(self.mirror))),
        )

    def link(
        self, *, online: bool = False, rules: Sequence[LifecycleRule] = (OURS,), only: Collection[str] = ()
    ) -> list[Verdict]:
        """What the checks say of it now, all of them or some."""
        network = Network.ONLINE if online else Network.OFFLINE
        workspace = Workspace(self.settings, Repository(Git(self.root)), network=network)
        # The server is asked in test_bucket.
        workspace.bucket_facts = BucketFacts(exists=True, rules=tuple(rules))
        chosen = [check for check in CHECKS.values() if not only or check.id in only]
        return judge(chosen, Model(workspace))

    def change(self, case: Case) -> None:
        """Put in what is wrong; the checksum of the pipeline follows it, unless that is what is wrong."""
        for edit in case.edits:
            self._edit(edit)
        if case.stamped:
            self.stamp()

    def stamp(self) -> None:
        """Give the pods the checksum of the pipeline, and the revision of the Secret that they have.

        Whoever changes one of them on purpose does it.
        """
        config, release = self.root / VECTOR_CONFIG, self.root / VECTOR_RELEASE
        secret = self.root / SECRET
        found = revision(secret.read_text()) if secret.is_file() else None
        for path in (self.root / PARSEABLE_RELEASE, release) if found else ():
            if path.is_file():
                path.write_text(
                    re.sub(r"parseable-login: [0-9a-f]{10}", f"parseable-login: {found}", path.read_text())
                )
        if config.is_file() and release.is_file():
            stamp = f"checksum/vector-config: {config_checksum(config.read_text())}"
            release.write_text(re.sub(r"checksum/vector-config: \w+", stamp, release.read_text()))

    def _edit(self, edit: Mapping[str, Any]) -> None:
        if "delete" in edit:
            path = self.root / edit["delete"]
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        elif "documented" in edit:
            shutil.copyfile(DOCUMENTED / edit["documented"], self.root / edit["documented"])
        elif "write" in edit:
            path = self.root / edit["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(edit["write"])
        else:
            assert set(edit) == {"file", "replace", "with"}, edit
            files = [self.root / edit["file"]] if "*" not in edit["file"] else [*self.root.glob(edit["file"])]
            found = [path for path in files if edit["replace"] in path.read_text()]
            assert found, edit
            for path in found:
                path.write_text(path.read_text().replace(edit["replace"], edit["with"]))

    def line(self, place: str) -> str:
        """The text of the line that ``place`` (FILE:LINE) names."""
        path, _, number = place.rpartition(":")
        return (self.root / path).read_text().splitlines()[int(number) - 1]


@pytest.fixture
def place(finished: Path, tmp_path: Path, storage: Storage, mirror: Path) -> Place:
    root = tmp_path / "repository"
    shutil.copytree(finished, root)
    return Place(root, storage.endpoint, mirror)


# --- what fails -------------------------------------------------------------------------------------------


def failures(verdicts: Sequence[Verdict]) -> list[tuple[str, Outcome]]:
    return [(one.id, one.outcome) for one in verdicts if one.outcome.status is Status.FAIL]


def assert_exactly(place: Place, verdicts: Sequence[Verdict], expected: Sequence[Expected]) -> None:
    """Every failure is an expected one and the other way round; each can be found and mended."""
    found = failures(verdicts)
    told = "\n".join(f"{name} {one.place}: {one.evidence}" for name, one in found) or "nothing fails"
    assert sorted(name for name, _ in found) == sorted(one.check for one in expected), told
    for one in expected:
        fitting = [outcome for name, outcome in found if name == one.check and one.found in outcome.evidence]
        assert len(fitting) == 1, f"{one.found}\n{told}"
        assert fitting[0].consequence
        assert fitting[0].remedy
        if one.check in OF_THE_BUCKET:
            assert not fitting[0].place
            continue
        assert fitting[0].place, f"no place for {one.found}"
        file, _, number = fitting[0].place.rpartition(":")
        lines = (place.root / file).read_text().splitlines()
        assert file == one.at
        assert one.line in lines[int(number) - 1]


def mended(place: Place, finished: Path) -> None:
    """Put back all that was there."""
    shutil.rmtree(place.root)
    shutil.copytree(finished, place.root)


def test_nothing_fails_in_the_good_repository(place: Place) -> None:
    verdicts = place.link()
    assert failures(verdicts) == []
    passing = {one.id for one in verdicts if one.outcome.status is Status.PASS}
    # The sample's Grafana has its password from a Secret that was made by hand.
    assert passing >= set(CHECKS) - NOT_ASKED - {"references"}


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_what_is_wrong_fails_alone_and_passes_when_mended(
    case: Case, place: Place, finished: Path, request: pytest.FixtureRequest
) -> None:
    if case.online:
        request.getfixturevalue("web")
    rules = [rule("theirs", **case.rule)] if case.rule else [OURS]
    place.change(case)
    verdicts = place.link(online=case.online, rules=rules)
    assert_exactly(place, verdicts, case.fails)
    for check, text in case.unknown.items():
        doubts = [one.outcome for one in verdicts if one.id == check and text in one.outcome.evidence]
        assert [one.status for one in doubts] == [Status.UNKNOWN], check
    if case.fails:
        mended(place, finished)
        again = place.link(online=case.online, only={one.check for one in case.fails})
        assert failures(again) == []


def test_every_row_has_a_case() -> None:
    rows = {path.name[:3] for path in (CASES / "rows").iterdir()}
    assert rows.isdisjoint(ELSEWHERE)
    assert rows | set(ELSEWHERE) == {f"E{number:02}" for number in range(1, 26)}


# --- all documented blocks at once ------------------------------------------------------------------------


def test_the_documented_files_fail_with_every_row(place: Place, web: object) -> None:
    data = yaml.safe_load((DOCUMENTED / "case.yaml").read_text())
    paths = [str(path.relative_to(DOCUMENTED)) for path in DOCUMENTED.glob("kubernetes/**/*.yaml")]
    # The documented Secret stays away: its placeholders are nothing that sops wrote.
    assert len(paths) == 11
    place.change(Case("all", [{"documented": path} for path in paths] + data["edits"], (), {}))
    found = failures(place.link(online=True, rules=[rule("theirs", **data["rule"])]))
    unseen = [
        (row, check, text)
        for row, told in data["rows"].items()
        for check, text in told.items()
        if not any(name == check and text in one.evidence for name, one in found)
    ]
    assert unseen == []
    applicable = {path.name[:3] for path in (CASES / "rows").iterdir()}
    assert data["rows"].keys() | data["hidden"].keys() == applicable
    assert data["rows"].keys().isdisjoint(data["hidden"])


def test_the_documented_pipeline_fails_for_all_that_was_measured(place: Place) -> None:
    data = yaml.safe_load((DOCUMENTED / "case.yaml").read_text())
    paths = [str(path.relative_to(DOCUMENTED)) for path in DOCUMENTED.glob("kubernetes/**/*.yaml")]
    place.change(Case("all", [*({"documented": path} for path in paths), *data["mended"]], (), {}))
    verdicts = place.link(only={check for told in data["measured"].values() for check in told})
    # Somebody may have set the retention by hand: that is not known, all else is wrong.
    found = [one for one in verdicts if one.outcome.status in (Status.FAIL, Status.UNKNOWN)]
    assert {one.id for one in found if one.outcome.status is Status.UNKNOWN} == {"retention"}
    unseen = [
        (what, check)
        for what, told in data["measured"].items()
        for check, text in told.items()
        if not any(one.id == check and text in one.outcome.evidence for one in found)
    ]
    assert unseen == []


# --- no false alarms --------------------------------------------------------------------------------------


# Nothing in it brings ServiceMonitors.
WITHOUT_OPERATOR = {"two_clusters"}
# Their own Grafana's chart comes from where nothing is, or is released twice: more is not known of them.
ODD = {"repositories_moved_by_their_kustomization", "strange_neighbours"}
# Nothing in these shows the key, which somebody put into the namespace by hand.
KEY_BY_HAND = {"decryption_by_siblings", "flux_instance"}


@pytest.mark.parametrize("shape", sorted(shapes.GOOD))
def test_nothing_fails_in_a_repository_of_another_shape(
    shape: str, storage: Storage, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = playground(tmp_path, storage, shapes.GOOD[shape])
    for variable, value in play.environment.items():
        monkeypatch.setenv(variable, value)
    place = Place(play.root, storage.endpoint, mirror)
    commands.run_all(place.settings, commands.Options(yes=True, permissions=Permissions(push=False)))
    verdicts = place.link()
    found = [one for one in verdicts if one.outcome.status is not Status.PASS and one.id not in NOT_ASKED]
    assert not any(one.outcome.stops_push for one in verdicts), shown(found)
    if shape in ODD:
        return
    assert {one.outcome.status for one in verdicts} == {Status.PASS, Status.UNKNOWN}, shown(found)
    if shape in WITHOUT_OPERATOR:
        kinds = [one for one in found if "whether the cluster knows ServiceMonitor" in one.outcome.evidence]
        assert {one.id for one in kinds} == {"DoD-005-01", "versions"}
        found = [one for one in found if one not in kinds]
    # Nothing but what the Grafana of most was given by hand, and that is not known, not wrong.
    by_hand = {"references": "/grafana-admin for variable GF_SECURITY_ADMIN"}
    if shape in KEY_BY_HAND:
        by_hand["decryption"] = "with the private key: the repository shows none"
    assert {one.id for one in found} <= set(by_hand), shown(found)
    assert all(by_hand[one.id] in one.outcome.evidence for one in found), shown(found)


def shown(verdicts: Sequence[Verdict]) -> str:
    return "\n".join(f"{one.id} {one.outcome.place}: {one.outcome.evidence}" for one in verdicts)


# --- a web on loopback ------------------------------------------------------------------------------------


@pytest.fixture
def web(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """All that is asked over TLS: registries that have the images we use, and servers of files.

    What the test puts into the mapping is the answer to questions for the host of that name.
    """
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    registry = Registry()
    registry.push("parseable/parseable", "v1.7.3")
    registry.push("curlimages/curl", "8.11.1")
    registry.push("timberio/vector", "0.40.0-distroless-libc")
    registry.push("grafana/grafana", "11.4.0")
    names = ("registry-1.docker.io", "containers.parseable.com", "ghcr.io", "grafana.com")
    answers = {"grafana.com": 200, "ghcr.io": 403}

    def answer(request: Request) -> Reply:
        status = answers.get(request.headers["Host"])
        return registry(request) if status is None else Reply(status)

    with serving(answer, authority.issue_cert(*names)) as server:
        monkeypatch.setenv("https_proxy", server.url)
        yield answers


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (200, Status.PASS),
        (404, Status.FAIL),
        (410, Status.FAIL),
        (500, Status.UNKNOWN),
        (429, Status.UNKNOWN),
    ],
)
def test_the_plugin_is_asked_for(place: Place, web: dict[str, int], answer: int, status: Status) -> None:
    web["grafana.com"] = answer
    (verdict,) = place.link(online=True, only=["plugin"])
    assert verdict.outcome.status is status
    assert f"HTTP {answer}" in verdict.outcome.evidence
    if status is Status.FAIL:
        assert verdict.outcome.consequence
        assert verdict.outcome.remedy
        assert verdict.outcome.place
        assert "parseable-parseable-datasource/versions/1.1.0" in place.line(verdict.outcome.place)
