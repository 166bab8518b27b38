"""Endpoints: whether URLs inside the cluster, and what Prometheus scrapes, lead to a Service and a port."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from checks.links.inventory import Inventory, Placed
from checks.links.workloads import pods
from checks.model import Outcome, failed, passed, unknown
from checks.objects import dig, items
from tasks.flux.substitution import has_variable

_URL = re.compile(r"https?://[^\s\"'`<>|,;)\]}]+")
# https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#services
_HOST = re.compile(r"([a-z0-9-]+)(?:\.([a-z0-9-]+)(\.svc(?:\.[a-z0-9.-]+)?)?)?")


class Address(NamedTuple):
    """A Service and a port of it, as a URL names them."""

    service: str
    namespace: str
    port: int


def urls_in(data: Any) -> Iterator[str]:
    """Every URL in the texts of nested data."""
    if isinstance(data, str):
        yield from _URL.findall(data)
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from urls_in(value)
    elif isinstance(data, list):
        for value in data:
            yield from urls_in(value)


def address_of(url: str, namespace: str, found: Inventory) -> Address | None:
    """The Service that ``url`` names, asked from ``namespace``; None where it leads out of the cluster."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    host = _HOST.fullmatch((parts.hostname or "").rstrip("."))
    if host is None or host[1] == "localhost":
        return None
    service, where, suffix = host.groups()
    namespaces = {item.key.namespace for item in found.objects}
    if where is not None and suffix is None and where not in namespaces:
        return None
    return Address(service, where or namespace, port)


def reached(found: Inventory, address: Address, used_by: str, place: str) -> Outcome:
    """Whether the Service and the port will exist. Raises nothing; what others may create is unknown."""
    service = found.find("Service", address.namespace, address.service)
    name = f"{address.namespace}/{address.service}"
    if service is None:
        return _without_service(found, address, used_by, place)
    spec = service.data.get("spec") or {}
    ports = [dig(port, "port") for port in items(spec.get("ports"))]
    if any(has_variable(port) for port in ports):
        return unknown(f"{used_by}: a port of Service {name} is a variable that is not known", place=place)
    if spec.get("clusterIP") == "None" or spec.get("type") == "ExternalName" or address.port in ports:
        return passed(f"{used_by}: Service {name} has port {address.port}")
    listed = ", ".join(map(str, ports)) or "none"
    return failed(
        f"{used_by} leads to port {address.port} of Service {name}, which has {listed}",
        "the connection would be refused: nothing arrives",
        "use a port it has, or give the Service that one",
        place,
    )


def _without_service(found: Inventory, address: Address, used_by: str, place: str) -> Outcome:
    name = f"{address.namespace}/{address.service}"
    elsewhere = [
        item.key for item in found.of_kind("Service") if item.key.name == address.service and item.release
    ]
    if elsewhere and not found.mentioned("Service", address.service):
        return failed(
            f"{used_by} leads to Service {name}, which does not exist (there is {elsewhere[0]})",
            "the name would not resolve: nothing arrives",
            "correct the name or the namespace",
            place,
        )
    return unknown(
        f"{used_by} leads to Service {name}, which the repository does not show",
        f"kubectl get service -n {address.namespace} {address.service}",
        place,
    )


def scraped(found: Inventory, monitor: Placed) -> list[str]:
    """What is wrong with how a ServiceMonitor finds its Service and port; empty if it does.

    Semantics: https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.Endpoint
    """
    spec = monitor.data.get("spec") or {}
    labels = dig(spec, "selector", "matchLabels") or {}
    services = [item for item in _services(found, monitor) if _has(item.data, labels)]
    if not services:
        wanted = ", ".join(f"{name}={value}" for name, value in labels.items())
        return [f"no Service has the labels {wanted}"]
    problems = []
    for endpoint in items(spec.get("endpoints")):
        wanted = dig(endpoint, "targetPort") if "targetPort" in endpoint else dig(endpoint, "port")
        if not any(_offers(found, service, endpoint) for service in services):
            kind = "targetPort" if "targetPort" in endpoint else "port"
            names = " and ".join(f"Service {item.key.name}" for item in services)
            problems.append(f"{kind} {wanted} is none of {names} ({_ports(services)})")
    return problems


def _services(found: Inventory, monitor: Placed) -> Iterator[Placed]:
    chosen = dig(monitor.data, "spec", "namespaceSelector") or {}
    names = items(chosen.get("matchNames")) or (monitor.key.namespace,)
    for item in found.of_kind("Service"):
        if chosen.get("any") is True or item.key.namespace in names:
            yield item


def _has(data: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    given = dig(data, "metadata", "labels") or {}
    return all(given.get(name) == value for name, value in labels.items())


def _offers(found: Inventory, service: Placed, endpoint: Mapping[str, Any]) -> bool:
    ports = items(dig(service.data, "spec", "ports"))
    if "targetPort" not in endpoint:
        return any(dig(port, "name") == endpoint.get("port") is not None for port in ports)
    wanted = endpoint["targetPort"]
    selector = dig(service.data, "spec", "selector") or {}
    # The operator compares with the ports that the containers behind the Service declare.
    declared = {
        dig(port, field)
        for pod in pods(found, service.path)
        if all(pod.labels.get(name) == value for name, value in selector.items())
        for container in pod.containers()
        for port in items(container.get("ports"))
        for field in ("name", "containerPort")
    }
    return wanted in declared


def _ports(services: list[Placed]) -> str:
    shown = [
        f"{dig(port, 'port')}{' named ' + str(dig(port, 'name')) if dig(port, 'name') else ' without a name'}"
        for item in services
        for port in items(dig(item.data, "spec", "ports"))
    ]
    return f"they have {', '.join(shown)}" if shown else "they have no port"
