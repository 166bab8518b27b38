"""Entries, sources and decryption: whether Flux finds and applies what our Kustomizations name."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from checks.links.applied import Applied, key_of
from checks.links.cluster import Cluster, clusters
from checks.model import Outcome, failed, noted, passed, unknown
from checks.objects import dig, items, place
from tasks.effects.kustomize import BuildError, is_remote
from tasks.flux.layout import need
from tasks.flux.substitution import has_variable
from tasks.subjects.apps import KS, KUSTOMIZATION
from tasks.subjects.flux import applied_files
from tasks.subjects.manifests import APPS, own_files
from tasks.subjects.parseable import PARSEABLE
from tasks.subjects.vector import VECTOR
from tasks.workspace import Workspace
from tasks.yaml.documents import load_documents

_NOT_APPLIED = "Flux would apply nothing of it"
_Reference = tuple[str, str, str]


def own_kustomizations(workspace: Workspace) -> tuple[str, str]:
    """The files of our two Flux Kustomizations."""
    return PARSEABLE.path(workspace, KS), VECTOR.path(workspace, KS)


def entries_exist(workspace: Workspace) -> Iterator[Outcome]:
    """Every entry of the kustomizations that hold our files exists, and every file of ours is applied."""
    missing = list(_missing_entries(workspace))
    yield from missing
    found = clusters(workspace)
    ours = applied_files(workspace)
    for item in _all(found):
        if isinstance(item.error, BuildError) and not item.is_stray:
            if not item.files & set(ours):
                yield noted(workspace, _unbuilt(workspace, item))
            # Kustomize complains of a missing entry too.
            elif not missing:
                yield _unbuilt(workspace, item)
        elif item.error is not None and item.files & set(ours):
            where = _place_of_path(workspace, item)
            yield unknown(f"{item.folder}: {item.error.summary}", item.error.hint, where)
    applied = {one.path for item in _all(found) for one in item.objects or ()}
    applied |= {item.path for item in _all(found)}
    there = [path for path in ours if path in applied]
    if there:
        yield passed(f"{len(there)} files of ours are in what Flux applies")
    for path in own_kustomizations(workspace):
        if workspace.repository.read(path) is None:
            yield failed(f"{path} does not exist", _NOT_APPLIED, "invoke all")
        elif path in applied:
            yield from _unapplied_files(workspace, found, path, applied)
        else:
            yield from _unreached(found, path, _NOT_APPLIED, need(workspace.layout.apps_kustomization))
    for path in ours:
        is_source = path not in own_files(workspace)
        if is_source and workspace.repository.read(path) is not None and path not in applied:
            consequence = "Flux would not know where the chart comes from"
            yield from _unreached(found, path, consequence, need(workspace.layout.repositories_kustomization))


def _all(found: Sequence[Cluster]) -> Iterator[Applied]:
    return (item for one in found for item in one.applied)


def _unbuilt(workspace: Workspace, item: Applied) -> Outcome:
    assert item.error is not None
    return failed(
        f"kustomize cannot build {item.folder}: {item.error.summary}",
        f"{_NOT_APPLIED}, nor of anything else that Kustomization {item.key[1]} applies",
        "mend what it names",
        _place_of_path(workspace, item),
    )


def _place_of_path(workspace: Workspace, item: Applied) -> str:
    return place(workspace, item.path, item.data, "spec", "path")


def _unreached(found: Sequence[Cluster], path: str, consequence: str, listing: str) -> Iterator[Outcome]:
    """A file that is in no build: a failure, unless a Kustomization that is not built may lead to it."""
    if any(item.error is not None and path in item.files for item in _all(found)):
        return
    hidden = next((item for item in _all(found) if has_variable(item.folder)), None)
    if hidden is not None:
        yield unknown(
            f"{path}: Kustomization {hidden.key[1]} applies {hidden.folder}, which may lead to it",
            "commit the variable's source, or give the path plainly",
            f"{path}:1",
        )
        return
    is_applied = any(listing in item.files for item in _all(found))
    yield failed(
        f"no Kustomization that the cluster applies leads to {path}",
        consequence,
        f"list it in {listing}" if is_applied else f"let a Kustomization lead to {listing}, which lists it",
        f"{path}:1",
    )


def _missing_entries(workspace: Workspace) -> Iterator[Outcome]:
    layout = workspace.layout
    listings = (layout.apps_kustomization, layout.repositories_kustomization)
    paths = [path for path in listings if isinstance(path, str)]
    paths += [app.path(workspace, KUSTOMIZATION) for app in APPS]
    known = set(workspace.repository.yaml_files)
    for path in paths:
        text = workspace.repository.read(path) or ""
        for document in load_documents(text)[:1]:
            for field in ("resources", "components"):
                for entry in items(dig(document, field)):
                    if not isinstance(entry, str):
                        continue
                    local = posixpath.normpath(posixpath.join(posixpath.dirname(path), entry))
                    there = workspace.repository.root / local
                    if there.is_dir() or local in known or (is_remote(entry) and not there.exists()):
                        continue
                    is_ignored = there.is_file() and there.suffix in (".yaml", ".yml")
                    if there.is_file() and not is_ignored:
                        continue
                    yield failed(
                        f"entry {entry} is ignored by git" if is_ignored else f"entry {entry} does not exist",
                        "kustomize refuses the whole folder: nothing that it lists would be applied",
                        "add the file, or take the entry out",
                        f"{path}:{_entry_line(text, entry)}",
                    )


def _entry_line(text: str, entry: str) -> int:
    lines = [line.partition(" #")[0].strip("- \t\"'\r") for line in text.splitlines()]
    return lines.index(entry) + 1 if entry in lines else 1


def _unapplied_files(
    workspace: Workspace, found: Sequence[Cluster], path: str, applied: set[str | None]
) -> Iterator[Outcome]:
    """Files beside an app's ks.yaml that are ours, exist, and are in no build."""
    own = [item for one in found for item in one.defining(path)]
    if any(item.error is not None or has_variable(item.folder) for item in own):
        return
    folder = posixpath.dirname(path)
    for file in own_files(workspace):
        is_manifest = file.startswith(f"{folder}/app/") and not file.endswith("/kustomization.yaml")
        if is_manifest and file not in applied and workspace.repository.read(file) is not None:
            yield failed(
                f"{file} is not applied",
                _NOT_APPLIED,
                f"list it in {folder}/app/kustomization.yaml, and point spec.path of {path} to {folder}/app",
                f"{file}:1",
            )


