"""git verbs on the GitOps repository: what it is in, what HEAD holds, commit and push of our own paths."""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from tasks.core.changes import Change
from tasks.core.errors import RefusedError, SettingsError
from tasks.effects import shell
from tasks.effects.files import read_bytes, read_text
from tasks.yaml.documents import same_documents

_HINT = "install git (Debian: apt-get install git)"
# Files and folders in the git directory that an operation in progress leaves (gitrepository-layout(5)).
_IN_PROGRESS = {
    "MERGE_HEAD": "a merge",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
}
# What git may be told by the environment: who commits, how a remote is reached, where git's programs and the
# user's own configuration are. All else is dropped. Inside a hook or `git rebase --exec` GIT_DIR,
# GIT_INDEX_FILE and the like (`git rev-parse --local-env-vars`) lead to another repository than the one
# meant, and GIT_CONFIG_PARAMETERS, GIT_CONFIG_COUNT hold settings for that one; what GIT_TRACE writes would
# be taken for what git says.
_KEPT = re.compile(
    r"GIT_(?:AUTHOR|COMMITTER)_(?:NAME|EMAIL|DATE)"
    r"|GIT_(?:SSH|SSH_COMMAND|SSH_VARIANT|ASKPASS|ALLOW_PROTOCOL|PROTOCOL|PROTOCOL_FROM_USER)"
    r"|GIT_(?:SSL|HTTP|PROXY)_\w+"
    r"|GIT_EXEC_PATH|GIT_CONFIG_(?:GLOBAL|SYSTEM|NOSYSTEM)|GIT_ATTR_NOSYSTEM"
)
# Contents are held in memory: no more than this at once, but for a file that is larger by itself.
_AT_ONCE = 32 << 20


