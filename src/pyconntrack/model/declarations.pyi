"""Declare the fields to type checkers; GENERATED from the schema by ``make generate``.

Never imported when a program runs: :func:`pyconntrack.model.fields.attach` makes the attributes.
"""
# fmt: off
# ruff: noqa: E501, I001 - a sentence is one line

from __future__ import annotations

from ..ctnetlink.literals import (
    DccpRole,
    DccpState,
    ExpectFlag,
    ProtoName,
    SctpState,
    StatusName,
    TcpState,
)
from ..ctnetlink.words import Unknown
from .tuple import Tuple


class TupleAttributes:
    """The fields of a tuple."""

    __slots__ = ()

    @property
    def src(self) -> str | None:
        """Source address."""
    @property
    def dst(self) -> str | None:
        """Destination address."""
    @property
    def proto(self) -> ProtoName | Unknown | None:
        """Layer 4 protocol."""
    @property
    def proto_number(self) -> int | None:
        """The number of ``proto``."""
    @property
    def sport(self) -> int | None:
        """Source port; of protocols with ports."""
    @property
    def dport(self) -> int | None:
        """Destination port; of protocols with ports."""
    @property
    def srckey(self) -> int | None:
        """GRE key of the source; a call id of PPTP."""
    @property
    def dstkey(self) -> int | None:
        """GRE key of the destination; a call id of PPTP."""
    @property
    def icmp_id(self) -> int | None:
        """ICMP identifier; of queries and their answers."""
    @property
    def icmp_type(self) -> int | None:
        """ICMP or ICMPv6 type."""
    @property
    def icmp_code(self) -> int | None:
        """ICMP or ICMPv6 code."""
    @property
    def zone(self) -> int | None:
        """Zone; of this direction alone."""


