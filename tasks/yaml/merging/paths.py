"""Paths of values in documents as a person writes them, and what is at them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tasks.yaml.documents import load_documents

_WORD = re.compile(r"[\w-]+")


class Missing:
    """Marks a value that is not there, which null is not."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


def child(path: str, key: object) -> str:
    """The path of what is below ``path`` under a key of a mapping.

    >>> child("spec", "chart"), child("data", "vector.yaml"), child("", "spec")
    ('spec.chart', 'data["vector.yaml"]', 'spec')
    """
    name = str(key)
    if not _WORD.fullmatch(name):
        return f"{path}[{json.dumps(name, ensure_ascii=False)}]"
    return f"{path}.{name}" if path else name


def element(path: str, key: object) -> str:
    """The path of an item of the list at ``path``, known by its name, its text or its number."""
    return f"{path}[{key}]"


def identities(documents: Sequence[Any], *, is_alone: bool) -> list[str]:
    """What tells the documents of a file apart: their kinds, with names if need be; nothing for one alone."""
    if is_alone:
        return [""] * len(documents)
    kinds = [_text(one, "kind") for one in documents]
    found = []
    for number, one in enumerate(documents):
        kind = kinds[number]
        metadata = one.get("metadata") if isinstance(one, dict) else None
        found.append(kind if kinds.count(kind) == 1 else f"{kind}/{_text(metadata, 'name')}")
    return found


def _text(data: Any, key: str) -> str:
    return str(data.get(key, "")) if isinstance(data, Mapping) else ""


def named(items: Sequence[Any]) -> list[object] | None:
    """What tells the items of a list apart wherever they stand: name, target or text; None if unclear."""
    keys = [one.get("name") if isinstance(one, dict) else one for one in items]
    if items and all(isinstance(one, dict) and "name" not in one for one in items):
        keys = [_target(one.get("target")) for one in items]
    alike = len({isinstance(one, dict) for one in items}) < 2
    is_clear = all(isinstance(key, str) and "\n" not in key for key in keys) and len(set(keys)) == len(keys)
    return keys if alike and is_clear else None


def _target(target: Any) -> str | None:
    """What a patch is for, as "KIND/NAME" and whatever else selects it; None if that is not clear.

    >>> _target({"kind": "Deployment", "name": "web", "labelSelector": "a=b"})
    'Deployment/web labelSelector=a=b'
    """
    if not isinstance(target, dict) or not target or not all(isinstance(one, str) for one in target.values()):
        return None
    kind, name = (target.get(key, "") for key in ("kind", "name"))
    more = sorted(f" {key}={one}" for key, one in target.items() if key not in ("kind", "name"))
    return "".join([f"{kind}/{name}" if name else kind, *more])


def embedded(text: Any) -> Any:
    """The mapping that the lines of a text stand for in YAML; MISSING if they are something else."""
    if not isinstance(text, str) or "\n" not in text:
        return MISSING
    documents = load_documents(text)
    return documents[0] if len(documents) == 1 and isinstance(documents[0], dict) else MISSING


def leaves(documents: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Every value in ``documents`` with its path, collections before what is in them."""
    names = identities(documents, is_alone=len(documents) == 1)
    for identity, document in zip(names, documents, strict=True):
        yield from _below(identity, document)


def _below(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    yield path, value
    inside = embedded(value)
    if inside is not MISSING:
        value = inside
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _below(child(path, key), one)
    elif isinstance(value, list):
        for key, one in zip(named(value) or range(len(value)), value, strict=True):
            yield from _below(element(path, key), one)
