"""A login that no server with another one ever gets: by a Service that leads to those that know it alone."""

from dataclasses import replace

from checks.model import judge
from checks.registry import CHECKS
from tasks.core.outcomes import Outcome, Status
from tasks.core.settings import SecretSettings
from tasks.effects.encrypted import revision
from tasks.effects.files import MakeFolder, WriteFile
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.model import Model
from tasks.steps import STEPS
from tasks.workspace import Permissions, Workspace
from tests.checks.test_links import (
    Place,
    _programs,  # noqa: F401
    answers,  # noqa: F401
    chart_cache,  # noqa: F401
    finished,  # noqa: F401
    mirror,  # noqa: F401
    place,  # noqa: F401
)
from tests.tools import helm_folder  # noqa: F401

APPS = "kubernetes/apps/monitoring"
RELEASE = f"{APPS}/parseable/app/helmrelease.yaml"
ASKED = ("DoD-009-03", "urls", "rollout")


def guarded(place: Place) -> Workspace:  # noqa: F811
    settings = replace(place.settings, secret=SecretSettings(rotation="guarded"))
    return Workspace(settings, Repository(Git(place.root)), permissions=Permissions(force=True))


def rewrite(place: Place) -> None:  # noqa: F811
    workspace = guarded(place)
    for task in ("TASK-008", "TASK-009"):
        for change in STEPS[task].plan(workspace, STEPS[task].facts(workspace)):
            assert isinstance(change, MakeFolder | WriteFile)
            change.apply()
        workspace.refresh()


def answered(place: Place) -> dict[str, Outcome]:  # noqa: F811
    verdicts = judge([CHECKS[name] for name in ASKED], Model(guarded(place)))
    return {verdict.id: verdict.outcome for verdict in verdicts}


def test_vector_sends_to_the_servers_with_the_revision_of_the_secret(place: Place) -> None:  # noqa: F811
    rewrite(place)
    secret = (place.root / APPS / "parseable/app/secret.sops.yaml").read_text()
    config = (place.root / APPS / "vector/app/configmap.yaml").read_text()
    assert f"http://parseable-login-{revision(secret)}.monitoring.svc.cluster.local:8000/api/v1/" in config
    assert {name: found.status for name, found in answered(place).items()} == dict.fromkeys(
        ASKED, Status.PASS
    )


def test_a_server_without_the_label_is_never_reached(place: Place) -> None:  # noqa: F811
    rewrite(place)
    path = place.root / RELEASE
    path.write_text(path.read_text().replace("metadata: {labels: {", "metadata: {annotations: {"))
    found = answered(place)
    assert found["rollout"].status is Status.PASS  # its pods are made anew all the same
    for name in ("DoD-009-03", "urls"):
        assert found[name].status is Status.FAIL
        assert "whose selector fits no pod of Parseable or Vector" in found[name].evidence
