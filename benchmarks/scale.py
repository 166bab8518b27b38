"""What a rate of events needs: servers, staging, requests to S3 and their price, from figures stated here.

Run from the project's folder:  python -m benchmarks.scale   prints the table of docs/scale.md.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

GIB = 1024**3
DAY = 86_400  # seconds
MONTH = 30  # days

# Measured, docs/pipeline.md: one server took this many events/s with so much of a core and of memory.
MEASURED_RATE, MEASURED_CORES, MEASURED_MIB = 10_000, 0.57, 322
# Computed from the columns, docs/pipeline.md: a line of 200 bytes with them, in JSON.
EVENT_BYTES = 900
# Assumed: columns compress in Parquet to a tenth, and what waits uncompressed is no more than two minutes.
COMPRESSION = 10
UNCOMPRESSED_SECONDS = 120
# Assumed: an ingestor is given half of what was measured, so that the others can take what one has.
PLANNED_RATE = MEASURED_RATE // 2
# Assumed: staging outlasts a night without S3, and a quarter of it stays free.
OUTAGE_SECONDS = 8 * 3600
SPARE = 1.25
# Each server uploads once a minute: a file, the day's manifest, the stream's metadata and its schema; the
# last three are read first. Parseable v1.7.3: src/storage/object_storage.rs, src/catalog/mod.rs.
PUTS_A_MINUTE, GETS_A_MINUTE = 4, 3
# List prices of Amazon S3 in us-east-1, in dollars: https://aws.amazon.com/s3/pricing/. A server of one's own
# has none.
PUT_PRICE, GET_PRICE, GIB_MONTH_PRICE = 0.005 / 1000, 0.0004 / 1000, 0.023
# Of the settings: Parseable deletes after s3.retention_days - 2.
KEPT_DAYS = 28

RATES = (1_000, 5_000, 10_000, 25_000, 50_000, 100_000)


@dataclass(frozen=True)
class Size:
    """What ``rate`` events a second need. Sizes in GiB, prices in dollars a month."""

    rate: int

    @property
    def is_standalone(self) -> bool:
        """Whether one server for all is enough."""
        return self.rate <= PLANNED_RATE

    @property
    def ingestors(self) -> int:
        """Servers that take logs: those that the rate needs, and one that may be lost."""
        return 1 if self.is_standalone else math.ceil(self.rate / PLANNED_RATE) + 1

    @property
    def cores(self) -> float:
        """Cores that all of them use."""
        return self.rate * MEASURED_CORES / MEASURED_RATE

    @property
    def mib_per_second(self) -> float:
        """JSON that arrives, in MiB/s."""
        return self.rate * EVENT_BYTES / 1024**2

    @property
    def staging(self) -> int:
        """The volume of each server that takes logs."""
        # With one of them gone the others have its share.
        each = self.rate / (self.ingestors - 1 or 1)
        seconds = UNCOMPRESSED_SECONDS + OUTAGE_SECONDS / COMPRESSION
        return math.ceil(each * EVENT_BYTES * seconds * SPARE / GIB)

    @property
    def requests(self) -> tuple[int, int]:
        """Writing and reading requests a month."""
        minutes = self.ingestors * MONTH * DAY // 60
        return minutes * PUTS_A_MINUTE, minutes * GETS_A_MINUTE

    @property
    def stored(self) -> float:
        """What the bucket holds."""
        return self.rate * EVENT_BYTES / COMPRESSION * KEPT_DAYS * DAY / GIB

    @property
    def price(self) -> tuple[float, float]:
        """The price of the requests, and that of what is stored."""
        puts, gets = self.requests
        return puts * PUT_PRICE + gets * GET_PRICE, self.stored * GIB_MONTH_PRICE


def table() -> Iterator[str]:
    """The table of docs/scale.md, line by line."""
    yield (
        "| events/s | MiB/s | `parseable.mode` | `parseable.ingestors` | cores in all "
        "| `parseable.staging_size` | millions of requests a month | stored | requests and storage a month |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for rate in RATES:
        size = Size(rate)
        puts, gets = size.requests
        requests, storage = size.price
        mode, ingestors = (
            ("standalone", "one server") if size.is_standalone else ("distributed", str(size.ingestors))
        )
        yield (
            f"| {rate:,} | {size.mib_per_second:.1f} | {mode} | {ingestors} | {size.cores:.1f} "
            f"| {size.staging}Gi | {puts / 1e6:.1f} PUT, {gets / 1e6:.1f} GET | {size.stored:,.0f} GiB "
            f"| ${requests:,.0f} + ${storage:,.0f} |"
        )


if __name__ == "__main__":
    print("\n".join(table()))
