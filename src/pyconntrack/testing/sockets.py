"""The sockets of an in-memory kernel."""

from __future__ import annotations

import errno
import os

from ..errors import KernelError
from ..netlink.messages import split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .kernel import Kernel

#: what a waiting datagram takes of the receive buffer besides its own bytes
_OVERHEAD = 512


class Socket:
    """A socket of an in-memory kernel, in place of :class:`pyconntrack.netlink.socket.Transport`.

    Its descriptor is readable while something waits.
    """

    def __init__(self, kernel: Kernel, rcvbuf: int) -> None:
        self._kernel = kernel
        self.rcvbuf: int = rcvbuf
        self.groups: set[int] = set()
        self.drops: int = 0
        self._waiting: list[bytes] = []
        self._size = 0
        self._overrun = self._congested = False
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._fd

    def close(self) -> None:
        """Close it; a second call does nothing."""
        with self._kernel.lock:
            if self._fd >= 0:
                self._kernel.sockets.remove(self)
                os.close(self._fd)
                self._fd = -1

    def set_rcvbuf(self, size: int) -> None:
        """Set the size of the receive buffer in bytes."""
        self.rcvbuf = size

    def join(self, groups: Iterable[int]) -> None:
        """Subscribe to multicast groups."""
        self.groups.update(groups)

    def leave(self, groups: Iterable[int]) -> None:
        """Unsubscribe from multicast groups."""
        self.groups.difference_update(groups)

    def attach(self, program: bytes) -> None:
        """Ignore a BPF program: it only spares the listener events that it discards itself."""

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Carry out the requests of a datagram, in order."""
        whole = bytes(data)
        with self._kernel.lock:
            for pos, length, _, _, _ in split(whole):
                for answer in self._kernel.handle(whole[pos : pos + length]):
                    self._put(answer)

    def deliver(self, event: bytes) -> None:
        """Queue an event, or drop it if the receive buffer is full."""
        size = len(event) + _OVERHEAD
        # once full, the kernel drops all until everything has been read
        if self._congested or self._size + size > 2 * self.rcvbuf:
            self.drops += 1
            self._overrun = self._overrun or not self._congested
            self._congested = True
        else:
            self._put(event)

    def _put(self, datagram: bytes) -> None:
        if not self._waiting:
            os.eventfd_write(self._fd, 1)
        self._waiting.append(datagram)
        self._size += len(datagram) + _OVERHEAD

    def recv(self) -> bytes:
        """Return the next datagram; BlockingIOError if none waits, ENOBUFS after a loss."""
        with self._kernel.lock:
            if self._overrun:
                self._overrun = False
                raise KernelError(errno.ENOBUFS, "reading from the kernel")
            if not self._waiting:
                raise BlockingIOError(errno.EAGAIN, "nothing to read")
            datagram = self._waiting.pop(0)
            self._size -= len(datagram) + _OVERHEAD
            if not self._waiting:
                os.eventfd_read(self._fd)
                self._congested = False
            return datagram
