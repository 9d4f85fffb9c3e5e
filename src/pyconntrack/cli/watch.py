"""-E: events as they happen, until a signal or a closed pipe.

Owns the subscription, the prefix and the user space mark of an event line, and the account of
losses.  Many datagrams are read before one write; the output is flushed when a burst is drained.
"""

from __future__ import annotations

import _signal
import errno
import os
import sys

from ..errors import KernelError
from ..filter import bind
from ..layout import find
from ..transport import Transport, wait_readable
from ..wire import consts as c
from ..wire.frame import split
from .document import Document, writer_of
from .out import complain
from .select import predicate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..filter import Node
    from ..output.writer import Writer
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
#: datagrams read before what they said is written
_BURST = 1024


def watch(runner: Runner, command: Command) -> int:
    """Shows events until SIGINT, SIGTERM or a closed pipe; losses are told, and go on."""
    transport = Transport(rcvbuf=command.opts.get("buffer_size", _RCVBUF), blocking=False)
    if "buffer_size" in command.opts:
        complain(f"NOTICE: Netlink socket buffer size has been set to {transport.rcvbuf} bytes.")
    groups = _GROUPS["expect" if command.table == "expect" else "conntrack"]
    wanted = command.opts.get("event_mask") or set(groups)
    _signal.signal(_signal.SIGTERM, _signal.default_int_handler)
    document = Document(runner.out, writer_of(command, events=True))
    lines = EventLines(document.writer, predicate(command))
    transport.join(groups[word] for word in groups if word in wanted)
    closed = False
    lost = 0
    try:
        while True:
            wait_readable(transport.fileno(), None)
            lost += _burst(transport, lines, document)
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
    if lost:
        complain(f"WARNING: {lost} events were lost in all; a larger --buffer-size may help.")
    what = "expectation" if command.table == "expect" else "flow"
    complain(f"{document.count} {what} events have been shown.")
    return 0


def _burst(transport: Transport, lines: EventLines, document: Document) -> int:
    """Reads what waits, up to a limit; the number of events that the kernel dropped."""
    out: list[str] = []
    lost = 0
    for _ in range(_BURST):
        try:
            data = transport.recv()
        except BlockingIOError:
            break
        except KernelError as error:
            if error.errno != errno.ENOBUFS:
                raise
            lost = lines.losses(transport)
            complain(
                f"WARNING: the receive buffer was full: {lost} events were lost. "
                "Raise --buffer-size, or narrow the filter."
            )
            continue
        for pos, length, kind, flags, _ in split(data):
            line = lines.line(data[pos : pos + length], kind, flags)
            if line is not None:
                out.append(line)
    if out:
        text = "\n".join(out) + "\n"
        document.raw(text.encode("utf-8", "backslashreplace"), len(out))
    return lost


def event_of(kind: int, flags: int) -> str:
    """new, update or destroy, by the message type and flags of an event."""
    if kind & 0xFF == c.IPCTNL_MSG_CT_DELETE:
        return "destroy"
    return "new" if flags & (c.NLM_F_CREATE | c.NLM_F_EXCL) else "update"


class EventLines:
    """Event messages to lines."""

    __slots__ = ("_drops", "node", "stamp", "writer")

    def __init__(self, writer: Writer, node: Node | None) -> None:
        self.writer, self.node = writer, node
        self.stamp = "timestamp" in writer.options
        self._drops = 0

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
            entry = layout.writers[key] = (test, self._compile(layout, event))
        test, line = entry
        if test is False:
            return None
        raw = layout.struct.unpack(message)
        if test is not True and not test(raw):
            return None
        portid = int.from_bytes(message[12:16], sys.byteorder)
        text: str = line(raw)
        return text + _mark(portid) if portid and self.writer.format in ("text", "save") else text

    def _compile(self, layout: Any, event: str) -> Callable[[tuple[Any, ...]], str]:
        line = self.writer.line(layout, event)
        if self.writer.format != "text":
            return line
        prefix = _PREFIX[event]
        if not self.stamp:
            return lambda raw: prefix + line(raw)
        if "timestamp_event" in layout.slots:
            at = layout.names.index("timestamp_event")
            return lambda raw: _kernel_stamp(raw[at]) + prefix + line(raw)
        from ..output.text import now

        return lambda raw: now() + prefix + line(raw)


def _kernel_stamp(nanoseconds: int) -> str:
    return f"[{nanoseconds // 10**9}.{nanoseconds // 1000 % 10**6:06d}]\t"


def _mark(portid: int) -> str:
    text = f" [USERSPACE] portid={portid}"
    try:
        name = os.readlink(f"/proc/{portid}/exe").rpartition("/")[2]
    except OSError:
        return text
    return f"{text} progname={name}"
