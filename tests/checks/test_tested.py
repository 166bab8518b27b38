"""Versions that nobody tested: proved by rendering, refused where that cannot be, or taken at one's word."""

import shutil
from collections.abc import Collection
from pathlib import Path

import pytest

from checks.model import judge
from checks.registry import CHECKS
from tasks.core.outcomes import Cause, Outcome, Status
from tasks.effects import shell
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.model import Model
from tasks.workspace import Network, Permissions, Workspace
from tests.charts import write_version
from tests.checks.memory import Memory
from tests.checks.test_links import (
    VECTOR_RELEASE,
    Place,
    _programs,  # noqa: F401
    answers,  # noqa: F401
    chart_cache,  # noqa: F401
    finished,  # noqa: F401
    mirror,  # noqa: F401
)
from tests.playground import RELEASE
from tests.storage import Storage
from tests.tools import helm_folder  # noqa: F401

WANTS = (
    "{{ if .Values.parseable.auditLogging.enabled }}a: b{{ end }}"
    "{{ if $.Values.parseable.kafkaConnector.enabled }}c: d{{ end }}"
)
NO_PORT = ("{{ .Values.parseable.service.port }}", "80")


@pytest.fixture(scope="module")
def later(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """The charts, and of Parseable's later versions: one the same, one that wants more and reads less."""
    folder = Path(shutil.copytree(mirror, tmp_path_factory.mktemp("later") / "charts"))
    write_version(folder, "parseable", "1.6.6", {})
    values = ("service: {type: ClusterIP, port: 80}", "service: {type: ClusterIP}")
    edits = {"templates/more.yaml": ("", WANTS), "templates/rest.yaml": NO_PORT, "values.yaml": values}
    write_version(folder, "parseable", "2.9.3", edits)
    return folder


@pytest.fixture
def place(finished: Path, tmp_path: Path, storage: Storage, later: Path) -> Place:  # noqa: F811
    return Place(Path(shutil.copytree(finished, tmp_path / "repository")), storage.endpoint, later)


def edit(place: Place, path: str, old: str, new: str) -> None:
    text = (place.root / path).read_text()
    assert old in text
    (place.root / path).write_text(text.replace(old, new))


def chart(place: Place, version: str) -> None:
    edit(place, RELEASE, "version: 1.6.5", f"version: {version}")


def asked(
    place: Place, *names: str, unproved: bool = False, network: Network = Network.OFFLINE
) -> list[Outcome]:
    """What the checks ``names`` do not pass; the answers that pass if there are no others."""
    workspace = Workspace(
        place.settings,
        Repository(Git(place.root)),
        permissions=Permissions(unproved=unproved),
        network=network,
    )
    found = [one.outcome for one in judge([CHECKS[name] for name in names or ("tested",)], Model(workspace))]
    return [one for one in found if one.status is not Status.PASS] or found


def statuses(found: Collection[Outcome]) -> list[Status]:
    return [one.status for one in found]


def test_the_documented_versions_need_no_proof(place: Place) -> None:
    (found,) = asked(place)
    assert found.status is Status.PASS
    assert "chart parseable 1.6.5 is what was tested" in found.evidence


def test_another_version_is_proved_by_rendering(place: Place) -> None:
    chart(place, "1.6.6")
    (found,) = asked(place)
    assert found.status is Status.PASS
    assert "chart parseable 1.6.6 is not one of those that were tested (1.6.5, " in found.evidence
    assert "; chart parseable 1.6.6 renders" in found.evidence


def test_all_that_a_chart_wants_and_does_not_read_is_listed(place: Place) -> None:
    chart(place, "2.9.3")
    wanted, ignored = [one for one in asked(place, "charts", "values") if one.status is Status.FAIL]
    assert (
        "; the chart reads, without a default, "
        "parseable.auditLogging.enabled, parseable.kafkaConnector.enabled" in wanted.evidence
    )
    assert "does not read the value parseable.service.port" in ignored.evidence
    (found,) = asked(place)
    assert (found.status, found.cause, found.stops_push) == (Status.UNKNOWN, Cause.REPOSITORY, True)
    assert asked(place, unproved=True) == [found]


def without(programs: Collection[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have some programs not be found, wherever they are."""
    find = shell.find
    monkeypatch.setattr(shell, "find", lambda tool: None if tool in programs else find(tool))


@pytest.mark.parametrize("missing", [("helm",), ("kubectl", "kustomize")], ids=" ".join)
@pytest.mark.parametrize(
    ("path", "old", "new", "told"),
    [
        (
            RELEASE,
            "version: 1.6.5",
            "version: 1.6.6",
            "chart parseable 1.6.6 is not one of those that were tested (1.6.5, ",
        ),
        (
            RELEASE,
            "version: 1.6.5",
            "version: 1.6.x",
            "chart parseable 1.6.x is not one of those that were tested (1.6.5, ",
        ),
        (RELEASE, "      version: 1.6.5\n", "", "chart parseable in any version is not one of those"),
        (
            RELEASE,
            "tag: v1.7.3",
            "tag: v2.0.0",
            "image tag v2.0.0 of parseable is not one of those that were tested (v1.7.3, ",
        ),
        (
            RELEASE,
            "tag: v1.7.3",
            "tag: v3.1.0",
            "image tag v3.1.0 of parseable was not tested with chart 1.6.5",
        ),
        (VECTOR_RELEASE, "version: 0.35.0", "version: 0.36.0", "chart vector 0.36.0 is not one of those"),
        (
            VECTOR_RELEASE,
            "    role: Agent\n",
            "    role: Agent\n    image: {tag: 0.41.0-debian}\n",
            "image tag 0.41.0-debian of vector is not one of those that were tested (that of the chart)",
        ),
    ],
)
def test_what_cannot_be_proved_needs_a_word(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    answers: Memory,  # noqa: F811
    request: pytest.FixtureRequest,
    missing: tuple[str, ...],
    path: str,
    old: str,
    new: str,
    told: str,
) -> None:
    kept = dict(answers)
    answers.clear()
    request.addfinalizer(lambda: answers.update(kept))
    without(missing, monkeypatch)
    assert statuses(asked(place)) == [Status.PASS]
    edit(place, path, old, new)
    (found,) = asked(place)
    assert found.status is Status.FAIL
    assert f"{path}: {told}" in found.evidence
    assert missing[0] in found.evidence
    assert "--unproved" in found.remedy
    assert found.place.startswith(f"{path}:")
    (found,) = asked(place, unproved=True)
    assert (found.status, found.cause, found.stops_push) == (Status.UNKNOWN, Cause.TOOL, False)


@pytest.mark.parametrize("version", ["1.6.7", "~1.7"])
def test_a_mirror_without_the_archive_proves_nothing(
    place: Place, later: Path, tmp_path: Path, version: str
) -> None:
    bare = tmp_path / "mirror"
    bare.mkdir()
    for archive in later.glob("vector-*.tgz"):
        shutil.copy(archive, bare)
    there = Place(place.root, place.endpoint, bare)
    chart(place, version)
    (found,) = asked(there)
    assert found.status is Status.FAIL
    assert f"the mirror {bare} has no chart parseable" in found.evidence
    assert not asked(there, unproved=True)[0].stops_push
    # One that has others of its versions says that this one is not there: Flux would find it neither.
    (found,) = asked(place, "charts")
    assert found.status is Status.FAIL


def test_another_release_in_the_folder_is_not_ours_to_prove(place: Place) -> None:
    text = (place.root / RELEASE).read_text()
    other = text.replace("name: parseable\n", "name: proxy\n", 1).replace(
        "chart: parseable", "chart: oauth2-proxy"
    )
    (place.root / RELEASE).write_text(f"{text}---\n{other.replace('version: 1.6.5', 'version: 7.0.0')}")
    assert statuses(asked(place)) == [Status.PASS]
