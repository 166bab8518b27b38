"""The commit of what the playbook wrote, with the entries and HelmRepositories that make Flux apply it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tasks.core.changes import Change
from tasks.effects.git import Commit, Push
from tasks.flux.layout import need_all
from tasks.subjects import grafana
from tasks.subjects.flux import apps_list, charts_facts, charts_files, repositories_list
from tasks.subjects.manifests import APPS, ManifestFacts, own_files, plan_files
from tasks.subjects.shared_files import SharedFile
from tasks.workspace import Workspace

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
    """All that is looked at. ``push`` is None where pushing is not wanted."""

    sources: tuple[ManifestFacts, ...]
    lists: tuple[SharedFile, ...]
    grafana: SharedFile
    branch: str
    push: PushFacts | None


def facts(workspace: Workspace) -> CommitFacts:
    """Read the files that others share with us, the HelmRepository files and the state of git.

    Raises:
        RefusedError: the layout is not known, HEAD is detached, an operation is in progress, or there is no
            remote to push to.
    """
    layout = workspace.layout
    need_all(layout.apps_kustomization, *(app.charts(layout) for app in APPS), layout.grafana)
    sources = charts_facts(workspace)
    lists = [apps_list(workspace)]
    beside = charts_files(workspace)
    if beside:
        lists.append(repositories_list(workspace, beside))
    git = workspace.repository.git
    branch = git.branch()
    push = None
    if workspace.permissions.push:
        remote = git.remote(branch, workspace.settings.gitops.remote)
        target = git.target(branch, remote)
        push = PushFacts(remote, target, *git.unpushed(remote, target, _MARK))
    return CommitFacts(
        sources=sources,
        lists=tuple(lists),
        grafana=grafana.facts(workspace),
        branch=branch,
        push=push,
    )


def plan(workspace: Workspace, found: CommitFacts) -> Iterator[Change]:
    """Write and list what is missing, commit what of ours differs from HEAD, push what is not yet pushed.

    Raises:
        RefusedError: edits that are not committed are in the way, or git does not know who commits.
    """
    edits = list(plan_files(workspace, found.sources))
    edits += [change for item in found.lists if (change := item.change(workspace)) is not None]
    yield from edits
    paths = _uncommitted(workspace, found, edits)
    git = workspace.repository.git
    if paths:
        git.check_identity()
        git.check_not_ignored(paths)
        yield Commit(git, paths, message(workspace.settings.gitops.issue))
    if found.push is not None and (paths or found.push.ours):
        others = found.push.waiting - found.push.ours
        yield Push(git, found.push.remote, found.branch, found.push.target, others)


def message(issue: int | None) -> str:
    """The documented commit message; ``Closes:`` only with an issue's number."""
    return _MESSAGE if issue is None else f"{_MESSAGE}Closes: #{issue}\n"


def _uncommitted(workspace: Workspace, found: CommitFacts, edits: Sequence[Change]) -> tuple[str, ...]:
    """Our paths that will differ from HEAD once everything planned is done.

    Raises:
        RefusedError: a shared file would take somebody else's uncommitted edits along.
    """
    repository = workspace.repository
    own = (*own_files(workspace), *(source.path for source in found.sources))
    repository.load_heads(own)
    repository.plan(edits)
    paths = [path for path in own if repository.differs_from_head(path)]
    shared = (*found.lists, found.grafana)
    return (*paths, *(item.path for item in shared if item.needs_commit(workspace)))
