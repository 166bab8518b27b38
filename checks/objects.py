"""How checks read the repository: an object of a file, values by path, and the answer when they lack."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from checks.model import Check, Outcome, Status, failed, passed, unknown
from tasks.core.errors import PlaybookError
from tasks.flux.layout import MissingError
from tasks.subjects.flux import is_same_path
from tasks.workspace import Workspace
from tasks.yaml.documents import load_documents
from tasks.yaml.marks import line_of, line_with

NEEDS_CHART = "whether the chart makes that of it is not known before the chart is rendered"
NEEDS_CLUSTER = "only the running cluster can answer this"


class NotThereError(Exception):
    """What a check looks at does not exist; ``outcome`` is the answer that follows."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.evidence)
        self.outcome = outcome


def answered(run: Callable[[Workspace], Outcome], workspace: Workspace) -> Outcome:
    """Run a check, turning what it could not find or do into its answer."""
    try:
        return run(workspace)
    except MissingError as error:
        return failed(error.summary, "nothing would be deployed", error.hint)
    except _UNANSWERED as error:
        return _answer_to(error)


# What code that reads maps and lists meets where a document has something else: other people's files may have
# any shape, and one that no check foresaw must not keep the others from being answered.
_ODD = (AttributeError, TypeError, ValueError, LookupError, RecursionError, OSError)
_UNANSWERED = (NotThereError, PlaybookError, *_ODD)


def _answer_to(error: Exception) -> Outcome:
    """The answer of a check that met ``error``."""
    if isinstance(error, NotThereError):
        return error.outcome
    if isinstance(error, PlaybookError):
        return unknown(error.summary, error.hint)
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    at = "" if where is None else f" in {where.tb_frame.f_code.co_name}"
    # The error's own text may repeat a value.
    return unknown(
        f"a document has a shape that this check cannot read ({type(error).__name__}{at})",
        "look for a list or a text where a map belongs, or the reverse",
    )


def settled(check: Check, workspace: Workspace) -> Outcome:
    """The answer to ``check`` on rendered objects; on the files alone where nothing could be rendered."""
    if check.settle is not None:
        try:
            outcome = check.settle(workspace)
        except PlaybookError:
            outcome = None
        except _UNANSWERED as error:
            return _answer_to(error)
        if outcome is not None:
            return outcome
    return answered(check.run, workspace)


def linked(run: Callable[[Workspace], Iterable[Outcome]], workspace: Workspace) -> list[Outcome]:
    """What a link found, without what passed unless that is all; what it could not look at is unknown."""
    found: list[Outcome] = []
    try:
        found.extend(run(workspace))
    except _UNANSWERED as error:
        found.append(_answer_to(error))
    told = [one for one in found if one.status is not Status.PASS]
    return told or [passed("; ".join(one.evidence for one in found) or "there is nothing to compare")]


def read(workspace: Workspace, path: str, task: str) -> str:
    """The text of ``path``, which ``task`` writes.

    Raises:
        NotThereError: there is no such file.
    """
    text = workspace.repository.read(path)
    if text is None:
        raise NotThereError(
            failed(f"{path} does not exist", "Flux has nothing to apply", f"invoke {task.lower()}")
        )
    return text


def find_object(
    workspace: Workspace, path: str, kind: str, task: str, name: str | None = None
) -> dict[str, Any]:
    """The object of ``kind``, and called ``name`` if that is given, in ``path``, which ``task`` writes.

    Raises:
        NotThereError: the file or the object does not exist.
    """
    for document in load_documents(read(workspace, path, task)):
        is_kind = isinstance(document, dict) and document.get("kind") == kind
        if is_kind and name in (None, dig(document, "metadata", "name")):
            return dict(document)
    wanted = kind if name is None else f"{kind} {name}"
    raise NotThereError(
        failed(f"{path} holds no {wanted}", "Flux would not create it", f"invoke {task.lower()}")
    )


def dig(data: Any, *path: str | int) -> Any:
    """The value at ``path`` in nested mappings and lists; None where the path ends early."""
    for key in path:
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            data = data[key]
        else:
            return None
    return data


def items(data: Any) -> Sequence[Any]:
    """``data`` if it is a list; an empty one otherwise."""
    return data if isinstance(data, list) else ()


def differences(data: Any, wanted: Iterable[tuple[tuple[str | int, ...], object]]) -> list[str]:
    """A line for each path of ``wanted`` whose value in ``data`` is not, in type too, the one wanted."""
    return [
        f"{'.'.join(map(str, path))} is {_told(path, found)}, not {_shown(value)}"
        for path, value in wanted
        if (found := dig(data, *path)) != value or type(found) is not type(value)
    ]


def _told(path: Sequence[str | int], found: object) -> str:
    """What was found, but for what may be a secret that lies where only its name should."""
    is_secret = found is not None and re.search(r"(?i)passw|secret|token|auth", ".".join(map(str, path)))
    is_readable = not isinstance(found, str) or not found or "$" in found
    return "something else" if is_secret and not is_readable else _shown(found)


def unlisted(workspace: Workspace, folder: str, files: Iterable[str], task: str) -> list[str]:
    """A line for each of ``files`` that the kustomization in ``folder`` does not list."""
    path = f"{folder}/kustomization.yaml"
    listed = items(find_object(workspace, path, "Kustomization", task).get("resources"))
    return [
        f"{path} does not list {file}"
        for file in files
        if not any(is_same_path(item, file) for item in listed)
    ]


def _shown(value: object) -> str:
    if value is None:
        return "not set"
    return "a map" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)


def judged(
    problems: Sequence[str], otherwise: Outcome, *, consequence: str, remedy: str, place: str = ""
) -> Outcome:
    """A failure that names the problems, or ``otherwise`` if there are none."""
    return failed("; ".join(problems), consequence, remedy, place) if problems else otherwise


def place_with(workspace: Workspace, path: str, word: str) -> str:
    """FILE:LINE where ``word`` first stands in a file, else of its beginning."""
    return f"{path}:{line_with(workspace.repository.text(path), word) or 1}"


def place(workspace: Workspace, path: str, data: Mapping[str, Any], *keys: str | int) -> str:
    """FILE:LINE of an object, or of as much of the path ``keys`` in it as the file has."""
    name = str(dig(data, "metadata", "name"))
    return f"{path}:{line_of(workspace.repository.text(path), str(data.get('kind')), name, *keys)}"
