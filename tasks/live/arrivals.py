"""What has arrived in Parseable: per namespace, with which columns, how often; and of one load of lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.live.asking import ServiceError
from tasks.live.parseable import Parseable, moment

# The columns that tell where a line comes from.
COLUMNS = ("k8s_namespace", "k8s_pod_name", "k8s_container_name", "k8s_node_name")
_LACKING = " or ".join(f"coalesce({name}, '') = ''" for name in COLUMNS)
# Statements name the stream {stream}. p_timestamp is when Parseable took a row, timestamp when the runtime of
# the container took the line. They are grouped or filtered: a bare count knows no fresh event.
BY_NAMESPACE = (
    "select k8s_namespace, count(p_timestamp) as found, max(p_timestamp) as newest, "
    "sum(case when {lacking} then 1 else 0 end) as bare from {stream} group by k8s_namespace"
).replace("{lacking}", _LACKING)
_REPEATED = (
    "select count(p_timestamp) as found, count(distinct fingerprint) as lines from {stream} "
    "where fingerprint is not null"
)
_BUSIEST = (
    "select date_trunc('minute', p_timestamp) as slot, count(p_timestamp) as found from {stream} "
    "group by slot order by found desc limit 1"
)
_LOADED = (
    "select count(p_timestamp) as found, count(distinct message) as lines, "
    "date_part('epoch', max(p_timestamp)) - date_part('epoch', min(p_timestamp)) as took, "
    "date_part('epoch', max(timestamp)) as newest, "
    "approx_percentile_cont({delay}, 0.95) as delay, max({delay}) as longest "
    "from {stream} where message like '{nonce} %'"
).replace("{delay}", "date_part('epoch', p_timestamp) - date_part('epoch', timestamp)")


@dataclass(frozen=True)
class Arrived:
    """What came of one namespace: rows, those of them that lack one of ``COLUMNS``, and the newest."""

    rows: int
    bare: int
    last: datetime | None


@dataclass(frozen=True)
class Arrivals:
    """What came in a window: by namespace ("" where it is not known), at the server's time ``at``."""

    minutes: int
    at: datetime
    namespaces: Mapping[str, Arrived]

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(one.rows for one in self.namespaces.values())

    @property
    def age(self) -> timedelta | None:
        """How old the newest row is; None where there is none."""
        newest = max((one.last for one in self.namespaces.values() if one.last), default=None)
        return None if newest is None else max(self.at - newest, timedelta())


@dataclass(frozen=True)
class Repeated:
    """How many rows came in a window, and how many different lines they are."""

    rows: int
    lines: int


@dataclass(frozen=True)
class Loaded:
    """What is found of the lines of one load.

    ``lines`` are different ones, ``seconds`` is from the first row taken to the last, ``delay`` the 95th
    percentile and ``longest`` the longest time from the runtime's to Parseable's; ``age`` are the seconds
    since the newest line was written, in the server's time.
    """

    rows: int = 0
    lines: int = 0
    seconds: float = 0.0
    delay: float = 0.0
    longest: float = 0.0
    age: float = 0.0


def by_namespace(parseable: Parseable, minutes: int) -> Arrivals:
    """What came of each namespace in the last ``minutes``; see ``Parseable.query`` for what it raises."""
    found = parseable.query(BY_NAMESPACE, minutes)
    return Arrivals(minutes, found.at, arrived(found.rows, parseable.service.name))


def arrived(rows: object, name: str) -> dict[str, Arrived]:
    """The rows of ``BY_NAMESPACE``, as ``name`` answered them.

    Raises:
        ServiceError: they are not such rows.
    """
    try:
        return {
            str(row["k8s_namespace"] or ""): Arrived(
                int(row["found"]), int(row["bare"]), moment(row["newest"])
            )
            for row in rows  # type: ignore[attr-defined]
        }
    except (TypeError, KeyError, ValueError):
        raise ServiceError(f"{name} answers a query with something else than its columns") from None


def repeated(parseable: Parseable, minutes: int) -> Repeated:
    """How often lines came in the last ``minutes``: two rows of one line have one fingerprint."""
    found = parseable.query(_REPEATED, minutes)
    row = found.rows[0] if found.rows else {}
    return Repeated(int(row.get("found") or 0), int(row.get("lines") or 0))


def busiest(parseable: Parseable, minutes: int) -> float:
    """Events a second in the busiest of the last ``minutes``.

    A minute, for Vector sends what it has every few seconds: the counter over a shorter time tells little.
    """
    found = parseable.query(_BUSIEST, minutes).rows
    return int(found[0].get("found") or 0) / 60 if found else 0.0


def loaded(parseable: Parseable, nonce: str, minutes: int) -> Loaded:
    """What is found of the lines that begin with ``nonce``, a word of letters and digits."""
    if not nonce.isalnum():
        raise ValueError(nonce)
    found = parseable.query(_LOADED.replace("{nonce}", nonce), minutes)
    row = found.rows[0] if found.rows else {}
    return Loaded(
        int(row.get("found") or 0),
        int(row.get("lines") or 0),
        float(row.get("took") or 0),
        # The node's clock may be ahead of the server's.
        max(float(row.get("delay") or 0), 0.0),
        max(float(row.get("longest") or 0), 0.0),
        max(found.at.timestamp() - float(row["newest"]), 0.0) if row.get("newest") else 0.0,
    )
