"""Any YAML file, any wanted data: the edit gives the deep merge and keeps the rest, or names its place."""

import copy
import random
import re
from dataclasses import dataclass, field, replace
from unittest import mock

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.yaml.editing import EditRefusedError, YamlValue, ensure, nodes

PLACE = re.compile(r"some\.yaml:[1-9][0-9]*:[1-9][0-9]*: \S")
FLOW = re.compile(r"[\[{]")
SHARED = "shared"  # the key below which ordinary documents have their anchors, aliases, merge keys and tags
KEYS = [
    "name",
    "url",
    "resources",
    "spec",
    "values",
    "grafana.ini",
    "a b",
    "x",
    "plugins",
    "größe",
    "on",
    "7",
]
PLAIN = ["a", "./b.yaml", "../c", "k8s@1", "k8s@2", "1", "0x1F", "2.50", "yes", "2024-01-31", "http://h:80/p"]
PLAIN += ["日本 🙂", "--x", "a#b"]
QUOTED = ['"q"', "'it''s'", '"\\u00e9 # no"', '"a: b"', "'*x'", '""', "'yes'", '"12"']
EMPTY = ["", "~", "null", "[]", "{}"]
COMMENTS = ["# about it", "#- ./off.yaml", "#  - ./foo.yaml", "#", "# key: value", "#! [x, {"]
NEW: list[YamlValue] = [
    True,
    5,
    1.5,
    None,
    "n",
    "./m.yaml",
    "k8s@3",
    "yes",
    "12",
    "a: b",
    "# c",
    "",
    " s",
    "- x",
]
NEW += ["{}", "*z", "tab\tnl\n", "ü🙂\u2028"]


