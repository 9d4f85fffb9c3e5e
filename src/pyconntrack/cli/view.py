"""``-L --sort --limit --columns``: a listing in an order of one's own, and a table for people.

Sorting keeps all entries that match in memory;
a limit without it ends as soon as it is reached.
"""

from __future__ import annotations

import os

from .. import vocab
from ..fields import address, label_numbers
from ..output.csv import quoted
from ..output.pieces import flags
from ..receiver import LISTING
from ..where.lex import meant
from ..where.names import ADDRESS, FAMILY, LABEL, NUMBER, STRING, field_of, spellings
from ..wire.tlv import text
from .document import Document, writer_of
from .select import predicate
from .selection import Formatter, Messages, of_messages, selections
from .values import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from ..layout import Layout
    from ..where.names import Field
    from .parse import Command
    from .run import Runner
    from .selection import Selection

    Item = tuple[Layout, bytes]

#: rows that are aligned together
_BLOCK = 4096


def show(runner: Runner, command: Command) -> int:
    """-L with any of these options."""
    opts = command.opts
    order = [(_field(name, "--sort"), down) for name, down in opts.get("sort", ())]
    columns = [(name, _field(name, "--columns")) for name in opts.get("columns", ())]
    node = predicate(command)
    if columns and (bad := [word for word in command.output if word != "csv"]):
        raise UsageError(f"cannot combine --columns with -o {bad[0]}: it has columns of its own")
    found = selections(runner, command, node, LISTING)
    if order:
        found = _sorted(found, order, opts.get("limit"))
    elif "limit" in opts:
        found = _first(found, int(opts["limit"]))
    if columns:
        count = _table(runner, found, columns, csv="csv" in command.output)
    else:
        document = Document(runner.out, writer_of(command))
        text = Formatter(document.writer.pieces)
        for part in found:
            document.raw(text(part), part.count)
        document.close()
        count = document.count
    runner.summary(count, "flow entries have been shown")
    return 0


def _field(name: str, option: str) -> Field:
    field = field_of(name)
    if field is None:
        raise UsageError(f"{option}: there is no field `{name}'{meant(name, spellings())}",
                         hint=False)  # fmt: skip
    return field


def _first(found: Iterable[Selection], limit: int) -> Iterator[Selection]:
    for part in found:
        if not limit:
            return
        if part.count > limit:
            part = of_messages([message for _, message in part.items()[:limit]], columns=False)
        limit -= part.count
        yield part
        if not limit:
            return


# ---- order --------------------------------------------------------------------------------------


def _sorted(
    found: Iterable[Selection], order: list[tuple[Field, bool]], limit: int | None
) -> Iterator[Selection]:
    """The entries in order, equal ones in the kernel's; what lacks a field comes last."""
    keys: list[tuple[tuple[bool, Any], ...]] = []
    messages: list[bytes] = []
    getters: dict[Layout, list[Any]] = {}
    columns = False
    for part in found:
        columns |= not isinstance(part, Messages)
        for layout, message in part.items():
            mine = getters.get(layout)
            if mine is None:
                mine = getters[layout] = [_key(layout, field, down) for field, down in order]
            raw = layout.unpack(message)
            keys.append(tuple([key(raw) for key in mine]))
            messages.append(message)
        if limit is not None and len(messages) > 4 * max(limit, _BLOCK):
            best = sorted(range(len(keys)), key=keys.__getitem__)[:limit]
            # in their old order, so that equal ones stay in the kernel's
            best.sort()
            keys, messages = [keys[i] for i in best], [messages[i] for i in best]
    best = sorted(range(len(keys)), key=keys.__getitem__)[:limit]
    for at in range(0, len(best), _BLOCK):
        block = [messages[i] for i in best[at : at + _BLOCK]]
        yield of_messages(block, columns)


def _key(layout: Layout, field: Field, down: bool) -> Any:
    """A function of an entry's raw values: (absent, something to compare)."""
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
    """A function of an entry's raw values to the field's; None where the shape lacks it."""
    if field.kind == FAMILY:
        family = layout.family
        return lambda raw: family
    places = [layout.names.index(name) for name in field.names if name in layout.slots]
    if not places or (len(places) < len(field.names) and field.name in ("packets", "bytes")):
        return None
    if len(places) > 1:
        return lambda raw: sum([raw[at] for at in places])
    at = places[0]
    if field.kind == STRING:
        return lambda raw: text(raw[at])
    return lambda raw: raw[at]


# ---- a table ------------------------------------------------------------------------------------


def _table(
    runner: Runner, found: Iterable[Selection], columns: list[tuple[str, Field]], *, csv: bool
) -> int:
    colour = runner.out.terminal and not os.environ.get("NO_COLOR")
    names = [name for name, _ in columns]
    widths = [0 if csv else len(name) for name in names]
    right = [field.kind == NUMBER and not field.words and field.name != "status"
             for _, field in columns]  # fmt: skip
    cells: dict[Layout, list[Any]] = {}
    count = 0
    for part in _blocks(found):
        rows = []
        for layout, message in part:
            mine = cells.get(layout)
            if mine is None:
                mine = cells[layout] = [_cell(layout, field) for _, field in columns]
            raw = layout.unpack(message)
            rows.append([cell(raw) for cell in mine])
        if csv:
            lines = [",".join([quoted(text) for text in row]) for row in rows]
        else:
            for at, column in enumerate(zip(*rows, strict=True)):
                widths[at] = max(widths[at], max(map(len, column)))
            lines = [
                _line([text or "-" for text in row], widths, right, row if colour else None)
                for row in rows
            ]
        if not count:
            head = ",".join(names) if csv else _line(names, widths, right)
            lines.insert(0, f"\x1b[1m{head}\x1b[0m" if colour and not csv else head)
        count += len(rows)
        runner.out.write(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))
    if not count:
        head = ",".join(names) if csv else _line(names, widths, right)
        runner.out.write((head + "\n").encode("utf-8", "backslashreplace"))
    return count


def _blocks(found: Iterable[Selection]) -> Iterator[list[Item]]:
    waiting: list[Item] = []
    for part in found:
        waiting += part.items()
        if len(waiting) >= _BLOCK:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _line(
    cells: list[str], widths: list[int], right: list[bool], row: list[str] | None = None
) -> str:
    """A line; with `row` (the values themselves) what is absent is dimmed."""
    parts = [
        text.rjust(width) if number else text.ljust(width)
        for text, width, number in zip(cells, widths, right, strict=True)
    ]
    parts[-1] = parts[-1].rstrip() if not right[-1] else parts[-1]
    if row is not None:
        parts = [part if value else f"\x1b[2m{part}\x1b[0m"
                 for part, value in zip(parts, row, strict=True)]  # fmt: skip
    return "  ".join(parts)


def _cell(layout: Layout, field: Field) -> Any:
    """A function of an entry's raw values to a cell; "" for what is absent."""
    value = _value(layout, field)
    if value is None:
        return lambda raw: ""
    if field.kind == FAMILY:
        return lambda raw: vocab.FAMILY.get(value(raw), str(value(raw)))
    if field.kind == ADDRESS:
        return lambda raw: address(value(raw))
    if field.kind == STRING:
        return value
    if field.kind == LABEL:
        return lambda raw: "|".join(map(str, label_numbers(value(raw))))
    if field.name == "status":
        return lambda raw: flags(vocab.STATUS, value(raw), "|")
    words = field.words
    if field.name == "state":
        name = next(name for name in field.names if name in layout.slots)
        words = layout.slots[name].attr.words or {}
    if words:
        return lambda raw: words.get(value(raw)) or str(value(raw))
    return lambda raw: str(value(raw))
