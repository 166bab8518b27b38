"""Secrets show themselves nowhere, and are what was meant."""

import pytest

from tasks.core.credentials import ACCESS_KEY, SECRET_KEY, Secret, checked
from tasks.core.errors import SettingsError


def test_a_secret_is_shown_nowhere() -> None:
    secret = Secret("canary")
    assert "canary" not in f"{secret} {secret!r} {[secret]} {checked('a', 'canary', 'the test')}"
    assert repr(secret) == str(secret) == "Secret(***)"
    assert secret.reveal() == "canary"
    assert not hasattr(secret, "__dict__")


def test_secrets_are_equal_by_value() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_the_documented_names() -> None:
    assert (ACCESS_KEY, SECRET_KEY) == ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")


def test_a_pair_as_it_was_found() -> None:
    pair = checked("access", "secret", "the test")
    assert (pair.access_key, pair.secret_key, pair.origin) == (Secret("access"), Secret("secret"), "the test")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        (" canary", "has spaces or line ends"),
        ("canary\n", "has spaces or line ends"),
        ("can ary", "has spaces or line ends"),
        ("can\tary", "has spaces or line ends"),
    ],
)
@pytest.mark.parametrize("which", ["access key", "secret key"])
def test_what_was_pasted_wrongly_is_named_and_not_shown(which: str, value: str, problem: str) -> None:
    pair = (value, "good") if which == "access key" else ("good", value)
    with pytest.raises(SettingsError, match=f"^the S3 {which} from the test {problem}") as caught:
        checked(*pair, "the test")
    assert "canary" not in f"{caught.value.summary} {caught.value.hint}"
