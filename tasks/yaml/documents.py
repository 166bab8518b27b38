"""Parsed YAML: the documents of a text as plain data."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tasks.yaml import limits
from tasks.yaml.anchors import read_all

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"


class _Loader(_Base):  # type: ignore[misc]  # it is one of two classes
    """Reads what Kubernetes reads: 22:30, 2025-01-11 and = are texts there (YAML 1.1 has other ideas)."""


# Numbers as YAML 1.1 has them but for those of base 60.
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)")
_FRACTION = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|\.(?:inf|Inf|INF))"
    r"|\.(?:nan|NaN|NAN)"
)
_OURS = {"int": _INTEGER, "float": _FRACTION}
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, re.compile(rf"(?:{_OURS[name].pattern})\Z") if name in _OURS else pattern)
        for tag, pattern in resolvers
        if (name := tag.removeprefix(_TAG)) not in ("timestamp", "value")
    ]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}

# What reading a text may raise: after the first, what PyYAML makes of a value that its tag does not fit
# (!!bool maybe).
UNREADABLE = (yaml.YAMLError, AttributeError, LookupError, ValueError)


def load_documents(text: str) -> list[Any]:
    """The documents of ``text``; none at all if it is not YAML that plain data can stand for.

    Other people's files (templates, unknown tags) lie in the same folders: they are nobody's error here.
    Nor is what stands for too much: see ``limits``. Whatever comes out can be walked through.
    """
    try:
        return _loaded(text)
    except UNREADABLE:
        return []


def _loaded(text: str) -> list[Any]:
    limits.check(text)
    return read_all(yaml.load_all, text, _Loader)


def same_documents(one: str, other: str) -> bool:
    """Whether two texts say the same, comments and style aside."""
    if one == other:
        return True
    documents = load_documents(one)
    return bool(documents) and same(documents, load_documents(other))


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same to Kubernetes: 1, 1.0 and true are three, the order of keys is none."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def syntax_error(text: str) -> str:
    """Where and why ``text`` is not YAML that can be read, as "LINE:COLUMN: reason"; empty if it is.

    An alias without its anchor, say, is seen only when something is made of the text.
    """
    try:
        _loaded(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        return f"{place}: {error.problem or 'not YAML'}"
    except UNREADABLE:
        return "1:1: not YAML"
    return ""


def dig(data: Any, *path: str | int) -> Any:
    """The value at ``path`` in nested mappings and lists; None where the path ends early."""
    for key in path:
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            data = data[key]
        else:
            return None
    return data


def items(data: Any, *path: str | int) -> Sequence[Any]:
    """The list at ``path``; an empty one where there is none."""
    found = dig(data, *path)
    return found if isinstance(found, list) else ()


def mapping(data: Any, *path: str | int) -> Mapping[Any, Any]:
    """The mapping at ``path``; an empty one where there is none."""
    found = dig(data, *path)
    return found if isinstance(found, dict) else {}


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid on ``under``, mapping by mapping, as Helm merges values."""
    found = dict(under)
    for key, value in over.items():
        before = found.get(key)
        found[key] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return found
