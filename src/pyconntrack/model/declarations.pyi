"""Declare the fields to type checkers; GENERATED from the schema by ``make generate``.

Never imported when a program runs: :func:`pyconntrack.model.fields.attach` makes the attributes.
"""
# fmt: off

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypedDict

from .fields import Address, Labels, Number, Octets, String
from .tuple import Part, Tuple

AddressLike = str | bytes | IPv4Address | IPv6Address
Words = int | str | Iterable[str | int]
Bits = Iterable[int] | bytes | None
Network = AddressLike | IPv4Network | IPv6Network
Networks = Network | Iterable[Network] | None
Numbers = int | Iterable[int | range] | None
Coded = int | str | Iterable[int | str | range] | None
Texts = str | Iterable[str] | None


class TupleAttributes:
    """The fields of a tuple."""

    __slots__ = ()

    src: Address = Address()
    dst: Address = Address()
    proto: Number = Number()
    sport: Number = Number()
    dport: Number = Number()
    srckey: Number = Number()
    dstkey: Number = Number()
    icmp_id: Number = Number()
    icmp_type: Number = Number()
    icmp_code: Number = Number()
    zone: Number = Number()


class FlowAttributes:
    """The fields of a flow, by their schema names."""

    __slots__ = ()

    orig: Part = Part()
    reply: Part = Part()
    master: Part = Part()
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
    helper: String = String()
    helper_info: Octets = Octets()
    src_nat_min_addr: Address = Address()
    src_nat_max_addr: Address = Address()
    src_nat_min_port: Number = Number()
    src_nat_max_port: Number = Number()
    timeout: Number = Number()
    mark: Number = Number()
    orig_packets: Number = Number()
    orig_bytes: Number = Number()
    reply_packets: Number = Number()
    reply_bytes: Number = Number()
    use: Number = Number()
    id: Number = Number()
    dst_nat_min_addr: Address = Address()
    dst_nat_max_addr: Address = Address()
    dst_nat_min_port: Number = Number()
    dst_nat_max_port: Number = Number()
    master_src: Address = Address()
    master_dst: Address = Address()
    master_proto: Number = Number()
    master_sport: Number = Number()
    master_dport: Number = Number()
    master_srckey: Number = Number()
    master_dstkey: Number = Number()
    master_icmp_id: Number = Number()
    master_icmp_type: Number = Number()
    master_icmp_code: Number = Number()
    master_zone: Number = Number()
    orig_seqadj_correction_pos: Number = Number()
    orig_seqadj_offset_before: Number = Number()
    orig_seqadj_offset_after: Number = Number()
    reply_seqadj_correction_pos: Number = Number()
    reply_seqadj_offset_before: Number = Number()
    reply_seqadj_offset_after: Number = Number()
    secmark: Number = Number()
    zone: Number = Number()
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


class ExpectAttributes:
    """The fields of an expectation."""

    __slots__ = ()

    master: Part = Part()
    tuple: Part = Part()
    mask: Part = Part()
    nat_tuple: Part = Part()
    master_src: Address = Address()
    master_dst: Address = Address()
    master_proto: Number = Number()
    master_sport: Number = Number()
    master_dport: Number = Number()
    master_srckey: Number = Number()
    master_dstkey: Number = Number()
    master_icmp_id: Number = Number()
    master_icmp_type: Number = Number()
    master_icmp_code: Number = Number()
    master_zone: Number = Number()
    tuple_src: Address = Address()
    tuple_dst: Address = Address()
    tuple_proto: Number = Number()
    tuple_sport: Number = Number()
    tuple_dport: Number = Number()
    tuple_srckey: Number = Number()
    tuple_dstkey: Number = Number()
    tuple_icmp_id: Number = Number()
    tuple_icmp_type: Number = Number()
    tuple_icmp_code: Number = Number()
    tuple_zone: Number = Number()
    mask_src: Address = Address()
    mask_dst: Address = Address()
    mask_proto: Number = Number()
    mask_sport: Number = Number()
    mask_dport: Number = Number()
    mask_srckey: Number = Number()
    mask_dstkey: Number = Number()
    mask_icmp_id: Number = Number()
    mask_icmp_type: Number = Number()
    mask_icmp_code: Number = Number()
    mask_zone: Number = Number()
    timeout: Number = Number()
    id: Number = Number()
    helper: String = String()
    zone: Number = Number()
    flags: Number = Number()
    class_: Number = Number()
    nat_dir: Number = Number()
    nat_tuple_src: Address = Address()
    nat_tuple_dst: Address = Address()
    nat_tuple_proto: Number = Number()
    nat_tuple_sport: Number = Number()
    nat_tuple_dport: Number = Number()
    nat_tuple_srckey: Number = Number()
    nat_tuple_dstkey: Number = Number()
    nat_tuple_icmp_id: Number = Number()
    nat_tuple_icmp_type: Number = Number()
    nat_tuple_icmp_code: Number = Number()
    nat_tuple_zone: Number = Number()
    fn: String = String()


