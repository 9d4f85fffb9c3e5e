"""Raw ctnetlink: the kernel floor, entries that are reused or marked, the kernel's counters.

It shares no code with pyconntrack and imports little more than a socket: its cost is the kernel's
own part.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .table import Entry

NETLINK_NETFILTER = 12
CT_NEW, CT_GET, CT_DELETE = 0x100, 0x101, 0x102
REQUEST, DUMP = 1, 0x300
CREATE, EXCL = 0x400, 0x200
DONE, ERROR = 3, 2
NESTED = 0x8000
TCP, UDP = 6, 17
SEEN_REPLY, ASSURED, CONFIRMED, ESTABLISHED = 2, 4, 8, 3
SO_RCVBUFFORCE = 33
SOL_NETLINK, ADD_MEMBERSHIP = 270, 1
UPDATES, DESTROYS = 2, 3  # groups of events
COUNT = "/proc/sys/net/netfilter/nf_conntrack_count"


def connect(port: int = 0) -> socket.socket:
    """Open a netfilter socket; with ``port`` 0 the kernel chooses its port id."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    sock.bind((port, 0))
    return sock


def listen(buffer: int) -> socket.socket:
    """Open a socket for events of updates and deletions, with a receive buffer of ``buffer`` bytes.

    While it is open, new entries can cause events (nf_conntrack_events is 2).
    """
    sock = connect()
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer)
    for group in (UPDATES, DESTROYS):
        sock.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
    return sock


def count() -> int:
    """Return the number of entries in this namespace's table."""
    return int(Path(COUNT).read_text(encoding="ascii"))


def message(kind: int, flags: int, payload: bytes = b"", family: int = 2, seq: int = 1) -> bytes:
    """Return one message to ctnetlink."""
    return struct.pack("=IHHIIBBH", 20 + len(payload), kind, flags, seq, 0, family, 0, 0) + payload


def flush() -> None:
    """Empty the table of this namespace."""
    with connect() as sock:
        sock.send(message(CT_DELETE, REQUEST | 4, family=0))
        answer = sock.recv(4096)
        (code,) = struct.unpack_from("=i", answer, 16)
        if code:
            raise OSError(-code, "flushing the table")


def dump(size: int = 1 << 20) -> int:
    """Receive the whole table, looking only for its end; return the bytes received."""
    total = 0
    buffer = bytearray(size)
    with connect() as sock:
        sock.send(message(CT_GET, REQUEST | DUMP, family=0))
        while True:
            got = sock.recv_into(buffer)
            kind = buffer[4] | buffer[5] << 8  # DONE may also end a datagram with entries
            if kind == ERROR:
                raise OSError("the kernel refused the dump")
            if kind == DONE or (buffer[got - 16] == DONE and _ends_with_done(buffer, got)):
                return total + got
            total += got


def _ends_with_done(buffer: bytearray, got: int) -> bool:
    at = 0
    while at + 16 <= got:
        length, kind = struct.unpack_from("=IH", buffer, at)
        if kind == DONE:
            return True
        at += max(16, (length + 3) & ~3)
    return False


def _attr(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _tuple(kind: int, src: bytes, dst: bytes, sport: int, dport: int, proto: int = UDP) -> bytes:
    addresses = _attr(1 | NESTED, _attr(1, src) + _attr(2, dst))
    ports = _attr(2, struct.pack("!H", sport)) + _attr(3, struct.pack("!H", dport))
    return _attr(kind | NESTED, addresses + _attr(2 | NESTED, _attr(1, bytes([proto])) + ports))


# Requests about UDP entries that differ in their source only; PLACE stands for it.
PLACE, SOURCES = b"\xde\xad\xbe\xef", 0x0B000000
SERVER, OTHER = b"\x0a\xff\0\1", b"\x0a\xff\0\2"  # who answers: an entry's reply source
_ORIG = _tuple(1, PLACE, SERVER, 4000, 53)
FORGET = message(CT_DELETE, REQUEST, _ORIG)
REPLY_SOURCE = slice(84, 88)  # in an event: behind the headers and the original tuple


def create(server: bytes) -> bytes:
    """Return the request that creates an entry that ``server`` answers."""
    reply = _tuple(2, server, PLACE, 53, 4000)
    timeout = _attr(7, struct.pack("!I", 9000))
    return message(CT_NEW, REQUEST | CREATE | EXCL, _ORIG + reply + timeout)


def mark(value: int) -> bytes:
    """Return the request that changes an entry's mark."""
    return message(CT_NEW, REQUEST, _ORIG + _attr(8, struct.pack("!I", value)))


def populate(entries: int) -> None:
    """Create ``entries`` entries, from 0 on, each answered by SERVER."""
    with connect() as sock:
        for start in range(0, entries, 256):
            sock.send(batch(create(SERVER), range(start, min(start + 256, entries))))
    if count() != entries:
        raise OSError(f"{count()} of {entries} entries were created")


def batch(template: bytes, numbers: Iterable[int]) -> bytes:
    """Return one send: the template's requests for each of these entries."""
    return b"".join(template.replace(PLACE, struct.pack("!I", SOURCES + n)) for n in numbers)


def creation(entry: Entry) -> bytes:
    """Return the request that creates an entry of the table, as its line for ``-R`` does."""
    src, dst = socket.inet_aton(entry.src), socket.inet_aton(entry.dst)
    proto = TCP if entry.tcp else UDP
    payload = (
        _tuple(1, src, dst, entry.sport, entry.dport, proto)
        + _tuple(2, dst, src, entry.dport, entry.sport, proto)
        + _attr(3, struct.pack("!I", SEEN_REPLY | CONFIRMED | (ASSURED if entry.tcp else 0)))
        + _attr(7, struct.pack("!I", 86400))
        + _attr(8, struct.pack("!I", entry.mark))
    )
    if entry.tcp:
        payload += _attr(4 | NESTED, _attr(1 | NESTED, _attr(1, bytes([ESTABLISHED]))))
    return message(CT_NEW, REQUEST | CREATE, payload)


def listeners() -> list[tuple[int, int]]:
    """Return (waiting bytes, drops) of each netfilter socket that listens for events here."""
    lines = Path("/proc/self/net/netlink").read_text(encoding="ascii").splitlines()[1:]
    rows = (line.split() for line in lines)
    return [
        (int(row[4]), int(row[8]))
        for row in rows
        if int(row[1]) == NETLINK_NETFILTER and int(row[3], 16)
    ]
