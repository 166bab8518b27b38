"""Three-way merges: what the owner changed stays, what the settings changed is written, and nothing else."""

import copy
import random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.yaml.documents import load_documents, same
from tasks.yaml.merging import MISSING, Base, MergedText, leaves, merge_documents, merge_texts
from tasks.yaml.merging.values import merge

WRITTEN = """\
---
# Written by us.
kind: HelmRelease
metadata:
  name: parseable
spec:
  chart:
    version: 1.6.5
  # About values.
  values:
    image:
      tag: v1.7.3
    env:
      - name: A
        value: "1"
      - name: B
        value: "2"
    limits:
      memory: 2Gi
  resources:
    - ./a.yaml
    - ./b.yaml
  args: [--retry, "3", --delay, "3"]
  config: |
    sinks:
      out:
        # About size.
        max_size: 100
        when_full: block
"""


def merged(theirs: str, ours: str, base: str = WRITTEN, overwritten: str = "-") -> MergedText:
    return merge_texts(Base(base, load_documents(base)), theirs, ours, lambda path: path == overwritten)


def replaced(*pairs: tuple[str, str], text: str = WRITTEN) -> str:
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def paths(found: MergedText) -> tuple[list[str], list[str]]:
    return [one.path for one in found.kept], [one.path for one in found.clashes]


OWNERS = [
    (("1.6.5", "1.6.6"), "spec.chart.version"),
    (("memory: 2Gi", "memory: 4Gi  # more"), "spec.values.limits.memory"),
    (('value: "1"', 'value: "7"'), "spec.values.env[A].value"),
    (("max_size: 100", "max_size: 200"), "spec.config.sinks.out.max_size"),
    (("    limits:\n", "    mine: {x: 1}\n    limits:\n"), "spec.values.mine"),
    (("    - ./b.yaml\n", "    - ./b.yaml\n    - ./mine.yaml\n"), "spec.resources[./mine.yaml]"),
    (("    - ./b.yaml\n", ""), "spec.resources[./b.yaml]"),
    (("  name: parseable\n", "  name: parseable\n  annotations: {a.b/c: x}\n"), "metadata.annotations"),
    (('      - name: B\n        value: "2"\n', ""), "spec.values.env[B]"),
    (('"3"]', '"9"]'), "spec.args[3]"),
    (("    image:\n      tag: v1.7.3\n", ""), "spec.values.image"),
]
SETTINGS = [
    ("retries: 3", ("spec:\n", "spec:\n  retries: 3\n")),
    ("name: other", ("name: parseable", "name: other")),
    ("when_full: drop", ("when_full: block", "when_full: drop")),
    ("- ./c.yaml", ("    - ./b.yaml\n", "    - ./b.yaml\n    - ./c.yaml\n")),
    ("name: C", ("    limits:\n", "      - name: C\n        value: x\n    limits:\n")),
]


@pytest.mark.parametrize(("edit", "path"), OWNERS, ids=[path for _, path in OWNERS])
@pytest.mark.parametrize(("wanted", "change"), SETTINGS, ids=[wanted for wanted, _ in SETTINGS])
def test_both_changes_are_in_it(
    edit: tuple[str, str], path: str, wanted: str, change: tuple[str, str]
) -> None:
    theirs, ours = replaced(edit), replaced(change)
    found = merged(theirs, ours)
    assert paths(found) == ([path], [])
    assert wanted in found.text
    assert found.is_whole
    # What the settings want without the owner, and what he has without the settings: each once.
    values = dict(leaves(load_documents(found.text)))
    if path != "spec.args[3]":  # a list of which each item is another text goes by those
        assert same(found.kept[0].theirs, values.get(path, MISSING))
    if "# more" in edit[1]:
        assert "# more" in found.text
    # And of the settings' own change nothing is left to do.
    assert merged(found.text, ours, ours).text == found.text


@pytest.mark.parametrize(("edit", "path"), OWNERS, ids=[path for _, path in OWNERS])
def test_a_value_of_the_owner_alone_stays_byte_for_byte(edit: tuple[str, str], path: str) -> None:
    theirs = replaced(edit)
    found = merged(theirs, WRITTEN)
    assert found.text == theirs
    assert paths(found) == ([path], [])


