"""The AF_NETLINK socket: open it in a network namespace, set buffers and groups, send, receive."""

from __future__ import annotations

import _socket
import errno
import os
import sys

from ..errors import KernelError, kernel_error
from . import constants as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

#: no datagram of a dump is larger than 32 KiB (netlink_recvmsg); events and answers are smaller
DATAGRAM = 65536
AF_NETLINK = 16


class Transport:
    """One netlink socket of family NETLINK_NETFILTER.

    ``netns``: None for the current network namespace; a name (as in ``ip netns``), a process id or
    a path for another; the calling thread returns to its own.  Raises
    :class:`~pyconntrack.errors.KernelError`, and RequestError for a wrong ``netns``.
    """

    def __init__(
        self, netns: str | int | None = None, *, rcvbuf: int = 0, blocking: bool = True
    ) -> None:
        if netns is None:
            self._sock: Any = _open()
        else:
            from .netns import inside  # most sockets are of the caller's namespace

            self._sock = inside(netns, _open)
        self.traced: bool = os.environ.get("PYCONNTRACK_DEBUG") == "netlink"
        if self.traced:
            from ..ctnetlink.trace import TracedSocket

            self._sock = TracedSocket(self._sock)
        self._sock.setblocking(blocking)
        for option in (c.NETLINK_CAP_ACK, c.NETLINK_EXT_ACK):
            try:
                self._sock.setsockopt(c.SOL_NETLINK, option, 1)
            except OSError:
                pass  # before 4.3 and 4.12: answers are longer and less precise
        if rcvbuf:
            self.set_rcvbuf(rcvbuf)

    def fileno(self) -> int:
        """Return the file descriptor."""
        return int(self._sock.fileno())

    def close(self) -> None:
        """Close the socket; a second call does nothing."""
        self._sock.close()

    def set_rcvbuf(self, size: int) -> None:
        """Request a receive buffer of ``size`` bytes, above net.core.rmem_max if permitted."""
        try:
            self._sock.setsockopt(_socket.SOL_SOCKET, c.SO_RCVBUFFORCE, size)
        except OSError:
            self._sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, size)

    @property
    def rcvbuf(self) -> int:
        """Return the size of the receive buffer in bytes, without the kernel's doubling."""
        return int(self._sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF)) // 2

    @property
    def drops(self) -> int:
        """Return the number of datagrams dropped as the buffer was full (``SO_MEMINFO``)."""
        raw = self._sock.getsockopt(_socket.SOL_SOCKET, c.SO_MEMINFO, 36)
        return int.from_bytes(raw[32:36], sys.byteorder)

    def join(self, groups: Iterable[int]) -> None:
        """Subscribe to multicast groups (``NFNLGRP_*``)."""
        for group in groups:
            try:
                self._sock.setsockopt(c.SOL_NETLINK, c.NETLINK_ADD_MEMBERSHIP, group)
            except OSError as error:
                raise kernel_error(error.errno or 0, "subscribing to events") from None

    def leave(self, groups: Iterable[int]) -> None:
        """Unsubscribe from multicast groups."""
        for group in groups:
            self._sock.setsockopt(c.SOL_NETLINK, c.NETLINK_DROP_MEMBERSHIP, group)

    def attach(self, program: bytes) -> None:
        """Attach a classic BPF program (struct sock_filter) that drops the datagrams it rejects.

        If the kernel refuses the program, all are delivered.
        """
        from array import array
        from struct import pack

        code = array("B", program)
        address, size = code.buffer_info()
        try:
            fprog = pack("@HP", size // 8, address)
            self._sock.setsockopt(_socket.SOL_SOCKET, c.SO_ATTACH_FILTER, fprog)
        except OSError:
            pass

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send one datagram, of one or many messages."""
        try:
            self._sock.sendto(data, (0, 0))
        except OSError as error:
            absent = error.errno == errno.ECONNREFUSED
            number = errno.EPROTONOSUPPORT if absent else error.errno or 0
            raise kernel_error(number, "asking the kernel") from None

    def recv(self) -> bytes:
        """Return the next datagram.

        Raises BlockingIOError if a non-blocking socket has nothing to read, and
        :class:`KernelError` with ENOBUFS after a loss.
        """
        while True:
            try:
                data, _, flags, sender = self._sock.recvmsg(DATAGRAM)
            except BlockingIOError:
                raise
            except OSError as error:
                raise KernelError(error.errno or 0, "reading from the kernel") from None
            if sender[0] != 0:
                continue  # a process may send too; only the kernel is port 0
            if flags & _socket.MSG_TRUNC:
                raise KernelError(errno.EMSGSIZE, "reading from the kernel")
            received: bytes = data
            return received


def _open() -> _socket.socket:
    try:
        kind = _socket.SOCK_RAW | _socket.SOCK_CLOEXEC
        sock = _socket.socket(AF_NETLINK, kind, c.NETLINK_NETFILTER)
        sock.bind((0, 0))
    except OSError as error:
        absent = error.errno == errno.EAFNOSUPPORT
        number = errno.EPROTONOSUPPORT if absent else error.errno or 0
        raise kernel_error(number, "opening nfnetlink") from None
    return sock


def wait_readable(fd: int, seconds: float | None) -> bool:
    """Return whether ``fd`` becomes readable within ``seconds`` (None: no limit)."""
    import select

    return bool(select.select([fd], [], [], seconds)[0])
