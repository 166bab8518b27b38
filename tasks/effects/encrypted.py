"""What an encrypted Secret shows without any key: its names, its value keys, who can read it.

The shape is that of https://github.com/getsops/sops/blob/main/stores/stores.go (metadata).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.yaml.documents import load_documents, syntax_error

_CLEAR = ("apiVersion", "kind", "metadata")
VALUES = ("data", "stringData")
# The lists of keys in sops's metadata: what they are, and the field that names a key.
_KINDS = {
    "age": ("age recipient", "recipient"),
    "azure_kv": ("Azure Key Vault key", "name"),
    "gcp_kms": ("GCP KMS key", "resource_id"),
    "hc_vault": ("Vault key", "key_name"),
    "hckms": ("Huawei Cloud KMS key", "key_id"),
    "kms": ("AWS KMS key", "arn"),
    "pgp": ("PGP key", "fp"),
}
_LISTS = tuple(_KINDS)
# What in a key changes with each encryption.
_VOLATILE = ("enc", "created_at")


@dataclass(frozen=True)
class Readers:
    """Who can read an encrypted file: its age recipients, and ``keys``, all keys of any kind by group.

    ``kinds`` are the kinds of the keys in sops's spelling ("pgp"), one for each key that is named.
    """

    recipients: frozenset[str]
    keys: str
    kinds: tuple[str, ...]

    @property
    def count(self) -> int:
        """The number of keys that it is encrypted for."""
        return len(self.kinds)

    def __str__(self) -> str:
        counted = [(_KINDS[kind][0], self.kinds.count(kind)) for kind in _LISTS if kind in self.kinds]
        return " and ".join(f"{count} {word}{'s' if count > 1 else ''}" for word, count in counted)


@dataclass(frozen=True)
class EncryptedFile:
    """An encrypted Secret as anybody sees it; ``plain_keys`` are the keys of values that are readable."""

    name: str
    namespace: str
    keys: frozenset[str]
    readers: Readers
    plain_keys: frozenset[str]

    @property
    def recipients(self) -> frozenset[str]:
        """The age recipients that can read it, of all groups."""
        return self.readers.recipients


class _OddError(Exception):
    """A text is no encrypted Secret; the message says why, and quotes no value."""


def inspect(text: str) -> EncryptedFile | None:
    """What an encrypted Secret shows in clear; None if ``text`` is none, for the reason of ``oddity``."""
    try:
        return _inspected(text)
    except _OddError:
        return None


def revision(text: str) -> str | None:
    """What an encrypted Secret is known by as long as none of its values is encrypted anew: ten hex digits.

    It is made of the ciphertext, which anybody may see. None if ``text`` is no encrypted Secret.
    """
    if inspect(text) is None:
        return None
    (document,) = load_documents(text)
    values = [_sorted(document.get(field) or {}) for field in VALUES]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:10]


def oddity(text: str) -> str:
    """Why ``text`` is no Secret encrypted by sops, with the field; empty if it is one."""
    try:
        _inspected(text)
    except _OddError as error:
        return str(error)
    return ""


def kind_of(value: object) -> str:
    """What a value of a parsed document is, in words."""
    words = {dict: "a map", list: "a list", str: "a text", bool: "a boolean", type(None): "empty"}
    return words.get(type(value)) or ("a number" if isinstance(value, int | float) else "no plain value")


def _inspected(text: str) -> EncryptedFile:
    documents = load_documents(text)
    if not documents:
        problem = syntax_error(text)
        raise _OddError(f"it is not YAML ({problem})" if problem else "it holds no document")
    if len(documents) > 1:
        raise _OddError(f"it holds {len(documents)} documents")
    document = _map(documents[0], "the document")
    if document.get("kind") != "Secret":
        raise _OddError("its kind is not Secret")
    if "sops" not in document:
        raise _OddError("it has no sops metadata")
    sops = _map(document["sops"], "sops")
    metadata = _map(document.get("metadata"), "metadata")
    if any(_is_encrypted(value) for key in _CLEAR for value in _leaves(document.get(key))):
        raise _OddError("more than its values is encrypted")
    values = [
        (str(key), value)
        for field in VALUES
        if document.get(field) is not None
        for key, value in _map(document[field], field).items()
    ]
    # Without it neither sops nor Flux decrypts the file.
    _text(sops, "mac", "sops")
    return EncryptedFile(
        name=_text(metadata, "name", "metadata"),
        namespace=_text({"namespace": "", **metadata}, "namespace", "metadata"),
        keys=frozenset(key for key, _ in values),
        readers=_readers(sops),
        plain_keys=frozenset(key for key, value in values if not _is_encrypted(value)),
    )


def _readers(sops: Mapping[Any, Any]) -> Readers:
    # Where there are groups, sops takes no key from outside of them.
    named = [
        (f"sops.key_groups.{number}", _map(group, f"sops.key_groups.{number}"))
        for number, group in enumerate(_list(sops.get("key_groups"), "sops.key_groups"))
    ] or [("sops", sops)]
    recipients: set[str] = set()
    kinds: list[str] = []
    groups = []
    for place, group in named:
        keys = []
        for kind in _LISTS:
            for number, entry in enumerate(_list(group.get(kind), f"{place}.{kind}")):
                where = f"{place}.{kind}.{number}"
                identity = {k: v for k, v in _map(entry, where).items() if k not in _VOLATILE}
                if kind == "age" and "recipient" in identity:
                    recipients.add(_text(identity, "recipient", where))
                keys.append(json.dumps([kind, _sorted(identity)]))
                if _KINDS[kind][1] in identity:
                    kinds.append(kind)
        groups.append(sorted(keys))
    return Readers(
        frozenset(recipients),
        json.dumps([_sorted(sops.get("shamir_threshold") or 0), sorted(groups)]),
        tuple(sorted(kinds)),
    )


def _sorted(value: object) -> object:
    """``value`` as lists of texts, the same for any order of its keys."""
    if isinstance(value, dict):
        return sorted(
            ([str(key), _sorted(item)] for key, item in value.items()), key=lambda pair: str(pair[0])
        )
    return [_sorted(item) for item in value] if isinstance(value, list) else str(value)


def _map(value: object, place: str) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise _OddError(f"{place} is {kind_of(value)}, not a map")
    return value


def _list(value: object, place: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _OddError(f"{place} is {kind_of(value)}, not a list")
    return value


def _text(fields: Mapping[Any, Any], key: str, place: str) -> str:
    if key not in fields:
        raise _OddError(f"{place}.{key} is missing")
    if not isinstance(fields[key], str):
        raise _OddError(f"{place}.{key} is {kind_of(fields[key])}, not a text")
    return str(fields[key])


def _is_encrypted(value: object) -> bool:
    return isinstance(value, str) and value.startswith("ENC[") and value.endswith("]")


def _leaves(value: object) -> Iterator[object]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if parts is None:
        yield value
    else:
        for item in parts:
            yield from _leaves(item)
