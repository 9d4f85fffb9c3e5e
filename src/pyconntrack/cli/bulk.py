"""Thousands of entries at once, as columns: selecting them, and the requests about them.

Owns the numpy half of the verbs that change; imported only for large tables.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..columns import groups, mask, starts
from ..driver import call
from ..errors import DecodeError
from ..session import BATCH_MESSAGES, sent, sequence
from ..wire import consts as c
from ..wire.frame import message
from .found import Found

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..columns import Bools, Bytes, Group, Ints
    from ..filter import Node
    from ..session import Failure
    from ..transport import Transport
    from .many import Lines
    from .parse import Command

    #: a group -> (rows concerned or None for all, (n, size) attributes behind the identity)
    Extra = Callable[[Group], tuple[Bools | None, Bytes]]

#: the attributes that name an entry: CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE
_IDENTITY = (1, 12, 18)


def select(data: bytes, node: Node | None, lines: Lines | None) -> tuple[Found, int]:
    """The messages of `data` that `node`, and any of `lines`, says yes to; how many there were."""
    at = starts(data, len(data))
    shapes = groups(data, at)
    keep = np.full(len(at), node is None and lines is None, np.bool_)
    hits: list[tuple[Ints, int]] = []
    for group in shapes if node is not None or lines is not None else ():
        chosen = None if node is None else mask(node, group)
        if chosen is not None and not chosen.any():
            continue
        if lines is None:
            assert chosen is not None
            keep[group.index[chosen]] = True
            continue
        part = group if chosen is None or chosen.all() else group.take(chosen)
        for rows, line in lines.hits(part):
            places = part.index[rows]
            keep[places] = True
            hits.append((places, line))
    found = squeeze(data, at, keep)
    if found.count == len(at):
        found.groups = shapes
    if hits:
        number = np.cumsum(keep) - 1
        for places, line in hits:
            found.lines += [(index, line) for index in number[places].tolist()]
    return found, len(at)


def _groups(found: Found) -> list[Group]:
    if found.groups is None:
        found.groups = groups(found.data, starts(found.data, len(found.data)))
    return found.groups


def squeeze(data: bytes, at: Ints, keep: Bools) -> Found:
    """The messages at `at` that are to be kept."""
    count = int(np.count_nonzero(keep))
    if count == len(at):
        return Found(data, count, large=True)
    if not count:
        return Found(b"", 0, large=True)
    words = np.frombuffer(data, np.uint32, len(data) >> 2)
    sizes = np.diff(at, append=len(data)) >> 2
    return Found(words[np.repeat(keep, sizes)].tobytes(), count, large=True)


def without(found: Found, gone: list[int]) -> Found:
    """`found` without the messages of these indices."""
    if not gone:
        return found
    at = starts(found.data, len(found.data))
    keep = np.ones(len(at), np.bool_)
    keep[gone] = False
    rest = squeeze(found.data, at, keep)
    lost = set(gone)
    if found.lines:
        number = np.cumsum(keep) - 1
        rest.lines = [(int(number[i]), line) for i, line in found.lines if i not in lost]
    return rest


def send(
    transport: Transport, found: Found, kind: int, extra: Extra | None = None
) -> tuple[Bools, list[tuple[int, Failure]]]:
    """A request of type `kind` about each entry; (which ones, (index, failure) of the refused).

    Each names its entry by tuple, id and zone, as dumped, and says no more than `extra`.
    """
    asked = np.zeros(found.count, np.bool_)
    failures: list[tuple[int, Failure]] = []
    base = sequence() & 0x3FFFFFFF
    for group in _groups(found):
        tail = None
        if extra is not None:
            rows, tail = extra(group)
            if rows is not None:
                if not rows.any():
                    continue
                group, tail = group.take(rows), tail[rows]
        asked[group.index] = True
        matrix = _requests(group, kind, base, tail)
        count = len(matrix)
        flags = matrix[:, 6:8].view(np.uint16)
        for low in range(0, count, BATCH_MESSAGES):
            high = min(low + BATCH_MESSAGES, count)
            flags[high - 1] |= c.NLM_F_ACK
            answer = call(transport, sent(matrix[low:high].tobytes(), base + high - 1))
            for bad in answer:
                failures.append((int(group.index[bad.index - base]), bad))
        base += count
    return asked, failures


def _requests(group: Group, kind: int, base: int, tail: Bytes | None) -> Bytes:
    spans = group.layout.spans
    if 1 not in spans:
        raise DecodeError("an entry without its original tuple")
    parts = [group.rows[:, slice(*spans[number])] for number in _IDENTITY if number in spans]
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

#: the options of an update whose new values are columns, and their attribute numbers
_SIMPLE = {"timeout": 7, "mark": 8, "status": 3}


def simple(command: Command) -> Extra | None:
    """The new values of an update as columns; None where an option needs more than that."""
    opts = command.opts
    if any(name.endswith("_state") or name.startswith("label_") for name in opts):
        return None
    names = [name for name in _SIMPLE if name in opts]
    if not names:
        return None

    def extra(group: Group) -> tuple[Bools | None, Bytes]:
        differ = np.zeros(len(group), np.bool_)
        tail = np.empty((len(group), 8 * len(names)), np.uint8)
        for number, name in enumerate(names):
            new, changed = _new(group, name, opts[name])
            differ |= changed
            head = (8).to_bytes(2, sys.byteorder) + _SIMPLE[name].to_bytes(2, sys.byteorder)
            tail[:, 8 * number : 8 * number + 4] = np.frombuffer(head, np.uint8)
            raw = new.astype(">u4").view(np.uint8).reshape(-1, 4)
            tail[:, 8 * number + 4 : 8 * number + 8] = raw
        return differ, tail

    return extra


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
    """Remembers entries by a 64-bit hash of tuple, id and zone, to find them in another dump."""

    __slots__ = ("_all", "_parts")

    def __init__(self) -> None:
        self._parts: list[npt.NDArray[np.uint64]] = []
        self._all: npt.NDArray[np.uint64] | None = None

    def add(self, found: Found) -> None:
        """Remembers these."""
        for group in _groups(found):
            self._parts.append(_keys(group))

    def has(self, group: Group) -> Bools:
        """Which rows are remembered."""
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
    for span in _IDENTITY:
        low, high = group.layout.spans.get(span, (0, 0))
        for at in range(low, high, 4):
            keys += group.wire(at, 4).astype(np.uint64) * _ODD[number]
            number += 1
    keys ^= keys >> np.uint64(29)
    return keys


def matching(data: bytes, keys: Keys) -> Found:
    """The messages of `data` that `keys` remembers."""
    at = starts(data, len(data))
    keep = np.zeros(len(at), np.bool_)
    for group in groups(data, at):
        keep[group.index[keys.has(group)]] = True
    return squeeze(data, at, keep)
