"""The door to kustomize: builds folders of the repository as Flux does, without changing any of them."""

import json
import os
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tasks.core.errors import OfflineError, RefusedError
from tasks.effects import shell
from tasks.effects.confinement import NAMES, BuildError, Confinement
from tasks.effects.scratch import scratch_folder
from tasks.kube.rules import Fault
from tasks.kube.shapes import shaped
from tasks.yaml.documents import load_documents, syntax_error

__all__ = ["NAMES", "BuildError", "Built", "FetchError", "build", "is_remote", "parse", "patch"]

_HINT = "install kubectl or kustomize"
_SECONDS = 30.0  # what is built here takes some milliseconds; aliases in YAML can make it endless
_MEMORY = 2 << 30
_HEADER = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
# Set by kustomize itself where buildMetadata asks for it.
_ORIGIN = "config.kubernetes.io/origin"
# What a Flux Kustomization changes in the kustomization that it builds: these in place of what is there,
# those after it.
_REPLACING = {"targetNamespace": "namespace", "namePrefix": "namePrefix", "nameSuffix": "nameSuffix"}
_ADDING = ("patches", "components")
# What a HelmRelease's post-renderer changes.
_RENDERED = ("patches", "images")
# Nothing is fetched: no git, no answer to HTTP, and no preferences of the user's for kubectl.
_OFFLINE = {
    "PATH": "",
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:0"),
    **dict.fromkeys(("NO_PROXY", "no_proxy")),
    "KUBERC": "off",
    # What lives for milliseconds need not clean up, which is a fourth of its time.
    "GOGC": "off",
    "GOMEMLIMIT": "512MiB",
}
# What loads files whose own texts name more, relative to the kustomization.
_PLUGINS = ("generators", "transformers", "validators", "configurations", "crds", "openapi")
_FETCHING = re.compile(r"no 'git' program on path|proxyconnect tcp")
_LONGEST = 300
# Exit codes of a shell that found no program; and what is wrong with the program, not with what it builds.
_CANNOT_RUN = (126, 127)
_ITS_OWN = re.compile(r"unknown (?:shorthand )?flag|unknown command|out of memory|cannot allocate|^panic:")
# A panic of kustomize is what Flux would meet too, and calls a failed build (fluxcd/pkg/kustomize, Build):
# objects of an odd shape bring it about.
_PANIC = re.compile(r"(?s)^panic: (?:runtime error: )?([^\n]*).*\bsigs\.k8s\.io/kustomize/")
# How kustomize wraps its reasons: folder in folder, and what it tried last where an entry is no file.
# Newer versions of kubectl tell an error as a line of a log, with the text in quotes.
_LOGGED = re.compile(r"[EF]\d{4} [\d:.]+ +\d+ \S+\] \"command failed\" err=\"(.*)\"", re.DOTALL)
_NESTED = re.compile(r"(?:recursed accumulation of|couldn't make target for) path '([^']*)': ")
_OUTER = re.compile(r"^accumulating resources: (?:accumulation err=')?")
_DETOUR = re.compile(r"': must build at directory: .*")
_CONFIGURED = re.compile(r"trouble configuring builtin (\w+) with config: `[^`]*`")
# What else than a path an entry may be, as kustomize tells them apart (api/internal/git/repospec.go).
_REMOTE = re.compile(r"(?i)git::|gh:|ssh://|https?://|git@|github\.com[:/]")
_PERHAPS_REMOTE = re.compile(r"\?|//|\.git\b|@.*:")


@dataclass(frozen=True)
class Built:
    """An object as it comes out of a build.

    ``path`` is the file it came from; of a generated one that is the kustomization, None if nothing is known.
    ``text`` is what kustomize wrote, with which Flux goes on. ``faults`` are what was left out of ``data``
    because of its shape; ``unset`` the variables in whose place Flux puts nothing, since nobody sets them.
    """

    data: Mapping[str, Any] = field(repr=False)
    path: str | None
    text: str = field(default="", repr=False)
    faults: tuple[Fault, ...] = field(default=(), repr=False)
    unset: tuple[str, ...] = ()


class FetchError(OfflineError):
    """Kustomize would fetch something: what it would build cannot be known here."""


