"""What a run changes in the cluster: one call of kubectl each, told to go where the reading door goes."""

from pathlib import Path

from tasks.effects import shell
from tasks.effects.api_errors import ended
from tasks.effects.kubeconfig import ENVIRONMENT, MISSING, withheld
from tasks.effects.kubectl import Kubectl

SECONDS = 30.0


def change(
    kubectl: Kubectl, *words: str, stdin: bytes = b"", seconds: float = SECONDS, at_end: bool = False
) -> str:
    """Have kubectl do what ``words`` say (``delete``, ``job/x``, …); returns what it wrote.

    It is killed after ``seconds``. ``at_end`` says that it cleans up: it runs even after an interrupt.

    Raises:
        ForbiddenError: the user may not.
        NotFoundError: there is no such object.
        ClusterError: these, and whatever else kubectl refused or could not reach.
        EndlessError: it did not end in time.
        UnavailableError: there is no kubectl.
    """
    done = shell.run(
        ("kubectl", *kubectl.arguments(), *words),
        cwd=Path.cwd(),
        stdin=stdin,
        environment=ENVIRONMENT,
        withheld=withheld,
        missing_hint=MISSING,
        seconds=seconds,
        at_end=at_end,
    )
    if done.code != 0:
        raise ended(done.said, f"kubectl {words[0]}")
    return done.text
