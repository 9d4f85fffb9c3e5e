"""Count entries by the values of some fields, message by message.

:mod:`pyconntrack.columnar.grouping` does the same for columns; this defines what it returns.
"""

from __future__ import annotations

from ..formats.group_keys import sort_key
from ..thresholds import PRINTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, TypeAlias

    from ..ctnetlink.layout import Layout
    from ..formats.group_keys import GroupKey, Value
    from ..formats.groups import Group
    from ..where.fields import Field
    from .selection import Messages

    #: the place of a value among a group's count, sums and keys, and whether it descends
    Order: TypeAlias = Sequence[tuple[int, bool]]


class Groups:
    """Groups of entries with equal ``keys``, and their sums of the fields ``sums``.

    ``totals``: values of the keys -> number of entries, then for each sum its value and the number
    of entries that have one.
    """

    __slots__ = ("_keys", "_readers", "_sums", "totals")

    def __init__(self, keys: Sequence[GroupKey], sums: Sequence[Field]) -> None:
        self._keys, self._sums = keys, sums
        self._readers: dict[Layout, tuple[Any, Any]] = {}
        self.totals: dict[tuple[Value, ...], list[int]] = {}

    def add(self, entries: Messages) -> None:
        """Count these entries."""
        totals = self.totals
        for layout, _, raw in entries.rows:
            readers = self._readers.get(layout)
            if readers is None:
                readers = self._readers[layout] = self._readers_of(layout)
            key = tuple([None if read is None else read(raw) for read in readers[0]])
            total = totals.get(key)
            if total is None:
                total = totals[key] = [0] * (1 + 2 * len(self._sums))
            total[0] += 1
            for place, amount in readers[1]:
                total[place] += amount(raw)
                total[place + 1] += 1

    def _readers_of(self, layout: Layout) -> tuple[list[Any], list[tuple[int, Any]]]:
        amounts = []
        for number, field in enumerate(self._sums):
            places = [layout.names.index(name) for name in field.within(layout)]
            if places:
                amounts.append((1 + 2 * number, _sum(places)))
        return [key.reader(layout) for key in self._keys], amounts

    def __len__(self) -> int:
        return len(self.totals)

    def lacking(self) -> list[int]:
        """Return for each sum the number of entries that are not in it."""
        return [
            sum([total[0] - total[2 + 2 * number] for total in self.totals.values()])
            for number in range(len(self._sums))
        ]

    def ranked(self, order: Order, limit: int | None = None) -> Iterator[list[Group]]:
        """Yield the first ``limit`` groups by ``order``, equal ones by their keys, in lists.

        What a group lacks comes last in both directions.
        """
        rows: list[Group] = [
            (key, total[0], tuple([total[at] if total[at + 1] else None
                                   for at in range(1, len(total), 2)]))
            for key, total in self.totals.items()
        ]  # fmt: skip
        first = 1 + len(self._sums)
        whole = [*order, *[(first + number, False) for number in range(len(self._keys))]]
        for place, down in reversed(whole):
            rows.sort(key=_value(place, first), reverse=down)
            rows.sort(key=_absent(place, first))
        rows = rows[:limit]
        for low in range(0, len(rows), PRINTED):
            yield rows[low : low + PRINTED]


def _sum(places: list[int]) -> Callable[[Sequence[int]], int]:
    return lambda raw: sum([raw[place] for place in places])


def _raw(place: int, first: int) -> Callable[[Group], Any]:
    if place == 0:
        return lambda row: row[1]
    if place < first:
        return lambda row: row[2][place - 1]
    return lambda row: row[0][place - first]


def _absent(place: int, first: int) -> Callable[[Group], bool]:
    value = _raw(place, first)
    return lambda row: value(row) is None


def _value(place: int, first: int) -> Callable[[Group], Any]:
    """Return what orders rows by the value at ``place``; that of absent ones does not matter."""
    value = _raw(place, first)
    return lambda row: (value(row) is not None, sort_key(value(row)))
