"""What controllers make Secrets from: their names, and the keys as far as the object shows them."""

from typing import Any

import pytest
import yaml

from tasks.kube.makers import Made, made_from


def external(spec: str) -> dict[str, Any]:
    return {"kind": "ExternalSecret", "metadata": {"name": "own"}, "spec": yaml.safe_load(spec)}


def keys(*names: str) -> frozenset[str]:
    return frozenset(names)


@pytest.mark.parametrize(
    ("spec", "made"),
    [
        ("data: [{secretKey: a}, {secretKey: b}]", Made("own", keys("a", "b"))),
        ("{target: {name: other}, data: [{secretKey: a}]}", Made("other", keys("a"))),
        ("{data: [{secretKey: a}], dataFrom: [{extract: {key: x}}]}", Made("own")),
        # The template's keys alone, whatever is fetched for it.
        (
            "{dataFrom: [{extract: {key: x}}], target: {template: {data: {b: '{{ .x }}'}}}}",
            Made("own", keys("b")),
        ),
        (
            "{data: [{secretKey: a}], target: {template: {mergePolicy: Merge, data: {b: '{{ .a }}'}}}}",
            Made("own", keys("a", "b")),
        ),
        (
            "{dataFrom: [{find: {}}], target: {template: {mergePolicy: Merge, data: {b: '{{ .a }}'}}}}",
            Made("own"),
        ),
        ("{data: [{secretKey: a}], target: {template: {templateFrom: [{configMap: {}}]}}}", Made("own")),
        ("{data: [{secretKey: a}], target: {creationPolicy: Merge}}", Made("own")),
        ("{data: [{secretKey: a}], target: {creationPolicy: None}}", None),
        ("{data: [{secretKey: a}], target: {template: {metadata: {labels: {}}}}}", Made("own", keys("a"))),
        ("target: {template: {data: {password: typed}}}", Made("own", keys("password"), keys("password"))),
        ("{}", Made("own")),
    ],
)
def test_an_external_secret(spec: str, made: Made | None) -> None:
    assert made_from(external(spec)) == made


def test_a_sealed_secret() -> None:
    data = {
        "kind": "SealedSecret",
        "metadata": {"name": "own"},
        "spec": {"encryptedData": {"a": "x"}, "template": {"data": {"b": "{{ .a }}", "c": "typed"}}},
    }
    assert made_from(data) == Made("own", keys("a", "b", "c"), keys("c"))


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("OnePasswordItem", {}),
        ("ObjectBucketClaim", {}),
        ("VaultStaticSecret", {"destination": {"name": "made"}}),
        ("InfisicalSecret", {"managedSecretReference": {"secretName": "made"}}),
        ("Certificate", {"secretName": "made"}),
        ("BitwardenSecret", {"secretName": "made"}),
    ],
)
def test_others_do_not_show_their_keys(kind: str, spec: dict[str, Any]) -> None:
    found = made_from({"kind": kind, "metadata": {"name": "own"}, "spec": spec})
    assert found == Made("made" if spec else "own")


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap", "SecretStore", "None"])
def test_nothing_is_made_from_the_rest(kind: str) -> None:
    assert made_from({"kind": kind, "metadata": {"name": "own"}}) is None
