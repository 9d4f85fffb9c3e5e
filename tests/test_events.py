"""Event streams: kinds, filters, gaps, and a consumer's copy that is right again after a loss."""

from __future__ import annotations

from typing import Any

import pytest

from pyconntrack import Conntrack, Event, EventsLost, Filter, Flow, KernelError, Tuple
from pyconntrack.sync import Events
from pyconntrack.testing import (
    ENOBUFS,
    ScriptedKernel,
    Step,
    ack,
    done,
    dump_of,
    event_message,
)  # fmt: skip
from support.netns import Namespace
from test_sync import udp

Item = Event | EventsLost


def drain(stream: Events, timeout: float = 0.3) -> list[Item]:
    found = []
    while (item := stream.read(timeout)) is not None:
        found.append(item)
    return found


def apply(copy: dict[Any, Flow], items: list[Item]) -> None:
    """What a consumer does: the whole of it."""
    for item in items:
        if isinstance(item, EventsLost):
            continue
        flow = item.flow
        assert flow is not None
        if item.kind == "DESTROY":
            copy.pop(flow.key, None)
        else:
            copy[flow.key] = flow


def picture(flows: Any) -> dict[Any, Any]:
    return {flow.key: (flow.id, flow.mark or 0, flow.status) for flow in flows}


def kinds(items: list[Item]) -> list[str]:
    return [i.kind + "*" * i.synthetic if isinstance(i, Event) else f"-{i.count}" for i in items]


def test_new_update_destroy(netns: Namespace) -> None:
    with Conntrack() as conntrack, conntrack.events() as stream:
        conntrack.create(udp(1, mark=3))
        conntrack.update(udp(1), mark=4)
        conntrack.delete(udp(1))
        found = drain(stream)
        assert kinds(found) == ["NEW", "UPDATE", "DESTROY"]
        events = [item for item in found if isinstance(item, Event)]
        assert [event.flow.mark for event in events if event.flow] == [3, 4, 4]
        assert all(event.portid for event in events)  # caused by a program: us
        assert all(event.flow == udp(1) for event in events)


def test_groups_and_filter(netns: Namespace) -> None:
    with (
        Conntrack() as conntrack,
        conntrack.events("destroy") as ends,
        conntrack.events(filter=Filter(mark=1)) as marked,
    ):
        conntrack.load([udp(n, mark=n) for n in range(3)])
        conntrack.flush()
        assert kinds(drain(ends)) == ["DESTROY"] * 3
        assert kinds(drain(marked)) == ["NEW", "DESTROY"]


def test_a_loss_is_a_value_and_counted(netns: Namespace) -> None:
    with Conntrack() as conntrack, conntrack.events(rcvbuf=8192, max_rcvbuf=16384) as stream:
        conntrack.load([udp(n) for n in range(2000)])
        found = drain(stream)
        lost = [item.count for item in found if isinstance(item, EventsLost)]
        assert len(lost) == 1
        assert lost[0]
        seen = [item for item in found if isinstance(item, Event)]
        assert len(seen) + lost[0] == 2000
        assert isinstance(found[-1], EventsLost)  # where the gap is
        conntrack.create(udp(5000))
        assert kinds(drain(stream)) == ["NEW"]


def test_the_buffer_grows_to_the_callers_limit(netns: Namespace) -> None:
    with Conntrack() as conntrack:
        stream = conntrack.events(rcvbuf=8192, max_rcvbuf=20000)
        for _ in range(3):
            conntrack.load([udp(n) for n in range(2000)])
            conntrack.flush()
            drain(stream)
        assert stream._transport.rcvbuf == 20000
        stream.close()


def test_a_copy_is_right_again_after_an_overrun(netns: Namespace) -> None:
    with Conntrack() as conntrack:
        copy: dict[Any, Flow] = {}
        with conntrack.events(resync=True, rcvbuf=16384, max_rcvbuf=16384) as stream:
            conntrack.load([udp(n, mark=1) for n in range(50)])
            apply(copy, drain(stream))
            assert picture(copy.values()) == picture(conntrack.dump())
            for number in range(10):
                conntrack.update(udp(number), mark=7)
            conntrack.load([udp(n, mark=2) for n in range(1000, 4000)])
            conntrack.delete_matching(Filter(mark=1))
            conntrack.load([udp(n, mark=3) for n in range(20, 30)])  # the same tuples anew
            for number in range(10, 12):
                conntrack.create(udp(number, mark=9))
            for number in range(2000, 2100):
                conntrack.update(udp(number), mark=8)
            found = drain(stream)
            assert any(isinstance(item, EventsLost) for item in found)
            assert any(isinstance(item, Event) and item.synthetic for item in found)
            apply(copy, found)
            assert picture(copy.values()) == picture(conntrack.dump())
            conntrack.flush()
            apply(copy, drain(stream))
            assert copy == {}


