"""Following events, without I/O: the conversation that both drivers run.

Once a netlink socket overflows, the kernel drops all that comes until the queue has been read to
its end, and says ENOBUFS once, before the older events that still wait there.  So on ENOBUFS the
queue is read out first, then the kernel's drop counter says how many were lost, and there, where
the gap is, :class:`~pyconntrack.EventsLost` stands in the stream.

To resynchronise, the table is dumped over the same socket: dump and events then come in one order,
and what is reported while the dump runs is known to be newer than what it began with.

Beside the effects of :mod:`pyconntrack.session` the driver answers POLL (the next datagram or
None), DROPS (the socket's drop counter) and :class:`Grow`; and RECV and POLL with LOST where the
kernel reports a loss.  Source: netlink_overrun, netlink_rcv_wake (net/netlink/af_netlink.c).
"""

from __future__ import annotations

import sys

from .errors import EventsLost, RequestError, kernel_error
from .filter import push_down
from .layout import find
from .model import Event, Expect, Flow, meets
from .request import dump
from .session import RECV, sequence
from .wire import consts as c
from .wire.frame import message, read_errno, read_ext_ack, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Literal

    from .filter import Node
    from .session import Conversation
    from .transport import Transport

POLL: Literal["poll"] = "poll"
DROPS: Literal["drops"] = "drops"
LOST: Literal["lost"] = "lost"

GROUPS = {
    "new": c.NFNLGRP_CONNTRACK_NEW,
    "update": c.NFNLGRP_CONNTRACK_UPDATE,
    "destroy": c.NFNLGRP_CONNTRACK_DESTROY,
    "exp_new": c.NFNLGRP_CONNTRACK_EXP_NEW,
    "exp_update": c.NFNLGRP_CONNTRACK_EXP_UPDATE,
    "exp_destroy": c.NFNLGRP_CONNTRACK_EXP_DESTROY,
}
FLOW_GROUPS = ("new", "update", "destroy")
#: the receive buffer that an event stream begins with, and grows to, in bytes
RCVBUF = 4 << 20
MAX_RCVBUF = 64 << 20
#: fields that change without being news
_VOLATILE = (
    "timeout", "orig_packets", "orig_bytes", "reply_packets", "reply_bytes", "use",
    "timestamp_start", "timestamp_stop", "timestamp_event", "tcp_flags_orig", "tcp_flags_reply",
    "tcp_wscale_orig", "tcp_wscale_reply",
)  # fmt: skip
_CT_DELETE = c.ct_msg(c.IPCTNL_MSG_CT_DELETE)
_EXP_DELETE = c.exp_msg(c.IPCTNL_MSG_EXP_DELETE)


