"""Answers that hold other people's texts."""

from tasks.core.outcomes import failed, unknown


def test_a_login_in_a_url_is_in_no_answer() -> None:
    told = failed("url is 'https://me:hidden@host.test/x', not this", "it breaks", "mend it")
    assert told.evidence == "url is 'https://(not shown)@host.test/x', not this"
    assert unknown("http://token@host.test").evidence == "http://(not shown)@host.test"
    assert (
        unknown("mail me@host.test, https://host.test/@x").evidence
        == "mail me@host.test, https://host.test/@x"
    )
