"""Files that Flux leaves out of what it downloads: whether something of ours is among them."""

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from checks.flux import applied
from checks.model import Model, Outcome, failed, passed
from tasks.flux.cluster import Cluster
from tasks.flux.kustomizations import FluxKustomization
from tasks.flux.listing import is_below
from tasks.flux.sourceignore import Pattern, leaves_out, patterns_for, read_patterns
from tasks.yaml.documents import dig, items

_REFUSED = "the build would fail with 'no such file': nothing that is listed beside it would be applied"
_UNSEEN = "Flux would not see it, and not apply it"


def files_are_downloaded(model: Model) -> Iterator[Outcome]:
    """No pattern of .sourceignore or spec.ignore meets a file that ours are built from."""
    own = {item.key for _, item in applied(model)}
    matters = model.ours | ({model.grafana_file} - {""})
    for found in model.clusters:
        start = [item for item in found.kustomizations if item.key in own or item.files & matters]
        left_out: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for item in found.holders(*start):
            data, source = _source(found, item)
            for path, consequence in _files(model, item):
                reason = _left_out(model, path, data, source)
                if reason is not None and (path, consequence) not in left_out.setdefault(reason, []):
                    left_out[reason].append((path, consequence))
        for (what, place), paths in left_out.items():
            named = ", ".join(path for path, _ in paths)
            verb = "is" if len(paths) == 1 else "are"
            yield failed(
                f"{named} {verb} left out of what Flux downloads: {what}",
                max((consequence for _, consequence in paths), key=[_UNSEEN, _REFUSED].index),
                f"write an exception behind it (!{posixpath.basename(paths[0][0])}), or another pattern"
                if "pattern" in what
                else "add the folder",
                place or f"{paths[0][0]}:1",
            )
    yield passed("what ours are built from is in what Flux downloads")


def _source(found: Cluster, item: FluxKustomization) -> tuple[Mapping[str, Any], str]:
    """The source of a Kustomization and its file; empty where the repository does not show it."""
    kind, name, namespace = item.origin or ("", "", "")
    return found.defined(kind, namespace, name) or ({}, "")


def _files(model: Model, item: FluxKustomization) -> Iterator[tuple[str, str]]:
    """The files that a Kustomization is built from, and what becomes of it without one."""
    is_listed = bool(model.tree.kustomization(item.folder if item.folder != "." else ""))
    for path in sorted(item.files):
        # Where nothing is listed, all manifests are taken that are there: others may be left out by intent.
        if is_listed or path in model.ours or path == model.grafana_file:
            folder = posixpath.dirname(path)
            is_needed = model.tree.lists(folder, path) or path == model.tree.kustomizations.get(folder)
            yield path, _REFUSED if is_listed or is_needed else _UNSEEN
            if path == model.tree.kustomizations.get(folder):
                for read in _read_by(model.tree.kustomization(folder)):
                    yield posixpath.normpath(posixpath.join(folder, read)), _REFUSED


def _read_by(listing: Mapping[str, Any]) -> Iterator[str]:
    """Files that a kustomization reads and that are no manifests, or need not be."""
    for generator in ("configMapGenerator", "secretGenerator"):
        for one in items(listing, generator):
            for field in ("files", "envs"):
                yield from (name.rpartition("=")[2] for name in items(one, field) if isinstance(name, str))
    for field in ("patches", "replacements"):
        yield from (str(dig(one, "path")) for one in items(listing, field) if dig(one, "path"))


def _left_out(model: Model, path: str, source: Mapping[str, Any], file: str) -> tuple[str, str] | None:
    """Why Flux leaves ``path`` out, and FILE:LINE of that; None if it does not."""
    folders = [name for name in items(source, "spec", "sparseCheckout") if isinstance(name, str)]
    if folders and not any(is_below(path, posixpath.normpath(name).strip("/")) for name in folders):
        place = model.place(file, source, "spec", "sparseCheckout")
        return f"the source checks out {', '.join(folders)} only (spec.sparseCheckout)", place
    ignore = dig(source, "spec", "ignore")
    of_source = list(read_patterns(ignore, origin=file)) if isinstance(ignore, str) else []
    patterns = patterns_for(path, model.text, of_source)
    found = leaves_out(path, patterns, has_defaults=source.get("kind") != "Bucket")
    return None if found is None else _told(model, found, source)


def _told(model: Model, pattern: Pattern, source: Mapping[str, Any]) -> tuple[str, str]:
    text = pattern.text.strip()
    if not pattern.origin:
        return f"the pattern {text} of Flux's own meets it (write a .sourceignore, which replaces those)", ""
    if pattern.origin.endswith(".sourceignore"):
        return f"the pattern {text} meets it", f"{pattern.origin}:{pattern.line}"
    lines = model.text(pattern.origin).splitlines()
    found = [number for number, line in enumerate(lines, 1) if line.strip() == text]
    place = f"{pattern.origin}:{found[0]}" if found else model.place(pattern.origin, source, "spec", "ignore")
    return f"the pattern {text} of spec.ignore meets it", place
