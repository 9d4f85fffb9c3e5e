"""Requests about one entry: what identifies it, what it may carry, and the checks.

Every function raises :class:`~pyconntrack.errors.RequestError` if the kernel would refuse the
request or take it for another one.
"""

from __future__ import annotations

from errno import EADDRNOTAVAIL

from ..ctnetlink import constants as c
from ..ctnetlink import requests, restore_rules
from ..ctnetlink.layout import find
from ..ctnetlink.vocabulary import PROTO
from ..errors import RequestError, kernel_error
from ..escape import meant, shown
from ..model import TUPLE_NAMES, Expect, Flow, Tuple
from ..netlink.netns import sysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeVar

    from ..ctnetlink.requests import Request
    from ..errors import KernelError

    E = TypeVar("E", Flow, Expect)

#: protocols that have ports in every kernel; others have them only with their tracker
_WITH_PORTS = (c.IPPROTO_TCP, c.IPPROTO_UDP)
#: the size in bytes of the addresses of each ICMP
_ICMP = {c.IPPROTO_ICMP: 4, c.IPPROTO_ICMPV6: 16}


def entry_of(cls: type[E], target: object, zone: int | None) -> E:
    """Return ``target``, a ``cls`` or its :class:`Tuple`, as a ``cls``; in ``zone`` if given."""
    entry = cls(target) if isinstance(target, Tuple) else target
    if not isinstance(entry, cls):
        kind = "flow: a Flow" if cls is Flow else "expect: an Expect"
        raise RequestError(f"{kind} or a Tuple is wanted, not {shown(target)}")
    return entry if zone is None else entry.replace(zone=zone)


def _check_tuple(values: Mapping[str, Any], prefix: str) -> None:
    missing = [name for name in ("src", "dst", "proto") if prefix + name not in values]
    if missing:
        names = ", ".join(missing)
        raise RequestError(f"{prefix.rstrip('_')}: a Tuple with src, dst and proto is wanted; "
                           f"{names} is missing")  # fmt: skip
    proto = values[prefix + "proto"]
    ports = sum(prefix + name in values for name in ("sport", "dport"))
    if ports == 1 or (not ports and proto in _WITH_PORTS):
        raise RequestError(f"{prefix}sport, {prefix}dport: both ports are wanted for this protocol")
    if proto in _ICMP:
        if len(values[prefix + "src"]) != _ICMP[proto]:
            raise RequestError(f"{prefix}proto: this protocol does not go with these addresses")
        for name in ("icmp_type", "icmp_code", "icmp_id"):
            if prefix + name not in values:
                raise RequestError(f"{prefix}{name}: a number is wanted for this protocol")
        icmp_type, known = values[prefix + "icmp_type"], restore_rules.ICMP_ANSWERS[proto]
        if icmp_type not in known:
            words = ", ".join(map(str, sorted(known)))
            raise RequestError(f"{prefix}icmp_type: {icmp_type} is none of {words}, the types that "
                               "the kernel tracks")  # fmt: skip


def _check_directions(values: Mapping[str, Any]) -> None:
    """Check what the two directions of a flow must have in common."""
    mine, other = (PROTO.get(values[name], values[name]) for name in ("orig_proto", "reply_proto"))
    if mine != other:
        raise RequestError(f"reply_proto: {other} is not the protocol of orig, {mine}")
    zones = [name for name in ("zone", "orig_zone", "reply_zone") if values.get(name)]
    if len(zones) > 1:
        raise RequestError(f"{', '.join(zones)}: at most one of them may differ from 0")


# -- flows --------------------------------------------------------------------------------------


def _identity(flow: Flow) -> dict[str, Any]:
    """Return the values that identify a flow: a tuple, the zone and, if known, the id."""
    values = flow._values()
    prefix = "orig_" if "orig_src" in values else "reply_"
    _check_tuple(values, prefix)
    names = [prefix + name for name in TUPLE_NAMES]
    if prefix + "zone" not in values:
        names.append("zone")
    return {name: values[name] for name in (*names, "id") if name in values}