class Grow:
    """The effect "make the receive buffer `size` bytes"."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size: int = size


class Plan:
    """What a caller wants to follow, checked: numbers of groups, predicate, buffer sizes."""

    __slots__ = ("groups", "max_rcvbuf", "node", "rcvbuf", "resync")

    groups: list[int]
    node: Node | None
    resync: bool
    rcvbuf: int
    max_rcvbuf: int

    def __init__(
        self, groups: str | Iterable[str], node: Node | None, resync: bool,
        rcvbuf: int, max_rcvbuf: int,
    ) -> None:  # fmt: skip
        words = groups.replace(",", " ").split() if isinstance(groups, str) else list(groups)
        wrong = [word for word in words if word not in GROUPS]
        if wrong or not words:
            what = f"{wrong[0]!r} is none of" if wrong else "at least one is wanted of"
            raise RequestError(f"groups: {what} {', '.join(GROUPS)}")
        for name, size in (("rcvbuf", rcvbuf), ("max_rcvbuf", max_rcvbuf)):
            if not isinstance(size, int) or isinstance(size, bool) or not 0 < size < 1 << 30:
                raise RequestError(f"{name}: a number of bytes below 2**30 is wanted, not {size!r}")
        if resync and not set(FLOW_GROUPS) <= set(words):
            raise RequestError(f"groups: resync needs all of {', '.join(FLOW_GROUPS)}")
        self.groups = [GROUPS[word] for word in words]
        self.node, self.resync = node, resync
        self.rcvbuf, self.max_rcvbuf = rcvbuf, max(rcvbuf, max_rcvbuf)


def subscribe(transport: Transport, plan: Plan) -> None:
    """Joins the groups of `plan`, on a socket that is spared what nobody wants.

    To resynchronise, all events must be seen: a flow that no longer is what was asked for ends.
    """
    if plan.node is not None and not plan.resync:
        from .bpf import program

        if code := program(plan.node):
            transport.attach(code)
    transport.join(plan.groups)


def event_of(part: bytes, kind: int, flags: int) -> Event:
    """The event of one message of a multicast group."""
    if kind >> 8 == c.NFNL_SUBSYS_CTNETLINK_EXP:
        expect = Expect.from_message(part)
        return Event("DESTROY" if kind == _EXP_DELETE else _new_or_update(flags), expect)
    flow = Flow.from_message(part)
    return Event("DESTROY" if kind == _CT_DELETE else _new_or_update(flags), flow)


def _new_or_update(flags: int) -> Literal["NEW", "UPDATE"]:
    return "NEW" if flags & c.NLM_F_CREATE else "UPDATE"


def read(data: bytes, node: Node | None) -> Iterator[Event]:
    """The events of a datagram that meet `node`."""
    for pos, length, kind, flags, _ in split(data):
        if kind < c.NFNL_SUBSYS_CTNETLINK << 8:
            continue
        part = data if length == len(data) else data[pos : pos + length]
        if node is None or meets(node, find(part), part):
            yield event_of(part, kind, flags)


def follow(plan: Plan) -> Conversation:
    """Emits :class:`~pyconntrack.Event` and :class:`~pyconntrack.EventsLost`, without end."""
    yield from (_Synchronised(plan) if plan.resync else _Following(plan)).run()


class _Following:
    """Events as they come, with the gaps marked."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rcvbuf = plan.rcvbuf
        self.drops = 0  # the counter of a new socket

    def run(self) -> Conversation:
        yield from self.begin()
        while True:
            data = yield RECV
            if data is not LOST:
                yield from self.events(data)
                continue
            count = yield from self.drain()
            if count:
                yield EventsLost(count)
                yield from self.recover()

    def begin(self) -> Conversation:
        yield from ()

    def recover(self) -> Conversation:
        yield from ()

    def events(self, data: bytes) -> Iterator[Event]:
        return read(data, self.plan.node)

    def drain(self) -> Conversation:
        """Reads the queue out, so that the kernel delivers again; returns how many were lost."""
        yield from self.grow()
        size = 0
        # what came before the gap is at most a full buffer; four, for the kernel's accounting
        while size < 4 * self.rcvbuf:
            data = yield POLL
            if data is None:
                break
            if data is not LOST:
                size += len(data)
                yield from self.events(data)
        return (yield from self.lost())

    def grow(self) -> Conversation:
        if self.rcvbuf < self.plan.max_rcvbuf:
            self.rcvbuf = min(2 * self.rcvbuf, self.plan.max_rcvbuf)
            yield Grow(self.rcvbuf)

    def lost(self) -> Conversation:
        now = yield DROPS
        count, self.drops = (now - self.drops) & 0xFFFFFFFF, now
        return count


class _Entry:
    """What the consumer knows of a flow: the last `flow` it was given, and `news` (name: raw)."""

    __slots__ = ("flow", "news")

    def __init__(self, flow: Flow, news: dict[str, Any]) -> None:
        self.flow, self.news = flow, news


def _news(flow: Flow) -> dict[str, Any]:
    layout = flow._layout
    names = layout.writers.get(_news)
    if names is None:
        names = layout.writers[_news] = [
            (name, slot.offset, slot.offset + slot.size)
            for name, slot in layout.slots.items()
            if name not in _VOLATILE
        ]
    raw = flow.message
    return {name: raw[at:end] for name, at, end in names}


