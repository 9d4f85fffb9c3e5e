"""Count entries by the values of some fields, thousands at once.

The keys of an entry are packed into words of 64 bits, so that equal words are equal keys.  Which
keys an entry has, and of which family its addresses are, is a property of its layout: each
combination has a table of its own, of blocks that are merged as they grow.  So memory grows with
the number of groups only.

The reference is :class:`pyconntrack.cli.grouping.Groups`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..thresholds import GROUPED, PRINTED
from ..where.fields import LABEL, STRING
from .arrangement import grouped
from .columns import as_bytes
from .group_keys import ABSENT, Seen, packed, parts_of, parts_of_value, widths_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..formats.group_keys import GroupKey, Value
    from ..formats.groups import Group as Counted
    from ..where.fields import Field
    from .columns import Column, Group, Ints
    from .group_keys import Words
    from .selection import Columns

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


class ColumnGroups:
    """Groups of entries with equal ``keys``, and their sums of the fields ``sums``."""

    __slots__ = ("_keys", "_pending", "_seen", "_sums", "_tables")

    def __init__(self, keys: Sequence[GroupKey], sums: Sequence[Field]) -> None:
        self._keys, self._sums = keys, sums
        self._tables: dict[tuple[int, ...], _Table] = {}
        self._seen = [Seen() for _ in keys]
        self._pending = 0

    def add(self, entries: Columns) -> None:
        """Count these entries."""
        for group in entries.groups:
            form, parts = [], []
            for key, seen in zip(self._keys, self._seen, strict=True):
                kind, more = parts_of(key, seen, group)
                form.append(kind)
                parts += more
            self._append(form, packed(parts), [None, *self._amounts(group)], len(group))
        self._pending += entries.count
        if self._pending >= GROUPED:
            self._reduce()

    def insert(self, totals: Mapping[tuple[Value, ...], list[int]]) -> None:
        """Add groups with their totals, as :class:`pyconntrack.cli.grouping.Groups` has them."""
        for values, (count, *sums) in totals.items():
            form, parts = [], []
            for key, seen, value in zip(self._keys, self._seen, values, strict=True):
                kind, more = parts_of_value(key, seen, value)
                form.append(kind)
                parts += more
            added = [count]
            for total, known in zip(sums[::2], sums[1::2], strict=True):
                added += [total & int(_LOW), total >> 32, known]
            self._append(form, packed(parts), added, 1)
        self._reduce()

    def _append(
        self, form: list[int], words: list[Words | int], added: Sequence[Words | int | None],
        count: int,
    ) -> None:  # fmt: skip
        table = self._tables.setdefault(tuple(form), _Table(len(words)))
        columns = [1 if column is None else column for column in (*words, *added)]
        table.pending.append([
            np.full(count, column, np.uint64) if isinstance(column, int) else column
            for column in columns
        ])  # fmt: skip

    def _amounts(self, group: Group) -> Iterator[Words | int]:
        """Yield for each sum its lower and upper 32 bits, and whether the rows have it."""
        for field in self._sums:
            names = field.within(group.layout)
            low: Words | int = 0
            high: Words | int = 0
            for name in names:
                column = group.column(name).astype(np.uint64)
                low, high = low + (column & _LOW), high + (column >> _HALF)
            yield from (low, high, int(bool(names)))

    def _reduce(self) -> None:
        self._pending = 0
        for table in self._tables.values():
            table.reduce()

    def __len__(self) -> int:
        return sum([len(table.whole()[0]) for table in self._tables.values()])

    def lacking(self) -> list[int]:
        """Return for each sum the number of entries that are not in it."""
        found = [0] * len(self._sums)
        for table in self._tables.values():
            _, count, *sums = table.columns()
            for number in range(len(found)):
                found[number] += int(count.sum() - sums[3 * number + 2].sum())
        return found

    # ---- the result -----------------------------------------------------------------------------

    def ranked(
        self, order: Sequence[tuple[int, bool]], limit: int | None = None
    ) -> Iterator[list[Counted]]:
        """Yield the first ``limit`` groups by ``order``, equal ones by their keys, in lists."""
        parts = [_Part(table, form, self._keys, self._seen)
                 for form, table in self._tables.items()]  # fmt: skip
        if not parts:
            return
        first = 1 + len(self._sums)
        whole = [*order, *[(first + number, False) for number in range(len(self._keys))]]
        keys: list[Column] = []
        for place, down in reversed(whole):
            own = [part.sort_columns(place, first) for part in parts]
            columns = [np.concatenate(column) for column in zip(*own, strict=True)]
            keys += [~column for column in columns[:-1]] if down else columns[:-1]
            keys.append(columns[-1])
        rows = np.lexsort(keys)[:limit]
        edges = np.cumsum([0, *map(len, parts)])
        for low in range(0, len(rows), PRINTED):
            block = rows[low : low + PRINTED]
            number = np.searchsorted(edges, block, side="right") - 1
            found: list[Any] = [None] * len(block)
            for each, part in enumerate(parts):
                places = np.flatnonzero(number == each)
                groups = part.groups(block[places] - edges[each], len(self._sums))
                for place, counted in zip(places.tolist(), groups, strict=True):
                    found[place] = counted
            yield found


# ---- tables -------------------------------------------------------------------------------------


class _Table:
    """The groups of one combination of forms: columns of words of the keys, of counts and sums.

    ``pending``: columns of entries, or of groups, that are not yet in a block.
    """

    __slots__ = ("_blocks", "_words", "pending")

    def __init__(self, words: int) -> None:
        self._words = words
        self._blocks: list[list[Words]] = []
        self.pending: list[list[Words]] = []

    def reduce(self) -> None:
        """Add what is pending; merge the last blocks while they are of like size."""
        if not self.pending:
            return
        blocks = self._blocks
        blocks.append(self._merged(self.pending))
        self.pending = []
        while len(blocks) > 1 and 2 * len(blocks[-1][0]) >= len(blocks[-2][0]):
            blocks[-2:] = [self._merged(blocks[-2:])]

    def whole(self) -> list[Words]:
        """Return the columns of all groups."""
        self.reduce()
        if len(self._blocks) > 1:
            self._blocks = [self._merged(self._blocks)]
        return self._blocks[0]

    def columns(self) -> list[Any]:
        """Return the words of the keys as a list, then counts and sums."""
        columns = self.whole()
        return [columns[: self._words], *columns[self._words :]]

    def _merged(self, blocks: list[list[Words]]) -> list[Words]:
        columns = [np.concatenate(column) for column in zip(*blocks, strict=True)]
        keys = columns[: self._words]
        first, place = grouped(keys, len(keys[0]))
        added = []
        for column in columns[self._words :]:
            added.append(np.zeros(len(first), np.uint64))
            np.add.at(added[-1], place, column)
        return [*[key[first] for key in keys], *added]


class _Part:
    """The groups of one combination of forms, to be sorted among those of others and read."""

    __slots__ = ("_added", "_count", "_form", "_keys", "_parts", "_seen")

    def __init__(
        self, table: _Table, form: tuple[int, ...], keys: Sequence[GroupKey], seen: list[Seen]
    ) -> None:
        words, self._count, *self._added = table.columns()
        self._form, self._keys, self._seen = form, keys, seen
        self._parts: list[list[Words]] = []
        room, at = 0, -1
        for key, kind in zip(keys, form, strict=True):
            own = []
            for width in widths_of(key, kind):
                if width > room:
                    room, at = 64, at + 1
                room -= width
                part = words[at] >> np.uint64(room)
                own.append(part & np.uint64((1 << width) - 1) if width < 64 else part)
            self._parts.append(own)

    def __len__(self) -> int:
        return len(self._count)

    def sort_columns(self, place: int, first: int) -> tuple[Column, ...]:
        """Return what sorts by the value at ``place``: three columns, the least significant first,
        and whether it is absent."""
        zeros = np.zeros(len(self), np.uint64)
        here = np.zeros(len(self), np.bool_)
        if place == 0:
            return self._count, zeros, zeros, here
        if place < first:
            low, high, known = self._sum(place - 1)
            return low, high, zeros, known == 0
        number = place - first
        form, parts = self._form[number], self._parts[number]
        if form == ABSENT:
            return zeros, zeros, zeros, ~here
        if self._keys[number].field.kind in (STRING, LABEL):
            parts = [self._seen[number].ranks()[parts[0].astype(np.intp)]]
        low = parts[-1]
        high = parts[0] if len(parts) > 1 else zeros
        return low, high, np.full(len(self), form, np.uint64), here

    def _sum(self, number: int) -> tuple[Words, Words, Words]:
        low, high, known = self._added[3 * number : 3 * number + 3]
        return low & _LOW, high + (low >> _HALF), known

    def groups(self, rows: Ints, sums: int) -> list[Counted]:
        """Return the groups ``rows``, as :class:`pyconntrack.cli.grouping.Groups` has them."""
        values = [self._values(number, rows) for number in range(len(self._keys))]
        added = []
        for number in range(sums):
            columns = [column[rows].tolist() for column in self._sum(number)]
            added.append([(high << 32) + low if known else None
                          for low, high, known in zip(*columns, strict=True)])  # fmt: skip
        none: list[tuple[Any, ...]] = [()] * len(rows)
        return list(
            zip(
                zip(*values, strict=True),
                self._count[rows].tolist(),
                zip(*added, strict=True) if added else none,
                strict=True,
            )
        )

    def _values(self, number: int, rows: Ints) -> list[Value]:
        form, parts = self._form[number], [part[rows] for part in self._parts[number]]
        if form == ABSENT:
            return [None] * len(rows)
        key = self._keys[number]
        if form in (4, 16):
            octets = np.stack(parts, 1).astype(">u8" if form == 16 else ">u4")
            return [*as_bytes(octets.view(np.uint8).reshape(len(rows), form))]
        if key.field.kind in (STRING, LABEL):
            known = list(self._seen[number].numbers)
            return [known[place] for place in parts[0].tolist()]
        if len(parts) == 1:
            return [*parts[0].tolist()]
        return [(high << 64) + low for high, low in zip(*[p.tolist() for p in parts], strict=True)]
