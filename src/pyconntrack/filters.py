"""Predicates from keywords: ``Filter(orig_src="10.0.0.0/8", proto="tcp", status="!ASSURED")``."""

from __future__ import annotations

from .ctnetlink.convert import family_number
from .ctnetlink.kinds import IPV4, IPV6, LABEL_BYTES, LABELS, TEXT
from .ctnetlink.predicates import (
    And,
    Bits,
    In,
    Label,
    Net,
    Node,
    Not,
    Or,
    Text,
    equals,
)
from .ctnetlink.schema import CONNTRACK, EXPECT
from .ctnetlink.vocabulary import FAMILY, FLAGS, STATES, UNSET
from .ctnetlink.words import Unknown
from .errors import RequestError, no_such, none_of
from .escape import meant, shown
from .model import FIELDS, meets, packed, to_raw
from .model.entry import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Unpack

    from .model import Expect, Flow
    from .model.arguments import FilterFields

#: words that stand for a bit not set
_CONTRARY = {"UNREPLIED": "SEEN_REPLY", "UNSET": UNSET}
#: shorter names
_ALIASES = {"proto": "orig_proto"}
_NAMES = {**FIELDS[id(EXPECT)], **FIELDS[id(CONNTRACK)]}

#: the predicates that always and never hold
EVERYTHING, NOTHING = And(()), Or(())


class Filter:
    """A condition on entries, from keywords, all of which must hold.

    A keyword is the schema name of a field, or ``proto`` (of the original tuple), ``state`` (a
    word of TCP, SCTP or DCCP), ``family`` (2, 10, ``"ipv4"``, ``"ipv6"``), ``label`` (the number of
    a label that is set).

    - An address is text, optionally with a prefix (``"10.0.0.0/8"``), or an ``ipaddress`` value.
    - A number is an int, its word or :class:`~pyconntrack.Unknown` where it has one, or
      ``range(1024, 2048)``.
    - ``mark``, and any other number, may be ``(value, mask)``, two ints.
    - ``status`` and ``flags`` take words; ``"!WORD"`` is a bit that must not be set; of a list
      all must hold.  ``"UNREPLIED"`` is ``"!SEEN_REPLY"``; ``"UNSET"`` is none of
      SEEN_REPLY, ASSURED, EXPECTED and FIXED_TIMEOUT.
    - Of any other list, set or iterable one item must hold.

    A comparison with a field that an entry lacks is false, except that a ``mark`` or zone of 0
    matches an entry without one.  Combine filters with ``&``, ``|`` and ``~``.  The kernel narrows
    a dump where it can; each entry is decided again here.  ``repr`` shows the expression, and
    filters of the same parts are equal.

    Raises :class:`~pyconntrack.RequestError`, which names the field.
    """

    __slots__ = ("_node",)

    _node: Node

    def __init__(self, **keywords: Unpack[FilterFields]) -> None:
        self._node = _simple(
            And(_node(name, value) for name, value in keywords.items() if value is not None)
        )

    @staticmethod
    def where(text: str) -> Filter:
        """Return the filter of a text such as ``"proto == tcp and orig_dport in 80,443"``.

        Raises :class:`~pyconntrack.WhereError`, which has the column of the error.
        """
        from . import where

        if not isinstance(text, str):
            raise RequestError(f"text: an expression is wanted, not {shown(text)}")
        return _of(where.parse(text))

    def matches(self, entry: Flow | Expect) -> bool:
        """Return whether ``entry`` matches, decided by its fields as a dump decides it."""
        if not isinstance(entry, Entry):
            raise RequestError(f"entry: a Flow or an Expect is wanted, not {shown(entry)}")
        return meets(self._node, entry._layout, entry.message)

    def explain(self) -> list[str]:
        """Return lines that explain what the kernel checks of this in a dump, and why not the rest.

        It is the same for a table of any size.
        """
        from .ctnetlink.pushdown import push_down
        from .where.explanation import KEYWORDS, explain

        return explain(self._node, [push_down(self._node)], KEYWORDS)

    def __and__(self, other: Filter) -> Filter:
        if not isinstance(other, Filter):
            return NotImplemented
        return _of(And((self._node, other._node)))

    def __or__(self, other: Filter) -> Filter:
        if not isinstance(other, Filter):
            return NotImplemented
        return _of(Or((self._node, other._node)))

    def __invert__(self) -> Filter:
        return _of(Not(self._node))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Filter):
            return NotImplemented
        return self._node == other._node

    def __hash__(self) -> int:
        return hash(self._node)

    def __repr__(self) -> str:
        return _source(self._node)


