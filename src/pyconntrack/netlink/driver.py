"""The blocking interpreter of conversations.

The library's blocking client and the command line share it; :mod:`pyconntrack.client.listener` is
the one that does not wait.
"""

from __future__ import annotations

from .conversation import RECV

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, Protocol

    from .conversation import Conversation, E, Stream, T

    class Link(Protocol):
        """A sender and receiver of datagrams: a Transport, or a substitute."""

        def send(self, data: bytes, /) -> None:
            """Send one datagram."""

        def recv(self) -> bytes:
            """Return the next datagram."""


def stream(link: Link, conversation: Stream[E, T]) -> Generator[E, None, T]:
    """Run a conversation; yield what it emits, return its result."""
    try:
        effect: Any = next(conversation)
        while True:
            if effect is RECV:
                effect = conversation.send(link.recv())
                continue
            if isinstance(effect, bytes):
                link.send(effect)
            else:
                yield effect
            effect = next(conversation)
    except StopIteration as stop:
        result: T = stop.value
        return result


def started(link: Link, conversation: Stream[E, T]) -> Generator[E, None, T]:
    """Run a conversation as :func:`stream` does, but send its first request before returning."""
    request: Any = next(conversation)
    link.send(request)
    return stream(link, conversation)


def call(link: Link, conversation: Conversation[T]) -> T:
    """Run a conversation that emits nothing; return its result."""
    run: Generator[object, None, T] = stream(link, conversation)
    try:
        emitted = next(run)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError(f"{emitted!r} was emitted, which nobody asked for")
