"""What the repository does not show: values that stand for the errors that say so."""

from collections.abc import Sequence
from typing import TypeVar

from tasks.core.errors import RefusedError

T = TypeVar("T")


class MissingError(RefusedError):
    """Something that a task needs and the repository does not show, or several such things.

    ``is_all`` says that nothing else matters beside it: what else is missing follows from it.
    """

    def __init__(
        self, summary: str, hint: str = "", parts: Sequence[tuple[str, str]] = (), *, is_all: bool = False
    ) -> None:
        super().__init__(summary, hint)
        self._parts = tuple(parts) or ((summary, hint),)
        self.is_all = is_all

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        return self._parts


def need(found: T | MissingError) -> T:
    """The value that was found.

    Raises:
        MissingError: it was not.
    """
    if isinstance(found, MissingError):
        raise found
    return found


def need_all(*found: object) -> None:
    """Check several at once.

    Raises:
        MissingError: one of them, or one error naming all that is missing.
    """
    missing = list({str(item): item for item in found if isinstance(item, MissingError)}.values())
    missing = [item for item in missing if item.is_all][:1] or missing
    if len(missing) == 1:
        raise missing[0]
    if missing:
        raise MissingError(
            "; ".join(item.summary for item in missing),
            "; ".join(item.hint for item in missing if item.hint),
            [part for item in missing for part in item.parts],
        )
