"""Event streams of the library: events as values, and the consumer's copy of the table.

To resynchronise, the table is dumped over a second socket, so that dump and events do not share a
receive buffer.  Their order is known as far as needed: when a part of the dump has been read, all
events from before the kernel made it wait in the event socket, and are read before the part is
used.  An event reported since the dump began counts as newer than the dump.  If it was older, a
later event corrects that, as the kernel reports a change after making it.  This holds as long as
no event is lost.  So a pass is whole if no ENOBUFS was raised, the dump was not interrupted, and
the drop counter did not move from before the dump until all that waited at its end has been read.
Any other pass is repeated.
"""

from __future__ import annotations

import sys

from ..ctnetlink import constants as c
from ..ctnetlink.event_stream import FLOW_GROUPS, GROUPS, EventStream, messages
from ..ctnetlink.layout import find
from ..ctnetlink.pushdown import push_down
from ..ctnetlink.requests import dump
from ..errors import RequestError, check_flag, none_of
from ..escape import shown
from ..model import Event, Expect, Flow, decode, meets
from ..netlink.conversation import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from ..ctnetlink.event_stream import Watch
    from ..ctnetlink.predicates import Node

#: the receive buffer of an event stream in bytes, at first and at most
RCVBUF = 4 << 20
MAX_RCVBUF = 64 << 20
#: fields whose change alone makes no synthetic event
_VOLATILE = (
    "timeout", "orig_packets", "orig_bytes", "reply_packets", "reply_bytes", "use",
    "timestamp_start", "timestamp_stop", "timestamp_event", "tcp_flags_orig", "tcp_flags_reply",
    "tcp_wscale_orig", "tcp_wscale_reply",
)  # fmt: skip


class Plan:
    """The checked arguments of an event stream: group numbers, predicate, buffer sizes."""

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
        if not hasattr(groups, "__iter__"):
            raise RequestError(f"groups: words are wanted, not {shown(groups)}")
        words = groups.replace(",", " ").split() if isinstance(groups, str) else list(groups)
        for word in words:
            if not isinstance(word, str) or word not in GROUPS:
                raise none_of("groups", word, GROUPS)
        if not words:
            raise RequestError(f"groups: at least one is wanted of {', '.join(GROUPS)}")
        check_flag("resync", resync)
        for name, size in (("rcvbuf", rcvbuf), ("max_rcvbuf", max_rcvbuf)):
            if not isinstance(size, int) or isinstance(size, bool) or not 0 < size < 1 << 30:
                raise RequestError(f"{name}: a number of bytes below 2**30 is wanted, "
                                   f"not {shown(size)}")  # fmt: skip
        if resync and not set(FLOW_GROUPS) <= set(words):
            raise RequestError(f"groups: resync needs all of {', '.join(FLOW_GROUPS)}")
        self.groups = [GROUPS[word] for word in words]
        self.node, self.resync = node, resync
        self.rcvbuf, self.max_rcvbuf = rcvbuf, max(rcvbuf, max_rcvbuf)

    @property
    def spared(self) -> Node | None:
        """Return the predicate by which the kernel may withhold events.

        None to resynchronise, as all events are needed: a flow that no longer matches must end.
        """
        return None if self.resync else self.node

    def follow(self) -> Watch[Any, None]:
        """Emit :class:`~pyconntrack.Event` and :class:`~pyconntrack.EventsLost`."""
        if self.resync:
            return _Synchronised(self).run()
        stream = EventStream(
            lambda data: read(data, self.node), self.rcvbuf, self.max_rcvbuf,
            exact=self.node is None,
        )  # fmt: skip
        return stream.run()


def read(data: bytes, node: Node | None) -> Iterator[Event]:
    """Yield the events of a datagram that match ``node``."""
    for message, kind in messages(data):
        if node is None or meets(node, find(message), message):
            subsystem = int.from_bytes(message[4:6], sys.byteorder) >> 8
            entry = Expect if subsystem == c.NFNL_SUBSYS_CTNETLINK_EXP else Flow
            yield Event(kind, entry.from_message(message))


