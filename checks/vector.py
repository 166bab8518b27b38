"""DoD-007 to DoD-009: Vector's rights, pipeline and release, and what its pods need."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from checks.addresses import reached
from checks.answers import judged, shown
from checks.interpolation import TELLING, leaves_variables
from checks.model import AnsweredError, Cause, Model, Outcome, failed, passed, unknown
from checks.pipeline import (
    Pipeline,
    agents_of,
    config_maps_of,
    config_of,
    is_input,
    is_named,
    pipeline_of,
    read_pipeline,
)
from checks.references import key_problem
from tasks.effects import shell
from tasks.effects.scratch import scratch_folder
from tasks.kube.pods import Pod, variables
from tasks.kube.resources import Resource
from tasks.kube.services import Address, address_of
from tasks.subjects.kept import kept_settings
from tasks.subjects.parseable import (
    INGEST_PATH,
    LOGIN_LABEL,
    PARSEABLE,
    STREAM_HEADER,
    ingest_url,
    server_url,
)
from tasks.subjects.vector import LOG_SOURCE, VECTOR, WATCHED
from tasks.yaml.documents import dig, items, load_documents, mapping

_REFUSED = 78
_SECONDS = 60.0
# The Definition of Done says "read access": Kubernetes' own role `view` has these three.
_READ = {"get", "list", "watch"}
_ALL_ACCOUNTS = "system:serviceaccounts"
# Options of the source kubernetes_logs that leave pods out.
_NARROWING = ("extra_label_selector", "extra_namespace_label_selector", "extra_field_selector")
_METADATA = ("namespace", "pod_name", "container_name", "node_name")
# Vector's own default: https://vector.dev/docs/reference/configuration/global-options/#data_dir
_DATA_FOLDER = "/var/lib/vector/"
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)")
# Sinks that send logs to Parseable, or to another Vector that does.
_HANDING_OVER = "vector"
_SENDING = ("http", _HANDING_OVER)
_NO_LOGS = "Vector would be refused by the Kubernetes API and collect nothing"


# Rights ---------------------------------------------------------------------------------------------------


def account_is_used(model: Model) -> Outcome:
    """DoD-007-01."""
    agents, wanted = agents_of(model), model.settings.vector.name
    problems = [
        f"{pod.owner.key} runs as ServiceAccount {pod.account}, not {wanted}"
        for pod in agents
        if pod.account != wanted
    ]
    problems += [
        f"ServiceAccount {pod.owner.key.namespace}/{pod.account} does not exist"
        for pod in agents
        if model.resources.find("ServiceAccount", pod.owner.key.namespace, pod.account) is None
    ]
    return judged(
        problems,
        passed(f"the pods run as ServiceAccount {wanted}"),
        consequence="Vector would run without its rights, and collect nothing, or no pod would be created",
        remedy="invoke task-007, then invoke task-009",
        place=model.place_of(agents[0].owner),
    )


def account_may_read(model: Model) -> Outcome:
    """DoD-007-02: by all bindings of the account that the pods run as, plain or rendered."""
    agents = agents_of(model)
    problems = []
    for pod in agents:
        granted = _granted(model, pod.owner.key.namespace, pod.account)
        if granted is None:
            return unknown(
                f"ServiceAccount {pod.account} has a role that the repository does not show",
                Cause.CLUSTER,
                f"kubectl auth can-i list pods --as=system:serviceaccount:{pod.owner.key.namespace}:"
                f"{pod.account}",
            )
        problems += [
            f"ServiceAccount {pod.account} may not {', '.join(sorted(_READ - granted[resource]))} {resource}"
            for resource in WATCHED
            if not granted[resource] >= _READ and "*" not in granted[resource]
        ]
    return judged(
        problems,
        passed(f"the pods' account may get, list and watch {', '.join(WATCHED)}"),
        consequence=_NO_LOGS,
        remedy="invoke task-007",
        place=model.place_of(agents[0].owner),
    )


def _granted(model: Model, namespace: str, account: str) -> dict[str, set[str]] | None:
    """The verbs for each resource; None where a role of the account is not to be seen."""
    found = model.resources
    granted: dict[str, set[str]] = {resource: set() for resource in WATCHED}
    wanted = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    for binding in found.of_kind("ClusterRoleBinding"):
        subjects = [
            {name: dig(subject, name) for name in wanted} for subject in items(binding.data, "subjects")
        ]
        groups = {dig(subject, "name") for subject in subjects if dig(subject, "kind") == "Group"}
        if wanted not in subjects and not groups & {_ALL_ACCOUNTS, f"{_ALL_ACCOUNTS}:{namespace}"}:
            continue
        role = found.find("ClusterRole", "", str(dig(binding.data, "roleRef", "name")))
        if role is None or "aggregationRule" in role.data:
            return None
        for rule in items(role.data, "rules"):
            if {"", "*"} & set(items(rule, "apiGroups")):
                for resource in WATCHED:
                    if {resource, "*"} & set(items(rule, "resources")):
                        granted[resource] |= set(items(rule, "verbs"))
    return granted


# Pipeline -------------------------------------------------------------------------------------------------


def all_pods_are_collected(model: Model) -> Outcome:
    """DoD-008-01."""
    pipeline = pipeline_of(model)
    sources = pipeline.components("sources", LOG_SOURCE)
    if not sources:
        return failed(
            f"there is no source of type {LOG_SOURCE}",
            "no log is read",
            "invoke task-008",
            model.place_with(pipeline.holder, "sources:"),
        )
    # Its own logs are left out, or each line would make another.
    own = f"**/var/log/pods/{model.layout.namespace}_{model.settings.vector.name}-*/**"
    narrowed = []
    for name, source in sources.items():
        narrowing = [option for option in _NARROWING if option in source]
        if any(pattern != own for pattern in items(source, "exclude_paths_glob_patterns")):
            narrowing.append("exclude_paths_glob_patterns")
        if not narrowing:
            return passed(f"source {name} reads the logs of every pod but Vector's own")
        narrowed += narrowing
    return failed(
        f"the source is narrowed by {', '.join(narrowed)}",
        "some pods' logs are not read",
        "invoke task-008",
        model.place_with(pipeline.holder, narrowed[0]),
    )


def metadata_is_added(model: Model) -> Outcome:
    """DoD-008-02."""
    pipeline = pipeline_of(model)
    sources = pipeline.components("sources", LOG_SOURCE)
    for name, transform in pipeline.components("transforms", "remap").items():
        program = str(transform.get("source"))
        missing = [key for key in _METADATA if not re.search(rf"(?m)^\s*\.k8s\.{key}\s*=", program)]
        if missing or not any(is_input(transform, source) for source in sources):
            continue
        sinks = (sink for kind in _SENDING for sink in pipeline.components("sinks", kind).values())
        if any(name in pipeline.transforms_to(sink) for sink in sinks):
            return passed(f"transform {name} adds {', '.join(_METADATA)} on the way to the sink")
    return failed(
        f"no remap between the pod logs and the sink sets .k8s. {', '.join(_METADATA)}",
        "the logs could not be told apart by pod",
        "invoke task-008",
        model.place_with(pipeline.holder, "transforms:"),
    )


def sink_posts_to_parseable(model: Model) -> Outcome:
    """DoD-008-03."""
    stream, size = model.settings.parseable.stream, model.settings.vector.buffer_bytes
    pipeline, sink, _ = to_parseable(model)
    if dig(sink, "buffer", "max_size") != size:
        # Another size that its owner committed is kept.
        size = kept_settings(model.workspace).vector.buffer_bytes
    wanted: dict[tuple[str, ...], object] = {
        ("encoding", "codec"): "json",
        ("buffer", "type"): "disk",
        ("buffer", "max_size"): size,
        ("request", "headers", STREAM_HEADER): stream,
        ("auth", "strategy"): "basic",
    }
    problems = [
        f"{'.'.join(path)} is {shown(found)}, not {value!r}"
        for path, value in wanted.items()
        if (found := dig(sink, *path)) != value or type(found) is not type(value)
    ]
    # Vector's http sink posts unless told otherwise.
    if str(sink.get("method", "post")).lower() != "post":
        problems.append(f"method is {sink['method']!r}, not 'post'")
    problems += _login_problems(sink)
    written = [
        item
        for path in model.ours
        for item in load_documents(model.text(path))
        if _is_holder(item, pipeline.holder)
    ]
    if problems and written and written[0].get("data") != pipeline.holder.data.get("data"):
        problems = ["Flux replaces variables in it, Vector's own too (postBuild)", *problems]
    return judged(
        problems,
        passed(f"POST of JSON to stream {stream}, with a login and a disk buffer of {size} bytes"),
        consequence="Vector would not start, or Parseable would refuse every batch",
        remedy="invoke task-008",
        place=model.place_with(pipeline.holder, "sinks:"),
    )


def _is_holder(item: object, holder: Resource) -> bool:
    return (dig(item, "kind"), dig(item, "metadata", "name")) == ("ConfigMap", holder.key.name)


def _login_problems(sink: Mapping[str, Any]) -> Iterator[str]:
    """Where the sink's login is no variable; what the variable has is asked of the pods by another item."""
    for field in ("user", "password"):
        value = dig(sink, "auth", field)
        if not isinstance(value, str) or _VARIABLE.fullmatch(value.rstrip("}")) is None:
            told = (
                "not set"
                if value in (None, "")
                else "written out"
                if isinstance(value, str)
                else shown(value)
            )
            yield f"auth.{field} is {told}, not a variable"


