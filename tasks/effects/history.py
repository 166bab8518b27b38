"""The past of a repository: commits by what they say, what they changed, and files as a tree has them."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from tasks.core.changes import Change
from tasks.core.errors import RefusedError
from tasks.effects import shell
from tasks.effects.files import read_bytes
from tasks.effects.git import Entry, Git
from tasks.effects.scratch import scratch_folder

# id, parents, author, date, message; NUL ends a commit.
_FORMAT = "--format=%x01%H%x02%P%x02%an%x02%as%x02%B%x00"
_ABSENT = "000000"
_SUBMODULE = "160000"


@dataclass(frozen=True)
class Past:
    """A commit: ``parents`` are ids, ``date`` is YYYY-MM-DD."""

    id: str
    parents: tuple[str, ...]
    author: str
    date: str
    message: str = field(repr=False)

    @property
    def short(self) -> str:
        """As much of its id as a person reads."""
        return self.id[:10]

    @property
    def subject(self) -> str:
        """The first line of its message."""
        return self.message.partition("\n")[0]

    def __str__(self) -> str:
        return f"{self.short} {self.subject} ({self.author}, {self.date})"


class History(Git):
    """A repository with the commits that HEAD is made of. No replacement (git replace) is looked at."""

    def _ask(self, *arguments: str, stdin: bytes = b"", **environment: str) -> shell.Result:
        done = self._run(*arguments, stdin=stdin, GIT_NO_REPLACE_OBJECTS="1", **environment)
        if done.code != 0:
            raise RefusedError(
                f"git cannot read the history of {self.root}: {done.said}", "git fsck says more"
            )
        return done

    def check_complete(self) -> None:
        """Check that all commits are here.

        Raises:
            RefusedError: the clone is shallow: its oldest commit looks as if it had made every file.
        """
        if self._ask("rev-parse", "--is-shallow-repository").text == "true":
            raise RefusedError(
                f"{self.root} is a shallow clone: it lacks commits", "git fetch --unshallow gets them"
            )

    @cached_property
    def head_id(self) -> str:
        """The id of HEAD as it was when first asked for."""
        return self._ask("rev-parse", "HEAD").text

    def commits(self, *phrases: str, since: str = "", path: str = "") -> list[Past]:
        """Commits of HEAD that are no merges, newest first, each before those that it came after.

        Only those that hold one of the ``phrases``, that came after the commit ``since`` and that changed
        ``path``, where these are given.
        """
        wanted = [f"--grep={phrase}" for phrase in phrases]
        range_ = f"{since}..HEAD" if since else "HEAD"
        limit = ("--", f":(literal){path}") if path else ()
        # As for `unpushed`: the user's settings for `git log` would change what that writes.
        listed = self._ask(
            "rev-list", "--topo-order", "--no-merges", "--fixed-strings", *wanted, _FORMAT, range_, *limit
        )
        found = []
        for entry in listed.stdout.decode(errors="replace").split("\0"):
            name, *more = entry.partition("\1")[2].split("\2", 4)
            if more:
                found.append(Past(name, tuple(more[0].split()), more[1], more[2], more[3]))
        return found

    def comes_before(self, one: str, other: str) -> bool:
        """Whether the commit ``one`` is among those that ``other`` is made of."""
        done = self._run("merge-base", "--is-ancestor", one, other, GIT_NO_REPLACE_OBJECTS="1")
        if done.code not in (0, 1):
            raise RefusedError(
                f"git cannot read the history of {self.root}: {done.said}", "git fsck says more"
            )
        return done.code == 0

    def changed_by(self, commit: Past) -> dict[str, tuple[Entry | None, Entry | None]]:
        """The paths that ``commit`` changed, with what each held before and after it; no submodules."""
        (parent,) = commit.parents
        listed = self._ask("diff-tree", "-r", "-z", "--no-renames", parent, commit.id)
        fields = os.fsdecode(listed.stdout).split("\0")
        found = {}
        for about, path in zip(fields[::2], fields[1::2], strict=False):
            modes = about.lstrip(":").split()
            if _SUBMODULE not in modes[:2]:
                found[path] = (_entry(modes[0], modes[2]), _entry(modes[1], modes[3]))
        return found

    def entries_of(self, commit: str, paths: Collection[str]) -> dict[str, Entry]:
        """What ``commit`` holds at ``paths``; a path at which it has no file is left out."""
        if not paths:
            return {}
        listed = self._ask("--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths)
        found = {}
        for line in os.fsdecode(listed.stdout).split("\0"):
            about, _, path = line.partition("\t")
            if path in paths and " commit " not in about:
                mode, _, blob = about.split()
                found[path] = Entry(mode, blob, 0)
        return found

    def with_text(self, tree: str, text: str) -> list[str]:
        """The paths of the files of ``tree`` that hold ``text``, sorted."""
        done = self._run("grep", "-l", "-z", "-I", "-F", "-e", text, tree, "--", GIT_NO_REPLACE_OBJECTS="1")
        # 1: none does.
        if done.code not in (0, 1):
            raise RefusedError(f"git cannot search {self.root}: {done.said}", "git fsck says more")
        names = os.fsdecode(done.stdout).split("\0")
        return sorted(name.removeprefix(f"{tree}:") for name in names if name)

    def name_of(self, content: bytes) -> str:
        """What git would call ``content``, as it is."""
        return self._ask("hash-object", "--stdin", stdin=content).text

    def store(self, content: bytes) -> None:
        """Put ``content`` among git's objects, as it is."""
        self._ask("hash-object", "-w", "--stdin", stdin=content)

    def tree_with(self, changes: Mapping[str, Entry | None]) -> str:
        """The tree of HEAD with ``changes`` made (None: no such file), among git's objects.

        Neither the index nor the work tree is looked at.
        """
        nothing = "0" * len(self.head_id)
        lines = [
            f"0 {nothing}\t{path}\0" if entry is None else f"{entry.mode} {entry.blob}\t{path}\0"
            for path, entry in changes.items()
        ]
        with scratch_folder("index-") as folder:
            index = str(folder / "index")
            self._ask("read-tree", self.head_id, GIT_INDEX_FILE=index)
            entries = os.fsencode("".join(lines))
            self._ask("update-index", "-z", "--index-info", stdin=entries, GIT_INDEX_FILE=index)
            return self._ask("write-tree", GIT_INDEX_FILE=index).text

    def edited(self, wanted: Mapping[str, Entry | None]) -> list[str]:
        """Those paths of ``wanted`` at which something is that is neither what HEAD has nor what is wanted.

        That is somebody's work, staged or not, that has not been committed.
        """
        arguments = (
            "status",
            "--porcelain",
            "-z",
            "--no-renames",
            "--untracked-files=all",
            "--ignored",
            "--",
        )
        lines = self._ask("--literal-pathspecs", *arguments, *wanted, GIT_OPTIONAL_LOCKS="0").stdout
        found = [line[3:] for line in os.fsdecode(lines).split("\0") if line]
        heads = self.entries_of(self.head_id, found)
        return [
            path
            for path in found
            if path not in wanted
            or not self._staged(path) <= {_name(heads.get(path)), _name(wanted[path])}
            or self._written(path) not in (_name(heads.get(path)), _name(wanted[path]))
        ]

    def check_edits(self, wanted: Mapping[str, Entry | None]) -> None:
        """Check that nobody's work lies at the paths that would be changed.

        Raises:
            RefusedError: it does.
        """
        edited = self.edited(wanted)
        if edited:
            it = "it" if len(edited) == 1 else "them"
            raise RefusedError(
                f"{', '.join(edited)}: changed and not committed, and this would change {it}, too",
                "commit or stash that first",
            )

    def below(self, folder: str) -> dict[str, Entry]:
        """All that HEAD has below ``folder``, or in its place; links and submodules are among it."""
        listed = self._ask(
            "--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", self.head_id, "--", folder
        )
        found = {}
        for line in os.fsdecode(listed.stdout).split("\0"):
            about, _, path = line.partition("\t")
            if path:
                mode, _, blob = about.split()
                found[path] = Entry(mode, blob, 0)
        return found

    def untracked(self, *folders: str) -> list[str]:
        """The files below ``folders`` that git does not track and does not ignore."""
        listed = self._ask(
            "--literal-pathspecs", "ls-files", "-z", "--others", "--exclude-standard", "--", *folders
        )
        return [name for name in os.fsdecode(listed.stdout).split("\0") if name]

    def _staged(self, path: str) -> set[str]:
        listed = self._ask("--literal-pathspecs", "ls-files", "-s", "-z", "--", path).stdout
        lines = [line for line in os.fsdecode(listed).split("\0") if line]
        return {line.split()[1] for line in lines} or {""}

    def _written(self, path: str) -> str:
        content = read_bytes(self.root, path)
        if content is None:
            return ""
        return self._ask("hash-object", f"--path={path}", "--stdin", stdin=content).text

    @contextmanager
    def files_as_in(self, tree: str, paths: Sequence[str]) -> Iterator[None]:
        """Have ``paths`` in the work tree as ``tree`` has them; if the block fails, as HEAD has them again.

        What lies there must be known to be nobody's work. All else stays, in the index, too.
        """
        try:
            self._restore(tree, paths, "--worktree")
            yield
        except BaseException:
            known = self.entries_of("HEAD", paths)
            new = [path for path in paths if path not in known and os.path.lexists(self.root / path)]
            # What is new is known to git only once it is added.
            if new:
                self._ask("--literal-pathspecs", "add", "--force", "--", *new)
            self._restore("HEAD", [*known, *new], "--staged", "--worktree")
            raise

    def _restore(self, source: str, paths: Sequence[str], *where: str) -> None:
        done = self._run("--literal-pathspecs", "restore", f"--source={source}", *where, "--", *paths)
        if done.code != 0:
            raise RefusedError(f"git cannot write files of {self.root}: {done.said}", "git status says more")


