"""Layouts: where each field of a message lies, found once per shape and proven for each message.

A layout is a recorded walk over the attribute headers of one message.  Messages of the same type
and length are candidates for it; the proof is that the header bytes (and the few values that the
schema marks ``shape``) equal the layout's, which checks all bounds at once.  A proven message is
unpacked by one precompiled ``struct``.  There is no second decoder.

Never imports numpy: :mod:`pyconntrack.columnar.columns` makes dtypes of layouts.
"""

from __future__ import annotations

import sys
from struct import Struct, calcsize

from ..errors import DecodeError
from ..netlink.constants import (
    NFGENMSG_LEN,
    NLA_HDRLEN,
    NLMSG_HDRLEN,
)
from ..netlink.messages import text, walk
from .constants import (
    IPCTNL_MSG_CT_GET_CTRZERO,
    IPCTNL_MSG_CT_GET_STATS,
    IPCTNL_MSG_CT_GET_STATS_CPU,
    NFNL_SUBSYS_CTNETLINK,
    NFNL_SUBSYS_CTNETLINK_EXP,
)
from .kinds import BYTES, TEXT
from .schema import CONNTRACK, EXPECT, STATS_CPU, STATS_EXP_CPU, STATS_GLOBAL, Attr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .kinds import Kind
    from .schema import Rows

#: where the attributes begin, counted from the nlmsghdr
ATTRS = NLMSG_HDRLEN + NFGENMSG_LEN
#: shapes kept at most; helper names, labels and new kernels make new ones
CACHE_LIMIT = 4096


class Slot:
    """Where a field lies: ``offset`` from the nlmsghdr, ``size`` in bytes, ``kind``, schema row."""

    __slots__ = ("attr", "kind", "offset", "size")

    attr: Attr
    kind: Kind
    offset: int
    size: int

    def __init__(self, offset: int, size: int, attr: Attr) -> None:
        self.offset, self.size, self.kind, self.attr = offset, size, attr.kind, attr


class Layout:
    """The shape of a message.

    ``slots``: name -> :class:`Slot`; ``shape``: the values that are constants of it (``family``,
    ``orig_proto``...); ``unknown``: name -> (path of attribute numbers, slot) of attributes that
    the schema lacks; ``names``: of both, in message order, as ``unpack`` returns their values;
    ``spans``: kernel name -> (start, end) of each known outermost attribute with its header;
    ``writers``: a cache of what others derive from a layout.
    """

    __slots__ = (
        "family", "length", "mask", "names", "shape", "slots", "spans", "struct", "template",
        "unknown", "writers",
    )  # fmt: skip

    def __init__(self, message: bytes, rows: Rows) -> None:
        self.length: int = len(message)
        self.slots: dict[str, Slot] = {}
        self.unknown: dict[str, tuple[tuple[int, ...], Slot]] = {}
        self.spans: dict[str, tuple[int, int]] = {}
        self.writers: dict[Any, Any] = {}
        self.family: int = message[NLMSG_HDRLEN]
        self.shape: dict[str, int] = {"family": self.family}
        mask = bytearray(self.length)
        mask[NLMSG_HDRLEN] = 0xFF
        self._walk(message, rows, "", (), ATTRS, self.length, mask)
        for name, slot in self.slots.items():
            if slot.attr.shape:
                self.shape[name] = int.from_bytes(message[slot.offset : slot.offset + slot.size])
                mask[slot.offset : slot.offset + slot.size] = b"\xff" * slot.size
        self.slots = dict(sorted(self.slots.items(), key=lambda item: item[1].offset))
        slots = self.slots
        if self.unknown:
            both = {**slots, **{name: slot for name, (_, slot) in self.unknown.items()}}
            slots = dict(sorted(both.items(), key=lambda item: item[1].offset))
        self.names: tuple[str, ...] = tuple(slots)
        self.mask: int = int.from_bytes(mask)
        self.template: int = int.from_bytes(message) & self.mask
        self.struct: Struct = _unpacker(slots.values(), self.length)

    def _walk(
        self, message: bytes, rows: Rows, prefix: str, path: tuple[int, ...],
        start: int, end: int, mask: bytearray,
    ) -> None:  # fmt: skip
        protocol: int | None = None
        for number, at, size in sorted(walk(message, start, end)):  # CTA_PROTO_NUM comes first
            mask[at - 4 : at] = b"\xff\xff\xff\xff"
            row = rows.get((number, protocol)) or rows.get(number)
            if row is not None and not path:
                self.spans[row.cta] = (at - 4, at + (size + 3 & ~3))
            if row is None or (
                isinstance(row, Attr) and row.protocols and protocol not in row.protocols
            ):
                if number:  # type 0 is padding (CTA_*_UNSPEC), never a value
                    row = Attr(number, "", f"unknown@{at}", BYTES)
                    self.unknown[row.name] = (*path, number), Slot(at, size, row)
            elif isinstance(row, Attr):
                if row.kind.size and size < row.kind.size:
                    raise DecodeError(f"{row.cta}: {size} bytes, not {row.kind.size}")
                # a repeated attribute replaces the one before, as nla_parse does it
                self.slots[prefix + row.name] = Slot(at, row.kind.size or size, row)
                if row.shape:
                    protocol = message[at]
            else:
                name = prefix + row.name + "_" if row.name else prefix
                self._walk(message, row.rows, name, (*path, number), at, at + size, mask)

    def slot(self, name: str) -> Slot:
        """Return where the value ``name`` of ``names`` lies; KeyError if the shape lacks it."""
        return self.slots.get(name) or self.unknown[name][1]

    def unpack(self, message: bytes) -> tuple[Any, ...]:
        """Return the raw values of a proven message, in the order of ``names``."""
        return self.struct.unpack(message)

    def raw(self, message: bytes) -> dict[str, Any]:
        """Return field name -> raw value of a proven message, in message order."""
        raw = dict(zip(self.names, self.struct.unpack(message), strict=True))
        for name in self.unknown:
            del raw[name]
        return raw

    def values(self, message: bytes) -> dict[str, Any]:
        """Return field name -> value of a proven message, texts decoded."""
        raw = self.raw(message)
        for name, slot in self.slots.items():
            if slot.kind is TEXT:
                raw[name] = text(raw[name])
        return raw

    def part(self, names: Iterable[str]) -> Struct:
        """Return the struct that unpacks only the fields ``names``, which are in message order."""
        return _unpacker([self.slots[name] for name in names], self.length)

    def kept(self, message: bytes) -> tuple[tuple[tuple[int, ...], bytes], ...]:
        """Return (path of attribute numbers, payload) of each unknown attribute of a message."""
        return tuple(
            (path, message[slot.offset : slot.offset + slot.size])
            for path, slot in self.unknown.values()
        )