@dataclass
class Emitter:
    """Writes valid YAML by construction, each choice of style at random."""

    random: random.Random
    ordinary: bool
    anchors: list[tuple[str, bool]] = field(default_factory=list)  # name, and whether it is a mapping
    pending: list[tuple[str, bool]] = field(default_factory=list)  # of nodes that are not complete
    count: int = 0
    shared: bool = False  # inside the part where anchors may be

    def chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def noise(self, column: int) -> list[str]:
        """Blank lines and comments, at the column or anywhere."""
        lines = []
        while self.chance(25):
            pad = " " * self.random.choice([column, column, 0, column + 2, self.random.randrange(9)])
            blank = self.random.choice(["", "", pad])
            lines.append(blank if self.chance(30) else pad + self.random.choice(COMMENTS))
        return lines

    def remark(self) -> str:
        return self.random.choice([" ", "  "]) + self.random.choice(COMMENTS) if self.chance(15) else ""

    def properties(self, *, mapping: bool) -> str:
        """Maybe an anchor, and where those are allowed, maybe a tag."""
        text = ""
        if self.chance(12) and (self.shared or not self.ordinary or self.chance(30)):
            self.count += 1
            text += f"&a{self.count} "
            self.pending.append((f"a{self.count}", mapping))
        if (self.shared or not self.ordinary) and self.chance(6):
            text += self.random.choice(["!own ", "!<tag:example.org,2000:x,y> "])
        return text

    def alias(self, *, mapping: bool = False) -> str | None:
        names = [name for name, is_mapping in self.anchors if is_mapping or not mapping]
        allowed = names and (self.shared or not self.ordinary) and self.chance(30)
        return "*" + self.random.choice(names) if allowed else None

    def keys(self, depth: int) -> list[str]:
        return self.random.sample(KEYS, self.random.randint(1, 4 if depth else 6))

    def key(self, key: str) -> str:
        style = self.random.randrange(6)
        return f'"{key}"' if style == 0 or key in ("on", "7") else f"'{key}'" if style == 1 else key

    def scalar(self) -> str:
        return self.random.choice(self.random.choice([PLAIN, PLAIN, QUOTED]))

    def mapping(self, column: int, depth: int) -> list[str]:
        lines: list[str] = []
        pad = " " * column
        if merged := self.alias(mapping=True):
            lines.append(f"{pad}<<: {merged}")
        for key in self.keys(depth):
            lines += self.noise(column) if lines else []
            if self.chance(5):
                lines += [f"{pad}? {self.key(key)}", f"{pad}: {self.scalar()}{self.remark()}"]
            else:
                lines += self.value(f"{pad}{self.key(key)}:", column, depth, in_mapping=True)
        return lines

    def sequence(self, column: int, depth: int) -> list[str]:
        pad = " " * column
        if self.chance(40):
            numbers = range(self.random.randint(1, 5))
            texts = [f"{self.random.choice('abcxyz')}{number}.yaml" for number in numbers]
            texts = sorted(texts) if self.chance(60) else texts
            items = [[f"{pad}- {text}{self.remark()}"] for text in texts]
        else:
            items = [self.item(pad, column, depth) for _ in range(self.random.randint(1, 3))]
        lines = items[0]
        for item in items[1:]:
            lines += self.noise(column) + item
        return lines

    def item(self, pad: str, column: int, depth: int) -> list[str]:
        gap = self.random.choice([1, 1, 1, 3])
        if depth > 0 and self.chance(55):
            inner = column + 1 + gap
            nested = self.mapping(inner, depth - 1) if self.chance(75) else self.sequence(inner, depth - 1)
            return [f"{pad}-{' ' * gap}{nested[0][inner:]}", *nested[1:]]
        return self.value(f"{pad}-", column, 0, in_mapping=False)

    def value(self, head: str, column: int, depth: int, *, in_mapping: bool) -> list[str]:
        """The lines of an entry or item that begins with ``head`` and whose parent stands at ``column``."""
        outer, self.pending = self.pending, []
        lines = self.node(head, column, depth, in_mapping=in_mapping)
        if self.shared or not self.ordinary:
            self.anchors += self.pending
        self.pending = outer
        return lines

    def node(self, head: str, column: int, depth: int, *, in_mapping: bool) -> list[str]:
        if alias := self.alias():
            return [f"{head} {alias}{self.remark()}"]
        kind = self.random.randrange(100)
        if kind < 50 and in_mapping and depth > 0:
            return self.nested(head, column, depth, mapping=kind < 25)
        if kind < 60:
            return self.block_scalar(head, column)
        if kind < 72:
            mapping = self.chance(50)
            return self.flow(f"{head} {self.properties(mapping=mapping)}", column, mapping=mapping)
        text = self.random.choice(EMPTY) if kind < 82 else self.scalar()
        properties = self.properties(mapping=text == "{}")
        if kind < 94:
            return [f"{head} {properties}{text}".rstrip() + self.remark()]
        first, last = self.random.choice([("one", "two"), ('"one\\', 'two"'), ("'one", "  two'")])
        more = " " * (column + self.random.randint(1, 4))
        return [
            f"{head} {properties}{first}",
            *self.random.choice([[], [""]]),
            f"{more}{last}{self.remark()}",
        ]

    def nested(self, head: str, column: int, depth: int, *, mapping: bool) -> list[str]:
        """A block collection below its key."""
        lines = [f"{head} {self.properties(mapping=mapping)}".rstrip() + self.remark()]
        inner = column + self.random.choice([1, 2, 2, 2, 3, 4, 4, 5, 6] if mapping else [0, 0, 2, 2, 1, 4])
        write = self.mapping if mapping else self.sequence
        return lines + self.noise(inner) + write(inner, depth - 1)

    def block_scalar(self, head: str, column: int) -> list[str]:
        step = self.random.randint(1, 4)
        explicit = self.chance(20)
        style = (
            self.random.choice("|>") + self.random.choice(["", "-", "+"]) + (str(step) if explicit else "")
        )
        pad = " " * (column + step)
        lines = [f"{head} {self.properties(mapping=False)}{style}{self.remark()}"]
        for number in range(self.random.randint(1, 3)):
            deeper = "  deeper" if explicit or number else "deeper"
            texts = ["text", "# no comment", "- item", "k: v", deeper, "é"]
            lines.append(pad + self.random.choice(texts))
        return lines + self.random.choice([[], [], [""], ["", ""], [" " * column], [pad + " "]])

    def flow(self, head: str, column: int, *, mapping: bool, depth: int = 1) -> list[str]:
        opening, closing = "{}" if mapping else "[]"
        parts = []
        for key in self.keys(0)[: self.random.randint(0, 3)]:
            text = f"{key}: " if mapping else ""
            if depth and self.chance(20):
                nested = self.chance(50)
                text += self.flow("", column, mapping=nested, depth=0)[0]
            else:
                text += self.random.choice(["a", "b.yaml", "1", "x y", *QUOTED, *([""] if mapping else [])])
            parts.append(key if mapping and self.chance(5) else text)
        comma = "," if parts and self.chance(20) else ""
        if not depth or self.chance(60):
            inner = ", ".join(parts) + comma
            spaces = self.random.choice(["", " "])
            return [f"{head}{opening}{spaces}{inner}{spaces}{closing}" + (self.remark() if depth else "")]
        pad = " " * (column + self.random.randint(1, 4))
        lines = [head + opening + self.remark()]
        for number, part in enumerate(parts, 1):
            separator = "," if number < len(parts) else comma
            lines += [*self.noise(len(pad)), pad + part + separator + self.remark()]
        last = self.random.choice([pad, " " * (column + 1)])
        return [*lines, f"{last}{closing}{self.remark()}"]

    def document(self) -> list[str]:
        self.anchors = []
        kind = self.random.randrange(20)
        if kind == 0:
            return self.noise(0)
        if kind == 1:
            return self.flow("", 0, mapping=True)
        lines = self.noise(0)
        if self.chance(40):
            self.shared = True
            lines += [f"{SHARED}:", *self.mapping(2, 2)]
            self.shared = False
        return lines + self.mapping(0, 3) + self.noise(0)

    def stream(self) -> str:
        lines: list[str] = []
        for number in range(self.random.choice([1, 1, 1, 2, 3])):
            if number or self.chance(30):
                # A file cannot begin with the end of a document.
                ended = any(line.strip() and not line.strip().startswith("#") for line in lines)
                lines += [*(["..."] if ended and self.chance(20) else []), "---" + self.remark()]
            lines += self.document()
        newline = self.random.choice(["\n", "\n", "\r\n"])
        text = newline.join(lines)
        if self.chance(80) or load(text) != load(text + newline):
            text += newline  # a block scalar at the end reads differently without it
        return text