@pytest.mark.parametrize(("edit", "path"), OWNERS, ids=[path for _, path in OWNERS])
def test_what_is_overwritten_by_name_is_as_wanted(edit: tuple[str, str], path: str) -> None:
    found = merged(replaced(edit), WRITTEN, overwritten=path)
    assert paths(found) == ([], [])
    assert same(load_documents(found.text), load_documents(WRITTEN))
    above = merged(replaced(edit), WRITTEN, overwritten=path.partition(".")[0])
    assert same(load_documents(above.text), load_documents(WRITTEN))


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        (("1.6.5", "1.6.6"), ("1.6.5", "1.7.0"), "spec.chart.version"),
        (("size: 100", "size: 200"), ("size: 100", "size: 300"), "spec.config.sinks.out.max_size"),
        (("    image:\n      tag: v1.7.3\n", ""), ("v1.7.3", "v1.7.4"), "spec.values.image"),
        (("v1.7.3", "v1.7.4"), ("    image:\n      tag: v1.7.3\n", ""), "spec.values.image"),
        (('"3"]', '"9"]'), ('"3"]', '"8"]'), "spec.args[3]"),
        (('"3"]', '"3", -x]'), ('"3"]', '"8"]'), "spec.args"),
        (("- ./b.yaml\n", "- ./x.yaml\n"), ("- ./b.yaml\n", "- ./y.yaml\n"), "spec.resources[1]"),
        (("  values:\n", "  mine: 1\n  values:\n"), ("  values:\n", "  mine: 2\n  values:\n"), "spec.mine"),
        (("memory: 2Gi", "memory: 2"), ("memory: 2Gi", "memory: '2'"), "spec.values.limits.memory"),
    ],
)  # fmt: skip
def test_what_both_changed_differently_clashes(
    one: tuple[str, str], other: tuple[str, str], path: str
) -> None:
    found = merged(replaced(one), replaced(other))
    assert paths(found) == ([], [path])
    # The same change on both sides is none.
    alike = merged(replaced(one), replaced(one))
    assert (paths(alike), alike.text) == (([], []), replaced(one))
    assert paths(merged(replaced(one), replaced(other), overwritten=path)) == ([], [])


def test_new_comments_come_with_a_change() -> None:
    theirs = replaced(("1.6.5", "1.6.6  # mine"))
    assert merged(theirs, replaced(("# About values.", "# About them."))).text == theirs
    more = merged(theirs, replaced(("# About values.", "# About them."), ("memory: 2Gi", "memory: 3Gi")))
    assert more.text == replaced(
        ("# About values.", "# About them."), ("memory: 2Gi", "memory: 3Gi"), text=theirs
    )


def test_a_value_that_was_kept_before_stays_kept() -> None:
    """The file as it was written last has the owner's value; what was meant is known beside it."""
    theirs = replaced(("1.6.5", "1.6.6"))
    base = Base(theirs, load_documents(WRITTEN))
    found = merge_texts(base, theirs, replaced(("memory: 2Gi", "memory: 3Gi")))
    assert found.text == replaced(("memory: 2Gi", "memory: 3Gi"), text=theirs)
    assert paths(found) == (["spec.chart.version"], [])


def test_programs_in_a_file_are_merged_line_by_line() -> None:
    base = "kind: ConfigMap\nsource: |\n  a = 1\n  b = 2\n  c = 3\n  d = 4\n"
    found = merged(replaced(("d = 4", "d = 5"), text=base), replaced(("a = 1", "a = 0"), text=base), base)
    assert found.text == replaced(("a = 1", "a = 0"), ("d = 4", "d = 5"), text=base)
    assert paths(found) == (["source"], [])
    # Lines side by side belong together, as far as anybody knows.
    touching = merged(replaced(("b = 2", "b = 5"), text=base), replaced(("a = 1", "a = 0"), text=base), base)
    assert paths(touching) == ([], ["source"])


A, B, C = ({"k": number, "v": number, "w": 0} for number in (1, 2, 3))
NEW = {"n": 9}


