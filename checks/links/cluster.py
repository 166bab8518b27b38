"""What Flux would apply: the Kustomizations of the cluster, each with the objects that its build gives."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from checks.objects import dig, items
from tasks.core.documents import load_documents
from tasks.core.errors import RefusedError
from tasks.core.flux_tree import Tree
from tasks.core.grafana import GrafanaPlace
from tasks.core.layout import Source
from tasks.core.substitution import (
    SubstitutionError,
    Variables,
    collect,
    has_variable,
    is_exempt,
    substitute,
)
from tasks.effects import kustomize
from tasks.effects.kustomize import BuildError, Built, FetchError
from tasks.effects.world import World
from tasks.manifests import applied_files

_API = "kustomize.toolkit.fluxcd.io/"
_SOURCES = ("GitRepository", "OCIRepository", "Bucket", "HelmRepository", "ExternalArtifact", "HelmChart")
# Where a kustomization lists folders and files to build.
_LISTS = ("resources", "components", "bases")
# Kinds without a namespace, as far as a repository of apps holds them.
CLUSTER_SCOPED = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
    "PersistentVolume",
    "PriorityClass",
    "StorageClass",
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
}


class Key(NamedTuple):
    """The identity of an object in the cluster; ``namespace`` is empty for cluster-scoped kinds."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def key_of(data: Mapping[str, Any], namespace: str = "") -> Key:
    """The identity of ``data``, which is put into ``namespace`` where it names none."""
    kind = str(data.get("kind"))
    api = str(data.get("apiVersion"))
    placed = "" if kind in CLUSTER_SCOPED else str(dig(data, "metadata", "namespace") or namespace)
    return Key(api.rpartition("/")[0], kind, placed, str(dig(data, "metadata", "name")))


@dataclass(frozen=True)
class Applied:
    """A Flux Kustomization as the cluster gets it, with what it applies.

    ``path`` is the file that defines it; ``objects`` is None where it was not built (nothing that matters
    here lies below it) or could not be, then ``error`` says why: Flux would meet a ``BuildError`` as well.
    A ``${…}`` that is left in an object is not known. ``files`` are those of the repository that it is made
    of, also where it was not built.
    """

    data: Mapping[str, Any] = field(repr=False)
    path: str
    objects: tuple[Built, ...] | None = field(default=None, repr=False)
    error: RefusedError | None = None
    files: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """Its namespace and name."""
        return str(dig(self.data, "metadata", "namespace") or ""), str(dig(self.data, "metadata", "name"))

    @property
    def spec(self) -> Mapping[str, Any]:
        """Its spec; empty where it has none."""
        spec = self.data.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def folder(self) -> str:
        """The folder that it applies."""
        return folder_of(self.data)

    @property
    def origin(self) -> tuple[str, str, str]:
        """Kind, name and namespace of its source."""
        reference = dig(self.data, "spec", "sourceRef") or {}
        namespace = reference.get("namespace") or self.key[0]
        return str(reference.get("kind")), str(reference.get("name")), str(namespace)


@dataclass(frozen=True)
class Cluster:
    """All Kustomizations that the cluster applies, as far as the repository shows, the roots first.

    ``is_whole`` says that the repository shows all of them: none could not be built or comes from elsewhere.
    """

    tree: Tree
    applied: tuple[Applied, ...]
    is_whole: bool = True

    def built(self) -> Iterator[tuple[Applied, Built]]:
        """Every object of every build."""
        for item in self.applied:
            for one in item.objects or ():
                yield item, one

    def defining(self, path: str) -> list[Applied]:
        """The Kustomizations that the file ``path`` defines and the cluster applies."""
        return [item for item in self.applied if item.path == path]

    def objects_of(self, *kinds: str) -> list[Built]:
        """The objects of these kinds in all builds."""
        return [one for _, one in self.built() if one.data.get("kind") in kinds]

    def sources(self) -> set[tuple[str, str, str]]:
        """Kind, name and namespace of every source that a build, an unbuilt file or an operator defines."""
        found = {
            (str(one.data["kind"]), key.name, key.namespace)
            for item, one in self.built()
            if one.data.get("kind") in _SOURCES
            for key in [key_of(one.data, item.key[0])]
        }
        built = {one.path for _, one in self.built()}
        listed = {path for item in self.applied for path in item.files}
        folders = {posixpath.dirname(path) for path in listed}
        for item in self.tree.of_kind(*_SOURCES):
            # One that is left out where others beside it are listed is not applied.
            is_left_out = item.path not in listed and posixpath.dirname(item.path) in folders
            if item.path not in built and not is_left_out:
                found.add((item.kind, item.name, self.tree.built_namespace(item) or ""))
        return found | {item.origin for item in _of_operator(self.tree)}


