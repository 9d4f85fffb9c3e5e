"""Values: identity, immutability, JSON form, checks."""

from __future__ import annotations

import copy
import ipaddress
import json
import pickle
import sys
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack import Event, Expect, Flow, RequestError, Stats, Tuple, Unknown
from pyconntrack.ctnetlink.constants import (
    ct_msg,
    exp_msg,
)
from pyconntrack.ctnetlink.encode import encode
from pyconntrack.ctnetlink.restore_rules import CHANGEABLE
from pyconntrack.ctnetlink.schema import CONNTRACK, EXPECT
from pyconntrack.model import flatten, plain
from pyconntrack.netlink import messages as frame
from support.declared import DECLARED
from support.messages import messages

TCP = Tuple("10.0.0.1", "192.0.2.2", "tcp", 1000, 80)
FLOW = Flow(
    TCP, TCP.inverted(), mark=5, zone=3, status=["ASSURED", "SEEN_REPLY", 1 << 20], id=9,
    tcp_state="ESTABLISHED", timeout=60, helper="ftp", labels=[0, 70], orig_packets=1,
    orig_bytes=60, reply_packets=0, reply_bytes=0, timestamp_start=1_700_000_000_000_000_001,
)  # fmt: skip
JSON = {
    "family": "ipv4",
    "orig": {"src": "10.0.0.1", "dst": "192.0.2.2", "proto": "tcp", "sport": 1000, "dport": 80,
             "packets": 1, "bytes": 60},
    "reply": {"src": "192.0.2.2", "dst": "10.0.0.1", "proto": "tcp", "sport": 80, "dport": 1000,
              "packets": 0, "bytes": 0},
    "status": ["SEEN_REPLY", "ASSURED", 1 << 20], "tcp_state": "ESTABLISHED", "helper": "ftp",
    "timeout": 60, "mark": 5, "id": 9, "zone": 3, "timestamp_start": 1_700_000_000_000_000_001,
    "labels": [0, 70],
}  # fmt: skip

# mistakes that a type checker would see as well
LooseTuple: Any = Tuple
LooseFlow: Any = Flow
LooseExpect: Any = Expect


def test_fields() -> None:
    assert FLOW.orig == TCP
    assert FLOW.reply == TCP.inverted()
    assert FLOW.master is None
    assert (FLOW.mark, FLOW.zone, FLOW.timeout, FLOW.id) == (5, 3, 60, 9)
    assert (FLOW.orig_src, FLOW.orig_dport, FLOW.reply_packets) == ("10.0.0.1", 80, 0)
    assert (FLOW.tcp_state, FLOW.state) == ("ESTABLISHED", "ESTABLISHED")
    assert (FLOW.proto, FLOW.proto_number, FLOW.helper) == ("tcp", 6, "ftp")
    assert FLOW.labels == (0, 70)
    assert (FLOW.assured, FLOW.seen_reply, FLOW.dying) == (True, True, False)
    assert FLOW.status == frozenset(["SEEN_REPLY", "ASSURED", Unknown("status", 1 << 20)])
    assert FLOW.status_bits == 6 | 1 << 20
    assert FLOW.secctx is None
    assert (FLOW.family, FLOW.family_number) == ("ipv4", 2)
    assert Flow(TCP, mark=0).mark == 0
    assert Flow(TCP).mark is None


@given(st.data())
def test_values_made_by_hand_are_what_the_schema_says(data: Any) -> None:
    """The first of a kind, and those that follow in its mould."""
    for rows, kind, cls in ((CONNTRACK, ct_msg(0), Flow), (EXPECT, exp_msg(0), Expect)):
        one = cls.from_message(data.draw(messages(rows, kind)))
        values = one._values()
        for _ in range(2):
            order = data.draw(st.permutations(list(values)))
            made = cls.from_raw({name: values[name] for name in order}, one.family_number)
            payload = encode(rows, values, one.family_number)
            assert made.message == frame.message(kind, 0, 0, one.family_number, payload)
            assert made.same_as(one)
            values = {
                name: value ^ 1 if isinstance(value, int) and not name.endswith("proto") else value
                for name, value in values.items()
            }
            one = cls.from_message(frame.message(kind, 0, 0, one.family_number, encode(
                rows, values, one.family_number)))  # fmt: skip


