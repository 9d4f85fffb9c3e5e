"""How much of a long command is done, at what rate, and how long the rest takes."""

from __future__ import annotations

import os
from time import monotonic

from .console import say, status

#: seconds before the first line of a progress display, and between two, on a terminal and elsewhere
_FIRST, _REDRAW, _AGAIN = 1.0, 0.2, 1.0


class Progress:
    """A count: shows how many are done, the rate, and the time that the rest takes if it is known.

    ``wanted``: --progress was given; without it progress is shown only on a terminal, and only for
    work of more than a second.  On a terminal it is the status line, and at the end erased unless
    ``wanted``; into a pipe or a file a line is written each second, and one at the end.
    ``total``: how many there are, as far as known; 0 if it is not.
    """

    __slots__ = ("_begin", "_last", "_shown", "_terminal", "_wanted", "done", "total", "what")

    def __init__(self, wanted: bool, what: str = "entries read", total: int = 0) -> None:
        self._wanted, self.what, self.total = wanted, what, total
        self._terminal = os.isatty(2)
        self._begin = monotonic()
        self._last = self._begin if wanted or self._terminal else float("inf")
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
            self._show(now, rest=True)

    def stage(self, what: str, total: int = 0) -> None:
        """Count something else from now on."""
        now = monotonic()
        if self._wanted and not self._terminal:
            self._show(now)
        self.what, self.total, self.done = what, total, 0
        self._begin = now
        self._last = max(self._last, now)  # no rate before there is one

    def _show(self, now: float, *, rest: bool = False) -> None:
        seconds = max(now - self._begin, 1e-3)
        text = f"{self.done:,} {self.what}, {self.done / seconds:,.0f}/s"
        if rest and 0 < self.done < self.total:
            text += f", about {_rounded(seconds / self.done * (self.total - self.done))} left"
        if self._terminal:
            status.draw(text)
        else:
            say(f"{text}\n")

    def close(self) -> None:
        """Print the final count if --progress was given; erase the status line."""
        status.erase()
        if self._wanted:
            self._terminal = False
            self._show(monotonic())
        self._wanted = self._terminal = False
        self._last = float("inf")


def _rounded(seconds: float) -> str:
    """Return a duration as precisely as an estimate deserves."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < 100:
        return f"{round(seconds / 5) * 5} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{round(minutes / 60)} h"