class CpuAttributes:
    """The counters of a CPU."""

    __slots__ = ()

    searched: Number = Number()
    found: Number = Number()
    new: Number = Number()
    invalid: Number = Number()
    ignore: Number = Number()
    delete: Number = Number()
    delete_list: Number = Number()
    insert: Number = Number()
    insert_failed: Number = Number()
    drop: Number = Number()
    early_drop: Number = Number()
    error: Number = Number()
    search_restart: Number = Number()
    clash_resolve: Number = Number()
    chain_toolong: Number = Number()
    create: Number = Number()


_Changes = TypedDict("_Changes", {  # noqa: UP013 - a line for several
    "status": Words | None, "tcp_state": int | str | None, "tcp_wscale_orig": int | None,
    "tcp_wscale_reply": int | None, "tcp_flags_orig": int | None, "tcp_flags_reply": int | None,
    "dccp_state": int | str | None, "dccp_role": int | str | None, "dccp_handshake_seq": int | None,
    "sctp_state": int | str | None, "sctp_vtag_orig": int | None, "sctp_vtag_reply": int | None,
    "helper": str | None, "helper_info": bytes | None, "timeout": int | None, "mark": int | None,
    "orig_seqadj_correction_pos": int | None, "orig_seqadj_offset_before": int | None,
    "orig_seqadj_offset_after": int | None, "reply_seqadj_correction_pos": int | None,
    "reply_seqadj_offset_before": int | None, "reply_seqadj_offset_after": int | None,
    "mark_mask": int | None, "labels": Bits, "labels_mask": Bits, "synproxy_isn": int | None,
    "synproxy_its": int | None, "synproxy_tsoff": int | None,
}, total=False)


_Others = TypedDict("_Others", {  # noqa: UP013 - a line for several
    "family": int | str | None, "src_nat": AddressLike | None, "dst_nat": AddressLike | None,
    "src_nat_min_addr": AddressLike | None, "src_nat_max_addr": AddressLike | None,
    "src_nat_min_port": int | None, "src_nat_max_port": int | None, "orig_packets": int | None,
    "orig_bytes": int | None, "reply_packets": int | None, "reply_bytes": int | None,
    "use": int | None, "id": int | None, "dst_nat_min_addr": AddressLike | None,
    "dst_nat_max_addr": AddressLike | None, "dst_nat_min_port": int | None,
    "dst_nat_max_port": int | None, "secmark": int | None, "zone": int | None, "secctx": str | None,
    "timestamp_start": int | None, "timestamp_stop": int | None, "timestamp_event": int | None,
}, total=False)


_Expected = TypedDict("_Expected", {  # noqa: UP013 - a line for several
    "timeout": int | None, "id": int | None, "helper": str | None, "zone": int | None,
    "flags": Words | None, "class_": int | None, "nat_dir": int | None, "fn": str | None,
    "nat_tuple": Tuple | None,
}, total=False)


