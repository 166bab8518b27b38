"""How deep and how large a YAML text may be: what goes beyond is refused before anything is made of it.

A few lines can stand for gigabytes (aliases of aliases). Others are nested so deep that a parser, or whatever
walks through its result, does not come back: PyYAML 6.0.1 ends Python by a segmentation fault.
"""

import re
from typing import Any

import yaml

from tasks.yaml.anchors import read_all

# Schemas and dashboards, the deepest that people write or programs make, stay far below.
DEEPEST = 100
# What aliases may add: nodes that are seen again through them.
_MOST_REPEATED = 100_000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Each level takes a bracket, or a column at the start of a line: most texts cannot be too deep.
_INDENTED = re.compile(rf"(?:^|[\n\r\x85\u2028\u2029])[ ?:-]{{{DEEPEST // 2 - 2}}}")


class LimitError(yaml.MarkedYAMLError):
    """The text is nested too deeply, or its aliases stand for too much."""


def check(text: str) -> None:
    """Check that ``text``, as far as it is YAML, can be read and walked through in little time and memory.

    Raises:
        LimitError: it cannot.
        yaml.YAMLError: it is not YAML.
    """
    check_depth(text)
    if "&" in text and "*" in text:
        for root in read_all(yaml.compose_all, text, _LOADER):
            _Size().check(root)


def check_depth(text: str) -> None:
    """Check only that ``text`` is not nested too deeply, as it stands, for parsers to read it.

    Raises:
        LimitError: it is.
        yaml.YAMLError: it is not YAML.
    """
    if text.count("[") + text.count("{") < DEEPEST // 2 and not _INDENTED.search(text):
        return
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise _too_deep(event.start_mark)
    except yaml.scanner.ScannerError as error:
        # libyaml 0.2.6 has a limit of its own, and looks ahead.
        if "nesting depth" in str(error.problem):
            raise _too_deep(error.problem_mark) from None
        raise


def _too_deep(mark: Any) -> LimitError:
    return LimitError(None, None, "nested too deeply", mark)


class _Size:
    """Measures the nodes of one document; the size of an anchor's node is known where its aliases come."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}
        self._repeated = 0

    def check(self, node: Any) -> tuple[int, int]:
        """How many nodes and levels ``node`` stands for."""
        if id(node) in self._known:
            size, depth = self._known[id(node)]
            self._repeated += size
            if not depth:
                raise LimitError(None, None, "an alias stands inside its own anchor", node.start_mark)
            if self._repeated > _MOST_REPEATED:
                raise LimitError(None, None, "its aliases stand for too much", node.start_mark)
            return size, depth
        self._known[id(node)] = (0, 0)
        size, depth = 1, 1
        parts = node.value if isinstance(node, yaml.CollectionNode) else ()
        for part in parts:
            for one in part if isinstance(part, tuple) else (part,):
                inner_size, inner_depth = self.check(one)
                size += inner_size
                depth = max(depth, inner_depth + 1)
        if depth > DEEPEST:
            raise _too_deep(node.start_mark)
        self._known[id(node)] = (size, depth)
        return size, depth
