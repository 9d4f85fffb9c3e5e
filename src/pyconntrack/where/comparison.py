"""One comparison to a node: ``FIELD [& MASK] OPERATOR VALUE``.

``!=`` and ``not in`` are false if an entry lacks the field: they compile to the remaining values of
the field, so that ``mark != 5`` is not ``not mark == 5``.
"""

from __future__ import annotations

from ..ctnetlink.predicates import Age, And, Bits, Compare, In, Label, Net, Node, Not, Or, Text
from . import values as read
from .fields import ADDRESS, AGE, FAMILY, LABEL, NUMBER, STATE, STRING
from .sets import ANY, rest, union

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .fields import Field
    from .lexer import Token, Words
    from .sets import Ranges

ORDER = ("<", "<=", ">", ">=")
EQUAL = ("=", "==", "!=")


class Comparison:
    """A comparison with ``field``; ``op`` and ``values`` are read from ``words``."""

    __slots__ = ("field", "mask", "negated", "op", "ordered", "several", "values", "words")

    def __init__(self, words: Words, field: Field) -> None:
        self.words, self.field = words, field
        self.mask = self.read_mask() if words.next.is_op("&") else 0
        op = words.take()
        self.negated = op.text == "!="
        if op.is_word("not") and words.next.is_word("in"):
            op, self.negated = words.take(), True
        self.op = op
        self.several, self.ordered = op.is_word("in"), op.is_op(*ORDER)
        if self.several:
            self.values = read.several(words)
        elif self.ordered or op.is_op(*EQUAL):
            self.values = [read.one(words)]
        else:
            raise words.error(f"a comparison is expected, not {op}", op)

    def read_mask(self) -> int:
        """Read the ampersand and return the mask after it."""
        words, field = self.words, self.field
        ampersand = words.take()
        if field.kind != NUMBER or field.words or len(field.names) > 1:
            raise words.error(f"{field.name} has no bits to mask: it is {field.wanted}", ampersand)
        token = read.one(words)
        mask = read.numbers(words, field, token)[0]
        if not mask:
            raise words.error("a mask of 0 leaves nothing to compare", token)
        following = words.next
        if not (following.is_op(*EQUAL, *ORDER) or following.is_word("in")
                or following.is_word("not")):  # fmt: skip
            example = f"{field.name} & {mask:#x} == {mask:#x}"
            raise words.error(f"a comparison is expected, as in `{example}'", following)
        return mask

    def node(self) -> Node:
        """Return the predicate."""
        field, kind = self.field, self.field.kind
        if self.mask:
            return self.masked()
        if self.ordered and kind not in (NUMBER, AGE):
            raise self.words.error(
                f"{field.name} has no order, it is {field.wanted}: compare with == or in", self.op
            )
        if any(token.text.lower() in field.bits for token in self.values):
            return self.flags()
        if not self.several and (other := read.named(self.values[0])):
            return self.compared(other)
        if kind == ADDRESS:
            return self.addresses()
        if kind == STRING:
            return self.unless(Text(field.names[0], *(value.text for value in self.values)))
        if kind == STATE:
            return self.states()
        if kind == FAMILY:
            return self.families()
        ranges = [self.range(token) for token in self.values]
        if kind == LABEL:
            bits = [Label(bit) for low, high in union(ranges) for bit in range(low, high + 1)]
            return self.unless(either(bits))
        return self.numbers(ranges)

    def unless(self, node: Node, there: Node | None = None) -> Node:
        """Return ``node``, or if negated its complement (among entries that match ``there``)."""
        if not self.negated:
            return node
        return Not(node) if there is None else And((there, Not(node)))

    def range(self, token: Token) -> tuple[int, int]:
        """Return the ends of a value, which may be a range only after ``in``."""
        return read.numbers(
            self.words, self.field, token, ranges=self.several, ordered=self.ordered
        )

    def numbers(self, ranges: Ranges) -> Node:
        """Return the predicate of a field, or the sum of two, in ranges."""
        field = self.field
        if self.ordered:
            bound = ranges[0][0]
            ranges = [{
                "<": (0, bound - 1), "<=": (0, bound),
                ">": (bound + 1, field.limit), ">=": (bound, field.limit),
            }[self.op.text]]  # fmt: skip
        ranges = union(ranges)
        if self.negated:
            ranges = rest(ranges, field.limit)
        if not ranges:
            raise self.words.error(
                f"no {field.name} can be that: it goes from 0 to {field.limit}", self.op
            )
        low, high = ranges[0]
        if len(ranges) == 1 and low == high and field.kind == NUMBER:
            return exactly(field, low)
        return Age(*ranges) if field.kind == AGE else In(field.names, *ranges)

    def flags(self) -> Node:
        """Return the predicate of flags, each of which is set if it is named."""
        field = self.field
        nodes: list[Node] = []
        for token in self.values:
            flag = field.bits.get(token.text.lower())
            if flag is None:
                low, high = self.range(token)
                nodes.append(exactly(field, low) if low == high else In(field.names, (low, high)))
            elif self.ordered:
                raise self.words.error(f"{token} is a word without order: compare with == or in",
                                       token)  # fmt: skip
            else:
                nodes.append(flag)
        return negation(either(nodes)) if self.negated else either(nodes)

    def masked(self) -> Node:
        """Return the predicate of masked bits of a field."""
        field, mask = self.field, self.mask
        if self.ordered:
            raise self.words.error("masked bits have no order: compare with == or in", self.op)
        nodes = []
        for token in self.values:
            want = read.numbers(self.words, field, token)[0]
            if want & ~mask:
                raise self.words.error(f"{want:#x} has bits outside the mask {mask:#x}", token)
            nodes.append(Bits(field.names[0], mask, want))
        return self.unless(either(nodes), In(field.names[0], (0, field.limit)))

    def compared(self, other: Field) -> Node:
        """Return the predicate of a comparison with a field, or a text spelled like one."""
        field, op, token = self.field, self.op, self.values[0]
        if field.kind == STRING:  # its values are bare words
            return self.unless(Text(field.names[0], token.text))
        for each, at in ((field, op), (other, token)):
            if each.kind not in (NUMBER, ADDRESS) or len(each.names) > 1:
                raise self.words.error(f"{each.name} cannot be compared with another field", at)
        if field.kind != other.kind:
            raise self.words.error(
                f"{field.name} is {field.wanted}, {other.name} is {other.wanted}", token
            )
        operator = "==" if op.text == "=" else op.text
        return Compare(field.names[0], operator, other.names[0])

    def addresses(self) -> Node:
        """Return the predicate of an address in networks."""
        field = self.field
        networks = [
            network
            for token in self.values
            for network in read.networks(self.words, field, token, nets=self.several)
        ]
        node = Net(field.names[0], *dict.fromkeys(networks))
        return self.unless(node, Net(field.names[0], *ANY))

    def states(self) -> Node:
        """Return the predicate of the state of any protocol."""
        nodes = []
        for name, numbers in read.states(self.words, self.values).items():
            ranges = union(numbers)
            if self.negated:
                ranges = rest(ranges, self.field.limit)
            if ranges:
                nodes.append(In(name, *ranges))
        return either(nodes)

    def families(self) -> Node:
        """Return the predicate of the layer 3 family."""
        found = read.families(self.words, self.values)
        if self.negated:
            found ^= read.BOTH
        if not found:
            raise self.words.error("no entry is neither ipv4 nor ipv6", self.values[0])
        return family_node(found)


