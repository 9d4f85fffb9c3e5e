"""Run a command line: parse it, run its verb, report any failure as one line and an exit code.

The entries that a listing, an update or a deletion selects are a subset of all entries, and the
kernel walks its whole table to find either.  So the request for all entries of a small table is
sent first; parsing, and most of the imports, happen meanwhile.  A wrong guess at the command line
costs only the walk: a dump changes nothing.  A verb's module is imported only when it runs.

Exit codes: 0 done, 2 wrong command line, 1 anything else.  A signal that interrupts ends the
program as it ends others, so that a shell's loop ends, too: 128 and its number.
"""

from __future__ import annotations

import _signal
import errno
import os
import sys

from ..errors import ConntrackError, KernelError
from .console import (
    BY_SIGNAL,
    Output,
    OutputError,
    UsageError,
    complain,
    failure,
    of_system,
    refuse,
    version_line,
    warn,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from ..netlink.socket import Transport
    from .interrupts import Interrupts
    from .parser import Command
    from .source import Entries

#: the first words of command lines that begin with a dump of the flows
_LISTS, _CHANGES = ("-L", "--dump"), ("-D", "--delete", "-U", "--update")
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


def main(argv: list[str] | None = None) -> int:
    """Run one command line (default: ``sys.argv``); return the exit code."""
    _guard_standard_streams()
    arguments = sys.argv[1:] if argv is None else argv
    early = None
    try:
        early = asked(arguments)
        return run(arguments, early)
    except KeyboardInterrupt:
        return BY_SIGNAL + int(_signal.SIGINT)  # before anything was begun
    finally:
        if early is not None:
            early.close()


def asked(arguments: Sequence[str]) -> Entries | None:
    """Request all flows; return None if there are many, or for any other command.

    With ``--explain`` a command's requests are those that it sends without.
    """
    words = [word for word in arguments if word != "--explain"]
    if not words or words[0] not in _LISTS + _CHANGES:
        return None
    if len(words) > 1 and not words[1].startswith("-"):  # it may be another table
        return None
    if words[0] in _LISTS and any(map(_may_be_zero, words)):  # another request, which resets
        return None
    if any(word.startswith("--netns") for word in arguments):
        return None
    from ..thresholds import FEW_CHANGED, FEW_LISTED, SMALL
    from .source import Entries, table_size

    if table_size() >= SMALL:
        return None
    from ..ctnetlink import requests as ask

    try:
        return Entries(ask.dump(), FEW_LISTED if words[0] in _LISTS else FEW_CHANGED)
    except ConntrackError:
        return None  # the error is reported when it recurs


def _may_be_zero(word: str) -> bool:
    """Return whether ``word`` may be ``-z``, by itself or in a bundle, or ``--zero``."""
    return word.startswith("--ze" if word.startswith("--") else "-") and "z" in word


def run(arguments: list[str], early: Entries | None) -> int:
    """Run one command line; return the exit code.  ``early``: see :func:`asked`."""
    out, command = Output(), None
    runner = Runner(out, early)
    try:
        word = arguments[0] if arguments else ""
        if (word and not word.startswith("-")) or word == "--completions":
            from . import subcommands

            code = _guarded(out, lambda: subcommands.run(out, word, arguments[1:]))
        else:
            command = _parsed(arguments)
            code = _guarded(out, lambda: runner.run(command), command)
        out.flush()
    except UsageError as error:
        return refuse(error)
    except OutputError as error:
        complain(str(error))
        return 1
    except BrokenPipeError:
        return 1
    finally:
        runner.close()
    return code


def _parsed(arguments: list[str]) -> Command:
    """Return the command of a command line, its warnings printed."""
    from .parser import parse

    try:
        command = parse(arguments)
    except UsageError as error:
        for line in error.warnings:
            warn(line)
        raise
    for line in command.warnings:
        warn(line)
    return command


class Runner:
    """One run of the program: its socket and its output.

    ``early``: all flows of a small table, already requested.
    """

    def __init__(self, out: Output, early: Entries | None = None) -> None:
        self.out = out
        self.early = early
        self.quiet = False  # true within -R: no summaries
        self._transport: Transport | None = None
        self._interrupts: Interrupts | None = None

    @property
    def transport(self) -> Transport:
        """Return the socket; the first call opens it."""
        if self._transport is None:
            from ..netlink.socket import Transport

            self._transport = Transport()
        return self._transport

    @property
    def interrupts(self) -> Interrupts:
        """Return the handler of signals, for all changes; the first call installs it."""
        if self._interrupts is None:
            from .interrupts import Interrupts

            self._interrupts = Interrupts()
        return self._interrupts

    def close(self) -> None:
        """Return the handling of signals to the caller."""
        if self._interrupts is not None:
            self._interrupts.close()

    def run(self, command: Command) -> int:
        """Run ``command``; return its exit code."""
        if command.verb == "version":
            self.out.write(f"{version_line()}\n".encode())
            return 0
        if command.verb == "help":
            from . import help

            self.out.write(help.asked(command).encode())
            return 0
        if "netns" in command.opts:
            enter(command.opts["netns"])
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


def enter(text: str) -> None:
    """Move the program into the network namespace that --netns names.

    A number is a process, unless a namespace has it for its name.
    """
    from ..netlink import netns

    if not text:
        raise UsageError("--netns: a name in /run/netns, a process id or a path is expected")
    process = text.isdecimal() and not os.path.lexists(f"{netns.NAMED}/{text}")
    try:
        netns.enter(int(text) if process else text)
    except KernelError as error:
        raise ConntrackError(f"--netns: {_no_namespace(text, error.errno, process)}") from None


def _no_namespace(text: str, number: int, process: bool) -> str:
    """Return why a network namespace cannot be entered, by the errno ``number``."""
    if number == errno.EINVAL:
        return f"`{text}' is no network namespace"
    if number == errno.EPERM:
        return "sorry, you must be root or get CAP_SYS_ADMIN capability to enter a namespace"
    if number not in (errno.ENOENT, errno.ENOTDIR):
        return f"`{text}': {os.strerror(number)}"
    if process:
        return f"there is no process {text}"
    from ..escape import meant
    from ..netlink import netns

    try:
        names = [] if "/" in text else os.listdir(netns.NAMED)
    except OSError:
        names = []
    return f"there is no network namespace `{text}'{meant(text, names) if names else ''}"


def _guarded(out: Output, action: Callable[[], int], command: Command | None = None) -> int:
    """Run ``action``; report an expected error in one line, and let any other propagate.

    ``command``: the command that it is, for the words of the error.
    """
    verb, table = (command.verb, command.table) if command else ("", "")
    if verb != "event":
        # a reader that closes the pipe ends the program quietly, as it ends any other
        _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    try:
        return action()
    except (OutputError, BrokenPipeError):
        raise
    except BaseException as error:
        out.flush()  # completed work is reported even after an error
        if isinstance(error, UsageError):
            return refuse(error)
        if isinstance(error, KernelError):
            complain(failure(error.errno, error.reason, verb=verb, table=table))
        elif isinstance(error, ConntrackError):
            complain(str(error))
        elif isinstance(error, KeyboardInterrupt):
            complain("interrupted")
            return BY_SIGNAL + int(getattr(error, "number", _signal.SIGINT))
        elif isinstance(error, OSError):
            complain(of_system(error))
        else:
            raise
        return 1


def run_program() -> NoReturn:
    """Run the program to its end, and leave the cleanup to the kernel.

    All output is written by then; finalizing the interpreter would cost a short command a tenth of
    its time.  An unexpected error is also reported in one line; with ``PYCONNTRACK_DEBUG`` set in
    the environment Python's traceback is printed before it.
    """
    # the threads of numpy's linear algebra, which are not needed, would spin
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    debug = bool(os.environ.get("PYCONNTRACK_DEBUG"))
    if not debug:
        sys.unraisablehook = bool  # a generator that fails to close, for want of memory, is silent
    code = 1
    try:
        code = main()
    except BaseException as error:
        try:
            _report(error, debug)
        except MemoryError:
            os.write(2, b"conntrack: not enough memory\n")
    finally:
        if code > BY_SIGNAL:
            _signal.signal(code - BY_SIGNAL, _signal.SIG_DFL)
            os.kill(os.getpid(), code - BY_SIGNAL)
        os._exit(code)


def _report(error: BaseException, debug: bool) -> None:
    if debug:
        sys.excepthook(type(error), error, error.__traceback__)
    if isinstance(error, MemoryError):
        error.__traceback__ = error.__context__ = None  # frees the memory of the work
        complain("not enough memory")
    elif isinstance(error, OSError):
        complain(of_system(error))
    else:
        what = f"{type(error).__name__}: {error}"
        complain(f"internal error: {what} (please report it; PYCONNTRACK_DEBUG=1 shows where)")


def _guard_standard_streams() -> None:
    """Prevent a socket from getting the descriptor of a closed standard stream."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # opened for reading only: writing fails with EBADF, as on the closed stream
            os.open("/dev/null", os.O_RDONLY if number else os.O_WRONLY)
