"""A whole command line: parse, run, and turn every failure into one line and an exit code.

Exit codes: 0 done, 2 wrong command line, 1 anything else.
"""

from __future__ import annotations

import _signal

from ..errors import ConntrackError, KernelError
from .out import Output, OutputError, complain, failure, program, version_line, warn
from .parse import UsageError, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .parse import Command
    from .source import Entries


def run(arguments: list[str], early: Entries | None) -> int:
    """Runs one command line; the exit code.  `early`: see :mod:`.early`."""
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
            code = _run(command, out, early)
        out.flush()
    except OutputError as error:
        complain(str(error))
        return 1
    except BrokenPipeError:
        return 1
    return code


def _run(command: Command, out: Output, early: Entries | None) -> int:
    from .run import Runner

    if command.verb != "event":
        # a reader that has seen enough ends us quietly, as it ends any program
        _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    try:
        return Runner(out, early).run(command)
    except (OutputError, BrokenPipeError):
        raise
    except BaseException as error:
        out.flush()  # what was done is told, whatever went wrong then
        return _failed(error, command)


def _failed(error: BaseException, command: Command) -> int:
    """Say in one line what went wrong; the exit code.  Raises what it has no words for."""
    if isinstance(error, UsageError):
        complain(error.message, hint=error.hint)
        return error.code
    if isinstance(error, KernelError):
        expect = command.verb if command.table == "expect" else ""
        complain(failure(error.errno or 0, error.ext_ack, expect=expect))
    elif isinstance(error, ConntrackError):
        complain(str(error))
    elif isinstance(error, KeyboardInterrupt):
        complain("interrupted")
    elif isinstance(error, OSError):
        complain(f"{error.filename or 'system'}: {error.strerror}")
    else:
        raise error
    return 1
