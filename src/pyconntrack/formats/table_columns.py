"""The columns of ``-o table``: what each shows of a flow or an expectation."""

from __future__ import annotations

from time import localtime, strftime, time_ns

from ..ctnetlink import constants as c
from ..ctnetlink import vocabulary
from ..escape import printable
from .segments import (
    DURATION,
    SIZE,
    Addr,
    Age,
    Call,
    Differ,
    Made,
    Num,
    Total,
    Word,
    flags,
    label_names,
    shown,
)
from .table import ARROW, GREEN, PLAIN, YELLOW, Column
from .text import iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ..ctnetlink.layout import Layout
    from .segments import Piece, Scale
    from .table import Screen

#: the letters of FLAGS, in the order of the status bits
LETTERS = {
    c.IPS_EXPECTED: "E", c.IPS_ASSURED: "A", c.IPS_FIXED_TIMEOUT: "F",
    c.IPS_HELPER: "H", c.IPS_OFFLOAD: "O", c.IPS_HW_OFFLOAD: "W",
}  # fmt: skip


#: states in which connections live, and those in which they begin
_LIVING = {"ESTABLISHED", "REPLIED", "OPEN", "OFFLOAD", "HW_OFFLOAD"}
_BEGINNING = {
    "SYN_SENT", "SYN_RECV", "SYN_SENT2", "COOKIE_WAIT", "COOKIE_ECHOED", "REQUEST", "RESPOND",
    "PARTOPEN", "UNREPLIED",
}  # fmt: skip


def flow(
    options: Collection[str], labels: Mapping[int, str] | None, screen: Screen
) -> list[Column]:
    """Return the columns of flows; ``options`` are words of ``-o``, ``labels`` the names of
    labels, or None if they are not shown."""
    out = [
        Column("PROTO", 2, lambda layout: _proto(layout, "orig_"), 4),
        Column("STATE", 3, lambda layout: _state(layout, screen), 11, unseen=screen.unseen),
        Column("SOURCE", 0, lambda layout: _source(layout, "orig_"), 21),
        Column(f"{ARROW}DESTINATION", 0, lambda layout: _destination(layout, "orig_"), 24),
        Column("NAT", 4, _translation, 25),
        Column("TIMEOUT", 6, lambda layout: total(layout, DURATION, "timeout"), 7, right=True),
        Column("BYTES", 7, _bytes, 6, right=True),
        Column("AGE", 8, age, 7, right=True),
        Column("FLAGS", 9, lambda layout: made(layout, "status", _letters)),
        Column("ZONE", 5, _zone),
        Column("MARK", 10, lambda layout: made(layout, "mark", _mark)),
        Column("HELPER", 11, lambda layout: _text(layout, "helper")),
    ]
    if "id" in options:
        out.insert(0, Column("ID", 1, lambda layout: total(layout, None, "id"), 10, right=True))
    if "ktimestamp" in options:
        for name in ("START", "STOP"):
            out.append(Column(name, 1, _instant(f"timestamp_{name.lower()}")))
    if labels is not None:
        names = label_names({bit: printable(name) for bit, name in labels.items()})
        out.append(Column("LABELS", 1, lambda layout: _labels(layout, names)))
    return out


def _bytes(layout: Layout) -> list[Piece]:
    return total(layout, SIZE, "orig_bytes", "reply_bytes")


def _instant(field: str) -> Callable[[Layout], list[Piece]]:
    return lambda layout: date(layout, field)


def _proto(layout: Layout, prefix: str) -> list[Piece]:
    number = layout.shape.get(f"{prefix}proto")
    return [] if number is None else [vocabulary.PROTO.get(number, str(number))]


def _state(layout: Layout, screen: Screen) -> list[Piece]:
    def painted(word: str) -> str:
        colour = GREEN if word in _LIVING else YELLOW if word in _BEGINNING else PLAIN
        return screen.painted(word, colour)

    for name, words in vocabulary.STATES.items():
        if name in layout.slots:
            return [Word(name, {number: painted(word) for number, word in words.items()},
                         painted("%d"))]  # fmt: skip
    if "status" not in layout.slots:
        return [painted("")]
    return [Made(lambda status: painted(_progress(status)), "status")]


def _progress(status: int) -> str:
    """Return the state of a flow of a protocol without states."""
    if status & c.IPS_HW_OFFLOAD:
        return "HW_OFFLOAD"
    if status & c.IPS_OFFLOAD:
        return "OFFLOAD"
    return "REPLIED" if status & c.IPS_SEEN_REPLY else "UNREPLIED"


def _end(layout: Layout, prefix: str, end: str) -> list[Piece]:
    """Return the segments of an address with its port, or with its key of GRE."""
    has, address = layout.slots, f"{prefix}{end}"
    port, key = f"{prefix}{end[0]}port", f"{prefix}{end}key"
    if address not in has:
        return []
    if key in has:
        return [Addr(address), " key ", Num(key, "0x%x")]
    if port not in has:
        return [Addr(address)]
    if has[address].size == 4:
        return [Addr(address), ":", Num(port)]
    return ["[", Addr(address), "]:", Num(port)]


def _source(layout: Layout, prefix: str) -> list[Piece]:
    return _end(layout, prefix, "src")


def _destination(layout: Layout, prefix: str) -> list[Piece]:
    out = _end(layout, prefix, "dst")
    if not out:
        return []
    for name in ("type", "code", "id"):
        if f"{prefix}icmp_{name}" in layout.slots:
            out.append(Made(_icmp(name), f"{prefix}icmp_{name}"))
    return [ARROW, *out]


