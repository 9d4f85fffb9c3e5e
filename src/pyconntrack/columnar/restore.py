"""Encode large files of ``-R`` in blocks of lines, as columns.

Lines of one shape (see :mod:`pyconntrack.formats.templates`) differ in numbers and addresses
only.  A block of bytes is cut at blanks, commas, dots and newlines; of the lines with the same
number of pieces, those whose constant bytes equal a shape's are encoded together.  Any unusual
line (a second blank, a quote, an octal number...) fails the comparison and is encoded by itself.
"""

from __future__ import annotations

from _socket import AF_INET6, inet_pton

import numpy as np

from ..formats.tokens import NUMBER, SIX
from ..thresholds import ENCODED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from ..formats.templates import Encoder, Shape, Shapes

    Ints = NDArray[np.int64]
    Words = NDArray[np.uint64]

#: padding around a block, so that words may be read across its ends; the longest line of a shape
_BEFORE, _BEHIND, _LONGEST_LINE = 32, 4096, 2048
#: most shapes, and most new ones of a block
_LIMIT, _NEW = 256, 16
#: most messages of a shape that are looked for in a block
_MESSAGES = 64
#: most pieces of a line of a shape
_PIECES = 256

#: malloc.h; the largest threshold that glibc accepts
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _KEPT = -1, -3, 32 << 20

_U = np.uint64
#: by number of digits, the smallest number without a leading zero; none has 0 or more than 19
_SMALLEST = np.array([1 << 63, 0, *(10**n for n in range(1, 19)), 1 << 63], np.uint64)
_LONGEST = len(_SMALLEST) - 1


class Columns:
    """A shape whose lines are read as columns: its constant bytes and its varying pieces.

    A varying piece is its index and the number of constant bytes before and after its value.
    """

    __slots__ = ("_numbers", "_runs", "_six", "shape")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        line = shape.sample
        cuts = [-1, *(at for at, char in enumerate(line + "\n") if char in " ,.\n")]
        numbers: list[tuple[int, int, int]] = []
        self._six: list[tuple[int, int, int]] = []
        spans = []
        for token in shape.tokens:
            begin = token.begin
            for part in line[token.begin : token.end].split("."):
                end = begin + len(part)
                piece = next(n for n, cut in enumerate(cuts) if cut >= end) - 1
                place = piece, begin - cuts[piece] - 1, cuts[piece + 1] - end
                (self._six if token.kind == SIX else numbers).append(place)
                spans.append((place, begin, end))
                begin = end + 1
        if len({place[0] for place, _, _ in spans}) < len(spans):
            raise ValueError("two values in one piece")
        #: a row of a table for each number, so that a column of values is contiguous
        self._numbers = [np.array(some, np.int64)[:, None] for some in zip(*numbers, strict=True)]
        self._runs = _runs(line + "\n", spans)

    def match(self, words: Words, cuts: Ints, heads: Ints) -> NDArray[np.bool_]:
        """Return a mask of the lines that have the constant bytes of this shape.

        ``heads``: the index in ``cuts`` of the cut before each line's first piece.
        """
        good = np.ones(len(heads), bool)
        for piece, behind, chunks in self._runs:
            at = cuts[heads + piece] - behind
            for offset, mask, value in chunks:
                got = words[at + offset].view("<u8")
                good &= (got if mask is None else got & mask) == value
            if not good.any():
                break
        return good

    def values(
        self, words: Words, text: bytes, cuts: Ints, heads: Ints
    ) -> tuple[NDArray[np.bool_], list[Any]]:
        """Return which of the matching lines have plain values, and the column of each value."""
        plain = np.ones(len(heads), bool)
        if self._numbers:
            pieces, before, behind = self._numbers
            where = heads + pieces
            ends = cuts[where + 1] - behind
            numbers, good = _decimal(words, ends, ends - cuts[where] - 1 - before)
            plain &= np.logical_and.reduce(good)
        out: list[Any] = []
        column = 0
        six = iter(self._six)
        for kind in self.shape.kinds:
            if kind == SIX:
                piece, ahead, after = next(six)
                begins = cuts[heads + piece] + 1 + ahead
                out.append(_six(text, begins, cuts[heads + piece + 1] - after, plain))
            elif kind == NUMBER:
                out.append(numbers[column])
                column += 1
            else:
                parts = numbers[column : column + 4]
                plain &= np.logical_and.reduce(parts <= 255)
                high = parts[0] << _U(8) | parts[1]
                out.append((high << _U(8) | parts[2]) << _U(8) | parts[3])
                column += 4
        return plain, out

    def encode(
        self, values: list[Any], parts: list[tuple[Ints, Encoder]], numbers: Ints
    ) -> tuple[Ints, NDArray[Any]]:
        """Return those lines of ``parts`` that have values within their limits, and their messages.

        ``parts``: lines and their encoder, all of one layout; ``numbers``: those of all lines.
        """
        encoder = parts[0][1]
        wholes = np.frombuffer(b"".join([other.whole for _, other in parts]), np.uint8)
        which = np.repeat(np.arange(len(parts)), [len(lines) for lines, _ in parts])
        lines = np.concatenate([some for some, _ in parts])
        rows = wholes.reshape(len(parts), -1)[which]
        rows[:, 8:12].view(np.uint32)[:, 0] = numbers[lines]
        good = np.ones(len(lines), bool)
        for at, leader in encoder.ties:
            good &= values[at][lines] == values[leader][lines]
        for value in encoder.varying:
            column = values[value.at][lines]
            if value.kind == NUMBER:
                good &= column <= _U(value.high)
                if value.low:
                    good &= column >= _U(value.low)
            for slot in value.slots:
                form = "V16" if value.kind == SIX else f">u{slot.size}"
                rows[:, slot.offset : slot.offset + slot.size].view(form)[:, 0] = column
        return (lines, rows) if good.all() else (lines[good], rows[good])


