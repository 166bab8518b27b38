"""What the API server refuses of a Kubernetes object although the document looks right."""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Path = tuple[str | int, ...]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|(n|u|m|k|[KMGTPE]i|[MGTPE])?)")
_UNITS = {
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("n", "u", "m", "", "k", *"MGTPE"), -3)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}
_WORKLOADS = {"DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet"}
# Groups whose objects have no name, or one that is no DNS name.
_FREE_NAMES = {
    "rbac.authorization.k8s.io",
    "authorization.k8s.io",
    "authentication.k8s.io",
    "kustomize.config.k8s.io",
}
_NEEDS_SELECTOR = _WORKLOADS - {"Job"}


@dataclass(frozen=True)
class Fault:
    """What is refused, and where in the object."""

    path: Path
    text: str


def faults(item: Mapping[str, Any]) -> list[Fault]:
    """What the API server would refuse of one object; texts with a ``${variable}`` are not judged."""
    found = [*_name(item), *_labels(item.get("metadata"), ("metadata",)), *_data(item)]
    kind = item.get("kind")
    group = _group(item)
    if kind == "Service" and not group:
        found += _service(_map(item.get("spec")))
    if kind in _WORKLOADS and group in {"apps", "batch"}:
        found += _selector(str(kind), _map(item.get("spec")))
    for path, template in pod_templates(item):
        found += _labels(template.get("metadata"), (*path, "metadata"))
        found += _pod(_map(template.get("spec")), (*path, "spec"), _claims(item))
    return found


def _group(item: Mapping[str, Any]) -> str:
    return str(item.get("apiVersion", "")).rpartition("/")[0]


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[tuple[int, Mapping[str, Any]]]:
    """The maps of a list, with their places."""
    if not isinstance(value, list):
        return []
    return [(at, one) for at, one in enumerate(value) if isinstance(one, Mapping)]


def _is_open(value: object) -> bool:
    return isinstance(value, str) and "${" in value


def _name(item: Mapping[str, Any]) -> Iterator[Fault]:
    if _group(item) in _FREE_NAMES or str(item.get("kind", "")).endswith("List"):
        return
    metadata = _map(item.get("metadata"))
    name = metadata.get("name")
    path = ("metadata", "name")
    if name is None or name == "":
        if not metadata.get("generateName"):
            yield Fault(path, "Required value: name or generateName is required")
    elif not isinstance(name, str):
        yield Fault(path, f"{name!r} is not a string")
    elif not _is_open(name) and (len(name) > 253 or not _NAME.fullmatch(name)):
        yield Fault(path, f"{name!r} is not a DNS-1123 subdomain")


def _labels(metadata: object, path: Path) -> Iterator[Fault]:
    for key, value in _map(_map(metadata).get("labels")).items():
        at = (*path, "labels", str(key))
        if value is None or _is_open(value):
            continue
        if not isinstance(value, str):
            yield Fault(at, f"{value!r} is not a string")
        elif len(value) > 63:
            yield Fault(at, "must be no more than 63 characters")
        elif not _LABEL.fullmatch(value):
            yield Fault(at, f"{value!r} has characters that a label value cannot have")


def _data(item: Mapping[str, Any]) -> Iterator[Fault]:
    if item.get("kind") not in {"ConfigMap", "Secret"} or _group(item):
        return
    for part in ("data", "stringData", "binaryData"):
        for key, value in _map(item.get(part)).items():
            if value is not None and not isinstance(value, str):
                yield Fault((part, str(key)), f"{type(value).__name__} is not a string")


def _service(spec: Mapping[str, Any]) -> Iterator[Fault]:
    ports = _list(spec.get("ports"))
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield Fault(("spec", "ports"), "Required value")
    if len(ports) > 1:
        for at, port in ports:
            if not port.get("name"):
                yield Fault(("spec", "ports", at, "name"), "Required value: there are several ports")
    named = [(at, port.get("name") or None) for at, port in ports]
    yield from _repeated(named, ("spec", "ports"), "name")
    pairs = [(at, _port(port, "port")) for at, port in ports]
    yield from _repeated(pairs, ("spec", "ports"))


def _port(port: Mapping[str, Any], key: str) -> Hashable:
    number = port.get(key)
    return None if number is None else f"{number}/{port.get('protocol') or 'TCP'}"


def _repeated(values: Sequence[tuple[int, Any]], path: Path, *last: str) -> Iterator[Fault]:
    seen: set[str] = set()
    for at, value in values:
        if value is not None and str(value) in seen:
            yield Fault((*path, at, *last), f"Duplicate value: {value}")
        seen.add(str(value))


