"""What Flux is told to apply: documents, entries and sources, and DoD-011."""

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from checks.answers import NEEDS_CLUSTER, shown
from checks.model import AnsweredError, Cause, Model, Outcome, as_note, failed, passed, skipped, unknown
from tasks.effects.kustomize import BuildError, Built, is_remote
from tasks.flux.cluster import Cluster
from tasks.flux.kustomizations import FluxKustomization, dependencies_of
from tasks.flux.missing import need
from tasks.flux.sources import Source
from tasks.flux.substitution import has_variable
from tasks.kube.keys import key_of
from tasks.kube.resources import Gap
from tasks.model import cause_of
from tasks.subjects.apps import KS, KUSTOMIZATION
from tasks.subjects.flux import applied_files
from tasks.subjects.grafana import left_out
from tasks.subjects.manifests import APPS, own_files
from tasks.subjects.parseable import PARSEABLE
from tasks.subjects.vector import VECTOR
from tasks.yaml.documents import dig, items, load_documents, mapping, syntax_error

_NOT_APPLIED = "Flux would apply nothing of it"
_Reference = tuple[str, str, str]


# Documents ------------------------------------------------------------------------------------------------


def documents_are_readable(model: Model) -> Iterator[Outcome]:
    """Every file that matters is YAML, and what is read in it has the shape that its kind has.

    A file matters if it is ours, or a Kustomization that is applied is made of it.
    """
    applied = {
        path
        for cluster in _clusters(model)
        for item in cluster.kustomizations
        if not item.is_stray
        for path in (item.path, *item.files)
    }
    matters = sorted(path for path in {*model.ours, *applied, model.grafana_file} if path in model.tree.texts)
    for path in matters:
        for outcome in _oddities(model, path, is_applied=path in applied):
            yield outcome if path in model.ours else as_note(model, outcome)
    yield passed(f"{len(matters)} files are YAML of the shape that is read")


def _oddities(model: Model, path: str, *, is_applied: bool) -> Iterator[Outcome]:
    """What is odd about one file; ``is_applied`` says that it is a kustomization, or listed in one."""
    text = model.text(path)
    documents = load_documents(text)
    reason = "" if not text or documents else syntax_error(text)
    if reason:
        place, _, why = reason.partition(": ")
        line = place.partition(":")[0]
        yield failed(
            f"{path} is not YAML: {why} (line {line})",
            "kustomize would refuse the whole folder: nothing that it lists would be applied",
            "correct the file",
            f"{path}:{line}",
        )
    if path in model.tree.odd:
        for fault in model.tree.odd[path]:
            yield failed(
                f"{'.'.join(map(str, fault.path))} is {fault.text}",
                "kustomize would refuse the whole folder: nothing that it lists would be applied",
                "correct the file",
                model.place_in(path, f"{fault.path[0]}:"),
            )
    elif is_applied:
        yield from _no_objects(path, documents)
    for item in model.tree.objects:
        for fault in item.faults if item.path == path else ():
            yield failed(
                f"{item.kind} {item.name}: {'.'.join(map(str, fault.path))} is {fault.text}",
                "the API server would refuse it",
                "correct the manifest",
                model.place(path, item.data, *fault.path),
            )


def _no_objects(path: str, documents: Sequence[Any]) -> Iterator[Outcome]:
    """Documents that are applied and are no objects of Kubernetes."""
    for number, document in enumerate(documents, 1):
        lacking = [
            f"{name} is {shown(found)}"
            for name, kind in (("apiVersion", str), ("kind", str), ("metadata", dict))
            if not isinstance(found := dig(document, name), kind)
        ]
        if document is not None and lacking and not str(dig(document, "kind")).endswith("List"):
            yield failed(
                f"document {number} is no object of Kubernetes: {', '.join(lacking)}",
                "kustomize would refuse the whole folder: nothing that it lists would be applied",
                "correct the file",
                f"{path}:1",
            )


def _clusters(model: Model) -> tuple[Cluster, ...]:
    try:
        return model.clusters
    except AnsweredError:
        return ()


# Entries --------------------------------------------------------------------------------------------------


