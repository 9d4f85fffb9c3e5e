"""``-o table``: a view for people, aligned, in the width of the terminal.

Each entry is a line of cells (:class:`.segments.Row`).  :meth:`Table.fit` decides once which
columns are shown and how wide they are: a longer value moves the rest of its own line only.
Columns that do not fit are left out by :attr:`Column.rank`, and a line is never wrapped.
"""

from __future__ import annotations

from operator import itemgetter

from .segments import GAP, Cell, Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..ctnetlink.layout import Layout
    from .segments import Piece

    Pieces = Callable[[Layout], list[Piece]]


#: what a destination begins with
ARROW = "-> "
RED, GREEN, YELLOW, PLAIN = 31, 32, 33, 39
#: characters by which a value is longer than most
_FAR = 6
_EVENT_COLOURS = {"new": GREEN, "update": YELLOW, "destroy": RED}


class Screen:
    """Where a table is shown: its ``width`` in characters (0: any), and whether in ``colour``."""

    __slots__ = ("colour", "width")

    def __init__(self, width: int = 0, *, colour: bool = False) -> None:
        self.width, self.colour = width, colour

    def painted(self, word: str, colour: int) -> str:
        """Return ``word`` in a colour; all words have as many bytes more, :attr:`unseen`."""
        return f"\x1b[{colour}m{word}\x1b[39m" if self.colour else word

    @property
    def unseen(self) -> int:
        """Return the number of bytes that set and end the colour of a word."""
        return len(self.painted("", PLAIN))


class Column:
    """A column: heading, the segments of its cells (none where an entry has no value).

    ``rank``: columns are shown by ascending rank, each that still fits, and rank 0 always;
    ``usual``: the width of most values; ``right``: numbers, aligned to the right; ``unseen``: bytes
    of each cell that only set colours.
    """

    __slots__ = ("name", "pieces", "rank", "right", "unseen", "usual")

    def __init__(
        self, name: str, rank: int, pieces: Pieces, usual: int = 0, *,
        right: bool = False, unseen: int = 0,
    ) -> None:  # fmt: skip
        self.name, self.rank, self.pieces = name, rank, pieces
        self.usual, self.right, self.unseen = usual, right, unseen


class Table:
    """The columns of a table that are shown, and their places.

    ``absent``: the text of an empty cell; ``events``: a column for the kind of event comes first.
    """

    __slots__ = ("_absent", "_columns", "_events", "_shown", "_unseen", "screen")

    def __init__(
        self, columns: Sequence[Column], screen: Screen, absent: str = "", *, events: bool = False
    ) -> None:
        self._columns, self.screen, self._absent = list(columns), screen, absent
        self._events = Column("EVENT", 0, lambda layout: [], 7, unseen=screen.unseen)
        if events:
            self._columns.insert(0, self._events)
        self._shown: list[tuple[Column, int]] = []
        self._unseen = 0

    def cells(self, layout: Layout) -> list[Piece]:
        """Return the segments of the cells of all columns, with tabulators between them."""
        out: list[Piece] = []
        for column in self._columns:
            out += ["\t", *column.pieces(layout)]
        return out[1:]

    def fit(self, rows: Sequence[Sequence[str]], *, more: bool) -> bytes:
        """Choose the columns and their widths; return the line of headings.

        ``rows``: the cells of the first entries; ``more``: whether others may come, for which
        columns are kept that have no value yet, and widths are the usual ones or more.
        """
        cells = [*zip(*rows, strict=True)] if rows else [()] * len(self._columns)
        kept: list[tuple[Column, list[int], int]] = []
        for column, texts in zip(self._columns, cells, strict=True):
            lengths = sorted([_width(text) - column.unseen for text in texts if text])
            empty = bool(rows) and not any(lengths)
            if not empty or more or self._absent or not column.rank:
                # an empty column gives way to all others
                kept.append((column, lengths, column.rank + 1000 * empty))
        self._shown = self._chosen(kept, more=more, cut=False)
        if len(self._shown) < len(kept):
            self._shown = self._chosen(kept, more=more, cut=True)
        self._unseen = sum(column.unseen for column, _ in self._shown)
        return self._head()

    def _chosen(
        self, columns: Sequence[tuple[Column, list[int], int]], *, more: bool, cut: bool
    ) -> list[tuple[Column, int]]:
        """Return the columns that fit, by rank, and their widths; ``cut``: for most values only."""
        room = self.screen.width + GAP
        widths: dict[Column, int] = {}
        for column, lengths, rank in sorted(columns, key=itemgetter(2)):
            width = max(len(column.name), column.usual * more, _width_of(lengths, cut=cut))
            if not self.screen.width or not rank or width + GAP <= room:
                widths[column] = width
                room -= width + GAP
        return [(column, widths[column]) for column, _, _ in columns if column in widths]

    def _places(self) -> list[tuple[Column, int]]:
        """Return the columns, and where their cells begin, or end if aligned to the right."""
        places, end = [], 0
        for column, width in self._shown:
            places.append((column, end + width if column.right else end))
            end += width + GAP
        return places

    def _head(self) -> bytes:
        line = ""
        for column, place in self._places():
            line = line.ljust(place - len(column.name) if column.right else place) + column.name
        return (f"\x1b[1m{line}\x1b[0m\n" if self.screen.colour else f"{line}\n").encode()

    def pieces(self, layout: Layout, event: str = "") -> list[Piece]:
        """Return the segments of a line; ``event``: new, update or destroy."""
        cells = []
        unseen = 0
        for column, place in self._places():
            pieces = column.pieces(layout)
            if column is self._events:
                pieces = [self.screen.painted(event.upper(), _EVENT_COLOURS[event])]
            cells.append(Cell(pieces, place + unseen, right=column.right))
            unseen += column.unseen
        return [Row(cells, self._absent)]

    def within(self, text: bytes) -> bytes:
        """Return lines without the last cells of those that are wider than the screen.

        Such a line ends in ``>``.  It keeps its source and destination, or its first cell.
        """
        if not self.screen.width:
            return text
        width = self.screen.width + self._unseen
        lines = text.split(b"\n")
        if max(map(len, lines)) <= width:
            return text
        return b"\n".join([_short(line, width) if len(line) > width else line for line in lines])


def _short(line: bytes, width: int) -> bytes:
    gap = b" " * GAP
    indent = len(line) - len(line.lstrip())
    least = line.find(gap, line.find(ARROW.encode()) + 1 or indent)
    end = max(line.rfind(gap, 0, width), least)
    return line if least < 0 else line[:end].rstrip() + b" >"


def _width_of(lengths: list[int], *, cut: bool) -> int:
    """Return the greatest of the lengths, ascending; with ``cut`` without a few far longer ones."""
    most = lengths[-1] if lengths else 0
    usual = lengths[(len(lengths) - 1) * 9 // 10] if lengths else 0
    return usual if cut and most > usual + _FAR else most


def _width(text: str) -> int:
    """Return the columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1
               for char in text)  # fmt: skip
