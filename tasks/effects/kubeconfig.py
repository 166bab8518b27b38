"""Which cluster kubectl would go to: the contexts of its kubeconfig, and the one that is meant."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from tasks.effects import shell
from tasks.effects.api_errors import ClusterError, ContextError, NoContextError

MISSING = "install kubectl"
# The user's own aliases and defaults for commands (https://kubernetes.io/docs/reference/kubectl/kuberc/) are
# none of ours.
ENVIRONMENT = {"KUBERC": "off"}
# Where a pod finds the account that it runs with; kubectl takes it where it has no kubeconfig.
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_SECONDS = 20.0


class Context(NamedTuple):
    """A context and the address of its server; without a name it is the cluster that we run in."""

    name: str
    server: str


class Contexts(NamedTuple):
    """The contexts of a kubeconfig, the current one, and where they were looked for."""

    all: tuple[Context, ...]
    current: str
    place: str


def withheld(name: str) -> bool:
    """Whether kubectl does not get an environment variable: the keys of the bucket and of sops.

    All others it may need, for what logs it in runs as its child.
    """
    return name.startswith(("S3_", "SOPS_"))


def read_contexts(kubeconfig: str | None) -> Contexts:
    """The contexts of ``kubeconfig``, or of what kubectl finds (KUBECONFIG, then ~/.kube/config).

    Raises:
        ClusterError: it cannot be read.
        UnavailableError: there is no kubectl.
    """
    chosen = ("--kubeconfig", kubeconfig) if kubeconfig else ()
    done = shell.run(
        ("kubectl", *chosen, "config", "view", "-o", "json"),
        cwd=Path.cwd(),
        environment=ENVIRONMENT,
        withheld=withheld,
        missing_hint=MISSING,
        seconds=_SECONDS,
    )
    place = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    if done.code != 0:
        said = done.said.rpartition("\n")[2].removeprefix("error: ")
        raise ClusterError(f"the kubeconfig {place} cannot be read: {said}", "correct it, or set KUBECONFIG")
    data: dict[str, Any] = json.loads(done.stdout)
    servers = {one["name"]: (one.get("cluster") or {}).get("server") for one in data.get("clusters") or ()}
    found = [
        Context(one["name"], servers.get((one.get("context") or {}).get("cluster")) or "an unknown server")
        for one in data.get("contexts") or ()
    ]
    return Contexts(tuple(found), str(data.get("current-context") or ""), place)


def chosen(contexts: Contexts, wanted: str | None) -> Context:
    """The context that is meant: the one wanted, the current one, or the only one.

    Raises:
        NoContextError: there is none.
        ContextError: none of several is chosen, or it has not the one that is wanted.
    """
    names = ", ".join(sorted(one.name for one in contexts.all))
    if wanted or contexts.current:
        name = wanted or contexts.current
        for one in contexts.all:
            if one.name == name:
                return one
        if contexts.all or wanted:
            raise ContextError(
                f"{contexts.place} has no context {name}" + (f" (it has {names})" if names else ""),
                "set cluster.context to the name of one that it has",
            )
    if len(contexts.all) == 1:
        return contexts.all[0]
    if contexts.all:
        raise ContextError(
            f"none of the contexts is chosen: {names}",
            "set cluster.context to one of them, or: kubectl config use-context",
        )
    host = os.environ.get("KUBERNETES_SERVICE_HOST")
    if host and _ACCOUNT.exists():
        return Context("", f"https://{host}:{os.environ.get('KUBERNETES_SERVICE_PORT', '443')}")
    raise NoContextError(
        f"no cluster is known: {contexts.place} does not exist, or has no context",
        "set KUBECONFIG, or cluster.kubeconfig",
    )
