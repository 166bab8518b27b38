"""Versions that nobody tested with the playbook: they need the proof that their chart renders."""

from collections.abc import Iterator, Mapping
from typing import Any

from checks.model import AnsweredError, Cause, Model, Outcome, Stage, failed, passed, unknown
from tasks.core.errors import RefusedError
from tasks.effects.helm import Chart
from tasks.flux import versions
from tasks.flux.cluster import Cluster
from tasks.flux.releases import chart_of
from tasks.flux.substitution import has_variable
from tasks.kube.keys import key_of
from tasks.kube.resources import Resource
from tasks.model import cause_of
from tasks.subjects.apps import App
from tasks.yaml.documents import dig, mapping

_VERSION = ("spec", "chart", "spec", "version")


def versions_are_proved(model: Model) -> Iterator[Outcome]:
    """Each release of ours has versions that were tested, or its chart renders and reads its values here.

    The word of the user (``--unproved``) stands for that proof where it cannot be had.
    """
    for app in model.apps:
        releases = [item for item in model.objects_of(app) if item.key.kind == "HelmRelease"]
        for item in releases:
            yield _answer(model, app, item)
        if not releases:
            yield passed(f"{app.name} has no HelmRelease")


def _answer(model: Model, app: App, item: Resource) -> Outcome:
    where = model.place_of(item, *_VERSION)
    try:
        chart = chart_of(_sources(model), item.data)
    except RefusedError as error:
        return unknown(f"{item.path}: {error.summary}", cause_of(error), error.hint, where)
    odd = list(_untested(app, chart, item.data)) if chart.name == app.name else []
    if not odd:
        return passed(f"{item.path}: {chart} is what was tested")
    return _proof(model, app, item, f"{item.path}: {' and '.join(odd)}", where)


def _proof(model: Model, app: App, item: Resource, told: str, where: str) -> Outcome:
    """Whether the chart of ``item``, of which ``told`` says what was not tested, renders."""
    try:
        release = next((one for one in model.releases_of(app) if key_of(one.data) == item.key), None)
    except AnsweredError as error:
        return _unproved(model, told, error.outcome, where)
    if release is None:
        return unknown(f"{told}; it is not known what is applied of it", Cause.REPOSITORY, "", where)
    if release.error is None:
        return passed(f"{told}; {release.chart} renders")
    why = unknown(release.error.summary, cause_of(release.error), release.error.hint)
    if release.is_refused:
        return unknown(f"{told} (see the check of charts)", Cause.REPOSITORY, why.remedy, where)
    return _unproved(model, told, why, where)


def _sources(model: Model) -> Cluster:
    try:
        return model.cluster
    except AnsweredError:
        return Cluster(model.tree, ())


def _unproved(model: Model, told: str, why: Outcome, where: str) -> Outcome:
    """The answer where nothing can be rendered; ``why`` says what for."""
    if model.workspace.permissions.unproved:
        evidence = f"{told}; taken unproved, as --unproved says: {why.evidence}"
        return unknown(evidence, why.cause or Cause.STAGE, why.remedy, where)
    if model.stage < Stage.RENDERED:
        return unknown(
            f"{told}; whether the chart renders was not asked", Cause.STAGE, "invoke verify", where
        )
    return failed(
        f"{told}; it is not proved that the chart renders: {why.evidence}",
        "Flux may refuse the release, or the chart ignore its values",
        f"{why.remedy + '; ' if why.remedy else ''}with --unproved it goes without the proof",
        where,
    )


def _untested(app: App, chart: Chart, release: Mapping[str, Any]) -> Iterator[str]:
    """The versions of a HelmRelease that are none of the tested ones, each in words."""
    version, charts = chart.version.removeprefix("v"), versions.tested(app.name, "chart_version")
    images = versions.tested(app.name, "image_tag")
    if version not in charts:
        found = version or "in any version"
        yield f"chart {app.name} {found} is not one of those that were tested ({', '.join(charts)})"
    for tag in sorted(set(_tags(mapping(release, "spec", "values")))):
        if tag not in images:
            known = ", ".join(images) or "that of the chart"
            yield f"image tag {tag} of {app.name} is not one of those that were tested ({known})"
        elif version in charts and not versions.is_tested(app.name, chart_version=version, image_tag=tag):
            yield f"image tag {tag} of {app.name} was not tested with chart {version}"


def _tags(values: Any) -> Iterator[str]:
    """The tags of all images that values set."""
    for key, value in values.items() if isinstance(values, dict) else ():
        tag = dig(value, "tag") if key == "image" else None
        if isinstance(tag, str) and tag and not has_variable(tag):
            yield tag
        yield from _tags(value)
