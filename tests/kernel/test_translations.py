"""NAT of created entries: what a program asks for is what the kernel has, or an error says why."""

from __future__ import annotations

import asyncio
import errno
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pyconntrack import AsyncConntrack, Conntrack, Flow, KernelError, RequestError, Tuple
from pyconntrack.ctnetlink import constants as c
from pyconntrack.testing import ScriptedKernel, Step, ack, reply
from support.ctool import ours
from support.netns import Namespace
from support.traffic import nft

NAT_HOOK = "table inet nat { chain c { type nat hook postrouting priority 100;\n}\n}\n"
ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("2001:db8::1", "2001:db8::2")}
FAR = {4: ("192.0.2.3", "192.0.2.4"), 6: ("2001:db8:9::3", "2001:db8:9::4")}
PORTS = {"sport": 1000, "dport": 80}
#: protocol, fields of its tuple, its own fields, and which field of the reply a source translation
#: and one of the destination change besides the address
PROTOCOLS: list[tuple[str | int, dict[str, Any], dict[str, Any], dict[str, str]]] = [
    ("tcp", PORTS, {"tcp_state": "ESTABLISHED"}, {"src": "dport", "dst": "sport"}),
    ("udp", PORTS, {}, {"src": "dport", "dst": "sport"}),
    ("sctp", PORTS, {"sctp_state": "ESTABLISHED", "sctp_vtag_orig": 1, "sctp_vtag_reply": 2},
     {"src": "dport", "dst": "sport"}),
    ("icmp", {"icmp_id": 7, "icmp_type": 8, "icmp_code": 0}, {},
     {"src": "icmp_id", "dst": "icmp_id"}),
    ("icmpv6", {"icmp_id": 7, "icmp_type": 128, "icmp_code": 0}, {},
     {"src": "icmp_id", "dst": "icmp_id"}),
    ("gre", {"srckey": 1000, "dstkey": 80}, {}, {"src": "dstkey", "dst": "srckey"}),
    (253, {}, {}, {}),
]  # fmt: skip
CASES = [
    pytest.param(*row, family, id=f"{row[0]}-ipv{family}")
    for row in PROTOCOLS
    for family in (4, 6)
    if (row[0], family) not in (("icmp", 6), ("icmpv6", 4))
]
#: which ends change their address, and which their port, key or id
CHANGES = {
    "source": ("src", ""), "source and port": ("src", "src"), "source port": ("", "src"),
    "destination": ("dst", ""), "destination and port": ("dst", "dst"),
    "destination port": ("", "dst"), "both": ("src dst", ""),
    "both and ports": ("src dst", "src dst"),
}  # fmt: skip


@pytest.mark.parametrize(("proto", "ends", "own", "ports", "family"), CASES)
def test_a_flow_is_created_with_the_reply_that_it_has(
    netns: Namespace, proto: str | int, ends: dict[str, Any], own: dict[str, Any],
    ports: dict[str, str], family: int,
) -> None:  # fmt: skip
    nft(NAT_HOOK)
    src, dst = ENDS[family]
    orig = Tuple(src, dst, proto, **ends)
    for zone, (name, (addresses, changed)) in enumerate(CHANGES.items()):
        fields = orig.inverted().to_dict()
        for end, opposite in (("src", "dst"), ("dst", "src")):
            if end in addresses:
                fields[opposite] = FAR[family][end == "dst"]
            if end in changed and ports:
                fields[ports[end]] = 4000 + (end == "dst" and "icmp" not in str(proto))
        asked = Flow(orig, Tuple(**fields), timeout=1000, zone=zone, status="ASSURED", **own)
        if not ports and not addresses:
            continue
        with Conntrack() as conntrack:
            if proto == "gre" and not addresses:
                with pytest.raises(RequestError, match="no key of GRE"):
                    conntrack.create(asked)
                continue
            conntrack.create(asked)
            made = conntrack.get(asked)
            assert made.reply == asked.reply, name
            icmp = ports.get("src") == "icmp_id"
            assert made.is_src_nat == ("src" in addresses + ("" if icmp else changed)
                                       or (icmp and not addresses)), name  # fmt: skip
            assert made.is_dst_nat == ("dst" in addresses + ("" if icmp else changed)), name
            conntrack.delete(made)
            assert conntrack.load([asked]) == []
            assert conntrack.get(asked).reply == asked.reply, name


