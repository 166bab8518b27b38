"""Plan edits of a YAML text: new entries, items and scalars, each in the style of what is around it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tasks.core.errors import RefusedError
from tasks.yaml.editing import nodes
from tasks.yaml.editing.match import placed
from tasks.yaml.editing.nodes import Mapping, Node, Scalar
from tasks.yaml.editing.render import (
    Style,
    YamlValue,
    block_entries,
    block_items,
    flow_entries,
    flow_text,
    scalar_text,
)
from tasks.yaml.editing.scan import Source

BY_HAND = "make this change by hand, then run again"


class EditRefusedError(RefusedError):
    """The text cannot be edited safely. The summary is ``NAME:LINE:COLUMN: reason``, counted from 1."""


def refusal(source: Source, name: str, index: int, reason: str, hint: str = BY_HAND) -> EditRefusedError:
    """Return the refusal for a place in the text."""
    return EditRefusedError(f"{name}:{source.line(index) + 1}:{source.column(index) + 1}: {reason}", hint)


@dataclass(frozen=True)
class Edit:
    """Put ``text`` in place of what stands from ``start`` to ``end``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Spot:
    """Where a node stands: its name, what it is part of, and why it must not be changed, if it must not."""

    label: str = ""
    key: Node | None = None
    column: int = 0  # of the keys of the block mapping it is in
    flow: bool = False
    lock: EditRefusedError | None = None

    def __str__(self) -> str:
        return self.label or "the document"