def own_kustomizations(model: Model) -> tuple[str, str]:
    """The documented files of our two Flux Kustomizations."""
    return (
        PARSEABLE.path(model.workspace, KS),
        VECTOR.path(model.workspace, KS),
    )


def entries_exist(model: Model) -> Iterator[Outcome]:
    """Every entry of the kustomizations that hold our files exists, and every file of ours is applied."""
    missing = list(_missing_entries(model)) if model.apps else []
    yield from missing
    found = model.clusters
    ours = applied_files(model.workspace) if model.apps else ()
    for item in _all(found):
        is_ours = bool(item.files & set(ours))
        if isinstance(item.error, BuildError) and not item.is_stray:
            if not is_ours:
                yield as_note(model, _unbuilt(model, item))
            # Kustomize complains of a missing entry too.
            elif not missing:
                yield _unbuilt(model, item)
        elif is_ours or (model.whole_repository and not item.is_stray):
            yield from _not_seen(model, item)
    if not model.apps:
        yield passed(f"{sum(item.objects is not None for item in _all(found))} Kustomizations build")
        return
    applied = {one.path for item in _all(found) for one in item.objects or ()}
    applied |= {item.path for item in _all(found)}
    there = [path for path in ours if path in applied]
    if there:
        yield passed(f"{len(there)} files of ours are in what Flux applies")
    yield from _reached(model, found, applied)


def _not_seen(model: Model, item: FluxKustomization) -> Iterator[Outcome]:
    """Why it is not known what a Kustomization applies, where that is no fault of what it lists."""
    where = _place_of_path(model, item)
    if item.error is not None:
        yield unknown(f"{item.folder}: {item.error.summary}", cause_of(item.error), item.error.hint, where)
    elif item.remote:
        folder, entry = item.remote[0]
        listing = model.tree.kustomizations["" if folder == "." else folder]
        yield unknown(
            f"{entry} would have to be fetched, so that what it holds is not known",
            Cause.NETWORK,
            f"kubectl kustomize {item.folder}",
            model.place_in(listing, entry),
        )
    elif _is_nowhere(model, item):
        yield failed(
            f"Kustomization {item.key[1]} applies {item.folder}, which does not exist",
            f"{_NOT_APPLIED}: 'kustomization path not found'",
            "correct spec.path, or take the Kustomization out",
            where,
        )


def _is_nowhere(model: Model, item: FluxKustomization) -> bool:
    """Whether a Kustomization is pointed at a folder that this repository, its source, does not have."""
    source = model.layout.source
    if not isinstance(source, Source) or item.origin is None or item.origin[:2] != (source.kind, source.name):
        return False
    return not has_variable(item.folder) and not (model.workspace.repository.root / item.folder).is_dir()


def _reached(model: Model, found: Sequence[Cluster], applied: set[str | None]) -> Iterator[Outcome]:
    """Whether what is applied includes our Kustomizations, what lies beside them, and our chart sources."""
    for app, path in zip(APPS, own_kustomizations(model), strict=True):
        if model.workspace.repository.read(path) is None:
            if not model.kustomizations_of(app):
                yield failed(f"{path} does not exist", _NOT_APPLIED, "invoke all")
        elif path in applied:
            yield from _unapplied_files(model, found, path, applied)
        else:
            yield from _unreached(found, path, _NOT_APPLIED, need(model.layout.apps_kustomization))
    for path in applied_files(model.workspace):
        is_source = path not in own_files(model.workspace)
        if is_source and model.workspace.repository.read(path) is not None and path not in applied:
            consequence = "Flux would not know where the chart comes from"
            listing = str(need(model.layout.repositories_kustomization))
            yield from _unreached(found, path, consequence, listing)


def _all(found: Sequence[Cluster]) -> Iterator[FluxKustomization]:
    return (item for one in found for item in one.kustomizations)


def _unbuilt(model: Model, item: FluxKustomization) -> Outcome:
    assert item.error is not None
    return failed(
        f"kustomize cannot build {item.folder}: {item.error.summary}",
        f"{_NOT_APPLIED}, nor of anything else that Kustomization {item.key[1]} applies",
        "correct what it names",
        _place_of_path(model, item),
    )


