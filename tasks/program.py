"""The command ``parseable-playbook`` of an installed wheel: Invoke's program over our commands."""

import gc
import sys
from pathlib import Path

# Installed, this is parseable_playbook.tasks.program; our own imports begin at the folder above.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tasks.core import called, interrupts, streams


def main() -> None:
    """Run the command line of this process, and exit with its code."""
    # What is loaded stays to the end: to look through it for garbage again and again takes a tenth of a run.
    gc.set_threshold(100_000)
    called.call("parseable-playbook")
    interrupts.watch()
    streams.guard()
    # It takes most of the first second.
    from tasks.command_line import Playbook, explain_errors

    explain_errors()
    Playbook().run()
