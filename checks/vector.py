"""DoD-007 to DoD-009: Vector's rights, pipeline and release, as far as the repository can tell."""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Any

from checks.model import Outcome, failed, passed, unknown
from checks.objects import (
    NEEDS_CHART,
    NotThereError,
    differences,
    dig,
    find_object,
    items,
    judged,
    place,
    place_with,
    unlisted,
)
from tasks.subjects.apps import APP_FOLDER, RELEASE
from tasks.subjects.parseable import PARSEABLE, parseable_url
from tasks.subjects.vector import VECTOR
from tasks.workspace import Workspace
from tasks.yaml.documents import load_documents

_READ = {"get", "list", "watch"}
_RESOURCES = ("pods", "namespaces", "nodes")
# Options of the source kubernetes_logs that leave pods out.
_NARROWING = ("extra_label_selector", "extra_namespace_label_selector", "extra_field_selector")
_METADATA = ("namespace", "pod_name", "container_name", "node_name")


def _file(workspace: Workspace, name: str) -> str:
    return f"{VECTOR.folder(workspace)}/app/{name}"


def _release(workspace: Workspace) -> dict[str, Any]:
    return find_object(workspace, _file(workspace, "helmrelease.yaml"), "HelmRelease", "TASK-009")


def service_account_is_used(workspace: Workspace) -> Outcome:
    """DoD-007-01: only what TASK-007 itself writes; that the release names it is DoD-009-02."""
    name = workspace.settings.vector.name
    account = find_object(workspace, _file(workspace, "rbac.yaml"), "ServiceAccount", "TASK-007")
    if dig(account, "metadata", "name") != name:
        return failed(f"there is no ServiceAccount {name}", "the pods would not start", "invoke task-007")
    return unknown(f"ServiceAccount {name} exists; {NEEDS_CHART}")


def account_may_read(workspace: Workspace) -> Outcome:
    """DoD-007-02."""
    path, name = _file(workspace, "rbac.yaml"), workspace.settings.vector.name
    role = find_object(workspace, path, "ClusterRole", "TASK-007")
    binding = find_object(workspace, path, "ClusterRoleBinding", "TASK-007")
    granted: dict[str, set[str]] = {resource: set() for resource in _RESOURCES}
    for rule in items(role.get("rules")):
        if "" in items(dig(rule, "apiGroups")) or "*" in items(dig(rule, "apiGroups")):
            for resource in _RESOURCES:
                if {resource, "*"} & set(items(dig(rule, "resources"))):
                    granted[resource] |= set(items(dig(rule, "verbs")))
    problems = [
        f"no {', '.join(sorted(_READ - verbs))} on {resource}"
        for resource, verbs in granted.items()
        if not verbs >= _READ and "*" not in verbs
    ]
    wanted = {"kind": "ServiceAccount", "name": name, "namespace": workspace.layout.namespace}
    if wanted not in items(binding.get("subjects")):
        problems.append(f"the binding does not name ServiceAccount {workspace.layout.namespace}/{name}")
    if dig(binding, "roleRef", "name") != dig(role, "metadata", "name"):
        problems.append("the binding names another role")
    return judged(
        problems,
        passed(f"{name} may get, list and watch {', '.join(_RESOURCES)}"),
        consequence="Vector would be refused by the Kubernetes API and collect nothing",
        remedy="invoke task-007",
        place=place(workspace, path, role),
    )


def _pipeline(workspace: Workspace) -> dict[str, Any]:
    path, name = _file(workspace, "configmap.yaml"), workspace.settings.vector.config_map
    return pipeline_of(find_object(workspace, path, "ConfigMap", "TASK-008", name), path)


