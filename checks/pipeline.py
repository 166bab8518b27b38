"""Vector's agents and the pipeline that they are given, as far as it can be read."""

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from checks.interpolation import filled
from checks.model import AnsweredError, Cause, Model, failed, unknown
from tasks.flux.listing import is_below
from tasks.kube.pods import Pod, pods_of, variables
from tasks.kube.resources import Resource
from tasks.subjects.vector import VECTOR
from tasks.yaml.documents import dig, items, load_documents, mapping, merged, syntax_error

# The files of a folder that Vector reads: https://vector.dev/docs/reference/configuration/#multiple-files
_SECTION = r"(?m)^\s*[\[{]?\s*[\"']?(?:sources|transforms|sinks)\b"
_ENDINGS = (".yaml", ".yml", ".toml", ".json")


def agents_of(model: Model) -> list[Pod]:
    """The pods that collect logs: those of Vector's DaemonSets, where there is none all its pods.

    Raises:
        AnsweredError: there are none, or it is not known which.
    """
    found = [
        pod
        for pod in model.pods_of(VECTOR)
        if any("vector" in f"{one.get('image')} {one.get('name')}" for one in pod.containers())
    ]
    if not found:
        raise AnsweredError(failed("no pod runs Vector", "no log would be collected", "invoke task-009"))
    return [pod for pod in found if pod.owner.key.kind == "DaemonSet"] or found


@dataclass(frozen=True)
class Pipeline:
    """Vector's configuration, put together from the keys of its ConfigMap."""

    holder: Resource
    content: Mapping[str, Any]

    def components(self, section: str, kind: str = "") -> dict[str, Mapping[str, Any]]:
        """The components of a section, of one type or of all."""
        found = mapping(self.content, section)
        return {
            str(name): item
            for name, item in found.items()
            if isinstance(item, dict) and kind in ("", item.get("type"))
        }

    def transforms_to(self, sink: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """The transforms that events pass on their way to ``sink``, those nearest to the sources first."""
        transforms, found = self.components("transforms"), dict[str, Mapping[str, Any]]()
        wanted = [sink]
        while wanted:
            component = wanted.pop(0)
            for name, one in transforms.items():
                if name not in found and is_input(component, name):
                    found[name] = one
                    wanted.append(one)
        return dict(reversed(found.items()))


def config_of(model: Model) -> Resource:
    """The ConfigMap that the agents mount; where that is not known, the one of the settings.

    Raises:
        AnsweredError: there is none.
    """
    wanted, namespace = model.settings.vector.config_map, model.layout.namespace
    try:
        agents = agents_of(model)
    except AnsweredError:
        agents = []
    for pod in agents:
        found = config_maps_of(model, pod)
        if found:
            return next((one for one in found if one.key.name == wanted), found[0])
    for one in model.resources.of_kind("ConfigMap", namespace=namespace):
        if is_named(one.key.name, wanted):
            return one
    gap = model.resources.gap_for("ConfigMap", namespace, wanted)
    if gap is not None and (gap.cause is not Cause.STAGE or _is_elsewhere(model, wanted)):
        raise AnsweredError(
            unknown(
                f"ConfigMap {namespace}/{wanted}: {gap.what} is not known ({gap.reason})",
                gap.cause,
                gap.remedy,
            )
        )
    raise AnsweredError(
        failed(f"there is no ConfigMap {namespace}/{wanted}", "Vector would not start", "invoke task-008")
    )


def _is_elsewhere(model: Model, name: str) -> bool:
    """Whether a ConfigMap is in a file of somebody else, or is generated."""
    folder = VECTOR.folder(model.workspace)
    generated = (
        dig(one, "name")
        for path in model.tree.kustomizations
        if is_below(f"{path}/", folder)
        for one in items(model.tree.kustomization(path), "configMapGenerator")
    )
    return name in generated or model.mentioned("ConfigMap", name) is not None


def config_maps_of(model: Model, pod: Pod) -> list[Resource]:
    """The ConfigMaps that a pod mounts, as far as they are known."""
    found = (
        model.resources.find("ConfigMap", pod.owner.key.namespace, name) for name in pod.mounted("configMap")
    )
    return [one for one in found if one is not None]


def pipeline_of(model: Model) -> Pipeline:
    """The configuration of the agents.

    Raises:
        AnsweredError: there is none, or a part of it does not parse.
    """
    return read_pipeline(model, config_of(model))


def is_pipeline(holder: Resource) -> bool:
    """Whether a ConfigMap holds a file that looks like a configuration of Vector."""
    return any(
        str(key).endswith(_ENDINGS) and isinstance(text, str) and re.search(_SECTION, text)
        for key, text in mapping(holder.data, "data").items()
    )


def read_pipeline(model: Model, holder: Resource) -> Pipeline:
    """The configuration in the ConfigMap ``holder``.

    Raises:
        AnsweredError: it is empty, or a part of it does not parse.
    """
    content: Mapping[str, Any] = {}
    for key, text in mapping(holder.data, "data").items():
        if not str(key).endswith(_ENDINGS):
            continue
        part = _parsed(str(key), text)
        if isinstance(part, str):
            raise AnsweredError(
                failed(
                    f"{key} of {holder.key} is no configuration of Vector: {part}",
                    "Vector would not start",
                    "invoke task-008",
                    model.place_with(holder, str(key)),
                )
            )
        content = merged(content, part)
    if not content:
        raise AnsweredError(
            failed(
                f"{holder.key} holds no pipeline",
                "Vector would not start",
                "invoke task-008",
                model.place_of(holder),
            )
        )
    return Pipeline(holder, filled(content, _given(model, holder)))


def _given(model: Model, holder: Resource) -> dict[str, object]:
    """The variables of the pods that mount ``holder``, as far as all of them have the same."""
    found: dict[str, object] = {}
    for pod in pods_of(model.resources.objects):
        if pod.owner.key.namespace == holder.key.namespace and holder.key.name in pod.mounted("configMap"):
            for container in pod.containers():
                for name, value in variables(container).items():
                    is_text = isinstance(value, str) and "$(" not in value
                    same = found.get(name, value) == value
                    found[name] = value if is_text and same else None
    return found


def is_input(component: Mapping[str, Any], name: str) -> bool:
    """Whether a component takes what ``name`` gives; inputs may be patterns, or name one of its outputs."""
    return any(
        fnmatch.fnmatchcase(name, str(wanted)) or str(wanted).startswith(f"{name}.")
        for wanted in items(component, "inputs")
    )


def _parsed(name: str, text: object) -> Mapping[str, Any] | str:
    """One file of Vector's configuration (YAML, TOML or JSON, by its name), or what is wrong with it."""
    if not isinstance(text, str):
        return "it is no text"
    if name.endswith(".toml"):
        import tomllib

        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            return str(error)
    documents = load_documents(text)
    if len(documents) == 1 and isinstance(documents[0], dict):
        return documents[0]
    return syntax_error(text) or "it is not one map of components"


def is_named(found: str, wanted: str) -> bool:
    """Whether a ConfigMap has a name, or is generated with that name and a hash behind it."""
    return found == wanted or re.fullmatch(rf"{re.escape(wanted)}-[a-z0-9]{{10}}", found) is not None
