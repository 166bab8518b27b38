"""What Vector needs of its rendered pods: account and rights, its configuration, a place for its buffer."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from checks.links.endpoints import address_of, reached
from checks.links.inventory import Inventory, Placed, inventory, place_of
from checks.links.references import near
from checks.links.workloads import Pod, pods, variables
from checks.model import Outcome, Status, failed, passed, unknown
from checks.objects import NotThereError, dig, items, judged
from checks.vector import (
    is_input,
    parseable_sink,
    pipeline_of,
    sink_judged,
    sink_posts_to_parseable,
    sink_problems,
)
from tasks.effects import shell
from tasks.subjects.apps import RELEASE
from tasks.subjects.parseable import PARSEABLE
from tasks.subjects.vector import VECTOR
from tasks.workspace import Workspace

_REFUSED = 78
_SECONDS = 60.0
# Watching is all it does; the chart's own role has no more.
_READ = {"list", "watch"}
# What the source kubernetes_logs watches: https://vector.dev/docs/reference/configuration/sources/kubernetes_logs/
_ALL_ACCOUNTS = "system:serviceaccounts"
_RESOURCES = ("pods", "namespaces", "nodes")
_LOGIN = {"PARSEABLE_USERNAME": "username", "PARSEABLE_PASSWORD": "password"}
# Vector's own default: https://vector.dev/docs/reference/configuration/global-options/#data_dir
_DATA_FOLDER = "/var/lib/vector/"


def _agents(workspace: Workspace) -> tuple[Inventory, list[Pod]]:
    """The pods of the release; none where it is not rendered."""
    found = inventory(workspace)
    return found, list(pods(found, VECTOR.path(workspace, RELEASE)))


def account_is_used(workspace: Workspace) -> Outcome | None:
    """DoD-007-01."""
    _, agents = _agents(workspace)
    if not agents:
        return None
    wanted = workspace.settings.vector.name
    problems = [
        f"{pod.owner.key} runs as ServiceAccount {pod.account}, not {wanted}"
        for pod in agents
        if pod.account != wanted
    ]
    return judged(
        problems,
        passed(f"rendered: the pods run as ServiceAccount {wanted}"),
        consequence="Vector would run without its rights, and collect nothing",
        remedy="invoke task-009",
        place=place_of(workspace, agents[0].owner),
    )


def account_may_read(workspace: Workspace) -> Outcome | None:
    """DoD-007-02: by all bindings of the account that the pods run as, plain or rendered."""
    found, agents = _agents(workspace)
    if not agents:
        return None
    problems = []
    for pod in agents:
        granted = _granted(found, pod.owner.key.namespace, pod.account)
        if granted is None:
            return unknown(f"ServiceAccount {pod.account} has a role that the repository does not show")
        problems += [
            f"ServiceAccount {pod.account} may not {', '.join(sorted(_READ - granted[resource]))} {resource}"
            for resource in _RESOURCES
            if not granted[resource] >= _READ and "*" not in granted[resource]
        ]
    return judged(
        problems,
        passed(f"rendered: the pods' account may list and watch {', '.join(_RESOURCES)}"),
        consequence="Vector would be refused by the Kubernetes API and collect nothing",
        remedy="invoke task-007",
        place=place_of(workspace, agents[0].owner),
    )


def _granted(found: Inventory, namespace: str, account: str) -> dict[str, set[str]] | None:
    """The verbs for each resource; None where a role of the account is not to be seen."""
    granted: dict[str, set[str]] = {resource: set() for resource in _RESOURCES}
    wanted = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    for binding in found.of_kind("ClusterRoleBinding"):
        subjects = [
            {name: dig(subject, name) for name in wanted} for subject in items(binding.data.get("subjects"))
        ]
        groups = {dig(subject, "name") for subject in subjects if dig(subject, "kind") == "Group"}
        if wanted not in subjects and not groups & {_ALL_ACCOUNTS, f"{_ALL_ACCOUNTS}:{namespace}"}:
            continue
        role = found.find("ClusterRole", "", str(dig(binding.data, "roleRef", "name")))
        if role is None or "aggregationRule" in role.data:
            return None
        if role.data.get("rules"):
            for rule in items(role.data.get("rules")):
                if {"", "*"} & set(items(dig(rule, "apiGroups"))):
                    for resource in _RESOURCES:
                        if {resource, "*"} & set(items(dig(rule, "resources"))):
                            granted[resource] |= set(items(dig(rule, "verbs")))
    return granted


def runs_on_every_node(workspace: Workspace) -> Outcome | None:
    """DoD-009-01."""
    _, agents = _agents(workspace)
    if not agents:
        return None
    kinds = sorted({pod.owner.key.kind for pod in agents})
    return judged(
        [] if kinds == ["DaemonSet"] else [f"the chart makes a {' and a '.join(kinds)}, not a DaemonSet"],
        passed("rendered: a DaemonSet"),
        consequence="Vector would not run on every node",
        remedy="invoke task-009",
        place=place_of(workspace, agents[0].owner),
    )


def uses_config_and_account(workspace: Workspace) -> Outcome | None:
    """DoD-009-02: the ConfigMap is mounted where Vector looks, the account and the login are given."""
    _, agents = _agents(workspace)
    if not agents:
        return None
    name, account = workspace.settings.vector.config_map, workspace.settings.vector.name
    problems = []
    for pod in agents:
        if pod.account != account:
            problems.append(f"{pod.owner.key} runs as ServiceAccount {pod.account}, not {account}")
        mounted = _mounted(pod)
        if name not in mounted:
            others = ", ".join(sorted(mounted)) or "none"
            problems.append(f"{pod.owner.key} mounts ConfigMap {others} as its configuration, not {name}")
        given = {
            name: value for container in pod.containers() for name, value in variables(container).items()
        }
        secret = workspace.settings.parseable.secret
        for variable, key in _LOGIN.items():
            reference = dig(given.get(variable), "secretKeyRef")
            if (dig(reference, "name"), dig(reference, "key")) != (secret, key):
                problems.append(f"{pod.owner.key}: {variable} is not set from key {key} of {secret}")
    return judged(
        problems,
        passed(f"rendered: ConfigMap {name} and ServiceAccount {account}, with the login from its Secret"),
        consequence="Vector would run with another pipeline, or without its rights or login",
        remedy="invoke task-009",
        place=place_of(workspace, agents[0].owner),
    )


def _mounted(pod: Pod) -> set[str]:
    """The ConfigMaps that the containers mount."""
    used = {
        dig(mount, "name") for container in pod.containers() for mount in items(container.get("volumeMounts"))
    }
    names = set()
    for volume in items(pod.spec.get("volumes")):
        if dig(volume, "name") in used:
            parts = [volume, *items(dig(volume, "projected", "sources"))]
            names |= {str(dig(part, "configMap", "name")) for part in parts if dig(part, "configMap")}
    return names


def _config(workspace: Workspace, found: Inventory) -> Placed:
    """The ConfigMap with the configuration, as Flux applies it.

    Raises:
        NotThereError: it is in no build.
    """
    config = found.find("ConfigMap", workspace.layout.namespace, workspace.settings.vector.config_map)
    if config is None:
        raise NotThereError(
            unknown(
                f"ConfigMap {workspace.layout.namespace}/{workspace.settings.vector.config_map} "
                "is in no build"
            )
        )
    return config


def posts_to_parseable(workspace: Workspace) -> Outcome | None:
    """DoD-008-03, on what Flux applies after it has replaced variables."""
    found, agents = _agents(workspace)
    if not agents:
        return None
    config = _config(workspace, found)
    problems = sink_problems(workspace, pipeline_of(config.data, config.path))
    if problems and sink_posts_to_parseable(workspace).status is Status.PASS:
        problems = ["Flux replaces variables in it, Vector's own too (postBuild)", *problems]
    return sink_judged(workspace, problems, near(workspace, config, "sinks:"))


def sends_to_parseable(workspace: Workspace) -> Outcome | None:
    """DoD-009-03: the sink's URL leads to a Service and a port that will exist."""
    found, agents = _agents(workspace)
    release = found.release_of(PARSEABLE.path(workspace, RELEASE))
    if not agents or release is None or release.objects is None:
        return None
    config = _config(workspace, found)
    url = str(parseable_sink(workspace, pipeline_of(config.data, config.path)).get("uri"))
    address = address_of(url, agents[0].owner.key.namespace, found)
    return address and reached(found, address, f"the sink's {url}", near(workspace, config, url))