class FlowAttributes:
    """The fields of a flow, by their schema names."""

    __slots__ = ()

    @property
    def orig(self) -> Tuple | None:
        """The tuple of the fields ``orig_*``."""
    @property
    def reply(self) -> Tuple | None:
        """The tuple of the fields ``reply_*``."""
    @property
    def master(self) -> Tuple | None:
        """The tuple of the fields ``master_*``."""
    @property
    def orig_src(self) -> str | None:
        """Source address in the original direction."""
    @property
    def orig_dst(self) -> str | None:
        """Destination address in the original direction."""
    @property
    def orig_proto(self) -> ProtoName | Unknown | None:
        """Layer 4 protocol in the original direction."""
    @property
    def orig_proto_number(self) -> int | None:
        """The number of ``orig_proto``."""
    @property
    def orig_sport(self) -> int | None:
        """Source port in the original direction; of protocols with ports."""
    @property
    def orig_dport(self) -> int | None:
        """Destination port in the original direction; of protocols with ports."""
    @property
    def orig_srckey(self) -> int | None:
        """GRE key of the source in the original direction; a call id of PPTP."""
    @property
    def orig_dstkey(self) -> int | None:
        """GRE key of the destination in the original direction; a call id of PPTP."""
    @property
    def orig_icmp_id(self) -> int | None:
        """ICMP identifier in the original direction; of queries and their answers."""
    @property
    def orig_icmp_type(self) -> int | None:
        """ICMP or ICMPv6 type in the original direction."""
    @property
    def orig_icmp_code(self) -> int | None:
        """ICMP or ICMPv6 code in the original direction."""
    @property
    def orig_zone(self) -> int | None:
        """Zone in the original direction; of this direction alone."""
    @property
    def reply_src(self) -> str | None:
        """Source address in the reply direction."""
    @property
    def reply_dst(self) -> str | None:
        """Destination address in the reply direction."""
    @property
    def reply_proto(self) -> ProtoName | Unknown | None:
        """Layer 4 protocol in the reply direction."""
    @property
    def reply_proto_number(self) -> int | None:
        """The number of ``reply_proto``."""
    @property
    def reply_sport(self) -> int | None:
        """Source port in the reply direction; of protocols with ports."""
    @property
    def reply_dport(self) -> int | None:
        """Destination port in the reply direction; of protocols with ports."""
    @property
    def reply_srckey(self) -> int | None:
        """GRE key of the source in the reply direction; a call id of PPTP."""
    @property
    def reply_dstkey(self) -> int | None:
        """GRE key of the destination in the reply direction; a call id of PPTP."""
    @property
    def reply_icmp_id(self) -> int | None:
        """ICMP identifier in the reply direction; of queries and their answers."""
    @property
    def reply_icmp_type(self) -> int | None:
        """ICMP or ICMPv6 type in the reply direction."""
    @property
    def reply_icmp_code(self) -> int | None:
        """ICMP or ICMPv6 code in the reply direction."""
    @property
    def reply_zone(self) -> int | None:
        """Zone in the reply direction; of this direction alone."""
    @property
    def status(self) -> frozenset[StatusName | Unknown] | None:
        """What the kernel noted about the connection."""
    @property
    def status_bits(self) -> int | None:
        """The number of ``status``."""
    @property
    def tcp_state(self) -> TcpState | Unknown | None:
        """State of the TCP connection."""
    @property
    def tcp_state_number(self) -> int | None:
        """The number of ``tcp_state``."""
    @property
    def tcp_wscale_orig(self) -> int | None:
        """TCP window scale of the original direction. [power of two]"""
    @property
    def tcp_wscale_reply(self) -> int | None:
        """TCP window scale of the reply direction. [power of two]"""
    @property
    def tcp_flags_orig(self) -> int | None:
        """IP_CT_TCP_FLAG_* of the original direction, in the high byte. [bits]"""
    @property
    def tcp_flags_reply(self) -> int | None:
        """IP_CT_TCP_FLAG_* of the reply direction, in the high byte. [bits]"""
    @property
    def dccp_state(self) -> DccpState | Unknown | None:
        """State of the DCCP connection."""
    @property
    def dccp_state_number(self) -> int | None:
        """The number of ``dccp_state``."""
    @property
    def dccp_role(self) -> DccpRole | Unknown | None:
        """Role of the side that began: whether it is the client."""
    @property
    def dccp_role_number(self) -> int | None:
        """The number of ``dccp_role``."""
    @property
    def dccp_handshake_seq(self) -> int | None:
        """DCCP sequence number of the handshake."""
    @property
    def sctp_state(self) -> SctpState | Unknown | None:
        """State of the SCTP association."""
    @property
    def sctp_state_number(self) -> int | None:
        """The number of ``sctp_state``."""
    @property
    def sctp_vtag_orig(self) -> int | None:
        """SCTP verification tag of the original direction."""
    @property
    def sctp_vtag_reply(self) -> int | None:
        """SCTP verification tag of the reply direction."""
    @property
    def helper(self) -> str | None:
        """Name of the helper that follows the connection, such as ftp."""
    @property
    def helper_info(self) -> bytes | None:
        """State of the helper, in a format of its own."""
    @property
    def src_nat_min_addr(self) -> str | None:
        """First address of the range to which a created flow's source is translated."""
    @property
    def src_nat_max_addr(self) -> str | None:
        """Last address of the range to which a created flow's source is translated."""
    @property
    def src_nat_min_port(self) -> int | None:
        """First port or ICMP identifier of the range to which a created flow's source is translated."""
    @property
    def src_nat_max_port(self) -> int | None:
        """Last port or ICMP identifier of the range to which a created flow's source is translated."""
    @property
    def timeout(self) -> int | None:
        """Time until the entry is removed, if no packet comes before. [seconds]"""
    @property
    def mark(self) -> int | None:
        """Mark that rules and programs set."""
    @property
    def orig_packets(self) -> int | None:
        """Packets in the original direction; with nf_conntrack_acct=1. [packets]"""
    @property
    def orig_bytes(self) -> int | None:
        """Bytes in the original direction; from the layer 3 header on, with nf_conntrack_acct=1. [bytes]"""
    @property
    def reply_packets(self) -> int | None:
        """Packets in the reply direction; with nf_conntrack_acct=1. [packets]"""
    @property
    def reply_bytes(self) -> int | None:
        """Bytes in the reply direction; from the layer 3 header on, with nf_conntrack_acct=1. [bytes]"""
    @property
    def use(self) -> int | None:
        """References that the kernel holds to the entry. [references]"""
    @property
    def id(self) -> int | None:
        """Identifier that distinguishes the entry from another with the same tuple."""
    @property
    def dst_nat_min_addr(self) -> str | None:
        """First address of the range to which a created flow's destination is translated."""
    @property
    def dst_nat_max_addr(self) -> str | None:
        """Last address of the range to which a created flow's destination is translated."""
    @property
    def dst_nat_min_port(self) -> int | None:
        """First port or ICMP identifier of the range to which a created flow's destination is translated."""
    @property
    def dst_nat_max_port(self) -> int | None:
        """Last port or ICMP identifier of the range to which a created flow's destination is translated."""
    @property
    def master_src(self) -> str | None:
        """Source address of the master connection, in its original direction."""
    @property
    def master_dst(self) -> str | None:
        """Destination address of the master connection, in its original direction."""
    @property
    def master_proto(self) -> ProtoName | Unknown | None:
        """Layer 4 protocol of the master connection, in its original direction."""
    @property
    def master_proto_number(self) -> int | None:
        """The number of ``master_proto``."""
    @property
    def master_sport(self) -> int | None:
        """Source port of the master connection, in its original direction; of protocols with ports."""
    @property
    def master_dport(self) -> int | None:
        """Destination port of the master connection, in its original direction; of protocols with ports."""
    @property
    def master_srckey(self) -> int | None:
        """GRE key of the source of the master connection, in its original direction; a call id of PPTP."""
    @property
    def master_dstkey(self) -> int | None:
        """GRE key of the destination of the master connection, in its original direction; a call id of PPTP."""
    @property
    def master_icmp_id(self) -> int | None:
        """ICMP identifier of the master connection, in its original direction; of queries and their answers."""
    @property
    def master_icmp_type(self) -> int | None:
        """ICMP or ICMPv6 type of the master connection, in its original direction."""
    @property
    def master_icmp_code(self) -> int | None:
        """ICMP or ICMPv6 code of the master connection, in its original direction."""
    @property
    def master_zone(self) -> int | None:
        """Zone of the master connection, in its original direction; of this direction alone."""
    @property
    def orig_seqadj_correction_pos(self) -> int | None:
        """TCP sequence number at which the offset changes in the original direction."""
    @property
    def orig_seqadj_offset_before(self) -> int | None:
        """Offset of TCP sequence numbers before that position in the original direction. [bytes, signed]"""
    @property
    def orig_seqadj_offset_after(self) -> int | None:
        """Offset of TCP sequence numbers after that position in the original direction. [bytes, signed]"""
    @property
    def reply_seqadj_correction_pos(self) -> int | None:
        """TCP sequence number at which the offset changes in the reply direction."""
    @property
    def reply_seqadj_offset_before(self) -> int | None:
        """Offset of TCP sequence numbers before that position in the reply direction. [bytes, signed]"""
    @property
    def reply_seqadj_offset_after(self) -> int | None:
        """Offset of TCP sequence numbers after that position in the reply direction. [bytes, signed]"""
    @property
    def secmark(self) -> int | None:
        """Number of the security context; newer kernels report its text."""
    @property
    def zone(self) -> int | None:
        """Zone of both directions; absent in zone 0."""
    @property
    def secctx(self) -> str | None:
        """Security context (SELinux)."""
    @property
    def timestamp_start(self) -> int | None:
        """When the entry was created, with nf_conntrack_timestamp=1. [ns since 1970]"""
    @property
    def timestamp_stop(self) -> int | None:
        """When the entry ended, on DESTROY events. [ns since 1970]"""
    @property
    def mark_mask(self) -> int | None:
        """Bits of the mark that an update changes, or a dump compares. [bits]"""
    @property
    def labels(self) -> tuple[int, ...] | None:
        """Numbers of the labels (connlabel) that are set."""
    @property
    def labels_mask(self) -> tuple[int, ...] | None:
        """Numbers of the labels that an update changes."""
    @property
    def synproxy_isn(self) -> int | None:
        """Initial sequence number that SYNPROXY chose."""
    @property
    def synproxy_its(self) -> int | None:
        """Initial TCP timestamp that SYNPROXY chose."""
    @property
    def synproxy_tsoff(self) -> int | None:
        """What SYNPROXY adds to TCP timestamps."""
    @property
    def filter_orig_flags(self) -> bytes | None:
        """Fields of the original tuple that a dump compares."""
    @property
    def filter_reply_flags(self) -> bytes | None:
        """Fields of the reply tuple that a dump compares."""
    @property
    def status_mask(self) -> int | None:
        """Bits of the status that a dump compares. [bits]"""
    @property
    def timestamp_event(self) -> int | None:
        """When the event happened, with nf_conntrack_timestamp=1, Linux 6.14. [ns since 1970]"""


