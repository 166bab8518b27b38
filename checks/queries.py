"""What Grafana asks Parseable for, against what is sent there: a stream, and its columns."""

import re
from collections.abc import Iterable, Iterator

from checks.dashboards import Asked, asked_of_parseable
from checks.model import AnsweredError, Model, Outcome, as_note, failed, passed
from checks.pipeline import pipeline_of
from checks.sent import Sent, sent_by
from checks.sql import Query, read_query
from checks.vector import to_parseable
from tasks.subjects.parseable import STREAM_HEADER
from tasks.subjects.vector import LOG_SOURCE
from tasks.yaml.documents import dig

# Streams that Parseable fills itself: src/handlers/http/cluster/mod.rs and src/storage/field_stats.rs of
# https://github.com/parseablehq/parseable.
_INTERNAL = ("pmeta", "pstats", "pbilling")
# Columns that Parseable adds to every event have this before their name.
_ADDED = "p_"
# What names streams beside the header: its API, the topics that it reads from Kafka.
_WRITES = re.compile(r"(?i)x-p-stream|api/v1/logstream/|P_KAFKA_")
_WRITES_ANY = re.compile(r"(?i)x-p-stream[\"']?\s*[:=,]\s*[^\n]*[${%]")


def queries_have_answers(model: Model) -> Iterator[Outcome]:
    """Every query for Parseable names a stream that something fills, and columns that it has."""
    asked = list(asked_of_parseable(model))
    stream, sent = _sent(model)
    read = 0
    for one in asked:
        query = read_query(one.sql)
        if query is None:
            continue
        read += 1
        for told, word, remedy in _problems(model, one, query, stream, sent):
            place = model.place_in(one.path, word) if one.item is None else model.place_with(one.item, word)
            answer = failed(
                f"{one.who} queries {told}", "Grafana would show an error in place of it", remedy, place
            )
            yield answer if one.path in model.ours else as_note(model, answer)
    if not asked:
        yield passed("nothing in the repository queries Parseable")
    else:
        yield passed(f"{read} of {len(asked)} queries could be read, and name what is sent")


def _sent(model: Model) -> tuple[str, Sent | None]:
    """The stream that gets the logs of the pods, and its columns; None where these are not known."""
    stream = model.settings.parseable.stream
    try:
        own, (pipeline, sink, _) = pipeline_of(model), to_parseable(model)
    except AnsweredError:
        return stream, None
    header = dig(sink, "request", "headers", STREAM_HEADER)
    stream = header if isinstance(header, str) and "$" not in header else stream
    sources = own.components("sources", LOG_SOURCE)
    is_single = own.holder.key == pipeline.holder.key and len(sources) == 1
    if not is_single or _is_filled_by_others(model, stream, (*model.ours, pipeline.holder.path)):
        return stream, None
    return stream, sent_by(pipeline.transforms_to(sink).values(), sink)


def _is_filled_by_others(model: Model, stream: str, but: Iterable[str]) -> bool:
    """Whether another file tells of something that may send to ``stream``."""
    named = re.compile(rf"(?<![\w-]){re.escape(stream)}(?![\w-])", re.IGNORECASE)
    left_out = set(but)
    return any(
        path not in left_out
        and _WRITES.search(text)
        and (named.search(text) or (_WRITES_ANY.search(text) and path not in model.ours))
        for path, text in model.tree.texts.items()
    )


def _problems(
    model: Model, asked: Asked, query: Query, stream: str, sent: Sent | None
) -> Iterator[tuple[str, str, str]]:
    """What is wrong with a query, the word that shows it, and what to do."""
    known = {stream.lower(), *_INTERNAL}
    unknown = [
        name
        for name in query.streams
        if name.lower() not in known and not _is_filled_by_others(model, name, (asked.path,))
    ]
    for name in unknown:
        yield (
            f"stream {name}, which nothing in this repository fills",
            name,
            f"query {stream}, which the logs of the pods are sent to",
        )
    if sent is None or not query.is_plain or [name.lower() for name in query.streams] != [stream.lower()]:
        return
    missing = [name for name in query.columns if not name.startswith(_ADDED) and not sent.has(name)]
    if missing:
        yield (
            f"{', '.join(missing)} of stream {stream}, which has no such column",
            missing[0],
            f"query {sent}, or have it sent: vector.label_columns, vector.json_columns",
        )