def to_parseable(model: Model) -> tuple[Pipeline, Mapping[str, Any], Sequence[Pod]]:
    """The sink that posts to Parseable, with its pipeline and the pods that run it.

    That pipeline is the agents', or that of another release of Vector, which they hand their logs to.

    Raises:
        AnsweredError: there is none, or it is not known.
    """
    pipeline = pipeline_of(model)
    try:
        agents = agents_of(model)
    except AnsweredError:
        agents = []
    sink = _parseable_sink(model, pipeline)
    if sink is not None:
        return pipeline, sink, agents
    handing = pipeline.components("sinks", _HANDING_OVER)
    if handing:
        for pod in agents and model.pods_of(VECTOR):
            for holder in config_maps_of(model, pod):
                other = read_pipeline(model, holder)
                sink = _parseable_sink(model, other)
                if sink is not None:
                    return other, sink, [pod]
        address = ", ".join(str(one.get("address")) for one in handing.values())
        told = f"the logs are handed to the Vector at {address}; whether that sends them to Parseable"
        raise AnsweredError(unknown(f"{told} is not in the repository", Cause.CLUSTER))
    sinks = pipeline.components("sinks", "http")
    found = ", ".join(str(sink.get("uri")) for sink in sinks.values()) or "none at all"
    raise AnsweredError(
        failed(
            f"no http sink posts to {ingest_url(model.workspace)} (found: {found})",
            "no log reaches Parseable",
            "invoke task-008",
            model.place_with(pipeline.holder, "sinks:"),
        )
    )


