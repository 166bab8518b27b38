"""What is waited for, on stderr: on a terminal a line that is written anew, elsewhere one for each change."""

import shutil
import sys

from tasks.core.called import as_called

_CLEAR = "\r\033[K"


class Ticker:
    """Lines that stay (``tell``), and below them one that does not (``show``)."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._shown = ""

    def tell(self, line: str) -> None:
        """A line that stays."""
        self._write(f"{_CLEAR if self._is_terminal else ''}{as_called(line)}\n")
        self._shown = ""

    def show(self, line: str, changing: str = "") -> None:
        """What is waited for now; ``changing`` goes before it on a terminal, such as the time so far."""
        if self._is_terminal:
            width = shutil.get_terminal_size().columns
            self._write(f"{_CLEAR}{as_called(changing + line)[: max(1, width - 1)]}")
        elif line != self._shown:
            self._write(f"{as_called(line)}\n")
        self._shown = line

    def end(self) -> None:
        """Take the changing line away."""
        if self._is_terminal and self._shown:
            self._write(_CLEAR)

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
