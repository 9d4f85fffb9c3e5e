"""Convert the segments of a layout to lanes: one text a row for each field that varies.

A lane's items are as wide as its widest text; an array holds each text's length.  :mod:`.render`
places them in the output.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..ctnetlink.kinds import address
from ..formats.segments import GAP, Addr, Age, Call, Differ, Flag, Made, Num, Row, Total, Word
from .columns import as_bytes
from .digits import Values, code_of, codes_of, table_of, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..ctnetlink.layout import Layout
    from ..formats.segments import Cell, Piece, Scale
    from .columns import Column, Group

    Step = bytes | Callable[[Group], Iterable["Lane"]]

Lengths = npt.NDArray[np.int64]
#: of each row, or of all rows
Widths = int | Lengths
#: literal text, or one text a row: (items, lengths)
Lane = bytes | tuple[Values, Lengths]

_SEVEN, _OCTET = np.uint64(56), np.uint64(255)


def steps_of(pieces: list[Piece], layout: Layout) -> list[Step]:
    """Return the steps for a line of ``layout``: literals, and functions from groups to lanes."""
    return _steps([*pieces, "\n"], layout)


def _steps(pieces: list[Piece], layout: Layout) -> list[Step]:
    steps: list[Step] = []
    for piece in pieces:
        step = _step(piece, layout)
        if isinstance(step, bytes) and steps and isinstance(steps[-1], bytes):
            steps[-1] += step
        elif step != b"":
            steps.append(step)
    return steps


def _step(piece: Piece, layout: Layout) -> Step:
    if isinstance(piece, str):
        return piece.encode()
    if isinstance(piece, Call):
        return _call(piece)
    if isinstance(piece, Age):
        return _age(piece)
    if isinstance(piece, Total):
        return _total(piece)
    if isinstance(piece, Differ):
        return _differ(piece, layout)
    if isinstance(piece, Row):
        return _row(piece, layout)
    slot = layout.slots[piece.field]
    constant = layout.shape.get(piece.field)
    if isinstance(piece, Addr):
        offset = slot.offset
        if slot.size == 4:
            return lambda group: ipv4(group.wire(offset, 2), group.wire(offset + 2, 2))
        return lambda group: ipv6([group.wire(offset + 2 * n, 2) for n in range(8)])
    if isinstance(piece, Num):
        if constant is not None:
            return (piece.spec % constant).encode()
        if piece.spec in ("%d", "%u", "%i"):
            return _number(slot.offset, slot.size)
        return _by_value(piece.field, lambda value: piece.spec % value)
    if isinstance(piece, Word):
        if constant is not None:
            return piece.text(constant).encode()
        if slot.size == 1:
            return _octet(slot.offset, [*map(piece.text, range(256))])
        return _by_value(piece.field, piece.text)
    if isinstance(piece, Made):
        return _by_value(piece.field, piece.make, piece.unit)
    limit = (1 << 8 * slot.size) - 1
    if not 0 <= piece.want <= limit:
        return piece.other.encode()
    return _flag(piece, slot.offset, slot.size, limit)


def _pack(texts: list[bytes]) -> tuple[Values, Lengths]:
    """Return one text a row as items of the widest text's size."""
    matrix = np.array(texts, np.bytes_)
    return matrix.view(np.dtype((np.void, matrix.itemsize))), np.array([*map(len, texts)], np.int64)


def _measured(words: Values) -> tuple[Values, Lengths]:
    """Return a lane of words of a table, which have their lengths in the eighth byte."""
    if np.little_endian:
        return words, (words >> _SEVEN).view(np.int64)
    return words, (words & _OCTET).view(np.int64)


def _call(piece: Call) -> Callable[[Group], Iterable[Lane]]:
    function = piece.function

    def step(group: Group) -> Iterable[Lane]:
        if not piece.fields:
            texts = [function() for _ in range(len(group))]
        else:
            columns = [group.raw(name) for name in piece.fields]
            texts = [function(*values) for values in zip(*columns, strict=True)]
        return [_pack([text.encode() for text in texts])]

    return step


def _by_value(
    field: str, text: Callable[[int], str], unit: int = 1
) -> Callable[[Group], Iterable[Lane]]:
    """Return the step of a field without a table: each distinct value is formatted once."""

    def step(group: Group) -> Iterable[Lane]:
        column = group.column(field)
        if unit != 1:
            column //= column.dtype.type(unit)
        if (column == column[0]).all():
            return [text(int(column[0])).encode()]
        values, index = np.unique(column, return_inverse=True)
        items, lengths = _pack([text(value).encode() for value in values.tolist()])
        return [(items[index], lengths[index])]

    return step


