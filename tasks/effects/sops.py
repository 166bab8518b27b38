"""sops as a filter: plaintext goes in through standard input only, and comes out into memory only."""

import json
import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tasks.core.changes import Change
from tasks.core.credentials import Secret
from tasks.core.errors import RefusedError
from tasks.effects import shell
from tasks.effects.files import read_text, refuse_links, write_text
from tasks.yaml.documents import load_documents

_HINT = "install sops 3.9 or newer: https://github.com/getsops/sops/releases"
_CONFIG = ".sops.yaml"
# What sops exits with when no key at hand opens the file (cmd/sops/codes: CouldNotRetrieveKey).
_NO_KEY = 128
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
_CLEAR = ("apiVersion", "kind", "metadata")


@dataclass(frozen=True)
class EncryptedFile:
    """What an encrypted Secret shows without any key: its names, its value keys, who can read it."""

    name: str
    namespace: str
    keys: frozenset[str]
    recipients: frozenset[str]
    plain_keys: frozenset[str]


class Sops:
    """sops with the creation rules of one repository."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def recipients(self, path: str, document: Mapping[str, Any]) -> frozenset[str]:
        """The age recipients that the creation rules give a Secret at ``path``.

        sops itself is asked, by encrypting ``document``, whose values must be harmless: no second
        implementation of its rules, and a rule that would leave a value readable is found before it matters.

        Raises:
            RefusedError: no sops, no ``.sops.yaml``, no rule for the path, a rule without age recipients, or
                one that would encrypt too little or too much of a Secret.
        """
        config = self.rules_file(path)
        done = self._encrypt(path, config, document)
        if done.code != 0:
            raise _rule_error(path, config, done.said)
        seen = inspect(done.stdout.decode())
        if seen is None:
            raise RefusedError(
                f"the rule for {path} in {config} encrypts more than values; Flux could not read the Secret",
                "give the rule encrypted_regex: ^(data|stringData)$",
            )
        if seen.plain_keys:
            raise RefusedError(
                f"the rule for {path} in {config} would leave {', '.join(sorted(seen.plain_keys))} readable",
                "give the rule encrypted_regex: ^(data|stringData)$",
            )
        if not seen.recipients:
            raise RefusedError(
                f"the rule for {path} in {config} has no age recipients", "add age: age1… to that rule"
            )
        return seen.recipients

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
        # Handed over, not opened by sops, which would follow a link.
        done = shell.run(
            ("sops", "decrypt", "--input-type", "yaml", "--output-type", "json", "/dev/stdin"),
            cwd=self.root,
            stdin=(read_text(self.root, path) or "").encode(),
            missing_hint=_HINT,
        )
        if done.code == _NO_KEY:
            return None
        if done.code != 0:
            said = done.stderr.strip().splitlines() or [f"exit code {done.code}"]
            raise RefusedError(
                f"sops cannot decrypt {path}: {said[0]}",
                "it was edited or damaged after it was encrypted; restore it (git checkout) or delete it",
            )
        return _values(json.loads(done.stdout))

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
                    "add one at its top with a creation rule for *.sops.yaml that names age recipients",
                )
            folder = posixpath.dirname(folder)

    def _encrypt(self, path: str, config: str, document: Mapping[str, Any]) -> shell.Result:
        return shell.run(
            ("sops", "--config", config, "encrypt", "--filename-override", path),
            cwd=self.root,
            stdin=yaml.safe_dump(dict(document), sort_keys=False).encode(),
            environment={**dict.fromkeys(_OVERRIDES), **_without_gnupg()},
            missing_hint=_HINT,
        )


def _without_gnupg() -> dict[str, str]:
    """Keep gpg, which sops asks about PGP keys, from making itself a home folder only to find none."""
    if "GNUPGHOME" in os.environ or Path("~/.gnupg").expanduser().exists():
        return {}
    return {"GNUPGHOME": os.devnull}


def _rule_error(path: str, config: str, said: str) -> RefusedError:
    if "no matching creation rules" in said:
        return RefusedError(
            f"no creation rule in {config} matches {path}",
            f"add a rule whose path_regex matches it, such as {posixpath.dirname(path)}/.*\\.sops\\.ya?ml",
        )
    if "has no creation rules" in said:
        return RefusedError(f"{config} has no creation rules", "add one for *.sops.yaml with age: age1…")
    if "PGP" in said and "age1" not in said:
        return RefusedError(
            f"the rule for {path} in {config} has PGP keys that are not here, and no age recipients",
            "add age: age1… to that rule, or a rule of its own for the path before it",
        )
    if "empty key group" in said:
        return RefusedError(
            f"the rule for {path} in {config} has no age recipients", "add age: age1… to that rule"
        )
    return RefusedError(f"sops refuses the rules of {config} for {path}", said)


def inspect(text: str) -> EncryptedFile | None:
    """What an encrypted Secret shows in clear; None if ``text`` is not one (or not readable as one)."""
    documents = load_documents(text)
    document = documents[0] if len(documents) == 1 else None
    if not isinstance(document, dict) or not isinstance(document.get("sops"), dict):
        return None
    metadata = document.get("metadata")
    if document.get("kind") != "Secret" or not isinstance(metadata, dict):
        return None
    if any(_is_encrypted(value) for key in _CLEAR for value in _leaves(document.get(key))):
        return None
    values = {**(document.get("data") or {}), **(document.get("stringData") or {})}
    sops = document["sops"]
    groups = [sops, *(group for group in sops.get("key_groups") or [] if isinstance(group, dict))]
    return EncryptedFile(
        name=str(metadata.get("name")),
        namespace=str(metadata.get("namespace")),
        keys=frozenset(values),
        recipients=frozenset(
            str(entry["recipient"])
            for group in groups
            for entry in group.get("age") or []
            if "recipient" in entry
        ),
        plain_keys=frozenset(key for key, value in values.items() if not _is_encrypted(value)),
    )  # fmt: skip


def _is_encrypted(value: object) -> bool:
    return isinstance(value, str) and value.startswith("ENC[") and value.endswith("]")


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [value]


def _values(document: Mapping[str, Any]) -> dict[str, Secret]:
    import base64
    import binascii

    values: dict[str, Secret] = {}
    for key, value in (document.get("data") or {}).items():
        try:
            values[key] = Secret(base64.b64decode(str(value), validate=True).decode())
        except (binascii.Error, UnicodeDecodeError):
            raise RefusedError(
                f"key {key} of the encrypted Secret is not base64 text", "keep text values in stringData"
            ) from None
    values.update({key: Secret(str(value)) for key, value in (document.get("stringData") or {}).items()})
    return values


@dataclass(frozen=True)
class EncryptSecret(Change):
    """Write an encrypted Secret. ``values`` are kept or given; ``generate`` names keys to be made up."""

    sops: Sops = field(repr=False)
    path: str
    before: str | None = field(repr=False)
    name: str
    namespace: str
    values: Mapping[str, Secret]
    generate: tuple[str, ...]
    reason: str

    @property
    def summary(self) -> str:
        return f"encrypt {self.path} ({self.reason})"

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,)

    def diff(self) -> str:
        keys = ", ".join(sorted({*self.values, *self.generate}))
        made = f"; {', '.join(self.generate)} generated" if self.generate else ""
        return f"  keys: {keys}{made}; values not shown"

    def apply(self) -> None:
        """Encrypt in memory and write the result.

        Raises:
            RefusedError: sops or the disk refuses, or somebody changed the file since the plan was made.
        """
        from secrets import token_hex

        if read_text(self.sops.root, self.path) != self.before:
            raise RefusedError(f"{self.path} was changed since the plan was shown", "run the same again")
        made = {key: token_hex(24) for key in self.generate}
        document = secret_document(
            self.name, self.namespace, {key: value.reveal() for key, value in self.values.items()} | made
        )
        encrypted = self.sops.encrypt(self.path, document)
        seen = inspect(encrypted)
        if seen is None or seen.plain_keys or not seen.keys:
            raise RefusedError(f"sops did not encrypt every value of {self.path}", "nothing was written")
        write_text(self.sops.root, self.path, encrypted)


def secret_document(name: str, namespace: str, values: Mapping[str, str]) -> dict[str, Any]:
    """A Kubernetes Secret as data."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "stringData": dict(values),
    }
