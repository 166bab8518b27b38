"""docs/scale.md holds what its script computes, from figures that the other documents and settings have."""

import re
from pathlib import Path

from benchmarks import scale
from tasks.core.settings import DOCUMENTED
from tasks.subjects.parseable import retention_days

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_document_holds_the_table_of_the_script() -> None:
    text = (DOCS / "scale.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- table -->\n(.*?)\n<!-- /table -->", text, re.DOTALL)
    assert found is not None
    assert found[1].splitlines() == list(scale.table())


def test_its_figures_are_those_that_were_measured_and_set() -> None:
    pipeline = (DOCS / "pipeline.md").read_text(encoding="utf-8")
    told = f"{scale.MEASURED_RATE:,}/s straight into Parseable {scale.MEASURED_CORES} of a core and "
    assert f"{told}{scale.MEASURED_MIB} MiB" in " ".join(pipeline.split())
    assert f"{scale.EVENT_BYTES} bytes in the buffer" in " ".join(pipeline.split())
    assert retention_days(DOCUMENTED.s3) == scale.KEPT_DAYS


def test_a_row_by_hand() -> None:
    size = scale.Size(25_000)
    # Five for the rate and one more; with one gone 5,000 events/s each.
    assert size.ingestors == 6
    # 5,000/s of 900 bytes: two minutes as they are, eight hours at a tenth, a quarter free.
    assert size.staging == -(-(5_000 * 900 * (120 + 2_880) * 5 // 4) // 1024**3)
    # Six servers, 43,200 minutes, four and three requests.
    assert size.requests == (1_036_800, 777_600)
    assert round(size.price[0], 2) == round(1_036.8 * 0.005 + 777.6 * 0.0004, 2)
    assert scale.Size(5_000).is_standalone
    assert not scale.Size(5_001).is_standalone
