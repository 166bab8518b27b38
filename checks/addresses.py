"""URLs inside the cluster: whether they lead to a Service and a port that will exist."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from checks.model import Cause, Model, Outcome, Status, as_note, failed, passed, unknown
from tasks.flux.grafana import GrafanaPlace
from tasks.flux.substitution import has_variable
from tasks.kube.pods import Pod
from tasks.kube.resources import Resource, Resources
from tasks.kube.services import Address, address_of, urls_in
from tasks.yaml.documents import dig, items, mapping

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def reached(model: Model, address: Address, used_by: str, place: str) -> Outcome:
    """Whether the Service and the port will exist; what others may create is unknown."""
    found = model.resources
    service = found.find("Service", address.namespace, address.service)
    name = f"{address.namespace}/{address.service}"
    if service is None:
        return _without_service(model, found, address, used_by, place)
    spec = mapping(service.data, "spec")
    if _selects_nothing(model, service, spec):
        return failed(
            f"{used_by} leads to Service {name}, whose selector fits no pod of Parseable or Vector",
            "the connection would be refused: nothing arrives",
            "invoke task-004, then invoke task-009",
            place,
        )
    ports = [dig(port, "port") for port in items(spec, "ports")]
    if any(has_variable(port) for port in ports):
        return unknown(f"{used_by}: a port of Service {name} is a variable", Cause.CLUSTER, place=place)
    if spec.get("clusterIP") == "None" or spec.get("type") == "ExternalName" or address.port in ports:
        return passed(f"{used_by}: Service {name} has port {address.port}")
    listed = ", ".join(map(str, ports)) or "none"
    return failed(
        f"{used_by} leads to port {address.port} of Service {name}, which has {listed}",
        "the connection would be refused: nothing arrives",
        "use a port it has, or give the Service that one",
        place,
    )


def _selects_nothing(model: Model, service: Resource, spec: Mapping[str, Any]) -> bool:
    """Whether a Service of ours leads to no pod for certain; what others select may be made by hand."""
    selector = mapping(spec, "selector")
    if service.path not in model.ours or service.helm_release is not None or not selector:
        return False
    pods, hidden = model.pods_and_gaps(*model.apps)
    return not hidden and not any(
        pod.owner.key.namespace == service.key.namespace and selector.items() <= pod.labels.items()
        for pod in pods
    )


def _without_service(model: Model, found: Resources, address: Address, used_by: str, place: str) -> Outcome:
    name = f"{address.namespace}/{address.service}"
    elsewhere = [
        item.key
        for item in found.of_kind("Service")
        if item.key.name == address.service and item.helm_release
    ]
    if elsewhere and not model.mentioned("Service", address.service):
        return failed(
            f"{used_by} leads to Service {name}, which does not exist (there is {elsewhere[0]})",
            "the name would not resolve: nothing arrives",
            "correct the name or the namespace",
            place,
        )
    gap = found.gap_for("Service", address.namespace, address.service)
    hidden = f": {gap.what} is not known ({gap.reason})" if gap is not None else ""
    return unknown(
        f"{used_by} leads to Service {name}, which the repository does not show{hidden}",
        Cause.CLUSTER if gap is None else gap.cause,
        (gap.remedy if gap is not None else "")
        or f"kubectl get service -n {address.namespace} {address.service}",
        place,
    )


def urls_lead_somewhere(model: Model) -> Iterator[Outcome]:
    """Each URL names a Service and a port that will exist; each probe a port that its container has."""
    pods, hidden = model.pods_and_gaps(*model.apps)
    yield from hidden
    # What is not rendered hides the Services that the URLs lead to: that is told once.
    found = _leading(model, pods)
    yield from (one for one in found if not hidden or one.status is not Status.UNKNOWN)
    if model.whole_repository:
        yield from _leading_elsewhere(model)
    yield passed("every other URL leads out of the cluster")


def _leading(model: Model, pods: Sequence[Pod]) -> Iterator[Outcome]:
    """Where the URLs of our ConfigMaps, pods and data sources lead, and the ports that probes ask."""
    found = model.resources
    for item in found.of_kind("ConfigMap"):
        if item.path in model.ours and item.helm_release is None:
            for url in dict.fromkeys(urls_in(item.data.get("data"))):
                place = model.place_with(item, url)
                yield from led(model, url, item.key.namespace, f"{item.key}: {url}", place)
    for pod in pods:
        for url in _of_pod(pod):
            place = model.place_with(pod.owner, url)
            yield from led(model, url, pod.owner.key.namespace, f"{pod.owner.key}: {url}", place)
        yield from _probes(model, pod)
    yield from _data_sources(model)


def _of_pod(pod: Pod) -> dict[str, None]:
    """The URLs that the variables and the command lines of a pod hold."""
    told = [
        [*(dig(one, "value") for one in items(each, "env")), *items(each, "command"), *items(each, "args")]
        for each in pod.containers()
    ]
    return dict.fromkeys(urls_in(told))


def _leading_elsewhere(model: Model) -> Iterator[Outcome]:
    """Where the URLs of other people's ConfigMaps and pods lead, and the ports that their probes ask.

    What is only a word in a text of theirs (http://example, say) names a Service if there is one of it.
    """
    users: list[tuple[Resource, Iterable[str]]] = [
        (item, dict.fromkeys(urls_in(item.data.get("data"))))
        for item in model.judged
        if item.key.kind == "ConfigMap" and item.path not in model.ours and item.helm_release is None
    ]
    pods = model.other_pods()
    for item, urls in (*users, *((pod.owner, _of_pod(pod)) for pod in pods)):
        for url in urls:
            address = address_of(url, item.key.namespace, model.resources)
            if address is None:
                continue
            service = model.resources.find("Service", address.namespace, address.service)
            if service is not None or ".svc" in (urlsplit(url).hostname or ""):
                yield reached(model, address, f"{item.key}: {url}", model.place_with(item, url))
    for pod in pods:
        yield from _probes(model, pod)


def led(model: Model, url: str, namespace: str, used_by: str, place: str) -> Iterator[Outcome]:
    """Where ``url`` leads, asked from ``namespace``; nothing where it leads out of the cluster."""
    address = address_of(url, namespace, model.resources)
    if address is not None:
        yield reached(model, address, used_by, place)


def _data_sources(model: Model) -> Iterator[Outcome]:
    """Those of Grafana; the user's own give notes."""
    grafana = model.layout.grafana
    if not isinstance(grafana, GrafanaPlace):
        return
    values, _ = model.grafana_values
    for file in mapping(values, "datasources").values():
        for source in items(file, "datasources"):
            url, name = dig(source, "url"), dig(source, "name")
            if not isinstance(url, str):
                continue
            place = model.place_in(grafana.path, url)
            for outcome in led(model, url, model.grafana_namespace, f"data source {name}: {url}", place):
                if name == model.settings.grafana.datasource_name:
                    yield outcome
                # Where others lead depends on charts that are not rendered here: that says nothing of ours.
                elif outcome.status is not Status.UNKNOWN:
                    yield as_note(model, outcome)


def _probes(model: Model, pod: Pod) -> Iterator[Outcome]:
    for container in pod.containers():
        names = {dig(port, "name") for port in items(container, "ports")}
        for probe in _PROBES:
            for action in ("httpGet", "tcpSocket"):
                port = dig(container, probe, action, "port")
                if isinstance(port, str) and not port.isdecimal() and port not in names:
                    yield failed(
                        f"{probe} of {pod.owner.key} asks port {port}, which the container does not name",
                        "the probe would fail, and the pod be restarted or never get ready",
                        "name a port that the container has",
                        model.place_of(pod.owner),
                    )
                elif port is not None:
                    yield passed(f"{probe} of {pod.owner.key} asks port {port}")
