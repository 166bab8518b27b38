"""The bucket against a real S3 server: first run, second run, repaired drift, foreign rules."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from tasks.core.changes import Change, Remark
from tasks.core.errors import RefusedError
from tasks.core.settings import Parseable
from tasks.effects.lifecycle import RULE_ID
from tasks.effects.s3 import Bucket, BucketFacts, CreateBucket, PutLifecycle
from tasks.effects.tls import Distrust
from tasks.subjects import bucket as task
from tasks.workspace import Workspace
from tests.s3_double import Minio, Reply, Request, error, listing, serving
from tests.storage import Storage, prefix, rule, workspace_of

OTHERS = (
    rule("tmp", prefix("tmp/"), "7"),
    rule("tagged", "<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>", "3", "Disabled"),
)


def planned(workspace: Workspace) -> list[Change]:
    """The changes of the plan, which must say nothing beside them."""
    found = list(task.plan(workspace, task.facts(workspace)))
    assert all(isinstance(one, Change) for one in found)
    return [one for one in found if isinstance(one, Change)]


def run(bucket: Bucket, days: int = 30) -> list[Change]:
    """One run of the task; returns what it did."""
    changes = planned(workspace_of(bucket, days=days))
    for change in changes:
        change.apply()
    return changes


def text(bucket: Bucket) -> list[str]:
    return [item.xml for item in bucket.rules()]


def test_first_run_second_run_and_drift(storage: Storage, bucket_name: str) -> None:
    bucket = storage.bucket(bucket_name)
    assert [type(change) for change in run(bucket)] == [CreateBucket, PutLifecycle]
    (ours,) = bucket.rules()
    assert (ours.id, ours.prefix, ours.days, ours.enabled) == (RULE_ID, "kubernetes/date=", 30, True)
    before = text(bucket)

    assert run(bucket) == []
    assert text(bucket) == before

    bucket.put_rules([*OTHERS[:1], rule(RULE_ID, prefix("kubernetes/date="), "1", "Disabled"), *OTHERS[1:]])
    (repair,) = run(bucket)
    assert repair.summary == (
        f"set the lifecycle of bucket '{bucket_name}': rule 'parseable-expire-logs' deletes "
        "kubernetes/date=… after 30 days (2 other rules kept)"
    )
    assert "-  Status: Disabled" in repair.diff()
    assert [item.id for item in bucket.rules()] == ["tmp", RULE_ID, "tagged"]
    assert (text(bucket)[0], text(bucket)[2]) == (OTHERS[0].xml, OTHERS[1].xml)
    assert run(bucket) == []


def test_rules_of_others_survive_byte_for_byte(storage: Storage, bucket_name: str) -> None:
    bucket = storage.bucket(bucket_name)
    bucket.create()
    bucket.put_rules(OTHERS)
    assert [type(change) for change in run(bucket)] == [PutLifecycle]
    assert text(bucket)[:2] == [item.xml for item in OTHERS]
    assert len(text(bucket)) == 3


def test_another_retention_changes_our_rule_alone(storage: Storage, bucket_name: str) -> None:
    bucket = storage.bucket(bucket_name)
    run(bucket)
    assert [type(change) for change in run(bucket, days=14)] == [PutLifecycle]
    assert [item.days for item in bucket.rules()] == [14]


def test_the_stream_of_the_settings_gives_the_prefix(storage: Storage, bucket_name: str) -> None:
    workspace = workspace_of(storage.bucket(bucket_name))
    workspace.settings = replace(workspace.settings, parseable=replace(Parseable(), stream="flux-logs"))
    assert "deletes flux-logs/date=… after" in planned(workspace)[1].summary


def test_planning_changes_nothing(storage: Storage, bucket_name: str) -> None:
    bucket = storage.bucket(bucket_name)
    assert len(planned(workspace_of(bucket))) == 2
    assert not bucket.facts().exists


def test_a_server_that_returns_rules_in_its_own_form_is_not_asked_to_change_them_again() -> None:
    """As Ceph and older S3 do: prefix beside the filter, other order, white space, elements of its own."""
    theirs = (
        "<Rule>\n <Status>Enabled</Status>\n <Prefix>kubernetes/date=</Prefix>\n"
        f" <ID>{RULE_ID}</ID>\n <Expiration>\n  <Days>30</Days>\n </Expiration>\n</Rule>"
    )
    with serving(Minio("minio", {"parseable-logs": theirs})) as double:
        assert run(Storage(double.endpoint, "").bucket("parseable-logs")) == []


@pytest.mark.parametrize("existing", [None, ""])
def test_minio_gets_bucket_and_rule_in_its_region(existing: str | None) -> None:
    minio = Minio("minio", {} if existing is None else {"parseable-logs": existing})
    with serving(minio) as double:
        bucket = Storage(double.endpoint, "").bucket("parseable-logs")
        assert run(bucket)
        assert run(bucket) == []
    assert RULE_ID in minio.rules["parseable-logs"]


def test_rules_that_cannot_be_read_are_not_replaced(storage: Storage, bucket_name: str) -> None:
    run(storage.bucket(bucket_name))
    with pytest.raises(RefusedError, match="may not read the lifecycle rules"):
        planned(workspace_of(storage.bucket(bucket_name, "lister")))


def test_a_server_without_lifecycle_rules_stops_the_task() -> None:
    with serving(
        lambda request: error(501, "NotImplemented") if "lifecycle" in request.path else listing()
    ) as double:
        workspace = workspace_of(Storage(double.endpoint, "").bucket("parseable-logs"))
        with pytest.raises(RefusedError, match=r"does not support lifecycle rules \(NotImplemented\)"):
            planned(workspace)


def without_layout(workspace: Workspace, **settings: Any) -> Workspace:
    """The workspace with other settings of S3, in the documented namespace."""
    workspace.settings = replace(workspace.settings, s3=replace(workspace.settings.s3, **settings))
    workspace.__dict__["layout"] = type("Layout", (), {"namespace": "monitoring"})
    return workspace


class WithoutRules:
    """A server that makes buckets and has no lifecycle rules, as ``answer`` says."""

    def __init__(self, answer: Reply) -> None:
        self.answer = answer
        self.exists = False

    def __call__(self, request: Request) -> Reply:
        if "lifecycle" in request.path:
            return self.answer
        if request.method == "PUT":
            self.exists = True
            return Reply(200)
        return listing() if self.exists else error(404, "NoSuchBucket")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (error(501, "NotImplemented"), "NotImplemented"),
        (error(405, "MethodNotAllowed"), "MethodNotAllowed"),
        (error(400, "NotSupported"), "NotSupported"),
        (Reply(501, "no such thing"), "HTTP 501"),
    ],
)
def test_a_bucket_that_is_made_where_no_rule_can_be_set_is_told(answer: Reply, reason: str) -> None:
    with serving(WithoutRules(answer)) as double:
        bucket = Storage(double.endpoint, "").bucket("parseable-logs")
        create, put = planned(workspace_of(bucket))
        create.apply()
        with pytest.raises(RefusedError) as caught:
            put.apply()
        assert f"does not support lifecycle rules ({reason})" in caught.value.summary
        assert caught.value.summary.endswith("; the bucket 'parseable-logs' was made, without a rule")
        assert "set s3.retention to parseable" in caught.value.hint
        # Again, it was not made by this run.
        with pytest.raises(RefusedError, match="does not support lifecycle rules") as caught:
            planned(workspace_of(bucket))
        assert "was made" not in caught.value.summary

        workspace = without_layout(workspace_of(bucket), retention="parseable")
        (remark,) = task.plan(workspace, task.facts(workspace))
    assert isinstance(remark, Remark)
    assert "no lifecycle rule is set (s3.retention: parseable)" in remark.text
    assert remark.text.endswith("has Parseable delete logs after 30 days")
    assert remark.text.startswith("no lifecycle rule is set")


def test_a_bucket_is_made_also_where_parseable_deletes(storage: Storage, bucket_name: str) -> None:
    workspace = without_layout(workspace_of(storage.bucket(bucket_name)), retention="parseable")
    create, remark = task.plan(workspace, task.facts(workspace))
    assert (type(create), type(remark)) == (CreateBucket, Remark)


@pytest.fixture
def versioned(storage: Storage, bucket_name: str) -> Bucket:
    """A bucket of the real server that keeps versions."""
    bucket = storage.bucket(bucket_name)
    bucket.create()
    state = {"Status": "Enabled"}
    bucket._client.put_bucket_versioning(Bucket=bucket_name, VersioningConfiguration=state)  # type: ignore[arg-type]
    return bucket


def test_a_versioned_bucket_loses_what_the_rule_hides(versioned: Bucket) -> None:
    assert versioned.facts().versioned is True
    (put,) = run(versioned)
    assert put.summary.endswith("after 30 days, and what is left of it in older versions 1 day later")
    (ours,) = versioned.rules()
    assert (ours.days, ours.noncurrent_days) == (30, 1)
    assert set(ours.actions) == {
        "Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload",
    }  # fmt: skip
    assert run(versioned) == []


def test_a_rule_from_before_the_versions_is_completed_at_its_place(versioned: Bucket) -> None:
    versioned.put_rules([OTHERS[0], rule(RULE_ID, prefix("kubernetes/date="), "30"), OTHERS[1]])
    run(versioned)
    assert [item.id for item in versioned.rules()] == ["tmp", RULE_ID, "tagged"]
    assert [item.noncurrent_days for item in versioned.rules()] == [None, 1, None]
    assert run(versioned) == []


def test_the_logs_of_a_former_stream_go_on_expiring(storage: Storage, bucket_name: str) -> None:
    bucket = storage.bucket(bucket_name)
    bucket.create()
    bucket.put_rules([OTHERS[0], rule(RULE_ID, prefix("app/date="), "30")])
    run(bucket)
    found = {item.id: (item.prefix, item.days) for item in bucket.rules()}
    assert found[RULE_ID] == ("kubernetes/date=", 30)
    assert found[f"{RULE_ID}-app"] == ("app/date=", 30)
    assert "tmp" in found
    assert run(bucket) == []


class AlwaysVersioned(Minio):
    """Keeps versions of all, and forgets what it does not know of a rule, as Go's decoder lets MinIO do."""

    def __call__(self, request: Request) -> Reply:
        if request.path.endswith("?versioning"):
            return Reply(200, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
        reply = super().__call__(request)
        for name, text in self.rules.items():
            self.rules[name] = re.sub("<Abort.*</AbortIncompleteMultipartUpload>", "", text)
        return reply


def test_a_server_that_makes_versioned_buckets_only() -> None:
    minio = AlwaysVersioned("minio")
    with serving(minio) as double:
        bucket = Storage(double.endpoint, "").bucket("parseable-logs")
        create, put = run(bucket)
        assert isinstance(create, CreateBucket)
        assert "if the new bucket keeps versions" in put.diff()
        assert [item.noncurrent_days for item in bucket.rules()] == [1]
        assert run(bucket) == []


def test_a_certificate_that_parseable_would_not_trust_is_refused_before_anything_is_made(
    storage: Storage, bucket_name: str, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    bucket = storage.bucket(bucket_name, endpoint=storage.tls_endpoint)
    workspace = without_layout(workspace_of(bucket))
    with pytest.raises(RefusedError, match="Parseable would not trust the certificate of https://") as caught:
        planned(workspace)
    assert "namespace monitoring" in caught.value.hint
    assert caught.value.hint.endswith("set s3.ca_config_map to its name")
    assert len(planned(without_layout(workspace, ca_config_map="authority"))) == 2
    # What Parseable gets counts, not what is asked.
    other = without_layout(
        workspace_of(
            storage.bucket(bucket_name, endpoint=storage.tls_endpoint, admin_endpoint=storage.endpoint)
        )
    )
    with pytest.raises(RefusedError, match="Parseable would not trust"):
        planned(other)
    plain = storage.bucket(bucket_name, endpoint=storage.endpoint, admin_endpoint=storage.tls_endpoint)
    assert len(planned(workspace_of(plain))) == 2


def test_an_authoritys_own_certificate_is_refused_whatever_is_trusted(bucket_name: str) -> None:
    bucket = Storage("https://127.0.0.1:1", "").bucket(bucket_name)
    workspace = without_layout(workspace_of(bucket), ca_config_map="authority")
    found = BucketFacts(exists=False, untrusted=Distrust("self-signed certificate", is_authority=True))
    with pytest.raises(RefusedError, match="it is an authority's own, which Parseable refuses") as caught:
        list(task.plan(workspace, found))
    assert "set s3.tls to skip-verify" in caught.value.hint
    assert len(list(task.plan(without_layout(workspace, tls="skip-verify"), found))) == 2
    # One that an authority signed is another matter.
    signed = BucketFacts(exists=False, untrusted=Distrust("unable to get local issuer certificate"))
    assert len(list(task.plan(without_layout(workspace, tls="verify"), signed))) == 2
