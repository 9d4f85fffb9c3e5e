"""Convert the filter options of a command line to a predicate."""

from __future__ import annotations

from ..ctnetlink.predicates import (
    Age,
    And,
    Bits,
    Compare,
    In,
    Label,
    Net,
    Not,
    Or,
    equals,
    host,
    translated,
)
from .console import UsageError, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..ctnetlink.predicates import Node
    from ..where import WhereError
    from .parser import Command

_NUMBERS = (
    "orig_srckey", "orig_dstkey", "reply_srckey", "reply_dstkey",
    "orig_icmp_type", "orig_icmp_code", "orig_icmp_id", "tcp_state", "sctp_state", "dccp_state",
    "dccp_role", "sctp_vtag_orig", "sctp_vtag_reply", "id", "zone", "orig_zone", "reply_zone",
)  # fmt: skip
_PORTS = ("orig_sport", "orig_dport", "reply_sport", "reply_dport")
#: characters of an expression that are shown with an error in it
_SHOWN = 100
_NO_TIMES = (
    "NOTICE: age, start and stop need net.netfilter.nf_conntrack_timestamp=1: "
    "entries that begin while it is 0 have none.\n"
)
_ADDRESSES = ("orig_src", "orig_dst", "reply_src", "reply_dst")


def predicate(command: Command, *, notices: bool = True) -> Node | None:
    """Return the predicate of a command's filter options, or None if it has none.

    ``notices``: print what its user should know about the kernel's settings.
    """
    opts = command.opts
    changes = command.verb == "update"
    nodes: list[Node] = []
    if command.family:
        nodes.append(equals("family", command.family))
    if command.protocols:
        nodes.append(In("orig_proto", *((number, number) for number in command.protocols)))
    for name in _ADDRESSES:
        if name in opts:
            mask = opts.get(name + "_mask")
            address = opts[name]
            if isinstance(address, tuple):
                nodes.append(Net(name, *address))
            else:
                nodes.append(Net(name, (address, mask)) if mask else host(name, address))
    for name in _PORTS:
        if name in opts:
            value = opts[name]
            nodes.append(equals(name, value) if isinstance(value, int) else In(name, *value))
    for name in _NUMBERS:
        if name in opts and not (changes and name.endswith("_state")):
            nodes.append(_number(name, opts[name]))
    if "states" in opts:
        nodes.append(_either([_number(*stated) for stated in opts["states"]]))
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
        expression = _where(opts["where"])
        nodes += expression
        if notices and any(map(_is_timed, expression)) and _has_no_times():
            say(_NO_TIMES)
    return And(nodes) if nodes else None


def _number(name: str, value: int | tuple[int, ...]) -> Node:
    """Return the predicate that a field is a number, or one of several."""
    if isinstance(value, int):
        return equals(name, value)
    return In(name, *((number, number) for number in value))


def _either(nodes: list[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else Or(nodes)


def _where(text: str) -> list[Node]:
    """Return the terms of an expression; raise UsageError that points at the wrong column."""
    from ..where import WhereError, parse

    try:
        node = parse(text)
    except WhereError as error:
        wrong = UsageError(f"--where: {error}", hint=False)
        wrong.excerpt = _excerpt(error)
        raise wrong from None
    return list(node.nodes) if isinstance(node, And) else [node]


def _excerpt(error: WhereError) -> list[str]:
    """Return the expression, of a long one the part about the error, and a caret under it."""
    text, caret = error.caret().split("\n")
    begin = max(0, len(caret) - _SHOWN // 2) if len(text) > _SHOWN else 0
    return [text[begin : begin + _SHOWN], caret[begin:]]


def _is_timed(node: Node) -> bool:
    """Return whether ``node`` asks for a time of an entry."""
    if isinstance(node, And | Or):
        return any(map(_is_timed, node.nodes))
    if isinstance(node, Not):
        return _is_timed(node.node)
    fields = (node.a, node.b) if isinstance(node, Compare) else getattr(node, "fields", ())
    return isinstance(node, Age) or not {"timestamp_start", "timestamp_stop"}.isdisjoint(fields)


def _has_no_times() -> bool:
    """Return whether entries that begin now in this namespace get no times."""
    try:
        with open("/proc/sys/net/netfilter/nf_conntrack_timestamp", "rb") as file:
            return file.read().strip() == b"0"
    except OSError:
        return False


def _nat(target: tuple[bytes | None, int | None], near: str, far: str) -> Node:
    """Return the predicate for flows whose original ``near`` end is translated to ``target``."""
    address, port = target
    nodes: list[Node] = [translated(near, far)]
    if address is not None:
        nodes.append(host(f"reply_{far}", address))
    if port is not None:
        nodes.append(equals(f"reply_{far[0]}port", port))
    return And(nodes)
