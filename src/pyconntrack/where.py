"""Expressions to predicates: ``proto == udp and orig.dst in 10.0.0.0/8 and not assured``.

A precedence parser (``or`` < ``and`` < ``not`` < comparison) that builds
:mod:`pyconntrack.filter`'s nodes; the grammar is in docs/where.md.  A comparison with a field
that an entry lacks is false, ``!=`` and ``not in`` too: they compile to what is left of the
field's values, so that ``mark != 5`` is not ``not mark == 5``.

:func:`explain` says what of a predicate the kernel checks, and why not the rest.
"""

from __future__ import annotations

from _socket import inet_ntop, inet_pton

from .filter import And, Bits, Differ, In, Label, Net, Node, Not, Or, Text, family, push_down
from .where_lex import WhereError, meant, tokens
from .where_names import (
    ADDRESS,
    FAMILIES,
    FAMILY,
    FAMILY_WORDS,
    FIELDS,
    FLAGS,
    LABEL,
    NUMBER,
    STATE,
    STATES,
    STRING,
    dotted,
    field_of,
    spellings,
)
from .wire import consts as c

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .filter import PushDown
    from .where_lex import Token
    from .where_names import Field

    Ranges = list[tuple[int, int]]

__all__ = ["WhereError", "explain", "parse", "show"]

#: how deep parentheses may nest: every level is a few Python calls, here and when bound
DEPTH = 50
#: families that a part can match, as bits
_V4, _V6 = 1, 2
_FAMILY_BIT = {c.AF_INET: _V4, c.AF_INET6: _V6}
_KEYWORDS = ("and", "or", "not", "in")
_ORDER = ("<", "<=", ">", ">=")
_EQUAL = ("=", "==", "!=")
_ANY = ((b"\0" * 4, b"\0" * 4), (b"\0" * 16, b"\0" * 16))


def parse(text: str) -> Node:
    """The predicate that `text` describes; :class:`WhereError` where it is wrong."""
    return _Parser(text).parse()


