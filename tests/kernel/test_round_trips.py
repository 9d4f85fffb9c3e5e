"""What a program gives the kernel and what it gets back, field by field, for every protocol."""

from __future__ import annotations

import errno
import json
import time
from pathlib import Path
from typing import Any

import pytest

from pyconntrack import Conntrack, Event, Filter, Flow, KernelError, Tuple
from support.ctool import Stream, ours_argv
from support.netns import Namespace, sysctl
from support.traffic import Flows, eventually, nft

# -- one JSON for the library and the command ---------------------------------------------------


@pytest.mark.parametrize("timestamps", [0, 1])
def test_events_have_one_json(netns: Namespace, timestamps: int) -> None:
    sysctl("nf_conntrack_timestamp", timestamps)
    sysctl("nf_conntrack_acct", 1)
    orig = Tuple("2001:db8::1", "2001:db8::2", "tcp", 1000, 80)
    flow = Flow(orig, timeout=60, mark=3, zone=4, status="ASSURED", tcp_state="ESTABLISHED")
    before = time.time_ns()
    with (
        Conntrack() as conntrack,
        conntrack.events() as events,
        Stream([*ours_argv(), "-E", "-o", "ndjson"]) as command,
    ):
        conntrack.create(flow)
        conntrack.update(flow, mark=5)
        conntrack.delete(flow)
        for word in ("new", "update", "destroy"):
            assert_same(events.read(20), json.loads(command.line()), word, before)


def test_events_of_expectations_have_one_json(flows: Flows) -> None:
    before = time.time_ns()
    with (
        Conntrack() as conntrack,
        conntrack.events(["exp_new", "exp_destroy"]) as events,
        Stream([*ours_argv(), "-E", "expect", "-o", "ndjson"]) as command,
    ):
        flows.ftp().passive(40002)  # the kernel reports what began while somebody listened
        assert_same(events.read(20), json.loads(command.line()), "new", before)
        eventually(lambda: list(conntrack.expectations()), "an expectation")
        conntrack.flush_expectations()
        assert_same(events.read(20), json.loads(command.line()), "destroy", before)


def assert_same(event: Any, line: dict[str, Any], word: str, before: int) -> None:
    assert isinstance(event, Event)
    ours = event.to_dict()
    assert list(ours)[:3] == ["event", "time", "family"]
    again = Event.from_dict(line)
    assert (again.to_dict(), again) == (line, event)
    if "timestamp_event" not in line:  # each then says when it saw the event
        for moment in (ours.pop("time"), line.pop("time")):
            assert before <= moment <= time.time_ns()
    assert ours == line
    assert ours["event"] == word


# -- create, get, update, delete ----------------------------------------------------------------

PORTS = {"sport": 1000, "dport": 80}
#: protocol; fields of its tuple; its own fields; those fields changed; a sysctl of its tracker
PROTOCOLS: list[tuple[str | int, dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    ("tcp", PORTS, {"tcp_state": "ESTABLISHED", "tcp_wscale_orig": 7, "tcp_wscale_reply": 8,
                    "tcp_flags_orig": 0x0BFF, "tcp_flags_reply": 0x0BFF},
     {"tcp_state": "TIME_WAIT"}, ""),
    ("udp", PORTS, {}, {}, ""),
    ("dccp", PORTS, {"dccp_state": "OPEN", "dccp_role": "SERVER", "dccp_handshake_seq": 1 << 40},
     {"dccp_state": "TIMEWAIT", "dccp_role": "SERVER"}, "nf_conntrack_dccp_timeout_open"),
    ("udplite", PORTS, {}, {}, ""),
    ("sctp", PORTS, {"sctp_state": "ESTABLISHED", "sctp_vtag_orig": 1, "sctp_vtag_reply": 2},
     {"sctp_state": "SHUTDOWN_SENT", "sctp_vtag_orig": 3, "sctp_vtag_reply": 4},
     "nf_conntrack_sctp_timeout_established"),
    ("gre", {"srckey": 1000, "dstkey": 80}, {}, {}, "nf_conntrack_gre_timeout"),
    ("icmp", {"icmp_id": 7, "icmp_type": 8, "icmp_code": 0}, {}, {}, ""),
    ("icmpv6", {"icmp_id": 7, "icmp_type": 128, "icmp_code": 0}, {}, {}, ""),
    (253, {}, {}, {}, ""),
]  # fmt: skip
ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("2001:db8::1", "2001:db8::2")}
OTHER = {4: "192.0.2.9", 6: "2001:db8:9::9"}
ZONES: list[dict[str, Any]] = [{}, {"zone": 5}, {"orig_zone": 5}, {"reply_zone": 5}]
CASES = [
    pytest.param(*row, family, id=f"{row[0]}-ipv{family}")
    for row in PROTOCOLS
    for family in (4, 6)
    if (row[0], family) not in (("icmp", 6), ("icmpv6", 4))
]
#: what the kernel decides by itself
KERNELS = ("id", "use")


