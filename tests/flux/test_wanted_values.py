"""What a chart wants: the errors are those of helm 4.1, made of templates that read what is not there."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tasks.core.errors import RefusedError
from tasks.flux.wanted_values import Wanted, wanted_values
from tasks.yaml.documents import dig, merged

DEFAULTS = {"app": {"image": {"tag": "x"}}}


class Chart:
    """A chart whose template reads ``paths`` one after the other, and then fails with ``then``."""

    def __init__(self, *paths: str, then: str = "") -> None:
        self.paths, self.then = paths, then

    def problem(self, values: Mapping[str, Any]) -> str:
        whole = merged(DEFAULTS, values)
        for number, path in enumerate(self.paths):
            keys = path.split(".")
            for end in range(1, len(keys)):
                if dig(whole, *keys[:end]) is None:
                    return (
                        f"release r does not render: template app/templates/a.yaml:{number}: "
                        f"at <$.Values.{path}>: nil pointer evaluating interface {{}}.{keys[end]}"
                    )
        return self.then

    def render(self, values: Mapping[str, Any]) -> None:
        problem = self.problem(values)
        if problem:
            raise RefusedError(problem)


OTHER = "app/templates/a.yaml:9: app.host must be set"


def cases() -> Iterator[tuple[Chart, dict[str, Any], Wanted]]:
    yield Chart("app.audit.enabled"), {}, Wanted(("app.audit.enabled",), "")
    yield Chart("app.image.tag", "app.audit.enabled"), {}, Wanted(("app.audit.enabled",), "")
    yield (
        Chart("app.audit.enabled", "kafka.connector.enabled", "app.audit.level"),
        {},
        Wanted(("app.audit.enabled", "kafka.connector.enabled"), ""),
    )
    # What is given is not wanted; what is given as null takes the default away.
    yield Chart("app.audit.enabled", "b.c.d"), {"b": {"c": {}}}, Wanted(("app.audit.enabled",), "")
    yield Chart("app.image.tag"), {"app": {"image": None}}, Wanted(("app.image.tag",), "")
    yield Chart("a.b", then=OTHER), {}, Wanted(("a.b",), OTHER)
    # Another error names no value.
    yield Chart(then=OTHER), {}, Wanted((), "")


@pytest.mark.parametrize(("chart", "values", "expected"), list(cases()))
def test_all_that_is_wanted_is_found(chart: Chart, values: dict[str, Any], expected: Wanted) -> None:
    assert wanted_values(chart.problem(values), DEFAULTS, values, chart.render) == expected


def test_a_chart_without_end_ends() -> None:
    chart = Chart(*(f"a{number}.b" for number in range(100)))
    found = wanted_values(chart.problem({}), DEFAULTS, {}, chart.render)
    assert len(found.values) == 30
    assert found.then


def test_the_values_of_a_chart_inside_are_not_looked_for_outside() -> None:
    said = Chart("a.b").problem({}).replace("app/templates", "app/charts/inner/templates")
    assert wanted_values(said, DEFAULTS, {}, Chart("a.b").render) == Wanted((), "")


def test_a_value_that_is_there_after_all_is_not_looked_for_without_end() -> None:
    def render(values: Mapping[str, Any]) -> None:
        raise RefusedError(Chart("a.b").problem({}))

    found = wanted_values(Chart("a.b").problem({}), DEFAULTS, {}, render)
    assert found.values == ("a.b",)
