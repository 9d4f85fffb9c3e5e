"""Event streams: kinds, filters, gaps, and a consumer's copy that is right again after a loss."""

from __future__ import annotations

import random
import sys
import threading
from typing import Any

import pytest

from pyconntrack import Conntrack, DecodeError, Event, EventsLost, Filter, Flow, KernelError, Tuple
from pyconntrack.client.blocking import Events
from pyconntrack.ctnetlink.event_stream import DROPS, LOST, POLL, WAIT, EventStream
from pyconntrack.testing import (  # fmt: skip
    ENOBUFS,
    ScriptedKernel,
    Step,
    ack,
    done,
    dump_of,
    event_message,
)
from support.entries import udp
from support.netns import Namespace

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
        if item.kind == "destroy":
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
        assert kinds(found) == ["new", "update", "destroy"]
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
        assert kinds(drain(ends)) == ["destroy"] * 3
        assert kinds(drain(marked)) == ["new", "destroy"]


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
        assert kinds(drain(stream)) == ["new"]


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
        with conntrack.events(filter=wanted, resync=True, rcvbuf=16384, max_rcvbuf=16384) as stream:
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
            assert kinds(drain(stream)) == ["new*"] * 3


A, B, C, D = (Flow(Tuple("10.0.0.1", "10.0.0.2", "udp", n, 53), id=n, mark=n) for n in range(1, 5))


def scripted(steps: list[Step], unasked: list[Any], count: int, **more: Any) -> list[str]:
    kernel = ScriptedKernel(steps, unasked=unasked)
    with Conntrack(transport=kernel) as conntrack, conntrack.events(**more) as stream:
        found: list[Item] = []
        while len(found) < count:
            item = stream.read(0)
            assert item is not None, kinds(found)
            found.append(item)
        kernel.unasked.clear()
        return [
            f"{kind} {item.flow.id}" if isinstance(item, Event) and item.flow else kind
            for kind, item in zip(kinds(found), found, strict=True)
        ]


def test_what_waits_at_a_loss_comes_before_it() -> None:
    unasked = [ENOBUFS, event_message("new", A), event_message("new", B)]
    assert scripted([], unasked, 3) == ["new 1", "new 2", "-1"]


def test_an_end_reported_during_the_dump_is_newer_than_it() -> None:
    gone = event_message("destroy", B)
    steps = [Step(dump_of(A), dump_of(B, C), done(), unasked=[gone])]
    assert scripted(steps, [], 3, resync=True) == ["destroy 2", "new* 1", "new* 3"]


def test_a_change_reported_during_the_dump_is_newer_than_it() -> None:
    changed = event_message("update", B.replace(mark=77))
    steps = [Step(dump_of(B), done(), unasked=[changed])]
    assert scripted(steps, [], 1, resync=True) == ["update 2"]


def test_a_loss_during_the_dump_repeats_it() -> None:
    steps = [
        Step(dump_of(A), dump_of(B), done(), unasked=[ENOBUFS]),
        Step(dump_of(A, C), done()),
    ]
    assert scripted(steps, [], 5, resync=True) == [
        "-1", "new* 1", "new* 2", "new* 3", "destroy* 2",
    ]  # fmt: skip


def test_an_interrupted_dump_is_repeated() -> None:
    steps = [Step(dump_of(A), done(interrupted=True)), Step(dump_of(A, B), done())]
    assert scripted(steps, [], 2, resync=True) == ["new* 1", "new* 2"]


def test_another_connection_of_the_same_tuple() -> None:
    steps = [Step(dump_of(A), done()), Step(dump_of(A.replace(id=9)), done())]
    kernel = ScriptedKernel(steps)
    with Conntrack(transport=kernel) as conntrack, conntrack.events(resync=True) as stream:
        first = stream.read(5)
        assert first is not None
        kernel.unasked.append(ENOBUFS)
        found = [stream.read(5) for _ in range(3)]
        assert kinds([item for item in found if item]) == ["-1", "destroy*", "new*"]


