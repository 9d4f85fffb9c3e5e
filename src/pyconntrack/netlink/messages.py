"""Netlink framing: messages in a datagram, attributes in a message; independent of any family."""

from __future__ import annotations

import sys
from struct import Struct

from ..errors import DecodeError
from .constants import (
    NFNETLINK_V0,
    NLA_F_NESTED,
    NLA_HDRLEN,
    NLA_TYPE_MASK,
    NLM_F_ACK_TLVS,
    NLM_F_CAPPED,
    NLMSG_HDRLEN,
    NLMSGERR_ATTR_MSG,
    NLMSGERR_ATTR_OFFS,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NLMSGHDR = Struct("=IHHII")  # length, type, flags, sequence number, port id
_NFGENMSG = Struct(">BBH")  # family, version, resource id
NLATTR = Struct("=HH")  # length, type; in host byte order, as the kernel writes it
_ERRNO = Struct("=i")
_MAX_ERRNO = 4095


def message(kind: int, flags: int, seq: int, family: int, payload: bytes = b"") -> bytes:
    """Return a request: nlmsghdr, nfgenmsg and ``payload`` (attributes)."""
    return (
        NLMSGHDR.pack(NLMSG_HDRLEN + 4 + len(payload), kind, flags, seq, 0)
        + _NFGENMSG.pack(family, NFNETLINK_V0, 0)
        + payload
    )


def split(data: bytes | memoryview) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield (offset, length, type, flags, sequence number) of each message of a datagram.

    Raises :class:`DecodeError` if a length does not fit.
    """
    pos, end = 0, len(data)
    while end - pos >= NLMSG_HDRLEN:
        length, kind, flags, seq, _ = NLMSGHDR.unpack_from(data, pos)
        if length < NLMSG_HDRLEN or length > end - pos:
            raise DecodeError(f"message at byte {pos}: length {length} of {end - pos}")
        yield pos, length, kind, flags, seq
        pos += (length + 3) & ~3
    if pos < end:
        raise DecodeError(f"{end - pos} stray bytes behind the last message")


def read_errno(data: bytes | memoryview, pos: int, length: int) -> int:
    """Return the (positive) errno of an NLMSG_ERROR or NLMSG_DONE; 0 is an acknowledgement.

    Raises :class:`DecodeError` for a number above MAX_ERRNO (4095, linux/err.h) or below 0.
    """
    if length < NLMSG_HDRLEN + 4:
        return 0
    number = -int(_ERRNO.unpack_from(data, pos + NLMSG_HDRLEN)[0])
    if not 0 <= number <= _MAX_ERRNO:
        raise DecodeError(f"message at byte {pos}: {number} is no errno")
    return number


def read_ext_ack(
    data: bytes | memoryview, pos: int, length: int, flags: int, done: bool
) -> tuple[str, int | None]:
    """Return (text, offset) of an extended acknowledgement (Linux 4.12+).

    ``offset``: of the refused attribute in the request, counted from its nlmsghdr.  Each may be
    missing: "" and None.
    """
    said, offset = "", None
    if not flags & NLM_F_ACK_TLVS:
        return said, offset
    start = pos + NLMSG_HDRLEN + 4
    if not done:
        if length < NLMSG_HDRLEN + 4 + NLMSG_HDRLEN:
            return said, offset
        inner = NLMSGHDR.unpack_from(data, start)[0]
        start += NLMSG_HDRLEN if flags & NLM_F_CAPPED else (inner + 3) & ~3
    try:
        for kind, at, size in walk(data, start, pos + length):
            if kind == NLMSGERR_ATTR_MSG:
                said = text(bytes(data[at : at + size]))
            elif kind == NLMSGERR_ATTR_OFFS and size == 4:
                offset = int.from_bytes(data[at : at + size], sys.byteorder)
    except DecodeError:
        pass  # the errno is still reported
    return said, offset


def walk(data: bytes | memoryview, start: int, end: int) -> list[tuple[int, int, int]]:
    """Return (type without flag bits, payload offset, payload size) of each attribute.

    Raises :class:`DecodeError` if a length does not fit between ``start`` and ``end``.  Fewer than
    four bytes at the end are padding, as in the kernel's ``nla_ok``.
    """
    attributes = []
    while end - start >= NLA_HDRLEN:
        size, kind = NLATTR.unpack_from(data, start)
        if size < NLA_HDRLEN or size > end - start:
            raise DecodeError(f"attribute {kind & NLA_TYPE_MASK} at byte {start}: length {size}")
        attributes.append((kind & NLA_TYPE_MASK, start + NLA_HDRLEN, size - NLA_HDRLEN))
        start += (size + 3) & ~3
    return attributes


def attr(kind: int, payload: bytes) -> bytes:
    """Return an attribute, padded to four bytes."""
    return NLATTR.pack(NLA_HDRLEN + len(payload), kind) + payload + b"\0" * (-len(payload) & 3)


def c_string(payload: bytes) -> bytes:
    """Return the bytes of a kernel string, up to its first NUL."""
    return payload.split(b"\0", 1)[0]


def text(payload: bytes) -> str:
    """Return a kernel string as text; bytes that are not UTF-8 become escapes."""
    return c_string(payload).decode("utf-8", "backslashreplace")


def nest(kind: int, payload: bytes) -> bytes:
    """Return a nest of encoded attributes."""
    return NLATTR.pack(NLA_HDRLEN + len(payload), kind | NLA_F_NESTED) + payload