def is_remote(entry: str) -> bool:
    """Whether an entry that is no path of the repository names something to fetch, or may do so."""
    return bool(_REMOTE.match(entry) or _PERHAPS_REMOTE.search(entry))


def build(
    root: Path,
    folder: str,
    spec: Mapping[str, Any],
    resources: Iterable[str] | None = None,
    without: Collection[tuple[str, str]] = (),
) -> list[Built]:
    """Build ``folder`` of the repository ``root`` as the Flux Kustomization with ``spec`` does.

    Where the folder has no kustomization, ``resources`` are what it lists, as paths in the repository.
    Entries that would have to be fetched are left out: ``without`` names them, each with its folder.
    Flux changes the folder's own kustomization, so that its patches come before the namespace, say:
    https://github.com/fluxcd/pkg/blob/main/kustomize/kustomize_generator.go.

    Raises:
        BuildError: kustomize refused.
        FetchError: it would fetch something.
        UnavailableError: there is no kustomize.
        RefusedError: a file cannot be read, so that it is not known what it loads.
    """
    root = root.resolve()
    real = (root / folder).resolve()
    if not real.is_relative_to(root):
        raise BuildError(f"{folder} leads out of the repository")
    spec = _of_flux(spec, real, root)
    confinement = Confinement(root, lambda plugins: _run(plugins, root))
    confinement.check(real, ".", folder)
    for component in spec.get("components", ()):
        confinement.check(real, component, "spec.components")
    for path in resources or ():
        confinement.check(root, path, path)
    try:
        with scratch_folder("kustomize-") as top:
            here = _prepared(root, real.relative_to(root), top, spec, resources, without)
            for nested in {where for where, _ in without if where != folder}:
                _replace(top, root, nested, without)
            text = _run(here, top, root)
    except OSError as error:
        raise RefusedError(f"the build of {folder} cannot be prepared: {error.strerror}") from None
    for path, problem in confinement.unread.items():
        raise RefusedError(f"{path} cannot be read here, so that what it loads is not known: {problem}")
    return list(_built(text, real, root))


def _prepared(
    root: Path,
    place: Path,
    top: Path,
    spec: Mapping[str, Any],
    resources: Iterable[str] | None,
    without: Collection[tuple[str, str]],
) -> Path:
    """The folder below ``top`` that stands for ``place`` of the repository, with what ``spec`` changes."""
    if resources is not None:
        base = {"resources": [posixpath.relpath(path, place.as_posix()) for path in resources]}
        here = _mirrored(root, place, top, is_alone=_stays_inside({**base, **spec}))
        _write(here, _merged({**_HEADER, **base}, spec))
        return here
    original = next((root / place / name for name in NAMES if (root / place / name).is_file()), None)
    if original is None:
        raise BuildError(f"{place} has no kustomization that can be read")
    data = _plain(original)
    is_alone = data is not None and not without and _stays_inside({**data, **spec}) and _stays_inside(data)
    here = _mirrored(root, place, top, is_alone=is_alone)
    if data is None:
        # Not what it should be: kustomize says why.
        (here / original.name).symlink_to(original)
    else:
        _write(here, _merged(_listing_without(data, place.as_posix(), without), spec))
    return here


def _replace(top: Path, root: Path, folder: str, without: Collection[tuple[str, str]]) -> None:
    """Put a kustomization without these entries into ``folder`` of the mirror ``top``."""
    here, real = top, root
    for part in folder.split("/"):
        here, real = here / part, real / part
        if here.is_symlink():
            here.unlink()
            here.mkdir()
            for entry in real.iterdir():
                (here / entry.name).symlink_to(entry)
    for name in NAMES:
        data = _plain(real / name) if (here / name).is_symlink() else None
        if data is not None:
            (here / name).unlink()
            text = yaml.safe_dump(_listing_without(data, folder, without), sort_keys=False)
            (here / name).write_text(text, encoding="utf-8")


def _listing_without(
    data: Mapping[str, Any], folder: str, without: Collection[tuple[str, str]]
) -> dict[str, Any]:
    """The kustomization ``data`` of ``folder`` without these entries."""
    entries = [entry for where, entry in without if where == folder]
    lists = {name: data[name] for name in ("resources", "components", "bases")
             if isinstance(data.get(name), list)}  # fmt: skip
    return {**data, **{name: [one for one in found if one not in entries] for name, found in lists.items()}}