class PlainLoader(yaml.CSafeLoader):
    """A safe loader that takes a node with an unknown tag for a pair of the tag and what is tagged."""


def _tagged(loader: PlainLoader, tag: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return tag, loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return tag, loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return tag, loader.construct_scalar(node)


PlainLoader.add_multi_constructor("", _tagged)


def load(text: str) -> list[object]:
    return list(yaml.load_all(text, Loader=PlainLoader))


def typed(value: object) -> str:
    """Data as text in which 1, 1.0, "1" and True differ."""
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{typed(key)}: {typed(item)}" for key, item in value.items())) + "}"
    return "[" + ", ".join(map(typed, value)) + "]" if isinstance(value, list) else repr(value)


def same(existing: object, wanted: object) -> bool:
    if isinstance(existing, dict) and isinstance(wanted, dict):
        return "name" in wanted and "name" in existing and typed(existing["name"]) == typed(wanted["name"])
    if isinstance(existing, str) and isinstance(wanted, str):
        return "@" in wanted and existing.split("@")[0] == wanted.split("@")[0]
    return False


class Oracle:
    """Merges on plain data; ``kept`` stays true while nothing that was there is replaced."""

    def __init__(self) -> None:
        self.kept = True

    def merge(self, data: object, want: YamlValue) -> object:
        if not data and data != want:
            self.kept = False  # a null, or brackets that become a block
        if isinstance(want, dict) and isinstance(data, dict):
            return data | want | {key: self.merge(data[key], want[key]) for key in want if key in data}
        if isinstance(want, list) and isinstance(data, list):
            return self.items(data, want)
        if typed(data) != typed(want):
            self.kept = False
        return want

    def items(self, data: list[object], want: list[YamlValue]) -> list[object]:
        result: list[object] = list(data)
        new: list[YamlValue] = []
        for wanted in want:
            equal = [at for at, item in enumerate(data) if typed(item) == typed(wanted)]
            free = [at for at, item in enumerate(data) if typed(item) not in map(typed, want)]
            found = equal or [at for at in free if same(data[at], wanted)]
            if found:
                result[found[0]] = self.merge(data[found[0]], wanted)
            elif typed(wanted) not in map(typed, new):
                new.append(wanted)
        return result + new


def new_value(rng: random.Random, depth: int = 2) -> YamlValue:
    kind = rng.randrange(10)
    if depth and kind < 2:
        return [new_value(rng, depth - 1) for _ in range(rng.randrange(3))]
    if depth and kind < 4:
        keys = rng.sample(["new", "y", "name", "a: b", "größe"], rng.randrange(3))
        return {key: new_value(rng, depth - 1) for key in keys}
    return rng.choice(NEW)


def fitting(rng: random.Random, data: object, *, ordinary: bool) -> YamlValue:
    """Something of the same kind to want where ``data`` is."""
    if isinstance(data, dict):
        return fitting_entries(rng, data, ordinary=ordinary)
    if isinstance(data, list):
        known = [item for item in data if isinstance(item, str | dict) and rng.randrange(2)][:2]
        wants = [
            named(rng, item) if isinstance(item, dict) else rng.choice([item, "k8s@3"]) for item in known
        ]
        wants += [new_value(rng, 1) for _ in range(rng.randrange(0 if wants else 1, 3))]
        return rng.sample(wants, len(wants))
    if data is None:
        return new_value(rng)
    if isinstance(data, str | int | float) and rng.randrange(3) == 0:
        return data
    return rng.choice(NEW)


