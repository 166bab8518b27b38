"""Answers that hold other people's texts."""

import pytest

from tasks.core.outcomes import Cause, Status, broken, failed, passed, unknown


def test_a_login_in_a_url_is_in_no_answer() -> None:
    told = failed("url is 'https://me:hidden@host.test/x', not this", "it breaks", "mend it")
    assert told.evidence == "url is 'https://(not shown)@host.test/x', not this"
    assert unknown("http://token@host.test", Cause.NETWORK).evidence == "http://(not shown)@host.test"
    assert (
        unknown("mail me@host.test, https://host.test/@x", Cause.NETWORK).evidence
        == "mail me@host.test, https://host.test/@x"
    )


@pytest.mark.parametrize("cause", Cause)
def test_only_what_the_repository_hides_stops_a_push(cause: Cause) -> None:
    assert unknown("not known", cause).stops_push is (cause is Cause.REPOSITORY)


def test_what_else_stops_a_push() -> None:
    assert failed("wrong", "it breaks", "mend it").stops_push
    assert broken("a check broke").stops_push
    assert not passed("fine").stops_push


def test_the_words_that_programs_read() -> None:
    assert [str(one) for one in Status] == ["pass", "fail", "error", "unknown", "note", "skipped"]
    assert [str(one) for one in Cause] == ["repository", "tool", "network", "cluster", "stage"]


def test_what_each_answer_says() -> None:
    told = failed("wrong", "it breaks", "mend it", "a.yaml:3")
    assert (told.status, told.evidence, told.consequence) == (Status.FAIL, "wrong", "it breaks")
    assert (told.remedy, told.place, told.cause) == ("mend it", "a.yaml:3", None)
    open_one = unknown("not known", Cause.TOOL, "get it", "a.yaml:4")
    assert (open_one.consequence, open_one.remedy, open_one.place) == ("", "get it", "a.yaml:4")
    bug = broken("a check broke")
    assert (bug.status, bug.evidence) == (Status.ERROR, "a check broke")
    assert "nothing is pushed" in bug.consequence
    assert "README" in bug.remedy
