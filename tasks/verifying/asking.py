"""What is shown, and confirmed, before anything in the cluster is changed."""

import sys
from collections.abc import Iterable

from tasks.core.console import Console
from tasks.core.errors import SettingsError, StepFailedError
from tasks.effects.kubectl import Kubectl


def confirm(kubectl: Kubectl, namespace: str, steps: Iterable[str], *, yes: bool, is_dry: bool) -> None:
    """Show where and what; ask, unless ``yes`` or ``is_dry``: then nothing will be done.

    Raises:
        SettingsError: it has to be confirmed, and there is no terminal.
        StepFailedError: it was not approved.
        ClusterError: it is not known which cluster would be changed.
    """
    console = Console()
    context = f"context {kubectl.context}, " if kubectl.context else ""
    console.note(f"{context}server {kubectl.server}, namespace {namespace}:")
    for step in steps:
        console.note(f"    {'would ' if is_dry else ''}{step}")
    if yes or is_dry:
        return
    if not sys.stdin.isatty():
        raise SettingsError("confirmation needed, but this is not a terminal", "run it again with --yes")
    console.ask("Do this? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise StepFailedError("not approved; nothing was changed")
