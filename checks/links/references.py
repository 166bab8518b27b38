"""References of pods: the Secrets, ConfigMaps, keys, ServiceAccounts and StorageClasses that they name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from checks.links.inventory import Inventory, Placed, inventory, place_of
from checks.links.releases import grafana_file
from checks.links.workloads import Pod, pods
from checks.model import Outcome, failed, noted, passed, unknown
from checks.objects import dig, items, place
from tasks.subjects.manifests import own_files
from tasks.workspace import Workspace
from tasks.yaml.marks import line_with

_WAITS = "the pod would wait in CreateContainerConfigError or ContainerCreating, and never run"
# Objects that a controller makes a Secret or ConfigMap from, and where they name it (else by their own name).
_MAKERS: Mapping[str, tuple[str, ...]] = {
    "ExternalSecret": ("spec", "target", "name"),
    "ObjectBucketClaim": ("metadata", "name"),
    "SealedSecret": ("spec", "template", "metadata", "name"),
    "Certificate": ("spec", "secretName"),
    "VaultStaticSecret": ("spec", "destination", "name"),
    "OnePasswordItem": ("metadata", "name"),
    "InfisicalSecret": ("spec", "managedSecretReference", "secretName"),
}


@dataclass(frozen=True)
class _Reference:
    """What a pod needs: ``key`` is None where it takes the whole object."""

    kind: str
    name: str
    key: str | None
    used_for: str


def references_exist(workspace: Workspace) -> Iterator[Outcome]:
    """Every Secret and ConfigMap, with its key, and every ServiceAccount that a pod needs will exist."""
    found, ours = inventory(workspace), own_files(workspace)
    for pod in pods(found, *ours, grafana_file(workspace)):
        is_ours = pod.owner.path in ours
        named: dict[tuple[str, str], list[_Reference]] = {}
        for reference in dict.fromkeys(_needed(pod)):
            named.setdefault((reference.kind, reference.name), []).append(reference)
        for references in named.values():
            for outcome in _resolved(workspace, found, pod, references):
                yield outcome if is_ours else noted(workspace, outcome)
        yield _account(workspace, found, pod, is_ours=is_ours)


def _needed(pod: Pod) -> Iterator[_Reference]:
    for container in pod.containers():
        for variable in items(container.get("env")):
            for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                reference = dig(variable, "valueFrom", field)
                yield from _one(kind, reference, "name", f"variable {dig(variable, 'name')}", "key")
        for source in items(container.get("envFrom")):
            for field, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
                yield from _one(kind, dig(source, field), "name", "the variables of envFrom")
    for volume in items(pod.spec.get("volumes")):
        parts = [volume, *items(dig(volume, "projected", "sources"))]
        for part in parts:
            is_projected = part is not volume
            for field, kind in (("secret", "Secret"), ("configMap", "ConfigMap")):
                source = dig(part, field)
                name = "name" if is_projected or kind == "ConfigMap" else "secretName"
                used_for = f"volume {dig(volume, 'name')}"
                yield from _one(kind, source, name, used_for)
                for item in items(dig(source, "items")):
                    if isinstance(source, dict) and source.get("optional") is not True:
                        yield _Reference(kind, str(source.get(name)), str(dig(item, "key")), used_for)


def _one(kind: str, reference: Any, name: str, used_for: str, key: str | None = None) -> Iterator[_Reference]:
    if isinstance(reference, dict) and reference.get("optional") is not True:
        wanted = None if key is None else str(reference.get(key))
        yield _Reference(kind, str(reference.get(name)), wanted, used_for)


def _resolved(
    workspace: Workspace, found: Inventory, pod: Pod, references: Sequence[_Reference]
) -> Iterator[Outcome]:
    """Whether the one object that all of ``references`` name exists, with their keys."""
    kind, name, namespace = references[0].kind, references[0].name, pod.owner.key.namespace
    if (kind, name) == ("ConfigMap", "kube-root-ca.crt"):
        # Kubernetes puts it into every namespace.
        return
    holder = found.find(kind, namespace, name)
    if holder is None:
        uses = " and ".join(dict.fromkeys(reference.used_for for reference in references))
        yield _absent(workspace, found, pod, kind, name, uses)
        return
    keys = _keys(holder.data)
    for reference in references:
        if reference.key is None or reference.key in keys:
            yield passed(f"{kind} {namespace}/{name} has what {pod.owner.key} needs")
            continue
        has = f"it has {', '.join(keys)}" if keys else "it has none"
        yield failed(
            f"{kind} {namespace}/{name} has no key {reference.key} for {reference.used_for} of "
            f"{pod.owner.key} ({has})",
            _WAITS,
            f"name one of those, or add the key in {holder.path}",
            near(workspace, pod.owner, reference.key),
        )


def _keys(data: Mapping[str, Any]) -> list[str]:
    found: dict[str, None] = {}
    for field in ("data", "stringData", "binaryData"):
        part = data.get(field)
        found |= dict.fromkeys(map(str, part)) if isinstance(part, dict) else {}
    return list(found)


def _absent(workspace: Workspace, found: Inventory, pod: Pod, kind: str, name: str, used_for: str) -> Outcome:
    """What to say of an object that no build and no rendered release has."""
    namespace = pod.owner.key.namespace
    what, where = f"{kind} {namespace}/{name}", near(workspace, pod.owner, name)
    maker = next(
        (
            item
            for item in found.of_kind(*_MAKERS, namespace=namespace)
            if (dig(item.data, *_MAKERS[item.key.kind]) or item.key.name) == name
        ),
        None,
    )
    if maker is not None:
        return passed(f"{what} is made from {maker.key}")
    path = found.mentioned(kind, name)
    if path is not None:
        return unknown(
            f"{what} for {used_for} of {pod.owner.key}: {path} has one, not in this build", place=where
        )
    if pod.owner.path in own_files(workspace):
        others = sorted(item.key.name for item in found.of_kind(kind, namespace=namespace))
        there = f"there are {', '.join(others)}" if others else "there is none at all"
        return failed(
            f"{what} for {used_for} of {pod.owner.key} is nowhere in the repository ({there})",
            _WAITS,
            "correct the name, or commit the object",
            where,
        )
    return unknown(
        f"{what} for {used_for} of {pod.owner.key} is not in the repository",
        f"kubectl get {kind.lower()} -n {namespace} {name}",
        where,
    )


def _account(workspace: Workspace, found: Inventory, pod: Pod, *, is_ours: bool) -> Outcome:
    namespace, name = pod.owner.key.namespace, pod.account
    # Every namespace has this one.
    if name == "default" or found.find("ServiceAccount", namespace, name) is not None:
        return passed(f"{pod.owner.key} runs as ServiceAccount {namespace}/{name}")
    if is_ours:
        return failed(
            f"ServiceAccount {namespace}/{name} of {pod.owner.key} is nowhere in the repository",
            "no pod would be created: the API server refuses pods without their account",
            "correct the name, or commit the account",
            _account_place(workspace, pod),
        )
    return unknown(
        f"ServiceAccount {namespace}/{name} of {pod.owner.key} is not in the repository",
        f"kubectl get serviceaccount -n {namespace} {name}",
        _account_place(workspace, pod),
    )


def _account_place(workspace: Workspace, pod: Pod) -> str:
    release = pod.owner.release
    if release is None:
        return place_of(workspace, pod.owner)
    return place(workspace, release.path, release.data, "spec", "values", "serviceAccount", "name")


def near(workspace: Workspace, item: Placed, word: str) -> str:
    """FILE:LINE where ``word`` stands in the file of ``item``, the place of ``item`` where it does not."""
    number = line_with(workspace.repository.text(item.path), word)
    return place_of(workspace, item) if number is None else f"{item.path}:{number}"


def storage_classes_exist(workspace: Workspace) -> Iterator[Outcome]:
    """Every StorageClass that a claim of ours names is defined, or a release's values make it."""
    found, ours = inventory(workspace), own_files(workspace)
    for item in found.objects:
        if item.path not in ours:
            continue
        claims = [item.data] if item.key.kind == "PersistentVolumeClaim" else []
        claims += [claim for claim in items(dig(item.data, "spec", "volumeClaimTemplates")) if claim]
        for claim in claims:
            name = dig(claim, "spec", "storageClassName")
            if not isinstance(name, str) or not name:
                continue
            path = found.mentioned("StorageClass", name) or _provisioner(found, name)
            if path is not None:
                yield passed(f"StorageClass {name} is in {path}")
            else:
                yield unknown(
                    f"StorageClass {name} of {item.key}: the repository shows none of that name",
                    f"kubectl get storageclass {name}",
                    near(workspace, item, name),
                )


def _provisioner(found: Inventory, name: str) -> str | None:
    """A file whose HelmRelease names the class among the values of a chart that makes classes."""
    for path, text in found.cluster.tree.texts.items():
        if "HelmRelease" in text and name in text and "storageClass" in text:
            lines = [line.strip().removeprefix("- ") for line in text.splitlines()]
            # `storageClass: NAME` uses a class; a chart that makes one has its name below such a key.
            if f"name: {name}" in lines:
                return path
    return None
