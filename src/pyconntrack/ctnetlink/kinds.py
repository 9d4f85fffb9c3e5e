"""The kinds of values of attributes: width, struct code, and how each is packed.

All numbers of ctnetlink are in network byte order, except kind HOST32.
"""

from __future__ import annotations

import sys
from _socket import AF_INET, AF_INET6, inet_ntop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Kind:
    """A kind of value.

    ``size``: bytes on the wire, 0 where it varies; ``code``: the struct code in a big-endian struct
    ("" where the size varies: ``s`` then); ``number``: whether the value is an int, from 0 to
    ``limit``.
    """

    __slots__ = ("code", "limit", "name", "number", "size")

    code: str
    name: str
    number: bool
    size: int

    def __init__(self, name: str, size: int, code: str, number: bool) -> None:
        self.name, self.size, self.code, self.number = name, size, code, number
        self.limit: int = (1 << 8 * size) - 1

    def __repr__(self) -> str:
        return self.name


U8 = Kind("U8", 1, "B", True)
U16 = Kind("U16", 2, "H", True)
U32 = Kind("U32", 4, "I", True)
U64 = Kind("U64", 8, "Q", True)
HOST32 = Kind("HOST32", 4, "4s", False)  # CTA_FILTER's flags; only ever sent
IPV4 = Kind("IPV4", 4, "4s", False)
IPV6 = Kind("IPV6", 16, "16s", False)
TEXT = Kind("TEXT", 0, "", False)  # ends with a NUL on the wire
BYTES = Kind("BYTES", 0, "", False)
LABELS = Kind("LABELS", 0, "", False)  # a bitmap in words of the host


def address(raw: bytes) -> str:
    """Return the text of a packed address, as inet_ntop(3) writes it."""
    return inet_ntop(AF_INET if len(raw) == 4 else AF_INET6, raw)


def bits_of(value: int) -> Iterator[int]:
    """Yield the numbers of the bits that are set, in ascending order."""
    while value:
        low = value & -value
        yield low.bit_length() - 1
        value ^= low


LABEL_BYTES = 16  # NF_CT_LABELS_MAX_SIZE


def label_place(number: int) -> tuple[int, int]:
    """Return (byte offset, bit) of a label in a bitmap on the wire (64 bit words of the host)."""
    byte, bit = divmod(number, 8)
    return byte if sys.byteorder == "little" else byte ^ 7, 1 << bit


def label_numbers(raw: bytes) -> list[int]:
    """Return the numbers of the labels that are set in a bitmap on the wire."""
    octets = [raw[label_place(number)[0]] for number in range(0, 8 * len(raw), 8)]
    return [*bits_of(int.from_bytes(octets, "little"))]


def label_bitmap(numbers: Iterable[int], start: bytes = bytes(LABEL_BYTES)) -> bytes:
    """Return ``start``, a bitmap on the wire, with the labels ``numbers`` set."""
    raw = bytearray(start)
    for number in numbers:
        byte, bit = label_place(number)
        raw[byte] |= bit
    return bytes(raw)