def _parseable_sink(model: Model, pipeline: Pipeline) -> Mapping[str, Any] | None:
    """The sink of a pipeline that posts to Parseable; None if none does."""
    # Which login a server has is another question than whether it is Parseable.
    wanted = (ingest_url(model.workspace), f"{server_url(model.workspace)}{INGEST_PATH}")
    namespace = pipeline.holder.key.namespace
    addresses = [address_of(url, namespace, model.resources) for url in wanted]
    for sink in pipeline.components("sinks", "http").values():
        uri = str(sink.get("uri"))
        address = address_of(uri, namespace, model.resources)
        is_named = address is not None and (address in addresses or _is_by_login(model, address))
        if uri in wanted or (is_named and uri.rstrip("/").endswith(INGEST_PATH)):
            return sink
    return None


def _is_by_login(model: Model, address: Address) -> bool:
    """Whether a Service leads to servers by their login, whichever that is."""
    service = model.resources.find("Service", address.namespace, address.service)
    return service is not None and LOGIN_LABEL in mapping(service.data, "spec", "selector")


# Release --------------------------------------------------------------------------------------------------


def runs_on_every_node(model: Model) -> Outcome:
    """DoD-009-01."""
    if not any(item.key.kind in ("HelmRelease", "DaemonSet") for item in model.objects_of(VECTOR)):
        return failed("there is no HelmRelease of Vector", "no log would be collected", "invoke task-009")
    agents = agents_of(model)
    kinds = sorted({pod.owner.key.kind for pod in agents})
    return judged(
        [] if kinds == ["DaemonSet"] else [f"the chart makes a {' and a '.join(kinds)}, not a DaemonSet"],
        passed(f"{agents[0].owner.key} is a DaemonSet"),
        consequence="Vector would not run on every node",
        remedy="invoke task-009",
        place=model.place_of(agents[0].owner),
    )


def uses_config_and_account(model: Model) -> Outcome:
    """DoD-009-02: the ConfigMap is mounted where Vector looks, the account and the login are given."""
    agents = agents_of(model)
    name, account = model.settings.vector.config_map, model.settings.vector.name
    problems = []
    for pod in agents:
        if pod.account != account:
            problems.append(f"{pod.owner.key} runs as ServiceAccount {pod.account}, not {account}")
        mounted = pod.mounted("configMap")
        if not any(is_named(one, name) for one in mounted):
            others = ", ".join(sorted(mounted)) or "none"
            problems.append(f"{pod.owner.key} mounts ConfigMap {others} as its configuration, not {name}")
    problems += _unset_variables(model)
    return judged(
        problems,
        passed(
            f"ConfigMap {name} is mounted, ServiceAccount {account} used, and the login comes from a Secret"
        ),
        consequence="Vector would run with another pipeline, or without its rights or login",
        remedy="invoke task-009",
        place=model.place_of(agents[0].owner),
    )