@pytest.mark.parametrize(
    ("base", "theirs", "ours", "expected"),
    [
        # In place: each change is where it belongs.
        ([A, B], [A | {"v": 5}, B], [A, B | NEW], [A | {"v": 5}, B | NEW]),
        ([A, B], [A | {"v": 5}, B], [A | NEW, B], [A | {"v": 5} | NEW, B]),
        ([{"kind": "X", "v": 1}], [{"kind": "X", "v": 2}], [{"kind": "X", "v": 1, "n": 9}],
         [{"kind": "X", "v": 2, "n": 9}]),
        (["a", "a", "b"], ["c", "a", "b"], ["a", "a", "d"], ["c", "a", "d"]),
        ([{"x": "k: 1\nl: 2\nm: 3\n"}], [{"x": "k: 9\nl: 2\nm: 3\n"}], [{"x": "k: 1\nl: 2\nm: 4\n"}],
         [{"x": "k: 9\nl: 2\nm: 4\n"}]),
        ([{"x": ["p\nq\nr", "s"]}], [{"x": ["p\nq\nr", "t"]}], [{"x": ["p\nq\nR", "s"]}],
         [{"x": ["p\nq\nR", "t"]}]),
        # Swapped, shifted, replaced: it is not known which item is which.
        ([A, B], [B, A], [A | NEW, B], None),
        ([A, B], [B | {"v": 5}, A], [A | NEW, B], None),
        ([{"k": 1}, {"k": 2}], [{"k": 2}, {"k": 1}], [{"k": 1, "n": 9}, {"k": 2}], None),
        ([{"k": 1, "a": 1}, {"k": 1, "b": 1}], [{"k": 1, "b": 1}, {"k": 1, "a": 1}],
         [{"k": 1, "a": 1, "n": 9}, {"k": 1, "b": 1}], None),
        ([{"kind": "X", "v": 1}, {"kind": "X", "v": 2}], [{"kind": "X", "v": 2}, {"kind": "X", "v": 1}],
         [{"kind": "X", "v": 1, "n": 9}, {"kind": "X", "v": 2}], None),
        ([A, B], [B, C], [A, B | NEW], None),
        ([A, B], [A, C], [A, B | NEW], None),
        ([A], ["text"], [A | NEW], None),
        (["a", 3, "b", 3], ["b", 3, "a", 3], ["a", 5, "b", 3], None),
        # Nor is it where the settings moved them.
        ([A, B], [A | NEW, B], [B, A], None),
    ],
)  # fmt: skip
def test_items_without_a_name_go_by_position_while_they_stay_in_place(
    base: list[Any], theirs: list[Any], ours: list[Any], expected: list[Any] | None
) -> None:
    found = merge_documents([{"x": base}], [{"x": theirs}], [{"x": ours}])
    assert same(found.value, [{"x": theirs if expected is None else expected}])
    assert [one.path for one in found.clashes] == (["x"] if expected is None else [])
    # Of one side alone there is nothing to mix up.
    kept = merge_documents([{"x": base}], [{"x": theirs}], [{"x": base}])
    assert (same(kept.value, [{"x": theirs}]), kept.clashes) == (True, ())
    assert same(merge_documents([{"x": base}], [{"x": base}], [{"x": ours}]).value, [{"x": ours}])


PATCHED = """\
spec:
  postRenderers:
    - kustomize:
        patches:
          - target:
              kind: Deployment
              name: parseable
            patch: |
              metadata:
                # About the label.
                labels: {login: a1}
              spec:
                replicas: 1
                paused: false
"""
MINE = """\
          - target: {kind: %s}
            patch: |
              metadata: {labels: {mine: x}}
"""
PATCH_PATH = "spec.postRenderers[0].kustomize.patches"


@pytest.mark.parametrize(
    ("theirs", "kept"),
    [
        (PATCHED + MINE % "Service, name: parseable", "[Service/parseable]"),
        (PATCHED + MINE % "Deployment", "[Deployment]"),
        (PATCHED + MINE % "Deployment, name: parseable, labelSelector: a=b",
         "[Deployment/parseable labelSelector=a=b]"),
        (PATCHED.replace("          - target", MINE % "Service" + "          - target"), "[Service]"),
        (PATCHED.replace("replicas: 1", "replicas: 2"), "[Deployment/parseable].patch.spec.replicas"),
    ],
)  # fmt: skip
def test_patches_are_known_by_their_targets(theirs: str, kept: str) -> None:
    found = merged(theirs, PATCHED.replace("login: a1", "login: b2"), PATCHED)
    assert found.text == theirs.replace("login: a1", "login: b2")
    assert paths(found) == ([PATCH_PATH + kept], [])
    assert found.is_whole
    assert PATCH_PATH + kept in dict(leaves(load_documents(found.text)))
    # Both changed the same value of the patch.
    both = merged(
        theirs.replace("login: a1", "login: c3"), PATCHED.replace("login: a1", "login: b2"), PATCHED
    )
    assert paths(both)[1] == [PATCH_PATH + "[Deployment/parseable].patch.metadata.labels.login"]


