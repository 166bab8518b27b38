"""The schema for editors takes what the settings take, and refuses what they refuse."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tasks.core.errors import SettingsError
from tasks.core.schema import settings_schema
from tasks.core.settings import DOCUMENTED, Layer, load

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = settings_schema()
VALIDATOR = Draft202012Validator(SCHEMA)

# section: what a file says of it, and whether that is right
GIVEN = [
    ({"s3": {"bucket": "my-logs"}}, True),
    ({"s3": {"bucket": "My_Logs"}}, False),
    ({"s3": {"buket": "my-logs"}}, False),
    ({"s3": {"retention_days": 30}}, True),
    ({"s3": {"retention_days": 0}}, False),
    ({"s3": {"retention_days": "30"}}, False),
    ({"s3": {"endpoint": "s3.example.com"}}, False),
    ({"parseable": {"cpu_limit": None}}, True),
    ({"parseable": {"cpu_limit": "2"}}, True),
    ({"parseable": {"cpu_limit": 2}}, False),
    ({"parsable": {}}, False),
    ({"gitops": {"apps": "../elsewhere"}}, False),
    ({"charts": {"mirrors": {"https://charts.example.com": "./charts"}}}, True),
    ({"charts": {"mirrors": {"https://charts.example.com": 5}}}, False),
]


@pytest.mark.parametrize(("data", "is_right"), GIVEN)
def test_it_says_what_the_settings_say(data: dict[str, Any], is_right: bool) -> None:
    assert VALIDATOR.is_valid(data) is is_right
    if is_right:
        load([Layer("my.yaml", data)])
        return
    with pytest.raises(SettingsError):
        load([Layer("my.yaml", data)])


def test_it_is_a_schema_and_takes_every_default() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    defaults = dataclasses.asdict(DOCUMENTED)
    # No repository is given by default.
    del defaults["gitops"]["path"]
    del defaults["given"]
    VALIDATOR.validate(defaults)
    VALIDATOR.validate(yaml.safe_load((ROOT / "invoke.yaml").read_text(encoding="utf-8")))


def test_it_has_the_comments_of_the_defaults() -> None:
    retention = SCHEMA["properties"]["s3"]["properties"]["retention_days"]
    assert retention["description"] == "log data older than this is deleted; by Parseable two days before"
    assert retention["default"] == DOCUMENTED.s3.retention_days
    assert (
        "a Kubernetes quantity" in SCHEMA["properties"]["vector"]["properties"]["memory_limit"]["description"]
    )
