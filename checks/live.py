"""What the running cluster answers about the rollout itself: Flux, the pods, what they were started with."""

from collections.abc import Iterable, Iterator
from typing import Any

from checks.model import AnsweredError, Cause, Model, Outcome, passed, unknown
from tasks.core.outcomes import failing
from tasks.live.judgement import Judgement, State, name_of
from tasks.live.logs import judge_logs
from tasks.live.nodes import judge_nodes
from tasks.live.objects import Object
from tasks.live.rights import judge_account
from tasks.live.secrets import judge_secret
from tasks.live.workloads import pods_of, references_of
from tasks.model import TASKS
from tasks.subjects.manifests import APPS
from tasks.subjects.parseable import LOGIN_VARIABLES, S3_VARIABLES
from tasks.subjects.vector import VECTOR
from tasks.yaml.documents import dig, items, mapping

_WAIT = "invoke verify --stage live --wait 10m"


def answers(judged: Iterable[Judgement]) -> Iterator[Outcome]:
    """The answers that follow: what fails, what may not be read, and the first that is still on its way.

    What is on its way is told only where nothing fails: what it waits for is then told as a failure.
    """
    found = list(judged)
    by_state = {state: [one for one in found if one.state is state] for state in State}
    yield from (failing(one.line, one.remedy) for one in by_state[State.FAIL])
    yield from (unknown(one.line, Cause.CLUSTER, one.remedy) for one in by_state[State.UNKNOWN])
    waiting = by_state[State.WAIT]
    if waiting and not by_state[State.FAIL]:
        more = f" (and {len(waiting) - 1} more that follow)" if len(waiting) > 1 else ""
        yield unknown(f"on its way: {waiting[0].line}{more}", Cause.CLUSTER, waiting[0].remedy or _WAIT)
    if not found:
        yield unknown("there is nothing of it to look at", Cause.CLUSTER, _WAIT)
    elif len(by_state[State.PASS]) == len(found):
        yield passed("; ".join(one.line for one in found))


def is_reconciled(model: Model) -> Iterator[Outcome]:
    """DoD-011-01: source, Kustomizations and HelmReleases are at the commit that was pushed."""
    yield from _not_applied(model)
    yield from answers(model.live.flux)


def pods_run(model: Model) -> Iterator[Outcome]:
    """DoD-011-02."""
    yield from _not_applied(model)
    yield from answers(model.live.pods)


def _not_applied(model: Model) -> Iterator[Outcome]:
    """What is known of an app whose release no build holds: nothing brings it into the cluster."""
    there = {release.task for release in model.live.wanted.releases}
    for app in APPS:
        if (task := TASKS[app.name]) not in there:
            told = f"nothing that the cluster applies from here holds a release of {app.name}"
            yield model.hidden(app) or failing(told, f"invoke {task}, then: invoke task-011")


def pods_are_current(model: Model) -> Iterator[Outcome]:
    """All pods were started after the ConfigMaps and Secrets that they read were changed."""
    yield from answers(model.live.started)


def secret_has_keys(model: Model) -> Iterator[Outcome]:
    """DoD-004-01: the keys that the pods are given are in their Secret, and were decrypted."""
    live = model.live
    wanted: dict[tuple[str, str], list[str]] = {}
    for release in live.wanted.releases[:1]:
        wanted[release.namespace, model.settings.parseable.secret] = []
    for _, workload in live.workloads:
        for pod in pods_of(live.objects, workload):
            for namespace, name, key in _keys_of(pod):
                wanted.setdefault((namespace, name), []).append(key)
    documented = (*S3_VARIABLES.values(), *LOGIN_VARIABLES.values())
    asked = {key: tuple(dict.fromkeys(names)) or documented for key, names in wanted.items()}
    yield from answers(judge_secret(live.objects, key, names) for key, names in asked.items())


def _keys_of(pod: Object) -> Iterator[tuple[str, str, str]]:
    """Namespace, name and key of every value of a Secret that a pod cannot start without."""
    namespace = str(dig(pod, "metadata", "namespace"))
    for container in items(pod, "spec", "containers"):
        for one in items(container, "env"):
            reference: Any = mapping(one, "valueFrom", "secretKeyRef")
            if reference and reference.get("optional") is not True:
                yield namespace, str(reference.get("name")), str(reference.get("key"))


def account_is_used(model: Model) -> Iterator[Outcome]:
    """DoD-007-01: the pods of Vector run with its account."""
    live = model.live
    for task, workload in _of_vector(model):
        pods = pods_of(live.objects, workload)
        accounts = {str(dig(pod, "spec", "serviceAccountName") or "default") for pod in pods}
        wrong = sorted(accounts - {model.settings.vector.name})
        named = f"{len(pods)} pods of {name_of(workload)}"
        if not pods:
            yield unknown(f"{name_of(workload)} has no pods", Cause.CLUSTER, _WAIT)
        elif wrong:
            yield failing(f"{named} run as ServiceAccount {', '.join(wrong)}", f"push, or: invoke {task}")
        else:
            yield passed(f"{named} run as ServiceAccount {model.settings.vector.name}")


def account_may_read(model: Model) -> Iterator[Outcome]:
    """DoD-007-02: the cluster itself says what the account of Vector's pods may do."""
    live = model.live
    for _, workload in _of_vector(model):
        namespace = str(dig(workload, "metadata", "namespace"))
        pods = pods_of(live.objects, workload)
        for account in sorted({str(dig(pod, "spec", "serviceAccountName") or "default") for pod in pods}):
            yield from answers([judge_account(live.kubectl, namespace, account)])
        if not pods:
            yield unknown(f"{name_of(workload)} has no pods", Cause.CLUSTER, _WAIT)


def configuration_is_used(model: Model) -> Iterator[Outcome]:
    """DoD-009-02: the same, and they are given the ConfigMap with the pipeline."""
    yield from account_is_used(model)
    name = model.settings.vector.config_map
    for task, workload in _of_vector(model):
        given = references_of(pods_of(model.live.objects, workload))
        # A kustomization may put a hash behind the name.
        if any(kind == "ConfigMap" and (one == name or one.startswith(f"{name}-")) for kind, one in given):
            yield passed(f"they read ConfigMap {name}")
        else:
            others = ", ".join(one for kind, one in given if kind == "ConfigMap") or "none"
            yield failing(
                f"the pods of {name_of(workload)} read ConfigMap {others}, not {name}", f"invoke {task}"
            )


def every_node_has_a_pod(model: Model) -> Iterator[Outcome]:
    """DoD-009-01."""
    live = model.live
    for _, workload in _of_vector(model):
        pods = pods_of(live.objects, workload)
        yield from answers([judge_nodes(workload, pods, live.nodes)])


def logs_have_no_errors(model: Model) -> Iterator[Outcome]:
    """DoD-009-03: neither Vector nor Parseable complains of what it sends or takes."""
    live = model.live
    yield from answers(judge_logs(live.kubectl, live.objects, live.workloads))


def _of_vector(model: Model) -> Iterator[tuple[str, Object]]:
    found = [(task, one) for task, one in model.live.workloads if task == TASKS[VECTOR.name]]
    if not found:
        raise AnsweredError(unknown("Vector is not installed in the cluster", Cause.CLUSTER, _WAIT))
    yield from found
