"""``--progress``: report the progress of long work on standard error."""

from __future__ import annotations

import os
from time import monotonic

from .console import say

#: seconds before the first line, and between two, on a terminal and elsewhere
_FIRST, _REDRAW, _AGAIN = 1.0, 0.2, 1.0


class Progress:
    """A count of entries: shows how many were done, and the rate.

    ``wanted``: --progress was given; without it progress is shown only on a terminal, and only for
    work of more than a second.  On a terminal the line is redrawn, and at the end erased unless
    ``wanted``; into a pipe or a file a line is written each second, and one at the end.
    """

    __slots__ = ("_begin", "_last", "_shown", "_terminal", "_wanted", "done", "what")

    def __init__(self, wanted: bool, what: str = "entries read", *, shared: bool = False) -> None:
        self._wanted, self.what = wanted, what
        self._terminal = os.isatty(2)
        self._begin = monotonic()
        # shared: standard output is the same terminal, so nothing is shown without --progress
        silent = not wanted and (shared or not self._terminal)
        self._last = float("inf") if silent else self._begin
        self._shown = False
        self.done = 0

    def add(self, number: int) -> None:
        """Count ``number`` more as done."""
        self.done += number
        now = monotonic()
        pause = (_REDRAW if self._shown else _FIRST) if self._terminal else _AGAIN
        if now - self._last >= pause:
            self._last = now
            self._shown = True
            self._show(now)

    def _show(self, now: float) -> None:
        rate = self.done / max(now - self._begin, 1e-3)
        text = f"{self.done:,} {self.what}, {rate:,.0f}/s"
        say(f"\r{text}\x1b[K" if self._terminal else f"{text}\n")

    def close(self) -> None:
        """Print the final count if --progress was given, else erase the line."""
        if self._wanted:
            self._show(monotonic())
            if self._terminal:
                say("\n")
        elif self._shown:
            say("\r\x1b[K")
        self._last = float("inf")
