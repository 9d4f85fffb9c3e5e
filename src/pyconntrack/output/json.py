"""``-o json`` and ``-o ndjson``: an object an entry, derived from the schema.

Numbers are numbers, addresses and words strings, flags lists of words, and what is absent is
absent.  The names are the schema's; ``orig``, ``reply``, ``master`` (and an expectation's
``tuple``, ``mask`` and ``nat_tuple``) are objects.  The JSON Schema ships as
``pyconntrack/schema.json``; SCHEMA counts up when a reader would have to change.
"""

from __future__ import annotations

from ..fields import BYTES, IPV4, IPV6, TEXT, label_numbers
from ..layout import text
from ..schema import CONNTRACK, EXPECT, leaves
from .pieces import Addr, Call, Made, Num, Word
from .text import L3_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..layout import Layout, Slot
    from .pieces import Piece

SCHEMA = "pyconntrack/1"
#: field -> the object it is a member of, or ""
OBJECT = {name: part for rows in (CONNTRACK, EXPECT) for name, part, _ in leaves(rows)}


def flow(layout: Layout, event: str = "") -> list[Piece]:
    """The object of a flow or an expectation; an event has ``event`` and ``time`` (ns) too."""
    members: list[list[Piece]] = []
    if event:
        members.append([f'"event":"{event}"'])
        if "timestamp_event" not in layout.slots:
            members.append(['"time":', Call(now)])
        else:
            members.append(['"time":', Num("timestamp_event")])
    if layout.family in L3_NAMES:
        members.append([f'"family":"{L3_NAMES[layout.family]}"'])
    objects: dict[str, list[list[Piece]]] = {}
    for name, slot in layout.slots.items():
        prefix = OBJECT[name]
        value = _value(layout, name, slot)
        if prefix:
            if prefix not in objects:
                objects[prefix] = []
                members.append([prefix])
            objects[prefix].append([f'"{name[len(prefix) + 1 :]}":', *value])
        else:
            members.append([f'"{name}":', *value])
    out: list[Piece] = ["{"]
    for number, member in enumerate(members):
        if number:
            out.append(",")
        if len(member) == 1 and member[0] in objects:
            prefix = str(member[0])
            out.append(f'"{prefix}":{{')
            for at, inner in enumerate(objects[prefix]):
                out += [",", *inner] if at else inner
            out.append("}")
        else:
            out += member
    out.append("}")
    return out


def _value(layout: Layout, name: str, slot: Slot) -> list[Piece]:
    kind, words = slot.kind, slot.attr.words
    if name in ("status", "flags"):
        assert words is not None
        return [Made(_Flags(words), name)]
    if kind.number and words is not None:
        if slot.attr.shape:
            number = layout.shape[name]
            return [f'"{words[number]}"' if number in words else str(number)]
        return [Word(name, {number: f'"{word}"' for number, word in words.items()})]
    if kind.number:
        return [Num(name)]
    if kind in (IPV4, IPV6):
        return ['"', Addr(name), '"']
    if kind is TEXT:
        return [Call(_text, name)]
    if kind is BYTES and name.startswith("labels"):
        return [Call(_labels, name)]
    return [Call(_hex, name)]


def string(text: str) -> str:
    """Return `text` as a JSON string, with what does not print escaped."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    if not text.isprintable():
        text = "".join([char if char.isprintable() else _escape(char) for char in text])
    return f'"{text}"'


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join([f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)])


class _Flags:
    __slots__ = ("words",)

    def __init__(self, words: Mapping[int, str]) -> None:
        self.words = words

    def __call__(self, value: int) -> str:
        found = [f'"{word}"' for bit, word in self.words.items() if value & bit]
        rest = value & ~sum(self.words)
        found += [str(1 << bit) for bit in range(rest.bit_length()) if rest >> bit & 1]
        return "[" + ",".join(found) + "]"


def _text(raw: bytes) -> str:
    return string(text(raw))


def _labels(raw: bytes) -> str:
    return "[" + ",".join(map(str, label_numbers(raw))) + "]"


def _hex(raw: bytes) -> str:
    return f'"{raw.hex()}"'


def now() -> str:
    """This moment in nanoseconds since the epoch."""
    from time import time_ns

    return str(time_ns())


def head(what: str) -> bytes:
    """The beginning of the one document; `what` is flows, expectations or events."""
    return f'{{"schema":"{SCHEMA}","{what}":[\n'.encode()


FOOT = b"]}\n"
