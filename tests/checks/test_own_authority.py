"""An S3 server whose certificate is of no public authority: what Parseable would make of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from checks.model import judge
from checks.registry import CHECKS
from tasks.core.errors import RefusedError
from tasks.core.outcomes import Cause, Outcome, Status
from tasks.effects.files import WriteFile
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.effects.s3 import BucketFacts
from tasks.effects.s3_errors import UnreachableError, UntrustedError
from tasks.effects.tls import Distrust
from tasks.model import Model
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
from tests.storage import Storage
from tests.tools import helm_folder  # noqa: F401

APP = "kubernetes/apps/monitoring/parseable/app"
RELEASE = f"{APP}/helmrelease.yaml"
REASON = "unable to get local issuer certificate"


def workspace_of(
    place: Place,  # noqa: F811
    found: BucketFacts | RefusedError,
    **settings: Any,
) -> Workspace:
    s3 = replace(place.settings.s3, **settings)
    workspace = Workspace(
        replace(place.settings, s3=s3), Repository(Git(place.root)), permissions=Permissions(force=True)
    )

    class Door:
        def facts(self) -> BucketFacts:
            if isinstance(found, RefusedError):
                raise found
            return found

    workspace.__dict__["bucket"] = Door()
    return workspace


UNTRUSTED = BucketFacts(exists=True, rules=(OURS,), untrusted=Distrust(REASON))


def answers_of(workspace: Workspace, name: str) -> list[Outcome]:
    return [one.outcome for one in judge([CHECKS[name]], Model(workspace))]


def connects(workspace: Workspace) -> Outcome:
    (outcome,) = answers_of(workspace, "DoD-003-02")
    return outcome


def write_release(workspace: Workspace) -> None:
    for change in STEPS["TASK-003"].plan(workspace, STEPS["TASK-003"].facts(workspace)):
        assert isinstance(change, WriteFile)
        change.apply()


def test_a_certificate_that_parseable_would_not_trust_fails(place: Place) -> None:  # noqa: F811
    outcome = connects(workspace_of(place, UNTRUSTED))
    assert outcome.status is Status.FAIL
    assert "Parseable would not trust the certificate of http" in outcome.evidence
    assert REASON in outcome.evidence
    assert "s3.ca_config_map" in outcome.remedy
    assert connects(workspace_of(place, replace(UNTRUSTED, untrusted=None))).status is Status.PASS


def test_what_nobody_here_trusts_fails_too_and_what_is_silent_does_not(place: Place) -> None:  # noqa: F811
    untrusted = UntrustedError("the TLS certificate of https://s3 is not trusted: self-signed certificate")
    assert "self-signed certificate" in connects(workspace_of(place, untrusted)).evidence
    # What is asked elsewhere says nothing of what Parseable gets.
    asked = workspace_of(place, untrusted, admin_endpoint="https://127.0.0.1:1")
    assert connects(asked).status is Status.PASS
    assert connects(workspace_of(place, UnreachableError("cannot be reached"))).status is Status.PASS


def test_the_config_map_of_the_settings_is_mounted(place: Place) -> None:  # noqa: F811
    workspace = workspace_of(place, UNTRUSTED, ca_config_map="home-authority")
    write_release(workspace)
    workspace.refresh()
    assert connects(workspace).status is Status.PASS

    def references() -> list[Outcome]:
        again = workspace_of(place, UNTRUSTED, ca_config_map="home-authority")
        return [one for one in answers_of(again, "references") if "home-authority" in one.evidence]

    (unseen,) = references()
    assert (unseen.status, unseen.cause) == (Status.UNKNOWN, Cause.CLUSTER)
    assert "kubectl create configmap -n monitoring home-authority --from-file=ca.crt=FILE" in unseen.remedy
    put_config_map(place.root, "ca.pem")
    (wrong,) = references()
    assert (wrong.status, "has no key ca.crt" in wrong.evidence) == (Status.FAIL, True)
    put_config_map(place.root, "ca.crt")
    assert references() == []


def put_config_map(root: Path, key: str, text: str = "x") -> None:
    """Give the authority in a file that Grafana's Kustomization applies into the same namespace."""
    folder = root / "kubernetes/apps/monitoring/grafana/app"
    data = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "home-authority"},
        "data": {key: text},
    }
    (folder / "authority.yaml").write_text(yaml.safe_dump(data))
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    kustomization["resources"] = [*dict.fromkeys((*kustomization["resources"], "./authority.yaml"))]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))


@pytest.mark.parametrize(
    ("variables", "mount", "trusts"),
    [
        ({"P_S3_TLS_SKIP_VERIFY": "true"}, "", True),
        ({"P_S3_TLS_SKIP_VERIFY": "false"}, "", False),
        ({}, "/etc/ssl/certs/home.pem", True),
        ({}, "/etc/ssl/certs", True),
        ({}, "/certificates", False),
        ({"SSL_CERT_FILE": "/certificates/ca.crt"}, "/certificates", True),
        ({"SSL_CERT_DIR": "/etc/ssl/certs:/certificates"}, "/certificates", True),
        # The file of the image, whatever is mounted elsewhere.
        ({"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}, "/certificates", False),
        ({"SSL_CERT_FILE": "/certificates/ca.crt"}, "", False),
    ],
)
def test_other_ways_to_trust_it(
    place: Place,  # noqa: F811
    variables: dict[str, str],
    mount: str,
    trusts: bool,
) -> None:
    release = yaml.safe_load((place.root / RELEASE).read_text())
    release["spec"]["values"]["parseable"]["env"].update(variables)
    if mount:
        patch = release["spec"]["postRenderers"][0]["kustomize"]["patches"][0]
        inner = yaml.safe_load(patch["patch"])
        pod = inner["spec"]["template"]["spec"]
        pod["containers"][0]["volumeMounts"] = [{"name": "own", "mountPath": mount}]
        pod["volumes"] = [{"name": "own", "configMap": {"name": "any"}}]
        patch["patch"] = yaml.safe_dump(inner)
    (place.root / RELEASE).write_text(yaml.safe_dump(release))
    assert connects(workspace_of(place, UNTRUSTED)).status is (Status.PASS if trusts else Status.FAIL)


def test_an_authoritys_own_certificate_needs_more_than_trust(place: Place) -> None:  # noqa: F811
    found = replace(UNTRUSTED, untrusted=Distrust(REASON, is_authority=True))
    trusting = workspace_of(place, found, ca_config_map="home-authority")
    write_release(trusting)
    trusting.refresh()
    outcome = connects(trusting)
    assert (outcome.status, "it is an authority's own" in outcome.evidence) == (Status.FAIL, True)
    assert "s3.tls" in outcome.remedy
    skipping = workspace_of(place, found, tls="skip-verify")
    write_release(skipping)
    skipping.refresh()
    assert connects(skipping).status is Status.PASS


@pytest.mark.parametrize("is_right", [True, False])
def test_the_authority_in_the_repository_is_tried(
    place: Place,  # noqa: F811
    storage: Storage,
    authority: trustme.CA,
    is_right: bool,
) -> None:
    settings = {"endpoint": storage.tls_endpoint, "ca_config_map": "home-authority"}
    write_release(workspace_of(place, UNTRUSTED, **settings))
    given = authority if is_right else trustme.CA()
    put_config_map(place.root, "ca.crt", given.cert_pem.bytes().decode())
    outcome = connects(workspace_of(place, UNTRUSTED, **settings))
    assert outcome.status is (Status.PASS if is_right else Status.FAIL)
    if not is_right:
        assert "(with the authorities in /etc/parseable-s3-ca/ca.crt)" in outcome.evidence