def _runs(
    line: str, spans: list[tuple[tuple[int, int, int], int, int]]
) -> list[tuple[int, int, list[Any]]]:
    """Return the constant bytes between values: the cut at which each begins, the bytes before it,
    and (offset, mask, value) of the words that compare it; the most selective first."""
    runs = []
    behind, piece, suffix = 0, 0, -1
    for (next_piece, _, after), begin, end in [*spans, ((0, 0, 0), len(line), 0)]:
        constant = line[behind:begin].encode()
        chunks: list[Any] = []
        for at in range(0, len(constant), 8):
            part = constant[at : at + 8]
            if len(part) < 8 and at:
                at = len(constant) - 8  # the last word overlaps the one before
                part = constant[at:]
            mask = None if len(part) == 8 else _U((1 << 8 * len(part)) - 1)
            chunks.append((at, mask, _U(int.from_bytes(part, "little"))))
        if constant != b"\n":  # the end of the line is found already
            runs.append((len(constant), piece, suffix, chunks))
        behind, piece, suffix = end, next_piece + 1, after
    runs.sort(key=lambda run: -run[0])
    return [(piece, suffix, chunks) for _, piece, suffix, chunks in runs]


def _decimal(words: Words, ends: Ints, sizes: Ints) -> tuple[Words, NDArray[np.bool_]]:
    """Return the numbers that end at ``ends``, and a mask of the plain ones: digits, no leading
    zero."""
    sizes = np.clip(sizes, 0, _LONGEST)
    values, good = _eight(words, ends, np.clip(sizes, 1, 8))
    for more in range(8, _LONGEST, 8):
        long = np.nonzero(sizes > more)
        if len(long[0]):
            high, fine = _eight(words, ends[long] - more, np.minimum(sizes[long] - more, 8))
            values[long] += high * _U(10**more)
            good[long] &= fine
    good &= values >= _SMALLEST[sizes]
    return values, good


def _eight(words: Words, ends: Ints, sizes: Ints) -> tuple[Words, NDArray[np.bool_]]:
    """Return the numbers of 1 to 8 characters, all digits of a number in one word."""
    shift = _U(64) - (sizes.view(np.uint64) << _U(3))
    word = words[ends - 8].view("<u8") ^ _U(0x3030303030303030)
    word >>= shift
    word <<= shift
    good = ((word + _U(0x7676767676767676)) | word) & _U(0x8080808080808080) == 0
    word = word * _U(10) + (word >> _U(8))
    even = (word & _U(0x000000FF000000FF)) * _U(0x000F424000000064)
    odd = (word >> _U(16) & _U(0x000000FF000000FF)) * _U(0x0000271000000001)
    return (even + odd) >> _U(32), good