def _source(node: Node, *, inner: bool = False) -> str:
    """Return Python source that makes the filter of ``node``.

    It is one expression where that is read as the same predicate; what an expression cannot say
    (addresses of both families at once, fields of expectations) is put together.
    """
    from .where import WhereError, parse, show

    if node == EVERYTHING:
        return "Filter()"
    if node == NOTHING:
        return "~Filter()"
    expression = show(node)
    try:
        if _simple(parse(expression)) == node:
            return f"Filter.where({expression!r})"
    except WhereError:
        pass
    if isinstance(node, Not):
        return f"~{_source(node.node, inner=True)}"
    if isinstance(node, And | Or):
        sign = " & " if isinstance(node, And) else " | "
        joined = sign.join(_source(part, inner=True) for part in node.nodes)
        return f"({joined})" if inner else joined
    value: object
    if isinstance(node, In):
        [name], [(low, high)] = node.fields, node.ranges
        value = low if low == high else range(low, high + 1)
    elif isinstance(node, Bits):
        name, value = node.field, (node.want, node.mask)
    elif isinstance(node, Net):
        name = node.field
        value = [show(Net(name, network)).split()[-1] for network in node.networks]
    else:
        assert isinstance(node, Text), node
        name, value = node.field, [*node.words]
    return f"Filter({name}={value!r})"


def _of(node: Node) -> Filter:
    """Return the filter that holds the predicate ``node``."""
    made = Filter.__new__(Filter)
    made._node = _simple(node)
    return made


def node_of(filter: object) -> Node | None:
    """Return the predicate of a caller's filter, or None; raise RequestError for anything else."""
    if filter is None:
        return None
    if isinstance(filter, Filter):
        return filter._node
    hint = ": Filter.where(text) reads an expression" if isinstance(filter, str) else ""
    raise RequestError(f"filter: a Filter is wanted, not {shown(filter)}{hint}")


def _simple(node: Node) -> Node:
    """Return ``node`` without nests of one kind, and without parts that decide nothing.

    So the predicates that always or never hold are :data:`EVERYTHING` and :data:`NOTHING`, and are
    part of no other.
    """
    if isinstance(node, Not):
        part = _simple(node.node)
        if part in (EVERYTHING, NOTHING):
            return NOTHING if part == EVERYTHING else EVERYTHING
        return part.node if isinstance(part, Not) else Not(part)
    if isinstance(node, And | Or):
        kind, decisive = (And, NOTHING) if isinstance(node, And) else (Or, EVERYTHING)
        parts: list[Node] = []
        for part in map(_simple, node.nodes):
            if part == decisive:
                return part
            parts += part.nodes if isinstance(part, kind) else (part,)
        return parts[0] if len(parts) == 1 else kind(parts)
    if (isinstance(node, Net) and not node.networks) or (isinstance(node, Text) and not node.words):
        return NOTHING
    return node


def _node(keyword: str, value: Any) -> Node:
    name = _ALIASES.get(keyword, keyword)
    if name == "family":
        number = family_number(value)
        if not number:
            raise none_of(name, value, FAMILY.values())
        return equals(name, number)
    if name == "state":
        return _state(_items(value))
    if name == "label":
        return _any([_label(each) for each in _items(value)])
    if name not in _NAMES:
        own = (*_ALIASES, "state", "family", "label", *FIELDS[id(CONNTRACK)])
        raise no_such("field", keyword, dict.fromkeys((*own, *_NAMES)))
    row = _NAMES[name][0]
    if row.words in FLAGS:
        return _flags(name, value)
    if row.kind in (IPV4, IPV6):
        return Net(name, *[_network(each, keyword) for each in _items(value)])
    if row.kind is TEXT:
        return Text(name, *[str(to_raw(_NAMES[name], keyword, each)) for each in _items(value)])
    if not row.kind.number:
        raise RequestError(f"{keyword}: no filter for this field" + (
            "; label=NUMBER is one" if row.kind is LABELS else ""))  # fmt: skip
    # ("icmp", "udp") are two words, not the number 1 under the mask 17
    if isinstance(value, tuple) and (row.words is None or all(isinstance(n, int) for n in value)):
        if len(value) != 2:
            raise RequestError(f"{keyword}: (value, mask) is wanted, not {shown(value)}")
        want, mask = (to_raw(_NAMES[name], keyword, each) for each in value)
        _check_mask(keyword, want, mask)
        return Bits(name, mask, want)
    return _any([_number(name, keyword, each) for each in _items(value)])