_Wanted = TypedDict("_Wanted", {  # noqa: UP013 - a line for several
    "family": int | str | None, "label": int | Iterable[int] | None, "proto": Coded, "state": Coded,
    "master_src": Networks, "master_dst": Networks, "master_proto": Coded, "master_sport": Numbers,
    "master_dport": Numbers, "master_srckey": Numbers, "master_dstkey": Numbers,
    "master_icmp_id": Numbers, "master_icmp_type": Numbers, "master_icmp_code": Numbers,
    "master_zone": Numbers, "tuple_src": Networks, "tuple_dst": Networks, "tuple_proto": Coded,
    "tuple_sport": Numbers, "tuple_dport": Numbers, "tuple_srckey": Numbers,
    "tuple_dstkey": Numbers, "tuple_icmp_id": Numbers, "tuple_icmp_type": Numbers,
    "tuple_icmp_code": Numbers, "tuple_zone": Numbers, "mask_src": Networks, "mask_dst": Networks,
    "mask_proto": Coded, "mask_sport": Numbers, "mask_dport": Numbers, "mask_srckey": Numbers,
    "mask_dstkey": Numbers, "mask_icmp_id": Numbers, "mask_icmp_type": Numbers,
    "mask_icmp_code": Numbers, "mask_zone": Numbers, "timeout": Numbers, "id": Numbers,
    "helper": Texts, "zone": Numbers, "flags": Words | None, "nat_dir": Numbers,
    "nat_tuple_src": Networks, "nat_tuple_dst": Networks, "nat_tuple_proto": Coded,
    "nat_tuple_sport": Numbers, "nat_tuple_dport": Numbers, "nat_tuple_srckey": Numbers,
    "nat_tuple_dstkey": Numbers, "nat_tuple_icmp_id": Numbers, "nat_tuple_icmp_type": Numbers,
    "nat_tuple_icmp_code": Numbers, "nat_tuple_zone": Numbers, "fn": Texts, "orig_src": Networks,
    "orig_dst": Networks, "orig_proto": Coded, "orig_sport": Numbers, "orig_dport": Numbers,
    "orig_srckey": Numbers, "orig_dstkey": Numbers, "orig_icmp_id": Numbers,
    "orig_icmp_type": Numbers, "orig_icmp_code": Numbers, "orig_zone": Numbers,
    "reply_src": Networks, "reply_dst": Networks, "reply_proto": Coded, "reply_sport": Numbers,
    "reply_dport": Numbers, "reply_srckey": Numbers, "reply_dstkey": Numbers,
    "reply_icmp_id": Numbers, "reply_icmp_type": Numbers, "reply_icmp_code": Numbers,
    "reply_zone": Numbers, "status": Words | None, "tcp_state": Coded, "tcp_wscale_orig": Numbers,
    "tcp_wscale_reply": Numbers, "tcp_flags_orig": Numbers, "tcp_flags_reply": Numbers,
    "dccp_state": Coded, "dccp_role": Coded, "dccp_handshake_seq": Numbers, "sctp_state": Coded,
    "sctp_vtag_orig": Numbers, "sctp_vtag_reply": Numbers, "src_nat_min_addr": Networks,
    "src_nat_max_addr": Networks, "src_nat_min_port": Numbers, "src_nat_max_port": Numbers,
    "mark": Numbers, "orig_packets": Numbers, "orig_bytes": Numbers, "reply_packets": Numbers,
    "reply_bytes": Numbers, "use": Numbers, "dst_nat_min_addr": Networks,
    "dst_nat_max_addr": Networks, "dst_nat_min_port": Numbers, "dst_nat_max_port": Numbers,
    "orig_seqadj_correction_pos": Numbers, "orig_seqadj_offset_before": Numbers,
    "orig_seqadj_offset_after": Numbers, "reply_seqadj_correction_pos": Numbers,
    "reply_seqadj_offset_before": Numbers, "reply_seqadj_offset_after": Numbers, "secmark": Numbers,
    "secctx": Texts, "timestamp_start": Numbers, "timestamp_stop": Numbers, "mark_mask": Numbers,
    "synproxy_isn": Numbers, "synproxy_its": Numbers, "synproxy_tsoff": Numbers,
    "status_mask": Numbers, "timestamp_event": Numbers,
}, total=False)


class Changes(_Changes, total=False):
    """The fields of a flow that exists which the kernel lets a program change."""


class FlowFields(_Changes, _Others, total=False):
    """The fields that a program may give a flow."""


class ExpectFields(_Expected, total=False):
    """The fields that a program may give an expectation."""


class FilterFields(_Wanted, total=False):
    """The keywords of a :class:`pyconntrack.Filter`."""