class _Entry:
    """The consumer's copy of a flow: the last ``flow`` it received; ``news``: name -> raw value."""

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


class _Synchronised(EventStream):
    """Events, and after a loss synthetic ones that correct the consumer's copy of the table.

    ``copy`` mirrors the consumer's copy.  ``touched``: what was reported during a dump (None: the
    flow ended), which is newer than the dump.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(self.events, plan.rcvbuf, plan.max_rcvbuf, exact=plan.node is None)
        self.plan = plan
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
        if event.kind == "destroy":
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
            if old is not None:  # it no longer matches
                del self.copy[key]
                yield Event("destroy", old.flow, synthetic=True)
            return
        if old is not None and old.flow == flow:
            old.news.update(news)
            old.flow = flow
        else:
            if old is not None:
                yield Event("destroy", old.flow, synthetic=True)
            self.copy[key] = _Entry(flow, news)
        yield event

    def touch(self, key: Any, flow: Flow, news: dict[str, Any] | None) -> None:
        if not self.comparing:
            return
        before = self.touched.get(key)
        if before is not None and before[1] is not None:
            if news is None and before[0] != flow.raw("id"):
                return  # a late event of an earlier flow of this tuple
            if news is not None:
                news = {**before[1], **news}
        self.touched[key] = (flow.raw("id"), news)

    def matches(self, flow: Flow) -> bool:
        return self.plan.node is None or meets(self.plan.node, flow._layout, flow.message)

    def begin(self) -> Watch[Any, None]:
        yield from self.recover()

    def recover(self) -> Watch[Any, None]:
        self.comparing, whole = True, False
        while not whole:
            self.touched = {}
            whole = yield from self.compare()
        self.comparing, self.touched = False, {}

    def compare(self) -> Watch[Any, bool]:
        """Compare one dump with the copy; return whether it was whole."""
        down = push_down(self.plan.node)
        answer = Answer(dump("conntrack", down.family, down.payload), "resynchronising")
        seen: set[Any] = set()
        lost = False
        while (batch := (yield from answer.next())) is not None:
            lost |= yield from self.settle(self.waiting())
            for flow in decode(Flow, batch.data, batch.end):
                yield from self.dumped(flow, seen)
        lost |= yield from self.settle(self.waiting())
        if lost or answer.interrupted:
            return False
        alive = {key for key, (_, news) in self.touched.items() if news is not None}
        for key in [key for key in self.copy if key not in seen and key not in alive]:
            yield Event("destroy", self.copy.pop(key).flow, synthetic=True)
        return True

    def dumped(self, flow: Flow, seen: set[Any]) -> Iterator[Event]:
        if flow.dying or not self.matches(flow):
            return  # its end was reported, or will be
        key = flow.key
        news = _news(flow)
        old = self.copy.get(key)
        touched = self.touched.get(key)
        if touched is not None:
            number, newer = touched
            if newer is not None:
                if number != flow.raw("id"):
                    return
                news.update(newer)
            elif old is None or old.flow != flow:
                return  # it ended, or its beginning is still to be reported
        seen.add(key)
        if old is not None and old.flow != flow:
            del self.copy[key]
            yield Event("destroy", old.flow, synthetic=True)
            old = None
        if old is None:
            self.copy[key] = _Entry(flow, news)
            yield Event("new", flow, synthetic=True)
        elif old.news != news:
            if touched is not None:
                flow = _overlay(flow, old.flow)
            old.flow, old.news = flow, news
            yield Event("update", flow, synthetic=True)


def _overlay(flow: Flow, newer: Flow) -> Flow:
    """Return ``flow`` with the fields that ``newer`` carries."""
    values = {**flow._values(), **newer._values()}
    return Flow.from_raw(values, flow.family_number)
