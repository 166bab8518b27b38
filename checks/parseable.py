"""DoD-003 to DoD-005: Parseable's release, its Secret and its metrics, as far as the repository can tell."""

from typing import Any

from checks.model import Outcome, failed, passed, unknown
from checks.objects import (
    NEEDS_CHART,
    NEEDS_CLUSTER,
    differences,
    dig,
    find_object,
    items,
    judged,
    place,
    read,
    unlisted,
)
from tasks.effects.sops import EncryptedFile, inspect
from tasks.flux.layout import need
from tasks.subjects.apps import APP_FOLDER, RELEASE
from tasks.subjects.parseable import PARSEABLE, SECRET, SERVICE_MONITOR
from tasks.workspace import Workspace
from tasks.yaml.documents import load_documents

# Of Parseable's container in the chart; a setting changes only the Service's.
_CONTAINER_PORT = 8000
_SECRET_KEYS = ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")


def _release(workspace: Workspace) -> dict[str, Any]:
    return find_object(workspace, _release_file(workspace), "HelmRelease", "TASK-003")


def _release_file(workspace: Workspace) -> str:
    return PARSEABLE.path(workspace, RELEASE)


def release_names_official_chart(workspace: Workspace) -> Outcome:
    """DoD-003-01: the HelmRepository itself is TASK-011's to write and to mend."""
    reference = dig(_release(workspace), "spec", "chartRef")
    if reference is not None:
        return unknown(
            f"the chart comes from {dig(reference, 'kind')} {dig(reference, 'name')}: whether that has the "
            "official one is not to be seen"
        )
    charts = need(workspace.layout.parseable_charts)
    url = workspace.settings.parseable.chart_repository
    problems = differences(
        _release(workspace),
        [
            (("spec", "chart", "spec", "chart"), "parseable"),
            (("spec", "chart", "spec", "sourceRef", "kind"), "HelmRepository"),
            (("spec", "chart", "spec", "sourceRef", "name"), charts.name),
            (("spec", "chart", "spec", "sourceRef", "namespace"), charts.namespace),
        ],
    )
    folder = PARSEABLE.path(workspace, APP_FOLDER)
    missing = unlisted(workspace, folder, PARSEABLE.listed, "TASK-003")
    where = place(
        workspace, _release_file(workspace), _release(workspace), "spec", "chart", "spec", "sourceRef"
    )
    if problems or missing:
        return failed(
            "; ".join([*problems, *missing]),
            "Flux would not find the chart, or not apply it all",
            "invoke task-003",
            where if problems else f"{folder}/kustomization.yaml:1",
        )
    path = charts.path or f"{need(workspace.layout.repositories)}/parseable.yaml"
    sources = load_documents(workspace.repository.read(path) or "")
    urls = [str(dig(item, "spec", "url")) for item in sources if dig(item, "metadata", "name") == charts.name]
    if url.rstrip("/") not in [found.rstrip("/") for found in urls]:
        return unknown(f"{path} does not define {url} yet", "TASK-011 writes it, DoD-011-01 proves it")
    return passed(f"chart parseable from HelmRepository {charts.name} ({url})")


def release_connects_to_s3(workspace: Workspace) -> Outcome:
    """DoD-003-02."""
    s3 = workspace.settings.s3
    release, base = _release(workspace), ("spec", "values", "parseable")
    env = (*base, "env")
    problems = differences(
        release,
        [
            ((*base, "store"), "s3-store"),
            ((*env, "P_S3_URL"), s3.endpoint),
            ((*env, "P_S3_REGION"), s3.region),
            ((*env, "P_S3_BUCKET"), s3.bucket),
            ((*env, "P_S3_PATH_STYLE"), "true"),
        ],
    )
    return judged(
        problems,
        unknown(f"the values say s3-store, {s3.endpoint}, path-style; {NEEDS_CHART}"),
        consequence="Parseable would not start, or keep its logs in an emptyDir",
        remedy="invoke task-003",
        place=place(workspace, _release_file(workspace), release, *base),
    )


def release_has_resources(workspace: Workspace) -> Outcome:
    """DoD-003-03."""
    wanted = workspace.settings.parseable
    base = ("spec", "values", "parseable", "resources")
    release = _release(workspace)
    problems = differences(
        release,
        [
            ((*base, "limits", "memory"), wanted.memory_limit),
            ((*base, "requests", "cpu"), wanted.cpu_request),
        ],
    )
    if "cpu" not in (dig(release, *base, "limits") or {}):
        problems.append("limits.cpu is not set, so that the chart's default of 500m stays")
    return judged(
        problems,
        unknown(f"memory limit {wanted.memory_limit}, CPU request {wanted.cpu_request}; {NEEDS_CHART}"),
        consequence="the pod would have other limits than the specified ones",
        remedy="invoke task-003",
        place=place(workspace, _release_file(workspace), release, *base),
    )


