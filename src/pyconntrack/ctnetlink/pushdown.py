"""Narrow a dump to what the kernel can check of a predicate.

The kernel only narrows: every entry that it returns is decided again by
:func:`~pyconntrack.ctnetlink.predicates.bind`, so a kernel that ignores or loosens the filter
changes only the speed.
"""

from __future__ import annotations

from . import constants as c
from .encode import encode
from .predicates import And, Bits, In, Net, equals, terms
from .schema import CONNTRACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .predicates import Node


class PushDown:
    """The filter of a dump request.

    ``family``: of the dump, 0 for all; ``values``: field name -> raw value; ``terms``: the
    predicates that the kernel checks.
    """

    __slots__ = ("family", "terms", "values")

    def __init__(self) -> None:
        self.family: int = 0
        self.values: dict[str, Any] = {}
        self.terms: list[Node] = []

    @property
    def payload(self) -> bytes:
        """Return the attributes of the dump request."""
        return encode(CONNTRACK, self.values, self.family)


#: CTA_FILTER flags of the fields that the kernel compares exactly (docs/kernel.md)
_FLAGS = {
    "src": c.CTA_FILTER_F_IP_SRC,
    "dst": c.CTA_FILTER_F_IP_DST,
    "proto": c.CTA_FILTER_F_PROTO_NUM,
    "sport": c.CTA_FILTER_F_SRC_PORT,
    "dport": c.CTA_FILTER_F_DST_PORT,
    "icmp_type": c.CTA_FILTER_F_ICMP_TYPE,
    "icmp_code": c.CTA_FILTER_F_ICMP_CODE,
    "icmp_id": c.CTA_FILTER_F_ICMP_ID,
}


def push_down(node: Node | None) -> PushDown:
    """Return what of ``node`` the kernel can check (net/netfilter/nf_conntrack_netlink.c).

    Only terms that every match must satisfy, with one value each; tuple parts only if the family is
    known; ports only of TCP and UDP.  Never IPv6 addresses: some kernels invert the comparison,
    and a second check cannot bring back entries that did not come.
    """
    down = PushDown()
    if node is None:
        return down
    wanted = list(terms(node))
    for term in wanted:
        if isinstance(term, In) and term.fields == ("family",) and term.value is not None:
            down.family = term.value
            down.terms.append(term)
    if not down.family:
        sizes = {len(a) for t in wanted if isinstance(t, Net) for a, _ in t.networks}
        if len(sizes) == 1:
            down.family = c.AF_INET if sizes == {4} else c.AF_INET6
    for term in wanted:
        if isinstance(term, Bits) and term.field in ("mark", "status") and term.mask:
            if term.field not in down.values and not term.want & ~term.mask:
                down.values[term.field] = term.want
                down.values[term.field + "_mask"] = term.mask
                down.terms.append(term)
        elif (
            isinstance(term, In) and term.fields == ("zone",) and term.value is not None
            and down.values.setdefault("zone", term.value) == term.value
        ):  # fmt: skip
            down.terms.append(term)
    if down.family in (c.AF_INET, c.AF_INET6):
        for direction in ("orig", "reply"):
            _push_tuple(down, wanted, direction)
    return down


def push_downs(node: Node | None) -> list[PushDown]:
    """Return the dumps that together hold every match: one, or one per family.

    The kernel compares parts of tuples only if the family is given, so a predicate with such parts
    and no family takes a dump of IPv4 and one of IPv6, which pays off for large tables.
    """
    down = push_down(node)
    if node is None or down.family:
        return [down]
    both = [push_down(And((equals("family", number), node))) for number in (c.AF_INET, c.AF_INET6)]
    return both if any(len(one.terms) > len(down.terms) + 1 for one in both) else [down]


def _push_tuple(down: PushDown, wanted: list[Node], direction: str) -> None:
    found: dict[str, tuple[Any, Node]] = {}
    for term in wanted:
        if isinstance(term, Net) and len(term.networks) == 1:
            address, mask = term.networks[0]
            name = term.field.removeprefix(direction + "_")
            if name in ("src", "dst") and len(address) == 4 and mask == b"\xff\xff\xff\xff":
                found.setdefault(name, (address, term))
        elif isinstance(term, In) and len(term.fields) == 1 and term.value is not None:
            name = term.fields[0].removeprefix(direction + "_")
            if name in _FLAGS and name != term.fields[0]:
                found.setdefault(name, (term.value, term))
    proto = found["proto"][0] if "proto" in found else None
    flags = 0
    for name, (value, term) in found.items():
        if name in ("sport", "dport") and proto not in (c.IPPROTO_TCP, c.IPPROTO_UDP):
            continue
        flag = _FLAGS[name]
        if name.startswith("icmp"):
            if (proto, down.family) == (c.IPPROTO_ICMPV6, c.AF_INET6):
                flag <<= 3  # CTA_FILTER_F_ICMPV6_*
            elif (proto, down.family) != (c.IPPROTO_ICMP, c.AF_INET):
                continue
        flags |= flag
        down.values[f"{direction}_{name}"] = value
        down.terms.append(term)
    if flags:
        down.values[f"filter_{direction}_flags"] = flags
