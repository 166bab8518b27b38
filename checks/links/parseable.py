"""What Parseable needs of its rendered pods: storage, resources, credentials and login, and its metrics."""

from collections.abc import Iterator, Mapping
from typing import Any

from checks.links.endpoints import scraped
from checks.links.inventory import Inventory, inventory, place_of
from checks.links.references import near
from checks.links.workloads import Pod, pods, variables
from checks.model import Outcome, failed, passed, unknown
from checks.objects import NEEDS_CLUSTER, differences, dig, find_object, items, judged
from tasks.flux.substitution import has_variable
from tasks.subjects.apps import RELEASE
from tasks.subjects.parseable import PARSEABLE, SERVICE_MONITOR
from tasks.workspace import Workspace
from tasks.yaml.documents import load_documents

_STACK = "kube-prometheus-stack"
_MODE = "s3-store"
_METRICS = "/api/v1/metrics"
_UNSEEN = "Prometheus would scrape nothing, or be refused"
_KEYS = {"P_S3_ACCESS_KEY": "S3_ACCESS_KEY_ID", "P_S3_SECRET_KEY": "S3_SECRET_ACCESS_KEY"}
_LOGIN = {"P_USERNAME": "username", "P_PASSWORD": "password"}


def _file(workspace: Workspace) -> str:
    return PARSEABLE.path(workspace, RELEASE)


def _servers(workspace: Workspace) -> list[tuple[Pod, Mapping[str, Any]]]:
    """The pods that run Parseable's server, with its container; none where nothing is rendered."""
    found = inventory(workspace)
    # A chart may have jobs beside it; of them none is given a place to store logs.
    return [
        (pod, container)
        for pod in pods(found, _file(workspace))
        if pod.owner.key.kind in ("Deployment", "StatefulSet")
        for container in pod.containers()
        if "parseable" in str(container.get("image")) or "parseable" in str(container.get("name"))
    ]


def connects_to_s3(workspace: Workspace) -> Outcome | None:
    """DoD-003-02: the mode, and all variables that it needs.

    Their names and defaults: https://github.com/parseablehq/parseable/blob/v1.7.3/src/storage/s3.rs
    """
    s3, servers = workspace.settings.s3, _servers(workspace)
    wanted = {"P_S3_URL": s3.endpoint, "P_S3_REGION": s3.region, "P_S3_BUCKET": s3.bucket}
    problems = []
    for pod, container in servers:
        given = variables(container)
        started = [*items(container.get("command")), *items(container.get("args"))]
        if _MODE not in started:
            stores = [item for item in started if str(item).endswith("-store")]
            problems.append(f"{pod.owner.key} starts with {' '.join(stores) or 'no store'}, not {_MODE}")
        problems += [
            f"{pod.owner.key} has {name} {_shown(given.get(name))}, not {value!r}"
            for name, value in wanted.items()
            if given.get(name) != value and not _is_open(container, given.get(name))
        ]
        # Path style is what Parseable does unless told otherwise.
        if str(given.get("P_S3_PATH_STYLE", "true")).lower() != "true":
            problems.append(f"{pod.owner.key} has P_S3_PATH_STYLE {_shown(given['P_S3_PATH_STYLE'])}")
    if not servers:
        return None
    if not problems and any(_is_open(one, variables(one).get(name)) for _, one in servers for name in wanted):
        return unknown("rendered: some variables come from where the repository does not show their values")
    return judged(
        problems,
        passed(f"rendered: {_MODE}, {s3.endpoint}, bucket {s3.bucket}, region {s3.region}, path-style"),
        consequence="Parseable would not start, or keep its logs in an emptyDir",
        remedy="invoke task-003",
        place=place_of(workspace, servers[0][0].owner),
    )


def has_resources(workspace: Workspace) -> Outcome | None:
    """DoD-003-03, as Helm's merge with the chart's own defaults leaves it."""
    wanted, servers = workspace.settings.parseable, _servers(workspace)
    problems = []
    for pod, container in servers:
        resources = container.get("resources")
        limit = dig(resources, "limits", "cpu")
        problems += [
            f"{pod.owner.key}: resources.{line}"
            for line in differences(
                resources,
                [(("limits", "memory"), wanted.memory_limit), (("requests", "cpu"), wanted.cpu_request)],
            )
        ]
        if limit != wanted.cpu_limit:
            problems.append(
                f"{pod.owner.key}: resources.limits.cpu is {_shown(limit)}, and should "
                f"{'not be set' if wanted.cpu_limit is None else f'be {wanted.cpu_limit!r}'}"
            )
    if not servers:
        return None
    return judged(
        problems,
        passed(f"rendered: memory limit {wanted.memory_limit}, CPU request {wanted.cpu_request}"),
        consequence="the pod would have other limits than the specified ones",
        remedy="invoke task-003",
        place=place_of(workspace, servers[0][0].owner),
    )


