"""How far a long piece of work is, told on stderr while it goes on."""

import threading
import time

from tasks.core.console import Console

# A few things need no words, nor what is over sooner; then a line now and again, not one for each.
_FEW = 10
_FIRST, _NEXT = 1.0, 2.0


class Pace:
    """Names what is being done to each of many things: ``what`` ("rendering"), and how many if known."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what = what
        self._total = total
        self._count = 0
        self._due = time.monotonic() + _FIRST
        self._lock = threading.Lock()

    def begin(self, name: str) -> None:
        """Count ``name``, which is begun now; say so if there are many and nothing was said for a while."""
        with self._lock:
            self._count += 1
            if self._count <= _FEW or time.monotonic() < self._due:
                return
            self._due = time.monotonic() + _NEXT
            of = "" if self._total is None else f" of {self._total}"
            Console().note(f"{self._what} {name} ({self._count}{of}) …")
