"""Many datagrams in one system call: recvmmsg(2) into one buffer of equal slots.

Imported only when events arrive fast.
"""

from __future__ import annotations

import ctypes
import errno

from ..errors import DecodeError, KernelError
from .constants import NLMSG_HDRLEN

#: datagrams of one call, and the bytes reserved for each; an event takes some 200
COUNT, SLOT = 1024, 4096
_MSG_DONTWAIT = 0x40


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Mmsghdr(ctypes.Structure):  # a msghdr, padded to its alignment, and a size
    _fields_ = (
        ("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_void_p), ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int), ("pad", ctypes.c_uint), ("size", ctypes.c_uint),
    )  # fmt: skip


class Mmsg:
    """A reader of the socket ``fd``: up to COUNT datagrams of at most SLOT bytes per call."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.buffer = bytearray(COUNT * SLOT)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.buffer))
        self._iovecs = (_Iovec * COUNT)()
        self._headers = (_Mmsghdr * COUNT)()
        for at in range(COUNT):
            self._iovecs[at].base = base + at * SLOT
            self._iovecs[at].length = SLOT
            self._headers[at].iov = ctypes.addressof(self._iovecs[at])
            self._headers[at].iovlen = 1
        self._call = ctypes.CDLL(None, use_errno=True).recvmmsg
        words = memoryview(self._headers).cast("B").cast("I")
        self._sizes = words[_Mmsghdr.size.offset // 4 :: ctypes.sizeof(_Mmsghdr) // 4]
        self._lengths = memoryview(self.buffer).cast("I")[:: SLOT // 4]

    def messages(self, number: int) -> range:
        """Return the offsets in ``buffer`` of ``number`` datagrams of one message each.

        Raises :class:`DecodeError` if one has several messages or is truncated.
        """
        lengths = self._lengths[:number].tolist()
        if min(lengths) < NLMSG_HDRLEN or lengths != self._sizes[:number].tolist():
            raise DecodeError("a datagram that is not one message")
        return range(0, number * SLOT, SLOT)

    def datagrams(self, number: int) -> list[bytes]:
        """Return the first ``number`` datagrams of ``buffer``."""
        sizes = self._sizes[:number].tolist()
        return [bytes(self.buffer[at * SLOT : at * SLOT + size]) for at, size in enumerate(sizes)]

    def recv(self) -> int:
        """Receive the waiting datagrams; return their number.

        Raises BlockingIOError if none waits, and :class:`KernelError` with ENOBUFS after a loss.
        """
        number = int(self._call(self._fd, self._headers, COUNT, _MSG_DONTWAIT, None))
        if number < 0:
            code = ctypes.get_errno()
            if code in (errno.EAGAIN, errno.EINTR):
                raise BlockingIOError
            raise KernelError(code, "reading from the kernel")
        return number
