"""Objects with where they come from, and collections of them that know what they may lack."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tasks.core.outcomes import Cause
from tasks.kube.keys import Key
from tasks.kube.rules import Fault

# Of Kubernetes itself: others have kinds of the same names.
_OWN_GROUPS = ("", "apps", "rbac.authorization.k8s.io", "storage.k8s.io")


class ReleaseName(NamedTuple):
    """The identity of a Helm release; both empty for what no release makes."""

    namespace: str
    name: str


NO_RELEASE = ReleaseName("", "")


@dataclass(frozen=True)
class Resource:
    """An object with its namespace, and the file of the repository that it comes from.

    ``helm_release`` is the HelmRelease that it is rendered from, None for a plain manifest; ``release`` the
    name of Helm's release. ``kustomization`` is the Flux Kustomization that applies it, as namespace and
    name. ``faults`` are what was left out of ``data`` because of its shape.
    """

    key: Key
    data: Mapping[str, Any] = field(repr=False)
    path: str
    helm_release: Key | None = None
    release: ReleaseName = NO_RELEASE
    kustomization: tuple[str, str] = ("", "")
    faults: tuple[Fault, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Gap:
    """A part that is not known: a Kustomization that was not built, a release that was not rendered.

    ``namespaces`` and ``kinds`` are those that it may hold, None for any; ``texts`` are what it is made of,
    None where that is not at hand: a name that stands in none of them is not in it.
    """

    what: str
    reason: str
    cause: Cause
    remedy: str = ""
    namespaces: frozenset[str] | None = None
    kinds: frozenset[str] | None = None
    texts: tuple[str, ...] | None = field(default=None, repr=False)

    def may_hold(self, kind: str, namespace: str, name: str) -> bool:
        """Whether an object of that identity may be in it."""
        return (
            (self.kinds is None or kind in self.kinds)
            and (not namespace or self.namespaces is None or namespace in self.namespaces)
            and (self.texts is None or any(name in text for text in self.texts))
        )


class Resources:
    """The objects of one view, in no order that matters, and its gaps."""

    def __init__(self, objects: Iterable[Resource], gaps: Iterable[Gap] = ()) -> None:
        self.objects = tuple(objects)
        self.gaps = tuple(gaps)
        self._by_kind: dict[str, list[Resource]] = {}
        for item in self.objects:
            self._by_kind.setdefault(item.key.kind, []).append(item)

    def of_kind(self, *kinds: str, namespace: str | None = None) -> Iterator[Resource]:
        """The objects of these kinds, of one namespace or of all."""
        return (
            item
            for kind in kinds
            for item in self._by_kind.get(kind, ())
            if namespace in (None, item.key.namespace)
        )

    def find(self, kind: str, namespace: str, name: str) -> Resource | None:
        """The object of that identity, of Kubernetes' own API groups."""
        return next(
            (
                item
                for item in self.of_kind(kind, namespace=namespace)
                if item.key.name == name and item.key.group in _OWN_GROUPS
            ),
            None,
        )

    def gap_for(self, kind: str, namespace: str, name: str) -> Gap | None:
        """The first gap that may hold an object of that identity."""
        return next((gap for gap in self.gaps if gap.may_hold(kind, namespace, name)), None)
