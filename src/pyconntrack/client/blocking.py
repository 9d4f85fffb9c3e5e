"""``Conntrack``: the verbs, blocking.

The conversations are in :mod:`pyconntrack.client.operations`; what is shared with the asyncio
client is in :mod:`pyconntrack.client.base`.
"""

from __future__ import annotations

import time

from ..ctnetlink.event_stream import FLOW_GROUPS
from ..errors import DecodeError, check_seconds
from ..model import Expect, Flow, Tuple, decode
from ..netlink.conversation import gather
from ..netlink.driver import Receiver, call, stream
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
    from ..filters import Filter
    from ..model import AddressLike, Changes, Event, Stats
    from ..model.arguments import Existing, OnInterrupt, TableName
    from ..model.decode import E as Row
    from ..netlink.conversation import Batch, Conversation, E, Stream, T
    from .load import LoadError


class _Closing:
    """A context manager that closes on exit."""

    __slots__ = ()
    _release: Callable[[], None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._release()

    def close(self) -> None:
        """Stop listening and close the sockets; a second call does nothing."""
        self._release()


class Dump(Rows):
    """The flows of a dump: an iterator that needs constant memory.

    Once it is exhausted, ``interrupted`` reports whether the table changed during the dump so that
    entries may be missing or repeated (only with ``on_interrupt="accept"``).
    """

    __slots__ = ()
    _rows: Generator[Flow, None, None]

    def __iter__(self) -> Iterator[Flow]:
        return self._rows

    def __next__(self) -> Flow:
        return next(self._rows)

    def close(self) -> None:
        """Abandon the dump."""
        self._rows.close()


class Events(Listener, _Closing):
    """A stream of :class:`~pyconntrack.Event` and :class:`~pyconntrack.EventsLost`.

    An endless iterator that listens from its creation on; close it, or use it as a context
    manager.  Up to the last :class:`~pyconntrack.EventsLost`, the events that it yields and the
    counts of its losses add up to what the kernel had to report; to include the last losses, call
    :meth:`stop` and read to the end.  A malformed message raises
    :class:`~pyconntrack.DecodeError`, and the stream continues after it.
    """

    def __iter__(self) -> Iterator[Event | EventsLost]:
        return self

    def __next__(self) -> Event | EventsLost:
        item = self._next(None)
        assert item is not None
        return item

    def read(self, timeout: float | None = None) -> Event | EventsLost | None:
        """Return the next item; None if none comes within ``timeout`` seconds (None: no limit)."""
        check_seconds("timeout", timeout)
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
                    return None  # reported as readable, but nothing was there
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

    ``netns``: None for the calling thread's namespace; a name (as in ``ip netns``), a process id
    or a path for another, which is held until :meth:`close`; the calling thread stays where it is.
    ``transport``: a callable that makes the sockets instead (see :mod:`pyconntrack.testing`).

    All verbs need CAP_NET_ADMIN in the namespace, and raise
    :class:`~pyconntrack.PermissionDeniedError` without it; any other refusal is a
    :class:`~pyconntrack.KernelError`.  A wrong argument raises
    :class:`~pyconntrack.RequestError` before anything is sent.
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
        filter: Filter | None = None,
        *,
        table: TableName = "conntrack",
        on_interrupt: OnInterrupt = "raise",
    ) -> Dump:
        """Return the flows that match ``filter``, in the kernel's order.

        ``table``: "conntrack", "dying" or "unconfirmed".  ``on_interrupt``: what to do when the
        kernel reports that the table changed so that entries may be missing: "raise"
        (:class:`~pyconntrack.DumpInterruptedError`, after the last flow), "retry" (hold the flows
        back until a dump is not interrupted; memory grows with the table) or "accept" (set
        ``interrupted`` of the returned iterator).
        """
        listing = operations.Listing(filter, table, on_interrupt)
        return Dump(self._entries(Flow, listing.conversation, listing.node), listing)

    def table(
        self,
        filter: Filter | None = None,
        *,
        columns: Iterable[str] | None = None,
        on_interrupt: OnInterrupt = "raise",
    ) -> FlowTable:
        """Return the flows that match ``filter`` as columns.

        ``columns``: names of the columns of the table, in their order; without it, all those of
        ``conntrack -o csv``.  Either way a table has the same columns whatever the flows have.
        Raises :class:`~pyconntrack.RequestError` for a name that is no column.
        """
        from ..columnar.flow_table import FlowTable
        from ..columnar.table_columns import chosen

        wanted = chosen(columns)
        listing = operations.Listing(filter, "conntrack", on_interrupt)
        builder = listing.builder(wanted, self.count() if listing.node is None else 0)
        for batch in gather(self._emitted(listing.conversation, LISTING.ahead), LISTING.window):
            builder.add(batch.data, batch.end)
        return FlowTable.from_builder(builder)

    def get(self, flow: Flow | Tuple, *, zone: int | None = None) -> Flow:
        """Return the flow as the kernel has it now, found by a tuple, zone and (if known) id.

        Raises :class:`~pyconntrack.NotFoundError` if there is none.
        """
        return self._call(operations.get(flow, zone))

    def create(
        self,
        flow: Flow,
        *,
        src_nat: AddressLike | None = None,
        dst_nat: AddressLike | None = None,
    ) -> None:
        """Create a flow; ``timeout`` is required, ``reply`` defaults to the inverse of ``orig``.

        Any other ``reply`` is what the kernel translates the flow to (NAT), with exactly its
        addresses, ports and ICMP id.  ``src_nat`` and ``dst_nat`` are those of :class:`Flow`.
        Status bits and fields that only the kernel writes (id, counters...) are left out; the
        status of a flow that the kernel reported (with an id) decides whether it is translated.
        Raises :class:`~pyconntrack.ExistsError` if the flow exists or its translation is taken, and
        KernelError with EADDRNOTAVAIL if the kernel does not translate it as requested; nothing is
        created then.
        """
        self._call(operations.create(flow, {"src_nat": src_nat, "dst_nat": dst_nat}))

    def update(
        self, flow: Flow | Tuple, *, zone: int | None = None, **changes: Unpack[Changes]
    ) -> None:
        """Change fields of a flow that exists: ``changes``, or all changeable ones of ``flow``.

        Raises :class:`~pyconntrack.NotFoundError` if there is none.
        """
        self._call(operations.update(flow, changes, zone))

    def delete(self, flow: Flow | Tuple, *, zone: int | None = None) -> None:
        """Delete a flow, found by a tuple, zone and (if known) id.

        Raises :class:`~pyconntrack.NotFoundError` if there is none.
        """
        self._call(operations.delete(flow, zone))

    def delete_matching(self, filter: Filter) -> list[Flow]:
        """Delete the flows that match ``filter``; return those that were deleted.

        They are deleted one by one, never by a flush, so that an older kernel that ignores filters
        deletes nothing else.  A flow that ended by itself meanwhile is not in the list.
        """
        return self._delete(operations.wanted_node(filter))

    def _delete(self, node: Node) -> list[Flow]:
        gone: list[Flow] = []
        for window in gather(self._emitted(operations.deletion(node)), FEW_CHANGED.window):
            gone += self._call(operations.delete_window(window, node))
        return gone

    def flush(self, family: int | str = "all") -> None:
        """Empty the table, or delete the flows of ``family`` ("ipv4" or "ipv6") only.

        Raises :class:`~pyconntrack.RequestError` for None: a flow made without addresses has no
        ``family``, and its flush would empty the table.
        """
        self._flush(family)

    def count(self) -> int:
        """Return the number of flows in the table."""
        return self._call(operations.count())

    def stats(self) -> Stats:
        """Return the number of entries, its limit, and the counters of each CPU."""
        return self._call(operations.stats())

    def load(self, flows: Iterable[Flow], *, existing: Existing = "error") -> list[LoadError]:
        """Create many flows, hundreds to a send; return an error for each refused one.

        A list or tuple is checked as a whole before anything is sent, any other iterable as it is
        read.  ``existing``: with "update" a flow that exists is given the timeout, mark, labels and
        protocol state of its equal in ``flows`` and the status bits that it lacks; with "error" it
        is refused.  A flow is created after its ``master``, or without it if the master does not
        exist; a UserWarning counts such flows.  Translations are requested and checked as in
        :meth:`create`.
        """
        return list(self._emitted(load(flows, existing)))

    def expectations(self) -> Iterator[Expect]:
        """Return an iterator of the expectation table."""
        return self._entries(Expect, operations.expectations())

    def get_expectation(self, expect: Expect | Tuple, *, zone: int | None = None) -> Expect:
        """Return the expectation as the kernel has it; NotFoundError if there is none."""
        return self._call(operations.get_expectation(expect, zone))

    def create_expectation(self, expect: Expect) -> None:
        """Create an expectation of ``tuple``, ``mask``, ``timeout`` and an existing ``master``."""
        self._call(operations.create_expectation(expect))

    def delete_expectation(self, expect: Expect | Tuple, *, zone: int | None = None) -> None:
        """Delete an expectation; NotFoundError if there is none."""
        self._call(operations.delete_expectation(expect, zone))

    def flush_expectations(self) -> None:
        """Empty the expectation table."""
        self._call(operations.flush_expectations())

    def events(
        self,
        groups: str | Iterable[str] = FLOW_GROUPS,
        filter: Filter | None = None,
        *,
        resync: bool = False,
        rcvbuf: int = RCVBUF,
        max_rcvbuf: int = MAX_RCVBUF,
    ) -> Events:
        """Listen from now on; return an iterator of Event and, after losses, EventsLost.

        ``groups``: any of "new", "update", "destroy", "exp_new", "exp_update", "exp_destroy".
        ``rcvbuf``: the receive buffer in bytes; it doubles after each loss up to ``max_rcvbuf``.
        ``resync``: begin with a synthetic NEW for each flow in the table, and after a loss emit
        synthetic events for all that changed, so that a copy of the table kept from the events is
        right again (except timeouts and counters, which events do not report).
        ``filter`` is applied to what an event carries: an update may lack fields.
        With ``nf_conntrack_events=2`` (the default, Linux 5.19+) the kernel reports changes only
        of flows that began while a socket listened; set it to 1 for those of all flows.
        """
        return self._listen(Events, groups, filter, resync, rcvbuf, max_rcvbuf)
