"""The order of an upgrade with its commands, and the way back: what follows from what differs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tasks.core.settings import S3
from tasks.kube.comparison import WORKLOADS, Difference, Kind
from tasks.kube.resources import Resource
from tasks.kube.storage import storage_of
from tasks.yaml.documents import mapping

# Where the copy of Parseable's own files goes, below the current folder.
_COPY = "parseable-metadata"
# Its users and streams; the log data beside them are never rewritten.
_OWN_FILES = ".parseable/*", "*/.stream/*"


@dataclass(frozen=True)
class Step:
    """One step: what it is for, and the commands for it."""

    title: str
    why: tuple[str, ...]
    commands: tuple[str, ...] = ()

    def lines(self, number: int) -> Iterator[str]:
        """As a person reads it."""
        yield f"{number}. {self.title}"
        yield from (f"   {text}" for text in self.why)
        yield from (f"     {command}" for command in self.commands)

    def data(self) -> dict[str, object]:
        """As JSON."""
        return {"title": self.title, "why": list(self.why), "commands": list(self.commands)}


@dataclass(frozen=True)
class Place:
    """What the commands name: the bucket, the source that Flux watches, the commit, if it is pushed."""

    s3: S3
    source: str
    is_pushed: bool = True
    commit: str = "COMMIT"

    @property
    def fetched(self) -> str:
        """The command that has Flux fetch what was pushed."""
        return f"flux reconcile source {self.source}"


def source_of(kind: str, name: str, namespace: str) -> str:
    """A source as the command of Flux names it: https://fluxcd.io/flux/cmd/flux_reconcile_source/."""
    words = {"GitRepository": "git", "OCIRepository": "oci", "Bucket": "bucket"}
    return f"{words.get(kind, 'git')} {name} -n {namespace}"


def steps(found: Sequence[Difference], place: Place) -> list[Step]:
    """Back up, stop, switch, verify, and the way back."""
    stopped = [one for one in found if _must_stop(one)]
    return [
        _backup(found, place.s3),
        _stop(stopped),
        _switch(found, stopped, place),
        _verify(found),
        _way_back(found, stopped, place),
    ]


def _must_stop(one: Difference) -> bool:
    """Whether the old pods must be gone, or the object, before the new ones may come."""
    is_workload = one.key.kind in WORKLOADS
    return one.blocks or (is_workload and (one.kind in (Kind.REPLACED, Kind.REMOVED) or bool(one.lost)))


def _backup(found: Sequence[Difference], s3: S3) -> Step:
    only = " ".join(f"--include '{pattern}'" for pattern in _OWN_FILES)
    why = ["Parseable's own files (users, streams): a later version may write them in a form of its own."]
    why += [
        f"What is on {one.key} goes with it: whatever Parseable has not uploaded yet. Step 2 has it do that."
        for one in found
        if one.kind is Kind.REMOVED and one.key.kind == "PersistentVolumeClaim" and not one.is_kept
    ]
    command = f"aws --endpoint-url {s3.asked} s3 sync s3://{s3.bucket} {_COPY} --exclude '*' {only}"
    return Step("Back up", tuple(why), (command,))


def _stop(stopped: Sequence[Difference]) -> Step:
    if not stopped:
        return Step("Stop", ("Nothing has to be stopped: what changes is replaced where it runs.",))
    why = [
        "Parseable uploads what it has staged when it stops in order; Vector waits with what it reads.",
        "What Flux would put back meanwhile is suspended.",
    ]
    befores = [one.before for one in stopped if one.before is not None]
    commands = [f"flux suspend {kind} {name} -n {space}" for kind, space, name in _appliers(befores)]
    for one in stopped:
        if one.before is not None and one.key.kind in ("Deployment", "StatefulSet"):
            commands += _scaled_down(one.before)
    commands += [_deleted(one.before) for one in stopped if one.before is not None and _is_deleted(one)]
    return Step("Stop", tuple(why), tuple(commands))


def _is_deleted(one: Difference) -> bool:
    # A DaemonSet cannot be scaled.
    return one.blocks or one.key.kind == "DaemonSet"