def gets_credentials(workspace: Workspace) -> Outcome | None:
    """DoD-004-03: both keys of the Secret reach the variables that Parseable reads."""
    secret, servers = workspace.settings.parseable.secret, _servers(workspace)
    problems = [line for pod, container in servers for line in _unset(pod, container, secret, _KEYS)]
    if not servers:
        return None
    return judged(
        problems,
        unknown(f"rendered: both variables come from a Secret; whether S3 takes them: {NEEDS_CLUSTER}"),
        consequence="Parseable would start without S3 credentials",
        remedy="invoke task-003",
        place=place_of(workspace, servers[0][0].owner),
    )


def login_is_not_default(workspace: Workspace) -> Iterator[Outcome]:
    """Parseable's login comes from the Secret: without one it is admin/admin."""
    secret = workspace.settings.parseable.secret
    for pod, container in _servers(workspace):
        problems = _unset(pod, container, secret, _LOGIN)
        if not problems:
            yield passed(f"{pod.owner.key} has its login from a Secret")
            continue
        yield failed(
            "; ".join(problems),
            "Parseable's login would be its default, admin/admin, or not the one that Vector and Grafana use",
            "invoke task-003",
            place_of(workspace, pod.owner),
        )


def _is_open(container: Mapping[str, Any], value: object) -> bool:
    """Whether the value of a variable is set in a way that cannot be read here."""
    is_elsewhere = value is None and bool(container.get("envFrom"))
    return is_elsewhere or isinstance(value, dict) or has_variable(value)


def _unset(pod: Pod, container: Mapping[str, Any], secret: str, wanted: Mapping[str, str]) -> list[str]:
    given = variables(container)
    problems = []
    for variable, key in wanted.items():
        reference = dig(given.get(variable), "secretKeyRef")
        # From another Secret, or all of one, it may be the same: that is not to be seen here.
        is_other = dig(reference, "name") not in (None, secret)
        is_whole = given.get(variable) is None and bool(container.get("envFrom"))
        if (dig(reference, "name"), dig(reference, "key")) != (secret, key) and not is_other and not is_whole:
            problems.append(f"{pod.owner.key}: {variable} is not set from key {key} of {secret}")
    return problems


def metrics_are_discovered(workspace: Workspace) -> Outcome | None:
    """DoD-005-01: the ServiceMonitor's labels, port, path and login lead to what Parseable serves."""
    found = inventory(workspace)
    release = found.release_of(_file(workspace))
    if release is None or release.objects is None:
        return None
    path = PARSEABLE.path(workspace, SERVICE_MONITOR)
    name = dig(find_object(workspace, path, "ServiceMonitor", "TASK-005"), "metadata", "name")
    monitor = next((item for item in found.of_kind("ServiceMonitor") if item.path == path), None)
    if monitor is None:
        return failed(f"ServiceMonitor {name} is not applied", _UNSEEN, "invoke task-003", f"{path}:1")
    problems = scraped(found, monitor)
    endpoints = items(dig(monitor.data, "spec", "endpoints"))
    for endpoint in endpoints:
        if dig(endpoint, "path") != _METRICS:
            problems.append(
                f"path {_shown(dig(endpoint, 'path'))} is not /api/v1/metrics, which Parseable serves"
            )
        problems += _login(workspace, found, endpoint, monitor.key.namespace)
    if problems:
        return failed(
            "; ".join(problems),
            _UNSEEN,
            "invoke task-005",
            near(workspace, monitor, "endpoints:"),
        )
    evidence = f"{monitor.key} leads to a port and a path that Parseable serves, with its login"
    label = _wanted_label(found)
    if label is not None and label not in (dig(monitor.data, "metadata", "labels") or {}).items():
        return unknown(
            f"{evidence}; but Prometheus may look only at those with the label {label[0]}: {label[1]}",
            "set prometheus.prometheusSpec.serviceMonitorSelectorNilUsesHelmValues: false in the release of "
            f"{_STACK}, or see in the cluster what Prometheus selects",
        )
    return passed(evidence)


def _wanted_label(found: Inventory) -> tuple[str, str] | None:
    """The label that the Prometheus of kube-prometheus-stack selects by, unless its values say otherwise.

    https://github.com/prometheus-community/helm-charts/blob/main/charts/kube-prometheus-stack/values.yaml
    """
    for text in found.cluster.tree.texts.values():
        if _STACK not in text:
            continue
        for release in load_documents(text):
            chart = dig(release, "spec", "chart", "spec", "chart")
            spec = dig(release, "spec", "values", "prometheus", "prometheusSpec") or {}
            is_default = spec.get("serviceMonitorSelectorNilUsesHelmValues") is not False
            if chart == _STACK and is_default and not spec.get("serviceMonitorSelector"):
                return "release", str(dig(release, "metadata", "name"))
    return None


def _login(workspace: Workspace, found: Inventory, endpoint: Any, namespace: str) -> list[str]:
    problems = []
    for part, key in (("username", "username"), ("password", "password")):
        reference = dig(endpoint, "basicAuth", part)
        wanted = {"name": workspace.settings.parseable.secret, "key": key}
        if reference != wanted:
            problems.append(
                f"basicAuth.{part} is not key {key} of {wanted['name']}, and {_METRICS} needs a login"
            )
    return problems


def _shown(value: object) -> str:
    return "not set" if value is None else "from elsewhere" if isinstance(value, dict) else repr(value)
