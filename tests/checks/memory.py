"""Remembers what kustomize and helm made of the same before: most of a repository is, after an edit."""

import os
import posixpath
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tasks.core.errors import RefusedError, UnavailableError
from tasks.effects import kustomize
from tasks.effects.helm import Helm
from tasks.yaml.documents import load_documents

Memory = dict[object, Any]


def remember(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer from ``memory`` what was asked before, refusals too."""

    def remembered(ask: Callable[..., Any], key_of: Callable[..., object]) -> Callable[..., Any]:
        def answer(*arguments: Any) -> Any:
            key = (ask, key_of(*arguments))
            if key not in memory:
                try:
                    memory[key] = ask(*arguments)
                except UnavailableError:
                    raise
                except RefusedError as error:
                    memory[key] = error
            if isinstance(memory[key], RefusedError):
                raise memory[key]
            return memory[key]

        return answer

    monkeypatch.setattr(kustomize, "build", remembered(kustomize.build, _of_build))
    monkeypatch.setattr(kustomize, "patch", remembered(kustomize.patch, lambda *given: repr(given)))
    monkeypatch.setattr(Helm, "render", remembered(Helm.render, _of_render))


def _of_build(root: Path, folder: str, spec: Any, *more: Any) -> object:
    listed = [posixpath.normpath(posixpath.join(folder, one)) for one in _names(spec)]
    seen: set[str] = set()
    paths = (folder, *listed, *(more[0] if more and more[0] else ()))
    loaded = tuple(one for path in paths for one in _loaded(root, path, seen))
    return folder, repr((spec, *more)), loaded


def _of_render(_: Helm, archive: Path, *more: Any) -> object:
    return sha256(archive.read_bytes()).digest(), repr(more)


def _loaded(root: Path, path: str, seen: set[str]) -> Iterator[tuple[str, bytes]]:
    """Every file that the build of ``path`` may read, with what it holds."""
    place = root / path
    if path in seen or path.startswith(".."):
        return
    seen.add(path)
    if place.is_file():
        yield path, sha256(place.read_bytes()).digest()
    elif place.is_dir():
        own = next((place / name for name in kustomize.NAMES if (place / name).is_file()), None)
        if own is None:
            inside = (one for one in sorted(place.rglob("*")) if one.is_file() and ".git" not in one.parts)
            yield from ((str(one.relative_to(root)), sha256(one.read_bytes()).digest()) for one in inside)
            return
        yield str(own.relative_to(root)), own.read_bytes()
        for name in _names(load_documents(own.read_text(encoding="utf-8", errors="replace"))):
            if os.path.lexists(place / name):
                yield from _loaded(root, posixpath.normpath(posixpath.join(path, name)), seen)


def _names(data: Any) -> Iterator[str]:
    """The texts in ``data`` that may name a file."""
    for text in _texts(data):
        name = text.rpartition("=")[2]
        if "\n" not in name and "\0" not in name and len(name) < 200:
            yield name


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    for one in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from _texts(one)
