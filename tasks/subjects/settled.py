"""What a file of ours should say where its owner, or a bot, committed changes: theirs, and the settings'."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.core.errors import PlaybookError, RefusedError, SettingsError
from tasks.core.redaction import HIDDEN, redacted
from tasks.core.secret_names import sounds_secret
from tasks.core.settings import FILE, SECTIONS, Layer, kinds_of, load
from tasks.subjects.written import Written, written
from tasks.workspace import Workspace
from tasks.yaml.documents import dig, load_documents, same, same_documents, syntax_error
from tasks.yaml.merging import MISSING, Difference, leaves, merge_texts
from tasks.yaml.templates import MANIFESTS, scalar

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
_KEY = re.compile(r"[\w-]+")
# Of a value in a line, and of values in an error.
_LONGEST, _MOST = 60, 3


@dataclass(frozen=True)
class Settled:
    """The text that a file should have, with what there is to say of it.

    ``kept`` are the owner's values in it that differ from those of the settings, by the dotted names of the
    settings that would take them; ``refusal`` is why it cannot be written.
    """

    text: str = field(repr=False)
    said: tuple[str, ...] = ()
    kept: Mapping[str, Any] = field(default_factory=dict)
    refusal: PlaybookError | None = None


def settle(workspace: Workspace, path: str, wanted: str, template: str) -> Settled:
    """Compare the file ``path`` three ways: as written last, as committed, and ``wanted``.

    ``template`` is where ``wanted`` comes from, below manifests/.
    """
    head = workspace.repository.head(path)
    chosen = [item.partition(":")[2] for item in workspace.permissions.overwrite if _file_of(item) == path]
    if head is None or "" in chosen:
        return Settled(wanted)
    if same_documents(head, wanted):
        return Settled(head)
    found = written(workspace.repository.versions(path), is_shallow=workspace.repository.git.is_shallow)
    if found.base is None and workspace.permissions.adopt:
        said = f"{path} is taken over: what it says beside the settings goes"
        return Settled(wanted, (said,))
    refusal = _unclear(path, head, found)
    return (
        Settled(head, refusal=refusal)
        if refusal
        else _merged(workspace, path, wanted, template, found, chosen)
    )


def _file_of(item: str) -> str:
    return item.partition(":")[0]


def _unclear(path: str, head: str, found: Written) -> RefusedError | None:
    """Why nothing says whose the difference between a committed file and the settings is; None if it does."""
    have_it = f"--overwrite {path} has it written anew"
    broken = syntax_error(head)
    if broken or not load_documents(head):
        return RefusedError(
            f"{path}:{broken or '1:1: nothing but comments'}; the file was committed like that",
            f"correct it and commit it; {have_it}",
        )
    if found.is_cut:
        return RefusedError(
            f"{path} differs from the settings, and this clone is too shallow to tell who changed it",
            f"git fetch --unshallow; {have_it}",
        )
    if found.base is None:
        return RefusedError(
            f"{path} is in the place of a file of the playbook, and was not written by it",
            f"move it to another name; {have_it}",
        )
    return None


def _merged(
    workspace: Workspace, path: str, wanted: str, template: str, found: Written, chosen: Sequence[str]
) -> Settled:
    """The file with the changes of its owner and of the settings, which get the ``chosen`` places."""
    head = workspace.repository.head(path)
    assert head is not None
    assert found.base is not None
    lines = _settings_of(template, wanted)
    agreed = _Agreed(workspace, found.commit, lines)
    asked: set[str] = set()

    def is_ours(where: str) -> bool:
        asked.add(where)
        return where in chosen

    merged = merge_texts(found.base, head, wanted, is_ours)
    over = {item.path for item in merged.clashes if agreed.on(item)}
    if over:
        merged = merge_texts(found.base, head, wanted, lambda where: is_ours(where) or where in over)
    known = {where for text in (head, wanted) for where, _ in leaves(load_documents(text))} | asked
    strange = [where for where in chosen if where not in known]
    if strange:
        error = SettingsError(f"{path} has nothing at {strange[0]}", "name a place as the plan does")
        return Settled(head, refusal=error)
    if merged.clashes:
        return Settled(head, refusal=_clash(path, merged.clashes, lines))
    said = [*_told(path, merged.kept, lines)]
    if not merged.is_whole:
        said.append(f"{path} loses comments of yours: they stand where the settings change it")
    kept = {lines[item.path]: item.theirs for item in merged.kept if _line(item, lines)}
    return Settled(merged.text, tuple(said), kept)


class _Agreed:
    """Whether a value was set as it is committed, at some time since the playbook wrote it."""

    def __init__(self, workspace: Workspace, commit: str, lines: Mapping[str, str]) -> None:
        self._repository, self._commit, self._lines = workspace.repository, commit, lines

    def on(self, item: Difference) -> bool:
        """Whether the settings file had the value that the owner's file has: then they are one again."""
        key = self._lines.get(item.path)
        if key is None:
            return False
        section, name = key.split(".")
        versions = self._repository.git.versions(FILE, since=self._commit)
        texts = [one.after for one in versions]
        texts.append(versions[-1].before if versions else self._repository.head(FILE))
        return any(
            same(dig(load_documents(text)[:1], 0, section, name), item.theirs) for text in texts if text
        )


