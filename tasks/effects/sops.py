"""sops as a filter: plaintext goes in through standard input only, and comes out into memory only."""

import json
import os
import posixpath
import re
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tasks.core.changes import Change
from tasks.core.credentials import Secret
from tasks.core.errors import RefusedError
from tasks.effects import shell
from tasks.effects.encrypted import VALUES, EncryptedFile, Readers, inspect, kind_of, oddity
from tasks.effects.files import expanded, read_text, refuse_links, write_text

__all__ = ["EncryptSecret", "EncryptedFile", "Readers", "Sops", "inspect", "oddity", "secret_document"]

_PATTERN = r".*\.sops\.ya?ml"
_VALUES_ONLY = "^(data|stringData)$"
_HINT = "install sops 3.9 or newer: https://github.com/getsops/sops/releases"
_CONFIG = ".sops.yaml"
# What sops exits with when no key at hand opens the file (cmd/sops/codes: CouldNotRetrieveKey).
_NO_KEY = 128
_LONGEST = 300
# Variables that win over the creation rules (sops's flags for master keys, cmd/sops/main.go).
_OVERRIDES = (
    "SOPS_AGE_RECIPIENTS",
    "SOPS_PGP_FP",
    "SOPS_KMS_ARN",
    "SOPS_GCP_KMS_IDS",
    "SOPS_HCKMS_KEYS",
    "SOPS_AZURE_KEYVAULT_URLS",
    "SOPS_VAULT_URIS",
)
# A key that sops could not use, and why, up to the next one (sops.go, UpdateMasterKeysWithKeyServices).
_UNUSABLE_KEY = re.compile(
    r'with master key "([^"]+)": (.+?)(?:\s+failed to encrypt new data key|\]?\s*$)', re.DOTALL
)
# What a key is by its form, and what sops needs to use it: https://getsops.io/docs
_SERVICES = {
    r"(\w[\w-]*\+)?arn:aws[\w-]*:kms:": (
        "AWS KMS key",
        "log in to AWS for it (AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; kms:Encrypt)",
    ),
    r"projects/": ("GCP KMS key", "log in for it: gcloud auth application-default login"),
    r"https?://[^/]*vault[^/]*azure": ("Azure Key Vault key", "log in for it: az login"),
    r"https?://.*/v1/": ("Vault key", "let VAULT_ADDR lead to it, and log in: vault login, or VAULT_TOKEN"),
    r"[0-9A-Fa-f]{16,40}$": ("PGP key", "renew it (gpg --edit-key), or take the fingerprint out of the rule"),
    r"age1|ssh-": ("age recipient", "correct the recipient in the rule"),
}
# Where sops finds its own keys and the logins to key services (README of sops, "Usage").
_NEEDED = ("SOPS_", "AWS_", "GOOGLE_", "CLOUDSDK_", "AZURE_", "VAULT_", "HUAWEICLOUD_")


