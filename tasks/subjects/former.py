"""What earlier settings left: our files in other folders, and files that are no longer asked for."""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tasks.core.errors import RefusedError
from tasks.effects.files import DeleteFile
from tasks.effects.repository import same_text
from tasks.flux.listing import Listing, is_below
from tasks.flux.missing import MissingError, need
from tasks.flux.places import choose_scope
from tasks.flux.scope import Scope, scopes_of
from tasks.subjects.apps import KS
from tasks.subjects.flux import is_same_path
from tasks.subjects.given_secret import is_given
from tasks.subjects.manifests import APPS, own_files
from tasks.subjects.parseable import SECRET, STREAM_HEADER
from tasks.subjects.shared_files import SharedFile
from tasks.workspace import Workspace
from tasks.yaml.editing import without
from tasks.yaml.templates import MARKER


@dataclass(frozen=True)
class Former:
    """The ``folders`` of our apps under earlier names, and all ``files`` of ours that go."""

    folders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def changes(self, workspace: Workspace) -> Iterator[DeleteFile]:
        """Delete what is still there.

        Raises:
            RefusedError: a file has edits that are not committed.
        """
        repository = workspace.repository
        for path in self.files:
            text, head = repository.read(path), repository.head(path)
            if text is None:
                continue
            if head is None:
                # The login of a Secret is taken along, or its plan is refused.
                is_edited = posixpath.basename(path) != posixpath.basename(
                    SECRET
                ) and not repository.is_output(path)
            else:
                is_edited = not same_text(text, head)
            if is_edited and not workspace.permissions.force:
                raise RefusedError(
                    f"{path} goes, and has changes that are not committed",
                    "commit them, or run again with --force to have it deleted",
                )
            yield DeleteFile(repository.root, path, text)

    def committed(self, workspace: Workspace) -> tuple[str, ...]:
        """Those of the files that HEAD has."""
        return tuple(path for path in self.files if workspace.repository.head(path) is not None)

    def unlisted(self, workspace: Workspace, lists: Sequence[SharedFile]) -> list[SharedFile]:
        """``lists`` without the entries of the folders, and the other kustomizations that have such."""
        found = {item.path: item for item in lists}
        for folder in self.folders:
            above, name = posixpath.split(folder)
            path = workspace.tree.kustomizations.get(above)
            if path is None:
                continue
            repository = workspace.repository
            item = found.get(path) or SharedFile(
                path, repository.read(path), repository.head(path), lambda text: text
            )
            found[path] = _without_entry(item, f"./{name}/{KS}")
        return list(found.values())


def _without_entry(item: SharedFile, entry: str) -> SharedFile:
    def edit(text: str) -> str:
        return without(
            item.edit(text), ("resources",), lambda _, one: is_same_path(one, entry), name=item.path
        )

    return replace(item, edit=edit)


def former(workspace: Workspace) -> Former:
    """What is there of ours that the settings do not ask for any more, in the work tree or in HEAD.

    Raises:
        RefusedError: files of somebody else lie in a folder that goes.
        MissingError: the repository shows no folder of apps.
    """
    repository = workspace.repository
    head = repository.git.head_entries()
    known = sorted({*repository.yaml_files, *head})
    gone = [path for path in head if posixpath.basename(path) == KS and path not in repository.yaml_files]
    repository.load_heads(gone)
    folders = tuple(_folders(workspace, [*repository.yaml_files, *gone]))
    inside = [path for path in known if any(is_below(path, folder) for folder in folders)]
    repository.load_heads(inside)
    # What sops encrypted carries no mark; somebody else's Secret stays his.
    secret = "" if is_given(workspace) else posixpath.basename(SECRET)
    others = [p for p in inside if not _is_ours(workspace, p) and posixpath.basename(p) != secret]
    if others:
        raise RefusedError(
            f"{', '.join(folders)} is left by an earlier name, and holds what is not the playbook's: "
            f"{', '.join(others)}",
            "move that to another folder and commit it, then run again; or set the name back",
        )
    for folder in folders:
        _check_same_rollout(workspace, folder, [path for path in inside if is_below(path, folder)])
    wanted = own_files(workspace)
    unasked = [
        path
        for app in APPS
        for path in (app.path(workspace, file) for file in app.files if file != SECRET)
        if path not in wanted and _is_ours(workspace, path)
    ]
    return Former(folders, (*inside, *unasked))


_STREAM = re.compile(rf"(?:{STREAM_HEADER}: |/logstream/)[\"']?([\w-]+)")


def _check_same_rollout(workspace: Workspace, folder: str, paths: Sequence[str]) -> None:
    """Check that a folder that would go is not of another rollout, which other settings keep.

    Raises:
        RefusedError: neither the Secret nor the stream that it names is that of the settings.
    """
    parseable = workspace.settings.parseable
    text = "\n".join(
        workspace.repository.text(path) or workspace.repository.head(path) or "" for path in paths
    )
    streams = set(_STREAM.findall(text))
    is_secret_ours = re.search(rf"name: [\"']?{re.escape(parseable.secret)}(?![\w.-])", text)
    if streams and parseable.stream not in streams and not is_secret_ours:
        raise RefusedError(
            f"{folder} was written by the playbook with another Secret and another stream: it looks like "
            "another rollout, and would be deleted as the former one of this",
            "if it is the former one, take it out first with its own settings (invoke remove); two rollouts "
            "need a folder of apps each (gitops.apps)",
        )


def _folders(workspace: Workspace, paths: Sequence[str]) -> Iterator[str]:
    """The folders of apps of ours in this cluster that are not those of the settings."""
    apps = need(workspace.layout.apps)
    ours = {app.folder(workspace) for app in APPS}
    found = dict.fromkeys(
        posixpath.dirname(path)
        for path in paths
        if posixpath.basename(path) == KS
        and posixpath.dirname(path) not in ours
        and _is_ours(workspace, path)
    )
    elsewhere = [folder for folder in found if posixpath.dirname(folder) != apps]
    # What lies elsewhere may be the rollout of another cluster.
    scope = _scope(workspace) if elsewhere else None
    for folder in found:
        path = f"{folder}/{KS}"
        if folder not in elsewhere or (scope is not None and _is_of(scope, path)):
            yield folder


def _is_of(scope: Scope, path: str) -> bool:
    """Whether a cluster applies the file ``path``, and no other does."""
    return scope.has(path) and path not in scope.shared and scope.tree.is_applied(path)


def _scope(workspace: Workspace) -> Scope | None:
    tree = workspace.tree
    found = choose_scope(workspace.settings, tree, scopes_of(Listing(workspace.repository.root, tree)))
    return None if isinstance(found, MissingError) else found


def _is_ours(workspace: Workspace, path: str) -> bool:
    texts = (workspace.repository.text(path), workspace.repository.head(path) or "")
    return any(MARKER in text for text in texts)
