"""Loading over what stands, children with and without their masters, offloaded entries."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pyconntrack import Conntrack, Flow, KernelError, Tuple
from pyconntrack.cli.selection import Formatter, of_messages
from pyconntrack.ctnetlink import constants as c
from pyconntrack.formats.registry import Writer
from support.ctool import Result, ours_argv, run
from support.traffic import nft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.netns import Namespace

ENDS = ("-s", "192.0.2.1", "-d", "198.51.100.1", "-p", "tcp", "--sport", "1", "--dport", "2",
        "--state", "ESTABLISHED", "-t", "900")  # fmt: skip


def conntrack(*words: str, stdin: str = "") -> Result:
    return run([*ours_argv(), *words], stdin)


def restore(flows: Sequence[Flow]) -> Result:
    return conntrack("-R", "-", stdin="".join(json.dumps(flow.to_dict()) + "\n" for flow in flows))


def tcp(number: int, **more: Any) -> Flow:
    return Flow(Tuple("10.0.0.1", "10.0.0.2", "tcp", number, 21), timeout=600,
                tcp_state="ESTABLISHED", **more)  # fmt: skip


def table() -> list[dict[str, Any]]:
    """All entries without what no request can set."""
    with Conntrack() as tracker:
        rows = [flow.to_dict() for flow in tracker.dump()]
    for row in rows:
        for name in ("id", "use"):
            del row[name]
        row["timeout"] = round(row["timeout"], -2)  # some seconds have passed
    return sorted(rows, key=json.dumps)


def test_add_renews_what_stands_and_counts_it(netns: Namespace) -> None:
    added = "1 flow entries have been added.\n"
    assert conntrack("-A", *ENDS, "-u", "SEEN_REPLY").err.endswith(added)
    again = conntrack("-A", *ENDS[:-3], "LAST_ACK", "-t", "700", "-u", "ASSURED", "-m", "7")
    assert again.rc == 0
    assert again.err.endswith(added)
    with Conntrack() as tracker:
        [found] = tracker.dump()
    assert (found.state, found.mark, found.seen_reply, found.assured) == ("LAST_ACK", 7, True, True)
    assert found.timeout in range(690, 701)
    refused = conntrack("-I", *ENDS)
    assert (refused.rc, "Such conntrack exists" in refused.err) == (1, True)


def test_a_different_entry_in_the_way_is_no_entry_to_renew(netns: Namespace) -> None:
    assert conntrack("-A", *ENDS).rc == 0
    reply = ("-r", "198.51.100.1", "-q", "192.0.2.1", "--reply-port-src", "2",
             "--reply-port-dst", "1")  # fmt: skip
    clash = conntrack("-A", "-s", "203.0.113.9", *ENDS[2:], *reply, "-m", "5")
    assert (clash.rc, "Such conntrack exists" in clash.err) == (1, True)
    turned = conntrack("-A", "-s", "198.51.100.1", "-d", "192.0.2.1", "-p", "tcp", "--sport", "2",
                       "--dport", "1", *ENDS[10:], "-m", "5")  # fmt: skip
    assert turned.rc == 1
    with Conntrack() as tracker:
        assert [flow.mark for flow in tracker.dump()] in ([0], [None])


def test_what_stands_as_saved_is_done_without_a_word(netns: Namespace) -> None:
    nft("table ip nat { chain c { type nat hook postrouting priority 100; }; }\n")
    flows = [
        tcp(1, mark=5, status=["SEEN_REPLY", "ASSURED"]),
        tcp(2).replace(reply=Tuple("10.0.0.2", "192.0.2.7", "tcp", 21, 5000),
                       status=["SRC_NAT", "SEEN_REPLY"]),
        tcp(3, master=tcp(1).orig, status=["EXPECTED", "SEEN_REPLY"]),
        tcp(4, tcp_wscale_orig=7, tcp_wscale_reply=7, tcp_flags_orig=0x2300, tcp_flags_reply=0x300,
            orig_seqadj_correction_pos=1, orig_seqadj_offset_before=2, orig_seqadj_offset_after=3),
        Flow(Tuple("10.0.0.1", "10.0.0.2", "udp", 5, 6), timeout=600, status="FIXED_TIMEOUT"),
    ]  # fmt: skip
    assert restore(flows) == (0, "", "")
    with Conntrack() as tracker:
        saved = list(tracker.dump())
        before = table()
        assert len(before) == len(flows)
        assert restore(saved) == (0, "", "")
        assert table() == before
        assert tracker.load(saved, existing="update") == []
        assert table() == before
        refused = tracker.load(saved)
        assert [(bad.index, bad.error.errno) for bad in refused] == [
            (number, errno.EEXIST) for number in range(len(saved))
        ]
        for half in (saved[::2], saved[1::2]):  # what a change that was cut short leaves behind
            for flow in half:
                tracker.delete(flow)
            assert restore(saved) == (0, "", "")
            assert table() == before


def test_labels_that_find_no_room_are_passed_over(netns: Namespace) -> None:
    plain = tcp(1)
    with Conntrack() as tracker:
        tracker.create(plain)
        nft("table inet t { chain c { type filter hook output priority 0; ct label set 1;\n}\n}\n")
        wanted = [plain.replace(labels=[3], mark=4), tcp(2, labels=[3])]
        assert tracker.load(wanted, existing="update") == []
        assert [tracker.get(flow).labels for flow in wanted] == [None, (3,)]
        assert tracker.get(plain).mark == 4
        assert tracker.load([tcp(2, labels=[5])], existing="update") == []
        assert tracker.get(wanted[1]).labels == (5,)


FAMILY = [tcp(3, master=tcp(2).orig), tcp(2, master=tcp(1).orig), tcp(1)]


def test_more_flows_than_fit_the_receive_buffer_are_read_back(netns: Namespace) -> None:
    """Where the kernel's entry is needed for each: to compare a translation, or what is there."""
    flows = [
        Flow(
            Tuple(f"10.0.{n >> 8}.{n & 255}", "198.51.100.9", "udp", 5000, 53),
            Tuple("198.51.100.9", "203.0.113.1", "udp", 53, 1024 + n),
            timeout=600,
        )
        for n in range(600)
    ]
    with Conntrack() as tracker:
        assert tracker.load(flows) == []
        assert {flow.reply for flow in tracker.dump()} == {flow.reply for flow in flows}
        marked = [flow.replace(mark=3) for flow in flows]
        assert tracker.load(marked, existing="update") == []
        assert {flow.mark for flow in tracker.dump()} == {3}


