"""-E: events as they happen, until a signal or a closed pipe.

Owns the subscription, the prefix and the user space mark of an event line, and the account of
losses.  Many datagrams are read before one write; the output is flushed when a burst is drained.
"""

from __future__ import annotations

import _signal
import errno
import os
import sys
from time import sleep

from ..arrays import available
from ..errors import KernelError
from ..filter import bind
from ..layout import find
from ..output.pieces import Call, compile_line, shown
from ..transport import Transport, wait_readable
from ..wire import consts as c
from ..wire.frame import split
from .document import Document, writer_of
from .out import complain
from .select import predicate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..filter import Node
    from ..layout import Layout
    from ..output.pieces import Piece
    from ..output.writer import Writer
    from .burst import Bursts
    from .parse import Command
    from .run import Runner

_GROUPS = {
    "conntrack": {
        "NEW": c.NFNLGRP_CONNTRACK_NEW,
        "UPDATE": c.NFNLGRP_CONNTRACK_UPDATE,
        "DESTROY": c.NFNLGRP_CONNTRACK_DESTROY,
    },
    "expect": {
        "NEW": c.NFNLGRP_CONNTRACK_EXP_NEW,
        "UPDATE": c.NFNLGRP_CONNTRACK_EXP_UPDATE,
        "DESTROY": c.NFNLGRP_CONNTRACK_EXP_DESTROY,
    },
}
_PREFIX = {"new": "    [NEW] ", "update": " [UPDATE] ", "destroy": "[DESTROY] "}
#: room for bursts; the kernel charges only what waits
_RCVBUF = 64 << 20
#: datagrams waiting at once from which reading them one by one is too slow
_MANY = 256
#: seconds to let events gather when they come one by one, but fast
_NAP = 0.003


def watch(runner: Runner, command: Command) -> int:
    """Shows events until SIGINT, SIGTERM or a closed pipe; losses are told, and go on."""
    transport = Transport(rcvbuf=command.opts.get("buffer_size", _RCVBUF), blocking=False)
    if "buffer_size" in command.opts:
        complain(f"NOTICE: Netlink socket buffer size has been set to {transport.rcvbuf} bytes.")
    groups = _GROUPS["expect" if command.table == "expect" else "conntrack"]
    wanted = command.opts.get("event_mask") or set(groups)
    # a shell's background job ignores SIGINT; conntrack(8) minds it all the same
    _signal.signal(_signal.SIGINT, _signal.default_int_handler)
    _signal.signal(_signal.SIGTERM, _signal.default_int_handler)
    document = Document(runner.out, writer_of(command, events=True))
    node = predicate(command)
    lines = EventLines(document.writer, node)
    if node is not None and command.table == "conntrack":
        from ..bpf import program

        if code := program(node):
            transport.attach(code)
    transport.join(groups[word] for word in groups if word in wanted)
    reader = _Reader(transport, lines, document)
    closed = False
    try:
        while True:
            wait_readable(transport.fileno(), None)
            reader.burst()
            runner.out.flush()
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        closed = True
    if not closed:
        try:
            document.close()
            runner.out.flush()
        except BrokenPipeError:
            pass
    if reader.lost:
        complain(f"WARNING: {reader.lost} events were lost in all; try a larger --buffer-size.")
    what = "expectation" if command.table == "expect" else "flow"
    complain(f"{document.count} {what} events have been shown.")
    return 0


class _Reader:
    """Reads bursts of events into a document: one by one while they trickle, then as columns."""

    def __init__(self, transport: Transport, lines: EventLines, document: Document) -> None:
        self._transport, self._lines, self._document = transport, lines, document
        self._bursts: Bursts | None = None
        self.lost = 0

    def burst(self) -> None:
        """Reads until nothing waits, or long enough for the output to be flushed."""
        try:
            if self._bursts is None:
                if self._scalar() == _MANY:
                    self._bursts = _bursts(self._transport, self._lines)
            else:
                self._columns(self._bursts)
        except KernelError as error:
            if error.errno != errno.ENOBUFS:
                raise
            lost = self._lines.losses(self._transport)
            self.lost += lost
            complain(
                f"WARNING: the receive buffer was full: {lost} events were lost. "
                "Raise --buffer-size, or narrow the filter."
            )

    def _scalar(self) -> int:
        out: list[str] = []
        count = 0
        try:
            while count < _MANY:
                data = self._transport.recv()
                count += 1
                for pos, length, kind, flags, _ in split(data):
                    line = self._lines.line(data[pos : pos + length], kind, flags)
                    if line is not None:
                        out.append(line)
        except BlockingIOError:
            pass
        finally:
            if out:
                text = "\n".join(out) + "\n"
                self._document.raw(text.encode("utf-8", "backslashreplace"), len(out))
        return count

    def _columns(self, bursts: Bursts) -> None:
        text, count, seen = bursts.read()
        self._document.raw(text, count)
        if seen < _MANY:
            # waking for a few events each costs more than they do
            sleep(_NAP)


