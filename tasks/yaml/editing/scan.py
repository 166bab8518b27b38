"""The lines and places of a YAML text: where the text of a node begins and ends, and where new lines fit."""

import re
from bisect import bisect_right

from tasks.yaml.editing.nodes import Alias, Mapping, Node, Scalar, Sequence

_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_SPACE = re.compile(r"(?:[ \t\n\r\x85\u2028\u2029]+|#[^\n\r\x85\u2028\u2029]*)*")
_PROPERTY = re.compile(r"!<[^>]*>|[&!][^\s,\[\]{}]*")
_INDICATORS = re.compile(r"[|>][-+0-9]*")
_COMMENTED_ITEM = re.compile(r"[ \t]*#[# \t]*-(?:[ \t]|$)")
_DOCUMENT_MARKER = re.compile(r"(?:---|\.\.\.)(?:[ \t]|$)")


class Source:
    """The text with its lines. Lines and columns count from 0; a last line without a break counts too."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(found.end() for found in _BREAK.finditer(text))]

    def line(self, index: int) -> int:
        """Return the line an index of the text is on."""
        return bisect_right(self.starts, index) - 1

    def column(self, index: int) -> int:
        """Return the column of an index of the text."""
        return index - self.starts[self.line(index)]

    def before(self, index: int) -> str:
        """Return what stands on the line before an index."""
        return self.text[self.starts[self.line(index)] : index]

    def line_end(self, line: int) -> int:
        """Return the index of the line's break, or the end of the text."""
        found = _BREAK.search(self.text, self.starts[line])
        return found.start() if found else len(self.text)

    def content(self, line: int) -> str:
        """Return the line without its break."""
        return self.text[self.starts[line] : self.line_end(line)]

    def newline(self, line: int) -> str:
        """Return the break that ends the line; where it has none, the first one of the text."""
        found = _BREAK.search(self.text, self.starts[line]) or _BREAK.search(self.text)
        return found.group() if found else "\n"

    def skip(self, index: int) -> int:
        """Return the index after spaces, breaks and comments."""
        found = _SPACE.match(self.text, index)
        return found.end() if found else index

    def is_blank(self, line: int) -> bool:
        """Whether the line is empty or white."""
        return not self.content(line).strip(" \t")

    def is_comment(self, line: int) -> bool:
        """Whether the line holds a comment only (the caller knows it is not inside a scalar)."""
        return self.content(line).lstrip(" \t").startswith("#")

    def is_commented_item(self, line: int) -> bool:
        """Whether the line is a list item turned off by a comment sign."""
        return _COMMENTED_ITEM.match(self.content(line)) is not None

    def content_start(self, node: Node) -> int:
        """Return where a node's own text begins, after its anchor and tag."""
        index = node.start
        while (node.anchor or node.tagged) and index < node.end:
            found = _PROPERTY.match(self.text, index)
            if found is None or isinstance(node, Alias):
                break
            index = self.skip(found.end())
        return min(index, node.end)

    def content_end(self, node: Node) -> int:
        """Return where a node's text ends, without the comments and blank lines that its mark may include."""
        if isinstance(node, Scalar) and node.is_block:
            return self._block_scalar_end(node)
        if isinstance(node, Sequence) and node.items and self.text[self.content_start(node)] != "[":
            return self.content_end(node.items[-1])
        if isinstance(node, Mapping) and node.entries and self.text[self.content_start(node)] != "{":
            return self.entry_end(*node.entries[-1])
        return node.end

    def entry_end(self, key: Node, value: Node) -> int:
        """Return where the text of a mapping's entry ends; an empty value ends with its colon."""
        if value.start < value.end:
            return self.content_end(value)
        return self.after_colon(key) or self.content_end(key)

    def after_colon(self, key: Node) -> int | None:
        """Return the index after the colon that follows a key, or None where it has none."""
        colon = self.skip(self.content_end(key))
        return colon + 1 if self.text.startswith(":", colon) else None

    def block_header_end(self, node: Scalar) -> int:
        """Return where the indicators of a block scalar (``|``, ``>-``, ``|+2``) end."""
        found = _INDICATORS.match(self.text, self.content_start(node))
        assert found is not None
        return found.end()

    def _block_scalar_end(self, node: Scalar) -> int:
        start = self.content_start(node)
        header = self.line(start)
        # A break right before the end mark ends the last line; without one the scalar ends the text.
        last = self.line(node.end) - (self.column(node.end) == 0)
        indicators = self.text[start + 1 : self.block_header_end(node)]
        if "+" in indicators:
            return self.line_end(last)
        filled = (self.content(line) for line in range(header + 1, last + 1) if not self.is_blank(line))
        first = next(filled, "")
        # A white line longer than the indent is content; an explicit indent is relative to the parent's.
        indent = 0 if indicators.strip("-") else len(first) - len(first.lstrip(" "))
        while last > header and len(self.content(last)) <= indent:
            last -= 1
        return self.line_end(last)

    def line_after(self, end: int, column: int) -> int:
        """Return the line that follows a block collection ending at ``end`` with entries at ``column``.

        Comments right below that are indented like the entries still belong to it, except those right above
        something else at the same column.
        """
        first = line = self.line(end) + 1
        while line < len(self.starts) and self.is_comment(line) and self._indent(line) >= column:
            line += 1
        if line < len(self.starts) and self._indent(line) >= column and not self._ends_block(line):
            while line > first and self._introduces(line - 1, column):
                line -= 1
        return line

    def line_above(self, line: int, first: int, column: int) -> int:
        """Return the line, not above ``first``, to insert before: the item on ``line`` keeps its comment.

        New lines go above the comment right above the item, and then, from the second item on, above blank
        lines. A comment right of ``column``, the item's, belongs to the item before, one that turns an item
        off to none.
        """
        while line > first and self._introduces(line - 1, column):
            line -= 1
        while line > first > 0 and self.is_blank(line - 1):
            line -= 1
        return line

    def _introduces(self, line: int, column: int) -> bool:
        """Whether a line is a comment on what comes next at ``column``, not on what is right of there."""
        return self.is_comment(line) and self._indent(line) <= column and not self.is_commented_item(line)

    def _indent(self, line: int) -> int:
        content = self.content(line)
        return len(content) - len(content.lstrip(" \t"))

    def _ends_block(self, line: int) -> bool:
        return self.is_blank(line) or _DOCUMENT_MARKER.match(self.content(line)) is not None
