"""A Secret that somebody else gives: what is written, what is said, and what is proved of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks.model import judge
from checks.registry import CHECKS
from tasks.core.changes import Remark
from tasks.core.errors import RefusedError
from tasks.core.outcomes import Cause, Outcome, Status
from tasks.core.settings import SecretSettings
from tasks.effects.files import WriteFile
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.effects.s3 import BucketFacts
from tasks.model import Model, Stage
from tasks.steps import STEPS
from tasks.workspace import Permissions, Workspace
from tests.checks.test_links import (
    OURS,
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
APP = f"{APPS}/parseable/app"
GRAFANA = f"{APPS}/grafana/app"
NAME = "parseable-s3-secret"
ALL_KEYS = ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "username", "password")
ITEMS = ("DoD-004-01", "DoD-004-02", "DoD-004-03")


@pytest.fixture
def given(place: Place) -> Place:  # noqa: F811
    """The good repository, once somebody else gives the Secret and all else is written for that."""
    (place.root / APP / "secret.sops.yaml").unlink()
    rewrite(place)
    return place


def workspace_of(place: Place, manage: str = "existing") -> Workspace:  # noqa: F811
    settings = replace(place.settings, secret=SecretSettings(manage))
    permissions = Permissions(force=True)  # what the test itself wrote is not committed
    workspace = Workspace(settings, Repository(Git(place.root)), permissions=permissions)
    workspace.bucket_facts = BucketFacts(exists=True, rules=(OURS,))
    return workspace


def rewrite(place: Place) -> None:  # noqa: F811
    """Write what differs, as the tasks before the commit do."""
    for name in ("TASK-002", "TASK-003", "TASK-008", "TASK-009"):
        workspace = workspace_of(place)
        step = STEPS[name]
        for change in step.plan(workspace, step.facts(workspace)):
            assert isinstance(change, WriteFile)
            change.apply()


def remarks(place: Place) -> list[str]:  # noqa: F811
    """What TASK-004 says; it must change nothing."""
    workspace = workspace_of(place)
    step = STEPS["TASK-004"]
    said = list(step.plan(workspace, step.facts(workspace)))
    assert all(isinstance(one, Remark) for one in said)
    return [one.text for one in said if isinstance(one, Remark)]


def verdicts(place: Place, stage: Stage = Stage.RENDERED) -> dict[str, Outcome]:  # noqa: F811
    """What the checks of the Secret, and those that follow from it, do not pass; all of the items."""
    model = Model(workspace_of(place), stage)
    found = judge(CHECKS.values(), model)
    kept = [one for one in found if one.id in ITEMS or one.outcome.stops_push]
    return {one.id: one.outcome for one in kept}


def statuses(place: Place) -> list[Status]:  # noqa: F811
    found = verdicts(place)
    assert set(found) == set(ITEMS), {name: one.evidence for name, one in found.items()}
    return [found[name].status for name in ITEMS]


def external(*names: str, **target: Any) -> dict[str, Any]:
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": "parseable"},
        "spec": {
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": "store"},
            "target": {"name": NAME, **target},
            "data": [{"secretKey": name, "remoteRef": {"key": "parseable"}} for name in names],
        },
    }


def sealed(*names: str) -> dict[str, Any]:
    return {
        "apiVersion": "bitnami.com/v1alpha1",
        "kind": "SealedSecret",
        "metadata": {"name": NAME, "namespace": "monitoring"},
        "spec": {"encryptedData": dict.fromkeys(names, "AgB")},
    }


def put(place: Place, document: dict[str, Any], folder: str = APP, *, listed: bool = False) -> None:  # noqa: F811
    """Put an object into a folder, and into its kustomization if that is ``listed``."""
    (place.root / folder / "given.yaml").write_text(yaml.safe_dump(document))
    if listed:
        path = place.root / folder / "kustomization.yaml"
        data = yaml.safe_load(path.read_text())
        data["resources"].append("./given.yaml")
        path.write_text(yaml.safe_dump(data))
    else:
        rewrite(place)


def test_nothing_of_sops_is_written(given: Place) -> None:
    kustomization = yaml.safe_load((given.root / APP / "kustomization.yaml").read_text())
    assert kustomization["resources"] == ["./helmrelease.yaml", "./servicemonitor.yaml", "./retention.yaml"]
    assert "decryption" not in (given.root / APPS / "parseable/ks.yaml").read_text()
    (given.root / ".sops.yaml").unlink()
    (said,) = remarks(given)
    assert said.startswith(
        f"Secret monitoring/{NAME} is given by nothing in the repository: "
        f"kubectl describe secret -n monitoring {NAME}; if there is none: kubectl create secret generic"
    )
    assert said.endswith(", ".join(ALL_KEYS))


def test_by_hand_is_not_known_and_stops_nothing(given: Place) -> None:
    found = verdicts(given)
    assert set(found) == set(ITEMS)
    assert {(one.status, one.cause) for one in found.values()} == {(Status.UNKNOWN, Cause.CLUSTER)}
    assert "(secret.manage is existing), and the repository does not show" in found["DoD-004-01"].evidence
    assert f"kubectl create secret generic -n monitoring {NAME}" in found["DoD-004-01"].remedy
    for key in ALL_KEYS:
        assert key in found["DoD-004-01"].remedy
    # The same repository fails where the playbook is to write the Secret.
    model = Model(workspace_of(given, "sops"))
    failing = {one.id for one in judge(CHECKS.values(), model) if one.outcome.status is Status.FAIL}
    assert failing >= {"DoD-004-01", "DoD-004-02", "DoD-004-03", "references", "login"}


@pytest.mark.parametrize("make", [external, sealed])
@pytest.mark.parametrize("folder", [APP, GRAFANA])
def test_what_gives_all_keys(given: Place, make: Callable[..., dict[str, Any]], folder: str) -> None:
    put(given, make(*ALL_KEYS), folder, listed=folder != APP)
    entries = yaml.safe_load((given.root / APP / "kustomization.yaml").read_text())["resources"]
    assert ("./given.yaml" in entries) is (folder == APP)
    kind = make()["kind"]
    (said,) = remarks(given)
    assert f"is given by {kind} " in said
    assert said.endswith(f"({folder}/given.yaml), with the keys that are read")
    assert statuses(given) == [Status.PASS, Status.PASS, Status.UNKNOWN]
    assert verdicts(given, Stage.WRITTEN)["DoD-004-01"].cause in (None, Cause.STAGE)


@pytest.mark.parametrize("make", [external, sealed])
def test_keys_that_are_provably_missing_fail(given: Place, make: Callable[..., dict[str, Any]]) -> None:
    put(given, make("S3_ACCESS_KEY_ID", "username", "password"))
    (said,) = remarks(given)
    assert "without the keys S3_SECRET_ACCESS_KEY" in said
    found = verdicts(given)
    assert found["DoD-004-01"].status is Status.FAIL
    assert "lacks S3_SECRET_ACCESS_KEY" in found["DoD-004-01"].evidence
    assert found["DoD-004-01"].place.startswith(f"{APP}/given.yaml:")
    assert "S3_SECRET_ACCESS_KEY" in found["DoD-004-03"].evidence
    assert "S3_SECRET_ACCESS_KEY" in found["references"].evidence
    assert found["references"].remedy == f"name one of those, or add the key in {APP}/given.yaml"


def test_keys_that_vector_and_grafana_read_are_asked_for_too(given: Place) -> None:
    put(given, external("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "username"))
    found = verdicts(given)
    assert found["DoD-004-01"].status is Status.PASS
    assert "password" in found["references"].evidence
    assert "login" in found


def test_a_template_renames(given: Place) -> None:
    template = {"data": {name: f"{{{{ .{name.lower()} }}}}" for name in ALL_KEYS}}
    put(given, external("other", template=template))
    assert statuses(given) == [Status.PASS, Status.PASS, Status.UNKNOWN]


def test_a_value_that_is_typed_into_a_template_is_readable(given: Place) -> None:
    template = {"data": dict.fromkeys(ALL_KEYS, "{{ .x }}") | {"password": "canary", "username": "me"}}
    put(given, external(template=template))
    found = verdicts(given)["DoD-004-02"]
    assert (found.status, "password in plain text" in found.evidence) == (Status.FAIL, True)
    assert "canary" not in found.evidence


def test_keys_of_a_whole_item_are_not_known(given: Place) -> None:
    document = external()
    document["spec"]["dataFrom"] = [{"extract": {"key": "parseable"}}]
    put(given, document)
    (said,) = remarks(given)
    assert said.endswith("with keys that only the cluster knows")
    found = verdicts(given)
    assert set(found) == set(ITEMS)
    assert (found["DoD-004-01"].status, found["DoD-004-01"].cause) == (Status.UNKNOWN, Cause.CLUSTER)


def test_a_sops_secret_in_another_file_is_listed_and_decrypted(given: Place, finished: Path) -> None:  # noqa: F811
    text = (finished / APP / "secret.sops.yaml").read_text()
    put(given, yaml.safe_load(text))
    assert "./given.yaml" in (given.root / APP / "kustomization.yaml").read_text()
    assert statuses(given) == [Status.PASS, Status.PASS, Status.UNKNOWN]


def secret(**values: str) -> dict[str, Any]:
    metadata = {"name": NAME, "namespace": "monitoring"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}


def test_variables_of_flux_are_no_plaintext(given: Place) -> None:
    put(given, secret(**{name: f"${{{name.upper()}}}" for name in ALL_KEYS}))
    assert len(remarks(given)) == 1
    put(given, secret(**dict.fromkeys(ALL_KEYS, "canary")))
    found = verdicts(given)["DoD-004-02"]
    assert found.status is Status.FAIL
    # No task writes what somebody else gives.
    assert found.remedy.endswith(f"then sops encrypt -i {APP}/given.yaml")
    with pytest.raises(RefusedError, match="in plaintext, not yet committed"):
        remarks(given)


def test_what_nothing_applies_is_not_taken_for_given(given: Place) -> None:
    put(given, external(*ALL_KEYS), GRAFANA, listed=True)
    path = given.root / GRAFANA / "kustomization.yaml"
    path.write_text(path.read_text().replace("- ./given.yaml\n", ""))
    found = verdicts(given)["DoD-004-01"]
    assert (found.status, found.cause) == (Status.UNKNOWN, Cause.CLUSTER)
    assert f"({GRAFANA}/given.yaml) gives one, but nothing is seen to apply it" in found.evidence


@pytest.fixture
def bare(place: Place) -> Place:  # noqa: F811
    (place.root / ".sops.yaml").unlink()
    return place


def test_without_rules_the_refusal_names_both_ways(bare: Place) -> None:
    def hint() -> str:
        workspace = workspace_of(bare, "sops")
        with pytest.raises(RefusedError, match=r"no \.sops\.yaml in the repository") as caught:
            STEPS["TASK-004"].facts(workspace)
        return caught.value.hint

    assert "age-keygen" in hint()
    assert "creation_rules" in hint()
    assert hint().endswith("or, if somebody else gives the Secret, set secret.manage to existing")
    put(bare, {**external("x"), "metadata": {"name": "of-others"}, "spec": {}}, GRAFANA, listed=True)
    assert "(the repository has 1 ExternalSecret), set secret.manage to existing" in hint()


def test_a_secret_of_another_cluster_does_not_stop_a_push(given: Place, finished: Path) -> None:  # noqa: F811
    folder = given.root / "kubernetes/archive"
    folder.mkdir()
    (folder / "secret.yaml").write_text((finished / APP / "secret.sops.yaml").read_text())
    found = verdicts(given)
    assert set(found) == set(ITEMS)
    assert (found["DoD-004-01"].status, found["DoD-004-01"].cause) == (Status.UNKNOWN, Cause.CLUSTER)
