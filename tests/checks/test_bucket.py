"""The four answers about the bucket, with what the server must have for each."""

from dataclasses import replace

import pytest

from checks import bucket as checks
from checks.model import Cause, Outcome, Status
from tasks.core.errors import RefusedError, SettingsError
from tasks.effects.lifecycle import RULE_ID, LifecycleRule
from tasks.effects.s3 import Bucket, BucketFacts
from tasks.model import Model
from tasks.workspace import Workspace
from tests.checks.deployed import Run, answers
from tests.s3_double import Minio, serving
from tests.storage import Storage, prefix, rule, workspace_of

ALL = (checks.bucket_exists, checks.access_is_path_style, checks.old_logs_expire, checks.retention_applies)
OURS = rule(RULE_ID, prefix("kubernetes/date="), "30")
TAG = "<Tag><Key>env</Key><Value>x</Value></Tag>"


def workspace_with(*rules: LifecycleRule) -> Workspace:
    """A workspace whose bucket has ``rules``; its server need not be asked."""
    workspace = workspace_of(Storage("http://127.0.0.1:1", "").bucket("parseable-logs"))
    workspace.bucket_facts = BucketFacts(exists=True, rules=rules)
    return workspace


def ask(check: Run, workspace: Workspace) -> Outcome:
    (outcome,) = answers(check, Model(workspace))
    return outcome


def created(storage: Storage, name: str) -> Bucket:
    bucket = storage.bucket(name)
    bucket.create()
    return bucket


def test_everything_holds(storage: Storage, bucket_name: str) -> None:
    bucket = created(storage, bucket_name)
    bucket.put_rules([OURS])
    outcomes = [ask(check, workspace_of(bucket, probe=True)) for check in ALL]
    assert [item.status for item in outcomes] == [Status.PASS] * 4
    assert outcomes[0].evidence == f"bucket '{bucket_name}' exists at {storage.endpoint}"
    assert outcomes[1].evidence == (
        f"the server answered a path-style request for {storage.endpoint}/{bucket_name} "
        "signed for region 'minio'; "
        "a probe object was written, read back and deleted with these credentials"
    )
    assert outcomes[2].evidence == "rule 'parseable-expire-logs' deletes kubernetes/date=… after 30 days"
    assert outcomes[3].evidence == outcomes[2].evidence


def test_without_a_bucket_nothing_holds(storage: Storage, bucket_name: str) -> None:
    for check in ALL:
        outcome = ask(check, workspace_of(storage.bucket(bucket_name)))
        assert outcome.status is Status.FAIL
        assert outcome.evidence == f"bucket '{bucket_name}' does not exist at {storage.endpoint}"
        assert outcome.remedy == "invoke task-001"
        assert outcome.consequence


@pytest.mark.parametrize("account", ["nobody", "stranger"])
def test_refused_credentials_fail(storage: Storage, bucket_name: str, account: str) -> None:
    created(storage, bucket_name)
    for check in ALL:
        outcome = ask(check, workspace_of(storage.bucket(bucket_name, account)))
        assert outcome.status is Status.FAIL
        assert storage.endpoint in outcome.evidence
        assert outcome.remedy


def test_a_refused_region_fails() -> None:
    with serving(Minio("home-1", {"parseable-logs": ""})) as double:
        outcome = ask(
            checks.access_is_path_style, workspace_of(Storage(double.endpoint, "").bucket("parseable-logs"))
        )
    assert outcome.status is Status.FAIL
    assert outcome.evidence.endswith("refused region 'minio': it wants 'home-1'")
    assert outcome.remedy == "set s3.region to home-1"


def test_an_unreachable_server_is_unknown(storage: Storage, bucket_name: str) -> None:
    for endpoint in ("http://127.0.0.1:1", "http://s3.invalid", storage.tls_endpoint):
        workspace = workspace_of(storage.bucket(bucket_name, endpoint=endpoint))
        for check in ALL:
            outcome = ask(check, workspace)
            assert outcome.status is Status.UNKNOWN
            assert endpoint in outcome.evidence
            assert outcome.remedy


def test_a_server_lost_between_listing_and_probe_fails() -> None:
    workspace = workspace_with(OURS)
    workspace.probe = True
    assert ask(checks.access_is_path_style, workspace).status is Status.FAIL


