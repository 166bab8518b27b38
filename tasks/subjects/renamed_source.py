"""The data source of Grafana's release under a new name or uid: the old entry becomes the new one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tasks.flux.grafana_values import DATASOURCES, ValuesPlace, values_at
from tasks.subjects.written import is_ours
from tasks.workspace import Workspace
from tasks.yaml.documents import dig, items
from tasks.yaml.editing import YamlValue

# What Grafana deletes before it makes those that are listed. It knows them by their names: one that is listed
# under another is a second one, and with the uid of the first it is refused, and Grafana does not start.
# https://grafana.com/docs/grafana/latest/administration/provisioning/#data-sources
DELETED: Final = "deleteDatasources"
_Key = tuple[object, object]


def former_entries(
    workspace: Workspace, place: ValuesPlace, text: str, wanted: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    """The entries of ``text`` that are ``wanted`` under a former name or uid.

    That is one with the same uid; else those that a commit of ours put there.
    """
    sources = [one for one in items(values_at(place, text), *DATASOURCES) if isinstance(one, dict)]
    if any(one.get("name") == wanted["name"] for one in sources):
        return []
    alike = [one for one in sources if one.get("uid") == wanted["uid"]]
    if alike:
        return alike
    # Who made it is asked only where it may be ours.
    similar = [one for one in sources if one.get("type") == wanted["type"] or one.get("url") == wanted["url"]]
    ours = set(_written(workspace, place)) if similar else set()
    return [one for one in similar if _key(one) in ours]


def _written(workspace: Workspace, place: ValuesPlace) -> Iterator[_Key]:
    """The names and uids of the entries that commits of ours put there."""
    for version in workspace.repository.versions(place.path):
        if is_ours(version):
            before, after = ((_keys(place, text or "")) for text in (version.before, version.after))
            yield from (key for key in after if key not in before)


def _keys(place: ValuesPlace, text: str) -> list[_Key]:
    return [_key(one) for one in items(values_at(place, text), *DATASOURCES)]


def _key(source: object) -> _Key:
    name, uid = dig(source, "name"), dig(source, "uid")
    return (name if isinstance(name, str) else None), (uid if isinstance(uid, str) else None)


def with_deleted(
    file: Mapping[str, YamlValue], former: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]
) -> dict[str, YamlValue]:
    """The provisioning ``file``, with the former names of the data source among those to be deleted."""
    gone: list[YamlValue] = [
        {"name": str(one["name"]), "orgId": one.get("orgId", 1)}
        for one in former
        if one.get("name") not in (None, wanted["name"])
    ]
    return {**file, DELETED: gone} if gone else dict(file)
