"""The types of arguments; GENERATED from the schema by ``make generate``.

Imported only by programs that name one.
"""
# fmt: off

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal, TypedDict

from ..ctnetlink.words import Unknown
from .tuple import Tuple

AddressLike = str | bytes | IPv4Address | IPv6Address
Word = str | int | Unknown
Words = Word | Iterable[Word]
Bits = Iterable[int] | bytes | None
Network = AddressLike | IPv4Network | IPv6Network
Networks = Network | Iterable[Network] | None
Numbers = int | Iterable[int | range] | None
Coded = Word | Iterable[Word | range] | None
States = str | Unknown | Iterable[str | Unknown] | None
Texts = str | Iterable[str] | None

OnInterrupt = Literal["raise", "retry", "accept"]
TableName = Literal["conntrack", "dying", "unconfirmed"]
Existing = Literal["error", "update"]


_Changes = TypedDict("_Changes", {  # noqa: UP013 - a line for several
    "status": Words | None, "tcp_state": Word | None, "tcp_wscale_orig": int | None,
    "tcp_wscale_reply": int | None, "tcp_flags_orig": int | None, "tcp_flags_reply": int | None,
    "dccp_state": Word | None, "dccp_role": Word | None, "dccp_handshake_seq": int | None,
    "sctp_state": Word | None, "sctp_vtag_orig": int | None, "sctp_vtag_reply": int | None,
    "helper": str | None, "helper_info": bytes | None, "timeout": int | None, "mark": int | None,
    "orig_seqadj_correction_pos": int | None, "orig_seqadj_offset_before": int | None,
    "orig_seqadj_offset_after": int | None, "reply_seqadj_correction_pos": int | None,
    "reply_seqadj_offset_before": int | None, "reply_seqadj_offset_after": int | None,
    "mark_mask": int | None, "labels": Bits, "labels_mask": Bits, "synproxy_isn": int | None,
    "synproxy_its": int | None, "synproxy_tsoff": int | None,
}, total=False)


_Others = TypedDict("_Others", {  # noqa: UP013 - a line for several
    "family": Word | None, "src_nat": AddressLike | None, "dst_nat": AddressLike | None,
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
    "family": Word | None, "label": int | Iterable[int] | None, "proto": Coded, "state": States,
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


_OfTuple = TypedDict("_OfTuple", {  # noqa: UP013 - a line for several
    "srckey": int | None, "dstkey": int | None, "icmp_id": int | None, "icmp_type": int | None,
    "icmp_code": int | None, "zone": int | None,
}, total=False)


class TupleFields(_OfTuple, total=False):
    """The fields of a tuple that have no place of their own."""


class Changes(_Changes, total=False):
    """The fields of a flow that exists which the kernel lets a program change."""


class FlowFields(_Changes, _Others, total=False):
    """The fields that a program may give a flow."""


class ExpectFields(_Expected, total=False):
    """The fields that a program may give an expectation."""


class FilterFields(_Wanted, total=False):
    """The keywords of a :class:`pyconntrack.Filter`."""
