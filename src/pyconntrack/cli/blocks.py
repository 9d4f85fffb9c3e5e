"""Large files of ``-R``: lines by the block, as columns.

Lines of one shape (see :mod:`.shapes`) differ in numbers and addresses only.  A block of bytes is
cut at blanks, dots and newlines; lines with equally many pieces whose constant bytes equal a
template's are encoded together.  Whatever is unusual in any way (a second blank, a quote, an octal
number...) fails the comparison and is left to the parser, line by line.

Owns recognition and encoding of blocks.  Imports numpy: only for files that pay for it.
"""

from __future__ import annotations

import sys
from _socket import AF_INET6, inet_pton

import numpy as np

from ..errors import ConntrackError
from ..session import BATCH_BYTES, BATCH_MESSAGES
from ..wire.consts import NLM_F_ACK
from .parse import UsageError, parse
from .shapes import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import NDArray

    from .shapes import Plan

    Ints = NDArray[np.int64]
    Words = NDArray[np.uint64]

#: room around a block, so that words may be read across its ends
_BEFORE, _BEHIND = 32, 1024
#: shapes kept, and how many more a block may bring; fewer alike lines are not worth a comparison
_LIMIT, _NEW, _FEW = 256, 16, 24
_FLAGS = 6 if sys.byteorder == "little" else 7

#: malloc.h; the largest threshold that glibc takes
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _KEPT = -1, -3, 32 << 20

_U = np.uint64
#: the smallest number of so many digits without a leading zero; no number has 0 or more than 10
_SMALLEST = np.array([1 << 62, 0, *(10**n for n in range(1, 10)), 1 << 62], np.uint64)
_LONGEST = len(_SMALLEST) - 1


class Template:
    """A shape: its constant bytes, where its pieces vary, and its message."""

    __slots__ = ("_dtype", "_limits", "_numbers", "_runs", "_six", "_whole", "_writes", "pieces")

    def __init__(self, words: list[str], plan: Plan) -> None:
        first = []
        count = 0
        for word in words:
            first.append(count)
            count += 1 + word.count(".")
        self.pieces = count
        numbers: list[int] = []
        limits: list[int] = []
        self._six: list[int] = []
        #: (offset of the field, first column in numbers or in six, "4s", "16s" or a number)
        self._writes: list[tuple[str, int, str]] = []
        columns: dict[int, int] = {}
        formats: list[Any] = [np.uint32]
        offsets = [8]
        for offset, size, code, _, at in plan.places:
            piece = first[2 * at + 2]
            if at not in columns:
                if code == "16s":
                    columns[at] = len(self._six)
                    self._six.append(piece)
                else:
                    wide = 4 if code == "4s" else 1
                    columns[at] = len(numbers)
                    numbers += range(piece, piece + wide)
                    limits += [255] * 4 if wide == 4 else [256**size - 1]
            self._writes.append((f"f{len(offsets)}", columns[at], code))
            formats.append("V16" if code == "16s" else f">u{size}")
            offsets.append(offset)
        self._numbers = np.array(numbers, np.int64)
        self._limits = np.array(limits, np.uint64)
        self._whole = np.frombuffer(plan.whole, np.uint8)
        self._dtype = np.dtype(
            {
                "names": [f"f{n}" for n in range(len(offsets))],
                "formats": formats,
                "offsets": offsets,
                "itemsize": len(plan.whole),
            }
        )
        self._runs = _runs(words, sorted([*numbers, *self._six]))

    def match(self, words: Words, starts: Ints, seps: Ints, heads: Ints) -> NDArray[np.bool_]:
        """Which lines have the constant bytes of this shape.

        `starts`: where each line begins; `heads`: which of `seps` ends its first piece.
        """
        good = np.ones(len(starts), bool)
        for piece, chunks in self._runs:
            at = starts if piece < 0 else seps[heads + piece]
            for offset, mask, value in chunks:
                got = words[at + offset].view("<u8")
                good &= (got if mask is None else got & mask) == value
            if not good.any():
                break
        return good

    def encode(
        self, words: Words, text: bytes, seps: Ints, heads: Ints, sequence: Ints
    ) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """Which of the matching lines have plain values, and the messages of all."""
        where = heads[:, None] + self._numbers
        ends = seps[where]
        sizes = ends - seps[where - 1] - 1
        values, good = _decimal(words, ends, sizes)
        good &= values <= self._limits
        plain: NDArray[np.bool_] = np.logical_and.reduce(good, axis=1)
        rows = np.empty((len(heads), len(self._whole)), np.uint8)
        rows[:] = self._whole
        fields = rows.view(self._dtype)[:, 0]
        fields["f0"] = sequence
        six = [_six(text, seps, heads + piece, plain) for piece in self._six]
        done: dict[int, Any] = {}
        for name, column, code in self._writes:
            if code == "16s":
                fields[name] = six[column]
                continue
            value = done.get(column)
            if value is None:
                value = values[:, column]
                if code == "4s":
                    for more in range(1, 4):
                        value = value << _U(8) | values[:, column + more]
                done[column] = value
            fields[name] = value
        return plain, rows


