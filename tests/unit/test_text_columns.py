"""The text of a batch is the text of its messages, byte for byte."""

from __future__ import annotations

import random
import time
from _socket import AF_INET6, inet_ntop
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack.columnar import columns, render
from pyconntrack.columnar.columns import Bools, Group
from pyconntrack.columnar.predicates import mask
from pyconntrack.columnar.render import Bulk
from pyconntrack.ctnetlink import vocabulary
from pyconntrack.ctnetlink.constants import (
    AF_INET,
    ct_msg,
)
from pyconntrack.ctnetlink.layout import Layout, find
from pyconntrack.ctnetlink.predicates import In, bind
from pyconntrack.errors import DecodeError
from pyconntrack.formats import save, text, xml
from pyconntrack.formats.registry import Writer
from pyconntrack.formats.segments import (
    DURATION,
    SIZE,
    Addr,
    Age,
    Call,
    Cell,
    Differ,
    Flag,
    Made,
    Num,
    Piece,
    Row,
    Total,
    Word,
    compile_line,
)
from pyconntrack.formats.table import Screen
from pyconntrack.netlink.messages import attr, message, nest
from support.batches import formatted
from support.messages import ADDRESSES, BATCHES, EDGES, SEQ

Pieces = Callable[[Layout], list[Piece]]


@pytest.fixture(autouse=True, params=["matrices", "mixed"])
def _path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "mixed":
        monkeypatch.setattr(columns, "FEW", 1)
        monkeypatch.setattr(render, "FEW", 1)


def one_by_one(messages: list[bytes], pieces: Pieces) -> bytes:
    lines = []
    for each in messages:
        layout = find(each)
        lines.append(compile_line(pieces(layout), layout)(layout.unpack(each)) + "\n")
    return "".join(lines).encode()


def same(messages: list[bytes], pieces: Pieces) -> bytes:
    """Proves the batch against the single messages; scratch room is used again."""
    data = b"".join(messages)
    want = one_by_one(messages, pieces)
    made = Bulk(pieces)
    for window in (8192, 8192, 7):
        got, count = formatted(made, data, window=window)
        assert count == len(messages)
        assert got.splitlines() == want.splitlines()
        assert got == want
    return want


SPECS = ["%d", "%u", "%i", "0x%x", "%-8u|", "%05d", "%3d%%", "%X", "%o"]
LITERALS = ["", " ", "a=", " sport=", "100%s %d%%", "żółć", "<layer3 protonum=", "x" * 40]


def random_pieces(seed: int) -> Pieces:
    """Any pieces that a layout allows; the same for the same layout."""

    def pieces(layout: Layout) -> list[Piece]:
        chance = random.Random(f"{seed} {layout.length} {layout.template}")
        out: list[Piece] = []
        for name, slot in layout.slots.items():
            if chance.random() < 0.6:
                out.append(chance.choice(LITERALS))
            if slot.kind.number:
                out.append(_number_piece(name, chance))
            elif slot.size in (4, 16) and slot.kind.size:
                out.append(Addr(name))
            else:
                out.append(Call(lambda raw: raw.hex()[:9], name))
        wide = [name for name, slot in layout.slots.items() if slot.kind.number and slot.size == 8]
        if wide:
            out.append(Age(chance.choice(wide), chance.choice(wide)))
            out.append(Made(lambda n: f"<{n}>", chance.choice(wide), 1_000_000_000))
        out += _totals(layout, chance)
        if chance.random() < 0.5:
            out.append(chance.choice(LITERALS))
        if chance.random() < 0.1:
            out.insert(0, Call(lambda: "now"))
        return _in_cells(out, chance) if chance.random() < 0.5 else out

    return pieces


def _totals(layout: Layout, chance: random.Random, depth: int = 2) -> list[Piece]:
    """Sums of any numbers, and what is shown only where two fields differ."""
    numbers = [name for name, slot in layout.slots.items() if slot.kind.number]
    out: list[Piece] = []
    if numbers:
        some = chance.choices(numbers, k=chance.randrange(1, 4))
        out.append(Total(chance.choice([None, DURATION, SIZE]), *some))
    for one in layout.slots if depth else ():
        other = chance.choice([*layout.slots])
        if chance.random() < 0.3 and _alike(layout, one, other):
            pairs = [(one, other), *[(one, one)] * chance.randrange(2)]
            out.append(Differ(pairs, ["<", *_totals(layout, chance, depth - 1)[:3], ">"]))
    return out


