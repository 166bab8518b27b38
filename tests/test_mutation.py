"""The faults that benchmarks/mutation makes: which there are, and which tests are asked about them."""

import ast
from pathlib import Path

import pytest
import yaml

from benchmarks.mutation.__main__ import EQUIVALENT, ROOMS, difference, equivalent, files, stages, told
from benchmarks.mutation.mutants import of_python, of_yaml

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("x = 7", ["x = 8"]),
        ("x = True", ["x = False"]),
        ("x = 'name'", ["x = 'namex'"]),
        ("x = 'two words'", []),
        ("x = re.compile('a b')", ["x = re.compile('a bx')"]),
        ("'''About.'''\nx: 'int' = f()", []),
        ("a == b", ["a != b"]),
        ("a  is not  b", ["a  is  b"]),
        ("a not in b", ["a in b"]),
        ("a < b <= c", ["a <= b <= c", "a < b < c"]),
        ("x = a and (b or c)", ["x = (b or c)", "x = (a)", "x = a and ((c))", "x = a and ((b))"]),
        ("x = not a", ["x = (a)"]),
        ("x = b if a else c", ["x = b if (not (a)) else c"]),
        ("x = [a for a in b if c(a)]", ["x = [a for a in b if (not (c(a)))]"]),
        ("x = a - b", ["x = (a)"]),
        ("x = a | b", ["x = (a)", "x = (b)"]),
        ("f(a)\nraise E('no')", ["pass\nraise E('no')", "f(a)\nraise E('nox')", "f(a)\npass"]),
        ("x = f(a, b=c, d=e)", ["x = f(a, d=e)", "x = f(a, b=c)"]),
        ("x = f(b=c,\n  # why\n  d=e)", ["x = f(d=e)", "x = f(b=c)"]),
        ("x = {a: b, c: d}", ["x = {c: d}", "x = {a: b}"]),
        ("x = any(a)", ["x = all(a)"]),
        ("x = a.removeprefix(b)", ["x = a.removesuffix(b)"]),
        ("x = u + 'é' * (1)", ["x = (u)", "x = ('é' * (1))", "x = u + 'éx' * (1)", "x = u + 'é' * (2)"]),
    ],
)
def test_faults_of_python(source: str, faults: list[str]) -> None:
    assert sorted(mutant.applied(source) for mutant in of_python(source)) == sorted(faults)


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("('a', 'b')", {"('a',)", "('b',)"}),
        ("('a', 'b',)", {"('a',)", "('b',)"}),
        ("['a', 'b', 'c']", {"['b', 'c']", "['a', 'c']", "['a', 'b']"}),
        ("(a, b)", set()),
    ],
)
def test_an_element_less(source: str, left: set[str]) -> None:
    mutants = of_python(f"x = {source}")
    assert {one.applied(f"x = {source}")[4:] for one in mutants if one.kind == "element"} == left


def test_an_error_less_that_is_caught() -> None:
    source = "try:\n    f()\nexcept (A, B):\n    pass\n"
    found = {mutant.applied(source) for mutant in of_python(source)}
    assert found == {
        source.replace("f()", "pass"),
        source.replace("A, B", "A,"),
        source.replace("A, B", "B,"),
    }


def test_faults_of_yaml() -> None:
    source = 'a:\n  - b: 1\n    c: "d"\n  - true\ne: &f ${g}\n'
    changed = [(": 1", ": 2"), ('"d"', '"dx"'), ("true", "false"), ("${g}", "${g}x")]
    gone = ["  - b: 1\n", '    c: "d"\n', "  - true\n", "e: &f ${g}\n"]
    found = {mutant.applied(source) for mutant in of_yaml(source)}
    assert found == {source.replace(*pair) for pair in changed} | {source.replace(line, "") for line in gone}


def test_a_block_scalar_is_changed_line_by_line() -> None:
    source = "a: |\n  b: 1\n  # why\n  - c\n  .d = e\nf: 2\n"
    found = {mutant.applied(source) for mutant in of_yaml(source)}
    changed = [("b: 1", "b: 2"), ("- c", "- cx"), (".d = e", ".d = ex"), ("f: 2", "f: 3")]
    gone = ["  b: 1\n", "  - c\n", "  .d = e\n", "f: 2\n"]
    assert found == {source.replace(*pair) for pair in changed} | {source.replace(line, "") for line in gone}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("parseable/ks.yaml", "  decryption: ${decryption}"),
        ("parseable/ks.yaml", "    kind: ${source_kind}"),
        ("vector/app/rbac.yaml", "  kind: ClusterRole"),
        ("vector/app/helmrelease.yaml", "        operator: Exists"),
        ("vector/app/helmrelease.yaml", "      strategy: rollback"),
        ("parseable/app/helmrelease.yaml", "        P_STAGING_DIR: /parseable/staging"),
        ("parseable/app/servicemonitor.yaml", "      targetPort: ${parseable_metrics_target_port}"),
    ],
)
def test_every_value_of_a_manifest_is_among_them(path: str, line: str) -> None:
    name = f"manifests/kubernetes/apps/monitoring/{path}"
    source = (ROOT / name).read_text(encoding="utf-8")
    differences = [difference(name, source, mutant)[1:] for mutant in of_yaml(source)]
    assert [f"-{line}"] in differences
    assert any(found[0] == f"-{line}" for found in differences if len(found) == 2)


def test_faults_leave_code_that_can_be_read() -> None:
    for path in files(["tasks/effects/s3_errors.py", "tasks/effects/shell.py"]):
        source = (ROOT / path).read_text(encoding="utf-8")
        for mutant in of_python(source):
            ast.parse(mutant.applied(source))


def test_every_file_has_tests_to_ask() -> None:
    assert all(stages(path, whole=False) for path in files(ROOMS))
    assert stages("tasks/core/runner.py", whole=False)[0] == ["tests/core/test_runner.py"]
    own, near = stages("tasks/core/outcomes.py", whole=False)
    assert own == ["tests/core/test_outcomes.py"]
    assert "tests/core/test_console.py" in near
    assert stages("tasks/core/runner.py", whole=True)[-1] == ["tests/whole"]


def test_what_is_judged_equivalent_is_still_a_fault() -> None:
    possible = set()
    for path in {path for path, _ in equivalent()}:
        source = (ROOT / path).read_text(encoding="utf-8")
        make = of_yaml if path.endswith(".yaml") else of_python
        possible |= {(path, told(difference(path, source, mutant)[1:])) for mutant in make(source)}
    assert set(equivalent()) <= possible
    assert all(item["why"] for item in yaml.safe_load(EQUIVALENT.read_text(encoding="utf-8")))