def test_a_refused_dump_is_an_error() -> None:
    with pytest.raises(KernelError, match="resynchronising"):
        scripted([Step(ack(1))], [], 1, resync=True)


def answers(stream: EventStream, *given: Any) -> list[Any]:
    """What a stream emits for these answers to POLL and DROPS (a number), in their order."""
    conversation, waiting, found = stream.run(), list(given), []
    effect = conversation.send(None)
    while True:
        if effect is POLL:
            answer = waiting.pop(0) if waiting and not isinstance(waiting[0], int) else None
        elif effect is DROPS:
            answer = waiting.pop(0) if waiting and isinstance(waiting[0], int) else stream.drops
        elif effect is WAIT:
            answer = bool(waiting)
        else:
            answer = None
            found.append(effect)
        try:
            effect = conversation.send(answer)
        except StopIteration:
            return found


def plain(exact: bool = True) -> EventStream:
    return EventStream(lambda data: iter((data,)), 4096, 4096, exact=exact)


def counts(emitted: list[Any]) -> list[Any]:
    return [item.count if isinstance(item, EventsLost) else item for item in emitted]


def test_what_is_dropped_without_a_second_error_is_counted() -> None:
    assert counts(answers(plain(), LOST, "a", 3, "b", 5, "c", 5)) == ["a", 3, "b", 2, "c"]


def test_the_drop_counter_wraps() -> None:
    stream = plain()
    stream.drops = 0xFFFFFFFE
    assert counts(answers(stream, LOST, "a", 3)) == ["a", 5]


def test_an_error_without_a_drop_is_a_loss_of_unknown_number() -> None:
    (lost,) = answers(plain(), LOST)
    assert lost.count is None
    assert "unknown number" in str(lost)


def test_an_error_raised_after_its_drops_were_counted_is_no_second_loss() -> None:
    assert counts(answers(plain(), "a", 4, LOST, 4)) == ["a", 4]


def test_with_a_filter_the_count_is_an_upper_bound() -> None:
    (lost,) = answers(plain(exact=False), LOST, 7)
    assert (lost.count, lost.exact) == (7, False)
    assert "at most 7 events" in str(lost)
    kernel = ScriptedKernel(unasked=[ENOBUFS])
    with (
        Conntrack(transport=kernel) as conntrack,
        conntrack.events(filter=Filter(helper="ftp")) as stream,
    ):
        item = stream.read(0)
        assert isinstance(item, EventsLost)
        assert not item.exact


def test_a_loss_is_reported_even_where_the_queue_is_never_empty() -> None:
    stream = plain()
    many = [str(n) for n in range(2 * stream.waiting())]
    emitted = counts(answers(stream, LOST, *many[: stream.waiting()], 3, *many[stream.waiting() :]))
    assert emitted[stream.waiting()] == 3


def test_a_stopped_stream_gives_what_waits_and_the_last_loss() -> None:
    kernel = ScriptedKernel(unasked=[event_message("new", A), ENOBUFS, event_message("new", B)])
    with Conntrack(transport=kernel) as conntrack:
        stream = conntrack.events()
        assert stream.read(0) is not None
        stream.stop()
        assert kernel.groups == []
        assert kinds(list(stream)) == ["new", "-1"]
        assert stream.read() is None
        stream.close()
        assert stream.read(0) is None


@pytest.mark.parametrize("size", [0, 4, 16, 18])
def test_an_event_that_is_hardly_there_is_an_error_and_not_the_end(size: int) -> None:
    short = event_message("new", A)[:size]
    short = size.to_bytes(4, sys.byteorder) + short[4:] if size > 4 else short
    kernel = ScriptedKernel(unasked=[short, event_message("new", B)])
    with Conntrack(transport=kernel) as conntrack, conntrack.events() as stream:
        if size:
            with pytest.raises(DecodeError):
                stream.read(0)
        assert kinds([item for item in [stream.read(0)] if item]) == ["new"]


