"""Encrypted Secrets as anybody sees them, and files that are none, however odd."""

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.effects.encrypted import inspect, oddity

ENCRYPTED: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "a", "namespace": "b", "labels": {"c": "d"}},
    "data": {"A": "ENC[x]"},
    "stringData": {"B": "ENC[y]"},
    "sops": {
        "age": [{"recipient": "age1one", "enc": "x"}, {"recipient": "age1two", "enc": "y"}],
        "pgp": [{"fp": "F", "enc": "z", "created_at": "now"}],
        "lastmodified": "2026-01-01T00:00:00Z",
        "mac": "ENC[z]",
        "version": "3.9.0",
    },
}
GROUPED = copy.deepcopy(ENCRYPTED)
GROUPED["sops"]["key_groups"] = [{"age": GROUPED["sops"].pop("age")}, {"pgp": GROUPED["sops"].pop("pgp")}]


def changed(path: str, value: object, base: dict[str, Any] = ENCRYPTED) -> str:
    """The Secret as text with ``value`` at ``path``; without the field if it is Ellipsis."""
    document = copy.deepcopy(base)
    at: Any = document
    *above, last = (int(key) if key.isdigit() else key for key in path.split("."))
    for key in above:
        at = at[key]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return yaml.safe_dump(document)


def test_what_is_shown() -> None:
    seen = inspect(yaml.safe_dump(ENCRYPTED))
    assert seen is not None
    assert (seen.name, seen.namespace, seen.keys, seen.plain_keys) == ("a", "b", frozenset("AB"), frozenset())
    assert seen.recipients == {"age1one", "age1two"}
    assert oddity(yaml.safe_dump(ENCRYPTED)) == ""


@pytest.mark.parametrize(
    ("path", "value", "plain"),
    [
        ("data.A", "x", "A"),
        ("stringData.A", "x", "A"),
        ("data.B", "x", "B"),
        ("data.A", 5, "A"),
        ("data.5", "x", "5"),
    ],
)
def test_a_value_left_readable_is_seen(path: str, value: object, plain: str) -> None:
    seen = inspect(changed(path, value))
    assert seen is not None
    assert seen.plain_keys == {plain}


@pytest.mark.parametrize(
    ("path", "value", "base"),
    [
        ("sops.age.1", ..., ENCRYPTED),
        ("sops.age.0.recipient", "age1three", ENCRYPTED),
        ("sops.age.0.recipient", ..., ENCRYPTED),
        ("sops.pgp", [], ENCRYPTED),
        ("sops.pgp.0.fp", "G", ENCRYPTED),
        ("sops.kms", [{"arn": "x", "context": {"a": "b"}}], ENCRYPTED),
        ("sops.shamir_threshold", 1, ENCRYPTED),
        ("sops.key_groups.0.age.1", ..., GROUPED),
        ("sops.key_groups.1", ..., GROUPED),
        ("sops.key_groups.1.age", [{"recipient": "age1one"}], GROUPED),
    ],
)
def test_other_readers_are_others(path: str, value: object, base: dict[str, Any]) -> None:
    before, after = inspect(yaml.safe_dump(base)), inspect(changed(path, value, base))
    assert before is not None
    assert after is not None
    assert before.readers != after.readers


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("sops.age.0.enc", "other"),
        ("sops.pgp.0.created_at", "later"),
        ("sops.mac", "ENC[a]"),
        ("sops.kms", []),
    ],
)
def test_what_each_encryption_changes_makes_no_other_readers(path: str, value: object) -> None:
    before, after = inspect(yaml.safe_dump(ENCRYPTED)), inspect(changed(path, value))
    assert before is not None
    assert after is not None
    assert before.readers == after.readers


ODD = [
    ("stringData", ["x"], "stringData is a list, not a map"),
    ("stringData", "x", "stringData is a text, not a map"),
    ("data", 5, "data is a number, not a map"),
    ("sops", [], "sops is a list, not a map"),
    ("sops", ..., "it has no sops metadata"),
    ("sops.age", 5, "sops.age is a number, not a list"),
    ("sops.age", {"recipient": "x"}, "sops.age is a map, not a list"),
    ("sops.age", [5], "sops.age.0 is a number, not a map"),
    ("sops.age.1.recipient", 5, "sops.age.1.recipient is a number, not a text"),
    ("sops.pgp", True, "sops.pgp is a boolean, not a list"),
    ("sops.key_groups", 5, "sops.key_groups is a number, not a list"),
    ("sops.key_groups", ["x"], "sops.key_groups.0 is a text, not a map"),
    ("sops.key_groups", [{"age": 1.5}], "sops.key_groups.0.age is a number, not a list"),
    ("sops.mac", ..., "sops.mac is missing"),
    ("sops.mac", None, "sops.mac is empty, not a text"),
    ("metadata", ["x"], "metadata is a list, not a map"),
    ("metadata", ..., "metadata is empty, not a map"),
    ("metadata.name", ..., "metadata.name is missing"),
    ("metadata.name", 5, "metadata.name is a number, not a text"),
    ("metadata.namespace", None, "metadata.namespace is empty, not a text"),
    ("metadata.name", "ENC[x]", "more than its values is encrypted"),
    ("metadata.labels", [{"a": "ENC[x]"}], "more than its values is encrypted"),
    ("kind", "ConfigMap", "its kind is not Secret"),
    ("kind", ["Secret"], "its kind is not Secret"),
]


@pytest.mark.parametrize(("path", "value", "reason"), ODD)
def test_what_is_odd_is_named(path: str, value: object, reason: str) -> None:
    text = changed(path, value)
    assert inspect(text) is None
    assert oddity(text) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it holds no document"),
        ("{{ not yaml", "it is not YAML (2:1: "),
        ("- a", "the document is a list, not a map"),
        ("a: b\n---\nc: d", "it holds 2 documents"),
        ("[" * 5000, "it is not YAML ("),
        ("kind: Secret\nmetadata: {name: a}\nstringData: {A: b}\n", "it has no sops metadata"),
    ],
)
def test_texts_that_are_no_secret(text: str, reason: str) -> None:
    assert inspect(text) is None
    assert oddity(text).startswith(reason)


def paths(value: object, at: str = "") -> list[str]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, item in parts for path in paths(item, f"{at}.{key}" if at else str(key)))]


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.binary()
    | st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Z"]))
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([(base, path) for base in (ENCRYPTED, GROUPED) for path in paths(base)[1:]]), ANYTHING)
def test_anything_may_stand_anywhere(place: tuple[dict[str, Any], str], value: object) -> None:
    base, path = place
    text = changed(path, value, base)
    seen = inspect(text)
    assert (seen is None) is bool(oddity(text))
    if seen is not None:
        assert all(isinstance(one, str) for one in (seen.name, seen.namespace, *seen.keys, *seen.recipients))