def _icmp(name: str) -> Callable[[int], str]:
    return lambda value: f" {name} {value}" if value or name != "code" else ""


def _translation(layout: Layout) -> list[Piece]:
    """Return the segments of the ends that NAT changed, as the other side sees them."""
    has = layout.slots
    if "reply_src" not in has or "reply_dst" not in has:
        return []
    source = _both(layout, ("orig_src", "reply_dst"), ("orig_sport", "reply_dport"),
                   ("orig_srckey", "reply_dstkey"), ("orig_icmp_id", "reply_icmp_id"))  # fmt: skip
    target = _both(layout, ("orig_dst", "reply_src"), ("orig_dport", "reply_sport"),
                   ("orig_dstkey", "reply_srckey"))  # fmt: skip
    via = _end(layout, "reply_", "dst")
    if "reply_icmp_id" in has:
        via += [" id ", Num("reply_icmp_id")]
    return [
        Differ(target, [ARROW, *_end(layout, "reply_", "src"), Differ(source, [" "])]),
        Differ(source, ["via ", *via]),
    ]


def _both(layout: Layout, *pairs: tuple[str, str]) -> list[tuple[str, str]]:
    return [pair for pair in pairs if pair[0] in layout.slots and pair[1] in layout.slots]


def total(layout: Layout, scale: Scale | None, *names: str) -> list[Piece]:
    """Return the segments of the sum of fields, if the layout has all of them."""
    return [Total(scale, *names)] if all(name in layout.slots for name in names) else []


def made(layout: Layout, name: str, make: Callable[[int], str]) -> list[Piece]:
    """Return the segments of a number as text by ``make``, if the layout has it."""
    return [Made(make, name)] if name in layout.slots else []


def date(layout: Layout, name: str) -> list[Piece]:
    """Return the segments of a time in nanoseconds as a local date, if the layout has it."""
    return [Made(iso, name, 10**9)] if name in layout.slots else []


def _text(layout: Layout, name: str) -> list[Piece]:
    return [Call(text, name)] if name in layout.slots else []


def text(raw: bytes) -> str:
    """Return a string from the kernel in ASCII, as the alignment counts bytes."""
    return shown(raw).encode("ascii", "backslashreplace").decode()


def age(layout: Layout, scale: Scale | None = DURATION) -> list[Piece]:
    """Return the segments of the time from the creation of an entry to its end, or to now."""
    if "timestamp_start" not in layout.slots:
        return []
    stop = "timestamp_stop" if "timestamp_stop" in layout.slots else None
    return [Age("timestamp_start", stop, scale)]


def _letters(status: int) -> str:
    return "".join([letter for bit, letter in LETTERS.items() if status & bit])


def _mark(mark: int) -> str:
    return str(mark) if mark else ""


def _zone(layout: Layout) -> list[Piece]:
    for name, before in (("zone", ""), ("orig_zone", "orig "), ("reply_zone", "reply ")):
        if name in layout.slots:
            return [before, Num(name)]
    return []


def _labels(layout: Layout, names: Callable[[bytes], str]) -> list[Piece]:
    return [Call(names, "labels")] if "labels" in layout.slots else []


def times(options: Collection[str]) -> Column:
    """Return the column of the time of an event, or of now; with "iso" its date, too."""
    write = _date if "iso" in options else _clock

    def pieces(layout: Layout) -> list[Piece]:
        if "timestamp_event" in layout.slots:
            return [Call(write, "timestamp_event")]
        return [Call(lambda: write(time_ns()))]

    return Column("TIME", 1, pieces, len(write(0)))


def _clock(nanoseconds: int) -> str:
    """Return the local time of day in milliseconds."""
    time = strftime("%H:%M:%S", localtime(nanoseconds // 10**9))
    return f"{time}.{nanoseconds // 10**6 % 1000:03d}"


def _date(nanoseconds: int) -> str:
    return iso(nanoseconds // 10**9, f".{nanoseconds // 10**6 % 1000:03d}")


# ---- the columns of expectations ----------------------------------------------------------------


def expect() -> list[Column]:
    """Return the columns of expectations."""
    return [
        Column("PROTO", 1, lambda layout: _proto(layout, "tuple_")),
        Column("SOURCE", 0, lambda layout: _expected(layout, "src")),
        Column(f"{ARROW}DESTINATION", 0, lambda layout: [ARROW, *_expected(layout, "dst")]),
        Column("TIMEOUT", 3, lambda layout: total(layout, DURATION, "timeout"), right=True),
        Column("HELPER", 4, lambda layout: _text(layout, "helper")),
        Column("FLAGS", 5, lambda layout: made(layout, "flags", _expect_flags)),
        Column("ZONE", 2, _zone),
        Column("MASTER", 6, lambda layout: [*_source(layout, "master_"), " ",
                                            *_destination(layout, "master_")]),
    ]  # fmt: skip


def _expected(layout: Layout, end: str) -> list[Piece]:
    """Return the segments of an end that is expected; what the mask does not compare is ``*``."""
    names = [name for part in (end, f"{end[0]}port") for name in (f"tuple_{part}", f"mask_{part}")]
    there = [name for name in names if name in layout.slots]
    if there == names:
        return [Call(_masked, *names)]
    return _end(layout, "tuple_", end)


def _masked(address: bytes, mask: bytes, port: int, port_mask: int) -> str:
    from ..ctnetlink.kinds import address as text_of

    host = text_of(address) if any(mask) else "*"
    if len(address) == 16 and host != "*":
        host = f"[{host}]"
    return f"{host}:{port if port_mask else '*'}"


def _expect_flags(value: int) -> str:
    return flags(vocabulary.EXPECT_FLAGS, value)
