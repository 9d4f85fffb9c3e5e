"""Select thousands of entries as columns, and send requests about them.

The numpy half of :mod:`pyconntrack.cli.selection`, imported only for large tables.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..ctnetlink.field_names import FIELDS
from ..ctnetlink.requests import IDENTITY
from ..ctnetlink.schema import CONNTRACK
from ..errors import DecodeError
from ..netlink import constants as c
from ..netlink.conversation import BATCH_MESSAGES, sent, sequence
from ..netlink.messages import attr, message
from .columns import Group, groups, selected, starts
from .predicates import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Protocol

    from ..ctnetlink.layout import Layout
    from ..ctnetlink.predicates import Node
    from ..netlink.conversation import Conversation, Failure
    from .columns import Bools, Bytes, Ints

    class Filters(Protocol):
        """The filters of a file, by line number."""

        def hits(self, group: Group, /) -> Iterable[tuple[Ints, int]]:
            """Yield (rows of ``group``, line) for each line that matches."""


class Columns:
    """A selection as columns: each row of ``groups`` has its place in a window of ``places``.

    ``hits``: for --from-file, (place of the entry, number of the line) of each hit.
    """

    __slots__ = ("groups", "hits", "places")

    def __init__(
        self, groups: list[Group], places: int, hits: Iterable[tuple[int, int]] = ()
    ) -> None:
        self.groups, self.places, self.hits = groups, places, list(hits)

    @staticmethod
    def joined(parts: Sequence[Columns]) -> Columns:
        """Return several selections as one, as each call has a fixed cost."""
        if len(parts) == 1:
            return parts[0]
        shapes: dict[Layout, list[Group]] = {}
        places = 0
        for part in parts:
            for group in part.groups:
                moved = Group(group.layout, group.rows, group.index + places)
                shapes.setdefault(group.layout, []).append(moved)
            places += part.places
        whole = [
            Group(layout, np.concatenate([each.rows for each in same]),
                  np.concatenate([each.index for each in same]))
            for layout, same in shapes.items()
        ]  # fmt: skip
        return Columns(whole, places)

    @property
    def count(self) -> int:
        """Return the number of entries."""
        return sum(map(len, self.groups))

    def items(self) -> list[tuple[Layout, bytes]]:
        """Return the messages with their layouts."""
        placed = [
            (place, (group.layout, message))
            for group in self.groups
            for place, message in zip(group.index.tolist(), group.messages(), strict=True)
        ]
        placed.sort(key=itemgetter(0))
        return [item for _, item in placed]

    def where(self, keep: Callable[[Group], Bools]) -> Columns:
        """Return the entries in the mask that ``keep`` returns for a group's rows."""
        return Columns(selected(self.groups, keep), self.places)

    def without(self, gone: Iterable[int]) -> Columns:
        """Return the entries except those at the places ``gone``."""
        lost = set(gone)
        if not lost:
            return self
        stays = np.ones(self.places, np.bool_)
        stays[list(lost)] = False
        left = self.where(lambda group: stays[group.index])
        left.hits = [hit for hit in self.hits if hit[0] not in lost]
        return left

    def requests(
        self, kind: int, tails: Callable[[Group], Bytes] | None = None
    ) -> Conversation[list[tuple[int, Failure]]]:
        """Send a request of type ``kind`` for each entry; return (place, failure) of each refusal.

        ``tails``: returns the attributes that follow the identities of a group's rows.
        """
        failures: list[tuple[int, Failure]] = []
        base = sequence() & 0x3FFFFFFF
        for group in self.groups:
            matrix = _requests(group, kind, base, None if tails is None else tails(group))
            count = len(matrix)
            flags = matrix[:, 6:8].view(np.uint16)
            for low in range(0, count, BATCH_MESSAGES):
                high = min(low + BATCH_MESSAGES, count)
                flags[high - 1] |= c.NLM_F_ACK
                answer = yield from sent(matrix[low:high].tobytes(), base + high - 1)
                failures += [(int(group.index[bad.index - base]), bad) for bad in answer]
            base += count
        return failures


def chooser(node: Node | None, lines: Filters | None) -> Callable[[bytes], tuple[Columns, int]]:
    """Return a function from messages to the selection that meets ``node`` and any of ``lines``,
    and the number of messages."""

    def choose(data: bytes) -> tuple[Columns, int]:
        at = starts(data, len(data))
        shapes = groups(data, at)
        if node is not None:
            shapes = selected(shapes, lambda group: mask(node, group))
        if lines is None:
            return Columns(shapes, len(at)), len(at)
        hits: list[tuple[int, int]] = []
        wanted = np.zeros(len(at), np.bool_)
        for group in shapes:
            for rows, line in lines.hits(group):
                places = group.index[rows]
                wanted[places] = True
                hits += [(place, line) for place in places.tolist()]
        return Columns(selected(shapes, lambda group: wanted[group.index]), len(at), hits), len(at)

    return choose


