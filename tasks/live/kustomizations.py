"""Whether Flux has applied what was pushed.

What the fields mean: https://fluxcd.io/flux/components/kustomize/kustomizations/#kustomization-status.
"""

import re

from tasks.live.judgement import (
    Judgement,
    State,
    clock,
    condition,
    duration,
    is_current,
    is_stalled,
    message,
    moment,
    short,
)
from tasks.live.objects import Key, Object, Objects
from tasks.live.wanted import Wanted
from tasks.yaml.documents import dig, items

# What a message of Flux or of the API server asks for: {0} is what the pattern found.
_REMEDIES = (
    (
        r'secrets? "([\w.-]+)" not found',
        "copy Secret {0} into namespace {namespace}: the key is looked up there",
    ),
    (
        r"no identity matched|cannot get sops data key",
        "give the cluster the right key, or encrypt for the one that it has: sops updatekeys",
    ),
    (r'no matches for kind "(\w+)"', "install the CRD of {0}, or leave the object out"),
    (r'namespaces "([\w.-]+)" not found', "create the namespace {0}, or correct it in the object"),
    (r"path not found: stat \S*?/kustomization-\d+/(\S+?):", "correct spec.path: there is no folder {0}"),
    (
        r"(?:Repository|Bucket)\S* \S+ not found",
        "correct spec.sourceRef: without a namespace it is looked up in {namespace}",
    ),
    (r"stalled resources: \[(\w+)/([\w.-]+)/([\w.-]+)", "kubectl describe {0} -n {1} {2}"),
    (r"is forbidden", "give the account that Flux uses the right"),
)
_LONGEST_WAIT = 120.0  # seconds that one more attempt is worth
# What sops says of the key, far below its first line.
_INNER = re.compile(r"no identity matched any of the recipients")
_NOT_YET = re.compile(r"^Source artifact not found, retrying|^Source is not ready")


def judge_kustomization(objects: Objects, key: Key, wanted: Wanted) -> Judgement:
    """Whether a Kustomization has applied the pushed commit, from its own status alone."""
    about = f"Kustomization {key[0]}/{key[1]}"
    data = objects.find("Kustomization", *key)
    if data is None:
        return objects.absent("Kustomization", key, "flux get kustomizations --all-namespaces")
    applied = dig(data, "status", "lastAppliedRevision")
    ready = condition(data, "Ready")
    if dig(data, "spec", "suspend") is True:
        return Judgement(
            State.FAIL,
            about,
            f"is suspended, and has applied {short(applied or 'nothing')}",
            f"flux resume kustomization {key[1]} -n {key[0]}",
        )
    if is_stalled(data) or ready.get("status") == "False":
        return _not_ready(objects, about, data, wanted)
    is_at = _is_at(objects, data, str(applied or ""), wanted)
    if is_at and is_current(data):
        return Judgement(State.PASS, about, f"has applied {short(applied)}")
    if applied and is_at is None:
        return Judgement(
            State.UNKNOWN,
            about,
            f"has applied {short(applied)}; what that holds cannot be told here",
            "git fetch",
        )
    command = f"flux reconcile kustomization {key[1]} -n {key[0]}"
    since = clock(moment(ready.get("lastTransitionTime")), objects.now)
    doing = f"; {message(ready)} since {since}" if ready.get("status") == "Unknown" else ""
    return Judgement(
        State.WAIT,
        about,
        f"has applied {short(applied or 'nothing')}, not yet {short(wanted.commit)}{doing}",
        command,
    )


def source_of(data: Object, key: Key) -> tuple[str, str, str]:
    """Kind, namespace and name of what a Kustomization applies."""
    reference = dig(data, "spec", "sourceRef") or {}
    return (
        str(dig(reference, "kind")),
        str(dig(reference, "namespace") or key[0]),
        str(dig(reference, "name")),
    )


def has_attempted(data: Object, wanted: Wanted) -> bool:
    """Whether Flux has tried the pushed commit: what fails then is not mended by it."""
    return wanted.has(str(dig(data, "status", "lastAttemptedRevision") or "")) is True


def _is_at(objects: Objects, data: Object, revision: str, wanted: Wanted) -> bool | None:
    """Whether ``revision`` holds the commit; of an artifact without one, whether it is the newest."""
    if not revision:
        return False
    has = wanted.has(revision)
    if has is None:
        kind, namespace, name = source_of(data, (str(dig(data, "metadata", "namespace")), ""))
        source = objects.find(kind, namespace, name)
        if kind != "GitRepository" and source is not None:
            return bool(revision == dig(source, "status", "artifact", "revision"))
    return has


def _not_ready(objects: Objects, about: str, data: Object, wanted: Wanted) -> Judgement:
    if is_stalled(data):
        return _failed(about, condition(data, "Stalled"), data, objects)
    ready = condition(data, "Ready")
    reason, text = ready.get("reason"), message(ready)
    if reason == "DependencyNotReady":
        return _waits_for(objects, about, data, text)
    if reason in ("Progressing", "ProgressingWithRetry") or _NOT_YET.match(text):
        return Judgement(State.WAIT, about, text)
    attempted = str(dig(data, "status", "lastAttemptedRevision") or "")
    if attempted and _is_at(objects, data, attempted, wanted) is False:
        return Judgement(State.WAIT, about, f"failed with the commit before, {short(attempted)}: {text}")
    return _failed(about, ready, data, objects)


def _waits_for(objects: Objects, about: str, data: Object, text: str) -> Judgement:
    """What a dependency that is not ready means: it passes by itself, unless the dependency does not."""
    namespace = str(dig(data, "metadata", "namespace"))
    for one in items(data, "spec", "dependsOn"):
        key = (str(dig(one, "namespace") or namespace), str(dig(one, "name")))
        found = objects.find("Kustomization", *key)
        if found is None and ("Kustomization", key[0]) not in objects.hidden and "not found" in text:
            return Judgement(
                State.FAIL,
                about,
                f"{text}",
                f"correct spec.dependsOn: there is no Kustomization {key[0]}/{key[1]}",
            )
        own = condition(found or {}, "Ready")
        if found is not None and own.get("status") == "False" and own.get("reason") != "DependencyNotReady":
            return Judgement(
                State.FAIL,
                about,
                f"waits for Kustomization {key[0]}/{key[1]}, which fails: {message(own)}",
                f"see: flux get kustomization {key[1]} -n {key[0]}",
                _retry(found),
            )
    return Judgement(State.WAIT, about, text)


def _failed(about: str, found: Object, data: Object, objects: Objects) -> Judgement:
    text = message(found)
    if (inner := _INNER.search(str(found.get("message")))) is not None:
        text = f"{text} {inner[0]}"
    namespace = str(dig(data, "metadata", "namespace"))
    remedy = next(
        (
            words.format(*match.groups(""), namespace=namespace)
            for pattern, words in _REMEDIES
            if (match := re.search(pattern, text))
        ),
        "correct it, and push",
    )
    since = clock(moment(found.get("lastTransitionTime")), objects.now)
    retry = dig(data, "spec", "retryInterval") or dig(data, "spec", "interval")
    tries = "" if is_stalled(data) or not retry else f"; Flux tries again every {retry}"
    return Judgement(
        State.FAIL, about, f"{found.get('reason')}: {text} (since {since}{tries})", remedy, _retry(data)
    )


def _retry(data: Object) -> float:
    """Seconds until Flux tries once more."""
    if is_stalled(data):
        return 0.0
    found = duration(dig(data, "spec", "retryInterval") or dig(data, "spec", "interval"))
    return min(found.total_seconds(), _LONGEST_WAIT) if found else 0.0
