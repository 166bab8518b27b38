"""Workloads: the pods that will run, with their containers, variables, mounts and ports."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from checks.links.inventory import Inventory, Placed
from checks.objects import dig, items
from tasks.kube.rules import pod_templates

# Volumes that nobody can write to, whatever the mount says.
_READ_ONLY = ("configMap", "secret", "downwardAPI", "projected")


@dataclass(frozen=True)
class Pod:
    """The pods of one workload: ``spec`` and ``labels`` of their template."""

    owner: Placed
    spec: Mapping[str, Any] = field(repr=False)
    labels: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def account(self) -> str:
        """Its ServiceAccount: https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/."""
        return str(self.spec.get("serviceAccountName") or self.spec.get("serviceAccount") or "default")

    def containers(self) -> Iterator[Mapping[str, Any]]:
        """All containers, those that run first included."""
        for name in ("containers", "initContainers"):
            yield from (item for item in items(self.spec.get(name)) if isinstance(item, dict))

    def volume(self, container: Mapping[str, Any], path: str) -> tuple[Mapping[str, Any], bool] | None:
        """The volume that ``path`` lies on in ``container`` and whether it may be written; None without."""
        wanted = posixpath.normpath(path)
        mounts = [
            (posixpath.normpath(str(dig(mount, "mountPath"))), mount)
            for mount in items(container.get("volumeMounts"))
        ]
        fitting = [pair for pair in mounts if wanted == pair[0] or wanted.startswith(f"{pair[0]}/")]
        if not fitting:
            return None
        # The innermost mount covers those around it.
        mount = max(fitting, key=lambda pair: len(pair[0]))[1]
        volumes = [item for item in items(self.spec.get("volumes")) if dig(item, "name") == mount.get("name")]
        is_read_only = mount.get("readOnly") is True or any(
            kind in volume
            for volume in volumes
            for kind in ("configMap", "secret", "downwardAPI", "projected")
        )
        return (volumes[0] if volumes else {}), not is_read_only


def pods(found: Inventory, *paths: str) -> Iterator[Pod]:
    """The pods of what the files ``paths`` define, rendered or plain."""
    for item in found.objects:
        if item.path in paths:
            for _, template in pod_templates(item.data):
                spec, labels = template.get("spec"), dig(template, "metadata", "labels")
                if isinstance(spec, dict):
                    yield Pod(item, spec, labels if isinstance(labels, dict) else {})


def variables(container: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that ``container`` lists: name to text, or to the mapping of its ``valueFrom``."""
    return {
        str(dig(item, "name")): dig(item, "valueFrom") or dig(item, "value")
        for item in items(container.get("env"))
    }
