"""Port pressure: how many of the ports that a source may be translated to are held.

The kernel needs a free port for each public address, protocol and destination (address and port):
one public port serves many destinations at once.  Where a rule names no ports, it keeps classes of
source ports (nf_nat_l4proto_unique_tuple); where all rules for an address name some, those of all
are one range.  Flows that end (TIME_WAIT and later states) give way to new ones since Linux 6.5
(nf_nat_used_tuple_harder) and are counted apart.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, NamedTuple

from ..columnar.arrangement import members

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..columnar.columns import Bools
    from ..columnar.flow_table import FlowTable
    from .observation import NatRange

    Ports = tuple[int, int]

#: the ports that are searched for sources below 512, below 1024, and others
CLASSES: tuple[Ports, ...] = ((1, 511), (600, 1023), (1024, 65535))
#: the kernel in which a new connection was first given the port of one that ends
_EVICTS = (6, 5)
#: what two connections may not have in common, apart from the public port
_PAIR = ("orig_proto", "zone", "reply_zone", "reply_dst", "reply_src", "reply_sport")
_NEEDED = (*_PAIR, "orig_src", "reply_dport", "status", "tcp_state")
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


def port_pressure(
    flows: FlowTable, nat: Sequence[NatRange], *, share: float = 80.0, kernel: str = ""
) -> list[Pressure]:
    """Return the ranges of ports of which at least ``share`` percent are held, the fullest first.

    ``nat``: what the rules translate to; ``kernel``: the release, the running kernels' habits
    without one.  Only what is translated is looked at, and only protocols with ports.
    """
    table = flows.select(*_NEEDED)[flows.mask("reply_dport")]
    if not len(table) or not table["status"].has("SRC_NAT").any():
        return []
    sizes = [_size(CLASSES[1:2])] + [_size([each.ports]) for each in nat if each.ports]
    least = max(1, int(min(sizes) * share / 100))
    evicts = _release(kernel) >= _EVICTS
    known: dict[tuple[str, str], tuple[Ports, ...]] = {}
    found = []
    for rows in members(table, _PAIR, least):
        pair = table[rows]
        translated = pair["status"].has("SRC_NAT")
        if not translated.any():
            continue
        protocol, address = str(pair["orig_proto"][0]), str(pair["reply_dst"][0])
        if (protocol, address) not in known:
            known[protocol, address] = _ranges(address, protocol, nat)
        ranges = known[protocol, address]
        if ranges:
            outside = (translated & ~_within(pair, ranges)).any()
            classes, assumed = [ranges], bool(outside)
        else:
            classes, assumed = [(each,) for each in CLASSES], _is_assumed(address, protocol, nat)
        ending = _ending(pair) if evicts else ~pair.mask("reply_dport")
        for ports in classes:
            inside = _within(pair, ports)
            held = inside & ~ending
            number, capacity = int(held.sum()), _size(ports)
            gives_way = int((inside & ending).sum())
            if not number + gives_way or 100 * number < share * capacity:
                continue
            found.append(
                Pressure(
                    protocol, address, str(pair["reply_src"][0]), int(pair["reply_sport"][0]),
                    _zone(pair), ports, capacity, assumed, number, gives_way, *_client(pair[held]),
                )
            )  # fmt: skip
    return sorted(found, key=lambda each: -each.share)


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


def _rules(address: str, protocol: str, nat: Sequence[NatRange]) -> list[NatRange]:
    """Return the ranges of rules that translate to ``address``.

    Where rules name it, those of the outgoing interface's address are for others.
    """
    own = ip_address(address)
    matching = [
        each
        for each in nat
        if each.source != "xt"
        and each.protocol in (None, protocol)
        and each.family in (None, f"ipv{own.version}")
        and (each.address is None or own in ip_network(each.address))
    ]
    return [each for each in matching if each.address is not None] or matching


def _is_assumed(address: str, protocol: str, nat: Sequence[NatRange]) -> bool:
    return not _rules(address, protocol, nat)


def _ranges(address: str, protocol: str, nat: Sequence[NatRange]) -> tuple[Ports, ...]:
    """Return the ports of all rules for ``address``, () if the kernel's classes are used."""
    union: list[Ports] = []
    for each in sorted(each.ports or (0, 0) for each in _rules(address, protocol, nat)):
        if each == (0, 0):
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
