"""The interpreter of conversations that never waits: it returns what is to be awaited.

asyncio runs all conversations with it, and event streams run with it everywhere, so that
:mod:`.blocking`, :mod:`.asynchronous` and the command line differ only in how they wait.
"""

from __future__ import annotations

import errno

from ..ctnetlink.event_stream import DROPS, LOST, POLL, WAIT, Grow, subscribe
from ..errors import KernelError
from ..netlink.conversation import RECV

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from typing import Any

    from ..ctnetlink.event_stream import Watch
    from ..ctnetlink.predicates import Node

#: events read in one turn; a datagram of a dump counts as a whole turn
TURN = 64


def receive(transport: Any) -> Any:
    """Return the next of a non-blocking socket: a datagram, LOST after a loss, or None."""
    try:
        return transport.recv()
    except BlockingIOError:
        return None
    except KernelError as error:
        if error.errno != errno.ENOBUFS:
            raise
        return LOST


class Exchange:
    """A ``conversation`` over non-blocking sockets: ``link`` for requests and their answers,
    ``transport`` for events."""

    def __init__(self, conversation: Generator[Any, Any, Any], link: Any, transport: Any) -> None:
        self._conversation, self._link, self._transport = conversation, link, transport
        self._effect: Any = None  # what it waits for
        self._work = 0
        self.stopped: bool = False

    def advance(self) -> Any:
        """Return the next item, the descriptor (int) to be awaited, or None at the end of a turn.

        Raises StopIteration with the result at the end of the conversation.
        """
        effect, self._effect = self._effect, None
        waited = effect is WAIT
        while True:
            answer: Any = None
            if effect is POLL or effect is RECV:
                if self._work >= TURN:
                    self._effect, self._work = effect, 0
                    return None
                self._work += 1 if effect is POLL else TURN
            if effect is POLL:
                answer = self.receive()
            elif effect is WAIT:
                if not (waited or self.stopped):
                    self._effect = effect
                    return self.fileno()
                # what came between the last look and stop() is still to be read
                answer, waited = waited, False
            elif effect is DROPS:
                answer = self._transport.drops
            elif effect is RECV:
                try:
                    answer = self._link.recv()
                except BlockingIOError:
                    self._effect = effect
                    return int(self._link.fileno())
            elif isinstance(effect, Grow):
                self._transport.set_rcvbuf(effect.size)
            elif isinstance(effect, bytes):
                self._link.send(effect)
            elif effect is not None:
                return effect
            effect = self._conversation.send(answer)

    def receive(self) -> Any:
        """Return the next of the event socket: see :func:`receive`."""
        return receive(self._transport)

    def fileno(self) -> int:
        """Return the file descriptor of the event socket."""
        return int(self._transport.fileno())


class Listener(Exchange):
    """An event socket that has joined ``groups``, and the conversation ``stream`` with it.

    ``open_socket`` makes it, with a receive buffer of ``rcvbuf`` bytes, and with ``dumps`` a
    second one for the dumps of the conversation.  ``node``: a predicate; the kernel may withhold
    events for which it is false.
    """

    stopped: bool

    def __init__(
        self, open_socket: Callable[..., Any], groups: Iterable[int], stream: Watch[Any, None],
        rcvbuf: int, *, node: Node | None = None, dumps: bool = False,
    ) -> None:  # fmt: skip
        self._groups = tuple(groups)
        super().__init__(stream, None, open_socket(rcvbuf=rcvbuf, blocking=False))
        try:
            if dumps:
                self._link = open_socket(blocking=False)
            subscribe(self._transport, self._groups, node)
        except BaseException:
            self._release()
            raise

    def stop(self) -> None:
        """Leave the groups: the stream ends after the waiting events and the last loss."""
        if not self.stopped:
            self.stopped = True
            self._transport.leave(self._groups)

    def _release(self) -> None:
        """Close the sockets; a second call does nothing."""
        self.stopped, self._effect = True, None
        self._conversation.close()
        self._transport.close()
        if self._link is not None:
            self._link.close()
