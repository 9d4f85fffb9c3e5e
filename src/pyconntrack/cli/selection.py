"""The selection of a command, window by window, and the document that it prints.

A small table is handled message by message (:class:`Messages`), a large one as columns
(:class:`pyconntrack.columnar.selection.Columns`, numpy).  Both hold entries in the kernel's order,
each with its place in the window, and have the same methods.  Printed entries are a selection,
formatted by a :class:`Formatter` and written to a :class:`Document`.
"""

from __future__ import annotations

from ..columnar.availability import available
from ..ctnetlink.layout import find
from ..ctnetlink.requests import about_entry
from ..formats.registry import Writer
from ..formats.segments import compile_line
from ..netlink.conversation import batch
from ..netlink.messages import split
from ..thresholds import PRINTED
from .source import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, TypeAlias

    from ..columnar.render import Bulk
    from ..columnar.selection import Columns
    from ..ctnetlink.layout import Layout
    from ..ctnetlink.predicates import Node
    from ..formats.segments import Piece
    from ..netlink.conversation import Batch, Conversation, Failure
    from ..thresholds import Use
    from .console import Output
    from .filter_file import Lines
    from .main import Runner
    from .parser import Command
    from .progress import Progress

    Selection: TypeAlias = "Messages | Columns"
    #: the shape, the message, its raw values
    Row = tuple[Layout, bytes, tuple[Any, ...]]


class Messages:
    """A selection message by message; the place of each entry is its index in ``rows``.

    ``hits``: for --from-file, (place of the entry, number of the line) of each hit.
    """

    __slots__ = ("hits", "rows")

    def __init__(self, rows: list[Row], hits: Iterable[tuple[int, int]] = ()) -> None:
        self.rows = rows
        self.hits = list(hits)

    @staticmethod
    def joined(parts: Sequence[Messages]) -> Messages:
        """Return several selections as one."""
        if len(parts) == 1:
            return parts[0]
        return Messages([row for part in parts for row in part.rows])

    @property
    def count(self) -> int:
        """Return the number of entries."""
        return len(self.rows)

    def items(self) -> list[tuple[Layout, bytes]]:
        """Return the messages with their layouts."""
        return [(layout, message) for layout, message, _ in self.rows]

    def without(self, gone: Iterable[int]) -> Messages:
        """Return the entries except those at the places ``gone``."""
        lost = set(gone)
        if not lost:
            return self
        left = [place for place in range(len(self.rows)) if place not in lost]
        number = {place: new for new, place in enumerate(left)}
        hits = [(number[place], line) for place, line in self.hits if place in number]
        return Messages([self.rows[place] for place in left], hits)

    def requests(
        self, kind: int, tails: Sequence[bytes] | None = None
    ) -> Conversation[list[tuple[int, Failure]]]:
        """Send a request of type ``kind`` for each entry; return (place, failure) of each refusal.

        ``tails``: the attributes that follow each entry's identity.
        """
        rows = zip(self.rows, tails or [b""] * len(self.rows), strict=True)
        wanted = [about_entry(kind, layout, message, tail) for (layout, message, _), tail in rows]
        failures, _ = yield from batch(wanted)
        return [(bad.index, bad) for bad in failures]


def selections(
    runner: Runner, command: Command, node: Node | None, use: Use,
    lines: Lines | None = None, progress: Progress | None = None,
) -> Iterator[Selection]:  # fmt: skip
    """Yield the entries of the command's table that meet ``node`` and any of ``lines``."""
    for batches, worth in dumps(runner, command, node, use):
        if progress is not None:
            progress.total += batches.size
        yield from select(batches, worth, node, lines, progress)


def select(
    batches: Iterable[Batch], worth: int, node: Node | None,
    lines: Lines | None = None, progress: Progress | None = None,
) -> Iterator[Selection]:  # fmt: skip
    """Yield the entries that meet ``node`` and any of ``lines``; columns above ``worth`` bytes."""
    messages = Scan(node, lines)
    arrived = 0
    many: Callable[[bytes], tuple[Columns, int]] | None = None
    for part in batches:
        arrived += part.end
        if many is None and arrived > worth and available():
            from ..columnar.selection import chooser

            many = chooser(node, lines)
        chosen, seen = (many or messages)(part.data[: part.end])
        if chosen.count:
            yield chosen
        if progress is not None:
            progress.add(seen)


class Scan:
    """Select message by message the entries that meet ``node`` and any of ``lines``."""

    __slots__ = ("_known", "_lines", "_node")

    def __init__(self, node: Node | None, lines: Lines | None = None) -> None:
        self._node, self._lines = node, lines
        #: most messages have the shape of the last one of their length, which is tried first
        self._known: dict[int, tuple[Any, ...]] = {}

    def __call__(self, data: bytes) -> tuple[Messages, int]:
        """Return the selection from the messages in ``data``, and how many messages there are."""
        rows: list[Row] = []
        hits: list[tuple[int, int]] = []
        known = self._known
        seen = 0
        for pos, length, _, _, _ in split(data):
            seen += 1
            message = data[pos : pos + length]
            mask, template, unpack, test, layout = known.get(length, _NOTHING)
            if int.from_bytes(message) & mask != template:
                layout = find(message)
                mask, template, unpack = layout.mask, layout.template, layout.struct.unpack
                test = _bound(self._node, layout)
                known[length] = mask, template, unpack, test, layout
            if test is False:
                continue
            raw = unpack(message)
            if test is not True and not test(raw):
                continue
            if self._lines is not None:
                said = self._lines.of(layout, raw)
                if not said:
                    continue
                hits += [(len(rows), line) for line in said]
            rows.append((layout, message, raw))
        return Messages(rows, hits), seen


