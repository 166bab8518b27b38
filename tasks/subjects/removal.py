"""What the repository is without the rollout: our files go, and our lines in the files of others."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tasks.core.changes import Change
from tasks.core.errors import RefusedError
from tasks.effects.encrypted import inspect
from tasks.effects.files import DeleteFile, WriteFile
from tasks.effects.git import Commit
from tasks.effects.repository import same_text
from tasks.flux.listing import is_below
from tasks.flux.missing import MissingError, need
from tasks.subjects.apps import KS
from tasks.subjects.flux import charts_files, is_same_path
from tasks.subjects.given_secret import is_given
from tasks.subjects.grafana import left_out
from tasks.subjects.grafana_removal import removals
from tasks.subjects.manifests import APPS
from tasks.subjects.message import signed
from tasks.subjects.parseable import PARSEABLE, SECRET
from tasks.subjects.signature import ROLLED_BACK
from tasks.workspace import Workspace
from tasks.yaml.documents import dig, items, load_documents
from tasks.yaml.editing import without
from tasks.yaml.templates import MARKER

Edit = Callable[[str], str]


@dataclass(frozen=True)
class Removal:
    """The files that go or are edited, and the commit of that, None where HEAD has nothing of it.

    ``kept`` are sentences on what stays though it lies among ours.
    """

    files: tuple[WriteFile | DeleteFile, ...]
    commit: Commit | None
    kept: tuple[str, ...] = field(default=())

    @property
    def changes(self) -> tuple[Change, ...]:
        """All of it, in order."""
        return (*self.files, *((self.commit,) if self.commit is not None else ()))


def plan(workspace: Workspace) -> Removal:
    """Take both apps out. Changes nothing.

    Raises:
        RefusedError: edits that are not committed are in the way, something of others needs what would go, or
            a file cannot be edited safely.
        MissingError: the repository shows no folder of apps.
    """
    ours, kept = _own_files(workspace)
    _check_needed(workspace, ours)
    edits = dict(_edits(workspace, [path for path in ours if path in charts_files(workspace)]))
    wanted: dict[str, str | None] = dict.fromkeys(ours)
    repository = workspace.repository
    repository.load_heads([*ours, *edits])
    for path, edit in edits.items():
        text = repository.read(path)
        if text is not None:
            wanted[path] = edit(text)
    _check_edits(workspace, edits, wanted)
    files = tuple(_changes(workspace, wanted))
    committed = [path for path in wanted if _differs(workspace, path, wanted[path])]
    commit = None
    if committed:
        repository.git.check_identity()
        planned = {path: wanted[path] for path in committed}
        commit = Commit(repository.git, tuple(committed), _message(workspace), planned)
    if files and isinstance(workspace.layout.grafana, MissingError) and not left_out(workspace.settings):
        # Whoever has no Grafana any more can still take the rest out.
        kept.append(f"entries of ours in Grafana, if there are any, stay: {workspace.layout.grafana.summary}")
    kept += _without_secret(workspace, wanted) if files else ()
    return Removal(files, commit, tuple(kept))


def _without_secret(workspace: Workspace, wanted: Mapping[str, str | None]) -> Iterator[str]:
    """A sentence on each file of others that goes on naming the Secret that goes."""
    name = workspace.settings.parseable.secret
    if wanted.get(PARSEABLE.path(workspace, SECRET), "") is not None:
        return
    named = re.compile(rf"(?m)\b(?:name|secretName): *[\"']?{re.escape(name)}[\"']?[ ,}}]*$")
    for path, text in workspace.tree.texts.items():
        if named.search(wanted.get(path, text) or ""):
            yield f"{path} goes on naming Secret {name}, without which its pods do not start: take that out"


def _message(workspace: Workspace) -> str:
    subject = f"chore({workspace.layout.namespace}): remove Parseable and Vector"
    said = ["take their files, entries and sources out", "keep the bucket and the logs in it"]
    return signed(workspace, subject, said, ROLLED_BACK)


def _changes(workspace: Workspace, wanted: Mapping[str, str | None]) -> Iterator[WriteFile | DeleteFile]:
    root = workspace.repository.root
    for path, text in wanted.items():
        current = workspace.repository.read(path)
        if current is None or current == text:
            continue
        yield DeleteFile(root, path, current) if text is None else WriteFile(root, path, current, text)


def _differs(workspace: Workspace, path: str, text: str | None) -> bool:
    head = workspace.repository.head(path)
    return head is not None and (text is None or not same_text(head, text))


# Our files ------------------------------------------------------------------------------------------------


def _own_files(workspace: Workspace) -> tuple[list[str], list[str]]:
    """Our files, in the work tree or in HEAD, and a sentence on each other one beside them."""
    repository = workspace.repository
    head = repository.git.head_entries()
    known = dict.fromkeys(sorted({*repository.yaml_files, *head}))
    folders = [app.folder(workspace) for app in APPS]
    inside = [path for path in known if any(is_below(path, folder) for folder in folders)]
    repository.load_heads([path for path in inside if path.endswith((".yaml", ".yml"))])
    ours = [path for path in inside if _is_ours(workspace, path)]
    kept = [
        f"{path} is not the playbook's and stays; Flux no longer applies it"
        for path in inside
        if path not in ours and any(is_below(path, folder) for folder in _folders_of(folders, ours))
    ]
    for path in charts_files(workspace):
        if not _is_ours(workspace, path):
            continue
        users = list(_users(workspace, path))
        if users:
            kept.append(f"{path} stays: {users[0]} takes its chart from there")
        else:
            ours.append(path)
    return ours, kept


def _folders_of(folders: Iterable[str], ours: Iterable[str]) -> list[str]:
    """Those of the folders that hold files of ours: another is somebody else's as a whole."""
    return [folder for folder in folders if any(is_below(path, folder) for path in ours)]


