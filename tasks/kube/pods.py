"""The pods that workloads make, with their containers, variables, mounts and ports."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.kube.resources import Resource
from tasks.kube.rules import pod_templates
from tasks.yaml.documents import dig, items, mapping

# Volumes that nobody can write to, whatever the mount says.
_READ_ONLY = ("configMap", "secret", "downwardAPI", "projected")


@dataclass(frozen=True)
class Pod:
    """The pods of one workload: ``spec``, ``labels`` and ``annotations`` of their template."""

    owner: Resource
    spec: Mapping[str, Any] = field(repr=False)
    labels: Mapping[str, Any] = field(default_factory=dict, repr=False)
    annotations: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def account(self) -> str:
        """Its ServiceAccount: https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/."""
        return str(self.spec.get("serviceAccountName") or self.spec.get("serviceAccount") or "default")

    def containers(self) -> Iterator[Mapping[str, Any]]:
        """All containers, those that run first included."""
        for name in ("containers", "initContainers"):
            yield from items(self.spec, name)

    def volume(self, container: Mapping[str, Any], path: str) -> tuple[Mapping[str, Any], bool] | None:
        """The volume that ``path`` lies on in ``container`` and whether it may be written; None without."""
        wanted = posixpath.normpath(path)
        mounts = [
            (posixpath.normpath(str(dig(mount, "mountPath"))), mount)
            for mount in items(container, "volumeMounts")
        ]
        fitting = [pair for pair in mounts if wanted == pair[0] or wanted.startswith(f"{pair[0]}/")]
        if not fitting:
            return None
        # The innermost mount covers those around it.
        mount = max(fitting, key=lambda pair: len(pair[0]))[1]
        volumes = [item for item in items(self.spec, "volumes") if dig(item, "name") == mount.get("name")]
        is_read_only = mount.get("readOnly") is True or any(
            kind in volume for volume in volumes for kind in _READ_ONLY
        )
        return (volumes[0] if volumes else {}), not is_read_only

    def mounted(self, kind: str) -> dict[str, Mapping[str, Any]]:
        """What containers mount of a kind ("secret" or "configMap"): its name to the volume's source."""
        used = {dig(mount, "name") for one in self.containers() for mount in items(one, "volumeMounts")}
        found: dict[str, Mapping[str, Any]] = {}
        for volume in items(self.spec, "volumes"):
            if dig(volume, "name") not in used:
                continue
            direct = mapping(volume, kind)
            name = direct.get("secretName" if kind == "secret" else "name")
            if name:
                found[name] = direct
            for source in items(volume, "projected", "sources"):
                if dig(source, kind, "name"):
                    found[dig(source, kind, "name")] = mapping(source, kind)
        return found


def pods_of(resources: Iterable[Resource]) -> Iterator[Pod]:
    """The pods that ``resources`` make."""
    for item in resources:
        for _, template in pod_templates(item.data):
            spec = template.get("spec")
            if isinstance(spec, dict):
                metadata = mapping(template, "metadata")
                yield Pod(item, spec, mapping(metadata, "labels"), mapping(metadata, "annotations"))


def variables(container: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that ``container`` lists: name to text, or to the mapping of its ``valueFrom``."""
    return {
        str(dig(item, "name")): dig(item, "valueFrom") or dig(item, "value")
        for item in items(container, "env")
    }