def cluster(world: World) -> Cluster:
    """The cluster that our files go to, that with most of them if they go to several.

    Raises:
        RefusedError: there is no kustomize, or the layout is not known.
    """
    return clusters(world)[0]


def clusters(world: World) -> tuple[Cluster, ...]:
    """Every cluster that gets some of our files, as the repository describes it, with most of them first.

    Kustomizations of the same name and namespace are of different clusters. Built once for a state of the
    repository.

    Raises:
        RefusedError: there is no kustomize, or the layout is not known.
    """
    return world.remember("clusters", lambda: _make(world))


def folder_of(data: Mapping[str, Any]) -> str:
    """The folder of the repository that a Flux Kustomization applies."""
    return posixpath.normpath(posixpath.join("/", str(dig(data, "spec", "path") or "."))).lstrip("/") or "."


def _make(world: World) -> tuple[Cluster, ...]:
    repository = world.repository
    tree = Tree(repository.yaml_files, repository.glance)
    files, elsewhere = _Files(world, tree), _Elsewhere(world, tree)
    grafana = world.layout.grafana
    ours = {
        *applied_files(world),
        *((grafana.path,) if isinstance(grafana, GrafanaPlace) else ()),
    }
    with ThreadPoolExecutor() as pool:
        made = [_Maker(world, files, elsewhere, ours).run(pool, roots) for roots in _roots(files, elsewhere)]
    merged: list[list[Applied]] = []
    for group in sorted(made, key=lambda group: -len(_held(group, ours))):
        names = {item.key for item in group}
        fitting = (other for other in merged if not names & {item.key for item in other})
        known = next(fitting, None)
        if known is None:
            merged.append(known := [])
        known.extend(group)
    ours_only = [group for group in merged if _held(group, ours)]
    return tuple(
        Cluster(tree, tuple(group), _is_whole(group, elsewhere))
        for group in ours_only or [[item for group in merged for item in group]]
    )


def _held(group: Iterable[Applied], ours: set[str]) -> set[str]:
    """Which of our files these Kustomizations are made of."""
    return {path for item in group for path in (item.path, *item.files) if path in ours}


def _is_whole(group: Iterable[Applied], elsewhere: "_Elsewhere") -> bool:
    return not any(
        item.error is not None
        or has_variable(item.folder)
        or elsewhere.has(item)
        or any(one.data.get("kind") == "ResourceSet" for one in item.objects or ())
        for item in group
    )


class _Files:
    """What the folders of a repository are made of, as their kustomizations say; read once."""

    def __init__(self, world: World, tree: Tree) -> None:
        self.tree = tree
        self._root = world.repository.root
        self._kustomizations: dict[str, Mapping[str, Any]] = {}
        self._found: dict[tuple[str, ...], tuple[frozenset[str], frozenset[str], str]] = {}

    def kustomization(self, folder: str) -> str | None:
        """The path of the kustomization of ``folder`` ("." is the top)."""
        return self.tree.kustomizations.get("" if folder == "." else folder)

    def lists(self, folder: str, *names: str) -> Iterator[str]:
        """The entries of the kustomization of ``folder`` in the lists ``names``."""
        if folder not in self._kustomizations:
            path = self.kustomization(folder)
            documents = load_documents(self.tree.texts[path]) if path else []
            data = documents[0] if documents and isinstance(documents[0], dict) else {}
            self._kustomizations[folder] = data
        for name in names:
            for entry in items(self._kustomizations[folder].get(name)):
                if isinstance(entry, str):
                    yield entry

    def real(self, path: str) -> str:
        """``path`` without links, as far as it stays in the repository."""
        found = (self._root / path).resolve()
        return found.relative_to(self._root).as_posix() if found.is_relative_to(self._root) else path

    def of(self, item: Applied) -> tuple[frozenset[str], frozenset[str], str]:
        """The files and the folders that a Kustomization is made of, and an entry that would be fetched."""
        folder = self.real(item.folder)
        more = [str(path) for path in items(item.spec.get("components"))]
        start = (folder, *(posixpath.normpath(posixpath.join(folder, path)) for path in more))
        if start not in self._found:
            self._found[start] = self._walked(start)
        return self._found[start]

    def _walked(self, start: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str], str]:
        files: set[str] = set()
        folders: set[str] = set()
        fetched = ""
        waiting = list(start)
        while waiting:
            folder = waiting.pop()
            if folder in folders:
                continue
            folders.add(folder)
            path = self.kustomization(folder)
            if path is None:
                entries = self.generated(folder) if folder in start else []
            else:
                files.add(path)
                entries = []
                for entry in self.lists(folder, *_LISTS):
                    local = posixpath.normpath(posixpath.join(folder, entry))
                    is_local = local in self.tree.texts or (self._root / local).exists()
                    if not is_local and kustomize.is_remote(entry):
                        fetched = fetched or entry
                    entries.append(local)
            for entry in entries:
                if entry in self.tree.texts:
                    files.add(self.real(entry))
                else:
                    waiting.append(self.real(entry))
        return frozenset(files), frozenset(folders), fetched

    def generated(self, folder: str) -> list[str]:
        """What Flux lists for a ``folder`` without a kustomization: all manifests below it."""
        found: dict[str, None] = {}
        for path in sorted(self.tree.texts):
            if not _is_below(path, folder):
                continue
            between = [one for one in reversed(_above(path)) if one != folder and _is_below(one, folder)]
            highest = next((one for one in between if self.kustomization(one)), None)
            if highest is not None or _is_manifest(self.tree.texts[path]):
                found[highest or path] = None
        return list(found)


