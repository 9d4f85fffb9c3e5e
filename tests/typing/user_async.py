"""A user's program for asyncio: the same verbs, awaited."""

from collections.abc import AsyncIterator
from typing import assert_type

from pyconntrack import (
    AsyncConntrack,
    AsyncDump,
    AsyncEvents,
    Event,
    EventsLost,
    Expect,
    Filter,
    Flow,
    FlowTable,
    LoadError,
    Stats,
    Tuple,
)


async def open_them() -> None:
    async with AsyncConntrack(netns="blue") as ct:
        assert_type(ct, AsyncConntrack)
        assert_type(await ct.close(), None)


async def look(ct: AsyncConntrack, wanted: Filter, flow: Flow, one: Tuple) -> None:
    assert_type(await ct.count(), int)
    assert_type(await ct.stats(), Stats)
    assert_type(await ct.get(one, zone=3), Flow)
    rows = ct.dump(wanted, on_interrupt="accept")
    assert_type(rows, AsyncDump)
    async for row in rows:
        assert_type(row, Flow)
    assert_type(rows.interrupted, bool)
    assert_type(await rows.close(), None)
    assert_type(await anext(rows), Flow)
    assert_type([row.mark async for row in ct.dump()], list[int | None])
    assert_type(await ct.table(wanted), FlowTable)
    assert ct.get(flow).mark  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    assert list(ct.dump())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await ct.dump()  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    ct.dump("proto == tcp")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def change(ct: AsyncConntrack, wanted: Filter, flow: Flow, one: Tuple) -> None:
    assert_type(await ct.create(flow), None)
    assert_type(await ct.update(one, mark=5, tcp_state="ESTABLISHED"), None)
    assert_type(await ct.delete(flow), None)
    assert_type(await ct.delete_matching(wanted), list[Flow])
    assert_type(await ct.flush(10), None)
    assert_type(await ct.load([flow]), list[LoadError])
    await ct.update(flow, colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await ct.delete_matching(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await ct.load(ct.dump())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def expect(ct: AsyncConntrack, expectation: Expect) -> None:
    assert_type(ct.expectations(), AsyncIterator[Expect])
    assert_type(await ct.get_expectation(expectation), Expect)
    assert_type(await ct.create_expectation(expectation), None)
    assert_type(await ct.delete_expectation(expectation), None)
    assert_type(await ct.flush_expectations(), None)


async def follow(ct: AsyncConntrack) -> None:
    async with ct.events(resync=True) as stream:
        assert_type(stream, AsyncEvents)
        assert_type(stream.fileno(), int)
        assert_type(await stream.read(timeout=1), Event | EventsLost | None)
        async for item in stream:
            assert_type(item, Event | EventsLost)
            assert item.kind  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    assert_type(await stream.close(), None)
