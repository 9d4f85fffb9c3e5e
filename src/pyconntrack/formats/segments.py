"""The segments of a line of output, and their compilation to text.

A writer converts a layout to a list of segments, once; :func:`compile_line` compiles it to one
f-string that formats a message's raw values.  :mod:`pyconntrack.columnar.render` renders the same
segments for thousands of messages at once, to the same bytes.
"""

from __future__ import annotations

from _socket import inet_ntoa

from ..ctnetlink.kinds import TEXT, address, label_numbers
from ..escape import printable
from ..netlink.messages import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from ..ctnetlink.layout import Layout


class Num:
    """A number formatted by a ``%`` conversion such as ``%d``, ``0x%x`` or ``%u``."""

    __slots__ = ("field", "spec")

    def __init__(self, field: str, spec: str = "%d") -> None:
        self.field, self.spec = field, spec


class Addr:
    """An address of 4 or 16 bytes as text."""

    __slots__ = ("field",)

    def __init__(self, field: str) -> None:
        self.field = field


class Word:
    """A number shown as a word; ``other`` is the ``%`` conversion for numbers without a word."""

    __slots__ = ("field", "other", "words")

    def __init__(self, field: str, words: Mapping[int, str], other: str = "%d") -> None:
        self.field, self.words, self.other = field, words, other

    def text(self, value: int) -> str:
        """Return the text of one value."""
        return self.words[value] if value in self.words else self.other % value


class Flag:
    """The string ``text`` if ``(value & mask) == want``, else ``other``."""

    __slots__ = ("field", "mask", "other", "text", "want")

    def __init__(self, field: str, mask: int, want: int, text: str, other: str = "") -> None:
        self.field, self.mask, self.want, self.text, self.other = field, mask, want, text, other


class Call:
    """Text made by a function of some raw values; slow, for rare fields."""

    __slots__ = ("fields", "function")

    def __init__(self, function: Callable[..., str], *fields: str) -> None:
        self.fields, self.function = fields, function


class Scale:
    """A way to write numbers that keeps their first digits only.

    ``text`` returns the text of a number.  ``steps`` are (limit, unit), ascending: from each limit
    on, the text is that of the number rounded down to a multiple of the unit.  From ``end`` on each
    number has a text of its own.
    """

    __slots__ = ("end", "steps", "text")

    def __init__(
        self, text: Callable[[int], str], steps: Sequence[tuple[int, int]], end: int
    ) -> None:
        self.text, self.steps, self.end = text, steps, end


def duration(seconds: int) -> str:
    """Return a time in its two largest units, as in ``4m 12s``; from 100 days on in days."""
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m {seconds % 60}s"
    if seconds < 86400:
        return f"{seconds // 3600}h {seconds // 60 % 60}m"
    days = seconds // 86400
    return f"{days}d {seconds // 3600 % 24}h" if days < 100 else f"{days}d"


