import base64
import contextlib
import re
import warnings
from time import monotonic
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.flux.substitution import (
    SubstitutionError,
    Variables,
    _trimmed,
    collect,
    has_variable,
    is_exempt,
    substitute,
    unset,
)

VALUES = {
    "name": "abcABC123ABCabc",
    "file": "/path/to/bash.string.txt",
    "empty": "",
    "word": "x-y",
    "ä1": "ß",
}


def source(kind: str, /, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}, **fields}


def collected(*sources: dict[str, Any] | None, **post_build: Any) -> Variables:
    """The variables of ``sources``, in their order; None is one that is not seen."""
    references = [{"kind": "ConfigMap", "name": str(number)} for number in range(len(sources))]
    return collect({"substituteFrom": references, **post_build}, lambda _, name: sources[int(name)])


# What bash and envsubst's own tests say of the same expressions.
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain $ and $name, $(x) and 5$", "plain $ and $name, $(x) and 5$"),
        ("<${word}>", "<x-y>"),
        ("${nothing}|${empty}|${1}", "||"),
        ("${ä1}", "ß"),
        ("${word:-d}${empty:-d}${nothing:-d}${nothing:=d}${nothing=d}", "x-ydddd"),
        ("${empty:=}", ""),
        # Not bash's meaning: these are defaults too.
        ("${word:+d}${nothing:+d}${nothing:?d}", "x-ydd"),
        ("${nothing:=a ${word} b ${name,,}}", "a x-y b abcabc123abcabc"),
        ("${nothing:-{}}", "{}"),
        ("$${word} $$ $$$${word} $$${word} $", "${word} $ $${word} $x-y $"),
        ("${#word} ${#nothing} ${#ä1}", "3 0 2"),
        ("${word^}${word^^}${word,}${word^,}", "X-yX-Yx-yx-y"),
        ("${empty^}${empty,}", ""),
        ("${name:3}|${name:3:3}|${name:99}", "ABC123ABCabc|ABC|"),
        ("${name:0:99}|${name:-3}", "abcABC123ABCabc|abcABC123ABCabc"),
        ("${name:${#word}:2}|${name:x}|${name:1:x}", "AB|abcABC123ABCabc|abcABC123ABCabc"),
        ("${name: -3}", "abcABC123ABCabc"),
        ("${name/abc/X}|${name//abc/X}", "XABC123ABCabc|XABC123ABCX"),
        ("${name/#abc/X}|${name/%abc/X}", "XABC123ABCabc|abcABC123ABCX"),
        ("${name/#b/X}|${name/%b/X}", "abcABC123ABCabc|abcABC123ABCabc"),
        ("${name/abc/}|${name//abc/}", "ABC123ABCabc|ABC123ABC"),
        # Not bash's meaning: it would cut them off.
        ("${name/#abc/}|${name/%abc/}", "abcABC123ABCabc|abcABC123ABCabc"),
        (r"${file//\//\\}|${file/\//$$}", r"\path\to\bash.string.txt|$path/to/bash.string.txt"),
        ("${word/${word}/${name:0:1}}", "a"),
        ("${file#*/}|${file##*/}", "path/to/bash.string.txt|bash.string.txt"),
        ("${file%.*}|${file%%.*}", "/path/to/bash.string|/path/to/bash"),
        ("${word#?}|${word#[x-z]}|${word#[^x]}|${word#y}|${word#[}|${word#${word}}", "-y|-y|x-y|x-y|x-y|"),
        ("a: ${word}\nb: |\n  ${word}\n", "a: x-y\nb: |\n  x-y\n"),
    ],
)  # fmt: skip
def test_expressions(text: str, wanted: str) -> None:
    assert substitute(text, Variables(VALUES)) == wanted


