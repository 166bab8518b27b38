"""Entry point of Invoke: the front door of the package beside it."""

import gc
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 (pip refuses an older Python; a checkout is not asked)
    sys.exit(f"error: Python 3.11 or newer is needed, and this is {sys.version.split()[0]}")

# Invoke turns Python's cache of compiled modules off for what it loads: all of ours would be compiled anew
# each time, which takes longer than all else. Who turned it off for Python (-B) still has it off.
sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
# What is loaded stays to the end: to look through it for garbage again and again takes a tenth of a run.
gc.set_threshold(100_000)

# Invoke loads this file under the name "tasks", which hides the package; this makes it that package.
__path__ = [str(Path(__file__).resolve().with_suffix(""))]

from tasks.core import interrupts, streams  # noqa: E402 (see above)

interrupts.watch()
streams.guard()

from tasks.collection import ns  # noqa: E402 (it takes most of the first second)
from tasks.command_line import explain_errors  # noqa: E402

explain_errors()

__all__ = ["ns"]