def test_missing_credentials_are_unknown() -> None:
    class Keyless(Workspace):
        @property
        def bucket_facts(self) -> BucketFacts:
            raise SettingsError("no S3 credentials", "set them")

    workspace = workspace_with()
    workspace.__class__ = Keyless
    for check in ALL:
        outcome = ask(check, workspace)
        assert (outcome.status, outcome.evidence) == (Status.UNKNOWN, "no S3 credentials")
        assert outcome.remedy == "set them"


def test_a_failed_probe_fails(storage: Storage, bucket_name: str) -> None:
    created(storage, bucket_name)
    reader = storage.bucket(bucket_name, "reader")
    assert ask(checks.access_is_path_style, workspace_of(reader)).status is Status.PASS
    outcome = ask(checks.access_is_path_style, workspace_of(reader, probe=True))
    assert outcome.status is Status.FAIL
    assert outcome.evidence.startswith(f"this S3 key may not write to bucket '{bucket_name}'")
    assert outcome.consequence
    assert outcome.remedy == "grant it s3:PutObject on the bucket"


def test_without_permission_nothing_is_written(storage: Storage, bucket_name: str) -> None:
    created(storage, bucket_name)
    lister = storage.bucket(bucket_name, "lister")  # could not write
    assert ask(checks.access_is_path_style, workspace_of(lister)).status is Status.PASS


def test_unreadable_rules_fail_where_rules_matter(storage: Storage, bucket_name: str) -> None:
    created(storage, bucket_name)
    workspace = workspace_of(storage.bucket(bucket_name, "lister"))
    assert [ask(check, workspace).status for check in ALL] == ["pass", "pass", "fail", "fail"]
    assert "may not read the lifecycle rules" in ask(checks.old_logs_expire, workspace).evidence


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ((), ""),
        (
            (rule(RULE_ID, prefix("kubernetes/date="), "30", "Disabled"),),
            "; it has 'parseable-expire-logs' (disabled) deletes kubernetes/date=… after 30 days",
        ),
        (
            (rule(RULE_ID, prefix("kubernetes/date="), "40"),),
            "; it has 'parseable-expire-logs' deletes kubernetes/date=… after 40 days",
        ),
        ((rule(RULE_ID, prefix("vector/date="), "30"),), ""),
        (
            (rule("x", f"<Filter><And><Prefix>kubernetes/date=</Prefix>{TAG}</And></Filter>", "30"),),
            "; it has 'x' deletes kubernetes/date=… after 30 days",
        ),
    ],
)
def test_logs_that_are_not_deleted_in_time_fail(rules: tuple[LifecycleRule, ...], told: str) -> None:
    for check in (checks.old_logs_expire, checks.retention_applies):
        outcome = ask(check, workspace_with(*rules))
        assert outcome.status is Status.FAIL
        assert outcome.evidence == (
            "no lifecycle rule of bucket 'parseable-logs' deletes kubernetes/date=… after 30 days" + told
        )
        assert outcome.remedy == "invoke task-001"


@pytest.mark.parametrize(
    ("where", "lost"),
    [
        (prefix(""), "its deployment id, users and roles and the description of"),
        ("", "its deployment id"),
        ("<Prefix></Prefix>", "its deployment id"),
        (prefix("."), "its deployment id, users and roles:"),
        (prefix(".parseable"), "its deployment id, users and roles:"),
        (prefix(".parseable/.par"), "its deployment id, users and roles:"),
        (prefix("k"), "the description of stream 'kubernetes' and the schema of stream 'kubernetes':"),
        (prefix("kubernetes/"), "the description of stream"),
        (prefix("kubernetes/.stream/.schema"), "loses the schema of stream 'kubernetes':"),
    ],
)
def test_a_rule_that_deletes_parseables_metadata_fails(where: str, lost: str) -> None:
    outcome = ask(checks.old_logs_expire, workspace_with(OURS, rule("theirs", where, "60")))
    assert outcome.status is Status.FAIL
    assert "'theirs'" in outcome.evidence
    assert "about 60 days after the push Parseable loses" in outcome.consequence
    assert lost in outcome.consequence
    assert outcome.remedy.startswith("remove rule 'theirs', or limit it")
    assert (
        ask(checks.retention_applies, workspace_with(OURS, rule("theirs", where, "60"))).status is Status.PASS
    )


