"""The text of ``-o table``: fitted to its first entries, and to the terminal."""

from __future__ import annotations

import os

from ..formats.table import Screen
from ..thresholds import PRINTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..formats.registry import Writer


def screen_of_output() -> Screen:
    """Return the width of standard output, and whether it shows colours.

    A terminal has its own width, anything else that of ``COLUMNS``, or none.  Colours are for a
    terminal that is not ``dumb``, unless ``NO_COLOR`` is set.
    """
    given = os.environ.get("COLUMNS", "")
    width = int(given) if given.isascii() and given.isdecimal() else 0
    if not os.isatty(1):
        return Screen(width)
    try:
        width = os.get_terminal_size(1).columns or width
    except OSError:
        pass
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    return Screen(width or 80, colour=not dumb and not os.environ.get("NO_COLOR"))


class Aligned:
    """Format the entries of a selection as lines of a table.

    ``lines`` and ``cells`` return the lines, and the cells of all columns with tabulators between
    them.  The first entries of a listing decide the columns and their widths; ``fitted``: they are
    decided.
    """

    __slots__ = ("_cells", "_fitted", "_lines", "_writer")

    def __init__(
        self, writer: Writer, lines: Callable[[Any], bytes], cells: Callable[[Any], bytes], *,
        fitted: bool,
    ) -> None:  # fmt: skip
        self._writer, self._lines, self._cells, self._fitted = writer, lines, cells, fitted

    def __call__(self, chosen: Any) -> bytes:
        """Return the lines of these entries."""
        table = self._writer.table
        assert table is not None
        if not self._fitted:
            rows = [line.split("\t") for line in self._cells(chosen).decode().split("\n")[:-1]]
            self._writer.head = table.fit(rows, more=chosen.count >= PRINTED)
            self._fitted = True
        return table.within(self._lines(chosen))
