"""-E: events as they happen, until a signal or a closed pipe.

:mod:`pyconntrack.ctnetlink.event_stream` reads events and counts losses; this module adds the
prefix and the user space mark of an event line.  Output is flushed when nothing waits to be read.

A signal ends the subscription, not the reading: the waiting events are shown, and the last losses
are counted.  A second signal ends it at once, and so does a timeout, for a pipe that is not read.
"""

from __future__ import annotations

import _signal
import os
import select
import sys
from time import sleep

from ...client.listener import Listener, receive
from ...columnar.availability import available
from ...ctnetlink.event_stream import GROUPS, LOST, EventStream, messages
from ...errors import DecodeError, EventsLost
from ...formats.segments import shown
from ...formats.text import stamp
from ...netlink.proc import holders, sockets
from ...netlink.socket import Transport
from ...thresholds import BURST
from ..console import complain, say
from ..filters import predicate
from ..selection import Document, Formatter, Scan, formatter_of, writer_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from ...ctnetlink.layout import Layout
    from ...ctnetlink.predicates import Node
    from ...formats.registry import Writer
    from ...formats.segments import Piece
    from ...netlink.mmsg import Mmsg
    from ..main import Runner
    from ..parser import Command
    from ..selection import Selection

    Lines = tuple[bytes, int]

_PREFIX = {"new": "    [NEW] ", "update": " [UPDATE] ", "destroy": "[DESTROY] "}
#: receive buffer for bursts, in bytes; the kernel charges only what waits
_RCVBUF = 64 << 20
#: the largest receive buffer that the kernel allows (INT_MAX / 2)
_MAX_RCVBUF = (1 << 30) - 1
#: seconds to let events accumulate when they arrive singly, but fast
_NAP = 0.003
#: seconds after a signal in which waiting events are shown
_PATIENCE = 5


def watch(runner: Runner, command: Command) -> int:
    """Run -E: show events until SIGINT, SIGTERM or a closed pipe; report losses and continue."""
    signals = _Signals()
    document = Document(runner.out, writer_of(command, events=True))
    node = predicate(command)
    lines = EventLines(document.writer, node, command.opts.get("limit"))
    listener = _Events(command, lines, node)
    losses: list[EventsLost] = []
    signals.after(command.opts.get("for", 0))
    try:
        for item in _items(listener, signals, runner):
            if isinstance(item, EventsLost):
                losses.append(item)
                complain(f"WARNING: {item}. Raise --buffer-size, or narrow the filter.")
            elif isinstance(item, DecodeError):
                complain(f"WARNING: an event that cannot be read was passed over: {item}")
            else:
                document.raw(*item)
        document.close()
        runner.out.flush()
    except BrokenPipeError:
        pass
    except KeyboardInterrupt:
        signals.ignore()
        complain("WARNING: interrupted: what still waited is not shown.")
    if losses:
        complain(f"WARNING: {_number(losses)} events were lost in all; try a larger --buffer-size.")
    what = "expectation" if command.table == "expect" else "flow"
    complain(f"{document.count} {what} events have been shown.")
    return 0


def _items(listener: _Events, signals: _Signals, runner: Runner) -> Iterator[Any]:
    """Yield the items of the stream until a signal ends it; flush the output before each wait."""
    while listener.lines.left != 0:
        if signals.seen:
            listener.stop()
        try:
            item = listener.advance()
        except StopIteration:
            return
        if isinstance(item, int):
            runner.out.flush()
            signals.wait(item, listener.nap)
        elif item is not None:
            yield item


def _number(losses: list[EventsLost]) -> str:
    """Return the total number of events in ``losses``, in words."""
    total = sum(lost.count or 0 for lost in losses)
    if any(lost.count is None for lost in losses):
        return f"at least {total}" if total else "an unknown number of"
    return str(total) if all(lost.exact for lost in losses) else f"at most {total}"


class _Signals:
    """SIGINT and SIGTERM, which are recorded and end a wait; a second one interrupts."""

    def __init__(self) -> None:
        self.seen = False
        awake, wake = os.pipe()
        os.set_blocking(wake, False)
        _signal.set_wakeup_fd(wake)
        self._poll = select.poll()
        self._poll.register(awake, select.POLLIN)
        # a shell's background job ignores SIGINT; conntrack(8) handles it all the same
        self._set(self._handle)

    def after(self, seconds: int) -> None:
        """End the stream after ``seconds``, as a signal does; 0: never."""
        _signal.setitimer(_signal.ITIMER_REAL, seconds)

    def _handle(self, number: int, _: object) -> None:
        if self.seen:
            raise KeyboardInterrupt
        self.seen = True
        _signal.setitimer(_signal.ITIMER_REAL, _PATIENCE)

    def ignore(self) -> None:
        """Ignore further signals."""
        self._set(_signal.SIG_IGN)

    @staticmethod
    def _set(handler: Any) -> None:
        for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGALRM):
            _signal.signal(number, handler)

    def wait(self, fd: int, nap: float) -> None:
        """Sleep ``nap`` seconds, then wait until ``fd`` can be read or a signal arrives."""
        if not self.seen:
            sleep(nap)
        self._poll.register(fd, select.POLLIN)
        self._poll.poll()