def test_flags_of_filters_are_bytes() -> None:
    flags = (3).to_bytes(4, sys.byteorder)
    assert LooseFlow(filter_orig_flags=flags).filter_orig_flags == flags
    assert LooseFlow(filter_orig_flags=flags.hex()).filter_orig_flags == flags


def test_json_form() -> None:
    assert FLOW.to_dict() == JSON
    assert json.loads(json.dumps(FLOW.to_dict())) == JSON
    assert Flow.from_dict(JSON).same_as(FLOW)


@given(messages(CONNTRACK, ct_msg(0)))
def test_json_round_trip(data: bytes) -> None:
    flow = Flow.from_message(data)
    again = Flow.from_dict(flow.to_dict())
    ours, theirs = flow.to_dict(), again.to_dict()
    ours.pop("family")
    theirs.pop("family", None)
    for name in ("labels", "labels_mask"):  # the kernel's are 16 bytes always
        ours.pop(name, None)
        theirs.pop(name, None)
    assert ours == theirs
    repr(flow), str(flow), hash(flow)


@pytest.mark.parametrize("value", [FLOW, TCP, Expect(TCP, TCP, TCP, timeout=3, flags="PERMANENT")])
def test_copies_and_pickles(value: Any) -> None:
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.copy(value) == value
    assert copy.deepcopy(value) == value


def test_immutable_and_slotted() -> None:
    for value in (FLOW, TCP, Event("new", FLOW), Stats(1, 2)):
        for name in ("mark", "src", "kind", "entries", "anything"):
            with pytest.raises(AttributeError):
                setattr(value, name, 1)
        assert not hasattr(value, "__dict__")


def test_identity() -> None:
    assert FLOW.replace(mark=6, timeout=1) == FLOW
    assert hash(FLOW) == hash(FLOW.replace(mark=6))
    assert not FLOW.same_as(FLOW.replace(mark=6))
    assert FLOW.differences(FLOW.replace(mark=6)) == {"mark": (5, 6)}
    assert FLOW.replace(id=10) != FLOW
    assert FLOW.replace(id=None) == FLOW
    assert FLOW.replace(zone=4) != FLOW
    assert Flow(TCP) == Flow(TCP, zone=0)
    assert FLOW != "flow"
    assert len({FLOW, FLOW.replace(mark=1), FLOW.replace(zone=9)}) == 2


def test_readable() -> None:
    assert "src='10.0.0.1'" in repr(FLOW)
    assert "mark=5" in repr(FLOW)
    line = str(FLOW)
    assert line.startswith("tcp      6 60 ESTABLISHED src=10.0.0.1 dst=192.0.2.2 sport=1000")
    assert "[ASSURED]" in line
    assert str(Event("new", FLOW, synthetic=True)).startswith("[NEW]* tcp")


def test_addresses_in_any_form() -> None:
    for address in ("2001:db8::1", ipaddress.ip_address("2001:db8::1"),
                    ipaddress.ip_address("2001:db8::1").packed):  # fmt: skip
        one = Tuple(address, "2001:db8::2", 17, 1, 2)
        assert one.src == "2001:db8::1"
        assert one.family == "ipv6"


def test_inverted_icmp() -> None:
    ping = Tuple("10.0.0.1", "10.0.0.2", "icmp", icmp_id=7, icmp_type=8, icmp_code=0)
    assert ping.inverted().icmp_type == 0
    assert ping.inverted().inverted() == ping


def test_expectation() -> None:
    expect = Expect(TCP, TCP, TCP, timeout=30, flags=["PERMANENT"], class_=2, helper="ftp")
    assert expect.class_ == 2
    assert expect.tuple == TCP
    assert expect.flags == frozenset(["PERMANENT"])
    assert expect.flags_bits == 1
    assert Expect.from_dict(expect.to_dict()).same_as(expect)
    assert expect.to_dict()["class"] == 2
    assert "master" in repr(expect) + str(expect)


