"""git verbs on the GitOps repository: what it is in, what HEAD holds, commit and push of our own paths."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tasks.core.changes import Change
from tasks.core.errors import RefusedError, SettingsError
from tasks.effects import shell

_HINT = "install git (Debian: apt-get install git)"
# Files and folders in the git directory that an operation in progress leaves (gitrepository-layout(5)).
_IN_PROGRESS = {
    "MERGE_HEAD": "a merge",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
}


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
        found = self._run("rev-parse", "--show-toplevel", "--absolute-git-dir", "HEAD")
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

    def _run(self, *arguments: str, stdin: bytes = b"", index: Path | None = None) -> shell.Result:
        # Without a terminal prompt a missing password is an error to show, not a run that hangs.
        return shell.run(
            ("git", *arguments),
            cwd=self.root,
            stdin=stdin,
            environment={
                "GIT_TERMINAL_PROMPT": "0",
                "LC_ALL": "C",
                **({} if index is None else {"GIT_INDEX_FILE": str(index)}),
            },
            # Credential helpers and hooks may need any login; the keys of S3 and sops are for neither.
            withheld=shell.is_key,
            missing_hint=_HINT,
        )

    @contextmanager
    def exported(self, files: Iterable[str]) -> Iterator["Git"]:
        """A repository of its own with what HEAD holds, and ``files`` as they are in the work tree.

        That is what a commit of ``files`` would give to those who get it, whatever else lies about here.

        Raises:
            RefusedError: git refused.
        """
        with tempfile.TemporaryDirectory(prefix="parseable-playbook-") as name:
            folder = Path(name).resolve()
            root, index = folder / "repository", folder / "index"
            root.mkdir()
            steps = [
                self._run("read-tree", "HEAD", index=index),
                self._run("checkout-index", "--all", f"--prefix={root}/", index=index),
            ]
            for file in files:
                if (self.root / file).is_file():
                    (root / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(self.root / file, root / file)
            author = ("-c", "user.name=x", "-c", "user.email=x", "-c", "commit.gpgsign=false")
            steps += [
                shell.run(("git", *arguments), cwd=root, missing_hint=_HINT)
                for arguments in (
                    ("init", "--quiet"),
                    ("add", "--all", "--force"),
                    (*author, "commit", "--quiet", "--allow-empty", "--no-verify", "--message=x"),
                )
            ]
            failed = next((step for step in steps if step.code != 0), None)
            if failed is not None:
                raise RefusedError(f"git cannot export HEAD of {self.root}: {failed.said}", "run git fsck")
            yield Git(root)

    def yaml_files(self) -> tuple[str, ...]:
        """Paths of the YAML files that are there, and tracked or at least not ignored, sorted."""
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
        names = {name for name in listed.stdout.decode(errors="surrogateescape").split("\0") if name}
        return tuple(sorted(name for name in names if (self.root / name).is_file()))

    def head_texts(self, paths: Iterable[str]) -> dict[str, str | None]:
        """For each path its text in HEAD, or None where HEAD has no such file."""
        wanted = list(paths)
        request = "".join(f"HEAD:{path}\n" for path in wanted).encode()
        stream = self._run("cat-file", "--batch", stdin=request).stdout
        texts: dict[str, str | None] = {}
        position = 0
        for path in wanted:
            end = stream.index(b"\n", position)
            header = stream[position:end].split()
            position = end + 1
            if header[-1] == b"missing":
                texts[path] = None
                continue
            size = int(header[-1])
            texts[path] = stream[position : position + size].decode(errors="replace")
            position += size + 1
        return texts

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
        found = self._run("symbolic-ref", "--quiet", "--short", "HEAD")
        if found.code != 0:
            raise RefusedError(
                f"HEAD is detached in {self.root}", "check the branch out that Flux follows: git switch main"
            )
        return found.text

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
                    "git does not know who commits (user.name and user.email)",
                    "git config user.name 'Your Name' && git config user.email you@example.com",
                )

    @cached_property
    def _config(self) -> dict[str, str]:
        """The settings of remotes and branches: ``branch.main.remote`` -> ``origin``."""
        listed = self._run("config", "--null", "--get-regexp", r"^(remote|branch|push)\.").stdout.decode()
        pairs = (entry.partition("\n") for entry in listed.split("\0") if entry)
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
            raise RefusedError(f"no remote '{chosen}', but {', '.join(remotes)}", "correct gitops.remote")
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
        """How many commits of HEAD ``remote/target`` was not seen to have, and how many hold ``marker``."""
        known = f"refs/remotes/{remote}/{target}"
        waiting = self._run("log", "--format=%x00%B", "HEAD", f"^{known}")
        if waiting.code != 0:
            # Never pushed there, as far as is known here.
            waiting = self._run("log", "--format=%x00%B", "HEAD")
        messages = waiting.text.split("\0")[1:]
        return len(messages), sum(marker in message for message in messages)

    def commit(self, paths: Sequence[str], message: str) -> None:
        """Commit exactly ``paths`` as they are in the work tree; what else is staged stays staged.

        Raises:
            RefusedError: a hook of the repository, or git, refused; with what it said.
        """
        added = self._run("add", "--", *paths)
        if added.code != 0:
            raise RefusedError("git add refused", added.said)
        done = self._run("commit", "--quiet", "--only", "--file=-", "--", *paths, stdin=message.encode())
        if done.code != 0:
            hook = self._hook("pre-commit", "prepare-commit-msg", "commit-msg")
            who = f"git, or the repository's {hook} hook," if hook else "git"
            raise RefusedError(
                f"{who} refused the commit; the files are written, nothing is pushed",
                f"mend what it names, then run again. It said:\n{done.said}",
            )
        # A hook that formatted and added files did so in an index of its own; ours has the text before it.
        self._run("reset", "--quiet", "--", *paths)

    def last_commit(self) -> str:
        """HEAD as a person reads it: id, message and the files with their sizes."""
        return self._run("show", "--stat=78", "--format=commit %h%n%n%s%n%n%b", "HEAD").text

    def push(self, remote: str, branch: str, target: str) -> None:
        """Push ``branch`` to ``target`` on ``remote``; never by force.

        Raises:
            RefusedError: the remote has other commits, a hook refused, or it cannot be reached.
        """
        pushed = self._run("push", "--quiet", remote, f"refs/heads/{branch}:refs/heads/{target}")
        if pushed.code == 0:
            return
        said = pushed.said
        if "(fetch first)" in said or "(non-fast-forward)" in said:
            raise RefusedError(
                f"{remote} has commits on {target} that this clone has not; the commit stays here, unpushed",
                f"git pull --rebase {remote} {target}, then run again (nothing is ever forced)",
            )
        if "hook declined" in said:
            raise RefusedError(f"a hook on {remote} refused the push; the commit stays here, unpushed", said)
        if self._hook("pre-push") and "error: failed to push some refs" in said and "rejected" not in said:
            raise RefusedError(
                "the repository's pre-push hook refused; the commit stays here, unpushed", said
            )
        raise RefusedError(f"pushing to {remote} failed; the commit stays here, unpushed", said)

    def _hook(self, *names: str) -> str | None:
        folder = self.root / self._run("rev-parse", "--git-path", "hooks").text
        return next((name for name in names if (folder / name).exists()), None)


def start_repository(root: Path, remote: Path, author: tuple[str, str]) -> None:
    """Make ``root`` a repository with all its files committed and pushed to a new bare one at ``remote``.

    ``author`` is a name and an e-mail address, for this repository only.

    Raises:
        RefusedError: git is missing or refuses.
    """
    name, address = author
    root.mkdir(parents=True, exist_ok=True)
    for arguments in (
        ("init", "--quiet", "--bare", "--initial-branch=main", str(remote)),
        ("init", "--quiet", "--initial-branch=main"),
        ("config", "user.name", name),
        ("config", "user.email", address),
        ("config", "commit.gpgsign", "false"),
        ("remote", "add", "origin", str(remote)),
        ("add", "--all"),
        ("commit", "--quiet", "--message=Start the cluster"),
        ("push", "--quiet", "--set-upstream", "origin", "main"),
    ):
        done = shell.run(("git", *arguments), cwd=root, missing_hint=_HINT)
        if done.code != 0:
            raise RefusedError(f"git {arguments[0]} failed in {root}", done.said)


@dataclass(frozen=True)
class Commit(Change):
    """Commit ``files`` with ``message``."""

    git: Git = field(repr=False)
    files: tuple[str, ...]
    message: str

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
        """Make the commit."""
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
        along = f" (with {self.others} unpushed of yours)" if self.others else ""
        return f"push {self.branch} to {self.remote}/{self.target}{along}"

    @property
    def needs_proof(self) -> bool:
        return True

    def apply(self) -> None:
        """Push, never by force."""
        self.git.push(self.remote, self.branch, self.target)