def pipeline_is_connected(workspace: Workspace) -> Iterator[Outcome]:
    """Every input of a transform or sink exists, and the buffer lies where it can be written."""
    found, agents = _agents(workspace)
    config = _config(workspace, found)
    if list(config.data.get("data") or {}) != ["vector.yaml"] or any(
        len(_mounted(pod)) > 1 for pod in agents
    ):
        yield unknown(
            "the configuration is in several files, or under another name: it is not put together here"
        )
        return
    content = pipeline_of(config.data, config.path)
    outputs = [str(name) for part in ("sources", "transforms") for name in content.get(part) or {}]
    for part in ("transforms", "sinks"):
        for name, component in (content.get(part) or {}).items():
            known = [one for one in outputs if one != name]
            for wanted in map(str, items(dig(component, "inputs"))):
                if not any(is_input({"inputs": [wanted]}, one) for one in known):
                    yield failed(
                        f"{part[:-1]} {name} has input {wanted}, which is no component "
                        f"(there are {', '.join(known) or 'none'})",
                        "Vector would refuse its configuration and not start",
                        "name one of those",
                        near(workspace, config, wanted),
                    )
    for pod in agents:
        yield _writable(workspace, pod, content.get("data_dir"), near(workspace, config, "data_dir:"))


def _writable(workspace: Workspace, pod: Pod, data_dir: object, where: str) -> Outcome:
    folder = str(data_dir or _DATA_FOLDER)
    told = f"data_dir {folder}" if data_dir else f"data_dir is not set, and Vector's own, {folder},"
    for container in pod.containers():
        mount = pod.volume(container, folder)
        if mount is None:
            return unknown(
                f"{told} is on no volume of {pod.owner.key}: its buffer is lost with the pod",
                "mount a volume there, or set data_dir to a folder on one",
                where,
            )
        volume, is_writable = mount
        if not is_writable:
            return failed(
                f"{told} lies on volume {volume.get('name')} of {pod.owner.key}, which is mounted read-only",
                "Vector could not make its disk buffer, and would not start",
                "set data_dir to a folder on a volume that can be written",
                where,
            )
    return passed(f"data_dir {folder} is on a volume that can be written")


