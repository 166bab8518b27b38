"""Parsed YAML: the documents of a text as plain data."""

from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_documents(text: str) -> list[Any]:
    """The documents of ``text``; none at all if it is not YAML that plain data can stand for.

    Other people's files (templates, unknown tags) lie in the same folders: they are nobody's error here.
    """
    try:
        return list(yaml.load_all(text, Loader=_Loader))
    except (yaml.YAMLError, ValueError):
        return []


def same_documents(one: str, other: str) -> bool:
    """Whether two texts say the same, comments and style aside."""
    if one == other:
        return True
    documents = load_documents(one)
    return bool(documents) and documents == load_documents(other)


def syntax_error(text: str) -> str:
    """Where and why ``text`` is not YAML, as "LINE:COLUMN: reason"; empty if it is."""
    try:
        for _ in yaml.parse(text, Loader=_Loader):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        return f"{place}: {error.problem or 'not YAML'}"
    except (yaml.YAMLError, ValueError):
        return "1:1: not YAML"
    return ""
