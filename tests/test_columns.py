"""What the remap program sends, and what Parseable makes of it: each line once, in columns that stay.

`tests/cases/remap.yaml` has events with what the program made of them; Vector itself is asked where it is.
"""

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.core.settings import DOCUMENTED, Settings
from tasks.subjects.manifests import render_templates
from tasks.subjects.vector import CONFIG_MAP, REMAP, VECTOR
from tests.checks.deployed import deployed as deployed  # noqa: PLC0414 (a fixture)
from tests.checks.deployed import workspace_of
from tests.parseable_double import RefusedBatchError, Stream, flattened

TABLE = yaml.safe_load((Path(__file__).parent / "cases/remap.yaml").read_text(encoding="utf-8"))
EVENTS: dict[str, dict[str, Any]] = {one["name"]: one for one in TABLE["events"]}
SETTINGS = replace(DOCUMENTED, vector=replace(DOCUMENTED.vector, json_columns="level,tags,took,nested"))
POD = {
    f"k8s_{name}"
    for name in ("namespace", "pod_name", "container_name", "node_name", "labels", "annotations")
}
COLUMNS = POD | {"message", "timestamp", "stream", "file", "fingerprint"}
LABEL = "k8s_label_app_kubernetes_io_name"
CHOSEN = {LABEL, "json_level", "json_tags", "json_took", "json_nested"}


def program(root: Path, settings: Settings = SETTINGS) -> str:
    """The remap program as it is written."""
    (text,) = render_templates(workspace_of(root, settings), [VECTOR.template(CONFIG_MAP, settings)])
    config = yaml.safe_load(yaml.safe_load(text)["data"]["vector.yaml"])
    return str(config["transforms"][REMAP]["source"])


def test_the_table_is_of_this_program(deployed: Path) -> None:
    found = hashlib.sha256(program(deployed).encode()).hexdigest()
    assert found == TABLE["program"], "run the table with Vector, and renew it: see its head"


@pytest.mark.parametrize("name", EVENTS)
def test_each_line_is_one_row_of_the_documented_columns(name: str) -> None:
    (row,) = flattened(EVENTS[name]["out"])
    assert COLUMNS <= set(row) <= COLUMNS | CHOSEN
    assert all(isinstance(value, str) for value in row.values())


def test_without_the_program_the_same_lines_are_doubled_or_lost() -> None:
    rows = {name: len(flattened(one["in"])) for name, one in EVENTS.items()}
    assert (rows["one address"], rows["two addresses"], rows["no address yet"]) == (1, 2, 0)


def test_no_event_makes_parseable_refuse_another() -> None:
    stream = Stream()
    for one in EVENTS.values():
        stream.take([one["out"]])
    assert len(stream.rows) == len(EVENTS)
    assert {column for column, kind in stream.schema.items() if kind != "text"} == {"timestamp"}
    # As they come from the source, the second of these is refused.
    raw = Stream()
    raw.take([EVENTS["a label that looks like a time"]["in"]])
    with pytest.raises(RefusedBatchError, match="update-time"):
        raw.take([EVENTS["the same label, and no time"]["in"]])


def test_a_line_that_is_read_twice_can_be_told() -> None:
    marks = {name: one["out"]["fingerprint"] for name, one in EVENTS.items()}
    assert marks["the same line from the rotated file"] == marks["one address"]
    assert marks["a pod that is not known"] == marks["one address"]
    assert marks["the same text a nanosecond later"] != marks["one address"]


def test_a_pod_that_is_not_known_is_read_from_the_path() -> None:
    known, unknown = (EVENTS[name]["out"]["k8s"] for name in ("one address", "a pod that is not known"))
    read = ("namespace", "pod_name", "container_name")
    assert [unknown[key] for key in read] == [known[key] for key in read]


def source_event(event: dict[str, Any]) -> str:
    """An event as VRL writes it; the source gives a timestamp, not a text."""
    return re.sub(r'"timestamp": "([^"]*)"', lambda found: f"\"timestamp\": t'{found[1]}'", json.dumps(event))


@pytest.mark.skipif(shutil.which("vector") is None, reason="there is no vector here")
def test_vector_makes_the_same_of_it(deployed: Path, tmp_path: Path) -> None:
    def written(event: object) -> str:
        text = json.dumps(event)
        return text.replace('"timestamp": "', '"timestamp": t\'').replace('Z", "file"', 'Z\', "file"')

    config = {
        "transforms": {REMAP: {"type": "remap", "inputs": ["any"], "source": program(deployed)}},
        "tests": [
            {
                "name": name,
                "inputs": [{"type": "vrl", "insert_at": REMAP, "source": f". = {source_event(one['in'])}"}],
                "outputs": [
                    {
                        "extract_from": REMAP,
                        "conditions": [{"type": "vrl", "source": f"assert_eq!(., {json.dumps(one['out'])})"}],
                    }
                ],
            }
            for name, one in EVENTS.items()
        ],
    }
    path = tmp_path / "vector.json"
    path.write_text(json.dumps(config).replace("$", "$$"), encoding="utf-8")
    done = subprocess.run(("vector", "test", str(path)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
