"""Which names promise a secret value, and which values under such a name only point at one."""

import re
from functools import lru_cache

# "clientSecret", "CLIENT_SECRET" and "client-secret" are the same two words.
_WORD = re.compile(r"[^\W\d_a-z]+(?![a-z])|[^\W\d_][^\W\d_A-Z]*")
# Anywhere in a name whose words are written together.
_PARTS = re.compile(
    r"password|passwort|kennwort|passwd|passphrase|passcode|secret|token|apikey|privatekey|privkey|accesskey"
    r"|credential|authorization|authheader|bearer|cookie|connectionstring|connstr|dockerconfig|kubeconfig"
    r"|stringdata|securejson|securesettings|keystore|keytab|mnemonic|idrsa|ided25519|idecdsa"
    r"|pgpass|netrc|htpasswd|sessionid|webhook"
)
# At the end of one word: "dbpass", but not "bypass".
_ENDS = re.compile(r"(?:(?<!by)(?<!com)pass|pwd|\bpw|(?<!ba)salt|dsn|jwt|psk|creds?|totp|hmac|pfx|jks)$")
# What makes a key of the word before "key". Others (topologyKey, publicKey) are no secrets.
_KEYED = re.compile(
    r"\b(?:access|account|admin|aes|age|api|app|application|auth|cipher|client|consumer|crypt|decryption|deploy|dsa"
    r"|ec|encrypt|encryption|gpg|hmac|host|ingest|ingestion|integration|jwt|licen[cs]e|master|pgp|preshared|private|project"
    r"|recovery|refresh|root|routing|rsa|seal|server|service|session|shared|sign|signing|ssh|ssl|storage"
    r"|subscription|tls|unseal|wireguard|write) keys?\b"
)
# A name may be one of these and still hold a map of harmless things.
_LOOSE = re.compile(r"webhook|auth$")
# The last words of names that say where a secret is: secretName, passwordFile, secretRef.
_PLACES = frozenset(("name", "names", "namespace", "ref", "refs", "reference", "selector", "kind", "type"))
_FILES = frozenset(("file", "files", "filename", "path", "paths", "dir", "folder", "mount"))
_PLAIN_NAME = re.compile(r"(?:\.{0,2}/)?\w[\w.-]*(?:/[\w.-]+)*/?", re.ASCII)

_ONE_REFERENCE = (
    r"\$?\$(?:[A-Z_][A-Z0-9_]*|\{[A-Za-z_][\w.]*\}|\([A-Za-z_]\w*\)|__(?:env|file)\{[\w./-]+\})"
    r"|ENC\[AES256_GCM,[^\]\s]*\]|\(not shown(?:, changed)?\)"
)
_REFERENCE = re.compile(rf"(?:(?:Bearer|Basic) )?(?:{_ONE_REFERENCE})(?:[:@/ -]*(?:{_ONE_REFERENCE}))*")


@lru_cache(maxsize=4096)
def _words(name: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in _WORD.findall(name))


@lru_cache(maxsize=4096)
def sounds_secret(name: str) -> bool:
    """Whether what stands under ``name`` is a secret, or says where one is (see ``is_pointer``)."""
    words = _words(name)
    return (
        _PARTS.search("".join(words)) is not None
        or any(_ENDS.search(word) for word in words)
        or _KEYED.search(" ".join(words)) is not None
        or (bool(words) and words[-1] == "auth")
    )


def covers(name: str) -> bool:
    """Whether all that stands below ``name`` is secret, too, where a map stands there.

    >>> covers("credentials"), covers("basicAuth"), covers("webhookConfigs"), covers("secretRef")
    (True, False, False, False)
    """
    return sounds_secret(name) and not _LOOSE.search("".join(_words(name))) and not says_where(name)


def is_pointer(name: str, value: str) -> bool:
    """Whether ``name`` says where a secret is (``secretName``, ``passwordFile``), and ``value`` a place."""
    if not says_where(name) or len(value) > 253 or not _PLAIN_NAME.fullmatch(value):
        return False
    return _words(name)[-1] not in _FILES or "/" in value or "." in value


def says_where(name: str) -> bool:
    """Whether ``name`` is that of a name, file or reference: ``secretName``, ``secretKeyRef``."""
    words = _words(name)
    return bool(words) and (words[0] == "existing" or words[-1] in _PLACES or words[-1] in _FILES)


def is_name(value: str) -> bool:
    """Whether ``value`` could be the name of an object, a key or a file."""
    return _PLAIN_NAME.fullmatch(value) is not None


def is_reference(value: str) -> bool:
    """Whether ``value`` is nothing but variables, or encrypted by sops.

    >>> is_reference("$PARSEABLE_PASSWORD"), is_reference("${user}:${pw}"), is_reference("$tr0ng")
    (True, True, False)
    """
    return _REFERENCE.fullmatch(value) is not None