def _of_flux(spec: Mapping[str, Any], real: Path, root: Path) -> Mapping[str, Any]:
    """``spec`` with what Flux takes of its lists."""
    taken = dict(spec)
    for name in _ADDING:
        if not isinstance(taken.get(name), list):
            taken.pop(name, None)
    if "patches" in taken:
        taken["patches"] = [_patch_in_place(one) for one in taken["patches"]]
    if "components" in taken:
        taken["components"] = [str(one) for one in taken["components"]]
        if spec.get("ignoreMissingComponents") is True:
            # What lies outside of the repository is not there for Flux.
            taken["components"] = [
                one
                for one in taken["components"]
                if "\0" not in one
                and os.path.lexists(where := os.path.realpath(real / one))
                and Path(where).is_relative_to(root)
            ]
    return taken


def _patch_in_place(one: Any) -> Any:
    """What Flux takes of a patch: neither of its controllers loads one from a file."""
    return {key: one[key] for key in ("patch", "target") if key in one} if isinstance(one, dict) else one


def patch(manifests: str, transformers: Mapping[str, Any]) -> str:
    """``manifests`` with ``transformers`` (patches, images) applied, as a post-renderer does.

    All else is left out, as helm-controller has it (internal/postrender/kustomize.go): nothing is loaded.

    Raises:
        BuildError: kustomize refused.
        RefusedError: there is no kustomize.
    """
    patches, images = (items if isinstance(items := transformers.get(key), list) else [] for key in _RENDERED)
    taken = {"patches": [_patch_in_place(one) for one in patches], "images": images}
    with scratch_folder("kustomize-") as folder:
        (folder / "rendered.yaml").write_text(manifests, encoding="utf-8")
        _write(folder, {**_HEADER, **taken, "resources": ["rendered.yaml"]})
        return _run(folder, folder)


def _stays_inside(data: Mapping[str, Any]) -> bool:
    """Whether nothing that a kustomization says names what lies beside its folder, itself or by a plugin.

    What it lists is read in its real place, and finds what lies beside that.
    """
    return not any(data.get(name) for name in _PLUGINS) and ".." not in json.dumps(data, default=str)


def _mirrored(root: Path, place: Path, top: Path, *, is_alone: bool) -> Path:
    """A folder like ``place`` of ``root``, with links to all that lies beside it and in it, upwards too.

    Only its kustomization is left out, so that another one can be written without touching the repository.
    Where it ``is_alone`` nothing leads to what lies beside it: hundreds of apps beside each other would be
    linked hundreds of times.
    """
    here, real = top, root
    parts = (*place.parts, "")
    for part in parts:
        # What is ours in ``top`` must not be taken for the repository's: nor is .git ever needed.
        skipped = {part, ".git", *(() if part else NAMES)}
        for entry in () if part and is_alone else real.iterdir():
            if entry.name not in skipped:
                (here / entry.name).symlink_to(entry)
        if part:
            here, real = here / part, real / part
            here.mkdir()
    return here


