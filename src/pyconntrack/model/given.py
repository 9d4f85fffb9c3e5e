"""What a program may give: types for checkers alone, never imported when a program runs."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import TypedDict

AddressLike = str | bytes | IPv4Address | IPv6Address
Words = int | str | Iterable[str | int]


class Changes(TypedDict, total=False):
    """The fields of a flow that exists which the kernel lets a program change."""

    status: Words | None
    timeout: int | None
    mark: int | None
    mark_mask: int | None
    helper: str | None
    helper_info: bytes | None
    labels: Iterable[int] | bytes | None
    labels_mask: Iterable[int] | bytes | None
    tcp_state: int | str | None
    tcp_wscale_orig: int | None
    tcp_wscale_reply: int | None
    tcp_flags_orig: int | None
    tcp_flags_reply: int | None
    dccp_state: int | str | None
    dccp_role: int | str | None
    dccp_handshake_seq: int | None
    sctp_state: int | str | None
    sctp_vtag_orig: int | None
    sctp_vtag_reply: int | None
    orig_seqadj_correction_pos: int | None
    orig_seqadj_offset_before: int | None
    orig_seqadj_offset_after: int | None
    reply_seqadj_correction_pos: int | None
    reply_seqadj_offset_before: int | None
    reply_seqadj_offset_after: int | None
    synproxy_isn: int | None
    synproxy_its: int | None
    synproxy_tsoff: int | None


class FlowFields(Changes, total=False):
    """The fields that a program may give a flow."""

    family: int | str | None
    zone: int | None
    id: int | None
    secmark: int | None
    secctx: str | None
    use: int | None
    orig_packets: int | None
    orig_bytes: int | None
    reply_packets: int | None
    reply_bytes: int | None
    src_nat_min_addr: AddressLike | None
    src_nat_max_addr: AddressLike | None
    src_nat_min_port: int | None
    src_nat_max_port: int | None
    dst_nat_min_addr: AddressLike | None
    dst_nat_max_addr: AddressLike | None
    dst_nat_min_port: int | None
    dst_nat_max_port: int | None
    timestamp_start: int | None
    timestamp_stop: int | None
    timestamp_event: int | None