def _requests(group: Group, kind: int, base: int, tail: Bytes | None) -> Bytes:
    spans = group.layout.spans
    if IDENTITY[0] not in spans:
        raise DecodeError("an entry without its original tuple")
    parts = [group.rows[:, slice(*spans[name])] for name in IDENTITY if name in spans]
    if tail is not None:
        parts.append(tail)
    size = sum(part.shape[1] for part in parts)
    head = message(kind, c.NLM_F_REQUEST, 0, group.layout.family, b"\0" * size)[:20]
    matrix = np.empty((len(group), 20 + size), np.uint8)
    matrix[:, :20] = np.frombuffer(head, np.uint8)
    numbers = np.arange(base, base + len(group), dtype=np.uint32)
    matrix[:, 8:12] = numbers.view(np.uint8).reshape(-1, 4)
    at = 20
    for part in parts:
        matrix[:, at : at + part.shape[1]] = part
        at += part.shape[1]
    return matrix


# ---- updates ------------------------------------------------------------------------------------

#: the options of an update whose new values can be columns, named after their fields
_SIMPLE = ("timeout", "mark", "status")


class Update:
    """The new values of an update as columns."""

    __slots__ = ("_names", "_opts")

    def __init__(self, opts: dict[str, Any]) -> None:
        self._opts = opts
        self._names = [name for name in _SIMPLE if name in opts]

    @staticmethod
    def simple(opts: dict[str, Any]) -> bool:
        """Return whether columns suffice for all options."""
        return not any(name.endswith("_state") or name.startswith("label_") for name in opts)

    def differs(self, group: Group) -> Bools:
        """Return a mask of the rows that the update changes."""
        return self._any(group, self._names)

    def returns(self, group: Group) -> Bools:
        """Return a mask of the rows with a changed value that an undo can restore."""
        return self._any(group, [name for name in self._names if name != "status"])

    def _any(self, group: Group, names: list[str]) -> Bools:
        differ = np.zeros(len(group), np.bool_)
        for name in names:
            differ |= _new(group, name, self._opts[name])[1]
        return differ

    def tails(self, group: Group) -> Bytes:
        """Return the attributes of the new values, a row each."""
        tail = np.empty((len(group), 8 * len(self._names)), np.uint8)
        for number, name in enumerate(self._names):
            head = attr(FIELDS[id(CONNTRACK)][name][0].number, bytes(4))
            tail[:, 8 * number : 8 * number + 8] = np.frombuffer(head, np.uint8)
            raw = _new(group, name, self._opts[name])[0].astype(">u4").view(np.uint8)
            tail[:, 8 * number + 4 : 8 * number + 8] = raw.reshape(-1, 4)
        return tail


def _new(group: Group, name: str, value: Any) -> tuple[npt.NDArray[np.uint32], Bools]:
    there = name in group
    was = group.column(name) if there else np.zeros(len(group), np.uint32)
    if name == "timeout":
        new = np.full(len(group), value, np.uint32)
        return new, (was != new) if there else np.ones(len(group), np.bool_)
    if name == "status":
        new = was | np.uint32(value[0])
    elif value[1] is None:
        new = np.full(len(group), value[0], np.uint32)
    else:
        new = (was & np.uint32(~value[1] & 0xFFFFFFFF)) ^ np.uint32(value[0])
    return new, np.asarray(new != was)


class Keys:
    """A set of entries by a 64-bit hash of tuple, id and zone, to find them in another dump."""

    __slots__ = ("_all", "_parts")

    def __init__(self) -> None:
        self._parts: list[npt.NDArray[np.uint64]] = []
        self._all: npt.NDArray[np.uint64] | None = None

    def add(self, entries: Columns) -> None:
        """Add these entries."""
        self._parts += map(_keys, entries.groups)

    def has(self, group: Group) -> Bools:
        """Return a mask of the rows that were added."""
        if self._all is None:
            self._all = np.sort(np.concatenate(self._parts)) if self._parts else np.zeros(1, "u8")
            self._parts.clear()
        keys = _keys(group)
        at = np.searchsorted(self._all, keys)
        at[at == len(self._all)] = 0
        return np.asarray(self._all[at] == keys)


#: odd multipliers, new in each run
_ODD: npt.NDArray[np.uint64] = np.random.default_rng().integers(0, 1 << 63, 256, np.uint64)
_ODD += _ODD + np.uint64(1)


def _keys(group: Group) -> npt.NDArray[np.uint64]:
    keys = np.zeros(len(group), np.uint64)
    number = 0
    for name in IDENTITY:
        low, high = group.layout.spans.get(name, (0, 0))
        for at in range(low, high, 4):
            keys += group.wire(at, 4).astype(np.uint64) * _ODD[number]
            number += 1
    keys ^= keys >> np.uint64(29)
    return keys
