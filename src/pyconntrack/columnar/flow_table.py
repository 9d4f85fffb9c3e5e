"""A whole table as columns: one numpy array for each field, for queries over a million flows.

Built from batches of a dump without an object for each flow, at 200 to 300 ns an entry.  The
presence of a field is a property of the message's shape, so it costs four bytes a row for all
fields together.

Arrow, pandas and polars are imported only when needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from ..ctnetlink.kinds import IPV4, IPV6, TEXT
from ..netlink.messages import text
from .columns import groups, selected, starts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pandas
    import polars

    from ..ctnetlink.layout import Slot
    from .columns import Bools, Buffer, Bytes, Column, Group, Ints

_FIRST_ROOM = 4096


class FlowTable:
    """Flows (or expectations) as columns, in the kernel's order.

    ``table["orig_bytes"]`` is one numpy array for all rows.  The names are those of the schema
    (``orig_src``, ``reply_dport``, ``tcp_state``...), and only fields that some row has exist:

    ================  ===========================  ================================================
    fields            array                        meaning
    ================  ===========================  ================================================
    ``family``        (n,) uint8                   2 for IPv4, 10 for IPv6; always there
    addresses         (n, 16) uint8                network byte order; an IPv4 address is in the
                                                   first 4 bytes, the rest is zero
    ``*_proto``       (n,) uint8                   IP protocol number
    ports, zones      (n,) uint16                  host byte order, as all numbers
    ``status``        (n,) uint32                  bits, words: ``vocabulary.STATUS``
    ``timeout``       (n,) uint32                  seconds left
    ``mark``, ``id``  (n,) uint32                  as the kernel numbers them
    counters          (n,) uint64                  ``orig_packets``, ``orig_bytes``...
    ``timestamp_*``   (n,) uint64                  nanoseconds since 1970
    texts             (n,) object                  ``helper``, ``secctx``: str or None
    bit strings       (n,) object                  ``labels``...: bytes or None
    ================  ===========================  ================================================

    A number or address that a row lacks reads as 0; :meth:`mask` distinguishes it from a real 0.

    Select rows with a slice, a boolean mask or row numbers::

        busy = table[table["orig_bytes"] > 1_000_000].sort("orig_bytes", descending=True)
        print(busy.addresses("orig_src")[:10])
    """

    __slots__ = ("_columns", "_shape", "_shapes")

    def __init__(
        self, columns: Mapping[str, Column], masks: Mapping[str, Bools] | None = None
    ) -> None:
        """Make a table of arrays of equal length; ``masks``: rows that have an optional field."""
        self._columns: dict[str, Column] = dict(columns)
        count = len(next(iter(self._columns.values()))) if self._columns else 0
        self._shape: npt.NDArray[np.int32] = np.zeros(count, np.int32)
        names = frozenset(self._columns)
        self._shapes: list[frozenset[str]] = [names]
        for name, mask in (masks or {}).items():
            # a row's shape splits in two: with the field and without it
            self._shape += np.where(mask, 0, len(self._shapes)).astype(np.int32)
            self._shapes += [shape - {name} for shape in self._shapes]
            used, shape = np.unique(self._shape, return_inverse=True)
            self._shapes = [self._shapes[number] for number in used.tolist()] or [names]
            self._shape = shape.astype(np.int32)

    @classmethod
    def _of(
        cls, columns: dict[str, Column], shape: npt.NDArray[np.int32], shapes: list[frozenset[str]]
    ) -> FlowTable:
        table = cls.__new__(cls)
        table._columns, table._shape, table._shapes = columns, shape, shapes
        return table

    @classmethod
    def from_batches(
        cls,
        batches: Iterable[tuple[Buffer, int]],
        *,
        columns: Iterable[str] | None = None,
        select: Callable[[Group], Bools] | None = None,
        expect: int = 0,
    ) -> FlowTable:
        """Make a table of a dump: (buffer, end) holds whole messages in ``buffer[:end]``.

        ``columns``: only these fields; ``select``: returns a mask of a group's rows, see
        :func:`pyconntrack.columnar.predicates.mask`; ``expect``: number of rows to reserve.  A
        buffer may be reused once the next batch is requested.  Raises
        :class:`~pyconntrack.errors.DecodeError`.
        """
        builder = Builder(columns, select, expect)
        for buffer, end in batches:
            builder.add(buffer, end)
        return builder.table(cls)

    @classmethod
    def concat(cls, tables: Iterable[FlowTable]) -> FlowTable:
        """Return the rows of all ``tables``, in their order."""
        parts = list(tables)
        names = dict.fromkeys(name for part in parts for name in part._columns)
        columns: dict[str, Column] = {}
        for name in names:
            known = [part._columns[name] for part in parts if name in part._columns]
            dtype = np.result_type(*known)
            columns[name] = np.concatenate(
                [
                    part._columns[name] if name in part._columns else _empty(known[0], len(part))
                    for part in parts
                ],
                dtype=dtype,
            )
        numbers: dict[frozenset[str], int] = {}
        pieces = []
        for part in parts:
            own = [numbers.setdefault(shape, len(numbers)) for shape in part._shapes]
            pieces.append(np.array(own, np.int32)[part._shape])
        shape = np.concatenate(pieces) if pieces else np.zeros(0, np.int32)
        return cls._of(columns, shape, list(numbers) or [frozenset()])

    # ---- looking --------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._shape)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __repr__(self) -> str:
        return f"<FlowTable: {len(self)} rows of {', '.join(self._columns)}>"

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the fields that some row has."""
        return tuple(self._columns)

    @property
    def nbytes(self) -> int:
        """Return the memory of the arrays in bytes, without the text and bytes objects."""
        return self._shape.nbytes + sum(column.nbytes for column in self._columns.values())

    @overload
    def __getitem__(self, key: str) -> Column: ...
    @overload
    def __getitem__(self, key: slice | npt.NDArray[Any] | list[int] | list[bool]) -> FlowTable: ...
    def __getitem__(self, key: Any) -> Column | FlowTable:
        """Return a field by name, or a table of the rows in a slice, mask or index array."""
        if isinstance(key, str):
            return self._columns[key]
        if not isinstance(key, slice):
            key = np.asarray(key)
            if key.ndim != 1:
                raise TypeError("rows are chosen by a slice, a mask or an array of row numbers")
            if not len(key):
                key = key.astype(np.intp)
        return self._of(
            {name: column[key] for name, column in self._columns.items()},
            self._shape[key],
            self._shapes,
        )

    def mask(self, name: str) -> Bools:
        """Return a mask of the rows that have the field ``name``, shape (n,).

        It is False everywhere for an unknown name.
        """
        has = np.array([name in shape for shape in self._shapes], np.bool_)
        return has[self._shape]

    def addresses(self, name: str) -> npt.NDArray[np.object_]:
        """Return an address field as text, shape (n,): str, or None where a row lacks it."""
        self._address(name)
        out = np.full(len(self), None, object)
        index = np.flatnonzero(self.mask(name))
        if len(index):
            lines, _ = self._address_text(name, index, b"\n")
            out[index] = lines.decode().split("\n")[:-1]
        return out

    def _address(self, name: str) -> Bytes:
        column = self._columns[name]
        if column.ndim != 2:
            raise TypeError(f"{name} is not an address")
        return column

    def _address_text(
        self, name: str, index: Ints, behind: bytes = b""
    ) -> tuple[bytes, npt.NDArray[np.int64]]:
        from .lanes import ipv4, ipv6
        from .render import joined

        column = np.ascontiguousarray(self._address(name)[index]).view(np.uint16)
        six = self._columns["family"][index] == 10
        parts = []
        for rows, lanes in ((np.flatnonzero(~six), 2), (np.flatnonzero(six), 8)):
            if len(rows):
                halves = [column[rows, number] for number in range(lanes)]
                parts.append((rows, ipv6(halves) if lanes == 8 else ipv4(halves[0], halves[1])))
        return joined(parts, len(index), behind)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return for each row a dict of the fields that it has; addresses as text."""
        columns: list[tuple[str, list[Any], list[bool]]] = []
        for name, column in self._columns.items():
            values = self.addresses(name) if column.ndim == 2 else column
            columns.append((name, values.tolist(), self.mask(name).tolist()))
        return [
            {name: values[row] for name, values, there in columns if there[row]}
            for row in range(len(self))
        ]

    def rows(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """Yield tuples of the fields ``names`` (default: all), None where a row lacks one."""
        lists = []
        for name in names or self._columns:
            column = self._columns[name]
            values = (self.addresses(name) if column.ndim == 2 else column).astype(object)
            values[~self.mask(name)] = None
            lists.append(values.tolist())
        return zip(*lists, strict=True)

    # ---- arranging ------------------------------------------------------------------------------

    def _keys(self, name: str, *, descending: bool = False) -> list[Column]:
        """Return sort keys for a field, least significant first; rows without it come last."""
        column = self._columns[name]
        keys: list[Column]
        if column.ndim == 2:
            halves = np.ascontiguousarray(column).view(">u8").astype(np.uint64)
            keys = [halves[:, 1], halves[:, 0], self._columns["family"]]
        elif column.dtype == object:
            distinct = sorted({value for value in column.tolist() if value is not None})
            number = {value: at for at, value in enumerate(distinct)}
            keys = [np.array([number.get(value, 0) for value in column.tolist()], np.uint32)]
        else:
            keys = [column]
        if descending:
            keys = [~key for key in keys]
        return [*keys, ~self.mask(name)]

    def sort(self, by: str | Sequence[str], descending: bool = False) -> FlowTable:
        """Return the rows sorted by one or several fields, most significant first.

        The sort is stable; rows that lack the field come last in both directions.
        """
        names = (by,) if isinstance(by, str) else tuple(by)
        keys: list[Column] = []
        for name in reversed(names):
            keys += self._keys(name, descending=descending)
        return self[np.lexsort(keys)] if keys else self

    def group_sum(self, keys: str | Sequence[str], values: str | Sequence[str] = ()) -> FlowTable:
        """Return sums by group: a row for each distinct combination of ``keys``, in their order.

        The columns are ``keys``, ``flows`` (number of rows, uint64) and the sum of each of
        ``values`` (uint64, wraps at 64 bits; an absent value counts 0).  ``family`` is added to an
        address key.  Rows that lack a key form their own group.
        """
        names = [keys] if isinstance(keys, str) else list(keys)
        sums = [values] if isinstance(values, str) else list(values)
        if any(self._columns[name].ndim == 2 for name in names) and "family" not in names:
            names.append("family")
        order_by: list[Column] = []
        for name in reversed(names):
            order_by += self._keys(name)
        count = len(self)
        order = np.lexsort(order_by) if order_by else np.arange(count)
        new = np.zeros(count, np.bool_)
        new[:1] = True
        for key in order_by:
            ordered = key[order]
            new[1:] |= ordered[1:] != ordered[:-1]
        edges = np.flatnonzero(new)
        first = order[edges]
        columns = {name: self._columns[name][first] for name in names}
        masks = {name: self.mask(name)[first] for name in names}
        columns["flows"] = np.diff(edges, append=count).astype(np.uint64)
        for name in sums:
            column = self._columns[name]
            if column.ndim != 1 or column.dtype == object:
                raise TypeError(f"{name} is not a number")
            wide = column[order].astype(np.uint64)
            columns[name] = np.add.reduceat(wide, edges) if count else wide
        return FlowTable(columns, {name: mask for name, mask in masks.items() if not mask.all()})

    # ---- leaving --------------------------------------------------------------------------------

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the table as an Arrow stream of one batch (PyCapsule interface).

        Numbers keep their unsigned types, addresses and texts are utf8, bit strings are binary;
        absent values are null.  Needs the extra ``pyconntrack[arrow]``.
        """
        try:
            import nanoarrow
            from nanoarrow.c_array_stream import CArrayStream
        except ImportError as error:
            raise ImportError("Arrow needs nanoarrow: pip install 'pyconntrack[arrow]'") from error
        types, children = [], {}
        for name in self._columns:
            kind, buffers, nulls = self._arrow(name)
            types.append(getattr(nanoarrow, kind)())
            children[name] = nanoarrow.c_array_from_buffers(
                types[-1], len(self), buffers, null_count=nulls
            )
        schema = nanoarrow.struct(dict(zip(children, types, strict=True)))
        batch = nanoarrow.c_array_from_buffers(
            schema, len(self), [None], null_count=0, children=children.values()
        )
        stream: object = CArrayStream.from_c_arrays(
            [batch], nanoarrow.c_schema(schema)
        ).__arrow_c_stream__(requested_schema)
        return stream

    def _arrow(self, name: str) -> tuple[str, list[Any], int]:
        """Return the Arrow type, buffers and number of nulls of a field."""
        column, mask = self._columns[name], self.mask(name)
        nulls = len(self) - int(np.count_nonzero(mask))
        valid = np.packbits(mask, bitorder="little") if nulls else None
        if column.ndim == 1 and column.dtype != object:
            return column.dtype.name, [valid, np.ascontiguousarray(column)], nulls
        lengths = np.zeros(len(self), np.int64)
        kind = "string"
        index = np.flatnonzero(mask)
        if column.ndim == 2:
            data, lengths[index] = self._address_text(name, index)
        else:
            values = column[index].tolist()
            if values and isinstance(values[0], bytes):
                kind = "binary"
            else:
                values = [value.encode() for value in values]
            lengths[index] = [len(value) for value in values]
            data = b"".join(values)
        large = len(data) >= 1 << 31
        offsets = np.zeros(len(self) + 1, np.int64 if large else np.int32)
        np.cumsum(lengths, out=offsets[1:])
        return "large_" * large + kind, [valid, offsets, data], nulls

    def to_pandas(self) -> pandas.DataFrame:
        """Return a pandas.DataFrame: addresses as text, absent numbers as <NA>.

        Needs the extra ``pyconntrack[pandas]``.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_pandas() needs pip install 'pyconntrack[pandas]'") from error
        columns: dict[str, Any] = {}
        for name, column in self._columns.items():
            mask = self.mask(name)
            if column.ndim == 2:
                columns[name] = self.addresses(name)
            elif column.dtype == object or mask.all():
                columns[name] = column
            else:
                columns[name] = pandas.arrays.IntegerArray(column, ~mask, copy=True)
        return pandas.DataFrame(columns)

    def to_polars(self) -> polars.DataFrame:
        """Return a polars.DataFrame: addresses as text, absent values as null.

        Needs the extra ``pyconntrack[polars]``.
        """
        try:
            import polars
        except ImportError as error:
            raise ImportError("to_polars() needs pip install 'pyconntrack[polars]'") from error
        return polars.DataFrame(self)


def _empty(like: Column, count: int) -> Column:
    """Return ``count`` absent values in the shape and type of ``like``."""
    shape = (count, *like.shape[1:])
    return np.full(shape, None, object) if like.dtype == object else np.zeros(shape, like.dtype)


class Builder:
    """Columns that grow: their capacity doubles, and unwritten rows take no memory.

    The arguments are those of :meth:`FlowTable.from_batches`.
    """

    __slots__ = ("_columns", "_count", "_numbers", "_only", "_room", "_select", "_shape", "_texts")

    def __init__(
        self,
        columns: Iterable[str] | None = None,
        select: Callable[[Group], Bools] | None = None,
        expect: int = 0,
    ) -> None:
        self._only = None if columns is None else frozenset(columns)
        self._select = select
        self._room = max(expect, _FIRST_ROOM)
        self._count = 0
        self._columns: dict[str, Column] = {"family": np.zeros(self._room, np.uint8)}
        self._shape = np.zeros(self._room, np.int32)
        self._numbers: dict[frozenset[str], int] = {}
        self._texts: dict[bytes, str] = {}

    def add(self, buffer: Buffer, end: int) -> None:
        """Append the selected messages in ``buffer[:end]``."""
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
        self._shape = self._grown(self._shape)
        for name, column in self._columns.items():
            self._columns[name] = self._grown(column)

    def _grown(self, column: Column) -> Column:
        grown = _empty(column, self._room)
        grown[: self._count] = column[: self._count]
        return grown

    def _put(self, group: Group, rows: Ints | slice) -> None:
        layout = group.layout
        found: tuple[frozenset[str], list[tuple[str, Slot]]] | None
        found = layout.writers.get((Builder, self._only))
        if found is None:
            only = self._only
            fields = [
                (name, slot) for name, slot in layout.slots.items() if only is None or name in only
            ]
            found = (frozenset(["family", *(name for name, _ in fields)]), fields)
            layout.writers[Builder, self._only] = found
        names, fields = found
        self._shape[rows] = self._numbers.setdefault(names, len(self._numbers))
        self._columns["family"][rows] = layout.family
        for name, slot in fields:
            offset, size, kind = slot.offset, slot.size, slot.kind
            if kind.number:
                column = self._column(name, (), np.dtype(f"u{size}"))
                values = group.wire(offset, size)
                if isinstance(rows, slice):
                    column[rows] = values.view(values.dtype.newbyteorder(">"))
                else:
                    column[rows] = values.byteswap() if np.little_endian else values
            elif kind is IPV4 or kind is IPV6:
                column = self._column(name, (16,), np.dtype(np.uint8))
                item = np.dtype((np.void, size))
                data = group.rows.data
                stride = group.rows.strides[0]
                values = np.ndarray((len(group),), item, data, offset, (stride,))
                np.ndarray((len(column),), item, column.data, 0, (16,))[rows] = values
            else:
                column = self._column(name, (), np.dtype(object))
                raw = group.raw(name)
                if kind is TEXT:
                    column[rows] = np.array(self._decoded(raw), object)
                else:
                    boxed = np.empty(len(raw), object)
                    boxed[:] = raw
                    column[rows] = boxed

    def _column(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Column:
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = _empty(np.empty((0, *shape), dtype), self._room)
        elif column.dtype.itemsize < dtype.itemsize:  # 32 bit counters, then 64 bit ones
            column = self._columns[name] = column.astype(dtype)
        return column

    def _decoded(self, raws: list[bytes]) -> list[str]:
        known = self._texts
        out = []
        for raw in raws:
            word = known.get(raw)
            if word is None:
                if len(known) > 4096:
                    known.clear()
                word = known[raw] = text(raw)
            out.append(word)
        return out

    def table(self, cls: type[FlowTable]) -> FlowTable:
        """Return the table of all added rows."""
        count = self._count
        return cls._of(
            {name: column[:count] for name, column in self._columns.items()},
            self._shape[:count],
            list(self._numbers) or [frozenset(["family"])],
        )
