"""Made-up messages and predicates: batches of any shapes, and strategies from the schema."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from pyconntrack.ctnetlink.constants import (
    AF_INET,
    AF_INET6,
    ct_msg,
    exp_msg,
)
from pyconntrack.ctnetlink.encode import encode
from pyconntrack.ctnetlink.kinds import BYTES, HOST32, LABELS, TEXT
from pyconntrack.ctnetlink.predicates import (
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
from pyconntrack.ctnetlink.schema import CONNTRACK, EXPECT, Attr, Rows
from pyconntrack.model import flatten
from pyconntrack.netlink.messages import attr, message, nest

SEQ = 1_700_000_000
#: numbers at which a decimal, a width or a table ends
EDGES = [
    0, 1, 9, 10, 99, 100, 255, 256, 999, 1000, 9999, 10_000, 10_001, 65_535, 65_536, 99_999,
    100_000, 99_990_000, 99_999_999, 100_000_000, 100_000_001, 655_350_000, 655_360_000,
    999_999_999, 1_000_000_000, 2**31, 2**32 - 1, 2**32, 10**12, 10**16, 10**16 + 1, 2**63,
    10**19, 2**64 - 1,
]  # fmt: skip
ADDRESSES = [
    bytes(16), bytes(15) + b"\1", b"\1" + bytes(15), b"\xfe\x80" + bytes(13) + b"\1",
    bytes(10) + b"\xff\xff\x0a\0\0\1", bytes(12) + b"\x0a\0\0\1", bytes(12) + b"\0\1\0\0",
    bytes(13) + b"\1\0\1", b"\xff" * 16, bytes.fromhex("20010db8000000010000000000000001"),
    bytes.fromhex("20010db8000100000001000100010001"),
    bytes.fromhex("00010000000000010000000000000001"),
    bytes(8) + b"\xff\xff" + bytes(6), bytes(2) + b"\0\1" * 7, b"\0\1" * 7 + bytes(2),
    bytes(4) + b"\xab\xcd" * 6, b"\xab\xcd" * 6 + bytes(4), b"\0\0\0\1" * 4, b"\0\1\0\0" * 4,
]  # fmt: skip


def payload(rows: Rows, shape: random.Random, values: random.Random) -> bytes:
    """Return attributes of ``rows``, which and how long by ``shape``, with values by ``values``."""
    out = []
    family = shape.choice((4, 16))
    for number, row in sorted({row.number: row for row in rows.values()}.items()):
        if shape.random() < 0.35:
            continue
        if isinstance(row, Attr):
            size = row.kind.size or shape.choice((0, 1, 3, 4, 8, 16))
            if row.kind.size in (4, 16) and not row.kind.number and row.only:
                size = row.kind.size
                if size != family:
                    continue
            if row.shape:
                value = bytes([shape.choice((1, 6, 6, 17, 17, 47, 58, 132, 255))])
            else:
                value = _value(size, row.kind.number, values)
            if shape.random() < 0.03:
                value += b"\0" * 4  # longer than it need be
            out.append(attr(number, value))
        else:
            out.append(nest(number, payload(row.rows, shape, values)))
    if shape.random() < 0.1:
        out.append(attr(shape.choice((0, 99, 300)), b"unknown"))
    if shape.random() < 0.1 and out:
        out.append(shape.choice(out))
    return b"".join(out)


def _value(size: int, number: bool, values: random.Random) -> bytes:
    if number:
        edge = values.choice(EDGES) if values.random() < 0.5 else values.getrandbits(8 * size)
        return (edge & (1 << 8 * size) - 1).to_bytes(size)
    if size == 16 and values.random() < 0.5:
        return values.choice(ADDRESSES)
    if values.random() < 0.2:
        return bytes(size)
    return values.randbytes(size) if size > 3 else values.choice((b"\0\0\0", b"ftp"))[:size]


def entry(shape: int, values: int, *, expect: bool = False) -> bytes:
    """Return a message; an equal ``shape`` mostly gives an equal layout."""
    by_shape = random.Random(shape)
    family = by_shape.choice((AF_INET, AF_INET6))
    kind, rows = (exp_msg(0), EXPECT) if expect else (ct_msg(0), CONNTRACK)
    return message(kind, 2, SEQ, family, payload(rows, by_shape, random.Random(values)))


def batch(seed: int, shapes: int, count: int, *, expect: bool = False) -> list[bytes]:
    """Return ``count`` messages of about ``shapes`` shapes, mixed."""
    chooser = random.Random(seed)
    known = [chooser.getrandbits(32) for _ in range(shapes)]
    return [
        entry(chooser.choice(known), chooser.getrandbits(32), expect=expect) for _ in range(count)
    ]


BATCHES = st.builds(
    batch, st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 60), expect=st.booleans()
)


_NUMBERS = st.sampled_from(EDGES) | st.integers(-1, 2**65)
_RANGES = st.lists(st.tuples(_NUMBERS, _NUMBERS), max_size=3)
_FIELDS = st.sampled_from(
    [
        "orig_sport",
        "mark",
        "timeout",
        "orig_bytes",
        "reply_bytes",
        "tcp_state",
        "orig_packets",
        "zone",
        "orig_zone",
    ]
)
_ADDRESSES = st.sampled_from(["orig_src", "orig_dst", "reply_src", "master_dst"])


def _net(address: bytes, bits: int) -> tuple[bytes, bytes]:
    size = 8 * len(address)
    bits = min(bits, size)
    return address, ((1 << bits) - 1 << size - bits).to_bytes(size // 8)


_NETS = st.builds(
    _net,
    st.sampled_from(ADDRESSES) | st.binary(min_size=4, max_size=4),
    st.sampled_from([0, 1, 8, 31, 32, 33, 64, 127, 128]),
)
_LEAVES: st.SearchStrategy[Node] = st.one_of(
    st.builds(lambda f, r: In(f, *r), _FIELDS, _RANGES),
    st.builds(lambda f, r: In(tuple(f), *r), st.lists(_FIELDS, min_size=1, max_size=3), _RANGES),
    st.builds(
        lambda f, r: In(f, *r),
        st.sampled_from(["family", "orig_proto"]),
        st.just([(2, 2)]) | st.just([(6, 17)]),
    ),
    st.builds(lambda f, n: Net(f, *n), _ADDRESSES, st.lists(_NETS, max_size=3)),
    st.builds(
        Bits, st.sampled_from(["status", "mark", "secmark"]),
        st.sampled_from([0, 1, 2, 0xFFFFFFFF, 0x80000000]), st.sampled_from([0, 1, 2, 2**32]),
    ),
    st.builds(
        Compare, st.sampled_from(["orig_src", "orig_sport", "orig_dst", "mark", "orig_bytes"]),
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        st.sampled_from(["reply_dst", "reply_dport", "orig_src", "timeout", "zone"]),
    ),
    st.builds(Text, st.sampled_from(["helper", "secctx"]), st.sampled_from(["", "ftp", "f"])),
    st.builds(Label, st.integers(0, 200)),
    st.builds(lambda r: Age(*r), _RANGES),
)  # fmt: skip
NODES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, max_size=3)),
        st.builds(Or, st.lists(inner, max_size=3)),
    ),
    max_leaves=5,
)


def values_of(row: Attr) -> st.SearchStrategy[object]:
    kind = row.kind
    if row.shape:  # a protocol: with ports, with keys, with neither
        return st.sampled_from([6, 17, 47]) | st.integers(0, kind.limit)
    if kind.number:
        return st.integers(0, kind.limit)
    if kind is TEXT:
        return st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
    if kind in (BYTES, LABELS):
        return st.binary(max_size=16)  # CTA_LABELS' size
    return st.binary(min_size=kind.size, max_size=kind.size)


def messages(rows: Rows, kind: int) -> st.SearchStrategy[bytes]:
    def fits(name: str, chosen: dict[str, object]) -> bool:
        row = flatten(rows)[name][0]
        prefix = name.removesuffix(row.name)
        return not row.protocols or chosen.get(prefix + "proto") in row.protocols

    def build(family: int, chosen: dict[str, object]) -> bytes:
        chosen = {name: value for name, value in chosen.items() if fits(name, chosen)}
        return message(kind, 0, 7, family, encode(rows, chosen, family))

    def of(family: int) -> st.SearchStrategy[bytes]:
        fields = {
            name: values_of(fitting[0])
            for name, found in flatten(rows).items()
            if (fitting := [row for row in found if row.only in (0, family)])
            and fitting[0].kind is not HOST32
        }
        return st.builds(
            build, st.just(family), st.fixed_dictionaries({}, optional=fields)
        )  # fmt: skip

    return st.sampled_from([2, 10]).flatmap(of)
