"""PYCONNTRACK_DEBUG=netlink: each message on standard error, decoded by the schema."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from pyconntrack import Conntrack, Filter, Flow, KernelError, Tuple
from pyconntrack.ctnetlink.constants import (
    IPCTNL_MSG_CT_DELETE,
    ct_msg,
)
from pyconntrack.ctnetlink.encode import encode
from pyconntrack.ctnetlink.schema import CONNTRACK
from pyconntrack.ctnetlink.trace import described, lines
from pyconntrack.netlink.constants import (
    NLM_F_ACK,
    NLM_F_REQUEST,
)
from pyconntrack.netlink.messages import attr, message, nest
from pyconntrack.testing import ack, done, dump_of

ORIG = Tuple("10.0.0.1", "10.0.0.2", "tcp", 1000, 80)
FLOW = Flow(ORIG, ORIG.inverted(), timeout=30, tcp_state="ESTABLISHED", status="ASSURED")
REQUEST = message(ct_msg(IPCTNL_MSG_CT_DELETE), NLM_F_REQUEST | NLM_F_ACK, 7, 2)


def test_attributes_stand_by_their_kernel_names_with_values_and_words() -> None:
    (line,) = lines("<", dump_of(FLOW)(REQUEST))
    assert line.startswith(
        "< IPCTNL_MSG_CT_NEW flags=NLM_F_MULTI seq=7 family=AF_INET "
        "CTA_TUPLE_ORIG={CTA_TUPLE_IP={CTA_IP_V4_SRC=10.0.0.1 CTA_IP_V4_DST=10.0.0.2} "
        "CTA_TUPLE_PROTO={CTA_PROTO_NUM=6(tcp) CTA_PROTO_SRC_PORT=1000 CTA_PROTO_DST_PORT=80}} "
    )
    assert "CTA_PROTOINFO_TCP_STATE=3(ESTABLISHED)" in line
    assert "CTA_STATUS=4(ASSURED)" in line
    assert "CTA_TIMEOUT=30" in line


def test_each_message_of_a_datagram_is_a_line() -> None:
    found = list(lines(">", dump_of(FLOW, FLOW)(REQUEST) + done()(REQUEST)))
    assert [line.split()[1] for line in found] == ["IPCTNL_MSG_CT_NEW"] * 2 + ["NLMSG_DONE"]


def test_a_refusal_has_its_errno_and_the_kernels_words() -> None:
    assert described(ack()(REQUEST)) == "NLMSG_ERROR flags=NLM_F_CAPPED seq=7 error=0"
    refusal = described(ack(errno.EPERM, "not yours")(REQUEST))
    assert refusal.endswith('error=EPERM message="not yours"')
    assert described(done(errno=errno.ENOMEM)(REQUEST)).endswith("error=ENOMEM")


def test_what_the_schema_does_not_know_is_hexadecimal() -> None:
    unknown = attr(999, b"\x01\x02") + nest(4, nest(1, attr(77, b"\xab\xcd")))
    line = described(message(ct_msg(0), NLM_F_REQUEST, 1, 10, unknown))
    assert line.endswith("999=0x0102 CTA_PROTOINFO={CTA_PROTOINFO_TCP={77=0xabcd}}")
    assert described(message(0x0A00, 0, 1, 2, attr(1, b"a"))).startswith("0xa00 flags=0 seq=1")


def test_a_key_of_gre_is_not_called_a_port() -> None:
    values = {"orig_proto": 47, "orig_srckey": 5}
    line = described(message(ct_msg(0), 0, 1, 2, encode(CONNTRACK, values, 2)))
    assert "CTA_PROTO_NUM=47(gre)" in line
    assert "=5" in line


def test_a_message_that_breaks_the_format_is_shown_as_it_is() -> None:
    whole = dump_of(FLOW)(REQUEST)
    for cut in (3, 17, len(whole) - 2):
        assert list(lines("<", whole[:cut]))[-1].endswith(whole[:cut].hex())


def test_the_library_traces_its_sockets(
    netns: object, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with Conntrack() as conntrack:
        conntrack.create(FLOW)
    assert capfd.readouterr().err == ""
    monkeypatch.setenv("PYCONNTRACK_DEBUG", "netlink")
    with Conntrack() as conntrack:
        with pytest.raises(KernelError):
            conntrack.create(FLOW)
        assert len(conntrack.delete_matching(Filter(proto="tcp"))) == 1
    err = capfd.readouterr().err.splitlines()
    assert all(line.startswith("netlink ") for line in err)
    assert [line.split()[1:3] for line in err] == [
        [">", "IPCTNL_MSG_CT_NEW"], ["<", "NLMSG_ERROR"],
        [">", "IPCTNL_MSG_CT_GET"], ["<", "IPCTNL_MSG_CT_NEW"], ["<", "NLMSG_DONE"],
        [">", "IPCTNL_MSG_CT_DELETE"], ["<", "NLMSG_ERROR"],
    ]  # fmt: skip
    assert "error=EEXIST" in err[1]


def test_the_command_traces_a_listing_and_prints_the_same(netns: object) -> None:
    with Conntrack() as conntrack:
        conntrack.create(FLOW)
    argv = [sys.executable, "-m", "pyconntrack", "-L", "-p", "tcp"]
    found = [
        subprocess.run(argv, env={"PYCONNTRACK_DEBUG": word}, capture_output=True, text=True)
        for word in ("", "netlink")
    ]
    assert [one.returncode for one in found] == [0, 0]
    assert [one.stdout.split()[3:] for one in found] == [found[0].stdout.split()[3:]] * 2
    words = [line.split()[1:3] for line in found[1].stderr.splitlines()[:-1]]
    assert words == [
        [">", "IPCTNL_MSG_CT_GET"], ["<", "IPCTNL_MSG_CT_NEW"], ["<", "NLMSG_DONE"],
    ]  # fmt: skip
    assert not [line for line in found[0].stderr.splitlines() if line.startswith("netlink")]
