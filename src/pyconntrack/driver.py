"""The blocking driver: runs the conversations of :mod:`pyconntrack.session` over a socket.

``sync.py`` and the command line share it.  Its asyncio twin is in ``aio.py``.
"""

from __future__ import annotations

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
                answer = transport.recv()
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


def call(transport: Link, conversation: Conversation) -> Any:
    """Runs a conversation that emits nothing; returns its result."""
    emitted = stream(transport, conversation)
    while True:
        try:
            next(emitted)
        except StopIteration as stop:
            return stop.value