@pytest.mark.parametrize(
    ("text", "nearly"),
    [
        ("${word", "${word}"),
        ("${}", "${word}"),
        ("${word-d}", "${word:-d}"),
        ("${word+d}", "${word:+d}"),
        ("${word[@]}", "$${word[@]}"),
        ("${!word}", "${word}"),
        ("${word:}", "${word:1}"),
        ("${word:1:}", "${word:1:1}"),
        ("${word/a}", "${word/a/}"),
        ("${word#}", "${word#x}"),
        ("${#word", "${#word}"),
        ("${#word-}", "${#word}"),
        ("${word:-d", "${word:-d}"),
        ("${word^^x}", "${word^^}"),
        ("${.Values}", "{{ .Values }}"),
    ],
)
def test_what_is_refused_and_what_nearly_is(text: str, nearly: str) -> None:
    with pytest.raises(SubstitutionError) as caught:
        substitute(f"first line\n{text}\nlast line", Variables(VALUES))
    assert repr(text) in str(caught.value)
    substitute(nearly, Variables(VALUES))


def test_what_is_not_known_stays() -> None:
    secret = source("Secret", data={"token": "ENC[x]"}, sops={"mac": "x"})
    found = collected(source("ConfigMap", data={"word": "x"}), secret)
    text = "${word} ${token} ${token:-${word}} ${nothing:-${token}} ${nothing} ${#token}"
    assert substitute(text, found) == "x ${token} ${token:-${word}} ${token}  ${#token}"
    assert has_variable("${token}")
    assert not any(has_variable(value) for value in ("$token", None, 1))


def test_a_source_that_is_not_seen_leaves_all_open_but_what_comes_after_it() -> None:
    before, after = (source("ConfigMap", data={name: "x"}) for name in ("before", "after"))
    found = collected(before, None, after, substitute={"own": "y"})
    assert found.missing == (("ConfigMap", "1"),)
    text = "${before} ${after} ${own} ${nothing:-d}"
    assert substitute(text, found) == "${before} x y ${nothing:-d}"


def test_later_wins_and_what_is_given_in_place_wins_over_all() -> None:
    maps = [source("ConfigMap", data={"a": str(n), "b": str(n), "c": str(n)}) for n in (1, 2)]
    maps[1]["data"].pop("c")
    assert collected(*maps, substitute={"b": "own"}).known == {"a": "2", "b": "own", "c": "1"}


def test_hidden_values_are_overridden_and_override() -> None:
    plain, encrypted = (
        source("ConfigMap", data={"a": "1"}),
        source("Secret", stringData={"a": "ENC"}, sops={}),
    )
    assert collected(plain, encrypted).value("a") is None
    assert collected(encrypted, plain).value("a") == "1"
    assert collected(encrypted, substitute={"a": "2"}).value("a") == "2"
    assert collected(encrypted).value("b") == ""


def test_values_are_read_as_flux_reads_them() -> None:
    encoded = base64.b64encode(b"one\ntwo").decode()
    secret = source("Secret", data={"a": encoded, "b": encoded, "c": "%"}, stringData={"b": "text\n"})
    found = collected(secret, source("ConfigMap", data={"d": "x\ny\n"}, binaryData={"e": "eA=="}))
    assert found.known == {"a": "onetwo", "b": "text", "d": "xy"}
    assert found.hidden == {"c"}
    # Not a value, but another variable, whose value is not known.
    assert collected(source("ConfigMap", data={"d": "${x}"})).hidden == {"d"}


@pytest.mark.parametrize(
    ("post_build", "is_certain"),
    [
        ({}, False),
        ({"substitute": {}}, False),
        ({"substitute": {"a": ""}}, True),
        ({"substituteStrategy": "Always"}, True),
        ({"substituteStrategy": "WithVariables"}, False),
        ({"substituteFrom": [None, "x", {"kind": "ConfigMap", "name": "a"}]}, False),
    ],
)
def test_without_any_variable_nothing_is_replaced(post_build: dict[str, Any], is_certain: bool) -> None:
    assert collect(post_build, lambda *_: None).is_certain is is_certain
    assert collect(post_build, lambda *_: source("ConfigMap")).is_certain is is_certain


