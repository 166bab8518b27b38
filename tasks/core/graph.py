"""The documented dependency graph: its order, a task's ancestors, and two drawings of it."""

from collections.abc import Mapping
from graphlib import TopologicalSorter

from tasks.core.catalogue import CATALOGUE, TaskSpec


def order(catalogue: Mapping[str, TaskSpec] = CATALOGUE) -> tuple[str, ...]:
    """Task ids such that each comes after all it needs; among those that are free, the lower number first.

    Raises:
        graphlib.CycleError: the needs go round in a circle.
    """
    sorter = TopologicalSorter({task.id: task.needs for task in catalogue.values()})
    sorter.prepare()
    result: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()])
        result.append(ready.pop(0))
        sorter.done(result[-1])
    return tuple(result)


def ancestors(task: str, catalogue: Mapping[str, TaskSpec] = CATALOGUE) -> tuple[str, ...]:
    """All that must hold before ``task``, directly or not, in running order."""
    found: set[str] = set()
    pending = list(catalogue[task].needs)
    while pending:
        need = pending.pop()
        if need not in found:
            found.add(need)
            pending.extend(catalogue[need].needs)
    return tuple(name for name in order(catalogue) if name in found)


def mermaid(catalogue: Mapping[str, TaskSpec] = CATALOGUE) -> str:
    """The graph as a Mermaid flowchart."""
    lines = ["flowchart TD"]
    lines += [f'    {task.id}["{task.id}: {task.title}"]' for task in catalogue.values()]
    lines += [f"    {need} --> {task.id}" for task in catalogue.values() for need in task.needs]
    return "\n".join(lines)


def tree(catalogue: Mapping[str, TaskSpec] = CATALOGUE) -> str:
    """The graph as an indented tree, roots first; a task with two needs stands below the later one."""
    sequence = order(catalogue)
    parent = {name: max(catalogue[name].needs, key=sequence.index, default=None) for name in sequence}
    lines: list[str] = []

    def draw(name: str, first: str, rest: str) -> None:
        also = [need for need in catalogue[name].needs if need != parent[name]]
        suffix = f"  (also needs {', '.join(also)})" if also else ""
        lines.append(f"{first}{name}  {catalogue[name].title}{suffix}")
        children = [child for child in sequence if parent[child] == name]
        for child in children:
            last = child == children[-1]
            draw(child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))

    for name in sequence:
        if parent[name] is None:
            draw(name, "", "")
    return "\n".join(lines)
