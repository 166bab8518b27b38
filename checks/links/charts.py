"""Charts: whether they exist in their version, render with the values given, and read all of those values."""

import re
from collections.abc import Iterator

from checks.links.applied import key_of
from checks.links.releases import Release, ValuesError, releases
from checks.model import Outcome, failed, noted, passed, unknown
from checks.objects import place
from tasks.core.errors import RefusedError
from tasks.effects.helm import ChartError
from tasks.effects.kustomize import BuildError
from tasks.flux.chart_values import UnknownValue, read_chart, unknown_values
from tasks.subjects.manifests import own_files
from tasks.workspace import Network, Workspace

_VALUE = re.compile(r"\.Values\.([\w.]+)|at '/([^']+)'")
_VALUES = ("spec", "values")


def charts_render(workspace: Workspace) -> Iterator[Outcome]:
    """Each release of the deployment renders, post-renderers included, from a chart that its source lists."""
    for release in releases(workspace):
        name = key_of(release.data).name
        error = release.error
        if error is None:
            yield _listed(workspace, release)
        elif release.is_refused:
            keys = _cause(release, error)
            yield failed(
                error.summary + _told(release, keys),
                f"Flux would refuse HelmRelease {name}, and install nothing of it",
                error.hint or "correct what it names",
                place(workspace, release.path, release.data, *keys),
            )
        else:
            where = place(workspace, release.path, release.data, "spec")
            yield unknown(f"HelmRelease {name}: {error.summary}", error.hint, where)


def _listed(workspace: Workspace, release: Release) -> Outcome:
    """A chart that renders may be a copy of one that its repository lists no more."""
    chart = release.chart
    assert chart is not None
    if workspace.network is Network.ONLINE:
        where = place(workspace, release.path, release.data, *_version(release))
        try:
            workspace.ask_once(
                f"chart {chart.repository} {chart}", lambda: workspace.helm.fetch(chart, fresh=True)
            )
        except ChartError as error:
            return failed(error.summary, "Flux would not find it, and install nothing", error.hint, where)
        except RefusedError as error:
            return unknown(f"rendered from the cache; {error.summary}", error.hint, where)
    return passed(f"{release.path}: {chart} renders as release {release.name}")


def _version(release: Release) -> tuple[str, ...]:
    return ("spec", "chart", "spec", "version") if "chart" in release.data["spec"] else ("spec", "chartRef")


def _cause(release: Release, error: RefusedError) -> tuple[str, ...]:
    """Where in the HelmRelease the reason lies, as far as the message tells."""
    if isinstance(error, BuildError):
        return ("spec", "postRenderers")
    if isinstance(error, ValuesError):
        return ("spec", "valuesFrom")
    if release.archive is None:
        return _version(release)
    named = _VALUE.search(error.summary)
    if named is None:
        return _VALUES
    return (*_VALUES, *(named[1].strip(".").split(".") if named[1] else named[2].split("/")))


def _told(release: Release, keys: tuple[str, ...]) -> str:
    """The value at ``keys``, where the message names one, in words."""
    value: object = release.values
    for key in keys[len(_VALUES) :]:
        value = value.get(key) if isinstance(value, dict) else None
    if keys[: len(_VALUES)] != _VALUES or len(keys) == len(_VALUES):
        return ""
    kinds = {dict: "a map", list: "a list", type(None): "not set"}
    return f" ({'.'.join(keys[len(_VALUES) :])} is {kinds.get(type(value), repr(value))})"


def values_are_read(workspace: Workspace) -> Iterator[Outcome]:
    """Every value is one that the chart has a default for, or a template that reads it."""
    ours = own_files(workspace)
    for release in releases(workspace):
        if release.archive is None:
            continue
        try:
            found = unknown_values(read_chart(release.archive.read_bytes()), release.values)
        except ValueError as error:
            yield unknown(f"{release.archive} cannot be read: {error}")
            continue
        for one in found:
            outcome = _ignored(workspace, release, one)
            yield outcome if release.path in ours else noted(workspace, outcome)
        if not found:
            yield passed(f"{release.path}: {release.chart} knows every value")


def _ignored(workspace: Workspace, release: Release, one: UnknownValue) -> Outcome:
    elsewhere = f"; it knows {' and '.join(one.elsewhere)}" if one.elsewhere else ""
    return failed(
        f"{release.chart} does not read the value {'.'.join(one.path)}, nor anything below it{elsewhere}",
        "Helm would ignore it without a word",
        f"move it to {one.elsewhere[0]}" if one.elsewhere else "remove it, or correct its name",
        place(workspace, release.path, release.data, *_VALUES, *one.path),
    )
