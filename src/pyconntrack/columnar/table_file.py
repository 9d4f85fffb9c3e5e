"""The columns of a FlowTable as JSON values, for files that are attached to a report.

A column is compressed text: its numbers in little-endian order, byte by byte (first the lowest byte
of all rows), as neighbouring rows differ in few bytes.  What a file says is not trusted: each part
has the size that follows from the number of rows, and is not unpacked beyond it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any
from zlib import compress, decompressobj
from zlib import error as ZlibError

import numpy as np

from ..errors import RequestError
from .flow_table import FlowTable
from .table_columns import ADDRESS, COLUMNS, FLAG, NUMBER, TEXTS, WORD

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from .columns import Column
    from .table_builder import Shape

#: rows, shapes and texts that a file may have
MOST_ROWS, _MOST_SHAPES, _MOST_TEXTS = 1 << 24, 1 << 16, 1 << 16
_FORMS = (WORD, FLAG, NUMBER, ADDRESS, TEXTS)
_SHAPE, _CODE = np.dtype(np.int32), np.dtype(np.uint32)


def to_json(table: FlowTable, names: Iterable[str]) -> dict[str, Any]:
    """Return those columns of ``table`` that are among ``names``, as :func:`from_json` reads them.

    Their names must be those of fields; times and bytes cannot be written.
    """
    columns = [COLUMNS[name] for name in names if name in table]
    written: dict[str, Any] = {}
    for column in columns:
        array = table._fields.get(column.field)
        if array is None:
            continue
        if column.form == TEXTS:
            rows = np.flatnonzero(table._present(column))
            codes = np.zeros(len(table), _CODE)
            texts, codes[rows] = np.unique(array[rows].astype(str), return_inverse=True)
            written[column.name] = {"texts": texts.tolist(), "data": _packed(codes)}
        else:
            written[column.name] = {"data": _packed(array)}
    kept = {column.field for column in columns}
    return {
        "rows": len(table),
        "names": [column.name for column in columns],
        "shapes": [[family, sorted(fields & kept)] for family, fields in table._shapes],
        "shape": _packed(table._shape),
        "columns": written,
    }


def from_json(document: object, allowed: Iterable[str]) -> FlowTable:
    """Return the table of :func:`to_json`, whose columns are among ``allowed``.

    Raises :class:`~pyconntrack.RequestError` with the place for anything else.
    """
    rows = _member(document, "rows", int)
    if not 0 <= rows <= MOST_ROWS:
        raise RequestError(f"rows: {rows} is no number from 0 to {MOST_ROWS}")
    names = _member(document, "names", list)
    known = set(allowed)
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise RequestError(f"names: {str(name)[:60]!r} is no column of a snapshot")
    columns = {name: COLUMNS[name] for name in names}
    shapes = _shapes(_member(document, "shapes", list), {c.field for c in columns.values()})
    shape = _unpacked(_member(document, "shape", str), _SHAPE, rows, 0, "shape")
    if rows and not 0 <= shape.min() <= shape.max() < len(shapes):
        raise RequestError("shape: a row has a shape that is none")
    fields: dict[str, Column] = {}
    for name, part in _member(document, "columns", dict).items():
        column = columns.get(name)
        if column is None or column.form not in _FORMS or column.field == "family":
            raise RequestError(f"columns: {name[:60]!r} is none of the names")
        data = _member(part, "data", str, name)
        if column.form != TEXTS:
            fields[column.field] = _unpacked(data, column.dtype, rows, column.width, name)
            continue
        texts = _member(part, "texts", list, name)
        if len(texts) > _MOST_TEXTS or not all(isinstance(text, str) for text in texts):
            raise RequestError(f"{name}: its texts are no list of at most {_MOST_TEXTS} texts")
        codes = _unpacked(data, _CODE, rows, 0, name)
        values = np.empty(max(len(texts), 1), object)
        values[: len(texts)] = texts
        if rows and codes.max() >= len(values):
            raise RequestError(f"{name}: a row has a text that is none")
        fields[column.field] = values[codes]
    for family, present in shapes:
        if missing := present - fields.keys() - {"family"}:
            raise RequestError(f"columns: {min(missing)} is missing, which rows of shape"
                               f" {family} have")  # fmt: skip
    return FlowTable._of(columns, fields, shape, shapes)


def _shapes(listed: list[Any], known: set[str]) -> list[Shape]:
    shapes: list[Shape] = []
    for each in listed[: _MOST_SHAPES + 1]:
        if not (isinstance(each, list) and len(each) == 2 and each[0] in (0, 2, 10)
                and isinstance(each[1], list) and all(isinstance(n, str) for n in each[1])
                and known.issuperset(each[1])):  # fmt: skip
            raise RequestError("shapes: a family and a list of fields of the table are wanted")
        shapes.append((int(each[0]), frozenset(each[1])))
    if len(shapes) > _MOST_SHAPES:
        raise RequestError(f"shapes: there are more than {_MOST_SHAPES}")
    return shapes


def _member(document: object, name: str, kind: type[Any], where: str = "") -> Any:
    value = document.get(name) if isinstance(document, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise RequestError(f"{where}{': ' * bool(where)}{name} is missing, or of a wrong type")
    return value


def _packed(array: npt.NDArray[Any]) -> str:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    octets = little.view(np.uint8).reshape(len(array), little[:1].nbytes or 1)
    return b64encode(compress(np.ascontiguousarray(octets.T).data, 1)).decode()


def _unpacked(text: str, dtype: np.dtype[Any], rows: int, width: int, where: str) -> Column:
    size = dtype.itemsize * (width or 1)
    try:
        reader = decompressobj()
        data = reader.decompress(b64decode(text, validate=True), rows * size + 1)
    except (ValueError, ZlibError):
        raise RequestError(f"{where}: its data is damaged") from None
    if len(data) != rows * size or not reader.eof:
        raise RequestError(f"{where}: its data is not that of {rows} rows")
    octets = np.frombuffer(data, np.uint8).reshape(size, rows)
    array = np.ascontiguousarray(octets.T).reshape(-1).view(dtype.newbyteorder("<"))
    array = array.astype(dtype, copy=False)
    return array.reshape(rows, width) if width else array
