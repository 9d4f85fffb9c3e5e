"""Healthy namespaces on the real kernel: doctor raises no alarm, and changes nothing."""

from __future__ import annotations

import random

import pytest

from pyconntrack import Conntrack, Flow, Tuple
from pyconntrack.doctor import examine, snapshot
from support.faults import host
from support.netns import fresh_netns, sysctl
from support.traffic import nft

pytestmark = pytest.mark.usefixtures("netns")

_RULES = """
table inet any {
  chain postrouting { type nat hook postrouting priority 100; snat ip to 203.0.113.7
  }
  chain forward { type filter hook forward priority 0; ct state established accept
  }
}
"""
_TCP = ("SYN_SENT", "SYN_RECV", "ESTABLISHED", "ESTABLISHED", "TIME_WAIT", "CLOSE_WAIT", "CLOSE")


def any_flow(rng: random.Random, number: int) -> Flow:
    """A flow of one of a few clients: of any protocol, state and timeout, translated or not."""
    proto = rng.choice(["tcp", "tcp", "udp", "icmp"])
    client, server = host(rng.randrange(200), 10), host(rng.randrange(5000), 45)
    status = rng.choice([[], ["SEEN_REPLY"], ["SEEN_REPLY", "ASSURED"]])
    zone = rng.choice([None, None, None, 1, 2])
    if proto == "icmp":
        orig = Tuple(client, server, "icmp", icmp_type=8, icmp_code=0, icmp_id=number)
        return Flow(orig, timeout=rng.randrange(1, 30), status=status, zone=zone)
    port = rng.choice([53, 80, 443])
    orig = Tuple(client, server, proto, 1024 + number, port)
    reply = orig.inverted()
    if rng.random() < 0.5:
        reply = Tuple(server, "203.0.113.7", proto, port, rng.choice([1024, 30_000]) + number)
    state = rng.choice(_TCP) if proto == "tcp" else None
    timeout = rng.choice([1, 30, 120, 431_999])
    return Flow(orig, reply, timeout=timeout, status=status, zone=zone, tcp_state=state)


@pytest.mark.parametrize("seed", range(10))
def test_ten_healthy_tables_of_any_kind_raise_no_alarm(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        with fresh_netns(), Conntrack() as ct:
            nft(_RULES)
            for name in ("acct", "timestamp", "tcp_loose", "tcp_be_liberal", "checksum"):
                sysctl(f"nf_conntrack_{name}", rng.randrange(2))
            flows = [any_flow(rng, number) for number in range(rng.choice([0, 3, 50, 300]))]
            assert ct.load(flows) == []
            findings = examine(snapshot(ct, rng.choice([0.01, 0.03])))
        assert [each for each in findings if each.severity in ("crit", "unknown")] == []


def test_a_look_leaves_the_namespace_as_it_was() -> None:
    rng = random.Random(0)
    with fresh_netns(), Conntrack() as ct:
        flows = [any_flow(rng, number).replace(timeout=600) for number in range(300)]
        assert ct.load(flows) == []

        def seen() -> set[Flow]:
            return {flow.replace(timeout=None) for flow in ct.dump()}

        before, settings = seen(), {name: sysctl(f"nf_conntrack_{name}") for name in _SETTINGS}
        snapshot(ct, 0.05)
        assert seen() == before
        assert {name: sysctl(f"nf_conntrack_{name}") for name in _SETTINGS} == settings


_SETTINGS = ("acct", "events", "timestamp", "tcp_loose", "max", "buckets")
