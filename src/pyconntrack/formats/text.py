"""The default and the extended text of a flow or an expectation, as conntrack(8) prints it."""

from __future__ import annotations

from ..ctnetlink import constants as c
from ..ctnetlink import vocabulary
from ..escape import printable
from .segments import Age, Call, Flag, Made, Word, flags, label_names, named, present

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ..ctnetlink.layout import Layout
    from .segments import Piece


_ADDRESSES, _COUNTERS, _ZONE, _MARKS, _HELPER, _ID, _CLASS, *_LAYER4 = named(
    "{}=", " ", "src dst", "packets bytes", "zone", "mark secmark secctx zone", "helper use", "id",
    "class helper",
    # fields of ICMP, keys of GRE, ports
    "icmp_type=type icmp_code=code icmp_id=id", "srckey dstkey", "sport dport",
)  # fmt: skip


def flow(layout: Layout, options: Collection[str], labels: Mapping[int, str] | None) -> list[Piece]:
    """Return the segments of a flow; ``options`` are words of ``-o``, ``labels`` the names of
    labels, or None if they are not shown."""
    has = layout.slots
    out: list[Piece] = []
    if "extended" in options:
        out.append(f"{vocabulary.FAMILY.get(layout.family, 'unknown'):<8} {layout.family} ")
    number = layout.shape.get("orig_proto")
    if number is not None:
        out.append(f"{vocabulary.PROTO.get(number, 'unknown'):<8} {number} ")
    out += present(layout, {"timeout": ("", " ")})
    out += _state(layout)
    out += _side(layout, "orig_")
    if "status" in has:
        out.append(Flag("status", c.IPS_SEEN_REPLY, 0, "[UNREPLIED] "))
    out += _side(layout, "reply_")
    if "status" in has:
        out += offload_or_assured()
    out += present(layout, _MARKS)
    out += _times(layout, options)
    out += present(layout, _HELPER)
    if "id" in options:
        out += present(layout, _ID)
    if labels is not None and "labels" in has:
        shown = {bit: printable(name) for bit, name in labels.items()}
        out += ["labels", Call(label_names(shown, before="="), "labels"), " "]
    return trim(out)


def offload_or_assured() -> list[Piece]:
    """Return the segments for at most one of ``[HW_OFFLOAD]``, ``[OFFLOAD]`` and ``[ASSURED]``."""
    hard, soft, assured = c.IPS_HW_OFFLOAD, c.IPS_OFFLOAD, c.IPS_ASSURED
    return [
        Flag("status", hard, hard, "[HW_OFFLOAD] "),
        Flag("status", hard | soft, soft, "[OFFLOAD] "),
        Flag("status", hard | soft | assured, assured, "[ASSURED] "),
    ]


def trim(pieces: list[Piece]) -> list[Piece]:
    """Return the segments without the blank at the end of the line."""
    if pieces and pieces[-1] == " ":
        return pieces[:-1]
    if pieces and isinstance(pieces[-1], str):
        return [*pieces[:-1], pieces[-1].rstrip(" ")]
    if pieces and isinstance(pieces[-1], Flag):
        return _trim_flags(pieces)
    return pieces


def _trim_flags(pieces: list[Piece]) -> list[Piece]:
    # An event may end in the flags of its status: the blank moves before the flag that is shown.
    at = len(pieces)
    while at and isinstance(pieces[at - 1], Flag):
        at -= 1
    return trim(pieces[:at]) + [
        Flag(piece.field, piece.mask, piece.want, " " + piece.text.rstrip(" "))
        for piece in pieces[at:]
        if isinstance(piece, Flag)
    ]


def _state(layout: Layout) -> list[Piece]:
    for name, words in vocabulary.STATES.items():
        if name in layout.slots:
            return [Word(name, words), " "]
    return []


def _side(layout: Layout, prefix: str) -> list[Piece]:
    zone = {"zone": (f"zone-{prefix[:-1]}=", " ")}
    return [
        *present(layout, _ADDRESSES, prefix), *layer4(layout, prefix, _LAYER4),
        *present(layout, zone, prefix), *present(layout, _COUNTERS, prefix),
    ]  # fmt: skip


def layer4(
    layout: Layout, prefix: str, shown: Sequence[Mapping[str, tuple[str, str]]]
) -> list[Piece]:
    """Return the segments for ports, GRE keys or ICMP fields, whose names begin with ``prefix``.

    ``shown``: ICMP fields, keys and ports, each as for :func:`.segments.present`.
    """
    icmp, keys, ports = shown
    found = present(layout, icmp, prefix) or present(layout, keys, prefix, "0x%x")
    found = found or present(layout, ports, prefix)
    if not found and layout.shape.get(f"{prefix}proto") == c.IPPROTO_DCCP:
        # a kernel without a tracker for it (6.16 on): shown as by conntrack(8)
        found = [f"{before}0{behind}" for before, behind in ports.values()]
    return found


def _times(layout: Layout, options: Collection[str]) -> list[Piece]:
    has = layout.slots
    shown = "ktimestamp" in options
    date = iso if "iso" in options else _date
    out: list[Piece] = []
    stop = "timestamp_stop" in has
    if "timestamp_start" in has:
        out += ["delta-time=", Age("timestamp_start", "timestamp_stop" if stop else None), " "]
        if shown:
            out += ["[start=", Made(date, "timestamp_start", 1_000_000_000), "] "]
    if stop and shown:
        out += ["[stop=", Made(date, "timestamp_stop", 1_000_000_000), "] "]
    return out


def stamp(layout: Layout, options: Collection[str]) -> Piece:
    """Return the segment of ``-o timestamp``: the time of the event if the kernel says it, or now.

    It is in seconds and microseconds, as ISO 8601 has them where ``options`` has "iso".
    """
    write = _iso_stamp if "iso" in options else _stamp
    if "timestamp_event" in layout.slots:
        return Call(write, "timestamp_event")
    from time import time_ns

    return Call(lambda: write(time_ns()))


def _stamp(nanoseconds: int) -> str:
    return f"[{nanoseconds // 10**9}.{nanoseconds // 1000 % 10**6:06d}]\t"


def _iso_stamp(nanoseconds: int) -> str:
    return f"[{iso(nanoseconds // 10**9, f'.{nanoseconds // 1000 % 10**6:06d}')}]\t"


def iso(seconds: int, decimals: str = "") -> str:
    """Return a time as ISO 8601 has it, in local time with its offset from UTC."""
    from time import localtime, strftime

    text = strftime("%Y-%m-%dT%H:%M:%S%z", localtime(seconds))
    return f"{text[:-5]}{decimals}{text[-5:-2]}:{text[-2:]}"


def _date(seconds: int) -> str:
    from time import asctime, localtime

    return asctime(localtime(seconds))


def _expect_flags(value: int) -> str:
    words = flags(vocabulary.EXPECT_FLAGS, value)
    return words and words + " "


def expect(layout: Layout) -> list[Piece]:
    """Return the segments of an expectation."""
    out = present(layout, {"timeout": ("", " ")})
    out.append(f"proto={layout.shape.get('tuple_proto', 0)} ")
    for side, words in (("tuple", ""), ("mask", "mask-"), ("master", "master-")):
        addresses = {name: (f"{words}{name}=", " ") for name in _ADDRESSES}
        out += [*present(layout, addresses, f"{side}_"), *layer4(layout, f"{side}_", _LAYER4)]
    out += present(layout, _ZONE)
    if "flags" in layout.slots:
        out.append(Made(_expect_flags, "flags"))
    return trim(out + present(layout, _CLASS))
