"""TASK-004: the Secret with Parseable's credentials, encrypted by sops before it ever reaches the disk."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tasks.core.catalogue import CATALOGUE
from tasks.core.changes import Change, Remark
from tasks.core.credentials import S3Credentials, Secret
from tasks.core.errors import RefusedError, SettingsError
from tasks.effects.sops import EncryptedFile, EncryptSecret, Readers, inspect, oddity, secret_document
from tasks.flux.layout import MissingError, need_all
from tasks.manifests import app_folder, check_owner
from tasks.workspace import World
from tasks.yaml.documents import load_documents

SPEC = CATALOGUE["TASK-004"]

ACCESS_KEY = "S3_ACCESS_KEY_ID"
SECRET_KEY = "S3_SECRET_ACCESS_KEY"  # noqa: S105 (the name of a key)
# Parseable's own login (P_USERNAME, P_PASSWORD). Without it the server would run with admin/admin.
LOGIN = ("username", "password")
KEYS = (ACCESS_KEY, SECRET_KEY, *LOGIN)
_PARSEABLE_DEFAULT = Secret("admin")


@dataclass(frozen=True)
class SecretFacts:
    """The Secret as it is, and what it is measured by.

    ``encrypted`` is None where there is no file yet; ``values`` are the decrypted ones, None where no private
    key is at hand; ``readers`` are those of the creation rule; ``credentials`` may be the error that stands
    for them.
    """

    path: str
    current: str | None = field(repr=False)
    encrypted: EncryptedFile | None
    values: Mapping[str, Secret] | None
    readers: Readers
    credentials: S3Credentials | SettingsError


def secret_path(world: World) -> str:
    """The file of the Secret in the repository."""
    return f"{app_folder(world, 'parseable')}/app/secret.sops.yaml"


def facts(world: World) -> SecretFacts:
    """Read the file, the creation rule's recipients, and the values where a private key is at hand.

    Raises:
        RefusedError: no folder of apps, sops or its rules refuse, or the Secret lies somewhere in plaintext.
    """
    need_all(world.layout.apps, _rules(world))
    check_owner(world, "parseable")
    path = secret_path(world)
    current = world.repository.read(path)
    _refuse_plaintext(world, path)
    harmless = secret_document(
        world.settings.parseable.secret, world.layout.namespace, dict.fromkeys(KEYS, "harmless")
    )
    readers = world.sops.readers(path, harmless)
    encrypted = None if current is None else inspect(current)
    if current is not None and encrypted is None:
        raise RefusedError(
            f"{path} is not a Secret encrypted by sops: {oddity(current)}",
            "move it away, or restore it (git checkout)",
        )
    credentials: S3Credentials | SettingsError
    try:
        credentials = world.credentials
    except SettingsError as error:
        credentials = error
    return SecretFacts(
        path=path,
        current=current,
        encrypted=encrypted,
        values=None if encrypted is None else world.sops.decrypt(path),
        readers=readers,
        credentials=credentials,
    )


def _rules(world: World) -> str | MissingError:
    """The creation rules, or the error that there are none: missing whatever else is missing."""
    apps = world.layout.apps
    folder = apps if isinstance(apps, str) else world.settings.gitops.apps
    try:
        return world.sops.rules_file(f"{folder}/secret.sops.yaml")
    except RefusedError as error:
        return MissingError(error.summary, error.hint)


def plan(world: World, found: SecretFacts) -> Iterator[Change | Remark]:
    """Encrypt anew where something is missing or different; unchanged values leave the file as it is.

    Raises:
        SettingsError: the S3 credentials are needed and missing.
        RefusedError: values that nobody could restore would be lost.
    """
    reason = _reason(world, found)
    if found.encrypted is not None and found.values is None:
        yield Remark(f"no private key here opens {found.path}: only key names and recipients were compared")
    if reason is None:
        return
    if found.encrypted is not None and found.values is None and not world.permissions.force:
        raise RefusedError(
            f"{found.path} must be encrypted anew ({reason}), and no private key here opens it",
            "put the age identity where sops finds it (SOPS_AGE_KEY_FILE); with --force Parseable gets a new "
            "login, and whatever else the Secret holds is lost",
        )
    kept = dict(found.values or {})
    if isinstance(found.credentials, S3Credentials):
        kept |= {ACCESS_KEY: found.credentials.access_key, SECRET_KEY: found.credentials.secret_key}
    elif ACCESS_KEY not in kept or SECRET_KEY not in kept:
        raise found.credentials
    kept = {key: value for key, value in kept.items() if not _must_be_made(key, value)}
    yield EncryptSecret(
        sops=world.sops,
        path=found.path,
        before=found.current,
        name=world.settings.parseable.secret,
        namespace=world.layout.namespace,
        values=kept,
        generate=tuple(key for key in LOGIN if key not in kept),
        reason=reason,
    )


def _reason(world: World, found: SecretFacts) -> str | None:
    """Why the file must be written, or None. Only what can be known counts: see ``SecretFacts.values``."""
    count = len(found.readers.recipients)
    readers = f"for {count} recipient{'s' if count != 1 else ''}"
    if found.encrypted is None:
        return f"new, {readers}"
    if found.encrypted.readers != found.readers:
        return f"recipients changed, {readers}"
    if (found.encrypted.name, found.encrypted.namespace) != (
        world.settings.parseable.secret,
        world.layout.namespace,
    ):
        return "name or namespace changed"
    if found.encrypted.plain_keys:
        return f"not encrypted: {', '.join(sorted(found.encrypted.plain_keys))}"
    missing = [key for key in KEYS if key not in found.encrypted.keys]
    if missing:
        return f"keys missing: {', '.join(missing)}"
    return None if found.values is None else _value_reason(found.values, found.credentials)


def _value_reason(values: Mapping[str, Secret], credentials: S3Credentials | SettingsError) -> str | None:
    if isinstance(credentials, S3Credentials) and (
        values[ACCESS_KEY] != credentials.access_key or values[SECRET_KEY] != credentials.secret_key
    ):
        return "S3 credentials changed"
    poor = [key for key in LOGIN if _must_be_made(key, values[key])]
    return f"empty or the default: {', '.join(poor)}" if poor else None


def _must_be_made(key: str, value: Secret) -> bool:
    """Whether a value of Parseable's login is empty, or the password everybody knows."""
    return key in LOGIN and (not value.reveal().strip() or (key, value) == ("password", _PARSEABLE_DEFAULT))


def _refuse_plaintext(world: World, path: str) -> None:
    """Refuse to go on beside a readable copy of the Secret."""
    name = world.settings.parseable.secret
    for file in dict.fromkeys((path, *world.repository.yaml_files)):
        text = world.repository.glance(file)
        if "Secret" not in text or (file != path and name not in text):
            continue
        for document in load_documents(text):
            if not _is_readable_secret(document, name, any_name=file == path):
                continue
            if world.repository.head(file) is not None:
                raise RefusedError(
                    f"{file} is committed with the Secret {name} in plaintext",
                    "everyone with the repository has those values: rotate the S3 key, "
                    "git rm the file, then run again with the new key",
                )
            raise RefusedError(
                f"{file} holds the Secret {name} in plaintext, not yet committed",
                "delete it (the playbook needs no plaintext file), then run again",
            )


def _is_readable_secret(document: object, name: str, *, any_name: bool) -> bool:
    if not isinstance(document, dict) or document.get("kind") != "Secret" or "sops" in document:
        return False
    metadata = document.get("metadata")
    named = isinstance(metadata, dict) and metadata.get("name") == name
    return (named or any_name) and bool(document.get("data") or document.get("stringData"))