def _selector(kind: str, spec: Mapping[str, Any]) -> Iterator[Fault]:
    selector = _map(spec.get("selector"))
    wanted = _map(selector.get("matchLabels"))
    rules = _list(selector.get("matchExpressions"))
    if not wanted and not rules:
        if kind in _NEEDS_SELECTOR:
            yield Fault(("spec", "selector"), "Required value")
        return
    labels = _map(_map(_map(spec.get("template")).get("metadata")).get("labels"))
    for key, value in wanted.items():
        if labels.get(key) != value and not _is_open(value) and not _is_open(labels.get(key)):
            yield Fault(("spec", "selector", "matchLabels", str(key)), "does not match the template's labels")
    for at, rule in rules:
        if not matches(rule, labels):
            yield Fault(("spec", "selector", "matchExpressions", at), "does not match the template's labels")


def matches(rule: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """Whether one of a selector's ``matchExpressions`` takes these labels."""
    key, values = str(rule.get("key")), list(rule.get("values") or ())
    has = key in labels
    if _is_open(labels.get(key)) or any(_is_open(value) for value in values):
        return True
    outcomes = {
        "In": has and labels.get(key) in values,
        "NotIn": not has or labels.get(key) not in values,
        "Exists": has,
        "DoesNotExist": not has,
    }
    return outcomes.get(str(rule.get("operator")), True)


def pod_templates(item: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The pod templates of an object; a Pod is one, but for its labels, which are the object's."""
    kind, group = item.get("kind"), _group(item)
    spec = _map(item.get("spec"))
    if kind == "Pod" and not group:
        yield (), {"spec": spec}
    elif kind in _WORKLOADS and group in {"apps", "batch"}:
        yield ("spec", "template"), _map(spec.get("template"))
    elif kind == "CronJob" and group == "batch":
        job = _map(_map(spec.get("jobTemplate")).get("spec"))
        yield ("spec", "jobTemplate", "spec", "template"), _map(job.get("template"))


def _claims(item: Mapping[str, Any]) -> set[str]:
    claims = _list(_map(item.get("spec")).get("volumeClaimTemplates"))
    return {str(_map(claim.get("metadata")).get("name")) for _, claim in claims}


def _pod(spec: Mapping[str, Any], path: Path, claims: set[str]) -> Iterator[Fault]:
    volumes = [(at, volume.get("name")) for at, volume in _list(spec.get("volumes"))]
    yield from _repeated(volumes, (*path, "volumes"), "name")
    known = claims | {str(name) for _, name in volumes}
    names: set[str] = set()
    # All containers of a pod share one space of names.
    for part in ("initContainers", "containers"):
        for at, container in _list(spec.get(part)):
            place = (*path, part, at)
            name = str(container.get("name"))
            if container.get("name") and name in names:
                yield Fault((*place, "name"), f"Duplicate value: {name}")
            names.add(name)
            yield from _container(container, place, known)


def _container(container: Mapping[str, Any], path: Path, volumes: set[str]) -> Iterator[Fault]:
    env = _list(container.get("env"))
    yield from _repeated([(at, one.get("name")) for at, one in env], (*path, "env"), "name")
    for at, one in env:
        value = one.get("value")
        if value is not None and not isinstance(value, str):
            yield Fault((*path, "env", at, "value"), f"{type(value).__name__} is not a string")
        if value is not None and value != "" and one.get("valueFrom"):
            yield Fault((*path, "env", at, "valueFrom"), "may not be specified when `value` is not empty")
    ports = [(at, _port(port, "containerPort")) for at, port in _list(container.get("ports"))]
    yield from _repeated(ports, (*path, "ports"))
    mounts = _list(container.get("volumeMounts"))
    yield from _repeated(
        [(at, one.get("mountPath")) for at, one in mounts], (*path, "volumeMounts"), "mountPath"
    )
    for at, one in mounts:
        name = str(one.get("name"))
        if name not in volumes and not _is_open(name) and not any(map(_is_open, volumes)):
            yield Fault((*path, "volumeMounts", at, "name"), f"Not found: {name}")
    yield from _resources(_map(container.get("resources")), (*path, "resources"))


def _resources(resources: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    amounts: dict[tuple[str, str], Decimal] = {}
    for part in ("limits", "requests"):
        for key, value in _map(resources.get(part)).items():
            if value is None or _is_open(value):
                continue
            amount = _quantity(value)
            if amount is None:
                yield Fault((*path, part, str(key)), f"{value!r} is not a quantity")
            elif amount < 0:
                yield Fault((*path, part, str(key)), f"{value!r} is less than 0")
            else:
                amounts[part, str(key)] = amount
    for (part, key), amount in amounts.items():
        limit = amounts.get(("limits", key))
        if part == "requests" and limit is not None and amount > limit:
            yield Fault((*path, "requests", key), f"must be less than or equal to the {key} limit")


def _quantity(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    match = _QUANTITY.fullmatch(str(value))
    if not match:
        return None
    number, exponent, unit = match.groups()
    return Decimal(number + (exponent or "")) * _UNITS[unit or ""]