def _secret(workspace: Workspace) -> EncryptedFile | Outcome:
    path = PARSEABLE.path(workspace, SECRET)
    found = inspect(read(workspace, path, "TASK-004"))
    if found is not None:
        return found
    return failed(
        f"{path} is not a Secret encrypted by sops",
        "the credentials are readable, or Flux cannot apply them",
        "if it was pushed, rotate the S3 key; then invoke task-004",
    )


def secret_has_documented_keys(workspace: Workspace) -> Outcome:
    """DoD-004-01."""
    found = _secret(workspace)
    if isinstance(found, Outcome):
        return found
    wanted = (workspace.settings.parseable.secret, workspace.layout.namespace)
    if (found.name, found.namespace) != wanted:
        return failed(
            f"the Secret is {found.namespace}/{found.name}, not {wanted[1]}/{wanted[0]}",
            "the pods would not find it",
            "invoke task-004",
        )
    missing = [key for key in _SECRET_KEYS if key not in found.keys]
    if missing:
        return failed(
            f"the Secret lacks {', '.join(missing)}", "Parseable has no S3 credentials", "invoke task-004"
        )
    return passed(f"the Secret {found.name} has {' and '.join(_SECRET_KEYS)}")


def secret_is_encrypted(workspace: Workspace) -> Outcome:
    """DoD-004-02."""
    found = _secret(workspace)
    if isinstance(found, Outcome):
        return found
    if found.plain_keys:
        return failed(
            f"not encrypted: {', '.join(sorted(found.plain_keys))}",
            "everyone with the repository could read it",
            "rotate that value if it was pushed; then invoke task-004",
        )
    if not found.recipients:
        return failed(
            "the Secret has no age recipients",
            "Flux could not decrypt it",
            "add age recipients to .sops.yaml, then invoke task-004",
        )
    return passed(f"every value is encrypted, for {len(found.recipients)} age recipient(s)")


def secret_reaches_parseable(workspace: Workspace) -> Outcome:
    """DoD-004-03: statically only that something hands the two keys to the variables Parseable reads."""
    release = _release(workspace)
    values = dig(release, "spec", "values", "parseable", "s3ModeSecret") or {}
    if dig(values, "enabled") is True:
        return unknown(f"the chart's s3ModeSecret passes the credentials; {NEEDS_CLUSTER}")
    wanted = {"P_S3_ACCESS_KEY": _SECRET_KEYS[0], "P_S3_SECRET_KEY": _SECRET_KEYS[1]}
    mapped = _patched_variables(release)
    secret = workspace.settings.parseable.secret
    problems = [
        f"{variable} is not set from key {key} of {secret}"
        for variable, key in wanted.items()
        if mapped.get(variable) != (secret, key)
    ]
    return judged(
        problems,
        unknown(f"both variables come from {secret}; whether S3 accepts them there: {NEEDS_CLUSTER}"),
        consequence="Parseable would start without S3 credentials",
        remedy="invoke task-003",
        place=place(workspace, _release_file(workspace), release, "spec", "postRenderers"),
    )


def _patched_variables(release: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Variables that post-render patches take from a Secret: name -> (Secret, key)."""
    found = {}
    for renderer in items(dig(release, "spec", "postRenderers")):
        for patch in items(dig(renderer, "kustomize", "patches")):
            for document in load_documents(str(dig(patch, "patch"))):
                for container in items(dig(document, "spec", "template", "spec", "containers")):
                    for variable in items(dig(container, "env")):
                        reference = dig(variable, "valueFrom", "secretKeyRef")
                        found[dig(variable, "name")] = (dig(reference, "name"), dig(reference, "key"))
    return found


def metrics_are_discovered(workspace: Workspace) -> Outcome:
    """DoD-005-01."""
    path = PARSEABLE.path(workspace, SERVICE_MONITOR)
    monitor = find_object(workspace, path, "ServiceMonitor", "TASK-005")
    secret = workspace.settings.parseable.secret
    endpoint = ("spec", "endpoints", 0)
    problems = differences(
        monitor,
        [
            ((*endpoint, "path"), "/api/v1/metrics"),
            ((*endpoint, "basicAuth", "username", "name"), secret),
            ((*endpoint, "basicAuth", "username", "key"), "username"),
            ((*endpoint, "basicAuth", "password", "name"), secret),
            ((*endpoint, "basicAuth", "password", "key"), "password"),
        ],
    )
    if dig(monitor, *endpoint, "targetPort") != _CONTAINER_PORT:
        problems.append(f"targetPort is not {_CONTAINER_PORT}, the only port, which has no name to select")
    return judged(
        problems,
        unknown(f"path and login are those Parseable serves; {NEEDS_CHART}"),
        consequence="Prometheus would scrape nothing, or be refused",
        remedy="invoke task-005",
        place=place(workspace, path, monitor, *endpoint),
    )


def metrics_show_ingestion(workspace: Workspace) -> Outcome:
    """DoD-005-02."""
    return unknown(
        f"{NEEDS_CLUSTER}: parseable_events_ingested and parseable_query_execute_time in Prometheus"
    )
