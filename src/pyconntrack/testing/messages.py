"""The messages of an in-memory kernel: a request as values, and answers of values."""

from __future__ import annotations

from ..ctnetlink.kinds import TEXT
from ..ctnetlink.layout import find
from ..ctnetlink.moulds import make
from ..netlink import constants as nl
from ..netlink.messages import NLMSGHDR, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: bytes of a datagram of a dump
_DATAGRAM = 16384


class Asked:
    """A request: its ``values``, ``family`` and ``flags``."""

    __slots__ = ("family", "flags", "values")

    def __init__(self, message: bytes, flags: int) -> None:
        self.values: dict[str, Any] = texts(message)
        self.family: int = message[nl.NLMSG_HDRLEN]
        self.flags: int = flags


def texts(message: bytes) -> dict[str, Any]:
    """Return the raw values of a message, texts decoded."""
    layout = find(message)
    values = layout.raw(message)
    for name, slot in layout.slots.items():
        if slot.kind is TEXT:
            values[name] = text(values[name])
    return values


def entry_message(kind: int, fields: dict[str, Any], family: int, flags: int = 0) -> bytes:
    """Return a message with ``fields``; an empty text stands for an absent one."""
    present = {name: value for name, value in fields.items() if value != ""}
    part = make(kind, present, family)[0]
    return NLMSGHDR.pack(len(part), kind, flags, 0, 0) + part[16:]


def numbered(part: bytes, seq: int, flags: int) -> bytes:
    """Return a message with the number ``seq`` of its request, and further ``flags``."""
    length, kind, own, _, _ = NLMSGHDR.unpack_from(part)
    return NLMSGHDR.pack(length, kind, own | flags, seq, 0) + part[16:]


def joined(parts: list[bytes]) -> list[bytes]:
    """Return the messages of a dump, joined to datagrams."""
    datagrams: list[bytes] = []
    size = _DATAGRAM
    for part in parts:
        if size + len(part) > _DATAGRAM:
            datagrams.append(b"")
            size = 0
        datagrams[-1] += part + bytes(-len(part) & 3)
        size += len(part)
    return datagrams
