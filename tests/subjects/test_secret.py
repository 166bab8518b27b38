"""When the Secret has to be written anew, and what of it is kept: each reason alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.core.changes import Change, Remark
from tasks.core.credentials import S3Credentials, Secret
from tasks.core.errors import RefusedError, SettingsError
from tasks.core.settings import SecretSettings, Settings
from tasks.demo.sandbox import make_key, make_repository
from tasks.effects.encrypted import EncryptedFile, Readers
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.effects.sops import EncryptSecret
from tasks.subjects.secret import SecretFacts, facts, plan
from tasks.workspace import Permissions, Workspace

PATH = "kubernetes/apps/monitoring/parseable/app/secret.sops.yaml"
CREDENTIALS = S3Credentials(Secret("access"), Secret("secret"), "the test")
VALUES = {
    "S3_ACCESS_KEY_ID": Secret("access"),
    "S3_SECRET_ACCESS_KEY": Secret("secret"),
    "username": Secret("parseable"),
    "password": Secret("made up"),
}


def readers(*recipients: str) -> Readers:
    return Readers(frozenset(recipients), " ".join(sorted(recipients)), ("age",) * len(recipients))


RULE = readers("age1one", "age1two")
FILE = EncryptedFile("parseable-s3-secret", "monitoring", frozenset(VALUES), RULE, frozenset())
RIGHT = SecretFacts(PATH, "encrypted", FILE, VALUES, RULE, CREDENTIALS)
MISSING = SettingsError("no S3 credentials", "give some")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    make_repository(folder / "work", folder / "remote.git", make_key(folder / "age.key"))
    return folder / "work"


@pytest.fixture
def workspace(sample: Path) -> Workspace:
    return Workspace(Settings(), Repository(Git(sample)))


def with_file(**different: object) -> SecretFacts:
    return replace(RIGHT, encrypted=replace(FILE, **different))  # type: ignore[arg-type]


def with_values(**different: str) -> SecretFacts:
    return replace(RIGHT, values={**VALUES, **{key: Secret(value) for key, value in different.items()}})


def planned(workspace: Workspace, found: SecretFacts) -> list[Change | Remark]:
    return list(plan(workspace, found))


def written(workspace: Workspace, found: SecretFacts) -> EncryptSecret:
    (change,) = (item for item in planned(workspace, found) if isinstance(item, Change))
    assert isinstance(change, EncryptSecret)
    assert (change.path, change.before) == (found.path, found.current)
    assert (change.name, change.namespace) == ("parseable-s3-secret", "monitoring")
    return change


def test_what_is_right_stays(workspace: Workspace) -> None:
    assert planned(workspace, RIGHT) == []
    # Values of others in it are nobody's fault, and no credentials are no reason either.
    assert planned(workspace, with_values(EXTRA="theirs")) == []
    assert planned(workspace, replace(RIGHT, credentials=MISSING)) == []


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (with_file(readers=readers("age1one")), "recipients changed, for 2 age recipients"),
        # Somebody who shall not read it any more still can.
        (
            with_file(readers=readers("age1one", "age1two", "age1former")),
            "recipients changed, for 2 age recipients",
        ),
        (
            replace(RIGHT, readers=readers("age1one")),
            "recipients changed, for 1 age recipient",
        ),
        (with_file(name="other"), "name or namespace changed"),
        (with_file(namespace="other"), "name or namespace changed"),
        (with_file(plain_keys=frozenset({"b", "a"})), "not encrypted: a, b"),
        (with_values(S3_ACCESS_KEY_ID="former"), "S3 credentials changed"),
        (with_values(S3_SECRET_ACCESS_KEY="former"), "S3 credentials changed"),
    ],
)
def test_a_reason_to_write_it_anew_with_the_same_login(
    workspace: Workspace, found: SecretFacts, reason: str
) -> None:
    change = written(workspace, found)
    assert (change.reason, change.generate) == (reason, ())
    assert change.values == VALUES


@pytest.mark.parametrize("key", VALUES)
def test_a_key_that_is_missing(workspace: Workspace, key: str) -> None:
    kept = {name: value for name, value in VALUES.items() if name != key}
    found = replace(RIGHT, encrypted=replace(FILE, keys=frozenset(kept)), values=kept)
    change = written(workspace, found)
    assert change.reason == f"keys missing: {key}"
    assert change.generate == ((key,) if key in ("username", "password") else ())
    assert {*change.values, *change.generate} == set(VALUES)


@pytest.mark.parametrize(("key", "value"), [("password", "admin"), ("password", ""), ("username", "")])
def test_a_login_that_everybody_knows_is_not_kept(workspace: Workspace, key: str, value: str) -> None:
    change = written(workspace, with_values(**{key: value}))
    assert (change.reason, change.generate) == (f"empty or the default: {key}", (key,))
    assert change.values == {name: kept for name, kept in VALUES.items() if name != key}


def test_a_user_may_be_called_admin(workspace: Workspace) -> None:
    assert planned(workspace, with_values(username="admin")) == []


def test_a_new_one(workspace: Workspace) -> None:
    change = written(workspace, replace(RIGHT, current=None, encrypted=None, values=None))
    assert change.reason == "new, for 2 age recipients"
    assert change.values == {key: VALUES[key] for key in ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")}
    assert change.generate == ("username", "password")


@pytest.mark.parametrize("key", ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"])
def test_without_credentials_those_in_it_are_kept_or_asked_for(workspace: Workspace, key: str) -> None:
    found = replace(with_file(name="other"), credentials=MISSING)
    assert written(workspace, found).values == VALUES
    less = {name: value for name, value in VALUES.items() if name != key}
    with pytest.raises(SettingsError, match="no S3 credentials"):
        planned(workspace, replace(found, values=less))


def test_without_a_private_key(workspace: Workspace, sample: Path) -> None:
    closed = replace(RIGHT, values=None)
    (remark,) = planned(workspace, closed)
    assert isinstance(remark, Remark)
    assert "no matching key here" in remark.text
    assert remark.is_open
    # No key pair, no question; and what is written anew leaves none open.
    (asked_nothing,) = planned(workspace, replace(closed, credentials=MISSING))
    assert isinstance(asked_nothing, Remark)
    assert not asked_nothing.is_open
    changed = replace(with_file(readers=readers("age1one")), values=None)
    with pytest.raises(RefusedError, match=r"must be encrypted anew \(recipients changed"):
        planned(workspace, changed)
    forced = Workspace(Settings(), Repository(Git(sample)), permissions=Permissions(force=True))
    remark, change = planned(forced, changed)
    assert isinstance(remark, Remark)
    assert not remark.is_open
    assert isinstance(change, EncryptSecret)
    assert change.generate == ("username", "password")


def remarks(workspace: Workspace, found: SecretFacts) -> list[str]:
    return [item.text for item in planned(workspace, found) if isinstance(item, Remark)]


def test_the_former_key_is_named_and_not_shown(workspace: Workspace) -> None:
    (told,) = remarks(workspace, with_values(S3_ACCESS_KEY_ID="AKIAFORMERKEY0001"))
    assert told.startswith(
        "the former S3 key (…0001) stays valid: delete it at the S3 server once Parseable runs"
    )
    # What is short is shown in no part; another secret of the same key leaves nothing behind.
    (told,) = remarks(workspace, with_values(S3_ACCESS_KEY_ID="former"))
    assert told.startswith("the former S3 key stays valid")
    assert remarks(workspace, with_values(S3_SECRET_ACCESS_KEY="former")) == []


def test_a_new_password_where_it_is_asked_for(sample: Path) -> None:
    asked = Workspace(Settings(), Repository(Git(sample)), permissions=Permissions(new_login=True))
    change = written(asked, RIGHT)
    assert (change.reason, change.generate) == ("a new password", ("password",))
    assert change.values == {key: value for key, value in VALUES.items() if key != "password"}
    (told,) = remarks(asked, RIGHT)
    assert told.startswith("a Grafana that has the login in variables reads it when it starts: restart it")
    # The first one is new anyway.
    assert written(asked, replace(RIGHT, current=None, encrypted=None, values=None)).reason.startswith(
        "new, "
    )
    assert len(remarks(asked, with_values(S3_ACCESS_KEY_ID="former"))) == 2


def test_a_login_of_an_earlier_name_is_not_given_up_unseen(sample: Path) -> None:
    former = replace(RIGHT, current=None, encrypted=None, values=None, former="apps/old/app/secret.sops.yaml")
    with pytest.raises(RefusedError, match=r"old/app/secret\.sops\.yaml .*no key here that decrypts it"):
        planned(Workspace(Settings(), Repository(Git(sample))), former)
    forced = Workspace(Settings(), Repository(Git(sample)), permissions=Permissions(force=True))
    assert written(forced, former).generate == ("username", "password")
    # Where the key is at hand, it comes along.
    taken = written(Workspace(Settings(), Repository(Git(sample))), replace(former, values=VALUES))
    assert (taken.generate, taken.values) == ((), VALUES)


def test_no_login_is_made_for_a_secret_of_somebody_else(sample: Path) -> None:
    workspace = Workspace(
        Settings(secret=SecretSettings("existing")),
        Repository(Git(sample)),
        permissions=Permissions(new_login=True),
    )
    with pytest.raises(SettingsError, match="--new-login makes no login where somebody else gives"):
        facts(workspace)
