"""Other people's files that get a few lines of ours: when to edit them, and when to commit them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tasks.core.errors import RefusedError
from tasks.effects.files import WriteFile
from tasks.workspace import Workspace


@dataclass(frozen=True)
class SharedFile:
    """One such file: its text in the work tree and in HEAD, None where it is not there.

    ``edit`` puts our lines into a text, which is empty where there is no file yet.
    """

    path: str
    current: str | None = field(repr=False)
    head: str | None = field(repr=False)
    edit: Callable[[str], str] = field(repr=False, compare=False)

    def change(self, workspace: Workspace) -> WriteFile | None:
        """The edit that is still to be made, or None.

        Raises:
            RefusedError: the text cannot be edited safely.
        """
        after = self.edit(self._base(workspace))
        return None if after == self.current else workspace.repository.write(self.path, after)

    def _base(self, workspace: Workspace) -> str:
        """The text that our lines go into: that of HEAD where a run of ours wrote what is there now.

        Other settings may have had other lines in mind then.
        """
        is_output = workspace.repository.outputs.has(self.path, self.head, self.current)
        return (self.head if is_output else self.current) or ""

    def needs_commit(self, workspace: Workspace) -> bool:
        """Whether HEAD lacks our lines, so that the file belongs into our commit.

        Raises:
            RefusedError: it does, and the file also has edits of somebody else that are not committed;
                committing it would commit those too. With --force it may.
        """
        if self.head is not None and self.edit(self.head) == self.head:
            return False
        # Byte for byte: a comment, or other quotes, are somebody's work too.
        if workspace.permissions.force or (
            workspace.repository.git.stores_alike(
                self.path, self.edit(self.head or ""), self.edit(self._base(workspace))
            )
        ):
            return True
        raise RefusedError(
            f"{self.path} has changes of yours that are not committed",
            "commit or stash them first (a formatter's too); with --force they go into the playbook's commit",
        )