def _bursts(transport: Transport, lines: EventLines) -> Bursts | None:
    if not available():
        return None
    from .burst import Bursts

    return Bursts(transport.fileno(), lines)


def event_of(kind: int, flags: int) -> str:
    """new, update or destroy, by the message type and flags of an event."""
    if kind & 0xFF == c.IPCTNL_MSG_CT_DELETE:
        return "destroy"
    return "new" if flags & (c.NLM_F_CREATE | c.NLM_F_EXCL) else "update"


class EventLines:
    """Event messages to lines."""

    __slots__ = ("_drops", "marks", "node", "stamp", "writer")

    def __init__(self, writer: Writer, node: Node | None) -> None:
        self.writer, self.node = writer, node
        self.stamp = "timestamp" in writer.options
        self.marks = not writer.expect and writer.format in ("text", "save")
        self._drops = 0

    @staticmethod
    def mark(portid: int) -> str:
        """What follows an event that a process caused."""
        return _mark(portid)

    def losses(self, transport: Transport) -> int:
        """How many events were dropped since the last call."""
        before, self._drops = self._drops, transport.drops
        return self._drops - before & 0xFFFFFFFF

    def line(self, message: bytes, kind: int, flags: int) -> str | None:
        """The line of an event; None where the filter says no."""
        event = event_of(kind, flags)
        layout = find(message)
        key = (self, event)
        entry = layout.writers.get(key)
        if entry is None:
            test = True if self.node is None else bind(self.node, layout)
            entry = layout.writers[key] = (
                test,
                compile_line(self.pieces(layout, event), layout),
            )
        test, line = entry
        if test is False:
            return None
        raw = layout.struct.unpack(message)
        if test is not True and not test(raw):
            return None
        portid = int.from_bytes(message[12:16], sys.byteorder)
        text: str = line(raw)
        return text + _mark(portid) if portid and self.marks else text

    def pieces(self, layout: Layout, event: str) -> list[Piece]:
        """The pieces of an event's line, its prefix first."""
        out = self.writer.pieces(layout, event)
        if self.writer.format != "text":
            return out
        out.insert(0, _PREFIX[event])
        if self.stamp:
            from ..output.text import now

            out.insert(0, Call(now))
            if "timestamp_event" in layout.slots:
                out[0] = Call(_kernel_stamp, "timestamp_event")
        return out


def _kernel_stamp(nanoseconds: int) -> str:
    return f"[{nanoseconds // 10**9}.{nanoseconds // 1000 % 10**6:06d}]\t"


#: programs by port id; a port id that is used again belongs to the same program nearly always
_programs: dict[int, str] = {}


def _mark(portid: int) -> str:
    name = _programs.get(portid)
    if name is None:
        if len(_programs) >= 64:
            _programs.clear()
        name = _programs[portid] = _program(portid)
    return f" [USERSPACE] portid={portid}" + (f" progname={name}" if name else "")


def _program(portid: int) -> str:
    """The name of the process that holds the netlink socket `portid`; empty if it has ended."""
    try:
        with open("/proc/net/netlink") as file:
            rows = [line.split() for line in file]
        wanted = [f"socket:[{row[9]}]" for row in rows if row[1] == "12" and row[2] == str(portid)]
        # a first socket has its process's number
        pids = [str(portid), *filter(str.isdecimal, os.listdir("/proc"))] if wanted else []
    except OSError:
        return ""
    for pid in pids:
        try:
            if any(os.readlink(f"/proc/{pid}/fd/{fd}") in wanted
                   for fd in os.listdir(f"/proc/{pid}/fd")):  # fmt: skip
                with open(f"/proc/{pid}/comm", "rb") as file:
                    return shown(file.read().rstrip(b"\n"))
        except OSError:
            continue  # it ended, or is another user's
    return ""
