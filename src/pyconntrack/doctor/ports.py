"""Port pressure: how many of the ports that a source may be translated to are held.

The kernel needs a free port for each public address, protocol and destination (address and port):
one public port serves many destinations at once.  Where a rule names no ports, it keeps classes of
source ports (nf_nat_l4proto_unique_tuple); where all rules for an address name some, those of all
are one range.  Flows that end (TIME_WAIT and later states) give way to new ones since Linux 6.5
(nf_nat_used_tuple_harder) and are counted apart.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

from ..columnar.arrangement import members

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..columnar.columns import Bools
    from ..columnar.flow_table import FlowTable
    from .observation import NatRange

    Ports = tuple[int, int]
    Network = IPv4Network | IPv6Network | None

#: the ports that are searched for sources below 512, below 1024, and others
CLASSES: tuple[Ports, ...] = ((1, 511), (600, 1023), (1024, 65535))
_ANY = (-1, -1)
#: the kernel in which a new connection was first given the port of one that ends
_EVICTS = (6, 5)
#: what two connections may not have in common, apart from the public port
_PAIR = ("orig_proto", "zone", "reply_zone", "reply_dst", "reply_src", "reply_sport")
#: without which there is no public port
_OWN = ("orig_proto", "reply_dst", "reply_src", "reply_sport", "reply_dport")
#: what is looked at of each flow
_EACH = ("reply_dport", "status", "tcp_state")
_ENDING = ("TIME_WAIT", "CLOSE", "SYN_SENT2")


class Pressure(NamedTuple):
    """The ports of one public address towards one destination.

    ``address``: the public one; ``destination``, ``port``, ``protocol``: to where; ``zone``: None
    without one; ``ranges``: the public ports, which ``capacity`` counts; ``assumed``: no rule that
    can be read names them, or flows have ports outside.  ``held``: by flows that do not give way;
    ``ending``: by flows that do; ``client``: the inside host that holds most, with ``client_held``
    of them.
    """

    protocol: str
    address: str
    destination: str
    port: int
    zone: int | None
    ranges: tuple[Ports, ...]
    capacity: int
    assumed: bool
    held: int
    ending: int
    client: str = ""
    client_held: int = 0

    @property
    def share(self) -> float:
        """Return the part of the ports that is held, in percent."""
        return 100 * self.held / self.capacity

    @property
    def alarming(self) -> bool:
        """Return whether that all ports are held is an alarm though nothing failed.

        It is not where the capacity is assumed, nor where a rule pins one port for one connection.
        """
        return not self.assumed and self.capacity > 1


def port_pressure(
    flows: FlowTable, nat: Sequence[NatRange], *, share: float = 80.0, kernel: str = ""
) -> list[Pressure]:
    """Return the ranges of ports of which ``share`` percent are in use, those held most first.

    In use are also the ports of flows that end.

    ``nat``: what the rules translate to; ``kernel``: the release, the running kernels' habits
    without one.  Only what is translated is looked at, and only protocols with ports.
    """
    if not flows["status"].has("SRC_NAT").any():
        return []
    table, sources = flows.select(*_EACH), flows.select("orig_src")
    sizes = [_size(CLASSES[1:2])] + [_size([each.ports]) for each in nat if each.ports]
    least = max(1, int(min(sizes) * share / 100))
    evicts = _release(kernel) >= _EVICTS
    networks = [
        (each, ip_network(each.address, strict=False) if each.address else None)
        for each in nat
        if each.source != "xt"
    ]
    known: dict[tuple[str, str], list[NatRange]] = {}
    found = []
    for rows in members(flows, _PAIR, least):
        first, pair = flows[rows[:1]], table[rows]
        translated = pair["status"].has("SRC_NAT")
        if not (translated.any() and all(first.mask(name)[0] for name in _OWN)):
            continue
        protocol, address = str(first["orig_proto"][0]), str(first["reply_dst"][0])
        if (protocol, address) not in known:
            known[protocol, address] = _rules(address, protocol, networks)
        rules = known[protocol, address]
        ranges = _union(rules)
        outside = bool(ranges) and bool((translated & ~_within(pair, ranges)).any())
        ending = _ending(pair) & evicts
        for ports in [ranges] if ranges else [(each,) for each in CLASSES]:
            inside, capacity = _within(pair, ports), _size(ports)
            held = inside & ~ending
            number, gives_way = int(held.sum()), int((inside & ending).sum())
            used = number + gives_way
            if not used or 100 * used < share * capacity:
                continue
            found.append(
                Pressure(
                    protocol, address, str(first["reply_src"][0]), int(first["reply_sport"][0]),
                    _zone(first), ports, capacity, outside or not rules, number, gives_way,
                    *_client(sources[rows[held]]),
                )
            )  # fmt: skip
    return sorted(found, key=lambda each: (-each.share, *each[:4], each.zone or 0, each.ranges))


def _ending(pair: FlowTable) -> Bools:
    """Return a mask of the flows that give way to a new connection (nf_nat_may_kill)."""
    status = pair["status"]
    kept = status.has_any("FIXED_TIMEOUT", "DYING", "OFFLOAD", "HW_OFFLOAD")
    return pair["tcp_state"].isin(_ENDING) & status.has("SRC_NAT") & ~kept


def _client(held: FlowTable) -> tuple[str, int]:
    """Return the source of most flows, and of how many."""
    if not len(held):
        return "", 0
    rows = members(held, ["orig_src"])[0]
    return str(held["orig_src"][int(rows[0])]), len(rows)


def _zone(pair: FlowTable) -> int | None:
    for name in ("zone", "reply_zone"):
        if pair.mask(name)[0]:
            return int(pair[name][0])
    return None


def _within(pair: FlowTable, ranges: Iterable[Ports]) -> Bools:
    """Return a mask of the flows whose public port is in one of ``ranges``."""
    port = pair["reply_dport"]
    inside: Bools = port != port
    for low, high in ranges:
        inside |= (port >= low) & (port <= high)
    return inside


def _size(ranges: Iterable[Ports]) -> int:
    return sum(high - low + 1 for low, high in ranges)


def _rules(
    address: str, protocol: str, networks: Iterable[tuple[NatRange, Network]]
) -> list[NatRange]:
    """Return the ranges of rules that translate to ``address``.

    Where rules name it, those of the outgoing interface's address are for others.
    """
    own = ip_address(address)
    matching = [
        each
        for each, network in networks
        if each.protocol in (None, protocol)
        and each.family in (None, f"ipv{own.version}")
        and (not network or own in network)
    ]
    return [each for each in matching if each.address is not None] or matching


def _union(rules: Iterable[NatRange]) -> tuple[Ports, ...]:
    """Return the ports of all ``rules``, () if one of them keeps the kernel's classes."""
    union: list[Ports] = []
    for each in sorted(rule.ports or _ANY for rule in rules):
        if each == _ANY:
            return ()
        if union and each[0] <= union[-1][1] + 1:
            union[-1] = (union[-1][0], max(union[-1][1], each[1]))
        else:
            union.append(each)
    return tuple(union)


def _release(kernel: str) -> tuple[int, ...]:
    """Return the first two numbers of a kernel's release; a new one's if it names none."""
    numbers = kernel.split("-", maxsplit=1)[0].split(".")[:2]
    if len(numbers) == 2 and all(each.isascii() and each.isdigit() for each in numbers):
        return tuple(map(int, numbers))
    return _EVICTS