def _own(workspace: Workspace) -> Iterator[tuple[Cluster, Applied]]:
    """Our Kustomizations, in every cluster that applies them."""
    files = own_kustomizations(workspace)
    for found in clusters(workspace):
        for item in found.applied:
            if item.path in files:
                yield found, item


def _not_reached(workspace: Workspace) -> Iterator[Outcome]:
    reached = {item.path for _, item in _own(workspace)}
    for path in own_kustomizations(workspace):
        if path not in reached and workspace.repository.read(path) is not None:
            yield unknown(
                f"{path} is not applied as far as is known", "see the check of entries", f"{path}:1"
            )


def sources_exist(workspace: Workspace) -> Iterator[Outcome]:
    """What our Kustomizations and HelmReleases refer to is defined, or used by others in the same way."""
    files = own_kustomizations(workspace)
    yield from _not_reached(workspace)
    everywhere = {item.key for item in _all(clusters(workspace))}
    for found in clusters(workspace):
        for item in found.applied:
            needed = _dependencies(workspace, found, item, everywhere)
            if item.path in files:
                used = {
                    other.origin for other in found.applied if other.path not in files and other.has_origin
                }
                yield _source(workspace, item, found.sources(), used)
                yield from needed
                for one in item.objects or ():
                    if one.data.get("kind") == "HelmRelease" and one.path is not None:
                        yield from _chart_source(workspace, found, one.data, one.path)
            elif not item.is_stray:
                yield from (noted(workspace, outcome) for outcome in needed)


