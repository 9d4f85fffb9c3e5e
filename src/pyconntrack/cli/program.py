"""Run a command line: parse it, run its verb, report any failure as one line and an exit code.

A verb's module is imported only when it runs.  Exit codes: 0 done, 2 wrong command line, 1
anything else.
"""

from __future__ import annotations

import _signal

from ..errors import ConntrackError, KernelError
from ..netlink.socket import Transport
from .console import Output, OutputError, UsageError, complain, failure, program, version_line, warn
from .parser import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .parser import Command
    from .source import Entries

#: module and function of each verb
_FLOWS = {
    "list": ("list", "show"), "get": ("single", "get"), "create": ("single", "create"),
    "add": ("single", "add"), "update": ("update", "update"), "delete": ("delete", "delete"),
    "flush": ("single", "flush"), "count": ("counters", "count"), "stats": ("counters", "stats"),
    "event": ("events", "watch"), "load": ("restore", "load"),
}  # fmt: skip
_EXPECT = {
    **_FLOWS, "get": ("single", "get_expect"), "create": ("single", "create_expect"),
    "delete": ("single", "delete_expect"), "flush": ("single", "flush_expect"),
    "count": ("counters", "count_expect"),
}  # fmt: skip


def run(arguments: list[str], early: Entries | None) -> int:
    """Run one command line; return the exit code.  ``early``: see :func:`.main.asked`."""
    try:
        command = parse(arguments)
    except UsageError as error:
        for line in error.warnings:
            warn(line)
        complain(error.message, hint=error.hint)
        return error.code
    for line in command.warnings:
        warn(line)
    out, code = Output(), 0
    try:
        if command.verb == "version":
            out.write(f"{version_line()}\n".encode())
        elif command.verb == "help":
            from .help import text

            out.write(text(program(), command.proto).encode())
        else:
            code = _guarded(Runner(out, early), command)
        out.flush()
    except OutputError as error:
        complain(str(error))
        return 1
    except BrokenPipeError:
        return 1
    return code


class Runner:
    """One run of the program: its socket and its output.

    ``early``: all flows of a small table, already requested.
    """

    def __init__(self, out: Output, early: Entries | None = None) -> None:
        self.out = out
        self.early = early
        self.quiet = False  # true within -R: no summaries
        self._transport: Transport | None = None

    @property
    def transport(self) -> Transport:
        """Return the socket; the first call opens it."""
        if self._transport is None:
            self._transport = Transport()
        return self._transport

    def run(self, command: Command) -> int:
        """Run ``command``; return its exit code."""
        table = _EXPECT if command.table == "expect" else _FLOWS
        name, function = table[command.verb]
        if "explain" in command.opts:
            name = function = "explain"
        module = __import__(f"{__package__}.commands.{name}", fromlist=[function])
        code: int = getattr(module, function)(self, command)
        return code

    def summary(self, count: int, what: str) -> None:
        """Print the closing line: after the output on a terminal, before it elsewhere."""
        if self.quiet:
            return
        if self.out.terminal:
            self.out.flush()
        complain(f"{count} {what}.")


def _guarded(runner: Runner, command: Command) -> int:
    """Run ``command``; report an expected error in one line, and let any other propagate."""
    if command.verb != "event":
        # a reader that closes the pipe ends the program quietly, as it ends any other
        _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    try:
        return runner.run(command)
    except (OutputError, BrokenPipeError):
        raise
    except BaseException as error:
        runner.out.flush()  # completed work is reported even after an error
        if isinstance(error, UsageError):
            complain(error.message, hint=error.hint)
            return error.code
        if isinstance(error, KernelError):
            verb, table = command.verb, command.table
            complain(failure(error.errno or 0, error.ext_ack, verb=verb, table=table))
        elif isinstance(error, ConntrackError):
            complain(str(error))
        elif isinstance(error, KeyboardInterrupt):
            complain("interrupted")
        elif isinstance(error, OSError):
            complain(f"{error.filename or 'system'}: {error.strerror}")
        else:
            raise
        return 1
