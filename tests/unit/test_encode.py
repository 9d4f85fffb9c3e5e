"""CASES drive both directions: these values are these bytes."""

from __future__ import annotations

from typing import Any

import pytest

from pyconntrack import RequestError, Tuple
from pyconntrack.ctnetlink.constants import (
    ct_msg,
    exp_msg,
)
from pyconntrack.ctnetlink.encode import encode
from pyconntrack.ctnetlink.layout import find
from pyconntrack.ctnetlink.schema import CONNTRACK, EXPECT, Rows
from pyconntrack.netlink.messages import message

V4 = {"orig_src": b"\x0a\0\0\x01", "orig_dst": b"\x0a\0\0\x02"}
V6 = {"orig_src": bytes(15) + b"\1", "orig_dst": bytes(15) + b"\2"}
IP4 = "14000180 08000100 0a000001 08000200 0a000002"
IP6 = f"2c000180 14000300 {'00' * 15}01 14000400 {'00' * 15}02"

#: (name, schema, family, bytes behind the nfgenmsg, values)
CASES: list[tuple[str, Rows, int, str, dict[str, Any]]] = [
    ("mark", CONNTRACK, 2, "08000800 00000005", {"mark": 5}),
    ("zero is zero", CONNTRACK, 2, "08000800 00000000", {"mark": 0}),
    ("nothing", CONNTRACK, 2, "", {}),
    ("zone, padded", CONNTRACK, 2, "06001200 00050000", {"zone": 5}),
    ("status", CONNTRACK, 2, "08000300 0000000e", {"status": 14}),
    ("timeout", CONNTRACK, 2, "08000700 0000003c", {"timeout": 60}),
    ("helper", CONNTRACK, 2, "0c000580 08000100 66747000", {"helper": "ftp"}),
    ("tcp", CONNTRACK, 2,
     "34000180" + IP4 + "1c000280 05000100 06000000 06000200 03e80000 06000300 00500000",
     {**V4, "orig_proto": 6, "orig_sport": 1000, "orig_dport": 80}),
    ("udp over IPv6, zone of a direction", CONNTRACK, 10,
     "54000180" + IP6 + "1c000280 05000100 11000000 06000200 00010000 06000300 00020000"
     "06000300 00070000",
     {**V6, "orig_proto": 17, "orig_sport": 1, "orig_dport": 2, "orig_zone": 7}),
    ("icmp", CONNTRACK, 2,
     "3c000180" + IP4 + "24000280 05000100 01000000 06000400 12340000 05000500 08000000"
     "05000600 00000000",
     {**V4, "orig_proto": 1, "orig_icmp_id": 0x1234, "orig_icmp_type": 8, "orig_icmp_code": 0}),
    ("icmpv6", CONNTRACK, 10,
     "54000180" + IP6 + "24000280 05000100 3a000000 06000700 12340000 05000800 80000000"
     "05000900 00000000",
     {**V6, "orig_proto": 58, "orig_icmp_id": 0x1234, "orig_icmp_type": 128,
      "orig_icmp_code": 0}),
    ("tcp state", CONNTRACK, 2, "10000480 0c000180 05000100 03000000", {"tcp_state": 3}),
    ("counters", CONNTRACK, 2,
     "1c000980 0c000100 0000000000000001 0c000200 000000000000003c",
     {"orig_packets": 1, "orig_bytes": 60}),
    ("labels", CONNTRACK, 2, "14001600 05000000000000000000000000000000",
     {"labels": b"\x05" + bytes(15)}),
    ("timestamp", CONNTRACK, 2, "10001480 0c000100 0000000100000002",
     {"timestamp_start": (1 << 32) + 2}),
    ("expectation", EXPECT, 2, "08000400 0000001e 08000800 00000001",
     {"timeout": 30, "flags": 1}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "rows", "family", "raw", "values"),
    CASES,
    ids=lambda v: str(v)[:30] if isinstance(v, str) else "",
)
def test_case(name: str, rows: Rows, family: int, raw: str, values: dict[str, Any]) -> None:
    payload = bytes.fromhex(raw.replace(" ", ""))
    assert encode(rows, values, family).hex() == payload.hex()
    whole = message(ct_msg(0) if rows is CONNTRACK else exp_msg(0), 0, 0, family, payload)
    assert find(whole).values(whole) == values


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mark": -1}, r"mark: -1 is not in 0\.\.4294967295"),
        ({"mark": 1 << 32}, "mark: 4294967296 is not in"),
        ({"mark": "5"}, "mark: a whole number is wanted, not '5'"),
        ({"zone": 70000}, r"zone: 70000 is not in 0\.\.65535"),
        ({"helper": 5}, "helper: a text is wanted"),
        ({"helper": "a\0b"}, "helper: a text is wanted"),
        ({"labels": "x"}, "labels: bytes are wanted"),
        ({"orig_src": "10.0.0.1"}, "orig_src: bytes are wanted"),
        ({"nonsense": 1}, "no such field: nonsense"),
    ],
)
def test_bad_values_name_their_field(values: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        encode(CONNTRACK, values, 2)


def test_none_is_absent() -> None:
    assert encode(CONNTRACK, {"mark": None}, 2) == b""


def test_no_mould_takes_the_port_of_one_protocol_into_another() -> None:
    """Whatever the protocol of the message that was the mould, ports are read back as given, and
    refused where the protocol has none."""
    for proto in (6, *range(256)):
        for port in (1, 2):
            given = {"src": "10.0.0.1", "dst": "10.0.0.2", "proto": proto, "sport": port}
            if proto in (6, 17, 33, 132, 136):
                assert Tuple(**given).sport == port
            else:
                with pytest.raises(RequestError, match=r"^sport: .*(such field|instead)$"):
                    Tuple(**given)
