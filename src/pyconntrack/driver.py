"""The blocking driver: runs the conversations of :mod:`pyconntrack.session` over a socket.

Owns the loop, and a thread that sends beside it; ``sync.py`` and the command line share it.  Its
asyncio twin is in ``aio.py``.
"""

from __future__ import annotations

import _thread

from .session import RECV

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, Protocol

    from .session import Conversation

    class Link(Protocol):
        """What sends datagrams and receives them: a Transport, or what stands in for one."""

        def send(self, data: bytes, /) -> None:
            """Sends one."""

        def recv(self) -> bytes:
            """The next."""


def stream(transport: Link, conversation: Conversation) -> Generator[Any, None, Any]:
    """Runs a conversation; yields what it emits, returns its result."""
    answer = None
    try:
        while True:
            effect = conversation.send(answer)
            answer = None
            if effect is RECV:
                answer = _recv(transport)
            elif isinstance(effect, bytes):
                transport.send(effect)
            else:
                yield effect
    except StopIteration as stop:
        return stop.value


def started(transport: Link, conversation: Conversation) -> Generator[Any, None, Any]:
    """Like :func:`stream`, but the first request is sent before this returns."""
    transport.send(conversation.send(None))
    return stream(transport, conversation)


class Beside:
    """A link whose :meth:`send` returns at once, while a thread is still sending.

    The kernel walks through its whole table within the send of a dump, where few entries match;
    meanwhile there is something else to do, such as importing what the answer will need.
    """

    __slots__ = ("_error", "_sent", "_transport")

    def __init__(self, transport: Link) -> None:
        self._transport = transport
        self._error: BaseException | None = None
        self._sent = _thread.allocate_lock()

    def send(self, data: bytes) -> None:
        """Begins to send."""
        under_way = _thread.allocate_lock()

        def send() -> None:
            under_way.release()
            try:
                self._transport.send(data)
            except BaseException as error:
                self._error = error
            finally:
                self._sent.release()

        self._sent.acquire()
        under_way.acquire()
        try:
            _thread.start_new_thread(send, ())
        except RuntimeError:  # a limit of processes
            send()
            return
        # lets go of the interpreter's lock, for which the thread else would have to wait
        under_way.acquire()

    def recv(self) -> bytes:
        """The next datagram; raises what sending raised."""
        with self._sent:
            if self._error is not None:
                raise self._error
        return self._transport.recv()


def call(transport: Link, conversation: Conversation) -> Any:
    """Runs a conversation that emits nothing; returns its result."""
    emitted = stream(transport, conversation)
    while True:
        try:
            next(emitted)
        except StopIteration as stop:
            return stop.value


def _recv(transport: Link) -> bytes:
    while True:
        try:
            return transport.recv()
        except InterruptedError:
            continue
