"""Shows a text that is longer than the screen in the user's pager, as git does."""

import os
import shlex
import shutil
import signal
import subprocess
import sys

# What git sets where the user has not: end at once if one screen is enough, keep colours and the text.
_LESS = "FRX"


def show(text: str) -> None:
    """Write ``text`` to stdout, through the pager if stdout is a terminal that is too low for it.

    The pager is ``PAGER``, else less; PAGER=cat or an empty one does without.
    """
    pager = _pager()
    if not pager or not sys.stdout.isatty() or text.count("\n") < shutil.get_terminal_size().lines:
        sys.stdout.write(text)
        return
    try:
        process = subprocess.Popen(
            pager, stdin=subprocess.PIPE, env={"LESS": _LESS, "LV": "-c", **os.environ}
        )
    except OSError:
        sys.stdout.write(text)
        return
    # Ctrl-C is the pager's while it runs: it stops a search there.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.communicate(text.encode(errors="backslashreplace"))
    except BrokenPipeError:
        pass  # whoever quits has seen enough
    finally:
        process.wait()
        signal.signal(signal.SIGINT, before)


def _pager() -> list[str]:
    wanted = os.environ.get("PAGER")
    try:
        pager = shlex.split("less" if wanted is None else wanted)
    except ValueError:
        return []
    return pager if pager and pager != ["cat"] and shutil.which(pager[0]) else []
