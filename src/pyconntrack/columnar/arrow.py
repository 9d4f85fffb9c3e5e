"""A FlowTable as an Arrow stream (PyCapsule interface), made with nanoarrow.

Words are dictionaries, whose arrays nanoarrow cannot build: they are moved to their place, as the
Arrow C data interface allows.  Numbers are handed over without a copy.
"""

from __future__ import annotations

import ctypes
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .table_columns import ADDRESS, FLAG, NUMBERS, OCTETS, PACKED, TEXTS, TIME, WORD
from .value_columns import AddressColumn, FlagColumn, WordColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas

    from .columns import Column
    from .flow_table import FlowTable
    from .table_columns import TableColumn

#: rows of a batch: texts of the greatest length then fit 32 bit offsets
BATCH = 1 << 18
#: struct ArrowArray: its size, and the offset of its release callback
_SIZE, _RELEASE = 80, 64


class Type(NamedTuple):
    """An Arrow type: the name of nanoarrow's function for it, its arguments, and types in it."""

    name: str
    arguments: tuple[str, ...] = ()
    item: Type | None = None
    dictionary: Type | None = None


class Values(NamedTuple):
    """An Arrow array: its length, number of nulls, buffers, and the arrays in it."""

    length: int
    nulls: int
    buffers: Sequence[Any]
    item: Values | None = None
    dictionary: Values | None = None


_UTF8 = Type("string")
_WORD = Type("int16", dictionary=_UTF8)
_TYPES = {
    WORD: _WORD,
    FLAG: Type("list_", item=_WORD),
    TIME: Type("timestamp", ("ns", "UTC")),
    ADDRESS: _UTF8,
    PACKED: Type("binary"),
    TEXTS: _UTF8,
    OCTETS: Type("binary"),
    NUMBERS: Type("list_", item=Type("uint8")),
}


def _type(column: TableColumn) -> Type:
    return _TYPES.get(column.form) or Type(column.dtype.name)


def _values(table: FlowTable, column: TableColumn, zeros: Column) -> Values:
    """Return a column as an Arrow array; ``zeros``: 8 bytes a row, which columns may share."""
    form, present, size = column.form, table._present(column), len(table)
    shown = table._shown(column)
    if column.field != "family" and column.field not in table._fields:
        return _absent(_type(column), size, zeros, column)
    index = np.flatnonzero(present)
    nulls = size - len(index)
    valid = np.packbits(present, bitorder="little") if nulls else None
    if isinstance(shown, WordColumn):
        codes = np.maximum(shown.codes, 0)
        return Values(size, nulls, [valid, codes], dictionary=_texts(shown.categories))
    lengths = np.zeros(size, np.int64)
    if isinstance(shown, FlagColumn):
        items, lengths[:], words = shown.items()
        inner = Values(len(items), 0, [None, items], dictionary=_texts(words))
        return Values(size, nulls, [valid, _offsets(lengths)], inner)
    if isinstance(shown, AddressColumn):
        data, lengths[index] = shown.text(index) if len(index) else (b"", 0)
        return Values(size, nulls, [valid, _offsets(lengths), data])
    if form in (TEXTS, OCTETS, PACKED, NUMBERS):
        (rows,) = table[index]._lists([column.name])
        parts = [row.encode("utf-8", "replace") if form == TEXTS else bytes(row) for row in rows]
        lengths[index] = [len(part) for part in parts]
        data, offsets = b"".join(parts), _offsets(lengths)
        if form == NUMBERS:
            return Values(size, nulls, [valid, offsets], Values(len(data), 0, [None, data]))
        return Values(size, nulls, [valid, offsets, data])
    numbers = np.ascontiguousarray(shown)
    if form == TIME:
        numbers = numbers.view(np.int64)
    return Values(size, nulls, [valid, numbers])


def _absent(kind: Type, size: int, zeros: Column, column: TableColumn) -> Values:
    """Return ``size`` nulls."""
    words = _texts(tuple((column.words or {}).values())) if kind.dictionary else None
    item = _absent(kind.item, 0, zeros, column) if kind.item else None
    buffers = [zeros, zeros, b""] if kind.name in ("string", "binary") else [zeros, zeros]
    return Values(size, size, buffers, item, words)


def _offsets(lengths: Column) -> Column:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _texts(words: Sequence[str]) -> Values:
    parts = [word.encode() for word in words]
    offsets = _offsets(np.array([len(part) for part in parts], np.int64))
    return Values(len(parts), 0, [None, offsets, b"".join(parts)])


def imported(name: str, use: str, extra: str) -> Any:
    """Return the module ``name``; the ImportError without it names the extra for ``use``."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"{use} needs {name}: pip install 'pyconntrack[{extra}]'") from error


def stream(table: FlowTable) -> object:
    """Return ``table`` as a capsule of an ArrowArrayStream."""
    nanoarrow = imported("nanoarrow", "Arrow", "arrow")
    from nanoarrow.c_array_stream import CArrayStream

    def schema(kind: Type) -> Any:
        made = getattr(nanoarrow, kind.name)(
            *([schema(kind.item)] if kind.item else kind.arguments)
        )
        return nanoarrow.dictionary(made, schema(kind.dictionary)) if kind.dictionary else made

    def array(kind: Any, values: Values) -> Any:
        item = [array(kind.value_type, values.item)] if values.item else []
        made = nanoarrow.c_array_from_buffers(
            kind, values.length, values.buffers, null_count=values.nulls, children=item
        )
        if values.dictionary:
            words = array(kind.value_type, values.dictionary)
            _move(words._addr(), made.dictionary._addr())
        return made

    columns = list(table._columns.values())
    types = {column.name: schema(_type(column)) for column in columns}
    whole = nanoarrow.struct(types)
    batches = []
    for row in range(0, len(table) or 1, BATCH):
        part = table[row : row + BATCH]
        zeros = np.zeros(8 * (len(part) + 1), np.uint8)
        arrays = [array(types[each.name], _values(part, each, zeros)) for each in columns]
        batches.append(
            nanoarrow.c_array_from_buffers(whole, len(part), [None], null_count=0, children=arrays)
        )
    made: object = CArrayStream.from_c_arrays(
        batches, nanoarrow.c_schema(whole)
    ).__arrow_c_stream__(None)
    return made


def frame(table: FlowTable) -> pandas.DataFrame:
    """Return ``table`` as a pandas.DataFrame."""
    library = imported("pandas", "to_pandas()", "pandas")
    pyarrow = imported("pyarrow", "to_pandas()", "pandas")
    types = {
        pyarrow.from_numpy_dtype(kind.numpy_dtype): kind
        for kind in (
            library.UInt8Dtype(), library.UInt16Dtype(), library.UInt32Dtype(),
            library.UInt64Dtype(),
        )
    }  # fmt: skip
    made: pandas.DataFrame = pyarrow.table(table).to_pandas(types_mapper=types.get)
    return made


def _move(source: int, target: int) -> None:
    """Move the ArrowArray at ``source`` to ``target``, which is released first."""
    release = ctypes.c_void_p.from_address(target + _RELEASE).value
    if release:
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(release)(target)
    ctypes.memmove(target, source, _SIZE)
    ctypes.c_void_p.from_address(source + _RELEASE).value = None
