"""``AsyncConntrack``: the asyncio driver of the verbs, without threads.

The twin of :mod:`pyconntrack.sync`: the same conversations over non-blocking sockets that the
running loop watches.  A task that is cancelled gives up its conversation and its socket with it,
so no later answer can be taken for another's.
"""

from __future__ import annotations

import asyncio

from . import verbs
from .errors import ConntrackError, DecodeError, RequestError
from .event_stream import FLOW_GROUPS, LOST
from .events import MAX_RCVBUF, RCVBUF, Plan
from .keywords import as_node
from .listener import Listener, receive
from .model import Expect, Flow, Tuple, decode
from .netns import Held
from .receiver import LISTING
from .session import RECV
from .transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
    from types import TracebackType
    from typing import Any, Literal, Self, Unpack

    from .errors import EventsLost
    from .filter import Node
    from .model import Changes, Event, Stats
    from .request import Request
    from .session import Conversation
    from .table import FlowTable
    from .verbs import DumpState, LoadError

    OnInterrupt = Literal["raise", "retry", "accept"]
    Table = Literal["conntrack", "dying", "unconfirmed"]


async def readable(fd: int) -> None:
    """Waits until `fd` has something to read."""
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


async def _recv(transport: Any) -> bytes:
    while True:
        data = receive(transport)
        if data is LOST:
            from errno import ENOBUFS

            from .errors import kernel_error

            raise kernel_error(ENOBUFS, "reading from the kernel")
        if data is not None:
            answer: bytes = data
            return answer
        await readable(transport.fileno())


async def _send(transport: Any, data: bytes) -> None:
    # a netlink socket takes a message at once; the kernel has worked through it by then
    transport.send(data)


class AsyncDump:
    """The flows of a dump: an asynchronous iterator that needs constant memory.

    `interrupted` says, once it is exhausted, whether the table changed meanwhile in a way that may
    have hidden or repeated entries (only with ``on_interrupt="accept"``).
    """

    __slots__ = ("_rows", "_state")

    def __init__(self, rows: AsyncGenerator[Flow, None], state: DumpState) -> None:
        self._rows, self._state = rows, state

    def __aiter__(self) -> AsyncIterator[Flow]:
        return self._rows

    async def __anext__(self) -> Flow:
        return await self._rows.__anext__()

    @property
    def interrupted(self) -> bool:
        """Whether the kernel reported an interruption (NLM_F_DUMP_INTR)."""
        return self._state.interrupted

    async def close(self) -> None:
        """Ends a dump before its end."""
        await self._rows.aclose()


class AsyncEvents(Listener):
    """A stream of :class:`~pyconntrack.Event` and :class:`~pyconntrack.EventsLost`.

    The twin of :class:`pyconntrack.sync.Events`, as an asynchronous iterator and context manager.
    Cancelling the task that waits for the next item loses nothing.
    """

    def __aiter__(self) -> AsyncIterator[Event | EventsLost]:
        return self

    async def __anext__(self) -> Event | EventsLost:
        while True:
            try:
                item = self.advance()
            except StopIteration:
                raise StopAsyncIteration from None
            if item is None:
                await asyncio.sleep(0)  # in a storm there always is one to read
            elif isinstance(item, int):
                await readable(item)
            elif isinstance(item, DecodeError):
                raise item
            else:
                found: Event | EventsLost = item
                return found

    async def read(self, timeout: float | None = None) -> Event | EventsLost | None:
        """Return the next item; None if none came within ``timeout`` seconds (None: waits on)."""
        try:
            return await asyncio.wait_for(self.__anext__(), timeout)
        except (TimeoutError, StopAsyncIteration):
            return None

    async def close(self) -> None:
        """Stop listening and close the sockets; twice is no error."""
        self.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


