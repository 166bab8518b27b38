"""Admission: whether the namespaces of our pods take them."""

from collections.abc import Iterator

from checks.model import Cause, Model, Outcome, failed, passed, unknown
from tasks.flux.substitution import has_variable
from tasks.kube.pod_security import ENFORCE, LEVELS, refusals
from tasks.kube.pods import Pod
from tasks.subjects.manifests import APPS
from tasks.yaml.documents import mapping

_NO_PODS = "no pod of it would be created, although Helm and Flux report success"


def pods_are_admitted(model: Model) -> Iterator[Outcome]:
    """No label of a namespace keeps pods of ours out.

    See https://kubernetes.io/docs/concepts/security/pod-security-admission/.
    """
    pods, hidden = model.pods_and_gaps(*APPS)
    yield from hidden
    for pod in pods:
        yield _admitted(model, pod)


def _admitted(model: Model, pod: Pod) -> Outcome:
    name = pod.owner.key.namespace
    namespace = model.resources.find("Namespace", "", name)
    if namespace is None:
        refused = refusals(pod.spec, "baseline")
        if not refused:
            return passed(f"{pod.owner.key} asks for nothing of the host")
        return unknown(
            f"{pod.owner.key} needs a namespace without Pod Security, or with level privileged "
            f"({'; '.join(refused)}): the repository does not show Namespace {name}",
            Cause.CLUSTER,
            f"kubectl get namespace {name} -o yaml",
        )
    level = mapping(namespace.data, "metadata", "labels").get(ENFORCE)
    where = model.place(namespace.path, namespace.data, "metadata", "labels", ENFORCE)
    if has_variable(level):
        return unknown(
            f"the label {ENFORCE} of Namespace {name} holds a variable", Cause.CLUSTER, place=where
        )
    if level is not None and level not in LEVELS:
        return failed(
            f"Namespace {name} has the label {ENFORCE}: {level}, which is none of {', '.join(LEVELS)}",
            "the API server would refuse the namespace",
            "correct the label",
            where,
        )
    refused = refusals(pod.spec, str(level))
    if refused:
        return failed(
            f"Namespace {name} enforces the level {level}, which refuses the pods of {pod.owner.key}: "
            f"{'; '.join(refused)}",
            _NO_PODS,
            f"label the namespace {ENFORCE}: privileged, or put the app into another namespace",
            where,
        )
    return passed(f"Namespace {name} takes the pods of {pod.owner.key}")
