"""The faults: each replaces a few characters of a Python module or of a manifest by others.

What is left alone: docstrings, annotations, the words of errors and answers (texts with spaces), and what a
fault would only turn into a type error.
"""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

_SWAPPED_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
_PAIRS = (
    ("min", "max"),
    ("any", "all"),
    ("removeprefix", "removesuffix"),
    ("startswith", "endswith"),
    ("lstrip", "rstrip"),
    ("partition", "rpartition"),
)
_SWAPPED_NAMES = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
_SPACE = re.compile(r"\s")


@dataclass(frozen=True, order=True)
class Mutant:
    """``text`` in place of what stands from ``start`` to ``end``; ``kind`` says what sort of fault it is."""

    start: int
    end: int
    text: str
    kind: str

    def applied(self, source: str) -> str:
        """``source`` with the fault."""
        return source[: self.start] + self.text + source[self.end :]


def of_python(source: str) -> list[Mutant]:
    """The faults of a Python module, in the order of the text."""
    return sorted({mutant for mutant in _Module(source).mutants() if mutant.applied(source) != source})


class _Module:
    """One module, its nodes with their places in the text."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._tree = ast.parse(source)
        self._lines = [line.encode() for line in source.splitlines(keepends=True)]
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def mutants(self) -> Iterator[Mutant]:
        """Every fault, in the order of the tree."""
        for node, parents in _nodes(self._tree, ()):
            for make in _FAULTS.get(type(node), ()):
                yield from make(self, node, parents)

    def span(self, node: Any) -> tuple[int, int]:
        """Where the node begins and ends; ast counts bytes, in lines."""
        start = self._index(node.lineno, node.col_offset)
        return start, self._index(node.end_lineno, node.end_col_offset)

    def _index(self, line: int, column: int) -> int:
        return self._starts[line - 1] + len(self._lines[line - 1][:column].decode())

    def text(self, node: Any) -> str:
        """The text of a node."""
        start, end = self.span(node)
        return self._source[start:end]

    # Faults -----------------------------------------------------------------------------------------------

    def constant(self, node: ast.Constant, parents: Sequence[ast.AST]) -> Iterator[Mutant]:
        """Another number, the other truth, another name."""
        value = node.value
        if isinstance(value, bool):
            yield Mutant(*self.span(node), str(not value), "truth")
        elif isinstance(value, int):
            yield Mutant(*self.span(node), str(value + 1), "number")
        elif isinstance(value, str) and value and (not _SPACE.search(value) or _is_pattern(parents)):
            yield Mutant(*self.span(node), repr(f"{value}x"), "text")

    def compare(self, node: ast.Compare, _: Sequence[ast.AST]) -> Iterator[Mutant]:
        """The opposite comparison, or the one next to it."""
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            start, end = self.span(left)[1], self.span(right)[0]
            between = self._source[start:end]
            swapped = re.sub(
                r"(?:not\s+in|is\s+not|in|is|[=!<>]=?)", _SWAPPED_OPERATORS[type(operator)], between, count=1
            )
            yield Mutant(start, end, swapped, "comparison")
            left = right

    def either(self, node: ast.BoolOp, _: Sequence[ast.AST]) -> Iterator[Mutant]:
        """One condition less."""
        word = " and " if isinstance(node.op, ast.And) else " or "
        for left_out in node.values:
            rest = word.join(f"({self.text(one)})" for one in node.values if one is not left_out)
            yield Mutant(*self.span(node), rest, "condition")

    def negation(self, node: ast.UnaryOp, _: Sequence[ast.AST]) -> Iterator[Mutant]:
        """The opposite."""
        if isinstance(node.op, ast.Not):
            yield Mutant(*self.span(node), f"({self.text(node.operand)})", "condition")

    def test(self, node: Any, _: Sequence[ast.AST]) -> Iterator[Mutant]:
        """The opposite of a condition that has no operator of its own to swap."""
        for test in node.ifs if isinstance(node, ast.comprehension) else [node.test]:
            if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.NamedExpr):
                yield Mutant(*self.span(test), f"(not ({self.text(test)}))", "condition")

    def sum(self, node: ast.BinOp, _: Sequence[ast.AST]) -> Iterator[Mutant]:
        """One operand less; the other operation."""
        if isinstance(node.op, ast.Add | ast.BitOr | ast.Sub):
            yield Mutant(*self.span(node), f"({self.text(node.left)})", "operand")
            if not isinstance(node.op, ast.Sub):
                yield Mutant(*self.span(node), f"({self.text(node.right)})", "operand")

    def statement(self, node: ast.stmt, _: Sequence[ast.AST]) -> Iterator[Mutant]:
        """A call, an error or a jump less."""
        if not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call):
            yield Mutant(*self.span(node), "pass", "statement")

    def call(self, node: ast.Call, _: Sequence[ast.AST]) -> Iterator[Mutant]:
        """A named argument less."""
        parts = [*node.args, *node.keywords]
        for number, part in enumerate(parts):
            is_named = isinstance(part, ast.keyword) and part.arg not in (None, *_CODING)
            if is_named and len(parts) > 1:
                yield self._without(number, parts, "argument")

    def collection(
        self, node: ast.Tuple | ast.List | ast.Set, parents: Sequence[ast.AST]
    ) -> Iterator[Mutant]:
        """An element less, of a list of constants or of caught errors."""
        above = parents[-1] if parents else None
        is_list = all(isinstance(one, ast.Constant) for one in node.elts)
        is_list = is_list and not isinstance(above, ast.Subscript)
        if len(node.elts) > 1 and (is_list or isinstance(above, ast.ExceptHandler)):
            for number in range(len(node.elts)):
                yield self._without(number, node.elts, "element", is_tuple=isinstance(node, ast.Tuple))

    def mapping(self, node: ast.Dict, _: Sequence[ast.AST]) -> Iterator[Mutant]:
        """An entry less."""
        if len(node.keys) > 1 and all(key is not None for key in node.keys):
            entries = [
                f"{self.text(key)}: {self.text(value)}"
                for key, value in zip(node.keys, node.values, strict=True)
            ]
            start, end = self.span(node.keys[0])[0], self.span(node.values[-1])[1]
            for number in range(len(entries)):
                yield Mutant(start, end, ", ".join(entries[:number] + entries[number + 1 :]), "entry")

    def name(self, node: ast.Name | ast.Attribute, _: Sequence[ast.AST]) -> Iterator[Mutant]:
        """The function that looks from the other side."""
        name = node.id if isinstance(node, ast.Name) else node.attr
        if name in _SWAPPED_NAMES:
            end = self.span(node)[1]
            yield Mutant(end - len(name), end, _SWAPPED_NAMES[name], "function")

    def _without(self, number: int, parts: Sequence[ast.AST], kind: str, *, is_tuple: bool = False) -> Mutant:
        """Take one of several parts away, with the comma beside it."""
        spans = [self.span(part) for part in parts]
        start, end = spans[number]
        if is_tuple and len(parts) == 2:
            ((left, right),) = spans[:number] + spans[number + 1 :]
            follows = self._source[spans[-1][1] :].lstrip().startswith(",")
            return Mutant(
                spans[0][0], spans[-1][1], self._source[left:right] + ("" if follows else ","), kind
            )
        start, end = (spans[number - 1][1], end) if number else (start, spans[1][0])
        if re.fullmatch(
            r"[\s,]*", self._source[start : spans[number][0]] + self._source[spans[number][1] : end]
        ):
            return Mutant(start, end, "", kind)
        # Something else stands between them: a comment, a parenthesis.
        rest = ", ".join(self.text(part) for other, part in enumerate(parts) if other != number)
        return Mutant(min(span[0] for span in spans), max(span[1] for span in spans), rest, kind)


_Fault = Callable[[_Module, Any, Sequence[ast.AST]], Iterator[Mutant]]
_FAULTS: dict[type[ast.AST], tuple[_Fault, ...]] = {
    ast.Constant: (_Module.constant,),
    ast.Compare: (_Module.compare,),
    ast.BoolOp: (_Module.either,),
    ast.UnaryOp: (_Module.negation,),
    ast.If: (_Module.test,),
    ast.IfExp: (_Module.test,),
    ast.While: (_Module.test,),
    ast.comprehension: (_Module.test,),
    ast.BinOp: (_Module.sum,),
    ast.Expr: (_Module.statement,),
    ast.Raise: (_Module.statement,),
    ast.Continue: (_Module.statement,),
    ast.Call: (_Module.call,),
    ast.Tuple: (_Module.collection,),
    ast.List: (_Module.collection,),
    ast.Set: (_Module.collection,),
    ast.Dict: (_Module.mapping,),
    ast.Name: (_Module.name,),
    ast.Attribute: (_Module.name,),
}
# Fields whose texts and numbers change nothing that a program does.
_UNSEEN = {
    ast.arg: ("annotation",),
    ast.AnnAssign: ("annotation",),
    ast.FunctionDef: ("returns", "decorator_list"),
    ast.ClassDef: ("decorator_list",),
}
_CODING = ("encoding", "errors")


def _nodes(node: ast.AST, parents: tuple[ast.AST, ...]) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...]]]:
    """Every node that may hold a fault, with those that it is in."""
    yield node, parents
    for name, value in ast.iter_fields(node):
        if name in _UNSEEN.get(type(node), ()):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_unseen(child):
                yield from _nodes(child, (*parents, node))


def _is_unseen(node: ast.AST) -> bool:
    """Whether a node says something to people, type checkers or importers only."""
    match node:
        case ast.Expr(value=ast.Constant()) | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return True
        case ast.keyword(arg="encoding" | "errors"):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__" | "__slots__")]):
            return True
        case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar"))):
            return True
    return False


def _is_pattern(parents: Sequence[ast.AST]) -> bool:
    return any(isinstance(one, ast.Call) and ast.unparse(one.func).startswith("re.") for one in parents[-3:])


# Manifests --------------------------------------------------------------------------------------------------

_ENTRY = re.compile(r"(?m)^(?P<lead> *(?:- )?(?:[\w./-]+: +)?)(?P<value>[^\s#].*)$")


def of_yaml(source: str) -> list[Mutant]:
    """The faults of a manifest: each value another, each value away; in block scalars line by line."""
    found: set[Mutant] = set()
    for document in yaml.compose_all(source, Loader=yaml.SafeLoader):
        if document is not None:
            found |= set(_in_node(document, source))
    return sorted(found)


def _in_node(node: yaml.Node, source: str) -> Iterator[Mutant]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _in_node(value, source)
            yield from _line_less(key, value, source)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _in_node(item, source)
            yield from _line_less(item, item, source)
    elif isinstance(node, yaml.ScalarNode):
        yield from _in_scalar(node, source)


def _in_scalar(node: yaml.ScalarNode, source: str) -> Iterator[Mutant]:
    start, end = _marks(node)
    if node.style not in ("|", ">"):
        yield _changed(source[start:end], start)
        return
    for line in _ENTRY.finditer(source, source.index("\n", start) + 1, end):
        yield _changed(line["value"], line.start("value"))
        yield Mutant(line.start(), min(line.end() + 1, end), "", "line")


def _changed(text: str, start: int) -> Mutant:
    """Another value in place of ``text``, of the same type."""
    end = start + len(text)
    if re.fullmatch(r"\d+", text):
        return Mutant(start, end, str(int(text) + 1), "number")
    if text in ("true", "false"):
        return Mutant(start, end, "false" if text == "true" else "true", "truth")
    place = end - 1 if text[-1:] in ("'", '"') else end
    return Mutant(place, place, "x", "text")


def _line_less(first: yaml.Node, last: yaml.Node, source: str) -> Iterator[Mutant]:
    """Without the line of an entry or item that has one to itself."""
    (start, _), (_, end) = _marks(first), _marks(last)
    start = source.rfind("\n", 0, start) + 1
    if isinstance(last, yaml.ScalarNode) and "\n" not in source[start:end] and source[end : end + 1] == "\n":
        yield Mutant(start, end + 1, "", "line")


def _marks(node: yaml.Node) -> tuple[int, int]:
    assert node.start_mark is not None
    assert node.end_mark is not None
    return node.start_mark.index, node.end_mark.index