def _octet(at: int, words: list[str]) -> Callable[[Group], Iterable[Lane]]:
    texts = [word.encode() for word in words]
    tables: dict[int, tuple[Values, Lengths]] = {}

    def step(group: Group) -> Iterable[Lane]:
        column = group.wire(at, 1).astype(np.intp)
        present = np.flatnonzero(np.bincount(column)).tolist()
        if len(present) == 1:
            return [texts[present[0]]]
        width = max(len(texts[value]) for value in present)
        table = tables.get(width)
        if table is None:
            table = tables[width] = _pack([text if len(text) <= width else b"" for text in texts])
        return [(table[0].take(column), table[1].take(column))]

    return step


def _flag(piece: Flag, at: int, size: int, limit: int) -> Callable[[Group], Iterable[Lane]]:
    text, other = piece.text.encode(), piece.other.encode()
    mask, want = (
        np.frombuffer(n.to_bytes(size), f"u{size}")[0] for n in (piece.mask & limit, piece.want)
    )
    items, lengths = _pack([other, text])

    def step(group: Group) -> Iterable[Lane]:
        shown = (group.wire(at, size) & mask) == want
        number = np.count_nonzero(shown)
        if number == 0:
            return [other]
        if number == len(shown):
            return [text]
        index = shown.astype(np.intp)
        return [(items.take(index), lengths.take(index))]

    return step


# ---- cells --------------------------------------------------------------------------------------


def _differ(piece: Differ, layout: Layout) -> Callable[[Group], Iterable[Lane]]:
    steps = _steps(piece.pieces, layout)

    def step(group: Group) -> Iterable[Lane]:
        differ = np.zeros(len(group), np.bool_)
        for one, other in piece.pairs:
            first, second = group.column(one), group.column(other)
            if first.shape != second.shape:
                differ[:] = True
            else:
                unlike = first != second
                differ |= unlike.any(axis=1) if unlike.ndim > 1 else unlike
        number = np.count_nonzero(differ)
        if not number:
            return []
        lanes = [lane for step in steps
                 for lane in ((step,) if isinstance(step, bytes) else step(group))]  # fmt: skip
        return lanes if number == len(differ) else [_where(lane, differ) for lane in lanes]

    return step


def _where(lane: Lane, there: npt.NDArray[np.bool_]) -> Lane:
    """Return a lane that has its text only in the rows of a mask."""
    items, lengths = _repeated(lane, len(there)) if isinstance(lane, bytes) else lane
    return items, lengths * there


def _repeated(text: bytes, count: int) -> tuple[Values, Lengths]:
    items: Values = np.frombuffer(text, np.dtype((np.void, len(text))))
    return np.broadcast_to(items, (count,)), np.full(count, len(text), np.int64)


def _row(piece: Row, layout: Layout) -> Callable[[Group], Iterable[Lane]]:
    cells = [(_steps(cell.pieces, layout), cell) for cell in piece.cells]
    absent = piece.absent.encode()

    def step(group: Group) -> Iterable[Lane]:
        position: Widths = 0
        for steps, cell in cells:
            lanes: list[Lane] = []
            width: Widths = 0
            for step in steps:
                for lane in (step,) if isinstance(step, bytes) else step(group):
                    lanes.append(lane)
                    width = width + (len(lane) if isinstance(lane, bytes) else lane[1])
            if absent:
                width = _filled(lanes, width, absent)
            if isinstance(width, int) and not width:
                continue
            pad = _padding(cell, position, width)
            if isinstance(width, np.ndarray) and not width.all():
                pad = np.where(width == 0, 0, pad)  # an empty cell has no space before it
            if isinstance(pad, int):
                yield b" " * pad
            else:
                yield from _blanks(pad)
            yield from lanes
            position = position + pad + width

    return step


def _filled(lanes: list[Lane], width: Widths, absent: bytes) -> Widths:
    """Add a text to the empty ones among the cells of ``width``; return their new widths."""
    if isinstance(width, int):
        if not width:
            lanes.append(absent)
        return width or len(absent)
    empty = width == 0
    if not empty.any():
        return width
    lanes.append(_where(absent, empty))
    filled: Lengths = np.where(empty, len(absent), width)
    return filled


def _padding(cell: Cell, position: Widths, width: Widths) -> Widths:
    """Return the blanks before a cell, of each row or of all."""
    place = cell.at - width if cell.right else cell.at
    if isinstance(place, int) and isinstance(position, int):
        return max(min(position, GAP), place - position)
    pad: Lengths = np.maximum(np.minimum(position, GAP), place - position)
    return pad


def _blanks(pad: Lengths) -> Iterable[Lane]:
    most = int(pad.max())
    if int(pad.min()) == most:
        return [b" " * most] if most else []
    return [(_repeated(b" " * most, len(pad))[0], pad)]


# ---- numbers ------------------------------------------------------------------------------------


def _number(at: int, size: int) -> Callable[[Group], Iterable[Lane]]:
    def step(group: Group) -> Iterable[Lane]:
        if size == 8:
            column = group.wire(at, 8) if group.wire(at, 4).any() else group.wire(at + 4, 4)
        else:
            column = group.wire(at, size)
        first = column[0]
        if first == column[-1] and (column == first).all():
            return [b"%d" % int.from_bytes(first.tobytes())]
        if size > 1 and np.little_endian:
            column = column.byteswap()
        return digits(column)

    return step


