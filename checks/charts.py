"""Charts: whether they exist in their version, render with the values given, and read all of those values."""

import re
from collections.abc import Iterator

from checks.model import Cause, Model, Outcome, as_note, failed, passed, unknown
from tasks.core.errors import RefusedError
from tasks.effects.helm import ChartError
from tasks.effects.kustomize import BuildError
from tasks.flux.chart_values import ChartFiles, UnknownValue, read_chart, unknown_values
from tasks.flux.releases import Release, ValuesError
from tasks.flux.wanted_values import wanted_values
from tasks.kube.keys import key_of
from tasks.model import cause_of
from tasks.workspace import Network
from tasks.yaml.documents import mapping

_VALUE = re.compile(r"\.Values\.([\w.]+)|at '/([^']+)'")
_VALUES = ("spec", "values")


def charts_render(model: Model) -> Iterator[Outcome]:
    """Each release of the deployment renders, post-renderers included, from a chart that its source lists."""
    for release in model.releases:
        name = key_of(release.data).name
        error = release.error
        if error is None:
            yield _listed(model, release)
        elif release.is_refused:
            keys = _cause(release, error)
            yield failed(
                error.summary + _told(release, keys) + _wanted(model, release, error),
                f"Flux would refuse HelmRelease {name}, and install nothing of it",
                _hint(model, release, error) or "correct what it names",
                model.place(release.path, release.data, *keys),
            )
        else:
            where = model.place(release.path, release.data, "spec")
            yield unknown(f"HelmRelease {name}: {error.summary}", cause_of(error), error.hint, where)
    if not model.releases:
        yield passed("there is no HelmRelease")
    yield from _unapplied(model)


def _unapplied(model: Model) -> Iterator[Outcome]:
    for app in model.apps:
        if not model.releases_of(app):
            folder = app.folder(model.workspace)
            yield model.hidden(app) or unknown(
                f"no HelmRelease in {folder} is applied (see the check of entries)", Cause.REPOSITORY
            )


def _listed(model: Model, release: Release) -> Outcome:
    """A chart that renders may be a copy of one that its repository lists no more."""
    chart = release.chart
    assert chart is not None
    if model.workspace.network is Network.ONLINE:
        where = model.place(release.path, release.data, *_version(release))
        try:
            model.workspace.web.fetch(chart)
        except ChartError as error:
            gone = "Flux would not find it, and install nothing"
            return failed(error.summary, gone, _hint(model, release, error, is_listed=False), where)
        except RefusedError as error:
            return unknown(f"rendered from the cache; {error.summary}", cause_of(error), error.hint, where)
    return passed(f"{release.path}: {chart} renders as release {release.name}")


def _hint(model: Model, release: Release, error: RefusedError, *, is_listed: bool = True) -> str:
    """What to do; of a chart of ours that is not listed also that there are other versions."""
    is_gone = isinstance(error, ChartError) and (release.archive is None or not is_listed)
    if not is_gone or release.path not in model.ours:
        return error.hint
    return f"{error.hint}; or choose another set of versions (versions.set)"


def _version(release: Release) -> tuple[str, ...]:
    return (
        ("spec", "chart", "spec", "version")
        if mapping(release.data, "spec", "chart")
        else ("spec", "chartRef")
    )


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


def _wanted(model: Model, release: Release, error: RefusedError) -> str:
    """All values that the chart reads and that nobody set, not only the first that helm met; else empty."""
    if release.archive is None:
        return ""
    archive = release.archive
    try:
        defaults = read_chart(archive.read_bytes()).defaults
    except ValueError:
        return ""
    wanted = wanted_values(
        error.summary,
        defaults,
        release.values,
        lambda values: model.workspace.helm.render(archive, release.name, release.namespace, values),
    )
    if not wanted.values:
        return ""
    then = f"; with them: {wanted.then}" if wanted.then else ""
    return f"; the chart reads, without a default, {', '.join(wanted.values)}{then}"


def values_are_read(model: Model) -> Iterator[Outcome]:
    """Every value is one that the chart has a default for, or a template that reads it."""
    charts: dict[str, ChartFiles] = {}
    for release in model.releases:
        if release.archive is None:
            assert release.error is not None
            yield unknown(f"a chart is not at hand: {release.error.summary}", cause_of(release.error))
            continue
        try:
            archive = str(release.archive)
            if archive not in charts:
                charts[archive] = read_chart(release.archive.read_bytes())
            found = unknown_values(charts[archive], release.values)
        except ValueError as error:
            yield unknown(
                f"{release.archive} cannot be read: {error}", Cause.NETWORK, f"delete {release.archive}"
            )
            continue
        for one in found:
            outcome = _ignored(model, release, one)
            yield outcome if release.path in model.ours else as_note(model, outcome)
        if not found:
            yield passed(f"{release.path}: {release.chart} knows every value")
    if not model.releases:
        yield passed("there is no HelmRelease")
    yield from _unapplied(model)


def _ignored(model: Model, release: Release, one: UnknownValue) -> Outcome:
    elsewhere = f"; it knows {' and '.join(one.elsewhere)}" if one.elsewhere else ""
    return failed(
        f"{release.chart} does not read the value {'.'.join(one.path)}, nor anything below it{elsewhere}",
        "Helm would ignore it without a word",
        f"move it to {one.elsewhere[0]}" if one.elsewhere else "remove it, or correct its name",
        model.place(release.path, release.data, *_VALUES, *one.path),
    )
