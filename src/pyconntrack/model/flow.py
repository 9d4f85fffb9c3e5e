"""Flows: connections as the kernel tracks them."""

from __future__ import annotations

from .. import vocab
from ..convert import words_of
from ..escape import printable
from ..schema import CONNTRACK
from ..wire import consts as c
from .entry import Entry
from .tuple import Part
from .value import Address, Labels, Number, Octets, String

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Unpack

    from .given import FlowFields
    from .tuple import Tuple


class Flag:
    """Whether a bit of ``status`` is set; False where there is no status."""

    __slots__ = ("bit",)

    def __init__(self, bit: int) -> None:
        self.bit: int = bit

    def __get__(self, value: Flow | None, owner: type | None = None) -> bool:
        if value is None:
            return self  # type: ignore[return-value]
        return bool((value.status or 0) & self.bit)


class Flow(Entry):
    """A connection as the kernel tracks it.

    Made by the kernel's messages, or by hand: ``Flow(Tuple(...), mark=5, timeout=60,
    status="ASSURED", tcp_state="ESTABLISHED", labels=[1, 7])``.  Every field of the schema is an
    attribute under its schema name; None where it is absent.  Times are nanoseconds since 1970
    (``timestamp_*``) or seconds that are left (``timeout``).

    ``==`` and ``hash`` go by the identity of the connection: the original tuple and its zone, and
    the kernel's id where both sides have one.  :meth:`same_as` compares every field.
    Wrong names and values raise :class:`~pyconntrack.RequestError`.
    """

    __slots__ = ()
    _rows = CONNTRACK
    _kind = c.ct_msg(c.IPCTNL_MSG_CT_NEW)
    _part = "orig_"

    orig: Part = Part()
    reply: Part = Part()

    orig_src: Address = Address()
    orig_dst: Address = Address()
    orig_proto: Number = Number()
    orig_sport: Number = Number()
    orig_dport: Number = Number()
    orig_srckey: Number = Number()
    orig_dstkey: Number = Number()
    orig_icmp_id: Number = Number()
    orig_icmp_type: Number = Number()
    orig_icmp_code: Number = Number()
    orig_zone: Number = Number()
    reply_src: Address = Address()
    reply_dst: Address = Address()
    reply_proto: Number = Number()
    reply_sport: Number = Number()
    reply_dport: Number = Number()
    reply_srckey: Number = Number()
    reply_dstkey: Number = Number()
    reply_icmp_id: Number = Number()
    reply_icmp_type: Number = Number()
    reply_icmp_code: Number = Number()
    reply_zone: Number = Number()
    status: Number = Number()
    tcp_state: Number = Number()
    tcp_wscale_orig: Number = Number()
    tcp_wscale_reply: Number = Number()
    tcp_flags_orig: Number = Number()
    tcp_flags_reply: Number = Number()
    dccp_state: Number = Number()
    dccp_role: Number = Number()
    dccp_handshake_seq: Number = Number()
    sctp_state: Number = Number()
    sctp_vtag_orig: Number = Number()
    sctp_vtag_reply: Number = Number()
    helper_info: Octets = Octets()
    src_nat_min_addr: Address = Address()
    src_nat_max_addr: Address = Address()
    src_nat_min_port: Number = Number()
    src_nat_max_port: Number = Number()
    mark: Number = Number()
    orig_packets: Number = Number()
    orig_bytes: Number = Number()
    reply_packets: Number = Number()
    reply_bytes: Number = Number()
    use: Number = Number()
    dst_nat_min_addr: Address = Address()
    dst_nat_max_addr: Address = Address()
    dst_nat_min_port: Number = Number()
    dst_nat_max_port: Number = Number()
    orig_seqadj_correction_pos: Number = Number()
    orig_seqadj_offset_before: Number = Number()
    orig_seqadj_offset_after: Number = Number()
    reply_seqadj_correction_pos: Number = Number()
    reply_seqadj_offset_before: Number = Number()
    reply_seqadj_offset_after: Number = Number()
    secmark: Number = Number()
    secctx: String = String()
    timestamp_start: Number = Number()
    timestamp_stop: Number = Number()
    mark_mask: Number = Number()
    labels: Labels = Labels()
    labels_mask: Labels = Labels()
    synproxy_isn: Number = Number()
    synproxy_its: Number = Number()
    synproxy_tsoff: Number = Number()
    filter_orig_flags: Octets = Octets()
    filter_reply_flags: Octets = Octets()
    status_mask: Number = Number()
    timestamp_event: Number = Number()

    expected: Flag = Flag(c.IPS_EXPECTED)
    seen_reply: Flag = Flag(c.IPS_SEEN_REPLY)
    assured: Flag = Flag(c.IPS_ASSURED)
    confirmed: Flag = Flag(c.IPS_CONFIRMED)
    is_src_nat: Flag = Flag(c.IPS_SRC_NAT)
    is_dst_nat: Flag = Flag(c.IPS_DST_NAT)
    is_seq_adjusted: Flag = Flag(c.IPS_SEQ_ADJUST)
    dying: Flag = Flag(c.IPS_DYING)
    fixed_timeout: Flag = Flag(c.IPS_FIXED_TIMEOUT)
    offloaded: Flag = Flag(c.IPS_OFFLOAD)
    hw_offloaded: Flag = Flag(c.IPS_HW_OFFLOAD)

    def __init__(
        self,
        orig: Tuple | None = None,
        reply: Tuple | None = None,
        master: Tuple | None = None,
        **fields: Unpack[FlowFields],
    ) -> None:
        self._build({"orig": orig, "reply": reply, "master": master, **fields})

    @property
    def status_words(self) -> list[str | int]:
        """The words of ``status``; a bit that has none stays a number."""
        return words_of(vocab.STATUS, self.status or 0)

    @property
    def state(self) -> str | None:
        """The word of the TCP, SCTP or DCCP state; None where the protocol has none."""
        for name, words in vocab.STATES.items():
            raw = self.raw(name)
            if raw is not None:
                number = int.from_bytes(raw)
                return words.get(number, str(number))
        return None

    @property
    def proto(self) -> str | None:
        """The protocol as a word; its number as text where it has none."""
        number = self.orig_proto
        return None if number is None else vocab.PROTO.get(number, str(number))

    def __str__(self) -> str:
        """One line, much as ``conntrack -L -o id`` writes it."""
        parts = [f"{self.proto or '?':8} {self.orig_proto or 0}"]
        if self.timeout is not None:
            parts.append(str(self.timeout))
        if self.state is not None:
            parts.append(self.state)
        for name in ("orig", "reply"):
            one: Tuple | None = getattr(self, name)
            if one is not None:
                parts.append(str(one))
            for counter in ("packets", "bytes"):
                number = getattr(self, f"{name}_{counter}")
                if number is not None:
                    parts.append(f"{counter}={number}")
            if name == "orig" and self.status is not None and not self.seen_reply:
                parts.append("[UNREPLIED]")
        if self.hw_offloaded:
            parts.append("[HW_OFFLOAD]")
        elif self.offloaded:
            parts.append("[OFFLOAD]")
        elif self.assured:
            parts.append("[ASSURED]")
        for name in ("mark", "secctx", "zone", "use", "id", "helper"):
            value = getattr(self, name)
            if value is not None:
                parts.append(f"{name}={printable(str(value))}")
        if self.labels:
            parts.append("labels=" + ",".join(map(str, self.labels)))
        return " ".join(parts)
