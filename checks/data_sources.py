"""What holds for the data source in whichever form Grafana gets it."""

from collections.abc import Mapping, Sequence
from typing import Any

from checks.addresses import reached
from checks.answers import shown
from checks.model import Cause, Model, Outcome, failed, passed, unknown
from tasks.kube.services import address_of
from tasks.subjects.parseable import PARSEABLE, query_url


def common_problems(model: Model, source: Mapping[str, Any], namespace: str) -> list[str]:
    """What is wrong with a data source's type, URL and kind of login, asked from ``namespace``."""
    wanted = {"type": model.settings.grafana.datasource_type, "basicAuth": True}
    problems = [
        f"{key} is {shown(source.get(key))}, not {value!r}"
        for key, value in wanted.items()
        if source.get(key) != value
    ]
    url, expected = str(source.get("url")), query_url(model.workspace)
    if url.rstrip("/") != expected and address_of(url, namespace, model.resources) != address_of(
        expected, namespace, model.resources
    ):
        problems.append(f"url is {url!r}, not {expected!r}")
    return problems


def connected(
    model: Model,
    who: str,
    source: Mapping[str, Any],
    namespace: str,
    problems: Sequence[str],
    place: str,
) -> Outcome:
    """DoD-010-02 of a data source with these ``problems``: if none, whether its URL leads to Parseable."""
    if problems:
        return failed(
            "; ".join(problems),
            "queries from Grafana would be refused or go nowhere",
            "invoke task-010",
            place,
        )
    model.pods_of(PARSEABLE)
    url = str(source.get("url"))
    address = address_of(url, namespace, model.resources)
    if address is None:
        return unknown(f"the data source's URL {url} leads out of the cluster", Cause.NETWORK)
    outcome = reached(model, address, f"the data source's {url}", place)
    if outcome.stops_push or outcome.cause is not None:
        return outcome
    return passed(f"{who} has the login, and {url} leads to the Service of Parseable")