class _Events(Listener):
    """Read events one by one while they are few, then as columns."""

    def __init__(self, command: Command, lines: EventLines, node: Node | None) -> None:
        size = max(min(command.opts.get("buffer_size", 0), _MAX_RCVBUF), _RCVBUF)
        expect = command.table == "expect"
        wanted = {word.lower() for word in command.opts.get("event_mask") or _PREFIX}
        groups = [GROUPS["exp_" * expect + word] for word in _PREFIX if word in wanted]
        self.lines = lines
        self._bursts: Bursts | None = None
        self._batch: list[bytes] = []
        self.nap = 0.0
        stream = EventStream(self._read, size, size, exact=node is None)
        super().__init__(Transport, groups, stream.run(), size, node=None if expect else node)
        if "buffer_size" in command.opts:
            size = 2 * self._transport.rcvbuf  # as the kernel reports it
            say(f"NOTICE: Netlink socket buffer size has been set to {size} bytes.\n")

    def receive(self) -> Any:
        """Return the waiting datagrams, as a burst when they arrive fast."""
        if self._bursts is not None:
            return receive(self._bursts)
        batch = self._batch
        while len(batch) < BURST and (data := super().receive()) is not None:
            if data is LOST:
                return data  # the loss came before the waiting ones
            batch.append(data)
        self._batch = []
        if len(batch) == BURST and available() and not self._transport.traced:
            from ...netlink.mmsg import Mmsg

            self._bursts = Bursts(Mmsg(self.fileno()), self.lines)
            self.nap = _NAP  # waking for a few events each costs more than they do
        return batch or None

    def _read(self, data: Any) -> Iterator[Lines | DecodeError]:
        reader = self.lines if isinstance(data, list) else self._bursts
        assert reader is not None
        return reader.read(data)


class Bursts:
    """Many events in each system call, as columns."""

    def __init__(self, mmsg: Mmsg, lines: EventLines) -> None:
        self._mmsg, self._lines = mmsg, lines
        self.recv = mmsg.recv

    def read(self, number: int) -> Iterator[Lines | DecodeError]:
        """Yield the lines of the ``number`` datagrams received, and how many lines they are.

        A datagram that cannot be read is a :class:`DecodeError` before them.
        """
        from ...columnar.events import event_lines

        lines = self._lines
        try:
            found = event_lines(self._mmsg.buffer, self._mmsg.messages(number), lines)
            yield lines.wanted(*found)
        except DecodeError:
            yield from self._lines.read(self._mmsg.datagrams(number))


class EventLines:
    """Convert event messages to lines.

    ``left``: how many more are wanted, None for all.
    """

    __slots__ = ("_scan", "left", "marks", "node", "stamp", "texts", "writer")

    def __init__(self, writer: Writer, node: Node | None, left: int | None) -> None:
        self.writer, self.node, self.left = writer, node, left
        self._scan = Scan(node)
        self.texts = {event: self._text(event) for event in _PREFIX}
        self.stamp = "timestamp" in writer.options
        self.marks = not writer.expect and writer.format in ("text", "save")

    @staticmethod
    def mark(portid: int) -> str:
        """Return the text that follows an event caused by a process."""
        name = _programs.get(portid)
        if name is None:
            if len(_programs) >= 64:
                _programs.clear()
            name = _programs[portid] = _program(portid)
        return f" [USERSPACE] portid={portid}" + (f" progname={name}" if name else "")

    def read(self, datagrams: Iterable[bytes]) -> Iterator[Lines | DecodeError]:
        """Yield the lines of the selected events, and how many lines they are.

        A datagram that cannot be read is a :class:`DecodeError` before them.
        """
        lines: list[bytes] = []
        for data in datagrams:
            try:
                for message, event in messages(data):
                    if line := self.line(message, event):
                        lines.append(line)
            except DecodeError as error:
                yield error
        if lines:
            yield self.wanted(b"".join(lines), len(lines))

    def wanted(self, lines: bytes, number: int) -> Lines:
        """Return those of ``number`` lines that are still wanted, and how many they are."""
        if self.left is None:
            return lines, number
        if number > self.left:
            number = self.left
            lines = b"".join(lines.splitlines(keepends=True)[:number])
        self.left -= number
        return lines, number

    def line(self, message: bytes, event: str) -> bytes:
        """Return the line of an event (new, update, destroy), or b"" if it is not selected."""
        chosen, _ = self._scan(message)
        if not chosen.count:
            return b""
        text = self.texts[event](chosen)
        portid = int.from_bytes(message[12:16], sys.byteorder)
        return text[:-1] + self.mark(portid).encode() + b"\n" if portid and self.marks else text

    def _text(self, event: str) -> Callable[[Selection], bytes]:
        if self.writer.table is not None:
            return formatter_of(self.writer, event)
        return Formatter(lambda layout: self.pieces(layout, event))

    def pieces(self, layout: Layout, event: str) -> list[Piece]:
        """Return the segments of an event's line, its prefix first."""
        out = self.writer.pieces(layout, event)
        if self.writer.format != "text":
            return out
        out.insert(0, _PREFIX[event])
        if self.stamp:
            out.insert(0, stamp(layout, self.writer.options))
        return out


#: programs by port id; a reused port id nearly always belongs to the same program
_programs: dict[int, str] = {}


def _program(portid: int) -> str:
    """Return the name of the process that holds netlink socket ``portid``, or "" if it ended."""
    try:
        rows = [row for row in sockets() if row.portid == portid]
    except OSError:
        return ""
    return next((shown(name) for _, name in holders(rows).values()), "")
