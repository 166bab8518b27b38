"""Servers that only take logs: whether what happens to one node or one drain leaves some of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from checks.answers import judged
from checks.model import Model, Outcome, passed
from checks.parseable import servers_of
from tasks.kube.pods import Pod, variables
from tasks.kube.services import is_selected
from tasks.subjects.parseable import INGEST, MODE_VARIABLE
from tasks.yaml.documents import dig, items, mapping


def some_ingestors_stay(model: Model) -> Iterator[Outcome]:
    """Of several servers that take logs, a drain or a lost node leaves some."""
    found = [pod for pod, container in servers_of(model) if variables(container).get(MODE_VARIABLE) == INGEST]
    for pod in found:
        count = dig(pod.owner.data, "spec", "replicas")
        if not isinstance(count, int) or count < 2:
            yield passed(f"{pod.owner.key} is one pod; Vector keeps what it cannot send")
            continue
        yield judged(
            [*_budget_problems(model, pod, count), *_spread_problems(pod)],
            passed(f"the {count} pods of {pod.owner.key} are spread, and drained one after the other"),
            consequence="one drain, or one node, would take all servers that take logs",
            remedy="invoke task-003",
            place=model.place_of(pod.owner),
        )
    if not found:
        yield passed("one server takes the logs and answers the queries")


def _budget_problems(model: Model, pod: Pod, count: int) -> Iterator[str]:
    budgets = [
        item
        for item in model.resources.of_kind("PodDisruptionBudget")
        if item.key.namespace == pod.owner.key.namespace and _takes(dig(item.data, "spec", "selector"), pod)
    ]
    if not budgets:
        yield f"no PodDisruptionBudget selects the pods of {pod.owner.key}"
    for budget in budgets:
        gone = _may_be_gone(mapping(budget.data, "spec"), count)
        if gone == 0:
            yield f"{budget.key} lets none of the {count} pods go: no node with one of them can be drained"
        elif gone is not None and gone >= count:
            yield f"{budget.key} lets all {count} pods go at once"


def _may_be_gone(spec: Mapping[str, Any], count: int) -> int | None:
    """How many of ``count`` pods a budget lets go at once; None where that is not a figure.

    Percentages are rounded up: https://kubernetes.io/docs/tasks/run-application/configure-pdb/
    """
    most, least = (_figure(spec.get(name), count) for name in ("maxUnavailable", "minAvailable"))
    if most is not None:
        return most
    return None if least is None else max(count - least, 0)


def _figure(value: object, count: int) -> int | None:
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdecimal():
        return -(-int(value[:-1]) * count // 100)
    return None


def _spread_problems(pod: Pod) -> Iterator[str]:
    """Whether nothing keeps the pods from all being put on one node."""
    rules = mapping(pod.spec, "affinity", "podAntiAffinity")
    terms = [
        *items(rules, "requiredDuringSchedulingIgnoredDuringExecution"),
        *(
            mapping(one, "podAffinityTerm")
            for one in items(rules, "preferredDuringSchedulingIgnoredDuringExecution")
        ),
        *items(pod.spec, "topologySpreadConstraints"),
    ]
    if not any(dig(term, "topologyKey") and _takes(dig(term, "labelSelector"), pod) for term in terms):
        yield f"the pods of {pod.owner.key} may all be on one node: no anti-affinity names them"


def _takes(selector: object, pod: Pod) -> bool:
    """Whether a label selector takes the pods; one that is not there takes none, an empty one all."""
    return isinstance(selector, dict) and is_selected({"metadata": {"labels": pod.labels}}, selector)
