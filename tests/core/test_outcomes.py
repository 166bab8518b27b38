"""Answers that hold other people's texts."""

import pytest

from tasks.core.outcomes import Cause, broken, failed, passed, unknown


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