def pipeline_of(config_map: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Vector's configuration in its ConfigMap, which is in the file ``path``.

    Raises:
        NotThereError: there is none, or it does not parse.
    """
    text = dig(config_map, "data", "vector.yaml")
    documents = load_documents(text) if isinstance(text, str) else []
    if len(documents) == 1 and isinstance(documents[0], dict):
        return documents[0]
    raise NotThereError(
        failed(
            f"{path} holds no pipeline that parses under vector.yaml",
            "Vector does not start",
            "invoke task-008",
        )
    )


def _named(pipeline: Mapping[str, Any], section: str, kind: str) -> dict[str, dict[str, Any]]:
    components = pipeline.get(section)
    if not isinstance(components, dict):
        return {}
    return {name: item for name, item in components.items() if dig(item, "type") == kind}


def all_pods_are_collected(workspace: Workspace) -> Outcome:
    """DoD-008-01."""
    sources = _named(_pipeline(workspace), "sources", "kubernetes_logs")
    if not sources:
        return failed("there is no source of type kubernetes_logs", "no log is read", "invoke task-008")
    # Its own logs are left out, or each line would make another.
    own = f"**/var/log/pods/{workspace.layout.namespace}_{workspace.settings.vector.name}-*/**"
    for name, source in sources.items():
        narrowing = [option for option in _NARROWING if option in source]
        if any(pattern != own for pattern in items(source.get("exclude_paths_glob_patterns"))):
            narrowing.append("exclude_paths_glob_patterns")
        if not narrowing:
            return passed(f"source {name} reads the logs of every pod but Vector's own")
    return failed(
        f"the source is narrowed by {', '.join(narrowing)}", "some pods' logs are not read", "invoke task-008"
    )


def metadata_is_added(workspace: Workspace) -> Outcome:
    """DoD-008-02."""
    pipeline = _pipeline(workspace)
    sources = _named(pipeline, "sources", "kubernetes_logs")
    for name, transform in _named(pipeline, "transforms", "remap").items():
        program = str(transform.get("source"))
        missing = [key for key in _METADATA if not re.search(rf"(?m)^\s*\.k8s\.{key}\s*=", program)]
        if missing or not any(is_input(transform, source) for source in sources):
            continue
        if any(is_input(sink, name) for sink in _named(pipeline, "sinks", "http").values()):
            return passed(f"transform {name} adds {', '.join(_METADATA)} on the way to the sink")
    return failed(
        f"no remap between the pod logs and the sink sets .k8s. {', '.join(_METADATA)}",
        "the logs could not be told apart by pod",
        "invoke task-008",
        place_with(workspace, _file(workspace, "configmap.yaml"), "transforms:"),
    )


def is_input(component: Mapping[str, Any], name: str) -> bool:
    """Whether a component takes what ``name`` gives; inputs may be patterns, or name one of its outputs."""
    return any(
        fnmatch.fnmatchcase(name, str(wanted)) or str(wanted).startswith(f"{name}.")
        for wanted in items(component.get("inputs"))
    )


def sink_posts_to_parseable(workspace: Workspace) -> Outcome:
    """DoD-008-03."""
    pipeline = _pipeline(workspace)
    problems = sink_problems(workspace, pipeline)
    if pipeline.get("data_dir") is None:
        problems.append("data_dir is not set, so that the disk buffer would lie on a read-only mount")
    return sink_judged(
        workspace, problems, place_with(workspace, _file(workspace, "configmap.yaml"), "sinks:")
    )


def sink_problems(workspace: Workspace, pipeline: Mapping[str, Any]) -> list[str]:
    """What keeps the sink's batches from arriving."""
    sink = parseable_sink(workspace, pipeline)
    problems = differences(
        sink,
        [
            (("encoding", "codec"), "json"),
            (("buffer", "type"), "disk"),
            (("buffer", "max_size"), workspace.settings.vector.buffer_bytes),
            (("request", "headers", "X-P-Stream"), workspace.settings.parseable.stream),
            (("auth", "strategy"), "basic"),
            (("auth", "user"), "${PARSEABLE_USERNAME}"),
            (("auth", "password"), "${PARSEABLE_PASSWORD}"),
        ],
    )
    # Vector's http sink posts unless told otherwise.
    if sink.get("method", "post") != "post":
        problems.append(f"method is {sink['method']!r}, not 'post'")
    return problems


def sink_judged(workspace: Workspace, problems: Sequence[str], where: str) -> Outcome:
    """The answer to DoD-008-03 that ``problems`` make; ``where`` is FILE:LINE of the sinks."""
    stream, size = workspace.settings.parseable.stream, workspace.settings.vector.buffer_bytes
    return judged(
        problems,
        passed(f"POST of JSON to stream {stream}, with a login and a disk buffer of {size} bytes"),
        consequence="Vector would not start, or Parseable would refuse every batch",
        remedy="invoke task-008",
        place=where,
    )


def parseable_sink(workspace: Workspace, pipeline: Mapping[str, Any]) -> dict[str, Any]:
    """The sink that posts to Parseable.

    Raises:
        NotThereError: there is none.
    """
    uri = f"{parseable_url(workspace)}/api/v1/ingest"
    sinks = _named(pipeline, "sinks", "http")
    for sink in sinks.values():
        if sink.get("uri") == uri:
            return sink
    found = ", ".join(str(sink.get("uri")) for sink in sinks.values()) or "none at all"
    raise NotThereError(
        failed(f"no http sink posts to {uri} (found: {found})", "no log reaches Parseable", "invoke task-008")
    )


def runs_on_every_node(workspace: Workspace) -> Outcome:
    """DoD-009-01."""
    return judged(
        differences(_release(workspace), [(("spec", "values", "role"), "Agent")]),
        unknown(f"role Agent; {NEEDS_CHART}"),
        consequence="Vector would not run on every node",
        remedy="invoke task-009",
        place=place(
            workspace, _file(workspace, "helmrelease.yaml"), _release(workspace), "spec", "values", "role"
        ),
    )


def uses_config_and_account(workspace: Workspace) -> Outcome:
    """DoD-009-02."""
    release, name = _release(workspace), workspace.settings.vector.config_map
    values = ("spec", "values")
    problems = differences(
        release,
        [
            ((*values, "serviceAccount", "create"), False),
            ((*values, "serviceAccount", "name"), workspace.settings.vector.name),
            ((*values, "rbac", "create"), False),
        ],
    )
    if name not in items(dig(release, "spec", "values", "existingConfigMaps")):
        problems.append(f"existingConfigMaps does not name {name}")
    variables = {
        dig(item, "name"): dig(item, "valueFrom", "secretKeyRef")
        for item in items(dig(release, *values, "env"))
    }
    for variable, key in (("PARSEABLE_USERNAME", "username"), ("PARSEABLE_PASSWORD", "password")):
        if variables.get(variable) != {"name": workspace.settings.parseable.secret, "key": key}:
            problems.append(f"env {variable} is not key {key} of {workspace.settings.parseable.secret}")
    problems += unlisted(workspace, VECTOR.path(workspace, APP_FOLDER), VECTOR.listed, "TASK-009")
    if dig(release, "spec", "values", "customConfig"):
        problems.append("customConfig makes the chart write a ConfigMap of its own")
    return judged(
        problems,
        unknown(
            f"the values name ConfigMap {name} and ServiceAccount {workspace.settings.vector.name}; "
            f"{NEEDS_CHART}"
        ),
        consequence="Vector would run with another pipeline or without its rights",
        remedy="invoke task-009",
        place=place(workspace, _file(workspace, "helmrelease.yaml"), release, *values),
    )


def sends_to_parseable(workspace: Workspace) -> Outcome:
    """DoD-009-03."""
    parseable_sink(workspace, _pipeline(workspace))
    path = PARSEABLE.path(workspace, RELEASE)
    release = find_object(workspace, path, "HelmRelease", "TASK-003")
    return judged(
        differences(
            release, [(("spec", "values", "parseable", "service", "port"), workspace.settings.parseable.port)]
        ),
        unknown(f"the sink's URL and the Service's port agree on {parseable_url(workspace)}; {NEEDS_CHART}"),
        consequence="no log would reach Parseable",
        remedy="invoke task-003",
        place=place(workspace, path, release, "spec", "values", "parseable", "service", "port"),
    )
