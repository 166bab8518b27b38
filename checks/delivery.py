"""Whether every line arrives: what Vector reads, what it gives up, and how soon it finds a new pod."""

from collections.abc import Iterator, Mapping
from itertools import accumulate, islice, repeat
from typing import Any

from checks.model import Model, Outcome, failed, passed
from checks.pipeline import Pipeline, pipeline_of
from checks.vector import to_parseable
from tasks.subjects.parseable import LIVENESS_PATH, READINESS_PATH
from tasks.subjects.vector import LOG_SOURCE
from tasks.yaml.documents import dig, mapping

# What Vector does where nothing is set:
# https://vector.dev/docs/reference/configuration/sinks/http/ and .../sources/kubernetes_logs/
_LONGEST_PAUSE = 30
_COOLDOWN = 60_000
# A server that is away for shorter must not lose a line; and a pod that lives for longer must be read.
_AWAY = 24 * 3600
_SLOWEST = 15_000
_REMEDY = "invoke task-008"


def lines_are_kept(model: Model) -> Iterator[Outcome]:
    """Batches are sent until they are taken, the buffer drops nothing, and new files are read soon."""
    own, (pipeline, sink, _) = pipeline_of(model), to_parseable(model)
    yield _retries(model, pipeline, sink)
    yield _buffer(model, pipeline, sink)
    yield _health(model, pipeline, sink)
    for name, source in own.components("sources", LOG_SOURCE).items():
        yield _cooldown(model, own, name, source)
        if source.get("read_from") == "end":
            yield failed(
                f"source {name} has read_from: end",
                "the first lines of every new pod would never be read",
                _REMEDY,
                model.place_with(own.holder, "read_from"),
            )


def seconds_tried(attempts: int, longest: int) -> float:
    """How long a sink goes on trying: pauses of 1, 1, 2, 3, 5, … seconds, none over ``longest``.

    >>> seconds_tried(3, 30)
    4
    """
    attempts = max(attempts, 0)
    if attempts > _AWAY:
        return _AWAY
    pauses = accumulate(repeat(0), lambda pair, _: (pair[1], pair[0] + pair[1]), initial=(1, 1))
    return sum(min(pause, longest) for pause, _ in islice(pauses, attempts))


def _retries(model: Model, pipeline: Pipeline, sink: Mapping[str, Any]) -> Outcome:
    attempts, longest = (dig(sink, "request", f"retry_{one}") for one in ("attempts", "max_duration_secs"))
    if attempts is None:
        return passed("a batch is sent until Parseable takes it")
    if isinstance(attempts, int):
        pause = longest if isinstance(longest, int) else _LONGEST_PAUSE
        tried = seconds_tried(attempts, pause)
        if tried >= _AWAY:
            return passed(f"a batch is sent for {_AWAY // 3600} hours and more")
        told = f"with request.retry_attempts {attempts} a batch is given up after {tried:g} s"
    else:
        told = f"request.retry_attempts is {attempts!r}, not a whole number"
    return failed(
        told,
        "an outage of Parseable that is longer loses lines, though the disk buffer is empty",
        _REMEDY,
        model.place_with(pipeline.holder, "retry_attempts"),
    )


def _buffer(model: Model, pipeline: Pipeline, sink: Mapping[str, Any]) -> Outcome:
    found = dig(sink, "buffer", "when_full") or "block"
    if found == "block":
        return passed("a full buffer stops the reading, and drops nothing")
    return failed(
        f"buffer.when_full is {found!r}, not 'block'",
        "lines would be dropped as soon as the buffer is full, though their files are still there",
        _REMEDY,
        model.place_with(pipeline.holder, "when_full"),
    )


def _health(model: Model, pipeline: Pipeline, sink: Mapping[str, Any]) -> Outcome:
    check = sink.get("healthcheck")
    uri = str(mapping(sink, "healthcheck").get("uri") or "")
    is_off = check is False or mapping(sink, "healthcheck").get("enabled") is False
    if uri.endswith((READINESS_PATH, LIVENESS_PATH)) and not is_off:
        return passed(f"the health check asks {uri}")
    # It is put as HEAD, which is answered at two paths only: v1.7.3, src/handlers/http/modal/server.rs.
    told = (
        f"healthcheck.uri is {uri!r}, which does not answer HEAD"
        if uri and not is_off
        else "the sink asks nobody"
    )
    return failed(
        f"{told}: its health check says nothing of Parseable",
        "Vector would report that it is healthy while Parseable is not there",
        _REMEDY,
        model.place_with(pipeline.holder, "healthcheck" if check is not None else "sinks:"),
    )


def _cooldown(model: Model, pipeline: Pipeline, name: str, source: Mapping[str, Any]) -> Outcome:
    found = source.get("glob_minimum_cooldown_ms", _COOLDOWN)
    if isinstance(found, int) and found <= _SLOWEST:
        return passed(f"source {name} looks for new files every {found / 1000:g} s")
    shown = f"every {found / 1000:g} s" if isinstance(found, int) else f"as {found!r} says"
    return failed(
        f"source {name} looks for new files {shown} (glob_minimum_cooldown_ms)",
        "the first lines of a new pod are found so late, and a pod that ends before that is never read",
        _REMEDY,
        model.place_with(
            pipeline.holder, "glob_minimum" if "glob_minimum_cooldown_ms" in source else LOG_SOURCE
        ),
    )
