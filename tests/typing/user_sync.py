"""A user's blocking program: what each verb takes and returns."""

from collections.abc import Iterator
from pathlib import Path
from typing import Unpack, assert_type

from pyconntrack import (
    AddressLike,
    Changes,
    Conntrack,
    Dump,
    Event,
    Events,
    EventsLost,
    Existing,
    Expect,
    ExpectFields,
    Filter,
    FilterFields,
    Flow,
    FlowFields,
    FlowTable,
    LoadError,
    OnInterrupt,
    Stats,
    TableName,
    Tuple,
    TupleFields,
    Word,
)


def open_them() -> None:
    assert_type(Conntrack(), Conntrack)
    assert_type(Conntrack("blue"), Conntrack)
    assert_type(Conntrack(netns=4711), Conntrack)
    assert_type(Conntrack(netns=Path("/proc/self/ns/net")), Conntrack)
    with Conntrack() as ct:
        assert_type(ct, Conntrack)
        assert_type(ct.close(), None)
    Conntrack(netns=1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def look(ct: Conntrack, wanted: Filter, flow: Flow, one: Tuple) -> None:
    assert_type(ct.count(), int)
    assert_type(ct.stats(), Stats)
    assert_type(ct.get(flow), Flow)
    assert_type(ct.get(one, zone=3), Flow)
    rows = ct.dump()
    assert_type(rows, Dump)
    assert_type(rows.interrupted, bool)
    assert_type(rows.close(), None)
    assert_type(next(rows), Flow)
    for row in ct.dump(wanted, table="dying", on_interrupt="retry"):
        assert_type(row, Flow)
    assert_type(ct.dump(wanted & ~Filter.where("mark == 1") | wanted), Dump)
    assert_type(ct.table(), FlowTable)
    assert_type(ct.table(wanted, on_interrupt="accept"), FlowTable)
    assert_type(ct.table(columns=["orig_src", "orig_bytes"]), FlowTable)
    ct.dump("proto == tcp")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ct.dump(table="expect")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ct.dump(on_interrupt="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ct.get("192.0.2.1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ct.get(flow, 3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ct.stats().entries = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def change(ct: Conntrack, wanted: Filter, flow: Flow, one: Tuple) -> None:
    assert_type(ct.create(flow), None)
    assert_type(ct.update(flow), None)
    assert_type(ct.update(one, zone=1, mark=5, timeout=60, status=["ASSURED"], labels={1, 7}), None)
    assert_type(ct.delete(flow), None)
    assert_type(ct.delete(one, zone=1), None)
    assert_type(ct.delete_matching(wanted), list[Flow])
    assert_type(ct.flush(), None)
    assert_type(ct.flush("ipv4"), None)
    refused = ct.load([flow, flow], existing="update")
    ct.load([flow], existing="replace")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(refused, list[LoadError])
    assert_type(refused[0].index, int)
    assert_type(refused[0].flow, Flow)
    assert_type(refused[0].error.ext_ack, str)
    assert_type(ct.load(row for row in ct.dump()), list[LoadError])
    ct.create(one)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ct.update(flow, mark="many")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ct.update(flow, orig_src="192.0.2.1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ct.delete_matching()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ct.delete_matching(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ct.load(flow)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def expect(ct: Conntrack, one: Tuple, expectation: Expect) -> None:
    assert_type(ct.expectations(), Iterator[Expect])
    assert_type(ct.get_expectation(one), Expect)
    assert_type(ct.create_expectation(expectation), None)
    assert_type(ct.delete_expectation(expectation, zone=2), None)
    assert_type(ct.flush_expectations(), None)
    ct.create_expectation(one)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def follow(ct: Conntrack, wanted: Filter) -> None:
    with ct.events("new,destroy", wanted, rcvbuf=1 << 20) as stream:
        assert_type(stream, Events)
        assert_type(stream.fileno(), int)
        assert_type(stream.read(1.5), Event | EventsLost | None)
        for item in stream:
            assert_type(item, Event | EventsLost)
            if isinstance(item, EventsLost):
                assert_type(item.count, int | None)
            else:
                assert_type(item, Event)
                assert_type(item.flow, Flow | None)
            assert item.flow  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    assert_type(ct.events(["exp_new"], resync=False), Events)
    ct.events(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ct.events(resync="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def dumped(
    ct: Conntrack, table: TableName, on_interrupt: OnInterrupt, **wanted: Unpack[FilterFields]
) -> Dump:
    return ct.dump(Filter(**wanted), table=table, on_interrupt=on_interrupt)


def loaded(ct: Conntrack, existing: Existing, **fields: Unpack[FlowFields]) -> list[LoadError]:
    return ct.load([Flow(**fields)], existing=existing)


def changed(ct: Conntrack, flow: Flow, **changes: Unpack[Changes]) -> None:
    ct.update(flow, **changes)


def made(src: AddressLike, proto: Word, **fields: Unpack[TupleFields]) -> Tuple:
    return Tuple(src, src, proto, **fields)


def expected(one: Tuple, **fields: Unpack[ExpectFields]) -> Expect:
    return Expect(one, **fields)
