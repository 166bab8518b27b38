"""Whether Flux has fetched what was pushed.

What the fields mean: https://fluxcd.io/flux/components/source/gitrepositories/#gitrepository-status.
"""

from tasks.live.judgement import (
    Judgement,
    State,
    clock,
    condition,
    duration,
    is_stalled,
    message,
    moment,
    short,
)
from tasks.live.objects import Object, Objects
from tasks.live.wanted import Wanted
from tasks.yaml.documents import dig, mapping

_COMMANDS = {"GitRepository": "git", "OCIRepository": "oci", "Bucket": "bucket"}
# Where `flux push artifact` writes the commit that an artifact is made of.
_MADE_OF = "org.opencontainers.image.revision"


def judge_source(objects: Objects, kind: str, namespace: str, name: str, wanted: Wanted) -> Judgement:
    """Whether a source has the pushed commit: Ready says so of an older one, too, until Flux looks again."""
    about = f"{kind} {namespace}/{name}"
    data = objects.find(kind, namespace, name)
    if data is None:
        return objects.absent(kind, (namespace, name), f"kubectl get {kind.lower()} --all-namespaces")
    if dig(data, "spec", "suspend") is True:
        resume = f"flux resume source {_command(data)} {name} -n {namespace}"
        return Judgement(State.FAIL, about, f"is suspended, and has {_held(data)}", resume)
    artifact = mapping(data, "status", "artifact")
    revision = str(dig(artifact, "metadata", _MADE_OF) or artifact.get("revision") or "")
    if wanted.has(revision):
        return Judgement(State.PASS, about, f"has {short(revision)}")
    return _without(objects, data, about, revision, wanted)


def _without(objects: Objects, data: Object, about: str, revision: str, wanted: Wanted) -> Judgement:
    """Why a source does not have the commit."""
    _, namespace, name = about.replace("/", " ").split()
    command = f"flux reconcile source {_command(data)} {name} -n {namespace}"
    follows = dig(data, "spec", "ref", "branch")
    if follows and wanted.branch and follows != wanted.branch:
        told = f"follows branch {follows}, and {wanted.branch} is what was pushed from here"
        return Judgement(State.UNKNOWN, about, told, f"git switch {follows}")
    if is_stalled(data) or condition(data, "Ready").get("status") == "False":
        return _not_fetched(objects, data, about, command)
    if revision and wanted.has(revision) is None:
        return Judgement(
            State.UNKNOWN,
            about,
            f"has {short(revision)}, and whether {short(wanted.commit)} is part of it cannot be told here",
            "git fetch, if it is newer than this clone",
        )
    looks = f"; it looks every {dig(data, 'spec', 'interval')}" if dig(data, "spec", "interval") else ""
    return Judgement(
        State.WAIT, about, f"has {_held(data)}, pushed is {short(wanted.commit)}{looks}", command
    )


def _not_fetched(objects: Objects, data: Object, about: str, command: str) -> Judgement:
    found = condition(data, "Stalled" if is_stalled(data) else "Ready")
    since = clock(moment(found.get("lastTransitionTime")), objects.now)
    interval = duration(dig(data, "spec", "interval"))
    return Judgement(
        State.FAIL,
        about,
        f"{message(found)} (since {since}); the cluster still runs {_held(data)}",
        f"correct its address, branch or Secret; then: {command}",
        interval.total_seconds() if interval and not is_stalled(data) else 0.0,
    )


def _command(data: Object) -> str:
    kind = str(data.get("kind"))
    return _COMMANDS.get(kind, kind.lower())


def _held(data: Object) -> str:
    return short(dig(data, "status", "artifact", "revision") or "nothing yet")
