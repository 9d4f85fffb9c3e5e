"""``-L --sort --limit --columns``: a sorted listing, and a table for people.

Sorting keeps all entries that match in memory; a limit without it stops when it is reached.
"""

from __future__ import annotations

import os
from operator import itemgetter

from ...escape import meant
from ...formats.csv import cell
from ...formats.registry import Writer
from ...formats.segments import shown
from ...netlink.messages import text
from ...thresholds import LISTING, PRINTED
from ...where.fields import ADDRESS, AGE, FAMILY, LABEL, NUMBER, STATE, STRING, field_of, spellings
from ..console import UsageError
from ..filters import predicate
from ..progress import Progress
from ..selection import Document, Formatter, Messages, of_messages, selections, writer_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from ...ctnetlink.layout import Layout
    from ...formats.segments import Piece
    from ...where.fields import Field
    from ..main import Runner
    from ..parser import Command
    from ..selection import Selection


def show(runner: Runner, command: Command) -> int:
    """Run -L with any of --sort, --limit and --columns."""
    opts = command.opts
    order = [(_field(name, "--sort"), down) for name, down in opts.get("sort", ())]
    columns = [(name, _field(name, "--columns")) for name in opts.get("columns", ())]
    node = predicate(command)
    if columns and (bad := [word for word in command.output if word != "csv"]):
        raise UsageError(f"cannot combine --columns with -o {bad[0]}: it has columns of its own")
    progress = Progress(wanted=False) if order else None
    found = selections(runner, command, node, LISTING, progress=progress)
    if progress is not None:
        found = _sorted(found, order, opts.get("limit"), progress)
    elif "limit" in opts:
        found = _first(found, int(opts["limit"]))
    writer = _Cells(columns, csv="csv" in command.output) if columns else writer_of(command)
    table = None
    if columns and not command.output:
        colour = runner.out.terminal and not os.environ.get("NO_COLOR")
        table = _Table(writer, columns, colour=colour)
    document = Document(runner.out, writer, table, gather=table is not None)
    for part in found:
        document.add(part)
    if progress is not None:
        progress.close()
    document.close()
    if table is not None and not document.count:
        runner.out.write(table.head())
    runner.summary(document.count, "flow entries have been shown")
    return 0


def _field(name: str, option: str) -> Field:
    field = field_of(name)
    if field is None:
        raise UsageError(f"{option}: there is no field `{name}'{meant(name, spellings())}",
                         hint=False)  # fmt: skip
    if field.kind == AGE:
        raise UsageError(f"{option}: an age is not kept, take `start'", hint=False)
    return field


def _first(found: Iterable[Selection], limit: int) -> Iterator[Selection]:
    for part in found:
        if not limit:
            return
        if part.count > limit:
            part = of_messages([message for _, message in part.items()[:limit]])
        limit -= part.count
        yield part
        if not limit:
            return


# ---- order --------------------------------------------------------------------------------------


def _sorted(
    found: Iterable[Selection], order: list[tuple[Field, bool]], limit: int | None,
    progress: Progress,
) -> Iterator[Selection]:  # fmt: skip
    """Yield the entries in order, equal ones in the kernel's; those that lack a field come last."""
    entries: list[tuple[list[tuple[bool, Any]], Layout, bytes]] = []
    getters: dict[Layout, list[Any]] = {}
    columns = False
    for part in found:
        columns |= not isinstance(part, Messages)
        for layout, message in part.items():
            mine = getters.get(layout)
            if mine is None:
                mine = getters[layout] = [_key(layout, field, down) for field, down in order]
            raw = layout.unpack(message)
            entries.append(([key(raw) for key in mine], layout, message))
        if limit is not None and len(entries) > 4 * max(limit, PRINTED):
            entries.sort(key=itemgetter(0))
            entries = entries[:limit]
    entries.sort(key=itemgetter(0))
    entries = entries[:limit]
    progress.stage("sorted entries written", len(entries))
    for low in range(0, len(entries), PRINTED):
        progress.add(len(entries[low : low + PRINTED]))
        block = entries[low : low + PRINTED]
        if columns:
            yield of_messages([message for _, _, message in block], columns=True)
        else:
            yield Messages([(layout, message, layout.unpack(message))
                            for _, layout, message in block])  # fmt: skip


