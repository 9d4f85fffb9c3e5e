"""What an in-memory kernel has of its own: a clock, a limit, and flows that packets made."""

from __future__ import annotations

import asyncio
import errno
import os
import threading

import pytest

from pyconntrack import (
    AsyncConntrack,
    Conntrack,
    Event,
    EventsLost,
    Expect,
    Filter,
    Flow,
    KernelError,
    NotFoundError,
    RequestError,
    TableFullError,
    Tuple,
)
from pyconntrack.testing import Kernel

QUERY = Tuple("192.0.2.1", "192.0.2.2", "udp", 5000, 53)
WEB = Tuple("192.0.2.1", "192.0.2.2", "tcp", 5000, 80)


def test_time_passes_only_when_it_is_told_to() -> None:
    with Kernel(timestamps=True) as kernel, kernel.connect() as ct, ct.events() as events:
        ct.create(Flow(QUERY, timeout=30))
        ct.create(Flow(WEB, timeout=60))
        kernel.advance(29.5)
        assert [flow.timeout for flow in ct.dump()] == [0, 30]
        kernel.advance(0.5)
        assert [flow.orig for flow in ct.dump()] == [WEB]
        with pytest.raises(NotFoundError):
            ct.get(QUERY)
        ct.update(WEB, timeout=600)
        kernel.advance(599)
        assert ct.count() == 1
        with pytest.raises(RequestError, match="time does not go back"):
            kernel.advance(-1)
        kernel.advance(1)
        seen = [event for event in iter(lambda: events.read(0), None) if isinstance(event, Event)]
    assert [event.kind for event in seen] == ["new", "new", "destroy", "update", "destroy"]
    ended = seen[-1].flow
    assert ended is not None
    assert (ended.timeout, ended.timestamp_start, ended.timestamp_stop) == (None, 0, 630 * 10**9)


def test_a_full_table_refuses_one_more() -> None:
    with Kernel(max_entries=1) as kernel, kernel.connect() as ct:
        ct.create(Flow(QUERY, timeout=30))
        with pytest.raises(TableFullError) as full:
            ct.create(Flow(WEB, timeout=30))
        assert full.value.errno == errno.ENOMEM
        assert (ct.stats().entries, ct.stats().max_entries) == (1, 1)
        kernel.max_entries = 2
        assert ct.load([Flow(QUERY, timeout=1), Flow(WEB, timeout=30)], existing="update") == []
        assert sorted(flow.timeout or 0 for flow in ct.dump()) == [1, 30]


def test_a_tracked_flow_has_what_packets_gave_it() -> None:
    reply = Tuple("192.0.2.2", "203.0.113.1", "tcp", 80, 4000)
    flow = Flow(WEB, reply, timeout=100, tcp_state="ESTABLISHED", orig_bytes=7, mark=3,
                status=["SEEN_REPLY", "ASSURED", "SRC_NAT", "SRC_NAT_DONE"])  # fmt: skip
    with Kernel(accounting=True) as kernel, kernel.connect() as ct, ct.events() as events:
        kernel.track(flow)
        found = ct.get(flow)
        assert (found.reply, found.is_src_nat, found.assured) == (reply, True, True)
        assert (found.orig_bytes, found.reply_bytes, found.mark) == (7, 0, 3)
        assert isinstance(event := events.read(0), Event)
        assert (event.kind, event.flow) == ("new", found)
        # what was made so is deleted and created again as a flow of the kernel is
        ct.delete(found)
        ct.create(found)
        assert ct.get(flow).reply == reply
        with pytest.raises(RequestError, match="File exists"):
            kernel.track(flow)
        with pytest.raises(RequestError, match="Invalid argument"):
            kernel.track(Flow(Tuple("192.0.2.1", "192.0.2.2", "tcp")))


def test_counters_are_zeroed_with_a_dump_that_says_so() -> None:
    from pyconntrack.ctnetlink.requests import dump
    from pyconntrack.netlink.conversation import Answer
    from pyconntrack.netlink.driver import call

    with Kernel(accounting=True) as kernel, kernel.connect() as ct:
        kernel.track(Flow(WEB, timeout=100, orig_bytes=7))
        assert len(call(kernel(), Answer(dump(zero=True), "zeroing").whole())) == 1
        assert [flow.orig_bytes for flow in ct.dump()] == [0]


def test_a_slow_listener_is_told_what_it_lost() -> None:
    with Kernel() as kernel, kernel.connect() as ct:
        with ct.events(rcvbuf=4096, max_rcvbuf=4096) as events:
            for port in range(100):
                ct.create(Flow(Tuple("192.0.2.1", "192.0.2.2", "udp", port, 53), timeout=30))
            items = list(iter(lambda: events.read(0), None))
        lost = sum(item.count or 0 for item in items if isinstance(item, EventsLost))
        assert lost > 0
        assert lost + sum(isinstance(item, Event) for item in items) == 100


