"""Parseable's figures in the running Prometheus."""

from collections.abc import Mapping
from typing import Any

from checks.model import Cause, Model, Outcome, passed, unknown
from tasks.core.errors import UnavailableError
from tasks.core.outcomes import failing
from tasks.live.prometheus import INGESTED, QUERY_TIME, Prometheus, quoted
from tasks.subjects.parseable import query_service
from tasks.yaml.documents import dig, mapping

_UNSEEN = "nobody sees how much comes in, nor when it stops"


def is_scraped(model: Model) -> Outcome:
    """DoD-005-01: a Prometheus has Parseable among its targets, and its last scrape succeeded."""
    deployed = model.deployed
    namespace, service = model.layout.namespace, query_service(model.settings)[0]
    selector = f"up{{namespace={quoted(namespace)},service={quoted(service)}}}"
    servers = deployed.prometheuses()
    if not servers:
        return _without_prometheus()
    unanswered: list[UnavailableError] = []
    for server, _ in servers:
        try:
            found = server.samples(selector)
            if not found:
                continue
            if all(one.value == 1 for one in found):
                return passed(f"{server.service.name} scrapes Service {namespace}/{service}")
            return _down(model, server, namespace, service)
        except UnavailableError as error:
            unanswered.append(error)
    if unanswered:
        raise unanswered[0]
    names = ", ".join(server.service.name for server, _ in servers)
    return failing(
        f"{names} has no target of Service {namespace}/{service}{_selection(servers)}",
        f"kubectl get servicemonitor -n {namespace} --show-labels; invoke task-005",
        consequence=_UNSEEN,
    )


def _down(model: Model, server: Prometheus, namespace: str, service: str) -> Outcome:
    try:
        error = server.scrape_error(namespace, service)
    except UnavailableError:
        error = ""
    login = "401" in error or "403" in error
    secret = model.settings.parseable.secret
    return failing(
        f"{server.service.name} cannot scrape Service {namespace}/{service}{error and f': {error}'}",
        (
            f"its login is not that of the server: Secret {namespace}/{secret}; invoke task-005"
            if login
            else "invoke verify --only DoD-003-02, then invoke task-005"
        ),
        consequence=_UNSEEN,
    )


def _selection(servers: list[tuple[Prometheus, Mapping[str, Any]]]) -> str:
    """What the Prometheus objects select ServiceMonitors by, where that leaves some out."""
    told = []
    for _, about in servers:
        labels = mapping(about, "spec", "serviceMonitorSelector", "matchLabels")
        if labels:
            wanted = ", ".join(f"{key}: {value}" for key, value in labels.items())
            told.append(f"{dig(about, 'metadata', 'name')} takes ServiceMonitors with {wanted} only")
    return f" ({'; '.join(told)})" if told else ""


def has_figures(model: Model) -> Outcome:
    """DoD-005-02: the figures of ingestion and of queries are there."""
    deployed = model.deployed
    stream = quoted(model.settings.parseable.stream)
    servers = deployed.prometheuses()
    if not servers:
        return _without_prometheus()
    unanswered: list[UnavailableError] = []
    best: list[str] = []
    for server, _ in servers:
        names = (INGESTED, f"{QUERY_TIME}_count")
        try:
            there = [name for name in names if server.samples(f"{name}{{stream={stream}}}")]
        except UnavailableError as error:
            unanswered.append(error)
            continue
        if len(there) == len(names):
            return passed(f"{server.service.name} has {INGESTED} and {QUERY_TIME} of stream {stream}")
        best = max(best, there, key=len)
    if unanswered:
        raise unanswered[0]
    if best:
        return unknown(
            f"Prometheus has {best[0]} of stream {stream}, and not the other: Parseable shows the time of "
            "queries after the first one",
            Cause.CLUSTER,
            "query it once, and ask again a minute later",
        )
    return failing(
        f"Prometheus has neither {INGESTED} nor {QUERY_TIME} of stream {stream}",
        "see whether it is scraped: invoke verify --only DoD-005-01; whether lines come: "
        "invoke verify --only DoD-008-03",
        consequence=_UNSEEN,
    )


def _without_prometheus() -> Outcome:
    return unknown(
        "the cluster has no Prometheus of the operator, and no Service labelled as one",
        Cause.CLUSTER,
        "if something else scrapes, see there",
    )
