"""``-o save``: a flow as a line that ``conntrack -R`` reads back."""

from __future__ import annotations

from ..ctnetlink import constants as c
from ..ctnetlink import vocabulary
from ..ctnetlink.restore_rules import default_timeout
from ..netlink.netns import sysctl
from .segments import Addr, Call, Flag, Made, Word, flags, label_names, named, present, shown
from .text import trim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..ctnetlink.layout import Layout
    from .segments import Piece

#: bits that can be restored; only the kernel sets the others (IPS_UNCHANGEABLE_MASK)
_STATUS = {
    bit: vocabulary.STATUS[bit] for bit in (c.IPS_SEEN_REPLY, c.IPS_ASSURED, c.IPS_FIXED_TIMEOUT)
}


_TIMEOUT, _ORIG, _ZONES, _ENDS, _VTAGS = named(
    "{} ", " ", "timeout=-t", "helper=--helper orig_src=-s orig_dst=-d",
    "zone=-w orig_zone=--orig-zone reply_zone=--reply-zone",
    "orig_sport=--sport orig_dport=--dport reply_sport=--reply-port-src"
    " reply_dport=--reply-port-dst orig_srckey=--srckey orig_dstkey=--dstkey"
    " reply_srckey=--reply-key-src reply_dstkey=--reply-key-dst",
    "sctp_vtag_orig=--orig-vtag sctp_vtag_reply=--reply-vtag",
)  # fmt: skip


def flow(layout: Layout, command: str, labels: Mapping[int, str]) -> list[Piece]:
    """Return the segments for the options that create an entry again.

    They follow ``command`` (``-A``, ``-U`` or ``-D``).
    """
    has = layout.slots
    out: list[Piece] = [command, " "]
    out += present(layout, _TIMEOUT)
    offloaded = command == "-A" and "timeout" not in has
    if offloaded:
        # it has neither timeout nor state, and no line loads without them
        out.append(f"-t {default_timeout(layout.shape.get('orig_proto', 0), sysctl)} ")
    if "status" in has:
        out += ["-u ", Made(_status, "status"), " "]
    out += present(layout, _ZONES)
    if "mark" in has:
        out.append(Made(_mark, "mark"))
    if "labels" in has:
        # an unprintable name counts as none
        names = {bit: str(bit) for bit in range(8 * layout.slots["labels"].size)}
        names |= {bit: name for bit, name in labels.items() if name.isprintable()}
        out.append(Call(label_names(names, "--label-add ", behind=" "), "labels"))
    out += present(layout, _ORIG, string=_quoted)
    out += _nat(layout, "reply_src", "-r ", "-g ", c.IPS_DST_NAT)
    out += _nat(layout, "reply_dst", "-q ", "-n ", c.IPS_SRC_NAT)
    out += _layer4(layout, offloaded=offloaded)
    return trim(out)


def _nat(layout: Layout, name: str, plain: str, nat: str, bit: int) -> list[Piece]:
    if name not in layout.slots:
        return []
    option: Piece = plain
    if "status" in layout.slots:
        option = Flag("status", bit, bit, nat, plain)
    return [option, Addr(name), " "]


def _layer4(layout: Layout, *, offloaded: bool) -> list[Piece]:
    has = layout.slots
    number = layout.shape.get("orig_proto")
    if number is None:
        return []
    out: list[Piece] = [f"-p {vocabulary.PROTO.get(number, number)} "]
    word = "icmp" if number == c.IPPROTO_ICMP else "icmpv6"
    icmp = {f"icmp_{part}": (f"--{word}-{part} ", " ") for part in ("type", "code", "id")}
    out += [*present(layout, icmp, "orig_"), *present(layout, _ENDS)]
    if number == c.IPPROTO_DCCP and "dccp_state" not in has:
        # a kernel without DCCP's tracker (6.16 on) sends none of what -I needs, and ignores it
        out.append("--sport 0 --dport 0 --state NONE --role client ")
    if offloaded and number == c.IPPROTO_TCP and "tcp_state" not in has:
        out.append("--state ESTABLISHED ")
    for name, words in vocabulary.STATES.items():
        if name in has:
            out += ["--state ", Word(name, words), " "]
    out += present(layout, _VTAGS)
    if "dccp_role" in has:
        out += ["--role ", Word("dccp_role", {0: "client", 1: "server"}), " "]
    return out


def _status(value: int) -> str:
    return flags(_STATUS, value) or "UNSET"


def _mark(value: int) -> str:
    return f"-m {value} " if value else ""


def _quoted(raw: bytes) -> str:
    word = shown(raw)
    return word if word.replace("-", "").replace("_", "").isalnum() else f'"{word}"'
