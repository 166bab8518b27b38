"""The Parseable plugin and data source for the user's Grafana: in its HelmRelease, or beside Parseable."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from tasks.core.changes import Change, Remark, Skip
from tasks.core.errors import RefusedError
from tasks.core.settings import DOCUMENTED, Settings
from tasks.flux.grafana import GrafanaPlace
from tasks.flux.grafana_operator import GrafanaInstance
from tasks.flux.grafana_plugins import VARIABLES, entries, entry, is_ours, stays, variable_of
from tasks.flux.grafana_values import DATASOURCES, PLUGINS, Holders, ValuesPlace, holders_of, values_at
from tasks.flux.missing import need
from tasks.flux.versions import resolved
from tasks.subjects.manifests import ManifestFacts, app_facts, plan_files, render_templates
from tasks.subjects.parseable import DATA_SOURCE, PARSEABLE
from tasks.subjects.renamed_source import former_entries, with_deleted
from tasks.subjects.shared_files import SharedFile
from tasks.workspace import Workspace
from tasks.yaml.documents import dig, items, load_documents, mapping
from tasks.yaml.editing import YamlValue, ensure
from tasks.yaml.templates import MARKER

# Where the chart takes variables from Secrets, below the level of its values.
ENVIRONMENT: Final = "envValueFrom"
# Kinds that give a Secret of the name that they, or their target, have.
_SECRETS = (
    "Secret",
    "ExternalSecret",
    "SealedSecret",
    "VaultStaticSecret",
    "OnePasswordItem",
    "InfisicalSecret",
)


@dataclass(frozen=True)
class GrafanaFacts:
    """The files that give Grafana what it needs: other people's, and ours. ``way`` says which way, and why.

    ``skip`` says that the settings leave Grafana out, empty if they do not.
    """

    shared: tuple[SharedFile, ...] = ()
    own: tuple[ManifestFacts, ...] = ()
    way: str = ""
    skip: str = ""


def left_out(settings: Settings) -> str:
    """Why Grafana is not asked for; empty if it is."""
    return "grafana.manage is none" if settings.grafana.manage == "none" else ""


def facts(workspace: Workspace) -> GrafanaFacts:
    """The HelmRelease of Grafana, with the files that hold its values, or the file for its operator.

    Raises:
        RefusedError: the repository has no Grafana, several, or one that cannot be extended.
    """
    skip = left_out(workspace.settings)
    if skip:
        return GrafanaFacts(skip=skip)
    place = need(workspace.layout.grafana)
    if isinstance(place, GrafanaPlace):
        return _for_release(workspace, place)
    assert isinstance(place, GrafanaInstance)
    return _for_operator(workspace, place)


def plan(workspace: Workspace, found: GrafanaFacts) -> Iterator[Change | Remark | Skip]:
    """Insert what is missing and correct what is different; every other byte stays.

    Raises:
        RefusedError: a file has edits that are not committed, or cannot be edited safely.
    """
    if found.skip:
        yield Skip(found.skip)
        return
    changes: list[Change] = []
    for file in found.shared:
        change = file.change(workspace)
        if change is not None:
            file.needs_commit(workspace)
            changes.append(change)
    own = list(plan_files(workspace, found.own))
    changes += (item for item in own if isinstance(item, Change))
    yield from (item for item in own if isinstance(item, Remark))
    if changes and workspace.settings.grafana.manage == "auto":
        yield Remark(found.way)
    yield from changes


# The operator ---------------------------------------------------------------------------------------------


def _for_operator(workspace: Workspace, place: GrafanaInstance) -> GrafanaFacts:
    url = workspace.settings.grafana.plugin_url
    if url is not None:
        raise RefusedError(
            f"grafana.plugin_url is {url}, and the operator of Grafana {place.name} installs plugins from "
            "Grafana's catalogue only",
            "leave grafana.plugin_url out, or set grafana.manage to none and install the plugin by hand",
        )
    _check_objects(workspace)
    own = app_facts(workspace, PARSEABLE, (DATA_SOURCE,))
    labels = ", ".join(f"{key}: {value}" for key, value in place.labels.items())
    who = f"Grafana {place.name}" if place.is_seen else f"the Grafana that {place.path} names"
    return GrafanaFacts(
        own=tuple(item for item in own if isinstance(item, ManifestFacts)),
        way=f"a GrafanaDatasource beside Parseable, for {who} ({labels}): its operator needs no edit of "
        f"anybody else's file{_other_way(workspace)}",
    )


def _check_objects(workspace: Workspace) -> None:
    """Check that no other data source of the operator has our name or our uid.

    Raises:
        RefusedError: one has: the operator would write the two over each other.
    """
    grafana, ours = workspace.settings.grafana, PARSEABLE.path(workspace, DATA_SOURCE)
    wanted = {"name": grafana.datasource_name, "uid": grafana.datasource_uid}
    for path, text in workspace.tree.texts.items():
        # One that we wrote for another cluster is not in the way of this one.
        if path == ours or MARKER in text or "GrafanaDatasource" not in text:
            continue
        for document in load_documents(text):
            source = dig(document, "spec", "datasource")
            if dig(document, "kind") == "GrafanaDatasource" and is_same_entry(
                workspace.settings, source, wanted
            ):
                raise RefusedError(
                    f"{path} has a data source named '{dig(source, 'name')}' with uid '{dig(source, 'uid')}' "
                    "for the operator",
                    "remove it, or set grafana.datasource_name and grafana.datasource_uid, or grafana.manage "
                    "to none",
                )


def _other_way(workspace: Workspace) -> str:
    """What else was there to choose, for the remark."""
    other = next(
        (
            path
            for path, text in workspace.tree.texts.items()
            if "kind: HelmRelease" in text and "chart: grafana\n" in text
        ),
        None,
    )
    return f"; grafana.manage: release would edit {other}" if other else ""


# The release ----------------------------------------------------------------------------------------------


def _for_release(workspace: Workspace, place: GrafanaPlace) -> GrafanaFacts:
    _check_namespace(workspace, place)
    holders = holders_of(place, workspace.tree)
    _check_sources(workspace, holders)
    template = load_documents(render_templates(workspace, [DOCUMENTED.grafana.path])[0])[0]
    parts: dict[ValuesPlace, list[str]] = {}
    for holder, part in (
        (holders.plugins, PLUGINS),
        (holders.datasources, DATASOURCES[0]),
        (holders.rest, ENVIRONMENT),
    ):
        parts.setdefault(holder, []).append(part)
    files: dict[str, list[tuple[ValuesPlace, list[str]]]] = {}
    for holder, names in parts.items():
        files.setdefault(holder.path, []).append((holder, names))
    listed = variable_of(place.chart, place.version, place.repository)
    variable = holders.variable
    shared = tuple(
        _file(workspace, path, wanted, template, variable or (PLUGINS, listed))
        for path, wanted in files.items()
    )
    why = (
        "a data source for the chart's sidecar would leave the plugin and the login to the release"
        if dig(_values(workspace, holders.rest), "sidecar", "datasources", "enabled") is True
        else "the chart installs plugins and takes logins through its values only"
    )
    return GrafanaFacts(shared, way=f"an edit of {' and '.join(files)}: {why}")


def _file(
    workspace: Workspace,
    path: str,
    wanted: Sequence[tuple[ValuesPlace, list[str]]],
    template: Mapping[str, YamlValue],
    variable: tuple[str, str],
) -> SharedFile:
    """One of the files that hold Grafana's values, with the parts of ``template`` that go there.

    ``variable`` is the path of the one that names the plugins, or the list and the variable it becomes.
    """
    settings, (key, name) = workspace.settings, variable

    def edit(text: str) -> str:
        for holder, names in wanted:
            values = {part: template[part] for part in names}
            present = values_at(holder, text)
            if PLUGINS in values and key != PLUGINS:
                del values[PLUGINS]
                values[key] = {name: _with_plugin(settings, name, dig(present, key, name))}
            elif PLUGINS in values and any(
                stays(settings, name, str(one)) for one in items(present, PLUGINS)
            ):
                del values[PLUGINS]
            former = _rename(workspace, values, holder, text)
            text = ensure(
                text,
                holder.level,
                _with_version(values, holder, text),
                name=path,
                document=holder.document,
                same=partial(_stands_for, settings, former),
            )
        return text

    repository = workspace.repository
    return SharedFile(path, repository.read(path) or "", repository.head(path), edit)


def _rename(
    workspace: Workspace, values: dict[str, YamlValue], place: ValuesPlace, text: str
) -> Sequence[Mapping[str, Any]]:
    """The entries that the data source of ``values`` takes the place of; Grafana is told to delete them."""
    wanted = dig(values, *DATASOURCES, 0)
    if wanted is None:
        return []
    former = former_entries(workspace, place, text, wanted)
    file = with_deleted(dig(values, *DATASOURCES[:2]), former, wanted)
    values[DATASOURCES[0]] = {DATASOURCES[1]: file}
    return former


def _stands_for(
    settings: Settings, former: Sequence[Mapping[str, Any]], existing: object, wanted: object
) -> bool:
    """Whether an item of a list is ``wanted``, or the data source in whose place that comes."""
    is_source = isinstance(wanted, dict) and "uid" in wanted
    return is_same_entry(settings, existing, wanted) or (is_source and existing in former)


def _with_plugin(settings: Settings, variable: str, text: object) -> str:
    """The value ``text`` of ``variable`` with the plugin in it; the others stay where they are."""
    before = text if isinstance(text, str) else ""
    ours = entry(resolved(settings).grafana, variable)
    listed = entries(before)
    if ours in listed or any(stays(settings, variable, one) for one in listed):
        return before
    kept = [ours if is_ours(settings.grafana, one) else one for one in listed]
    return ",".join(dict.fromkeys(kept if ours in kept else [*kept, ours]))


def _with_version(values: dict[str, YamlValue], place: ValuesPlace, text: str) -> YamlValue:
    """``values``, with the version of the provisioning format where the file has no such section yet."""
    sources = values.get(DATASOURCES[0])
    if not isinstance(sources, dict) or isinstance(dig(values_at(place, text), *DATASOURCES), list):
        return values
    # Grafana ignores a provisioning file without its version.
    file = sources[DATASOURCES[1]]
    assert isinstance(file, dict)
    return {**values, DATASOURCES[0]: {DATASOURCES[1]: {"apiVersion": 1, **file}}}


def _check_namespace(workspace: Workspace, place: GrafanaPlace) -> None:
    """Check that Grafana's pods can read the login: they read Secrets of their own namespace only.

    Raises:
        RefusedError: nothing in the repository gives them one there.
    """
    namespace, secret = place.namespace, workspace.settings.parseable.secret
    if namespace in (None, workspace.layout.namespace):
        return
    beside = f"{posixpath.dirname(place.path)}/"
    for path, text in workspace.tree.texts.items():
        if secret not in text:
            continue
        for document in load_documents(text):
            written = dig(document, "metadata", "namespace")
            if (
                dig(document, "kind") in _SECRETS
                and (written == namespace or (written is None and path.startswith(beside)))
                and secret in (dig(document, "metadata", "name"), dig(document, "spec", "target", "name"))
            ):
                return
    raise RefusedError(
        f"Grafana ({place.path}) runs in namespace {namespace}, Parseable's Secret in "
        f"{workspace.layout.namespace}: pods read Secrets of their own namespace",
        f"commit a Secret {secret} with the same login for namespace {namespace} (by External Secrets, say), "
        "or set gitops.apps and gitops.namespace to Grafana's, or grafana.manage to none",
    )


def _check_sources(workspace: Workspace, holders: Holders) -> None:
    """Check that our name and our uid are not those of two data sources.

    Raises:
        RefusedError: they are.
    """
    grafana = workspace.settings.grafana
    wanted = {"name": grafana.datasource_name, "uid": grafana.datasource_uid}
    sources = items(_values(workspace, holders.datasources), *DATASOURCES)
    if sum(is_same_entry(workspace.settings, source, wanted) for source in sources) > 1:
        raise RefusedError(
            f"{holders.datasources.path} has a data source named '{wanted['name']}' and another with uid "
            f"'{wanted['uid']}'",
            "rename one of them, or set grafana.datasource_name and grafana.datasource_uid",
        )


def _values(workspace: Workspace, place: ValuesPlace) -> Mapping[str, Any]:
    return values_at(place, workspace.tree.texts.get(place.path, ""))


def without_ours(settings: Settings, values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` of Grafana's chart without what the playbook adds to them."""
    found = dict(values)
    listed = items(values, PLUGINS)
    kept: list[Any] = [one for one in listed if not is_ours(settings.grafana, str(one))]
    if listed:
        found[PLUGINS] = kept
    for variable in VARIABLES:
        text = dig(found, "env", variable)
        if isinstance(text, str):
            others = [one for one in entries(text) if not is_ours(settings.grafana, one)]
            found["env"] = {**found["env"], variable: ",".join(others)}
    environment = mapping(values, ENVIRONMENT)
    found[ENVIRONMENT] = {
        name: one
        for name, one in environment.items()
        if dig(one, "secretKeyRef", "name") != settings.parseable.secret
    }
    ours = {"name": settings.grafana.datasource_name, "uid": settings.grafana.datasource_uid}
    sources = dig(values, *DATASOURCES)
    if isinstance(sources, list):
        kept = [one for one in sources if not is_same_entry(settings, one, ours)]
        files = mapping(values, DATASOURCES[0])
        found[DATASOURCES[0]] = {
            **files, DATASOURCES[1]: {**mapping(files, DATASOURCES[1]), DATASOURCES[2]: kept}
        }  # fmt: skip
    return found


def is_same_entry(settings: Settings, existing: object, wanted: object) -> bool:
    """Whether an item of one of Grafana's lists is the one meant.

    That is the plugin in whichever version, and the data source with the same name or the same uid.
    """
    if isinstance(existing, str) and isinstance(wanted, str):
        return is_ours(settings.grafana, existing)
    if isinstance(existing, dict) and isinstance(wanted, dict):
        return any(key in existing and existing[key] == wanted[key] for key in ("name", "uid"))
    return existing == wanted
