"""``-o csv``: a header, then a line an entry, with the same columns whatever the entry has.

An absent value is an empty cell.  The columns are the names of the schema, of all that a listing
or an event can hold.
"""

from __future__ import annotations

from ..fields import IPV4, IPV6, TEXT, label_numbers
from ..schema import CONNTRACK, EXPECT, REPORT, names
from .pieces import Addr, Call, Made, Num, Word, shown
from .text import L3_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..layout import Layout
    from .pieces import Piece

def columns(*, expect: bool = False) -> list[str]:
    """The columns of a document, without ``event`` and ``time``."""
    return ["family", *names(EXPECT if expect else CONNTRACK, REPORT)]


def head(*, expect: bool, event: bool) -> bytes:
    """The header line."""
    names = (["event", "time"] if event else []) + columns(expect=expect)
    return (",".join(names) + "\n").encode()


def flow(layout: Layout, event: str = "", *, expect: bool = False) -> list[Piece]:
    """The cells of an entry."""
    out: list[Piece] = []
    if event:
        from .json import now

        out += [event, ",", Call(now), ","]
    for number, name in enumerate(columns(expect=expect)):
        if number:
            out.append(",")
        if name == "family":
            out.append(L3_NAMES.get(layout.family, str(layout.family)))
        elif name in layout.slots:
            out.append(_cell(layout, name))
    return out


def _cell(layout: Layout, name: str) -> Piece:
    slot = layout.slots[name]
    kind, words = slot.kind, slot.attr.words
    if name in ("status", "flags"):
        assert words is not None
        return Made(_Flags(words), name)
    if kind.number and words is not None:
        if slot.attr.shape:
            return words.get(layout.shape[name], str(layout.shape[name]))
        return Word(name, words)
    if kind.number:
        return Num(name)
    if kind in (IPV4, IPV6):
        return Addr(name)
    if kind is TEXT:
        return Call(_text, name)
    return Call(_labels if name == "labels" else _hex, name)


class _Flags:
    __slots__ = ("words",)

    def __init__(self, words: Mapping[int, str]) -> None:
        self.words = words

    def __call__(self, value: int) -> str:
        return "|".join(word for bit, word in self.words.items() if value & bit)


def _text(raw: bytes) -> str:
    text = shown(raw)
    if "," in text or '"' in text:
        return '"' + text.replace('"', '""') + '"'
    return text


def _labels(raw: bytes) -> str:
    return "|".join(map(str, label_numbers(raw)))


def _hex(raw: bytes) -> str:
    return raw.hex()
