"""Predicates over messages: narrowed by the kernel, decided in user space.

A predicate is a small tree of nodes.  :func:`bind` compiles it against a layout into a function of
the raw values (:mod:`pyconntrack.columnar.predicates` evaluates the same tree over columns), and
:func:`push_down` returns what of it the kernel can check.  The kernel only narrows: every entry
that it returns is decided again here, so a kernel that ignores or loosens the filter changes only
the speed.

A comparison with a field that an entry lacks is false.
"""

from __future__ import annotations

from ..netlink.messages import c_string
from . import constants as c
from .encode import encode
from .kinds import label_place
from .schema import CONNTRACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from .layout import Layout

    Test = Callable[[tuple[Any, ...]], bool]


class Node:
    """The base of all predicates, which combine with ``&``, ``|`` and ``~``."""

    __slots__: tuple[str, ...] = ()

    def __and__(self, other: Node) -> And:
        return And((self, other))

    def __or__(self, other: Node) -> Or:
        return Or((self, other))

    def __invert__(self) -> Not:
        return Not(self)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        values = ", ".join(repr(getattr(self, name)) for name in self.__slots__)
        return f"{type(self).__name__}({values})"


class And(Node):
    """All of ``nodes`` hold; true if there are none."""

    __slots__ = ("nodes",)

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes: tuple[Node, ...] = tuple(nodes)


class Or(Node):
    """Any of ``nodes`` holds; false if there are none."""

    __slots__ = ("nodes",)

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes: tuple[Node, ...] = tuple(nodes)


