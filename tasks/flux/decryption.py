"""What our Kustomization must say for SOPS Secrets to be decrypted, as the repository shows it."""

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.flux.missing import MissingError
from tasks.flux.scope import Scope
from tasks.flux.tree import FluxObject, Tree
from tasks.yaml.documents import items, load_documents, mapping

# What a creation rule calls keys of services that a pod may log in to as itself, and those that are kept in a
# Secret: https://getsops.io/docs/#using-sops-yaml-conf-to-select-kms-pgp-and-age-for-new-files
_CLOUD_KEYS = frozenset({"kms", "gcp_kms", "azure_keyvault"})
_KEPT_KEYS = frozenset({"age", "pgp", "hc_vault", "hc_vault_transit_uri"})


def find_decryption(
    scope: Scope, apps: str | MissingError, siblings: Sequence[FluxObject]
) -> Mapping[str, Any] | None:
    """The ``spec.decryption`` of the Kustomization of the ``apps``; None where a parent patches it in.

    It is what its ``siblings`` say, or others do, else what Flux's own guides say.
    """
    for item in scope.of_others("Kustomization"):
        path = posixpath.normpath(str(item.spec.get("path", "")).lstrip("/"))
        covers = isinstance(apps, str) and (apps == path or apps.startswith(path + "/") or path == ".")
        patches = item.spec.get("patches")
        if covers and item not in siblings and any(_patches_decryption(p) for p in patches or ()):
            return None
    for group in (siblings, scope.of_others("Kustomization")):
        for item in group:
            own = item.spec.get("decryption")
            if isinstance(own, dict) and own.get("provider") == "sops":
                return own
    # The names of Flux's own guides: https://fluxcd.io/flux/guides/mozilla-sops/
    named = _keys_in_rules(scope.tree)
    if named & _CLOUD_KEYS and not named & _KEPT_KEYS:
        # The controller has those by the identity of its workload.
        return {"provider": "sops"}
    return {
        "provider": "sops",
        "secretRef": {"name": "sops-gpg" if named & _KEPT_KEYS == {"pgp"} else "sops-age"},
    }


def _keys_in_rules(tree: Tree) -> set[str]:
    """The kinds of keys that the creation rules of sops name, as they spell them."""
    rules = [
        rule
        for document in load_documents(tree.texts.get(".sops.yaml", ""))
        for rule in items(document, "creation_rules")
    ]
    return {
        str(key)
        for rule in rules
        for part in (rule, *items(rule, "key_groups"))
        for key, value in mapping(part).items()
        if value
    }


def _patches_decryption(patch: object) -> bool:
    """Whether a patch certainly gives our Kustomization decryption; saying so once too often harms nobody."""
    if not isinstance(patch, dict):
        return False
    text, target = str(patch.get("patch", "")), patch.get("target")
    if "decryption" not in text or re.search(r"\bop[\"']?:\s*[\"']?remove\b", text):
        return False
    if not isinstance(target, dict) or target.get("kind", "Kustomization") != "Kustomization":
        return False
    if any(key in target for key in ("name", "namespace", "annotationSelector")):
        return False
    # Our Kustomizations have no labels: a selector that wants one passes them by.
    selector = str(target.get("labelSelector", "!"))
    return "notin" in selector or "!" in selector