def lookup(flow: Flow) -> Request:
    """Return the request that gets ``flow``."""
    return requests.get(_identity(flow), flow.family_number)


def deletion(flow: Flow) -> Request:
    """Return the request that deletes ``flow``; with an id, no other flow of its tuple."""
    return requests.delete(_identity(flow), flow.family_number)


def creation_values(flow: object) -> dict[str, Any]:
    """Return the raw values that create ``flow``; a missing direction is the inverse of the other.

    A flow that the kernel reported is created as it was, as far as a request can express it.
    """
    if not isinstance(flow, Flow):
        raise RequestError(f"flow: a Flow is wanted, not {shown(flow)}")
    layout = flow._layout
    values = restore_rules.creation(layout.raw(flow.message), sysctl)
    if creation_values not in layout.writers:
        for prefix in ("orig_", "reply_"):
            _check_tuple(values, prefix)
        if values["orig_proto"] not in _ICMP:  # its type may be wrong
            layout.writers[creation_values] = True
    _check_directions(values)
    if "timeout" not in values:
        raise RequestError("timeout: seconds are wanted to create a flow")
    return values


def creation(flow: Flow, values: Mapping[str, Any]) -> Request:
    """Return the request that creates ``flow`` with its :func:`creation_values`."""
    return requests.create(values, flow.family_number)


def translation_error(values: Mapping[str, Any], message: bytes, flow: Flow) -> KernelError | None:
    """Return an error if the entry ``message`` is not translated as its creation requested.

    ``values``: those of the request; ``flow``: what was to be created.
    """
    text = restore_rules.untranslated(values, find(message).raw(message))
    if not text:
        return None
    return kernel_error(EADDRNOTAVAIL, "creating a flow", f"it was translated otherwise: {text}",
                        flow)  # fmt: skip


def update(flow: Flow, changes: Mapping[str, Any]) -> Request:
    """Return the request that makes ``changes``, or sets every changeable field of ``flow``."""
    changeable = restore_rules.CHANGEABLE
    for name in changes:
        if name not in changeable:
            hint = meant(name, changeable)
            raise RequestError(f"{name}: the kernel changes only {', '.join(changeable)}{hint}")
    if changes:
        values = Flow(family=flow.family_number, **changes)._values()
    else:
        values = {name: v for name, v in flow._values().items() if name in changeable}
        if flow.fixed_timeout:
            values.pop("timeout", None)  # the kernel refuses to change it
    if "status" in values:
        values["status"] |= (flow.status_bits or 0) & restore_rules.KEPT_STATUS | c.IPS_CONFIRMED
    for name in restore_rules.MASKED & values.keys():
        values[name] = restore_rules.masked_flags(values[name])
    if not values:
        raise RequestError("changes: at least one field to change is wanted")
    identity = _identity(flow)
    identity.pop("id", None)  # the kernel ignores it in an update
    return requests.update({**identity, **values}, flow.family_number)


# -- expectations -------------------------------------------------------------------------------


def _expect_identity(expect: Expect) -> dict[str, Any]:
    """Return the values that identify an expectation: its tuple, zone and id."""
    values = expect._values()
    _check_tuple(values, "tuple_")
    names = [name for name in values if name.startswith("tuple_") or name in ("zone", "id")]
    return {name: values[name] for name in names}


def expect_lookup(expect: Expect) -> Request:
    """Return the request that gets ``expect``."""
    return requests.expect_get(_expect_identity(expect), expect.family_number)


def expect_deletion(expect: Expect) -> Request:
    """Return the request that deletes ``expect``."""
    return requests.expect_delete(_expect_identity(expect), expect.family_number)


def expect_creation(expect: object) -> Request:
    """Return the request that creates ``expect``, whose master connection must exist."""
    if not isinstance(expect, Expect):
        raise RequestError(f"expect: an Expect is wanted, not {shown(expect)}")
    values = expect._values()
    for prefix in ("tuple_", "mask_", "master_"):
        _check_tuple(values, prefix)
    values.pop("id", None)
    if "timeout" not in values:
        raise RequestError("timeout: seconds are wanted to create an expectation")
    return requests.expect_create(values, expect.family_number)