def fitting_entries(
    rng: random.Random, data: dict[object, object], *, ordinary: bool
) -> dict[str, YamlValue]:
    known = [key for key in data if isinstance(key, str) and not (ordinary and key == SHARED)]
    chosen = rng.sample(known, min(len(known), rng.randrange(3)))
    want = {key: fitting(rng, data[key], ordinary=ordinary) for key in chosen}
    fresh = rng.sample(["new", "zz", "a: #", "12"], rng.randrange(2 if want else 3))
    return want | {key: new_value(rng) for key in fresh}


def named(rng: random.Random, item: dict[object, object]) -> YamlValue:
    name = item.get("name")
    return fitting_entries(rng, item, ordinary=True) | {"name": name if isinstance(name, str) else "fresh"}


@dataclass(frozen=True)
class Case:
    """A file, the place in it, and what is wanted there."""

    text: str
    path: list[str]
    want: YamlValue
    document: int


def case(rng: random.Random, *, ordinary: bool) -> Case:
    text = Emitter(rng, ordinary).stream()
    documents = load(text)
    number = rng.randrange(max(1, len(documents)))
    data: object = documents[number] if documents else None
    path: list[str] = []
    while isinstance(data, dict) and rng.randrange(3):
        known = [key for key in data if isinstance(key, str) and not (ordinary and key == SHARED)]
        if not known:
            break
        path.append(rng.choice(known))
        data = data[path[-1]]
    if data is None or (isinstance(data, dict) and rng.randrange(4) == 0):
        path += rng.sample(["missing", "way"], rng.randint(1, 2))
        return Case(text, path, new_value(rng), number)
    return Case(text, path, fitting(rng, data, ordinary=ordinary), number)


def cases(*, ordinary: bool) -> st.SearchStrategy[Case]:
    # The seeds vary more, the others shrink.
    sources = st.integers(0, 2**64).map(random.Random) | st.randoms(use_true_random=False)
    return sources.map(lambda rng: case(rng, ordinary=ordinary))


def edit(asked: Case) -> str:
    return ensure(asked.text, asked.path, asked.want, name="some.yaml", document=asked.document, same=same)


def outcome(asked: Case) -> str:
    """The changed text, or what the refusal says."""
    try:
        return edit(asked)
    except EditRefusedError as error:
        return error.summary


def placeless(data: object) -> object:
    """``data`` with each list in one order: where a new item goes is a question of its own."""
    if isinstance(data, dict):
        return {key: placeless(item) for key, item in data.items()}
    return sorted(map(placeless, data), key=typed) if isinstance(data, list) else data


def hold(asked: Case, result: str) -> None:
    """Everything that must be true of a result."""
    before, after = load(asked.text), load(result)
    want = asked.want
    for key in reversed(asked.path):
        want = {key: want}
    oracle = Oracle()
    number = asked.document
    merged = oracle.merge(copy.deepcopy(before[number]) if before else None, want)
    assert typed(placeless(after)) == typed(placeless([*before[:number], merged, *before[number + 1 :]]))
    assert edit(replace(asked, text=result)) is result
    if oracle.kept:
        rest = iter(result)
        assert all(char in rest for char in asked.text)
    if oracle.kept and not FLOW.search(asked.text):
        lines = iter(result.splitlines())
        assert all(line in lines for line in asked.text.splitlines())
    assert "\r\n" not in asked.text or re.search("(?<!\r)\n", result) is None
    assert not before or asked.text.endswith("\n") == result.endswith("\n")


SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck))


@settings(SETTINGS, max_examples=700)
@given(cases(ordinary=True))
def test_an_ordinary_file_is_never_refused(asked: Case) -> None:
    hold(asked, edit(asked))


@settings(SETTINGS, max_examples=700)
@given(cases(ordinary=False))
def test_any_file_is_edited_or_refused_with_a_place(asked: Case) -> None:
    result = outcome(asked)
    if not PLACE.match(result):
        hold(asked, result)


@settings(SETTINGS, max_examples=100)
@given(cases(ordinary=False))
def test_the_parser_in_python_gives_the_same(asked: Case) -> None:
    result = outcome(asked)
    with mock.patch.object(nodes, "_LOADER", yaml.SafeLoader):
        assert outcome(asked) == result