@pytest.mark.parametrize("way", ["command", "library"])
def test_children_follow_their_masters(netns: Namespace, way: str) -> None:
    with Conntrack() as tracker:
        if way == "command":
            assert restore(FAMILY) == (0, "", "")
        else:
            assert tracker.load(iter(FAMILY)) == []
        found = {flow.orig_sport: flow for flow in tracker.dump()}
    assert [found[n].expected for n in (1, 2, 3)] == [False, True, True]
    assert [found[n].master_sport for n in (1, 2, 3)] == [None, 1, 2]


def test_children_stand_before_the_next_command_of_the_file(netns: Namespace) -> None:
    lines = [json.dumps(flow.to_dict()) for flow in FAMILY]
    file = "\n".join([*lines, "-U -p tcp --orig-port-src 3 -m 9"]) + "\n"
    assert conntrack("-R", "-", stdin=file).rc == 0
    with Conntrack() as tracker:
        assert tracker.get(FAMILY[0]).mark == 9


def test_children_without_masters_are_counted(netns: Namespace) -> None:
    orphans = [tcp(3, master=tcp(2).orig), tcp(5, master=tcp(4).orig), tcp(1)]
    done = restore(orphans)
    assert done.rc == 0
    assert done.err.count("\n") == 1
    assert "2 flow entries were created without the master that they name" in done.err
    with Conntrack() as tracker:
        assert tracker.count() == 3
        tracker.flush()
        with pytest.warns(UserWarning, match="2 flows were created without the master"):
            assert tracker.load(orphans) == []
        assert {flow.master for flow in tracker.dump()} == {None}


def offloaded(number: int, proto: str, bit: int) -> Flow:
    """An entry of a flow table as the kernel reports it: no timeout, no protocol state."""
    return Flow(Tuple("10.0.0.1", "10.0.0.2", proto, number, 80),
                Tuple("10.0.0.2", "10.0.0.1", proto, 80, number),
                status=c.IPS_SEEN_REPLY | c.IPS_ASSURED | c.IPS_CONFIRMED | bit)  # fmt: skip


@pytest.mark.parametrize("form", ["save", "ndjson", "library"])
@pytest.mark.parametrize(("bit", "word"), [(c.IPS_OFFLOAD, "[OFFLOAD]"), (0xC000, "[HW_OFFLOAD]")])
def test_what_is_saved_of_an_offloaded_entry_loads(
    netns: Namespace, form: str, bit: int, word: str
) -> None:
    flows = [offloaded(1, "tcp", bit), offloaded(2, "udp", bit)]
    assert [word in str(flow) and "[ASSURED]" not in str(flow) for flow in flows] == [True, True]
    with Conntrack() as tracker:
        if form == "library":
            assert tracker.load(flows) == []
        else:
            text = Formatter(Writer([form], None).pieces)
            file = text(of_messages([flow.message for flow in flows])).decode()
            assert conntrack("-R", "-", stdin=file) == (0, "", "")
        first, second = sorted(tracker.dump(), key=lambda flow: flow.orig_sport or 0)
    assert (first.state, first.tcp_flags_orig, first.assured) == ("ESTABLISHED", 0x0A00, True)
    assert first.timeout
    assert first.timeout > 400_000
    assert second.timeout
    assert 100 < second.timeout <= 120


