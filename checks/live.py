"""What the running cluster answers about the rollout itself: Flux, the pods, what they were started with."""

from collections.abc import Iterable, Iterator
from typing import Any

from checks.model import Cause, Model, Outcome, passed, unknown
from tasks.core.outcomes import failing
from tasks.live.judgement import Judgement, State
from tasks.live.objects import Object
from tasks.live.secrets import judge_secret
from tasks.live.workloads import pods_of
from tasks.subjects.parseable import LOGIN_VARIABLES, S3_VARIABLES
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
    if len(by_state[State.PASS]) == len(found):
        yield passed("; ".join(one.line for one in found))


def is_reconciled(model: Model) -> Iterator[Outcome]:
    """DoD-011-01: source, Kustomizations and HelmReleases are at the commit that was pushed."""
    yield from answers(model.live.flux)


def pods_run(model: Model) -> Iterator[Outcome]:
    """DoD-011-02."""
    yield from answers(model.live.pods)


def pods_are_current(model: Model) -> Iterator[Outcome]:
    """All pods were started after the ConfigMaps and Secrets that they read were changed."""
    judged = model.live.started
    if judged:
        yield from answers(judged)
    else:
        yield unknown("no pod runs that reads a ConfigMap or Secret", Cause.CLUSTER, _WAIT)


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