def test_a_rule_that_deletes_everything_on_a_date_fails() -> None:
    by_date = "<Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>"
    outcome = ask(checks.old_logs_expire, workspace_with(OURS, rule("theirs", prefix(""), by_date)))
    assert outcome.status is Status.FAIL
    assert "from 2030-01-01T00:00:00Z on Parseable loses" in outcome.consequence


def test_the_documented_rule_fails_and_says_all_that_is_wrong_with_it() -> None:
    outcome = ask(checks.old_logs_expire, workspace_with(rule("all", prefix(""), "30")))
    assert outcome.status is Status.FAIL
    assert outcome.evidence == (
        "no lifecycle rule of bucket 'parseable-logs' deletes kubernetes/date=… after 30 days; "
        "rule 'all' deletes every object of the bucket after 30 days, Parseable's own metadata included"
    )
    assert outcome.remedy == (
        "invoke task-001; remove rule 'all', or limit it to a prefix that is not Parseable's"
    )


@pytest.mark.parametrize(
    "harmless",
    [
        rule("x", prefix("tmp/"), "1"),
        rule("x", prefix(".parseable/other"), "1"),
        rule("x", prefix("kubernetes2/"), "1"),
        rule("x", prefix(""), "1", "Disabled"),
        rule(
            "x",
            prefix(""),
            "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>",
        ),
        rule(
            "x",
            prefix(""),
            "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>"
            "</AbortIncompleteMultipartUpload>",
        ),
        rule(
            "x",
            prefix(""),
            "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
        ),
        rule("x", prefix(""), "<DelMarkerExpiration><Days>1</Days></DelMarkerExpiration>"),
    ],
    ids=lambda item: item.xml[15:90],
)
def test_no_false_alarm(harmless: LifecycleRule) -> None:
    outcome = ask(checks.old_logs_expire, workspace_with(harmless, OURS))
    assert outcome.status is Status.PASS
    assert "'x'" not in outcome.evidence


@pytest.mark.parametrize(
    ("where", "limit"),
    [
        (f"<Filter>{TAG}</Filter>", "with the tag env=x"),
        (
            "<Filter><ObjectSizeGreaterThan>9</ObjectSizeGreaterThan></Filter>",
            "with ObjectSizeGreaterThan 9",
        ),
    ],
)
def test_a_limited_rule_is_noted_but_no_failure(where: str, limit: str) -> None:
    outcome = ask(checks.old_logs_expire, workspace_with(OURS, rule("x", where, "1")))
    assert outcome.status is Status.PASS
    assert f"rule 'x' also deletes objects, but only those {limit}" in outcome.evidence


def test_logs_that_are_deleted_early_fail() -> None:
    early = rule("early", prefix("kubernetes/d"), "7")
    for check in (checks.old_logs_expire, checks.retention_applies):
        outcome = ask(check, workspace_with(OURS, early))
        assert outcome.status is Status.FAIL
        assert "rule 'early' deletes kubernetes/d… after 7 days, before the 30 days" in outcome.evidence


def test_one_day_is_one_day() -> None:
    workspace = workspace_of(Storage("http://127.0.0.1:1", "").bucket("parseable-logs"), days=1)
    workspace.bucket_facts = BucketFacts(exists=True, rules=(rule(RULE_ID, prefix("kubernetes/date="), "1"),))
    assert ask(checks.retention_applies, workspace).evidence.endswith("after 1 day")


VERSIONS = (
    "<NoncurrentVersionExpiration><NoncurrentDays>{days}</NoncurrentDays>{more}</NoncurrentVersionExpiration>"
)
NONCURRENT = f"<Expiration><Days>30</Days></Expiration>{VERSIONS}"


def versioned(*rules: LifecycleRule) -> Workspace:
    workspace = workspace_with(*rules)
    workspace.bucket_facts = replace(workspace.bucket_facts, versioned=True)
    return workspace


