import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.yaml.templates import ABSENT, MANIFESTS, MARKER, render, scalar

TEMPLATES = sorted(MANIFESTS.rglob("*.yaml"))

texts = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f\x85"), max_size=20
)


@given(st.one_of(texts, st.integers(), st.none()))
def test_a_scalar_reads_back_as_it_was(value: str | int | None) -> None:
    assert yaml.safe_load(f"key: {scalar(value)}") == {"key": value}


@given(texts)
def test_a_whole_value_reads_back_wherever_it_stands(value: str) -> None:
    rendered = render("a:\n  - ${x}\nb: ${x}\nc: &anchor ${x}\n", {"x": value})
    assert yaml.safe_load(rendered) == {"a": [value], "b": value, "c": value}


def test_an_absent_value_takes_its_line_along() -> None:
    assert render("a: 1\nb: ${x}\nc: 2\n", {"x": ABSENT}) == "a: 1\nc: 2\n"


def test_a_mapping_goes_in_as_flow() -> None:
    assert render("b: ${x}\n", {"x": {"provider": "sops", "secretRef": {"name": "age"}}}) == (
        "b: {provider: sops, secretRef: {name: age}}\n"
    )


def test_a_doubled_dollar_is_one() -> None:
    assert render('user: "$${NAME}" # $$5\n', {}) == 'user: "${NAME}" # $5\n'


def test_a_placeholder_without_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        render("a: x${unknown}\n", {})


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(MANIFESTS)))
def test_templates_are_yaml_with_placeholders(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert list(yaml.safe_load_all(text))
    assert re.search(r"\$\{\w+\}", text)
    room, *folders, _ = path.relative_to(MANIFESTS).parts
    # What goes into a repository of others; the sets of versions and the rights that are printed do not.
    is_written = room == "kubernetes" or (room == "versions" and folders)
    if is_written and "grafana" not in folders:
        assert MARKER in text


@pytest.mark.parametrize("value", ['!!int ""', "!!bool maybe", "!!timestamp x", "!!float x", "2025-01-11"])
def test_a_text_that_reads_like_something_else_is_quoted(value: str) -> None:
    assert scalar(value) == json.dumps(value)
