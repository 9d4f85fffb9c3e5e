"""The grammar: ``or`` < ``and`` < ``not`` < a comparison, a flag or parentheses.

A recursive descent parser that builds nodes of :mod:`pyconntrack.ctnetlink.predicates` and merges
them so that the kernel can check more.  docs/where.md describes the language.
"""

from __future__ import annotations

from ..ctnetlink.predicates import And, Bits, In, Node, Or, equals, terms
from ..ctnetlink.pushdown import push_down
from ..escape import meant
from .comparison import EQUAL, ORDER, Comparison, families_of, family_node, negation
from .fields import ADDRESS, FAMILY, FLAGS, LABEL, STATE, STRING, field_of, spellings
from .lexer import Words
from .unparse import show
from .values import BOTH, FAMILY_BITS, KEYWORDS, V4, packed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .fields import Field
    from .lexer import Token, WhereError

#: the greatest depth of parentheses: each level takes a few Python calls, here and in bind
DEPTH = 50
_EXAMPLES = {ADDRESS: "in 10.0.0.0/8", STRING: '== "ftp"', FAMILY: "== ipv4",
             STATE: "== ESTABLISHED", LABEL: "== 5"}  # fmt: skip


class Part:
    """A parsed part: its predicate, the ``families`` that it can match (bits), its column."""

    __slots__ = ("column", "families", "node")

    def __init__(self, node: Node, families: int, column: int) -> None:
        self.node, self.families, self.column = node, families, column


class Parser(Words):
    """The parser: one method for each level of the grammar, loosest first."""

    __slots__ = ("depth",)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0

    def parse(self) -> Node:
        """Return the predicate of the whole text, with the family that it implies."""
        part = self.either()
        if self.next.kind != "end":
            raise self.stray()
        node = part.node
        for number, bit in FAMILY_BITS.items():
            if part.families == bit and not push_down(node).family:
                return And((*terms(node), equals("family", number)))
        return node

    def joined(self, word: str, inner: Callable[[], Part]) -> list[Part]:
        """Return the parts joined by ``word``."""
        parts = [inner()]
        while self.next.is_word(word):
            self.take()
            parts.append(inner())
        return parts

    def either(self) -> Part:
        """Parse parts joined by ``or``."""
        parts = self.joined("or", self.both)
        if len(parts) == 1:
            return parts[0]
        families = 0
        nodes: list[Node] = []
        for part in parts:
            families |= part.families
            nodes += part.node.nodes if isinstance(part.node, Or) else (part.node,)
        return Part(Or(nodes), families, parts[0].column)

    def both(self) -> Part:
        """Parse parts joined by ``and``; raise an error if their families exclude each other."""
        parts = self.joined("and", self.negation)
        if len(parts) == 1:
            return parts[0]
        families, narrow = BOTH, parts[0]
        for part in parts:
            if not families & part.families:
                one, other = ("IPv4", "IPv6") if families == V4 else ("IPv6", "IPv4")
                raise self.error(
                    f"this only matches {other}, but `{show(narrow.node)}' only {one}", part.column
                )
            if part.families != BOTH:
                families, narrow = families & part.families, part
        nodes = merged(term for part in parts for term in terms(part.node))
        return Part(nodes[0] if len(nodes) == 1 else And(nodes), families, parts[0].column)

    def negation(self) -> Part:
        """Parse a part after any number of ``not``."""
        column = self.next.column
        odd = False
        while self.next.is_word("not"):
            self.take()
            odd = not odd
        part = self.primary()
        if not odd:
            return part
        families, node = BOTH, part.node
        if isinstance(node, In) and node.fields == ("family",) and part.families != families:
            families ^= part.families
            node = family_node(families)
        else:
            node = negation(node)
        return Part(node, families, column)

    def primary(self) -> Part:
        """Parse parentheses or a comparison."""
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
        return Part(part.node, part.families, token.column)

    def comparison(self) -> Part:
        """Parse a flag or a comparison."""
        token = self.take()
        if token.kind != "word" or token.text.lower() in KEYWORDS:
            raise self.error(f"a field, a flag or `(' is expected, not {token}", token)
        following = self.next
        compared = following.is_op("&", *ORDER, *EQUAL) or following.is_word("in")
        if following.is_word("not"):
            compared = self.tokens[self.at + 1].is_word("in")
        field, flag = field_of(token.text), FLAGS.get(token.text.lower())
        if flag is not None and not (field and compared):
            if compared:
                word = token.text.lower()
                raise self.error(f"{word} is a flag: write `{word}' or `not {word}'", following)
            return Part(flag, BOTH, token.column)
        if field is None:
            raise self.unknown(token, compared)
        if not compared:
            raise self.error(f"{field.name} needs a comparison, as in `{example(field)}'", token)
        node = Comparison(self, field).node()
        return Part(node, families_of(node), token.column)

    # -- errors

    def stray(self) -> WhereError:
        """Return the error of an unexpected token."""
        token = self.next
        if token.is_op(")"):
            return self.error("no parenthesis is open here", token)
        if token.is_op(","):
            return self.error("a list of values needs `in'", token)
        if token.is_op(*ORDER, *EQUAL):
            return self.error("comparisons do not chain: write `and' between two of them", token)
        return self.error(f"`and' or `or' is expected before {token}", token)

    def unknown(self, token: Token, compared: bool) -> WhereError:
        """Return the error of an unknown name."""
        word = token.text
        if (word[0] not in "_" and not word[0].isalpha()) or packed(word.partition("/")[0]):
            return self.error(f"the name of a field is expected, not {token}", token)
        known = spellings() + ([] if compared else list(FLAGS))
        what = "field" if compared else "field or flag"
        hint = meant(word.replace("_", "."), known) or meant(word, known)
        return self.error(f"there is no {what} {token}{hint}", token)


def example(field: Field) -> str:
    """Return an example of a comparison with ``field``."""
    value = "== tcp" if field.name.endswith("proto") else _EXAMPLES.get(field.kind, "== 5")
    return f"{field.name} {value}"


def merged(nodes: Iterable[Node]) -> list[Node]:
    """Return ``nodes`` with the bits of a field merged: the kernel takes one mask per field."""
    found: list[Node] = []
    for term in nodes:
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
