"""Event streams, without I/O: the kinds of events, and a conversation that counts every loss.

Once a netlink socket overflows, the kernel drops all further events until the queue has been read
to its end.  It raises ENOBUFS once, before the older events that still wait, and counts each event
that it drops (SO_MEMINFO).  So the counter is read whenever the queue has been read to its end,
which is where the gap is, and each increase becomes an :class:`~pyconntrack.EventsLost`.  ENOBUFS
without an increase is a loss of unknown number: the kernel had no memory for the event.

The effects, in addition to those of :mod:`pyconntrack.netlink.conversation`, which use a socket of
their own:

- POLL: receive from the event socket; the answer is None if nothing waits, LOST after ENOBUFS;
- WAIT: wait until there is something to read; the answer False ends the stream;
- DROPS: read the socket's drop counter (32 bits, it may wrap);
- :class:`Grow`: enlarge the receive buffer.

Source: netlink_overrun, netlink_rcv_wake, netlink_set_err (net/netlink/af_netlink.c).
"""

from __future__ import annotations

from ..errors import DecodeError, EventsLost
from ..netlink import constants as nl
from ..netlink.messages import split
from . import constants as c
from .vocabulary import EVENT_KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from typing import Any, Final, Literal

    from ..netlink.conversation import E, Effect, T
    from ..netlink.socket import Transport
    from .literals import EventKind
    from .predicates import Node

    #: a conversation with an event socket; it emits each ``E``, and its result is a ``T``
    Watch = Generator[Effect | Literal["poll", "wait", "drops"] | "Grow" | E, Any, T]

POLL: Final = "poll"
WAIT: Final = "wait"
DROPS: Final = "drops"
LOST: Final = "lost"

GROUPS = {
    "new": c.NFNLGRP_CONNTRACK_NEW,
    "update": c.NFNLGRP_CONNTRACK_UPDATE,
    "destroy": c.NFNLGRP_CONNTRACK_DESTROY,
    "exp_new": c.NFNLGRP_CONNTRACK_EXP_NEW,
    "exp_update": c.NFNLGRP_CONNTRACK_EXP_UPDATE,
    "exp_destroy": c.NFNLGRP_CONNTRACK_EXP_DESTROY,
}
FLOW_GROUPS = EVENT_KINDS
#: the least that a waiting datagram takes of the buffer, in bytes (struct sk_buff and its data)
_LEAST = 512


class Grow:
    """The effect that sets the receive buffer to ``size`` bytes."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size: int = size


def kind_of(kind: int, flags: int) -> EventKind:
    """Return "new", "update" or "destroy" for the message type and the flags of an event."""
    # IPCTNL_MSG_EXP_DELETE is the same number
    if kind & 0xFF == c.IPCTNL_MSG_CT_DELETE:
        return "destroy"
    return "new" if flags & (nl.NLM_F_CREATE | nl.NLM_F_EXCL) else "update"


def messages(data: bytes) -> Iterator[tuple[bytes, EventKind]]:
    """Yield each event of a datagram: the message and its :func:`kind_of`.

    Raises :class:`DecodeError` if a length does not fit.
    """
    for pos, length, kind, flags, _ in split(data):
        if kind >= c.NFNL_SUBSYS_CTNETLINK << 8:
            part = data if length == len(data) else data[pos : pos + length]
            yield part, kind_of(kind, flags)


def subscribe(transport: Transport, groups: Iterable[int], node: Node | None) -> None:
    """Join ``groups``; the kernel withholds events for which ``node`` is surely false."""
    if node is not None:
        from .socket_filter import program

        if code := program(node):
            transport.attach(code)
    transport.join(groups)


class EventStream:
    """The conversation with a new event socket.

    It emits the items of ``read`` for each answer to POLL, an :class:`~pyconntrack.EventsLost` for
    each loss, and a :class:`DecodeError` in place of a malformed message.  ``rcvbuf``: the size of
    the receive buffer in bytes, doubled after each loss up to ``max_rcvbuf``.  ``exact``: whether
    every event of the socket is wanted; if not, a count of losses is an upper bound.
    """

    def __init__(
        self, read: Callable[[Any], Iterator[Any]], rcvbuf: int, max_rcvbuf: int, *, exact: bool
    ) -> None:
        self.read = read
        self.rcvbuf: int = rcvbuf
        self.max_rcvbuf: int = max_rcvbuf
        self.exact: bool = exact
        self.drops: int = 0  # the counter of a new socket
        # since the queue was last empty: whether ENOBUFS was raised, and the counter moved
        self.error: bool = False
        self.moved: bool = False

    def run(self) -> Watch[Any, None]:
        """Follow the socket until WAIT is answered with False."""
        yield from self.begin()
        while True:
            if (yield from self.settle()):
                yield from self.recover()
            elif not (yield WAIT):
                return

    def begin(self) -> Watch[Any, None]:
        """Do what comes before the first event."""
        yield from ()

    def recover(self) -> Watch[Any, None]:
        """Recover from a loss; all that waited before it has been read."""
        yield from ()

    def waiting(self) -> int:
        """Return the largest number of datagrams that fit the receive buffer."""
        return 2 * self.rcvbuf // _LEAST + 1  # the kernel doubles the requested size

    def settle(self, ahead: int = -1) -> Watch[Any, bool]:
        """Read until nothing waits, or ``ahead`` datagrams; return whether any was lost.

        After a loss it reads as many datagrams as can have waited before it, so that a loss is
        reported even if the queue is never empty.
        """
        lost = False
        while ahead:
            data = yield POLL
            if data is LOST:
                if lost:  # the gap before this one has been passed
                    yield from self.count()
                lost = self.error = True
                if self.rcvbuf < self.max_rcvbuf:
                    self.rcvbuf = min(2 * self.rcvbuf, self.max_rcvbuf)
                    yield Grow(self.rcvbuf)
                ahead = self.waiting()
            elif data is not None:
                ahead -= 1
                try:
                    yield from self.read(data)
                except DecodeError as error:
                    yield error
            elif (yield from self.count()):
                lost = True  # and the ENOBUFS that goes with it may not have been raised yet
            else:
                if self.error and not self.moved:
                    yield EventsLost(None)
                self.error = self.moved = False
                return lost
        return (yield from self.count()) or lost

    def count(self) -> Watch[EventsLost, bool]:
        """Report the events dropped since the last call; return whether there were any."""
        now = yield DROPS
        count, self.drops = (now - self.drops) & 0xFFFFFFFF, now
        if count:
            self.moved = True
            yield EventsLost(count, exact=self.exact)
        return bool(count)