@pytest.mark.parametrize("family", [4, 6])
def test_the_keywords_translate(netns: Namespace, family: int) -> None:
    nft(NAT_HOOK)
    src, dst = ENDS[family]
    far, other = FAR[family]
    orig = Tuple(src, dst, "udp", 1000, 53)
    brackets = "[{}]" if family == 6 else "{}"
    target = brackets.format(far) + ":4000"
    with Conntrack() as conntrack:
        conntrack.create(Flow(orig, timeout=100), src_nat=target)
        conntrack.create(Flow(orig, timeout=100, zone=1, dst_nat=brackets.format(other) + ":5353"))
        conntrack.create(Flow(orig, timeout=100, zone=2, src_nat=far), dst_nat=other)
        conntrack.create(Flow(orig, orig.inverted(), timeout=100, zone=3), src_nat=target)
        replies = [conntrack.get(orig, zone=zone).reply for zone in range(4)]
        # a dumped flow, created again with another translation
        conntrack.create(conntrack.get(orig, zone=1).replace(zone=5), src_nat=far)
        assert conntrack.get(orig, zone=5).reply == Tuple(other, far, "udp", 5353, 1000)
    assert replies == [
        Tuple(dst, far, "udp", 53, 4000),
        Tuple(other, src, "udp", 5353, 1000),
        Tuple(other, far, "udp", 53, 1000),
        Tuple(dst, far, "udp", 53, 4000),
    ]

    async def again() -> Tuple | None:
        async with AsyncConntrack() as conntrack:
            await conntrack.create(Flow(orig, timeout=100, zone=6), src_nat=target)
            return (await conntrack.get(orig, zone=6)).reply

    assert asyncio.run(again()) == replies[0]


def test_a_port_that_is_taken_is_never_replaced_in_silence(netns: Namespace) -> None:
    nft(NAT_HOOK)
    first = Flow(Tuple("10.0.0.1", "10.0.0.9", "udp", 1000, 53), timeout=100)
    second = Flow(Tuple("10.0.0.2", "10.0.0.9", "udp", 1000, 53), timeout=100)
    with Conntrack() as conntrack:
        conntrack.create(first, src_nat="192.0.2.3:4000")
        with pytest.raises(KernelError) as refused:
            conntrack.create(second, src_nat="192.0.2.3:4000")
        assert refused.value.errno == errno.EEXIST
        [error] = conntrack.load([second.replace(src_nat="192.0.2.3:4000")])
        assert error.error.errno == errno.EEXIST
        # without a port the kernel may choose one
        conntrack.create(second, src_nat="192.0.2.3")
        conntrack.create(second.replace(orig=Tuple("10.0.0.3", "10.0.0.9", "udp", 1000, 53)),
                         src_nat="192.0.2.3")  # fmt: skip
        ports = {flow.reply_dport for flow in conntrack.dump()}
        assert len(ports) == 3
        assert {4000, 1000} < ports


def test_a_translation_that_the_kernel_does_not_make_is_an_error(netns: Namespace) -> None:
    if Path("/proc/sys/net/netfilter/nf_conntrack_dccp_timeout_open").exists():
        pytest.skip("this kernel has a tracker for dccp, so it translates its ports")
    nft(NAT_HOOK)
    asked = Flow(
        Tuple("10.0.0.1", "10.0.0.2", "dccp", 1, 2), Tuple("10.0.0.2", "192.0.2.3", "dccp", 2, 40),
        timeout=100,
    )  # fmt: skip
    with Conntrack() as conntrack:
        with pytest.raises(KernelError, match="reply_dport is absent, not 40") as refused:
            conntrack.create(asked)
        assert refused.value.errno == errno.EADDRNOTAVAIL
        [error] = conntrack.load([asked])
        assert "reply_dport is absent, not 40" in str(error.error)
        assert conntrack.count() == 0


def test_another_port_than_asked_for_is_taken_back() -> None:
    asked = Flow(Tuple("10.0.0.1", "10.0.0.2", "udp", 1, 2), timeout=100, src_nat="192.0.2.3:40")
    made = Flow(Tuple("10.0.0.1", "10.0.0.2", "udp", 1, 2),
                Tuple("10.0.0.2", "192.0.2.3", "udp", 2, 41))  # fmt: skip
    kernel = ScriptedKernel([Step(ack()), Step(reply(made), ack()), Step(ack())])
    refused = pytest.raises(KernelError, match="reply_dport is 41, not 40")
    with Conntrack(transport=kernel) as conntrack, refused:
        conntrack.create(asked)
    assert kernel.finished
    assert kernel.requests[2][4] == c.IPCTNL_MSG_CT_DELETE