@dataclass(frozen=True)
class FilesCommit(Change):
    """One commit that makes ``wanted`` of the paths that it names (None: no file), whatever else lies about.

    ``contents`` is what of that git does not have yet.
    """

    history: History = field(repr=False)
    wanted: Mapping[str, Entry | None] = field(repr=False)
    message: str = field(repr=False)
    contents: Sequence[bytes] = field(default=(), repr=False, kw_only=True)

    @property
    def summary(self) -> str:
        count = len(self.wanted)
        return f"commit {count} file{'s' if count != 1 else ''}: {self.message.splitlines()[0]}"

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self.wanted)

    def apply(self) -> None:
        """Make the commit; what cannot be finished is as before.

        Raises:
            RefusedError: HEAD is another by now, somebody's edits are in the way, or git or a hook refuses.
        """
        history = self.history
        if History(history.root).head_id != history.head_id:
            raise RefusedError("somebody committed since the plan was shown", "run the same command again")
        history.check_edits(self.wanted)
        for content in self.contents:
            history.store(content)
        with history.files_as_in(history.tree_with(self.wanted), self.paths):
            history.commit(self.paths, self.message)


def _entry(mode: str, blob: str) -> Entry | None:
    return None if mode == _ABSENT else Entry(mode, blob, 0)


def _name(entry: Entry | None) -> str:
    return "" if entry is None else entry.blob
