"""The program on an event socket rejects only what the predicate is false of."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given

from pyconntrack.cli.filters import predicate
from pyconntrack.cli.parser import parse
from pyconntrack.ctnetlink import constants as c
from pyconntrack.ctnetlink.layout import find
from pyconntrack.ctnetlink.predicates import And, Bits, In, Net, Node, Not, Or, Text, bind, terms
from pyconntrack.ctnetlink.socket_filter import judges, program
from pyconntrack.netlink import constants as nl
from pyconntrack.netlink.messages import message
from pyconntrack.netlink.socket import Transport
from support.bpf import run
from support.ctool import ours, theirs
from support.messages import BATCHES, NODES


def as_event(part: bytes) -> bytes:
    """A dumped message as an event: not one of many."""
    return part[:6] + bytes(2) + part[8:]


def holds(node: Node, part: bytes) -> bool:
    layout = find(part)
    test = bind(node, layout)
    return test if isinstance(test, bool) else test(layout.unpack(part))


@given(BATCHES, NODES)
def test_rejects_only_what_is_false(messages: list[bytes], node: Node) -> None:
    code = program(node)
    assert len(code) <= 4096 * 8
    for part in map(as_event, messages):
        if code and not run(code, part):
            assert not holds(node, part)


#: the message type of a flow
SUBSYSTEM = c.ct_msg(0).to_bytes(2, sys.byteorder)
EXACT = [
    "-p tcp", "-p udp --dport 53", "-s 10.0.0.0/8", "-d 2001:db8::/33", "-m 5/0xf", "-w 3",
    "-f ipv6", "-p tcp --state ESTABLISHED", "-p icmp --icmp-type 8", "-p tcp --sport 1024-2047",
    "--orig-zone 2", "-q 10.1.2.3",
]  # fmt: skip


@pytest.mark.parametrize("options", EXACT)
@given(messages=BATCHES)
def test_decides_what_it_can(options: str, messages: list[bytes]) -> None:
    node = predicate(parse(["-E", *options.split()]))
    assert node is not None
    assert all(map(judges, terms(node)))
    code = program(node)
    for part in map(as_event, messages):
        # what is no attribute as the kernel sends it may be read in two ways
        if part[4:6] == SUBSYSTEM and not find(part).unknown:
            assert run(code, part) == holds(node, part)


def test_what_is_no_event_passes() -> None:
    code = program(In("orig_proto", (6, 6)))
    assert not run(code, message(c.ct_msg(0), 0, 1, 2, b""))
    for other in (
        message(c.ct_msg(0), nl.NLM_F_MULTI, 1, 2, b""), message(c.exp_msg(0), 0, 1, 2, b""),
        message(nl.NLMSG_ERROR, 0, 1, 2, b""), message(nl.NLMSG_DONE, 0, 1, 2, b""),
    ):  # fmt: skip
        assert run(code, other)


def test_nothing_to_reject_is_no_program() -> None:
    unsure = Text("helper", "ftp")
    tcp = In("orig_proto", (6, 6))
    assert program(None) == b""
    for node in (unsure, Not(unsure), Or((tcp, unsure)), Not(And((tcp, unsure))), And(())):
        assert program(node) == b""
    assert program(And((tcp, unsure)))
    assert (judges(tcp), judges(unsure)) == (True, False)


def test_long_predicates_stay_within_the_kernels_limit() -> None:
    ports = In("orig_dport", *((n, n) for n in range(0, 65536, 7)))
    assert program(ports) == b""
    tcp = In("orig_proto", (6, 6))
    assert program(And((tcp, ports)))
    nets = [Net("orig_src", (bytes([n % 256, n >> 8, 0, 0]), b"\xff\xff\0\0")) for n in range(9000)]
    assert program(Or(nets)) == b""
    assert 0 < len(program(And([tcp, *map(Not, nets[:2000])]))) <= 4096 * 8
    assert program(Bits("mark", 1, 1))


@pytest.mark.usefixtures("netns")
def test_the_kernel_runs_it() -> None:
    def seen(options: str) -> list[int]:
        """Destination ports of the events that reach a socket with the program of `options`."""
        transport = Transport(blocking=False)
        node = predicate(parse(["-E", *options.split()]))
        transport.attach(program(node))
        transport.join([c.NFNLGRP_CONNTRACK_NEW])
        for port, proto in ((53, "udp"), (443, "tcp --state ESTABLISHED"), (80, "udplite")):
            words = f"-I -s 10.1.1.1 -d 10.1.1.2 -p {proto} --sport 9 --dport {port} -t 9 -m {port}"
            assert ours(*words.split()).rc == 0
        six = "-I -s fd00::1 -d fd00::2 -p udp --sport 9 --dport 53 -t 9 -w 3"
        assert ours(*six.split()).rc == 0
        assert theirs("-F").rc == 0
        found = []
        while True:
            try:
                part = transport.recv()
            except BlockingIOError:
                break
            found.append(find(part).values(part)["orig_dport"])
        transport.close()
        return sorted(found)

    assert seen("") == [53, 53, 80, 443]
    assert seen("-p udp") == [53, 53]
    assert seen("-p udp -f ipv4") == [53]
    assert seen("-s 10.1.0.0/16 -p tcp") == [443]
    assert seen("-s fd00::/8") == [53]
    assert seen("-d fd00::3") == []
    assert seen("-m 0x50/0xf0") == [80]
    assert seen("-w 3") == [53]
    assert seen("-p tcp --state CLOSE") == []
    assert seen("-p tcp --state ESTABLISHED --dport 443") == [443]


def test_explain_tells_what_the_socket_filters() -> None:
    lines = ours("-E", "--explain", "--where", "proto == tcp and helper == ftp and bytes > 5").out
    assert lines.splitlines()[:3] == [
        "kernel: orig.proto == tcp (a filter on the socket)",
        'user space: helper == "ftp"',
        "user space: bytes >= 6",
    ]
    assert ours("-E", "--explain").out.startswith("kernel: sends every event\n")
