"""TASK-011: the entries in both kustomizations, the HelmRepositories, then one commit and its push."""

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tasks.core.catalogue import CATALOGUE
from tasks.core.changes import Change
from tasks.core.errors import RefusedError
from tasks.core.settings import DOCUMENTED
from tasks.effects.git import Commit, Push
from tasks.flux.layout import need_all
from tasks.manifests import (
    ManifestFacts,
    charts_files,
    deployed_facts,
    file_facts,
    own_files,
    placeholder_values,
    plan_files,
    template,
)
from tasks.shared_files import SharedFile, apps_list, grafana_file, repositories_list
from tasks.workspace import World
from tasks.yaml.templates import MARKER, render

SPEC = CATALOGUE["TASK-011"]

# How the playbook's own commits are known again.
_MARK = "Implements: specs/parseable-deployment/"
_MESSAGE = f"""feat(monitoring): deploy Parseable log aggregation with Vector

- Add Parseable HelmRelease with S3 backend (Minio)
- Add Vector DaemonSet for log collection
- Configure Grafana Parseable datasource plugin
- Encrypt S3 credentials with SOPS
- Add ServiceMonitor for Parseable metrics

{_MARK}
"""


@dataclass(frozen=True)
class PushFacts:
    """Where a push would go, and how many commits wait for it: all, and the playbook's own among them."""

    remote: str
    target: str
    waiting: int
    ours: int


@dataclass(frozen=True)
class CommitFacts:
    """All that TASK-011 looks at. ``push`` is None where pushing is not wanted."""

    sources: tuple[ManifestFacts, ...]
    lists: tuple[SharedFile, ...]
    grafana: SharedFile
    branch: str
    push: PushFacts | None


def facts(world: World) -> CommitFacts:
    """Read the files that others share with us, the HelmRepository files and the state of git.

    Raises:
        RefusedError: the layout is not known, HEAD is detached, an operation is in progress, or there is no
            remote to push to.
    """
    layout = world.layout
    need_all(
        layout.apps_kustomization,
        layout.parseable_charts,
        layout.vector_charts,
        layout.grafana,
    )
    sources = _source_facts(world)
    lists = [apps_list(world)]
    beside = charts_files(world)
    if beside:
        lists.append(repositories_list(world, beside))
    git = world.repository.git
    branch = git.branch()
    push = None
    if world.permissions.push:
        remote = git.remote(branch, world.settings.gitops.remote)
        target = git.target(branch, remote)
        push = PushFacts(remote, target, *git.unpushed(remote, target, _MARK))
    return CommitFacts(
        sources=sources,
        lists=tuple(lists),
        grafana=grafana_file(world),
        branch=branch,
        push=push,
    )


def plan(world: World, found: CommitFacts) -> Iterator[Change]:
    """Write and list what is missing, commit what of ours differs from HEAD, push what is not yet pushed.

    Raises:
        RefusedError: edits that are not committed are in the way, or git does not know who commits.
    """
    edits = list(plan_files(world, found.sources))
    edits += [change for item in found.lists if (change := item.change(world)) is not None]
    yield from edits
    paths = _uncommitted(world, found, edits)
    git = world.repository.git
    if paths:
        git.check_identity()
        git.check_not_ignored(paths)
        yield Commit(git, paths, message(world.settings.gitops.issue), world.repository.known_texts(paths))
    if found.push is not None and (paths or found.push.ours):
        others = found.push.waiting - found.push.ours
        yield Push(git, found.push.remote, found.branch, found.push.target, others)


def message(issue: int | None) -> str:
    """The documented commit message; ``Closes:`` only with an issue's number."""
    return _MESSAGE if issue is None else f"{_MESSAGE}Closes: #{issue}\n"


def _source_facts(world: World) -> tuple[ManifestFacts, ...]:
    """Facts of the HelmRepository files that are ours to write: those that nobody else has written."""
    values = placeholder_values(world)
    return tuple(
        file_facts(world, path, render(template(f"{DOCUMENTED.gitops.repositories}/{name}"), values))
        for path in charts_files(world)
        for name in [posixpath.basename(path)]
        if MARKER in (world.repository.read(path) or MARKER)
    )


def _uncommitted(world: World, found: CommitFacts, edits: Sequence[Change]) -> tuple[str, ...]:
    """Our paths that will differ from HEAD once everything planned is done.

    Raises:
        RefusedError: the commit would take somebody else's uncommitted edits along.
    """
    repository = world.repository
    own = own_files(world, [source.path for source in found.sources])
    folders = {str(folder) for path in own for folder in PurePosixPath(path).parents} - {"."}
    repository.load_heads([*own, *folders])
    repository.plan(edits)
    paths = [path for path in own if repository.differs_from_head(path)]
    shared = (*found.lists, found.grafana)
    paths += [item.path for item in shared if item.needs_commit(world)]
    if paths and not world.permissions.force:
        _check_edits(world, found, paths)
        for folder in sorted(folders):
            if repository.head(folder) is not None:
                raise RefusedError(
                    f"{folder} is a file or a symbolic link in HEAD, and a folder here",
                    "commit that first; with --force it goes into the playbook's commit",
                )
    return tuple(paths)


def _check_edits(world: World, found: CommitFacts, paths: Sequence[str]) -> None:
    """Check that what a commit of ``paths`` takes along is the playbook's to the last byte.

    Shared files have been looked at; what sops encrypted cannot be compared, and cannot be edited unseen.

    Raises:
        RefusedError: somebody edited one of our files, or staged something else, and did not commit it.
    """
    git = world.repository.git
    for file in (*deployed_facts(world), *found.sources):
        text = world.repository.read(file.path)
        if file.path in paths and text is not None and not git.stores_alike(file.path, text, file.wanted):
            raise RefusedError(
                f"{file.path} has comments or formatting that the playbook did not write, not committed",
                "commit it yourself, or delete it to have it written anew; "
                "with --force it goes into the playbook's commit as it is",
            )
    staged = git.staged_apart(paths)
    if staged:
        raise RefusedError(
            f"something else is staged for {', '.join(staged)} than the file holds",
            "commit what is staged, or git restore --staged it; with --force it is lost",
        )
