"""Which commits of the playbook are in effect, and what the repository would hold without them."""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from tasks.core.errors import RefusedError
from tasks.effects.git import Entry
from tasks.effects.history import FilesCommit, History, Past
from tasks.flux.listing import is_below
from tasks.flux.missing import need
from tasks.subjects.apps import KS
from tasks.subjects.message import signed
from tasks.subjects.signature import MARK, ROLLED_BACK
from tasks.workspace import Workspace
from tasks.yaml.diff import unified_diff
from tasks.yaml.documents import syntax_error
from tasks.yaml.templates import MARKER
from tasks.yaml.undo import undo

_Change = tuple[Entry | None, Entry | None]
_Changed = Mapping[str, _Change]
# As `git revert` writes it; we do, too.
_REVERTS = "This reverts commit"
_REVERTED = re.compile(rf"{_REVERTS} ([0-9a-f]{{40,64}})")


@dataclass(frozen=True)
class Rollback(FilesCommit):
    """Take ``commits`` back, in one commit: the states between them are nobody's, and Flux might apply one.

    ``diffs`` are those of the paths, with secrets hidden.
    """

    commits: tuple[Past, ...]
    diffs: Mapping[str, str] = field(repr=False)

    def diff(self) -> str:
        return "\n".join(filter(None, self.diffs.values()))


def plan(workspace: Workspace, history: History) -> Rollback | None:
    """The commit that takes back all that the playbook's commits did; None where nothing of it is in effect.

    Raises:
        RefusedError: later commits of others touch the same lines, edits are in the way, or git cannot tell.
        MissingError: the commits are of several clusters, and none is chosen.
    """
    history.check_complete()
    commits, is_all = _of_this_cluster(workspace, history, _in_effect(history))
    ours = _ours(workspace, history, [changed for _, changed in commits])
    before = history.entries_of(history.head_id, ours)
    states = _States(history, before)
    for commit, changed in commits:
        for path in ours & changed.keys():
            states.take_back(commit, path, *changed[path])
    states.check()
    wanted = {path: entry for path, entry in sorted(states.now.items()) if not _same(entry, before.get(path))}
    history.check_edits(wanted)
    if is_all:
        _check_left(set(history.with_text(history.head_id, MARKER)) - wanted.keys(), bool(commits))
    if not wanted:
        return None
    taken = tuple(commit for commit, changed in commits if not wanted.keys().isdisjoint(changed))
    diffs = {path: states.diff(path) for path in wanted}
    message = _message(workspace, taken)
    return Rollback(history, wanted, message, taken, diffs, contents=states.contents_of(wanted))


def _message(workspace: Workspace, commits: Sequence[Past]) -> str:
    """What the commit says: with the line of `git revert`, by which other tools know it, for each commit."""
    scope = workspace.layout.namespace
    said = [f'Take back "{commit.subject}"' for commit in commits]
    reverts = "\n".join(f"{_REVERTS} {commit.id}." for commit in commits)
    return signed(
        workspace, f"revert({scope}): take back Parseable and Vector", said, f"{reverts}\n\n{ROLLED_BACK}"
    )


# Which commits ----------------------------------------------------------------------------------------------


def _in_effect(history: History) -> list[Past]:
    """The playbook's commits that nothing took back, newest first; rebased and squashed ones are among them.

    A rollback takes back all that it was made on; a `git revert`, the commit that it names.
    """
    found: list[Past] = []
    reverted: set[str] = set()
    rollbacks: list[Past] = []
    for commit in history.commits(MARK, ROLLED_BACK, _REVERTS):
        if commit.id in reverted:
            continue
        is_ours = _says(commit, MARK) or _says(commit, ROLLED_BACK)
        if is_ours and any(history.comes_before(commit.id, one.id) for one in rollbacks):
            continue
        if _says(commit, ROLLED_BACK) and not _deploys(history, commit):
            rollbacks.append(commit)
        elif _says(commit, MARK):
            found.append(commit)
        reverted |= set(_REVERTED.findall(commit.message))
    return found


def _says(commit: Past, line: str) -> bool:
    # A squash merge (`git merge --squash`, or that of a forge) takes messages in whole, or indented.
    return re.search(rf"(?m)^[ \t]*{re.escape(line)}[ \t]*$", commit.message) is not None


def _deploys(history: History, commit: Past) -> bool:
    """Whether a commit that holds a rollback also holds, squashed into it, a rollout that came after that."""
    if not _says(commit, MARK) or not commit.parents:
        return False
    texts = _contents(history, [after for _, after in history.changed_by(commit).values()])
    return any(MARKER.encode() in text for text in texts.values())


