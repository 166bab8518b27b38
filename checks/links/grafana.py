"""Grafana's data source: whether its URL leads to Parseable."""

from checks.links.endpoints import address_of, reached
from checks.links.inventory import inventory
from checks.links.releases import grafana_file
from checks.model import Outcome, Status, passed
from checks.objects import place_with
from checks.rollout import datasource_connects
from tasks.subjects.apps import RELEASE
from tasks.subjects.parseable import PARSEABLE, parseable_url
from tasks.workspace import Workspace


def datasource_leads_to_parseable(workspace: Workspace) -> Outcome | None:
    """DoD-010-02: what the files say, and that the Service and the port will exist."""
    found, written = inventory(workspace), datasource_connects(workspace)
    release = found.release_of(PARSEABLE.path(workspace, RELEASE))
    if written.status is Status.FAIL or release is None or release.objects is None:
        return written
    url = parseable_url(workspace)
    address = address_of(url, workspace.layout.namespace, found)
    if address is None:
        return written
    outcome = reached(found, address, f"the data source's {url}", url_place(workspace, url))
    if outcome.status is not Status.PASS:
        return outcome
    return passed(f"the data source has the login, and {url} leads to the Service of Parseable")


def url_place(workspace: Workspace, url: str) -> str:
    """FILE:LINE of ``url`` in the file of Grafana's release; empty where there is none."""
    path = grafana_file(workspace)
    if not path:
        return ""
    return place_with(workspace, path, url)