def _is_ours(workspace: Workspace, path: str) -> bool:
    """Whether a file, as it is or was committed, is the playbook's; what sops encrypted carries no mark."""
    texts = [text for text in (workspace.repository.text(path), workspace.repository.head(path)) if text]
    if path == PARSEABLE.path(workspace, SECRET) and not is_given(workspace):
        return any(inspect(text) is not None for text in texts)
    return any(MARKER in text for text in texts)


def _users(workspace: Workspace, path: str) -> Iterator[str]:
    """The files of others that take charts from the HelmRepository in the file ``path``."""
    documents = load_documents(workspace.repository.text(path) or workspace.repository.head(path) or "")
    names = {dig(one, "metadata", "name") for one in documents}
    folders = [app.folder(workspace) for app in APPS]
    for other, text in workspace.tree.texts.items():
        if other == path or any(is_below(other, folder) for folder in folders) or "sourceRef" not in text:
            continue
        for document in load_documents(text):
            for reference in _references(document):
                if dig(reference, "kind") == "HelmRepository" and dig(reference, "name") in names:
                    yield other


def _references(document: object) -> Iterator[object]:
    """Every ``sourceRef`` in a document, wherever a patch puts it."""
    if isinstance(document, dict):
        if "sourceRef" in document:
            yield document["sourceRef"]
        for value in document.values():
            yield from _references(value)
    elif isinstance(document, list):
        for value in document:
            yield from _references(value)


def _check_needed(workspace: Workspace, ours: Iterable[str]) -> None:
    """Check that nothing of others waits for ours.

    Raises:
        RefusedError: something does, and would wait for ever.
    """
    gone = set(ours)
    names = {app.settings(workspace.settings).name for app in APPS}
    for path, text in workspace.tree.texts.items():
        if path in gone or "dependsOn" not in text:
            continue
        for document in load_documents(text):
            for one in items(document, "spec", "dependsOn"):
                if gone and dig(one, "name") in names:
                    raise RefusedError(
                        f"{path} waits for {dig(one, 'name')} (dependsOn), which would be gone",
                        "take that dependency out and commit it, then run again",
                    )


# Our lines ------------------------------------------------------------------------------------------------


def _edits(workspace: Workspace, sources: Iterable[str]) -> Iterator[tuple[str, Edit]]:
    """The files of others with our lines, and what takes these out; ``sources`` are charts' files that go."""
    layout = workspace.layout
    entries = [f"./{app.settings(workspace.settings).name}/{KS}" for app in APPS]
    apps = need(layout.apps_kustomization)
    yield apps, lambda text: _unlisted(text, apps, entries)
    listing = layout.repositories_kustomization
    names = [f"./{path.rpartition('/')[2]}" for path in sources]
    if isinstance(listing, str) and names:
        yield listing, lambda text: _unlisted(text, listing, names)
    yield from removals(workspace)


def _unlisted(text: str, path: str, entries: Iterable[str]) -> str:
    """A kustomization without ``entries``; kustomize refuses one with no field at all, and takes ``[]``."""
    wanted = list(entries)
    return without(
        text,
        ("resources",),
        lambda _, one: any(is_same_path(one, entry) for entry in wanted),
        name=path,
        leave_list=True,
    )


def _check_edits(workspace: Workspace, edits: Mapping[str, Edit], wanted: Mapping[str, str | None]) -> None:
    """Check that nobody's work goes with ours: files are as committed, but for our lines.

    Raises:
        RefusedError: a file has edits that are not committed, or something else is staged for it.
    """
    repository = workspace.repository
    edited = []
    for path, text in wanted.items():
        head, current = repository.head(path), repository.read(path)
        if current is None or (head is not None and same_text(current, head)):
            continue
        if head is None:
            # Of a Secret that was never committed nobody uses the login.
            if path != PARSEABLE.path(workspace, SECRET) and not repository.is_output(path):
                edited.append(path)
            continue
        # Entries that are not committed go too, and what was committed is left.
        if text is None or not (same_text(text, head) or same_text(current, edits[path](head))):
            edited.append(path)
    changed = [path for path in wanted if _differs(workspace, path, wanted[path])]
    staged = repository.git.staged_apart(changed) if changed else []
    if edited or staged:
        raise RefusedError(
            f"{', '.join(edited or staged)}: changed and not committed",
            "commit that, or put it back (git restore), then run again",
        )
