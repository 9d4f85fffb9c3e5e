"""What a program may give: types for checkers alone, never imported when a program runs."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import TypedDict

AddressLike = str | bytes | IPv4Address | IPv6Address
Words = int | str | Iterable[str | int]
Number = int | None
Word = int | str | None
Bits = Iterable[int] | bytes | None
_Changes = TypedDict("_Changes", {  # noqa: UP013 - a row for what belongs together
    "status": Words | None, "timeout": Number, "mark": Number, "mark_mask": Number,
    "helper": str | None, "helper_info": bytes | None, "labels": Bits, "labels_mask": Bits,
    "tcp_state": Word, "tcp_wscale_orig": Number, "tcp_wscale_reply": Number,
    "tcp_flags_orig": Number, "tcp_flags_reply": Number,
    "dccp_state": Word, "dccp_role": Word, "dccp_handshake_seq": Number,
    "sctp_state": Word, "sctp_vtag_orig": Number, "sctp_vtag_reply": Number,
    "orig_seqadj_correction_pos": Number, "orig_seqadj_offset_before": Number,
    "orig_seqadj_offset_after": Number,
    "reply_seqadj_correction_pos": Number, "reply_seqadj_offset_before": Number,
    "reply_seqadj_offset_after": Number,
    "synproxy_isn": Number, "synproxy_its": Number, "synproxy_tsoff": Number,
}, total=False)  # fmt: skip
_Others = TypedDict("_Others", {  # noqa: UP013 - the same
    "family": Word, "zone": Number, "id": Number, "secmark": Number, "secctx": str | None,
    "use": Number, "orig_packets": Number, "orig_bytes": Number, "reply_packets": Number,
    "reply_bytes": Number,
    "src_nat_min_addr": AddressLike | None, "src_nat_max_addr": AddressLike | None,
    "src_nat_min_port": Number, "src_nat_max_port": Number,
    "dst_nat_min_addr": AddressLike | None, "dst_nat_max_addr": AddressLike | None,
    "dst_nat_min_port": Number, "dst_nat_max_port": Number,
    "timestamp_start": Number, "timestamp_stop": Number, "timestamp_event": Number,
}, total=False)  # fmt: skip


class Changes(_Changes, total=False):
    """The fields of a flow that exists which the kernel lets a program change."""


class FlowFields(_Changes, _Others, total=False):
    """The fields that a program may give a flow."""