def _is_below(path: str, folder: str) -> bool:
    return folder == "." or path.startswith(f"{folder}/")


def _above(path: str) -> list[str]:
    """The folders that ``path`` lies in, the nearest first, "." for the top."""
    return [str(parent) for parent in PurePosixPath(path).parents]


def _is_manifest(text: str) -> bool:
    # Most are told by their first lines; the others are read, and what is no manifest is left to its owner.
    if not re.search(r"(?m)^[\"']?apiVersion[\"']?:", text):
        return False
    return any(isinstance(one, dict) and "kind" in one for one in load_documents(text))


class _Elsewhere:
    """Which Kustomizations apply another repository than this one, whose folders may have the same names."""

    def __init__(self, world: World, tree: Tree) -> None:
        urls = {
            (item.kind, item.name): item.spec.get("url")
            for item in tree.of_kind("GitRepository", "OCIRepository")
        }
        for item in tree.of_kind("FluxInstance"):
            name = str(dig(item.spec, "sync", "name") or item.namespace or "flux-system")
            urls[str(dig(item.spec, "sync", "kind")), name] = dig(item.spec, "sync", "url")
        self._urls = {
            key: _plain_url(url)
            for key, url in urls.items()
            if isinstance(url, str) and not has_variable(url)
        }
        source = world.layout.source
        self._own = self._urls.get((source.kind, source.name)) if isinstance(source, Source) else None

    def has(self, item: Applied) -> bool:
        """Whether the source of a Kustomization certainly is another repository."""
        url = self._urls.get(item.origin[:2])
        return None not in (url, self._own) and url != self._own


def _plain_url(url: str) -> str:
    """Host and path, however they are reached: ssh://git@host:22/path.git is https://host/path."""
    return re.sub(r"^(\w+://)?([^@/]*@)?|:\d+(?=/)|(\.git)?/*$", "", url).lower()


def _is_flux(data: Mapping[str, Any]) -> bool:
    return data.get("kind") == "Kustomization" and str(data.get("apiVersion")).startswith(_API)


def _roots(files: _Files, elsewhere: _Elsewhere) -> list[list[Applied]]:
    """What nothing else in the repository applies, in groups: those that start from the same folder.

    Where a kustomization leads to it, that is what the cluster was given, so it is built first.
    """
    tree = files.tree
    found = [Applied(item.data, item.path) for item in tree.of_kind("Kustomization") if _is_flux(item.data)]
    operated = list(_of_operator(tree))
    leading: dict[str, set[str]] = {}
    for item in [*found, *operated]:
        if not elsewhere.has(item):
            for folder in files.of(item)[1]:
                leading.setdefault(folder, set()).add(item.path)
    hidden = [item for item in found if has_variable(item.folder)]

    def leads(item: Applied, path: str) -> bool:
        return any(item.path in leading.get(folder, ()) for folder in _above(path))

    groups: dict[str, list[Applied]] = {item.folder: [item] for item in operated}
    for item in found:
        if any(leading.get(folder, set()) - {item.path} for folder in _above(item.path)):
            continue
        # A variable may stand for any folder: but not for one that leads back to where it is set.
        if any(
            other.path != item.path
            and _is_below(item.path, posixpath.dirname(other.folder.partition("${")[0]) or ".")
            and not leads(item, other.path)
            for other in hidden
        ):
            continue
        if _is_below(item.path, item.folder):
            start, root = item.folder, item
        else:
            start, root = posixpath.dirname(item.path) or ".", item
            top = _top(files, item.path)
            if top is not None:
                start, root = top, _plain_build(files, top)
        groups.setdefault(start, [])
        if root not in groups[start]:
            groups[start].append(root)
    return _nested(groups)


