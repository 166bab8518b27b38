"""Whether Helm has installed what was pushed.

What the fields mean: https://fluxcd.io/flux/components/helm/helmreleases/#helmrelease-status. No commit is
among them: the generation, and the digest of the values, tell which state of the object was attempted.
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
    is_true,
    message,
    moment,
)
from tasks.live.objects import Key, Object, Objects
from tasks.live.pods import by_time
from tasks.live.wanted import WantedRelease
from tasks.yaml.documents import dig, items, mapping

_FAILED = re.compile(r"^Helm (?:install|upgrade|test|uninstall) failed for release \S+ with chart \S+: ")
_RUNNING = re.compile(r"Running '(\w+)' action with timeout of (\S+)")
_EXACT = re.compile(r"v?\d+\.\d+\.\d+(?:[-+][\w.+-]+)?")
_MOMENT = 60.0  # seconds in which a source, or what values are read from, may still come
_LATE = 90.0  # seconds after its end in which helm-controller has told of an attempt


def judge_release(objects: Objects, wanted: WantedRelease) -> Judgement:
    """Whether a HelmRelease runs what its object says now, from its status and that of its chart."""
    about = f"HelmRelease {wanted.key[0]}/{wanted.key[1]}"
    data = objects.find("HelmRelease", *wanted.key)
    if data is None:
        return objects.absent("HelmRelease", wanted.key, f"flux get helmreleases -n {wanted.key[0]}")
    if dig(data, "spec", "suspend") is True:
        remedy = f"flux resume helmrelease {wanted.key[1]} -n {wanted.key[0]}"
        return Judgement(State.FAIL, about, f"is suspended, and runs {_version(data)}", remedy)
    return (
        _chart(objects, data, about, wanted)
        or _under_way(objects, data, about, wanted)
        or _failure(objects, data, about, wanted)
        or _outcome(data, about, wanted)
    )


def until(objects: Objects, key: Key) -> str:
    """When the attempt that runs now ends, in words; empty if none runs."""
    data = objects.find("HelmRelease", *key)
    ready = condition(data or {}, "Ready")
    running = _RUNNING.search(message(ready))
    if running is None or ready.get("status") != "Unknown":
        return ""
    began, timeout = moment(ready.get("lastTransitionTime")), duration(running[2])
    ends = began + timeout if began and timeout else None
    return f"the {running[1]} ends by {clock(ends, objects.now)} (timeout {running[2]})"


def is_of_older(objects: Objects, key: Key) -> bool:
    """Whether what Helm does now, or did last, is of an older state of the object."""
    data = objects.find("HelmRelease", *key)
    return data is not None and _attempted(data) != dig(data, "metadata", "generation")


def _attempted(data: Object) -> object:
    # Before Flux 2.2 there was no field for it.
    return dig(data, "status", "lastAttemptedGeneration") or dig(data, "status", "observedGeneration")


def _chart(objects: Objects, data: Object, about: str, wanted: WantedRelease) -> Judgement | None:
    """The failure of the chart that the object asks for now; None if it has none."""
    spec = mapping(data, "spec", "chart", "spec")
    namespace = str(dig(spec, "sourceRef", "namespace") or wanted.key[0])
    given = str(dig(data, "status", "helmChart") or f"{namespace}/{wanted.key[0]}-{wanted.key[1]}")
    chart = objects.find("HelmChart", *given.split("/", 1)) if spec and "/" in given else None
    if chart is None or dig(chart, "spec", "version") != spec.get("version") or not is_current(chart):
        return None
    ready = condition(chart, "Ready")
    if is_true(chart, "Stalled") or ready.get("reason") == "InvalidChartReference":
        said = message(condition(chart, "Stalled") or ready).rpartition("remote reference: ")[2]
        remedy = f"correct name and version of the chart: invoke {wanted.task}"
        return Judgement(State.FAIL, about, f"HelmChart {given}: {said}", remedy)
    return None


def _under_way(objects: Objects, data: Object, about: str, wanted: WantedRelease) -> Judgement | None:
    """What is waited for; None if Helm has tried what the object says now."""
    ready, attempted = condition(data, "Ready"), _attempted(data)
    generation = dig(data, "metadata", "generation")
    reason, text = ready.get("reason"), message(ready)
    if reason in ("SourceNotReady", "ArtifactFailed", "DependencyNotReady", "ValuesError"):
        return _lacking(objects, data, about, wanted)
    running = until(objects, wanted.key)
    if running:
        since = clock(moment(ready.get("lastTransitionTime")), objects.now)
        which = (
            "" if attempted == generation else f", of generation {attempted}, while {generation} is wanted"
        )
        overdue = _overdue(objects, ready)
        if overdue:
            return Judgement(
                State.WAIT,
                about,
                f"{running}{which}, and is overdue: helm-controller does not seem to run",
                "kubectl get pods --all-namespaces -l app=helm-controller",
            )
        return Judgement(
            State.WAIT, about, f"{text[0].lower()}{text[1:]} since {since}{which}; {running}",
            f"flux logs --kind HelmRelease --name {wanted.key[1]} -n {wanted.key[0]}",
        )  # fmt: skip
    if attempted != generation and not is_stalled(data):
        return Judgement(State.WAIT, about, "not begun: helm-controller has not come to it yet")
    return None


def _overdue(objects: Objects, ready: Object) -> bool:
    running = _RUNNING.search(message(ready))
    began = moment(ready.get("lastTransitionTime"))
    timeout = duration(running[2]) if running else None
    return bool(began and timeout and (objects.now - began - timeout).total_seconds() > _LATE)


def _lacking(objects: Objects, data: Object, about: str, wanted: WantedRelease) -> Judgement:
    """What a release lacks before Helm can try: its chart, its values, or another release."""
    ready = condition(data, "Ready")
    reason, text = ready.get("reason"), message(ready)
    if reason == "ValuesError":
        return Judgement(
            State.FAIL, about, text, f"create it, or correct spec.valuesFrom: invoke {wanted.task}", _MOMENT
        )
    if reason == "DependencyNotReady":
        return Judgement(State.WAIT, about, text)
    reference = mapping(data, "spec", "chart", "spec", "sourceRef") or mapping(data, "spec", "chartRef")
    kind = str(reference.get("kind"))
    key = (str(reference.get("namespace") or wanted.key[0]), str(reference.get("name")))
    source = objects.find(kind, *key)
    named = f"{kind} {key[0]}/{key[1]}"
    if source is None and (kind, key[0]) not in objects.hidden:
        return Judgement(
            State.FAIL, about, f"{named} does not exist", f"create it: invoke {wanted.task}", _MOMENT
        )
    own = condition(source or {}, "Ready")
    if own.get("status") == "False":
        remedy = f"correct its address; then: flux reconcile source helm {key[1]} -n {key[0]}"
        return Judgement(State.FAIL, about, f"{named}: {message(own)}", remedy, _MOMENT)
    return Judgement(State.WAIT, about, text)


def _failure(objects: Objects, data: Object, about: str, wanted: WantedRelease) -> Judgement | None:
    """The failure of what the object says now; None if there is none."""
    failures = dig(data, "status", "failures") or 0
    released, stalled = condition(data, "Released"), condition(data, "Stalled")
    if not failures and not is_stalled(data):
        return None
    ready = condition(data, "Ready")
    telling = released if released.get("status") == "False" else stalled if is_stalled(data) else ready
    said = _FAILED.sub("", message(telling))
    why = said + _seen_in_events(objects, wanted, said)
    action = "install" if telling.get("reason") == "InstallFailed" else "upgrade"
    remedy = f"correct the values and push: invoke {wanted.task}"
    if "deadline exceeded" in said:
        remedy = f"see what its pods lacked: kubectl get events -n {wanted.namespace}; then {remedy}"
    if is_stalled(data):
        times = f"Flux has given up after {failures} attempts" if failures else "Flux has given up"
        return Judgement(State.FAIL, about, f"{times}: {why}", remedy)
    tried = f"tried {failures} time{'s' if failures != 1 else ''}, and Flux tries again"
    if is_true(data, "Remediated"):
        return Judgement(
            State.FAIL,
            about,
            f"runs the old values again ({_version(data)}); {action} failed: {why} ({tried})",
            remedy,
        )
    return Judgement(State.FAIL, about, f"{action} failed: {why} ({tried})", remedy)


def _seen_in_events(objects: Objects, wanted: WantedRelease, text: str) -> str:
    """What Events of its pods say, where Helm only says that its time was over; the pods may be gone."""
    if "deadline exceeded" not in text:
        return ""
    for event in reversed(by_time(objects.of("Event", wanted.namespace))):
        about = mapping(event, "involvedObject")
        is_ours = str(about.get("name")).startswith(wanted.key[1])
        if (
            about.get("kind") == "Pod"
            and is_ours
            and event.get("reason") in ("Failed", "FailedMount", "FailedScheduling")
        ):
            return f"; Pod {about.get('name')}: {message(event)}"
    return ""


def _outcome(data: Object, about: str, wanted: WantedRelease) -> Judgement:
    """What runs, where Helm has tried what the object says now and tells no failure."""
    ready, status = condition(data, "Ready"), mapping(data, "status")
    newest = next(iter(items(status, "history")), None)
    is_deployed = (
        newest is not None
        and dig(newest, "status") == "deployed"
        and dig(newest, "configDigest") == status.get("lastAttemptedConfigDigest")
        and _is_version(data, dig(newest, "chartVersion"))
        and is_current(data)
    )
    if is_deployed and ready.get("status") == "False":
        return Judgement(
            State.PASS,
            about,
            f"runs {_version(data)} as wanted; its Ready=False is of an older attempt "
            f"(flux reconcile helmrelease {wanted.key[1]} -n {wanted.key[0]} --force clears it)",
        )
    # Before Flux 2.2 there was no history.
    if is_deployed or (newest is None and ready.get("status") == "True" and is_current(data)):
        return Judgement(State.PASS, about, f"runs {_version(data)}")
    if ready.get("status") == "False":
        return Judgement(
            State.FAIL,
            about,
            f"{ready.get('reason')}: {message(ready)}",
            f"correct it: invoke {wanted.task}",
            _MOMENT,
        )
    return Judgement(State.WAIT, about, message(ready) or "not begun: helm-controller has not come to it yet")


def _is_version(data: Object, version: object) -> bool:
    asked = str(dig(data, "spec", "chart", "spec", "version") or "")
    return not _EXACT.fullmatch(asked) or asked.removeprefix("v") == str(version).removeprefix("v")


def _version(data: Object) -> str:
    """Which release runs: chart, version of the chart, and Helm's number of it."""
    for one in items(data, "status", "history"):
        if dig(one, "status") == "deployed":
            return f"{dig(one, 'chartName')}@{dig(one, 'chartVersion')}, v{dig(one, 'version')}"
    applied = dig(data, "status", "lastAppliedRevision")
    return str(applied) if applied else "nothing"
