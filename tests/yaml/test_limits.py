"""YAML that is made, or happens, to take all memory or time, or to end its reader: nothing is made of it."""

import resource
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.yaml.documents import load_documents, same_documents, syntax_error
from tasks.yaml.limits import DEEPEST
from tasks.yaml.marks import line_of

LAUGHS = "\n".join(
    ["a0: &a0 [" + ", ".join(["ha"] * 9) + "]"]
    + [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]" for number in range(1, 40)]
)
MERGED = "\n".join(
    ["m0: &m0 {k: 1}"]
    + [f"m{number}: &m{number} {{<<: [{', '.join([f'*m{number - 1}'] * 9)}]}}" for number in range(1, 40)]
)
CHAIN = "\n".join(["- &a0 [x]"] + [f"- &a{number} [*a{number - 1}]" for number in range(1, 5000)])
LARGE = "- &a [" + "x, " * 20_000 + "]\n" + "- *a\n" * 20_000

BEYOND = {
    "laughs": (LAUGHS, "its aliases stand for too much"),
    "merge keys": (MERGED, "its aliases stand for too much"),
    "many aliases of much": (LARGE, "its aliases stand for too much"),
    "a chain of aliases": (CHAIN, "nested too deeply"),
    "itself": ("a: &a [b, *a]", "an alias stands inside its own anchor"),
    "itself as a key": ("a: &a {b: {*a : c}}", "an alias stands inside its own anchor"),
    "brackets": ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
    "brackets that stay open": ("a: " + "[" * 100_000, "nested too deeply"),
    "maps": ("{a: " * 3000 + "1" + "}" * 3000, "nested too deeply"),
    "lists on a line": ("- " * 100_000 + "a", "nested too deeply"),
    "keys on a line": ("? " * 3000 + "a", "nested too deeply"),
    "indented": ("\n".join(" " * number + "k:" for number in range(3000)), "nested too deeply"),
    "lists in maps": (
        "\n".join("  " * number + "k:\n" + "  " * number + "-" for number in range(60)),
        "nested too deeply",
    ),
}


@pytest.mark.parametrize("name", BEYOND)
def test_what_goes_beyond_is_no_document(name: str) -> None:
    text, reason = BEYOND[name]
    start = monotonic()
    assert load_documents(text) == []
    where, _, said = syntax_error(text).partition(": ")
    assert said == reason
    assert all(part.isdigit() for part in where.split(":"))
    assert line_of(text, "Secret", "x") == 1
    assert not same_documents(text, f"{text}\n")
    assert monotonic() - start < 20


def test_a_bomb_takes_little_memory() -> None:
    program = (
        "import sys\nfrom tasks.yaml.documents import load_documents\n"
        "assert load_documents(sys.stdin.read()) == []"
    )
    subprocess.run(
        (sys.executable, "-c", program),
        input=MERGED,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (200 << 20, 200 << 20)),
    )


@pytest.mark.parametrize(
    "text",
    [
        "[" * DEEPEST + "]" * DEEPEST,
        "\n".join(" " * number + "k:" for number in range(DEEPEST)),
        "- " * (DEEPEST - 1) + "[]",
        "- &a [" + "x, " * 2000 + "]\n" + "- *a\n" * 40,
        "a: [" + "{}, " * 5000 + "]",
        "a: |\n" + "  " + "[" * 5000,
        f"a: {'*' * 50} & {'{' * 50}",
    ],
)
def test_what_is_only_large_or_deep_is_read(text: str) -> None:
    if "{{" in text:
        text = f"a: '{text}'"
    assert load_documents(text) == list(yaml.safe_load_all(text))
    assert syntax_error(text) == ""


VALUES = [
    "!!timestamp x", "!!bool maybe", '!!int ""', '!!float ""', "!!int ten", "!!binary é", "!!omap [1]",
    "<<: 5",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_a_value_that_its_tag_does_not_fit_is_no_document(value: str) -> None:
    assert load_documents(value if ":" in value else f"a: {value}") == []


PIECES = st.sampled_from(
    [
        "a", "b: ", "- ", "\n", "  ", "? ", ": ", "[", "]", "{", "}", ", ", "&a ", "*a ", "<<: ", "!!int ",
        "!!bool ", "!!timestamp ", "!!set ", "!!omap ", "!!binary ", "!x ", "'", '"', "|\n", ">-\n", "---\n",
        "...\n", "# ", "%YAML 1.1\n", "0x", "1_", "1e5", ".", "-", "~", "\t", "\0", "\ufeff", "\ud800",
        "\x85",
        "\u2028", "2001-01-01", "é", "\\x",
    ]
)  # fmt: skip


@given(st.lists(PIECES, max_size=25).map("".join))
@example("a: &a\n- *a")
def test_no_text_is_an_error(text: str) -> None:
    load_documents(text)
    syntax_error(text)
    line_of(text, "a", "b", "c", 0)
    same_documents(text, text + "\n")
