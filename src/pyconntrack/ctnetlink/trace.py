"""The trace of ``PYCONNTRACK_DEBUG=netlink``: each message on standard error.

One line per message: the direction, ``>`` sent or ``<`` received; type, flags, sequence number and
family; then the attributes by their kernel names, nests in braces, what the schema lacks as
hexadecimal.  Imported only if the variable is set when a socket is opened.
"""

from __future__ import annotations

import errno
import os
import sys

from ..errors import DecodeError
from ..escape import printable
from ..netlink import constants as nl
from ..netlink.messages import read_errno, read_ext_ack, split, text, walk
from . import constants as c
from . import vocabulary
from .convert import words_of
from .kinds import HOST32, IPV4, IPV6, TEXT, address
from .layout import ATTRS, rows_of
from .schema import Attr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Iterator, Mapping
    from typing import Any

    from .schema import Rows

_TYPES = {
    nl.NLMSG_ERROR: "NLMSG_ERROR",
    nl.NLMSG_DONE: "NLMSG_DONE",
    **{
        number(value): name
        for prefix, number in (("IPCTNL_MSG_CT_", c.ct_msg), ("IPCTNL_MSG_EXP_", c.exp_msg))
        for name, value in vars(c).items()
        if name.startswith(prefix)
    },
}
#: linux/netlink.h: the flags of all messages, and those whose meaning depends on the type
_FLAGS = {
    nl.NLM_F_REQUEST: "NLM_F_REQUEST", nl.NLM_F_MULTI: "NLM_F_MULTI", nl.NLM_F_ACK: "NLM_F_ACK",
    8: "NLM_F_ECHO", nl.NLM_F_DUMP_INTR: "NLM_F_DUMP_INTR", 0x20: "NLM_F_DUMP_FILTERED",
}  # fmt: skip
_NEW = {0x100: "NLM_F_REPLACE", nl.NLM_F_EXCL: "NLM_F_EXCL", nl.NLM_F_CREATE: "NLM_F_CREATE",
        nl.NLM_F_APPEND: "NLM_F_APPEND"}  # fmt: skip
_GET = {nl.NLM_F_ROOT: "NLM_F_ROOT", nl.NLM_F_MATCH: "NLM_F_MATCH"}
_ENDS = {nl.NLM_F_CAPPED: "NLM_F_CAPPED", nl.NLM_F_ACK_TLVS: "NLM_F_ACK_TLVS"}
_FAMILIES = {0: "AF_UNSPEC", c.AF_INET: "AF_INET", c.AF_INET6: "AF_INET6"}


class TracedSocket:
    """A socket whose messages are printed as they are sent and received."""

    __slots__ = ("_socket",)

    def __init__(self, socket: socket) -> None:
        self._socket = socket

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def sendto(self, data: bytes, address: tuple[int, int]) -> int:
        """Print a datagram, then send it."""
        _print(lines(">", bytes(data)))
        return self._socket.sendto(data, address)

    def recvmsg(self, size: int) -> tuple[bytes, Any, int, Any]:
        """Receive and print a datagram, or an error other than nothing to read."""
        try:
            received = self._socket.recvmsg(size)
        except BlockingIOError:
            raise
        except OSError as error:
            _print([f"< {errno.errorcode.get(error.errno or 0, error.errno)}"])
            raise
        if received[3][0] == 0:  # a process may send too; its datagrams are ignored
            _print(lines("<", received[0]))
        return received


def _print(found: Iterator[str] | list[str]) -> None:
    # one write, so that the lines of two threads do not mix; a failure to write is ignored
    try:
        os.write(2, "".join(f"netlink {printable(line)}\n" for line in found).encode())
    except OSError:
        pass


def lines(direction: str, data: bytes) -> Iterator[str]:
    """Yield the line of each message of a datagram; a malformed one as hexadecimal."""
    try:
        for pos, length, _, _, _ in split(data):
            yield f"{direction} {described(data[pos : pos + length])}"
    except DecodeError as error:
        yield f"{direction} {error}: {data.hex()}"


def described(message: bytes) -> str:
    """Return one message as a line."""
    _, length, kind, flags, seq = next(split(message))
    head = f"{_TYPES.get(kind, hex(kind))} flags={_flag_words(kind, flags)} seq={seq}"
    if kind in (nl.NLMSG_ERROR, nl.NLMSG_DONE):
        number = read_errno(message, 0, length)
        said, offset = read_ext_ack(message, 0, length, flags, kind == nl.NLMSG_DONE)
        name = errno.errorcode.get(number, str(number)) if number else "0"
        head += f" error={name}" + (f' message="{said}"' if said else "")
        return head if offset is None else f"{head} offset={offset}"
    if length < ATTRS:
        return f"{head} {message[nl.NLMSG_HDRLEN :].hex()}"
    head += f" family={_FAMILIES.get(message[16], message[16])}"
    try:
        rows = rows_of(kind)
    except DecodeError:  # another subsystem's
        rows = {}
    return " ".join([head, *_attributes(message, rows, ATTRS, length)])


def _flag_words(kind: int, flags: int) -> str:
    request = flags & nl.NLM_F_REQUEST
    if kind in (nl.NLMSG_ERROR, nl.NLMSG_DONE):
        own = _ENDS
    elif kind & 0xFF == c.IPCTNL_MSG_CT_NEW:
        own = _NEW
    else:
        own = _GET if request and kind & 0xFF != c.IPCTNL_MSG_CT_DELETE else {}
    words = words_of({**_FLAGS, **own}, flags)
    return "|".join(hex(word) if isinstance(word, int) else word for word in words) or "0"


def _attributes(message: bytes, rows: Rows, start: int, end: int) -> Iterator[str]:
    protocol = None
    for number, offset, size in walk(message, start, end):
        row = rows.get((number, protocol)) or rows.get(number)
        payload = message[offset : offset + size]
        if row is None:
            yield f"{number}=0x{payload.hex()}"
        elif isinstance(row, Attr):
            if row.shape:
                protocol = int.from_bytes(payload)
            yield f"{row.cta}={_value(row, payload)}"
        else:
            inner = " ".join(_attributes(message, row.rows, offset, offset + size))
            yield f"{row.cta}={{{inner}}}"


def _value(row: Attr, payload: bytes) -> str:
    kind = row.kind
    if kind is TEXT:
        return f'"{text(payload)}"'
    if len(payload) != kind.size:
        return f"0x{payload.hex()}"
    if kind in (IPV4, IPV6):
        return address(payload)
    if kind is HOST32:
        return hex(int.from_bytes(payload, sys.byteorder))
    number = int.from_bytes(payload)
    return f"{number}{_words(row.words, number)}" if kind.number else f"0x{payload.hex()}"


def _words(words: Mapping[int, str] | None, number: int) -> str:
    if words is None:
        return ""
    if words in vocabulary.FLAGS:
        return f"({'|'.join(map(str, words_of(words, number)))})"
    return f"({words[number]})" if number in words else ""
