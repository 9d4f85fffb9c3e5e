"""Ports of NAT: what is held by address, class, destination and client equals a count by hand."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack import FlowTable
from pyconntrack.doctor import NatRange
from pyconntrack.doctor.ports import Pressure, port_pressure
from support.tables import flow_table

SEEN, SRC_NAT, FIXED, OFFLOAD = 0x2, 0x10, 0x400, 0x4000
TCP, UDP, ICMP = 6, 17, 1
ESTABLISHED, TIME_WAIT, CLOSE = 3, 7, 8
Row = dict[str, object]


def table(rows: list[Row]) -> FlowTable:
    names = {name for row in rows for name in row}
    return flow_table(len(rows), **{name: [row.get(name) for row in rows] for name in names})


def random_row(rng: random.Random) -> Row:
    six = rng.random() < 0.2
    sources = [f"2001:db8::{n}" if six else f"10.1.7.{n}" for n in range(1, 4)]
    proto = rng.choice([TCP, TCP, TCP, UDP, ICMP])
    row: Row = {
        "family": 10 if six else 2,
        "orig_proto": proto,
        "orig_src": rng.choice(sources),
        "reply_dst": rng.choice(["2001:db8:f::1"] if six else ["203.0.113.7", "203.0.113.8"]),
        "reply_src": rng.choice(["2001:db8:d::9"] if six else ["198.51.100.9", "198.51.100.10"]),
        "status": SEEN | rng.choice([0, SRC_NAT, SRC_NAT, SRC_NAT | FIXED, SRC_NAT | OFFLOAD]),
    }
    if proto == TCP:
        row["tcp_state"] = rng.choice([ESTABLISHED, ESTABLISHED, TIME_WAIT, CLOSE])
    if proto != ICMP:
        row["reply_sport"] = rng.choice([53, 443])
        row["reply_dport"] = rng.choice([0, 7, 511, 512, 599, 600, 1023, 1024, 5000, 5001, 65535])
    if rng.random() < 0.2:
        row["zone"] = rng.choice([1, 2])
    elif rng.random() < 0.1:
        row["reply_zone"] = 1
    return row


def random_rules(rng: random.Random) -> list[NatRange]:
    ranges = [None, (5000, 5000), (5000, 5010), (5001, 5020), (1, 511), (600, 65535)]
    return [
        NatRange(
            rng.choice([None, "203.0.113.7/32", "203.0.113.0/24", "2001:db8:f::/64"]),
            rng.choice([None, "tcp", "udp"]),
            rng.choice(ranges),
            rng.choice(["nft", "masquerade", "xt"]),
            rng.choice([None, "ipv4", "ipv6"]),
        )
        for _ in range(rng.randrange(4))
    ]


CLASSES = [set(range(1, 512)), set(range(600, 1024)), set(range(1024, 65536))]


@cache
def union(ranges: frozenset[tuple[int, int]]) -> set[int]:
    return {port for low, high in ranges for port in range(low, high + 1)}


def counted(rows: list[Row], rules: list[NatRange], *, evicts: bool) -> list[tuple[object, ...]]:
    """The same, flow by flow."""
    names = {TCP: "tcp", UDP: "udp"}
    pairs: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        if "reply_dport" in row:
            key = ("orig_proto", "reply_dst", "reply_src", "reply_sport", "zone", "reply_zone")
            pairs.setdefault(tuple(row.get(name) for name in key), []).append(row)
    found = []
    for (number, address, destination, port, zone, reply_zone), own in pairs.items():
        protocol, here = names[number], ip_address(str(address))  # type: ignore[index]
        translated = [row for row in own if int(str(row["status"])) & SRC_NAT]
        if not translated:
            continue
        fitting = [
            rule for rule in rules
            if rule.source != "xt" and rule.protocol in (None, protocol)
            and rule.family in (None, f"ipv{here.version}")
            and (rule.address is None or here in ip_network(rule.address))
        ]  # fmt: skip
        fitting = [rule for rule in fitting if rule.address] or fitting
        if fitting and all(rule.ports for rule in fitting):
            allowed = [union(frozenset(rule.ports for rule in fitting if rule.ports))]
            assumed = any(row["reply_dport"] not in allowed[0] for row in translated)
        else:
            allowed, assumed = CLASSES, not fitting
        for ports in allowed:
            held, ending, clients = 0, 0, Counter[object]()
            for row in own:
                if row["reply_dport"] not in ports:
                    continue
                status = int(str(row["status"]))
                gives_way = row.get("tcp_state") in (TIME_WAIT, CLOSE) and status & SRC_NAT
                if evicts and gives_way and not status & (FIXED | OFFLOAD):
                    ending += 1
                else:
                    held += 1
                    clients[row["orig_src"]] += 1
            if held or ending:
                found.append((
                    protocol, address, destination, port, zone if zone else reply_zone,
                    len(ports), assumed, held, ending, max(clients.values(), default=0),
                ))  # fmt: skip
    return sorted(found, key=repr)


def as_counted(pressure: Pressure) -> tuple[object, ...]:
    return (
        pressure.protocol, pressure.address, pressure.destination, pressure.port, pressure.zone,
        pressure.capacity, pressure.assumed, pressure.held, pressure.ending, pressure.client_held,
    )  # fmt: skip


@given(st.integers(0, 2**64))
def test_random_tables_give_what_is_counted_by_hand(seed: int) -> None:
    """`make fuzz` does so with 20,000 tables."""
    rng = random.Random(seed)
    rows = [random_row(rng) for _ in range(rng.choice([1, 5, 30, 100]))]
    rules = random_rules(rng)
    evicts = rng.random() < 0.8
    found = port_pressure(table(rows), rules, share=0, kernel="6.18.1" if evicts else "6.4.9-rt")
    assert sorted(map(as_counted, found), key=repr) == counted(rows, rules, evicts=evicts)
    assert [each.share for each in found] == sorted((each.share for each in found), reverse=True)
    for each in found:
        if each.client:
            own = [row for row in rows if row["orig_src"] == each.client]
            assert len(own) >= each.client_held
    half = port_pressure(table(rows), rules, share=50, kernel="6.18.1" if evicts else "6.4.9-rt")
    assert half == [each for each in found if 2 * (each.held + each.ending) >= each.capacity]


def nat(count: int, **more: object) -> FlowTable:
    """``count`` connections of one client to one server, each with a port of 203.0.113.7."""
    return flow_table(
        count,
        **{
            "orig_proto": TCP, "orig_src": "10.1.7.3", "reply_dst": "203.0.113.7",
            "reply_src": "198.51.100.9", "reply_sport": 443, "status": SEEN | SRC_NAT,
            "reply_dport": range(1024, 1024 + count), "tcp_state": ESTABLISHED, **more,
        },
    )  # fmt: skip


@pytest.mark.parametrize(("count", "found"), [(51_609, 0), (51_610, 1)])
def test_four_fifths_of_a_class_are_pressure(count: int, found: int) -> None:
    assert len(port_pressure(nat(count), [])) == found


def test_a_flow_that_ends_gives_way_since_linux_6_5() -> None:
    rules = [NatRange("203.0.113.7/32", None, (5000, 5049))]
    flows = nat(50, reply_dport=range(5000, 5050), tcp_state=TIME_WAIT)
    (pressure,) = port_pressure(flows, rules, kernel="6.5.0")
    assert (pressure.held, pressure.ending, pressure.capacity) == (0, 50, 50)
    (pressure,) = port_pressure(flows, rules, kernel="6.4.16-generic")
    assert (pressure.held, pressure.ending, pressure.capacity) == (50, 0, 50)


def test_what_is_not_translated_is_no_pressure() -> None:
    assert port_pressure(nat(60_000, status=SEEN), []) == []
