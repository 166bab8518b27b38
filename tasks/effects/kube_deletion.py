"""Deletes objects of the running cluster, and waits until others are gone: kubectl itself, for both."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.core.errors import RefusedError
from tasks.effects import shell
from tasks.effects.api_errors import ClusterError, ForbiddenError
from tasks.effects.kubeconfig import ENVIRONMENT, MISSING, withheld
from tasks.effects.kubectl import Kubectl

_REFUSED = re.compile(r"Error from server \((\w+)\): (.*)")
_LATE = re.compile(r"timed out waiting for the condition(?: on (\S+))?")


class Object(NamedTuple):
    """An object: ``resource`` is the full name of its kind, as in ``helmreleases.helm.toolkit.fluxcd.io``."""

    resource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.resource.partition('.')[0]}/{self.name} in namespace {self.namespace}"


class LateError(RefusedError):
    """Something is not gone after the time that it was given."""


def delete(kubectl: Kubectl, one: Object, wait: str) -> None:
    """Delete an object, and wait for its finalizers, at most for ``wait`` ("10m"); one that is gone is well.

    Raises:
        ForbiddenError: the user may not.
        LateError: it is not gone after that time; it goes when its finalizers are done.
        ClusterError: the cluster refuses, or cannot be reached.
    """
    argv = ("delete", one.resource, one.name, "--namespace", one.namespace, "--ignore-not-found")
    _run(kubectl, (*argv, "--wait=true", f"--timeout={wait}"), one)


def wait_until_gone(kubectl: Kubectl, one: Object, wait: str) -> None:
    """Wait until an object is gone, at most for ``wait``.

    Raises:
        LateError: it is not.
        ClusterError: see ``delete``.
    """
    name = f"{one.resource}/{one.name}"
    _run(kubectl, ("wait", "--for=delete", name, "--namespace", one.namespace, f"--timeout={wait}"), one)


def _run(kubectl: Kubectl, command: Sequence[str], one: Object) -> None:
    done = shell.run(
        ("kubectl", *kubectl.arguments(), *command),
        cwd=Path.cwd(),
        environment=ENVIRONMENT,
        withheld=withheld,
        missing_hint=MISSING,
    )
    if done.code == 0:
        return
    last = done.stderr.strip().rpartition("\n")[2].removeprefix("error: ").strip()
    see = f"see what it waits for: kubectl get -n {one.namespace} {one.resource} {one.name} -o yaml"
    if _LATE.match(last):
        raise LateError(f"{one} is still there", see)
    refused = _REFUSED.match(last)
    if refused and refused[1] == "Forbidden":
        raise ForbiddenError(refused[2], "see what you may: kubectl auth can-i --list")
    raise ClusterError(f"{one}: {last or 'kubectl ended without a word'}", "correct that, then run again")