# What is said ---------------------------------------------------------------------------------------------


def _told(path: str, kept: tuple[Difference, ...], lines: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each value that is kept."""
    added = [item.path for item in kept if item.ours is MISSING]
    for item in kept:
        if item.ours is MISSING:
            continue
        line = _line(item, lines)
        more = f"; to set it: {line}" if line else ""
        if item.theirs is MISSING:
            yield f"kept, differs from the settings: {path}:{item.path} is taken out"
        else:
            yield (
                f"kept, differs from the settings: {path}:{item.path} is {_shown(item, item.theirs)}, "
                f"not {_shown(item, item.ours)}{more}"
            )
    if added:
        yield f"kept, not of the settings: {path}: {', '.join(added)}"


def _clash(path: str, clashes: tuple[Difference, ...], lines: Mapping[str, str]) -> RefusedError:
    told = [
        f"{item.path or 'the file'} is {_shown(item, item.theirs)}, the settings have "
        f"{_shown(item, item.ours)}, and it was {_shown(item, item.base)}"
        for item in clashes[:_MOST]
    ]
    more = f"; and {len(clashes) - _MOST} more" if len(clashes) > _MOST else ""
    line = _line(clashes[0], lines)
    place = f"{path}:{clashes[0].path}" if len(clashes) == 1 and clashes[0].path else path
    return RefusedError(
        f"{path} was changed by a commit of somebody else and by the settings: {'; '.join(told)}{more}",
        f"{f'to keep what is committed, set {line}; ' if line else ''}"
        f"to have what the settings say: --overwrite {shlex.quote(place)}",
    )


def _shown(item: Difference, value: Any) -> str:
    """A value in a sentence, unless it may be a secret."""
    if value is MISSING:
        return "not there"
    if isinstance(value, dict | list):
        count, one = len(value), "key" if isinstance(value, dict) else "entry"
        return f"{count} {one if count == 1 else {'key': 'keys', 'entry': 'entries'}[one]}"
    if any(map(sounds_secret, _KEY.findall(item.path))):
        return HIDDEN
    text = redacted(str(scalar(value)) if isinstance(value, str | int | None) else str(value))
    return text if len(text) <= _LONGEST and "\n" not in text else "another text"


def _line(item: Difference, lines: Mapping[str, str]) -> str:
    """The line of the settings that makes the owner's value theirs; empty where no setting takes it."""
    key, value = lines.get(item.path), item.theirs
    if key is None or value is MISSING:
        return ""
    section, name = key.split(".")
    try:
        load([Layer("", {section: {name: value}})])
    except SettingsError:
        return ""
    return f"{key}: {scalar(value)}"


def _settings_of(template: str, wanted: str) -> dict[str, str]:
    """The places of the text ``wanted`` that a setting alone fills, with its dotted name.

    ``template`` is what the text was made from; a place may lead through a name that it leaves open.
    """
    places = [where for where, _ in leaves(load_documents(wanted))]
    found: dict[str, str] = {}
    for where, value in leaves(load_documents((MANIFESTS / template).read_text(encoding="utf-8"))):
        placeholder = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
        key = _key_of(placeholder[1]) if placeholder else ""
        if not key:
            continue
        parts = _PLACEHOLDER.split(where)[::2]
        if len(parts) == 1:
            found[where] = key
        else:
            pattern = re.compile("[^]]+".join(map(re.escape, parts)))
            found |= dict.fromkeys(filter(pattern.fullmatch, places), key)
    return found


def _key_of(placeholder: str) -> str:
    """The dotted name of the setting ``section_name``; empty if there is none."""
    for section in SECTIONS:
        name = placeholder.removeprefix(f"{section}_")
        if name != placeholder and name in kinds_of(section):
            return f"{section}.{name}"
    return ""
