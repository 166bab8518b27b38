"""Owners: whether an object is created by one of them only."""

from collections.abc import Iterator
from typing import NamedTuple

from checks.links.applied import Key
from checks.links.inventory import Inventory, Placed, inventory, place_of
from checks.model import Outcome, failed, passed
from checks.objects import dig
from tasks.workspace import Workspace

# Helm installs CRDs only where there are none yet: https://helm.sh/docs/chart_best_practices/custom_resource_definitions/
_SHARED = {"CustomResourceDefinition"}


class _Owner(NamedTuple):
    """The release that renders an object; both empty where it is plain."""

    namespace: str
    release: str


def objects_have_one_owner(workspace: Workspace) -> Iterator[Outcome]:
    """Nothing is both a plain manifest and part of a release, or part of two releases."""
    found = inventory(workspace)
    conflicts = list(_conflicts(found))
    for key, owners in conflicts:
        named = " and ".join(
            f"HelmRelease {owner.release}" if owner.release else item.path for owner, item in owners
        )
        rendered = next(item for owner, item in owners if owner.release)
        yield failed(
            f"{key} is created twice: by {named}",
            "Helm would refuse to take it over, or the two would overwrite each other for ever",
            "switch it off in the values (create: false), or take the manifest out",
            place_of(workspace, rendered),
        )
    if not conflicts and any(release.objects is not None for release in found.releases):
        yield passed("no object is both rendered and written down, or rendered twice")


def _conflicts(found: Inventory) -> Iterator[tuple[Key, list[tuple[_Owner, Placed]]]]:
    by_key: dict[Key, dict[_Owner, Placed]] = {}
    for item in found.objects:
        # Hooks come and go: https://helm.sh/docs/topics/charts_hooks/
        is_hook = "helm.sh/hook" in (dig(item.data, "metadata", "annotations") or {})
        if item.key.kind in _SHARED or is_hook:
            continue
        release = item.release
        owner = _Owner(release.namespace, release.name) if release else _Owner("", "")
        by_key.setdefault(item.key, {}).setdefault(owner, item)
    for key, owners in by_key.items():
        if len(owners) > 1:
            yield key, sorted(owners.items(), key=lambda pair: pair[0])
