"""Batches of messages as columns: thousands of messages of one shape are one numpy matrix.

The method is that of the layouts, guess and prove, for a batch at a time:

- :func:`starts` finds where messages begin by comparing words (all messages of a dump carry the
  same sequence number and port id) and proves that the chain of lengths closes;
- :func:`groups` sorts them by length, gathers each length into a matrix, and proves all rows of a
  matrix against a layout in one comparison.

Messages that fail a proof are walked one by one.  Rows keep their place in the kernel's order.
This module knows no field's meaning.  The command imports it only for a table that is large enough
to pay for importing numpy.
"""

from __future__ import annotations

from itertools import pairwise
from struct import Struct
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..ctnetlink.layout import find
from ..errors import DecodeError
from ..netlink.constants import NLMSG_HDRLEN
from ..thresholds import FEW, MANY_LENGTHS, MANY_SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..ctnetlink.layout import Layout

    Buffer = bytes | bytearray | memoryview

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.intp]
Column = npt.NDArray[Any]

_HEADER = Struct("=IH")

# glibc gives blocks above its mmap threshold back to the kernel at once, and each new one then
# costs its page faults; freeing one large block raises the threshold (measured: groups() 181 ns
# an entry without, 84 with).
np.empty(8 << 20, np.uint8)


def starts(buffer: Buffer, end: int) -> Ints:
    """Return the offset of each message in ``buffer[:end]``, shape (n,), in the kernel's order.

    ``buffer`` holds consecutive whole datagrams, cut at the end of a message.  Raises
    :class:`DecodeError` if the lengths do not add up to ``end``.
    """
    if not 0 <= end <= len(buffer):
        raise DecodeError(f"a batch of {end} bytes in a buffer of {len(buffer)}")
    if end == 0:
        return np.empty(0, np.intp)
    if end >= NLMSG_HDRLEN and not end & 3:
        words = np.frombuffer(buffer, np.uint32, end >> 2)
        # the rarer word first: events come with the port id 0
        key, check = (3, 2) if words[3] else (2, 3)
        at: Ints = np.flatnonzero(words[key : len(words) - 3 + key] == words[key])
        at = at[words[at + check] == words[check]]
        lengths = words[at].astype(np.intp)
        follow = at + ((lengths + 3) >> 2)
        # the proof: the first begins at 0, each ends where the next begins, the last at the end
        if (
            at[0] == 0
            and follow[-1] == len(words)
            and lengths.min() >= NLMSG_HDRLEN
            and np.array_equal(follow[:-1], at[1:])
        ):
            at <<= 2
            return at
    return np.array(_walk(buffer, end), np.intp)


def _walk(buffer: Buffer, end: int) -> list[int]:
    found = []
    pos = 0
    while pos < end:
        if end - pos < NLMSG_HDRLEN:
            raise DecodeError(f"{end - pos} stray bytes behind the last message")
        length = _HEADER.unpack_from(buffer, pos)[0]
        if length < NLMSG_HDRLEN or length > end - pos:
            raise DecodeError(f"message at byte {pos}: length {length} of {end - pos}")
        found.append(pos)
        pos += (length + 3) & ~3
    return found


class Group:
    """Messages of one shape.

    ``layout``: their proven shape; ``rows``: (n, stride) uint8, contiguous, one message a row,
    where the stride is the layout's length rounded up to 4; ``index``: (n,) ascending positions of
    the rows in the batch.
    """

    __slots__ = ("_words", "index", "layout", "rows")

    index: Ints
    layout: Layout
    rows: Bytes

    def __init__(self, layout: Layout, rows: Bytes, index: Ints) -> None:
        self.layout, self.rows, self.index = layout, rows, index
        self._words: npt.NDArray[np.uint32] = rows.view(np.uint32)

    def __len__(self) -> int:
        return len(self.index)

    def __contains__(self, name: str) -> bool:
        return name in self.layout.slots

    def take(self, rows: Bools | Ints) -> Group:
        """Return a group of the rows in a mask or in ascending positions."""
        return Group(self.layout, self.rows[rows], self.index[rows])

    def column(self, name: str) -> Column:
        """Return the values of a field, contiguous: (n,) unsigned of the field's width for numbers,
        (n, size) uint8 for addresses, texts and bytes.  Raises KeyError if the shape lacks it.
        """
        slot = self.layout.slot(name)
        if not slot.kind.number:
            return np.ascontiguousarray(self.rows[:, slot.offset : slot.offset + slot.size])
        values = self.wire(slot.offset, slot.size)
        return values.byteswap() if np.little_endian else values.copy()

    def wire(self, offset: int, size: int) -> Column:
        """Return a strided view, (n,) unsigned of 1, 2, 4 or 8 bytes in network byte order."""
        if size == 1:
            return self.rows[:, offset]
        if size == 4:
            return self._words[:, offset >> 2]
        dtype = np.uint16 if size == 2 else np.uint64
        stride = self.rows.strides[0]
        return np.ndarray((len(self.rows),), dtype, self.rows.data, offset, (stride,))

    def raw(self, name: str) -> list[Any]:
        """Return the values of a field as ``Layout.unpack`` does, ints or bytes."""
        if self.layout.slot(name).kind.number:
            numbers: list[int] = self.column(name).tolist()
            return numbers
        return as_bytes(self.column(name))

    def messages(self) -> list[bytes]:
        """Return the messages as bytes."""
        return [row[: self.layout.length] for row in as_bytes(self.rows)]


