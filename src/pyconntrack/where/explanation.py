"""Explain what of a predicate the kernel checks, and why not the rest."""

from __future__ import annotations

from ..ctnetlink import constants as c
from ..ctnetlink.predicates import (
    Bits,
    Compare,
    In,
    Label,
    Net,
    Node,
    Not,
    Or,
    Text,
    terms,
)
from ..ctnetlink.pushdown import push_down
from ..ctnetlink.vocabulary import FAMILY
from .fields import dotted
from .unparse import Unlike, show, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..ctnetlink.pushdown import PushDown


def explain(node: Node | None) -> list[str]:
    """Return lines that explain what of ``node`` the kernel filters, what user space, and why."""
    if node is None:
        return ["kernel: returns the whole table", "user space: takes every entry"]
    down = push_down(node)
    kernel, user = [], []
    wanted = whole(terms(node))
    named = any(isinstance(term, In) and term.fields == ("family",) for term in down.terms)
    if down.family and not named:
        kernel.append(f"kernel: family == {FAMILY[down.family]} (that of the addresses)")
    for term in wanted:
        if any(term is pushed for pushed in down.terms) and not _shadowed(term, wanted):
            note = ""
            if isinstance(term, In) and term.fields == ("zone",):
                note = " (loosely: entries with this zone in one direction come too)"
            kernel.append(f"kernel: {show(term, 1)}{note}")
        else:
            user.append(f"user space: {show(term, 1)} ({_why(term, wanted, down)})")
    if not kernel:
        kernel.append("kernel: returns the whole table")
    if not user:
        user.append("user space: nothing more")
    return [*kernel, *user, "user space checks again what the kernel was asked to filter, as "
            "kernels before 5.8 ignore parts of it"]  # fmt: skip


def _shadowed(term: Node, wanted: list[Node]) -> bool:
    """Return whether ``term`` is a zone and an earlier one is sent instead."""
    zones = [other for other in wanted if isinstance(other, In) and other.fields == ("zone",)
             and other.value is not None]  # fmt: skip
    return term in zones and term is not zones[0]


def _why(term: Node, wanted: list[Node], down: PushDown) -> str:
    """Return why the kernel cannot check ``term``."""
    if isinstance(term, Or):
        return "the kernel knows no `or'"
    if isinstance(term, (Not, Unlike)):
        return "the kernel knows no `not'"
    if isinstance(term, Compare):
        return "the kernel does not compare fields with each other"
    if isinstance(term, (Text, Label)):
        return f"the kernel has no filter for {'labels' if isinstance(term, Label) else 'texts'}"
    if isinstance(term, Net):
        return _why_net(term, down)
    if isinstance(term, Bits):
        if term.field in ("mark", "status"):
            return f"the kernel takes one mask of {term.field}"
        return f"the kernel has no filter for {dotted(term.field)}"
    if isinstance(term, In) and len(term.fields) == 1:
        return _why_in(term, wanted, down)
    return "the kernel has no filter for counters"


def _why_net(term: Net, down: PushDown) -> str:
    if not term.field.startswith(("orig_", "reply_")):
        return f"the kernel has no filter for {dotted(term.field)}"
    if any(len(address) == 16 for address, _ in term.networks):
        return "some kernels invert the test of an IPv6 address"
    if len(term.networks) > 1:
        return "the kernel compares with one address"
    if any(byte != 0xFF for byte in term.networks[0][1]):
        return "the kernel compares whole addresses, not networks"
    if down.family != c.AF_INET:
        return "the kernel compares addresses only with the family set"
    return f"the kernel compares {dotted(term.field)} with one address"


def _why_in(term: In, wanted: list[Node], down: PushDown) -> str:
    name = term.fields[0]
    direction, _, part = name.partition("_")
    if name == "family":
        return "every entry has one of these"
    if part in ("packets", "bytes"):
        return "the kernel has no filter for counters"
    pushable = name in ("zone", "mark", "status") or (
        direction in ("orig", "reply")
        and (part in ("proto", "sport", "dport") or part.startswith("icmp"))
    )
    if not pushable:
        return f"the kernel has no filter for {dotted(name)}"
    if term.value is None:
        return "the kernel compares with one value, not with ranges or sets"
    if down.family == c.AF_INET6:
        return "tuples are only asked for in IPv4: some kernels invert IPv6 tests"
    if part and not down.family:
        return "the kernel compares tuples only with the family set: add `family == ipv4'"
    protocols = [t.value for t in wanted if isinstance(t, In) and t.value is not None
                 and t.fields == (direction + "_proto",)]  # fmt: skip
    if part in ("sport", "dport") and protocols[:1] not in ([c.IPPROTO_TCP], [c.IPPROTO_UDP]):
        return f"the kernel compares ports only with {direction}.proto == tcp or udp"
    if part.startswith("icmp") and protocols[:1] != [c.IPPROTO_ICMP]:
        return f"the kernel compares ICMP fields only with {direction}.proto == icmp"
    return f"the kernel compares {dotted(name)} with one value"