def _alike(layout: Layout, one: str, other: str) -> bool:
    first, second = layout.slots[one], layout.slots[other]
    return first.size == second.size and first.kind.number == second.kind.number


def _in_cells(pieces: list[Piece], chance: random.Random) -> list[Piece]:
    """The same pieces in cells of any width; of them only the last may be other than ASCII."""
    cells: list[Cell] = []
    place = 0
    for piece in pieces:
        place += chance.randrange(12)
        if not isinstance(piece, (str, Word, Call)) and chance.random() < 0.9:
            some: list[Piece] = [piece] if chance.random() < 0.8 else []
            cells.append(Cell(some, place, right=chance.random() < 0.5))
    row = Row([*cells, Cell(["ü"], place)], chance.choice(["", "-", "none"]))
    return [chance.choice(LITERALS), row]


def _number_piece(name: str, chance: random.Random) -> Piece:
    kind = chance.randrange(6)
    if kind == 0:
        words = {0: "", 1: "one", 3: "ESTABLISHED_AND_LONG", 255: "ü", 2**32 - 1: "most"}
        return Word(name, words, chance.choice(SPECS))
    if kind == 1:
        bits = chance.choice([0, 1, 2, 0x80000000, 2**63, -1])
        want = chance.choice([bits, 0, 1, 2**40])
        return Flag(name, bits, want, "[UNREPLIED] ", chance.choice(["", "no"]))
    if kind == 2:
        return Call(lambda value: f"<{value % 7 * '*'}>", name)
    return Num(name, chance.choice(SPECS) if kind == 3 else "%d")


@given(BATCHES, st.integers(0, 2**32))
def test_any_pieces(messages: list[bytes], seed: int) -> None:
    same(messages, random_pieces(seed))


_LABELS = {0: "zero", 5: "a&b"}
WRITERS: dict[str, Pieces] = {
    "plain": lambda layout: text.flow(layout, (), {}),
    "times": lambda layout: text.flow(layout, ("ktimestamp",), None),
    "extended": lambda layout: text.flow(layout, ("extended", "id"), _LABELS),
    "xml": lambda layout: xml.flow(layout, ("ktimestamp",), _LABELS),
    "save": lambda layout: save.flow(layout, "-A", _LABELS),
    "table": Writer(["table", "id", "ktimestamp"], _LABELS, screen=Screen(colour=True)).pieces,
}


@pytest.mark.parametrize("name", WRITERS)
@given(messages=BATCHES)
def test_the_writers(name: str, messages: list[bytes]) -> None:
    writer = WRITERS[name]
    wanted = [each for each in messages if _writable(each, writer)]
    with pytest.MonkeyPatch.context() as patch:
        # how long a flow has lived depends on when one looks
        patch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
        same(wanted, writer)


def _writable(each: bytes, pieces: Pieces) -> bool:
    # random shapes lack what a writer may take for granted; that is the writer's affair
    try:
        one_by_one([each], pieces)
    except KeyError:
        return False
    return True


@given(BATCHES, st.integers(0, 2**16), st.integers(0, 2**32))
def test_selected_rows(messages: list[bytes], low: int, seed: int) -> None:
    node = In("mark", (low, 2**32))
    pieces = random_pieces(seed)

    def select(group: Group) -> Bools:
        return mask(node, group)

    wanted = []
    for each in messages:
        test = bind(node, find(each))
        if test is True or (test is not False and test(find(each).unpack(each))):
            wanted.append(each)
    data = b"".join(messages)
    want = one_by_one(wanted, pieces)
    assert formatted(Bulk(pieces), data, select) == (want, len(wanted))


@given(BATCHES, st.randoms(use_true_random=False))
def test_hostile_bytes(messages: list[bytes], chance: random.Random) -> None:
    data = bytearray(b"".join(messages))
    for _ in range(3):
        data[chance.randrange(len(data))] = chance.choice((0, 3, 4, 8, 255))
    try:
        _, count = formatted(Bulk(random_pieces(1)), data)
    except DecodeError:
        return
    assert count >= 1