class ExpectAttributes:
    """The fields of an expectation."""

    __slots__ = ()

    @property
    def master(self) -> Tuple | None:
        """The tuple of the fields ``master_*``."""
    @property
    def tuple(self) -> Tuple | None:
        """The tuple of the fields ``tuple_*``."""
    @property
    def mask(self) -> Tuple | None:
        """The tuple of the fields ``mask_*``."""
    @property
    def nat_tuple(self) -> Tuple | None:
        """The tuple of the fields ``nat_tuple_*``."""
    @property
    def master_src(self) -> str | None:
        """Source address of the master connection, in its original direction."""
    @property
    def master_dst(self) -> str | None:
        """Destination address of the master connection, in its original direction."""
    @property
    def master_proto(self) -> ProtoName | Unknown | None:
        """Layer 4 protocol of the master connection, in its original direction."""
    @property
    def master_proto_number(self) -> int | None:
        """The number of ``master_proto``."""
    @property
    def master_sport(self) -> int | None:
        """Source port of the master connection, in its original direction; of protocols with ports."""
    @property
    def master_dport(self) -> int | None:
        """Destination port of the master connection, in its original direction; of protocols with ports."""
    @property
    def master_srckey(self) -> int | None:
        """GRE key of the source of the master connection, in its original direction; a call id of PPTP."""
    @property
    def master_dstkey(self) -> int | None:
        """GRE key of the destination of the master connection, in its original direction; a call id of PPTP."""
    @property
    def master_icmp_id(self) -> int | None:
        """ICMP identifier of the master connection, in its original direction; of queries and their answers."""
    @property
    def master_icmp_type(self) -> int | None:
        """ICMP or ICMPv6 type of the master connection, in its original direction."""
    @property
    def master_icmp_code(self) -> int | None:
        """ICMP or ICMPv6 code of the master connection, in its original direction."""
    @property
    def master_zone(self) -> int | None:
        """Zone of the master connection, in its original direction; of this direction alone."""
    @property
    def tuple_src(self) -> str | None:
        """Source address of the connection that is expected."""
    @property
    def tuple_dst(self) -> str | None:
        """Destination address of the connection that is expected."""
    @property
    def tuple_proto(self) -> ProtoName | Unknown | None:
        """Layer 4 protocol of the connection that is expected."""
    @property
    def tuple_proto_number(self) -> int | None:
        """The number of ``tuple_proto``."""
    @property
    def tuple_sport(self) -> int | None:
        """Source port of the connection that is expected; of protocols with ports."""
    @property
    def tuple_dport(self) -> int | None:
        """Destination port of the connection that is expected; of protocols with ports."""
    @property
    def tuple_srckey(self) -> int | None:
        """GRE key of the source of the connection that is expected; a call id of PPTP."""
    @property
    def tuple_dstkey(self) -> int | None:
        """GRE key of the destination of the connection that is expected; a call id of PPTP."""
    @property
    def tuple_icmp_id(self) -> int | None:
        """ICMP identifier of the connection that is expected; of queries and their answers."""
    @property
    def tuple_icmp_type(self) -> int | None:
        """ICMP or ICMPv6 type of the connection that is expected."""
    @property
    def tuple_icmp_code(self) -> int | None:
        """ICMP or ICMPv6 code of the connection that is expected."""
    @property
    def tuple_zone(self) -> int | None:
        """Zone of the connection that is expected; of this direction alone."""
    @property
    def mask_src(self) -> str | None:
        """Source address of the mask, whose bits must match."""
    @property
    def mask_dst(self) -> str | None:
        """Destination address of the mask, whose bits must match."""
    @property
    def mask_proto(self) -> ProtoName | Unknown | None:
        """Layer 4 protocol of the mask, whose bits must match."""
    @property
    def mask_proto_number(self) -> int | None:
        """The number of ``mask_proto``."""
    @property
    def mask_sport(self) -> int | None:
        """Source port of the mask, whose bits must match; of protocols with ports."""
    @property
    def mask_dport(self) -> int | None:
        """Destination port of the mask, whose bits must match; of protocols with ports."""
    @property
    def mask_srckey(self) -> int | None:
        """GRE key of the source of the mask, whose bits must match; a call id of PPTP."""
    @property
    def mask_dstkey(self) -> int | None:
        """GRE key of the destination of the mask, whose bits must match; a call id of PPTP."""
    @property
    def mask_icmp_id(self) -> int | None:
        """ICMP identifier of the mask, whose bits must match; of queries and their answers."""
    @property
    def mask_icmp_type(self) -> int | None:
        """ICMP or ICMPv6 type of the mask, whose bits must match."""
    @property
    def mask_icmp_code(self) -> int | None:
        """ICMP or ICMPv6 code of the mask, whose bits must match."""
    @property
    def mask_zone(self) -> int | None:
        """Zone of the mask, whose bits must match; of this direction alone."""
    @property
    def timeout(self) -> int | None:
        """Time until the expectation is removed. [seconds]"""
    @property
    def id(self) -> int | None:
        """Identifier of the expectation."""
    @property
    def helper(self) -> str | None:
        """Name of the helper that expects the connection."""
    @property
    def zone(self) -> int | None:
        """Zone of the master connection; absent in zone 0."""
    @property
    def flags(self) -> frozenset[ExpectFlag | Unknown] | None:
        """Properties of the expectation."""
    @property
    def flags_bits(self) -> int | None:
        """The number of ``flags``."""
    @property
    def class_(self) -> int | None:
        """Number of the helper's class of expectations, 0 for the first."""
    @property
    def nat_dir(self) -> int | None:
        """Direction relative to the master connection: 0 original, 1 reply."""
    @property
    def nat_tuple_src(self) -> str | None:
        """Source address that NAT gives the connection that is expected."""
    @property
    def nat_tuple_dst(self) -> str | None:
        """Destination address that NAT gives the connection that is expected."""
    @property
    def nat_tuple_proto(self) -> ProtoName | Unknown | None:
        """Layer 4 protocol that NAT gives the connection that is expected."""
    @property
    def nat_tuple_proto_number(self) -> int | None:
        """The number of ``nat_tuple_proto``."""
    @property
    def nat_tuple_sport(self) -> int | None:
        """Source port that NAT gives the connection that is expected; of protocols with ports."""
    @property
    def nat_tuple_dport(self) -> int | None:
        """Destination port that NAT gives the connection that is expected; of protocols with ports."""
    @property
    def nat_tuple_srckey(self) -> int | None:
        """GRE key of the source that NAT gives the connection that is expected; a call id of PPTP."""
    @property
    def nat_tuple_dstkey(self) -> int | None:
        """GRE key of the destination that NAT gives the connection that is expected; a call id of PPTP."""
    @property
    def nat_tuple_icmp_id(self) -> int | None:
        """ICMP identifier that NAT gives the connection that is expected; of queries and their answers."""
    @property
    def nat_tuple_icmp_type(self) -> int | None:
        """ICMP or ICMPv6 type that NAT gives the connection that is expected."""
    @property
    def nat_tuple_icmp_code(self) -> int | None:
        """ICMP or ICMPv6 code that NAT gives the connection that is expected."""
    @property
    def nat_tuple_zone(self) -> int | None:
        """Zone that NAT gives the connection that is expected; of this direction alone."""
    @property
    def fn(self) -> str | None:
        """Function of the kernel that prepares the connection, such as nat-follow-master."""


