"""What differs between two collections of objects: the one that is deployed, and the one that is to be."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from tasks.kube.immutable import immutable_changes
from tasks.kube.keys import Key
from tasks.kube.pods import Pod, pods_of
from tasks.kube.resources import Resource, Resources
from tasks.kube.services import address_of, urls_in
from tasks.kube.storage import Storage, storage_of
from tasks.yaml.documents import dig, mapping

WORKLOADS = ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")
# Flux makes such an object anew where it cannot be changed, or leaves it where it is not wanted any more:
# https://fluxcd.io/flux/components/kustomize/kustomizations/#controlling-the-apply-behavior-of-resources
_FORCE = "kustomize.toolkit.fluxcd.io/force"
_KEPT = {"kustomize.toolkit.fluxcd.io/prune": "disabled", "helm.sh/resource-policy": "keep"}
# Labels that name the version of a chart; on the object itself they have no effect.
_OF_THE_CHART = ("helm.sh/chart", "app.kubernetes.io/version")


class Kind(StrEnum):
    """What becomes of an object. ``REPLACED``: another kind or name takes its place."""

    ADDED = "added"
    REMOVED = "removed"
    REPLACED = "replaced"
    CHANGED = "changed"


@dataclass(frozen=True)
class Difference:
    """One object that is not in both collections as it is.

    ``fields`` are the dotted paths that differ, ``immutable`` those of them that the API server refuses to
    change, ``is_forced`` that Flux makes it anew for that, ``images`` the images of its containers that
    differ, as container, before and after. ``lost`` is the storage that its pods no longer use. ``callers``
    are objects that address a Service which is no longer there, as they were; ``left`` those that still do.
    """

    kind: Kind
    before: Resource | None = field(default=None, repr=False)
    after: Resource | None = field(default=None, repr=False)
    fields: tuple[str, ...] = ()
    immutable: tuple[str, ...] = ()
    is_forced: bool = False
    images: tuple[tuple[str, str, str], ...] = ()
    lost: tuple[Storage, ...] = ()
    callers: tuple[Key, ...] = ()
    left: tuple[Key, ...] = ()

    @property
    def key(self) -> Key:
        """The object, as it was if it was there."""
        found = self.before or self.after
        assert found is not None
        return found.key

    @property
    def is_kept(self) -> bool:
        """Whether the object stays in the cluster although it is not wanted any more."""
        annotations = mapping(self.before.data, "metadata", "annotations") if self.before else {}
        return any(annotations.get(name) == value for name, value in _KEPT.items())

    @property
    def lost_keys(self) -> list[str]:
        """The keys that a Secret no longer has; its values are not compared."""
        if self.key.kind != "Secret" or self.before is None or self.after is None:
            return []
        old, new = (
            {str(key): None for name in ("data", "stringData") for key in mapping(one.data, name)}
            for one in (self.before, self.after)
        )
        return [key for key in old if key not in new]

    @property
    def blocks(self) -> bool:
        """Whether it fails unless the object is deleted first."""
        return bool(self.immutable) and not self.is_forced

    @property
    def rolls(self) -> bool:
        """Whether its pods are replaced."""
        is_workload = self.key.kind in WORKLOADS
        return is_workload and any(path.startswith("spec.template") for path in self.fields)


def compare(before: Resources, after: Resources) -> list[Difference]:
    """What differs, in the order of ``before``, then what is added."""
    old, new = ({item.key: item for item in one.objects} for one in (before, after))
    added = [item for key, item in new.items() if key not in old]
    found: list[Difference] = []
    for key, item in old.items():
        other = new.get(key) or _successor(item, added)
        if other is None:
            found.append(_gone(Difference(Kind.REMOVED, item), before, after))
        elif other.key != key:
            added.remove(other)
            made = Difference(
                Kind.REPLACED, item, other, images=_images(item, other), lost=_lost(item, other)
            )
            found.append(_gone(made, before, after))
        else:
            found += _changed(item, other)
    return [*found, *(Difference(Kind.ADDED, after=item) for item in added)]


def _changed(item: Resource, other: Resource) -> Iterator[Difference]:
    fields = tuple(_paths(_shown(item.data), _shown(other.data), ""))
    if fields:
        forced = mapping(other.data, "metadata", "annotations").get(_FORCE)
        yield Difference(
            Kind.CHANGED,
            item,
            other,
            fields,
            tuple(immutable_changes(item.data, other.data)),
            str(forced).lower() == "enabled",
            _images(item, other),
            _lost(item, other),
        )


def _gone(found: Difference, before: Resources, after: Resources) -> Difference:
    """``found`` with who addresses a Service that is no longer there under its name."""
    key = found.key
    if key.kind != "Service" or key.group or (found.after is not None and found.after.key.name == key.name):
        return found
    return replace(found, callers=tuple(_callers(key, before)), left=tuple(_callers(key, after)))


def _callers(service: Key, found: Resources) -> Iterator[Key]:
    """The objects with a URL that leads to ``service``."""
    for item in found.objects:
        for url in urls_in(item.data):
            address = address_of(url, item.key.namespace, found)
            if address is not None and (address.service, address.namespace) == (
                service.name,
                service.namespace,
            ):
                yield item.key
                break


# What takes the place of what ------------------------------------------------------------------------------


def _successor(item: Resource, added: Iterable[Resource]) -> Resource | None:
    """The one of ``added`` that takes the place of ``item``: of one release, for the same purpose."""
    alike = [
        other
        for other in added
        if other.key.namespace == item.key.namespace
        and _purpose(other.key) == _purpose(item.key) is not None
        and (other.helm_release == item.helm_release or other.key.name == item.key.name)
    ]
    return min(alike, key=lambda other: _distance(item, other), default=None)


def _purpose(key: Key) -> str | None:
    if key.kind in WORKLOADS and key.group == "apps":
        return "pods"
    return key.kind if key.kind in ("Service", "PersistentVolumeClaim") and not key.group else None


def _distance(item: Resource, other: Resource) -> tuple[bool, bool, bool, int]:
    """How unlikely it is that ``other`` takes the place of ``item``."""
    same_access = _is_headless(item) == _is_headless(other)
    begins = other.key.name.startswith(item.key.name) or item.key.name.startswith(other.key.name)
    return other.key.name != item.key.name, not same_access, not begins, len(other.key.name)


def _is_headless(item: Resource) -> bool:
    return bool(dig(item.data, "spec", "clusterIP") == "None")


# What differs in one object ---------------------------------------------------------------------------------


def _images(item: Resource, other: Resource) -> tuple[tuple[str, str, str], ...]:
    old, new = (
        {name: image for pod in pods_of([one]) for name, image in _images_of(pod)} for one in (item, other)
    )
    if len(old) == len(new) == 1:
        # The one container may have another name.
        ((name, was),), (is_now,) = old.items(), new.values()
        return ((name, was, is_now),) if was != is_now else ()
    return tuple(
        (name, old.get(name, ""), new.get(name, ""))
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    )


def _images_of(pod: Pod) -> Iterator[tuple[str, str]]:
    for container in pod.containers():
        yield str(container.get("name")), str(container.get("image"))


def _lost(item: Resource, other: Resource) -> tuple[Storage, ...]:
    return tuple(one for one in storage_of(item) if one not in storage_of(other))


def _shown(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """``data`` without what has no effect; of what sops encrypted the keys only, for each time is another."""
    # The namespace is that of the key: a manifest need not name it.
    metadata = {
        key: value for key, value in mapping(data, "metadata").items() if key not in ("labels", "namespace")
    }
    labels = mapping(data, "metadata", "labels")
    metadata["labels"] = {key: value for key, value in labels.items() if key not in _OF_THE_CHART}
    shown = {**data, "metadata": metadata}
    if "sops" not in data:
        return shown
    del shown["sops"]
    for name in ("data", "stringData"):
        if isinstance(data.get(name), dict):
            shown[name] = dict.fromkeys(data[name], "encrypted")
    return shown


def _paths(old: Any, new: Any, where: str) -> Iterator[str]:
    """The dotted paths at which two values differ; elements of lists by their names, where they have some.

    Nothing in a map is as good as no map.
    """
    if old == new or (not old and not new and (_is_nothing(old) or _is_nothing(new))):
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys((*old, *new)):
            yield from _paths(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
        return
    named_old, named_new = _by_name(old), _by_name(new)
    if named_old is None or named_new is None:
        yield where
        return
    for name in dict.fromkeys((*named_old, *named_new)):
        yield from _paths(named_old.get(name), named_new.get(name), f"{where}[{name}]")


def _is_nothing(value: Any) -> bool:
    return value is None or value in ({}, [])


def _by_name(value: Any) -> Mapping[str, Any] | None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    named = {str(dig(one, "name")): one for one in value if dig(one, "name") is not None}
    return named if len(named) == len(value) and value else None
