"""Edits of other people's YAML, byte for byte, and every reason to refuse one."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from unittest import mock

import pytest
import yaml

from tasks.core.errors import RefusedError
from tasks.yaml.editing import EditRefusedError, YamlValue, ensure, nodes

FILES = sorted((Path(__file__).parents[1] / "cases" / "yamledit").iterdir())


def same_name(existing: object, wanted: object) -> bool:
    if isinstance(existing, dict) and isinstance(wanted, dict):
        return "name" in wanted and existing.get("name") == wanted["name"]
    return existing == wanted


def same_image(existing: object, wanted: object) -> bool:
    return str(existing).split(":")[0] == str(wanted).split(":")[0]


def edit(text: str, path: list[str], want: YamlValue, document: int = 0) -> str:
    result = ensure(text, path, want, name="x.yaml", document=document, same=same_name)
    assert ensure(result, path, want, name="x.yaml", document=document, same=same_name) is result
    return result


@pytest.mark.parametrize("loader", [yaml.CSafeLoader, yaml.SafeLoader])
@pytest.mark.parametrize("folder", FILES, ids=lambda folder: folder.name)
class TestFiles:
    """Whole files, as they are and as other editors and systems would have written them."""

    @pytest.fixture(autouse=True)
    def load(self, folder: Path, loader: type[yaml.SafeLoader]) -> Iterator[None]:
        self.before = (folder / "before.yaml").read_bytes().decode()
        self.after = (folder / "after.yaml").read_bytes().decode()
        ask = yaml.safe_load((folder / "ask.yaml").read_text(encoding="utf-8"))
        self.path, self.want, self.document = ask["path"], ask["want"], ask.get("document", 0)
        with mock.patch.object(nodes, "_LOADER", loader):
            yield

    def test_as_it_is(self) -> None:
        assert edit(self.before, self.path, self.want, self.document) == self.after

    def test_with_the_line_breaks_of_windows(self) -> None:
        before, after = self.before.replace("\n", "\r\n"), self.after.replace("\n", "\r\n")
        assert edit(before, self.path, self.want, self.document) == after

    def test_without_a_final_line_break(self) -> None:
        assert edit(self.before[:-1], self.path, self.want, self.document) == self.after[:-1]

    def test_with_a_byte_order_mark(self) -> None:
        assert edit("\ufeff" + self.before, self.path, self.want, self.document) == "\ufeff" + self.after

    def test_between_other_documents(self) -> None:
        other = "# ü 🙂\na: &a !x 1\nb: *a\nwhen: 2024-01-31\nyes: no\n"
        before, after = (f"{other}---\n{text}...\n---\n{other}" for text in (self.before, self.after))
        # A text that begins with a marker of its own makes the one before it a document too.
        number = self.document + 1 + self.before.startswith("---")
        assert edit(before, self.path, self.want, number) == after

    def test_deep_inside(self) -> None:
        before, after = (
            "outer:\n  list:\n" + re.sub("^(?=.)", "    ", text.removeprefix("---\n"), flags=re.MULTILINE)
            for text in (self.before, self.after)
        )
        if self.document == 0:
            assert edit(before, ["outer", "list", *self.path], self.want) == after


LISTS = [
    ("one item is no order", "r:\n- b\n", "r", ["a"], "r:\n- b\n- a\n"),
    ("unsorted", "r:\n- b\n- a\n", "r", ["aa"], "r:\n- b\n- a\n- aa\n"),
    ("sorted", "r:\n- a\n- c\n", "r", ["d", "b"], "r:\n- a\n- b\n- c\n- d\n"),
    ("sorted, already there", "r:\n- a\n- c\n", "r", ["c", "a"], "r:\n- a\n- c\n"),
    ("the same thing twice", "r: []\n", "r", ["a", "a"], "r:\n  - a\n"),
    ("sorted, aliases too", "r:\n- &x a\n- *x\n- c\n", "r", ["b"], "r:\n- &x a\n- *x\n- b\n- c\n"),
    ("numbers are no strings", "r:\n- 1\n- 3\n", "r", ["2", 2], 'r:\n- 1\n- 3\n- "2"\n- 2\n'),
    ("a mapping among strings", "r:\n- a\n- c\n", "r", [{"k": 1}, "b"], "r:\n- a\n- b\n- c\n- k: 1\n"),
    (
        "above the comment of an item",
        "r:\n- a\n# of c\n# indeed\n- c\n",
        "r",
        ["b"],
        "r:\n- a\n- b\n# of c\n# indeed\n- c\n",
    ),
    ("below the comment of an item", "r:\n- a\n  # of a\n- c\n", "r", ["b"], "r:\n- a\n  # of a\n- b\n- c\n"),
    ("below what is commented out", "r:\n- a\n#- aa\n- c\n", "r", ["b"], "r:\n- a\n#- aa\n- b\n- c\n"),
    ("above a blank line", "r:\n- a\n\n\n# of c\n- c\n", "r", ["b"], "r:\n- a\n- b\n\n\n# of c\n- c\n"),
    ("first of all", "r:\n\n- b\n- c\n", "r", ["a"], "r:\n\n- a\n- b\n- c\n"),
    ("block scalars", "r:\n- |+\n  a\n  # b\n\n- x\n", "r", ["b"], "r:\n- |+\n  a\n  # b\n\n- b\n- x\n"),
    (
        "after the commented-out tail",
        "r:\n- a\n#- b\n# next\ns: 1\n",
        "r",
        ["c"],
        "r:\n- a\n#- b\n- c\n# next\ns: 1\n",
    ),
    (
        "before the comment of what follows",
        "r:\n- a\n# next\ns: 1\n",
        "r",
        ["c"],
        "r:\n- a\n- c\n# next\ns: 1\n",
    ),
    (
        "after a comment that ends the list",
        "r:\n- a\n# end\n\ns: 1\n",
        "r",
        ["c"],
        "r:\n- a\n# end\n- c\n\ns: 1\n",
    ),
    ("before a comment further left", "r:\n  - a\n# next\n", "r", ["c"], "r:\n  - a\n  - c\n# next\n"),
    ("empty items", "r:\n-\n- # none\n-", "r", ["a"], "r:\n-\n- # none\n-\n- a"),
    (
        "odd gaps",
        "r:\n  -   a\n",
        "r",
        [["b", {"c": [], "d": "e"}]],
        "r:\n  -   a\n  - - b\n    - c: []\n      d: e\n",
    ),
    ("lists in lists", "- - b\n  - a\n", "", [["b", "a"], ["c"]], "- - b\n  - a\n- - c\n"),
    ("dashes below a comment", "r:\n- # why\n  b\n- c\n", "r", ["bb"], "r:\n- # why\n  b\n- bb\n- c\n"),
    ("anchors on their own line", "r: &r\n  - b\n", "r", ["a"], "r: &r\n  - b\n  - a\n"),
    ("tags that say the obvious", "r: !!seq\n- !!str a\n", "r", ["b"], "r: !!seq\n- !!str a\n- b\n"),
    ("two keys at once", "a:\n  b:\n  - x\n", "a", {"c": 1, "b": ["z"]}, "a:\n  b:\n  - x\n  - z\n  c: 1\n"),
    ("flow", "r: [b, c]\n", "r", ["a", "bb", "d"], "r: [a, b, bb, c, d]\n"),
    ("flow with a comma at the end", "r: [b, a, ] # c\n", "r", ["d", "c"], "r: [b, a, d, c, ] # c\n"),
    ("flow over lines", "r: [b,\n    a] # c\n", "r", ["d"], "r: [b,\n    a, d] # c\n"),
    ("flow with commas in front", "r: [ b\n   , a # c\n   ]\n", "r", ["d"], "r: [ b\n   , a, d # c\n   ]\n"),
    ("flow with pairs", "r: [a: 1, b: ]\n", "r", ["c"], "r: [a: 1, b: , c ]\n"),
    (
        "an item and its list at once",
        "r:\n- name: a\n  # of a\n# next\ns: 1\n",
        "r",
        [{"name": "b"}, {"name": "a", "c": 1}],
        "r:\n- name: a\n  # of a\n  c: 1\n- name: b\n# next\ns: 1\n",
    ),
]

MAPPINGS = [
    ("last key of the file", "a: 1 # one\n\n# end\n", "", {"b": 2}, "a: 1 # one\nb: 2\n\n# end\n"),
    (
        "an inner mapping",
        "a:\n  b: 1\n  # c: 2\n\n  # e\nd: 1\n",
        "a",
        {"c": 3},
        "a:\n  b: 1\n  # c: 2\n  c: 3\n\n  # e\nd: 1\n",
    ),
    ("missing way", "a: 1\n", "b.c.d", ["e"], "a: 1\nb:\n  c:\n    d:\n      - e\n"),
    ("steps of four", "a:\n    b: 1\n", "c.d", ["e"], "a:\n    b: 1\nc:\n    d:\n        - e\n"),
    ("steps of one", "a:\n b: 1\n c:\n - d\n", "e.f", ["g"], "a:\n b: 1\n c:\n - d\ne:\n f:\n - g\n"),
    ("list items further in", "a:\n     - b\n", "c", ["d"], "a:\n     - b\nc:\n     - d\n"),
    (
        "a mapping in a list",
        "- name: a\n  # x\n- name: b\n",
        "",
        [{"name": "a", "b": 1}],
        "- name: a\n  # x\n  b: 1\n- name: b\n",
    ),
    ("wide dash", "-   name: a\n", "", [{"name": "a", "b": 1}], "-   name: a\n    b: 1\n"),
    ("explicit keys", "? a\n: 1\n? b # c\n", "", {"b": 1, "c": 2}, "? a\n: 1\n? b # c\n: 1\nc: 2\n"),
    ("a null in flow", "{a: {b: , c}}\n", "a", {"b": 1, "c": [2]}, "{a: {b: 1 , c: [2]}}\n"),
    (
        "after a kept block scalar",
        "a:\n  b: |+\n    x\n\nc: 1\n",
        "a",
        {"d": 1},
        "a:\n  b: |+\n    x\n\n  d: 1\nc: 1\n",
    ),
    (
        "after a clipped block scalar",
        "a:\n  b: |\n    x\n\nc: 1\n",
        "a",
        {"d": 1},
        "a:\n  b: |\n    x\n  d: 1\n\nc: 1\n",
    ),
    ("after white content", "a: |-\n x\n   \n \n", "", {"d": 1}, "a: |-\n x\n   \nd: 1\n \n"),
    (
        "after an indented block scalar",
        "a: |2-\n   x\n  \n\nb: 1\n",
        "",
        {"c": 1},
        "a: |2-\n   x\n  \n\nb: 1\nc: 1\n",
    ),
    ("before the end of the document", "a: 1\n...\n# x\n", "", {"b": 2}, "a: 1\nb: 2\n...\n# x\n"),
    ("after an alias", "a: &a 1\nb:\n  c: *a\nd: 1\n", "b", {"e": 1}, "a: &a 1\nb:\n  c: *a\n  e: 1\nd: 1\n"),
    (
        "beside a merge key",
        "a: &a {x: 1}\nb:\n  <<: *a\n",
        "b",
        {"z": 1, "x": 1},
        "a: &a {x: 1}\nb:\n  <<: *a\n  z: 1\n",
    ),
    ("inside an anchor nobody uses", "a: &a\n  x: 1\n", "a", {"z": 1}, "a: &a\n  x: 1\n  z: 1\n"),
    ("keys that are no strings", "on: 1\n7: 2\n", "", {"on": 3, "7": 4}, 'on: 1\n7: 2\n"on": 3\n"7": 4\n'),
    ("keys in quotes", "\"a\": 1\n'b': 2\n", "", {"a": 2, "b": 3}, "\"a\": 2\n'b': 3\n"),
    ("no break at the end", "a: 1", "", {"b": {"c": 1}}, "a: 1\nb:\n  c: 1"),
    (
        "no break, two at once",
        "a:\n  b:\n    c: 1",
        "",
        {"d": 1, "a": {"e": 2}},
        "a:\n  b:\n    c: 1\n  e: 2\nd: 1",
    ),
    ("carriage returns", "a: 1\rb: 2\r", "", {"c": 3}, "a: 1\rb: 2\rc: 3\r"),
    ("flow", "a: {b: 1} # c\n", "a", {"d": {"e": "f"}}, "a: {b: 1, d: {e: f}} # c\n"),
    ("flow over lines", "a: {\n\tb: 1, # c\n}\n", "a", {"d": 1}, "a: {\n\tb: 1, # c\n\td: 1,\n}\n"),
    ("flow ending in nothing", "a: {\n  b: # c\n}\n", "a", {"d": 1}, "a: {\n  b: , # c\n  d: 1\n}\n"),
    ("flow in quotes", 'a: {"b":1}\n', "a", {"b": 2, "c,": "d]"}, 'a: {"b":2, "c,": "d]"}\n'),
    (
        "after white content of an indented block scalar",
        "a: |2\n   x\n   \n",
        "",
        {"b": 1},
        "a: |2\n   x\n   \nb: 1\n",
    ),
    ("after a flow list over lines", "a: [\n  b\n]\n", "", {"c": 1}, "a: [\n  b\n]\nc: 1\n"),
    ("after a flow mapping over lines", "a: {\n  b: 1\n}\n", "", {"c": 1}, "a: {\n  b: 1\n}\nc: 1\n"),
    (
        "mixed line breaks",
        "a:\n  b: 1\r\nc: 2\n",
        "",
        {"a": {"d": 1}, "e": 1},
        "a:\n  b: 1\r\n  d: 1\r\nc: 2\ne: 1\n",
    ),
]

FILLED = [
    ("nothing", "a:\nb: 1\n", "a", ["x"], "a:\n  - x\nb: 1\n"),
    ("nothing but a comment", "a: # none\n", "a", {"x": 1}, "a: # none\n  x: 1\n"),
    ("above what is commented out", "a:\n  # - y\nb:\n- z\n", "a", ["x"], "a:\n  # - y\n- x\nb:\n- z\n"),
    ("a tilde", "a: ~ # none\n", "a", ["x"], "a: # none\n  - x\n"),
    ("null", "a: null", "a", ["x"], "a:\n  - x"),
    ("brackets", "a: []   # none\nb:\n- y\n", "a", ["x"], "a:   # none\n- x\nb:\n- y\n"),
    ("braces", "a: { }\n", "a", {"x": {"z": []}}, "a:\n  x:\n    z: []\n"),
    ("braces close to a comment", "a: {}# c\n", "a", {"x": 1}, "a: # c\n  x: 1\n"),
    ("an anchor", "a: &a\nb: &b []\n", "", {"a": ["x"], "b": ["z"]}, "a: &a\n  - x\nb: &b\n  - z\n"),
    ("by nothing", "a:\nb: ~\n", "", {"a": {}, "b": []}, "a: {}\nb: []\n"),
    ("brackets around a comment", "a: [ # none\n  ]\n", "a", ["x"], "a: [x # none\n  ]\n"),
    ("null below its key", "a:\n  ~\n", "a", ["x", 1], "a:\n  [x, 1]\n"),
    (
        "in flow",
        "{a: {b: [], c: ~, d}}\n",
        "a",
        {"b": [1], "c": {"x": 1}, "d": [2]},
        "{a: {b: [1], c: {x: 1}, d: [2]}}\n",
    ),
    (
        "in a list",
        "- name: a\n  b:\n- name: c\n",
        "",
        [{"name": "a", "b": ["x"]}],
        "- name: a\n  b:\n    - x\n- name: c\n",
    ),
    ("a file of braces", "{}\n", "a", ["x"], "a:\n  - x\n"),
    ("a file of braces and a comment", "{} # c\n", "a", ["x"], "{a: [x]} # c\n"),
    ("an empty file", "", "a", ["x"], "a:\n  - x\n"),
    ("a file of comments", "# c\n\n# d", "a", ["x"], "# c\n\n# d\na:\n  - x"),
    ("an empty document", "---\n# c\n---\nb: 1\n", "a", 1, "---\n# c\na: 1\n---\nb: 1\n"),
    ("an empty document with an end", "--- # c\n...\n", "a", 1, "--- # c\na: 1\n...\n"),
    ("an empty document without a break", "---", "", ["x"], "---\n- x"),
    ("a null document", "--- null\n", "a", 1, "--- {a: 1}\n"),
    ("a null document that is wanted", "---\n", "", None, "---\n"),
    ("an anchored null document", "--- &a\n", "", {"a": 1}, "--- &a {a: 1}\n"),
]

SCALARS: list[tuple[str, str, str, YamlValue, str]] = [
    (
        "same by value",
        "a: 0x10\nb: yes\nc: 'x'\nd: ~\n",
        "",
        {"a": 16, "b": True, "c": "x", "d": None},
        "a: 0x10\nb: yes\nc: 'x'\nd: ~\n",
    ),
    ("plain", "a: b # c\n", "a", "d e", "a: d e # c\n"),
    ("quoted", "a: \"b\" # c\nd: 'e'\n", "", {"a": "x", "d": "it's"}, "a: \"x\" # c\nd: 'it''s'\n"),
    ("quoted, then a number", 'a: "1"\n', "a", 1, "a: 1\n"),
    ("single quotes that cannot", "a: 'x'\n", "a", "b\nc", 'a: "b\\nc"\n'),
    ("nothing", "a: # c\n", "a", "x", "a: x # c\n"),
    ("nothing with an anchor", "a: &x # c\n", "a", "z", "a: &x z # c\n"),
    ("after an anchor", "a: &x b\n", "a", 2.0, "a: &x 2.0\n"),
    ("by null", "a: b\n", "a", None, "a: null\n"),
    ("in flow", "{a: b, c: }\n", "", {"a": "x, y", "c": "z]"}, '{a: "x, y", c: "z]" }\n'),
    ("over lines", 'a: b\n  c\nd: "e\n  f" # g\n', "", {"a": 1, "d": "x"}, 'a: 1\nd: "x" # g\n'),
    ("a block scalar", "a: |- # c\n  x\n\n  # y\n\nb: 1\n", "a", "z", "a: z # c\n\nb: 1\n"),
    ("a block scalar at the end", "a: >+\n  x\n\n", "a", "z", "a: z\n"),
    ("a block scalar without a break", "a: |\n  x", "a", "z", "a: z"),
    ("an empty block scalar", "a: |\nb: 1\n", "a", "z", "a: z\nb: 1\n"),
    ("an empty item", "-\n- a\n", "", [None, "a"], "-\n- a\n"),
    ("numbers by type", "a: 1\nb: 1.0\nc: true\n", "", {"a": 1.0, "b": 1, "c": 1}, "a: 1.0\nb: 1\nc: 1\n"),
    ("floats", "a: 1\n", "a", 1e20, "a: 1.0e+20\n"),
    ("not a number", "a: .NaN\n", "a", float("nan"), "a: .nan\n"),
    ("no end", "a: 1\nb: 2\n", "", {"a": float("inf"), "b": float("-inf")}, "a: .inf\nb: -.inf\n"),
    ("text that is no date here", "a: 2024-01-31\n", "a", "2024-01-31", 'a: "2024-01-31"\n'),
    ("what a tag makes impossible", "a: !!int x\n", "b", 1, "a: !!int x\nb: 1\n"),
    ("the whole document", "--- a # b\n", "", "c", "--- c # b\n"),
]


@pytest.mark.parametrize(
    ("before", "path", "want", "after", "loader"),
    [
        pytest.param(before, *rest, loader, id=f"{name}, {loader.__name__}")
        for name, before, *rest in LISTS + MAPPINGS + FILLED + SCALARS
        for loader in (yaml.CSafeLoader, yaml.SafeLoader)
        # The Python parser has no tabs in flow style.
        if loader is yaml.CSafeLoader or "\t" not in before
    ],
)
def test_texts(before: str, path: str, want: YamlValue, after: str, loader: type[yaml.SafeLoader]) -> None:
    with mock.patch.object(nodes, "_LOADER", loader):
        assert edit(before, [key for key in path.split(".") if key], want) == after


REFUSED: list[tuple[str, str, str, YamlValue, str]] = [
    (
        "an alias",
        "a: &x [1]\nb: *x\n",
        "b",
        [2],
        "2:4: b is the alias *x, and a change would show wherever its anchor is used",
    ),
    (
        "an alias on the way",
        "a: &x {c: {}}\nb: *x\n",
        "b.c",
        {"d": 1},
        "2:4: b is the alias *x, and a change would show wherever its anchor is used",
    ),
    (
        "an alias in a list",
        "- &x {name: a}\n- name: b\n- *x\n",
        "",
        [{"name": "a", "b": 1}],
        "1:3: [0] has the anchor &x, and a change would show wherever that is used",
    ),
    (
        "a tag behind an alias",
        "a: &x {c: !t {}}\nb: *x\n",
        "b.c",
        {"d": 1},
        "2:4: b is the alias *x, and a change would show wherever its anchor is used",
    ),
    (
        "a used anchor",
        "a: &x [1]\nb: *x\n",
        "a",
        [2],
        "1:4: a has the anchor &x, and a change would show wherever that is used",
    ),
    (
        "a used anchor above",
        "a: &x\n  b: {}\nc: *x\n",
        "a.b",
        {"d": 1},
        "1:4: a has the anchor &x, and a change would show wherever that is used",
    ),
    (
        "a used anchor of a scalar",
        "a: &x b\nc: *x\n",
        "a",
        "d",
        "1:4: a has the anchor &x, and a change would show wherever that is used",
    ),
    (
        "a used anchor of nothing",
        "a: &x\nc: *x\n",
        "a",
        ["d"],
        "1:4: a has the anchor &x, and a change would show wherever that is used",
    ),
    (
        "a merge key",
        "a: &x {c: 1}\nb:\n  <<: *x\n",
        "b.c",
        2,
        "3:3: b.c is set only through a merge key (<<)",
    ),
    (
        "merge keys",
        "- &x {c: 1}\n- &y {<<: *x}\n- name: b\n  <<: [{}, *y]\n",
        "",
        [{"name": "b", "c": 2}],
        "3:3: [2].c is set only through a merge key (<<)",
    ),
    (
        "a string for a list",
        "resources: secret\n",
        "resources",
        ["a"],
        "1:12: resources is a string, not a list",
    ),
    ("a number for a mapping", "a: 1\n", "a.b", 1, "1:4: a is a number, not a mapping"),
    ("a boolean for a mapping", "a: yes\n", "a.b", 1, "1:4: a is a boolean, not a mapping"),
    ("a date for a list", "a: 2024-01-31\n", "a", ["b"], "1:4: a is a date, not a list"),
    ("a list on the way", "a:\n  - b: 1\n", "a.b", 2, "2:3: a is a list, not a mapping"),
    ("an empty list for a mapping", "a: []\n", "a.b", 2, "1:4: a is a list, not a mapping"),
    (
        "a mapping for a value",
        "a.b: {c: 1}\n",
        "",
        {"a.b": "c"},
        '1:6: "a.b" is a mapping, not a single value',
    ),
    ("a list as the document", "- a\n", "", {"a": 1}, "1:1: the document is a list, not a mapping"),
    ("a key twice", "a:\n  b: secret\n  'b': 1\n", "a.c", 1, "3:3: a has the key b twice"),
    ("an unknown tag", "a: !x\n  b: 1\n", "a.c", 1, "1:4: a has the tag !x, which new content may not fit"),
    (
        "an unknown tag of a scalar",
        "a: !vault secret\n",
        "a",
        "b",
        "1:4: a has the tag !vault, which new content may not fit",
    ),
    (
        "a tag of a scalar",
        "a: !!str secret\n",
        "a",
        1,
        "1:4: a has the tag tag:yaml.org,2002:str, which new content may not fit",
    ),
    (
        "a tag of nothing",
        "a: !!null\n",
        "a",
        [1],
        "1:4: a has the tag tag:yaml.org,2002:null, which new content may not fit",
    ),
    (
        "a set",
        "a: !!set {b}\n",
        "a.c",
        None,
        "1:4: a has the tag tag:yaml.org,2002:set, which new content may not fit",
    ),
    (
        "an ordered mapping",
        "a: !!omap [b: 1]\n",
        "a",
        [1],
        "1:4: a has the tag tag:yaml.org,2002:omap, which new content may not fit",
    ),
    (
        "a list on the line of a list",
        "- - name: a\n    b:\n    - x\n    - z\n- - b\n  - c\n",
        "",
        [["a"]],
        "5:3: [1] begins on the line of what it is in",
    ),
    (
        "a block scalar that would gain a break",
        "a: |\n  secret",
        "b",
        1,
        "2:9: the result would not be exactly what is there and what is wanted",
    ),
    (
        "wishes that contradict",
        "- name: a\n",
        "",
        [{"name": "a", "b": 1}, {"name": "a", "b": 2}],
        "2:1: the result would not be exactly what is there and what is wanted",
    ),
    (
        "a key too long",
        "a: 1\n",
        "b" * 2000,
        1,
        "2:1: the result would not be exactly what is there and what is wanted",
    ),
    (
        "half a character",
        "a: 1\n",
        "b",
        "\ud800",
        "2:1: the result would not be exactly what is there and what is wanted",
    ),
    ("not YAML", "a: 1\nb: 'secret\n", "c", 1, "3:1: not valid YAML: found unexpected end of stream"),
    (
        "not YAML after a mark",
        "\ufeffü: 1\nb: @secret\n",
        "c",
        1,
        "2:4: not valid YAML: found character that cannot start any token",
    ),
    (
        "a later document",
        "a: 1\n---\nb: 1\n c: 2\n",
        "c",
        1,
        "4:3: not valid YAML: mapping values are not allowed in this context",
    ),
    (
        "a tab",
        "a:\n\tb: secret\n",
        "c",
        1,
        "2:1: not valid YAML: found character that cannot start any token",
    ),
    (
        "a control character",
        "a: 1\nb: \x07\n",
        "c",
        1,
        "2:4: not valid YAML: a character that is not allowed",
    ),
    (
        "half a character in the file",
        "a: \ud800\n",
        "c",
        1,
        "1:4: not valid YAML: a character that is not allowed",
    ),
    ("an alias of nothing", "a: 1\nb: *x\n", "c", 1, "2:4: not valid YAML: the alias *x has no anchor"),
    (
        "an alias of itself",
        "a: &x [*x]\n",
        "c",
        1,
        "1:8: not valid YAML: the alias *x is inside its own anchor",
    ),
    (
        "an alias of another document",
        "a: &x 1\n---\nb: *x\n",
        "c",
        1,
        "3:4: not valid YAML: the alias *x has no anchor",
    ),
    ("too deep", "[" * 3000 + "]" * 3000, "", ["a"], "1:1: nested too deeply"),
]


@pytest.mark.parametrize(
    ("text", "path", "want", "message"), [pytest.param(*case, id=name) for name, *case in REFUSED]
)
def test_refusals(text: str, path: str, want: YamlValue, message: str) -> None:
    keys = [key for key in path.split(".") if key]
    same = same_list if "begins" in message else same_name
    with pytest.raises(EditRefusedError) as caught:
        ensure(text, keys, want, name="dir/x.yaml", same=same)
    assert caught.value.summary == f"dir/x.yaml:{message}"
    assert caught.value.hint
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value, RefusedError)


def same_list(existing: object, wanted: object) -> bool:
    return isinstance(wanted, list) and isinstance(existing, list) and "b" in existing


@pytest.mark.parametrize(("number", "last"), [(2, 1), (-1, 1)])
def test_a_document_that_is_not_there(number: int, last: int) -> None:
    with pytest.raises(
        EditRefusedError, match=rf"x\.yaml:1:1: there is no document number {number}, the last one is {last}"
    ):
        ensure("a: 1\n---\n", ["a"], 2, name="x.yaml", document=number)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("a: &x [1]\nb: *x\n", {"a": [1], "b": [1]}),
        ("a: &x {b: 1}\nc: &y\n  <<: *x\nd: *y\n", {"a": {"b": 1}, "d": {"b": 1}}),
        ("a: !x {b: !!str c}\n", {"a": {"b": "c"}}),
    ],
)
def test_what_may_not_be_changed_may_hold_it_all(text: str, want: YamlValue) -> None:
    assert ensure(text, [], want, name="x.yaml") is text


def test_items_that_differ_are_replaced() -> None:
    before = "- app:1 # c\n- 'web:1'\n- tool\n"
    after = "- app:2 # c\n- 'web:2'\n- tool\n"
    assert ensure(before, [], ["app:2", "web:2"], name="x.yaml", same=same_image) == after


def test_the_same_wish_twice_is_one() -> None:
    assert ensure("- app:1\n", [], ["app:2", "app:2"], name="x.yaml", same=same_image) == "- app:2\n"


def test_an_entry_that_would_not_be_known_again_is_refused() -> None:
    with pytest.raises(EditRefusedError, match=r"x\.yaml:1:8: the result would not be exactly"):
        ensure(
            "- url: old\n  a: 1\n",
            [],
            [{"url": "new"}],
            name="x.yaml",
            same=lambda old, _: old != {"url": "new", "a": 1},
        )


def test_an_item_is_left_to_the_wish_it_holds_already() -> None:
    assert ensure("- 1\n", [], [1, True], name="x.yaml") == "- 1\n- true\n"


@pytest.mark.parametrize(
    ("value", "block", "flow"),
    [
        *(
            (text, text, text)
            for text in [
                "a",
                "a b",
                "./a",
                "../a",
                "-x",
                "--log=a",
                "v1.2",
                "1.2.3",
                "ü",
                "日本 🙂",
                "a'b",
                'a"b',
            ]
        ),
        *((text, text, f'"{text}"') for text in ["a,b", "a#b", "a[0]", "http://a:1/b", "what?", "${A}"]),
        *(
            (text, f'"{text}"', f'"{text}"')
            for text in ["", " a", "a ", "a: b", "a #b", "a:", "#a", "- a", "-", "---", "... a"]
        ),
        *(
            (text, f'"{text}"', f'"{text}"')
            for text in ["*a", "&a", "!a", "|", ">", "%a", "@a", "`a", "'a'", "{a}", "[a]", "?a", ":a"]
        ),
        *(
            (text, f'"{text}"', f'"{text}"')
            for text in ["1", "-1.5", "1e5", "0o17", "0x1F", "1_000", "12:30:45", ".5", "=", "<<"]
        ),
        *(
            (text, f'"{text}"', f'"{text}"')
            for text in ["yes", "No", "on", "y", "N", "true", "null", "~", "2024-01-31", ".inf"]
        ),
        ('"', '"\\""', '"\\""'),
        ("a\nb\tc\r\\", '"a\\nb\\tc\\r\\\\"', '"a\\nb\\tc\\r\\\\"'),
        (
            "\x00\x85\xa0\u2028\ufeff\U000e0001",
            '"\\u0000\\u0085\\u00a0\\u2028\\ufeff\\U000e0001"',
            '"\\u0000\\u0085\\u00a0\\u2028\\ufeff\\U000e0001"',
        ),
    ],
)
def test_strings_are_plain_where_that_is_safe(value: str, block: str, flow: str) -> None:
    assert edit("", ["a"], value) == f"a: {block}\n"
    assert edit("", [value], 1) == f"{block}: 1\n"
    assert edit("- b\n", [], [value]) == f"- b\n- {block}\n"
    assert edit("[b, ]", [], [value]) == f"[b, {flow}, ]"
    assert edit("{b: 1}", [], {value: value}) == f"{{b: 1, {flow}: {flow}}}"


def test_many_aliases_of_aliases_take_no_time() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    lines += ["m0: &m0 {k: 1}"] + [f"m{i}: &m{i} {{<<: [*m{i - 1}, *m{i - 1}]}}" for i in range(1, 60)]
    text = "\n".join([*lines, "list: [*a59]", "map:", "  <<: [*m59, *m59]", ""])
    assert (
        edit(text, [], {"list": ["b"], "map": {"l": 1}}) == text.replace("[*a59]", "[*a59, b]") + "  l: 1\n"
    )


def test_items_are_compared_as_plain_data() -> None:
    text = """\
- &a {name: a, x: 1}
- &b {name: b, y: 0x10}
- <<: [*a, *b]
  x: !own two
- [yes, ~, 1.5, *b]
- [!!int ten, 2024-99-01, !!binary "%", 2024-01-31]
"""
    seen: list[object] = []

    def look(existing: object, wanted: object) -> bool:
        assert wanted == "c"
        seen.append(existing)
        return False

    assert ensure(text, [], ["c"], name="x.yaml", same=look) == text + "- c\n"
    a, b = {"name": "a", "x": 1}, {"name": "b", "y": 16}
    assert seen[:4] == [a, b, {"name": "a", "x": "two", "y": 16}, [True, None, 1.5, b]]
    assert seen[4] == ["ten", "2024-99-01", b"", date(2024, 1, 31)]
