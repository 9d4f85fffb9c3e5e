"""Events of flows and expectations."""

from __future__ import annotations

import sys
from time import time_ns

from ..ctnetlink.vocabulary import EVENT_KINDS
from ..errors import RequestError, check_flag, check_object, none_of
from ..escape import shown
from .expect import Expect
from .flow import Flow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..ctnetlink.literals import EventKind


class Event:
    """The creation, change or end of a flow or an expectation.

    ``kind``: ``"new"``, ``"update"`` or ``"destroy"``; ``entry``: the flow or expectation as the
    event carries it (an update may carry only what changed); ``synthetic``: whether it was found by
    a dump instead of reported (``events(resync=True)``); ``time``: when it was received, ns since
    1970 (None: now).
    """

    __slots__ = ("_entry", "_kind", "_synthetic", "_time")

    _entry: Flow | Expect
    _kind: EventKind
    _synthetic: bool
    _time: int

    def __init__(
        self,
        kind: EventKind,
        entry: Flow | Expect,
        *,
        synthetic: bool = False,
        time: int | None = None,
    ) -> None:
        if kind not in EVENT_KINDS:
            raise none_of("kind", kind, EVENT_KINDS)
        if not isinstance(entry, (Flow, Expect)):
            raise RequestError(f"entry: a Flow or an Expect is wanted, not {shown(entry)}")
        check_flag("synthetic", synthetic)
        if time is not None and time.__class__ is not int:
            raise RequestError(f"time: a whole number is wanted, not {shown(time)}")
        self._kind, self._entry, self._synthetic = kind, entry, synthetic
        self._time = time_ns() if time is None else time

    @property
    def kind(self) -> EventKind:
        """Return ``"new"``, ``"update"`` or ``"destroy"``."""
        return self._kind

    @property
    def synthetic(self) -> bool:
        """Return whether it was found by a dump instead of reported by the kernel."""
        return self._synthetic

    @property
    def flow(self) -> Flow | None:
        """Return the flow, None for an expectation."""
        return self._entry if isinstance(self._entry, Flow) else None

    @property
    def expect(self) -> Expect | None:
        """Return the expectation, None for a flow."""
        return self._entry if isinstance(self._entry, Expect) else None

    @property
    def entry(self) -> Flow | Expect:
        """Return the flow or expectation."""
        return self._entry

    @property
    def time(self) -> int:
        """Return when it happened, ns since 1970, or when it was received if that is unknown.

        Linux 6.14+ reports the time of an event of a flow with nf_conntrack_timestamp=1; otherwise
        ``flow.timestamp_event`` is None.
        """
        told = self._entry.timestamp_event if isinstance(self._entry, Flow) else None
        return self._time if told is None else told

    @property
    def portid(self) -> int:
        """Return the netlink port of the program that caused it, 0 for packets and the kernel."""
        return int.from_bytes(self._entry.message[12:16], sys.byteorder)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, as ``conntrack -E -o json`` writes it.

        It is that of the entry after ``event``, ``time`` and, if it is so, ``synthetic`` (which the
        command lacks).
        """
        head: dict[str, Any] = {"event": self._kind, "time": self.time}
        if self._synthetic:
            head["synthetic"] = True
        return head | self._entry.to_dict()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Event:
        """Return the event of a JSON form; raise :class:`~pyconntrack.RequestError` if wrong."""
        check_object(data)
        rest = dict(data)
        word, time = rest.pop("event", None), rest.pop("time", None)
        synthetic = rest.pop("synthetic", False)
        kind: Any = word.lower() if isinstance(word, str) else None
        if kind not in EVENT_KINDS:
            raise none_of("event", word, EVENT_KINDS)
        entry: type[Flow | Expect] = Expect if "tuple" in rest else Flow
        return cls(kind, entry.from_dict(rest), synthetic=synthetic, time=time)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return (
            self._kind == other._kind
            and self._synthetic == other._synthetic
            and self._entry.same_as(other._entry)
        )

    def __hash__(self) -> int:
        return hash((self._kind, self._entry))

    def __repr__(self) -> str:
        mark = ", synthetic=True" if self._synthetic else ""
        return f"Event({self._kind!r}, {self._entry!r}{mark})"

    def __str__(self) -> str:
        return f"[{self._kind.upper()}]{'*' if self._synthetic else ''} {self._entry}"
