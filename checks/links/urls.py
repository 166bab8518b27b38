"""URLs inside the cluster, in pipelines, variables, data sources and probes: each leads to a port."""

from collections.abc import Iterator

from checks.links.endpoints import address_of, reached, urls_in
from checks.links.grafana import url_place
from checks.links.inventory import Inventory, inventory, place_of
from checks.links.references import near
from checks.links.workloads import Pod, pods
from checks.model import Outcome, Status, failed, noted, passed
from checks.objects import dig, items
from tasks.flux.grafana import GrafanaPlace
from tasks.subjects.grafana import values_at
from tasks.subjects.manifests import own_files
from tasks.workspace import Workspace

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def urls_lead_somewhere(workspace: Workspace) -> Iterator[Outcome]:
    """Each URL names a Service and a port that will exist; each probe a port that its container has."""
    found, ours = inventory(workspace), own_files(workspace)
    for item in found.of_kind("ConfigMap"):
        if item.path in ours:
            for url in dict.fromkeys(urls_in(item.data.get("data"))):
                yield from _led(workspace, found, url, f"{item.key}: {url}", near(workspace, item, url))
    for pod in pods(found, *ours):
        values = [dig(one, "value") for each in pod.containers() for one in items(each.get("env"))]
        for url in dict.fromkeys(urls_in(values)):
            yield from _led(workspace, found, url, f"{pod.owner.key}: {url}", near(workspace, pod.owner, url))
        yield from _probes(workspace, pod)
    yield from _data_sources(workspace, found)


def _led(workspace: Workspace, found: Inventory, url: str, used_by: str, place: str) -> Iterator[Outcome]:
    address = address_of(url, workspace.layout.namespace, found)
    if address is not None:
        yield reached(found, address, used_by, place)


def _data_sources(workspace: Workspace, found: Inventory) -> Iterator[Outcome]:
    """Those of Grafana; the user's own give notes."""
    grafana = workspace.layout.grafana
    if not isinstance(grafana, GrafanaPlace):
        return
    values = values_at(grafana, workspace.repository.text(grafana.path))
    for file in (dig(values, "datasources") or {}).values():
        for source in items(dig(file, "datasources")):
            url, name = dig(source, "url"), dig(source, "name")
            if not isinstance(url, str):
                continue
            for outcome in _led(
                workspace, found, url, f"data source {name}: {url}", url_place(workspace, url)
            ):
                if name == workspace.settings.grafana.datasource_name:
                    yield outcome
                # Where others lead depends on charts that are not rendered here: that says nothing of ours.
                elif outcome.status is not Status.UNKNOWN:
                    yield noted(workspace, outcome)


def _probes(workspace: Workspace, pod: Pod) -> Iterator[Outcome]:
    for container in pod.containers():
        names = {dig(port, "name") for port in items(container.get("ports"))}
        for probe in _PROBES:
            for action in ("httpGet", "tcpSocket"):
                port = dig(container, probe, action, "port")
                if isinstance(port, str) and not port.isdecimal() and port not in names:
                    yield failed(
                        f"{probe} of {pod.owner.key} asks port {port}, which the container does not name",
                        "the probe would fail, and the pod be restarted or never get ready",
                        "name a port that the container has",
                        place_of(workspace, pod.owner),
                    )
                elif port is not None:
                    yield passed(f"{probe} of {pod.owner.key} asks port {port}")
