"""Vector's own limits: variables as it reads them, and disk buffers, wherever a configuration comes from."""

from typing import Any

import pytest
import yaml

from checks.limits import limits_are_kept
from checks.model import Model, Stage, judge
from checks.registry import CHECKS
from tasks.core.outcomes import Cause, Status
from tasks.kube.keys import key_of
from tasks.kube.pods import pods_of
from tasks.kube.resources import Resource, Resources

_SINK = {"type": "http", "uri": "http://parseable:8000/api/v1/ingest", "inputs": ["a"]}


class _Whole(Model):
    """A whole repository without a rollout of ours, of which these objects are what is rendered."""

    apps = ()
    whole_repository = True
    stage = Stage.RENDERED

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.resources = Resources(  # the view that is judged
            Resource(key_of(one, "logs"), one, "vector.yaml") for one in objects
        )

    def other_pods(self) -> list[Any]:
        return list(pods_of(self.resources.objects))

    def place_with(self, item: Resource, word: str) -> str:
        return f"{item.path}:{word}"


def config(text: str, **sink: Any) -> dict[str, Any]:
    content = {"sources": {"a": {"type": "demo_logs", "format": text}}, "sinks": {"b": {**_SINK, **sink}}}
    data = {"vector.yaml": yaml.safe_dump(content)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "config"}, "data": data}


def workload(*env: dict[str, Any], image: str = "timberio/vector:0.40.0", **more: Any) -> dict[str, Any]:
    mounts = [{"name": "config", "mountPath": "/etc/vector"}]
    container = {"name": "main", "image": image, "env": list(env), "volumeMounts": mounts, **more}
    spec = {"containers": [container], "volumes": [{"name": "config", "configMap": {"name": "config"}}]}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "v"},
        "spec": {"template": template},
    }


def told(*objects: dict[str, Any]) -> list[tuple[Status, str]]:
    """Status and evidence of what the check says beside that all is well."""
    (check,) = (one for one in CHECKS.values() if one.run is limits_are_kept)
    outcomes = [one.outcome for one in judge([check], _Whole(*objects))]
    return [(one.status, one.evidence) for one in outcomes if one.status is not Status.PASS]


def missing(name: str, how: str = "is not set") -> list[tuple[Status, str]]:
    return [(Status.FAIL, f"ConfigMap logs/config reads variable {name}, which {how} in Deployment logs/v")]


A = {"name": "A", "value": "x"}
SECRET = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a"}}}
EMPTY = {"name": "A", "value": ""}


@pytest.mark.parametrize(
    ("text", "env", "expected"),
    [
        ("${A}", [A], []),
        ("$A", [SECRET], []),
        ("${A}", [EMPTY], []),
        ("${A:-b}", [], []),
        ("${A-b}", [], []),
        ("${A:?no}", [A], []),
        ("${A?no}", [EMPTY], []),
        ("$$A $${A} $ {A}", [], []),
        ("a.*$ costs $", [], []),
        ("${A}", [], missing("A")),
        ("$A", [], missing("A")),
        ("$AB", [A], missing("AB")),
        ("x-$A.b", [A], missing("A.b")),
        ("${A:?no}", [EMPTY], missing("A", "is empty")),
        ("${A?no}", [], missing("A")),
        # Of a pattern: the first group.
        ("$1", [], missing("1")),
        ("${A}", [{"name": "VECTOR_STRICT_ENV_VARS", "value": "false"}], []),
    ],
)
def test_variables(text: str, env: list[dict[str, Any]], expected: list[tuple[Status, str]]) -> None:
    assert told(config(text), workload(*env)) == expected


def test_variables_of_all_keys() -> None:
    source = {"configMapRef": {"name": "more"}, "prefix": "P_"}
    more = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}, "data": {"A": "1"}}
    assert told(config("${P_A}"), workload(envFrom=[source]), more) == []
    assert told(config("${A}"), workload(envFrom=[source]), more) == missing("A")
    # What is not seen may have it.
    (only,) = told(config("${A}"), workload(envFrom=[source]))
    assert only[0] is Status.UNKNOWN


def test_another_program_with_such_a_file_is_not_judged() -> None:
    assert told(config("${A}"), workload(image="example.com/vectorizer:1")) == []
    assert told(config("${A}"), workload(image="registry:5000/timberio/vector@sha256:0")) == missing("A")


@pytest.mark.parametrize(
    ("buffer", "size"),
    [
        ({"type": "disk", "max_size": 268435488}, None),
        ({"type": "disk", "max_size": 268435487}, 268435487),
        ({"type": "memory", "max_events": 5}, None),
        ([{"type": "memory", "max_events": 5}, {"type": "disk", "max_size": 1000}], 1000),
        ({"type": "disk", "max_size": "${SIZE}"}, 500),
        ({"type": "disk", "max_size": "${OTHER:-600}"}, 600),
        ({"type": "disk", "max_size": "${OTHER:-536870912}"}, None),
        ({"type": "disk"}, None),
    ],
)
def test_disk_buffers(buffer: Any, size: int | None) -> None:
    expected = f"the disk buffer of sink b has {size} bytes, and Vector takes none below 268435488"
    found = told(config("a", buffer=buffer), workload({"name": "SIZE", "value": "500"}))
    assert found == ([] if size is None else [(Status.FAIL, expected)])


def test_the_cause_of_what_is_not_seen() -> None:
    source = {"secretRef": {"name": "elsewhere"}}
    outcomes = list(limits_are_kept(_Whole(config("${A}"), workload(envFrom=[source]))))
    assert [one.cause for one in outcomes if one.cause] == [Cause.CLUSTER]