def _unset_variables(model: Model) -> list[str]:
    """Variables of the sink's login that do not come from a key that exists, in a Secret that exists."""
    try:
        _, sink, pods = to_parseable(model)
    except AnsweredError:
        # That is another item's answer.
        return []
    used = [
        found[1]
        for field in ("user", "password")
        if (found := _VARIABLE.match(str(dig(sink, "auth", field))))
    ]
    problems = [
        f"{pod.owner.key}: {one.get('image')} takes ${used[0]} for the login itself, unless {TELLING} is true"
        for pod in pods
        for one in pod.containers()
        if used and "vector" in str(one.get("image")) and leaves_variables(one)
    ]
    for pod in pods:
        given = {name: value for one in pod.containers() for name, value in variables(one).items()}
        for variable in used:
            reference = mapping(given.get(variable), "secretKeyRef")
            if not reference and any(one.get("envFrom") for one in pod.containers()):
                continue
            name, key = str(reference.get("name")), str(reference.get("key"))
            problem = key_problem(model, pod.owner.key.namespace, name, key) if reference else "no Secret"
            if problem:
                problems.append(f"{pod.owner.key}: {variable} is taken from {problem}")
    return problems


def sends_to_parseable(model: Model) -> Outcome:
    """DoD-009-03: the sink's URL leads to a Service and a port that will exist."""
    pipeline, sink, _ = to_parseable(model)
    url = str(sink.get("uri"))
    # Without Parseable's objects, its Service is not there to be found.
    model.pods_of(PARSEABLE)
    address = address_of(url, pipeline.holder.key.namespace, model.resources)
    if address is None:
        return unknown(f"the sink's {url} leads out of the cluster", Cause.NETWORK)
    return reached(model, address, f"the sink's {url}", model.place_with(pipeline.holder, url))


# Links ----------------------------------------------------------------------------------------------------


def pipeline_is_connected(model: Model) -> Iterator[Outcome]:
    """Every input of a transform or sink exists, and the buffer lies where it can be written."""
    pipeline = pipeline_of(model)
    outputs = [name for part in ("sources", "transforms") for name in pipeline.components(part)]
    for part in ("transforms", "sinks"):
        for name, component in pipeline.components(part).items():
            known = [one for one in outputs if one != name]
            for wanted in map(str, items(component, "inputs")):
                if any(is_input({"inputs": [wanted]}, one) for one in known):
                    yield passed(f"{part[:-1]} {name} has input {wanted}")
                    continue
                yield failed(
                    f"{part[:-1]} {name} has input {wanted}, which is no component "
                    f"(there are {', '.join(known) or 'none'})",
                    "Vector would refuse its configuration and not start",
                    "name one of those",
                    model.place_with(pipeline.holder, wanted),
                )
    for pod in agents_of(model):
        yield _writable(pod, pipeline.content.get("data_dir"), model.place_with(pipeline.holder, "data_dir:"))


def _writable(pod: Pod, data_dir: object, where: str) -> Outcome:
    folder = str(data_dir or _DATA_FOLDER)
    told = f"data_dir {folder}" if data_dir else f"data_dir is not set, and Vector's own, {folder},"
    for container in pod.containers():
        if "vector" not in f"{container.get('image')} {container.get('name')}":
            continue
        mount = pod.volume(container, folder)
        if mount is None:
            return failed(
                f"{told} is on no volume of {pod.owner.key}",
                "the disk buffer would be lost with the pod",
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


def pipeline_is_valid(model: Model) -> Iterator[Outcome]:
    """Vector itself takes the configuration, the remap programs in it included.

    Where it does not, or a variable is used that is not set, ``vector validate`` ends with 78:
    https://vector.dev/docs/administration/validating/
    """
    config = config_of(model)
    if shell.find("vector") is None:
        yield unknown(
            "the configuration and its remap programs can only be checked by Vector itself",
            Cause.TOOL,
            "install vector (https://vector.dev/docs/setup/installation/)",
        )
        return
    texts = mapping(config.data, "data")
    try:
        used = {name for pod in agents_of(model) for one in pod.containers() for name in variables(one)}
    except AnsweredError:
        # What the pods set is not known, so nothing is said of variables that they do not set.
        used = {name for text in texts.values() for name in _VARIABLE.findall(str(text))}
    with scratch_folder("vector-") as folder:
        files = []
        for name, text in texts.items():
            file = folder / Path(str(name)).name
            file.write_text(str(text), encoding="utf-8")
            files.append(str(file))
        done = shell.run(
            ("vector", "validate", "--no-environment", *files),
            cwd=folder,
            environment=dict.fromkeys(used, "any"),
            seconds=_SECONDS,
        )
    said = " ".join(line.strip() for line in done.said.replace(f"{folder}/", "").splitlines() if line.strip())
    if done.code == 0:
        yield passed("vector validate takes the configuration")
    elif done.code == _REFUSED:
        yield failed(
            f"vector validate refuses the configuration: {said}",
            "Vector would not start",
            "invoke task-008",
            model.place_of(config),
        )
    else:
        yield unknown(
            f"vector validate ended with {done.code}: {said}",
            Cause.TOOL,
            "run it by hand",
            model.place_of(config),
        )