class AsyncConntrack:
    """Connection tracking of a network namespace, for asyncio.

    The verbs and their arguments are those of :class:`~pyconntrack.Conntrack`.  Tasks may use one
    object at the same time: each running verb has a socket of its own, and a long answer leaves
    the others their turn.
    """

    __slots__ = ("_closed", "_held", "_idle", "_open")

    def __init__(
        self,
        netns: str | int | os.PathLike[str] | None = None,
        *,
        transport: Callable[..., Any] | None = None,
    ) -> None:
        self._held = Held(netns)
        self._open: Callable[..., Any] = transport or Transport
        self._closed = False
        self._idle: list[Any] = []
        try:
            self._idle.append(self._open(self._held.path, blocking=False))
        except BaseException:
            self._held.close()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the sockets; twice is no error."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
        self._held.close()

    # -- running conversations

    def _take(self) -> Any:
        if self._closed:
            raise ConntrackError("this AsyncConntrack is closed")
        return self._idle.pop() if self._idle else self._open(self._held.path, blocking=False)

    def _give_back(self, transport: Any) -> None:
        if self._closed:
            transport.close()
        else:
            self._idle.append(transport)

    async def _call(self, conversation: Conversation) -> Any:
        results: list[Any] = []

        def kept() -> Conversation:
            results.append((yield from conversation))

        async for _ in self._batches(kept()):
            pass
        return results[0]

    async def _batches(self, conversation: Conversation) -> AsyncGenerator[Any, None]:
        transport = self._take()
        try:
            answer: Any = None
            first = True
            while True:
                try:
                    effect = conversation.send(answer)
                except StopIteration:
                    break
                answer = None
                if effect is RECV:
                    if not first:  # a long answer is always there: let other tasks have their turn
                        await asyncio.sleep(0)
                    first = False
                    answer = await _recv(transport)
                elif isinstance(effect, bytes):
                    await _send(transport, effect)
                else:
                    yield effect
        except BaseException:
            transport.close()
            raise
        self._give_back(transport)

    async def _entries(
        self, cls: Any, conversation: Conversation, node: Node | None = None
    ) -> AsyncGenerator[Any, None]:
        batches = self._batches(conversation)
        try:
            async for batch in batches:
                for entry in decode(cls, batch.data, batch.end, node):
                    yield entry
        finally:
            await batches.aclose()

    # -- the verbs

    def dump(
        self,
        filter: Node | None = None,
        *,
        table: Table = "conntrack",
        on_interrupt: OnInterrupt = "raise",
    ) -> AsyncDump:
        """The flows that meet `filter`: see :meth:`pyconntrack.Conntrack.dump`."""
        node = as_node(filter)
        verbs.check_on_interrupt(on_interrupt)
        wanted: Request = verbs.dump_request(table, node)
        state = verbs.DumpState()
        conversation = verbs.dump(wanted, "listing flows", on_interrupt, state)
        return AsyncDump(self._entries(Flow, conversation, node), state)

    async def table(
        self, filter: Node | None = None, *, on_interrupt: OnInterrupt = "raise"
    ) -> FlowTable:
        """The flows that meet `filter` as columns: see :meth:`pyconntrack.Conntrack.table`."""
        from contextlib import aclosing
        from functools import partial

        from .columns import mask
        from .table import Builder, FlowTable

        node = as_node(filter)
        verbs.check_on_interrupt(on_interrupt)
        wanted = verbs.dump_request("conntrack", node)
        conversation = verbs.dump(
            wanted, "listing flows", on_interrupt, verbs.DumpState(), LISTING.window)
        if node is None:
            builder = Builder(expect=await self.count())
        else:
            builder = Builder(select=partial(mask, node))
        async with aclosing(self._batches(conversation)) as batches:
            async for batch in batches:
                builder.add(batch.data, batch.end)
        return builder.table(FlowTable)

    async def get(self, flow: Flow | Tuple, *, zone: int | None = None) -> Flow:
        """The flow as it is now: see :meth:`pyconntrack.Conntrack.get`."""
        result: Flow = await self._call(verbs.get(flow, zone))
        return result

    async def create(self, flow: Flow) -> None:
        """Creates a flow: see :meth:`pyconntrack.Conntrack.create`."""
        await self._call(verbs.create(flow))

    async def update(
        self, flow: Flow | Tuple, *, zone: int | None = None, **changes: Unpack[Changes]
    ) -> None:
        """Changes fields of a flow: see :meth:`pyconntrack.Conntrack.update`."""
        await self._call(verbs.update(flow, changes, zone))

    async def delete(self, flow: Flow | Tuple, *, zone: int | None = None) -> None:
        """Deletes a flow: see :meth:`pyconntrack.Conntrack.delete`."""
        await self._call(verbs.delete(flow, zone))

    async def delete_matching(self, filter: Node) -> list[Flow]:
        """Deletes all flows that meet `filter`: see :meth:`pyconntrack.Conntrack.delete_matching`.

        A task that is cancelled meanwhile has deleted some of them.
        """
        node = as_node(filter)
        if node is None:
            raise RequestError("filter: a Filter is wanted; flush() empties the table")
        return await self._delete(node)

    async def _delete(self, node: Node) -> list[Flow]:
        from contextlib import aclosing

        gone: list[Flow] = []
        async with aclosing(self._batches(verbs.deletion(node))) as batches:
            async for batch in batches:
                gone += await self._call(verbs.delete_window(batch, node))
        return gone

    async def flush(self, family: int | str | None = None) -> None:
        """Empties the table: see :meth:`pyconntrack.Conntrack.flush`."""
        node = verbs.family_node(family)
        if node is None:
            await self._call(verbs.flush())
        else:
            await self._delete(node)

    async def count(self) -> int:
        """The number of flows in the table."""
        return int(await self._call(verbs.count()))

    async def stats(self) -> Stats:
        """Entries, limit, and the counters of each CPU."""
        result: Stats = await self._call(verbs.stats())
        return result

    async def load(
        self, flows: Iterable[Flow], *, existing: Literal["error", "update"] = "error"
    ) -> list[LoadError]:
        """Create many flows: see :meth:`pyconntrack.Conntrack.load`."""
        return [error async for error in self._batches(verbs.load(flows, existing))]

    def expectations(self) -> AsyncIterator[Expect]:
        """The expectation table."""
        wanted = verbs.expectations_request()
        state = verbs.DumpState()
        conversation = verbs.dump(wanted, "listing expectations", "accept", state)
        return self._entries(Expect, conversation)

    async def get_expectation(self, expect: Expect | Tuple, *, zone: int | None = None) -> Expect:
        """The expectation as it is now; KernelError with ENOENT where there is none."""
        result: Expect = await self._call(verbs.get_expectation(expect, zone))
        return result

    async def create_expectation(self, expect: Expect) -> None:
        """Creates an expectation: `tuple`, `mask`, `master` (a flow that exists), `timeout`."""
        await self._call(verbs.create_expectation(expect))

    async def delete_expectation(self, expect: Expect | Tuple, *, zone: int | None = None) -> None:
        """Deletes an expectation; KernelError with ENOENT where there is none."""
        await self._call(verbs.delete_expectation(expect, zone))

    async def flush_expectations(self) -> None:
        """Empties the expectation table."""
        await self._call(verbs.flush_expectations())

    def events(
        self,
        groups: str | Iterable[str] = FLOW_GROUPS,
        filter: Node | None = None,
        *,
        resync: bool = False,
        rcvbuf: int = RCVBUF,
        max_rcvbuf: int = MAX_RCVBUF,
    ) -> AsyncEvents:
        """Listens from now on: see :meth:`pyconntrack.Conntrack.events`."""
        plan = Plan(groups, as_node(filter), resync, rcvbuf, max_rcvbuf)
        if self._closed:
            raise ConntrackError("this AsyncConntrack is closed")
        return AsyncEvents(
            lambda **how: self._open(self._held.path, **how), plan.groups, plan.follow(),
            plan.rcvbuf, node=plan.spared, dumps=plan.resync,
        )  # fmt: skip
