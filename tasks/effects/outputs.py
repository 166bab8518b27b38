"""Which texts we wrote and nobody committed yet: hashes in the git directory, a hint and never a state."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tasks.core.errors import RefusedError
from tasks.effects.files import WriteFile, read_text, write_text

_NAME = "parseable-playbook.written"


class Outputs:
    """The texts that runs wrote since HEAD last changed the file. Nothing but those very bytes counts.

    Whatever else the record holds, or if there is none, a file is taken for somebody's work.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def has(self, path: str, head: str | None, text: str | None) -> bool:
        """Whether a run wrote ``text`` to ``path`` while HEAD had ``head`` there (None: no such file)."""
        return text is not None and _hash(text) in self._of(path, head)

    def note(self, path: str, head: str | None, text: str) -> None:
        """Remember that ``text`` is about to be written.

        Before it is: a run that is killed in between leaves a hash that no file has.
        """
        known = [one for one in self._of(path, head) if one != _hash(text)]
        record = {**self._record(), path: {"head": _hash(head), "texts": [*known, _hash(text)]}}
        # Without a record the next run asks for --force, as for anybody's edit.
        with suppress(RefusedError):
            write_text(self._directory, _NAME, json.dumps(record))

    def _of(self, path: str, head: str | None) -> list[str]:
        """The hashes of what was written to ``path`` since HEAD has ``head`` there."""
        found = self._record().get(path)
        if not isinstance(found, Mapping) or found.get("head") != _hash(head):
            return []
        texts = found.get("texts")
        return [one for one in texts if isinstance(one, str)] if isinstance(texts, list) else []

    def _record(self) -> dict[str, object]:
        try:
            found = json.loads(read_text(self._directory, _NAME) or "{}")
        except (RefusedError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def _hash(text: str | None) -> str:
    return "" if text is None else sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class WriteOutput(WriteFile):
    """Write one file of the repository, and remember that we did. ``head`` is what HEAD has there."""

    head: str | None = field(repr=False)
    outputs: Outputs = field(repr=False, compare=False)

    def apply(self) -> None:
        self.outputs.note(self.path, self.head, self.after)
        super().apply()
