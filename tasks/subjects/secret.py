"""The Secret with Parseable's credentials: encrypted before it reaches the disk, or given by others."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tasks.core.changes import Change, Remark
from tasks.core.credentials import ACCESS_KEY, SECRET_KEY, S3Credentials, Secret
from tasks.core.errors import PlaybookError, RefusedError, SettingsError
from tasks.effects.sops import (
    EncryptedFile,
    EncryptSecret,
    Readers,
    inspect,
    oddity,
    secret_document,
)
from tasks.flux.missing import MissingError, need_all
from tasks.kube.makers import KINDS
from tasks.subjects import given_secret
from tasks.subjects.apps import RELEASE
from tasks.subjects.former import former
from tasks.subjects.manifests import app_facts, check_owner, plan_files
from tasks.subjects.parseable import LOGIN, PARSEABLE, PASSWORD, SECRET, SECRET_KEYS
from tasks.workspace import Workspace
from tasks.yaml.documents import load_documents

# Without a login of its own the server would run with admin/admin.
_DEFAULT_PASSWORD = Secret("admin")
# From this length on the last four signs of a key's id tell it from others, and tell nothing else.
_LONG = 12


@dataclass(frozen=True)
class SecretFacts:
    """The Secret as it is, and what it is measured by.

    ``encrypted`` is None where there is no file yet; ``former`` is the file that an earlier name of the app
    left, whose login is taken along; ``values`` are the decrypted ones, None where no private
    key is at hand; ``readers`` are those of the creation rule; ``credentials`` may be the error that stands
    for them.
    """

    path: str
    current: str | None = field(repr=False)
    encrypted: EncryptedFile | None
    values: Mapping[str, Secret] | None
    readers: Readers
    credentials: S3Credentials | SettingsError
    former: str | None = None


def facts(workspace: Workspace) -> SecretFacts | None:
    """Read the file, the creation rule's recipients, and the values where a private key is at hand.

    None where somebody else gives the Secret: then there is nothing to encrypt.

    Raises:
        RefusedError: no folder of apps, sops or its rules refuse, or the Secret lies somewhere in plaintext.
    """
    if given_secret.is_given(workspace):
        if workspace.permissions.new_login:
            raise SettingsError(
                "--new-login makes no login where somebody else gives the Secret (secret.manage is existing)",
                "change the login where the Secret comes from",
            )
        need_all(workspace.layout.apps)
        _refuse_plaintext(workspace, PARSEABLE.path(workspace, SECRET))
        return None
    need_all(workspace.layout.apps, _rules(workspace))
    check_owner(workspace, PARSEABLE)
    path = PARSEABLE.path(workspace, SECRET)
    current = workspace.repository.read(path)
    _refuse_plaintext(workspace, path)
    readers = workspace.sops.readers(path, _harmless(workspace))
    encrypted = None if current is None else inspect(current)
    if current is not None and encrypted is None:
        raise RefusedError(
            f"{path} is not a Secret encrypted by sops: {oddity(current)}",
            "move it away, or restore it (git checkout)",
        )
    # Of an app that had another name, the login is taken along.
    former_path = None if encrypted is not None else _former_path(workspace)
    source = path if encrypted is not None else former_path
    return SecretFacts(
        path=path,
        current=current,
        encrypted=encrypted,
        former=former_path,
        values=None if source is None else workspace.sops.decrypt(source),
        readers=readers,
        credentials=workspace.found_credentials,
    )


def _former_path(workspace: Workspace) -> str | None:
    """Where the Secret lies that an earlier name of the app left."""
    name = posixpath.basename(SECRET)
    if not any(posixpath.basename(path) == name for path in workspace.repository.yaml_files):
        return None
    left = former(workspace).files
    return next(
        (path for path in left if posixpath.basename(path) == name and _is_there(workspace, path)), None
    )


def _is_there(workspace: Workspace, path: str) -> bool:
    return inspect(workspace.repository.text(path)) is not None


def ahead(workspace: Workspace) -> None:
    """Start sops where `facts` will ask it: it runs beside the questions to the S3 server."""
    if given_secret.is_given(workspace) or isinstance(workspace.found_credentials, SettingsError):
        return
    # What the user is asked for has been asked for by now: sops may have a question of its own.
    with suppress(PlaybookError):
        need_all(workspace.layout.apps, _rules(workspace))
        path = PARSEABLE.path(workspace, SECRET)
        is_there = inspect(workspace.repository.read(path) or "") is not None
        workspace.sops.start(path, _harmless(workspace), is_there=is_there)


def _harmless(workspace: Workspace) -> dict[str, Any]:
    """The Secret with nothing to hide, to see what the creation rules make of it."""
    return secret_document(
        workspace.settings.parseable.secret,
        workspace.layout.namespace,
        dict.fromkeys(SECRET_KEYS, "harmless"),
    )


def _rules(workspace: Workspace) -> str | MissingError:
    """The creation rules, or the error that there are none: missing whatever else is missing."""
    apps = workspace.layout.apps
    folder = apps if isinstance(apps, str) else workspace.settings.gitops.apps
    try:
        return workspace.sops.rules_file(f"{folder}/{posixpath.basename(SECRET)}")
    except RefusedError as error:
        others = _operators(workspace)
        by = f" (the repository has {others})" if others else ""
        return MissingError(
            error.summary,
            f"{error.hint}; or, if somebody else gives the Secret{by}, set secret.manage to existing",
        )


def _operators(workspace: Workspace) -> str:
    """What the repository makes other Secrets from, with its number; empty where that is nothing."""
    texts = workspace.tree.texts.values()
    counted = {
        kind: sum(bool(re.search(rf"(?m)^kind:\s*[\"']?{kind}\b", text)) for text in texts) for kind in KINDS
    }
    # Certificates and claims of buckets are for other things than logins.
    kind, count = max(
        ((kind, count) for kind, count in counted.items() if kind.endswith(("Secret", "Item"))),
        key=lambda pair: pair[1],
    )
    return f"{count} {kind}{'s' if count > 1 else ''}" if count else ""


def plan(workspace: Workspace, found: SecretFacts | None) -> Iterator[Change | Remark]:
    """Encrypt anew where something is missing or different; unchanged values leave the file as it is.

    Where somebody else gives the Secret, say who.

    Raises:
        SettingsError: the S3 credentials are needed and missing.
        RefusedError: values that nobody could restore would be lost.
    """
    if found is None:
        yield from given_secret.told(workspace)
        return
    planned = list(_encrypted(workspace, found))
    yield from planned
    workspace.repository.plan(item for item in planned if isinstance(item, Change))
    # Another Secret makes another pod of Parseable; those of Vector follow with TASK-008.
    if workspace.repository.read(PARSEABLE.path(workspace, RELEASE)) is not None:
        yield from plan_files(workspace, app_facts(workspace, PARSEABLE, (RELEASE,)))


def _encrypted(workspace: Workspace, found: SecretFacts) -> Iterator[Change | Remark]:
    reason = _reason(workspace, found)
    if found.encrypted is not None and found.values is None:
        # Without a key pair there is nothing to compare it with.
        is_open = reason is None and isinstance(found.credentials, S3Credentials)
        yield Remark(
            f"cannot decrypt {found.path} (no matching key here): whether the S3 key in it is the one given "
            "is not known",
            is_open,
        )
    if reason is None:
        return
    source = found.path if found.encrypted is not None else found.former
    if source is not None and found.values is None and not workspace.permissions.force:
        raise RefusedError(
            f"{source} must be encrypted anew ({reason}), and there is no key here that decrypts it",
            "put the age identity where sops finds it (SOPS_AGE_KEY_FILE), import the PGP key, or log in to "
            "the service of the key; with --force Parseable gets a new login, and whatever else the Secret "
            "holds is lost",
        )
    kept = dict(found.values or {})
    if isinstance(found.credentials, S3Credentials):
        kept |= {ACCESS_KEY: found.credentials.access_key, SECRET_KEY: found.credentials.secret_key}
    elif ACCESS_KEY not in kept or SECRET_KEY not in kept:
        raise found.credentials
    is_new = workspace.permissions.new_login
    kept = {k: value for k, value in kept.items() if not _must_be_made(k, value, is_new=is_new)}
    yield EncryptSecret.planned(
        workspace.sops,
        found.path,
        found.current,
        name=workspace.settings.parseable.secret,
        namespace=workspace.layout.namespace,
        values=kept,
        generate=tuple(key for key in LOGIN if key not in kept),
        reason=reason,
    )
    yield from _left_behind(workspace, found.values or {}, kept)


def _left_behind(
    workspace: Workspace, before: Mapping[str, Secret], kept: Mapping[str, Secret]
) -> Iterator[Remark]:
    """What is still to be done by hand after values changed: the former key, and who else has the login."""
    former = before.get(ACCESS_KEY)
    if former is not None and former != kept.get(ACCESS_KEY):
        yield Remark(
            f"the former S3 key{_end_of(former)} stays valid: delete it at the S3 server once Parseable runs "
            "with the new one"
        )
    if PASSWORD in before and PASSWORD not in kept and workspace.settings.grafana.manage != "none":
        yield Remark(
            "a Grafana that has the login in variables reads it when it starts: restart it once Parseable "
            "runs with the new one (its operator takes it by itself)"
        )


def _end_of(key: Secret) -> str:
    """The last signs of the id of a key, as consoles show them; nothing of one that is too short for that."""
    text = key.reveal()
    return f" (…{text[-4:]})" if len(text) >= _LONG else ""


def _reason(workspace: Workspace, found: SecretFacts) -> str | None:
    """Why the file must be written, or None. Only what can be known counts: see ``SecretFacts.values``."""
    readers = f"for {found.readers}"
    if found.encrypted is None:
        return f"new, {readers}"
    if found.encrypted.readers != found.readers:
        return f"recipients changed, {readers}"
    if (found.encrypted.name, found.encrypted.namespace) != (
        workspace.settings.parseable.secret,
        workspace.layout.namespace,
    ):
        return "name or namespace changed"
    if found.encrypted.plain_keys:
        return f"not encrypted: {', '.join(sorted(found.encrypted.plain_keys))}"
    missing = [key for key in SECRET_KEYS if key not in found.encrypted.keys]
    if missing:
        return f"keys missing: {', '.join(missing)}"
    changed = None if found.values is None else _value_reason(found.values, found.credentials)
    return changed or ("a new password" if workspace.permissions.new_login else None)


def _value_reason(values: Mapping[str, Secret], credentials: S3Credentials | SettingsError) -> str | None:
    if isinstance(credentials, S3Credentials) and (
        values[ACCESS_KEY] != credentials.access_key or values[SECRET_KEY] != credentials.secret_key
    ):
        return "S3 credentials changed"
    poor = [key for key in LOGIN if _must_be_made(key, values[key], is_new=False)]
    return f"empty or the default: {', '.join(poor)}" if poor else None


def _must_be_made(key: str, value: Secret, *, is_new: bool) -> bool:
    """Whether a value of Parseable's login is empty, the password everybody knows, or to be a new one."""
    if is_new and key == PASSWORD:
        return True
    return key in LOGIN and (not value.reveal().strip() or (key, value) == (PASSWORD, _DEFAULT_PASSWORD))


def _refuse_plaintext(workspace: Workspace, path: str) -> None:
    """Refuse to go on beside a readable copy of the Secret."""
    name = workspace.settings.parseable.secret
    for file in dict.fromkeys((path, *workspace.repository.yaml_files)):
        text = workspace.repository.text(file)
        if "Secret" not in text or (file != path and name not in text):
            continue
        for document in load_documents(text):
            if not _is_readable_secret(document, name, any_name=file == path):
                continue
            if workspace.repository.head(file) is not None:
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
    if not isinstance(document, dict) or document.get("kind") != "Secret":
        return False
    metadata = document.get("metadata")
    named = isinstance(metadata, dict) and metadata.get("name") == name
    return (named or any_name) and given_secret.is_readable(document)