def _age(piece: Age) -> Callable[[Group], Iterable[Lane]]:
    def step(group: Group) -> Iterable[Lane]:
        start = group.column(piece.start)
        stop = group.column(piece.stop) if piece.stop else start.dtype.type(time.time_ns())
        seconds = (np.maximum(stop, start) - start) // start.dtype.type(1_000_000_000)
        return _scaled(seconds, piece.scale)

    return step


def _total(piece: Total) -> Callable[[Group], Iterable[Lane]]:
    def step(group: Group) -> Iterable[Lane]:
        columns = [group.column(field).astype(np.uint64) for field in piece.fields]
        if len(columns) > 1 and any(int(column.max()) >> 62 for column in columns):
            sums = map(sum, zip(*map(group.raw, piece.fields), strict=True))
            text = piece.scale.text if piece.scale is not None else str
            return [_pack([text(number).encode() for number in sums])]
        return _scaled(sum(columns[1:], columns[0]), piece.scale)

    return step


def _scaled(column: Column, scale: Scale | None) -> list[Lane]:
    """Return lanes of unsigned numbers, (n,), as written by ``scale``."""
    first = column[0]
    if first == column[-1] and (column == first).all():
        number = int(first)
        return [(scale.text(number) if scale is not None else str(number)).encode()]
    if scale is None:
        return digits(column)
    table = codes_of(scale)
    code = code_of(scale, column)
    rare = np.flatnonzero(code == len(table))
    if not len(rare):
        return [_measured(table.take(code))]
    texts = [scale.text(number).encode() for number in column[rare].tolist()]
    if max(map(len, texts)) > 7:  # more than an entry of a table holds
        return [_pack([scale.text(number).encode() for number in column.tolist()])]
    word = table.take(code, mode="clip")
    word[rare] = words(texts)
    return [_measured(word)]


def digits(column: Column) -> list[Lane]:
    """Return lanes of unsigned numbers in decimal, (n,) in host byte order."""
    top = int(column.max())
    if top < 65536:
        return [_measured(table_of("decimal").take(column.astype(np.intp)))]
    lower = []
    while top >= 65536:
        above = column // column.dtype.type(10_000)
        # unpadded at the beginning of a number, else padded
        part = (column - above * column.dtype.type(10_000)).astype(np.intp)
        part += np.minimum(above, column.dtype.type(1)).astype(np.intp) * 10_000
        lower.append(part)
        column = above
        top //= 10_000
    lanes: list[Lane] = [_measured(table_of("leading").take(column.astype(np.intp)))]
    lanes += [_measured(table_of("middle").take(part)) for part in lower[:0:-1]]
    lanes.append(_measured(table_of("last").take(lower[0])))
    return lanes


# ---- addresses ----------------------------------------------------------------------------------


def ipv4(high: Column, low: Column) -> list[Lane]:
    """Return lanes of IPv4 addresses from their halves in network byte order."""
    table = table_of("octets")
    return [
        _measured(table.take(high, mode="clip")), b".", _measured(table.take(low, mode="clip"))
    ]  # fmt: skip


def ipv6(parts: list[Column]) -> list[Lane]:
    """Return lanes of IPv6 addresses, as by inet_ntop(3), from eight parts in network order."""
    table, instead = table_of("hex"), table_of("zeros")
    empty = [part == 0 for part in parts]
    zeros = np.zeros(len(parts[0]), np.uint8)  # a bit a part, the first part the highest
    for number, is_zero in enumerate(empty):
        zeros |= is_zero.view(np.uint8) << np.uint8(7 - number)
    # ::a.b.c.d and ::ffff:a.b.c.d, which are rare, are left to the C library
    dotted = np.flatnonzero((zeros & 0xF8) == 0xF8)
    if len(dotted):
        pattern = zeros[dotted]
        dotted = dotted[(parts[5][dotted] == 0xFFFF) | ((pattern & 0x06) == 0x04)]
    alike = bool((zeros == zeros[0]).all())  # the same parts are zero in all rows
    lanes: list[Lane] = []
    for number, part in enumerate(parts):
        some = bool(empty[number].any())
        if (alike or not some) and not len(dotted) and (part == part[0]).all():
            if some:
                word = instead[number][zeros[:1]]
            else:
                word = (table if number else table_of("first"))[part[:1]]
            raw = word.tobytes()
            lanes.append(raw[: raw[7]])
            continue
        word = (table if number else table_of("first")).take(part, mode="clip")
        if some:
            np.copyto(word, instead[number].take(zeros), where=empty[number])
        if len(dotted):
            rare = as_bytes(np.stack([other[dotted] for other in parts], 1).view(np.uint8))
            word[dotted] = words([address(each).encode()[7 * number :][:7] for each in rare])
        lanes.append(_measured(word))
    return lanes
