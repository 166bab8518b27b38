"""What a commit of the playbook says: the first rollout, or what differs from HEAD in words."""

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from string import Template
from typing import Any
from urllib.parse import urlsplit

from tasks.core.redaction import redacted
from tasks.subjects.apps import RELEASE
from tasks.subjects.manifests import APPS, own_files
from tasks.subjects.parseable import PARSEABLE, QUERY_MEMORY_VARIABLE, SECRET, SERVICE_MONITOR
from tasks.subjects.signature import MARK
from tasks.subjects.vector import VECTOR
from tasks.workspace import Workspace
from tasks.yaml.documents import load_documents, syntax_error

_FIRST = "deploy Parseable log aggregation with Vector"
# Of a first line, beyond which git's own tools cut it; and of a value in a line.
_SUBJECT, _VALUE = 72, 40
# What a release patches: another kind or name is a chart of another shape.
_PATCHED = "spec.postRenderers.kustomize.patches.target."
_Leaf = str | int | float | bool | None


@dataclass(frozen=True)
class Difference:
    """One value that a commit changes, at the dotted ``where`` of a document."""

    kind: str
    name: str
    where: str
    before: _Leaf
    after: _Leaf


def is_first(workspace: Workspace) -> bool:
    """Whether HEAD holds no file of the playbook's apps: what is committed now is the first rollout.

    Raises:
        MissingError: the repository shows no folder of apps.
    """
    own = own_files(workspace)
    workspace.repository.load_heads(own)
    return all(workspace.repository.head(path) is None for path in own)


def message(workspace: Workspace, paths: Sequence[str], grafana: Sequence[str]) -> str:
    """The message of a commit of ``paths``, of which ``grafana`` are the user's files for Grafana.

    It is what ``commit.message`` makes of the subject and the changes, with the playbook's own mark below.
    """
    first = is_first(workspace)
    said = list(_first_rollout(workspace, paths, grafana) if first else _changes(workspace, paths, grafana))
    subject = _FIRST if first else _subject(said)
    scope = workspace.layout.namespace
    issue = workspace.settings.gitops.issue
    closes = f"\nCloses: #{issue}" if issue is not None else ""
    return signed(workspace, f"{'feat' if first else 'chore'}({scope}): {subject}", said, f"{MARK}{closes}")


def signed(workspace: Workspace, subject: str, changes: Sequence[str], end: str) -> str:
    """What ``commit.message`` makes of a ``subject`` and ``changes``, with the last paragraphs ``end``."""
    text = Template(workspace.settings.commit.message).substitute(
        subject=subject,
        changes="\n".join(f"- {one[:1].upper()}{one[1:]}" for one in changes),
        namespace=workspace.layout.namespace,
    )
    return f"{text.strip()}\n\n{end}\n"


def with_paragraph(text: str, paragraph: str) -> str:
    """The message ``text`` with one more paragraph before the playbook's own mark."""
    told, mark, closing = text.rpartition(f"\n\n{MARK}")
    return f"{told}\n\n{paragraph}{mark}{closing}"


def version_changes(workspace: Workspace, before: str, after: str) -> list[str]:
    """What a new text of a file changes of versions, each in words; empty if nothing."""
    differences = _differences(load_documents(before), load_documents(after))
    return [
        _weighty(workspace, item)
        for item in differences
        if item.where.endswith(("chart.spec.version", "image.tag")) and None not in (item.before, item.after)
    ]


def _first_rollout(workspace: Workspace, paths: Sequence[str], grafana: Sequence[str]) -> Iterator[str]:
    host = urlsplit(workspace.settings.s3.endpoint).netloc
    lines = {
        PARSEABLE.path(
            workspace, RELEASE
        ): f"add Parseable, with bucket {workspace.settings.s3.bucket} at {host}",
        VECTOR.path(workspace, RELEASE): "add Vector, which collects the logs of all pods",
        PARSEABLE.path(workspace, SECRET): "encrypt the S3 credentials with SOPS",
        PARSEABLE.path(workspace, SERVICE_MONITOR): "add a ServiceMonitor for Parseable's metrics",
        **dict.fromkeys(grafana[:1], "add Parseable's plugin and data source to Grafana"),
    }
    yield from (line for path, line in lines.items() if path in paths)


def _subject(said: Sequence[str]) -> str:
    """All that changes in one line, or the first of it and how much more."""
    if not said:
        return "update Parseable and Vector"
    joined = ", ".join(said)
    if len(joined) <= _SUBJECT:
        return joined
    more = f" and {len(said) - 1} more" if len(said) > 1 else ""
    return f"{textwrap.shorten(said[0], _SUBJECT - len(more), placeholder=' …')}{more}"


