"""The asyncio driver: the same verbs, cancellation, parity with the blocking one."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from typing import Any

import pytest

from pyconntrack import (
    AsyncConntrack,
    Conntrack,
    ConntrackError,
    Event,
    EventsLost,
    Filter,
    Flow,
    KernelError,
    RequestError,
    Tuple,
)  # fmt: skip
from pyconntrack.client.asynchronous import AsyncDump, AsyncEvents
from pyconntrack.client.blocking import Dump, Events
from pyconntrack.columnar.table_builder import Builder
from pyconntrack.testing import (  # fmt: skip
    ENOBUFS,
    ScriptedKernel,
    Step,
    ack,
    done,
    dump_of,
    event_message,
)
from pyconntrack.thresholds import LISTING
from support.entries import udp
from support.netns import Namespace


def public(cls: type) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(cls).items()
        if not name.startswith("_") and callable(value)
    }


@pytest.mark.parametrize(
    ("blocking", "asynchronous"),
    [(Conntrack, AsyncConntrack), (Dump, AsyncDump), (Events, AsyncEvents)],
)
def test_the_same_verbs_with_the_same_arguments(blocking: type, asynchronous: type) -> None:
    ours, theirs = public(blocking), public(asynchronous)
    assert set(ours) == set(theirs)
    for name, method in {**ours, "__init__": blocking.__init__}.items():  # type: ignore[misc]
        twin = getattr(asynchronous, name)
        if name == "__init__" and blocking is not Conntrack:
            continue
        mine, other = inspect.signature(method), inspect.signature(twin)
        assert mine.parameters == other.parameters, name


def test_verbs(netns: Namespace) -> None:
    async def main() -> None:
        async with AsyncConntrack() as conntrack:
            await conntrack.create(udp(1, mark=3))
            found = await conntrack.get(udp(1))
            assert found.mark == 3
            await conntrack.update(found, mark=4)
            [row] = [flow async for flow in conntrack.dump(Filter(mark=4))]
            assert row == found
            await conntrack.delete(row)
            with pytest.raises(KernelError):
                await conntrack.get(row)
            assert await conntrack.load([udp(n, mark=n % 2) for n in range(600)]) == []
            assert len(await conntrack.table()) == 600
            assert len(await conntrack.table(Filter(mark=1))) == 300
            assert len(await conntrack.delete_matching(Filter(mark=1))) == 300
            assert await conntrack.count() == (await conntrack.stats()).entries == 300
            assert [one async for one in conntrack.expectations()] == []
            await conntrack.flush_expectations()
            await conntrack.flush()
            assert await conntrack.count() == 0

    threads = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() == threads


def test_tasks_side_by_side(netns: Namespace) -> None:
    async def main() -> None:
        async with AsyncConntrack() as conntrack:
            await conntrack.load([udp(n) for n in range(2000)])

            async def rows() -> int:
                return len([1 async for _ in conntrack.dump()])

            found = await asyncio.gather(rows(), rows(), conntrack.count())
            assert list(found) == [2000, 2000, 2000]

    asyncio.run(main())


def long_answer() -> ScriptedKernel:
    """A kernel with a dump of 50 datagrams."""
    return ScriptedKernel([Step(*[dump_of(udp(n)) for n in range(50)], done())])


@pytest.mark.parametrize("verb", ["dump", "table", "delete_matching"])
def test_a_long_answer_leaves_other_tasks_their_turn(verb: str) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.create_task(other())
        async with AsyncConntrack(transport=long_answer()) as conntrack:
            nothing = Filter(orig_dport=1)
            if verb == "dump":
                assert len([flow async for flow in conntrack.dump()]) == 50
            elif verb == "table":
                assert len(await conntrack.table(nothing)) == 0
            else:
                assert await conntrack.delete_matching(nothing) == []
        task.cancel()

    asyncio.run(main())
    assert turns >= 50


def test_many_events_leave_other_tasks_their_turn() -> None:
    events = [event_message("new", udp(n)) for n in range(300)]
    turns = []

    async def other() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.create_task(other())
        kernel = ScriptedKernel(unasked=events)
        async with AsyncConntrack(transport=kernel) as conntrack, conntrack.events() as stream:
            for _ in events:
                await anext(stream)
        task.cancel()

    asyncio.run(main())
    assert len(turns) >= 4


def test_a_table_is_decoded_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, waiting, add = long_answer(), [], Builder.add

    def noting(self: Builder, data: bytes, end: int) -> None:
        waiting.append(len(kernel.queue))
        add(self, data, end)

    async def main() -> None:
        async with AsyncConntrack(transport=kernel) as conntrack:
            assert len(await conntrack.table(Filter(orig_dport=53))) == 50

    monkeypatch.setattr(LISTING, "window", 1)
    monkeypatch.setattr(Builder, "add", noting)
    asyncio.run(main())
    assert waiting == [*range(50, 0, -1)]


def test_a_long_answer_can_be_given_up() -> None:
    async def main() -> None:
        kernel = long_answer()
        async with AsyncConntrack(transport=kernel) as conntrack:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await conntrack.table(Filter(orig_dport=53))
            assert not kernel.finished
            assert kernel.closed == 1

    asyncio.run(main())


def test_cancelling_leaves_a_working_object(netns: Namespace) -> None:
    async def main() -> None:
        async with AsyncConntrack() as conntrack:
            await conntrack.load([udp(n) for n in range(2000)])
            rows = conntrack.dump()
            await rows.__anext__()
            await rows.close()
            stream = conntrack.events()
            waiting = asyncio.create_task(stream.__anext__())
            await asyncio.sleep(0)  # it begins, and waits
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await conntrack.create(udp(5000))
            item = await stream.read(5)
            assert isinstance(item, Event)
            assert item.flow == udp(5000)
            assert await stream.read(0.01) is None
            await stream.close()
            await stream.close()
            assert await conntrack.count() == 2001

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) == before


def test_events_and_resync(netns: Namespace) -> None:
    async def main() -> None:
        async with (
            AsyncConntrack() as conntrack,
            conntrack.events(resync=True, rcvbuf=16384, max_rcvbuf=16384) as stream,
        ):
            copy: dict[Any, Flow] = {}
            lost = 0
            await conntrack.load([udp(n, mark=1) for n in range(2000)])
            await conntrack.delete_matching(Filter(orig_src="10.0.0.0/25"))
            while (item := await stream.read(1)) is not None:
                if isinstance(item, EventsLost):
                    lost += item.count or 0
                elif item.flow is not None and item.kind == "destroy":
                    copy.pop(item.flow.key, None)
                elif item.flow is not None:
                    copy[item.flow.key] = item.flow
            assert lost
            assert set(copy.values()) == {flow async for flow in conntrack.dump()}

    asyncio.run(main())


def test_a_script() -> None:
    one = Tuple("10.0.0.1", "10.0.0.2", "udp", 1, 53)
    flow = Flow(one, timeout=1)

    async def main() -> None:
        kernel = ScriptedKernel(
            [Step(dump_of(flow), done(interrupted=True)), Step(ack(17)), Step(ENOBUFS)]
        )
        async with AsyncConntrack(transport=kernel) as conntrack:
            rows = conntrack.dump(on_interrupt="accept")
            assert [row async for row in rows] == [flow]
            assert rows.interrupted
            with pytest.raises(KernelError, match="EEXIST"):
                await conntrack.create(flow)
            with pytest.raises(KernelError, match="ENOBUFS"):
                await conntrack.create(flow)
            with pytest.raises(RequestError, match="flush"):
                await conntrack.delete_matching(None)  # type: ignore[arg-type]
        with pytest.raises(ConntrackError, match="closed"):
            await conntrack.count()
        with pytest.raises(ConntrackError, match="closed"):
            conntrack.events()

    asyncio.run(main())