@pytest.mark.parametrize("more", ["Deployment, name: parseable", "Deployment, name: 7"])
def test_patches_with_unclear_targets_are_not_mixed(more: str) -> None:
    theirs = PATCHED + MINE % more
    found = merged(theirs, PATCHED.replace("login: a1", "login: b2"), PATCHED)
    assert (found.text, paths(found)) == (theirs, ([], [PATCH_PATH]))


SEVERAL = "---\nkind: Role\nmetadata: {name: r}\nrules: [a]\n---\nkind: Binding\nmetadata: {name: r}\nto: x\n"


@pytest.mark.parametrize(
    ("theirs", "path"),
    [
        (SEVERAL.replace("to: x", "to: y"), "Binding.to"),
        (SEVERAL + "---\nkind: Mine\nx: 1\n", "Mine"),
        ("---\nkind: Mine\nx: 1\n" + SEVERAL, "Mine"),
        (SEVERAL[: SEVERAL.index("---\nkind: Binding")], "Binding"),
    ],
)
def test_documents_are_known_by_their_kind(theirs: str, path: str) -> None:
    ours = SEVERAL.replace("rules: [a]", "rules: [b]")
    found = merged(theirs, ours, SEVERAL)
    assert paths(found) == ([path], [])
    assert found.text == theirs.replace("rules: [a]", "rules: [b]")


def test_documents_that_nothing_tells_apart_are_not_mixed() -> None:
    twice = "---\nkind: A\nx: 1\n---\nkind: A\nx: 2\n"
    found = merged(twice + "---\nkind: A\nx: 3\n", twice.replace("x: 1", "x: 9"), twice)
    assert paths(found) == ([], [""])
    positional = merged(twice.replace("x: 2", "x: 3"), twice.replace("x: 1", "x: 9"), twice)
    assert [one["x"] for one in load_documents(positional.text)] == [9, 3]


def test_what_a_formatter_wrote_stays_in_its_form() -> None:
    """Sorted, without a comment, every line another: the changed values go where they are."""
    theirs = yaml.safe_dump(yaml.safe_load(WRITTEN), indent=4)
    found = merged(theirs, replaced(("1.6.5", "1.7.0"), ("memory: 2Gi", "memory: 3Gi")))
    assert found.text == replaced(("1.6.5", "1.7.0"), ("memory: 2Gi", "memory: 3Gi"), text=theirs)
    # A line that goes has no such place; the comments of ours are there then.
    gone = merged(theirs, replaced(('      - name: B\n        value: "2"\n', "")))
    assert not gone.is_whole
    assert "# Written by us." in gone.text


def test_line_ends_stay_as_they_are() -> None:
    theirs = replaced(("1.6.5", "1.6.6")).replace("\n", "\r\n")
    found = merged(theirs, replaced(("memory: 2Gi", "memory: 3Gi")))
    assert found.text == theirs.replace("memory: 2Gi", "memory: 3Gi")


# Any data --------------------------------------------------------------------------------------------------

KEYS = ["name", "a", "b.c/d", "values", "x y", "on"]
SCALARS: list[Any] = [
    None,
    True,
    1,
    1.5,
    0,
    "1",
    "",
    "true",
    "a: b",
    "two\nlines\n",
    "k: v\nl: 2\n",
    "22:30",
    "ü",
]
DATA = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        st.lists(inner, max_size=3),
        st.lists(st.sampled_from(["./a", "./b", "./c", "./d"]), max_size=4, unique=True),
        st.dictionaries(st.sampled_from(["A", "B", "C"]), inner, max_size=3).map(
            lambda found: [{"name": name, "value": value} for name, value in found.items()]
        ),
    ),
    max_leaves=12,
)
MAPS = st.dictionaries(st.sampled_from(KEYS), DATA, min_size=1, max_size=5)