def between(family: int, proto: str | int, fields: dict[str, Any]) -> Tuple:
    src, dst = ENDS[family]
    return Tuple(src, dst, proto, **fields)


def tracked(proto: str | int, setting: str) -> None:
    """Skip where the kernel takes the protocol for an unknown one: nothing can be installed."""
    if setting and not Path("/proc/sys/net/netfilter", setting).exists():
        pytest.skip(f"this kernel has no tracker for {proto}: net.netfilter.{setting} is missing")


def assert_is(found: Flow, asked: Flow, **otherwise: Any) -> None:
    """Every field is what was asked for, or zero where nothing was."""
    want = asked.replace(**otherwise)
    values = {name: value for name, (value, _) in found.differences(want).items()}
    wrong = {
        name: (value, found.to_dict())
        for name, value in values.items()
        if name not in (*KERNELS, "timeout") and (value or want.raw(name) is not None)
    }
    assert wrong == {}
    assert found.timeout is not None
    assert want.timeout is not None
    assert want.timeout - 10 <= found.timeout <= want.timeout


@pytest.mark.parametrize("zone", ZONES, ids=lambda zone: next(iter(zone), "no zone"))
@pytest.mark.parametrize(("proto", "tuple_", "own", "changed", "setting", "family"), CASES)
def test_create_get_update_delete(
    netns: Namespace, proto: str | int, tuple_: dict[str, Any], own: dict[str, Any],
    changed: dict[str, Any], setting: str, family: int, zone: dict[str, Any],
) -> None:  # fmt: skip
    tracked(proto, setting)
    nft(LABELLING)
    orig = between(family, proto, tuple_)
    asked = Flow(
        orig, orig.inverted(), timeout=1000, mark=7, labels=[0, 70, 127],
        status=["ASSURED", "SEEN_REPLY", "CONFIRMED"], **zone, **own,
    )  # fmt: skip
    with Conntrack() as conntrack:
        conntrack.create(asked if "reply_zone" in zone else asked.replace(reply=None))
        told = {name: value & 0xFF00 for name, value in own.items() if name.startswith("tcp_flags")}
        first = conntrack.get(asked)
        if proto == "udplite" and first.orig_sport is None:
            pytest.skip("this kernel has no tracker for udplite: the entry has no ports")
        assert_is(first, asked, **told)
        assert list(conntrack.dump()) == [first]
        conntrack.update(
            asked, mark=9, timeout=2000, labels=[3], labels_mask=[3, 70],
            status=["ASSURED", "SEEN_REPLY"], **changed,
        )  # fmt: skip
        second = conntrack.get(first)
        assert_is(second, asked, mark=9, timeout=2000, labels=[0, 3, 127], **told, **changed)
        conntrack.update(second.replace(mark=11))  # what the kernel told is taken back as it is
        assert_is(conntrack.get(second), second, mark=11)
        conntrack.delete(second)
        with pytest.raises(KernelError) as caught:
            conntrack.get(second)
        assert caught.value.errno == errno.ENOENT
        conntrack.create(second)
        [third] = conntrack.dump()
        assert_is(third, second)
        conntrack.delete(third)
        assert conntrack.count() == 0


LABELLING = (  # the kernel has room for labels only where a rule uses them
    "table inet labelling { chain c { type filter hook output priority 0; ct label set 1;\n }\n}\n"
)


def test_labels(netns: Namespace) -> None:
    flow = Flow(between(4, "udp", PORTS), timeout=100)
    with Conntrack() as conntrack:
        conntrack.create(flow.replace(labels=[5]))
        assert conntrack.get(flow).labels is None
        with pytest.raises(KernelError, match="labels need a rule") as caught:
            conntrack.update(flow, labels=[5])
        assert caught.value.errno == errno.ENOSPC
        conntrack.flush()
        nft(LABELLING)
        conntrack.create(flow)
        assert conntrack.get(flow).labels is None
        every = range(128)
        for labels, mask, want in (
            ([], None, None), ([5], None, (5,)), (every, None, tuple(every)),
            ([64], [64], tuple(every)), ([], range(1, 127), (0, 127)),
            ([1], [0, 1], (1, 127)), (b"\0" * 16, None, None),
        ):  # fmt: skip
            conntrack.update(flow, labels=labels, labels_mask=mask)
            assert conntrack.get(flow).labels == want
        assert list(conntrack.dump(Filter(label=1))) == []


