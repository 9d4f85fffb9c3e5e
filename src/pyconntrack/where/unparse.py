"""Write predicates as expressions that :func:`~pyconntrack.where.parse` reads."""

from __future__ import annotations

from _socket import inet_ntop

from ..ctnetlink import constants as c
from ..ctnetlink.predicates import (
    SECOND,
    Age,
    And,
    Bits,
    Compare,
    In,
    Label,
    Net,
    Node,
    Not,
    Or,
    Text,
)
from ..ctnetlink.vocabulary import FAMILY
from .fields import FIELDS, FLAGS, dotted
from .sets import ANY, between, rest
from .times import iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: how many networks are shown as a range, where they are one
_PARTS = 3


def show(node: Node, tight: int = 0) -> str:
    """Return a short expression for ``node``.

    ``tight``: 0 inside ``or``, 1 inside ``and``, 2 inside ``not``.
    """
    if isinstance(node, Or):
        text = " or ".join(show(inner, 0) for inner in node.nodes) or "nothing"
        return f"({text})" if tight and len(node.nodes) > 1 else text
    if isinstance(node, And):
        text = " and ".join(show(inner, 1) for inner in whole(node.nodes)) or "everything"
        return f"({text})" if tight > 1 and len(node.nodes) > 1 else text
    if isinstance(node, Not):
        return f"not {show(node.node, 2)}"
    if isinstance(node, Bits):
        text = _show_bits(node)
        return f"({text})" if tight > 1 and " and " in text else text
    if isinstance(node, In | Age):
        return _show_in(node)
    if isinstance(node, Unlike):
        return show(node.net, 1).replace(" in ", " not in ", 1).replace(" == ", " != ", 1)
    if isinstance(node, Net):
        nets = list(_show_nets(node.networks))
        return dotted(node.field) + _choice(nets, ranges=any("-" in net for net in nets))
    if isinstance(node, Compare):
        return f"{dotted(node.a)} {node.op} {dotted(node.b)}"
    if isinstance(node, Text):
        return node.field + _choice([_quoted(word) for word in node.words])
    if isinstance(node, Label):
        return f"label == {node.bit}"
    return repr(node)


class Unlike(Node):
    """``FIELD != ADDRESS``, of which the parser makes two nodes; for display only."""

    __slots__ = ("net",)

    def __init__(self, net: Net) -> None:
        self.net = net


def whole(terms: Iterable[Node]) -> list[Node]:
    """Return ``terms`` with the two nodes of each :class:`Unlike` joined."""
    found: list[Node] = []
    for term in terms:
        net = term.node if isinstance(term, Not) else None
        if found and isinstance(net, Net) and found[-1] == Net(net.field, *ANY):
            found[-1] = Unlike(net)
        else:
            found.append(term)
    return found


def _choice(values: list[str], *, ranges: bool = False) -> str:
    if len(values) == 1:
        return f" {'in' if ranges or '/' in values[0] else '=='} {values[0]}"
    return f" in {{{', '.join(values)}}}"


def _quoted(word: str) -> str:
    return f"'{word}'" if '"' in word else f'"{word}"'


def _show_nets(networks: Sequence[tuple[bytes, bytes]]) -> Iterator[str]:
    """Yield the networks, those that are the parts of a range as the range."""
    at = 0
    while at < len(networks):
        low, last = networks[at][0], _last(*networks[at])
        end = at + 1
        while end < len(networks) and _follows(last, networks[end][0]):
            last = _last(*networks[end])
            end += 1
        if end - at >= _PARTS and list(networks[at:end]) == between(low, last):
            family = c.AF_INET if len(low) == 4 else c.AF_INET6
            yield f"{inet_ntop(family, low)}-{inet_ntop(family, last)}"
            at = end
        else:
            yield _show_net(*networks[at])
            at += 1


def _follows(last: bytes, low: bytes) -> bool:
    return len(last) == len(low) and int.from_bytes(last) + 1 == int.from_bytes(low)


def _last(address: bytes, mask: bytes) -> bytes:
    """Return the last address of a network."""
    return bytes(byte | ~bits & 0xFF for byte, bits in zip(address, mask, strict=True))


def _show_net(address: bytes, mask: bytes) -> str:
    number = c.AF_INET if len(address) == 4 else c.AF_INET6
    bits = bin(int.from_bytes(mask)).count("1")
    size = 8 * len(mask)
    text = inet_ntop(number, address)
    if bits == size:
        return text
    if int.from_bytes(mask) == (1 << size) - (1 << size - bits):
        return f"{text}/{bits}"
    return f"{text}/{inet_ntop(number, mask)}"


def _show_bits(node: Bits) -> str:
    if node.field == "status" and node.mask < 0x10000:
        flags = [(want.mask, word) for word, want in FLAGS.items()
                 if isinstance(want, Bits) and want.want]  # fmt: skip
        words = [word if node.want & bit else f"not {word}" for bit, word in flags
                 if node.mask & bit]  # fmt: skip
        return " and ".join(words)
    if node.mask == 0xFFFFFFFF:
        return f"{node.field} == {node.want:#x}"
    return f"{dotted(node.field)} & {node.mask:#x} == {node.want:#x}"


def _show_in(node: In | Age) -> str:
    if node.fields == ("family",):
        return "family" + _choice([FAMILY.get(low, str(low)) for low, _ in node.ranges])
    field = next((f for f in FIELDS.values() if f.names == node.fields), None)
    name = field.name if field else " + ".join(dotted(name) for name in node.fields)
    limit = field.limit if field else -1
    time = field is not None and field.time
    value = iso if time else str
    ranges = list(node.ranges)
    if not ranges:
        return f"{name} in {{}}"
    if len(ranges) == 1 and ranges[0][0] < ranges[0][1]:
        low, high = ranges[0]
        if high == limit:
            if time and low and not (low - 1) % SECOND:
                return f"{name} > {iso(low - 1)}"
            return f"{name} >= {value(low)}"
        if low == 0:
            if time and not (high + 1) % SECOND:
                return f"{name} < {iso(high + 1)}"
            return f"{name} <= {value(high)}"
    negated = len(ranges) > 1 and ranges[0][0] == 0 and ranges[-1][1] == limit
    if negated:
        ranges = rest(ranges, limit)
    values = []
    for low, high in ranges:
        word = field.words.get(low) if field else None
        both = f"{value(low)}{'..' if time else '-'}{value(high)}"
        values.append(both if low < high else word or value(low))
    text = _choice(values, ranges=any(low < high for low, high in ranges))
    if negated:
        text = text.replace(" in ", " not in ", 1) if " in " in text else f" != {values[0]}"
    return name + text