def _of_operator(tree: Tree) -> Iterator[Applied]:
    """The Kustomizations that the Flux operator makes of a FluxInstance, or of the values of its chart."""
    for item in tree.of_kind("FluxInstance"):
        yield from _synced(item.spec.get("sync"), item.namespace, item.path)
    for path, text in tree.texts.items():
        if "instance:" in text and "sync:" in text:
            for document in load_documents(text):
                for values in (document, dig(document, "spec", "values")):
                    yield from _synced(dig(values, "instance", "sync"), None, path)


def _synced(sync: Any, namespace: str | None, path: str) -> Iterator[Applied]:
    if not isinstance(sync, dict) or not isinstance(sync.get("path"), str):
        return
    namespace = namespace or "flux-system"
    name = str(sync.get("name") or namespace)
    yield Applied(
        {
            "apiVersion": f"{_API}v1",
            "kind": "Kustomization",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "path": sync["path"],
                "sourceRef": {"kind": sync.get("kind", "GitRepository"), "name": name},
            },
        },
        path,
    )


def _top(files: _Files, path: str) -> str | None:
    """The highest folder whose kustomization leads to the file ``path``, one after the other."""
    top, current = None, path
    while True:
        listing = (
            folder
            for folder in _above(current)
            if any(
                posixpath.normpath(posixpath.join(folder, entry)) == current
                for entry in files.lists(folder, *_LISTS)
            )
        )
        found = next(listing, None)
        if found is None:
            return top
        top = current = found


def _plain_build(files: _Files, folder: str) -> Applied:
    """What ``kubectl apply -k`` of a folder gives, as if a Kustomization had been pointed at it."""
    data = {"apiVersion": f"{_API}v1", "kind": "Kustomization", "metadata": {"name": folder}}
    return Applied({**data, "spec": {"path": folder}}, files.kustomization(folder) or folder)


def _nested(groups: Mapping[str, list[Applied]]) -> list[list[Applied]]:
    """``groups`` by folder, with those of a folder inside another's among that one's."""
    tops = [one for one in groups if not any(other != one and _is_below(one, other) for other in groups)]
    return [
        [item for folder, found in groups.items() if _is_below(f"{folder}/", top) for item in found]
        for top in tops
    ]