def _check_mask(keyword: str, want: int, mask: int) -> None:
    if want & ~mask:
        raise RequestError(f"{keyword}: {want:#x} has bits outside its mask {mask:#x}")


def _items(value: Any) -> list[Any]:
    """Return the items of an iterable; a text, address, range or network is one item."""
    one = isinstance(value, (str, bytes, range)) or hasattr(value, "network_address")
    return [value] if one or not hasattr(value, "__iter__") else list(value)


def _any(nodes: list[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else Or(nodes)


def _number(name: str, keyword: str, value: Any) -> Node:
    rows = _NAMES[name]
    ends = (value, value)
    if isinstance(value, range):
        if value.step != 1 or not value:
            raise RequestError(f"{keyword}: a range of step 1 is wanted, not {value!r}")
        ends = (value.start, value.stop - 1)
    low, high = (to_raw(rows, keyword, end) for end in ends)
    if name == "mark" and not isinstance(value, range):
        return Bits(name, rows[0].kind.limit, low)
    return In(name, (low, high))


def _meant_state(word: object) -> str:
    words = (known for vocabulary in STATES.values() for known in vocabulary.values())
    return meant(word, words) if isinstance(word, str) else ""


def _state(words: list[Any]) -> Node:
    """Return the predicate of a state in any protocol that has it, as ``Flow.state`` is."""
    numbers: dict[str, list[int]] = {name: [] for name in STATES}
    for word in words:
        known = False
        for name, vocabulary in STATES.items():
            own = isinstance(word, Unknown) and word.vocabulary == name
            if own or (isinstance(word, str) and word.upper() in vocabulary.values()):
                numbers[name].append(to_raw(_NAMES[name], "state", word))
                known = True
        if not known:
            raise RequestError(
                f"state: a word is wanted, not {word!r}; tcp_state=, sctp_state= and dccp_state= "
                "take numbers, too"
                if isinstance(word, int)
                else f"state: no protocol has a state {word!r}{_meant_state(word)}"
            )
    return _any(
        [In(name, *((n, n) for n in sorted({*each}))) for name, each in numbers.items() if each]
    )


def _label(value: Any) -> Node:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 8 * LABEL_BYTES:
        raise RequestError(f"label: a number 0..127 is wanted, not {value!r}")
    return Label(value)


def _flags(name: str, value: Any) -> Node:
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, int) for v in value):
        want, mask = value
        _check_mask(name, want, mask)
        return Bits(name, mask, want)
    mask = want = 0
    for each in _items(value):
        negated = isinstance(each, str) and each.startswith("!")
        word = each.removeprefix("!") if isinstance(each, str) else each
        if name == "status" and isinstance(word, str) and word.upper() in _CONTRARY:
            if negated and word.upper() == "UNSET":
                raise RequestError("status: `!UNSET' is any of several: combine filters with |")
            word, negated = _CONTRARY[word.upper()], not negated
        bit = to_raw(_NAMES[name], name, word)
        if not bit:
            raise RequestError(f"{name}: {word!r} is no bit; (0, mask) is none of those in a mask")
        if mask & bit and bool(want & bit) is negated:
            raise RequestError(f"{name}: {word} is both wanted and not wanted")
        mask |= bit
        want |= 0 if negated else bit
    if not mask:
        raise RequestError(f"{name}: at least one word is wanted, not {value!r}")
    return Bits(name, mask, want)


def _network(value: Any, keyword: str) -> tuple[bytes, bytes]:
    bits: Any = None
    if isinstance(value, str) and "/" in value:
        value, _, bits = value.partition("/")
    elif hasattr(value, "network_address"):
        value, bits = value.network_address, value.prefixlen
    address = packed(value, keyword)
    width = 8 * len(address)
    try:
        length = width if bits is None else int(bits)
    except ValueError:
        length = -1
    if not 0 <= length <= width:
        raise RequestError(f"{keyword}: a prefix length 0..{width} is wanted, not {bits!r}")
    mask = (1 << width) - (1 << width - length)
    size = len(address)
    return (int.from_bytes(address) & mask).to_bytes(size), mask.to_bytes(size)
