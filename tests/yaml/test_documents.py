"""YAML as Kubernetes reads it, which is not in all as YAML 1.1 has it."""

import pytest
import yaml

from tasks.yaml.documents import load_documents, same_documents, syntax_error


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # Numbers of base 60, dates and "=" are texts to Kubernetes.
        ("22:30", "22:30"),
        ("1:2:3.5", "1:2:3.5"),
        ("2025-01-11", "2025-01-11"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
        ("=", "="),
        ("[=, a]", ["=", "a"]),
    ],
)
def test_texts_that_yaml_1_1_takes_for_something_else(text: str, value: object) -> None:
    assert load_documents(f"key: {text}") == [{"key": value}]


@pytest.mark.parametrize(
    "text",
    ["12", "-3", "0", "1_000", "0x1f", "017", "0b11", "1.5", "1.0e+3", ".5", "-.inf", "1e3", "yes", "~"],
)
def test_all_else_is_read_as_before(text: str) -> None:
    assert load_documents(f"key: {text}") == [yaml.safe_load(f"key: {text}")]
    assert load_documents(f"key: '{text}'") == [{"key": text}]


def test_what_is_no_yaml_is_no_document() -> None:
    assert load_documents("a: [") == []
    assert load_documents("a: !unknown b") == []


def test_an_anchor_may_be_set_again() -> None:
    text = "a: &x 1\nb: *x\nc: &x 22:30\nd: *x\n"
    assert load_documents(text) == [{"a": 1, "b": 1, "c": "22:30", "d": "22:30"}]
    assert syntax_error(text) == ""
    assert load_documents("a: *x\nb: &x 1\n") == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a: 1 # x", "a:   1", True),
        ("{a: 1, b: 2}", "b: 2\na: 1", True),
        ("a: .nan", "a: .NaN", True),
        ("a: [1, 2]", "a: [2, 1]", False),
        # Python takes these for equal; an API server refuses a number for a boolean.
        ("a: 1", "a: true", False),
        ("a: [0]", "a: [false]", False),
        ("a: 1", "a: 1.0", False),
        ("a: [", "b: [", False),
    ],
)
def test_what_says_the_same(one: str, other: str, expected: bool) -> None:
    assert same_documents(one, other) is expected