def _of_this_cluster(
    workspace: Workspace, history: History, commits: Sequence[Past]
) -> tuple[list[tuple[Past, _Changed]], bool]:
    """The ``commits`` with what they changed, as far as they are about one cluster; and whether that is all.

    Commits that change the same files are about one; where there are several rollouts, the settings choose.
    """
    for commit in commits:
        if not commit.parents:
            raise RefusedError(
                f"{commit.short} is the first commit of the repository: without it there is nothing",
                "delete what the playbook wrote by hand",
            )
    changed: list[tuple[Past, _Changed]] = [(commit, history.changed_by(commit)) for commit in commits]
    groups: list[set[str]] = []
    for _, paths in changed:
        met = [group for group in groups if not group.isdisjoint(paths)]
        groups = [*(group for group in groups if group not in met), set(paths).union(*met)]
    rollouts = [group for group in groups if any(path.endswith(f"/{KS}") for path in group)]
    if len(rollouts) < 2 and workspace.settings.gitops.cluster is None:
        return changed, True
    apps = need(workspace.layout.apps)
    ours = [group for group in groups if any(is_below(path, apps) for path in group)]
    return [item for item in changed if any(not group.isdisjoint(item[1]) for group in ours)], False


def _ours(workspace: Workspace, history: History, commits: Sequence[_Changed]) -> set[str]:
    """The paths at which the commits changed something of ours: a squash merge may hold more than that."""
    texts = _contents(history, [entry for one in commits for pair in one.values() for entry in pair])
    settings = workspace.settings
    names = {"parseable", "vector", settings.parseable.name, settings.vector.name}

    def said(pair: _Change) -> list[str]:
        return ["" if one is None else _decoded(texts[one.blob]) for one in pair]

    changed = [(path, *said(pair)) for one in commits for path, pair in one.items()]
    marked = {path for path, before, after in changed if MARKER in before or MARKER in after}
    apps = workspace.layout.apps
    folders = {path.removesuffix(f"/{KS}") for path in marked if path.endswith(f"/{KS}")}
    if isinstance(apps, str):
        folders |= {f"{apps}/{name}" for name in (settings.parseable.name, settings.vector.name)}
    names |= {folder.rpartition("/")[2] for folder in folders}
    listed = {f"{name}/{KS}" for name in names} | {f"{name}.yaml" for name in names}
    # Chart sources may lie elsewhere, and be named as their neighbours.
    apart = {path for path in marked if not any(is_below(path, one) for one in folders)}
    listed |= {path.rpartition("/")[2] for path in apart}
    entry = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, sorted(listed)))})(?![\w.-])")
    # Grafana's holders name the plugin, the data source and the Secret.
    words = {"parseable", settings.parseable.secret.casefold(), settings.grafana.datasource_name.casefold()}

    def is_edited(path: str, before: str, after: str) -> bool:
        """Whether lines changed that are ours, in a file of others."""
        is_listing = path.rpartition("/")[2] in ("kustomization.yaml", "kustomization.yml", "Kustomization")
        if not is_listing and not path.endswith((".yaml", ".yml")):
            return False
        lines = "\n".join({*before.splitlines()} ^ {*after.splitlines()})
        if is_listing and entry.search(lines) is not None:
            return True
        return _names_grafana(path, before, after, lines, words)

    return {
        path
        for path, before, after in changed
        if path in marked or any(is_below(path, one) for one in folders) or is_edited(path, before, after)
    }


def _names_grafana(path: str, before: str, after: str, lines: str, words: Set[str]) -> bool:
    is_grafana = "grafana" in f"{path}{before}{after}".casefold()
    return is_grafana and any(word in lines.casefold() for word in words)


def _check_left(left: Set[str], is_found: bool) -> None:
    """Check that no file of the playbook is left.

    Raises:
        RefusedError: some are, which no commit with its mark accounts for.
    """
    if left:
        what = "would be left" if is_found else "are there, and no commit of it is found that is in effect"
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise RefusedError(
            f"files of the playbook {what}: {', '.join(sorted(left)[:3])}{more}; nothing was changed",
            f"they were moved, or committed without the line '{MARK}' (git log -- PATH says by whom): "
            "invoke remove takes them out",
        )


# What comes out ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Clash:
    """A file in which others changed what ``commit`` had made of it."""

    path: str
    commit: Past
    was: Entry | None
    became: Entry | None


