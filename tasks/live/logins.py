"""Logins as the cluster keeps them: in a Secret, or where a container's variables point at one."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from tasks.core.credentials import Secret
from tasks.effects.api_errors import ClusterError
from tasks.kube.pods import variables
from tasks.live.asking import Login
from tasks.yaml.documents import dig, items, mapping

GetSecret = Callable[[str, str], Mapping[str, Any]]
"""Reads a Secret by its namespace and name; raises ``ClusterError``."""

# As long as sops has not been undone by Flux.
_CIPHERTEXT = "ENC["


def login_in(secret: Mapping[str, Any], username: str, password: str) -> Login:
    """The login under two keys of a Secret as the API server has it.

    Raises:
        ClusterError: a key is missing, its value is no text, or still encrypted by sops.
    """
    name = f"{dig(secret, 'metadata', 'namespace')}/{dig(secret, 'metadata', 'name')}"
    origin = f"Secret {name}"
    found = [_value(secret, key, origin) for key in (username, password)]
    return Login(Secret(found[0]), Secret(found[1]), origin)


def _value(secret: Mapping[str, Any], key: str, origin: str) -> str:
    given = mapping(secret, "data").get(key)
    if given is None:
        raise ClusterError(f"{origin} has no key {key}", "invoke task-004, and push")
    try:
        value = base64.b64decode(str(given), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ClusterError(f"key {key} of {origin} is no text") from None
    if value.startswith(_CIPHERTEXT):
        raise ClusterError(
            f"key {key} of {origin} is still encrypted by sops",
            "spec.decryption of the Kustomization that applies it: invoke verify --only decryption",
        )
    return value


def login_of(
    workload: Mapping[str, Any], username: str, password: str, get_secret: GetSecret
) -> Login | None:
    """The login that a Deployment or StatefulSet gives its container in two variables; None if it gives none.

    ``username`` and ``password`` are the names of the variables; a user that is not told is "admin", which
    is Grafana's own default.

    Raises:
        ClusterError: a Secret that is pointed at cannot be read, or lacks the key.
    """
    namespace = str(dig(workload, "metadata", "namespace"))
    kind, name = workload.get("kind", "Deployment"), dig(workload, "metadata", "name")
    for container in items(workload, "spec", "template", "spec", "containers"):
        found = [_given(container, one, namespace, get_secret) for one in (username, password)]
        if found[1] is not None:
            origin = found[1][1] or f"{kind} {namespace}/{name}"
            user = found[0][0] if found[0] is not None else "admin"
            return Login(Secret(user), Secret(found[1][0]), origin)
    return None


def _given(
    container: Mapping[str, Any], variable: str, namespace: str, get_secret: GetSecret
) -> tuple[str, str] | None:
    """The value of a variable, and the Secret that it is from (or ""); None if the container has none."""
    given = variables(container).get(variable)
    if isinstance(given, str):
        return given, ""
    reference = mapping(given, "secretKeyRef")
    if reference:
        return _from(get_secret(namespace, str(reference.get("name"))), str(reference.get("key")))
    for source in items(container, "envFrom"):
        name, prefix = dig(source, "secretRef", "name"), str(dig(source, "prefix") or "")
        if name and variable.startswith(prefix):
            secret, key = get_secret(namespace, str(name)), variable.removeprefix(prefix)
            if key in mapping(secret, "data"):
                return _from(secret, key)
    return None


def _from(secret: Mapping[str, Any], key: str) -> tuple[str, str]:
    origin = f"Secret {dig(secret, 'metadata', 'namespace')}/{dig(secret, 'metadata', 'name')}"
    return _value(secret, key, origin), origin
