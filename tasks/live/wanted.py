"""What the repository wants to run in the cluster: the pushed commit, and the Flux objects that bring it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.live.objects import Key


@dataclass(frozen=True)
class WantedRelease:
    """A HelmRelease, the namespace that its pods run in, the Kustomization that applies it, and its task."""

    key: Key
    namespace: str
    kustomization: Key
    task: str


@dataclass(frozen=True)
class Wanted:
    """``kustomizations`` are those that lead to ours, the parents first.

    ``has`` says whether a revision ("main@sha1:…") holds the commit: it is the commit itself, or came after
    it; None where that cannot be told. ``branch`` is the one that was pushed to; empty if that is not known.
    ``secret`` is the name of the Secret that is looked at whether pods refer to it or not; empty: none.
    """

    commit: str
    has: Callable[[str], bool | None] = field(repr=False)
    kustomizations: tuple[Key, ...]
    releases: tuple[WantedRelease, ...]
    branch: str = ""
    secret: str = ""