def _six(text: bytes, begins: Ints, ends: Ints, plain: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the IPv6 addresses from ``begins`` to ``ends``; clear ``plain`` for an invalid one."""
    parts = []
    for n, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        try:
            parts.append(inet_pton(AF_INET6, text[begin:end].decode("ascii")))
        except (OSError, ValueError):
            parts.append(bytes(16))
            plain[n] = False
    return np.frombuffer(b"".join(parts), "V16")


def _encoders(shape: Shape, values: list[Any], lines: Ints) -> list[list[tuple[Ints, Encoder]]]:
    """Return the lines for each encoder by their constants, encoders of one layout together."""
    found: dict[Any, list[tuple[Ints, Encoder]]] = {}
    for _ in range(_MESSAGES):
        if shape.constants is None or not len(lines):
            break
        key = tuple([int(values[at][lines[0]]) for at in shape.constants])
        same = np.ones(len(lines), bool)
        for at, constant in zip(shape.constants, key, strict=True):
            same &= values[at][lines] == constant
        encoder = shape.encoders.get(key)
        if encoder is not None:
            found.setdefault(encoder.layout, []).append((lines[same], encoder))
        lines = lines[~same]
    return list(found.values())


class Blocks:
    """Encode blocks of lines by the columns of the ``shapes`` found so far."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._columns: dict[int, list[Columns]] = {}

    def encode(self, number: int, data: bytes) -> list[bytes | None]:
        """Return the messages of whole lines, the first being line ``number``; None for those that
        are to be read one by one."""
        text = b"\n" * _BEFORE + data + bytes(_BEHIND)
        buffer = np.frombuffer(text, np.uint8)
        # overlapping words: one at each byte
        words: Any = np.ndarray((len(text) - 7,), "V8", text, 0, (1,))
        body = buffer[_BEFORE - 1 : -_BEHIND]
        cuts = np.flatnonzero((body == 32) | (body == 46) | (body == 44) | (body == 10))
        cuts += _BEFORE - 1
        heads = np.flatnonzero(buffer[cuts] == 10)
        pieces = np.diff(heads)
        stops = cuts[heads[1:]]
        heads = heads[:-1]
        messages = np.full(len(heads), None, object)
        new = _NEW
        counts = np.bincount(np.minimum(pieces, _PIECES))
        for count in np.flatnonzero(counts[:_PIECES] >= ENCODED).tolist():
            left = np.flatnonzero(pieces == count)
            known = self._columns.setdefault(count, [])
            at = 0
            while len(left) >= ENCODED:
                if at == len(known):
                    if not new or sum(map(len, self._columns.values())) >= _LIMIT:
                        break
                    new -= 1
                    columns = self._new(text[cuts[heads[left[0]]] + 1 : stops[left[0]]])
                    if columns is None:
                        left = left[1:]
                        continue
                    known.append(columns)
                columns = known[at]
                at += 1
                fits = columns.match(words, cuts, heads[left])
                lines = left[fits]
                if not len(lines):
                    continue
                left = left[~fits]
                plain, values = columns.values(words, text, cuts, heads[lines])
                for parts in _encoders(columns.shape, values, np.flatnonzero(plain)):
                    some, rows = columns.encode(values, parts, lines + number)
                    messages[lines[some]] = rows.view(f"V{rows.shape[1]}")[:, 0].astype(object)
        encoded: list[bytes | None] = messages.tolist()
        return encoded

    def _new(self, raw: bytes) -> Columns | None:
        try:
            line = raw.decode("ascii")
            shape = self._shapes.find(line) if len(line) < _LONGEST_LINE else None
            return Columns(shape) if shape is not None else None
        except ValueError:
            return None


def keep_memory() -> None:
    """Have malloc keep a block's memory for the next one: returning it costs 0.2 us a line."""
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # not glibc
    mallopt(_M_TRIM_THRESHOLD, _KEPT)
    mallopt(_M_MMAP_THRESHOLD, _KEPT)