def test_a_filtered_copy_is_right_again(netns: Namespace) -> None:
    with Conntrack() as conntrack:
        copy: dict[Any, Flow] = {}
        wanted = Filter(mark=2)
        with conntrack.events(
            filter=wanted, resync=True, rcvbuf=16384, max_rcvbuf=16384
        ) as stream:
            conntrack.load([udp(n, mark=n % 3) for n in range(60)])
            apply(copy, drain(stream))
            assert picture(copy.values()) == picture(conntrack.dump(wanted))
            conntrack.update(udp(2), mark=5)  # leaves what was asked for
            conntrack.update(udp(3), mark=2)  # enters it
            apply(copy, drain(stream))
            assert picture(copy.values()) == picture(conntrack.dump(wanted))
            conntrack.load([udp(n, mark=n % 3) for n in range(100, 3000)])
            conntrack.delete_matching(Filter(mark=2, orig_src="10.0.0.0/27"))
            apply(copy, drain(stream))
            assert picture(copy.values()) == picture(conntrack.dump(wanted))


def test_what_is_there_at_the_beginning_is_told(netns: Namespace) -> None:
    with Conntrack() as conntrack:
        conntrack.load([udp(n) for n in range(3)])
        with conntrack.events(resync=True) as stream:
            assert kinds(drain(stream)) == ["NEW*"] * 3


A, B, C, D = (Flow(Tuple("10.0.0.1", "10.0.0.2", "udp", n, 53), id=n, mark=n) for n in range(1, 5))


def scripted(steps: list[Step], unasked: list[Any], count: int, **more: Any) -> list[str]:
    kernel = ScriptedKernel(steps, unasked=unasked)
    with Conntrack(transport=kernel) as conntrack, conntrack.events(**more) as stream:
        found: list[Item] = []
        while len(found) < count:
            item = stream.read(0)
            assert item is not None, kinds(found)
            found.append(item)
        kernel.queue.clear()
        return [
            f"{kind} {item.flow.id}" if isinstance(item, Event) and item.flow else kind
            for kind, item in zip(kinds(found), found, strict=True)
        ]


def test_what_waits_at_a_loss_comes_before_it() -> None:
    unasked = [ENOBUFS, event_message("NEW", A), event_message("NEW", B)]
    assert scripted([], unasked, 3) == ["NEW 1", "NEW 2", "-1"]


def test_an_end_reported_during_the_dump_is_newer_than_it() -> None:
    gone = event_message("DESTROY", B)
    steps = [Step(dump_of(A), lambda _: gone, dump_of(B, C), done())]
    assert scripted(steps, [], 3, resync=True) == ["NEW* 1", "DESTROY 2", "NEW* 3"]


def test_a_change_reported_during_the_dump_is_newer_than_it() -> None:
    changed = event_message("UPDATE", B.replace(mark=77))
    steps = [Step(lambda _: changed, dump_of(B), done())]
    assert scripted(steps, [], 1, resync=True) == ["UPDATE 2"]


def test_a_loss_during_the_dump_repeats_it() -> None:
    steps = [
        Step(dump_of(A), ENOBUFS, dump_of(B), done()),
        Step(dump_of(A, C), done()),
    ]
    assert scripted(steps, [], 5, resync=True) == [
        "NEW* 1", "-1", "NEW* 2", "NEW* 3", "DESTROY* 2",
    ]  # fmt: skip


def test_an_interrupted_dump_is_repeated() -> None:
    steps = [Step(dump_of(A), done(interrupted=True)), Step(dump_of(A, B), done())]
    assert scripted(steps, [], 2, resync=True) == ["NEW* 1", "NEW* 2"]


def test_another_connection_of_the_same_tuple() -> None:
    steps = [Step(dump_of(A), done()), Step(dump_of(A.replace(id=9)), done())]
    kernel = ScriptedKernel(steps)
    with Conntrack(transport=kernel) as conntrack, conntrack.events(resync=True) as stream:
        first = stream.read(5)
        assert first is not None
        kernel.queue.append(ENOBUFS)
        found = [stream.read(5) for _ in range(3)]
        assert kinds([item for item in found if item]) == ["-1", "DESTROY*", "NEW*"]


def test_a_refused_dump_is_an_error() -> None:
    with pytest.raises(KernelError, match="resynchronising"):
        scripted([Step(ack(1))], [], 1, resync=True)