class _Synchronised(_Following):
    """Events, and after a loss whatever the consumer's copy of the table is wrong about.

    `copy` mirrors the consumer's copy.  `touched`: what was reported while a dump runs (None: the
    flow ended); it is newer than what the dump says.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.copy: dict[Any, _Entry] = {}
        self.comparing = False
        self.touched: dict[Any, tuple[bytes | None, dict[str, Any] | None]] = {}

    def events(self, data: bytes) -> Iterator[Event]:
        for event in read(data, None):
            flow = event.flow
            if flow is None:
                if self.plan.node is None:
                    yield event
                continue
            yield from self.reported(event, flow)

    def reported(self, event: Event, flow: Flow) -> Iterator[Event]:
        key = flow.key
        old = self.copy.get(key)
        if event.kind == "DESTROY":
            self.touch(key, flow, None)
            if old is not None and old.flow == flow:
                del self.copy[key]
                yield event
            elif old is None and self.matches(flow):
                yield event
            return
        news = _news(flow)
        self.touch(key, flow, news)
        if not self.matches(flow):
            if old is not None:  # it no longer is what was asked for
                del self.copy[key]
                yield Event("DESTROY", old.flow, synthetic=True)
            return
        if old is not None and old.flow == flow:
            old.news.update(news)
            old.flow = flow
        else:
            if old is not None:
                yield Event("DESTROY", old.flow, synthetic=True)
            self.copy[key] = _Entry(flow, news)
        yield event

    def touch(self, key: Any, flow: Flow, news: dict[str, Any] | None) -> None:
        if not self.comparing:
            return
        before = self.touched.get(key)
        if news is not None and before is not None and before[1] is not None:
            news = {**before[1], **news}
        self.touched[key] = (flow.raw("id"), news)

    def matches(self, flow: Flow) -> bool:
        return self.plan.node is None or meets(self.plan.node, flow._layout, flow.message)

    def begin(self) -> Conversation:
        yield from self.recover()

    def recover(self) -> Conversation:
        self.comparing, whole = True, False
        while not whole:
            self.touched = {}
            whole = yield from self.compare()
        self.comparing, self.touched = False, {}

    def compare(self) -> Conversation:
        """One dump against the copy; returns whether nothing disturbed it."""
        down = push_down(self.plan.node)
        wanted = dump("conntrack", down.family, down.payload)
        seq = sequence()
        flags = c.NLM_F_REQUEST | c.NLM_F_DUMP
        yield message(wanted.kind, flags, seq, wanted.family, wanted.payload)
        seen: set[Any] = set()
        whole, over = True, False
        while not over:
            data = yield RECV
            if data is LOST:
                yield from self.grow()
                count = yield from self.lost()
                if count:
                    whole = False
                    yield EventsLost(count)
                continue
            if int.from_bytes(data[8:12], sys.byteorder) != seq:
                yield from self.events(data)
                continue
            for pos, length, kind, bits, _ in split(data):
                if bits & c.NLM_F_DUMP_INTR:
                    whole = False
                if kind in (c.NLMSG_DONE, c.NLMSG_ERROR):
                    over = True
                    code = read_errno(data, pos, length)
                    if code == _ENOBUFS:
                        whole = False
                    elif code:
                        words = read_ext_ack(data, pos, length, bits, kind == c.NLMSG_DONE)
                        raise kernel_error(code, "resynchronising", words)
                else:
                    flow = Flow.from_message(data[pos : pos + length])
                    yield from self.dumped(flow, seen)
        if whole:
            for key in [key for key in self.copy if key not in seen and key not in self.touched]:
                yield Event("DESTROY", self.copy.pop(key).flow, synthetic=True)
        return whole

    def dumped(self, flow: Flow, seen: set[Any]) -> Iterator[Event]:
        if flow.dying or not self.matches(flow):
            return  # its end was reported, or will be
        key = flow.key
        news = _news(flow)
        touched = self.touched.get(key)
        if touched is not None:
            number, newer = touched
            if newer is None or number != flow.raw("id"):
                return
            news.update(newer)
        seen.add(key)
        old = self.copy.get(key)
        if old is not None and old.flow != flow:
            del self.copy[key]
            yield Event("DESTROY", old.flow, synthetic=True)
            old = None
        if old is None:
            self.copy[key] = _Entry(flow, news)
            yield Event("NEW", flow, synthetic=True)
        elif old.news != news:
            if touched is not None:
                flow = _overlay(flow, old.flow)
            old.flow, old.news = flow, news
            yield Event("UPDATE", flow, synthetic=True)


_ENOBUFS = 105


def _overlay(flow: Flow, newer: Flow) -> Flow:
    """`flow` with the fields that `newer` carries."""
    values = {**flow._values(), **newer._values()}
    return Flow.from_raw(values, flow.family)