class Writer:
    """Collects the edits of one document, each planned on the text as it was."""

    def __init__(self, source: Source, root: Node | None, name: str) -> None:
        self._source = source
        self._root = root
        self._name = name
        self.edits: list[Edit] = []

    def refuse(self, node: Node, reason: str, hint: str = BY_HAND) -> EditRefusedError:
        """Return the refusal to edit a node."""
        return refusal(self._source, self._name, node.start, reason, hint)

    def refuse_tag(self, node: Node, spot: Spot, fitting: str = "") -> None:
        """Refuse a node with a tag in the text, other than the ``fitting`` one."""
        if node.tagged and node.tag != fitting:
            raise spot.lock or self.refuse(
                node, f"{spot} has the tag {node.tag}, which new content may not fit"
            )

    def column(self, node: Node) -> int:
        """Return the column of a node's text, which is that of its entries in a block collection."""
        return self._source.column(self._source.content_start(node))

    def add_entries(self, node: Mapping, values: dict[str, YamlValue], spot: Spot) -> None:
        """Add new keys behind the last entry of a mapping."""
        if not node.entries:
            self.fill(node, values, spot)
        elif node.flow:
            key, value = node.entries[-1]
            self._append_flow(
                node, (key.start, self._source.entry_end(key, value)), flow_entries(values), spot
            )
        else:
            self._append_block(node, values, spot)

    def add_items(self, node: nodes.Sequence, new: list[YamlValue], spot: Spot) -> None:
        """Add new items to a list, each at its place."""
        if not node.items:
            self.fill(node, new, spot)
            return
        for index, values in placed(node, new):
            if index < len(node.items):
                self._insert_items(node, index, values, spot)
            elif node.flow:
                last = node.items[-1]
                texts = [flow_text(value) for value in values]
                self._append_flow(node, (last.start, self._source.content_end(last)), texts, spot)
            else:
                self._append_block(node, values, spot)

    def replace_scalar(self, node: Scalar, value: YamlValue, spot: Spot) -> None:
        """Put a new scalar in place of one, after its anchor."""
        self.refuse_tag(node, spot)
        start = self._source.content_start(node)
        text = scalar_text(value, flow=spot.flow, quote=node.style)
        if start == node.end:
            self._put_value(node, text, spot)
        elif node.is_block:
            # A comment beside the indicator stays, and so does the break after the last line.
            self._edit(spot, start, self._source.block_header_end(node), text)
            body = self._source.line_end(self._source.line(start))
            self._edit(spot, body, self._source.content_end(node), "")
        else:
            self._edit(spot, start, node.end, text)

    def fill(self, node: Node, value: YamlValue, spot: Spot) -> None:
        """Fill a null or an empty collection: as a block where it ends its key's line, else in flow style."""
        if isinstance(node, Scalar):
            self.refuse_tag(node, spot)
        source, start = self._source, self._source.content_start(node)
        line = source.line(start)
        key_line = source.line(source.content_end(spot.key)) if spot.key else None
        if key_line == line == source.line(node.end) and not spot.flow and value:
            self._fill_block(node, value, spot)
        elif node is self._root and value and source.content(line) == source.text[start : node.end]:
            self._edit(spot, start, node.end, source.newline(line).join(self._block(value, 0)))
        elif start == node.end:
            self._put_value(node, flow_text(value), spot)
        elif isinstance(node, Scalar):
            self._edit(spot, start, node.end, flow_text(value))
        else:
            # What stands between the brackets, a comment perhaps, stays.
            self._edit(spot, start + 1, start + 1, flow_text(value)[1:-1])

    def fill_document(self, end: int, value: YamlValue) -> None:
        """Fill a document without a node, after its comments."""
        line = self._source.line(end) + (self._source.column(end) > 0)
        self._insert_lines(line, self._block(value, 0) or [flow_text(value)], Spot())

    @cached_property
    def _style(self) -> Style:
        """How the document indents most of its block mappings and lists."""
        steps, offsets = Counter[int](), Counter[int]()
        for node in nodes.descendants(self._root) if self._root else ():
            if not isinstance(node, Mapping) or node.flow:
                continue
            for _, value in node.entries:
                if isinstance(value, Mapping | nodes.Sequence) and not value.flow:
                    counter = steps if isinstance(value, Mapping) else offsets
                    counter[self.column(value) - self.column(node)] += 1
        step = steps.most_common(1)[0][0] if steps else 2
        return Style(step, offsets.most_common(1)[0][0] if offsets else step)

    def _block(self, value: YamlValue, column: int) -> list[str]:
        """Return the lines of a block collection, none for an empty one or a scalar."""
        if isinstance(value, dict):
            return block_entries(value, column, self._style)
        return block_items(value, column, self._style) if isinstance(value, list) else []

    def _edit(self, spot: Spot, start: int, end: int, text: str) -> None:
        if spot.lock:
            raise spot.lock
        self.edits.append(Edit(start, end, text))

    def _insert_lines(self, line: int, lines: Sequence[str], spot: Spot) -> None:
        """Insert lines before a line; after a last line without a break, they end without one too."""
        newline = self._source.newline(max(line - 1, 0))
        if line < len(self._source.starts):
            start, text = self._source.starts[line], "".join(new + newline for new in lines)
        else:
            start, text = len(self._source.text), "".join(newline + new for new in lines)
        self._edit(spot, start, start, text)

    def _put_value(self, node: Node, text: str, spot: Spot) -> None:
        """Write the text of a node that has none so far."""
        if spot.key is None or node.start < node.end:
            self._edit(spot, node.end, node.end, " " + text)
        elif colon := self._source.after_colon(spot.key):
            self._edit(spot, colon, colon, " " + text)
        elif spot.flow:
            end = self._source.content_end(spot.key)
            self._edit(spot, end, end, ": " + text)
        else:
            # An explicit key (``? key``) alone on its line.
            line = self._source.line(self._source.content_end(spot.key)) + 1
            self._insert_lines(line, [" " * spot.column + ": " + text], spot)

    def _fill_block(self, node: Node, value: YamlValue, spot: Spot) -> None:
        assert spot.key is not None
        source, start = self._source, self._source.content_start(node)
        if start < node.end:
            before = source.before(start)
            # A comment right behind needs the space before it.
            spaces = 0 if source.text.startswith("#", node.end) else len(before) - len(before.rstrip())
            self._edit(spot, start - spaces, node.end, "")
        column = spot.column + (self._style.step if isinstance(value, dict) else self._style.offset)
        self._insert_lines(source.line_after(node.end, column), self._block(value, column), spot)

    def _append_block(self, node: Node, values: YamlValue, spot: Spot) -> None:
        column = self.column(node)
        line = self._source.line_after(self._source.content_end(node), column)
        self._insert_lines(line, self._block(values, column), spot)

    def _append_flow(
        self, node: Mapping | nodes.Sequence, last: tuple[int, int], texts: Sequence[str], spot: Spot
    ) -> None:
        """Add behind the last part of a flow collection, on a line of its own where that one is."""
        source, (start, end) = self._source, last
        after = source.skip(end)
        comma = source.text.startswith(",", after)
        place = after + 1 if comma else end
        # After the colon of an empty value a comma needs a space, or it reads as part of the key.
        separator = " ," if source.text[end - 1] == ":" else ","
        indent = source.before(start)
        if indent.strip() or source.line(place) == source.line(node.end - 1):
            more = ", ".join(texts)
            self._edit(spot, place, place, f" {more}," if comma else f"{separator} {more}")
            return
        if not comma:
            self._edit(spot, end, end, separator)
        lines = [f"{indent}{text}," for text in texts]
        lines[-1] = lines[-1] if comma else indent + texts[-1]
        self._insert_lines(source.line(place) + 1, lines, spot)

    def _insert_items(self, node: nodes.Sequence, index: int, values: list[YamlValue], spot: Spot) -> None:
        """Insert strings before an item of a sorted list, above the comment that belongs to it."""
        source = self._source
        end = source.content_end(node.items[index - 1]) if index else None
        if node.flow:
            start = node.items[index].start
        else:
            start = source.content_start(node) if end is None else source.skip(end)
        indent = source.before(start)
        if not indent.strip():
            flow = [f"{indent}{flow_text(value)}," for value in values]
            lines = flow if node.flow else self._block(values, len(indent))
            first = 0 if end is None else source.line(end) + 1
            line = source.line_above(source.line(start), first, len(indent))
            self._insert_lines(line, lines, spot)
        elif node.flow:
            self._edit(spot, start, start, "".join(flow_text(value) + ", " for value in values))
        else:
            raise self.refuse(node, f"{spot} begins on the line of what it is in")
