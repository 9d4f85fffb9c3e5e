"""The columns of ``--columns``: fields by name, as cells of CSV and tables, as members of JSON."""

from __future__ import annotations

from time import gmtime, strftime

from ..where.fields import AGE, BYTES, FAMILY, NUMBER, TIME
from . import csv, json
from .segments import DURATION, SIZE, Made, Total
from .table import Column
from .table_columns import age, date, text, total

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..ctnetlink.layout import Layout
    from ..where.fields import Field
    from .segments import Piece

    #: the name of each column as it was spelt, and its field
    Columns = Sequence[tuple[str, Field]]


def csv_head(columns: Columns, *, event: bool) -> bytes:
    """Return the header line of CSV."""
    names = [name for name, _ in columns]
    return (",".join([*csv.EVENT * event, *names]) + "\n").encode()


def csv_row(layout: Layout, columns: Columns, event: str = "") -> list[Piece]:
    """Return the segments of a line of CSV; an absent value is an empty cell."""
    out: list[Piece] = csv.event_cells(event)
    for number, (_, field) in enumerate(columns):
        out += ["," if number else "", *_cell(layout, field)]
    return out


def _cell(layout: Layout, field: Field, string: Callable[[bytes], str] = csv.text) -> list[Piece]:
    if field.kind == AGE:
        return age(layout, None)
    return csv.cell(layout, field.within(layout), string)


def json_head(columns: Columns, what: str) -> bytes:
    """Return the beginning of a document of JSON; ``what`` is flows or events."""
    names = ",".join([json.string(name) for name, _ in columns])
    return f'{{"columns":[{names}],"{what}":[\n'.encode()


def json_row(layout: Layout, columns: Columns, event: str = "") -> list[Piece]:
    """Return the segments of an object: a member for each column, null for an absent value.

    Times are text by ISO 8601 in UTC.
    """
    members = json.event_members(layout, event, _quoted)
    for name, field in columns:
        members.append([f"{json.string(name)}:", *(_value(layout, field) or ["null"])])
    return json.braced(members)


def _value(layout: Layout, field: Field) -> list[Piece]:
    names = field.within(layout)
    if field.kind == AGE:
        return age(layout, None)
    if not names:
        return []
    if field.kind == FAMILY:
        return json.family(layout)
    if field.time:
        return [Made(_quoted, names[0])]
    if len(names) > 1:
        return [Total(None, *names)]
    return json.member(layout, names[0])


def _quoted(nanoseconds: int) -> str:
    """Return a time as text of JSON, by ISO 8601 in UTC."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f'"{strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds))}.{rest:09d}Z"'


def table(columns: Columns) -> list[Column]:
    """Return the columns of a table, of which the last is the first to be left out."""
    return [Column(name, rank, _table_cell(field), right=_right(field))
            for rank, (name, field) in enumerate(columns)]  # fmt: skip


def _right(field: Field) -> bool:
    """Return whether the cells of a field are aligned to the right, as numbers are."""
    words = field.words or field.bits or field.time
    return field.kind == AGE or (field.kind == NUMBER and not words)


def _table_cell(field: Field) -> Callable[[Layout], list[Piece]]:
    def pieces(layout: Layout) -> list[Piece]:
        names = field.within(layout)
        if field.kind == AGE:
            return age(layout)
        if names and field.units is TIME:
            return total(layout, DURATION, *names)
        if names and field.units is BYTES:
            return total(layout, SIZE, *names)
        if names and field.time:
            return date(layout, names[0])
        return _cell(layout, field, text)

    return pieces