def _appliers(items: Iterable[Resource]) -> list[tuple[str, str, str]]:
    """What applies the ``items``: kind for the command of Flux, namespace and name; Kustomizations first."""
    found: dict[tuple[str, str, str], None] = {}
    for item in items:
        if item.kustomization[1]:
            found["kustomization", item.kustomization[0], item.kustomization[1]] = None
        if item.helm_release is not None:
            found["helmrelease", item.helm_release.namespace, item.helm_release.name] = None
    return sorted(found, key=lambda one: one[0] != "kustomization")


def _scaled_down(item: Resource) -> Iterator[str]:
    kubectl, name = f"kubectl -n {item.key.namespace}", f"{item.key.kind.lower()}/{item.key.name}"
    yield f"{kubectl} scale {name} --replicas=0"
    labels = mapping(item.data, "spec", "selector", "matchLabels")
    if labels:
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        yield f"{kubectl} wait --for=delete pod -l {selector} --timeout=5m"


def _deleted(item: Resource) -> str:
    space = f" -n {item.key.namespace}" if item.key.namespace else ""
    return f"kubectl{space} delete {item.key.kind.lower()} {item.key.name}"


def _switch(found: Sequence[Difference], stopped: Sequence[Difference], place: Place) -> Step:
    """Resume only what has been fetched: Flux would put the old state back first."""
    suspended = _appliers(one.before for one in stopped if one.before is not None)
    changed = _appliers(item for one in found if (item := one.after or one.before) is not None)
    commands = [] if place.is_pushed else ["git push"]
    commands.append(place.fetched)
    for applier in dict.fromkeys((*suspended, *changed)):
        kind, space, name = applier
        verb = "resume" if applier in suspended else "reconcile"
        commands.append(f"flux {verb} {kind} {name} -n {space}")
    done = "This command commits and pushes" if place.is_pushed else "This command commits, and you push"
    return Step("Switch", (f"{done}; then, at once:",), tuple(commands))


def _verify(found: Sequence[Difference]) -> Step:
    workloads = [
        one.after
        for one in found
        if one.after is not None
        and one.after.key.kind in WORKLOADS
        and (one.kind is not Kind.CHANGED or one.rolls)
    ]
    commands = [
        f"kubectl -n {key.namespace} rollout status {key.kind.lower()}/{key.name} --timeout=10m"
        for key in (item.key for item in workloads)
    ]
    return Step(
        "Verify", ("Wait for the pods, then ask the cluster.",), (*commands, "invoke verify --stage live")
    )


def _way_back(found: Sequence[Difference], stopped: Sequence[Difference], place: Place) -> Step:
    why = ["The commit is taken back, and Flux deploys what was there before. What does not come back:"]
    why += [
        f"- what was on {one.key}"
        for one in found
        if one.kind is Kind.REMOVED and one.key.kind == "PersistentVolumeClaim" and not one.is_kept
    ]
    why.append("- Parseable's own files, if the later version changed them, until the copy is put back")
    why += [
        f"{storage} stays behind: delete it when nothing on it is needed"
        for one in found
        if one.kind in (Kind.REPLACED, Kind.CHANGED)
        for storage in _new_storage(one)
    ]
    afters = [one.after for one in stopped if one.after is not None]
    suspended = _appliers(afters)
    commands = [f"flux suspend {kind} {name} -n {space}" for kind, space, name in suspended]
    for item in afters:
        if item.key.kind in ("Deployment", "StatefulSet"):
            commands += _scaled_down(item)
    commands += [_deleted(one.after) for one in stopped if one.after is not None and _is_deleted(one)]
    commands += [
        f"git revert --no-edit {place.commit} && git push",
        f"aws --endpoint-url {place.s3.asked} s3 sync {_COPY} s3://{place.s3.bucket}",
        place.fetched,
    ]
    commands += [f"flux resume {kind} {name} -n {space}" for kind, space, name in suspended]
    return Step("The way back, if it must be", tuple(why), tuple(commands))


def _new_storage(one: Difference) -> Iterator[str]:
    """The storage that the pods use from then on only."""
    if one.before is not None and one.after is not None:
        old = storage_of(one.before)
        yield from (str(storage) for storage in storage_of(one.after) if storage not in old)
