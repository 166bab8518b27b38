import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyrage import x25519

from tasks.core.credentials import Secret
from tasks.core.errors import RefusedError
from tasks.effects import shell
from tasks.effects.encrypted import revision
from tasks.effects.sops import EncryptSecret, Readers, Sops, inspect, secret_document

PATH = "kubernetes/apps/monitoring/parseable/app/secret.sops.yaml"
PLAIN = secret_document("name", "space", {"A": "canary-one", "B": "canary-two"})
REGEX = "^(data|stringData)$"


@pytest.fixture
def identity() -> x25519.Identity:
    return x25519.Identity.generate()


@pytest.fixture
def sops(tmp_path: Path, identity: x25519.Identity, monkeypatch: pytest.MonkeyPatch) -> Sops:
    (tmp_path / "age.key").write_text(f"{identity}\n")
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(tmp_path / "age.key"))
    (tmp_path / PATH).parent.mkdir(parents=True)
    rules(tmp_path, age=str(identity.to_public()))
    return Sops(tmp_path)


def rules(root: Path, *, folder: str = "", path_regex: str = r".*\.sops\.ya?ml", **keys: Any) -> None:
    rule = {"path_regex": path_regex, "encrypted_regex": REGEX, **keys}
    (root / folder / ".sops.yaml").write_text(yaml.safe_dump({"creation_rules": [rule]}))


def recipient() -> str:
    return str(x25519.Identity.generate().to_public())


def test_what_goes_in_comes_out(sops: Sops, identity: x25519.Identity) -> None:
    text = sops.encrypt(PATH, PLAIN)
    assert "canary" not in text
    (sops.root / PATH).write_text(text)
    assert sops.decrypt(PATH) == {"A": Secret("canary-one"), "B": Secret("canary-two")}
    seen = inspect(text)
    assert seen is not None
    assert (seen.name, seen.namespace, seen.keys) == ("name", "space", frozenset("AB"))
    assert seen.recipients == {str(identity.to_public())}
    assert not seen.plain_keys


def test_no_link_is_followed(sops: Sops, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    text = sops.encrypt(PATH, PLAIN)
    (tmp_path / "outside/secret.sops.yaml").write_text(text)
    (sops.root / PATH).symlink_to(tmp_path / "outside/secret.sops.yaml")
    with pytest.raises(RefusedError, match=rf"{PATH} is a symbolic link"):
        sops.decrypt(PATH)
    change = EncryptSecret.planned(sops, PATH, text, "name", "space", {"A": Secret("x")}, (), "new")
    with pytest.raises(RefusedError, match=rf"{PATH} is a symbolic link"):
        change.apply()
    assert (tmp_path / "outside/secret.sops.yaml").read_text() == text
    (sops.root / ".sops.yaml").rename(tmp_path / "outside/rules")
    (sops.root / ".sops.yaml").symlink_to("outside/rules")
    with pytest.raises(RefusedError, match=r"\.sops\.yaml is a symbolic link"):
        sops.encrypt(PATH, PLAIN)


@pytest.mark.parametrize("form", ["string", "string of two", "list", "key_groups"])
def test_every_form_of_recipients(sops: Sops, form: str) -> None:
    one, two = recipient(), recipient()
    age: dict[str, dict[str, Any]] = {
        "string": {"age": one},
        "string of two": {"age": f"{one},{two}"},
        "list": {"age": [one, two]},
        "key_groups": {"key_groups": [{"age": [one, two]}]},
    }
    rules(sops.root, **age[form])
    assert sops.readers(PATH, PLAIN).recipients == ({one} if form == "string" else {one, two})


def test_the_nearest_rules_count(sops: Sops) -> None:
    nearer = recipient()
    rules(sops.root, folder="kubernetes/apps", path_regex=r"^monitoring/.*", age=nearer)
    assert sops.readers(PATH, PLAIN).recipients == {nearer}


def test_no_private_key(sops: Sops, monkeypatch: pytest.MonkeyPatch) -> None:
    (sops.root / PATH).write_text(sops.encrypt(PATH, PLAIN))
    monkeypatch.delenv("SOPS_AGE_KEY_FILE")
    assert sops.decrypt(PATH) is None


def test_a_file_that_was_changed_afterwards(sops: Sops) -> None:
    text = sops.encrypt(PATH, PLAIN)
    (sops.root / PATH).write_text(text.replace("name: name", "name: other"))
    with pytest.raises(RefusedError, match=r"cannot decrypt .* MAC mismatch") as caught:
        sops.decrypt(PATH)
    assert "edited or damaged" in caught.value.hint


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"age": ""}, "names no key, or has a group without one"),
        ({}, "names no key, or has a group without one"),
        ({"path_regex": "^other/", "age": "age1"}, r"no creation rule in \.sops\.yaml matches kubernetes/"),
        ({"age": "age1nonsense"}, r"sops refuses the rules of \.sops\.yaml"),
        ({"encrypted_regex": "^data$", "age": None}, "would leave A, B readable"),
        ({"encrypted_regex": None, "age": None}, "encrypts more than values"),
    ],
)
def test_rules_that_do_not_do(sops: Sops, keys: dict[str, object], message: str) -> None:
    filled = {key: recipient() if key == "age" and value is None else value for key, value in keys.items()}
    rule = {"path_regex": ".*", "encrypted_regex": REGEX, **filled}
    kept = {key: value for key, value in rule.items() if value is not None}
    (sops.root / ".sops.yaml").write_text(yaml.safe_dump({"creation_rules": [kept]}))
    with pytest.raises(RefusedError, match=message) as caught:
        sops.readers(PATH, PLAIN)
    assert caught.value.hint


