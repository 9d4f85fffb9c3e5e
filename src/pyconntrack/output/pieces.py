"""What a line of output is made of, and how a list of pieces becomes text.

A writer turns a layout into a list of pieces, once; :func:`compile_line` makes of it one ``%``
template that formats a message's raw values.  :mod:`pyconntrack.output.bulk` renders the same
pieces for thousands of messages at once, to the same bytes.

Owns the kinds of piece; which pieces a format has, and in which order, is the writer's.
"""

from __future__ import annotations

from _operator import itemgetter
from _socket import AF_INET, AF_INET6, inet_ntoa, inet_ntop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ..layout import Layout


class Num:
    """A number by a ``%`` conversion such as ``%d`` or ``0x%x`` or ``%u``."""

    __slots__ = ("field", "spec")

    def __init__(self, field: str, spec: str = "%d") -> None:
        self.field, self.spec = field, spec


class Addr:
    """An address of 4 or 16 bytes as text."""

    __slots__ = ("field",)

    def __init__(self, field: str) -> None:
        self.field = field


class Word:
    """A number by a table of words; `other` is the ``%`` conversion of one not in the table."""

    __slots__ = ("field", "other", "words")

    def __init__(self, field: str, words: Mapping[int, str], other: str = "%d") -> None:
        self.field, self.words, self.other = field, words, other


class Flag:
    """`text` where ``(value & mask) == want``, else `other`."""

    __slots__ = ("field", "mask", "other", "text", "want")

    def __init__(self, field: str, mask: int, want: int, text: str, other: str = "") -> None:
        self.field, self.mask, self.want, self.text, self.other = field, mask, want, text, other


class Call:
    """Text by a function of some raw values; the slow way, for what is rare."""

    __slots__ = ("fields", "function")

    def __init__(self, function: Callable[..., str], *fields: str) -> None:
        self.fields, self.function = fields, function


class Made:
    """Text of one number by a pure function, called once for each distinct value."""

    __slots__ = ("field", "make")

    def __init__(self, make: Callable[[int], str], field: str) -> None:
        self.field, self.make = field, make


Piece = str | Num | Addr | Word | Flag | Call | Made


def address(raw: bytes) -> str:
    """The text of a packed address, as inet_ntop(3) writes it."""
    return inet_ntop(AF_INET if len(raw) == 4 else AF_INET6, raw)


class _Memo(dict[int, str]):
    """Texts by number, each made once: a look-up then costs no Python call."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[int], str]) -> None:
        self.make = make

    def __missing__(self, value: int) -> str:
        if len(self) >= _MEMO:
            self.clear()
        text = self[value] = self.make(value)
        return text


#: texts that a memo keeps
_MEMO = 4096


def compile_line(pieces: list[Piece], layout: Layout) -> Callable[[tuple[Any, ...]], str]:
    """A function from the raw values of a message of `layout` to its text."""
    template: list[str] = []
    picks: list[int] = []
    steps: list[tuple[int, Callable[[Any], Any]]] = []
    calls: list[tuple[int, Callable[..., str], tuple[int, ...]]] = []
    index = {name: number for number, name in enumerate(layout.names)}
    for piece in pieces:
        if isinstance(piece, str):
            template.append(piece.replace("%", "%%"))
            continue
        at = len(picks)
        template.append(piece.spec if isinstance(piece, Num) else "%s")
        if isinstance(piece, Call):
            calls.append((at, piece.function, tuple(index[name] for name in piece.fields)))
            picks.append(0)
            continue
        picks.append(index[piece.field])
        if isinstance(piece, Addr):
            size = layout.slots[piece.field].size
            steps.append((at, inet_ntoa if size == 4 else address))
        elif isinstance(piece, Word):
            steps.append((at, _Memo(_word(piece)).__getitem__))
        elif isinstance(piece, Flag):
            steps.append((at, _Memo(_flag(piece)).__getitem__))
        elif isinstance(piece, Made):
            steps.append((at, _Memo(piece.make).__getitem__))
    text = "".join(template)
    if not picks:
        constant = text % ()
        return lambda raw: constant
    pick = itemgetter(*picks, picks[0])  # two at least, so that a tuple comes back

    def line(raw: tuple[Any, ...]) -> str:
        values = list(pick(raw))
        del values[-1]
        for at, convert in steps:
            values[at] = convert(values[at])
        for at, function, fields in calls:
            values[at] = function(*[raw[i] for i in fields])
        return text % tuple(values)

    def line_of_calls(raw: tuple[Any, ...]) -> str:
        return text % tuple([function(*[raw[i] for i in fields]) for _, function, fields in calls])

    return line if layout.names else line_of_calls


def _word(piece: Word) -> Callable[[int], str]:
    words, other = piece.words, piece.other
    return lambda value: words[value] if value in words else other % value


def _flag(piece: Flag) -> Callable[[int], str]:
    mask, want, text, other = piece.mask, piece.want, piece.text, piece.other
    return lambda value: text if value & mask == want else other
