"""The user's Grafana without what TASK-010 added: its plugin, its data source, its variables."""

from collections.abc import Callable, Iterator

from tasks.core.settings import Settings
from tasks.flux.grafana import GrafanaPlace
from tasks.flux.grafana_plugins import entries, is_ours, stays, variable_of
from tasks.flux.grafana_values import DATASOURCES, PLUGINS, Holders, ValuesPlace, holders_of, values_at
from tasks.subjects.grafana import ENVIRONMENT, is_same_entry, left_out
from tasks.workspace import Workspace
from tasks.yaml.documents import dig
from tasks.yaml.editing import YamlValue, ensure, without

_Edit = Callable[[str], str]


def removals(workspace: Workspace) -> Iterator[tuple[str, _Edit]]:
    """The files with Grafana's values, and what takes ours out of them; none where its operator has ours.

    Raises:
        RefusedError: a list of Grafana's is where it cannot be edited.
    """
    place = workspace.layout.grafana
    if left_out(workspace.settings) or not isinstance(place, GrafanaPlace):
        return
    holders = holders_of(place, workspace.tree)
    listed = variable_of(place.chart, place.version, place.repository)
    for path in dict.fromkeys((holders.plugins.path, holders.datasources.path, holders.rest.path)):
        yield path, _edit(workspace.settings, path, holders, listed)


def _edit(settings: Settings, path: str, holders: Holders, listed: str) -> _Edit:
    def edit(text: str) -> str:
        if holders.plugins.path == path:
            text = _without_plugin(settings, text, holders, listed)
        if holders.datasources.path == path:
            text = _without_source(settings, text, holders.datasources)
        if holders.rest.path == path:
            text = _without(
                text,
                holders.rest,
                (ENVIRONMENT,),
                lambda _, one: dig(one, "secretKeyRef", "name") == settings.parseable.secret,
            )
        return text

    return edit


def _without_plugin(settings: Settings, text: str, holders: Holders, listed: str) -> str:
    place = holders.plugins
    if holders.variable is None:
        return _without(
            text,
            place,
            (PLUGINS,),
            lambda _, one: is_ours(settings.grafana, str(one)) and not stays(settings, listed, str(one)),
        )
    key, name = holders.variable
    value = dig(values_at(place, text), key, name)
    named = entries(value) if isinstance(value, str) else []
    left = [one for one in named if not is_ours(settings.grafana, one) or stays(settings, name, one)]
    if left == named:
        return text
    if not left:
        return _without(text, place, (key,), lambda one, _: one == name)
    values: YamlValue = {key: {name: ",".join(left)}}
    return ensure(text, place.level, values, name=place.path, document=place.document)


def _without_source(settings: Settings, text: str, place: ValuesPlace) -> str:
    """The text without our data source, and without the section where nothing else is in it."""
    ours = {"name": settings.grafana.datasource_name, "uid": settings.grafana.datasource_uid}
    left = _without(text, place, DATASOURCES, lambda _, one: is_same_entry(settings, one, ours))
    section, file, _ = DATASOURCES
    if left != text and dig(values_at(place, left), section, file) == {"apiVersion": 1}:
        return _without(left, place, (section,), lambda key, _: key == file)
    return left


def _without(
    text: str, place: ValuesPlace, path: tuple[str, ...], gone: Callable[[object, object], bool]
) -> str:
    return without(text, (*place.level, *path), gone, name=place.path, document=place.document)