def _plain(path: Path) -> dict[str, Any] | None:
    """The kustomization ``path``; None if it is none that anything can be added to."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    documents = load_documents(text)
    data = documents[0] if documents else None
    if data is None and not syntax_error(text):
        # Empty: Flux adds to that too.
        return {}
    if not isinstance(data, dict):
        return None
    return data if all(isinstance(data.get(name) or [], list) for name in (*_ADDING, "images")) else None


def _merged(data: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """The kustomization ``data`` with what a Flux Kustomization says on top."""
    merged = dict(data)
    for source, target in _REPLACING.items():
        if isinstance(spec.get(source), str):
            merged[target] = spec[source]
    for name in _ADDING:
        if isinstance(spec.get(name), list):
            merged[name] = [*(data.get(name) or ()), *spec[name]]
    if isinstance(spec.get("images"), list):
        merged["images"] = _images(data.get("images") or (), spec["images"])
    metadata = merged.get("buildMetadata")
    asked = metadata if isinstance(metadata, list) else []
    merged["buildMetadata"] = [*(one for one in asked if one != "originAnnotations"), "originAnnotations"]
    return merged


def _images(own: Sequence[Any], more: Sequence[Any]) -> list[Any]:
    """Images by name; tag and digest of a later one take the place of both."""
    found: dict[str, dict[str, Any]] = {str(one.get("name")): one for one in own if isinstance(one, dict)}
    for one in more:
        if isinstance(one, dict):
            is_newer = "newTag" in one or "digest" in one
            before = {
                key: value
                for key, value in found.get(str(one.get("name")), {}).items()
                if not (is_newer and key in ("newTag", "digest"))
            }
            found[str(one.get("name"))] = {**before, **one}
    return list(found.values())


def _write(folder: Path, kustomization: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(kustomization, sort_keys=False)
    (folder / NAMES[0]).write_text(text, encoding="utf-8")


def _run(folder: Path, *tops: Path) -> str:
    """What kustomize makes of ``folder``; paths below ``tops`` are shortened in what it complains about."""
    program = ("kustomize", "build") if shell.find("kustomize") else ("kubectl", "kustomize")
    argv = (*program, "--load-restrictor", "LoadRestrictionsNone", str(folder))
    done = shell.run(
        argv, cwd=folder, environment=_OFFLINE, missing_hint=_HINT, seconds=_SECONDS, memory=_MEMORY
    )
    if done.code == 0:
        return done.text
    panic = _PANIC.match(done.said)
    if panic is not None:
        raise BuildError(f"kustomize panics at an object of an odd shape: {panic[1]}")
    said = _shortened(done.said, tops)
    if done.code < 0 or done.code in _CANNOT_RUN or _ITS_OWN.search(done.said) or not done.said:
        raise FetchError(f"{program[0]} itself failed: {said}", _HINT)
    if _FETCHING.search(done.said):
        raise FetchError(f"kustomize would fetch something, which is not done here: {said}")
    raise BuildError(said)


def _shortened(said: str, tops: Iterable[Path]) -> str:
    """The last of kustomize's nested reasons, on one line, with paths of the repository."""
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("#")]
    text = " ".join(lines).removeprefix("error: ") or "kustomize failed"
    logged = _LOGGED.fullmatch(text)
    if logged:
        text = re.sub(r"\\(.)", r"\1", logged[1])
    for top in tops:
        text = text.replace(f"{top}/", "").replace(str(top), ".")
    around = list(_NESTED.finditer(text))
    reason = text[around[-1].end() :] if around else text
    reason = _DETOUR.sub("", _CONFIGURED.sub(r"\1", _OUTER.sub("", reason)))
    text = f"in {around[-1][1]}: {reason}" if around else reason
    # It quotes objects as a whole, Secrets too.
    text = re.sub(r"\{\s*\"\w.*", "{…", text)
    # Where two objects become one it quotes both as a whole.
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def parse(text: str, path: str | None) -> Built | None:
    """The object that ``text``, changed after the build, is now; None if it is none any more."""
    documents = load_documents(text)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        return None
    data, faults = shaped(documents[0])
    _taken_origin(data)
    return Built(data, path, text, faults)


def _built(text: str, folder: Path, root: Path) -> Iterator[Built]:
    for part in text.split("\n---\n"):
        for document in load_documents(part):
            if isinstance(document, dict):
                data, faults = shaped(document)
                origin = _taken_origin(data)
                path = None if origin is None else (folder / origin).resolve()
                is_inside = path is not None and path.is_relative_to(root)
                yield Built(
                    data, path.relative_to(root).as_posix() if path and is_inside else None, part, faults
                )


def _taken_origin(data: dict[str, Any]) -> str | None:
    """Take the annotation about its origin off ``data``; return the local file that it names."""
    metadata = data.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(annotations, dict):
        return None
    origin = dict(re.findall(r"(?m)^(path|repo|configuredIn): (.*)$", str(annotations.pop(_ORIGIN, ""))))
    if not annotations:
        metadata.pop("annotations", None)
    path = origin.get("path") or origin.get("configuredIn")
    return None if "repo" in origin else path
