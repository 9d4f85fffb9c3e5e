"""Convert the filter options of a command line to a predicate."""

from __future__ import annotations

from ..ctnetlink.predicates import (
    And,
    Bits,
    In,
    Label,
    Net,
    Not,
    Or,
    equals,
    host,
    translated,
)
from .console import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..ctnetlink.predicates import Node
    from .parser import Command

_NUMBERS = (
    "orig_srckey", "orig_dstkey", "reply_srckey", "reply_dstkey",
    "orig_icmp_type", "orig_icmp_code", "orig_icmp_id", "tcp_state", "sctp_state", "dccp_state",
    "dccp_role", "sctp_vtag_orig", "sctp_vtag_reply", "id", "zone", "orig_zone", "reply_zone",
)  # fmt: skip
_PORTS = ("orig_sport", "orig_dport", "reply_sport", "reply_dport")
_ADDRESSES = ("orig_src", "orig_dst", "reply_src", "reply_dst")


def predicate(command: Command) -> Node | None:
    """Return the predicate of a command's filter options, or None if it has none."""
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
    for name in _PORTS:
        if name in opts:
            value = opts[name]
            nodes.append(equals(name, value) if isinstance(value, int) else In(name, *value))
    for name in _NUMBERS:
        if name in opts and not (changes and name.endswith("_state")):
            nodes.append(equals(name, opts[name]))
    if not changes:  # which takes these as new values
        if "mark" in opts:
            value, mask = opts["mark"]
            nodes.append(Bits("mark", 0xFFFFFFFF if mask is None else mask, value))
        if "status" in opts:
            on, off = opts["status"]
            nodes.append(Bits("status", on | off, on) if not on & off else Or(()))
    nodes += [Label(bit) for bit in opts.get("labels", ())]
    if "secmark" in opts:
        # conntrack(8) passes entries without one, which nearly all are
        there = In("secmark", (0, 0xFFFFFFFF))
        nodes.append(Or((Not(there), equals("secmark", opts["secmark"]))))
    ends = (("src", "dst"), ("dst", "src"))
    nodes += [_nat(opts[f"{near}_nat"], near, far) for near, far in ends if f"{near}_nat" in opts]
    if "any_nat" in opts:
        nodes.append(Or(_nat(opts["any_nat"], near, far) for near, far in ends))
    if "where" in opts:
        nodes += _where(opts["where"])
    return And(nodes) if nodes else None


def _where(text: str) -> list[Node]:
    """Return the terms of an expression; raise UsageError that points at the wrong column."""
    from ..where import WhereError, parse

    try:
        node = parse(text)
    except WhereError as error:
        raise UsageError(f"--where: {error}", hint=False) from None
    return list(node.nodes) if isinstance(node, And) else [node]


def _nat(target: tuple[bytes | None, int | None], near: str, far: str) -> Node:
    """Return the predicate for flows whose original ``near`` end is translated to ``target``."""
    address, port = target
    nodes: list[Node] = [translated(near, far)]
    if address is not None:
        nodes.append(host(f"reply_{far}", address))
    if port is not None:
        nodes.append(equals(f"reply_{far[0]}port", port))
    return And(nodes)
