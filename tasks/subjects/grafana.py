"""The Parseable plugin, data source and its credentials in the user's own Grafana HelmRelease."""

from collections.abc import Iterator
from typing import Any, Final

from tasks.core.changes import Change
from tasks.core.errors import RefusedError
from tasks.core.settings import DOCUMENTED, Settings
from tasks.flux.grafana import GrafanaPlace
from tasks.flux.missing import need
from tasks.subjects.manifests import render_templates
from tasks.subjects.shared_files import SharedFile
from tasks.workspace import Workspace
from tasks.yaml.documents import load_documents
from tasks.yaml.editing import YamlValue, ensure

# Where Grafana's chart wants things, below the level of its values.
PLUGINS: Final = "plugins"
DATASOURCES = ("datasources", "datasources.yaml", "datasources")
ENVIRONMENT: Final = "envValueFrom"


def facts(workspace: Workspace) -> SharedFile:
    """The HelmRelease of Grafana.

    Raises:
        RefusedError: the repository has no Grafana, several, or one in another namespace.
    """
    place = need(workspace.layout.grafana)
    current = workspace.repository.read(place.path)
    _check_lists(workspace, place, current or "")
    values = load_documents(render_templates(workspace, [DOCUMENTED.grafana.path])[0])[0]

    def edit(text: str) -> str:
        return ensure(
            text,
            place.level,
            _wanted_values(values, place, text),
            name=place.path,
            document=place.document,
            same=lambda existing, wanted: is_same_entry(workspace.settings, existing, wanted),
        )

    return SharedFile(place.path, current, workspace.repository.head(place.path), edit)


def plan(workspace: Workspace, found: SharedFile) -> Iterator[Change]:
    """Insert what is missing and correct what is different; every other byte stays.

    Raises:
        RefusedError: the file has edits that are not committed, or cannot be edited safely.
    """
    change = found.change(workspace)
    if change is not None:
        found.needs_commit(workspace)
        yield change


def _check_lists(workspace: Workspace, place: GrafanaPlace, text: str) -> None:
    """Check that the file itself holds all there is of the lists that get an entry.

    Raises:
        RefusedError: they may be in a ConfigMap or Secret, and a list in the file would replace them; or two
            data sources of the file have our name and our uid between them.
    """
    values = values_at(place, text)
    plugins, sources = _listed(values, PLUGINS), _listed(values, *DATASOURCES)
    if place.has_values_elsewhere and (plugins is None or sources is None):
        raise RefusedError(
            f"{place.path} has spec.valuesFrom, and no plugins or datasources of its own",
            "Helm would replace lists that are elsewhere: move plugins and datasources into spec.values",
        )
    wanted = {
        "name": workspace.settings.grafana.datasource_name,
        "uid": workspace.settings.grafana.datasource_uid,
    }
    if sum(is_same_entry(workspace.settings, source, wanted) for source in sources or ()) > 1:
        raise RefusedError(
            f"{place.path} has a data source named '{wanted['name']}' and another with uid '{wanted['uid']}'",
            "rename one of them, or set grafana.datasource_name and grafana.datasource_uid",
        )


def _listed(values: Any, *path: str) -> list[Any] | None:
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values if isinstance(values, list) else None


def is_same_entry(settings: Settings, existing: object, wanted: object) -> bool:
    """Whether an item of one of Grafana's lists is the one meant.

    That is the plugin in whichever version, and the data source with the same name or the same uid.
    """
    if isinstance(existing, str) and isinstance(wanted, str):
        plugin = settings.grafana
        return plugin.datasource_type in existing or existing.endswith(";" + plugin.plugin_folder)
    if isinstance(existing, dict) and isinstance(wanted, dict):
        return any(key in existing and existing[key] == wanted[key] for key in ("name", "uid"))
    return existing == wanted


def values_at(place: GrafanaPlace, text: str) -> Any:
    """The values at the place's level as data; None where the level does not exist."""
    documents = load_documents(text)
    value: Any = documents[place.document] if place.document < len(documents) else None
    for key in place.level:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _wanted_values(values: dict[str, Any], place: GrafanaPlace, text: str) -> YamlValue:
    """``values``, with the version of the provisioning format where the file has no such section yet."""
    if _listed(values_at(place, text), *DATASOURCES) is not None:
        return values
    # Grafana ignores a provisioning file without its version.
    provisioning = {"apiVersion": 1, **values["datasources"]["datasources.yaml"]}
    return {**values, "datasources": {"datasources.yaml": provisioning}}
