"""The Secret with Parseable's credentials where somebody else gives it: who that is, and with which keys."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.core.changes import Remark
from tasks.flux.substitution import has_variable
from tasks.kube.makers import KINDS, made_from
from tasks.subjects.apps import APP_FOLDER
from tasks.subjects.parseable import PARSEABLE, SECRET_KEYS
from tasks.workspace import Workspace
from tasks.yaml.documents import dig, load_documents, mapping

# What the keys of a Secret lie below.
_VALUES = ("data", "stringData")


@dataclass(frozen=True)
class Giver:
    """An object in the repository that the Secret is, or is made from; ``keys`` is None where not known."""

    path: str
    kind: str
    name: str
    keys: frozenset[str] | None
    is_encrypted: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.name} ({self.path})"


def is_given(workspace: Workspace) -> bool:
    """Whether the settings say that somebody else gives the Secret."""
    return workspace.settings.secret.manage == "existing"


def givers(workspace: Workspace) -> list[Giver]:
    """All objects of the repository that give the Secret of the settings, whoever applies them."""
    name = workspace.settings.parseable.secret
    return [
        giver
        for path, text in workspace.tree.texts.items()
        if name in text and ("Secret" in text or any(kind in text for kind in KINDS))
        for document in load_documents(text)
        if (giver := _giver(path, document, name)) is not None
    ]


def _giver(path: str, document: object, name: str) -> Giver | None:
    if not isinstance(document, dict):
        return None
    own, kind = str(dig(document, "metadata", "name")), str(document.get("kind"))
    if kind == "Secret" and own == name:
        keys = frozenset(str(key) for field in _VALUES for key in mapping(document, field))
        return Giver(path, kind, own, keys, "sops" in document)
    made = made_from(document)
    return Giver(path, kind, own, made.keys) if made is not None and made.name == name else None


def giver_beside(workspace: Workspace) -> Giver | None:
    """The one that lies in the app's own folder, so that the app's kustomization must list it."""
    folder = PARSEABLE.path(workspace, APP_FOLDER)
    return next((one for one in givers(workspace) if posixpath.dirname(one.path) == folder), None)


def told(workspace: Workspace) -> Iterator[Remark]:
    """Say who gives the Secret, for the plan of a task that writes nothing."""
    place = f"{workspace.layout.namespace}/{workspace.settings.parseable.secret}"
    found = givers(workspace)
    for giver in found:
        missing = [key for key in SECRET_KEYS if giver.keys is not None and key not in giver.keys]
        keys = f"without the keys {', '.join(missing)}" if missing else "with the keys that are read"
        known = keys if giver.keys is not None else "with keys that only the cluster knows"
        yield Remark(f"Secret {place} is given by {giver}, {known}")
    if not found:
        yield Remark(f"Secret {place} is given by nothing in the repository: {make_hint(workspace)}")


def show_command(workspace: Workspace) -> str:
    """The command that shows the Secret in the cluster, without its values."""
    return f"kubectl describe secret -n {workspace.layout.namespace} {workspace.settings.parseable.secret}"


def make_hint(workspace: Workspace) -> str:
    """How to see whether the cluster has the Secret, and how to make it by hand."""
    name, namespace = workspace.settings.parseable.secret, workspace.layout.namespace
    return (
        f"{show_command(workspace)}; if there is none: kubectl create secret generic -n {namespace} {name} "
        f"--from-env-file=FILE, with lines KEY=VALUE for {', '.join(SECRET_KEYS)}"
    )


def is_readable(document: dict[str, object]) -> bool:
    """Whether a Secret shows values: sops did not encrypt it, and they are more than variables of Flux."""
    if "sops" in document:
        return False
    values = [value for field in _VALUES for value in mapping(document, field).values()]
    return any(value and not has_variable(value) for value in values)