def test_no_rules_at_all(sops: Sops) -> None:
    (sops.root / ".sops.yaml").unlink()
    with pytest.raises(RefusedError, match=r"no \.sops\.yaml in the repository"):
        sops.readers(PATH, PLAIN)


@pytest.mark.parametrize("variable", ["SOPS_AGE_RECIPIENTS", "SOPS_PGP_FP"])
def test_the_rules_win_over_the_environment(
    sops: Sops, identity: x25519.Identity, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, recipient())
    assert sops.readers(PATH, PLAIN).recipients == {str(identity.to_public())}
    seen = inspect(sops.encrypt(PATH, PLAIN))
    assert seen is not None
    assert seen.recipients == {str(identity.to_public())}


PGP = "0123456789ABCDEF0123456789ABCDEF01234567"
OTHER_PGP = "1123456789ABCDEF0123456789ABCDEF01234567"


@pytest.mark.parametrize("form", ["beside", "groups"])
def test_pgp_keys_that_are_not_here_are_named(sops: Sops, form: str) -> None:
    if form == "beside":
        rules(sops.root, pgp=f"{PGP},{OTHER_PGP}", age=recipient())
    else:
        rules(sops.root, key_groups=[{"age": [recipient()]}, {"pgp": [PGP, OTHER_PGP]}])
    with pytest.raises(RefusedError) as caught:
        sops.readers(PATH, PLAIN)
    assert caught.value.summary == (
        f"the rule for {PATH} in .sops.yaml names the PGP fingerprints {PGP}, {OTHER_PGP}, "
        "which are not in the keyring"
    )
    assert caught.value.hint == (
        "gpg --import the public keys (often in the repository), or take the fingerprints out of the rule"
    )
    assert not Path("~/.gnupg").expanduser().exists()


def test_pgp_alone_is_refused_and_leaves_no_folder(sops: Sops) -> None:
    rules(sops.root, pgp=PGP)
    with pytest.raises(RefusedError, match=f"names the PGP fingerprint {PGP}, which is not in the keyring"):
        sops.readers(PATH, PLAIN)
    assert not Path("~/.gnupg").expanduser().exists()


def test_readers_are_compared_group_by_group(sops: Sops) -> None:
    one, two, three = recipient(), recipient(), recipient()

    def readers(*groups: list[str], **more: Any) -> Readers:
        rules(sops.root, key_groups=[{"age": group} for group in groups], **more)
        seen = inspect(sops.encrypt(PATH, PLAIN))
        assert seen is not None
        assert seen.readers == sops.readers(PATH, PLAIN)
        return seen.readers

    both = readers([one, two], [three])
    assert both.recipients == {one, two, three}
    assert both == readers([three], [two, one])
    moved, alone = readers([one], [two, three]), readers([one, two, three])
    two_of_three = readers([one], [two], [three], shamir_threshold=2)
    assert len({both, moved, alone, two_of_three, readers([one], [two], [three]), readers([one, two])}) == 6


def test_rules_without_a_rule(sops: Sops) -> None:
    (sops.root / ".sops.yaml").write_text("stores: {}\n")
    with pytest.raises(RefusedError, match=r"\.sops\.yaml has no creation rules"):
        sops.readers(PATH, PLAIN)


