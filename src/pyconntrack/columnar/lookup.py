"""Find the rows of a batch that match any of thousands of filters, as columns.

The filters are rows of values of the same fields; they are looked up by a 64-bit hash and then
compared exactly.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..ctnetlink.predicates import constant
from .predicates import mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..ctnetlink.predicates import Node
    from .columns import Group, Ints

Words = npt.NDArray[np.uint64]
#: number of high bits of a hash that rule out most rows at once
_BITS = 20


def chosen_rows(node: Node | None, group: Group) -> Ints:
    """Return the rows of ``group`` that meet ``node``."""
    return np.arange(len(group)) if node is None else np.flatnonzero(mask(node, group))


class Lookup:
    """Look up filters: their values of ``keys`` -> the numbers of their lines.

    A key is a field and the part that is compared: the mask of an address (bytes), of bits (int),
    or None for all of it.
    """

    def __init__(
        self,
        keys: tuple[tuple[str, bytes | int | None], ...],
        filters: Mapping[tuple[int | bytes, ...], list[int]],
    ) -> None:
        self._keys = keys
        self._lines = list(filters.values())
        columns: list[Words] = []
        for (_, part), values in zip(keys, zip(*filters, strict=True), strict=True):
            if isinstance(part, bytes):
                matrix = np.frombuffer(b"".join(values), np.uint32).reshape(len(values), -1)
                columns += [matrix[:, n].astype(np.uint64) for n in range(matrix.shape[1])]
            else:
                columns.append(np.array(values, np.uint64))
        rng = np.random.default_rng()
        while True:  # until no two filters share a hash
            self._odd = rng.integers(0, 1 << 63, len(columns), np.uint64) * np.uint64(2)
            self._odd += np.uint64(1)
            hashes = self._hashed(columns)
            self._order = np.argsort(hashes)
            self._sorted = hashes[self._order]
            if not (self._sorted[1:] == self._sorted[:-1]).any():
                break
        self._columns = [column[self._order] for column in columns]
        self._maybe = np.zeros(1 << _BITS, np.bool_)
        self._maybe[self._sorted >> np.uint64(64 - _BITS)] = True

    def _hashed(self, columns: list[Words]) -> Words:
        """Return the hash of each row; its high bits are the best mixed."""
        total: Words = columns[0] * self._odd[0]
        for column, odd in zip(columns[1:], self._odd[1:], strict=True):
            total = total + column * odd
        return total

    def hits(self, group: Group, rows: Ints) -> Iterator[tuple[Ints, int]]:
        """Yield (rows, line) for the ``rows`` of ``group`` that match, in the order of lines."""
        columns = self._values(group)
        if columns is None:
            return
        hashes = self._hashed(columns)[rows]
        maybe = self._maybe[hashes >> np.uint64(64 - _BITS)]
        rows, hashes = rows[maybe], hashes[maybe]
        if not len(rows):
            return
        at = np.searchsorted(self._sorted, hashes)
        at[at == len(self._sorted)] = 0
        same = np.ones(len(rows), np.bool_)
        for asked, values in zip(self._columns, columns, strict=True):
            same &= asked[at] == values[rows]
        rows, at = rows[same], self._order[at[same]]
        order = np.argsort(at, kind="stable")
        rows, at = rows[order], at[order]
        edges = [0, *(np.flatnonzero(at[1:] != at[:-1]) + 1).tolist(), len(at)]
        for low, high in pairwise(edges):
            if low < high:
                for line in self._lines[int(at[low])]:
                    yield rows[low:high], line

    def _values(self, group: Group) -> list[Words] | None:
        columns: list[Words] = []
        layout = group.layout
        for name, part in self._keys:
            value = constant(name, layout)
            if value is not None:
                value &= part if isinstance(part, int) else value
                columns.append(np.full(len(group), value, np.uint64))
                continue
            slot = layout.slots.get(name)
            if slot is None or (isinstance(part, bytes) and len(part) != slot.size):
                return None
            if isinstance(part, bytes):
                for at in range(0, slot.size, 4):
                    bits = np.frombuffer(part, np.uint32, 1, at)[0]
                    columns.append((group.wire(slot.offset + at, 4) & bits).astype(np.uint64))
            else:
                column = group.column(name).astype(np.uint64)
                columns.append(column if part is None else column & np.uint64(part))
        return columns
