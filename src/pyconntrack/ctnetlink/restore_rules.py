"""What a request that creates or changes an entry may carry, and how a reported entry becomes one.

Values are raw, by the field names of the schema.  The command and the library use the same rules,
so that they restore entries alike.

Source: ctnetlink_create_conntrack(), ctnetlink_change_conntrack(), ctnetlink_setup_nat() and
__nf_ct_change_status() of Linux; nlattr_to_tcp() in nf_conntrack_proto_tcp.c.
"""

from __future__ import annotations

from . import constants as c
from .schema import CHANGE, CONNTRACK, CREATE, TURNED, leaves, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

CREATED = frozenset(names(CONNTRACK, CREATE))
CHANGEABLE = names(CONNTRACK, CHANGE)
#: the tuples and the zone, which identify an entry
IDENTITY = tuple(name for name, _, _ in leaves({
    number: row for number, row in CONNTRACK.items()
    if row.cta in ("CTA_TUPLE_ORIG", "CTA_TUPLE_REPLY", "CTA_ZONE")
}))  # fmt: skip
#: the TCP flags of both directions
MASKED = frozenset(name for name, _, row in leaves(CONNTRACK) if row.masked)

#: the bits that a request may set; all others are the kernel's own (IPS_UNCHANGEABLE_MASK)
SETTABLE_STATUS = c.IPS_SEEN_REPLY | c.IPS_ASSURED | c.IPS_FIXED_TIMEOUT | c.IPS_HELPER
#: bits that cannot be cleared: EBUSY if a status differs in the first two, or lacks the others
KEPT_STATUS = c.IPS_EXPECTED | c.IPS_CONFIRMED | c.IPS_SEEN_REPLY | c.IPS_ASSURED
#: bits of an offloaded entry (flow table), which reports neither timeout nor state
_OFFLOADED = c.IPS_OFFLOAD | c.IPS_HW_OFFLOAD

#: field of a tuple -> the field with its value in the inverse tuple
OPPOSITE = TURNED | {name: name for name in ("icmp_id", "icmp_type", "icmp_code")}
#: ICMP type -> the type of its answer (invmap in nf_conntrack_proto_icmp.c and _icmpv6.c)
_ICMP_ANSWERS = {
    c.IPPROTO_ICMP: {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17},
    c.IPPROTO_ICMPV6: {128: 129, 129: 128, 139: 140, 140: 139},
}
#: field, and the field of the other direction with its value
_MIRRORED = tuple(
    (f"{side}_{name}", f"{other}_{opposite}")
    for side, other in (("orig", "reply"), ("reply", "orig"))
    for name, opposite in OPPOSITE.items()
)
#: status bit, the nest that requests the translation, the translated end, where it shows
_NAT = ((c.IPS_SRC_NAT, "src_nat", "src", "dst"), (c.IPS_DST_NAT, "dst_nat", "dst", "src"))
#: the fields of a tuple besides addresses, by the end that a translation may change
_NAT_PORTS = {"src": ("sport", "srckey", "icmp_id"), "dst": ("dport", "dstkey", "icmp_id")}

# enum ip_ct_tcp_flags: the flags that are valid without sequence numbers.  The others
# (MAXACK_SET, DATA_UNACKNOWLEDGED, CHALLENGE_ACK) describe numbers that no message carries.
_WINDOW_SCALE, _SACK_PERM, _CLOSE_INIT, _BE_LIBERAL = 0x01, 0x02, 0x04, 0x08
_RESTORED_FLAGS = _WINDOW_SCALE | _SACK_PERM | _CLOSE_INIT | _BE_LIBERAL
#: flags of a connection picked up in its middle, as the kernel sets them (tcp_new())
_PICKED_UP = _SACK_PERM | _BE_LIBERAL
_TCP_ESTABLISHED = 3

#: protocol -> the sysctl of its longest timeout (net.netfilter.nf_conntrack_*), and its default
_TIMEOUTS = {
    c.IPPROTO_ICMP: ("icmp_timeout", 30),
    c.IPPROTO_TCP: ("tcp_timeout_established", 432000),
    c.IPPROTO_UDP: ("udp_timeout_stream", 120),
    c.IPPROTO_DCCP: ("dccp_timeout_open", 43200),
    c.IPPROTO_GRE: ("gre_timeout_stream", 180),
    c.IPPROTO_ICMPV6: ("icmpv6_timeout", 30),
    c.IPPROTO_SCTP: ("sctp_timeout_established", 210),
    c.IPPROTO_UDPLITE: ("udplite_timeout_stream", 120),
}
_GENERIC_TIMEOUT = ("generic_timeout", 600)


def default_timeout(proto: int, sysctl: Callable[[str, int], int]) -> int:
    """Return the timeout in seconds of a live connection of ``proto``.

    ``sysctl(name, otherwise)`` reads net.netfilter.``name``.
    """
    name, otherwise = _TIMEOUTS.get(proto, _GENERIC_TIMEOUT)
    return sysctl(f"nf_conntrack_{name}", otherwise)


