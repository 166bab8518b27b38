"""Creation rules with keys of every kind: real PGP keys, a Vault that answers, and services out of reach."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from pyrage import x25519

from tasks.core.credentials import Secret
from tasks.core.errors import RefusedError
from tasks.effects.sops import Sops, inspect, secret_document
from tests.s3_double import Reply, Request, serving

PATH = "apps/parseable/app/secret.sops.yaml"
PLAIN = secret_document("name", "space", {"A": "canary"})
ARN = "arn:aws:kms:eu-west-1:111111111111:key/11111111-1111-1111-1111-111111111111"
NOWHERE = "http://127.0.0.1:1/v1/sops/keys/k"
NEEDS_GPG = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")


@pytest.fixture
def sops(tmp_path: Path) -> Sops:
    (tmp_path / PATH).parent.mkdir(parents=True)
    return Sops(tmp_path)


def rules(sops: Sops, **keys: Any) -> None:
    rule = {"path_regex": r".*\.sops\.ya?ml", "encrypted_regex": "^(data|stringData)$", **keys}
    (sops.root / ".sops.yaml").write_text(yaml.safe_dump({"creation_rules": [rule]}))


def recipient() -> str:
    return str(x25519.Identity.generate().to_public())


def refusal(sops: Sops) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        sops.readers(PATH, PLAIN)
    return caught.value


class Keyring(NamedTuple):
    """A home of gpg, and the fingerprints of the keys in it."""

    home: Path
    encrypts: str
    signs: str


@pytest.fixture(scope="module")
def keyring() -> Iterator[Keyring]:
    """A home of gpg with a key pair that encrypts, and one that cannot."""
    # The socket of gpg's agent lies there, and its path must be short.
    home = Path(tempfile.mkdtemp(prefix="gpg-"))

    def run(*command: str) -> list[str]:
        environment = {**os.environ, "GNUPGHOME": str(home)}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return done.stdout.splitlines()

    def made(name: str, algorithm: str) -> str:
        quiet = ("gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "")
        run(*quiet, "--quick-gen-key", name, algorithm, "default", "never")
        listed = run("gpg", "--with-colons", "--list-keys", name)
        return next(line.split(":")[9] for line in listed if line.startswith("fpr"))

    try:
        yield Keyring(home, made("encrypts", "default"), made("signs", "ed25519"))
    finally:
        run("gpgconf", "--kill", "all")
        shutil.rmtree(home)


@NEEDS_GPG
@pytest.mark.parametrize("beside", [True, False])
def test_a_pgp_key_of_the_keyring(
    sops: Sops, keyring: Keyring, beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNUPGHOME", str(keyring.home))
    rules(sops, pgp=keyring.encrypts, **({"age": recipient()} if beside else {}))
    found = sops.readers(PATH, PLAIN)
    assert str(found) == ("1 age recipient and 1 PGP key" if beside else "1 PGP key")
    (sops.root / PATH).write_text(sops.encrypt(PATH, PLAIN))
    assert sops.decrypt(PATH) == {"A": Secret("canary")}


@NEEDS_GPG
def test_a_pgp_key_that_is_missing_beside_one_that_is_there(
    sops: Sops, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNUPGHOME", str(keyring.home))
    other = "F" * 40
    rules(sops, pgp=f"{keyring.encrypts},{other}", age=recipient())
    assert f"names the PGP fingerprint {other}, which is not in the keyring" in refusal(sops).summary
    assert keyring.encrypts not in refusal(sops).summary


@NEEDS_GPG
def test_a_pgp_key_that_cannot_encrypt_is_not_called_missing(
    sops: Sops, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNUPGHOME", str(keyring.home))
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    rules(sops, pgp=keyring.signs)
    found = refusal(sops)
    assert f"names the PGP key {keyring.signs}, which cannot be used here: " in found.summary
    assert "Unusable public key" in found.summary
    assert "not in the keyring" not in found.summary


def test_gpg_is_not_installed(sops: Sops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sops").symlink_to(shutil.which("sops") or "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    rules(sops, pgp="F" * 40)
    assert f"names the PGP fingerprint {'F' * 40}, and gpg cannot be run" in refusal(sops).summary
    assert refusal(sops).hint.startswith("install gpg")


class Vault:
    """The transit engine of Vault, as far as sops asks it: each text is its own ciphertext.

    https://developer.hashicorp.com/vault/api-docs/secret/transit#encrypt-data and #decrypt-data.
    """

    def __call__(self, request: Request) -> Reply:
        if request.headers.get("x-vault-token") != "the-token":
            return Reply(403, json.dumps({"errors": ["permission denied"]}))
        body = json.loads(request.body)
        if request.path == "/v1/sops/encrypt/k":
            return Reply(200, json.dumps({"data": {"ciphertext": f"vault:v1:{body['plaintext']}"}}))
        return Reply(200, json.dumps({"data": {"plaintext": body["ciphertext"].rpartition(":")[2]}}))


@pytest.mark.parametrize("form", ["text", "list", "groups"])
def test_a_key_of_vault(sops: Sops, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = x25519.Identity.generate()
    monkeypatch.setenv("SOPS_AGE_KEY", str(identity))
    monkeypatch.setenv("VAULT_TOKEN", "the-token")
    with serving(Vault()) as double:
        key = f"{double.endpoint}/v1/sops/keys/k"
        forms: dict[str, dict[str, Any]] = {
            "text": {"hc_vault_transit_uri": key},
            "list": {"hc_vault_transit_uri": [key], "age": [recipient(), recipient()]},
            "groups": {"key_groups": [{"hc_vault": [key]}, {"age": [str(identity.to_public())]}]},
        }
        rules(sops, **forms[form])
        words = {"text": "", "list": "2 age recipients and ", "groups": "1 age recipient and "}
        assert str(sops.readers(PATH, PLAIN)) == f"{words[form]}1 Vault key"
        (sops.root / PATH).write_text(sops.encrypt(PATH, PLAIN))
        assert sops.decrypt(PATH) == {"A": Secret("canary")}
        monkeypatch.setenv("VAULT_TOKEN", "another")
        assert f"names the Vault key {key}, which cannot be used here: " in refusal(sops).summary
        assert "permission denied" in refusal(sops).summary
        assert "vault login" in refusal(sops).hint


@pytest.mark.parametrize(
    ("keys", "named", "hint"),
    [
        ({"kms": ARN}, f"AWS KMS key {ARN}", "AWS_PROFILE"),
        ({"key_groups": [{"age": None}, {"kms": [{"arn": ARN}]}]}, f"AWS KMS key {ARN}", "AWS_PROFILE"),
        (
            {"gcp_kms": "projects/p/locations/l/keyRings/r/cryptoKeys/k", "age": None},
            "GCP KMS key projects/p/locations/l/keyRings/r/cryptoKeys/k",
            "gcloud auth",
        ),
    ],
)
def test_a_key_that_cannot_be_used_here_is_named_with_its_kind(
    sops: Sops, keys: dict[str, Any], named: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")
    filled = json.loads(json.dumps(keys).replace("null", json.dumps([recipient()])))
    rules(sops, **filled)
    found = refusal(sops)
    assert found.summary.startswith(
        f"the rule for {PATH} in .sops.yaml names the {named}, which cannot be used"
    )
    assert hint in found.hint
    assert "canary" not in f"{found.summary}{found.hint}"


def test_anchors_in_the_rules(sops: Sops) -> None:
    one, two = recipient(), recipient()
    (sops.root / ".sops.yaml").write_text(
        f"keys:\n  - &me {one}\n  - &flux {two}\ncreation_rules:\n  - path_regex: .*\n"
        "    encrypted_regex: ^(data|stringData)$\n    key_groups:\n      - age: [*me, *flux]\n"
    )
    assert sops.readers(PATH, PLAIN).recipients == {one, two}


def test_a_group_without_keys(sops: Sops) -> None:
    rules(sops, key_groups=[{"age": [recipient()]}, {"vault": [NOWHERE]}])
    assert "names no key, or has a group without one" in refusal(sops).summary


def test_what_is_encrypted_for_no_age_recipient_counts(sops: Sops) -> None:
    with serving(lambda _: Reply(200, json.dumps({"data": {"ciphertext": "vault:v1:eA=="}}))) as double:
        rules(sops, hc_vault_transit_uri=f"{double.endpoint}/v1/sops/keys/k")
        found = inspect(sops.encrypt(PATH, PLAIN))
    assert found is not None
    assert (found.recipients, found.readers.count, str(found.readers)) == (frozenset(), 1, "1 Vault key")