class _Part:
    """A parsed part: its predicate, the `families` it can match, its column."""

    __slots__ = ("column", "families", "node")

    def __init__(self, node: Node, families: int, column: int) -> None:
        self.node, self.families, self.column = node, families, column


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0
        self.depth = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        if token.kind != "end":
            self.at += 1
        return token

    def error(self, reason: str, at: Token | int) -> WhereError:
        return WhereError(reason, self.text, at if isinstance(at, int) else at.column)

    # the grammar, loosest first

    def parse(self) -> Node:
        part = self.either()
        if self.next.kind != "end":
            raise self.stray()
        node = part.node
        number = {_V4: c.AF_INET, _V6: c.AF_INET6}.get(part.families)
        if number and not push_down(node).family:
            node = And((*_terms(node), family(number)))
        return node

    def stray(self) -> WhereError:
        token = self.next
        if token.is_op(")"):
            return self.error("no parenthesis is open here", token)
        if token.is_op(","):
            return self.error("a list of values needs `in'", token)
        if token.is_op(*_ORDER, *_EQUAL):
            return self.error("comparisons do not chain: write `and' between two of them", token)
        return self.error(f"`and' or `or' is expected before {token}", token)

    def either(self) -> _Part:
        parts = [self.both()]
        while self.next.is_word("or"):
            self.take()
            parts.append(self.both())
        if len(parts) == 1:
            return parts[0]
        families = 0
        nodes: list[Node] = []
        for part in parts:
            families |= part.families
            nodes += part.node.nodes if isinstance(part.node, Or) else (part.node,)
        return _Part(Or(nodes), families, parts[0].column)

    def both(self) -> _Part:
        parts = [self.negation()]
        while self.next.is_word("and"):
            self.take()
            parts.append(self.negation())
        if len(parts) == 1:
            return parts[0]
        families, narrow = _V4 | _V6, parts[0]
        for part in parts:
            if not families & part.families:
                one, other = ("IPv4", "IPv6") if families == _V4 else ("IPv6", "IPv4")
                raise self.error(
                    f"this only matches {other}, but `{show(narrow.node)}' only {one}", part.column
                )
            if part.families != _V4 | _V6:
                families, narrow = families & part.families, part
        nodes = _merged(term for part in parts for term in _terms(part.node))
        return _Part(nodes[0] if len(nodes) == 1 else And(nodes), families, parts[0].column)

    def negation(self) -> _Part:
        column = self.next.column
        odd = False
        while self.next.is_word("not"):
            self.take()
            odd = not odd
        part = self.primary()
        if not odd:
            return part
        families, node = _V4 | _V6, part.node
        if isinstance(node, Bits) and node.field == "status" and not node.mask & node.mask - 1:
            node = Bits("status", node.mask, node.mask ^ node.want)  # the kernel can check this
        elif isinstance(node, In) and node.fields == ("family",) and part.families != families:
            families ^= part.families
            node = _family_node(families)
        else:
            node = node.node if isinstance(node, Not) else Not(node)
        return _Part(node, families, column)

    def primary(self) -> _Part:
        token = self.next
        if not token.is_op("("):
            return self.comparison()
        self.take()
        self.depth += 1
        if self.depth > DEPTH:
            raise self.error(f"more than {DEPTH} parentheses are open here", token)
        part = self.either()
        if not self.next.is_op(")"):
            if self.next.kind == "end":
                raise self.error("this parenthesis is never closed", token)
            raise self.stray()
        self.take()
        self.depth -= 1
        return _Part(part.node, part.families, token.column)

    def comparison(self) -> _Part:
        token = self.take()
        if token.kind != "word" or token.text.lower() in _KEYWORDS:
            raise self.error(f"a field, a flag or `(' is expected, not {token}", token)
        following = self.next
        compared = following.is_op("&", *_ORDER, *_EQUAL) or following.is_word("in")
        if following.is_word("not"):
            compared = self.tokens[self.at + 1].is_word("in")
        field, flag = field_of(token.text), FLAGS.get(token.text.lower())
        if flag is not None and not (field and compared):
            if compared:
                word = token.text.lower()
                raise self.error(f"{word} is a flag: write `{word}' or `not {word}'", following)
            return _Part(flag, _V4 | _V6, token.column)
        if field is None:
            raise self.unknown(token, compared)
        if not compared:
            raise self.error(f"{field.name} needs a comparison, as in `{_example(field)}'", token)
        node = self.compare(field)
        return _Part(node, _families(node), token.column)

    def unknown(self, token: Token, compared: bool) -> WhereError:
        word = token.text
        if (word[0] not in "_" and not word[0].isalpha()) or _packed(word.partition("/")[0]):
            return self.error(f"the name of a field is expected, not {token}", token)
        known = spellings() + ([] if compared else list(FLAGS))
        what = "field" if compared else "field or flag"
        hint = meant(word.replace("_", "."), known) or meant(word, known)
        return self.error(f"there is no {what} {token}{hint}", token)

    # one comparison, its field read

    def compare(self, field: Field) -> Node:
        mask = None
        if self.next.is_op("&"):
            mask = self.mask(field)
        op = self.take()
        negated = op.text == "!="
        if op.is_word("not") and self.next.is_word("in"):
            op, negated = self.take(), True
        if op.is_word("in"):
            values = self.several()
        elif op.is_op(*_ORDER, *_EQUAL):
            values = [self.one()]
        else:
            raise self.error(f"a comparison is expected, not {op}", op)
        ordered = op.is_op(*_ORDER)
        if mask is not None:
            return self.masked(field, mask, op, values, negated)
        if ordered and field.kind != NUMBER:
            raise self.error(
                f"{field.name} has no order, it is {field.wanted}: compare with == or in", op
            )
        several = op.is_word("in")
        if not several and (other := self.other(values[0])):
            return self.differ(field, other, op, values[0])
        if field.kind == ADDRESS:
            return self.addresses(field, values, several, negated)
        if field.kind == STRING:
            node: Node = Text(field.names[0], *(value.text for value in values))
            return Not(node) if negated else node
        if field.kind == STATE:
            return self.states(values, negated)
        if field.kind == FAMILY:
            return self.in_family(values, negated)
        ranges: Ranges = []
        for value in values:
            low, high = self.range(field, value, several=several, ordered=ordered)
            ranges.append((low, high))
        if field.kind == LABEL:
            labels = [Label(bit) for low, high in _union(ranges) for bit in range(low, high + 1)]
            node = labels[0] if len(labels) == 1 else Or(labels)
            return Not(node) if negated else node
        if ordered:
            bound = ranges[0][0]
            ranges = [{
                "<": (0, bound - 1), "<=": (0, bound),
                ">": (bound + 1, field.limit), ">=": (bound, field.limit),
            }[op.text]]  # fmt: skip
        ranges = _union(ranges)
        if negated:
            ranges = _rest(ranges, field.limit)
        if not ranges:
            raise self.error(f"no {field.name} can be that: it goes from 0 to {field.limit}", op)
        return _number(field.names, ranges, field.limit)

    def mask(self, field: Field) -> int:
        ampersand = self.take()
        if field.kind != NUMBER or field.words or len(field.names) > 1:
            raise self.error(f"{field.name} has no bits to mask: it is {field.wanted}", ampersand)
        token = self.one()
        mask = self.range(field, token, several=False)[0]
        if not mask:
            raise self.error("a mask of 0 leaves nothing to compare", token)
        if not (self.next.is_op(*_EQUAL, *_ORDER) or self.next.is_word("in")
                or self.next.is_word("not")):  # fmt: skip
            raise self.error(
                f"a comparison is expected, as in `{field.name} & {mask:#x} == {mask:#x}'",
                self.next,
            )
        return mask

    def masked(
        self, field: Field, mask: int, op: Token, values: list[Token], negated: bool
    ) -> Node:
        if op.is_op(*_ORDER):
            raise self.error("masked bits have no order: compare with == or in", op)
        nodes: list[Node] = []
        for token in values:
            want = self.range(field, token, several=False)[0]
            if want & ~mask:
                raise self.error(f"{want:#x} has bits outside the mask {mask:#x}", token)
            nodes.append(Bits(field.names[0], mask, want))
        node = nodes[0] if len(nodes) == 1 else Or(nodes)
        if negated:
            return And((In(field.names[0], (0, field.limit)), Not(node)))
        return node

    # values

    def one(self) -> Token:
        """One value; a range may have spaces around its dash or dots."""
        token = self.take()
        if token.kind not in ("word", "string") or token.text.lower() in _KEYWORDS:
            if token.is_op("{"):
                raise self.error("a set needs `in'", token)
            raise self.error(f"a value is expected, not {token}", token)
        while (
            token.kind == "word"
            and self.next.kind == "word"
            and (token.text.endswith(("-", "..")) or self.next.text.startswith(("-", "..")))
        ):
            more = self.take()
            token = type(token)("word", token.text + more.text, token.column)
        return token

    def several(self) -> list[Token]:
        """What follows `in`: ``{a, b}``, ``a, b`` or one value."""
        brace = self.next
        if brace.is_op("{"):
            self.take()
            if self.next.is_op("}"):
                raise self.error("an empty set matches nothing", brace)
        elif brace.is_op("("):
            raise self.error("a set has braces: {80, 443}", brace)
        values = [self.one()]
        while self.next.is_op(","):
            self.take()
            values.append(self.one())
        if brace.is_op("{"):
            if self.next.kind == "end":
                raise self.error("this set is never closed", brace)
            if not self.next.is_op("}"):
                raise self.error(f"a comma or `}}' is expected, not {self.next}", self.next)
            self.take()
        return values

    def other(self, token: Token) -> Field | None:
        """The other field of a comparison of two."""
        return field_of(token.text) if token.kind == "word" else None

    def differ(self, field: Field, other: Field, op: Token, token: Token) -> Node:
        if field.kind == STRING:  # its values are bare words
            node = Text(field.names[0], token.text)
            return Not(node) if op.text == "!=" else node
        if op.text != "!=":
            hint = "" if op.is_op(*_ORDER) else f": write `not {field.name} != {other.name}'"
            raise self.error(f"only `!=' compares two fields{hint}", op)
        for each, at in ((field, op), (other, token)):
            if each.kind not in (NUMBER, ADDRESS) or len(each.names) > 1:
                raise self.error(f"{each.name} cannot be compared with another field", at)
        if field.kind != other.kind:
            raise self.error(f"{field.name} is {field.wanted}, {other.name} is {other.wanted}",
                             token)  # fmt: skip
        return Differ(field.names[0], other.names[0])

    def wrong(self, field: Field, token: Token) -> WhereError:
        """The error of a value that is not one of `field`."""
        if self.other(token):
            return self.error(f"{token} is a field: only `!=' compares two of them", token)
        hint = meant(token.text, field.words.values()) if field.words else ""
        return self.error(f"{field.name} is {field.wanted}, not {token}{hint}", token)

    def range(
        self, field: Field, token: Token, *, several: bool, ordered: bool = False
    ) -> tuple[int, int]:
        """A value or range of numbers."""
        text = token.text
        known = _word_number(field, text)
        if known is not None:
            if ordered:
                raise self.error(f"{token} is a word without order: compare with == or in", token)
            return known, known
        if token.kind == "string":
            raise self.wrong(field, token)
        low_text, dots, high_text = text.partition("..")
        if not dots:
            low_text, dots, high_text = text.partition("-")
        low = _parse_number(field, low_text)
        high = _parse_number(field, high_text) if dots else low
        if low is None or high is None:
            if text.isdigit() and text.startswith("0"):
                raise self.error(f"{token} begins with 0: decimal has none, octal is not read",
                                 token)  # fmt: skip
            raise self.wrong(field, token)
        if not several and dots:
            raise self.error(f"{token} is a range: ranges need `in'", token)
        if max(low, high) > field.limit:
            raise self.wrong(field, token)
        if low > high:
            raise self.error(f"the range {token} ends before it begins", token)
        return low, high

    def addresses(self, field: Field, values: list[Token], several: bool, negated: bool) -> Node:
        networks = []
        for token in values:
            address, slash, length = token.text.partition("/")
            packed = _packed(address) if token.kind == "word" else None
            if packed is None:
                left = token.text.partition("-" if "-" in token.text else "..")[0]
                if token.kind == "word" and _packed(left):
                    raise self.error("a range of addresses is not known: write a network, as in "
                                     "10.0.0.0/8", token)  # fmt: skip
                raise self.wrong(field, token)
            size = 8 * len(packed)
            bits = size
            if slash:
                if not several:
                    raise self.error(f"{token} is a network: networks need `in'", token)
                if not (length.isdigit() and length.isascii() and len(length) < 4
                        and int(length) <= size):  # fmt: skip
                    raise self.error(
                        f"a prefix length from 0 to {size} is expected, not `{length}'",
                        token.column + len(address) + 1,
                    )
                bits = int(length)
            mask = (1 << size) - (1 << size - bits)
            number = int.from_bytes(packed) & mask
            networks.append((number.to_bytes(size // 8), mask.to_bytes(size // 8)))
        node = Net(field.names[0], *dict.fromkeys(networks))
        if negated:
            return And((Net(field.names[0], *_ANY), Not(node)))
        return node

    def states(self, values: list[Token], negated: bool) -> Node:
        found: dict[str, Ranges] = {name: [] for name in STATES}
        for token in values:
            word, seen = token.text.upper(), False
            for name, words in STATES.items():
                for number, known in words.items():
                    if known == word:
                        found[name].append((number, number))
                        seen = True
            if not seen:
                if token.text.isdigit():
                    raise self.error("the number of a state depends on the protocol: write "
                                     f"`tcp.state == {token.text}' or a word", token)  # fmt: skip
                known_words = [word for words in STATES.values() for word in words.values()]
                hint = meant(token.text, known_words)
                raise self.error(f"no protocol has a state {token}{hint}", token)
        nodes: list[Node] = []
        for name, ranges in found.items():
            left = _rest(_union(ranges), 255) if negated else _union(ranges)
            if left:
                nodes.append(In(name, *left))
        return nodes[0] if len(nodes) == 1 else Or(nodes)

    def in_family(self, values: list[Token], negated: bool) -> Node:
        families = 0
        for token in values:
            number = FAMILIES.get(token.text.lower())
            if number is None and token.text in ("2", "10"):
                number = int(token.text)
            if number is None:
                raise self.error(f"family is ipv4 or ipv6, not {token}", token)
            families |= _FAMILY_BIT[number]
        if negated:
            families ^= _V4 | _V6
        if not families:
            raise self.error("no entry is neither ipv4 nor ipv6", values[0])
        return _family_node(families)


def _example(field: Field) -> str:
    examples = {ADDRESS: "in 10.0.0.0/8", STRING: '== "ftp"', FAMILY: "== ipv4",
                STATE: "== ESTABLISHED", LABEL: "== 5"}  # fmt: skip
    if field.name.endswith("proto"):
        return f"{field.name} == tcp"
    return f"{field.name} {examples.get(field.kind, '== 5')}"


def _packed(text: str) -> bytes | None:
    for number in (c.AF_INET, c.AF_INET6):
        try:
            return inet_pton(number, text)
        except (OSError, ValueError):
            pass
    return None


def _word_number(field: Field, text: str) -> int | None:
    """The number of a word of the field's vocabulary."""
    if not field.words or text.isdigit():
        return None
    for number, word in field.words.items():
        if word.lower() == text.lower():
            return number
    if field.name.endswith("proto") and text[:1].isalpha():
        from _socket import getprotobyname

        try:
            return getprotobyname(text)
        except (OSError, ValueError):
            pass
    return None


def _parse_number(field: Field, text: str) -> int | None:
    if not text.isascii():
        return None
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = text[len(digits) :].lower()
    if text[:2] in ("0x", "0X"):
        digits, unit = text[2:], ""
        if not digits.isalnum() or len(digits) > 20:
            return None
        try:
            return int(digits, 16)
        except ValueError:
            return None
    if not digits.isdigit() or len(digits) > 20 or (len(digits) > 1 and digits[0] == "0"):
        return None
    if unit and unit not in field.units:
        return None
    return int(digits) * (field.units[unit] if unit else 1)


def _union(ranges: Ranges) -> Ranges:
    """Sorted and joined; without those that are empty."""
    found: Ranges = []
    for low, high in sorted(ranges):
        if low > high:
            continue
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return found


def _rest(ranges: Ranges, limit: int) -> Ranges:
    """What `ranges` leave of 0..limit."""
    found, start = [], 0
    for low, high in ranges:
        if low > start:
            found.append((start, low - 1))
        start = high + 1
    if start <= limit:
        found.append((start, limit))
    return found


def _number(names: tuple[str, ...], ranges: Ranges, limit: int) -> Node:
    low, high = ranges[0]
    if names[0] in ("mark", "status") and len(ranges) == 1 and low == high:
        return Bits(names[0], limit, low)  # as the kernel can check it
    return In(names, *ranges)


def _family_node(families: int) -> Node:
    return In("family", *((n, n) for n, bit in _FAMILY_BIT.items() if families & bit))


def _families(node: Node) -> int:
    """The families that a comparison can match."""
    if isinstance(node, Net):
        return sum({_V4 if len(address) == 4 else _V6 for address, _ in node.networks})
    if isinstance(node, In) and node.fields == ("family",):
        return sum(_FAMILY_BIT[low] for low, _ in node.ranges)
    return _V4 | _V6


def _terms(node: Node) -> Iterator[Node]:
    if isinstance(node, And):
        for inner in node.nodes:
            yield from _terms(inner)
    else:
        yield node


def _merged(terms: Iterable[Node]) -> list[Node]:
    """`terms` with the bits of one field in one node: the kernel takes one mask each."""
    found: list[Node] = []
    for term in terms:
        if isinstance(term, Bits):
            for at, other in enumerate(found):
                if (
                    isinstance(other, Bits)
                    and other.field == term.field
                    and not (other.want ^ term.want) & other.mask & term.mask
                ):
                    found[at] = Bits(term.field, other.mask | term.mask, other.want | term.want)
                    break
            else:
                found.append(term)
        elif term not in found:
            found.append(term)
    return found


# back to text


def show(node: Node) -> str:
    """`node` as an expression, as short as it gets; :func:`parse` reads it."""
    return _show(node, 0)


def _show(node: Node, tight: int) -> str:
    """`tight`: 0 inside `or`, 1 inside `and`, 2 inside `not`."""
    if isinstance(node, Or):
        text = " or ".join(_show(inner, 0) for inner in node.nodes) or "nothing"
        return f"({text})" if tight and len(node.nodes) > 1 else text
    if isinstance(node, And):
        text = " and ".join(_show(inner, 1) for inner in _whole(node.nodes)) or "everything"
        return f"({text})" if tight > 1 and len(node.nodes) > 1 else text
    if isinstance(node, Not):
        return f"not {_show(node.node, 2)}"
    if isinstance(node, Bits):
        text = _show_bits(node)
        return f"({text})" if tight > 1 and " and " in text else text
    if isinstance(node, In):
        return _show_in(node)
    if isinstance(node, _Unlike):
        return _show(node.net, 1).replace(" in ", " not in ", 1).replace(" == ", " != ", 1)
    if isinstance(node, Net):
        nets = [_show_net(address, mask) for address, mask in node.networks]
        return dotted(node.field) + _choice(nets)
    if isinstance(node, Differ):
        return f"{dotted(node.a)} != {dotted(node.b)}"
    if isinstance(node, Text):
        return node.field + _choice([_quoted(word) for word in node.words])
    if isinstance(node, Label):
        return f"label == {node.bit}"
    return repr(node)


class _Unlike(Node):
    """Only to show: ``FIELD != ADDRESS``, of which :meth:`_Parser.addresses` makes two nodes."""

    __slots__ = ("net",)

    def __init__(self, net: Net) -> None:
        self.net = net


def _whole(terms: Iterable[Node]) -> list[Node]:
    """`terms` with each :class:`_Unlike` put together again."""
    found: list[Node] = []
    for term in terms:
        last = found[-1] if found else None
        if (
            isinstance(term, Not)
            and isinstance(term.node, Net)
            and isinstance(last, Net)
            and last == Net(term.node.field, *_ANY)
        ):
            found[-1] = _Unlike(term.node)
        else:
            found.append(term)
    return found


def _choice(values: list[str]) -> str:
    if len(values) == 1:
        return f" {'in' if '/' in values[0] or '-' in values[0] else '=='} {values[0]}"
    return f" in {{{', '.join(values)}}}"


def _quoted(word: str) -> str:
    return f"'{word}'" if '"' in word else f'"{word}"'


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
        flags = {want.mask: word for word, want in FLAGS.items() if isinstance(want, Bits)
                 if want.want}  # fmt: skip
        words = []
        for bit, word in flags.items():
            if node.mask & bit:
                words.append(word if node.want & bit else f"not {word}")
        return " and ".join(words)
    if node.mask == 0xFFFFFFFF:
        return f"{node.field} == {node.want:#x}"
    return f"{dotted(node.field)} & {node.mask:#x} == {node.want:#x}"


def _show_in(node: In) -> str:
    if node.fields == ("family",):
        return "family" + _choice([FAMILY_WORDS.get(low, str(low)) for low, _ in node.ranges])
    field = next((f for f in FIELDS.values() if f.names == node.fields), None)
    name = field.name if field else " + ".join(dotted(name) for name in node.fields)
    limit = field.limit if field else -1
    ranges = list(node.ranges)
    if not ranges:
        return f"{name} in {{}}"
    if len(ranges) == 1 and ranges[0][0] < ranges[0][1]:
        low, high = ranges[0]
        if high == limit:
            return f"{name} >= {low}"
        if low == 0:
            return f"{name} <= {high}"
    negated = len(ranges) > 1 and ranges[0][0] == 0 and ranges[-1][1] == limit
    if negated:
        ranges = _rest(ranges, limit)
    values = []
    for low, high in ranges:
        word = field.words.get(low) if field else None
        values.append(f"{low}-{high}" if low < high else word or str(low))
    text = _choice(values)
    if negated:
        text = text.replace(" in ", " not in ", 1) if " in " in text else f" != {values[0]}"
    return name + text


# what the kernel does of it


def explain(node: Node | None) -> list[str]:
    """Lines that say what of `node` the kernel filters, what user space must, and why."""
    if node is None:
        return ["kernel: returns the whole table", "user space: takes every entry"]
    down = push_down(node)
    kernel, user = [], []
    terms = _whole(_terms(node))
    named = any(isinstance(term, In) and term.fields == ("family",) for term in down.terms)
    if down.family and not named:
        kernel.append(f"kernel: family == {FAMILY_WORDS[down.family]} (that of the addresses)")
    for term in terms:
        if any(term is pushed for pushed in down.terms) and not _shadowed(term, terms):
            note = ""
            if isinstance(term, In) and term.fields == ("zone",):
                note = " (loosely: entries with this zone in one direction come too)"
            kernel.append(f"kernel: {_show(term, 1)}{note}")
        else:
            user.append(f"user space: {_show(term, 1)} ({_why(term, terms, down)})")
    if not kernel:
        kernel.append("kernel: returns the whole table")
    if not user:
        user.append("user space: nothing more")
    return [*kernel, *user, "user space checks again what the kernel was asked to filter, as "
            "kernels before 5.8 ignore parts of it"]  # fmt: skip


def _shadowed(term: Node, terms: list[Node]) -> bool:
    """Whether an earlier zone has taken the one place of its kind."""
    zones = [t for t in terms if isinstance(t, In) and t.fields == ("zone",) and _exact(t)]
    return term in zones and term is not zones[0]


def _exact(term: In) -> bool:
    return len(term.ranges) == 1 and term.ranges[0][0] == term.ranges[0][1]


def _why(term: Node, terms: list[Node], down: PushDown) -> str:
    """Why the kernel cannot check `term`."""
    if isinstance(term, Or):
        return "the kernel knows no `or'"
    if isinstance(term, (Not, _Unlike)):
        return "the kernel knows no `not'"
    if isinstance(term, Differ):
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
        return _why_in(term, terms, down)
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


def _why_in(term: In, terms: list[Node], down: PushDown) -> str:
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
    if not _exact(term):
        return "the kernel compares with one value, not with ranges or sets"
    if down.family == c.AF_INET6:
        return "tuples are only asked for in IPv4: some kernels invert IPv6 tests"
    if part and not down.family:
        return "the kernel compares tuples only with the family set: add `family == ipv4'"
    protocols = [t.ranges[0][0] for t in terms if isinstance(t, In) and _exact(t)
                 and t.fields == (direction + "_proto",)]  # fmt: skip
    if part in ("sport", "dport") and protocols[:1] not in ([c.IPPROTO_TCP], [c.IPPROTO_UDP]):
        return f"the kernel compares ports only with {direction}.proto == tcp or udp"
    if part.startswith("icmp") and protocols[:1] != [c.IPPROTO_ICMP]:
        return f"the kernel compares ICMP fields only with {direction}.proto == icmp"
    return f"the kernel compares {dotted(name)} with one value"
