"""An in-memory kernel: a table of flows and expectations behind the messages of ctnetlink.

``Kernel`` takes the place of the socket, so that the library is used as a whole: requests are
decoded and answers are encoded by the schema.  It follows the rules of Linux 6.18; ids, the ports
that NAT chooses, and the order of a dump are its own.

    with Kernel() as kernel, kernel.connect() as ct:
        ct.create(Flow(Tuple("192.0.2.1", "192.0.2.2", "udp", 5000, 53), timeout=30))
        kernel.advance(31)
        assert ct.count() == 0
"""

from __future__ import annotations

import errno
import os
import sys
from threading import RLock

from ..ctnetlink import constants as c
from ..errors import DecodeError, RequestError
from ..netlink import constants as nl
from ..netlink.messages import NLMSGHDR
from .dump_filter import DumpFilter
from .entries import Entry, Refusal, has
from .expectations import Expectations
from .messages import Asked, entry_message, joined, numbered, texts
from .sockets import Socket
from .table import Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, Self

    from ..client.asynchronous import AsyncConntrack
    from ..client.blocking import Conntrack
    from ..model import Flow
    from .expectations import Expectation

_NEW, _GET, _DELETE = c.IPCTNL_MSG_CT_NEW, c.IPCTNL_MSG_CT_GET, c.IPCTNL_MSG_CT_DELETE
_CT, _EXP = c.NFNL_SUBSYS_CTNETLINK, c.NFNL_SUBSYS_CTNETLINK_EXP
#: multicast groups by subsystem: new, update, destroy
_GROUPS = {_CT: (1, 2, 3), _EXP: (4, 5, 6)}
_DUMP = nl.NLM_F_DUMP
_NANOSECONDS = 10**9
_COUNTERS = ("orig_packets", "orig_bytes", "reply_packets", "reply_bytes")


