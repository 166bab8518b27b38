"""What `all` offers after a push: to wait until the cluster runs it."""

import sys

from tasks.core.console import Console
from tasks.core.errors import PlaybookError, StepFailedError
from tasks.live.judgement import State
from tasks.model import AnsweredError, Model, Stage
from tasks.verifying.answers import has_cluster
from tasks.verifying.waiting import wait
from tasks.workspace import Workspace

_COMMAND = "invoke verify --stage live --wait 10m"
_SECONDS = 600.0


def offer(workspace: Workspace, console: Console, *, can_ask: bool) -> None:
    """Ask whether to wait, where there is somebody to ask and a cluster; else name the command.

    Raises:
        StepFailedError: what was waited for fails, or has not come in time.
    """
    try:
        if not has_cluster(workspace):
            return
        context = workspace.kubectl.context or workspace.kubectl.server
    except PlaybookError:
        return  # Which cluster is meant is not known: `verify` says why.
    if not can_ask:
        console.say(f"see it arrive in {context}: {_COMMAND}")
        return
    console.ask(f"Wait until {context} runs it, at most 10 minutes? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        return
    try:
        live = Model(workspace, Stage.LIVE).live
    except AnsweredError as error:
        console.note(f"not known what to wait for: {error.outcome.evidence}")
        return
    late = wait(live, _SECONDS)
    if late is not None:
        raise late
    failed = [one for one in (*live.flux, *live.pods) if one.state is State.FAIL]
    if failed:
        raise StepFailedError(failed[0].line, failed[0].remedy)
    console.say("see what runs, with evidence: invoke verify --stage live")