def _runs(words: list[str], varying: list[int]) -> list[tuple[int, list[Any]]]:
    """The constant bytes between varying pieces: the piece each stands behind (-1: none), and
    (offset, mask, value) of the words that compare it; the most telling first."""
    line = " ".join(words) + "\n"
    cuts = [at for at, char in enumerate(line) if char in " .\n"]
    runs = []
    begin, piece = 0, -1
    for vary in [*varying, None]:
        end = len(line) if vary is None else cuts[vary - 1] + 1
        constant = line[begin:end].encode()
        chunks: list[Any] = []
        for at in range(0, len(constant), 8):
            part = constant[at : at + 8]
            if len(part) < 8 and at:
                at = len(constant) - 8  # the last word overlaps the one before
                part = constant[at:]
            mask = None if len(part) == 8 else _U((1 << 8 * len(part)) - 1)
            chunks.append((at, mask, _U(int.from_bytes(part, "little"))))
        if constant != b"\n":  # the end of the line is where it is by construction
            runs.append((len(constant), piece, chunks))
        if vary is not None:
            begin, piece = cuts[vary], vary
    runs.sort(key=lambda run: -run[0])
    return [(piece, chunks) for _, piece, chunks in runs]


def _decimal(words: Words, ends: Ints, sizes: Ints) -> tuple[Words, NDArray[np.bool_]]:
    """The numbers that end at `ends`, and which of them are plain: digits, no leading zero."""
    sizes = np.minimum(sizes, _LONGEST)
    values, good = _eight(words, ends, np.clip(sizes, 1, 8))
    if (sizes > 8).any():
        long = sizes > 8
        more, fine = _eight(words, ends[long] - 8, np.clip(sizes[long] - 8, 1, 8))
        values[long] += more * _U(10**8)
        good[long] &= fine
    good &= values >= _SMALLEST[sizes]
    return values, good


def _eight(words: Words, ends: Ints, sizes: Ints) -> tuple[Words, NDArray[np.bool_]]:
    """Numbers of 1 to 8 characters, all digits of a number in one word."""
    shift = _U(64) - (sizes.view(np.uint64) << _U(3))
    word = words[ends - 8].view("<u8") ^ _U(0x3030303030303030)
    word >>= shift
    word <<= shift
    good = ((word + _U(0x7676767676767676)) | word) & _U(0x8080808080808080) == 0
    word = word * _U(10) + (word >> _U(8))
    even = (word & _U(0x000000FF000000FF)) * _U(0x000F424000000064)
    odd = (word >> _U(16) & _U(0x000000FF000000FF)) * _U(0x0000271000000001)
    return (even + odd) >> _U(32), good


def _six(text: bytes, seps: Ints, at: Ints, plain: NDArray[np.bool_]) -> NDArray[Any]:
    """The IPv6 addresses that the separators `at` end; `plain` is cleared where there is none."""
    parts = []
    ends = seps[at].tolist()
    for n, (begin, end) in enumerate(zip(seps[at - 1].tolist(), ends, strict=True)):
        try:
            parts.append(inet_pton(AF_INET6, text[begin + 1 : end].decode("ascii")))
        except (OSError, ValueError):
            parts.append(bytes(16))
            plain[n] = False
    return np.frombuffer(b"".join(parts), "V16")


