"""The pieces of :mod:`.pieces` as columns: the text of thousands of messages at once.

All messages of a layout become one matrix of text, a message a row.  A row is made of *lanes*:
each field has room for its widest value of the batch, is filled from tables (65,536 entries for
two octets of an address or a port), and ends in NUL bytes where its value is shorter; literal text
lies between.  One ``bytes.translate`` deletes the NULs, and what remains is the text that
:func:`.pieces.compile_line` gives line by line, which is the definition of what is right.

Lanes are mostly 8 bytes wide whatever their value needs, because that is one machine word: they
are written from left to right, and the bytes that a lane does not need are those of the literal
behind it or are overwritten by the next lane.

A field that has one value in the whole batch costs nothing: it is literal text.  Values never
contain NUL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..columns import as_bytes, groups, starts
from .pieces import Addr, Call, Flag, Num, Word, address, compile_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..columns import Bools, Buffer, Bytes, Column, Group, Ints
    from ..layout import Layout
    from .pieces import Piece

Words = npt.NDArray[np.uint64]
#: literal text, or (bytes of it that count, one word a row)
Lane = bytes | tuple[int, npt.NDArray[Any]]

#: messages formatted at once: their text should stay within a core's cache
BLOCK = 2048
#: fewer rows of a shape than this are formatted one by one
FEW = 12
#: plans (one a layout) kept
PLANS = 4096


class Bulk:
    """Formats batches of messages; `pieces_of` says what a line of a layout is made of.

    The texts come in the kernel's order, each with a newline.
    """

    __slots__ = ("_pieces_of", "_plans")

    def __init__(self, pieces_of: Callable[[Layout], list[Piece]]) -> None:
        self._pieces_of = pieces_of
        self._plans: dict[Layout, _Plan] = {}

    def format(
        self, buffer: Buffer, end: int, select: Callable[[Group], Bools] | None = None
    ) -> tuple[bytes, int]:
        """The lines of the messages in ``buffer[:end]`` that `select` takes, and their number.

        `select` gives a mask of a group's rows, as :func:`pyconntrack.columns.mask` does.  Raises
        :class:`~pyconntrack.errors.DecodeError` where a message does not keep to the format.
        """
        at = starts(buffer, end)
        out = []
        count = 0
        blocks = max(1, (len(at) + BLOCK // 2) // BLOCK)
        size = -(-len(at) // blocks)
        for low in range(0, len(at), size or 1):
            text, number = self._block(buffer, at[low : low + size], select)
            out.append(text)
            count += number
        return b"".join(out) if len(out) != 1 else out[0], count

    def _block(
        self, buffer: Buffer, at: Ints, select: Callable[[Group], Bools] | None
    ) -> tuple[bytes, int]:
        shapes = groups(buffer, at)
        if select is not None:
            chosen = []
            for group in shapes:
                mask = select(group)
                if mask.all():
                    chosen.append(group)
                elif mask.any():
                    chosen.append(group.take(mask))
            shapes = chosen
        if not shapes:
            return b"", 0
        count = sum(map(len, shapes))
        if len(shapes) == 1 and count >= FEW:
            matrix = self._plan(shapes[0].layout).matrix(shapes[0])
            return matrix.tobytes().translate(None, b"\0"), count
        matrices: list[tuple[Ints, Bytes]] = []
        lines: list[tuple[int, bytes]] = []
        widths = np.zeros(len(at), np.intp)
        for group in shapes:
            plan = self._plan(group.layout)
            if len(group) < FEW:
                texts = plan.lines(group)
                lines += zip(group.index.tolist(), texts, strict=True)
                widths[group.index] = [len(text) for text in texts]
            else:
                matrix = plan.matrix(group)
                matrices.append((group.index, matrix))
                widths[group.index] = matrix.shape[1]
        # every row goes to its place in the kernel's order, as one item of its matrix's width
        ends = np.cumsum(widths)
        begins = ends - widths
        total = int(ends[-1])
        flat = np.empty(total, np.uint8)
        for index, matrix in matrices:
            width = matrix.shape[1]
            item = np.dtype((np.void, width))
            places: npt.NDArray[np.void] = np.ndarray(
                (total - width + 1,), item, flat.data, 0, (1,)
            )
            places[begins[index]] = matrix.view(item)[:, 0]
        if lines:
            view = memoryview(flat.data).cast("B")
            for number, text in lines:
                begin = int(begins[number])
                view[begin : begin + len(text)] = text
        return flat.tobytes().translate(None, b"\0"), count

    def _plan(self, layout: Layout) -> _Plan:
        plan = self._plans.get(layout)
        if plan is None:
            if len(self._plans) >= PLANS:
                self._plans.clear()
            plan = self._plans[layout] = _Plan(self._pieces_of(layout), layout)
        return plan


class _Plan:
    """How the lines of one layout are made, row by row and as a matrix."""

    __slots__ = ("_layout", "_line", "_pieces", "_steps")

    def __init__(self, pieces: list[Piece], layout: Layout) -> None:
        self._pieces, self._layout = pieces, layout
        self._line: Callable[[tuple[Any, ...]], str] | None = None
        self._steps: list[_Step] = []

    def lines(self, group: Group) -> list[bytes]:
        """The lines of a few rows."""
        line = self._line
        if line is None:
            line = self._line = compile_line(self._pieces, self._layout)
        unpack = self._layout.struct.unpack
        return [(line(unpack(message)) + "\n").encode() for message in group.messages()]

    def matrix(self, group: Group) -> Bytes:
        """The lines of many rows, shape (n, width), with NUL bytes to be deleted."""
        if not self._steps:
            self._steps = _steps(self._pieces, self._layout)
        lanes: list[tuple[int, int, npt.NDArray[Any]]] = []
        literals: list[bytes] = []
        width = least = 0
        for step in self._steps:
            for lane in (step,) if isinstance(step, bytes) else step(group):
                if isinstance(lane, bytes):
                    literals.append(lane)
                    width += len(lane)
                else:
                    room, words = lane
                    lanes.append((width, room, words))
                    literals.append(b"\0" * room)
                    least = width + words.itemsize
                    width += room
        if least > width:  # the last lane sticks out
            literals.append(b"\0" * (least - width))
            width = least
        template = b"".join(literals)
        count = len(group)
        out = np.empty((count, width), np.uint8)
        out.view(np.dtype((np.void, width)))[:] = np.void(template)
        data = out.data
        for at, room, words in lanes:
            size = words.itemsize
            rest = template[at + room : at + size]
            if rest.strip(b"\0"):
                words |= np.frombuffer(b"\0" * room + rest, words.dtype)[0]
            np.ndarray((count,), words.dtype, data, at, (width,))[:] = words
        return out


# ---- steps: a piece of a layout -> the lanes of a group -----------------------------------------

if TYPE_CHECKING:
    _Step = bytes | Callable[[Group], Iterable[Lane]]


def _steps(pieces: list[Piece], layout: Layout) -> list[_Step]:
    steps: list[_Step] = []
    for piece in [*pieces, "\n"]:
        step = _step(piece, layout)
        if isinstance(step, bytes) and steps and isinstance(steps[-1], bytes):
            steps[-1] += step
        elif step != b"":
            steps.append(step)
    return steps


def _step(piece: Piece, layout: Layout) -> _Step:
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, Call):
        return _call(piece)
    slot = layout.slots[piece.field]
    constant = layout.shape.get(piece.field)
    if isinstance(piece, Addr):
        return _ipv4(slot.offset) if slot.size == 4 else _ipv6(slot.offset)
    if isinstance(piece, Num):
        if constant is not None:
            return (piece.spec % constant).encode()
        if piece.spec in ("%d", "%u", "%i"):
            return _number(slot.offset, slot.size)
        return _by_value(piece.field, lambda value: piece.spec % value)
    if isinstance(piece, Word):
        if constant is not None:
            return _word(piece, constant).encode()
        if slot.size == 1:
            return _octet(slot.offset, [_word(piece, n) for n in range(256)])
        return _by_value(piece.field, lambda value: _word(piece, value))
    limit = (1 << 8 * slot.size) - 1
    if not 0 <= piece.want <= limit:
        return piece.other.encode()
    return _flag(piece, slot.offset, slot.size, limit)


def _word(piece: Word, value: int) -> str:
    return piece.words[value] if value in piece.words else piece.other % value


def _pack(texts: list[bytes]) -> Iterable[Lane]:
    """Lanes of one text a row."""
    matrix = np.array(texts, np.bytes_)
    width = matrix.dtype.itemsize
    words = -(-width // 8)
    table = matrix.astype(f"S{8 * words}").view(np.uint64).reshape(len(texts), words)
    for number in range(words):
        yield min(8, width - 8 * number), np.ascontiguousarray(table[:, number])


def _pick(texts: list[bytes], index: Column) -> Iterable[Lane]:
    """Lanes of ``texts[index]``; `texts` are few."""
    for room, table in _pack(texts):
        yield room, table[index]


def _call(piece: Call) -> Callable[[Group], Iterable[Lane]]:
    function = piece.function

    def step(group: Group) -> Iterable[Lane]:
        if not piece.fields:
            texts = [function() for _ in range(len(group))]
        else:
            columns = [group.raw(name) for name in piece.fields]
            texts = [function(*values) for values in zip(*columns, strict=True)]
        return _pack([text.encode() for text in texts])

    return step


def _by_value(field: str, text: Callable[[int], str]) -> Callable[[Group], Iterable[Lane]]:
    """What has no table: each distinct value once."""

    def step(group: Group) -> Iterable[Lane]:
        values, index = np.unique(group.column(field), return_inverse=True)
        return _pick([text(value).encode() for value in values.tolist()], index)

    return step


def _octet(at: int, words: list[str]) -> Callable[[Group], Iterable[Lane]]:
    texts = [word.encode() for word in words]
    tables: dict[int, list[Words]] = {}

    def step(group: Group) -> Iterable[Lane]:
        column = group.wire(at, 1)
        present = np.flatnonzero(np.bincount(column, minlength=256)).tolist()
        if len(present) == 1:
            return [texts[present[0]]]
        width = max(len(texts[value]) for value in present)
        table = tables.get(width)
        if table is None:
            cut = [text if len(text) <= width else b"" for text in texts]
            table = tables[width] = [words for _, words in _pack([*cut, b"-" * width])]
        return [(min(8, width - 8 * number), words[column]) for number, words in enumerate(table)]

    return step


def _flag(piece: Flag, at: int, size: int, limit: int) -> Callable[[Group], Iterable[Lane]]:
    text, other = piece.text.encode(), piece.other.encode()
    mask, want = (
        np.frombuffer(n.to_bytes(size), f"u{size}")[0] for n in (piece.mask & limit, piece.want)
    )
    lanes = [(room, words[0], words[1]) for room, words in _pack([text, other])]

    def step(group: Group) -> Iterable[Lane]:
        shown = (group.wire(at, size) & mask) == want
        number = np.count_nonzero(shown)
        if number == 0:
            return [other]
        if number == len(shown):
            return [text]
        return [(room, np.where(shown, yes, no)) for room, yes, no in lanes]

    return step


# ---- numbers ------------------------------------------------------------------------------------


def _number(at: int, size: int) -> Callable[[Group], Iterable[Lane]]:
    def step(group: Group) -> Iterable[Lane]:
        if size == 8:
            if group.wire(at, 4).any():
                column = group.wire(at, 8)
            else:
                column = group.wire(at + 4, 4)
        else:
            column = group.wire(at, size)
        first = column[0]
        if first == column[-1] and (column == first).all():
            return [b"%d" % int.from_bytes(first.tobytes())]
        if size > 1 and np.little_endian:
            column = column.byteswap()
        return digits(column)

    return step


def digits(column: Column) -> list[Lane]:
    """Lanes of unsigned numbers in decimal, (n,) in host byte order."""
    top = int(column.max())
    if top < 65536:
        return [(len(str(top)), _table("decimal")[column])]
    lower = []
    while top >= 65536:
        above = column // column.dtype.type(10_000)
        # unpadded where nothing stands before it, padded where something does
        part = (column - above * column.dtype.type(10_000)).astype(np.intp)
        part += np.minimum(above, column.dtype.type(1)).astype(np.intp) * 10_000
        lower.append(part)
        column = above
        top //= 10_000
    lanes: list[Lane] = [(len(str(top)), _table("leading")[column])]
    for part in lower[:0:-1]:
        lanes.append((4, _table("middle")[part]))
    lanes.append((4, _table("last")[lower[0]]))
    return lanes


# ---- addresses ----------------------------------------------------------------------------------


def _ipv4(at: int) -> Callable[[Group], Iterable[Lane]]:
    return lambda group: ipv4(group.wire(at, 2), group.wire(at + 2, 2))


def ipv4(high: Column, low: Column) -> list[Lane]:
    """Lanes of IPv4 addresses from their halves in network byte order."""
    table = _table("octets")
    return [(8, table[high]), (7, table[low] & _NO_DOT)]


def _ipv6(at: int) -> Callable[[Group], Iterable[Lane]]:
    return lambda group: ipv6([group.wire(at + 2 * n, 2) for n in range(8)])


def ipv6(parts: list[Column]) -> list[Lane]:
    """Lanes of IPv6 addresses from their eight parts in network byte order, as inet_ntop(3)."""
    table, instead = _table("hex"), _table("zeros")
    empty = [part == 0 for part in parts]
    zeros = np.zeros(len(parts[0]), np.uint8)  # a bit a part, the first part the highest
    for number, is_zero in enumerate(empty):
        zeros |= is_zero.view(np.uint8) << np.uint8(7 - number)
    lanes: list[npt.NDArray[Any]] = []
    for number, part in enumerate(parts):
        lane = table[part]
        if number == 0:  # no colon before the first
            lane = lane >> np.uint64(8) if np.little_endian else lane << np.uint64(8)
        if empty[number].any():
            np.copyto(lane, instead[number][zeros], where=empty[number])
        lanes.append(lane)
    # ::a.b.c.d and ::ffff:a.b.c.d, which are rare, are left to the C library
    dotted = (zeros & 0xF8) == 0xF8
    if dotted.any():
        dotted &= (parts[5] == 0xFFFF) | ((zeros & 0x06) == 0x04)
        rows = np.flatnonzero(dotted)
        if len(rows):
            texts = as_bytes(np.stack([part[rows] for part in parts], 1).view(np.uint8))
            fixed = np.array([address(raw).encode() for raw in texts], "S39")
            text = fixed.view(np.uint8).reshape(len(rows), 39)
            for lane, low, high in zip(lanes, _EDGES[:-1], _EDGES[1:], strict=True):
                words = np.zeros((len(rows), 8), np.uint8)
                words[:, : high - low] = text[:, low:high]
                lane[rows] = words.view(np.uint64)[:, 0]
    return [
        (high - low, lane) for lane, low, high in zip(lanes, _EDGES[:-1], _EDGES[1:], strict=True)
    ]


_EDGES = (0, 4, 9, 14, 19, 24, 29, 34, 39)  # of the lanes of an IPv6 address
_NO_DOT = np.frombuffer(b"\xff" * 7 + b"\0", np.uint64)[0]

# ---- tables, made when they are first used ------------------------------------------------------

_tables: dict[str, npt.NDArray[Any]] = {}


def _table(name: str) -> npt.NDArray[Any]:
    """A table by name.

    ``decimal``: 65,536 numbers; ``leading``: the same, "" for 0; ``last``: 0 to 9,999, then the
    same with leading zeros; ``middle``: the same, "" for 0; ``octets``: "a.b" with a dot in the
    eighth byte, by two octets as they lie in memory; ``hex``: ":abcd" by the same; ``zeros``:
    (8, 256) what a part that is zero becomes, by part and by which parts are zero.
    """
    table = _tables.get(name)
    if table is None:
        table = _tables[name] = _MAKERS[name]()
    return table


def _join(parts: list[npt.NDArray[Any]], width: int) -> npt.NDArray[Any]:
    """Rows of text, NUL where shorter, moved together to the left: (n,) words of `width` bytes."""
    count = len(parts[0])
    wide = np.concatenate(parts, axis=1)
    there = wide != 0
    out = np.zeros((count, width), np.uint8)
    place = np.cumsum(there, axis=1) - 1
    row, column = np.nonzero(there)
    out[row, place[row, column]] = wide[row, column]
    return out.view(f"u{width}")[:, 0]


def _padded(numbers: npt.NDArray[Any], width: int, base: int = 10) -> npt.NDArray[np.uint8]:
    """The digits of numbers with leading zeros, (n, width)."""
    powers = base ** np.arange(width - 1, -1, -1)
    signs = np.frombuffer(b"0123456789abcdef", np.uint8)
    return signs[numbers[:, None] // powers % base]


def _plain(numbers: npt.NDArray[Any], width: int, base: int = 10) -> npt.NDArray[np.uint8]:
    """The digits of numbers, (n, width), NUL instead of leading zeros."""
    powers = base ** np.arange(width - 1, -1, -1)
    powers[-1] = 0  # the last digit always shows
    return np.where(numbers[:, None] >= powers, _padded(numbers, width, base), np.uint8(0))


def _decimal() -> npt.NDArray[Any]:
    return _join([_plain(np.arange(65536), 5)], 8)


def _leading() -> npt.NDArray[Any]:
    table = _table("decimal").copy()
    table[0] = 0
    return table


def _last() -> npt.NDArray[Any]:
    numbers = np.arange(10_000)
    return np.concatenate(
        [
            _join([_plain(numbers, 4)], 4),
            np.ascontiguousarray(_padded(numbers, 4)).view(np.uint32)[:, 0],
        ]
    )


def _middle() -> npt.NDArray[Any]:
    table = _table("last").copy()
    table[0] = 0
    return table


def _by_memory(table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A table by number as a table by the number's two bytes in network byte order."""
    out = np.empty_like(table)
    out[np.arange(65536).astype(">u2").view(np.uint16)] = table
    return out