def _bound(node: Node | None, layout: Layout) -> Any:
    if node is None:
        return True
    from ..ctnetlink.predicates import bind  # not needed for a listing without a filter

    return bind(node, layout)


#: proves no message: a template that no masked value equals
_NOTHING = (0, -1, None, None, None)


def of_messages(
    messages: Iterable[bytes], node: Node | None = None, *, columns: bool = False
) -> Selection:
    """Return the ``messages`` that meet ``node`` as a selection."""
    data = b"".join([message + b"\0" * (-len(message) & 3) for message in messages])
    if columns:
        from ..columnar.selection import chooser

        return chooser(node, None)(data)[0]
    return Scan(node)(data)[0]


class Formatter:
    """Format selections by the segments of each layout."""

    __slots__ = ("_bulk", "_lines", "_pieces_of")

    def __init__(self, pieces_of: Callable[[Layout], list[Piece]]) -> None:
        self._pieces_of = pieces_of
        self._bulk: Bulk | None = None
        self._lines: dict[Layout, Callable[[tuple[object, ...]], str]] = {}

    def __call__(self, chosen: Selection) -> bytes:
        """Return the lines, each with a newline."""
        if not isinstance(chosen, Messages):
            if self._bulk is None:
                from ..columnar.render import Bulk

                self._bulk = Bulk(self._pieces_of)
            return self._bulk.render(chosen.groups, chosen.places)[0]
        lines = self._lines
        out = []
        for layout, _, raw in chosen.rows:
            line = lines.get(layout)
            if line is None:
                line = lines[layout] = compile_line(self._pieces_of(layout), layout)
            out.append(line(raw))
        out.append("")
        return "\n".join(out).encode("utf-8", "backslashreplace")


def formatter_of(writer: Writer, event: str = "") -> Callable[[Selection], bytes]:
    """Return the formatter of entries, or of events of a kind, by ``writer``."""
    lines = Formatter(lambda layout: writer.pieces(layout, event))
    if writer.table is None:
        return lines
    from .aligned import Aligned

    return Aligned(writer, lines, Formatter(writer.table.cells), fitted=bool(event))


def writer_of(command: Command, save: str = "-A", *, events: bool = False) -> Writer:
    """Return the writer that the words of -o select; ``save``: the command of -o save."""
    labels = columns = screen = None
    words = command.output
    if "columns" in command.opts:
        from .field_options import columns_of

        columns = columns_of(command)
        words = words or ["table"]
    if "table" in words:
        from .aligned import screen_of_output

        screen = screen_of_output()
    # any option that needs the label map shows labels, except with -D (as in conntrack(8))
    if command.labelmap is not None and (command.verb != "delete" or "save" in command.output):
        from .option_values import label_names

        labels = label_names(command.labelmap)
    if "iso" in command.opts:
        words = [*words, "iso"]
    return Writer(words, labels, expect=command.table == "expect", command=save,
                  events=events, columns=columns, screen=screen)  # fmt: skip


class Document:
    """Entries written to an output, with the frame of their format.

    Without entries only a ``framed`` format writes anything.  Columns wait until there are
    :data:`PRINTED` entries, as each call has a fixed cost; messages are printed at once, or wait
    for as many if a table is fitted to them.
    """

    __slots__ = ("_gather", "_out", "_size", "_text", "_waiting", "count", "writer")

    def __init__(self, out: Output, writer: Writer) -> None:
        self._out, self.writer, self._gather = out, writer, writer.table is not None
        self._text = formatter_of(writer)
        self._waiting: list[Any] = []  # of one kind
        self._size = self.count = 0

    def add(self, chosen: Selection) -> None:
        """Print these entries, at once or with later ones."""
        if self._waiting and type(chosen) is not type(self._waiting[0]):
            self._print()
        self._waiting.append(chosen)
        self._size += chosen.count
        if self._size >= PRINTED or (isinstance(chosen, Messages) and not self._gather):
            self._print()

    def _print(self) -> None:
        if self._waiting:
            self.raw(self._text(self._waiting[0].joined(self._waiting)), self._size)
            self._waiting, self._size = [], 0

    def raw(self, data: bytes, count: int) -> None:
        """Print ``count`` formatted lines."""
        if not count:
            return
        if not self.count:
            data = self.writer.head + data[len(self.writer.separator) :]
        self._out.write(data)
        self.count += count

    def close(self) -> None:
        """Print the waiting entries and the end of the document."""
        self._print()
        if self.count or self.writer.framed:
            self._out.write(self.writer.foot if self.count else self.writer.head + self.writer.foot)
