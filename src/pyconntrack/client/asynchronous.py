"""``AsyncConntrack``: the verbs for asyncio, without threads.

It runs the conversations of :mod:`pyconntrack.client.blocking` over non-blocking sockets that the
running loop watches.  A cancelled task closes its socket with its conversation, so that no late
answer reaches another conversation.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from ..ctnetlink.event_stream import FLOW_GROUPS
from ..errors import DecodeError, check_seconds
from ..model import Expect, Flow, Tuple, decode
from ..netlink.conversation import Window
from ..thresholds import FEW_CHANGED, LISTING
from . import operations
from .base import Client, Rows
from .listener import Exchange, Listener
from .load import load
from .resync import MAX_RCVBUF, RCVBUF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
    from typing import Any, ClassVar, Self, Unpack

    from ..columnar.flow_table import FlowTable
    from ..ctnetlink.predicates import Node
    from ..errors import EventsLost
    from ..filters import Filter
    from ..model import AddressLike, Changes, Event, Stats
    from ..model.arguments import Existing, OnInterrupt, TableName
    from ..model.decode import E as Row
    from ..netlink.conversation import Batch, Conversation, E, Stream, T
    from .load import LoadError


async def readable(fd: int) -> None:
    """Wait until ``fd`` has something to read."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(fd, wake)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


async def following(exchange: Exchange) -> Any:
    """Return the next item of a conversation; at its end raise StopAsyncIteration with the result.

    Cancelling the waiting task loses nothing.
    """
    while True:
        try:
            item = exchange.advance()
        except StopIteration as stop:
            raise StopAsyncIteration(stop.value) from None
        if item is None:
            await asyncio.sleep(0)  # there is more to read: let other tasks run
        elif isinstance(item, int):
            await readable(item)
        else:
            return item


class _Closing:
    """An asynchronous context manager that closes on exit."""

    __slots__ = ()
    _release: Callable[[], None]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self._release()

    async def close(self) -> None:
        """Stop listening and close the sockets; a second call does nothing."""
        self._release()


class AsyncDump(Rows):
    """The flows of a dump: as :class:`pyconntrack.client.blocking.Dump`, but asynchronous."""

    __slots__ = ()
    _rows: AsyncGenerator[Flow, None]

    def __aiter__(self) -> AsyncIterator[Flow]:
        return self._rows

    async def __anext__(self) -> Flow:
        return await self._rows.__anext__()

    async def close(self) -> None:
        """Abandon the dump."""
        await self._rows.aclose()


class AsyncEvents(Listener, _Closing):
    """A stream of :class:`~pyconntrack.Event` and :class:`~pyconntrack.EventsLost`.

    As :class:`pyconntrack.client.blocking.Events`, but an asynchronous iterator and context
    manager.  Cancelling the task that waits for the next item loses nothing.
    """

    def __aiter__(self) -> AsyncIterator[Event | EventsLost]:
        return self

    async def __anext__(self) -> Event | EventsLost:
        item: Event | EventsLost | DecodeError = await following(self)
        if isinstance(item, DecodeError):
            raise item
        return item

    async def read(self, timeout: float | None = None) -> Event | EventsLost | None:
        """Return the next item; None if none comes within ``timeout`` seconds (None: no limit)."""
        check_seconds("timeout", timeout)
        try:
            return await asyncio.wait_for(self.__anext__(), timeout)
        except (TimeoutError, StopAsyncIteration):
            return None


