"""Entry point of Invoke: the front door of the package beside it."""

from pathlib import Path

# Invoke loads this file under the name "tasks", which hides the package; this makes it that package.
__path__ = [str(Path(__file__).resolve().with_suffix(""))]

from tasks.core import interrupts, streams

interrupts.watch()
streams.guard()

from tasks.collection import ns  # noqa: E402 (it takes most of the first second)

__all__ = ["ns"]
