"""The commit of what the playbook wrote, with the entries and HelmRepositories that make Flux apply it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tasks.core.changes import Change, Remark
from tasks.core.errors import RefusedError
from tasks.effects.git import Commit, Push
from tasks.flux.missing import need_all
from tasks.subjects import grafana
from tasks.subjects.flux import apps_lists, charts_facts, charts_files, repositories_list
from tasks.subjects.former import Former, former
from tasks.subjects.manifests import APPS, ManifestFacts, deployed_facts, own_files, plan_files
from tasks.subjects.message import message
from tasks.subjects.moved import moves
from tasks.subjects.shared_files import SharedFile
from tasks.subjects.signature import SIGNATURE
from tasks.workspace import Workspace


@dataclass(frozen=True)
class PushFacts:
    """Where a push would go, and how many commits wait for it: all, and the playbook's own among them."""

    remote: str
    target: str
    waiting: int
    ours: int


@dataclass(frozen=True)
class CommitFacts:
    """All that is looked at. ``push`` is None where pushing is not wanted.

    ``former`` is what earlier names left; its entries are taken out of the ``lists``. ``moves`` are sentences
    on what other settings move.
    """

    former: Former
    moves: tuple[str, ...]
    sources: tuple[ManifestFacts, ...]
    lists: tuple[SharedFile, ...]
    grafana: tuple[SharedFile, ...]
    branch: str
    push: PushFacts | None


def facts(workspace: Workspace) -> CommitFacts:
    """Read the files that others share with us, the HelmRepository files and the state of git.

    Raises:
        RefusedError: the layout is not known, HEAD is detached, an operation is in progress, or there is no
            remote to push to.
    """
    layout = workspace.layout
    needed = () if grafana.left_out(workspace.settings) else (layout.grafana,)
    need_all(layout.apps_kustomization, *(app.charts(layout) for app in APPS), *needed)
    sources = charts_facts(workspace)
    lists = apps_lists(workspace)
    beside = charts_files(workspace)
    if beside:
        lists.append(repositories_list(workspace, beside))
    git = workspace.repository.git
    branch = git.branch()
    left = former(workspace)
    return CommitFacts(
        former=left,
        moves=tuple(moves(workspace, left)),
        sources=sources,
        lists=tuple(left.unlisted(workspace, lists)),
        grafana=grafana.facts(workspace).shared,
        branch=branch,
        push=push_facts(workspace, branch) if workspace.permissions.push else None,
    )


def push_facts(workspace: Workspace, branch: str) -> PushFacts:
    """Where ``branch`` would be pushed to, and what waits for it.

    Raises:
        RefusedError: there is no such place, or it is not clear which one is meant.
    """
    git = workspace.repository.git
    remote = git.remote(branch, workspace.settings.gitops.remote)
    target = git.target(branch, remote)
    return PushFacts(remote, target, *git.unpushed(remote, target, SIGNATURE))


def plan(workspace: Workspace, found: CommitFacts) -> Iterator[Change | Remark]:
    """Write and list what is missing, commit what of ours differs from HEAD, push what is not yet pushed.

    Raises:
        RefusedError: edits that are not committed are in the way, or git does not know who commits.
    """
    planned = list(plan_files(workspace, found.sources))
    edits = [item for item in planned if isinstance(item, Change)]
    edits += [change for item in found.lists if (change := item.change(workspace)) is not None]
    edits += found.former.changes(workspace)
    yield from (item for item in planned if isinstance(item, Remark))
    yield from map(Remark, found.moves)
    yield from edits
    paths = _uncommitted(workspace, found, edits)
    git = workspace.repository.git
    if paths:
        git.check_identity()
        git.check_not_ignored(paths)
        known = workspace.repository.texts_of(paths)
        shared = tuple(item.path for item in found.grafana)
        yield Commit(git, paths, message(workspace, paths, shared), known)
    if found.push is not None and (paths or found.push.ours):
        yield push_of(workspace, found.branch, found.push)


def push_of(workspace: Workspace, branch: str, found: PushFacts) -> Push:
    """The push of ``branch``."""
    others = found.waiting - found.ours
    return Push(workspace.repository.git, found.remote, branch, found.target, others)


def _uncommitted(workspace: Workspace, found: CommitFacts, edits: Sequence[Change]) -> tuple[str, ...]:
    """Our paths that will differ from HEAD once everything planned is done.

    Raises:
        RefusedError: the commit would take somebody else's uncommitted edits along.
    """
    repository = workspace.repository
    own = (*own_files(workspace), *(source.path for source in found.sources))
    folders = {str(folder) for path in own for folder in PurePosixPath(path).parents} - {"."}
    repository.load_heads([*own, *folders])
    repository.plan(edits)
    paths = [path for path in own if repository.differs_from_head(path)]
    shared = (*found.lists, *found.grafana)
    paths += [item.path for item in shared if item.needs_commit(workspace)]
    paths += found.former.committed(workspace)
    if paths and not workspace.permissions.force:
        _check_edits(workspace, found, paths)
        for folder in sorted(folders):
            if repository.head(folder) is not None:
                raise RefusedError(
                    f"{folder} is a file or a symbolic link in HEAD, and a folder here",
                    "commit that first; with --force it goes into the playbook's commit",
                )
    return tuple(paths)


def _check_edits(workspace: Workspace, found: CommitFacts, paths: Sequence[str]) -> None:
    """Check that what a commit of ``paths`` takes along is the playbook's to the last byte.

    Shared files have been looked at; what sops encrypted cannot be compared, and cannot be edited unseen.

    Raises:
        RefusedError: somebody edited one of our files, or staged something else, and did not commit it.
    """
    git = workspace.repository.git
    for file in (*deployed_facts(workspace), *found.sources):
        text = workspace.repository.read(file.path)
        if file.path not in paths or text is None or file.is_output:
            continue
        if not git.stores_alike(file.path, text, file.wanted):
            raise RefusedError(
                f"{file.path} has comments or formatting that the playbook did not write, not committed",
                "commit it yourself, or delete it to have it written anew; "
                "with --force it goes into the playbook's commit as it is",
            )
    apart = git.staged_apart(paths)
    outputs, head = workspace.repository.outputs, workspace.repository.head
    staged = [
        path for path, text in git.index_texts(apart).items() if not outputs.has(path, head(path), text)
    ]
    if staged:
        raise RefusedError(
            f"something else is staged for {', '.join(staged)} than the file holds",
            "commit what is staged, or git restore --staged it; with --force it is lost",
        )