def test_an_entry_with_another_reply_but_no_nat_stays_so(netns: Namespace, tmp_path: Path) -> None:
    """IPVS makes such entries: were they translated, their packets would be changed twice."""
    nft(NAT_HOOK)
    done = ours(
        "-I", "-p", "udp", "-s", "10.0.0.1", "-d", "10.0.0.2", "--sport", "1", "--dport", "2",
        "-r", "192.0.2.9", "-q", "10.0.0.1", "--reply-port-src", "53", "--reply-port-dst", "1",
        "-t", "100",
    )  # fmt: skip
    assert done.rc == 0
    file = tmp_path / "flows"
    with Conntrack() as conntrack:
        [found] = conntrack.dump()
        assert not found.is_dst_nat
        file.write_text(json.dumps(found.to_dict()))
        for way in ("create", "load", "file"):
            conntrack.flush()
            if way == "create":
                conntrack.create(found)
            elif way == "load":
                assert conntrack.load([found]) == []
            else:
                assert ours("-R", str(file)).rc == 0
            [again] = conntrack.dump()
            assert (again.reply, again.is_dst_nat) == (found.reply, False), way
        # another reply makes it another flow
        conntrack.flush()
        conntrack.create(found.replace(reply=Tuple("192.0.2.8", "10.0.0.1", "udp", 53, 1)))
        [other] = conntrack.dump()
        assert (other.reply_src, other.is_dst_nat) == ("192.0.2.8", True)


def test_a_file_without_ids_is_translated_as_a_program_is(netns: Namespace, tmp_path: Path) -> None:
    nft(NAT_HOOK)
    asked = Flow(Tuple("10.0.0.1", "10.0.0.2", "tcp", 1, 2),
                 Tuple("10.0.0.2", "192.0.2.3", "tcp", 2, 4000),
                 timeout=100, tcp_state="ESTABLISHED")  # fmt: skip
    file = tmp_path / "flows"
    file.write_text(json.dumps(asked.to_dict()))
    assert ours("-R", str(file)).rc == 0
    with Conntrack() as conntrack:
        [found] = conntrack.dump()
    assert (found.reply, found.is_src_nat) == (asked.reply, True)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("192.0.2.3:", "src_nat: ADDR, ADDR:PORT or [ADDR]:PORT is wanted, not '192.0.2.3:'"),
        ("192.0.2.3:65536", "src_nat: ADDR, ADDR:PORT"),
        ("192.0.2.3:http", "src_nat: ADDR, ADDR:PORT"),
        ("[192.0.2.3]:4000", "src_nat: ADDR, ADDR:PORT"),
        ("[2001:db8::1", "src_nat: ADDR, ADDR:PORT"),
        ("[2001:db8::1]4000", "src_nat: ADDR, ADDR:PORT"),
        ("192.0.2", "src_nat: an IPv4 or IPv6 address is wanted, not '192.0.2'"),
        (4000, "src_nat: an IPv4 or IPv6 address is wanted, not 4000"),
        ("2001:db8::1", "src_nat: 2001:db8::1 is not an ipv4 address"),
    ],
)
def test_a_wrong_target_is_named(wrong: Any, words: str) -> None:
    flow = Flow(Tuple("10.0.0.1", "10.0.0.2", "udp", 1, 2), timeout=100)
    with Conntrack(transport=ScriptedKernel()) as conntrack:
        with pytest.raises(RequestError, match=re.escape(words)):
            conntrack.create(flow, src_nat=wrong)
        with pytest.raises(RequestError, match=re.escape(words)):
            Flow(flow.orig, src_nat=wrong)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("192.0.2.4", "reply_dst: 192.0.2.3 contradicts src_nat, which is 192.0.2.4"),
        ("192.0.2.3:41", "reply_dport: 40 contradicts src_nat, which is 41"),
    ],
)
def test_a_target_that_contradicts_the_reply_is_refused(target: str, words: str) -> None:
    flow = Flow(Tuple("10.0.0.1", "10.0.0.2", "udp", 1, 2),
                Tuple("10.0.0.2", "192.0.2.3", "udp", 2, 40), timeout=100)  # fmt: skip
    with Conntrack(transport=ScriptedKernel()) as conntrack:
        with pytest.raises(RequestError, match=words):
            conntrack.create(flow, src_nat=target)
        with pytest.raises(RequestError, match=f"flow 0: {words}"):
            conntrack.load([flow.replace(src_nat=target)])


@pytest.mark.parametrize(
    ("orig", "words"),
    [
        (Tuple("10.0.0.1", "10.0.0.2", 253), "src_nat: a port is given, but the protocol has none"),
        (Tuple("10.0.0.1", "10.0.0.2", "gre", srckey=1, dstkey=2), "src_nat: a port is given"),
        (Tuple("2001:db8::1", "2001:db8::2", "tcp", 1, 2), "192.0.2.3 is not an ipv6 address"),
    ],
)
def test_a_target_that_the_protocol_cannot_have_is_refused(orig: Tuple, words: str) -> None:
    for opposite in (None, orig.inverted()):
        flow = Flow(orig, opposite, timeout=100)
        refused = pytest.raises(RequestError, match=words)
        with Conntrack(transport=ScriptedKernel()) as conntrack, refused:
            conntrack.create(flow, src_nat="192.0.2.3:4000")