class Blocks:
    """The shapes met so far, and the way of a block to batches.

    `slow` encodes one line (number, raw bytes): a message, a command's words, or None for
    nothing.  `write` takes a batch, its last number and how many messages it has; `command` a
    command's number and words.
    """

    def __init__(
        self,
        slow: Callable[[int, bytes], bytes | list[str] | None],
        write: Callable[[Any, int, int], None],
        command: Callable[[int, list[str]], None],
    ) -> None:
        self._slow, self._write, self._command = slow, write, command
        self._templates: dict[int, list[Template]] = {}
        self._count = 0

    def add(self, number: int, data: bytes) -> int:
        """Encodes whole lines, the first of which is line `number`; returns how many."""
        text = bytes(_BEFORE) + data + bytes(_BEHIND)
        buffer = np.frombuffer(text, np.uint8)
        # overlapping words: one at each byte
        words: Any = np.ndarray((len(text) - 7,), "V8", text, 0, (1,))
        body = buffer[_BEFORE:-_BEHIND]
        seps = np.flatnonzero((body == 32) | (body == 46) | (body == 10)) + _BEFORE
        last = np.flatnonzero(buffer[seps] == 10)
        stops = seps[last]
        starts = np.concatenate(([_BEFORE], stops[:-1] + 1))
        heads = np.concatenate(([0], last[:-1] + 1))
        pieces = last - heads + 1
        sizes = np.zeros(len(last), np.int64)
        made: list[tuple[Ints, NDArray[Any]]] = []
        new = _NEW
        counts = np.bincount(np.minimum(pieces, 256))
        for count in np.flatnonzero(counts[:256] >= _FEW).tolist():
            left = np.flatnonzero(pieces == count)
            known = self._templates.setdefault(count, [])
            at = 0
            while len(left) >= _FEW:
                if at == len(known):
                    if not new or self._count >= _LIMIT:
                        break
                    new -= 1
                    line = left[0]
                    template = _learn(text[starts[line] : stops[line]])
                    if template is None:
                        left = left[1:]
                        continue
                    known.append(template)
                    self._count += 1
                template = known[at]
                at += 1
                fits = template.match(words, starts[left], seps, heads[left])
                lines = left[fits]
                if not len(lines):
                    continue
                left = left[~fits]
                plain, rows = template.encode(words, text, seps, heads[lines], lines + number)
                if not plain.all():
                    lines, rows = lines[plain], rows[plain]
                sizes[lines] = rows.shape[1]
                made.append((lines, rows))
        self._assemble(number, text, starts, stops, sizes, made)
        return len(last)

    def _assemble(
        self, number: int, text: bytes, starts: Ints, stops: Ints, sizes: Ints,
        made: list[tuple[Ints, NDArray[Any]]],
    ) -> None:  # fmt: skip
        """Puts the messages in the order of the lines, with those of the parser between."""
        singles: list[tuple[int, bytes]] = []
        commands: list[tuple[int, list[str]]] = []
        for line in np.flatnonzero(sizes == 0).tolist():
            slow = self._slow(number + line, text[starts[line] : stops[line]])
            if isinstance(slow, bytes):
                singles.append((line, slow))
                sizes[line] = len(slow)
            elif slow is not None:
                commands.append((line, slow))
        ends = np.cumsum(sizes)
        places = ends - sizes
        out = bytearray(int(ends[-1]))
        for lines, rows in made:
            length = rows.shape[1]
            slots: Any = np.ndarray((len(out) - length + 1,), f"V{length}", out, 0, (1,))
            slots[places[lines]] = rows.view(f"V{length}")[:, 0]
        for line, encoded in singles:
            out[places[line] : ends[line]] = encoded
        begin = 0
        for line, parts in [*commands, (len(sizes), None)]:
            self._batches(number, begin, line, sizes, places, out)
            if parts is not None:
                self._command(number + line, parts)
            begin = line + 1

    def _batches(
        self, number: int, begin: int, end: int, sizes: Ints, places: Ints, out: bytearray
    ) -> None:
        """Writes the messages of the lines from `begin` to `end`."""
        lines = np.flatnonzero(sizes[begin:end]) + begin
        at = places[lines]
        view = memoryview(out)
        first = 0
        while first < len(lines):
            full = int(np.searchsorted(at, at[first] + BATCH_BYTES))
            stop = min(first + BATCH_MESSAGES, full, len(lines))
            last = lines[stop - 1]
            where = int(places[last])
            out[where + _FLAGS] |= NLM_F_ACK
            batch = view[int(at[first]) : where + int(sizes[last])]
            self._write(batch, number + int(last), stop - first)
            first = stop


def keep_memory() -> None:
    """Has malloc keep what a block needs for the next one: giving it back costs 0.2 us a line."""
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # not glibc
    mallopt(_M_TRIM_THRESHOLD, _KEPT)
    mallopt(_M_MMAP_THRESHOLD, _KEPT)


def _learn(raw: bytes) -> Template | None:
    """The template of a line; None where the parser is to read each like it."""
    try:
        line = raw.decode("ascii")
        words = line.split(" ")
        if words[0] not in ("-A", "-I") or '"' in line or len(line) > _BEHIND // 2:
            return None
        command = parse(words, in_file=True)
        if command.verb not in ("create", "add") or command.table != "conntrack":
            return None
        found = plan(words[1:], command)
    except (UnicodeDecodeError, UsageError, ConntrackError):
        return None
    if found is None or len(found.whole) % 4:
        return None
    for _, _, code, _, at in found.places:
        if words[2 * at + 2].count(".") != (3 if code == "4s" else 0):
            return None
    return Template(words, found)