class CpuAttributes:
    """The counters of a CPU."""

    __slots__ = ()

    @property
    def searched(self) -> int | None:
        """Lookups; older kernels only."""
    @property
    def found(self) -> int | None:
        """Lookups that found an entry."""
    @property
    def new(self) -> int | None:
        """Entries created; older kernels only."""
    @property
    def invalid(self) -> int | None:
        """Packets that fit no connection and cannot begin one, or are damaged."""
    @property
    def ignore(self) -> int | None:
        """Packets that needed no lookup; older kernels only."""
    @property
    def delete(self) -> int | None:
        """Entries removed; older kernels only."""
    @property
    def delete_list(self) -> int | None:
        """Entries put on the list of the dying; older kernels only."""
    @property
    def insert(self) -> int | None:
        """Entries inserted into the table."""
    @property
    def insert_failed(self) -> int | None:
        """Entries not inserted: no free port for NAT, the tuple in use, or a long hash chain."""
    @property
    def drop(self) -> int | None:
        """Packets dropped, as the table was full or the entry could not be inserted."""
    @property
    def early_drop(self) -> int | None:
        """Entries removed early, to make room in a full table."""
    @property
    def error(self) -> int | None:
        """Packets of ICMP that are damaged, of an unknown type, or about no known connection."""
    @property
    def search_restart(self) -> int | None:
        """Lookups repeated, as the table changed meanwhile."""
    @property
    def clash_resolve(self) -> int | None:
        """Clashes of packets of one new flow that were resolved without loss."""
    @property
    def chain_toolong(self) -> int | None:
        """Entries not inserted, as the hash chain was too long."""
    @property
    def create(self) -> int | None:
        """Expectations created."""
