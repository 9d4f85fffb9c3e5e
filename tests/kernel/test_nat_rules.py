"""What nft shows of rules that translate sources, and of rules that need tracking."""

from __future__ import annotations

import copy
import json
import random
import subprocess
from typing import Any

import pytest

from pyconntrack.doctor import NatRange
from pyconntrack.doctor.rules import nat_ranges, needs_tracking
from support.netns import Namespace
from support.traffic import nft, tool

MAPS = """
map hosts { type inet_service : ipv4_addr; elements = { 80 : 10.9.9.1, 81 : 10.9.9.2 } }
map places { type ipv4_addr : ipv4_addr . inet_service; elements = { 10.8.8.1 : 10.9.9.3 . 99 } }
map spans { type ipv4_addr : interval ipv4_addr; flags interval
            elements = { 10.8.8.1 : 10.9.9.4-10.9.9.5 } }
"""
FOUR = "ipv4"


def ruleset() -> Any:
    argv = [tool("nft"), "-j", "list", "ruleset"]
    return json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)


def loaded(rule: str, family: str = "ip") -> Any:
    nft(f"table {family} t {{ {MAPS}\n chain post {{ type nat hook postrouting priority 100;\n"
        f"{rule}\n }}\n }}")  # fmt: skip
    return ruleset()


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("snat to 192.0.2.7", [NatRange("192.0.2.7/32", None, None, "nft", FOUR)]),
        ("tcp dport 80 snat to 192.0.2.4-192.0.2.8:1024-2000",
         [NatRange("192.0.2.4/30", "tcp", (1024, 2000), "nft", FOUR),
          NatRange("192.0.2.8/32", "tcp", (1024, 2000), "nft", FOUR)]),
        ("ip protocol udp masquerade to :4000-5000",
         [NatRange(None, "udp", (4000, 5000), "masquerade", FOUR)]),
        ("meta l4proto { tcp, udp } masquerade random",
         [NatRange(None, "tcp", None, "masquerade", FOUR),
          NatRange(None, "udp", None, "masquerade", FOUR)]),
        ("meta l4proto tcp snat to 192.0.2.7:5000",
         [NatRange("192.0.2.7/32", "tcp", (5000, 5000), "nft", FOUR)]),
        ("snat to ip saddr map { 10.0.0.0/24 : 192.0.2.1, 10.0.1.0/24 : 192.0.2.2 }",
         [NatRange("192.0.2.1/32", None, None, "nft", FOUR),
          NatRange("192.0.2.2/32", None, None, "nft", FOUR)]),
        ("snat ip prefix to ip saddr map { 10.0.0.0/24 : 192.0.3.0/24 }",
         [NatRange("192.0.3.0/24", None, None, "nft", FOUR)]),
        ("snat to tcp dport map @hosts",
         [NatRange("10.9.9.1/32", None, None, "nft", FOUR),
          NatRange("10.9.9.2/32", None, None, "nft", FOUR)]),
        ("meta l4proto tcp snat ip to ip saddr map @places",
         [NatRange("10.9.9.3/32", "tcp", (99, 99), "nft", FOUR)]),
        ("snat to ip saddr map @spans", [NatRange("10.9.9.4/31", None, None, "nft", FOUR)]),
        ("ip daddr 10.0.0.1 accept", []),
    ],
)  # fmt: skip
def test_source_translations_are_read(rule: str, wanted: list[NatRange]) -> None:
    assert list(nat_ranges(loaded(rule))) == wanted


def test_addresses_of_version_6_are_read(netns: Namespace) -> None:
    nft("table inet t { chain post { type nat hook postrouting priority 100;\n"
        "snat ip6 to 2001:db8::/64\n masquerade\n }\n }")  # fmt: skip
    assert nat_ranges(ruleset()) == (
        NatRange("2001:db8::/64", None, None, "nft", "ipv6"),
        NatRange(None, None, None, "masquerade", None),
    )


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize(
    ("rule", "needed"),
    [
        ("tcp dport 80 accept", False),
        ("ct state new accept", True),
        ("ct mark set 5", True),
        ("tcp dport { 80, 81 } meta mark set ct mark", True),
        ("ip saddr 10.0.0.1 counter notrack", False),
        ("meter m { ip saddr ct count over 5 } drop", True),
    ],
)
def test_rules_that_need_tracking_are_known(rule: str, needed: bool) -> None:
    nft(f"table ip t {{ chain c {{ type filter hook prerouting priority -300;\n {rule}\n }}\n }}")
    assert needs_tracking(ruleset()) is needed


@pytest.mark.usefixtures("netns")
def test_what_is_not_understood_is_left_out() -> None:
    """Rulesets as other versions of nft may print them."""
    whole = loaded("tcp dport 80 snat to ip saddr map { 10.0.0.0/24 : 192.0.2.1-192.0.2.9 }\n"
                   "meta l4proto tcp snat ip to ip saddr map @places")  # fmt: skip
    chance = random.Random(4)
    odd: list[Any] = [None, 7, "x", [], {}, [None], {"range": 1}, {"set": 5}, True]
    for _ in range(2000):
        changed = copy.deepcopy(whole)
        place: Any = changed
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = chance.choice(keys)
            if not isinstance(place[key], (dict, list)) or chance.random() < 0.15:
                place[key] = chance.choice(odd)
                break
            place = place[key]
        nat_ranges(changed)
        needs_tracking(changed)
