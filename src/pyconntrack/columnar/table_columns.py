"""The columns that a FlowTable can have: their names, and how their values are kept.

By default a table has the columns of ``-o csv``: every field that the kernel can report of a flow,
by its name.  Two kinds of columns exist only on request: the number of a word
(``tcp_state_number``, ``status_bits``) and the bytes of an address (``orig_src_packed``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..ctnetlink.field_names import FIELDS, number_name
from ..ctnetlink.kinds import IPV4, IPV6, LABELS, TEXT, U8
from ..ctnetlink.schema import CONNTRACK, Attr
from ..ctnetlink.vocabulary import FAMILY, FLAGS
from ..errors import RequestError
from ..escape import meant
from ..formats import csv

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Literal

    import numpy.typing as npt

    from .columns import Column

    #: the columns of a table that hold words, sets of words, and addresses
    Word = Literal[
        "family", "orig_proto", "reply_proto", "master_proto", "tcp_state", "sctp_state",
        "dccp_state", "dccp_role",
    ]  # fmt: skip
    Flags = Literal["status"]
    Address = Literal[
        "orig_src", "orig_dst", "reply_src", "reply_dst", "master_src", "master_dst"
    ]  # fmt: skip

NUMBER, WORD, FLAG, TIME, ADDRESS, PACKED, TEXTS, OCTETS, NUMBERS = range(9)


class TableColumn(NamedTuple):
    """A column: its ``name``, and the ``field`` whose values it shows in one of the forms above.

    ``dtype`` and ``width`` (items a row, 0 for one) are those of the array that keeps the field;
    ``words``: the vocabulary of its numbers, if it has one.
    """

    name: str
    field: str
    form: int
    dtype: np.dtype[Any]
    width: int = 0
    words: Mapping[int, str] | None = None

    def empty(self, count: int) -> Column:
        """Return the array of ``count`` rows without a value, to be written to."""
        shape = (count, self.width) if self.width else (count,)
        if self.form == TIME:
            return np.full(shape, np.datetime64("NaT"), self.dtype)
        return np.full(shape, None, object) if self.dtype == object else np.zeros(shape, self.dtype)

    def absent(self, count: int) -> Column:
        """Return the same for reading; it takes no memory."""
        return np.broadcast_to(self.empty(1), (count, self.width) if self.width else (count,))


def _columns(name: str, rows: tuple[Attr, ...]) -> list[TableColumn]:
    """Return the columns of a field, first the one that has its name."""
    row = rows[0]
    number = np.dtype(f"u{max(row.kind.size for row in rows)}") if row.kind.number else None
    if row.words is not None and number is not None:
        form = FLAG if row.words in FLAGS else WORD
        other = number_name(name, row)
        return [
            TableColumn(name, name, form, number, 0, row.words),
            TableColumn(other, name, NUMBER, number, 0, row.words),
        ]
    if name.startswith("timestamp_"):
        return [TableColumn(name, name, TIME, np.dtype("M8[ns]"))]
    if number is not None:
        return [TableColumn(name, name, NUMBER, number)]
    if row.kind in (IPV4, IPV6):
        octets = np.dtype(np.uint8)
        return [
            TableColumn(name, name, ADDRESS, octets, 16),
            TableColumn(f"{name}_packed", name, PACKED, octets, 16),
        ]
    form = TEXTS if row.kind is TEXT else NUMBERS if row.kind is LABELS else OCTETS
    return [TableColumn(name, name, form, np.dtype(object))]


_FIELDS = {"family": (Attr(0, "", "family", U8, FAMILY),), **FIELDS[id(CONNTRACK)]}
#: the columns of a table if none are asked for, in order
DEFAULT = tuple(csv.columns())
#: every column that can be asked for, by name; at first those of DEFAULT
COLUMNS: dict[str, TableColumn] = {}
for _place in range(2):
    for _name in DEFAULT:
        for _column in _columns(_name, _FIELDS[_name])[_place : _place + 1]:
            COLUMNS[_column.name] = _column


def plain(name: str, dtype: npt.DTypeLike) -> TableColumn:
    """Return a column of numbers that is no field, such as a count of rows."""
    if np.dtype(dtype).kind not in "iuf":
        raise RequestError(f"{name}: a column that is no field holds numbers, not {dtype}")
    return TableColumn(name, name, NUMBER, np.dtype(dtype))


def chosen(names: Iterable[str] | None) -> dict[str, TableColumn]:
    """Return the columns ``names`` in their order, or those of DEFAULT for None.

    Raises :class:`~pyconntrack.RequestError` for a name that is none, and for one given twice.
    """
    if isinstance(names, (str, bytes)):
        raise RequestError(f"columns: a list of names is wanted, not {names!r}")
    found: dict[str, TableColumn] = {}
    try:
        listed = list(DEFAULT if names is None else names)
    except TypeError:
        raise RequestError(f"columns: a list of names is wanted, not {names!r}") from None
    for name in listed:
        if not isinstance(name, str) or name not in COLUMNS:
            hint = meant(name, COLUMNS) if isinstance(name, str) else ""
            raise RequestError(f"columns: there is no column {name!r}{hint}")
        if name in found:
            raise RequestError(f"columns: {name!r} is given twice")
        found[name] = COLUMNS[name]
    return found


def missing(name: str, columns: Iterable[str]) -> KeyError:
    """Return the error for a column ``name`` that a table of ``columns`` does not have."""
    if name in COLUMNS:
        return KeyError(f"the table was made without the column {name!r}: add it to columns=")
    return KeyError(f"there is no column {name!r}{meant(name, (*columns, *COLUMNS))}")
