"""What of the storage that pods use outlives them."""

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.kube.keys import Key
from tasks.kube.pods import pods_of
from tasks.kube.resources import Resource
from tasks.yaml.documents import dig, items, mapping


@dataclass(frozen=True)
class Storage:
    """A volume by what it is: a claim, a claim for each pod of a StatefulSet, or a folder of the node.

    ``claim`` is the object PersistentVolumeClaim where there is one of its own.
    """

    what: str
    claim: Key | None = None

    def __str__(self) -> str:
        return self.what


def storage_of(item: Resource) -> list[Storage]:
    """The storage that the pods of ``item`` may write to and that outlives them, each once."""
    return list(dict.fromkeys(_storage(item)))


def _storage(item: Resource) -> Iterator[Storage]:
    templates = {
        str(dig(one, "metadata", "name")) for one in items(item.data, "spec", "volumeClaimTemplates")
    }
    for pod in pods_of([item]):
        volumes = {str(dig(one, "name")): one for one in items(pod.spec, "volumes")}
        for container in pod.containers():
            for mount in items(container, "volumeMounts"):
                name = str(dig(mount, "name"))
                if dig(mount, "readOnly") is True:
                    continue
                if name in templates:
                    # Named by their template, the StatefulSet and the number of the pod:
                    # https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-storage
                    yield Storage(f"the claims {name}-{item.key.name}-0, …")
                    continue
                claim = dig(volumes.get(name), "persistentVolumeClaim", "claimName")
                folder = mapping(volumes.get(name), "hostPath").get("path")
                if claim:
                    key = Key("", "PersistentVolumeClaim", item.key.namespace, str(claim))
                    yield Storage(f"the claim {claim}", key)
                elif folder:
                    yield Storage(f"the folder {folder} of the node")
