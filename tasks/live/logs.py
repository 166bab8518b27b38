"""What pods say of themselves: errors in their logs, and the last words of a container that ended."""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tasks.core.errors import PlaybookError
from tasks.effects.kubectl import ClusterError, Kubectl
from tasks.live.judgement import Judgement, State, name_of
from tasks.live.objects import Object, Objects
from tasks.live.pods import restarts
from tasks.live.workloads import pods_of
from tasks.yaml.documents import dig, items

_MOST_PODS = 3  # of each workload: the questions do not grow with the number of nodes
_TAIL = "tailLines=500&limitBytes=262144"
_LAST_WORDS = 3  # lines
_LONGEST = 200  # characters of a line
# As programs in Rust write it (Vector, Parseable), as text and as JSON.
# The level stands after the time, as in "2024-01-01T00:00:00Z ERROR vector::topology: …".
_ERROR = re.compile(r"^(?:\S+\s+){0,2}(?:ERROR|FATAL)\s|\"level\":\s*\"(?i:error|fatal)\"|panicked at")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Harmless(NamedTuple):
    """A line that says ERROR and means none, and why."""

    pattern: str
    why: str


HARMLESS = (
    # src/internal_events/kubernetes_logs.rs of Vector
    Harmless(
        r"Failed to annotate event with (?:pod|namespace|node) metadata",
        "the pod was gone before its last lines were read; their columns come from the path of the file",
    ),
)


def judge_logs(
    kubectl: Kubectl, objects: Objects, workloads: Sequence[tuple[str, Object]]
) -> list[Judgement]:
    """Whether the pods of each workload complain of errors since they were started.

    Of many pods those are read that were restarted most.
    """
    asked = [
        (task, workload, pod)
        for task, workload in workloads
        for pod in sorted(pods_of(objects, workload), key=restarts, reverse=True)[:_MOST_PODS]
    ]
    if not asked:
        return []
    with ThreadPoolExecutor(len(asked)) as pool:
        texts = list(pool.map(lambda one: _log(kubectl, one[2]), asked))
    return [
        judged for (task, workload, pod), text in zip(asked, texts, strict=True)
        for judged in _judged(task, workload, pod, text)
    ]  # fmt: skip


def _judged(task: str, workload: Object, pod: Object, text: str | PlaybookError) -> Iterator[Judgement]:
    named = f"log of Pod {dig(pod, 'metadata', 'namespace')}/{dig(pod, 'metadata', 'name')}"
    if isinstance(text, PlaybookError):
        yield Judgement(State.UNKNOWN, named, text.summary, text.hint)
        return
    found = errors_in(text)
    if not found:
        yield Judgement(State.PASS, named, f"{len(text.splitlines())} lines without an error")
        return
    command = f"kubectl logs -n {dig(pod, 'metadata', 'namespace')} {dig(pod, 'metadata', 'name')}"
    yield Judgement(
        State.FAIL,
        named,
        f"{len(found)} errors ({name_of(workload)}), the last: {found[-1]}",
        f"{command}; what it is given: invoke {task}",
    )


def errors_in(text: str) -> list[str]:
    """The lines of a log that tell an error, without those that are known to be harmless."""
    lines = (_COLOURS.sub("", line).strip() for line in text.splitlines())
    return [
        line[:_LONGEST]
        for line in lines
        if _ERROR.search(line) and not any(re.search(one.pattern, line) for one in HARMLESS)
    ]


def last_words(kubectl: Kubectl, pod: Object, container: str) -> str:
    """The last lines of the container before the one that runs now; empty where they cannot be read."""
    path = _path(kubectl, pod)
    try:
        text = kubectl.text(f"{path}?container={container}&previous=true&tailLines={_LAST_WORDS}")
    except ClusterError:
        return ""
    lines = [_COLOURS.sub("", line).strip()[:_LONGEST] for line in text.splitlines() if line.strip()]
    return " / ".join(lines)


def _log(kubectl: Kubectl, pod: Object) -> str | PlaybookError:
    container = dig(items(pod, "spec", "containers"), 0, "name")
    try:
        return kubectl.text(f"{_path(kubectl, pod)}?container={container}&{_TAIL}")
    except PlaybookError as error:
        return error


def _path(kubectl: Kubectl, pod: Object) -> str:
    namespace, name = str(dig(pod, "metadata", "namespace")), str(dig(pod, "metadata", "name"))
    return f"{kubectl.path('', 'pods', namespace, name)}/log"
