"""Reading lifecycle rules in every form servers give them, and correcting ours among those of others."""

import pytest

from tasks.effects.lifecycle import (
    RULE_ID,
    LifecycleRule,
    document,
    expires_logs,
    log_prefix,
    parse_rules,
    wanted_rules,
)
from tests.storage import prefix, rule

LOGS = "kubernetes/date="
RIGHT = rule(RULE_ID, prefix(LOGS), "30")
OTHER = rule("other", prefix("tmp/"), "3")
TAG = "<Tag><Key>k</Key><Value>v</Value></Tag>"
TRANSITION = "<Transition><Days>9</Days><StorageClass>COLD</StorageClass></Transition>"
EXPIRE_7 = "<Expiration><Days>7</Days></Expiration>"


def wanted(*rules: LifecycleRule) -> tuple[LifecycleRule, ...]:
    """The wanted rules, which wanting again does not change."""
    found = wanted_rules(rules, LOGS, 30)
    assert wanted_rules(found, LOGS, 30) == found
    assert any(expires_logs(item, LOGS, 30) for item in found)
    return found


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("<Filter><Prefix>a b</Prefix></Filter>", ("a b", ())),
        ("<Prefix>a</Prefix>", ("a", ())),
        ("<Filter><And><Prefix>a</Prefix></And></Filter>", ("a", ())),
        ("<Prefix></Prefix><Filter><Prefix>a</Prefix></Filter>", ("a", ())),
        ("<Prefix>a</Prefix><Filter><Prefix></Prefix></Filter>", ("a", ())),
        ("<Filter/>", ("", ())),
        ("", ("", ())),
        ("<Filter><Prefix>a&amp;b</Prefix></Filter>", ("a&b", ())),
        (f"<Filter>{TAG}</Filter>", ("", ("with the tag k=v",))),
        (
            f"<Filter><And>{TAG}{TAG.replace('v', 'w')}<Prefix>a</Prefix></And></Filter>",
            ("a", ("with the tag k=v", "with the tag k=w")),
        ),
        (
            "<Filter><ObjectSizeLessThan>5</ObjectSizeLessThan></Filter>",
            ("", ("with ObjectSizeLessThan 5",)),
        ),
        ("<Filter><Prefix>a</Prefix><Novelty/></Filter>", ("a", ("with Novelty",))),
    ],
)
def test_prefix_and_limits_wherever_they_are_written(where: str, expected: object) -> None:
    found = rule("x", where, "1")
    assert (found.prefix, found.limits) == expected


def test_a_document_is_split_into_the_texts_it_has() -> None:
    spaced = OTHER.xml.replace("><", ">\n  <")
    text = document([RIGHT]).replace("</LifecycleConfiguration>", f" {spaced}</LifecycleConfiguration>")
    assert [item.xml for item in parse_rules(text)] == [RIGHT.xml, spaced]
    assert [item.id for item in parse_rules(text)] == [RULE_ID, "other"]


@pytest.mark.parametrize(
    "text", ["<n:Rule><n:ID>a</n:ID></n:Rule>", "<Rule><x:ID>a</x:ID></Rule>", "<Rule><ID></Rule>"]
)
def test_rules_in_another_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rules(document([RIGHT]) + text)


def test_the_rule_is_appended_where_there_is_none() -> None:
    (only,) = wanted()
    assert only.xml == (
        "<Rule><Expiration><Days>30</Days></Expiration><ID>parseable-expire-logs</ID>"
        "<Filter><Prefix>kubernetes/date=</Prefix></Filter><Status>Enabled</Status>"
        "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>"
        "</AbortIncompleteMultipartUpload></Rule>"
    )
    assert wanted(OTHER) == (OTHER, only)


@pytest.mark.parametrize(
    "right",
    [
        RIGHT,
        rule("by-hand", prefix(LOGS), "30"),
        rule("old-form", f"<Prefix>{LOGS}</Prefix>", "30"),
        rule("and", f"<Filter><And><Prefix>{LOGS}</Prefix></And></Filter>", "30"),
        rule(RULE_ID, prefix(LOGS), EXPIRE_7.replace("7", "30") + TRANSITION),
    ],
    ids=lambda item: item.id,
)
def test_a_rule_that_is_right_stays_as_it_is_whatever_its_form(right: LifecycleRule) -> None:
    assert wanted(OTHER, right) == (OTHER, right)


@pytest.mark.parametrize(
    ("drifted", "expected_id"),
    [
        (rule(RULE_ID, prefix(LOGS), "7"), RULE_ID),
        (rule(RULE_ID, prefix(LOGS), "29"), RULE_ID),
        (rule(RULE_ID, prefix(LOGS), "31"), RULE_ID),
        (rule(RULE_ID, prefix(LOGS[:-1]), "30"), RULE_ID),
        (rule(RULE_ID, prefix(LOGS), "30", "Disabled"), RULE_ID),
        (rule(RULE_ID, prefix(""), "30"), RULE_ID),
        (rule(RULE_ID, f"<Filter><And><Prefix>{LOGS}</Prefix>{TAG}</And></Filter>", "30"), RULE_ID),
        (
            rule(RULE_ID, prefix(LOGS), "<Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>"),
            RULE_ID,
        ),
    ],
)
def test_a_rule_of_ours_is_corrected_at_its_place(drifted: LifecycleRule, expected_id: str) -> None:
    before, corrected, after = wanted(OTHER, drifted, RIGHT_OTHER)
    assert (before, after) == (OTHER, RIGHT_OTHER)
    assert (corrected.prefix, corrected.days, corrected.enabled, corrected.limits) == (LOGS, 30, True, ())
    assert corrected.id == expected_id


