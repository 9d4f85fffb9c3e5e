"""Explain what of a predicate the kernel checks in a dump, and why not the rest."""

from __future__ import annotations

from ..ctnetlink import constants as c
from ..ctnetlink.predicates import (
    Age,
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
from ..ctnetlink.vocabulary import FAMILY
from .fields import dotted
from .unparse import Unlike, show, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..ctnetlink.pushdown import PushDown

AGAIN = (
    "user space checks again what the kernel was asked to filter, as kernels before 5.8 ignore "
    "parts of it"
)
#: how a user writes what lets the kernel check more: the family; the protocol of the original
#: direction, and that of the reply direction
EXPRESSION = ("family == ipv4", "orig.proto == {}", "reply.proto == {}")
OPTIONS = ("-f ipv4", "-p {}", "--where 'reply.proto == {}'")
KEYWORDS = ('family="ipv4"', 'proto="{}"', 'reply_proto="{}"')


def explain(
    node: Node | None, dumps: Sequence[PushDown], spelling: tuple[str, str, str] = EXPRESSION,
    *, reason: str = "", both: bool = False,
) -> list[str]:  # fmt: skip
    """Return lines that explain what of ``node`` the kernel filters, what user space, and why.

    ``dumps``: those that are requested, none for the whole table; ``reason``: why they are not
    narrowed, or why there are several; ``spelling``: how the user writes a condition;
    ``both``: whether tables of this size are read once for each family if that narrows.
    """
    because = f" ({reason})" if reason else ""
    nothing = f"kernel: returns the whole table{because if not dumps else ''}"
    if node is None:
        return [nothing, "user space: takes every entry"]
    kernel, user = _families(node, dumps, because), []
    for term in whole(terms(node)):
        having = [down for down in dumps if term in down.terms]
        lacking = [down for down in dumps if down not in having]
        if having and not _is_family(term, dumps):
            kernel.append(f"kernel: {show(term, 1)}{_for(having, dumps)}{_loosely(term)}")
        if lacking and (not reason or len(dumps) > 1):
            why = _why(term, node, lacking[0], spelling, both)
            only = _for(lacking, dumps)
            user.append(f"user space: {show(term, 1)}{only} ({why})")
        elif not having:
            user.append(f"user space: {show(term, 1)}")
    if not user:
        user.append("user space: nothing more")
    return [*kernel, *user, AGAIN] if kernel else [nothing, *user]


def _is_family(term: Node, dumps: Sequence[PushDown]) -> bool:
    return len(dumps) < 2 and isinstance(term, In) and term.fields == ("family",)


def _families(node: Node, dumps: Sequence[PushDown], because: str) -> list[str]:
    """Return the line of the families that are asked for, if any."""
    families = [FAMILY[down.family] for down in dumps if down.family]
    if not families:
        return []
    named = any(isinstance(term, In) and term.fields == ("family",) for term in terms(node))
    note = because or ("" if named else " (that of the addresses)")
    return [f"kernel: family == {', then family == '.join(families)}{note}"]


def _for(some: Sequence[PushDown], dumps: Sequence[PushDown]) -> str:
    """Return the note of what holds for ``some`` of the ``dumps`` only."""
    if len(some) == len(dumps):
        return ""
    return f" (for {' and '.join(FAMILY[down.family] for down in some)})"


def _loosely(term: Node) -> str:
    if isinstance(term, In) and term.fields == ("zone",) and term.value:
        return " (loosely: entries with this zone in one direction come too)"
    return ""


def _why(term: Node, node: Node, down: PushDown, spelling: tuple[str, str, str], both: bool) -> str:
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
    if isinstance(term, Age):
        return "the kernel has no filter for times"
    if isinstance(term, In) and len(term.fields) == 1:
        return _why_in(term, node, down, spelling, both)
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


def _why_in(
    term: In, node: Node, down: PushDown, spelling: tuple[str, str, str], both: bool
) -> str:
    name = term.fields[0]
    direction, _, part = name.partition("_")
    if name == "family":
        return "every entry has one of these"
    if part in ("packets", "bytes"):
        return "the kernel has no filter for counters"
    if name.startswith("timestamp"):
        return "the kernel has no filter for times"
    in_tuple = direction in ("orig", "reply") and (
        part in ("proto", "sport", "dport") or part.startswith("icmp")
    )
    if not in_tuple and name not in ("zone", "mark", "status"):
        return f"the kernel has no filter for {dotted(name)}"
    if term.value is None:
        return "the kernel compares with one value, not with ranges or sets"
    if not in_tuple:
        return f"the kernel compares {dotted(name)} with one value"
    limits, hints = [], []
    if part != "proto":
        usable: tuple[int, ...] = (c.IPPROTO_TCP, c.IPPROTO_UDP)
        what, word = "ports only of tcp and udp", "tcp"
        if part.startswith("icmp"):
            six = down.family == c.AF_INET6
            usable = (c.IPPROTO_ICMPV6,) if six else (c.IPPROTO_ICMP,)
            word = "icmpv6" if six else "icmp"
            what = f"ICMP fields only of {word}"
        protocols = [
            other.value for other in terms(node)
            if isinstance(other, In) and other.fields == (direction + "_proto",)
        ]  # fmt: skip
        if protocols[:1] == [None] or not protocols or protocols[0] not in usable:
            limits.append(what)
            if not protocols:
                hints.append(spelling[1 + (direction == "reply")].format(word))
    if not down.family and not both:
        limits.append("tuples only with the family set")
        hints.append(spelling[0])
    if not limits:
        return f"the kernel compares {dotted(name)} with one value"
    advice = ": add " + " and ".join(f"`{hint}'" for hint in hints) if hints else ""
    return f"the kernel compares {', and '.join(limits)}{advice}"
