"""Verbs: a parsed command to a conversation with the kernel and a writer.

Owns what each command does and which summary it prints.  Parsing is :mod:`.parse`'s, formats are
:mod:`pyconntrack.output`'s, loading of files is :mod:`.load`'s, events are :mod:`.watch`'s.
"""

from __future__ import annotations

import errno

from .. import request as ask
from ..driver import call, stream
from ..errors import KernelError
from ..filter import bind, push_down
from ..layout import find
from ..output.writer import Scalar
from ..session import ask as converse
from ..session import dump
from ..transport import Transport
from ..wire.frame import split
from .build import expect_tuple, expect_values, flow_tuple, flow_values
from .document import Document, writer_of
from .out import Output, complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..filter import Node
    from ..layout import Layout
    from ..request import Request
    from .parse import Command

class Runner:
    """One run of the program: its socket, its output, and how many entries each verb met."""

    def __init__(self, out: Output) -> None:
        self.out = out
        self.quiet = False  # within -R there are no summaries
        self._transport: Transport | None = None

    @property
    def transport(self) -> Transport:
        """The socket, opened when first asked for."""
        if self._transport is None:
            self._transport = Transport()
        return self._transport

    def run(self, command: Command) -> int:
        """Runs `command`; its exit code."""
        if "explain" in command.opts:
            from .explain import explain

            return explain(self, command)
        table = _EXPECT if command.table == "expect" else _FLOWS
        return table[command.verb](self, command)

    def summary(self, count: int, what: str) -> None:
        """The closing line, behind or before the output as a terminal or a pipe wants it."""
        if self.quiet:
            return
        if self.out.terminal:
            self.out.flush()
        complain(f"{count} {what}.")

    def messages(self, command: Command, node: Node | None) -> Iterator[tuple[Layout, bytes]]:
        """The entries of a table that `node` says yes to."""
        down = push_down(node)
        request = ask.dump(command.table, down.family, down.payload)
        for part in stream(self.transport, dump(request, "listing", on_interrupt="accept")):
            for pos, length, _, _, _ in split(part.data[: part.end]):
                message = part.data[pos : pos + length]
                layout = find(message)
                test = True if node is None else bind(node, layout)
                if test is True or (test and test(layout.unpack(message))):
                    yield layout, message


def _one(runner: Runner, command: Command, request: Request, what: str) -> int:
    document = Document(runner.out, writer_of(command))
    scalar = Scalar(document.writer, None)
    for message in call(runner.transport, converse(request, "looking up")):
        if "id" in command.opts and not _has_id(message, command.opts["id"]):
            continue
        line = scalar.line(message)
        if line is not None:
            document.add(line)
    document.close()
    runner.summary(document.count, f"{what} have been shown")
    return 0 if document.count else 1


def _has_id(message: bytes, number: int) -> bool:
    layout = find(message)
    return "id" in layout.slots and layout.values(message)["id"] == number


def get(runner: Runner, command: Command) -> int:
    """-G of a flow."""
    return _one(runner, command, ask.get(*flow_tuple(command)), "flow entries")


def get_expect(runner: Runner, command: Command) -> int:
    """-G of an expectation."""
    return _one(runner, command, ask.expect_get(*expect_tuple(command)), "expectations")


def create(runner: Runner, command: Command) -> int:
    """-I: a new flow."""
    call(runner.transport, converse(ask.create(*flow_values(command)), "creating"))
    runner.summary(1, "flow entries have been created")
    return 0


def add(runner: Runner, command: Command) -> int:
    """-A: a new flow; one that exists stays as it is, and is no error."""
    added = 1
    try:
        call(runner.transport, converse(ask.add(*flow_values(command)), "adding"))
    except KernelError as error:
        if error.errno != errno.EEXIST:
            raise
        added = 0
    runner.summary(added, "flow entries have been added")
    return 0


def create_expect(runner: Runner, command: Command) -> int:
    """-I of an expectation."""
    call(runner.transport, converse(ask.expect_create(*expect_values(command)), "creating"))
    return 0


def delete_expect(runner: Runner, command: Command) -> int:
    """-D of an expectation."""
    call(runner.transport, converse(ask.expect_delete(*expect_tuple(command)), "deleting"))
    runner.summary(1, "expectations have been deleted")
    return 0


def flush(runner: Runner, command: Command) -> int:
    """-F: empties the table."""
    if "undo" in command.opts or "dry_run" in command.opts:
        from .change import flush as run

        return run(runner, command)
    call(runner.transport, converse(ask.flush(command.family), "flushing"))
    complain("connection tracking table has been emptied.")
    return 0