@pytest.mark.parametrize(
    ("theirs", "name", "deleted"),
    [
        (rule("a", prefix("logs/"), "1"), "logs/x", True),
        (rule("a", "", "1"), "logs/x", True),
        (rule("a", prefix("logs/"), "1"), "other/logs/x", False),
        (rule("a", prefix("logs/"), "1", "Disabled"), "logs/x", False),
        (rule("a", f"<Filter>{TAG}</Filter>", "1"), "logs/x", False),
        (rule("a", prefix("logs/"), TRANSITION), "logs/x", False),
        (
            rule("a", prefix("logs/"), "<Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>"),
            "logs/x",
            True,
        ),
        (
            rule(
                "a",
                prefix("logs/"),
                "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
            ),
            "logs/x",
            False,
        ),
    ],
)
def test_what_a_rule_deletes(theirs: LifecycleRule, name: str, deleted: bool) -> None:
    assert theirs.deletes(name) is deleted


def test_the_logs_of_a_stream_are_its_days() -> None:
    assert log_prefix("app") == "app/date="


def test_the_logs_of_a_stream_that_was_renamed_expire_too() -> None:
    earlier = rule(RULE_ID, prefix("app/date="), EXPIRE_7 + TRANSITION)
    kept, ours = wanted(earlier)
    assert (kept.id, kept.prefix, kept.days, kept.actions) == (
        f"{RULE_ID}-app", "app/date=", 7, ("Expiration", "Transition"),
    )  # fmt: skip
    assert (ours.id, ours.prefix) == (RULE_ID, LOGS)
    # And back again: one rule for each stream.
    back = wanted_rules((kept, ours), "app/date=", 7)
    assert [(one.id, one.prefix, one.days) for one in back] == [
        (RULE_ID, "app/date=", 7), (f"{RULE_ID}-kubernetes", LOGS, 30),
    ]  # fmt: skip
    assert wanted_rules(back, "app/date=", 7) == back
    # Another number of days does not leave the former one beside it.
    assert [one.days for one in wanted_rules(back, "app/date=", 9)] == [9, 30]
    assert [one.days for one in wanted_rules((kept, earlier, ours), LOGS, 30)] == [7, 30]


@pytest.mark.parametrize(
    "odd",
    [
        rule(RULE_ID, prefix("app/date="), "7", "Disabled"),
        rule(RULE_ID, prefix("app/"), "7"),
        rule(RULE_ID, prefix("a/b/date="), "7"),
        rule(RULE_ID, prefix("app/date="), TRANSITION),
    ],
)
def test_what_is_no_rule_of_another_stream_is_corrected(odd: LifecycleRule) -> None:
    assert [(one.id, one.prefix) for one in wanted(odd)] == [(RULE_ID, LOGS)]


RIGHT_OTHER = rule("last", prefix("kubernetes/"), "400", "Disabled")


def test_what_else_a_rule_of_ours_does_is_kept() -> None:
    (corrected,) = wanted(rule(RULE_ID, prefix(LOGS), EXPIRE_7 + TRANSITION))
    assert corrected.actions == ("Expiration", "AbortIncompleteMultipartUpload", "Transition")
    assert TRANSITION in corrected.xml


@pytest.mark.parametrize(
    "theirs",
    [
        rule("also-moves", prefix(LOGS), EXPIRE_7 + TRANSITION),
        rule("tagged", f"<Filter><And><Prefix>{LOGS}</Prefix>{TAG}</And></Filter>", "7"),
        rule("off", prefix(LOGS), "7", "Disabled"),
        rule("narrower", prefix(LOGS + "2024"), "7"),
        rule("wider", prefix("kubernetes/"), "7"),
        rule(
            "markers",
            prefix(LOGS),
            "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
        ),
    ],
    ids=lambda item: item.id,
)
def test_what_is_not_ours_stays_as_it_is(theirs: LifecycleRule) -> None:
    assert wanted(theirs)[0] == theirs
    assert len(wanted(theirs)) == 2


def test_the_older_form_is_not_mixed_with_the_newer() -> None:
    added = wanted(rule("old", "<Prefix>a/</Prefix>", "3"))[1]
    assert f"<Prefix>{LOGS}</Prefix>" in added.xml
    assert "<Filter" not in added.xml
    assert "<Filter" in wanted(rule("none", "", "3"))[1].xml


def test_rules_are_readable_for_a_diff() -> None:
    text = f"<Filter><And>{TAG}{TAG}<Prefix>a</Prefix></And></Filter>"
    assert rule("x", text, "1").readable() == {
        "ID": "x",
        "Filter": {"And": {"Tag": [{"Key": "k", "Value": "v"}] * 2, "Prefix": "a"}},
        "Status": "Enabled",
        "Expiration": {"Days": "1"},
    }
