"""Options to a predicate: what the filter options of a command line mean.

Owns the meaning of ``-s``, ``-u``, ``-n`` and their like; matching is :mod:`pyconntrack.filter`'s.
"""

from __future__ import annotations

from ..filter import And, Bits, Differ, In, Label, Net, Not, Or, equals, host
from ..wire import consts as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..filter import Node
    from .parse import Command

_NUMBERS = (
    "orig_icmp_type", "orig_icmp_code", "orig_icmp_id", "tcp_state", "sctp_state", "dccp_state",
    "dccp_role", "sctp_vtag_orig", "sctp_vtag_reply", "id", "zone", "orig_zone",
    "reply_zone",
)  # fmt: skip
_PORTS = ("orig_sport", "orig_dport", "reply_sport", "reply_dport")
_ADDRESSES = ("orig_src", "orig_dst", "reply_src", "reply_dst")
_PORT_PROTOCOLS = tuple(
    (number, number)
    for number in (c.IPPROTO_TCP, c.IPPROTO_UDP, c.IPPROTO_DCCP, c.IPPROTO_SCTP, c.IPPROTO_UDPLITE)
)


def predicate(command: Command) -> Node | None:
    """The predicate of a command's filter options; None where it has none."""
    opts = command.opts
    changes = command.verb == "update"
    nodes: list[Node] = []
    if command.family:
        nodes.append(equals("family", command.family))
    if command.proto is not None:
        nodes.append(equals("orig_proto", command.proto))
    for name in _ADDRESSES:
        if name in opts:
            mask = opts.get(name + "_mask")
            address = opts[name]
            nodes.append(Net(name, (address, mask)) if mask else host(name, address))
    nodes += _ports(command)
    for name in _NUMBERS:
        if name in opts and not (changes and name.endswith("_state")):
            nodes.append(_zone(name, opts[name]) if "zone" in name else equals(name, opts[name]))
    if not changes:
        nodes += _values(opts)
    elif "labels" in opts:
        nodes += [Label(bit) for bit in opts["labels"]]
    if "secmark" in opts:
        # conntrack(8) lets entries pass that have none, as nearly all are
        there = In("secmark", (0, 0xFFFFFFFF))
        nodes.append(Or((Not(there), equals("secmark", opts["secmark"]))))
    nodes += _nat(opts)
    if "where" in opts:
        nodes += _where(opts["where"])
    return And(nodes) if nodes else None


def _where(text: str) -> list[Node]:
    """The terms of an expression; UsageError, which points at the column, where it is wrong."""
    from ..where import WhereError, parse
    from .values import UsageError

    try:
        node = parse(text)
    except WhereError as error:
        raise UsageError(f"--where: {error}", hint=False) from None
    return list(node.nodes) if isinstance(node, And) else [node]


def _zone(name: str, number: int) -> Node:
    """An entry in zone 0 has no zone to tell."""
    if number:
        return equals(name, number)
    return Or((Not(In(name, (0, 0xFFFF))), equals(name, 0)))


def _ports(command: Command) -> list[Node]:
    found = [name for name in _PORTS if name in command.opts]
    nodes: list[Node] = []
    for name in found:
        value = command.opts[name]
        nodes.append(equals(name, value) if isinstance(value, int) else In(name, *value))
    if found and command.proto is None:
        nodes.append(In("orig_proto", *_PORT_PROTOCOLS))
    return nodes


def _values(opts: dict[str, Any]) -> list[Node]:
    """Options that an update takes for new values."""
    nodes: list[Node] = []
    if "mark" in opts:
        value, mask = opts["mark"]
        nodes.append(Bits("mark", 0xFFFFFFFF if mask is None else mask, value))
    if "status" in opts:
        on, off = opts["status"]
        nodes.append(Bits("status", on | off, on) if not on & off else Or(()))
    nodes += [Label(bit) for bit in opts.get("labels", ())]
    return nodes


def _nat(opts: dict[str, Any]) -> list[Node]:
    nodes: list[Node] = []
    if "src_nat" in opts:
        nodes.append(_one_nat(opts["src_nat"], c.IPS_SRC_NAT_DONE, "orig_s", "reply_d"))
    if "dst_nat" in opts:
        nodes.append(_one_nat(opts["dst_nat"], c.IPS_DST_NAT_DONE, "orig_d", "reply_s"))
    if "any_nat" in opts:
        target = opts["any_nat"]
        nodes.append(
            Or(
                (
                    _one_nat(target, c.IPS_SRC_NAT_DONE, "orig_s", "reply_d"),
                    _one_nat(target, c.IPS_DST_NAT_DONE, "orig_d", "reply_s"),
                )
            )
        )
    return nodes


def _one_nat(target: tuple[bytes | None, int | None], bit: int, near: str, far: str) -> Node:
    """A flow whose `near` end is seen as another at the `far` end: "s" is src/sport, "d" dst."""
    side = {"s": ("src", "sport"), "d": ("dst", "dport")}
    near_fields = [near[:-1] + name for name in side[near[-1]]]
    far_fields = [far[:-1] + name for name in side[far[-1]]]
    changed = Or(Differ(a, b) for a, b in zip(near_fields, far_fields, strict=True))
    nodes: list[Node] = [Bits("status", bit, bit), changed]
    address, port = target
    if address is not None:
        nodes.append(host(far_fields[0], address))
    if port is not None:
        nodes.append(equals(far_fields[1], port))
    return And(nodes)