def _source(workspace: Workspace, item: Applied, defined: set[_Reference], used: set[_Reference]) -> Outcome:
    kind, name, namespace = item.origin
    where = place(workspace, item.path, item.data, "spec", "sourceRef")
    if any(has_variable(part) for part in item.origin):
        return unknown(f"sourceRef {kind} {namespace}/{name} holds a variable that is not known", place=where)
    if item.origin in defined:
        return passed(f"{item.path}: {kind} {namespace}/{name} is defined")
    if item.origin in used:
        return passed(f"{item.path}: {kind} {namespace}/{name} is what other Kustomizations use")
    alike = sorted(f"{other[0]} {other[2]}/{other[1]}" for other in defined | used if other[0] == kind)
    if not alike:
        return unknown(
            f"{kind} {namespace}/{name}: the repository shows no source of this kind",
            "commit the source's manifest, or check it in the cluster: flux get sources all -A",
            where,
        )
    moved = "" if dig(item.data, "spec", "sourceRef", "namespace") else (
        f"; without a namespace it is looked up in {namespace}, where the build puts this Kustomization"
    )  # fmt: skip
    return failed(
        f"sourceRef {kind} {namespace}/{name} does not exist{moved} (there are: {', '.join(alike)})",
        "Flux would answer 'source not found', and apply nothing of it",
        "name one of those, with its namespace",
        where,
    )


def _dependencies(
    workspace: Workspace, found: Cluster, item: Applied, everywhere: set[tuple[str, str]]
) -> Iterator[Outcome]:
    for position, needed in enumerate(items(dig(item.data, "spec", "dependsOn"))):
        wanted = (str(dig(needed, "namespace") or item.key[0]), str(dig(needed, "name")))
        if wanted not in everywhere:
            yield _dependency(workspace, found, item, position, wanted)


def _dependency(
    workspace: Workspace, found: Cluster, item: Applied, position: int, wanted: tuple[str, str]
) -> Outcome:
    where = place(workspace, item.path, item.data, "spec", "dependsOn", position)
    named = f"dependsOn {wanted[0]}/{wanted[1]}"
    if any(has_variable(part) for part in wanted):
        return unknown(f"{named} holds a variable that is not known", place=where)
    elsewhere = sorted(f"{other.key[0]}/{wanted[1]}" for other in found.applied if other.key[1] == wanted[1])
    if not found.is_whole and not elsewhere:
        return unknown(
            f"{named}: not seen, and the repository does not show every Kustomization",
            f"kubectl get kustomization -n {wanted[0]} {wanted[1]}",
            where,
        )
    near = f" (there is: {', '.join(elsewhere)})" if elsewhere else ""
    return failed(
        f"{named} is no Kustomization of this cluster{near}",
        "Flux would wait for it for ever",
        "correct the name or namespace, or take it out",
        where,
    )


def _chart_source(
    workspace: Workspace, found: Cluster, release: Mapping[str, Any], path: str
) -> Iterator[Outcome]:
    known = found.sources()
    for keys in (("spec", "chart", "spec", "sourceRef"), ("spec", "chartRef")):
        reference = dig(release, *keys)
        if not isinstance(reference, dict):
            continue
        wanted = _referred(reference, key_of(release).namespace)
        named = f"{'.'.join(keys[1:])} names {wanted[0]} {wanted[2]}/{wanted[1]}"
        where = place(workspace, path, release, *keys)
        if wanted in known:
            yield passed(f"{path}: {wanted[0]} {wanted[2]}/{wanted[1]} is defined")
        elif any(has_variable(part) for part in wanted):
            yield unknown(f"{named}, which holds a variable that is not known", place=where)
        elif _is_ours(workspace, found, wanted):
            yield passed(f"{path}: {wanted[0]} {wanted[2]}/{wanted[1]} is ours, see the check of entries")
        elif _is_used(workspace, found, wanted):
            yield passed(f"{path}: {wanted[0]} {wanted[2]}/{wanted[1]} is what other HelmReleases use")
        else:
            alike = sorted(f"{other[2]}/{other[1]}" for other in known if other[0] == wanted[0])
            yield failed(
                f"{named}, which is not defined (there are: {', '.join(alike) or 'none'})",
                "Flux would not find the chart, and install nothing",
                "name one of those, or define it",
                where,
            )