class Sops:
    """sops with the creation rules of one repository."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._started: dict[tuple[str, str], Future[shell.Result]] = {}

    def start(self, path: str, document: Mapping[str, Any], *, is_there: bool) -> None:
        """Start what `readers`, and `decrypt` where ``is_there``, will wait for: the next call of each.

        Raises:
            RefusedError: there is no ``.sops.yaml``.
        """
        config = self.rules_file(path)
        pool = ThreadPoolExecutor()
        self._started["encrypt", path] = pool.submit(self._encrypt, path, config, document)
        if is_there:
            self._started["decrypt", path] = pool.submit(self._decrypt, path)
        pool.shutdown(wait=False)

    def readers(self, path: str, document: Mapping[str, Any]) -> Readers:
        """Who can read a Secret at ``path`` by the creation rules.

        sops itself is asked, by encrypting ``document``, whose values must be harmless: no second
        implementation of its rules, and a rule that would leave a value readable is found before it matters.

        Raises:
            RefusedError: no sops, no ``.sops.yaml``, no rule for the path, a rule with a key that cannot be
                used here or with none, or one that would encrypt too little or too much of a Secret.
        """
        config = self.rules_file(path)
        started = self._started.pop(("encrypt", path), None)
        done = self._encrypt(path, config, document) if started is None else started.result()
        if done.code != 0:
            raise self._rule_error(path, config, done.said)
        seen = inspect(done.stdout.decode())
        if seen is None:
            raise RefusedError(
                f"the rule for {path} in {config} encrypts more than values; Flux could not read the Secret",
                f"give the rule encrypted_regex: {_VALUES_ONLY}",
            )
        if seen.plain_keys:
            raise RefusedError(
                f"the rule for {path} in {config} would leave {', '.join(sorted(seen.plain_keys))} readable",
                f"give the rule encrypted_regex: {_VALUES_ONLY}",
            )
        return seen.readers

    def encrypt(self, path: str, document: Mapping[str, Any]) -> str:
        """``document`` encrypted as the rule for ``path`` says.

        Raises:
            RefusedError: sops failed. Its words are not repeated: they could quote what it was given.
        """
        done = self._encrypt(path, self.rules_file(path), document)
        if done.code != 0:
            raise RefusedError(
                f"sops could not encrypt {path} (exit code {done.code})", "nothing was written"
            )
        return done.stdout.decode()

    def decrypt(self, path: str) -> dict[str, Secret] | None:
        """The values of the Secret at ``path`` by key, or None if no private key at hand opens it.

        Raises:
            RefusedError: the file was changed after encryption, or sops cannot read it.
        """
        started = self._started.pop(("decrypt", path), None)
        done = self._decrypt(path) if started is None else started.result()
        if done.code == _NO_KEY:
            return None
        if done.code != 0:
            said = done.stderr.strip().splitlines() or [f"exit code {done.code}"]
            raise RefusedError(
                f"sops cannot decrypt {path}: {said[0]}",
                "it was edited or damaged after it was encrypted; restore it (git checkout) or delete it",
            )
        return _values(path, done.stdout)

    def opens_what_it_encrypts(self, path: str, document: Mapping[str, Any]) -> bool:
        """Whether a private key at hand opens what is encrypted as the rule for ``path`` says.

        ``document`` must hold harmless values. Nothing is written.

        Raises:
            RefusedError: no sops, no rule, or it cannot encrypt.
        """
        encrypted = self.encrypt(path, document)
        return self._decrypt_text(encrypted).code == 0

    def rules_file(self, path: str) -> str:
        """The ``.sops.yaml`` whose creation rules count for ``path``: the nearest above it.

        Raises:
            RefusedError: there is none, or it lies behind a symbolic link.
        """
        folder = posixpath.dirname(path)
        while True:
            candidate = posixpath.join(folder, _CONFIG)
            if (self.root / candidate).is_file():
                refuse_links(self.root, candidate)
                return candidate
            if not folder:
                raise RefusedError(
                    "no .sops.yaml in the repository",
                    "make a key (age-keygen -o age.agekey) and a .sops.yaml at the repository's top with "
                    f"creation_rules: [{{path_regex: '{_PATTERN}', encrypted_regex: '{_VALUES_ONLY}', "
                    "age: age1…}]",
                )
            folder = posixpath.dirname(folder)

    def _encrypt(self, path: str, config: str, document: Mapping[str, Any]) -> shell.Result:
        return shell.run(
            ("sops", "--config", config, "encrypt", "--filename-override", path),
            cwd=self.root,
            stdin=yaml.safe_dump(dict(document), sort_keys=False).encode(),
            # What gpg says is read here, and must be in no other language.
            environment={**dict.fromkeys(_OVERRIDES), **_without_gnupg(), "LC_ALL": "C"},
            withheld=_is_needless,
            missing_hint=_HINT,
        )

    def _decrypt(self, path: str) -> shell.Result:
        # Handed over, not opened by sops, which would follow a link.
        return self._decrypt_text(read_text(self.root, path) or "")

    def _decrypt_text(self, text: str) -> shell.Result:
        return shell.run(
            ("sops", "decrypt", "--input-type", "yaml", "--output-type", "json", "/dev/stdin"),
            cwd=self.root,
            stdin=text.encode(),
            withheld=_is_needless,
            missing_hint=_HINT,
        )

    def _rule_error(self, path: str, config: str, said: str) -> RefusedError:
        if "no matching creation rules" in said:
            return RefusedError(
                f"no creation rule in {config} matches {path}",
                "add a rule whose path_regex matches it, such as "
                f"{posixpath.dirname(path)}/.*\\.sops\\.ya?ml",
            )
        if "has no creation rules" in said:
            return RefusedError(f"{config} has no creation rules", "add one for *.sops.yaml with age: age1…")
        return _key_error(f"the rule for {path} in {config}", said) or RefusedError(
            f"sops refuses the rules of {config} for {path}", " ".join(said.split())[:_LONGEST]
        )


def _key_error(rule: str, said: str) -> RefusedError | None:
    """The refusal where sops ``said`` that it cannot use a key of a rule; None if it said something else."""
    unusable = _UNUSABLE_KEY.findall(said)
    # What gpg says of a PGP key comes last (pgp/keysource.go); nothing, if it could not be run.
    pgp = {key: why.rpartition("with pgp:")[2].strip() for key, why in unusable if "PGP key" in why}
    missing = [key for key, why in pgp.items() if not why or "No public key" in why]
    if missing and not any(pgp.values()):
        return RefusedError(
            f"{rule} names the PGP fingerprint {missing[0]}, and gpg cannot be run",
            "install gpg, then gpg --import the public key (often in the repository)",
        )
    if missing:
        one = len(missing) == 1
        keys = f"PGP {'fingerprint' if one else 'fingerprints'} {', '.join(missing)}"
        return RefusedError(
            f"{rule} names the {keys}, which {'is' if one else 'are'} not in the keyring",
            f"gpg --import the public key{'' if one else 's'} (often in the repository), or take the "
            f"fingerprint{'' if one else 's'} out of the rule",
        )
    if "empty key group" in said:
        return RefusedError(f"{rule} names no key, or has a group without one", "add age: age1… to it")
    if unusable:
        key, why = unusable[0]
        why = " ".join(pgp.get(key, why).split())[:_LONGEST]
        kind, login = next(
            (words for pattern, words in _SERVICES.items() if re.match(pattern, key)),
            ("key", "look the key up in the rule"),
        )
        return RefusedError(f"{rule} names the {kind} {key}, which cannot be used here: {why}", login)
    return None


def _is_needless(variable: str) -> bool:
    return shell.is_private(variable) and not variable.startswith(_NEEDED)


def _without_gnupg() -> dict[str, str]:
    """Keep gpg, which sops asks about PGP keys, from making itself a home folder only to find none."""
    with suppress(RefusedError, OSError):  # of a user without a home, or one that cannot be looked into
        if "GNUPGHOME" in os.environ or expanded("~/.gnupg").exists():
            return {}
    return {"GNUPGHOME": os.devnull}


def _values(path: str, decrypted: bytes) -> dict[str, Secret]:
    """The values in what sops made of the file ``path``."""
    try:
        document = json.loads(decrypted)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise RefusedError(
            f"sops decrypts {path} to something else than a Secret", "restore it (git checkout)"
        )
    values: dict[str, Secret] = {}
    for name in VALUES:
        entries = document.get(name)
        for key, value in entries.items() if isinstance(entries, dict) else ():
            if not isinstance(value, str):
                raise RefusedError(
                    f"{name}.{key} of the encrypted Secret {path} is {kind_of(value)}, not a text",
                    f"make it a text: sops edit {path}",
                )
            values[key] = Secret(value) if name == "stringData" else _decoded(path, key, value)
    return values


def _decoded(path: str, key: str, value: str) -> Secret:
    import base64
    import binascii

    try:
        return Secret(base64.b64decode(value, validate=True).decode())
    except (binascii.Error, ValueError):
        raise RefusedError(
            f"data.{key} of the encrypted Secret {path} is not base64 text", "keep text values in stringData"
        ) from None


@dataclass(frozen=True)
class EncryptSecret(Change):
    """Write an encrypted Secret. ``values`` are kept or given; ``generate`` names keys that were made up.

    ``after`` is the ciphertext, made when it was planned: what follows from it can be planned too.
    """

    root: Path = field(repr=False)
    path: str
    before: str | None = field(repr=False)
    after: str = field(repr=False)
    name: str
    namespace: str
    values: Mapping[str, Secret]
    generate: tuple[str, ...]
    reason: str

    @classmethod
    def planned(
        cls,
        sops: Sops,
        path: str,
        before: str | None,
        name: str,
        namespace: str,
        values: Mapping[str, Secret],
        generate: tuple[str, ...],
        reason: str,
    ) -> "EncryptSecret":
        """Encrypt ``values`` and what is made up for ``generate``, in memory.

        Raises:
            RefusedError: sops refuses, or leaves a value readable.
        """
        from secrets import token_hex

        made = {key: token_hex(24) for key in generate}
        revealed = {key: value.reveal() for key, value in values.items()} | made
        encrypted = sops.encrypt(path, secret_document(name, namespace, revealed))
        seen = inspect(encrypted)
        if seen is None or seen.plain_keys or not seen.keys:
            raise RefusedError(f"sops did not encrypt every value of {path}", "nothing was written")
        return cls(sops.root, path, before, encrypted, name, namespace, values, generate, reason)

    @property
    def summary(self) -> str:
        return f"encrypt {self.path} ({self.reason})"

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,)

    def results(self) -> Mapping[str, str | None]:
        return {self.path: self.after}

    @property
    def is_first(self) -> bool:
        return self.before is None

    def diff(self) -> str:
        keys = ", ".join(sorted({*self.values, *self.generate}))
        made = f"; {', '.join(self.generate)} generated" if self.generate else ""
        return f"  keys: {keys}{made}; values not shown"

    def apply(self) -> None:
        """Write the ciphertext.

        Raises:
            RefusedError: the disk refuses, or somebody changed the file since the plan was made.
        """
        if read_text(self.root, self.path) != self.before:
            raise RefusedError(
                f"{self.path} was changed since the plan was shown", "run the same command again"
            )
        write_text(self.root, self.path, self.after)


def secret_document(name: str, namespace: str, values: Mapping[str, str]) -> dict[str, Any]:
    """A Kubernetes Secret as data."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "stringData": dict(values),
    }
