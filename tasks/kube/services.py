"""Services: which one a URL inside the cluster names, and which one a ServiceMonitor scrapes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tasks.kube.pods import Pod, pods_of
from tasks.kube.resources import Resource, Resources
from tasks.kube.rules import matches
from tasks.yaml.documents import dig, items, mapping

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


def address_of(url: str, namespace: str, found: Resources) -> Address | None:
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
    if where is not None and suffix is None and all(where != item.key.namespace for item in found.objects):
        return None
    return Address(service, where or namespace, port)


def scrape_problems(found: Resources, monitor: Resource) -> list[str]:
    """What is wrong with how a ServiceMonitor finds its Service and port; empty if nothing is.

    Semantics: https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.Endpoint
    """
    selector = mapping(monitor.data, "spec", "selector")
    services = [item for item in _services(found, monitor) if is_selected(item.data, selector)]
    if not services:
        labels = mapping(selector, "matchLabels").items()
        rules = items(selector, "matchExpressions")
        wanted = [f"{name}={value}" for name, value in labels] + [
            " ".join(str(dig(rule, part)) for part in ("key", "operator", "values") if dig(rule, part))
            for rule in rules
        ]
        return [f"no Service has the labels {', '.join(wanted)}"]
    problems = []
    for endpoint in items(monitor.data, "spec", "endpoints"):
        kind = "targetPort" if "targetPort" in endpoint else "port"
        offering = [service for service in services if _offers(found, service, endpoint)]
        if not offering:
            names = " and ".join(f"Service {item.key.name}" for item in services)
            problems.append(f"{kind} {endpoint.get(kind)} is none of {names} ({_ports(services)})")
        problems += [
            f"{kind} {endpoint.get(kind)} scrapes {twice}" for twice in _scraped_twice(found, offering)
        ]
    return problems


def _scraped_twice(found: Resources, services: Sequence[Resource]) -> Iterator[str]:
    """The pods that several of the ``services`` lead to: Prometheus takes each for another target."""
    behind: dict[str, set[str]] = {}
    for service in services:
        for pod in pods_behind(found, service):
            behind.setdefault(str(pod.owner.key), set()).add(f"Service {service.key.name}")
    for owner, names in behind.items():
        # Two files may make one Service; that is told elsewhere.
        if len(names) > 1:
            yield f"{owner} once for each of {' and '.join(sorted(names))}"


def _services(found: Resources, monitor: Resource) -> Iterator[Resource]:
    chosen = mapping(monitor.data, "spec", "namespaceSelector")
    names = items(chosen, "matchNames") or (monitor.key.namespace,)
    for item in found.of_kind("Service"):
        if chosen.get("any") is True or item.key.namespace in names:
            yield item


def is_selected(data: Mapping[str, Any], selector: Mapping[str, Any]) -> bool:
    """Whether a label selector takes the object ``data``; an empty one takes all."""
    given = mapping(data, "metadata", "labels")
    wanted = mapping(selector, "matchLabels")
    return all(given.get(name) == value for name, value in wanted.items()) and all(
        matches(rule, given) for rule in items(selector, "matchExpressions") if isinstance(rule, Mapping)
    )


def _offers(found: Resources, service: Resource, endpoint: Mapping[str, Any]) -> bool:
    if "targetPort" not in endpoint:
        ports = items(service.data, "spec", "ports")
        return any(dig(port, "name") == endpoint.get("port") is not None for port in ports)
    wanted = endpoint["targetPort"]
    # The operator compares with the ports that the containers behind the Service declare.
    return any(
        wanted in (dig(port, "name"), dig(port, "containerPort"))
        for pod in pods_behind(found, service)
        for container in pod.containers()
        for port in items(container, "ports")
    )


def pods_behind(found: Resources, service: Resource) -> Iterator[Pod]:
    """The pods that a Service selects; none without a selector."""
    selector = mapping(service.data, "spec", "selector")
    for pod in pods_of(found.objects) if selector else ():
        if pod.owner.key.namespace == service.key.namespace and all(
            pod.labels.get(name) == value for name, value in selector.items()
        ):
            yield pod


def _ports(services: Sequence[Resource]) -> str:
    shown = [
        f"{dig(port, 'port')}{' named ' + str(dig(port, 'name')) if dig(port, 'name') else ' without a name'}"
        for item in services
        for port in items(item.data, "spec", "ports")
    ]
    return f"they have {', '.join(shown)}" if shown else "they have no port"