class _States:
    """What the changed paths hold, one commit after the other being taken back, in memory."""

    def __init__(self, history: History, before: Mapping[str, Entry]) -> None:
        self._history = history
        self._before = before
        self._as_left: dict[str, bool] = {}
        self._clashes: dict[str, _Clash] = {}
        self._ours: set[str] = set()
        self._texts: dict[str, bytes] = {}
        self._made: dict[str, bytes] = {}
        self.now: dict[str, Entry | None] = {}

    def take_back(self, commit: Past, path: str, was: Entry | None, became: Entry | None) -> None:
        """Undo that ``commit`` made ``became`` of ``was``, unless something later is in the way."""
        self._ours.add(commit.id)
        now = self.now.get(path, self._before.get(path))
        # A file that is as its last commit of ours left it holds nothing of others.
        is_as_left = self._as_left.setdefault(path, _same(now, became))
        if path in self._clashes:
            return
        if _same(now, became) or _same(now, was) or (was is None and is_as_left):
            self.now[path] = was
            return
        undone = None
        if now is not None and was is not None and became is not None and _are_files(now, was, became):
            text = self._undone(path, was, became, now)
            undone = None if text is None else replace(was, blob=self._named(text))
        if undone is None:
            self._clashes[path] = _Clash(path, commit, was, became)
        else:
            self.now[path] = undone

    def _undone(self, path: str, was: Entry, became: Entry, now: Entry) -> str | None:
        texts = [self._text(entry) for entry in (was, became, now)]
        done = undo(*texts)
        is_broken = (
            path.endswith((".yaml", ".yml")) and syntax_error(done.text) and not syntax_error(texts[2])
        )
        return None if done.clashes or is_broken else done.text

    def check(self) -> None:
        """Check that nothing was in the way.

        Raises:
            RefusedError: something was; it names the files, and the commits that touched the same lines.
        """
        if not self._clashes:
            return
        lines = []
        others: dict[str, Past] = {}
        for clash in self._clashes.values():
            touching = self._touching(clash)
            others |= {commit.id: commit for commit in touching}
            said = "; ".join(map(str, touching)) or f"it is not what {clash.commit} left"
            lines.append(f"- {clash.path}: {said}")
        count = len(others)
        who = f"{count} later commit{'s' if count != 1 else ''}" if count else "something"
        newest = " ".join(commit.short for commit in others.values())
        raise RefusedError(
            "\n".join([f"{who} changed lines that would be taken back; nothing was changed", *lines]),
            f"take those back first (git revert {newest}), then run again; or take out what is there now, "
            "with their changes: invoke remove"
            if count
            else "git log says more; invoke remove takes out what is there now",
        )

    def _touching(self, clash: _Clash) -> list[Past]:
        """The commits of others, newest first, that changed what is in the way in a file."""
        later = self._history.commits(since=clash.commit.id, path=clash.path)
        others = [commit for commit in later if commit.id not in self._ours]
        touching = [commit for commit in others if self._touches(clash, commit)]
        return touching or others

    def _touches(self, clash: _Clash, commit: Past) -> bool:
        if not commit.parents:
            return True
        found = self._history.changed_by(commit).get(clash.path)
        if found is None or clash.was is None or clash.became is None:
            return found is not None
        regions = [
            undo(*map(self._text, (clash.was, clash.became, entry))).clashes
            if entry is not None and _are_files(entry)
            else None
            for entry in found
        ]
        return regions[0] != regions[1]

    def _text(self, entry: Entry) -> str:
        if entry.blob not in self._texts:
            self._texts |= _contents(self._history, [entry])
        return _decoded(self._texts[entry.blob])

    def _named(self, text: str) -> str:
        content = text.encode(errors="surrogateescape")
        name = self._history.name_of(content)
        self._made[name] = self._texts[name] = content
        return name

    def contents_of(self, wanted: Mapping[str, Entry | None]) -> list[bytes]:
        """What git does not have of ``wanted``."""
        return [self._made[one.blob] for one in wanted.values() if one is not None and one.blob in self._made]

    def diff(self, path: str) -> str:
        """The diff of a path, with secrets hidden."""
        entries = (self._before.get(path), self.now[path])
        before, after = (None if entry is None else self._text(entry) for entry in entries)
        return unified_diff(path, before, after)


def _same(one: Entry | None, other: Entry | None) -> bool:
    return _identity(one) == _identity(other)


def _identity(entry: Entry | None) -> tuple[str, str] | None:
    return None if entry is None else (entry.mode, entry.blob)


def _are_files(*entries: Entry) -> bool:
    return len({entry.mode for entry in entries}) == 1 and not entries[0].is_link


def _contents(history: History, entries: Iterable[Entry | None]) -> dict[str, bytes]:
    """What the ``entries`` hold, by the names of their blobs."""
    wanted = {entry.blob: entry for entry in entries if entry is not None}
    return {entry.blob: content for _, entry, content in history.contents(wanted)}


def _decoded(content: bytes) -> str:
    # Whatever it is, it is written back as it was.
    return content.decode(errors="surrogateescape")
