"""Typed values: flows, tuples, expectations, events, statistics.

A :class:`Flow` is a proven message: it keeps the kernel's bytes and their layout, and a field is
read when it is accessed.  Values made by hand are encoded to the same bytes, which also checks
them.

General layout, each module importing only those before it: ``fields`` (a message and its fields),
``tuple``, ``entry`` (the base of flows and expectations), ``flow``, ``expect``, ``event``,
``stats``, ``decode`` (many messages); ``declarations``: the fields for type checkers.

All values are immutable; an absent field is None, zero is zero.
"""

from __future__ import annotations

from ..ctnetlink.convert import packed, to_raw
from ..ctnetlink.field_names import FIELDS, TUPLE_NAMES, flatten
from ..ctnetlink.json_form import plain
from .decode import decode, meets
from .event import Event
from .expect import Expect
from .flow import Flow
from .stats import CpuStats, Stats
from .tuple import Tuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .arguments import AddressLike as AddressLike
    from .arguments import Changes as Changes

__all__ = [
    "FIELDS",
    "TUPLE_NAMES",
    "CpuStats",
    "Event",
    "Expect",
    "Flow",
    "Stats",
    "Tuple",
    "decode",
    "flatten",
    "meets",
    "packed",
    "plain",
    "to_raw",
]
