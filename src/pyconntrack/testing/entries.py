"""The entries of an in-memory kernel, and the rules by which requests change them.

Values are raw, by the field names of the schema.  Every refusal is a :class:`Refusal` with the
errno of the real kernel, in the order in which that checks.

Source: ctnetlink_change_conntrack(), ctnetlink_parse_tuple() of nf_conntrack_netlink.c;
nlattr_to_tcp(), nlattr_to_sctp().
"""

from __future__ import annotations

import errno

from ..ctnetlink import constants as c
from ..ctnetlink.restore_rules import ICMP_ANSWERS, SETTABLE_STATUS
from ..ctnetlink.vocabulary import SCTP_STATE, TCP_STATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    #: a tuple: field name without prefix -> raw value
    Ends = dict[str, Any]
    #: number, and the directions that it applies to (bit 0: original, bit 1: reply)
    Zone = tuple[int, int]

#: the fields of a tuple besides addresses, by protocol; any other protocol has none
PARTS: dict[int, tuple[str, ...]] = {
    **dict.fromkeys((c.IPPROTO_TCP, c.IPPROTO_UDP, c.IPPROTO_SCTP), ("sport", "dport")),
    c.IPPROTO_GRE: ("srckey", "dstkey"),
    **dict.fromkeys(ICMP_ANSWERS, ("icmp_id", "icmp_type", "icmp_code")),
}
#: the size in bytes of the addresses of a family
_ADDRESS = {c.AF_INET: 4, c.AF_INET6: 16}
BOTH = 3
SIDES = ("orig", "reply")
#: protocol fields -> their value in a new entry
_STATES: dict[int, dict[str, int]] = {
    c.IPPROTO_TCP: {"tcp_state": 0, "tcp_wscale_orig": 0, "tcp_wscale_reply": 0,
                    "tcp_flags_orig": 0, "tcp_flags_reply": 0},
    c.IPPROTO_SCTP: {"sctp_state": 0, "sctp_vtag_orig": 0, "sctp_vtag_reply": 0},
}  # fmt: skip
_WINDOW_SCALE, _MOST_SCALE = 0x01, 14
#: helper -> the protocols and the families for which the kernel has it
_HELPERS: dict[str, tuple[Collection[int], Collection[int]]] = {
    "amanda": ((c.IPPROTO_UDP,), _ADDRESS),
    "ftp": ((c.IPPROTO_TCP,), _ADDRESS),
    "irc": ((c.IPPROTO_TCP,), (c.AF_INET,)),
    "pptp": ((c.IPPROTO_TCP,), (c.AF_INET,)),
    "sip": ((c.IPPROTO_TCP, c.IPPROTO_UDP), _ADDRESS),
    "tftp": ((c.IPPROTO_UDP,), _ADDRESS),
}
_SEQADJ = ("correction_pos", "offset_before", "offset_after")
_SYNPROXY = ("synproxy_isn", "synproxy_its", "synproxy_tsoff")


class Refusal(Exception):
    """A request is refused with ``errno``."""

    def __init__(self, errno: int) -> None:
        self.errno: int = errno


def ends(values: Mapping[str, Any], side: str, family: int) -> Ends:
    """Return the tuple ``side`` of a request, complete; else it is refused."""
    if family not in _ADDRESS:
        raise Refusal(errno.EOPNOTSUPP)
    proto = values.get(f"{side}_proto")
    wanted = ("src", "dst", *PARTS.get(proto or 0, ()))
    found: dict[str, Any] = {name: values.get(f"{side}_{name}") for name in wanted}
    if proto is None or None in found.values():
        raise Refusal(errno.EINVAL)
    if any(len(found[name]) != _ADDRESS[family] for name in ("src", "dst")):
        raise Refusal(errno.EINVAL)
    if proto in ICMP_ANSWERS and found["icmp_type"] not in ICMP_ANSWERS[proto]:
        raise Refusal(errno.EINVAL)
    return {"proto": proto, **found}


def has(values: Mapping[str, Any], prefix: str) -> bool:
    """Return whether a request carries any field that begins with ``prefix``."""
    return any(name.startswith(prefix) for name in values)