def test_a_full_table_and_a_long_chain_say_what_to_do() -> None:
    full = KernelError(errno.ENOMEM, "creating a flow")
    assert "nf_conntrack_max" in str(full)
    chain = KernelError(errno.ENOSPC, "creating a flow")
    assert "nf_conntrack_buckets" in str(chain)
    assert "labels" in str(KernelError(errno.ENOSPC, "updating a flow"))


# -- any table, through both formats ------------------------------------------------------------

NAT_HOOK = "table inet nat { chain c { type nat hook postrouting priority 100;\n}\n}\n"
LABELLING = "table inet t { chain c { type filter hook output priority 0; ct label set 1;\n}\n}\n"
#: what the kernel writes by itself
KERNELS = {"id", "use", "timeout"}
#: what a line of the save format cannot say
UNSAID = {"tcp_flags_orig", "tcp_flags_reply", "tcp_wscale_orig", "tcp_wscale_reply"} | {
    f"{side}_seqadj_{name}"
    for side in ("orig", "reply")
    for name in ("correction_pos", "offset_before", "offset_after")
}


@st.composite
def any_flow(draw: st.DrawFn, number: int) -> Flow:
    six = draw(st.booleans())
    src, dst, far = (
        (f"2001:db8::{number + 1:x}", "2001:db8:1::2", "2001:db8:2::3")
        if six
        else (f"10.0.0.{number + 1}", "10.0.1.2", "192.0.2.3")
    )
    proto = draw(st.sampled_from(["tcp", "udp", "icmpv6" if six else "icmp", "gre", 253]))
    ends: dict[str, Any] = {}
    if proto in ("tcp", "udp"):
        ends = {"sport": draw(st.integers(1, 65535)), "dport": draw(st.integers(1, 65535))}
    elif proto == "gre":
        ends = {"srckey": draw(st.integers(0, 65535)), "dstkey": draw(st.integers(0, 65535))}
    elif proto != 253:
        ends = {"icmp_id": draw(st.integers(0, 65535)), "icmp_type": 128 if six else 8,
                "icmp_code": 0}  # fmt: skip
    orig = Tuple(src, dst, proto, **ends)
    more: dict[str, Any] = {}
    status = draw(st.lists(st.sampled_from(["SEEN_REPLY", "ASSURED", "FIXED_TIMEOUT"])))
    if proto == "tcp":
        flags = st.integers(0, 0xFF).map(lambda flags: flags << 8)
        scales = st.integers(0, 14)
        more = {"tcp_state": draw(st.sampled_from(["SYN_RECV", "ESTABLISHED", "TIME_WAIT"])),
                "tcp_flags_orig": draw(flags), "tcp_flags_reply": draw(flags),
                "tcp_wscale_orig": draw(scales), "tcp_wscale_reply": draw(scales)}  # fmt: skip
        if draw(st.booleans()):
            more |= {f"orig_seqadj_{name}": draw(st.integers(0, 1 << 31))
                     for name in ("correction_pos", "offset_before", "offset_after")}  # fmt: skip
    reply = orig.inverted()
    if draw(st.booleans()):
        # one address for each entry: the pinned port is free
        changed: dict[str, Any] = {"dst": far[:-1] + f"{number + 1:d}"}
        if "dport" in ends:
            changed["dport"] = draw(st.integers(1, 65535))
        reply = Tuple(**{**reply.to_dict(), **changed})
        status.append("SRC_NAT")
    zone: dict[str, Any] = draw(st.sampled_from([{}, {"zone": 1}, {"orig_zone": 2}]))
    return Flow(
        orig, reply, timeout=draw(st.integers(1000, 1 << 30)), status=status,
        mark=draw(st.integers(0, 0xFFFFFFFF)), labels=draw(st.lists(st.integers(0, 127))),
        **zone, **more,
    )  # fmt: skip


@settings(
    max_examples=4, phases=[Phase.generate],  # an example takes a second, shrinking one minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(st.tuples(*map(any_flow, range(24))))
def test_any_table_comes_back(netns: Namespace, flows: tuple[Flow, ...]) -> None:
    nft(NAT_HOOK)
    nft(LABELLING)
    with Conntrack() as tracker:
        tracker.flush()
        assert tracker.load(flows) == []
        before = {flow.key: flow for flow in tracker.dump()}
        assert len(before) == len(flows)
        for form, lost in (("ndjson", KERNELS), ("save", KERNELS | UNSAID)):
            saved = conntrack("-L", "-o", form).out
            tracker.flush()
            assert conntrack("-R", "-", stdin=saved) == (0, "", "")
            after = {flow.key: flow for flow in tracker.dump()}
            assert after.keys() == before.keys()
            for key, flow in before.items():
                bits = (flow.status_bits or 0) & ~(c.IPS_SEQ_ADJUST if form == "save" else 0)
                differing = flow.replace(status=bits).differences(after[key])
                assert {name: differing[name] for name in differing.keys() - lost} == {}, flow