def test_event_json() -> None:
    event = Event("update", FLOW, time=7)
    assert event.to_dict() == {"event": "update", "time": 7, **JSON}
    again = Event.from_dict(event.to_dict())
    assert again == event
    assert (again.time, again.portid, again.expect) == (7, 0, None)
    assert Event("new", FLOW.replace(timestamp_event=5), time=7).time == 5
    assert Event("new", FLOW).time > 10**18
    found = Event("new", FLOW, synthetic=True)
    assert found.to_dict()["synthetic"] is True
    assert Event.from_dict(found.to_dict()).synthetic


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LooseTuple("10.0.0.256"), "src: an IPv4 or IPv6 address is wanted"),
        (lambda: LooseTuple(5), "src: an IPv4"),
        (lambda: LooseTuple("10.0.0.1", "::1"), "not an ipv4 address|not an ipv6 address"),
        (lambda: LooseTuple(proto="tpc"), "proto: 'tpc' is none of icmp, tcp"),
        (lambda: LooseTuple(sport=65536), r"sport: 65536 is not in 0\.\.65535"),
        (lambda: LooseTuple(sport=True), "sport: a whole number"),
        (lambda: LooseTuple(sport="80"), "sport: a whole number is wanted, not '80'"),
        (lambda: LooseFlow(TCP, mark=-1), "mark: -1 is not in"),
        (lambda: LooseFlow(TCP, mark=1.5), "mark: a whole number"),
        (lambda: LooseFlow(TCP, status="SEEN"), "status: 'SEEN' is none of EXPECTED"),
        (lambda: LooseFlow(TCP, tcp_state="OPEN"), "tcp_state: 'OPEN' is none of NONE"),
        (lambda: LooseFlow(TCP, tcp_state=["NONE"]), "tcp_state: a number or one of"),
        (lambda: LooseFlow(TCP, mark=TCP), "mark: a whole number"),
        (lambda: LooseFlow(TCP, helper=5), "helper: a text is wanted"),
        (lambda: LooseFlow(TCP, helper="\ud800"), "helper: a text is wanted"),
        (lambda: LooseFlow(TCP, labels=[128]), r"labels: label numbers 0\.\.127"),
        (lambda: LooseFlow(TCP, labels=5), "labels: label numbers"),
        (lambda: LooseFlow(TCP, colour=5), "no such field: colour"),
        (lambda: LooseFlow(TCP, tcp=TCP), "no such field: tcp"),
        (lambda: LooseFlow(TCP, filter_orig_flags=b"1"), "filter_orig_flags: 4 bytes are wanted"),
        (lambda: LooseExpect(5), "tuple: a Tuple is wanted"),
        (lambda: LooseFlow("10.0.0.1"), "orig: a Tuple is wanted"),
        (lambda: LooseFlow(TCP, family="ipx"), "family: 'ipx' is none of"),
        (lambda: LooseFlow(TCP, family=10), "not an ipv6 address"),
        (lambda: LooseFlow(TCP).replace(orig="x"), "orig: a Tuple is wanted"),
        (lambda: LooseFlow.from_dict({"orig": 5}), "orig: an object is wanted"),
        (lambda: LooseFlow.from_dict([]), "an object is wanted"),
        (lambda: LooseFlow.from_dict({"unknown": [5]}), "unknown:"),
        (lambda: Event(cast("Any", "NEW"), FLOW), "kind: 'NEW' is none of"),
        (lambda: Event.from_dict(JSON), "event: None is none of new, update, destroy"),
        (lambda: Event.from_dict({"event": ["new"], **JSON}), "event: .* is none of new"),
        (lambda: Event.from_dict({"event": "new", "time": 1.5, **JSON}), "time: a whole number"),
        (lambda: Stats(1, 2).total("x"), "no such counter: x"),
    ],
)  # fmt: skip
def test_bad_input_names_the_field(make: Any, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        make()


def test_the_writers_json_is_the_librarys() -> None:
    from pyconntrack.formats import json as writer
    from pyconntrack.formats.segments import compile_line

    flow = FLOW.replace(status=6)
    layout = flow._layout
    line = compile_line(writer.flow(layout), layout)(layout.unpack(flow.message))
    assert json.loads(line) == plain(layout, flow.message)


def test_what_checkers_are_told_is_what_the_schema_has() -> None:
    assert set(DECLARED.Changes.__annotations__) == set(CHANGEABLE)
    given = set(DECLARED.FlowFields.__annotations__)
    assert given - {"family", "src_nat", "dst_nat"} <= set(flatten(CONNTRACK))