def test_resynchronisation_repairs_a_copy() -> None:
    with Kernel() as kernel, kernel.connect() as ct:
        ct.create(Flow(QUERY, timeout=30))
        with ct.events(resync=True) as events:
            assert isinstance(event := events.read(5), Event)
            assert (event.synthetic, event.flow) == (True, ct.get(QUERY))


@pytest.mark.parametrize(("mode", "kinds"), [(0, []), (1, ["destroy"]), (2, [])])
def test_events_of_flows_from_before_the_listener(mode: int, kinds: list[str]) -> None:
    with Kernel(events=mode) as kernel, kernel.connect() as ct:  # type: ignore[arg-type]
        ct.create(Flow(QUERY, timeout=30))
        with ct.events() as events:
            ct.delete(QUERY)
            items = list(iter(lambda: events.read(0), None))
        assert [item.kind for item in items if isinstance(item, Event)] == kinds


def test_a_reader_that_waits_in_a_thread_wakes() -> None:
    with Kernel() as kernel, kernel.connect() as ct, ct.events() as events:
        threading.Timer(0.05, ct.create, [Flow(QUERY, timeout=30)]).start()
        event = events.read(20)
        assert isinstance(event, Event)


def test_asyncio_has_the_same_table() -> None:
    async def program(kernel: Kernel) -> list[Flow]:
        async with kernel.connect_async() as ct, ct.events(["new"]) as events:
            assert isinstance(ct, AsyncConntrack)
            await ct.create(Flow(QUERY, timeout=30))
            assert isinstance(event := await anext(events), Event)
            assert event.kind == "new"
            assert event.flow is not None
            return [flow async for flow in ct.dump(Filter(proto="udp"))]

    with Kernel() as kernel, kernel.connect() as ct:
        assert asyncio.run(program(kernel)) == list(ct.dump())


def test_many_flows_come_in_many_datagrams() -> None:
    with Kernel() as kernel, kernel.connect() as ct:
        flows = [
            Flow(Tuple("192.0.2.1", "192.0.2.2", "udp", port, 53), timeout=30)
            for port in range(1000)
        ]
        assert ct.load(flows) == []
        assert [flow.orig_sport for flow in ct.dump()] == list(range(1000))
        assert len(ct.delete_matching(Filter(proto="udp"))) == 1000
        assert ct.count() == 0


def test_expectations_end_with_time_and_with_their_master() -> None:
    master = Flow(Tuple("192.0.2.1", "192.0.2.2", "tcp", 5000, 21), timeout=1000, helper="ftp")
    expect = Expect(
        tuple=Tuple("192.0.2.1", "192.0.2.2", "tcp", 0, 40000), master=master.orig, timeout=300,
        mask=Tuple("255.255.255.255", "255.255.255.255", "tcp", 0, 65535),
    )  # fmt: skip
    with Kernel() as kernel, kernel.connect() as ct:
        with pytest.raises(KernelError):
            ct.create_expectation(expect)
        ct.create(master)
        ct.create_expectation(expect)
        kernel.advance(300)
        assert (list(ct.expectations()), ct.count()) == ([], 1)
        ct.create_expectation(expect)
        ct.delete(master)
        assert list(ct.expectations()) == []


def test_a_port_that_is_taken_is_replaced_where_nothing_pins_it() -> None:
    with Kernel() as kernel, kernel.connect() as ct:
        for number in (1, 2):
            orig = Tuple(f"192.0.2.{number}", "198.51.100.1", "udp", 5000, 53)
            ct.create(Flow(orig, timeout=30), src_nat="203.0.113.1")
        ports = [flow.reply_dport for flow in ct.dump()]
        assert (ports[0], len(set(ports))) == (5000, 2)


def test_what_is_no_message_is_refused() -> None:
    with Kernel() as kernel:
        socket = kernel()
        for kind in (0x0100, 0x0102, 0x01FF, 0x0700):
            socket.send(bytes([24, 0, 0, 0, *kind.to_bytes(2, "little"), 5, 0, *[0] * 8, 2, 0, 0, 0,
                               9, 0, 1, 0]))  # fmt: skip
            answer = socket.recv()
            assert answer[16:20] == (-errno.EINVAL).to_bytes(4, "little", signed=True), kind
        with pytest.raises(BlockingIOError):
            socket.recv()


def test_sockets_are_closed_with_the_kernel() -> None:
    before = set(os.listdir("/proc/self/fd"))
    with Kernel() as kernel:
        ct = Conntrack(transport=kernel)
        assert ct.count() == 0
    assert set(os.listdir("/proc/self/fd")) == before
