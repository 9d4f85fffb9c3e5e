"""The expectations of an in-memory kernel.

Source: ctnetlink_create_expect(), ctnetlink_alloc_expect() of nf_conntrack_netlink.c;
nf_ct_tuple_mask_cmp() of nf_conntrack_tuple.h.
"""

from __future__ import annotations

import errno

from ..netlink import constants as nl
from .entries import PARTS, Refusal, ends, has

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from .entries import Ends, Entry
    from .table import Table

#: seconds: an expectation has the timeout of its helper, not that of the request
_TIMEOUT = 300


class Expectation:
    """An expectation of ``master``; ``mask`` selects the bits of the source that must be equal."""

    __slots__ = ("expires", "family", "helper", "mask", "master", "number", "tuple", "zone")

    master: Entry
    family: int
    tuple: Ends
    mask: Ends
    zone: int
    number: int
    expires: float

    def __init__(
        self, master: Entry, family: int, tuple_: Ends, mask: Ends, zone: int, number: int
    ) -> None:
        self.master, self.family, self.tuple, self.mask = master, family, tuple_, mask
        self.zone, self.number = zone, number
        self.helper: str = master.values["helper"]
        self.expires = 0.0

    def matches(self, tuple_: Ends, zone: int) -> bool:
        """Return whether a flow of ``tuple_`` would be the expected one."""
        if zone != self.zone or tuple_["proto"] != self.tuple["proto"]:
            return False
        for name, mine in self.tuple.items():
            theirs = tuple_[name]
            if name == "src":
                pairs = zip(mine, theirs, self.mask["src"], strict=True)
                if any((one ^ other) & bits for one, other, bits in pairs):
                    return False
            elif name in ("sport", "srckey", "icmp_id"):
                if (mine ^ theirs) & self.mask[name]:
                    return False
            elif mine != theirs:
                return False
        return True

    def report(self, now: float) -> dict[str, Any]:
        """Return all fields, as a dump reports them."""
        fields: dict[str, Any] = {}
        for prefix, tuple_ in (
            ("master", self.master.tuples[0]), ("tuple", self.tuple), ("mask", self.mask),
        ):  # fmt: skip
            fields |= {f"{prefix}_{name}": value for name, value in tuple_.items()}
        if self.zone:
            fields["zone"] = self.zone
        return fields | {
            "timeout": max(0, int(self.expires - now)), "id": self.number, "helper": self.helper,
            "flags": 0, "class": 0,
        }  # fmt: skip


class Expectations:
    """The expectations of the flows in ``table``."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._all: list[Expectation] = []

    def __iter__(self) -> Iterator[Expectation]:
        return iter([*self._all])

    def remove(self, expectation: Expectation) -> None:
        """Remove an expectation."""
        self._all.remove(expectation)

    def of(self, master: Entry) -> list[Expectation]:
        """Return those of ``master``."""
        return [one for one in self._all if one.master is master]

    def expired(self, now: float) -> list[Expectation]:
        """Return those that have ended at the time ``now``."""
        return [one for one in self._all if one.expires <= now]

    def requested(self, values: Mapping[str, Any], family: int) -> Expectation:
        """Return the expectation that a request names by its tuple."""
        if not has(values, "tuple_"):
            raise Refusal(errno.EINVAL)
        tuple_ = ends(values, "tuple", family)
        found = self._find(tuple_, values.get("zone", 0))
        if found is None or values.get("id", found.number) != found.number:
            raise Refusal(errno.ENOENT)
        return found

    def _find(self, tuple_: Ends, zone: int) -> Expectation | None:
        return next((one for one in self._all if one.matches(tuple_, zone)), None)

    def create(
        self, values: Mapping[str, Any], family: int, flags: int, now: float
    ) -> Expectation | None:
        """Create and return an expectation; None if it exists and the request allows that."""
        if not all(has(values, part) for part in ("tuple_", "mask_", "master_")):
            raise Refusal(errno.EINVAL)
        zone = values.get("zone", 0)
        tuple_ = ends(values, "tuple", family)
        if self._find(tuple_, zone):
            if flags & nl.NLM_F_EXCL:
                raise Refusal(errno.EEXIST)
            return None
        if not flags & nl.NLM_F_CREATE:
            raise Refusal(errno.ENOENT)
        mask = ends(values, "mask", family)
        master = self._table.find(ends(values, "master", family), (zone, 3))
        if master is None:
            raise Refusal(errno.ENOENT)
        if not master.values.get("helper"):
            raise Refusal(errno.EOPNOTSUPP)
        # only the source has a mask
        mask["dst"] = b"\xff" * len(mask["dst"])
        for name in PARTS.get(mask["proto"], ()):
            if name in ("dport", "dstkey"):
                mask[name] = 0xFFFF
        made = Expectation(master, family, tuple_, mask, zone, self._table.number())
        made.expires = now + _TIMEOUT
        self._all.append(made)
        return made
