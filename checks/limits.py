"""What Vector itself refuses of a configuration: variables that nobody sets, too small disk buffers."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from checks.interpolation import VARIABLE
from checks.model import Cause, Model, Outcome, failed, passed, unknown
from checks.pipeline import Pipeline, config_maps_of, is_pipeline, read_pipeline
from checks.references import keys_of
from tasks.kube.pods import Pod, variables
from tasks.model import AnsweredError
from tasks.subjects.parseable import INGEST_PATH
from tasks.subjects.vector import VECTOR
from tasks.yaml.documents import dig, items

# Two of its data files and a header (lib/vector-buffers: variants/disk_v2/common.rs).
_SMALLEST_BUFFER = 268435488
# What containers have without being told: from the runtime, and for the Services of their namespace.
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_ALWAYS = re.compile(r"HOSTNAME|HOME|PATH|[A-Z0-9_]+_(?:SERVICE_HOST|(?:SERVICE_)?PORT(?:_\w+)?)")
_NOT_STARTED = "Vector would refuse its configuration and not start"


@dataclass(frozen=True)
class _Environment:
    """The variables of a container: ``given`` maps them to their texts, None where a text is not known.

    ``is_whole`` is false where some come from what the repository does not show.
    """

    given: Mapping[str, str | None]
    is_whole: bool

    def has(self, name: str) -> bool:
        return name in self.given or _ALWAYS.fullmatch(name) is not None


def limits_are_kept(model: Model) -> Iterator[Outcome]:
    """Every configuration of Vector names variables that are set, and disk buffers that it takes.

    Those of our pods; where the whole repository is asked for, also those of other people.
    """
    own, hidden = model.pods_and_gaps(*(app for app in model.apps if app is VECTOR))
    yield from hidden
    for pod in (*own, *model.other_pods()):
        container = next((one for one in pod.containers() if _is_vector(one)), None)
        for holder in config_maps_of(model, pod) if container is not None else ():
            if not is_pipeline(holder):
                continue
            try:
                pipeline = read_pipeline(model, holder)
            except AnsweredError as error:
                yield error.outcome
                continue
            environment = _environment(model, pod, container or {})
            yield from _variables(model, pod, pipeline, environment, is_ours=pod in own)
            yield from _buffers(model, pipeline, environment)
    yield passed("every other disk buffer is large enough, and every variable is set")


def _is_vector(container: Mapping[str, Any]) -> bool:
    name = str(container.get("image")).partition("@")[0].rpartition("/")[2].partition(":")[0]
    return name == "vector" or container.get("name") == "vector"


def _environment(model: Model, pod: Pod, container: Mapping[str, Any]) -> _Environment:
    given: dict[str, str | None] = {}
    is_whole = True
    for source in items(container, "envFrom"):
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            name = dig(source, field, "name")
            holder = model.resources.find(kind, pod.owner.key.namespace, str(name)) if name else None
            is_whole = is_whole and (not name or holder is not None)
            prefix = str(dig(source, "prefix") or "")
            for key in keys_of(holder) if holder is not None else ():
                text = dig(holder.data, "data", key) if holder is not None and kind == "ConfigMap" else None
                given[f"{prefix}{key}"] = text if isinstance(text, str) else None
    for name, value in variables(container).items():
        # One that refers to another ($(NAME)) is put together by the kubelet; none at all is an empty text.
        is_text = isinstance(value, str) and "$(" not in value
        given[name] = value if is_text else "" if value is None else None
    return _Environment(given, is_whole)


def _texts(data: Any) -> Iterator[str]:
    """All texts of nested data, the names of its fields too: Vector replaces variables in both."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield str(key)
            yield from _texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value)


def _logins(pipeline: Pipeline) -> set[str]:
    """The variables of the login to Parseable: where they come from is an item of its own."""
    sinks = pipeline.components("sinks", "http").values()
    return {
        found[1] or found[2]
        for sink in sinks
        if str(sink.get("uri")).rstrip("/").endswith(INGEST_PATH)
        for text in _texts(sink.get("auth"))
        for found in VARIABLE.finditer(text)
    }


def _variables(
    model: Model, pod: Pod, pipeline: Pipeline, environment: _Environment, *, is_ours: bool
) -> Iterator[Outcome]:
    if str(environment.given.get("VECTOR_STRICT_ENV_VARS")).lower() == "false":
        return
    told_elsewhere = _logins(pipeline) if is_ours else set()
    missing = dict.fromkeys(
        name
        for text in _texts(pipeline.content)
        for found in VARIABLE.finditer(text)
        if (name := found[1] or found[2]) and name not in told_elsewhere and _lacks(found, name, environment)
    )
    for name in missing:
        where = model.place_with(pipeline.holder, name)
        if not environment.is_whole and name not in environment.given:
            yield unknown(
                f"{pipeline.holder.key} reads variable {name}, which {pod.owner.key} may have from envFrom",
                Cause.CLUSTER,
                place=where,
            )
            continue
        has = "is empty" if name in environment.given else "is not set"
        yield failed(
            f"{pipeline.holder.key} reads variable {name}, which {has} in {pod.owner.key}",
            _NOT_STARTED,
            f"set it in the container's env, give a default (${{{name}:-…}}), or write $${name} for the text",
            where,
        )


def _lacks(found: re.Match[str], name: str, environment: _Environment) -> bool:
    """Whether Vector refuses its configuration because of a variable that is named so."""
    otherwise = found[3] or ""
    if otherwise.endswith("-"):
        return False
    if otherwise == ":?" and environment.given.get(name) == "":
        return True
    return not environment.has(name)


def _buffers(model: Model, pipeline: Pipeline, environment: _Environment) -> Iterator[Outcome]:
    for name, sink in pipeline.components("sinks").items():
        buffer = sink.get("buffer")
        for one in buffer if isinstance(buffer, list) else [buffer]:
            size = _number(dig(one, "max_size"), environment)
            if dig(one, "type") != "disk" or size is None or size >= _SMALLEST_BUFFER:
                continue
            yield failed(
                f"the disk buffer of sink {name} has {size} bytes, and Vector takes none below "
                f"{_SMALLEST_BUFFER}",
                _NOT_STARTED,
                f"set max_size to {_SMALLEST_BUFFER} or more",
                model.place_with(pipeline.holder, "max_size:"),
            )


def _number(value: object, environment: _Environment) -> int | None:
    """The number that is meant, written out or as a variable whose text is known; else None."""
    if isinstance(value, str):
        found = VARIABLE.fullmatch(value)
        name = found and (found[1] or found[2])
        text = environment.given.get(name) if name else value
        if found and name and not text and (found[3] or "").endswith("-") and name not in environment.given:
            text = found[4]
        return int(text) if text and text.isdecimal() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
