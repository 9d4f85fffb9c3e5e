"""The default and the extended text of a flow or an expectation, as conntrack(8) prints it.

Owns the order of the segments and quirks such as ``[UNREPLIED]``.  Reads layouts, never messages.
"""

from __future__ import annotations

from .. import vocab
from ..wire import consts as c
from .pieces import Addr, Age, Call, Flag, Made, Num, Word

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..layout import Layout
    from .pieces import Piece

L3_NAMES = {c.AF_INET: "ipv4", c.AF_INET6: "ipv6"}
STATES = {
    "tcp_state": vocab.TCP_STATE,
    "sctp_state": vocab.SCTP_STATE,
    "dccp_state": vocab.DCCP_STATE,
}


def flow(
    layout: Layout, options: Collection[str], labels: Mapping[int, str] | None
) -> list[Piece]:
    """The segments of a conntrack entry; `options` are words of ``-o``, `labels` the names of
    labels where they are shown."""
    has = layout.slots
    out: list[Piece] = []
    if "extended" in options:
        out.append(f"{L3_NAMES.get(layout.family, 'unknown'):<8} {layout.family} ")
    number = layout.shape.get("orig_proto")
    if number is not None:
        out.append(f"{vocab.PROTO.get(number, 'unknown'):<8} {number} ")
    if "timeout" in has:
        out += [Num("timeout"), " "]
    out += _state(layout)
    out += _tuple(layout, "orig")
    out += _zone_of(layout, "orig", "zone-orig")
    out += _counters(layout, "orig")
    if "status" in has:
        out.append(Flag("status", c.IPS_SEEN_REPLY, 0, "[UNREPLIED] "))
    out += _tuple(layout, "reply")
    out += _zone_of(layout, "reply", "zone-reply")
    out += _counters(layout, "reply")
    if "status" in has:
        out += offload_or_assured()
    for name in ("mark", "secmark"):
        if name in has:
            out += [f"{name}=", Num(name), " "]
    if "secctx" in has:
        out += ["secctx=", Call(_text, "secctx"), " "]
    if "zone" in has:
        out += ["zone=", Num("zone"), " "]
    out += _times(layout, "ktimestamp" in options)
    if "helper" in has:
        out += ["helper=", Call(_text, "helper"), " "]
    if "use" in has:
        out += ["use=", Num("use"), " "]
    if "id" in options and "id" in has:
        out += ["id=", Num("id"), " "]
    if labels is not None and "labels" in has:
        out += ["labels", Call(_Labels(labels), "labels"), " "]
    return trim(out)


def offload_or_assured() -> list[Piece]:
    """At most one of ``[HW_OFFLOAD]``, ``[OFFLOAD]`` and ``[ASSURED]``."""
    hard, soft, assured = c.IPS_HW_OFFLOAD, c.IPS_OFFLOAD, c.IPS_ASSURED
    return [
        Flag("status", hard, hard, "[HW_OFFLOAD] "),
        Flag("status", hard | soft, soft, "[OFFLOAD] "),
        Flag("status", hard | soft | assured, assured, "[ASSURED] "),
    ]


def trim(pieces: list[Piece]) -> list[Piece]:
    """`pieces` without the blank at the end of the line."""
    if pieces and pieces[-1] == " ":
        return pieces[:-1]
    if pieces and isinstance(pieces[-1], str):
        return [*pieces[:-1], pieces[-1].rstrip(" ")]
    if pieces and isinstance(pieces[-1], Flag):
        return _trim_flags(pieces)
    return pieces


def _trim_flags(pieces: list[Piece]) -> list[Piece]:
    # An event may end in the flags of its status: the blank moves before the flag that shows.
    flags = 0
    while isinstance(pieces[-1 - flags], Flag):
        flags += 1
    head, tail = pieces[:-flags], pieces[-flags:]
    moved: list[Piece] = []
    for piece in tail:
        assert isinstance(piece, Flag)
        moved.append(Flag(piece.field, piece.mask, piece.want, " " + piece.text.rstrip(" ")))
    return trim(head) + moved


def _state(layout: Layout) -> list[Piece]:
    for name, words in STATES.items():
        if name in layout.slots:
            return [Word(name, words), " "]
    return []


def _tuple(layout: Layout, side: str) -> list[Piece]:
    has = layout.slots
    out: list[Piece] = []
    if f"{side}_src" in has:
        out += ["src=", Addr(f"{side}_src"), " dst=", Addr(f"{side}_dst"), " "]
    return out + layer4(layout, side)


