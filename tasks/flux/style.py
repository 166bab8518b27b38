"""How the files of a repository look, so that ours look like their neighbours."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.flux.listing import is_below
from tasks.flux.scope import Scope
from tasks.flux.tree import FluxObject
from tasks.yaml.templates import MARKER

# The comment that tells editors which schema a file has, as yaml-language-server reads it.
_SCHEMA = re.compile(r"(?m)\A(?:---[ ]*\n|#.*\n)*?(# yaml-language-server: \$schema=\S+)[ ]*$")
_TYPE = re.compile(
    r"(?m)^apiVersion:[ ]*[\"']?(?P<api>[\w./-]+)[\"']?[ ]*(?:#.*)?\n^kind:[ ]*[\"']?(?P<kind>\w+)"
)
_START = "---\n"
_METADATA = re.compile(r"(?m)^  commonMetadata:\n(?: {3,}.*\n)+")
_ANCHOR = re.compile(r"(?m)^(  name: )&\w+ (?!.*\*)")


@dataclass(frozen=True)
class Style:
    """What the neighbours' files have: a comment with their schema, a mark where a document starts.

    ``schemas`` maps API group and kind to the comment; ``has_metadata`` says that Kustomizations give their
    objects labels (spec.commonMetadata).
    """

    schemas: Mapping[tuple[str, str], str] = field(default_factory=dict)
    has_start: bool = True
    has_metadata: bool = True

    def applied(self, text: str) -> str:
        """A text of ours, which starts with "---", in this style; it says the same but for commonMetadata."""
        if not self.has_metadata and _METADATA.search(text):
            text = _METADATA.sub("", text)
            text = _ANCHOR.sub(r"\1", text)
        found = _TYPE.search(text)
        schema = None if found is None else self.schemas.get(_key(found))
        start = _START if self.has_start else ""
        return start + (f"{schema}\n" if schema else "") + text.removeprefix(_START)


def find_style(scope: Scope, siblings: Sequence[FluxObject], own: Sequence[str]) -> Style:
    """The style of most of the files that others wrote for this cluster.

    ``own`` are the folders of our apps: what sops encrypted for us there carries no mark.
    """
    typed: Counter[tuple[str, str]] = Counter()
    commented: dict[tuple[str, str], Counter[str]] = {}
    starts = total = 0
    for path, written in scope.tree.texts.items():
        if not scope.has(path) or any(is_below(path, folder) for folder in own) or MARKER in written:
            continue
        text = written.replace("\r\n", "\n")
        if (found := _TYPE.search(text)) is None:
            continue
        total += 1
        starts += text.startswith(_START) or f"\n{_START}" in text[: found.start()]
        typed[_key(found)] += 1
        schema = _SCHEMA.match(text)
        if schema is not None and _is_of(_key(found), schema[1]):
            commented.setdefault(_key(found), Counter())[schema[1]] += 1
    labelled = sum("commonMetadata" in item.spec for item in siblings)
    return Style(
        {
            key: counts.most_common(1)[0][0]
            for key, counts in commented.items()
            if 2 * counts.total() > typed[key]
        },
        has_start=not total or 2 * starts >= total,
        has_metadata=not siblings or 2 * labelled >= len(siblings),
    )


def _is_of(key: tuple[str, str], schema: str) -> bool:
    """Whether a schema is that of the kind, as its URL says, and not of the values of one chart."""
    group, kind = key
    return group in schema or schema.removesuffix(".json").lower().endswith(f"/{kind.lower()}")


def _key(found: re.Match[str]) -> tuple[str, str]:
    return found["api"].rpartition("/")[0], found["kind"]