def flush_expect(runner: Runner, command: Command) -> int:
    """-F of expectations."""
    call(runner.transport, converse(ask.expect_flush(command.family), "flushing"))
    complain("expectation table has been emptied.")
    return 0


def count(runner: Runner, command: Command) -> int:
    """-C: the number of flows."""
    try:
        messages = call(runner.transport, converse(ask.stats_global(), "counting"))
    except KernelError:
        with open("/proc/sys/net/netfilter/nf_conntrack_count", "rb") as file:
            runner.out.write(file.read())
        raise
    for message in messages:
        _print_count(runner, command, find(message).values(message)["entries"])
    return 0


def _print_count(runner: Runner, command: Command, number: int) -> None:
    if command.output:
        from ..output.json import SCHEMA

        schema = f'"schema":"{SCHEMA}",' if "json" in command.output else ""
        runner.out.write(f'{{{schema}"count":{number}}}\n'.encode())
    else:
        runner.out.write(b"%d\n" % number)


def count_expect(runner: Runner, command: Command) -> int:
    """-C of expectations."""
    number = sum(1 for _ in runner.messages(command, None))
    _print_count(runner, command, number)
    return 0


_STATS = (
    ("found", "found"), ("invalid", "invalid"), ("insert", "insert"),
    ("insert_failed", "insert_failed"), ("drop", "drop"), ("early_drop", "early_drop"),
    ("error", "error"), ("search_restart", "search_restart"), ("clash_resolve", "clash_resolve"),
    ("chain_toolong", "chaintoolong"),
)  # fmt: skip
_STATS_EXPECT = (("new", "exp_new"), ("create", "exp_create"), ("delete", "exp_delete"))


def stats(runner: Runner, command: Command) -> int:
    """-S: the kernel's counters, a line per CPU."""
    expect = command.table == "expect"
    request = ask.stats_exp_cpu() if expect else ask.stats_cpu()
    words = _STATS_EXPECT if expect else _STATS
    lines = []
    try:
        parts = list(stream(runner.transport, dump(request, "reading statistics")))
    except KernelError:
        if not expect:
            runner.out.write(_stats_of_proc())
        raise
    for part in parts:
        for pos, length, _, _, _ in split(part.data[: part.end]):
            message = part.data[pos : pos + length]
            values = find(message).values(message)
            cpu = int.from_bytes(message[18:20])
            if command.output:
                numbers = "".join(f',"{name}":{value}' for name, value in values.items())
                lines.append(f'{{"cpu":{cpu}{numbers}}}')
                continue
            cells = " ".join(f"{word}={values[name]}" for name, word in words if name in values)
            lines.append(f"cpu={cpu:<4}\t{cells} \n")
    if "json" in command.output:
        from ..output.json import FOOT, head

        runner.out.write(head("stats") + "\n,".join(lines).encode() + b"\n" + FOOT)
    else:
        # NDJSON lines lack their newline, the classic ones bring it
        runner.out.write(("\n" if command.output else "").join([*lines, ""]).encode())
    return 0


def _stats_of_proc() -> bytes:
    """The counters for those who may not ask the kernel: a table in hexadecimal, a line a CPU."""
    with open("/proc/net/stat/nf_conntrack") as file:
        names = file.readline().split()
        lines = []
        for cpu, line in enumerate(file):
            cells = zip(names, line.split(), strict=False)
            text = " ".join(f"{name}={int(value, 16)}" for name, value in cells)
            lines.append(f"cpu={cpu:<4}\t{text} \n")
    return "".join(lines).encode()


def show(runner: Runner, command: Command) -> int:
    """-L: all entries that match."""
    from .listing import show as run

    return run(runner, command)


def delete(runner: Runner, command: Command) -> int:
    """-D: deletes all flows that match."""
    from .change import delete as run

    return run(runner, command)


def update(runner: Runner, command: Command) -> int:
    """-U: changes all flows that match."""
    from .change import update as run

    return run(runner, command)


def watch(runner: Runner, command: Command) -> int:
    """-E: events, until a signal or a closed pipe."""
    from .watch import watch as run

    return run(runner, command)


def load(runner: Runner, command: Command) -> int:
    """-R: the commands of a file."""
    from .load import load as run

    return run(runner, command)


_FLOWS: dict[str, Callable[[Runner, Command], int]] = {
    "list": show, "get": get, "create": create, "add": add, "update": update, "delete": delete,
    "flush": flush, "count": count, "stats": stats, "event": watch, "load": load,
}  # fmt: skip
_EXPECT: dict[str, Callable[[Runner, Command], int]] = {
    **_FLOWS, "get": get_expect, "create": create_expect, "delete": delete_expect,
    "flush": flush_expect, "count": count_expect,
}  # fmt: skip