@pytest.mark.parametrize(
    ("rules", "is_enough"),
    [
        ((OURS,), False),
        ((rule(RULE_ID, prefix("kubernetes/date="), NONCURRENT.format(days=1, more="")),), True),
        # A rule of somebody else does as well.
        (
            (OURS, rule("x", prefix(""), VERSIONS.format(days=30, more=""))),
            True,
        ),
        ((rule(RULE_ID, prefix("kubernetes/date="), NONCURRENT.format(days=31, more="")),), False),
        (
            (
                rule(
                    RULE_ID,
                    prefix("kubernetes/date="),
                    NONCURRENT.format(days=1, more="<NewerNoncurrentVersions>3</NewerNoncurrentVersions>"),
                ),
            ),
            False,
        ),
        ((OURS, rule("x", prefix("k/"), NONCURRENT.format(days=1, more=""))), False),
        ((OURS, rule("x", prefix("kubernetes/"), NONCURRENT.format(days=1, more=""), "Disabled")), False),
    ],
)
def test_a_versioned_bucket_must_lose_the_versions_too(
    rules: tuple[LifecycleRule, ...], is_enough: bool
) -> None:
    outcome = ask(checks.old_logs_expire, versioned(*rules))
    assert (outcome.status is Status.PASS) is is_enough
    if not is_enough:
        assert "keeps every version: the rule only hides the objects" in outcome.evidence
        assert outcome.consequence == "their bytes are kept for ever"
        assert outcome.remedy == "invoke task-001"


def test_whether_versions_are_kept_may_be_hidden() -> None:
    workspace = workspace_with(OURS)
    workspace.bucket_facts = replace(workspace.bucket_facts, versioned=None)
    outcome = ask(checks.old_logs_expire, workspace)
    assert (outcome.status, outcome.cause) == (Status.UNKNOWN, Cause.TOOL)
    assert outcome.remedy == "grant it s3:GetBucketVersioning on the bucket"
    # What fails without that fails with it.
    workspace.bucket_facts = replace(workspace.bucket_facts, rules=())
    assert ask(checks.old_logs_expire, workspace).status is Status.FAIL


def left_to_parseable(found: BucketFacts) -> Workspace:
    workspace = workspace_with()
    workspace.settings = replace(
        workspace.settings, s3=replace(workspace.settings.s3, retention="parseable", retention_days=7)
    )
    workspace.__dict__["layout"] = type("Layout", (), {"namespace": "logs"})
    workspace.bucket_facts = found
    return workspace


@pytest.mark.parametrize("unread", [None, RefusedError("it has none")])
def test_retention_that_parseable_does_is_not_known_before_it_runs(unread: RefusedError | None) -> None:
    for check in (checks.old_logs_expire, checks.retention_applies):
        outcome = ask(check, left_to_parseable(BucketFacts(exists=True, unread=unread)))
        assert (outcome.status, outcome.cause) == (Status.UNKNOWN, Cause.CLUSTER)
        assert outcome.remedy == "kubectl -n logs get job parseable-retention"


def test_a_rule_that_is_there_counts_also_where_parseable_deletes() -> None:
    weekly = rule(RULE_ID, prefix("kubernetes/date="), "7")
    for check in (checks.old_logs_expire, checks.retention_applies):
        assert ask(check, left_to_parseable(BucketFacts(exists=True, rules=(weekly,)))).status is Status.PASS


def test_what_parseable_cannot_help_fails_also_where_it_deletes() -> None:
    theirs = rule("theirs", prefix(""), "60")
    outcome = ask(checks.old_logs_expire, left_to_parseable(BucketFacts(exists=True, rules=(theirs,))))
    assert (outcome.status, "'theirs'" in outcome.evidence) == (Status.FAIL, True)
    outcome = ask(checks.old_logs_expire, left_to_parseable(BucketFacts(exists=True, versioned=True)))
    assert "keeps every version: a deletion only hides the objects" in outcome.evidence
    assert "NoncurrentVersionExpiration" in outcome.remedy
    unread = BucketFacts(exists=True, versioned=True, unread=RefusedError("it has none"))
    assert ask(checks.old_logs_expire, left_to_parseable(unread)).status is Status.UNKNOWN
    outcome = ask(checks.old_logs_expire, left_to_parseable(BucketFacts(exists=False)))
    assert outcome.status is Status.FAIL


def test_the_address_that_is_asked_is_told_beside_the_one_that_parseable_gets() -> None:
    workspace = workspace_with(OURS)
    s3 = replace(
        workspace.settings.s3, endpoint="http://s3.storage.svc:9000", admin_endpoint="http://127.0.0.1:1"
    )
    workspace.settings = replace(workspace.settings, s3=s3)
    assert ask(checks.bucket_exists, workspace).evidence == (
        "bucket 'parseable-logs' exists at http://127.0.0.1:1, which Parseable gets as http://s3.storage.svc:9000"
    )
