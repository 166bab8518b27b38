"""What the repository wants in the cluster: the pushed commit, and the Flux objects of our apps as built."""

import re
from collections.abc import Callable, Mapping, Set

from tasks.core.errors import RefusedError
from tasks.effects.git import Git
from tasks.effects.kubectl import ClusterError
from tasks.flux.cluster import Cluster
from tasks.flux.kustomizations import FluxKustomization
from tasks.flux.releases import Release
from tasks.kube.keys import key_of
from tasks.live.wanted import Wanted, WantedRelease

_COMMIT = re.compile(r"(?:^|[:/@])([0-9a-f]{40})$")


def wanted_of(
    git: Git, remote: str | None, found: Cluster, ours: Mapping[str, Set[tuple[str, str]]], secret: str
) -> Wanted:
    """What ``found`` applies of our apps, at the commit that was pushed.

    ``ours`` are the Kustomizations that apply each app, by the task that writes its release. ``remote`` is
    the one that is set, None where git chooses; ``secret`` is the name of Parseable's Secret.

    Raises:
        ClusterError: it is not known what was pushed.
    """
    branch, commit = pushed(git, remote)
    keys = {key for listed in ours.values() for key in listed}
    leading = found.holders(*(item for item in found.kustomizations if item.key in keys))
    return Wanted(
        commit,
        _contains(git, commit),
        tuple(dict.fromkeys(item.key for item in leading)),
        tuple(dict.fromkeys(_releases(found.kustomizations, ours))),
        branch,
        secret,
    )


def _releases(
    kustomizations: tuple[FluxKustomization, ...], ours: Mapping[str, Set[tuple[str, str]]]
) -> list[WantedRelease]:
    return [
        WantedRelease((key.namespace, key.name), Release(one.data, "").namespace, item.key, task)
        for task, applying in ours.items()
        for item in kustomizations
        if item.key in applying
        for one in item.objects or ()
        if one.data.get("kind") == "HelmRelease"
        for key in [key_of(one.data, item.key[0])]
    ]


def pushed(git: Git, chosen: str | None) -> tuple[str, str]:
    """The branch that was pushed to, and its newest commit as far as this clone knows.

    Raises:
        ClusterError: it is not known what was pushed.
    """
    try:
        branch = git.branch()
        remote = git.remote(branch, chosen)
        target = git.target(branch, remote)
    except RefusedError as error:
        raise ClusterError(f"not known what was pushed: {error.summary}", error.hint) from None
    commit = git.seen(remote, target)
    if commit is None:
        raise ClusterError(
            f"not known what was pushed: {remote}/{target} was never seen here", "git fetch, or push"
        )
    return target, commit


def _contains(git: Git, commit: str) -> Callable[[str], bool | None]:
    """Whether a revision of Flux ("main@sha1:…") is the commit, or came after it."""
    known: dict[str, bool | None] = {}

    def has(revision: str) -> bool | None:
        if not revision:
            return False
        found = _COMMIT.search(revision)
        if found is None:
            return None
        if revision not in known:
            known[revision] = found[1] == commit or git.holds(found[1], commit)
        return known[revision]

    return has