def layer4(layout: Layout, side: str) -> list[Piece]:
    """Ports, GRE keys or ICMP fields of one side."""
    has = layout.slots
    if f"{side}_icmp_type" in has:
        return [
            "type=", Num(f"{side}_icmp_type"), " code=", Num(f"{side}_icmp_code"),
            " id=", Num(f"{side}_icmp_id"), " ",
        ]  # fmt: skip
    if f"{side}_srckey" in has:
        return [
            "srckey=", Num(f"{side}_srckey", "0x%x"), " dstkey=", Num(f"{side}_dstkey", "0x%x"), " "
        ]  # fmt: skip
    if f"{side}_sport" in has:
        return ["sport=", Num(f"{side}_sport"), " dport=", Num(f"{side}_dport"), " "]
    # DCCP where the kernel has no tracker for it (6.16 on): shown as conntrack(8) does
    return ["sport=0 dport=0 "] if layout.shape.get(f"{side}_proto") == c.IPPROTO_DCCP else []


def _zone_of(layout: Layout, side: str, word: str) -> list[Piece]:
    name = f"{side}_zone"
    return [f"{word}=", Num(name), " "] if name in layout.slots else []


def _counters(layout: Layout, side: str) -> list[Piece]:
    packets, octets = f"{side}_packets", f"{side}_bytes"
    if packets not in layout.slots or octets not in layout.slots:
        return []
    return ["packets=", Num(packets), " bytes=", Num(octets), " "]


def _times(layout: Layout, shown: bool) -> list[Piece]:
    has = layout.slots
    out: list[Piece] = []
    stop = "timestamp_stop" in has
    if "timestamp_start" in has:
        out += ["delta-time=", Age("timestamp_start", "timestamp_stop" if stop else None), " "]
        if shown:
            out += ["[start=", Made(_date, "timestamp_start", 1_000_000_000), "] "]
    if stop and shown:
        out += ["[stop=", Made(_date, "timestamp_stop", 1_000_000_000), "] "]
    return out


def now() -> str:
    """The stamp of ``-o timestamp``: seconds and microseconds, then a tab."""
    from time import time_ns

    stamp = time_ns() // 1000
    return f"[{stamp // 1_000_000}.{stamp % 1_000_000:06d}]\t"


def _date(seconds: int) -> str:
    from time import asctime, localtime

    return asctime(localtime(seconds))


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


class _Labels:
    # a bit without a name is not told, as conntrack(8) has it
    __slots__ = ("names",)

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names

    def __call__(self, raw: bytes) -> str:
        names = ",".join(self.names[bit] for bit in label_bits(raw) if bit in self.names)
        return names and "=" + names


def label_bits(raw: bytes) -> list[int]:
    """The label numbers set in a bitmap as the kernel sends it (host words)."""
    import sys

    bits = []
    for at in range(0, len(raw), 8):
        word = int.from_bytes(raw[at : at + 8], sys.byteorder)
        bits += [at * 8 + bit for bit in range(64) if word >> bit & 1]
    return bits


def expect(layout: Layout) -> list[Piece]:
    """The segments of an expectation."""
    has = layout.slots
    out: list[Piece] = []
    number = layout.shape.get("tuple_proto")
    if "timeout" in has:
        out += [Num("timeout"), " "]
    out.append(f"proto={number} ")
    for side, words in (("tuple", ""), ("mask", "mask-"), ("master", "master-")):
        out += _expect_tuple(layout, side, words, number)
    if "zone" in has:
        out += ["zone=", Num("zone"), " "]
    if "flags" in has:
        out.append(Call(_expect_flags, "flags"))
    if "class" in has:
        out += ["class=", Num("class"), " "]
    if "helper" in has:
        out += ["helper=", Call(_text, "helper"), " "]
    return trim(out)


def _expect_tuple(layout: Layout, side: str, words: str, number: int | None) -> list[Piece]:
    has = layout.slots
    out: list[Piece] = []
    if f"{side}_src" in has:
        out += [f"{words}src=", Addr(f"{side}_src"), f" {words}dst=", Addr(f"{side}_dst"), " "]
    return out + layer4(layout, side)


def _expect_flags(value: int) -> str:
    words = ",".join(word for bit, word in vocab.EXPECT_FLAGS.items() if value & bit)
    return words and words + " "
