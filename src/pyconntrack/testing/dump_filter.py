"""The filters of a dump, as the kernel applies them: ctnetlink_alloc_filter() and
ctnetlink_filter_match() of nf_conntrack_netlink.c."""

from __future__ import annotations

import errno
import sys

from ..ctnetlink import constants as c
from .entries import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .entries import Entry

_ICMP = ("icmp_type", "icmp_code", "icmp_id")
#: the field that each flag of CTA_FILTER_*_FLAGS compares, and the protocols that have it
_FLAGS = (
    (c.CTA_FILTER_F_IP_SRC, "src", ()),
    (c.CTA_FILTER_F_IP_DST, "dst", ()),
    (c.CTA_FILTER_F_PROTO_NUM, "proto", ()),
    (c.CTA_FILTER_F_SRC_PORT, "sport", (c.IPPROTO_TCP, c.IPPROTO_UDP)),
    (c.CTA_FILTER_F_DST_PORT, "dport", (c.IPPROTO_TCP, c.IPPROTO_UDP)),
    *((c.CTA_FILTER_F_ICMP_TYPE << bit, name, (c.IPPROTO_ICMP,)) for bit, name in enumerate(_ICMP)),
    *((c.CTA_FILTER_F_ICMP_TYPE << bit, name, (c.IPPROTO_ICMPV6,))
      for bit, name in enumerate(_ICMP, 3)),
)  # fmt: skip


class DumpFilter:
    """The filter in the ``values`` of a request for ``family``; a wrong one is refused."""

    def __init__(self, values: Mapping[str, Any], family: int) -> None:
        self._values, self._family = values, family
        self._tuples: list[tuple[int, list[tuple[str, Any, tuple[int, ...]]]]] = []
        for direction, side in enumerate(("orig", "reply")):
            raw = values.get(f"filter_{side}_flags", bytes(4))
            if flags := int.from_bytes(raw, sys.byteorder):
                self._tuples.append((direction, self._wanted(side, flags)))
        if "mark_mask" in values and "mark" not in values:
            raise Refusal(errno.EINVAL)
        status = values.get("status", 0)
        self._status_mask = values.get("status_mask", status)
        if "status" in values and not self._status_mask:
            raise Refusal(errno.EINVAL)

    def _wanted(self, side: str, flags: int) -> list[tuple[str, Any, tuple[int, ...]]]:
        if not self._family:
            raise Refusal(errno.EOPNOTSUPP)
        wanted = []
        for flag, name, protocols in _FLAGS:
            if flags & flag:
                value = self._values.get(f"{side}_{name}")
                if value is None or (protocols and f"{side}_proto" not in self._values):
                    raise Refusal(errno.EINVAL)
                wanted.append((name, value, protocols))
        return wanted

    def __call__(self, entry: Entry) -> bool:
        """Return whether a dump with this filter has ``entry``."""
        values = self._values
        if self._family not in (0, entry.family):
            return False
        if "zone" in values and entry.zone[0] != values["zone"]:
            return False
        if (entry.values["mark"] ^ values.get("mark", 0)) & values.get(
            "mark_mask", 0xFFFFFFFF if "mark" in values else 0
        ):
            return False
        if "mark" in values and values["mark"] & ~values.get("mark_mask", 0xFFFFFFFF):
            return False
        if "status" in values and entry.values["status"] & self._status_mask != values["status"]:
            return False
        return all(
            self._matches(entry, direction, *one) for direction, wanted in self._tuples
            for one in wanted
        )  # fmt: skip

    def _matches(
        self, entry: Entry, direction: int, name: str, value: Any, protocols: tuple[int, ...]
    ) -> bool:
        if protocols and entry.proto not in protocols:
            return True  # not compared
        return bool(entry.tuples[direction].get(name) == value)
