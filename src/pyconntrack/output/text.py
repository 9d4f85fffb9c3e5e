"""The default and the extended text of a flow or an expectation, as conntrack(8) prints it.

Owns the order of the segments and quirks such as ``[UNREPLIED]``.  Reads layouts, never messages.
"""

from __future__ import annotations

from .. import vocab
from ..escape import printable
from ..fields import label_numbers
from ..wire import consts as c
from .pieces import Age, Call, Flag, Made, Word, present

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


def _words(text: str) -> dict[str, tuple[str, str]]:
    """Return how fields are shown: ``"sport=srckey"`` is field sport by the word srckey."""
    pairs = (word.partition("=") for word in text.split())
    return {name: (f"{other or name}=", " ") for name, _, other in pairs}


_ADDRESSES, _PORTS, _KEYS = map(_words, ("src dst", "sport dport", "srckey dstkey"))
_ICMP, _COUNTERS = map(_words, ("icmp_type=type icmp_code=code icmp_id=id", "packets bytes"))
_MARKS, _HELPER, _ID = map(_words, ("mark secmark secctx zone", "helper use", "id"))
_ZONE, _CLASS = _words("zone"), _words("class helper")


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
    out += present(layout, {"timeout": ("", " ")})
    out += _state(layout)
    out += _side(layout, "orig_")
    if "status" in has:
        out.append(Flag("status", c.IPS_SEEN_REPLY, 0, "[UNREPLIED] "))
    out += _side(layout, "reply_")
    if "status" in has:
        out += offload_or_assured()
    out += present(layout, _MARKS)
    out += _times(layout, "ktimestamp" in options)
    out += present(layout, _HELPER)
    if "id" in options:
        out += present(layout, _ID)
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
    at = len(pieces)
    while at and isinstance(pieces[at - 1], Flag):
        at -= 1
    moved: list[Piece] = []
    for piece in pieces[at:]:
        assert isinstance(piece, Flag)
        moved.append(Flag(piece.field, piece.mask, piece.want, " " + piece.text.rstrip(" ")))
    return trim(pieces[:at]) + moved


def _state(layout: Layout) -> list[Piece]:
    for name, words in STATES.items():
        if name in layout.slots:
            return [Word(name, words), " "]
    return []


def _side(layout: Layout, prefix: str) -> list[Piece]:
    zone = {"zone": (f"zone-{prefix[:-1]}=", " ")}
    return [
        *present(layout, _ADDRESSES, prefix), *_layer4(layout, prefix),
        *present(layout, zone, prefix), *present(layout, _COUNTERS, prefix),
    ]  # fmt: skip


def _layer4(layout: Layout, prefix: str) -> list[Piece]:
    """Ports, GRE keys or ICMP fields of one side, whose fields begin with `prefix`."""
    keys = present(layout, _KEYS, prefix, "0x%x")
    found = present(layout, _ICMP, prefix) or keys or present(layout, _PORTS, prefix)
    # DCCP where the kernel has no tracker for it (6.16 on): shown as conntrack(8) does
    dccp = layout.shape.get(f"{prefix}proto") == c.IPPROTO_DCCP
    return found or (["sport=0 dport=0 "] if dccp else [])


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


class _Labels:
    # a bit without a name is not told, as conntrack(8) has it
    __slots__ = ("names",)

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = {bit: printable(name) for bit, name in names.items()}

    def __call__(self, raw: bytes) -> str:
        names = ",".join(self.names[bit] for bit in label_numbers(raw) if bit in self.names)
        return names and "=" + names


def expect(layout: Layout) -> list[Piece]:
    """The segments of an expectation."""
    out = present(layout, {"timeout": ("", " ")})
    out.append(f"proto={layout.shape.get('tuple_proto', 0)} ")
    for side, words in (("tuple", ""), ("mask", "mask-"), ("master", "master-")):
        addresses = {name: (f"{words}{name}=", " ") for name in _ADDRESSES}
        out += [*present(layout, addresses, f"{side}_"), *_layer4(layout, f"{side}_")]
    out += present(layout, _ZONE)
    if "flags" in layout.slots:
        out.append(Call(_expect_flags, "flags"))
    return trim(out + present(layout, _CLASS))


def _expect_flags(value: int) -> str:
    words = ",".join(word for bit, word in vocab.EXPECT_FLAGS.items() if value & bit)
    return words and words + " "