@pytest.mark.parametrize("name", ["a-b", "1a", "a.b", ""])
def test_names_that_flux_refuses(name: str) -> None:
    with pytest.raises(SubstitutionError, match="is invalid"):
        collected(source("ConfigMap", data={name: "x"}))
    with pytest.raises(SubstitutionError, match="is invalid"):
        collected(source("Secret", data={name: "x"}, sops={}))
    assert collected(source("ConfigMap", data={f"_{name.replace('-', '').replace('.', '')}": "x"})).known


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, False),
        ({"labels": {"kustomize.toolkit.fluxcd.io/substitute": "disabled"}}, True),
        ({"annotations": {"kustomize.toolkit.fluxcd.io/substitute": "disabled"}}, True),
        ({"annotations": {"kustomize.toolkit.fluxcd.io/substitute": "Disabled"}}, False),
    ],
)
def test_exempt_objects(metadata: dict[str, Any], expected: bool) -> None:
    assert is_exempt(metadata) is expected


def by_regular_expression(value: str, pattern: str, *, longest: bool) -> int:
    """How many signs match, as they were first found: the same answer, in any time."""
    parts = re.findall(r"\\.|\[\^?.[^\]]*\]|.", pattern, re.DOTALL)
    plain = {"*": ".*", "?": "[^/]"}
    text = "".join(
        part if len(part) > 2 else re.escape(part[-1:]) if part not in plain else plain[part]
        for part in parts
    )
    try:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            wanted = re.compile(text, re.DOTALL)
    except re.error:
        return 0
    lengths = [length for length in range(1, len(value) + 1) if wanted.fullmatch(value, 0, length)]
    return (max(lengths) if longest else min(lengths)) if lengths else 0


@given(st.text("ab/*?\n", max_size=8), st.text("ab/*?[]^-\\\n", max_size=8), st.booleans())
@example("abc", "[b-a]", True)
@example("[", "[[]", False)
def test_patterns_match_as_regular_expressions_do(value: str, pattern: str, longest: bool) -> None:
    assert _trimmed(value, pattern, longest=longest) == by_regular_expression(value, pattern, longest=longest)


AGES = {
    "stars": ("${V#" + "*a" * 60 + "b}", "a" * 2000),
    "stars from the end": ("${V%%b" + "a*" * 60 + "}", "a" * 2000),
    "open": ("${V" * 100_000, ""),
    "braces": ("}" * 100_000 + "$" * 100_000, ""),
    "digits": ("${V:" + "9" * 100_000 + "}", "a"),
    "nested": ("${V:-" * 50_000 + "}" * 50_000, ""),
}


@pytest.mark.parametrize("name", AGES)
def test_no_text_takes_ages(name: str) -> None:
    text, value = AGES[name]
    start = monotonic()
    with contextlib.suppress(SubstitutionError):
        assert substitute(text, Variables({"V": value})) is not None
    assert monotonic() - start < 20


@pytest.mark.parametrize(
    "text", ["${V}" * 5000, "${V//a/" + "b" * 10_000 + "}", "${X:-" + "${V}" * 5000 + "}"]
)
def test_a_few_variables_do_not_become_terabytes(text: str) -> None:
    with pytest.raises(SubstitutionError, match="longer than any object can be"):
        substitute(text, Variables({"V": "a" * 10_000}))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("${nobody} ${word} ${nobody}", ("nobody",)),
        ("${empty}", ()),
        ("$nobody $${nobody} $(nobody)", ()),
        ("${nobody:=x}${nobody:-x}${nobody=x}${nobody:=}", ()),
        ("${nobody^^} ${#other} ${third:1}", ("nobody", "other", "third")),
        ("${nobody:=${other}}", ()),
        ("${secret}", ()),
    ],
)
def test_names_that_nobody_sets(text: str, names: tuple[str, ...]) -> None:
    assert unset(text, Variables(VALUES, frozenset({"secret"}))) == names
    # Where a source was not seen, it may set any.
    assert unset(text, Variables(VALUES, missing=(("Secret", "x"),))) == ()
