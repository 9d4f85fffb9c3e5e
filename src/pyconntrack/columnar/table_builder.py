"""Build the columns of a FlowTable from the batches of a dump, without an object for each flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..ctnetlink.kinds import LABELS, TEXT, label_numbers
from ..ctnetlink.layout import rows_of
from ..ctnetlink.schema import CONNTRACK
from ..errors import DecodeError
from ..netlink.messages import text
from .columns import groups, selected, starts
from .table_columns import COLUMNS, TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from ..ctnetlink.kinds import Kind
    from ..ctnetlink.layout import Slot
    from .columns import Bools, Buffer, Column, Group, Ints
    from .table_columns import TableColumn

    #: family, and the fields of the table that a message of some shape has
    Shape = tuple[int, frozenset[str]]

_FIRST_ROOM = 4096
_MOST = 4096  # distinct values of each kind that are kept
#: kind -> the function from bytes to what Flow has; of others, the bytes
_READ: dict[Kind, Callable[[bytes], Any]] = {
    TEXT: text, LABELS: lambda raw: tuple(label_numbers(raw))
}  # fmt: skip
#: the greatest number of nanoseconds that datetime64 can hold
_LATEST = (1 << 63) - 1


class Builder:
    """Arrays that grow: their capacity doubles, and unwritten rows take no memory.

    ``columns``: those of the table; ``select``: returns a mask of a group's rows, see
    :func:`pyconntrack.columnar.predicates.mask`; ``expect``: number of rows to reserve.

    ``fields``: field name -> array, only of fields that some row has; ``shape``: for each row its
    place in ``shapes``.
    """

    __slots__ = (
        "_count", "_fields", "_numbers", "_only", "_room", "_select", "_shape", "_values",
        "columns",
    )  # fmt: skip

    def __init__(
        self,
        columns: Mapping[str, TableColumn],
        select: Callable[[Group], Bools] | None = None,
        expect: int = 0,
    ) -> None:
        self.columns: Mapping[str, TableColumn] = columns
        self._only = frozenset(column.field for column in columns.values())
        self._select = select
        self._room = max(expect, _FIRST_ROOM)
        self._count = 0
        self._fields: dict[str, Column] = {}
        self._shape = np.zeros(self._room, np.int32)
        self._numbers: dict[Shape, int] = {}
        self._values: dict[Kind, dict[bytes, Any]] = {}

    @property
    def fields(self) -> dict[str, Column]:
        """Return the arrays of all added rows."""
        return {name: array[: self._count] for name, array in self._fields.items()}

    @property
    def shape(self) -> npt.NDArray[np.int32]:
        """Return the shape number of each row."""
        return self._shape[: self._count]

    @property
    def shapes(self) -> list[Shape]:
        """Return the shapes that occur."""
        return list(self._numbers)

    def add(self, buffer: Buffer, end: int) -> None:
        """Append the selected messages in ``buffer[:end]``.

        The buffer may be used again then.  Raises :class:`~pyconntrack.DecodeError`.
        """
        select = self._select
        at = starts(buffer, end)
        shapes = groups(buffer, at)
        count = len(at)
        if select is not None:
            wanted = np.zeros(count, np.bool_)
            shapes = selected(shapes, select)
            for group in shapes:
                wanted[group.index] = True
            number = np.cumsum(wanted) - 1
            count = int(np.count_nonzero(wanted))
        self._reserve(self._count + count)
        for group in shapes:
            rows: Ints | slice
            if len(group) == count:
                rows = slice(self._count, self._count + count)
            else:
                rows = (group.index if select is None else number[group.index]) + self._count
            self._put(group, rows)
        self._count += count

    def _reserve(self, count: int) -> None:
        if count <= self._room:
            return
        self._room = max(count, 2 * self._room)
        shape = np.zeros(self._room, np.int32)
        shape[: self._count] = self._shape[: self._count]
        self._shape = shape
        for name, array in self._fields.items():
            grown = self._fields[name] = COLUMNS[name].empty(self._room)
            grown[: self._count] = array[: self._count]

    def _put(self, group: Group, rows: Ints | slice) -> None:
        plan: tuple[Shape, list[tuple[str, Slot]]] | None
        plan = group.layout.writers.get((Builder, self._only))
        if plan is None:
            plan = group.layout.writers[Builder, self._only] = self._plan(group)
        shape, fields = plan
        self._shape[rows] = self._numbers.setdefault(shape, len(self._numbers))
        for name, slot in fields:
            array = self._fields.get(name)
            if array is None:
                array = self._fields[name] = COLUMNS[name].empty(self._room)
            if array.ndim == 2:
                item = np.dtype((np.void, slot.size))
                data, stride = group.rows.data, group.rows.strides[0]
                octets = np.ndarray((len(group),), item, data, slot.offset, (stride,))
                np.ndarray((len(array),), item, array.data, 0, (16,))[rows] = octets
            elif not slot.kind.number:
                boxed = np.empty(len(group), object)
                boxed[:] = self._read(slot, group.raw(name))
                array[rows] = boxed
            else:
                values = group.wire(slot.offset, slot.size)
                if COLUMNS[name].form == TIME:
                    array[rows] = _times(values)
                elif isinstance(rows, slice):
                    array[rows] = values.view(values.dtype.newbyteorder(">"))
                else:
                    array[rows] = values.byteswap() if np.little_endian else values

    def _plan(self, group: Group) -> tuple[Shape, list[tuple[str, Slot]]]:
        kind = int(group.rows[0, 4:6].view(np.uint16)[0])
        if rows_of(kind) is not CONNTRACK:
            raise DecodeError(f"message type {kind:#x} is not that of a flow")
        fields = [(name, slot) for name, slot in group.layout.slots.items() if name in self._only]
        return (group.layout.family, frozenset(name for name, _ in fields)), fields

    def _read(self, slot: Slot, raws: list[bytes]) -> list[Any]:
        """Return the values of bytes as Flow has them; equal ones are one object."""
        read = _READ.get(slot.kind)
        if read is None:
            return raws
        known = self._values.setdefault(slot.kind, {})
        out = []
        for raw in raws:
            value = known.get(raw)
            if value is None:
                if len(known) > _MOST:
                    known.clear()
                value = known[raw] = read(raw)
            out.append(value)
        return out


def _times(values: Column) -> Column:
    """Return times of nanoseconds in network byte order; NaT where datetime64 cannot hold one."""
    numbers = values.byteswap() if np.little_endian else values.copy()
    late = numbers > np.uint64(_LATEST)
    times = numbers.view("M8[ns]")
    if late.any():
        times[late] = np.datetime64("NaT")
    return times