def _numbers(kind: int, size: int, values: list[int], number: int) -> list[bytes]:
    rows = []
    for value in values:
        field = attr(number, (value & (1 << 8 * size) - 1).to_bytes(size))
        rows.append(message(ct_msg(0), 2, SEQ, AF_INET, nest(kind, field) if kind else field))
    return rows


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(
    ("field", "kind", "number", "size"),
    [("mark", 0, 8, 4), ("zone", 0, 18, 2), ("orig_packets", 9, 1, 8),
     ("timestamp_start", 20, 1, 8)],
)  # fmt: skip
def test_numbers(spec: str, field: str, kind: int, number: int, size: int) -> None:
    chance = random.Random(spec)
    values = [*EDGES, *(each - 1 for each in EDGES if each)]
    values += [chance.getrandbits(chance.randrange(1, 8 * size + 1)) for _ in range(500)]
    for top in (8, 100, 65_536, 10**6, 10**8, 10**9, 2**32, 2**64):
        rows = _numbers(kind, size, [value for value in values if value < top], number)
        for around in (("", ""), ("n=", ""), ("", " end of line"), ("a long beginning ", " ")):
            same(rows, lambda _: [around[0], Num(field, spec), around[1]])  # noqa: B023
            same(rows[:1] * 20, lambda _: [around[0], Num(field, spec)])  # noqa: B023


def _six(addresses: list[bytes]) -> list[bytes]:
    return [
        message(ct_msg(0), 2, SEQ, AF_INET6, nest(1, nest(1, attr(3, each)))) for each in addresses
    ]


def test_each_pattern_of_zeros_in_an_ipv6_address() -> None:
    addresses = list(ADDRESSES)
    for pattern in range(256):
        for part in (b"\0\1", b"\xff\xff", b"\x0a\xbc"):
            addresses.append(b"".join(part if pattern >> n & 1 else b"\0\0" for n in range(8)))
    for rows in (addresses, addresses[40:45] * 5, *[[each] * 20 for each in addresses[:120]]):
        choices: list[list[Piece]] = [[Addr("orig_src")], ["s=", Addr("orig_src"), " a long end"]]
        for pieces in choices:
            lines = same(_six(rows), lambda _: pieces)  # noqa: B023
            assert inet_ntop(AF_INET6, rows[0]).encode() in lines


def test_ipv4_addresses() -> None:
    octets = (0, 1, 9, 10, 99, 100, 199, 255)
    rows = [
        message(ct_msg(0), 2, SEQ, AF_INET, nest(1, nest(1, attr(1, bytes((a, b, c, d))))))
        for a in octets for b in octets for c in octets for d in (0, 7, 78, 255)
    ]  # fmt: skip
    same(rows, lambda _: [Addr("orig_src")])
    same(rows, lambda _: ["src=", Addr("orig_src"), " "])


def test_words_flags_and_calls_of_every_value() -> None:
    rows = [
        message(
            ct_msg(0), 2, SEQ, AF_INET,
            attr(3, (n << n % 25 & 0xFFFFFFFF).to_bytes(4)) + nest(4, nest(1, attr(1, bytes([n])))),
        )
        for n in range(256)
    ]  # fmt: skip
    same(rows, lambda _: [Word("tcp_state", vocabulary.TCP_STATE)])
    same(rows, lambda _: [Word("status", vocabulary.STATUS, "[%x]"), Word("tcp_state", {}, "(%d)")])
    for bit, word in vocabulary.STATUS.items():
        same(rows, lambda _: [Flag("status", bit, bit, word), Flag("status", bit, 0, "", "x")])  # noqa: B023
    same(rows, lambda _: [Call(lambda a, b: "ü" * (a % 5) + str(b), "tcp_state", "status")])
    same(rows, lambda _: [Call(lambda _: "", "status")])


def test_no_fields_and_no_pieces() -> None:
    rows = [message(ct_msg(0), 2, SEQ, AF_INET)] * 30
    assert same(rows, lambda _: ["100% ü"]) == "100% ü\n".encode() * 30
    assert same(rows, lambda _: []) == b"\n" * 30


def test_nothing() -> None:
    made = Bulk(lambda _: ["x"])
    assert formatted(made, b"") == (b"", 0)
    row = message(ct_msg(0), 2, SEQ, AF_INET) * 20
    assert formatted(made, row, lambda group: np.zeros(len(group), np.bool_)) == (b"", 0)


def test_a_value_as_wide_as_the_next_rows() -> None:
    # what a lane leaves behind its row must not harm short rows of another shape
    rows = []
    for n in range(100):
        rows.append(message(ct_msg(0), 2, SEQ, AF_INET, attr(8, n.to_bytes(4))))
        rows.append(message(ct_msg(0), 2, SEQ, AF_INET, attr(18, n.to_bytes(2))))

    def pieces(layout: Layout) -> list[Piece]:
        if "mark" in layout.slots:
            return [Call(lambda value: "m" * value, "mark")]
        return ["z", Num("zone")]

    same(rows, pieces)