def exactly(field: Field, number: int) -> Node:
    """Return the predicate that a number field is ``number``, as the kernel can check it."""
    if field.names[0] in ("mark", "status"):
        return Bits(field.names[0], field.limit, number)
    return In(field.names, (number, number))


def negation(node: Node) -> Node:
    """Return the complement of ``node``: of one status bit as a bit, which the kernel can check."""
    if isinstance(node, Bits) and node.field == "status" and not node.mask & node.mask - 1:
        return Bits("status", node.mask, node.mask ^ node.want)
    return node.node if isinstance(node, Not) else Not(node)


def either(nodes: Sequence[Node]) -> Node:
    """Return the predicate that any of ``nodes`` holds."""
    return nodes[0] if len(nodes) == 1 else Or(nodes)


def family_node(bits: int) -> In:
    """Return the predicate of families given as bits."""
    return In("family", *((n, n) for n, bit in read.FAMILY_BITS.items() if bits & bit))


def families_of(node: Node) -> int:
    """Return the families that a comparison can match, as bits."""
    if isinstance(node, Net):
        return sum({read.V4 if len(address) == 4 else read.V6 for address, _ in node.networks})
    if isinstance(node, In) and node.fields == ("family",):
        return sum(read.FAMILY_BITS[low] for low, _ in node.ranges)
    return read.BOTH
