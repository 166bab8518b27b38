"""What Flux calls this repository, and what the Kustomizations of apps refer to."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tasks.flux.tree import EXTERNAL, FluxObject
from tasks.yaml.documents import mapping


@dataclass(frozen=True)
class Source:
    """What a Flux object refers to."""

    kind: str
    name: str
    namespace: str


def references(items: Iterable[FluxObject]) -> list[tuple[Source, FluxObject]]:
    """What Kustomizations refer to; an empty namespace where it is their own."""
    return [
        (Source(str(found["kind"]), str(found["name"]), plain_name(found.get("namespace")) or ""), item)
        for item in items
        if {"kind", "name"} <= (found := mapping(item.spec, "sourceRef")).keys()
    ]


def most_used(items: Iterable[FluxObject]) -> Source | None:
    """The source of this repository that most of these Kustomizations name; None where they name none.

    An artifact that is made of it is not the repository itself.
    """
    named = [source for source, _ in references(items) if source.kind != EXTERNAL]
    used = most_common((source.kind, source.name) for source in named)
    if used is None:
        return None
    namespace = most_common(s.namespace for s in named if (s.kind, s.name) == used and s.namespace)
    kind, name = used
    return Source(kind, name, str(namespace or ""))


def plain_name(value: object) -> str | None:
    """``value`` if it is a name, and not a variable that Flux replaces later, or something else."""
    is_name = isinstance(value, str) and re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", value)
    return str(value) if is_name else None


def most_common(values: Iterable[Any]) -> Any:
    """The most frequent of ``values`` but None, the first of several; None where there is none."""
    counted = Counter(value for value in values if value is not None)
    return counted.most_common(1)[0][0] if counted else None
