"""The table of an in-memory kernel: how flows are found, created and translated.

Source: ctnetlink_create_conntrack() of nf_conntrack_netlink.c, nf_conntrack_hash_check_insert() of
nf_conntrack_core.c, nf_nat_setup_info() of nf_nat_core.c.
"""

from __future__ import annotations

import errno

from ..ctnetlink import constants as c
from ..ctnetlink.kinds import LABEL_BYTES
from ..ctnetlink.restore_rules import inverse
from .entries import PARTS, SIDES, Entry, Refusal, ends, has, in_direction, zone_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from .entries import Ends, Zone

#: the ports of which NAT chooses one: the first, and the one after the last
_FIRST_PORT, _PORTS = 1024, 65536


class Table:
    """The entries by their tuples; ``limit``: the largest number of entries.

    ``labels``: whether new entries have room for labels, as once a rule uses them.
    """

    def __init__(self, limit: int, labels: bool) -> None:
        self.limit: int = limit
        self.labels: bool = labels
        self._entries: dict[int, Entry] = {}
        self._by_tuple: dict[Any, list[tuple[Entry, int]]] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter([*self._entries.values()])

    def find(self, tuple_: Ends, zone: Zone) -> Entry | None:
        """Return the entry that has ``tuple_`` in one of its directions."""
        for entry, direction in self._by_tuple.get(_key(tuple_), ()):
            if in_direction(entry.zone, direction) == in_direction(zone, direction):
                return entry
        return None

    def requested(self, values: Mapping[str, Any], family: int) -> tuple[Ends | None, Zone]:
        """Return the tuple and the zone by which a request finds its entry."""
        zone = zone_of(values)
        for side in SIDES:
            if has({name: 0 for name in values if name != f"{side}_zone"}, f"{side}_"):
                return ends(values, side, family), zone
        return None, zone

    def create(self, values: Mapping[str, Any], family: int, now: float) -> Entry:
        """Create and return an entry."""
        zone = zone_of(values)
        tuples = ends(values, "orig", family), ends(values, "reply", family)
        if tuples[0]["proto"] != tuples[1]["proto"]:
            raise Refusal(errno.EINVAL)
        if len(self) >= self.limit:
            raise Refusal(errno.ENOMEM)
        if "timeout" not in values:
            raise Refusal(errno.EINVAL)
        entry = Entry(family, tuples, zone, self.number())
        entry.expires = now + values["timeout"]
        if "helper" in values:
            entry.check_helper(values["helper"])
            entry.values["helper"] = values["helper"]
            entry.values["status"] |= c.IPS_HELPER
        self._translate(entry, values)
        entry.set_status(values)
        entry.set_adjustments(values)
        entry.set_protocol(values)
        entry.set_synproxy(values)
        entry.set_mark(values)
        if has(values, "master_"):
            entry.master = self.find(ends(values, "master", family), zone)
            if entry.master is None:
                raise Refusal(errno.ENOENT)
            entry.values["status"] |= c.IPS_EXPECTED
        if self.labels:
            entry.values["labels"] = bytes(LABEL_BYTES)
            if "labels" in values:
                try:
                    entry.set_labels(values)
                except Refusal:
                    pass  # the kernel does not report it of a new entry
        self.insert(entry)
        return entry

    def number(self) -> int:
        """Return a new id."""
        self._last = (self._last + 0x9E3779B1) & 0xFFFFFFFF  # odd: all ids differ
        return self._last

    def insert(self, entry: Entry) -> None:
        """Add an entry, unless another has one of its tuples."""
        if any(self.find(tuple_, entry.zone) for tuple_ in entry.tuples):
            raise Refusal(errno.EEXIST)
        self._entries[entry.number] = entry
        for direction, tuple_ in enumerate(entry.tuples):
            self._by_tuple.setdefault(_key(tuple_), []).append((entry, direction))

    def remove(self, entry: Entry) -> None:
        """Remove an entry."""
        del self._entries[entry.number]
        for direction, tuple_ in enumerate(entry.tuples):
            key = _key(tuple_)
            self._by_tuple[key].remove((entry, direction))
            if not self._by_tuple[key]:
                del self._by_tuple[key]

    # -- translations

    def _translate(self, entry: Entry, values: Mapping[str, Any]) -> None:
        """Translate the reply as a request's ranges have it: the destination first."""
        if not (has(values, "src_nat_") or has(values, "dst_nat_")):
            return
        for nat, near, bit, done in (
            ("dst_nat", "dst", c.IPS_DST_NAT, c.IPS_DST_NAT_DONE),
            ("src_nat", "src", c.IPS_SRC_NAT, c.IPS_SRC_NAT_DONE),
        ):
            current = inverse(entry.tuples[1])
            wanted = self._unique(entry, current, near, {
                name.removeprefix(f"{nat}_"): value
                for name, value in values.items() if name.startswith(f"{nat}_")
            })  # fmt: skip
            if wanted != current:
                entry.tuples[1] = inverse(wanted)
                entry.values["status"] |= bit
            entry.values["status"] |= done

    def _unique(
        self, entry: Entry, current: Ends, near: str, wanted: Mapping[str, Any]
    ) -> Ends:  # fmt: skip
        """Return ``current`` with the end ``near`` in the range ``wanted``."""
        low = wanted.get("min_addr", current[near])
        high = wanted.get("max_addr", low)
        found = dict(current)
        if not low <= current[near] <= high:
            found[near] = low
        port = "icmp_id" if "icmp_id" in found else "sport" if near == "src" else "dport"
        if port not in found:
            return found
        if "min_port" in wanted:
            first, last = wanted["min_port"], wanted.get("max_port", wanted["min_port"])
            if not first <= found[port] <= last:
                found[port] = first
            choices = range(first, last + 1)
        elif near == "src":
            choices = range(_FIRST_PORT, _PORTS)
        else:
            return found
        if len(choices) == 1 or not self._taken(entry, found):
            return found
        for choice in choices:
            other = {**found, port: choice}
            if not self._taken(entry, other):
                return other
        return found

    def _taken(self, entry: Entry, wanted: Ends) -> bool:
        return self.find(inverse(wanted), entry.zone) is not None


def _key(tuple_: Ends) -> tuple[Any, ...]:
    return tuple(tuple_.get(name) for name in ("src", "dst", "proto", *PARTS.get(
        tuple_["proto"], ())))  # fmt: skip