class Kernel:
    """A kernel that keeps a table in memory.

    ``max_entries``: more flows are refused with ENOMEM.  ``events``: as the sysctl
    ``nf_conntrack_events``: 0 no events, 1 those of all flows, 2 those of flows created while a
    socket listens.  ``accounting``, ``timestamps``: whether flows have counters and times of start
    and stop.  ``labels``: whether flows have room for labels.

    Time stands still but for :meth:`advance`; ``now`` is in seconds, from 0.
    """

    def __init__(
        self,
        *,
        max_entries: int = 262144,
        events: Literal[0, 1, 2] = 2,
        accounting: bool = False,
        timestamps: bool = False,
        labels: bool = False,
    ) -> None:
        self.now: float = 0.0
        self.events: Literal[0, 1, 2] = events
        self.accounting: bool = accounting
        self.timestamps: bool = timestamps
        self._table = Table(max_entries, labels)
        self._expectations = Expectations(self._table)
        self.sockets: list[Socket] = []
        self.lock: RLock = RLock()

    # -- for tests

    def connect(self) -> Conntrack:
        """Return a :class:`~pyconntrack.Conntrack` of this kernel."""
        from ..client.blocking import Conntrack

        return Conntrack(transport=self)

    def connect_async(self) -> AsyncConntrack:
        """Return an :class:`~pyconntrack.AsyncConntrack` of this kernel."""
        from ..client.asynchronous import AsyncConntrack

        return AsyncConntrack(transport=self)

    @property
    def max_entries(self) -> int:
        """Return the largest number of flows (net.netfilter.nf_conntrack_max); it can be set."""
        return self._table.limit

    @max_entries.setter
    def max_entries(self, number: int) -> None:
        self._table.limit = number

    def advance(self, seconds: float) -> None:
        """Let time pass: flows whose timeout ends are destroyed, with their events."""
        if seconds < 0:
            raise RequestError(f"seconds: time does not go back, not even by {-seconds}")
        with self.lock:
            self.now += seconds
            for entry in sorted(self._table, key=lambda one: one.expires):
                if entry.expires <= self.now:
                    self._destroy(entry, expired=True)
            for expectation in self._expectations.expired(self.now):
                self._end(expectation)

    def track(self, flow: Flow) -> None:
        """Add ``flow`` as if its packets had passed: with its status, counters and times.

        No request can set those.  Raises :class:`~pyconntrack.RequestError` if a tuple is
        incomplete or another flow has it.
        """
        values = texts(flow.message)
        values.setdefault("timeout", 600)
        for side, other in (("orig", "reply"), ("reply", "orig")):
            if not has(values, f"{side}_") and (one := getattr(flow, other)) is not None:
                values |= {f"{side}_{n}": v for n, v in one.inverted()._values().items()}
        kept = ("status", "tcp_flags_orig", "tcp_flags_reply")
        with self.lock:
            try:
                entry = self._table.create(
                    {name: value for name, value in values.items() if name not in kept},
                    flow._layout.family, self.now,
                )  # fmt: skip
            except Refusal as refusal:
                raise RequestError(f"flow: {os.strerror(refusal.errno)}: {flow}") from None
            own = entry.values
            own["status"] |= values.get("status", 0)
            own |= {name: values[name] & 0xFF00 for name in kept[1:] if name in values}
            self._begin(entry)
            for name in (*_COUNTERS, "timestamp_start"):
                if name in values:
                    own[name] = values[name]
            self._report(entry, "new", labels="labels" in values)

    def close(self) -> None:
        """Close all sockets."""
        while self.sockets:
            self.sockets[-1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __call__(self, netns: object = None, *, rcvbuf: int = 0, blocking: bool = True) -> Any:
        """Open a socket."""
        socket = Socket(self, rcvbuf or 212992)
        self.sockets.append(socket)
        return socket

    # -- the life of entries

    def _listened(self, subsystem: int = _CT) -> bool:
        return any(not socket.groups.isdisjoint(_GROUPS[subsystem]) for socket in self.sockets)

    def _begin(self, entry: Entry) -> None:
        entry.events = self.events == 1 or (self.events == 2 and self._listened())
        if self.accounting:
            entry.values |= dict.fromkeys(_COUNTERS, 0)
        if self.timestamps:
            entry.values["timestamp_start"] = int(self.now * _NANOSECONDS)

    def _destroy(self, entry: Entry, *, expired: bool = False) -> None:
        for expectation in self._expectations.of(entry):
            self._end(expectation)
        self._table.remove(entry)
        kept = ("status", "tcp_state", "sctp_state", *_COUNTERS, "timestamp_start")
        fields = entry.identity() | {n: entry.values[n] for n in kept if n in entry.values}
        fields["status"] |= c.IPS_DYING
        if not expired:
            fields["timeout"] = entry.seconds(self.now)
        if entry.values["mark"]:
            fields["mark"] = entry.values["mark"]
        if self.timestamps:
            fields["timestamp_stop"] = int(self.now * _NANOSECONDS)
        if entry.events:
            self._emit(_CT, "destroy", fields, entry.family)

    def _report(self, entry: Entry, kind: str, *, labels: bool) -> None:
        """Emit the event of a new or changed entry; ``labels``: whether it has the labels."""
        if not entry.events:
            return
        hidden = (*_COUNTERS, "timestamp_start", *(() if labels else ("labels",)))
        fields = {name: value for name, value in entry.shown().items() if name not in hidden}
        fields |= entry.identity() | {"timeout": entry.seconds(self.now)}
        if kind == "new":
            fields |= entry.parent()
        self._emit(_CT, kind, fields, entry.family)

    def _end(self, expectation: Expectation) -> None:
        self._expectations.remove(expectation)
        if expectation.master.events:
            self._emit(_EXP, "destroy", expectation.report(self.now), expectation.family)

    def _emit(self, subsystem: int, kind: str, fields: dict[str, Any], family: int) -> None:
        group = _GROUPS[subsystem][("new", "update", "destroy").index(kind)]
        number = _DELETE if kind == "destroy" else _NEW
        flags = nl.NLM_F_CREATE | nl.NLM_F_EXCL if kind == "new" else 0
        data = entry_message(subsystem << 8 | number, fields, family, flags)
        for socket in self.sockets:
            if group in socket.groups:
                socket.deliver(data)

    # -- requests

    def handle(self, message: bytes) -> list[bytes]:
        """Return the datagrams that answer one request."""
        _, kind, flags, seq, _ = NLMSGHDR.unpack_from(message)
        handler = _HANDLERS.get(kind)
        number, answers = 0, []
        try:
            if handler is None:
                raise Refusal(errno.EINVAL)
            answers = handler(self, Asked(message, flags))
        except Refusal as refusal:
            number = refusal.errno
        except DecodeError:
            number = errno.EINVAL
        is_dump = handler in _DUMPS or (flags & _DUMP == _DUMP and kind & 0xFF in _READS)
        if is_dump and not number:
            parts = [numbered(part, seq, nl.NLM_F_MULTI) for part in answers]
            done = NLMSGHDR.pack(20, nl.NLMSG_DONE, nl.NLM_F_MULTI, seq, 0) + bytes(4)
            return [*joined(parts), done]
        datagrams = [numbered(part, seq, 0) for part in answers]
        if number or flags & nl.NLM_F_ACK:
            body = (-number).to_bytes(4, sys.byteorder, signed=True) + message[:16]
            header = NLMSGHDR.pack(36, nl.NLMSG_ERROR, nl.NLM_F_CAPPED, seq, 0)
            datagrams.append(header + body)
        return datagrams

    def _new(self, asked: Asked) -> list[bytes]:
        values, family = asked.values, asked.family
        tuple_, zone = self._table.requested(values, family)
        entry = tuple_ and self._table.find(tuple_, zone)
        if not entry:
            if not asked.flags & nl.NLM_F_CREATE:
                raise Refusal(errno.ENOENT)
            entry = self._table.create(values, family, self.now)
            self._begin(entry)
            self._report(entry, "new", labels="labels" in values)
        elif asked.flags & nl.NLM_F_EXCL:
            raise Refusal(errno.EEXIST)
        elif any(has(values, name) for name in ("src_nat_", "dst_nat_", "master_")):
            raise Refusal(errno.EOPNOTSUPP)
        else:
            entry.change(values, self.now)
            self._report(entry, "update", labels=True)
        return []

    def _found(self, asked: Asked) -> Entry:
        tuple_, zone = self._table.requested(asked.values, asked.family)
        if tuple_ is None:
            raise Refusal(errno.EINVAL)
        entry = self._table.find(tuple_, zone)
        if entry is None:
            raise Refusal(errno.ENOENT)
        return entry

    def _get(self, asked: Asked) -> list[bytes]:
        if asked.flags & _DUMP != _DUMP:
            entry = self._found(asked)
            return [entry_message(_CT << 8 | _NEW, entry.report(self.now), entry.family)]
        return self._dump(asked)

    def _dump(self, asked: Asked, *, zero: bool = False) -> list[bytes]:
        matches = DumpFilter(asked.values, asked.family)
        answers = []
        for entry in self._table:
            if matches(entry):
                fields = entry.report(self.now)
                answers.append(entry_message(_CT << 8 | _NEW, fields, entry.family))
                if zero:
                    entry.values |= {name: 0 for name in _COUNTERS if name in entry.values}
        return answers

    def _get_and_zero(self, asked: Asked) -> list[bytes]:
        return self._dump(asked, zero=True)

    def _nothing(self, asked: Asked) -> list[bytes]:
        return []

    def _delete(self, asked: Asked) -> list[bytes]:
        values = asked.values
        if not (has(values, "orig_") or has(values, "reply_")):
            matches = DumpFilter(values, 0)
            for entry in self._table:
                if matches(entry):
                    self._destroy(entry)
            return []
        entry = self._found(asked)
        if values.get("id", entry.number) != entry.number:
            raise Refusal(errno.ENOENT)
        self._destroy(entry)
        return []

    def _stats(self, asked: Asked) -> list[bytes]:
        fields = {"entries": len(self._table), "max_entries": self.max_entries}
        return [entry_message(_CT << 8 | c.IPCTNL_MSG_CT_GET_STATS, fields, 0)]

    def _cpu_stats(self, asked: Asked) -> list[bytes]:
        names = ("found", "invalid", "insert", "insert_failed", "drop", "early_drop", "error",
                 "search_restart", "clash_resolve", "chain_toolong")  # fmt: skip
        kind = _CT << 8 | c.IPCTNL_MSG_CT_GET_STATS_CPU
        return [entry_message(kind, dict.fromkeys(names, 0), 0)]

    def _expect_cpu_stats(self, asked: Asked) -> list[bytes]:
        kind = _CT << 8 | c.IPCTNL_MSG_EXP_GET_STATS_CPU  # the kernel's answer has this subsystem
        return [entry_message(kind, dict.fromkeys(("new", "create", "delete"), 0), 0)]

    # -- expectations

    def _expect_new(self, asked: Asked) -> list[bytes]:
        made = self._expectations.create(asked.values, asked.family, asked.flags, self.now)
        if made is not None and made.master.events:
            self._emit(_EXP, "new", made.report(self.now), made.family)
        return []

    def _expect_get(self, asked: Asked) -> list[bytes]:
        if asked.flags & _DUMP == _DUMP:
            found = [one for one in self._expectations
                     if not asked.family or one.family == asked.family]  # fmt: skip
        else:
            found = [self._expectations.requested(asked.values, asked.family)]
        return [entry_message(_EXP << 8 | c.IPCTNL_MSG_EXP_NEW, one.report(self.now), one.family)
                for one in found]  # fmt: skip

    def _expect_delete(self, asked: Asked) -> list[bytes]:
        if has(asked.values, "tuple_"):
            self._end(self._expectations.requested(asked.values, asked.family))
        else:
            for expectation in self._expectations:
                self._end(expectation)
        return []


_HANDLERS: dict[int, Callable[[Kernel, Asked], list[bytes]]] = {
    c.ct_msg(_NEW): Kernel._new,
    c.ct_msg(_GET): Kernel._get,
    c.ct_msg(_DELETE): Kernel._delete,
    c.ct_msg(c.IPCTNL_MSG_CT_GET_CTRZERO): Kernel._get_and_zero,
    c.ct_msg(c.IPCTNL_MSG_CT_GET_STATS_CPU): Kernel._cpu_stats,
    c.ct_msg(c.IPCTNL_MSG_CT_GET_STATS): Kernel._stats,
    c.ct_msg(c.IPCTNL_MSG_CT_GET_DYING): Kernel._nothing,
    c.ct_msg(c.IPCTNL_MSG_CT_GET_UNCONFIRMED): Kernel._nothing,
    c.exp_msg(c.IPCTNL_MSG_EXP_NEW): Kernel._expect_new,
    c.exp_msg(c.IPCTNL_MSG_EXP_GET): Kernel._expect_get,
    c.exp_msg(c.IPCTNL_MSG_EXP_DELETE): Kernel._expect_delete,
    c.exp_msg(c.IPCTNL_MSG_EXP_GET_STATS_CPU): Kernel._expect_cpu_stats,
}
#: they answer as a dump always does
_DUMPS = (
    Kernel._get_and_zero, Kernel._cpu_stats, Kernel._nothing, Kernel._expect_cpu_stats,
)  # fmt: skip
_READS = (_GET, c.IPCTNL_MSG_EXP_GET)