def _octets() -> npt.NDArray[Any]:
    numbers = np.arange(256)
    octet = _join([_plain(numbers, 3)], 4).view(np.uint8).reshape(256, 4)
    pairs = np.zeros((256, 256, 8), np.uint8)
    for length in (1, 2, 3):  # of the first octet
        rows = np.flatnonzero((octet != 0).sum(axis=1) == length)
        pairs[rows, :, :length] = octet[rows, None, :length]
        pairs[rows, :, length] = ord(".")
        pairs[rows, :, length + 1 : length + 4] = octet[:, :3]
    pairs[:, :, 7] = ord(".")
    return _by_memory(pairs.view(np.uint64).reshape(65536))


def _hex() -> npt.NDArray[Any]:
    colon = np.full((65536, 1), ord(":"), np.uint8)
    return _by_memory(_join([colon, _plain(np.arange(65536), 4, 16)], 8))


def _zeros() -> npt.NDArray[Any]:
    table = np.zeros((8, 256, 8), np.uint8)
    for pattern in range(256):
        bits = f"{pattern:08b}"
        length = max(map(len, bits.split("0")))
        begin = bits.index("1" * length) if length > 1 else 8
        for number in range(8):
            if begin <= number < begin + length:
                text = b":" if number in (begin, 7) else b""
            else:
                text = b":0" if number else b"0"
            table[number, pattern, : len(text)] = list(text)
    return table.view(np.uint64)[:, :, 0]


_MAKERS: dict[str, Callable[[], npt.NDArray[Any]]] = {
    "decimal": _decimal, "leading": _leading, "last": _last, "middle": _middle,
    "octets": _octets, "hex": _hex, "zeros": _zeros,
}  # fmt: skip