def size(number: int) -> str:
    """Return a number of bytes in two or three digits and a decimal unit, as in ``1.2 GB``."""
    if number < 1000:
        return f"{number} B"
    unit = min((len(str(number)) - 1) // 3, len(_UNITS) - 1)
    tenths = number // 10 ** (3 * unit - 1)
    shown = f"{tenths // 10}.{tenths % 10}" if tenths < 100 else str(tenths // 10)
    return f"{shown} {_UNITS[unit]}"


_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
DURATION = Scale(duration, ((0, 1), (3600, 60), (86400, 3600)), 100 * 86400)
SIZE = Scale(
    size,
    [(0, 1), *[(limit, limit // 10)
               for power in range(3, 21, 3) for limit in (10**power, 10 ** (power + 1))]],
    10**21,
)  # fmt: skip


class Age:
    """The whole seconds from ``start`` to ``stop``, or to now; both are fields in nanoseconds.

    ``scale``: how they are written; by default all digits.
    """

    __slots__ = ("scale", "start", "stop")

    def __init__(self, start: str, stop: str | None = None, scale: Scale | None = None) -> None:
        self.start, self.stop, self.scale = start, stop, scale


class Total:
    """The sum of some numbers, written by ``scale``, or with all digits."""

    __slots__ = ("fields", "scale")

    def __init__(self, scale: Scale | None, *fields: str) -> None:
        self.scale, self.fields = scale, fields


class Made:
    """Text of a number divided by ``unit``, made by a pure function called once for each value."""

    __slots__ = ("field", "make", "unit")

    def __init__(self, make: Callable[[int], str], field: str, unit: int = 1) -> None:
        self.field, self.make, self.unit = field, make, unit


class Differ:
    """The segments ``pieces`` where the fields of any of ``pairs`` differ, else nothing."""

    __slots__ = ("pairs", "pieces")

    def __init__(self, pairs: Sequence[tuple[str, str]], pieces: list[Piece]) -> None:
        self.pairs, self.pieces = pairs, pieces

    def compiled(self, layout: Layout) -> Callable[[tuple[Any, ...]], str]:
        """Return a function from the raw values of a message of ``layout`` to the text."""
        text = compile_line(self.pieces, layout)
        places = [(layout.names.index(one), layout.names.index(other)) for one, other in self.pairs]

        def differ(raw: tuple[Any, ...]) -> str:
            for one, other in places:
                if raw[one] != raw[other]:
                    return text(raw)
            return ""

        return differ


class Cell:
    """A cell of a :class:`Row`: it begins at column ``at``, or with ``right`` ends there."""

    __slots__ = ("at", "pieces", "right")

    def __init__(self, pieces: list[Piece], at: int, *, right: bool = False) -> None:
        self.pieces, self.at, self.right = pieces, at, right


class Row:
    """Aligned cells.  A cell that comes too late for its place follows :data:`GAP` blanks later.

    The text of an empty cell is ``absent``; if that is empty, so is the space before it.  Only the
    last cell may have characters other than ASCII.
    """

    __slots__ = ("absent", "cells")

    def __init__(self, cells: list[Cell], absent: str = "") -> None:
        self.cells, self.absent = cells, absent

    def compiled(self, layout: Layout) -> Callable[[tuple[Any, ...]], str]:
        """Return a function from the raw values of a message of ``layout`` to the text."""
        cells = [(compile_line(cell.pieces, layout), cell.at, cell.right) for cell in self.cells]
        absent = self.absent

        def row(raw: tuple[Any, ...]) -> str:
            line = ""
            for compiled, at, right in cells:
                cell = compiled(raw) or absent
                if cell:
                    start = len(line) + min(len(line), GAP)
                    line = line.ljust(max(start, at - len(cell) if right else at)) + cell
            return line

        return row


#: the least blanks between two cells
GAP = 2
Piece = str | Num | Addr | Word | Flag | Call | Age | Made | Total | Differ | Row


def shown(raw: bytes) -> str:
    """Return a string from the kernel in its printable form."""
    return printable(text(raw))


def named(before: str, behind: str, *groups: str) -> list[dict[str, tuple[str, str]]]:
    """Return, for each group of fields, field name -> the text before and after its value.

    The fields of a group are separated by blanks; ``"icmp_id=id"`` is field icmp_id under the name
    id, which replaces ``{}``.
    """
    tables = []
    for group in groups:
        table = {}
        for field in group.split():
            name, _, other = field.partition("=")
            table[name] = before.format(other or name), behind.format(other or name)
        tables.append(table)
    return tables


def present(
    layout: Layout, fields: Mapping[str, tuple[str, str]], prefix: str = "", spec: str = "%d",
    string: Callable[[bytes], str] = shown,
) -> list[Piece]:  # fmt: skip
    """Return the segments for those ``fields`` that ``layout`` has, as a message may lack any.

    ``fields``: field name without ``prefix`` -> text before and after its value; ``spec``: the
    conversion of numbers; ``string`` formats a string from the kernel.
    """
    out: list[Piece] = []
    for name, (before, behind) in fields.items():
        name = prefix + name
        slot = layout.slots.get(name)
        if slot is not None:
            value: Piece = Addr(name)
            if slot.kind.number:
                value = Num(name, spec)
            elif slot.kind is TEXT:
                value = Call(string, name)
            out += [before, value, behind]
    return out


def flags(words: Mapping[int, str], value: int, between: str = ",") -> str:
    """Return the words for the bits set in ``value``; a bit without a word is omitted."""
    return between.join([word for bit, word in words.items() if value & bit])


def label_names(
    names: Mapping[int, str], before: str = "", between: str = ",", behind: str = ""
) -> Callable[[bytes], str]:
    """Return a function from a bitmap to the names of its labels; a bit without one is omitted.

    ``before`` and ``behind`` surround them if there are any.
    """

    def text(raw: bytes) -> str:
        found = between.join([names[bit] for bit in label_numbers(raw) if bit in names])
        return before + found + behind if found else ""

    return text


def age(start: int, stop: int | None = None) -> int:
    """Return the seconds of an :class:`Age`, at least 0."""
    if stop is None:
        from time import time_ns

        stop = time_ns()
    return (stop - start) // 1_000_000_000 if stop > start else 0


class _Memo(dict[object, str]):
    """Texts by value, each made once: a lookup then costs no Python call."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[Any], str]) -> None:
        self.make = make

    def __missing__(self, value: Any) -> str:
        if len(self) >= _MEMO:
            self.clear()
        text = self[value] = self.make(value)
        return text


#: texts kept in a memo
_MEMO = 16384
#: addresses recur within a line and in later ones; keyed by their bytes
_IPV4, _IPV6 = _Memo(inet_ntoa), _Memo(address)


def compile_line(pieces: list[Piece], layout: Layout) -> Callable[[tuple[Any, ...]], str]:
    """Return a function from the raw values of a message of ``layout`` to its text.

    The segments become one f-string: a line then costs half of a loop over them.  Names and
    constants of its source come from this module; no value of a message gets into it.
    """
    index = {name: f"raw[{number}]" for number, name in enumerate(layout.names)}
    source: list[str] = []
    known: dict[str, Any] = {"__builtins__": {}}
    for number, piece in enumerate(_joined(pieces)):
        if isinstance(piece, str):
            source.append(repr(piece))
            continue
        name = f"f{number}"
        if isinstance(piece, Call):
            known[name] = piece.function
            value = f"{name}({', '.join(index[field] for field in piece.fields)})"
        elif isinstance(piece, Age):
            known[name], known["age"] = _Memo(piece.scale.text if piece.scale else str), age
            stop = index[piece.stop] if piece.stop else None
            value = f"{name}[age({index[piece.start]}, {stop})]"
        elif isinstance(piece, Total):
            value = " + ".join([index[field] for field in piece.fields])
            if piece.scale is not None:
                known[name] = _Memo(piece.scale.text)
                value = f"{name}[{value}]"
        elif isinstance(piece, Differ | Row):
            known[name] = piece.compiled(layout)
            value = f"{name}(raw)"
        else:
            value = index[piece.field]
            if isinstance(piece, Addr):
                known[name] = _IPV4 if layout.slots[piece.field].size == 4 else _IPV6
                value = f"{name}[{value}]"
            elif isinstance(piece, Made):
                known[name] = _Memo(piece.make)
                value = f"{name}[{value}{f' // {piece.unit}' if piece.unit != 1 else ''}]"
            elif isinstance(piece, Num) and piece.spec != "%d":
                known[name] = piece.spec
                value = f"{name} % {value}"
        source.append(f"f'{{{value}}}'")
    text = " ".join(source) or "''"
    function: Callable[[tuple[Any, ...]], str] = eval(f"lambda raw: {text}", known)
    return function


def _joined(
    pieces: list[Piece],
) -> Iterator[str | Num | Addr | Call | Age | Made | Total | Differ | Row]:
    """Yield the segments with words memoized, and adjacent flags of one field merged."""
    flags: list[Flag] = []
    for piece in [*pieces, ""]:
        if flags and not (isinstance(piece, Flag) and piece.field == flags[0].field):
            yield Made(_flags(flags), flags[0].field)
            flags = []
        if isinstance(piece, Flag):
            flags.append(piece)
        elif isinstance(piece, Word):
            yield Made(piece.text, piece.field)
        else:
            yield piece


def _flags(pieces: list[Flag]) -> Callable[[int], str]:
    return lambda value: "".join([p.text if value & p.mask == p.want else p.other for p in pieces])