def _place_of_path(model: Model, item: FluxKustomization) -> str:
    return model.place(item.path, item.data, "spec", "path")


def _unreached(found: Sequence[Cluster], path: str, consequence: str, listing: str) -> Iterator[Outcome]:
    """A file that is in no build: a failure, unless a Kustomization that is not built may lead to it."""
    if any(item.error is not None and path in item.files for item in _all(found)):
        return
    hidden = next((item for item in _all(found) if has_variable(item.folder)), None)
    if hidden is not None:
        yield unknown(
            f"{path}: Kustomization {hidden.key[1]} applies {hidden.folder}, which may lead to it",
            Cause.CLUSTER,
            "commit the variable's source, or write the path out",
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


def _missing_entries(model: Model) -> Iterator[Outcome]:
    layout, repository = model.layout, model.workspace.repository
    listings = (layout.apps_kustomization, layout.repositories_kustomization)
    paths = [path for path in listings if isinstance(path, str)]
    paths += [app.path(model.workspace, KUSTOMIZATION) for app in APPS]
    known = set(repository.yaml_files)
    for path in paths:
        text = model.text(path)
        for document in load_documents(text)[:1]:
            for field in ("resources", "components"):
                for entry in items(document, field):
                    if not isinstance(entry, str):
                        continue
                    local = posixpath.normpath(posixpath.join(posixpath.dirname(path), entry))
                    there = repository.root / local
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
    model: Model, found: Sequence[Cluster], path: str, applied: set[str | None]
) -> Iterator[Outcome]:
    """Files beside an app's ks.yaml that are ours, exist, and are in no build."""
    own = [item for one in found for item in one.defining(path)]
    if any(item.error is not None or has_variable(item.folder) for item in own):
        return
    folder = posixpath.dirname(path)
    # What a generator reads is in no build by itself.
    generated = {
        posixpath.normpath(posixpath.join(item.folder, str(name).partition("=")[2] or str(name)))
        for item in own
        for generator in ("configMapGenerator", "secretGenerator")
        for one in items(_listing(model, item), generator)
        for name in items(one, "files")
    }
    for file in own_files(model.workspace):
        is_manifest = file.startswith(f"{folder}/app/") and not file.endswith("/kustomization.yaml")
        is_there = file not in applied and model.workspace.repository.read(file) is not None
        if is_manifest and is_there and file not in generated:
            yield failed(
                f"{file} is not applied",
                _NOT_APPLIED,
                f"list it in {folder}/app/kustomization.yaml, and point spec.path of {path} to {folder}/app",
                f"{file}:1",
            )


def _listing(model: Model, item: FluxKustomization) -> Mapping[str, Any]:
    return model.tree.kustomization(item.folder)


# Sources --------------------------------------------------------------------------------------------------


def applied(model: Model) -> list[tuple[Cluster, FluxKustomization]]:
    """Our Kustomizations, in every cluster that applies them; none where only others are judged.

    Raises:
        AnsweredError: nothing can be built, or none of them is applied.
    """
    found = model.kustomizations_of(*model.apps)
    if not found and model.apps:
        raise AnsweredError(
            model.hidden(PARSEABLE)
            or unknown("our Kustomizations are not applied (see the check of entries)", Cause.REPOSITORY)
        )
    return found


def applied_by_others(model: Model) -> list[tuple[Cluster, FluxKustomization]]:
    """Other people's Kustomizations that are judged as ours are: those of the whole repository, or none."""
    own = [item.key for _, item in model.kustomizations_of(*model.apps)]
    return [
        (found, item)
        for found in (model.clusters if model.whole_repository else ())
        for item in found.kustomizations
        if item.key not in own and not item.is_stray
    ]


def is_by_hand(model: Model, item: FluxKustomization) -> bool:
    """Whether it stands for a folder that somebody applies (``kubectl apply -k``), not for one of Flux's."""
    return item.path not in model.tree.texts or item.path in model.tree.kustomizations.values()