@dataclass(frozen=True)
class Entry:
    """A file or link that a commit holds: ``mode`` as git has it, ``blob`` its content's name."""

    mode: str
    blob: str
    size: int

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link, whose content is its target."""
        return self.mode == "120000"

    @property
    def is_executable(self) -> bool:
        """Whether it may be run."""
        return self.mode == "100755"


@dataclass(frozen=True)
class Version:
    """A commit of HEAD's history that changed a file.

    ``before`` is the file's text in its first parent, ``after`` that in the commit; None where there is no
    such file. ``parents`` is how many the commit has, as far as this clone knows.
    """

    commit: str
    parents: int
    message: str = field(repr=False)
    before: str | None = field(repr=False)
    after: str | None = field(repr=False)


class Git:
    """One repository. ``root`` is its top folder, ``directory`` its git directory."""

    def __init__(self, path: Path) -> None:
        """Find the repository at ``path``.

        Raises:
            SettingsError: no such folder, or it is not the top of its repository.
            RefusedError: git is missing, or the folder is not a git work tree.
        """
        if not path.is_dir():
            raise SettingsError(f"no folder {path}", "give the GitOps repository with --repo or gitops.path")
        self.root = path.resolve()
        found = _run(self.root, "rev-parse", "--show-toplevel", "--absolute-git-dir", "HEAD")
        if found.code != 0:
            if "dubious ownership" in found.stderr:
                raise RefusedError(f"git refuses {path}: it belongs to another user", found.said)
            if "unknown revision" in found.stderr:
                raise RefusedError(f"{path} has no commit yet", "commit what is there, then run again")
            if (self.root / ".git").exists():
                raise RefusedError(f"git cannot read the repository {path}", found.said)
            raise RefusedError(f"{path} is not a git repository", "clone the GitOps repository, or git init")
        answers = found.text.splitlines()
        if Path(answers[0]) != self.root:
            raise SettingsError(f"{path} is not the top of its repository", f"use --repo {answers[0]}")
        self.directory = Path(answers[1])

    def _run(self, *arguments: str, stdin: bytes = b"", **environment: str) -> shell.Result:
        # Here or nowhere: were .git gone, a repository around this one would be found. (--git-dir would do
        # too, but reach the user's hooks as GIT_DIR, and mislead the git calls in them.)
        here = {"GIT_CEILING_DIRECTORIES": str(self.root.parent), **environment}
        return _run(self.root, *arguments, stdin=stdin, environment=here)

    def yaml_files(self) -> tuple[str, ...]:
        """Paths of the YAML files that are there, and tracked or at least not ignored, sorted.

        Symbolic links, and what lies behind one, are not among them: Flux does not see them either.
        """
        listed = self._run(
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
            "*.yaml",
            "*.yml",
            ":(glob)**/Kustomization",
        )
        if listed.code != 0:
            raise RefusedError(
                f"git cannot list the files of {self.root}: {listed.said}", "git status says more"
            )
        names = {name for name in os.fsdecode(listed.stdout).split("\0") if name}
        return tuple(_without_links(self.root, sorted(names)))

    def head_texts(self, paths: Iterable[str]) -> dict[str, str | None]:
        """For each path its text in HEAD, or None where HEAD has no such file."""
        wanted = list(paths)
        contents = self._contents([f"HEAD:{path}" for path in wanted])
        return {
            path: None if content is None else content.decode(errors="replace")
            for path, content in zip(wanted, contents, strict=True)
        }

    def index_texts(self, paths: Iterable[str]) -> dict[str, str | None]:
        """For each path its text as it is staged, or None where nothing is."""
        wanted = list(paths)
        contents = self._contents([f":0:{path}" for path in wanted]) if wanted else []
        return {
            path: None if content is None else content.decode(errors="replace")
            for path, content in zip(wanted, contents, strict=True)
        }

    def head_entries(self) -> dict[str, Entry]:
        """All files and links of HEAD by their paths; submodules are left out.

        Raises:
            RefusedError: git cannot read them.
        """
        listed = self._run("ls-tree", "-r", "-l", "-z", "--full-tree", "HEAD")
        if listed.code != 0:
            raise RefusedError(f"git cannot read HEAD of {self.root}: {listed.said}", "git fsck says more")
        entries = {}
        for line in os.fsdecode(listed.stdout).split("\0"):
            about, _, path = line.partition("\t")
            if path and " commit " not in about:
                mode, _, blob, size = about.split()
                # The size of what is not there is "BAD": https://git-scm.com/docs/git-ls-tree
                if not size.isdecimal():
                    raise RefusedError(
                        f"git lacks what HEAD of {self.root} has as {path}: the clone is not complete",
                        "git fsck says more; git fetch --refetch gets everything anew",
                    )
                entries[path] = Entry(mode, blob, int(size))
        return entries

    def contents(self, entries: Mapping[str, Entry]) -> Iterator[tuple[str, Entry, bytes]]:
        """``entries`` with what they hold, byte for byte as it was committed: no filter, no conversion.

        Raises:
            RefusedError: one of them cannot be read.
        """
        for group in _groups(entries):
            found = self._contents([entry.blob for _, entry in group])
            for (path, entry), content in zip(group, found, strict=True):
                if content is None:
                    raise RefusedError(f"git cannot read {path} of HEAD", "git fsck says more")
                yield path, entry, content

    def _contents(self, names: Sequence[str]) -> Iterator[bytes | None]:
        """The content of each blob, None for what is missing or something else than a blob."""
        # One name a line. A path with a line end in it, which nothing of ours has, is asked for by itself.
        request = "".join(f"{name}\n" for name in names if "\n" not in name)
        # What a replacement (git replace) shows here, others do not get.
        answer = self._run("cat-file", "--batch", stdin=os.fsencode(request), GIT_NO_REPLACE_OBJECTS="1")
        # A damaged object counts as missing, and leaves a word on standard error only.
        if answer.code != 0 or re.search(r"(?m)^(?:error|fatal):", answer.stderr):
            raise RefusedError(f"git cannot read HEAD of {self.root}: {answer.stderr}", "git fsck says more")
        stream, position = answer.stdout, 0
        for name in names:
            if "\n" in name:
                alone = self._run("cat-file", "blob", name, GIT_NO_REPLACE_OBJECTS="1")
                yield alone.stdout if alone.code == 0 else None
                continue
            end = stream.index(b"\n", position)
            about = stream[position:end]
            position = end + 1
            found = _FOUND.fullmatch(about)
            if found is None:
                yield None
                continue
            start, position = position, position + int(found[2]) + 1
            yield stream[start : position - 1] if found[1] == b"blob" else None

    def versions(self, path: str, since: str = "") -> list[Version]:
        """The history of a file as far as it led to what HEAD has, the newest first; also under former names.

        With ``since``, the id of a commit, without that one and what came before it.

        Raises:
            RefusedError: git cannot read it.
        """
        found: list[Version] = []
        start: str | None = "HEAD"
        while start is not None:
            named = self._versions(path, start, since)
            made = next((number for number, one in enumerate(named) if one.before is None), None)
            start = None
            if made is not None and named[made].parents == 1:
                commit = named[made].commit
                former = self._former_name(commit, path)
                if former is not None:
                    start, path = f"{commit}^", former
                    before = next(self._contents([f"{start}:{path}"]))
                    text = None if before is None else before.decode(errors="replace")
                    named = [*named[:made], replace(named[made], before=text)]
            found += named
        return found

    def _versions(self, path: str, start: str, since: str) -> list[Version]:
        """The history of a file under this name, from the commit ``start`` on backwards."""
        # Not `git log`, which the user's settings change (see `unpushed`). What a graft or a replacement
        # (git replace) shows here, others do not get.
        listed = self._run(
            "rev-list",
            "--topo-order",
            "--format=%x00%H%x00%P%x00%B",
            start,
            *([f"^{since}"] if since else []),
            "--",
            _literal(path),
            GIT_NO_REPLACE_OBJECTS="1",
        )
        if listed.code != 0:
            raise RefusedError(f"git cannot list the commits of {path}: {listed.said}", "git fsck says more")
        parts = listed.text.split("\0")[1:]
        commits = list(zip(parts[::3], parts[1::3], parts[2::3], strict=True))
        names = [name for commit, _, _ in commits for name in (f"{commit}^:{path}", f"{commit}:{path}")]
        texts = [None if one is None else one.decode(errors="replace") for one in self._contents(names)]
        return [
            Version(commit, len(parents.split()), message, texts[2 * number], texts[2 * number + 1])
            for number, (commit, parents, message) in enumerate(commits)
        ]

    def _former_name(self, commit: str, path: str) -> str | None:
        """The name that a file had before ``commit`` moved it to ``path``; None if it was made there."""
        moved = self._run(
            "diff-tree", "-r", "-z", "-M", "--no-commit-id", "--name-status", "--diff-filter=R", commit,
            GIT_NO_REPLACE_OBJECTS="1",
        )  # fmt: skip
        parts = os.fsdecode(moved.stdout).split("\0")
        return next((old for old, new in zip(parts[1::3], parts[2::3], strict=False) if new == path), None)

    @cached_property
    def is_shallow(self) -> bool:
        """Whether the clone has the newest commits only."""
        return self._run("rev-parse", "--is-shallow-repository").text == "true"

    def stores_alike(self, path: str, one: str, other: str) -> bool:
        """Whether two texts of ``path`` would be the same once committed: git may convert line ends."""
        if one == other:
            return True
        stored = [
            self._run("hash-object", f"--path={path}", "--stdin", stdin=text.encode())
            for text in (one, other)
        ]
        return all(done.code == 0 for done in stored) and stored[0].text == stored[1].text

    def staged_apart(self, paths: Iterable[str]) -> list[str]:
        """Those of ``paths`` for which something is staged that neither HEAD nor the file has."""
        # Without its lock the index is only read.
        arguments = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--")
        found = self._run(*arguments, *map(_literal, paths), GIT_OPTIONAL_LOCKS="0")
        if found.code != 0:
            raise RefusedError(
                f"git cannot compare {self.root} with HEAD: {found.said}", "git status says more"
            )
        lines = os.fsdecode(found.stdout).split("\0")
        return [line[3:] for line in lines if re.match(r"[MTA][MTD] ", line)]

    def branch(self) -> str:
        """The branch that is checked out.

        Raises:
            RefusedError: HEAD is detached, or a merge, rebase, cherry-pick or revert is not finished.
        """
        for name, operation in _IN_PROGRESS.items():
            if (self.directory / name).exists():
                raise RefusedError(
                    f"{operation} is in progress in {self.root}", "finish or abort it, then run again"
                )
        # In full: the short form of main is heads/main where there is a tag main.
        found = self._run("symbolic-ref", "--quiet", "HEAD")
        if found.code != 0:
            raise RefusedError(
                f"HEAD is detached in {self.root}", "check the branch out that Flux follows: git switch main"
            )
        return found.text.removeprefix("refs/heads/")

    def check_not_ignored(self, paths: Iterable[str]) -> None:
        """Check that git would take ``paths``.

        Raises:
            RefusedError: some of them are ignored.
        """
        found = self._run("check-ignore", "--", *paths)
        if found.code == 0:
            raise RefusedError(
                f"git ignores {', '.join(found.text.splitlines())}",
                "take the pattern out of .gitignore or .git/info/exclude (git check-ignore -v PATH names it)",
            )

    def check_identity(self) -> None:
        """Check that a commit could be made.

        Raises:
            RefusedError: git has no name or e-mail address for the author or the committer.
        """
        for variable in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
            if self._run("-c", "user.useConfigOnly=true", "var", variable).code != 0:
                raise RefusedError(
                    "git has no author identity (user.name and user.email)",
                    "git config user.name 'Your Name' && git config user.email you@example.com",
                )

    @cached_property
    def _config(self) -> dict[str, str]:
        """The settings of remotes and branches: ``branch.main.remote`` -> ``origin``."""
        listed = self._run("config", "--null", "--get-regexp", r"^(remote|branch|push)\.").stdout
        pairs = (entry.partition("\n") for entry in os.fsdecode(listed).split("\0") if entry)
        return {key: value for key, _, value in pairs}

    def remote(self, branch: str, chosen: str | None) -> str:
        """The remote to push ``branch`` to: the chosen one, git's own choice, the only one, or origin.

        Raises:
            RefusedError: there is none, not the chosen one, or several to choose from.
        """
        urls = [key for key in self._config if key.startswith("remote.") and key.endswith(".url")]
        remotes = sorted(key.removeprefix("remote.").removesuffix(".url") for key in urls)
        if not remotes:
            raise RefusedError(
                "the repository has no remote to push to", "git remote add origin URL, or run with --no-push"
            )
        if chosen is not None and chosen not in remotes:
            raise RefusedError(
                f"there is no remote '{chosen}' (found: {', '.join(remotes)})",
                "set gitops.remote to one of these",
            )
        only = remotes[0] if len(remotes) == 1 else None
        of_git = (f"branch.{branch}.pushremote", "remote.pushdefault", f"branch.{branch}.remote")
        for name in (chosen, *map(self._config.get, of_git), only, "origin"):
            if name in remotes:
                return str(name)
        raise RefusedError(
            f"several remotes, none of them origin: {', '.join(remotes)}", "set gitops.remote to one of them"
        )

    def target(self, branch: str, remote: str) -> str:
        """The branch on ``remote`` that ``branch`` goes to.

        That is its namesake, or the branch it follows there where git was told so (push.default=upstream).

        Raises:
            RefusedError: it follows a branch of another name and git was not told: as with git push itself,
                that one is not pushed to by surprise.
        """
        follows = self._config.get(f"branch.{branch}.merge", "").removeprefix("refs/heads/")
        if not follows or follows == branch or self._config.get(f"branch.{branch}.remote") != remote:
            return branch
        if self._config.get("push.default") in ("upstream", "tracking"):
            return follows
        raise RefusedError(
            f"branch {branch} follows {remote}/{follows}, a branch of another name",
            f"switch to {follows}, or git branch --unset-upstream, or git config push.default upstream",
        )

    def unpushed(self, remote: str, target: str, marker: str) -> tuple[int, int]:
        """How many commits of HEAD would be new on ``remote/target``, and how many of them hold ``marker``.

        Where that branch was never seen, those count that no branch of ``remote`` was seen to have.

        Raises:
            RefusedError: git cannot tell.
        """
        known = f"refs/remotes/{remote}/{target}"
        is_known = self._run("rev-parse", "--verify", "--quiet", known).code == 0
        limits = (f"^{known}",) if is_known else ("--not", f"--remotes={remote}")
        # Not `git log`: the user's settings for it (log.showSignature) change what it writes.
        waiting = self._run("rev-list", "--format=%x00%B", "HEAD", *limits)
        if waiting.code != 0:
            raise RefusedError(
                f"git cannot list the commits of {self.root}: {waiting.said}", "git fsck says more"
            )
        messages = waiting.text.split("\0")[1:]
        return len(messages), sum(marker in message for message in messages)

    def seen(self, remote: str, target: str) -> str | None:
        """The commit of a branch on ``remote`` as it was last seen; None if it never was."""
        found = self._run("rev-parse", "--verify", "--quiet", f"refs/remotes/{remote}/{target}")
        return found.text if found.code == 0 else None

    def has(self, commit: str, path: str) -> bool:
        """Whether a file or folder is at ``path`` in a commit."""
        return self._run("cat-file", "-e", f"{commit}:{path}").code == 0

    def holds(self, commit: str, older: str) -> bool | None:
        """Whether ``commit`` came after ``older``, or is the same; None where one is not known here."""
        found = self._run("merge-base", "--is-ancestor", older, commit)
        return found.code == 0 if found.code in (0, 1) else None

    def commit(self, paths: Sequence[str], message: str) -> None:
        """Commit exactly ``paths`` as they are in the work tree; what else is staged stays staged.

        A hook that formats the files and refuses once, so that they are looked at, is asked a second time.

        Raises:
            RefusedError: a hook of the repository, or git, refused; with what it said.
        """
        before = {path: read_bytes(self.root, path) for path in paths}
        done = self._commit(paths, message)
        if done.code != 0 and self._are_formatted(before):
            done = self._commit(paths, message)
        if done.code != 0:
            hook = self._hook("pre-commit", "prepare-commit-msg", "commit-msg")
            who = f"git, or the repository's {hook} hook," if hook else "git"
            raise RefusedError(
                f"{who} refused the commit; nothing is pushed",
                f"fix what it reports and run again. Its output:\n{done.said}",
            )
        # A hook that formatted and added files did so in an index of its own; ours has the text before it.
        self._run("reset", "--quiet", "--", *map(_literal, paths))

    def _commit(self, paths: Sequence[str], message: str) -> shell.Result:
        files = [_literal(path) for path in paths]
        # What is deleted may be so in the index already, where `git add` finds nothing of it.
        there = [_literal(path) for path in paths if os.path.lexists(self.root / path)]
        # Never --force: what is ignored is not to be committed.
        added = self._run("add", "--", *there) if there else None
        if added is not None and added.code != 0:
            raise RefusedError("git add refused", added.said)
        return self._run("commit", "--quiet", "--only", "--file=-", "--", *files, stdin=message.encode())

    def _are_formatted(self, before: Mapping[str, bytes | None]) -> bool:
        """Whether files differ from what they were ``before``, and all of them say the same as then."""
        after = {path: read_bytes(self.root, path) for path in before}
        return before != after and all(
            content == (old := before[path])
            or (
                content is not None
                and old is not None
                and same_documents(old.decode(errors="replace"), content.decode(errors="replace"))
            )
            for path, content in after.items()
        )

    def last_commit(self) -> str:
        """HEAD as a person reads it: id, message and the files with their sizes."""
        return self._run("show", "--stat=78", "--format=commit %h%n%n%s%n%n%b", "HEAD").text

    def push(self, remote: str, branch: str, target: str) -> None:
        """Push ``branch`` to ``target`` on ``remote``; never by force.

        Raises:
            RefusedError: the remote has other commits, a hook refused, or it cannot be reached.
        """
        # The branch and nothing else, whatever push.followTags says.
        refs = f"refs/heads/{branch}:refs/heads/{target}"
        pushed = self._run("push", "--quiet", "--no-follow-tags", remote, refs)
        if pushed.code == 0:
            return
        said = pushed.said
        if "(fetch first)" in said or "(non-fast-forward)" in said:
            raise RefusedError(
                f"{remote} has commits on {target} that this clone has not; the commit stays here, unpushed",
                f"git pull --rebase {remote} {target}, then run again (nothing is ever forced)",
            )
        undo = "To undo the commit while it is the last one, and keep its files: git reset --soft HEAD~1"
        if "[remote rejected]" in said:
            # A protected branch (GH006, "protected branch hook declined"), a rule, or a hook of the server.
            raise RefusedError(
                f"{remote} refused the push to {target}; the commit stays on your local branch {branch}",
                f"If {target} takes pull requests only: git push {remote} HEAD:refs/heads/parseable, then "
                f"open one from that branch. {undo}. {remote} said:\n{said}",
            )
        if self._hook("pre-push") and "error: failed to push some refs" in said and "rejected" not in said:
            raise RefusedError(
                "the repository's pre-push hook refused the push; "
                f"the commit stays on your local branch {branch}",
                f"Mend what it names, then run again. {undo}. It said:\n{said}",
            )
        raise RefusedError(
            f"pushing to {remote} failed; the commit stays on your local branch {branch}",
            f"Running the same again pushes it. git said:\n{said}",
        )

    def _hook(self, *names: str) -> str | None:
        folder = self.root / self._run("rev-parse", "--git-path", "hooks").text
        return next((name for name in names if (folder / name).exists()), None)


_FOUND = re.compile(rb"[0-9a-f]{40,64} (\w+) (\d+)")


def _run(
    root: Path, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str | None] | None = None
) -> shell.Result:
    foreign = [name for name in os.environ if name.startswith("GIT_") and not _KEPT.fullmatch(name)]
    # Without a terminal prompt a missing password is an error to show, not a run that hangs.
    own = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **(environment or {})}
    return shell.run(
        ("git", *arguments),
        cwd=root,
        stdin=stdin,
        environment={**dict.fromkeys(foreign), **own},
        # Credential helpers and hooks may need any login; the keys of S3 and sops are for neither.
        withheld=shell.is_key,
        missing_hint=_HINT,
    )


def _literal(path: str) -> str:
    """``path`` for git as a path and nothing else: no pattern, even with a star or a bracket in it."""
    return f":(literal){path}"


def _without_links(root: Path, paths: Iterable[str]) -> Iterator[str]:
    """Those of ``paths`` that are regular files and do not lie behind a symbolic link."""
    real: dict[str, bool] = {"": True}

    def is_real(folder: str) -> bool:
        if folder not in real:
            real[folder] = is_real(folder.rpartition("/")[0]) and not (root / folder).is_symlink()
        return real[folder]

    for path in paths:
        if is_real(path.rpartition("/")[0]) and _is_regular(root / path):
            yield path


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _groups(entries: Mapping[str, Entry]) -> Iterator[list[tuple[str, Entry]]]:
    """``entries`` in groups that are small enough to be held in memory."""
    group: list[tuple[str, Entry]] = []
    size = 0
    for item in entries.items():
        if group and size + item[1].size > _AT_ONCE:
            yield group
            group, size = [], 0
        group.append(item)
        size += item[1].size
    if group:
        yield group


def start_repository(root: Path, remote: Path, author: tuple[str, str]) -> None:
    """Make ``root`` a repository with all its files committed and pushed to a new bare one at ``remote``.

    ``author`` is a name and an e-mail address, for this repository only.

    Raises:
        RefusedError: git is missing or refuses.
    """
    name, address = author
    root.mkdir(parents=True, exist_ok=True)
    own = [
        argument
        for folder in (root / ".git", remote)
        for key, value in {
            "user.name": name,
            "user.email": address,
            "core.hooksPath": str(folder / "hooks"),
            **_OWN_SETTINGS,
        }.items()
        for argument in [("config", f"--file={folder / 'config'}", key, value)]
    ]
    for arguments in (
        ("init", "--quiet", "--template=", "--bare", "--initial-branch=main", str(remote)),
        ("init", "--quiet", "--template=", "--initial-branch=main"),
        *own,
        ("remote", "add", "origin", str(remote)),
        ("add", "--all"),
        ("commit", "--quiet", "--message=Start the cluster"),
        ("push", "--quiet", "--set-upstream", "origin", "main"),
    ):
        done = _run(root, *arguments)
        if done.code != 0:
            raise RefusedError(f"git {arguments[0]} failed in {root}", done.said)


# In place of the user's own: no hooks, templates, signatures, filters or patterns reach such a repository.
_OWN_SETTINGS = {
    "commit.gpgSign": "false",
    "core.attributesFile": os.devnull,
    "core.autocrlf": "false",
    "core.excludesFile": os.devnull,
    "core.fsmonitor": "false",
    "push.gpgSign": "false",
}


@dataclass(frozen=True)
class Commit(Change):
    """Commit ``files`` with ``message``. ``planned`` are their texts as the plan has them, None: no file."""

    git: Git = field(repr=False)
    files: tuple[str, ...]
    message: str
    planned: Mapping[str, str | None] = field(default_factory=dict, repr=False)

    @property
    def summary(self) -> str:
        count = len(self.files)
        return f"commit {count} file{'s' if count != 1 else ''}: {self.message.splitlines()[0]}"

    @property
    def needs_proof(self) -> bool:
        return True

    def diff(self) -> str:
        return "\n".join(f"  {path}" for path in self.files)

    def apply(self) -> None:
        """Make the commit.

        Raises:
            RefusedError: somebody changed a file since the plan was made; git or a hook refuses.
        """
        for path, text in self.planned.items():
            if read_text(self.git.root, path) != text:
                raise RefusedError(
                    f"{path} was changed since the plan was shown", "run the same command again"
                )
        self.git.commit(self.files, self.message)


@dataclass(frozen=True)
class Push(Change):
    """Push ``branch``. ``others`` counts unpushed commits that are not the playbook's and go with it."""

    git: Git = field(repr=False)
    remote: str
    branch: str
    target: str
    others: int

    @property
    def summary(self) -> str:
        along = f" (with {self.others} of your own unpushed commits)" if self.others else ""
        return f"push {self.branch} to {self.remote}/{self.target}{along}"

    @property
    def needs_proof(self) -> bool:
        return True

    def apply(self) -> None:
        """Push, never by force."""
        self.git.push(self.remote, self.branch, self.target)
