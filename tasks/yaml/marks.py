"""Where in a text a value is: the line of an object, of a value in it, or of a word."""

import re
from typing import Any

import yaml

from tasks.yaml import limits
from tasks.yaml.anchors import read_all

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def line_of(text: str, kind: str, name: str, *path: str | int) -> int:
    """The line (from 1) of the object ``kind``/``name`` in ``text``, or of as much of ``path`` as it has.

    A build may have changed its name: the only object of its kind is taken for it then.
    """
    try:
        limits.check(text)
        documents = read_all(yaml.compose_all, text, _Loader)
    except (yaml.YAMLError, ValueError):
        return 1
    alike = [one for one in documents if getattr(_child(one, "kind")[0], "value", None) == kind]
    named = [
        one for one in alike if getattr(_child(_child(one, "metadata")[0], "name")[0], "value", None) == name
    ]
    if not named and len(alike) != 1:
        return 1
    node = (named or alike)[0]
    line = node.start_mark.line
    for key in path:
        node, key_line = _child(node, key)
        if node is None:
            break
        line = key_line
    return int(line) + 1


def _child(node: Any, key: str | int) -> tuple[Any, int]:
    """The value of ``key`` in a mapping or list, and the line of the key or item."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == key:
                return value, name.start_mark.line
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key], node.value[key].start_mark.line
    return None, 0


def line_with(text: str, word: str) -> int | None:
    """The line (from 1) in which ``word`` first stands by itself outside of a comment; None if in none."""
    wanted = re.compile(rf"(?<![\w./-]){re.escape(word)}(?![\w./-])")
    lines = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if wanted.search(line.partition(" #")[0])), None)