class AsyncConntrack(Client, _Closing):
    """Connection tracking of a network namespace, for asyncio.

    The verbs and their arguments are those of :class:`~pyconntrack.Conntrack`.  Several tasks may
    use one object at the same time: each running verb has a socket of its own, and a long answer
    does not block the others.
    """

    __slots__ = ()
    _how: ClassVar[dict[str, bool]] = {"blocking": False}

    # -- running conversations

    async def _call(self, conversation: Conversation[T]) -> T:
        with self._link() as link:
            try:
                emitted = await following(Exchange(conversation, link, None))
            except StopAsyncIteration as stop:
                result: T = stop.args[0]
                return result
        raise AssertionError(f"{emitted!r} was emitted, which nobody asked for")

    async def _emitted(self, conversation: Stream[E, object]) -> AsyncGenerator[E, None]:
        with self._link() as link:
            exchange = Exchange(conversation, link, None)
            try:
                while True:
                    yield await following(exchange)
            except StopAsyncIteration:
                pass

    async def _windows(
        self, conversation: Stream[Batch, object], size: int
    ) -> AsyncGenerator[Batch, None]:  # fmt: skip
        """Emit windows, as :func:`~pyconntrack.netlink.conversation.gather` joins batches."""
        window = Window(size)
        async with aclosing(self._emitted(conversation)) as batches:
            async for batch in batches:
                for part in window.add(batch):
                    yield part
        for part in window.rest():
            yield part

    async def _entries(
        self, cls: type[Row], conversation: Stream[Batch, object], node: Node | None = None
    ) -> AsyncGenerator[Row, None]:  # fmt: skip
        async with aclosing(self._emitted(conversation)) as batches:
            async for batch in batches:
                for entry in decode(cls, batch.data, batch.end, node):
                    yield entry

    # -- the verbs

    def dump(
        self,
        filter: Filter | None = None,
        *,
        table: TableName = "conntrack",
        on_interrupt: OnInterrupt = "raise",
    ) -> AsyncDump:
        """Return the flows that match ``filter``: see :meth:`pyconntrack.Conntrack.dump`."""
        listing = operations.Listing(filter, table, on_interrupt)
        return AsyncDump(self._entries(Flow, listing.conversation, listing.node), listing)

    async def table(
        self,
        filter: Filter | None = None,
        *,
        columns: Iterable[str] | None = None,
        on_interrupt: OnInterrupt = "raise",
    ) -> FlowTable:
        """Return the matching flows as columns: see :meth:`pyconntrack.Conntrack.table`."""
        from ..columnar.flow_table import FlowTable
        from ..columnar.table_columns import chosen

        wanted = chosen(columns)
        listing = operations.Listing(filter, "conntrack", on_interrupt)
        builder = listing.builder(wanted, await self.count() if listing.node is None else 0)
        async with aclosing(self._windows(listing.conversation, LISTING.window)) as windows:
            async for window in windows:
                builder.add(window.data, window.end)
        return FlowTable.from_builder(builder)

    async def get(self, flow: Flow | Tuple, *, zone: int | None = None) -> Flow:
        """Return the flow as the kernel has it now: see :meth:`pyconntrack.Conntrack.get`."""
        return await self._call(operations.get(flow, zone))

    async def create(
        self,
        flow: Flow,
        *,
        src_nat: AddressLike | None = None,
        dst_nat: AddressLike | None = None,
    ) -> None:
        """Create a flow: see :meth:`pyconntrack.Conntrack.create`."""
        await self._call(operations.create(flow, {"src_nat": src_nat, "dst_nat": dst_nat}))

    async def update(
        self, flow: Flow | Tuple, *, zone: int | None = None, **changes: Unpack[Changes]
    ) -> None:
        """Change fields of a flow: see :meth:`pyconntrack.Conntrack.update`."""
        await self._call(operations.update(flow, changes, zone))

    async def delete(self, flow: Flow | Tuple, *, zone: int | None = None) -> None:
        """Delete a flow: see :meth:`pyconntrack.Conntrack.delete`."""
        await self._call(operations.delete(flow, zone))

    async def delete_matching(self, filter: Filter) -> list[Flow]:
        """Delete the matching flows: see :meth:`pyconntrack.Conntrack.delete_matching`.

        If the task is cancelled, some of them have been deleted.
        """
        return await self._delete(operations.wanted_node(filter))

    async def _delete(self, node: Node) -> list[Flow]:
        gone: list[Flow] = []
        async with aclosing(
            self._windows(operations.deletion(node), FEW_CHANGED.window)
        ) as windows:
            async for window in windows:
                gone += await self._call(operations.delete_window(window, node))
        return gone

    async def flush(self, family: int | str = "all") -> None:
        """Empty the table: see :meth:`pyconntrack.Conntrack.flush`."""
        await self._flush(family)

    async def count(self) -> int:
        """Return the number of flows in the table."""
        return await self._call(operations.count())

    async def stats(self) -> Stats:
        """Return the number of entries, its limit, and the counters of each CPU."""
        return await self._call(operations.stats())

    async def load(self, flows: Iterable[Flow], *, existing: Existing = "error") -> list[LoadError]:
        """Create many flows: see :meth:`pyconntrack.Conntrack.load`."""
        return [error async for error in self._emitted(load(flows, existing))]

    def expectations(self) -> AsyncIterator[Expect]:
        """Return an iterator of the expectation table."""
        return self._entries(Expect, operations.expectations())

    async def get_expectation(self, expect: Expect | Tuple, *, zone: int | None = None) -> Expect:
        """Return the expectation as the kernel has it; NotFoundError if there is none."""
        return await self._call(operations.get_expectation(expect, zone))

    async def create_expectation(self, expect: Expect) -> None:
        """Create an expectation: see :meth:`pyconntrack.Conntrack.create_expectation`."""
        await self._call(operations.create_expectation(expect))

    async def delete_expectation(self, expect: Expect | Tuple, *, zone: int | None = None) -> None:
        """Delete an expectation; NotFoundError if there is none."""
        await self._call(operations.delete_expectation(expect, zone))

    async def flush_expectations(self) -> None:
        """Empty the expectation table."""
        await self._call(operations.flush_expectations())

    def events(
        self,
        groups: str | Iterable[str] = FLOW_GROUPS,
        filter: Filter | None = None,
        *,
        resync: bool = False,
        rcvbuf: int = RCVBUF,
        max_rcvbuf: int = MAX_RCVBUF,
    ) -> AsyncEvents:
        """Listen to events from now on: see :meth:`pyconntrack.Conntrack.events`."""
        return self._listen(AsyncEvents, groups, filter, resync, rcvbuf, max_rcvbuf)