def zone_of(values: Mapping[str, Any]) -> Zone:
    """Return the zone that a request names."""
    zone = values.get("zone", 0), BOTH
    for bit, side in enumerate(SIDES, 1):
        if f"{side}_zone" in values:
            if zone[0]:
                raise Refusal(errno.EINVAL)
            zone = values[f"{side}_zone"], bit
    return zone


def in_direction(zone: Zone, direction: int) -> int:
    """Return the number that a zone has in a direction (0 original, 1 reply)."""
    return zone[0] if zone[1] >> direction & 1 else 0


class Entry:
    """A flow of the table.

    ``tuples``: original and reply; ``values``: all other fields; ``expires``: the time at which it
    ends, in seconds; ``events``: whether its changes are reported.
    """

    __slots__ = ("events", "expires", "family", "master", "number", "tuples", "values", "zone")

    family: int
    zone: Zone
    number: int
    expires: float
    events: bool

    def __init__(self, family: int, tuples: tuple[Ends, Ends], zone: Zone, number: int) -> None:
        self.family, self.zone, self.number = family, zone, number
        self.tuples: list[Ends] = [*tuples]
        self.expires = 0.0
        self.master: Entry | None = None
        self.events = False
        self.values: dict[str, Any] = {"status": c.IPS_CONFIRMED, "mark": 0}
        self.values |= dict.fromkeys(_SYNPROXY, 0)
        self.values |= _STATES.get(self.proto, {})

    @property
    def proto(self) -> int:
        """Return the protocol number."""
        number: int = self.tuples[0]["proto"]
        return number

    def seconds(self, now: float) -> int:
        """Return the timeout that is left at the time ``now``."""
        return max(0, int(self.expires - now))

    def identity(self) -> dict[str, Any]:
        """Return the fields of both tuples, the zone and the id."""
        fields: dict[str, Any] = {}
        for bit, (side, tuple_) in enumerate(zip(SIDES, self.tuples, strict=True), 1):
            fields |= {f"{side}_{name}": value for name, value in tuple_.items()}
            if self.zone[0] and self.zone[1] == bit:
                fields[f"{side}_zone"] = self.zone[0]
        if self.zone[0] and self.zone[1] == BOTH:
            fields["zone"] = self.zone[0]
        return fields | {"id": self.number}

    def report(self, now: float) -> dict[str, Any]:
        """Return all fields, as a dump reports them."""
        times = {"timeout": self.seconds(now), "use": 1}
        return self.identity() | self.shown() | self.parent() | times

    def shown(self) -> dict[str, Any]:
        """Return the values that are reported: no labels if none is set."""
        if any(self.values.get("labels", b"")):
            return self.values
        return {name: value for name, value in self.values.items() if name != "labels"}

    def parent(self) -> dict[str, Any]:
        """Return the original tuple of the master, if there is one."""
        if self.master is None:
            return {}
        return {f"master_{name}": value for name, value in self.master.tuples[0].items()}

    # -- changes

    def change(self, values: Mapping[str, Any], now: float) -> None:
        """Apply the changes of an update; those before a refusal stay, as in the kernel."""
        if "helper" in values:
            self._change_helper(values["helper"])
        if "timeout" in values:
            if self.values["status"] & c.IPS_FIXED_TIMEOUT:
                raise Refusal(errno.EPERM)
            self.expires = now + values["timeout"]
        self.set_status(values)
        self.set_protocol(values)
        self.set_mark(values)
        self.set_adjustments(values)
        self.set_synproxy(values)
        if "labels" in values:
            self.set_labels(values)

    def _change_helper(self, name: str) -> None:
        if self.master is not None:
            raise Refusal(errno.EBUSY)
        standing = self.values.get("helper")
        if not name:
            if standing:
                self.values["helper"] = ""
            return
        self.check_helper(name)
        if name != standing:
            # a helper extension whose helper was removed stays with the entry
            raise Refusal(errno.EOPNOTSUPP if standing is None else errno.EBUSY)

    def check_helper(self, name: str) -> None:
        """Refuse a helper that the kernel does not have for this protocol and family."""
        protocols, families = _HELPERS.get(name, ((), ()))
        if self.proto not in protocols or self.family not in families:
            raise Refusal(errno.EOPNOTSUPP)

    def set_status(self, values: Mapping[str, Any]) -> None:
        """Set the status bits that a request may set; none is ever cleared."""
        if "status" not in values:
            return
        standing, status = self.values["status"], values["status"]
        if (standing ^ status) & (c.IPS_EXPECTED | c.IPS_CONFIRMED | c.IPS_DYING):
            raise Refusal(errno.EBUSY)
        if standing & ~status & (c.IPS_SEEN_REPLY | c.IPS_ASSURED):
            raise Refusal(errno.EBUSY)
        self.values["status"] |= status & SETTABLE_STATUS

    def set_protocol(self, values: Mapping[str, Any]) -> None:
        """Set the protocol's own fields."""
        if self.proto == c.IPPROTO_TCP and has(values, "tcp_"):
            self._set_tcp(values)
        elif self.proto == c.IPPROTO_SCTP and has(values, "sctp_"):
            names = _STATES[c.IPPROTO_SCTP]
            if not names.keys() <= values.keys():
                raise Refusal(errno.EINVAL)
            if values["sctp_state"] >= len(SCTP_STATE) - 1:  # HEARTBEAT_ACKED is no more
                raise Refusal(errno.ERANGE)
            self.values |= {name: values[name] for name in names}

    def _set_tcp(self, values: Mapping[str, Any]) -> None:
        scales = ("tcp_wscale_orig", "tcp_wscale_reply")
        if values.get("tcp_state", 0) >= len(TCP_STATE) or any(
            values.get(name, 0) > _MOST_SCALE for name in scales
        ):
            raise Refusal(errno.ERANGE)
        own = self.values
        own["tcp_state"] = values.get("tcp_state", own["tcp_state"])
        flags = ("tcp_flags_orig", "tcp_flags_reply")
        for name in flags:
            given = values.get(name, 0)
            mask = (given & 0xFF) << 8
            own[name] = own[name] & ~mask | given & mask
        if scales[0] in values and scales[1] in values and all(
            own[name] >> 8 & _WINDOW_SCALE for name in flags
        ):  # fmt: skip
            own |= {name: values[name] for name in scales}

    def set_mark(self, values: Mapping[str, Any]) -> None:
        """Set the bits of the mark that the mask of a request selects."""
        if "mark" in values:
            kept = ~values.get("mark_mask", 0xFFFFFFFF)
            self.values["mark"] = self.values["mark"] & kept ^ values["mark"]

    def set_adjustments(self, values: Mapping[str, Any]) -> None:
        """Set the sequence adjustments."""
        for side in SIDES:
            if not has(values, f"{side}_seqadj_"):
                continue
            names = [f"{side}_seqadj_{name}" for name in _SEQADJ]
            if any(name not in values for name in names):
                raise Refusal(errno.EINVAL)
            for both in SIDES:
                for name in _SEQADJ:
                    self.values.setdefault(f"{both}_seqadj_{name}", 0)
            self.values |= {name: values[name] for name in names}
            self.values["status"] |= c.IPS_SEQ_ADJUST

    def set_synproxy(self, values: Mapping[str, Any]) -> None:
        """Set what a SYN proxy needs."""
        if has(values, "synproxy_"):
            if any(name not in values for name in _SYNPROXY):
                raise Refusal(errno.EINVAL)
            self.values |= {name: values[name] for name in _SYNPROXY}

    def set_labels(self, values: Mapping[str, Any]) -> None:
        """Set the labels that the mask of a request selects; an entry may have no room for them."""
        given = values["labels"]
        mask = values.get("labels_mask", b"\xff" * len(given))
        if len(given) % 4 or len(mask) != len(given):
            raise Refusal(errno.EINVAL)
        if "labels" not in self.values:
            raise Refusal(errno.ENOSPC)
        standing = self.values["labels"]
        changed = bytes(
            old & ~selected & 0xFF ^ new
            for old, selected, new in zip(standing, mask, given, strict=False)
        )
        self.values["labels"] = changed + standing[len(changed) :]