def _changes(workspace: Workspace, paths: Sequence[str], grafana: Sequence[str]) -> Iterator[str]:
    """What a commit of ``paths`` changes, the weightiest first."""
    apps = f"{workspace.layout.apps}/"
    secret = PARSEABLE.path(workspace, SECRET)
    known = workspace.repository.texts_of(paths)
    told: list[str] = []
    others: list[str] = []
    for path in paths:
        head, text = workspace.repository.head(path), known.get(path)
        if path == secret:
            others.append("encrypt the Secret of Parseable" + (" anew" if head is not None else ""))
        elif path in grafana:
            others.append("change Parseable's entries in Grafana")
        elif text is None:
            others.append(f"delete {path.removeprefix(apps)}")
        elif head is None:
            others.append(f"add {path.removeprefix(apps)}")
        else:
            found = list(_differences(load_documents(head), load_documents(text)))
            is_reshaped = any(item.where.startswith(_PATCHED) for item in found)
            for item in found:
                weighty = _weighty(workspace, item)
                if weighty:
                    told.append(weighty)
                else:
                    others.append(_reshaped(item) if is_reshaped else _plainly(item))
    # What follows from another value comes after it.
    others.sort(key=lambda one: QUERY_MEMORY_VARIABLE in one)
    yield from dict.fromkeys((*told, *others))


def _weighty(workspace: Workspace, item: Difference) -> str:
    """A change that has a name of its own: another version, image, bucket or server; else empty."""
    titles = {app.settings(workspace.settings).name: app.name.capitalize() for app in APPS}
    title = titles.get(item.name, item.name)
    before, after = redacted(str(item.before)), redacted(str(item.after))
    if item.kind == "HelmRelease" and item.where == "spec.chart.spec.version":
        verb = "downgrade" if _age(after) < _age(before) else "upgrade"
        return f"{verb} the chart of {title} from {before} to {after}"
    if item.where.endswith("image.tag"):
        return f"run {title} {after} instead of {before}"
    for name, what in (("P_S3_BUCKET", "bucket"), ("P_S3_URL", "the S3 server")):
        # A variable of the values, or of a container in a patch.
        is_text = isinstance(item.before, str) and isinstance(item.after, str)
        if is_text and item.where.endswith((name, f"{name}.value")):
            return f"use {what} {after} instead of {before}"
    return ""


def _age(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("-")[0])))


def _reshaped(item: Difference) -> str:
    """Any change of a release whose chart makes another workload: all of its values have another place."""
    return f"change the values and patches of {item.kind} {item.name} to what that chart reads"


def _plainly(item: Difference) -> str:
    """Any other change: what was set, and to what if that is short."""
    place = f"{item.where.removeprefix('spec.values.')} of {item.kind} {item.name}"
    values = [redacted(str(value)) for value in (item.before, item.after)]
    if item.after is None:
        return f"take {place} away"
    if any(len(value) > _VALUE or "\n" in value for value in values):
        return f"change {place}"
    if item.before is None:
        return f"set {place} to {values[1]}"
    return f"change {place} from {values[0]} to {values[1]}"


def _differences(before: Sequence[Any], after: Sequence[Any]) -> Iterator[Difference]:
    """The values that differ between the documents of a file, those with the same number compared."""
    for number in range(max(len(before), len(after))):
        old, new = (list_[number] if number < len(list_) else None for list_ in (before, after))
        one = new if isinstance(new, dict) else old
        metadata = one.get("metadata") if isinstance(one, dict) else None
        kind = str(one.get("kind", "")) if isinstance(one, dict) else ""
        name = str(metadata.get("name", "")) if isinstance(metadata, dict) else ""
        for where, was, is_now in _leaves(old, new, ""):
            yield Difference(kind, name, where, was, is_now)


def _leaves(old: Any, new: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    if old == new:
        return
    old, new = _by_name(_read(old, where), _read(new, where))
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from _leaves(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) == 1:
        yield from _leaves(old[0], new[0], where)
    elif isinstance(old, dict | list) or isinstance(new, dict | list):
        # As a whole: which element of a list was which is anybody's guess.
        yield where, _size(old), _size(new)
    else:
        yield where, old, new


def _read(value: Any, where: str) -> Any:
    """What the text of a patch says; anything else as it is."""
    is_patch = where.endswith(".patch") and isinstance(value, str) and not syntax_error(value)
    documents = load_documents(value) if is_patch else []
    return documents[0] if len(documents) == 1 else value


def _by_name(*lists: Any) -> tuple[Any, ...]:
    """Lists whose elements all have names of their own (containers, variables) as maps, else as they are."""
    found = []
    for one in lists:
        if not isinstance(one, list):
            return lists
        names = [item.get("name") if isinstance(item, dict) else None for item in one]
        if None in names or len(set(names)) != len(names):
            return lists
        found.append(dict(zip(names, one, strict=True)))
    return tuple(found)


def _size(value: Any) -> Any:
    if isinstance(value, list):
        return f"{len(value)} entries"
    return f"{len(value)} keys" if isinstance(value, dict) else value