def _unpacker(slots: Iterable[Slot], length: int) -> Struct:
    return struct_of([(s.offset, s.kind.code or f"{s.size}s") for s in slots], length)


def struct_of(fields: Iterable[tuple[int, str]], length: int) -> Struct:
    """Return the struct of ``fields``, (offset, code) in ascending order, in ``length`` bytes.

    It is in network byte order, with zeros between the fields.
    """
    codes = [">"]
    end = 0
    for offset, code in fields:
        codes.append(f"{offset - end}x{code}")
        end = offset + calcsize(">" + code)
    codes.append(f"{length - end}x")
    return Struct("".join(codes))


def rows_of(kind: int) -> Rows:
    """Return the schema of a message type; raise DecodeError if it is not ctnetlink's."""
    subsystem, message = kind >> 8, kind & 0xFF
    if subsystem == NFNL_SUBSYS_CTNETLINK:
        if message == IPCTNL_MSG_CT_GET_STATS_CPU:
            return STATS_CPU
        if message == IPCTNL_MSG_CT_GET_CTRZERO:
            # the kernel's answer to IPCTNL_MSG_EXP_GET_STATS_CPU has the same number in the
            # subsystem of conntrack; entries never come as this type
            return STATS_EXP_CPU
        return STATS_GLOBAL if message == IPCTNL_MSG_CT_GET_STATS else CONNTRACK
    if subsystem == NFNL_SUBSYS_CTNETLINK_EXP:
        return EXPECT
    raise DecodeError(f"message type {kind:#x} is not ctnetlink's")


def attribute_at(message: bytes, offset: int | None) -> str | None:
    """Return the name of the attribute whose header is at ``offset`` of ``message``.

    It is that of its field (``labels``); of an outermost nest, which has none, the kernel's
    (``CTA_PROTOINFO``); None for anything else.
    """
    if offset is None:
        return None
    layout = find(message)
    names = {slot.offset - NLA_HDRLEN: name for name, slot in layout.slots.items()}
    nests = {start: name for name, (start, _) in layout.spans.items()}
    return names.get(offset) or nests.get(offset)


_cache: dict[tuple[int, int], list[Layout]] = {}
_cached = 0


def find(message: bytes) -> Layout:
    """Return the proven layout of a whole message (from its nlmsghdr on).

    Raises :class:`DecodeError` if the message is malformed.
    """
    global _cached
    if len(message) < ATTRS:
        raise DecodeError(f"a message of {len(message)} bytes has no nfgenmsg")
    kind = int.from_bytes(message[4:6], sys.byteorder)
    key = (kind, len(message))
    candidates = _cache.get(key)
    if candidates is None:
        candidates = _cache[key] = []
    value = int.from_bytes(message)
    for layout in candidates:
        if value & layout.mask == layout.template:
            return layout
    layout = Layout(message, rows_of(kind))
    if _cached >= CACHE_LIMIT:
        _cache.clear()
        _cached = 0
        candidates = _cache[key] = []
    candidates.append(layout)
    _cached += 1
    return layout
