"""Entries taken out of a text: what `ensure` put in goes without a trace, and nothing else goes."""

import pytest

from tasks.yaml.editing import EditRefusedError, ensure, without

# Texts, where an entry is put in, and the entry.
ROUND = [
    ("resources:\n  - ./a\n  - ./z\n", ("resources",), "./m"),
    ("resources:\n  - ./a\n", ("resources",), "./m"),
    ("# theirs\nresources:\n- ./a # first\n- ./z\n# end\n", ("resources",), "./m"),
    ("resources: [./a, ./z]\n", ("resources",), "./m"),
    ("resources: [./m2]\n", ("resources",), "./z"),
    ("resources: [\n  ./a,\n  ./z\n]\n", ("resources",), "./zz"),
    ("kind: Kustomization\n", ("resources",), "./m"),
    ("kind: Kustomization", ("resources",), "./m"),
    ("a:\n  b: c\n", ("a", "resources"), "./m"),
    ("a:\n  b: c\nd: e\n", ("x", "y", "resources"), "./m"),
    ("---\na: b\n---\nresources:\n  - ./a\n", ("none",), "./m"),
    ("resources:\r\n  - ./a\r\n", ("resources",), "./z"),
]


@pytest.mark.parametrize(("text", "path", "entry"), ROUND)
def test_what_was_put_in_goes_without_a_trace(text: str, path: tuple[str, ...], entry: str) -> None:
    with_it = ensure(text, path, [entry], name="f")
    assert with_it != text
    taken = without(with_it, path, lambda _, item: item == entry, name="f")
    # A last line without a break gets one.
    assert taken.rstrip("\n") == text.rstrip("\n")
    assert without(taken, path, lambda _, item: item == entry, name="f") == taken


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("resources: # ours\n- ./a\n# end\n- ./b\nx: 1\n", "resources: [] # ours\n# end\nx: 1\n"),
        ('x: 1\n"resources":\n  - ./a\n', 'x: 1\n"resources": []\n'),
        ("resources: [./a, ./b]\n", "resources: []\n"),
        ("resources: []\n", "resources: []\n"),
    ],
)
def test_a_list_may_be_left_empty(text: str, left: str) -> None:
    assert without(text, ("resources",), lambda *_: True, name="f", leave_list=True) == left


def test_keys_of_a_map_and_several_entries() -> None:
    text = "env:\n  A: {x: 1}\n  # of B\n  B:\n    x: 2\n  C: 3\nrest: 1\n"
    assert without(text, ("env",), lambda key, _: key in ("A", "C"), name="f") == (
        "env:\n  # of B\n  B:\n    x: 2\nrest: 1\n"
    )
    assert without(text, ("env",), lambda *_: True, name="f") == "rest: 1\n"
    flow = "env: {A: 1, B: 2, C: 3}\n"
    assert without(flow, ("env",), lambda key, _: key == "A", name="f") == "env: {B: 2, C: 3}\n"
    assert without(flow, ("env",), lambda key, _: key in ("A", "C"), name="f") == "env: {B: 2}\n"


def test_items_of_several_lines_and_of_another_document() -> None:
    text = "---\na: 1\n---\nl:\n  - name: x\n    t: |\n      text\n\n      more\n  - name: y\n"
    assert without(text, ("l",), lambda _, item: item == {"name": "y"}, name="f", document=1) == (
        "---\na: 1\n---\nl:\n  - name: x\n    t: |\n      text\n\n      more\n"
    )
    first = without(
        text, ("l",), lambda _, item: isinstance(item, dict) and "t" in item, name="f", document=1
    )
    assert first == "---\na: 1\n---\nl:\n  - name: y\n"


def test_what_is_not_there_changes_nothing() -> None:
    for text in ("", "a: 1\n", "a: [b]\n", "a:\n"):
        assert without(text, ("a",), lambda _, item: item == "c", name="f") == text
        assert without(text, ("a", "b"), lambda *_: True, name="f") == text
        assert without(text, ("a",), lambda *_: True, name="f", document=7) == text


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [b]\nc: *x\n",
        "x: &x [b]\na: *x\n",
        "a: [b\n",
        # An anchor in what would go.
        "a:\n  - &b {b: 1}\n  - c\nd: *b\n",
    ],
)
def test_what_is_used_elsewhere_or_no_yaml_is_refused(text: str) -> None:
    with pytest.raises(EditRefusedError, match=r"^f:\d"):
        without(text, ("a",), lambda *_: True, name="f")
