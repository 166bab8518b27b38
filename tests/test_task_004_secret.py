"""When the Secret has to be written anew, and what of it is kept: each reason alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.core.changes import Change, Remark
from tasks.core.credentials import S3Credentials, Secret
from tasks.core.errors import RefusedError, SettingsError
from tasks.core.settings import Settings
from tasks.demo.sandbox import make_repository
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.effects.sops import EncryptedFile, EncryptSecret
from tasks.task_004_secret import SecretFacts, plan
from tasks.workspace import Permissions, World

PATH = "kubernetes/apps/monitoring/parseable/app/secret.sops.yaml"
CREDENTIALS = S3Credentials(Secret("access"), Secret("secret"), "the test")
VALUES = {
    "S3_ACCESS_KEY_ID": Secret("access"),
    "S3_SECRET_ACCESS_KEY": Secret("secret"),
    "username": Secret("parseable"),
    "password": Secret("made up"),
}
RULE = frozenset({"age1one", "age1two"})
FILE = EncryptedFile("parseable-s3-secret", "monitoring", frozenset(VALUES), RULE, frozenset())
RIGHT = SecretFacts(PATH, "encrypted", FILE, VALUES, RULE, CREDENTIALS)
MISSING = SettingsError("no S3 credentials", "give some")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    make_repository(folder / "work", folder / "remote.git", "age1one")
    return folder / "work"


@pytest.fixture
def world(sample: Path) -> World:
    return World(Settings(), Repository(Git(sample)))


def with_file(**different: object) -> SecretFacts:
    return replace(RIGHT, encrypted=replace(FILE, **different))  # type: ignore[arg-type]


def with_values(**different: str) -> SecretFacts:
    return replace(RIGHT, values={**VALUES, **{key: Secret(value) for key, value in different.items()}})


def planned(world: World, found: SecretFacts) -> list[Change | Remark]:
    return list(plan(world, found))


def written(world: World, found: SecretFacts) -> EncryptSecret:
    (change,) = planned(world, found)
    assert isinstance(change, EncryptSecret)
    assert (change.path, change.before) == (found.path, found.current)
    assert (change.name, change.namespace) == ("parseable-s3-secret", "monitoring")
    return change


def test_what_is_right_stays(world: World) -> None:
    assert planned(world, RIGHT) == []
    # Values of others in it are nobody's fault, and no credentials are no reason either.
    assert planned(world, with_values(EXTRA="theirs")) == []
    assert planned(world, replace(RIGHT, credentials=MISSING)) == []


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (with_file(recipients=frozenset({"age1one"})), "recipients changed, for 2 recipients"),
        # Somebody who shall not read it any more still can.
        (with_file(recipients=RULE | {"age1former"}), "recipients changed, for 2 recipients"),
        (
            replace(RIGHT, recipients=frozenset({"age1one"})),
            "recipients changed, for 1 recipient",
        ),
        (with_file(name="other"), "name or namespace changed"),
        (with_file(namespace="other"), "name or namespace changed"),
        (with_file(plain_keys=frozenset({"b", "a"})), "not encrypted: a, b"),
        (with_values(S3_ACCESS_KEY_ID="former"), "S3 credentials changed"),
        (with_values(S3_SECRET_ACCESS_KEY="former"), "S3 credentials changed"),
    ],
)
def test_a_reason_to_write_it_anew_with_the_same_login(world: World, found: SecretFacts, reason: str) -> None:
    change = written(world, found)
    assert (change.reason, change.generate) == (reason, ())
    assert change.values == VALUES


@pytest.mark.parametrize("key", VALUES)
def test_a_key_that_is_missing(world: World, key: str) -> None:
    kept = {name: value for name, value in VALUES.items() if name != key}
    found = replace(RIGHT, encrypted=replace(FILE, keys=frozenset(kept)), values=kept)
    change = written(world, found)
    assert change.reason == f"keys missing: {key}"
    assert change.generate == ((key,) if key in ("username", "password") else ())
    assert {*change.values, *change.generate} == set(VALUES)


@pytest.mark.parametrize(("key", "value"), [("password", "admin"), ("password", ""), ("username", "")])
def test_a_login_that_everybody_knows_is_not_kept(world: World, key: str, value: str) -> None:
    change = written(world, with_values(**{key: value}))
    assert (change.reason, change.generate) == (f"empty or the default: {key}", (key,))
    assert change.values == {name: kept for name, kept in VALUES.items() if name != key}


def test_a_user_may_be_called_admin(world: World) -> None:
    assert planned(world, with_values(username="admin")) == []


def test_a_new_one(world: World) -> None:
    change = written(world, replace(RIGHT, current=None, encrypted=None, values=None))
    assert change.reason == "new, for 2 recipients"
    assert change.values == {key: VALUES[key] for key in ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")}
    assert change.generate == ("username", "password")


@pytest.mark.parametrize("key", ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"])
def test_without_credentials_those_in_it_are_kept_or_asked_for(world: World, key: str) -> None:
    found = replace(with_file(name="other"), credentials=MISSING)
    assert written(world, found).values == VALUES
    less = {name: value for name, value in VALUES.items() if name != key}
    with pytest.raises(SettingsError, match="no S3 credentials"):
        planned(world, replace(found, values=less))


def test_without_a_private_key(world: World, sample: Path) -> None:
    closed = replace(RIGHT, values=None)
    (remark,) = planned(world, closed)
    assert isinstance(remark, Remark)
    assert "no private key here opens" in remark.text
    changed = replace(with_file(recipients=frozenset({"age1one"})), values=None)
    with pytest.raises(RefusedError, match=r"must be encrypted anew \(recipients changed"):
        planned(world, changed)
    forced = World(Settings(), Repository(Git(sample)), permissions=Permissions(force=True))
    remark, change = planned(forced, changed)
    assert isinstance(remark, Remark)
    assert isinstance(change, EncryptSecret)
    assert change.generate == ("username", "password")
