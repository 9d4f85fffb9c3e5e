"""Reading ahead: a thread takes the next datagrams of a dump while the caller decodes the last.

One recvmmsg takes many datagrams and lets go of the interpreter's lock all the while, so that the
kernel's work and ours overlap on two cores.  A thread that took them one by one would wait for
that lock each time.

Owns the thread, which lives as long as one dump; knows of messages only where a dump ends.
"""

from __future__ import annotations

import _thread
import sys

from .mmsg import Mmsg
from .session import DoneAt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .transport import Transport

#: datagrams of one call, and the room of each (netlink_recvmsg: at most 32 KiB for a dump)
_COUNT, _SLOT = 32, 65536


class Ahead:
    """A transport for one dump: :meth:`send` its request, then :meth:`recv` until it ends.

    What :meth:`recv` returns are many datagrams, back to back.
    """

    __slots__ = ("_data", "_ended", "_error", "_free", "_over", "_ready", "_transport")

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._data = b""
        self._error: BaseException | None = None
        self._over = False
        #: free while there is something to take, room for the next, and no thread
        self._ready, self._free, self._ended = (_thread.allocate_lock() for _ in range(3))
        self._ready.acquire()

    def send(self, data: bytes) -> None:
        """Sends the request of a dump and begins to read; again when the last one has ended."""
        self._ended.acquire()
        self._over = False
        try:
            self._transport.send(data)
        except BaseException:
            self._ended.release()
            raise
        done_at = DoneAt(int.from_bytes(data[8:12], sys.byteorder))
        _thread.start_new_thread(self._read, (done_at,))

    def _read(self, done_at: DoneAt) -> None:
        try:
            reader = Mmsg(self._transport.fileno(), _COUNT, _SLOT, wait=True)
            while not self._over:
                found = reader.datagrams()
                if not found:
                    continue  # a signal came
                # what ends a dump comes last; the caller looks for it in what it is given
                over = done_at(found[-1]) is not None
                for part in (found[:-1], found[-1:]) if over else (found,):
                    data = b"".join(part)
                    if not data:
                        continue
                    if not self._room():
                        return
                    self._data = data
                    self._over = over and part[-1] is found[-1]
                    self._ready.release()
        except BaseException as error:
            if self._room():
                self._error, self._over = error, True
                self._ready.release()
        finally:
            self._ended.release()

    def _room(self) -> bool:
        """Whether there is, when the last datagrams were taken, somebody for the next."""
        self._free.acquire()
        return not self._over

    def recv(self) -> bytes:
        """The next datagrams; raises what reading them raised."""
        self._ready.acquire()
        if self._error is not None:
            raise self._error
        data = self._data
        self._free.release()
        return data

    def close(self) -> None:
        """Ends the thread, which is in the middle of a dump at most: the socket stays open."""
        self._over = True
        if self._free.locked():
            self._free.release()
        with self._ended:
            pass