def test_sops_is_not_installed(sops: Sops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "find", lambda tool: None)
    with pytest.raises(RefusedError, match="sops is not installed") as caught:
        sops.readers(PATH, PLAIN)
    assert "https://github.com/getsops/sops/releases" in caught.value.hint


def test_a_failing_encryption_quotes_nothing(sops: Sops) -> None:
    (sops.root / ".sops.yaml").write_text("creation_rules: [")
    with pytest.raises(RefusedError) as caught:
        sops.encrypt(PATH, PLAIN)
    assert "canary" not in f"{caught.value.summary}{caught.value.hint}"


def test_values_under_data_are_decoded(sops: Sops) -> None:
    document = {**PLAIN, "stringData": {"B": "two"}, "data": {"A": "b25l"}}
    (sops.root / PATH).write_text(sops.encrypt(PATH, document))
    assert sops.decrypt(PATH) == {"A": Secret("one"), "B": Secret("two")}


ODD_VALUES = [
    (
        {"stringData": {"A": 5, "B": "x"}},
        f"stringData.A of the encrypted Secret {PATH} is a number, not a text",
    ),
    ({"data": {"A": {"B": "eA=="}}}, f"data.A of the encrypted Secret {PATH} is a map, not a text"),
    ({"data": {"A": "no base64"}}, f"data.A of the encrypted Secret {PATH} is not base64 text"),
    ({"data": {"A": "/w=="}}, f"data.A of the encrypted Secret {PATH} is not base64 text"),
    ({"data": {"A": "é"}}, f"data.A of the encrypted Secret {PATH} is not base64 text"),
]


@pytest.mark.parametrize(("fields", "message"), ODD_VALUES, ids=str)
def test_values_that_no_secret_can_have(sops: Sops, fields: dict[str, Any], message: str) -> None:
    document = {key: value for key, value in PLAIN.items() if key != "stringData"}
    (sops.root / PATH).write_text(sops.encrypt(PATH, {**document, **fields}))
    with pytest.raises(RefusedError) as caught:
        sops.decrypt(PATH)
    assert caught.value.summary == message
    assert caught.value.hint


def test_the_change_generates_what_is_to_be_made_up(sops: Sops) -> None:
    change = EncryptSecret.planned(
        sops, PATH, None, "name", "space", {"A": Secret("canary")}, ("password",), "new"
    )
    assert "canary" not in repr(change) + change.summary + change.diff()
    change.apply()
    values = sops.decrypt(PATH)
    assert values is not None
    assert values["A"] == Secret("canary")
    assert len(values["password"].reveal()) >= 32


def test_what_is_planned_is_what_is_written(sops: Sops) -> None:
    change = EncryptSecret.planned(
        sops, PATH, None, "name", "space", {"A": Secret("canary")}, ("password",), "new"
    )
    ((path, text),) = change.results().items()
    assert path == PATH
    assert text is not None
    assert "canary" not in text
    assert not (sops.root / PATH).exists()
    planned = inspect(text)
    assert planned is not None
    assert planned.keys == {"A", "password"}
    assert not planned.plain_keys
    assert planned.readers == sops.readers(PATH, PLAIN)
    change.apply()
    assert (sops.root / PATH).read_text() == text


def test_the_revision_is_that_of_the_values(sops: Sops) -> None:
    def encrypted(**values: str) -> str:
        given = {key: Secret(value) for key, value in values.items()}
        return EncryptSecret.planned(sops, PATH, None, "name", "space", given, (), "new").after

    text = encrypted(A="canary", B="other")
    found = revision(text)
    assert found is not None
    assert re.fullmatch("[0-9a-f]{10}", found)
    # A formatter's work and other readers are no other values; each encryption counts as such.
    lines = text.replace("stringData:\n", "stringData:\n\n    # theirs\n").replace("    A: ", "    A:   ")
    assert lines != text
    assert revision(lines) == found
    assert revision(text.replace("name: name", "name: another")) == found
    assert revision(encrypted(A="canary", B="other")) != found
    assert revision("kind: Secret\nstringData: {A: canary}\n") is None
    assert revision("no: secret\n") is None


def test_the_change_does_not_overwrite_what_the_plan_did_not_see(sops: Sops) -> None:
    change = EncryptSecret.planned(sops, PATH, None, "name", "space", {"A": Secret("b")}, (), "new")
    (sops.root / PATH).write_text("somebody was quicker")
    with pytest.raises(RefusedError, match="was changed since the plan"):
        change.apply()
