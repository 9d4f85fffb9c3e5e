"""Replace addresses so that equal prefixes stay equal, and nothing else of them is kept.

Two addresses that agree in their first bits, and in no more, are replaced by two that do the same
(the property of Crypto-PAn: Xu, Fan, Ammar, Moon, 2002).  Whether a bit is inverted is a keyed hash
of the bits before it; so the same key gives the same replacement anywhere.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from .table_columns import ADDRESS, COLUMNS

if TYPE_CHECKING:
    from .columns import Bytes, Column
    from .flow_table import FlowTable


def anonymous_table(table: FlowTable, key: bytes) -> FlowTable:
    """Return ``table`` with its addresses replaced."""
    six = table._family() == 10
    fields: dict[str, Column] = dict(table._fields)
    for name in table.columns:
        column = COLUMNS.get(name)
        array = fields.get(column.field) if column is not None else None
        if column is None or array is None or column.form != ADDRESS:
            continue
        replaced = array.copy()
        for rows, size in ((np.flatnonzero(~six), 4), (np.flatnonzero(six), 16)):
            if len(rows):
                octets, place = np.unique(array[rows, :size], axis=0, return_inverse=True)
                replaced[rows, :size] = _replaced(octets, key)[place.reshape(-1)]
        replaced[~table._present(column)] = 0
        fields[column.field] = replaced
    return table._of(table._columns, fields, table._shape, table._shapes)


def anonymous_address(packed: bytes, key: bytes) -> bytes:
    """Return the replacement of one address, of 4 or 16 bytes."""
    return _replaced(np.frombuffer(packed, np.uint8).reshape(1, -1), key).tobytes()


def _replaced(addresses: Bytes, key: bytes) -> Bytes:
    """Return the replacements of different addresses, (n, 4) or (n, 16)."""
    count, size = addresses.shape
    out = np.zeros_like(addresses)
    group = np.zeros(count, np.intp)  # of the addresses with the same bytes so far
    first = np.zeros(1, np.intp)  # of each group
    for level in range(size):
        salt = bytes([size, level])
        digests = b"".join(
            blake2b(addresses[row, :level].tobytes(), digest_size=32, key=key, salt=salt).digest()
            for row in first.tolist()
        )
        flips = np.unpackbits(np.frombuffer(digests, np.uint8).reshape(-1, 32), axis=1)
        octet = addresses[:, level].astype(np.intp)
        node = np.ones(count, np.intp)  # in the tree of the byte's bits, numbered as a heap
        for bit in range(7, -1, -1):
            value = octet >> bit & 1
            out[:, level] |= ((value ^ flips[group, node]) << bit).astype(np.uint8)
            node = node * 2 + value
        _, first, group = np.unique(group * 256 + octet, return_index=True, return_inverse=True)
    return out