def _key(layout: Layout, field: Field, down: bool) -> Any:
    """Return a function from an entry's raw values to (absent, a value to compare)."""
    value = _value(layout, field)
    if value is None:
        return lambda raw: (True, 0)
    if field.kind == STRING:
        if not down:
            return lambda raw: (False, value(raw))
        # where one text begins with the other, the longer comes first
        return lambda raw: (False, [*(-ord(char) for char in value(raw)), 1])
    if field.kind == ADDRESS or field.kind == LABEL:
        plain = value

        def value(raw: Any) -> int:
            packed = plain(raw)
            return int.from_bytes(packed) + (len(packed) << 130)

    number = value
    return (lambda raw: (False, -number(raw))) if down else (lambda raw: (False, number(raw)))


def _value(layout: Layout, field: Field) -> Any:
    """Return a function from raw values to the field's value, or None if the layout lacks it."""
    if field.kind == FAMILY:
        family = layout.family
        return lambda raw: family
    places = [layout.names.index(name) for name in _names(layout, field)]
    if not places:
        return None
    if len(places) > 1:
        return lambda raw: sum([raw[place] for place in places])
    place = places[0]
    if field.kind == STRING:
        return lambda raw: text(raw[place])
    return lambda raw: raw[place]


def _names(layout: Layout, field: Field) -> list[str]:
    """Return the schema fields whose sum is the field; of the states an entry has one."""
    names = [name for name in field.names if name in layout.slots]
    return names if field.kind == STATE or len(names) == len(field.names) else []


# ---- a table ------------------------------------------------------------------------------------


class _Cells(Writer):
    """The requested columns, as CSV or for a table."""

    def __init__(self, columns: list[tuple[str, Field]], *, csv: bool) -> None:
        super().__init__(("csv",) if csv else (), None)
        self._fields = [field for _, field in columns]
        self._csv = csv
        if csv:
            self.head = (",".join([name for name, _ in columns]) + "\n").encode()

    def pieces(self, layout: Layout, event: str = "") -> list[Piece]:
        """Return the segments of a line of cells; an absent value is empty."""
        out: list[Piece] = []
        for field in self._fields:
            names = ["family"] if field.kind == FAMILY else _names(layout, field)
            cells = cell(layout, names) if self._csv else cell(layout, names, shown)
            out += ["," if self._csv else "\t", *cells]
        return out[1:]


class _Table:
    """Format entries as lines of aligned cells; a column never gets narrower."""

    def __init__(self, cells: Writer, columns: list[tuple[str, Field]], *, colour: bool) -> None:
        self._text = Formatter(cells.pieces)
        self._names = [name for name, _ in columns]
        self._widths = list(map(len, self._names))
        self._right = [field.kind == NUMBER and not field.words and field.name != "status"
                       for _, field in columns]  # fmt: skip
        self._colour = colour
        self._begun = False

    def __call__(self, chosen: Selection) -> bytes:
        """Return the lines, preceded by the heading the first time."""
        rows = [line.split("\t") for line in self._text(chosen).decode().split("\n")[:-1]]
        for number, column in enumerate(zip(*rows, strict=True)):
            self._widths[number] = max(self._widths[number], max(map(len, column)))
        head, self._begun = b"" if self._begun else self.head(), True
        specs = self._specs()
        line = "  ".join(specs)
        lines = [line % tuple([text or "-" for text in row]) for row in rows]
        if self._colour:  # absent values are dimmed
            lines = ["  ".join([spec % text if text else f"\x1b[2m{spec % '-'}\x1b[0m"
                                for spec, text in zip(specs, row, strict=True)])
                     for row in rows]  # fmt: skip
        return head + ("\n".join(lines) + "\n").encode()

    def head(self) -> bytes:
        """Return the heading line."""
        line = "  ".join(self._specs()) % tuple(self._names)
        return (f"\x1b[1m{line}\x1b[0m\n" if self._colour else f"{line}\n").encode()

    def _specs(self) -> list[str]:
        """Return the conversion of each cell, without padding after the last one."""
        pairs = zip(self._right, self._widths, strict=True)
        specs = [f"%{width}s" if right else f"%-{width}s" for right, width in pairs]
        return specs if self._right[-1] else [*specs[:-1], "%s"]