def inverse(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inverse of the tuple ``values``, whose names have no prefix."""
    answer = {OPPOSITE.get(name, name): value for name, value in values.items() if name != "zone"}
    if "icmp_type" in answer:
        answer["icmp_type"] = _icmp_answer(answer.get("proto"), answer["icmp_type"])
    return answer


def _icmp_answer(proto: Any, icmp_type: int) -> int:
    return _ICMP_ANSWERS.get(proto, {}).get(icmp_type, icmp_type)


def complete(values: dict[str, Any]) -> None:
    """Add to the ``values`` of a creation what they lack.

    That is what only one direction has, and the fields of a protocol without which the kernel
    refuses the entry or drops the packets of its connection.
    """
    proto = values.get("orig_proto", values.get("reply_proto"))
    for side in ("orig", "reply"):
        values.setdefault(f"{side}_proto", proto)
        if proto in _ICMP_ANSWERS and f"{side}_icmp_type" in values:
            values.setdefault(f"{side}_icmp_id", 0)
    for name, opposite in _MIRRORED:
        if name not in values and (value := values.get(opposite)) is not None:
            values[name] = _icmp_answer(proto, value) if name.endswith("icmp_type") else value
    if proto == c.IPPROTO_TCP:
        scaled = "tcp_wscale_orig" in values and "tcp_wscale_reply" in values
        flags = _PICKED_UP | _WINDOW_SCALE if scaled else _PICKED_UP
        for name in MASKED:
            values[name] = masked_flags(values[name]) if name in values else flags << 8 | flags
    elif proto == c.IPPROTO_DCCP:
        values.setdefault("dccp_role", 0)
        values.setdefault("dccp_handshake_seq", 0)


def masked_flags(value: int) -> int:
    """Return the value with a mask that sets the TCP flags of ``value``, reported without one.

    The kernel sets no flag outside the mask.  A value with a mask was made for a request, and is
    returned unchanged.
    """
    return value if value & 0xFF else value & _RESTORED_FLAGS << 8 | _RESTORED_FLAGS


def creation(reported: Mapping[str, Any], sysctl: Callable[[str, int], int]) -> dict[str, Any]:
    """Return the values of a request that creates the entry ``reported`` again.

    Fields that only the kernel writes are left out, translations are requested, and an offloaded
    entry, which has no timeout, gets :func:`default_timeout` (with ``sysctl``).
    """
    values = {name: value for name, value in reported.items() if name in CREATED}
    bits = values.get("status", 0)
    if bits & (c.IPS_SRC_NAT | c.IPS_DST_NAT):
        _ask_for_translations(values, bits)
    if bits & _OFFLOADED and "timeout" not in values:
        values["timeout"] = default_timeout(values.get("orig_proto", 0), sysctl)
        if values.get("orig_proto") == c.IPPROTO_TCP:
            values.setdefault("tcp_state", _TCP_ESTABLISHED)
    if "status" in values:
        values["status"] = bits & SETTABLE_STATUS | c.IPS_CONFIRMED
    complete(values)
    return values


def _ask_for_translations(values: dict[str, Any], bits: int) -> None:
    # the kernel translates (and sets the bits) if the reply tuple is not translated yet; it
    # chooses new ports and ICMP ids unless the range fixes them
    for bit, nat, near, far in _NAT:
        shows = f"orig_{near}" in values and f"reply_{far}" in values
        if not bits & bit or f"{nat}_min_addr" in values or not shows:
            continue
        places = [("addr", near)]
        places += [("port", name) for name in _NAT_PORTS[near] if f"orig_{name}" in values]
        for part, name in places:
            shown = f"reply_{OPPOSITE[name]}"
            if shown in values:
                values[f"{nat}_min_{part}"] = values[f"{nat}_max_{part}"] = values[shown]
                values[shown] = values[f"orig_{name}"]


#: what a renewal changes: not NAT, master and helper (the kernel refuses them), nor flags, scales
#: and sequence numbers, which have changed in the live connection
RENEWED = (
    "status", "timeout", "mark", "labels", "tcp_state",
    "dccp_state", "dccp_role", "dccp_handshake_seq",
    "sctp_state", "sctp_vtag_orig", "sctp_vtag_reply",
)  # fmt: skip
#: protocol state -> the fields without which the kernel refuses it
_WITH_STATE = {
    "dccp_state": ("dccp_role", "dccp_handshake_seq"),
    "sctp_state": ("sctp_vtag_orig", "sctp_vtag_reply"),
}


def added_status(bits: int, standing: int) -> int:
    """Return the status of an update that adds ``bits`` to the status ``standing``."""
    return bits & SETTABLE_STATUS | standing & KEPT_STATUS | c.IPS_CONFIRMED


def renewal(values: Mapping[str, Any], standing: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes that turn the entry ``standing`` into what ``values`` would create.

    They are what differs and can be changed; {} if nothing is.
    """
    new = {
        name: values[name]
        for name in RENEWED
        if name in values and values[name] != standing.get(name, 0)
    }
    bits = standing.get("status", 0)
    if "status" in new:
        new["status"] = added_status(values["status"], bits)
        if not new["status"] & ~bits:
            del new["status"]
    if bits & c.IPS_FIXED_TIMEOUT:
        new.pop("timeout", None)
    if "labels" in new and new["labels"].rstrip(b"\0") == standing.get("labels", b"").rstrip(b"\0"):
        del new["labels"]
    for state, needed in _WITH_STATE.items():
        if state in new or not new.keys().isdisjoint(needed):
            for name in (state, *needed):
                new[name] = values.get(name, standing.get(name, 0))
    return new
