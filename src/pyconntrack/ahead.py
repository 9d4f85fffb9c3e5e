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

    __slots__ = ("_closed", "_data", "_ended", "_error", "_free", "_ready", "_transport")

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._data = b""
        self._error: BaseException | None = None
        self._closed = False
        #: free while there is something to take, room for the next, and no thread
        self._ready, self._free, self._ended = (_thread.allocate_lock() for _ in range(3))
        self._ready.acquire()

    def send(self, data: bytes) -> None:
        """Sends the request of a dump and begins to read; again when the last one has ended."""
        done_at = DoneAt(int.from_bytes(data[8:12], sys.byteorder))
        self._ended.acquire()
        try:
            self._transport.send(data)
            _thread.start_new_thread(self._read, (done_at,))
        except BaseException:
            self._ended.release()
            raise

    def _read(self, done_at: DoneAt) -> None:
        over = False
        try:
            reader = Mmsg(self._transport.fileno(), _COUNT, _SLOT, wait=True)
            while not over and not self._closed:
                found = reader.datagrams()
                if not found:
                    continue  # a signal came
                # what ends a dump comes last; the caller looks for it in what it is given
                over = done_at(found[-1]) is not None
                for part in (found[:-1], found[-1:]) if over else (found,):
                    if part and not self._give(b"".join(part), None):
                        return
        except BaseException as error:
            self._give(b"", error)
        finally:
            self._ended.release()

    def _give(self, data: bytes, error: BaseException | None) -> bool:
        """Hands over what was read, when the last was taken; False where nobody wants it."""
        self._free.acquire()
        if self._closed:
            return False
        self._data, self._error = data, error
        self._ready.release()
        return True

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
        self._closed = True
        if self._free.locked():
            self._free.release()
        with self._ended:
            pass
