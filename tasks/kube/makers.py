"""Objects that a controller in the cluster makes a Secret or ConfigMap from: its name, and its keys."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tasks.yaml.documents import dig, items, mapping

# Where each kind names what it makes (else by its own name):
# https://external-secrets.io/latest/api/externalsecret, https://github.com/bitnami-labs/sealed-secrets,
# https://developer.1password.com/docs/k8s/operator, https://developer.hashicorp.com/vault/docs/deploy/kubernetes/vso,
# https://infisical.com/docs/integrations/platforms/kubernetes, https://docs.doppler.com/docs/kubernetes-operator,
# https://bitwarden.com/help/secrets-manager-kubernetes-operator, https://akv2k8s.io
_NAMES: Mapping[str, tuple[str, ...]] = {
    "AzureKeyVaultSecret": ("spec", "output", "secret", "name"),
    "BitwardenSecret": ("spec", "secretName"),
    "Certificate": ("spec", "secretName"),
    "DopplerSecret": ("spec", "managedSecret", "name"),
    "ExternalSecret": ("spec", "target", "name"),
    "InfisicalSecret": ("spec", "managedSecretReference", "secretName"),
    "ObjectBucketClaim": ("metadata", "name"),
    "OnePasswordItem": ("metadata", "name"),
    "SealedSecret": ("spec", "template", "metadata", "name"),
    "VaultDynamicSecret": ("spec", "destination", "name"),
    "VaultStaticSecret": ("spec", "destination", "name"),
}

KINDS = tuple(_NAMES)


class Made(NamedTuple):
    """What is made: ``keys`` is None where only the cluster knows them.

    ``plain`` are the keys whose values stand readable in the object.
    """

    name: str
    keys: frozenset[str] | None = None
    plain: frozenset[str] = frozenset()


def made_from(data: Mapping[str, Any]) -> Made | None:
    """What a controller makes from the object ``data``; None if nothing.

    >>> made_from({"kind": "OnePasswordItem", "metadata": {"name": "s3"}})
    Made(name='s3', keys=None, plain=frozenset())
    """
    kind = str(data.get("kind"))
    if kind not in _NAMES:
        return None
    name = str(dig(data, *_NAMES[kind]) or dig(data, "metadata", "name"))
    if kind == "ExternalSecret":
        return _external(name, data)
    if kind == "SealedSecret":
        template = mapping(data, "spec", "template", "data")
        encrypted = mapping(data, "spec", "encryptedData")
        return Made(name, frozenset(map(str, (*encrypted, *template))), _readable(template))
    return Made(name)


def _external(name: str, data: Mapping[str, Any]) -> Made | None:
    """What an ExternalSecret makes: its template's keys alone, if that has some and is not merged."""
    policy = dig(data, "spec", "target", "creationPolicy")
    if policy == "None":
        return None
    target, template = mapping(data, "spec", "target"), mapping(data, "spec", "target", "template", "data")
    is_open = policy == "Merge" or bool(items(target, "template", "templateFrom"))
    fetched = {str(dig(one, "secretKey")) for one in items(data, "spec", "data")}
    is_merged = dig(target, "template", "mergePolicy") == "Merge"
    if is_merged or not template:
        is_open = is_open or bool(items(data, "spec", "dataFrom"))
    keys = fetched | set(map(str, template)) if is_merged or not template else set(map(str, template))
    # One that names nothing at all is filled by somebody else, if by anybody.
    return Made(name, None if is_open or not keys else frozenset(keys), _readable(template))


def _readable(template: Mapping[str, Any]) -> frozenset[str]:
    """The keys of a template whose values are no program of the template but the values themselves."""
    return frozenset(str(key) for key, value in template.items() if "{{" not in str(value))
