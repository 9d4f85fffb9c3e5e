"""``-o save``: a flow as a line that ``conntrack -R`` reads back."""

from __future__ import annotations

from .. import vocab
from ..wire import consts as c
from .pieces import Addr, Call, Flag, Made, Num, Word
from .text import STATES, label_bits, trim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..layout import Layout
    from .pieces import Piece

#: bits that may be given back to the kernel; the others are its own (IPS_UNCHANGEABLE_MASK)
_STATUS = {
    c.IPS_SEEN_REPLY: "SEEN_REPLY",
    c.IPS_ASSURED: "ASSURED",
    c.IPS_FIXED_TIMEOUT: "FIXED_TIMEOUT",
}
_ENDS = {
    "orig_sport": "--sport", "orig_dport": "--dport",
    "reply_sport": "--reply-port-src", "reply_dport": "--reply-port-dst",
    "orig_srckey": "--srckey", "orig_dstkey": "--dstkey",
    "reply_srckey": "--reply-key-src", "reply_dstkey": "--reply-key-dst",
}  # fmt: skip


def flow(layout: Layout, command: str, labels: Mapping[int, str]) -> list[Piece]:
    """The options that re-create an entry, behind `command` (``-A``, ``-U`` or ``-D``)."""
    has = layout.slots
    out: list[Piece] = [command, " "]
    if "timeout" in has:
        out += ["-t ", Num("timeout"), " "]
    if "status" in has:
        out += ["-u ", Made(_status, "status"), " "]
    for name, option in (("zone", "-w"), ("orig_zone", "--orig-zone"),
                         ("reply_zone", "--reply-zone")):  # fmt: skip
        if name in has:
            out += [f"{option} ", Num(name), " "]
    if "mark" in has:
        out.append(Made(_mark, "mark"))
    if "labels" in has:
        out.append(Call(_Labels(labels), "labels"))
    if "helper" in has:
        out += ["--helper ", Call(_quoted, "helper"), " "]
    for name, option in (("orig_src", "-s"), ("orig_dst", "-d")):
        if name in has:
            out += [f"{option} ", Addr(name), " "]
    out += _nat(layout, "reply_src", "-r ", "-g ", c.IPS_DST_NAT)
    out += _nat(layout, "reply_dst", "-q ", "-n ", c.IPS_SRC_NAT)
    out += _layer4(layout)
    return trim(out)


def _nat(layout: Layout, name: str, plain: str, nat: str, bit: int) -> list[Piece]:
    if name not in layout.slots:
        return []
    option: Piece = plain
    if "status" in layout.slots:
        option = Flag("status", bit, bit, nat, plain)
    return [option, Addr(name), " "]


def _layer4(layout: Layout) -> list[Piece]:
    has = layout.slots
    number = layout.shape.get("orig_proto")
    if number is None:
        return []
    out: list[Piece] = [f"-p {vocab.PROTO.get(number, number)} "]
    if "orig_icmp_type" in has:
        word = "icmp" if number == c.IPPROTO_ICMP else "icmpv6"
        for part in ("type", "code", "id"):
            out += [f"--{word}-{part} ", Num(f"orig_icmp_{part}"), " "]
    for name, option in _ENDS.items():
        if name in has:
            out += [f"{option} ", Num(name), " "]
    if number == c.IPPROTO_DCCP and "dccp_state" not in has:
        # a kernel without DCCP's tracker (6.16 on) says nothing of what -I needs, and ignores it
        out.append("--sport 0 --dport 0 --state NONE --role client ")
    for name, words in STATES.items():
        if name in has:
            out += ["--state ", Word(name, words), " "]
    for name, option in (("sctp_vtag_orig", "--orig-vtag"), ("sctp_vtag_reply", "--reply-vtag")):
        if name in has:
            out += [f"{option} ", Num(name), " "]
    if "dccp_role" in has:
        out += ["--role ", Word("dccp_role", {0: "client", 1: "server"}), " "]
    return out


def _status(value: int) -> str:
    return ",".join(word for bit, word in _STATUS.items() if value & bit) or "UNSET"


def _mark(value: int) -> str:
    return f"-m {value} " if value else ""


def _quoted(raw: bytes) -> str:
    word = raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
    return word if word.replace("-", "").replace("_", "").isalnum() else f'"{word}"'


class _Labels:
    __slots__ = ("names",)

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names

    def __call__(self, raw: bytes) -> str:
        text = ",".join(self.names.get(bit, str(bit)) for bit in label_bits(raw))
        return f"--label-add {text} " if text else ""
