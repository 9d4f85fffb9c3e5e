"""``-o xml``: one element a flow, one line a flow, in one document."""

from __future__ import annotations

from .. import vocab
from ..wire import consts as c
from .pieces import Addr, Age, Call, Flag, Num, Word
from .text import L3_NAMES, STATES, label_bits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..layout import Layout
    from .pieces import Piece

HEAD = b'<?xml version="1.0" encoding="utf-8"?>\n'


def flow(
    layout: Layout, options: Collection[str], labels: Mapping[int, str] | None, event: str = ""
) -> list[Piece]:
    """The element of a conntrack entry; `labels`: their names where they are shown; `event` is
    new, update or destroy for an event."""
    out: list[Piece] = [f'<flow type="{event}">' if event else "<flow>"]
    for side, direction in (("orig", "original"), ("reply", "reply")):
        out += [f'<meta direction="{direction}">', *_tuple(layout, side)]
        if f"{side}_zone" in layout.slots:
            out += ["<zone>", Num(f"{side}_zone"), "</zone>"]
        if f"{side}_packets" in layout.slots:
            out += [
                "<counters><packets>", Num(f"{side}_packets"), "</packets><bytes>",
                Num(f"{side}_bytes"), "</bytes></counters>",
            ]  # fmt: skip
        out.append("</meta>")
    out += ['<meta direction="independent">', *_independent(layout, options, labels), "</meta>"]
    if "timestamp" in options:
        out.append(Call(_when))
    if "helper" in layout.slots:
        out += ["<helper>", Call(_text, "helper"), "</helper>"]
    return [*out, "</flow>"]


def _tuple(layout: Layout, side: str) -> list[Piece]:
    has = layout.slots
    family = layout.family
    number = layout.shape.get(f"{side}_proto")
    out: list[Piece] = []
    if f"{side}_src" in has:
        name = L3_NAMES.get(family, "unknown")
        out += [
            f'<layer3 protonum="{family}" protoname="{name}"><src>', Addr(f"{side}_src"),
            "</src><dst>", Addr(f"{side}_dst"), "</dst></layer3>",
        ]  # fmt: skip
    if number is not None:
        out.append(f'<layer4 protonum="{number}" protoname="{vocab.PROTO.get(number, "unknown")}">')
        out += [*_layer4(layout, side), "</layer4>"]
    return out


def _layer4(layout: Layout, side: str) -> list[Piece]:
    has = layout.slots
    if f"{side}_icmp_type" in has:
        parts = [(part, Num(f"{side}_icmp_{part}")) for part in ("type", "code", "id")]
    elif f"{side}_srckey" in has:
        parts = [(part, Num(f"{side}_{part}", "0x%x")) for part in ("srckey", "dstkey")]
    elif f"{side}_sport" in has:
        parts = [(part, Num(f"{side}_{part}")) for part in ("sport", "dport")]
    elif layout.shape.get(f"{side}_proto") == c.IPPROTO_DCCP:
        return ["<sport>0</sport><dport>0</dport>"]
    else:
        return []
    return [piece for part, number in parts for piece in (f"<{part}>", number, f"</{part}>")]


def _independent(
    layout: Layout, options: Collection[str], labels: Mapping[int, str] | None
) -> list[Piece]:
    has = layout.slots
    out: list[Piece] = []
    for name, words in STATES.items():
        if name in has:
            out += ["<state>", Word(name, words), "</state>"]
    for name in ("timeout", "mark"):
        if name in has:
            out += [f"<{name}>", Num(name), f"</{name}>"]
    if labels is not None and "labels" in has:
        out += ["<labels>", Call(_Labels(labels), "labels"), "</labels>"]
    if "secmark" in has:
        out += ["<secmark>", Num("secmark"), "</secmark>"]
    if "secctx" in has:
        out += ["<secctx>", Call(_text, "secctx"), "</secctx>"]
    for name in ("zone", "use", "id"):
        if name in has:
            out += [f"<{name}>", Num(name), f"</{name}>"]
    if "status" in has:
        out.append(Flag("status", c.IPS_ASSURED, c.IPS_ASSURED, "<assured/>"))
        out.append(Flag("status", c.IPS_SEEN_REPLY, 0, "<unreplied/>"))
    return out + _times(layout, options)


def _times(layout: Layout, options: Collection[str]) -> list[Piece]:
    has = layout.slots
    if "timestamp_start" not in has:
        return []
    out: list[Piece] = []
    stop = "timestamp_stop" in has
    if "ktimestamp" in options:
        out += ["<timestamp><start>", Num("timestamp_start"), "</start>"]
        if stop:
            out += ["<stop>", Num("timestamp_stop"), "</stop>"]
        out.append("</timestamp>")
    age = Age("timestamp_start", "timestamp_stop" if stop else None)
    return [*out, "<deltatime>", age, "</deltatime>"]


def escape(text: str) -> str:
    """`text` with the characters replaced that XML reserves."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _text(raw: bytes) -> str:
    return escape(raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace"))


class _Labels:
    __slots__ = ("names",)

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names

    def __call__(self, raw: bytes) -> str:
        names = (self.names[bit] for bit in label_bits(raw) if bit in self.names)
        return "".join(f"<label>{escape(name)}</label>" for name in names)


def _when() -> str:
    from time import localtime

    now = localtime()
    return (
        f"<when><hour>{now.tm_hour}</hour><min>{now.tm_min:02d}</min><sec>{now.tm_sec:02d}</sec>"
        f"<wday>{(now.tm_wday + 1) % 7 + 1}</wday><day>{now.tm_mday}</day>"
        f"<month>{now.tm_mon}</month><year>{now.tm_year}</year></when>"
    )


_SIDES = (("tuple", "expected"), ("mask", "mask"), ("master", "master"))


def expect(layout: Layout, options: Collection[str], event: str = "") -> list[Piece]:
    """The element of an expectation."""
    has = layout.slots
    family = layout.family
    number = layout.shape.get("tuple_proto", 0)
    name = L3_NAMES.get(family, "unknown")
    out: list[Piece] = [f'<flow type="{event}">' if event else "<flow>"]
    out.append(f'<layer3 protonum="{family}" protoname="{name}">')
    for side, tag in _SIDES:
        if f"{side}_src" in has:
            out += [
                f"<{tag}><src>", Addr(f"{side}_src"), "</src><dst>", Addr(f"{side}_dst"),
                f"</dst></{tag}>",
            ]  # fmt: skip
    name = vocab.PROTO.get(number, "unknown")
    out.append(f'</layer3><layer4 protonum="{number}" protoname="{name}">')
    for side, tag in _SIDES:
        if inner := _layer4(layout, side):
            out += [f"<{tag}>", *inner, f"</{tag}>"]
    out.append("</layer4><meta>")
    if "helper" in has:
        out += ["<helper-name>", Call(_text, "helper"), "</helper-name>"]
    for field in ("timeout", "class", "zone"):
        if field in has:
            out += [f"<{field}>", Num(field), f"</{field}>"]
    if "timestamp" in options:
        out.append(Call(_when))
    return [*out, "</meta></flow>"]
