"""``-o xml``: one document with one element on one line for each entry."""

from __future__ import annotations

from ..ctnetlink import constants as c
from ..ctnetlink import vocabulary
from ..escape import printable
from .segments import Age, Call, Flag, Word, label_names, named, present, shown
from .text import layer4

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..ctnetlink.layout import Layout
    from .segments import Piece

HEAD = b'<?xml version="1.0" encoding="utf-8"?>\n'

_ADDRESSES, _COUNTERS, _ZONE, _HELPER, _TIMEOUT, _SECMARK, _USE, _TIMES, _EXPECT, *_LAYER4 = named(
    "<{}>", "</{}>", "src dst", "packets bytes", "zone", "helper", "timeout mark", "secmark secctx",
    "zone use id", "timestamp_start=start timestamp_stop=stop",
    "helper=helper-name timeout class zone",
    "icmp_type=type icmp_code=code icmp_id=id", "srckey dstkey", "sport dport",
)  # fmt: skip


def flow(
    layout: Layout, options: Collection[str], labels: Mapping[int, str] | None, event: str = ""
) -> list[Piece]:
    """Return the segments for the element of a flow; ``labels``: their names, or None if they are
    not shown; ``event``: new, update or destroy for an event."""
    out: list[Piece] = [f'<flow type="{event}">' if event else "<flow>"]
    for side, direction in (("orig_", "original"), ("reply_", "reply")):
        counters = present(layout, _COUNTERS, side)
        out += [
            f'<meta direction="{direction}">', *_tuple(layout, side),
            *present(layout, _ZONE, side), *_within("counters", counters), "</meta>",
        ]  # fmt: skip
    out += ['<meta direction="independent">', *_independent(layout, options, labels), "</meta>"]
    if "timestamp" in options:
        out.append(Call(_when))
    return [*out, *present(layout, _HELPER, string=_text), "</flow>"]


def _within(tag: str, pieces: list[Piece], attributes: str = "") -> list[Piece]:
    """Return the segments inside an element ``tag``, or [] if there are none."""
    return [f"<{tag}{attributes}>", *pieces, f"</{tag}>"] if pieces else []


def _tuple(layout: Layout, side: str) -> list[Piece]:
    family = layout.family
    number = layout.shape.get(f"{side}proto")
    name = vocabulary.FAMILY.get(family, "unknown")
    out = _within(
        "layer3", present(layout, _ADDRESSES, side), f' protonum="{family}" protoname="{name}"'
    )
    if number is not None:
        out.append(
            f'<layer4 protonum="{number}" protoname="{vocabulary.PROTO.get(number, "unknown")}">'
        )
        out += [*layer4(layout, side, _LAYER4), "</layer4>"]
    return out


def _independent(
    layout: Layout, options: Collection[str], labels: Mapping[int, str] | None
) -> list[Piece]:
    has = layout.slots
    out: list[Piece] = []
    for name, words in vocabulary.STATES.items():
        if name in has:
            out += ["<state>", Word(name, words), "</state>"]
    out += present(layout, _TIMEOUT)
    if labels is not None and "labels" in has:
        tags = {bit: f"<label>{escape(name)}</label>" for bit, name in labels.items()}
        out += ["<labels>", Call(label_names(tags, between=""), "labels"), "</labels>"]
    out += [*present(layout, _SECMARK, string=_text), *present(layout, _USE)]
    if "status" in has:
        out.append(Flag("status", c.IPS_ASSURED, c.IPS_ASSURED, "<assured/>"))
        out.append(Flag("status", c.IPS_SEEN_REPLY, 0, "<unreplied/>"))
    return out + _times(layout, options)


def _times(layout: Layout, options: Collection[str]) -> list[Piece]:
    has = layout.slots
    if "timestamp_start" not in has:
        return []
    times = present(layout, _TIMES) if "ktimestamp" in options else []
    age = Age("timestamp_start", "timestamp_stop" if "timestamp_stop" in has else None)
    return [*_within("timestamp", times), "<deltatime>", age, "</deltatime>"]


def escape(text: str) -> str:
    """Return ``text`` with the characters that XML reserves or forbids replaced."""
    text = printable(text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _text(raw: bytes) -> str:
    return escape(shown(raw))


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
    """Return the segments for the element of an expectation."""
    family = layout.family
    number = layout.shape.get("tuple_proto", 0)
    name = vocabulary.FAMILY.get(family, "unknown")
    out: list[Piece] = [f'<flow type="{event}">' if event else "<flow>"]
    out.append(f'<layer3 protonum="{family}" protoname="{name}">')
    for side, tag in _SIDES:
        out += _within(tag, present(layout, _ADDRESSES, f"{side}_"))
    name = vocabulary.PROTO.get(number, "unknown")
    out.append(f'</layer3><layer4 protonum="{number}" protoname="{name}">')
    for side, tag in _SIDES:
        out += _within(tag, layer4(layout, f"{side}_", _LAYER4))
    out.append("</layer4><meta>")
    out += present(layout, _EXPECT, string=_text)
    if "timestamp" in options:
        out.append(Call(_when))
    return [*out, "</meta></flow>"]
