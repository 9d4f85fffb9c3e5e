"""What a request that creates or changes an entry may carry, and how a reported entry becomes one.

Values are raw, by the field names of the schema.  The command and the library use the same rules,
so that they restore entries alike.

Source: ctnetlink_create_conntrack(), ctnetlink_change_conntrack(), ctnetlink_setup_nat() and
__nf_ct_change_status() of Linux; nlattr_to_tcp() in nf_conntrack_proto_tcp.c.
"""

from __future__ import annotations

from ..errors import RequestError
from . import constants as c
from .kinds import address
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
ICMP_ANSWERS = {
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
#: the keywords that request a translation, prefixes of its fields
NAT = tuple(row[1] for row in _NAT)
#: the fields of a tuple besides addresses that a translation of that end may change.  Keys of GRE
#: are not among them: the kernel takes them from the reply (nf_nat_l4proto_unique_tuple())
_NAT_PORTS = {"src": ("sport", "icmp_id"), "dst": ("dport", "icmp_id")}
#: end, or a field that belongs to none -> its fields in orig, and where the reply has their values
_MIRRORS = {
    near: [(f"orig_{name}", f"reply_{OPPOSITE[name]}") for name in names]
    for near, *names in (
        ("src", "src", "sport"), ("dst", "dst", "dport"),
        ("icmp_id", "icmp_id"), ("srckey", "srckey"), ("dstkey", "dstkey"),
    )
}  # fmt: skip

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
    return ICMP_ANSWERS.get(proto, {}).get(icmp_type, icmp_type)


def complete(values: dict[str, Any]) -> None:
    """Add to the ``values`` of a creation what they lack.

    That is what only one direction has, and the fields of a protocol without which the kernel
    refuses the entry or drops the packets of its connection.
    """
    proto = values.get("orig_proto", values.get("reply_proto"))
    for side in ("orig", "reply"):
        values.setdefault(f"{side}_proto", proto)
        if proto in ICMP_ANSWERS and f"{side}_icmp_type" in values:
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
    entry, which has no timeout, gets :func:`default_timeout` (with ``sysctl``).  Raises
    RequestError if the fields of a translation contradict the reply.
    """
    values = {name: value for name, value in reported.items() if name in CREATED}
    bits = values.get("status", 0)
    _request_translations(values, bits, known="id" in reported)
    if bits & _OFFLOADED and "timeout" not in values:
        values["timeout"] = default_timeout(values.get("orig_proto", 0), sysctl)
        if values.get("orig_proto") == c.IPPROTO_TCP:
            values.setdefault("tcp_state", _TCP_ESTABLISHED)
    if "status" in values:
        values["status"] = bits & SETTABLE_STATUS | c.IPS_CONFIRMED
    complete(values)
    return values


def pin(values: dict[str, Any], nat: str, packed: bytes | None, port: int | None) -> None:
    """Set in ``values`` the range of the translation ``nat`` ("src_nat", "dst_nat") to one address
    and port; a ``port`` of None leaves its choice to the kernel."""
    for part, value in (("addr", packed), ("port", port)):
        values[f"{nat}_min_{part}"] = values[f"{nat}_max_{part}"] = value


def _request_translations(values: dict[str, Any], bits: int, *, known: bool) -> None:
    """Request in ``values`` the translations by which the reply differs from the inverse of orig.

    ``bits``: the status.  It decides for an entry that the kernel reported (``known``): one that
    IPVS forwards has another reply, but no translation of the NAT.
    """
    # the kernel translates (and sets the bits) if the reply tuple is not translated yet; it
    # chooses new ports and ICMP ids unless the range fixes them
    pending = [
        row for row in _NAT
        if bits & row[0] or _is_requested(values, row[1]) or not (known or _mirrors(values, row[2]))
    ]  # fmt: skip
    if not pending and not known:
        if not _mirrors(values, "icmp_id"):
            pending = [_NAT[0]]
        elif not (_mirrors(values, "srckey") and _mirrors(values, "dstkey")):
            raise RequestError("reply_srckey, reply_dstkey: the kernel changes no key of GRE "
                               "without an address")  # fmt: skip
    for _, nat, near, far in pending:
        places = [("addr", near)]
        places += [("port", name) for name in _NAT_PORTS[near] if f"orig_{name}" in values]
        port = values.get(f"{nat}_min_port")
        if port is not None and len(places) == 1 and f"orig_{near}" in values:
            raise RequestError(f"{nat}: a port is given, but the protocol has none to translate")
        if f"orig_{near}" not in values or f"reply_{far}" not in values:
            continue
        requested = _is_requested(values, nat)
        for part, name in places:
            shown, plain = f"reply_{OPPOSITE[name]}", values[f"orig_{name}"]
            if shown not in values:
                continue
            if requested and (values[shown] == plain or f"{nat}_min_{part}" in values):
                _check_range(values, nat, part, shown, plain)
            else:
                values[f"{nat}_min_{part}"] = values[f"{nat}_max_{part}"] = values[shown]
            values[shown] = plain


def _is_requested(values: Mapping[str, Any], nat: str) -> bool:
    return values.get(f"{nat}_min_addr", values.get(f"{nat}_min_port")) is not None


def _mirrors(values: Mapping[str, Any], near: str) -> bool:
    """Return whether the reply has the value of orig at the end ``near``, and that of its port."""
    for one, other in _MIRRORS[near]:
        if one in values and other in values and values[one] != values[other]:
            return False
    return True


def _check_range(values: Mapping[str, Any], nat: str, part: str, shown: str, plain: Any) -> None:
    """Raise RequestError if the reply is translated to something outside the range of ``nat``."""
    low = values.get(f"{nat}_min_{part}")
    if low is None or values[shown] == plain:
        return
    if not low <= values[shown] <= values.get(f"{nat}_max_{part}", low):
        text = address if part == "addr" else str
        raise RequestError(f"{shown}: {text(values[shown])} contradicts {nat}, "
                           f"which is {text(low)}")  # fmt: skip


def translates(values: Mapping[str, Any]) -> bool:
    """Return whether the ``values`` of a creation request a translation."""
    return any(_is_requested(values, nat) for nat in NAT)


def untranslated(requested: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """Return how the reply of the entry ``made`` differs from what its creation ``requested``.

    "" if it does not.  Where the range of a translation has no port, any port is right.
    """
    wanted = {name: (value, value) for name, value in requested.items()
              if name.startswith("reply_") and name != "reply_zone"}  # fmt: skip
    for _, nat, near, _ in reversed(_NAT):  # the id of ICMP is set by the source's, if there is one
        if not _is_requested(requested, nat):
            continue
        for part, fields in (("addr", (near,)), ("port", _NAT_PORTS[near])):
            low = requested.get(f"{nat}_min_{part}")
            for shown in {f"reply_{OPPOSITE[name]}" for name in fields} & wanted.keys():
                if low is not None:
                    wanted[shown] = low, requested.get(f"{nat}_max_{part}", low)
                elif part == "port":
                    del wanted[shown]
    return ", ".join(
        f"{name} is {_word(made.get(name))}, not {_word(low)}"
        for name, (low, high) in wanted.items()
        if name not in made or not low <= made[name] <= high
    )


def _word(value: Any) -> str:
    if value is None:
        return "absent"
    return address(value) if isinstance(value, bytes) else str(value)


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
