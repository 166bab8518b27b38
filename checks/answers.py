"""Words that checks share: what differs, and what is shown of a value."""

from collections.abc import Sequence

from tasks.core.outcomes import Outcome, failed
from tasks.model import Model

NEEDS_CLUSTER = "only the running cluster can answer this"


def judged(
    problems: Sequence[str], otherwise: Outcome, *, consequence: str, remedy: str, place: str = ""
) -> Outcome:
    """A failure that names the problems, or ``otherwise`` if there are none."""
    return failed("; ".join(problems), consequence, remedy, place) if problems else otherwise


def restart_both(model: Model) -> str:
    """The command that restarts Parseable and Vector, whatever kinds their charts make of them."""
    names = f"{model.settings.parseable.name}, {model.settings.vector.name}"
    return (
        f"kubectl rollout restart -n {model.layout.namespace} deployment,statefulset,daemonset "
        f"-l 'app.kubernetes.io/instance in ({names})'"
    )


def shown(value: object) -> str:
    """A value in a sentence; maps and lists as what they are."""
    if value is None:
        return "not set"
    return "a map" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)