class Not(Node):
    """``node`` does not hold."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        self.node: Node = node


class In(Node):
    """The sum of ``fields`` lies in one of ``ranges`` (low, high), both ends included."""

    __slots__ = ("fields", "ranges")

    def __init__(self, fields: str | tuple[str, ...], *ranges: tuple[int, int]) -> None:
        self.fields: tuple[str, ...] = (fields,) if isinstance(fields, str) else fields
        self.ranges: tuple[tuple[int, int], ...] = ranges

    @property
    def value(self) -> int | None:
        """Return the only value that matches, None if there are several."""
        low, high = self.ranges[0] if len(self.ranges) == 1 else (0, -1)
        return low if low == high else None


class Net(Node):
    """The address ``field`` lies in one of ``networks`` (packed address, packed mask)."""

    __slots__ = ("field", "networks")

    field: str
    networks: tuple[tuple[bytes, bytes], ...]

    def __init__(self, field: str, *networks: tuple[bytes, bytes]) -> None:
        self.field, self.networks = field, networks


class Bits(Node):
    """``field & mask == want``."""

    __slots__ = ("field", "mask", "want")

    field: str
    mask: int
    want: int

    def __init__(self, field: str, mask: int, want: int) -> None:
        self.field, self.mask, self.want = field, mask, want


class Differ(Node):
    """The fields ``a`` and ``b`` are both present and differ."""

    __slots__ = ("a", "b")

    a: str
    b: str

    def __init__(self, a: str, b: str) -> None:
        self.a, self.b = a, b


class Text(Node):
    """The text ``field`` is one of ``words``."""

    __slots__ = ("field", "words")

    field: str
    words: tuple[str, ...]

    def __init__(self, field: str, *words: str) -> None:
        self.field, self.words = field, words


class Label(Node):
    """Label number ``bit`` is set in ``labels``."""

    __slots__ = ("bit",)

    def __init__(self, bit: int) -> None:
        self.bit: int = bit


def equals(field: str, value: int) -> In:
    """Return the predicate that ``field`` equals ``value``."""
    return In(field, (value, value))


def host(field: str, address: bytes) -> Net:
    """Return the predicate that the address ``field`` equals ``address``."""
    return Net(field, (address, b"\xff" * len(address)))


#: number field -> the fields that replace it in an entry that lacks it
_INSTEAD = {"zone": ("orig_zone", "reply_zone"), "orig_zone": ("zone",), "reply_zone": ("zone",)}


def or_zero(field: str, node: Node) -> Or:
    """Return the predicate of ``node`` or a ``field`` of 0, which the kernel leaves out.

    The zone of an entry is in ``zone``, or in ``orig_zone`` or ``reply_zone`` if it applies to one
    direction only; an entry without any that apply is in zone 0.
    """
    absent = (Not(In(name, (0, 0xFFFFFFFF))) for name in (field, *_INSTEAD.get(field, ())))
    return Or((node, And(absent)))


def translated(near: str, far: str) -> And:
    """Return the predicate of flows whose ``near`` end ("src" or "dst") differs at the ``far`` end.

    The status bit is no proof: the kernel also sets it if NAT rules left the flow unchanged.
    """
    bit = c.IPS_SRC_NAT_DONE if near == "src" else c.IPS_DST_NAT_DONE
    ends = (near, far), (f"{near[0]}port", f"{far[0]}port"), (f"{near}key", f"{far}key")
    changed = Or(Differ(f"orig_{here}", f"reply_{there}") for here, there in ends)
    return And((Bits("status", bit, bit), changed))


def bind(node: Node, layout: Layout) -> Test | bool:
    """Return ``node`` bound to ``layout``: a function of the raw values, or a constant answer."""
    if isinstance(node, And | Or):
        tests = [bind(inner, layout) for inner in node.nodes]
        return _join(tests, every=isinstance(node, And))
    if isinstance(node, Not):
        test = bind(node.node, layout)
        if isinstance(test, bool):
            return not test
        return lambda raw: not test(raw)
    if isinstance(node, In):
        return _bind_in(node, layout)
    names = layout.names
    if isinstance(node, Net):
        return _bind_net(node, layout)
    if isinstance(node, Bits | Text):
        if node.field not in layout.slots:
            return False
        at = names.index(node.field)
        if isinstance(node, Bits):
            mask, want = node.mask, node.want
            return lambda raw: raw[at] & mask == want
        texts = {word.encode() for word in node.words}
        return lambda raw: c_string(raw[at]) in texts
    if isinstance(node, Differ):
        if node.a not in layout.slots or node.b not in layout.slots:
            return False
        a, b = names.index(node.a), names.index(node.b)
        return lambda raw: bool(raw[a] != raw[b])
    if isinstance(node, Label):
        if "labels" not in layout.slots or node.bit >= 8 * layout.slots["labels"].size:
            return False
        at, (byte, bit) = names.index("labels"), label_place(node.bit)
        return lambda raw: bool(raw[at][byte] & bit)
    raise TypeError(f"not a predicate: {node!r}")


def _join(tests: list[Test | bool], *, every: bool) -> Test | bool:
    if any(test is (not every) for test in tests):
        return not every
    rest = [test for test in tests if not isinstance(test, bool)]
    if not rest:
        return every
    if len(rest) == 1:
        return rest[0]
    if every:
        return lambda raw: all(test(raw) for test in rest)
    return lambda raw: any(test(raw) for test in rest)


def _bind_in(node: In, layout: Layout) -> Test | bool:
    ranges = node.ranges
    if len(node.fields) == 1 and node.fields[0] in layout.shape:
        value = layout.shape[node.fields[0]]
        return any(low <= value <= high for low, high in ranges)
    if any(field not in layout.slots for field in node.fields):
        return False
    places = [layout.names.index(field) for field in node.fields]
    if len(places) == 1:
        at = places[0]
        if len(ranges) == 1:
            low, high = ranges[0]
            return lambda raw: low <= raw[at] <= high
        return lambda raw: any(low <= raw[at] <= high for low, high in ranges)
    return lambda raw: any(low <= sum(raw[i] for i in places) <= high for low, high in ranges)


def _bind_net(node: Net, layout: Layout) -> Test | bool:
    slot = layout.slots.get(node.field)
    fitting = [net for net in node.networks if slot is not None and len(net[0]) == slot.size]
    if not fitting:
        return False
    at = layout.names.index(node.field)
    only, mask = fitting[0]
    if len(fitting) == 1 and mask == b"\xff" * len(only):
        return lambda raw: bool(raw[at] == only)
    numbers = [(int.from_bytes(mask), int.from_bytes(address)) for address, mask in fitting]
    nets = [(bits, number & bits) for bits, number in numbers]
    return lambda raw: any(int.from_bytes(raw[at]) & bits == want for bits, want in nets)


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
        elif isinstance(term, In) and term.fields == ("zone",) and term.value is not None:
            down.values.setdefault("zone", term.value)
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


def terms(node: Node) -> Iterator[Node]:
    """Yield the predicates whose conjunction is ``node``."""
    if isinstance(node, And):
        for inner in node.nodes:
            yield from terms(inner)
    else:
        yield node


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