def sources_exist(model: Model) -> Iterator[Outcome]:
    """What Kustomizations and HelmReleases refer to is defined, or used by others in the same way."""
    own = [item.key for _, item in applied(model)]
    others = [item.key for _, item in applied_by_others(model)]
    everywhere = {item.key for item in _all(model.clusters)}
    for found in model.clusters:
        naming = Counter(
            item.origin for item in found.kustomizations if item.origin is not None and item.key not in own
        )
        defined = found.sources()
        for item in found.kustomizations:
            needed = _dependencies(model, found, item, everywhere)
            if item.key in own or item.key in others:
                if not is_by_hand(model, item):
                    used = _used(item, naming, is_ours=item.key in own)
                    yield _source(model, found, item, defined, used, is_ours=item.key in own)
                yield from needed
                for one in item.objects or ():
                    if one.data.get("kind") == "HelmRelease" and one.path is not None:
                        yield from _chart_source(model, found, defined, one)
            elif not item.is_stray:
                yield from (as_note(model, outcome) for outcome in needed)
    yield passed("nothing else names a source")


def _used(item: FluxKustomization, naming: Counter[_Reference], *, is_ours: bool) -> set[_Reference]:
    """The sources that others name, so that there must be such: what one alone names proves nothing."""
    if is_ours:
        return set(naming)
    beside = naming - Counter([item.origin] if item.origin is not None else [])
    return {one for one, times in beside.items() if times > 1 or one == item.origin}


def _source(
    model: Model,
    found: Cluster,
    item: FluxKustomization,
    defined: set[_Reference],
    used: set[_Reference],
    *,
    is_ours: bool,
) -> Outcome:
    where = model.place(item.path, item.data, "spec", "sourceRef")
    if item.origin is None:
        return failed(
            f"Kustomization {item.key[1]} names no source (spec.sourceRef)",
            "the API server would refuse it",
            "name the source of the repository",
            where,
        )
    kind, name, namespace = item.origin
    if any(has_variable(part) for part in item.origin):
        return unknown(f"sourceRef {kind} {namespace}/{name} holds a variable", Cause.CLUSTER, place=where)
    if item.origin in defined:
        return passed(f"{item.path}: {kind} {namespace}/{name} is defined")
    if item.origin in used:
        return passed(f"{item.path}: {kind} {namespace}/{name} is what other Kustomizations use")
    alike = sorted(f"{other[0]} {other[2]}/{other[1]}" for other in defined | used if other[0] == kind)
    gap = None if is_ours else _hiding(found, item.origin)
    if not alike or gap is not None:
        told = (
            f"{gap.what} may hold it: {gap.reason}" if gap else "the repository shows no source of this kind"
        )
        return unknown(
            f"{kind} {namespace}/{name}: {told}",
            gap.cause if gap else Cause.CLUSTER,
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
    model: Model, found: Cluster, item: FluxKustomization, everywhere: set[tuple[str, str]]
) -> Iterator[Outcome]:
    for position, wanted in enumerate(dependencies_of(item)):
        # What names nothing is told as an odd shape.
        if wanted[1] and wanted not in everywhere:
            yield _dependency(model, found, item, position, wanted)


def _dependency(
    model: Model, found: Cluster, item: FluxKustomization, position: int, wanted: tuple[str, str]
) -> Outcome:
    where = model.place(item.path, item.data, "spec", "dependsOn", position)
    named = f"dependsOn {wanted[0]}/{wanted[1]}"
    if any(has_variable(part) for part in wanted):
        return unknown(f"{named} holds a variable", Cause.CLUSTER, place=where)
    elsewhere = sorted(
        f"{other.key[0]}/{wanted[1]}" for other in found.kustomizations if other.key[1] == wanted[1]
    )
    gap = next((gap for gap in found.gaps if gap.may_hold("Kustomization", *wanted)), None)
    if gap is not None and not elsewhere:
        return unknown(
            f"{named} is not seen; {gap.what}, which may hold it, is not known: {gap.reason}",
            gap.cause,
            gap.remedy or f"kubectl get kustomization -n {wanted[0]} {wanted[1]}",
            where,
        )
    near = f" (there is: {', '.join(elsewhere)})" if elsewhere else ""
    return failed(
        f"{named} is no Kustomization of this cluster{near}",
        "Flux would wait for it for ever",
        "correct the name or namespace, or take it out",
        where,
    )


