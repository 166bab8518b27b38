"""How many rows Grafana may ask Parseable for."""

from collections.abc import Iterator

from checks.dashboards import asked_of_parseable
from checks.model import Model, Outcome, as_note, failed, passed
from checks.sql import UNBOUNDED, read_query
from tasks.kube.quantities import amount

# Measured: an answer of 50,000 whole rows takes 0.9 GB, which half of a limit of 2Gi has room for.
_ROWS, _OF_LIMIT = 50_000, 2 << 30


def queries_have_limits(model: Model) -> Iterator[Outcome]:
    """Every query for rows of Parseable has a limit that there is memory for.

    Nothing else bounds them: the plugin sends the SQL of the panel as it is (`query` in src/datasource.ts of
    github.com/parseablehq/parseable-datasource), Grafana's dataproxy.row_limit is for relational databases
    (https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/#row_limit), and
    P_QUERY_MEMORY_LIMIT does not count the answer.
    """
    limit = model.settings.parseable.memory_limit
    room = int((amount(limit) or 0) * _ROWS / _OF_LIMIT)
    read = 0
    for one in asked_of_parseable(model):
        query = read_query(one.sql)
        if query is None:
            continue
        read += 1
        if query.most_rows == UNBOUNDED:
            told = f"queries rows of {', '.join(query.streams)} without a limit"
        elif query.most_rows > room:
            told = f"queries up to {query.most_rows:,} whole rows"
        else:
            continue
        word = query.streams[0]
        answer = failed(
            f"{one.who} {told}",
            f"an answer of more than some {room:,} rows kills Parseable, whose memory limit is {limit}, "
            "and what it has not uploaded yet may be lost",
            f"end the query with a limit (limit 1000), at most {room:,}, or count (group by)",
            model.place_in(one.path, word) if one.item is None else model.place_with(one.item, word),
        )
        yield answer if one.path in model.ours else as_note(model, answer)
    yield passed(f"{read} queries of Parseable could be read, and are looked at")
