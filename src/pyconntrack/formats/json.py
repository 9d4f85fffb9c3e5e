"""``-o json`` and ``-o ndjson``: one object for each entry, derived from the schema.

Numbers are numbers, addresses and words strings, flags lists of words, and an absent field has no
member.  The names are the schema's; ``orig``, ``reply``, ``master`` (and an expectation's
``tuple``, ``mask`` and ``nat_tuple``) are objects.  The JSON Schema ships as
``pyconntrack/schema.json``; SCHEMA is incremented when readers would have to change.
"""

from __future__ import annotations

from time import time_ns

from ..ctnetlink.kinds import IPV4, IPV6, LABELS, TEXT, bits_of, label_numbers
from ..ctnetlink.schema import CONNTRACK, EXPECT, leaves
from ..ctnetlink.vocabulary import FAMILY, FLAGS
from ..netlink.messages import text
from .segments import Addr, Call, Made, Num, Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..ctnetlink.layout import Layout
    from .segments import Piece

SCHEMA = "pyconntrack/1"
#: field -> the object it is a member of, or ""
OBJECT = {name: part for rows in (CONNTRACK, EXPECT) for name, part, _ in leaves(rows)}


def flow(layout: Layout, event: str = "") -> list[Piece]:
    """Return the segments for an entry; an event adds ``event`` and ``time`` (nanoseconds)."""
    members = event_members(layout, event)
    if layout.family in FAMILY:
        members.append(['"family":', *family(layout)])
    objects: dict[str, list[list[Piece]]] = {}
    for name in layout.slots:
        prefix = OBJECT[name]
        piece = member(layout, name)
        if prefix:
            if prefix not in objects:
                objects[prefix] = []
                members.append([prefix])
            objects[prefix].append([f'"{name[len(prefix) + 1 :]}":', *piece])
        else:
            members.append([f'"{name}":', *piece])
    if layout.unknown:
        members.append(['"unknown":[', *_unknown(layout), "]"])
    for number, (first, *rest) in enumerate(members):
        if not rest and first in objects:
            members[number] = [f'"{first}":', *braced(objects[str(first)])]
    return braced(members)


def braced(members: list[list[Piece]]) -> list[Piece]:
    """Return the segments of an object with these members."""
    out: list[Piece] = ["{"]
    for number, each in enumerate(members):
        out += [",", *each] if number else each
    return [*out, "}"]


def event_members(
    layout: Layout, event: str, time: Callable[[int], str] = str
) -> list[list[Piece]]:
    """Return the members that an event has before those of its entry; [] in a listing.

    ``time`` returns the value of ``time`` from nanoseconds since the epoch.
    """
    if not event:
        return []
    stamped = "timestamp_event" in layout.slots
    stamp = Made(time, "timestamp_event") if stamped else Call(lambda: time(time_ns()))
    return [[f'"event":"{event}"'], ['"time":', stamp]]


def family(layout: Layout) -> list[Piece]:
    """Return the segments of the layer 3 family."""
    return [f'"{FAMILY.get(layout.family, layout.family)}"']


def member(layout: Layout, name: str) -> list[Piece]:
    """Return the segments of the value of a field."""
    return value(layout, name, '"', _text, _array, nameless=True)


def _unknown(layout: Layout) -> list[Piece]:
    """Return the segments for the attributes unknown to the schema: their path and their bytes."""
    out: list[Piece] = []
    for name, (path, _) in layout.unknown.items():
        numbers = ",".join(map(str, path))
        out += ["," if out else "", f'{{"path":[{numbers}],"data":"', Call(bytes.hex, name), '"}']
    return out


def value(
    layout: Layout, name: str, quote: str, string: Callable[[bytes], str],
    many: Callable[[Iterable[str]], str], *, nameless: bool,
) -> list[Piece]:  # fmt: skip
    """Return the segments for the value of the field ``name``.

    ``quote`` surrounds words, addresses and bytes; ``string`` formats a string from the kernel,
    ``many`` flags or labels; ``nameless``: show flags without a word.
    """
    slot = layout.slots[name]
    words = {number: f"{quote}{word}{quote}" for number, word in (slot.attr.words or {}).items()}
    if slot.attr.words in FLAGS:
        return [Made(lambda bits: many([
            words.get(1 << bit, str(1 << bit))
            for bit in bits_of(bits)
            if nameless or 1 << bit in words
        ]), name)]  # fmt: skip
    if slot.attr.shape:
        return [words.get(layout.shape[name], str(layout.shape[name]))]
    if slot.kind.number:
        return [Word(name, words) if words else Num(name)]
    if slot.kind in (IPV4, IPV6):
        return [quote, Addr(name), quote]
    if slot.kind is TEXT:
        return [Call(string, name)]
    if slot.kind is LABELS:
        return [Call(lambda raw: many(map(str, label_numbers(raw))), name)]
    return [quote, Call(bytes.hex, name), quote]


def string(text: str) -> str:
    """Return ``text`` as a JSON string, with unprintable characters escaped."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    if not text.isprintable():
        text = "".join([char if char.isprintable() else _escape(char) for char in text])
    return f'"{text}"'


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join([f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)])


def _text(raw: bytes) -> str:
    return string(text(raw))


def _array(texts: Iterable[str]) -> str:
    return f"[{','.join(texts)}]"


def head(what: str) -> bytes:
    """Return the beginning of the document; ``what`` is flows, expectations or events."""
    return f'{{"schema":"{SCHEMA}","{what}":[\n'.encode()


FOOT = b"]}\n"
