"""The bucket against a real S3 server: first run, second run, repaired drift, foreign rules."""

from dataclasses import replace

import pytest

from tasks.core.changes import Change
from tasks.core.errors import RefusedError
from tasks.core.settings import Parseable
from tasks.effects.lifecycle import RULE_ID
from tasks.effects.s3 import Bucket, CreateBucket, PutLifecycle
from tasks.subjects import bucket as task
from tasks.workspace import Workspace
from tests.s3_double import Minio, error, listing, serving
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
