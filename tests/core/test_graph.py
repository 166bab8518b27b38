from graphlib import CycleError

import pytest

from tasks.core.catalogue import CATALOGUE, PHASES, TaskSpec
from tasks.core.graph import ancestors, mermaid, order, tree


def spec(name: str, *needs: str) -> TaskSpec:
    return TaskSpec(name, name, 1, "Low", (), needs)


def test_eleven_tasks_in_five_phases() -> None:
    assert list(CATALOGUE) == [f"TASK-{number:03}" for number in range(1, 12)]
    assert {task.phase for task in CATALOGUE.values()} == set(PHASES)
    assert all(task.traces for task in CATALOGUE.values())


def test_order_is_the_documented_one() -> None:
    assert order() == tuple(f"TASK-{number:03}" for number in range(1, 12))


def test_edges_are_the_documented_ones() -> None:
    # 001→002→003→004→005→007, 006→007→008→009→010→011
    edges = {(need[-3:], task.id[-3:]) for task in CATALOGUE.values() for need in task.needs}
    chains = ("001 002 003 004 005 007", "006 007 008 009 010 011")
    assert edges == {pair for chain in chains for pair in zip(chain.split(), chain.split()[1:], strict=False)}


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("TASK-001", ()),
        ("TASK-006", ()),
        ("TASK-004", ("TASK-001", "TASK-002", "TASK-003")),
        ("TASK-007", ("TASK-001", "TASK-002", "TASK-003", "TASK-004", "TASK-005", "TASK-006")),
    ],
)
def test_ancestors(task: str, expected: tuple[str, ...]) -> None:
    assert ancestors(task) == expected


def test_order_is_stable_and_respects_needs() -> None:
    assert order({"b": spec("b"), "c": spec("c", "b"), "a": spec("a", "c")}) == ("b", "c", "a")


def test_a_circle_is_an_error() -> None:
    with pytest.raises(CycleError):
        order({"a": spec("a", "b"), "b": spec("b", "a")})


def test_tree_shows_every_task_once() -> None:
    drawn = tree()
    assert [drawn.count(f"{name}  ") for name in CATALOGUE] == [1] * 11
    assert "(also needs TASK-005)" in drawn


def test_how_a_tree_is_drawn() -> None:
    catalogue = {
        task.id: task
        for task in (
            spec("a"),
            spec("b", "a"),
            spec("c", "b"),
            spec("d", "b"),
            spec("e", "a", "c"),
            spec("f"),
        )
    }
    assert tree(catalogue).splitlines() == [
        "a  a",
        "└─ b  b",
        "   ├─ c  c",
        "   │  └─ e  e  (also needs a)",
        "   └─ d  d",
        "f  f",
    ]


def test_mermaid_has_every_edge() -> None:
    lines = mermaid().splitlines()
    assert lines[0] == "flowchart TD"
    assert "    TASK-006 --> TASK-007" in lines
    assert sum("-->" in line for line in lines) == 10
    assert '    TASK-001["TASK-001: Create the S3 bucket"]' in lines
    assert len(lines) == 1 + 11 + 10