def as_bytes(matrix: Bytes) -> list[bytes]:
    """Return each row of an (n, size) uint8 matrix as bytes."""
    size = matrix.shape[1]
    if not size:
        return [b""] * len(matrix)
    joined = matrix.tobytes()
    return [joined[at : at + size] for at in range(0, len(joined), size)]


def groups(buffer: Buffer, starts: Ints) -> list[Group]:
    """Group the messages at ``starts`` of ``buffer`` by shape.

    Every message is in exactly one group.  Raises :class:`DecodeError` if a message is malformed.
    """
    count = len(starts)
    if not count:
        return []
    lengths = np.frombuffer(buffer, np.uint32, len(buffer) >> 2)[starts >> 2]
    first = int(lengths[0])
    out: list[Group] = []
    few: list[tuple[int, Ints]] = []
    for length, index in _by_length(lengths, first):
        if len(index) < FEW:
            few.append((length, index))
        else:
            at = starts if len(index) == count else starts[index]
            _prove(_gather(buffer, at, length), length, index, out)
    if few:
        _one_by_one(
            [
                (number, bytes(buffer[at : at + length]))
                for length, index in few
                for number, at in zip(index.tolist(), starts[index].tolist(), strict=True)
            ],
            out,
        )
    return out


def selected(groups: list[Group], select: Callable[[Group], Bools]) -> list[Group]:
    """Return the rows of ``groups`` in the mask that ``select`` returns; no group is empty."""
    chosen = []
    for group in groups:
        rows = select(group)
        if rows.any():
            chosen.append(group if rows.all() else group.take(rows))
    return chosen


def _by_length(lengths: npt.NDArray[np.uint32], first: int) -> Iterable[tuple[int, Ints]]:
    count = len(lengths)
    same = lengths == first
    if same.all():
        return [(first, np.arange(count))]
    if int(lengths.max()) >= 1 << 16:
        order = np.argsort(lengths, kind="stable")
    else:
        short = lengths.astype(np.uint16)
        found = np.flatnonzero(np.bincount(short))
        if len(found) <= MANY_LENGTHS:
            return [(int(length), np.flatnonzero(short == length)) for length in found]
        order = np.argsort(short, kind="stable")  # a radix sort
    ordered = lengths[order]
    edges = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), count]
    return [(int(ordered[low]), order[low:high]) for low, high in pairwise(edges)]


def _gather(buffer: Buffer, at: Ints, length: int) -> Bytes:
    stride = (length + 3) & ~3
    size = len(buffer)
    if int(at[-1]) + stride > size:  # the last message of an unpadded buffer
        buffer = bytes(buffer) + b"\0" * 3
        size += 3
    # every position a message could begin at, as overlapping items
    view: npt.NDArray[np.void] = np.ndarray(
        ((size - stride) // 4 + 1,), np.dtype((np.void, stride)), buffer, 0, (4,)
    )
    rows: Bytes = view[at >> 2].view(np.uint8).reshape(len(at), stride)
    return rows


def _prove(rows: Bytes, length: int, index: Ints, out: list[Group]) -> None:
    shapes = 0
    while len(index):
        if shapes == MANY_SHAPES or len(index) < FEW:
            messages = [row[:length] for row in as_bytes(rows)]
            _one_by_one(list(zip(index.tolist(), messages, strict=True)), out)
            return
        shapes += 1
        message = rows[0, :length].tobytes()
        layout = find(message)
        mask, template = _proof(layout, message)
        words = rows.view(mask.dtype)
        equal: Bools = (words & mask) == template
        if equal.all():
            out.append(Group(layout, rows, index))
            return
        fits: Bools = np.asarray(equal.all(axis=1))
        differ = ~fits
        if not fits[0]:  # find() proved it; a loop must not depend on that
            raise DecodeError("a message does not have the shape that was found for it")
        out.append(Group(layout, rows[fits], index[fits]))
        rows, index = rows[differ], index[differ]


def _proof(layout: Layout, message: bytes) -> tuple[Column, Column]:
    """Return (mask, template) of a layout as arrays of the widest word that divides its stride.

    Unlike in :func:`pyconntrack.ctnetlink.layout.find` the message type counts: layouts are kept
    by it.
    """
    known: tuple[Column, Column] | None = layout.writers.get(_proof)
    if known is None:
        length = layout.length
        pad = b"\0" * (-length & 3)
        mask = bytearray(layout.mask.to_bytes(length) + pad)
        template = bytearray(layout.template.to_bytes(length) + pad)
        mask[4:6], template[4:6] = b"\xff\xff", message[4:6]
        dtype = np.uint32 if len(mask) & 7 else np.uint64
        known = (np.frombuffer(bytes(mask), dtype), np.frombuffer(bytes(template), dtype))
        layout.writers[_proof] = known
    return known


def _one_by_one(messages: list[tuple[int, bytes]], out: list[Group]) -> None:
    shapes: dict[Layout, tuple[list[int], list[bytes]]] = {}
    for number, message in messages:
        layout = find(message)
        place = shapes.get(layout)
        if place is None:
            place = shapes[layout] = ([], [])
        place[0].append(number)
        place[1].append(message)
    for layout, (numbers, found) in shapes.items():
        pad = b"\0" * (-layout.length & 3)
        joined = pad.join(found) + pad
        rows = np.frombuffer(joined, np.uint8).reshape(len(found), layout.length + len(pad))
        out.append(Group(layout, rows, np.array(numbers, np.intp)))