TRANSLATIONS = {
    "source": {"src_nat": False}, "source and port": {"src_nat": True},
    "destination": {"dst_nat": False}, "destination and port": {"dst_nat": True},
    "both": {"src_nat": True, "dst_nat": True},
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSLATIONS)
@pytest.mark.parametrize(("proto", "tuple_", "own", "changed", "setting", "family"), CASES)
def test_translated_flows(
    netns: Namespace, proto: str | int, tuple_: dict[str, Any], own: dict[str, Any],
    changed: dict[str, Any], setting: str, family: int, name: str,
) -> None:  # fmt: skip
    tracked(proto, setting)
    nft("table inet translating { chain c { type nat hook postrouting priority 100;\n }\n}\n")
    orig = between(family, proto, tuple_)
    want: dict[str, Any] = {"reply_src": orig.dst, "reply_dst": orig.src}
    nat: dict[str, Any] = {}
    bits = ["CONFIRMED", "SRC_NAT_DONE", "DST_NAT_DONE"]
    for kind, ports in TRANSLATIONS[name].items():
        far = "dst" if kind == "src_nat" else "src"
        nat[f"{kind}_min_addr"] = nat[f"{kind}_max_addr"] = want[f"reply_{far}"] = OTHER[family]
        bits.append(kind.upper())
        if ports and "sport" in tuple_:
            nat[f"{kind}_min_port"] = nat[f"{kind}_max_port"] = 4000
            want[f"reply_{far[0]}port"] = 4000
    asked = Flow(orig, timeout=1000, mark=7, zone=3, **own)
    with Conntrack() as conntrack:
        conntrack.create(asked.replace(**nat))
        found = conntrack.get(asked)
        if proto == "udplite" and found.orig_sport is None:
            pytest.skip("this kernel has no tracker for udplite: the entry has no ports")
        told = {name: value & 0xFF00 for name, value in own.items() if name.startswith("tcp_flags")}
        expected = asked.replace(reply=orig.inverted(), status=bits, **told).replace(**want)
        assert_is(found, expected)
        conntrack.delete(found)
        conntrack.create(found)  # asks for the translation that it tells
        assert_is(conntrack.get(found), found)


def test_a_protocol_without_a_tracker(netns: Namespace) -> None:
    """Its ports are nothing to the kernel: what it tells can be changed, deleted, made again."""
    if Path("/proc/sys/net/netfilter/nf_conntrack_dccp_timeout_open").exists():
        pytest.skip("this kernel has a tracker for dccp")
    asked = Flow(between(4, "dccp", PORTS), timeout=1000, dccp_state="OPEN")
    with Conntrack() as conntrack:
        conntrack.create(asked)
        found = conntrack.get(asked)
        assert (found.orig_sport, found.orig_dport, found.state) == (None, None, None)
        conntrack.update(found, mark=3)
        conntrack.delete(found)
        conntrack.create(found.replace(mark=3))
        [again] = conntrack.dump()
        assert_is(again, found, mark=3)


def test_a_fixed_timeout_stays(netns: Namespace) -> None:
    flow = Flow(between(4, "udp", PORTS), timeout=1000, status="FIXED_TIMEOUT")
    with Conntrack() as conntrack:
        conntrack.create(flow)
        found = conntrack.get(flow)
        conntrack.update(found.replace(mark=5))
        assert_is(conntrack.get(flow), found, mark=5)
        with pytest.raises(KernelError):
            conntrack.update(found, timeout=5)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("kind", ["source", "destination"])
def test_a_translated_connection_goes_on_in_an_entry_made_again(
    flows: Flows, kind: str, family: int
) -> None:
    if kind == "source":
        flows.snat("tcp")
        connection = flows.tcp(family)
    else:
        flows.dnat(80, 8080)
        address = flows.dnat4 if family == 4 else flows.dnat6
        connection = flows.tcp(family, to=address, to_port=80)
    with Conntrack() as conntrack:
        [found] = conntrack.dump(Filter(proto="tcp"))
        conntrack.delete(found)
        conntrack.create(Flow.from_dict(found.to_dict()))
        connection.exchange()
        [again] = conntrack.dump(Filter(proto="tcp"))
    names = ("status", "tcp_state", "tcp_wscale_orig", "tcp_wscale_reply", "mark")
    assert [getattr(again, name) for name in names] == [getattr(found, name) for name in names]
    assert (again.orig, again.reply) == (found.orig, found.reply)
    assert again.tcp_wscale_orig
