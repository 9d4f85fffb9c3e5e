"""Typed values: flows, tuples, expectations, events, statistics.

A :class:`Flow` is a proven message: it keeps the kernel's bytes and their layout, and a field is
read out of them when somebody asks for it.  Values made by hand are encoded to the same bytes,
which is also what checks them.

General layout, each importing only what stands above it: ``value`` (a message and its fields),
``tuple``, ``entry`` (what flows and expectations share), ``flow``,
``expect``, ``event``, ``stats``, ``batch`` (many messages); ``declarations``: the fields as type
checkers know them.

Everything here is immutable; absent is None and zero is zero.
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
    from .declarations import Changes as Changes

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
