"""Other people's files that get a few lines of ours: the two kustomizations and Grafana's HelmRelease."""

import posixpath
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tasks.core.documents import load_documents
from tasks.core.errors import RefusedError
from tasks.core.grafana import GrafanaPlace
from tasks.core.layout import need
from tasks.core.render import render
from tasks.core.settings import DOCUMENTED, Settings
from tasks.core.yamledit import YamlValue, ensure
from tasks.effects.files import WriteFile
from tasks.effects.repository import same_text
from tasks.effects.world import World
from tasks.manifests import placeholder_values, template


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
        only_ours = self.head is not None and same_text(self.edit(self.head), self.edit(self.current))
        if only_ours or world.permissions.force:
            return True
        raise RefusedError(
            f"{self.path} has changes of yours that are not committed",
            "commit or stash them first; with --force they go into the playbook's commit",
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


def _list(world: World, path: str, entries: Iterable[str]) -> SharedFile:
    def edit(text: str) -> str:
        return ensure(text, ("resources",), list(entries), name=path, same=is_same_path)

    return SharedFile(path, world.repository.read(path) or "", world.repository.head(path), edit)


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
    section = values_at(place, text)
    for key in ("datasources", "datasources.yaml"):
        section = section.get(key) if isinstance(section, dict) else None
    if section:
        return values
    # Grafana ignores a provisioning file without its version.
    provisioning = {"apiVersion": 1, **values["datasources"]["datasources.yaml"]}
    return {**values, "datasources": {"datasources.yaml": provisioning}}