def changed(data: Any, chance: random.Random) -> Any:
    """``data`` with a change or two somewhere."""
    data = copy.deepcopy(data)
    for _ in range(chance.randint(1, 2)):
        place = data
        while True:
            inside = [
                one
                for one in (place.values() if isinstance(place, dict) else place)
                if one and isinstance(one, dict | list)
            ]
            if not inside or chance.random() < 0.4:
                break
            place = chance.choice(inside)
        if isinstance(place, dict):
            # Another name makes another item of a list, with other paths.
            key = chance.choice(KEYS if place is data else sorted({*place, "new"} - {"name"}))
            if key in place and len(place) > 1 and chance.random() < 0.3:
                del place[key]
            else:
                place[key] = chance.choice(SCALARS)
        elif chance.random() < 0.5 or not place:
            place.append(chance.choice(SCALARS))
        else:
            del place[chance.randrange(len(place))]
    return data


@given(MAPS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_change_of_one_side_is_all_that_happens(base: Any, chance: random.Random) -> None:
    other = changed(base, chance)
    kept = merge_documents([base], [other], [base])
    assert same(kept.value, [other])
    assert not kept.clashes
    assert bool(kept.kept) is not same(base, other) or _only_order_or_style(base, other)
    written = merge_documents([base], [base], [other])
    assert same(written.value, [other])
    assert not written.kept
    assert not written.clashes


def _only_order_or_style(one: Any, other: Any) -> bool:
    """Whether two values differ in nothing that has a value of its own: the order of a list, a style."""
    return bool(_loose(one) == _loose(other))


def _loose(value: Any) -> Any:
    if isinstance(value, str) and "\n" in value:
        documents = load_documents(value)
        return repr(documents) if documents else value
    if isinstance(value, dict):
        return {str(key): _loose(one) for key, one in value.items()}
    if isinstance(value, list):
        return sorted(repr(_loose(one)) for one in value)
    return value


@given(MAPS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_of_two_changes_none_is_lost_unseen(base: Any, chance: random.Random) -> None:
    theirs, ours = changed(base, chance), changed(base, chance)
    found = merge_documents([base], [theirs], [ours])
    told = [one.path for one in (*found.kept, *found.clashes)]
    was, is_now, wanted, result = (dict(leaves([one])) for one in (base, theirs, ours, *found.value))
    for path in {*was, *is_now, *wanted}:
        values = [side.get(path, MISSING) for side in (was, is_now, wanted, result)]
        if any(isinstance(value, dict | list) for value in values):
            continue
        before, has, wants, got = values
        if same(has, wants):
            continue
        if same(got, wants):
            # Written: then the owner had not touched it, or it is part of what is told.
            assert same(before, has) or _is_told(path, told), path
        elif same(got, has):
            # Kept: then it is told.
            assert _is_told(path, told), path
    # The settings' values by name, all of them: nothing of theirs is left.
    assert same(merge_documents([base], [theirs], [ours], lambda path: path == "").value, [ours])
    # And once it is written it stays as it is.
    again = merge_documents([base], found.value, [ours])
    assert same(again.value, found.value)


def _is_told(path: str, told: list[str]) -> bool:
    """Whether a value, or what it is part of, is among those that are told."""
    return any(path == one or path.startswith((f"{one}.", f"{one}[")) or not one for one in told)


@given(MAPS, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_text_says_what_the_values_say(base: Any, chance: random.Random) -> None:
    theirs, ours = changed(base, chance), changed(base, chance)
    texts = [yaml.safe_dump(one, sort_keys=False) for one in (base, theirs, ours)]
    texts[1] = texts[1].replace("\n", "  # mine\n", 1) if not texts[1].startswith(("'", '"')) else texts[1]
    documents = [load_documents(text) for text in texts]
    expected = merge_documents(documents[0], documents[1], documents[2])
    found = merge_texts(Base(texts[0], documents[0]), texts[1], texts[2])
    assert same(load_documents(found.text), expected.value)
    assert [one.path for one in found.kept] == [one.path for one in expected.kept]
    assert [one.path for one in found.clashes] == [one.path for one in expected.clashes]
    assert found.is_whole is ("# mine" in found.text or "# mine" not in texts[1])


def test_arguments_that_both_sides_replace_keep_their_order() -> None:
    found = merge(["--retry", "3"], ["--wait", "3"], ["--retry", "5"], "args")
    assert (found.value, found.clashes) == (["--wait", "5"], ())
    # A list that is one without an order grows and shrinks on both sides.
    assert merge(["get", "list"], ["get"], ["get", "list", "watch"], "verbs").value == ["get", "watch"]
