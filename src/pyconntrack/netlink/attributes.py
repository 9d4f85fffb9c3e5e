"""Netlink attributes: a bounds-checked walk and writers; independent of any family."""

from __future__ import annotations

from struct import Struct

from ..errors import DecodeError
from .constants import NLA_F_NESTED, NLA_HDRLEN, NLA_TYPE_MASK

NLATTR = Struct("=HH")  # host byte order, as the kernel writes it


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
