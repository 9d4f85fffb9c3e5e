"""A receiver in a process of its own: the kernel fills a shared ring while we format.

:class:`Ring` stands in for a :class:`~pyconntrack.transport.Transport` during one dump.  A forked
child does nothing but receive, packing datagrams back to back into shared memory; the parent gets
many at once.  Two pipes carry what is ready and what is free again, so each side sleeps in the
kernel, and each notices the other's death as the end of its pipe.  Made for one dump; one core
gains nothing from it, see :func:`worth_it`.

Owns the process and the ring; knows of messages only where a dump ends.
"""

from __future__ import annotations

import mmap
import os
import sys
from struct import Struct

from .driver import started
from .errors import ConntrackError, KernelError
from .session import DoneAt
from .transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .session import Conversation

_SIZE = 16 << 20  # what comes while numpy is imported
_SLOT = 65536  # room that a datagram must find; it takes what it needs
_READY = Struct("=Ii")  # where a stretch begins; its size, or an errno below zero
#: what one recv() hands over: large enough for columns, small enough for caches.  The parent is
#: told of datagrams in stretches of that size, as each news costs two switches
CHUNK = 1 << 20


def worth_it() -> bool:
    """Whether a second process can run beside us."""
    return len(os.sched_getaffinity(0)) > 1


def received(conversation: Conversation, at_once: int = CHUNK) -> Iterator[Any]:
    """What a dump emits; a second process receives it, from now on, where there is a core for it.

    Opens a socket of its own, in the current network namespace.  Hands over some `at_once` bytes.
    """
    ring = Ring(Transport(), at_once)
    try:
        return _closing(ring, started(ring, conversation))
    except BaseException:
        ring.close()
        raise


def _closing(ring: Ring, parts: Iterable[Any]) -> Iterator[Any]:
    try:
        yield from parts
    finally:
        ring.close()


class Ring:
    """A transport for one dump: :meth:`send` the request, then :meth:`recv` until it ends.

    Where no second process is worth it or to be had, it receives by itself.  Owns `transport`.
    """

    def __init__(self, transport: Transport, at_once: int = CHUNK) -> None:
        self._transport = transport
        self._at_once = at_once
        self._pid = 0
        self._waiting: list[tuple[int, int]] = []
        self._taken = 0  # bytes handed over since the last credit

    def send(self, data: bytes) -> None:
        """Sends the dump request and starts the receiver."""
        self._transport.send(data)
        if worth_it():
            try:
                self._start(DoneAt(int.from_bytes(data[8:12], sys.byteorder)))
            except OSError:
                pass  # a limit of processes, files or memory: slower, the same entries

    def _start(self, done_at: DoneAt) -> None:
        self._memory = mmap.mmap(-1, _SIZE)
        ends: list[int] = []
        try:
            ends += os.pipe()
            ends += os.pipe()
            self._pid = os.fork()
        except OSError:
            for end in ends:
                os.close(end)
            raise
        ready_out, ready_in, free_out, free_in = ends
        if self._pid == 0:
            code = 1
            try:
                os.close(ready_out)
                os.close(free_in)
                self._receive(done_at, ready_in, free_out)
                code = 0
            finally:
                os._exit(code)
        os.close(ready_in)
        # our end for reading credits stays open: the child may be done before we return the last
        self._ready, self._free, self._kept = ready_out, free_in, free_out

    def _receive(self, done_at: DoneAt, ready: int, free: int) -> None:
        view = memoryview(self._memory)
        used: list[int] = []  # sizes of the stretches that were told, wrap gaps included
        room = _SIZE
        begin = at = 0  # what was filled since the last stretch was told
        last = False
        while not last:
            if _SIZE - at < _SLOT:
                self._tell(ready, begin, at, used)
                if used:  # else all that was told is free again, and so is the gap
                    used[-1] += _SIZE - at
                    room -= _SIZE - at
                begin = at = 0
            while room < _SLOT:
                self._tell(ready, begin, at, used)
                begin = at
                credit = os.read(free, 8192)
                if not credit:
                    return
                for pos in range(0, len(credit), 4):
                    for _ in range(int.from_bytes(credit[pos : pos + 4])):
                        room += used.pop(0)
            try:
                size = self._transport.recv_into(view[at : at + _SLOT])
            except InterruptedError:
                continue
            except KernelError as error:
                os.write(ready, _READY.pack(0, -(error.errno or 1)))
                return
            last = done_at(view[at : at + size]) is not None
            room -= size
            at += size
            if last or at - begin >= self._at_once:
                self._tell(ready, begin, at, used)
                begin = at

    @staticmethod
    def _tell(ready: int, begin: int, end: int, used: list[int]) -> None:
        if end > begin:
            os.write(ready, _READY.pack(begin, end - begin))
            used.append(end - begin)

    def recv(self) -> bytes:
        """The next datagrams, back to back, as one."""
        if not self._pid:
            return self._transport.recv()
        if self._taken:
            os.write(self._free, self._taken.to_bytes(4))
            self._taken = 0
        if not self._waiting and not self._more():
            raise ConntrackError("the receiving process ended before the dump did")
        start, size = self._waiting[0]
        if size < 0:
            raise KernelError(-size, "reading from the kernel")
        end = start
        while end - start < self._at_once and (self._waiting or self._more()):
            at, size = self._waiting[0]
            if at != end or size < 0:
                break
            del self._waiting[0]
            end += size
            self._taken += 1
        return self._memory[start:end]

    def _more(self) -> bool:
        """Waits for news of the receiver; False when there will be none."""
        news = os.read(self._ready, _READY.size * 1024)
        while len(news) % _READY.size:
            news += os.read(self._ready, _READY.size - len(news) % _READY.size)
        self._waiting += _READY.iter_unpack(news)
        return bool(news)

    def close(self) -> None:
        """Ends the receiver and closes the socket; twice is no error."""
        self._transport.close()
        if self._pid:
            os.close(self._free)
            os.close(self._ready)
            os.close(self._kept)
            os.waitpid(self._pid, 0)
            self._pid = 0