def _chart_source(model: Model, found: Cluster, known: set[_Reference], one: Built) -> Iterator[Outcome]:
    release, path = one.data, str(one.path)
    for keys in (("spec", "chart", "spec", "sourceRef"), ("spec", "chartRef")):
        reference = mapping(release, *keys)
        if not reference:
            continue
        wanted = _referred(reference, key_of(release).namespace)
        named = f"{'.'.join(keys[1:])} names {wanted[0]} {wanted[2]}/{wanted[1]}"
        where = model.place(path, release, *keys)
        if wanted in known:
            yield passed(f"{path}: {wanted[0]} {wanted[2]}/{wanted[1]} is defined")
        elif any(has_variable(part) for part in wanted):
            yield unknown(f"{named}, which holds a variable", Cause.CLUSTER, place=where)
        elif _is_ours(model, found, wanted):
            yield passed(f"{path}: {wanted[0]} {wanted[2]}/{wanted[1]} is ours, see the check of entries")
        elif _is_used(model, found, wanted, besides=path):
            yield passed(f"{path}: {wanted[0]} {wanted[2]}/{wanted[1]} is what other HelmReleases use")
        elif path not in model.ours and (gap := _hiding(found, wanted)) is not None:
            yield unknown(f"{named}; {gap.what} may hold it: {gap.reason}", gap.cause, gap.remedy, where)
        else:
            alike = sorted(f"{other[2]}/{other[1]}" for other in known if other[0] == wanted[0])
            yield failed(
                f"{named}, which is not defined (there are: {', '.join(alike) or 'none'})",
                "Flux would not find the chart, and install nothing",
                "name one of those, or define it",
                where,
            )


def _hiding(found: Cluster, wanted: _Reference) -> Gap | None:
    """The part of a cluster that is not known and may hold a source."""
    kind, name, namespace = wanted
    return next((gap for gap in found.gaps if gap.may_hold(kind, namespace, name)), None)


def _referred(reference: Mapping[str, Any], namespace: str) -> _Reference:
    """Kind, name and namespace of what an object in ``namespace`` refers to."""
    named = reference.get("namespace") or namespace
    return str(reference.get("kind")), str(reference.get("name")), str(named)


def _is_ours(model: Model, found: Cluster, wanted: _Reference) -> bool:
    """Whether it is in a file of ours: where that is not applied, the check of entries tells."""
    return any(
        item.path in model.ours and (item.name, found.tree.built_namespace(item)) == wanted[1:]
        for item in found.tree.of_kind(wanted[0])
    )


def _is_used(model: Model, found: Cluster, wanted: _Reference, *, besides: str) -> bool:
    """Whether HelmReleases of others, built or not, name the same source with its namespace."""
    for path, text in found.tree.texts.items():
        if path in model.ours or path == besides or "HelmRelease" not in text or wanted[1] not in text:
            continue
        for document in load_documents(text):
            for keys in (("spec", "chart", "spec", "sourceRef"), ("spec", "chartRef")):
                reference = mapping(document, *keys)
                own = str(dig(document, "metadata", "namespace") or "")
                if reference and _referred(reference, own) == wanted:
                    return True
    return False


# The running cluster ----------------------------------------------------------------------------------------


def pods_run(_: Model) -> Outcome:
    """DoD-011-02."""
    return unknown(f"{NEEDS_CLUSTER}: every pod Running", Cause.CLUSTER)


def logs_are_found(model: Model) -> Outcome:
    """DoD-011-03."""
    if left_out(model.settings):
        return skipped(left_out(model.settings))
    return unknown(f"{NEEDS_CLUSTER}: recent logs of all namespaces in Grafana", Cause.CLUSTER)


def ingestion_is_fast(_: Model) -> Outcome:
    """DoD-011-04."""
    return unknown(f"{NEEDS_CLUSTER}: more than 1000 events per second", Cause.CLUSTER)
