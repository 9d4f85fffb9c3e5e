"""``Conntrack``: the blocking driver of the verbs.

What is said is :mod:`pyconntrack.client.operations`', what it shares with its asyncio twin
:mod:`pyconntrack.client.base`'s.
"""

from __future__ import annotations

import time

from ..ctnetlink.event_stream import FLOW_GROUPS
from ..errors import DecodeError
from ..model import Expect, Flow, Tuple, decode
from ..netlink.background import Receiver
from ..netlink.conversation import gather
from ..netlink.driver import call, stream
from ..netlink.socket import Transport, wait_readable
from ..thresholds import FEW_CHANGED, LISTING
from . import operations
from .base import Client, Rows
from .listener import Listener
from .load import load
from .resync import MAX_RCVBUF, RCVBUF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from typing import Self, Unpack

    from ..columnar.flow_table import FlowTable
    from ..ctnetlink.predicates import Node
    from ..errors import EventsLost
    from ..model import Changes, Event, Stats
    from ..model.decode import E as Row
    from ..netlink.conversation import Batch, Conversation, E, Stream, T
    from .load import Existing, LoadError
    from .operations import OnInterrupt, Table


class _Closing:
    """A context manager that closes at its end."""

    __slots__ = ()
    _release: Callable[[], None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._release()

    def close(self) -> None:
        """Stop listening and close the sockets; twice is no error."""
        self._release()


class Dump(Rows):
    """The flows of a dump: an iterator that needs constant memory.

    ``interrupted`` says, once it is exhausted, whether the table changed meanwhile in a way that
    may have hidden or repeated entries (only with ``on_interrupt="accept"``).
    """

    __slots__ = ()
    _rows: Generator[Flow, None, None]

    def __iter__(self) -> Iterator[Flow]:
        return self._rows

    def __next__(self) -> Flow:
        return next(self._rows)

    def close(self) -> None:
        """End a dump before its end."""
        self._rows.close()


class Events(Listener, _Closing):
    """A stream of :class:`~pyconntrack.Event` and :class:`~pyconntrack.EventsLost`.

    It listens from the moment it is made.  An iterator without end; close it, or use it as a
    context manager.  The events that it yields and the counts of its losses add up to what the
    kernel had to report, up to the last :class:`~pyconntrack.EventsLost`; :meth:`stop` it first
    and read it to its end to be given the last as well.  A message that does not keep to the format
    raises :class:`~pyconntrack.DecodeError`, and the stream goes on behind it.
    """

    def __iter__(self) -> Iterator[Event | EventsLost]:
        return self

    def __next__(self) -> Event | EventsLost:
        item = self._next(None)
        assert item is not None
        return item

    def read(self, timeout: float | None = None) -> Event | EventsLost | None:
        """Return the next item; None if none came within ``timeout`` seconds (None: waits on)."""
        try:
            return self._next(None if timeout is None else time.monotonic() + timeout)
        except StopIteration:
            return None

    def _next(self, deadline: float | None) -> Event | EventsLost | None:
        left: float | None = None
        while True:
            item = self.advance()
            if isinstance(item, int):
                if left == 0:
                    return None  # it was called readable, and nothing was there
                left = None if deadline is None else max(0, deadline - time.monotonic())
                if not wait_readable(item, left):
                    return None
            elif isinstance(item, DecodeError):
                raise item
            elif item is not None:
                found: Event | EventsLost = item
                return found


class Conntrack(Client, _Closing):
    """Connection tracking of a network namespace, blocking.

    ``netns``: None for the calling thread's own namespace; a name (as ``ip netns`` has it), a
    process id or a path for another, which is held until :meth:`close`; the calling thread stays
    where it is.  ``transport``: makes the sockets instead (see :mod:`pyconntrack.testing`).

    All verbs need CAP_NET_ADMIN in the namespace and raise
    :class:`~pyconntrack.PermissionDenied` without; other refusals are
    :class:`~pyconntrack.KernelError`.  What is wrong with an argument is a
    :class:`~pyconntrack.RequestError`, before anything is sent.
    """

    __slots__ = ()

    # -- running conversations

    def _call(self, conversation: Conversation[T]) -> T:
        with self._link() as link:
            return call(link, conversation)

    def _emitted(
        self, conversation: Stream[E, object], ahead: int = 0
    ) -> Generator[E, None, None]:  # fmt: skip
        with self._link() as link:
            if not (ahead and isinstance(link, Transport)):
                yield from stream(link, conversation)
                return
            receiver = Receiver(link, ahead)
            try:
                yield from stream(receiver, conversation)
            finally:
                receiver.close()

    def _entries(
        self, cls: type[Row], conversation: Stream[Batch, object], node: Node | None = None
    ) -> Generator[Row, None, None]:  # fmt: skip
        for batch in self._emitted(conversation):
            yield from decode(cls, batch.data, batch.end, node)

    # -- the verbs

    def dump(
        self,
        filter: Node | None = None,
        *,
        table: Table = "conntrack",
        on_interrupt: OnInterrupt = "raise",
    ) -> Dump:
        """Return the flows that meet ``filter``, in the kernel's order.

        ``table``: "conntrack", "dying" or "unconfirmed".  ``on_interrupt``, when the kernel says
        that the table changed so that entries may be missing: "raise"
        (:class:`~pyconntrack.DumpInterrupted`, after the last flow), "retry" (holds the flows
        back until a dump went through undisturbed: memory grows with the table) or "accept"
        (``interrupted`` of the returned iterator tells).
        """
        listing = operations.Listing(filter, table, on_interrupt)
        return Dump(self._entries(Flow, listing.conversation, listing.node), listing)

    def table(
        self, filter: Node | None = None, *, on_interrupt: OnInterrupt = "raise"
    ) -> FlowTable:
        """Return the flows that meet ``filter`` as columns of numpy."""
        from ..columnar.flow_table import FlowTable

        listing = operations.Listing(filter, "conntrack", on_interrupt)
        builder = listing.builder(self.count() if listing.node is None else 0)
        for batch in gather(self._emitted(listing.conversation, LISTING.ahead), LISTING.window):
            builder.add(batch.data, batch.end)
        return builder.table(FlowTable)

    def get(self, flow: Flow | Tuple, *, zone: int | None = None) -> Flow:
        """Return the flow as it is now, found by the original tuple, zone and (where known) id.

        KernelError with ENOENT where there is none.
        """
        return self._call(operations.get(flow, zone))

    def create(self, flow: Flow) -> None:
        """Create a flow; ``timeout`` must be set, ``reply`` is else the inverse of ``orig``.

        Status bits and fields that only the kernel writes (id, counters...) are left out.
        KernelError with EEXIST where there is one already.
        """
        self._call(operations.create(flow))

    def update(
        self, flow: Flow | Tuple, *, zone: int | None = None, **changes: Unpack[Changes]
    ) -> None:
        """Change fields of a flow that exists: ``changes``, or all changeable ones of ``flow``.

        KernelError with ENOENT where there is none.
        """
        self._call(operations.update(flow, changes, zone))

    def delete(self, flow: Flow | Tuple, *, zone: int | None = None) -> None:
        """Delete a flow, found by the original tuple, zone and (where known) id.

        KernelError with ENOENT where there is none.
        """
        self._call(operations.delete(flow, zone))

    def delete_matching(self, filter: Node) -> list[Flow]:
        """Delete all flows that meet ``filter``; return those that it deleted.

        Entry by entry, never by a flush: an older kernel that knows no filter loses nothing else.
        A flow that ended by itself meanwhile is not in the list.
        """
        return self._delete(operations.wanted_node(filter))

    def _delete(self, node: Node) -> list[Flow]:
        gone: list[Flow] = []
        for window in gather(self._emitted(operations.deletion(node)), FEW_CHANGED.window):
            gone += self._call(operations.delete_window(window, node))
        return gone

    def flush(self, family: int | str | None = None) -> None:
        """Empty the table, or delete what ``"ipv4"`` or ``"ipv6"`` has in it."""
        node = operations.family_node(family)
        if node is None:
            self._call(operations.flush())
        else:
            self._delete(node)

    def count(self) -> int:
        """Return the number of flows in the table."""
        return self._call(operations.count())

    def stats(self) -> Stats:
        """Return entries, limit, and the counters of each CPU."""
        return self._call(operations.stats())

    def load(self, flows: Iterable[Flow], *, existing: Existing = "error") -> list[LoadError]:
        """Create many flows, hundreds to a send; return the refused ones, [] if none was.

        A list is checked as a whole before anything is sent, any other iterable as it is read.
        ``existing``: "update" gives a flow that is there already the timeout, mark, labels and
        protocol state of its equal in ``flows``, and adds the status bits that it lacks; with
        "error" it is refused.  A flow is created after its ``master``; where that does not come,
        without it, and a UserWarning counts such flows.
        """
        return list(self._emitted(load(flows, existing)))

    def expectations(self) -> Iterator[Expect]:
        """Return the expectation table."""
        return self._entries(Expect, operations.expectations())

    def get_expectation(self, expect: Expect | Tuple, *, zone: int | None = None) -> Expect:
        """Return the expectation as it is now; KernelError with ENOENT where there is none."""
        return self._call(operations.get_expectation(expect, zone))

    def create_expectation(self, expect: Expect) -> None:
        """Create an expectation: ``tuple``, ``mask``, ``timeout``, and ``master``, which exists."""
        self._call(operations.create_expectation(expect))

    def delete_expectation(self, expect: Expect | Tuple, *, zone: int | None = None) -> None:
        """Delete an expectation; KernelError with ENOENT where there is none."""
        self._call(operations.delete_expectation(expect, zone))

    def flush_expectations(self) -> None:
        """Empty the expectation table."""
        self._call(operations.flush_expectations())

    def events(
        self,
        groups: str | Iterable[str] = FLOW_GROUPS,
        filter: Node | None = None,
        *,
        resync: bool = False,
        rcvbuf: int = RCVBUF,
        max_rcvbuf: int = MAX_RCVBUF,
    ) -> Events:
        """Listen from now on; return an iterator of Event and, where some were lost, EventsLost.

        ``groups``: of "new", "update", "destroy", "exp_new", "exp_update", "exp_destroy".
        ``rcvbuf``: the receive buffer in bytes; it doubles after each loss up to ``max_rcvbuf``.
        ``resync``: begins with a synthetic NEW for each flow that is there, and follows a loss with
        synthetic events for all that changed meanwhile, so that a copy of the table kept by the
        events is right again (timeouts and counters aside, which events do not tell).
        An update carries what the kernel sends with it, so ``filter`` sees no more than that.
        With ``nf_conntrack_events=2`` (the default, Linux 5.19+) the kernel reports changes only
        of flows that began while somebody listened; set it to 1 to hear of all.
        """
        return self._listen(Events, groups, filter, resync, rcvbuf, max_rcvbuf)
