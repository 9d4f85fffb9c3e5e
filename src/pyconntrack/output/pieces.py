"""What a line of output is made of, and how a list of pieces becomes text.

A writer turns a layout into a list of pieces, once; :func:`compile_line` makes of it one ``%``
template that formats a message's raw values.  :mod:`pyconntrack.output.bulk` renders the same
pieces for thousands of messages at once, to the same bytes.

Owns the kinds of piece; which pieces a format has, and in which order, is the writer's.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop

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


Piece = str | Num | Addr | Word | Flag | Call


def address(raw: bytes) -> str:
    """The text of a packed address, as inet_ntop(3) writes it."""
    return inet_ntop(AF_INET if len(raw) == 4 else AF_INET6, raw)


def _identity(value: int) -> int:
    return value


def compile_line(pieces: list[Piece], layout: Layout) -> Callable[[tuple[Any, ...]], str]:
    """A function from the raw values of a message of `layout` to its text."""
    template: list[str] = []
    steps: list[tuple[int, Callable[[Any], Any]]] = []
    calls: list[tuple[int, Callable[..., str], tuple[int, ...]]] = []
    index = {name: number for number, name in enumerate(layout.names)}
    for piece in pieces:
        if isinstance(piece, str):
            template.append(piece.replace("%", "%%"))
            continue
        if isinstance(piece, Num):
            template.append(piece.spec)
            steps.append((index[piece.field], _identity))
            continue
        template.append("%s")
        if isinstance(piece, Addr):
            steps.append((index[piece.field], address))
        elif isinstance(piece, Word):
            steps.append((index[piece.field], _word(piece)))
        elif isinstance(piece, Flag):
            steps.append((index[piece.field], _flag(piece)))
        else:
            calls.append((len(steps), piece.function, tuple(index[f] for f in piece.fields)))
            steps.append((0, _identity))
    text = "".join(template)

    def line(raw: tuple[Any, ...]) -> str:
        return text % tuple([convert(raw[at]) for at, convert in steps])

    def line_with_calls(raw: tuple[Any, ...]) -> str:
        values = [convert(raw[at]) for at, convert in steps]
        for at, function, fields in calls:
            values[at] = function(*[raw[i] for i in fields])
        return text % tuple(values)

    if not layout.names:
        return lambda raw: text % ()
    return line_with_calls if calls else line


def _word(piece: Word) -> Callable[[int], str]:
    words, other = piece.words, piece.other
    return lambda value: words[value] if value in words else other % value


def _flag(piece: Flag) -> Callable[[int], str]:
    mask, want, text, other = piece.mask, piece.want, piece.text, piece.other
    return lambda value: text if value & mask == want else other
