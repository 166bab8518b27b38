"""What an account may do, asked of the API server itself; the question changes nothing.

https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tasks.effects.kubectl import ForbiddenError, Kubectl
from tasks.effects.kubectl_change import change
from tasks.live.judgement import Judgement, State
from tasks.yaml.documents import dig


class Right(NamedTuple):
    """A verb on all objects of a kind, in the core group."""

    verb: str
    resource: str


# What Vector's source kubernetes_logs lists and watches; and what no collector of logs needs.
NEEDED = tuple(Right(verb, one) for one in ("pods", "namespaces", "nodes") for verb in ("list", "watch"))
TOO_MUCH = (Right("get", "secrets"), Right("delete", "pods"), Right("create", "pods"))


def judge_account(kubectl: Kubectl, namespace: str, name: str) -> Judgement:
    """Whether a ServiceAccount may do what Vector needs, and not much more.

    Raises:
        ClusterError: the cluster did not answer.
    """
    about = f"ServiceAccount {namespace}/{name}"
    try:
        granted = set(_granted(kubectl, f"system:serviceaccount:{namespace}:{name}", (*NEEDED, *TOO_MUCH)))
    except ForbiddenError as error:
        hint = "the rules that are needed: invoke verify --print-rbac"
        return Judgement(State.UNKNOWN, about, error.summary, hint)
    lacking = [f"{one.verb} {one.resource}" for one in NEEDED if one not in granted]
    if lacking:
        return Judgement(State.FAIL, about, f"may not {', '.join(lacking)}", "invoke task-007, and push")
    more = [f"{one.verb} {one.resource}" for one in TOO_MUCH if one in granted]
    if more:
        return Judgement(
            State.FAIL,
            about,
            f"may also {', '.join(more)}, which Vector does not need",
            "take it out of the role that gives it: kubectl get clusterrolebindings -o wide | grep " + name,
        )
    return Judgement(State.PASS, about, "may list and watch pods, namespaces and nodes, and no Secrets")


def _granted(kubectl: Kubectl, user: str, rights: tuple[Right, ...]) -> Iterator[Right]:
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "groups": _groups(user), "resourceAttributes": one._asdict()},
        }
        for one in rights
    ]
    asked = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
    text = change(kubectl, "create", "--validate=false", "-o", "json", "-f", "-", stdin=asked.encode())
    for answer in _documents(text):
        if dig(answer, "status", "allowed") is True:
            asked_for = dig(answer, "spec", "resourceAttributes")
            yield Right(str(dig(asked_for, "verb")), str(dig(asked_for, "resource")))


def _groups(user: str) -> list[str]:
    """The groups that every ServiceAccount is in."""
    namespace = user.split(":")[2]
    return ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]


def _documents(text: str) -> Iterator[Any]:
    """The objects that kubectl writes one after the other."""
    decoder, place = json.JSONDecoder(), 0
    while place < len(text):
        found, place = decoder.raw_decode(text, place)
        yield from found["items"] if dig(found, "kind") == "List" else (found,)
        while place < len(text) and text[place].isspace():
            place += 1
