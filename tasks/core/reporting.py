"""Errors on their way out of a command: a line each, also as JSON, and never a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

from invoke.exceptions import Exit

from tasks.core import interrupts
from tasks.core.console import Console, error_data
from tasks.core.errors import InternalError, InterruptedRunError, PlaybookError, refused_by_system


@contextmanager
def reported(*, as_json: bool = False) -> Iterator[None]:
    """Turn an interrupt or a bug into one line, and an error into JSON if nothing else was written.

    Raises:
        InterruptedRunError: Ctrl-C was pressed, or another signal asked for an end.
        RefusedError: the operating system refused, where no door expected it.
        InternalError: something that nothing here expects was raised: a bug of ours.
        PlaybookError: as it came.
    """
    try:
        try:
            with interrupts.told_by_caller():
                yield
        except KeyboardInterrupt:
            raise InterruptedRunError from None
        except interrupts.Interrupted as ended:
            raise InterruptedRunError(ended.number) from None
        except OSError as error:
            raise refused_by_system("", error) from None
        except Exit:
            raise
        except Exception as error:
            raise InternalError(error) from None
    except PlaybookError as error:
        console = Console(as_json=as_json)
        if as_json and not error.is_reported:
            console.write_json({"error": error_data(error)})
        console.fit(error)
        raise


@contextmanager
def already_reported() -> Iterator[None]:
    """Mark an error whose details the command has written out."""
    try:
        yield
    except PlaybookError as error:
        error.is_reported = True
        raise
