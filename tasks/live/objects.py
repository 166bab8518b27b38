"""The objects of the running cluster that were read, and what could not be read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from tasks.core.errors import PlaybookError
from tasks.live.judgement import Judgement, State
from tasks.yaml.documents import dig, mapping

Object = Mapping[str, Any]
# Namespace and name.
Key = tuple[str, str]


@dataclass(frozen=True)
class Objects:
    """``hidden`` are the kinds, with the namespace, that could not be read; ``now`` is when it was.

    ``last_words`` are the last lines of containers that ended, by namespace, pod and container.
    """

    all: tuple[Object, ...]
    hidden: Mapping[tuple[str, str], PlaybookError] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    last_words: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    @cached_property
    def _by_key(self) -> dict[tuple[str, str, str], Object]:
        return {
            (
                str(one.get("kind")),
                str(dig(one, "metadata", "namespace") or ""),
                str(dig(one, "metadata", "name")),
            ): one
            for one in self.all
        }

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object of that kind, namespace and name; None where there is none, or it is hidden."""
        return self._by_key.get((kind, namespace, name))

    def of(self, kind: str, namespace: str) -> list[Object]:
        """The objects of a kind in a namespace, in the order of their names."""
        found = sorted((key, one) for key, one in self._by_key.items() if key[:2] == (kind, namespace))
        return [one for _, one in found]

    def labelled(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        """Those of a kind in a namespace that have all these labels."""
        return [
            one
            for one in self.of(kind, namespace)
            if labels.items() <= mapping(one, "metadata", "labels").items()
        ]

    def absent(self, kind: str, key: Key, remedy: str) -> Judgement:
        """What is said of an object that was not found: it does not exist, or it may not be read."""
        about = f"{kind} {key[0]}/{key[1]}"
        if (hidden := self.hidden.get((kind, key[0]))) is not None:
            return Judgement(State.UNKNOWN, about, hidden.summary, hidden.hint)
        return Judgement(State.FAIL, about, "does not exist", remedy)

    def with_more(self, more: Iterable[Object], hidden: Mapping[tuple[str, str], PlaybookError]) -> "Objects":
        """These and ``more``."""
        return replace(self, all=(*self.all, *more), hidden={**self.hidden, **hidden})