def _referred(reference: Mapping[str, Any], namespace: str) -> _Reference:
    """Kind, name and namespace of what an object in ``namespace`` refers to."""
    named = reference.get("namespace") or namespace
    return str(reference.get("kind")), str(reference.get("name")), str(named)


def _is_ours(workspace: Workspace, found: Cluster, wanted: _Reference) -> bool:
    """Whether it is in a file of ours: where that is not applied, the check of entries tells."""
    paths = applied_files(workspace)
    return any(
        item.path in paths and (item.name, found.tree.built_namespace(item)) == wanted[1:]
        for item in found.tree.of_kind(wanted[0])
    )


def _is_used(workspace: Workspace, found: Cluster, wanted: _Reference) -> bool:
    """Whether HelmReleases of others, built or not, name the same source with its namespace."""
    ours = own_files(workspace)
    for path, text in found.tree.texts.items():
        if path in ours or "HelmRelease" not in text or wanted[1] not in text:
            continue
        for document in load_documents(text):
            for keys in (("spec", "chart", "spec", "sourceRef"), ("spec", "chartRef")):
                reference = dig(document, *keys)
                own = str(dig(document, "metadata", "namespace") or "")
                if isinstance(reference, dict) and _referred(reference, own) == wanted:
                    return True
    return False


def secrets_are_decrypted(workspace: Workspace) -> Iterator[Outcome]:
    """Kustomizations of ours whose build holds objects encrypted with SOPS say how they are decrypted."""
    yield from _not_reached(workspace)
    for found, item in _own(workspace):
        encrypted = [one for one in item.objects or () if _is_encrypted(one.data)]
        if not encrypted:
            continue
        if dig(item.data, "spec", "decryption", "provider") == "sops":
            yield _key(workspace, found, item)
            continue
        names = ", ".join(str(dig(one.data, "metadata", "name")) for one in encrypted)
        provider = dig(item.data, "spec", "decryption", "provider")
        has = f"has the decryption provider {provider}, not sops," if provider else (
            "has no spec.decryption, its own or from a parent,"
        )  # fmt: skip
        yield failed(
            f"Kustomization {item.key[1]} {has} and applies {names}, which is encrypted",
            "Flux would refuse it, and apply nothing else of this Kustomization",
            "add spec.decryption: {provider: sops, secretRef: {name: …}}",
            place(workspace, item.path, item.data, "spec"),
        )


def _is_encrypted(data: Mapping[str, Any]) -> bool:
    """Whether Flux takes an object for encrypted, and is not told to leave it so."""
    annotations = dig(data, "metadata", "annotations") or {}
    left = str(annotations.get("kustomize.toolkit.fluxcd.io/decrypt")).lower() == "disabled"
    return isinstance(dig(data, "sops"), dict) and not left


def _key(workspace: Workspace, found: Cluster, item: Applied) -> Outcome:
    """Whether the Secret with the private key is where the Kustomization looks for it."""
    name, namespace = dig(item.data, "spec", "decryption", "secretRef", "name"), item.key[0]
    where = place(workspace, item.path, item.data, "spec", "decryption")
    if name is None:
        return unknown(
            f"Kustomization {item.key[1]} decrypts without a secretRef: with keys that its controller has",
            place=where,
        )
    seen = {(key.namespace, key.name) for one in found.objects_of("Secret") for key in [key_of(one.data)]} | {
        (other.key[0], str(dig(other.data, "spec", "decryption", "secretRef", "name")))
        for other in found.applied
        if other.path not in own_kustomizations(workspace)
    }
    if (namespace, name) in seen:
        return passed(f"{item.path}: decrypted with Secret {namespace}/{name}")
    elsewhere = sorted(f"{other}/{name}" for other, known in seen if known == name)
    near = f" (there is: {', '.join(elsewhere)})" if elsewhere else ""
    return unknown(
        f"Secret {namespace}/{name} with the private key: the repository shows none, and no other use{near}",
        f"kubectl get secret -n {namespace} {name}",
        where,
    )