@pytest.mark.parametrize("size", [8 << 10, 32 << 10, 1 << 20])
def test_all_that_the_kernel_reports_is_yielded_or_counted(netns: Namespace, size: int) -> None:
    flows = [udp(n) for n in range(600)]

    def make() -> None:
        conntrack.load(flows)
        conntrack.flush()

    with Conntrack() as conntrack, conntrack.events(rcvbuf=size, max_rcvbuf=size) as stream:
        maker = threading.Thread(target=make)
        maker.start()
        found: list[Item | None] = []
        while maker.is_alive():
            found.append(stream.read(0.01))
        stream.stop()
        found += stream
    seen = [item for item in found if isinstance(item, Event)]
    lost = [item.count for item in found if isinstance(item, EventsLost)]
    assert len(seen) + sum(number or 0 for number in lost) == 1200
    assert None not in lost
    assert lost or size > 8 << 10


def test_a_loss_during_the_dump_that_raises_no_error_repeats_it() -> None:
    def drop(request: bytes) -> bytes:
        kernel.dropped += 2
        return dump_of(B)(request)

    kernel = ScriptedKernel([Step(dump_of(A), drop, done()), Step(dump_of(A, C), done())])
    with Conntrack(transport=kernel) as conntrack, conntrack.events(resync=True) as stream:
        found = [stream.read(0) for _ in range(5)]
        assert kernel.steps == []
    assert kinds([item for item in found if item]) == ["-2", "new*", "new*", "new*", "destroy*"]


def test_one_that_ended_unseen_is_missed_though_a_later_one_of_its_tuple_ended_seen() -> None:
    gone = event_message("destroy", A.replace(id=9))
    kernel = ScriptedKernel([Step(dump_of(A), done()), Step(done(), unasked=[gone])])
    with Conntrack(transport=kernel) as conntrack, conntrack.events(resync=True) as stream:
        assert stream.read(0) is not None
        kernel.unasked.append(ENOBUFS)
        found = [stream.read(0) for _ in range(2)]
    assert kinds([item for item in found if item]) == ["-1", "destroy*"]


def test_one_that_is_there_stays_though_the_end_of_an_earlier_one_is_reported_late() -> None:
    late = event_message("destroy", A.replace(id=9))
    kernel = ScriptedKernel([Step(dump_of(A), done()), Step(dump_of(A), done(), unasked=[late])])
    with Conntrack(transport=kernel) as conntrack, conntrack.events(resync=True) as stream:
        assert stream.read(0) is not None
        kernel.unasked.append(ENOBUFS)
        found = [stream.read(0) for _ in range(2)]
    assert kinds([item for item in found if item]) == ["-1"]


def churn(seed: int) -> None:
    """Many changes of a table of some hundred flows."""
    chance = random.Random(seed)
    with Conntrack() as conntrack:
        for _ in range(8):
            some = chance.sample(range(500), chance.randrange(100, 300))
            what = chance.choice(("load", "load", "update", "delete"))
            if what == "load":
                conntrack.load([udp(n, mark=chance.randrange(1, 5)) for n in some])
            elif what == "delete":
                conntrack.delete_matching(Filter(mark=chance.randrange(1, 5)))
            for flow in conntrack.dump(on_interrupt="accept") if what == "update" else ():
                if chance.randrange(4) == 0:
                    conntrack.update(flow, mark=chance.randrange(1, 5))


@pytest.mark.parametrize(("size", "seed"), [(32 << 10, 1), (64 << 10, 2), (256 << 10, 3)])
def test_a_copy_is_the_table_once_it_is_quiet(netns: Namespace, size: int, seed: int) -> None:
    copy: dict[Any, Flow] = {}
    with (
        Conntrack() as conntrack,
        conntrack.events(resync=True, rcvbuf=size, max_rcvbuf=size) as stream,
    ):
        maker = threading.Thread(target=churn, args=(seed,))
        maker.start()
        while maker.is_alive():
            apply(copy, [item for item in [stream.read(0.01)] if item])
        stream.stop()
        apply(copy, list(stream))
        assert picture(copy.values()) == picture(conntrack.dump())
