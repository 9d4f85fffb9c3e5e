"""A whole table as columns: one numpy array for each field, for queries over a million flows.

Built from batches of a dump without an object for each flow, at 200 to 300 ns an entry.  Which
fields a row has is a property of its message's shape, so it costs four bytes a row for all fields
together, and a column without values costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from ..errors import RequestError
from .arrangement import group_sums, order, sort_keys
from .table_builder import Builder
from .table_columns import (
    ADDRESS,
    COLUMNS,
    FLAG,
    NUMBER,
    PACKED,
    TIME,
    WORD,
    TableColumn,
    chosen,
    missing,
    plain,
)
from .value_columns import AddressColumn, FlagColumn, ValueColumn, WordColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pandas
    import polars

    from .columns import Bools, Buffer, Column, Group
    from .table_builder import Shape
    from .table_columns import Address, Flags, Word


class FlowTable:
    """Flows as columns, in the kernel's order.

    A table has the columns that were asked for, whatever its rows have: without ``columns=`` those
    of ``conntrack -o csv``, one for each field that the kernel can report.  A name means the same
    as in Flow and in JSON:

    ====================  ======================  ==================================================
    columns               ``table[name]``         meaning
    ====================  ======================  ==================================================
    words                 :class:`WordColumn`     ``family``, ``orig_proto``, ``tcp_state``...; a
                                                  number under ``orig_proto_number``...
    ``status``            :class:`FlagColumn`     sets of words; a number under ``status_bits``
    addresses             :class:`AddressColumn`  texts; (n, 16) uint8 under ``orig_src_packed``...
    ``timestamp_*``       (n,) datetime64[ns]     UTC; NaT where a row has none
    numbers               (n,) unsigned           of the field's width; counters are uint64
    ``helper``, secctx    (n,) object             str or None
    ``labels``            (n,) object             tuples of label numbers, or None
    ``helper_info``       (n,) object             bytes or None
    ====================  ======================  ==================================================

    A number that a row lacks reads as 0; :meth:`mask` distinguishes it from a real 0.  The numbers
    beside words and the bytes of addresses can be read of every table that has the field; they are
    columns only if asked for.

    Select rows with a slice, a boolean mask or row numbers::

        busy = table[table["orig_bytes"] > 1_000_000].sort("orig_bytes", descending=True)
        web = table[(table["orig_proto"] == "tcp") & (table["orig_dport"] == 443)]
    """

    __slots__ = ("_columns", "_fields", "_shape", "_shapes")

    _columns: Mapping[str, TableColumn]
    #: field -> array, of fields that some row may have
    _fields: dict[str, Column]
    _shape: npt.NDArray[np.int32]
    _shapes: list[Shape]

    def __init__(
        self, columns: Mapping[str, Any], masks: Mapping[str, Bools] | None = None
    ) -> None:
        """Make a table of columns of equal length, in the forms in which a table has them.

        ``masks``: rows that have a field, for columns whose values do not tell.  The name of a
        column may be any that is no field; it then holds numbers.
        """
        self._columns = {
            name: COLUMNS.get(name) or plain(name, np.asarray(values).dtype)
            for name, values in columns.items()
        }
        count = len(next(iter(columns.values()))) if columns else 0
        given = dict(masks or {})
        family = np.zeros(count, np.uint8)
        self._fields = {}
        for name, values in columns.items():
            column = self._columns[name]
            if len(values) != count:
                raise RequestError(f"{name}: {len(values)} rows, not {count} as before it")
            if isinstance(values, ValueColumn):
                given.setdefault(name, values._present)
                if isinstance(values, AddressColumn):
                    family = np.where(values._present, values._family, family)
                values = values._raw
            elif column.form in (WORD, FLAG, ADDRESS):
                raise RequestError(f"{name}: a column of a table is wanted")
            array = np.asarray(values)
            if column.dtype == object and name not in given:
                given[name] = np.array([value is not None for value in array.tolist()], np.bool_)
            if column.field == "family":
                family = array
            else:
                self._fields[column.field] = array.astype(column.dtype, copy=False)
        fields = frozenset(self._fields)
        self._shape, self._shapes = np.zeros(count, np.int32), []
        for number in np.unique(family).tolist() or [0]:
            self._shape[family == number] = len(self._shapes)
            self._shapes.append((number, fields))
        for name, mask in given.items():
            self._split(self._columns[name].field, mask)

    def _split(self, field: str, mask: Bools) -> None:
        """Take ``field`` from the rows outside ``mask``: each shape splits in two."""
        shape = self._shape + np.where(mask, 0, len(self._shapes)).astype(np.int32)
        shapes = self._shapes + [(family, names - {field}) for family, names in self._shapes]
        used, place = np.unique(shape, return_inverse=True)
        self._shapes = [shapes[number] for number in used.tolist()] or self._shapes
        self._shape = place.astype(np.int32)

    @classmethod
    def _of(
        cls, columns: Mapping[str, TableColumn], fields: dict[str, Column],
        shape: npt.NDArray[np.int32], shapes: list[Shape],
    ) -> FlowTable:  # fmt: skip
        table = cls.__new__(cls)
        table._columns, table._fields, table._shape, table._shapes = columns, fields, shape, shapes
        return table

    @classmethod
    def from_builder(cls, builder: Builder) -> FlowTable:
        """Return the table of all rows that were added to ``builder``."""
        return cls._of(builder.columns, builder.fields, builder.shape, builder.shapes)

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

        ``columns``: those of the table, in their order; ``select``: returns a mask of a group's
        rows, see :func:`pyconntrack.columnar.predicates.mask`; ``expect``: number of rows to
        reserve.  A buffer may be reused once the next batch is requested.  Raises
        :class:`~pyconntrack.DecodeError`, and :class:`~pyconntrack.RequestError` for a name that is
        no column.
        """
        builder = Builder(chosen(columns), select, expect)
        for buffer, end in batches:
            builder.add(buffer, end)
        return cls.from_builder(builder)

    @classmethod
    def concat(cls, tables: Iterable[FlowTable]) -> FlowTable:
        """Return the rows of all ``tables``, in their order.

        Of no table at all, it is an empty one with the default columns.  Raises
        :class:`~pyconntrack.RequestError` if the tables have different columns.
        """
        parts = list(tables)
        if not parts:
            return cls.from_batches([])
        columns = parts[0]._columns
        for part in parts:
            differing = sorted(columns.keys() ^ part._columns.keys())
            if differing:
                names = ", ".join(differing[:3]) + (", ..." if len(differing) > 3 else "")
                raise RequestError(
                    f"concat: the tables differ in {len(differing)} columns ({names}): make them"
                    " with the same columns=, or select() the same"
                )
        fields: dict[str, Column] = {}
        for column in columns.values():
            arrays = [part._array(column) for part in parts]
            if any(column.field in part._fields for part in parts):
                fields[column.field] = np.concatenate(arrays)
        numbers: dict[Shape, int] = {}
        pieces = []
        for part in parts:
            own = [numbers.setdefault(shape, len(numbers)) for shape in part._shapes]
            pieces.append(np.array(own, np.int32)[part._shape])
        return cls._of(columns, fields, np.concatenate(pieces), list(numbers))

    # ---- looking --------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._shape)

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __repr__(self) -> str:
        names = ", ".join(self.columns[:8]) + (", ..." if len(self.columns) > 8 else "")
        return f"<FlowTable: {len(self)} rows of {len(self.columns)} columns: {names}>"

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns, in their order."""
        return tuple(self._columns)

    @property
    def nbytes(self) -> int:
        """Return the memory of the arrays in bytes, without the text and bytes objects."""
        return self._shape.nbytes + sum(array.nbytes for array in self._fields.values())

    # the names that hold no numbers are a part of str, with other types: ignored
    @overload
    def __getitem__(self, key: Word) -> WordColumn: ...  # type: ignore[overload-overlap]
    @overload
    def __getitem__(self, key: Flags) -> FlagColumn: ...  # type: ignore[overload-overlap]
    @overload
    def __getitem__(self, key: Address) -> AddressColumn: ...  # type: ignore[overload-overlap]
    @overload
    def __getitem__(self, key: str) -> Column: ...
    @overload
    def __getitem__(self, key: slice | npt.NDArray[Any] | list[int] | list[bool]) -> FlowTable: ...
    def __getitem__(self, key: Any) -> Column | ValueColumn[Any] | FlowTable:
        """Return a column by name, or a table of the rows in a slice, mask or index array."""
        if isinstance(key, str):
            return self._shown(self._column(key))
        if not isinstance(key, slice):
            key = np.asarray(key)
            if key.ndim != 1:
                raise TypeError("rows are chosen by a slice, a mask or an array of row numbers")
            if not len(key):
                key = key.astype(np.intp)
        return self._of(
            self._columns,
            {name: array[key] for name, array in self._fields.items()},
            self._shape[key],
            self._shapes,
        )

    def select(self, *names: str) -> FlowTable:
        """Return a table of the columns ``names``, in this order."""
        columns = {name: self._column(name) for name in names}
        kept = {column.field for column in columns.values()}
        fields = {name: array for name, array in self._fields.items() if name in kept}
        return self._of(columns, fields, self._shape, self._shapes)

    def mask(self, name: str) -> Bools:
        """Return a mask of the rows that have a value in column ``name``, shape (n,)."""
        return self._present(self._column(name))

    def _column(self, name: str) -> TableColumn:
        column = self._columns.get(name)
        if column is None:
            column = COLUMNS.get(name)
            if column is None or all(column.field != c.field for c in self._columns.values()):
                raise missing(name, self._columns)
        return column

    def _family(self) -> npt.NDArray[np.uint8]:
        families = [family for family, _ in self._shapes] or [0]
        if len(set(families)) == 1:
            return np.full(len(self), families[0], np.uint8)
        return np.array(families, np.uint8)[self._shape]

    def _array(self, column: TableColumn) -> Column:
        """Return the array that keeps a column's field."""
        if column.field == "family":
            return self._family()
        array = self._fields.get(column.field)
        return column.absent(len(self)) if array is None else array

    def _present(self, column: TableColumn) -> Bools:
        if column.field == "family":
            return np.asarray(self._family() != 0)
        if column.form == TIME:
            return ~np.isnat(self._array(column))
        has = [column.field in names for _, names in self._shapes] or [False]
        if len(set(has)) == 1:
            return np.full(len(self), has[0])
        return np.array(has, np.bool_)[self._shape]

    def _shown(self, column: TableColumn) -> Column | ValueColumn[Any]:
        array = self._array(column)
        if column.words is not None and column.form != NUMBER:
            kind = WordColumn if column.form == WORD else FlagColumn
            return kind(column.name, array, self._present(column), column.words)
        if column.form == ADDRESS:
            return AddressColumn(column.name, array, self._present(column), self._family())
        return array

    def _lists(self, names: Iterable[str]) -> list[list[Any]]:
        """Return the values of columns, None where a row lacks one."""
        lists = []
        for name in names:
            column = self._column(name)
            shown = self._shown(column)
            if isinstance(shown, ValueColumn):
                lists.append(shown.tolist())
                continue
            if column.field not in self._fields and column.field != "family":
                lists.append([None] * len(self))
                continue
            values = np.empty(len(self), object)
            if column.form == PACKED:
                sizes = np.where(self._family() == 10, 16, 4).tolist()
                values[:] = [row.tobytes()[:size] for row, size in zip(shown, sizes, strict=True)]
            else:  # tolist() would make times ints
                values[:] = list(shown) if column.form == TIME else shown.tolist()
            values[~self._present(column)] = None
            lists.append(values.tolist())
        return lists

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return for each row a dict of the columns in which it has a value."""
        pairs = (zip(self.columns, row, strict=True) for row in self.rows())
        return [{name: value for name, value in row if value is not None} for row in pairs]

    def rows(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """Yield named tuples of the columns ``names`` (default: all), None where a row lacks one.

        The values are those of Flow's attributes; times are numpy.datetime64.
        """
        from collections import namedtuple

        names = names or self.columns
        row = namedtuple("Row", names)  # type: ignore[misc]
        return map(row._make, zip(*self._lists(names), strict=True) if names else [()] * len(self))

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self.rows()

    # ---- arranging ------------------------------------------------------------------------------

    def sort(self, by: str | Sequence[str], descending: bool = False) -> FlowTable:
        """Return the rows sorted by one or several columns, most significant first.

        Words are in the order of their numbers.  The sort is stable; rows that lack the field come
        last in both directions.
        """
        names = (by,) if isinstance(by, str) else tuple(by)
        return self[order(sort_keys(self, names, descending=descending), len(self))]

    def group_sum(self, keys: str | Sequence[str], values: str | Sequence[str] = ()) -> FlowTable:
        """Return sums by group: a row for each distinct combination of ``keys``, in their order.

        The columns are ``keys``, ``flows`` (number of rows, uint64) and the sum of each of
        ``values`` (uint64, wraps at 64 bits; an absent value counts 0).  Rows that lack a key form
        their own group.
        """
        names = [keys] if isinstance(keys, str) else list(keys)
        sums = [values] if isinstance(values, str) else list(values)
        first, added = group_sums(self, names, sums)
        groups = self.select(*names)[first]
        return self._of(
            {**groups._columns, **{name: plain(name, np.uint64) for name in added}},
            {**groups._fields, **added},
            groups._shape,
            [(family, names.union(added)) for family, names in groups._shapes],
        )

    # ---- leaving --------------------------------------------------------------------------------

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the table as an Arrow stream (PyCapsule interface).

        Words are dictionaries, ``status`` is a list of them, addresses and texts are utf8, times
        timestamps in UTC, numbers keep their unsigned types, and absent values are null.
        """
        from .arrow import stream

        return stream(self)

    def to_arrow(self) -> Any:  # pyarrow has no types
        """Return a pyarrow.Table; needs the extra ``pyconntrack[arrow]``."""
        from .arrow import imported

        return imported("pyarrow", "to_arrow()", "arrow").table(self)

    def to_pandas(self) -> pandas.DataFrame:
        """Return a pandas.DataFrame with the same types whatever its rows have.

        Numbers have the nullable types (UInt32...), words are categories, absent values <NA>, NaN
        or NaT.  Needs the extra ``pyconntrack[pandas]``.
        """
        from .arrow import frame

        return frame(self)

    def to_polars(self) -> polars.DataFrame:
        """Return a polars.DataFrame; needs the extra ``pyconntrack[polars]``."""
        from .arrow import imported

        frame: polars.DataFrame = imported("polars", "to_polars()", "polars").DataFrame(self)
        return frame
