"""Predicates over messages, decided in user space.

A predicate is a small tree of nodes.  :func:`bind` compiles it against a layout into a function of
the raw values; :mod:`pyconntrack.columnar.predicates` evaluates the same tree over columns, and
:mod:`.pushdown` narrows a dump to what the kernel can check of it.

A comparison with a field that an entry lacks is false.  A mark or zone that the kernel leaves out
because it is 0 is not lacking: see :func:`constant`.
"""

from __future__ import annotations

from _operator import eq, ge, gt, le, lt, ne
from time import time_ns

from ..netlink.messages import c_string
from . import constants as c
from .kinds import label_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from .layout import Layout

    Test = Callable[[tuple[Any, ...]], bool]

#: the operators between two fields; the first two also between addresses
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}
UNORDERED = ("==", "!=")
SECOND = 10**9  # in the nanoseconds of time stamps


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


class Compare(Node):
    """The fields ``a`` and ``b`` are both present and ``a op b`` holds.

    ``op``: one of :data:`OPERATORS`; those of order hold only between numbers.
    """

    __slots__ = ("a", "b", "op")

    a: str
    op: str
    b: str

    def __init__(self, a: str, op: str, b: str) -> None:
        self.a, self.op, self.b = a, op, b


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


class Age(Node):
    """The age in whole seconds lies in one of ``ranges`` (low, high), both ends included.

    It is the time from the start to the stop of an entry, or to now.  An entry without a start
    (nf_conntrack_timestamp=0 when it began) has no age.
    """

    __slots__ = ("ranges",)
    fields: tuple[str, ...] = ("age",)

    def __init__(self, *ranges: tuple[int, int]) -> None:
        self.ranges: tuple[tuple[int, int], ...] = ranges


def now() -> int:
    """Return the nanoseconds since 1970, the clock of CTA_TIMESTAMP_START (ktime_get_real_ns)."""
    return time_ns()


def equals(field: str, value: int) -> In:
    """Return the predicate that ``field`` equals ``value``."""
    return In(field, (value, value))


def host(field: str, address: bytes) -> Net:
    """Return the predicate that the address ``field`` equals ``address``."""
    return Net(field, (address, b"\xff" * len(address)))


#: number field that the kernel leaves out where it is 0 (ctnetlink_dump_mark,
#: ctnetlink_dump_zone_id) -> the fields that it sends in place of one that is not 0
ZERO_IS_ABSENT: dict[str, tuple[str, ...]] = {
    "mark": (), "zone": ("orig_zone", "reply_zone"),
    "orig_zone": ("zone",), "reply_zone": ("zone",),
}  # fmt: skip


def constant(field: str, layout: Layout) -> int | None:
    """Return the number that ``field`` is in each entry of ``layout``; None if it varies or lacks.

    It is part of the shape, or a mark or zone of 0.  The zone of an entry is in ``zone``, or in
    ``orig_zone`` or ``reply_zone`` if it applies to one direction only.
    """
    if field in layout.shape:
        return layout.shape[field]
    instead = ZERO_IS_ABSENT.get(field)
    if instead is None or any(name in layout.slots for name in (field, *instead)):
        return None
    return 0


def addends(fields: Iterable[str], layout: Layout) -> tuple[int, list[str]] | None:
    """Return the sum of those ``fields`` that are constants of ``layout``, and the rest.

    Return None if ``layout`` lacks one of them.
    """
    base, rest = 0, []
    for field in fields:
        value = constant(field, layout)
        if value is not None:
            base += value
        elif field in layout.slots:
            rest.append(field)
        else:
            return None
    return base, rest


def translated(near: str, far: str) -> And:
    """Return the predicate of flows whose ``near`` end ("src" or "dst") differs at the ``far`` end.

    The status bit is no proof: the kernel also sets it if NAT rules left the flow unchanged.
    """
    bit = c.IPS_SRC_NAT_DONE if near == "src" else c.IPS_DST_NAT_DONE
    ends = (near, far), (f"{near[0]}port", f"{far[0]}port"), (f"{near}key", f"{far}key")
    changed = Or(Compare(f"orig_{here}", "!=", f"reply_{there}") for here, there in ends)
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
    if isinstance(node, Net):
        return _bind_net(node, layout)
    if isinstance(node, Bits):
        return _bind_bits(node, layout)
    if isinstance(node, Compare):
        return _bind_compare(node, layout)
    if isinstance(node, Age):
        return _bind_age(node, layout)
    names = layout.names
    if isinstance(node, Text):
        if node.field not in layout.slots:
            return False
        at = names.index(node.field)
        texts = {word.encode() for word in node.words}
        return lambda raw: c_string(raw[at]) in texts
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
    parts = addends(node.fields, layout)
    if parts is None:
        return False
    base, fields = parts
    ranges = [(low - base, high - base) for low, high in node.ranges]
    places = [layout.names.index(field) for field in fields]
    if not places:
        return any(low <= 0 <= high for low, high in ranges)
    if len(places) == 1:
        at = places[0]
        if len(ranges) == 1:
            low, high = ranges[0]
            return lambda raw: low <= raw[at] <= high
        return lambda raw: any(low <= raw[at] <= high for low, high in ranges)
    return lambda raw: any(low <= sum(raw[i] for i in places) <= high for low, high in ranges)


def _bind_bits(node: Bits, layout: Layout) -> Test | bool:
    mask, want = node.mask, node.want
    value = constant(node.field, layout)
    if value is not None:
        return value & mask == want
    if node.field not in layout.slots:
        return False
    at = layout.names.index(node.field)
    return lambda raw: raw[at] & mask == want


def _bind_compare(node: Compare, layout: Layout) -> Test | bool:
    holds = OPERATORS[node.op]
    left, right = (_reader(name, layout, node.op) for name in (node.a, node.b))
    if left is None or right is None:
        return False
    return lambda raw: bool(holds(left(raw), right(raw)))


def _reader(name: str, layout: Layout, op: str) -> Callable[[tuple[Any, ...]], Any] | None:
    """Return the function from raw values to a field's, None if ``op`` cannot hold for it."""
    value = constant(name, layout)
    if value is not None:
        return lambda raw: value
    slot = layout.slots.get(name)
    if slot is None or not (slot.kind.number or op in UNORDERED):
        return None
    at = layout.names.index(name)
    return lambda raw: raw[at]


def _bind_age(node: Age, layout: Layout) -> Test | bool:
    if "timestamp_start" not in layout.slots:
        return False
    ranges = node.ranges
    start = layout.names.index("timestamp_start")
    stop = layout.names.index("timestamp_stop") if "timestamp_stop" in layout.slots else None

    def holds(raw: tuple[Any, ...]) -> bool:
        end = now() if stop is None else raw[stop]
        age = max(end - raw[start], 0) // SECOND
        return any(low <= age <= high for low, high in ranges)

    return holds


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


def terms(node: Node) -> Iterator[Node]:
    """Yield the predicates whose conjunction is ``node``."""
    if isinstance(node, And):
        for inner in node.nodes:
            yield from terms(inner)
    else:
        yield node
