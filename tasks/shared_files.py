"""Other people's files that get a few lines of ours: the two kustomizations and Grafana's HelmRelease."""

import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.core.errors import RefusedError
from tasks.core.settings import DOCUMENTED, Settings
from tasks.effects.files import WriteFile
from tasks.flux.grafana import GrafanaPlace
from tasks.flux.layout import need
from tasks.manifests import placeholder_values, template
from tasks.workspace import World
from tasks.yaml.documents import load_documents
from tasks.yaml.editing import YamlValue, ensure
from tasks.yaml.templates import render


@dataclass(frozen=True)
class SharedFile:
    """One such file: its text in the work tree and in HEAD; ``edit`` puts our lines into a text."""

    path: str
    current: str = field(repr=False)
    head: str | None = field(repr=False)
    edit: Callable[[str], str] = field(repr=False, compare=False)

    def change(self, world: World) -> WriteFile | None:
        """The edit that is still to be made, or None.

        Raises:
            RefusedError: the text cannot be edited safely.
        """
        after = self.edit(self.current)
        return (
            None
            if after == self.current
            else WriteFile(world.repository.root, self.path, self.current, after)
        )

    def needs_commit(self, world: World) -> bool:
        """Whether HEAD lacks our lines, so that the file belongs into our commit.

        Raises:
            RefusedError: it does, and the file also has edits of somebody else that are not committed;
                committing it would commit those too. With --force it may.
        """
        if self.head is not None and self.edit(self.head) == self.head:
            return False
        # Byte for byte: a comment, or other quotes, are somebody's work too.
        if world.permissions.force or (
            self.head is not None
            and world.repository.git.stores_alike(self.path, self.edit(self.head), self.edit(self.current))
        ):
            return True
        raise RefusedError(
            f"{self.path} has changes of yours that are not committed",
            "commit or stash them first (a formatter's too); with --force they go into the playbook's commit",
        )


def apps_list(world: World) -> SharedFile:
    """The kustomization that lists the apps."""
    settings = world.settings
    entries = (f"./{settings.parseable.name}/ks.yaml", f"./{settings.vector.name}/ks.yaml")
    return _list(world, need(world.layout.apps_kustomization), entries)


def repositories_list(world: World, files: Iterable[str]) -> SharedFile:
    """The kustomization that lists the HelmRepositories, with ``files`` of its folder among them."""
    entries = [f"./{posixpath.basename(path)}" for path in files]
    return _list(world, need(world.layout.repositories_kustomization), entries)


def _list(world: World, path: str, entries: Sequence[str]) -> SharedFile:
    def edit(text: str) -> str:
        return ensure(text, ("resources",), _as_spelled(text, entries), name=path)

    return SharedFile(path, world.repository.read(path) or "", world.repository.head(path), edit)


def _as_spelled(text: str, entries: Sequence[str]) -> YamlValue:
    """``entries`` as the kustomization ``text`` spells them, or would: with or without "./"."""
    documents = load_documents(text)
    listed = documents[0].get("resources") if documents and isinstance(documents[0], dict) else None
    existing = [entry for entry in listed if isinstance(entry, str)] if isinstance(listed, list) else []
    bare = bool(existing) and not any(entry.startswith("./") for entry in existing)
    return [
        next(
            (item for item in existing if is_same_path(item, entry)),
            entry.removeprefix("./") if bare else entry,
        )
        for entry in entries
    ]


def is_same_path(existing: object, wanted: object) -> bool:
    """Whether two entries of a kustomization name the same file: "./a/ks.yaml" and "a/ks.yaml" do."""
    return (
        isinstance(existing, str)
        and isinstance(wanted, str)
        and posixpath.normpath(existing) == posixpath.normpath(wanted)
    )


def grafana_file(world: World) -> SharedFile:
    """The HelmRelease of Grafana.

    Raises:
        RefusedError: the repository has no Grafana, several, or one in another namespace.
    """
    place = need(world.layout.grafana)
    current = world.repository.read(place.path) or ""
    _check_lists(world, place, current)
    values = load_documents(render(template(DOCUMENTED.grafana.path), placeholder_values(world)))[0]

    def edit(text: str) -> str:
        return ensure(
            text,
            place.level,
            _wanted_values(values, place, text),
            name=place.path,
            document=place.document,
            same=lambda existing, wanted: is_same_entry(world.settings, existing, wanted),
        )

    return SharedFile(place.path, current, world.repository.head(place.path), edit)


def _check_lists(world: World, place: GrafanaPlace, text: str) -> None:
    """Check that the file itself holds all there is of the lists that get an entry.

    Raises:
        RefusedError: they may be in a ConfigMap or Secret, and a list in the file would replace them; or two
            data sources of the file have our name and our uid between them.
    """
    values = values_at(place, text)
    plugins, sources = _listed(values, "plugins"), _listed(values, *_DATASOURCES)
    if place.has_values_elsewhere and (plugins is None or sources is None):
        raise RefusedError(
            f"{place.path} has spec.valuesFrom, and no plugins or datasources of its own",
            "Helm would replace lists that are elsewhere: move plugins and datasources into spec.values",
        )
    wanted = {"name": world.settings.grafana.datasource_name, "uid": world.settings.grafana.datasource_uid}
    if sum(is_same_entry(world.settings, source, wanted) for source in sources or ()) > 1:
        raise RefusedError(
            f"{place.path} has a data source named '{wanted['name']}' and another with uid '{wanted['uid']}'",
            "rename one of them, or set grafana.datasource_name and grafana.datasource_uid",
        )


_DATASOURCES = ("datasources", "datasources.yaml", "datasources")


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
    if _listed(values_at(place, text), *_DATASOURCES) is not None:
        return values
    # Grafana ignores a provisioning file without its version.
    provisioning = {"apiVersion": 1, **values["datasources"]["datasources.yaml"]}
    return {**values, "datasources": {"datasources.yaml": provisioning}}