def pipeline_is_valid(workspace: Workspace) -> Iterator[Outcome]:
    """Vector itself takes the configuration, the remap programs in it included.

    Where it does not, or a variable is used that is not set, ``vector validate`` ends with 78:
    https://vector.dev/docs/administration/validating/
    """
    if shell.find("vector") is None:
        yield unknown(
            "whether Vector takes the configuration, and its remap programs compile, is for Vector to say",
            "install vector (https://vector.dev/docs/setup/installation/)",
        )
        return
    found, agents = _agents(workspace)
    config = _config(workspace, found)
    text = dig(config.data, "data", "vector.yaml")
    given = [variables(container) for pod in agents for container in pod.containers()]
    environment = dict.fromkeys([*_LOGIN, *(name for one in given for name in one)], "any")
    with tempfile.TemporaryDirectory(prefix="parseable-playbook-") as folder:
        file = Path(folder) / "vector.yaml"
        file.write_text(str(text), encoding="utf-8")
        done = shell.run(
            ("vector", "validate", "--no-environment", str(file)),
            cwd=Path(folder),
            environment=environment,
            seconds=_SECONDS,
        )
    said = " ".join(line.strip() for line in done.said.replace(f"{folder}/", "").splitlines() if line.strip())
    if done.code == 0:
        yield passed("vector validate takes the configuration")
        return
    if done.code != _REFUSED:
        yield unknown(
            f"vector validate ended with {done.code}: {said}", "run it by hand", place_of(workspace, config)
        )
        return
    yield failed(
        f"vector validate refuses the configuration: {said}",
        "Vector would not start",
        "invoke task-008",
        place_of(workspace, config),
    )
