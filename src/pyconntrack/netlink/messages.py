"""Netlink messages in a datagram: nlmsghdr, acknowledgements, extended acknowledgements, DONE."""

from __future__ import annotations

from struct import Struct

from ..errors import DecodeError
from .attributes import text, walk
from .constants import NFNETLINK_V0, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_HDRLEN, NLMSGERR_ATTR_MSG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

NLMSGHDR = Struct("=IHHII")  # length, type, flags, sequence number, port id
_NFGENMSG = Struct(">BBH")  # family, version, resource id
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


def read_ext_ack(data: bytes | memoryview, pos: int, length: int, flags: int, done: bool) -> str:
    """Return the text of an extended acknowledgement (Linux 4.12+), "" if there is none."""
    if not flags & NLM_F_ACK_TLVS:
        return ""
    start = pos + NLMSG_HDRLEN + 4
    if not done:
        if length < NLMSG_HDRLEN + 4 + NLMSG_HDRLEN:
            return ""
        inner = NLMSGHDR.unpack_from(data, start)[0]
        start += NLMSG_HDRLEN if flags & NLM_F_CAPPED else (inner + 3) & ~3
    try:
        for kind, at, size in walk(data, start, pos + length):
            if kind == NLMSGERR_ATTR_MSG:
                return text(bytes(data[at : at + size]))
    except DecodeError:
        pass  # the errno is still reported
    return ""
