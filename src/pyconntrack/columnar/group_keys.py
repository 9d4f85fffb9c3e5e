"""The keys of groups as columns: the parts of a key, packed into words of 64 bits.

A key has a form in each layout: absent, a number, or an address of some size, which decides the
widths of its parts.  Texts and sets of labels are numbered as they are met.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..formats.group_keys import STATE_NUMBERS, sort_key
from ..where.fields import ADDRESS, FAMILY, LABEL, STATE, STRING
from .columns import as_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..formats.group_keys import GroupKey, Value
    from .columns import Column, Group

Words = npt.NDArray[np.uint64]
#: a part of a key: its width in bits, and its values or the one that all rows have
Part = tuple[int, "Words | int"]

#: forms of a key; that of an address is its size
ABSENT, NUMBER = -1, 0
_STATES = {name: np.array(numbers, np.uint64) for name, numbers in STATE_NUMBERS.items()}


class Seen:
    """The texts and the sets of labels of a key, numbered as they are met."""

    __slots__ = ("numbers",)

    def __init__(self) -> None:
        self.numbers: dict[Value, int] = {}

    def number(self, value: Value) -> int:
        """Return the number of a value, a new one if it was not met before."""
        return self.numbers.setdefault(value, len(self.numbers))

    def ranks(self) -> Words:
        """Return for each number the place of its value among the sorted ones."""
        values = list(self.numbers)
        ranks = np.empty(len(values), np.uint64)
        ranks[sorted(range(len(values)), key=lambda n: sort_key(values[n]))] = np.arange(
            len(values), dtype=np.uint64
        )
        return ranks


def _host(values: Column) -> Words:
    """Return numbers of a message as words in the byte order of the host."""
    return (values.byteswap() if np.little_endian else values).astype(np.uint64)


def widths_of(key: GroupKey, form: int) -> list[int]:
    """Return the widths of the parts of a key in one of its forms."""
    if form == ABSENT:
        return []
    if form in (4, 16):
        return [32] if form == 4 else [64, 64]
    if key.field.kind in (STRING, LABEL):
        return [32]
    if key.field.kind in (STATE, FAMILY):
        return [16]
    return [1, 64] if len(key.field.names) > 1 else [8 * key.size]


def parts_of(key: GroupKey, seen: Seen, group: Group) -> tuple[int, list[Part]]:
    """Return the form of a key in a group of messages, and its parts."""
    layout, kind = group.layout, key.field.kind
    if kind == FAMILY:
        return NUMBER, [(16, layout.family)]
    names = key.field.within(layout)
    if not names:
        return ABSENT, []
    slot = layout.slots[names[0]]
    if kind == ADDRESS:
        return slot.size, _address(key, group, slot.offset, slot.size)
    if kind in (STRING, LABEL):
        return NUMBER, [(32, _texts(key, seen, group, names[0]))]
    if kind == STATE:
        return NUMBER, [(16, _STATES[names[0]].take(group.column(names[0]).astype(np.intp)))]
    widths = widths_of(key, NUMBER)
    if names[0] in layout.shape:
        return NUMBER, [(widths[0], layout.shape[names[0]])]
    column = group.column(names[0]).astype(np.uint64)
    if len(names) == 1:
        return NUMBER, [(widths[0], column)]
    total = column + group.column(names[1]).astype(np.uint64)
    return NUMBER, [(1, (total < column).astype(np.uint64)), (64, total)]


def _address(key: GroupKey, group: Group, offset: int, size: int) -> list[Part]:
    mask = key.masks.get(size, (1 << 8 * size) - 1)
    if size == 4:
        return [(32, _host(group.wire(offset, 4)) & np.uint64(mask))]
    halves = _host(group.wire(offset, 8)), _host(group.wire(offset + 8, 8))
    masks = np.uint64(mask >> 64), np.uint64(mask & (1 << 64) - 1)
    return [(64, halves[0] & masks[0]), (64, halves[1] & masks[1])]


def _texts(key: GroupKey, seen: Seen, group: Group, name: str) -> Words:
    matrix = group.column(name)
    convert = key.of_bytes(matrix.shape[1])
    assert convert is not None
    if not matrix.shape[1]:
        return np.full(len(group), seen.number(convert(b"")), np.uint64)
    distinct, place = np.unique(matrix, axis=0, return_inverse=True)
    numbers = [seen.number(convert(raw)) for raw in as_bytes(distinct)]
    return np.array(numbers, np.uint64)[place.reshape(-1)]


def parts_of_value(key: GroupKey, seen: Seen, value: Value) -> tuple[int, list[Part]]:
    """Return the form and the parts of one value."""
    if value is None:
        return ABSENT, []
    if isinstance(value, bytes):
        form, number = len(value), int.from_bytes(value)
    else:
        form, number = NUMBER, value if isinstance(value, int) else seen.number(value)
    widths = widths_of(key, form)
    if len(widths) == 1:
        return form, [(widths[0], number)]
    return form, [(widths[0], number >> 64), (64, number & (1 << 64) - 1)]


def packed(parts: Sequence[Part]) -> list[Words | int]:
    """Return the parts in words of 64 bits, the first in the highest bits; at least one word."""
    words: list[Any] = [] if parts else [0]
    room = 0
    for width, value in parts:
        if width > room:
            words.append(0)
            room = 64
        room -= width
        if room:
            value = value << room if isinstance(value, int) else value << np.uint64(room)
        words[-1] = words[-1] | value
    return words