class _Maker:
    """Builds what starts from some roots: Kustomizations, those that they hold, and so on."""

    def __init__(self, world: World, files: _Files, elsewhere: _Elsewhere, ours: set[str]) -> None:
        self._root = world.repository.root
        self._files = files
        self._elsewhere = elsewhere
        self._wanted = ours | {
            item.path for item in files.tree.of_kind("Kustomization") if _is_flux(item.data)
        }
        self._done: dict[tuple[str, str], Applied] = {}
        self._pending: dict[tuple[str, str], Applied] = {}

    def run(self, pool: ThreadPoolExecutor, roots: Iterable[Applied]) -> list[Applied]:
        """Every Kustomization that follows from ``roots``, with its objects."""
        start = list(roots)
        self._follow(pool, start)
        # A Kustomization that applies itself, as that of Flux, may come out changed by what it lists.
        inside = {item.key: item for item in self._children(self._done.values())}
        again = [inside.get(item.key, item) for item in start]
        if any(one.spec != other.spec for one, other in zip(start, again, strict=True)):
            self._done.clear()
            self._follow(pool, again)
        return list(self._done.values())

    def _follow(self, pool: ThreadPoolExecutor, waiting: list[Applied]) -> None:
        while waiting or self._pending:
            known = self._done.keys() | self._pending.keys()
            fresh: dict[tuple[str, str], Applied] = {}
            for item in waiting:
                if item.key not in known:
                    fresh.setdefault(item.key, item)
            for item in pool.map(self._build, fresh.values()):
                (self._done if item.objects is None else self._pending)[item.key] = item
            # Variables may come from any build: who lacks some waits until there is nothing else to build.
            waiting = self._settle() or self._sought() or self._settle(is_last=True)

    def _build(self, item: Applied) -> Applied:
        folder = item.folder
        if self._elsewhere.has(item) or has_variable(folder):
            return item
        files, _, fetched = self._files.of(item)
        item = replace(item, files=files)
        # A folder that is not there is of another source, as a rule: where ours point there, a check tells.
        if not files & self._wanted or not (self._root / folder).is_dir():
            return item
        if fetched:
            summary = f"{fetched} would have to be fetched, which is not done here"
            return replace(item, error=FetchError(summary, f"see what it gives: kubectl kustomize {folder}"))
        folder = self._files.real(folder)
        listed = None if self._files.kustomization(folder) else self._files.generated(folder)
        try:
            objects = kustomize.build(self._root, folder, item.spec, listed)
        except (BuildError, FetchError) as error:
            return replace(item, error=error)
        return replace(item, objects=tuple(objects))

    def _settle(self, *, is_last: bool = False) -> list[Applied]:
        """Substitute where all variables are known, or ``is_last``; what these Kustomizations hold."""
        settled: list[Applied] = []
        is_moving = True
        while is_moving:
            is_moving = False
            for key, item in list(self._pending.items()):
                done = self._substituted(item, is_last=is_last)
                if done is not None:
                    del self._pending[key]
                    self._done[key] = done
                    settled.append(done)
                    is_moving = True
        return self._children(settled)

    def _children(self, parents: Iterable[Applied]) -> list[Applied]:
        return [
            Applied(one.data, one.path or parent.path)
            for parent in parents
            for one in parent.objects or ()
            if _is_flux(one.data)
        ]

    def _sought(self) -> list[Applied]:
        """Kustomizations that were not built and may hold variables that are missing, to be built now."""
        missing = {name for item in self._pending.values() for name in self._variables(item, ()).missing}
        found = []
        for kind, name in missing:
            texts = self._files.tree.texts
            holding = {path for path in texts if name in texts[path] and kind.lower() in texts[path].lower()}
            self._wanted |= holding
            for key, item in list(self._done.items()):
                if item.objects is None and item.error is None and item.files & holding:
                    found.append(self._done.pop(key))
        return found

    def _variables(self, item: Applied, more: Iterable[Applied]) -> Variables:
        """The variables of ``item``, as far as what is settled and ``more`` hold them."""
        post_build = item.spec.get("postBuild")
        if not isinstance(post_build, dict):
            return Variables()

        def find(kind: str, name: str) -> Mapping[str, Any] | None:
            for other in (*self._done.values(), *more):
                for one in other.objects or ():
                    key = key_of(one.data, other.key[0])
                    if (key.kind, key.namespace, key.name) == (kind, item.key[0], name):
                        return one.data
            return None

        return collect(post_build, find)

    def _substituted(self, item: Applied, *, is_last: bool) -> Applied | None:
        """``item`` with its variables replaced; None while some are missing, unless ``is_last``."""
        objects = item.objects or ()
        try:
            # One that holds its own variables was given them once by hand.
            variables = self._variables(item, (item,) if is_last else ())
            if variables.missing and not is_last:
                return None
            if variables.is_certain:
                objects = tuple(_replaced(one, variables) for one in objects)
        except SubstitutionError as error:
            return replace(item, objects=None, error=BuildError(str(error)))
        return replace(item, objects=tuple(_labelled(one, item.spec) for one in objects))


def _replaced(one: Built, variables: Variables) -> Built:
    if "$" not in one.text or is_exempt(one.data.get("metadata") or {}):
        return one
    what = f"{one.data.get('kind')} {dig(one.data, 'metadata', 'name')}"
    try:
        text = substitute(one.text, variables)
    except SubstitutionError as error:
        raise SubstitutionError(f"variables cannot be substituted in {what}: {error}") from None
    again = kustomize.parse(text, one.path)
    if again is None:
        raise SubstitutionError(f"{what} is not YAML any more with its variables substituted")
    return again


def _labelled(one: Built, spec: Mapping[str, Any]) -> Built:
    """``one`` with the labels and annotations that the Kustomization gives all its objects."""
    common = spec.get("commonMetadata")
    if not isinstance(common, dict):
        return one
    metadata = dict(one.data.get("metadata") or {})
    for name in ("labels", "annotations"):
        if isinstance(common.get(name), dict):
            metadata[name] = {**(metadata.get(name) or {}), **common[name]}
    return replace(one, data={**one.data, "metadata": metadata})
