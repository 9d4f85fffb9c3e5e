"""The entry point, which runs before the modules that read a command line are imported.

The entries that a listing, an update or a deletion selects are a subset of all entries, and the
kernel walks its whole table to find either.  So the request for all entries of a small table is
sent first; parsing, and most of the imports, happen meanwhile.  A wrong guess at the command line
costs only the walk: a dump changes nothing.
"""

from __future__ import annotations

import os
import sys

from .console import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from .source import Entries

#: the first words of command lines that begin with a dump of the flows
_LISTS, _CHANGES = ("-L", "--dump"), ("-D", "--delete", "-U", "--update")


def main(argv: list[str] | None = None) -> int:
    """Run one command line (default: ``sys.argv``); return the exit code."""
    _guard_standard_streams()
    arguments = sys.argv[1:] if argv is None else argv
    early = None
    try:
        early = asked(arguments)
        from .program import run

        return run(arguments, early)
    except KeyboardInterrupt:
        return 1  # before anything was begun that would need a message
    finally:
        if early is not None:
            early.close()


def asked(arguments: Sequence[str]) -> Entries | None:
    """Request all flows; return None if there are many, or for any other command."""
    if not arguments or arguments[0] not in _LISTS + _CHANGES:
        return None
    if len(arguments) > 1 and not arguments[1].startswith("-"):  # it may be another table
        return None
    from ..thresholds import FEW_CHANGED, FEW_LISTED, SMALL
    from .source import Entries, table_size

    if table_size() >= SMALL:
        return None
    from ..ctnetlink import requests as ask
    from ..errors import ConntrackError

    try:
        return Entries(ask.dump(), FEW_LISTED if arguments[0] in _LISTS else FEW_CHANGED)
    except ConntrackError:
        return None  # the error is reported when it recurs


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
        os._exit(code)


def _report(error: BaseException, debug: bool) -> None:
    if debug:
        sys.excepthook(type(error), error, error.__traceback__)
    if isinstance(error, MemoryError):
        error.__traceback__ = error.__context__ = None  # frees the memory of the work
        complain("not enough memory")
    elif isinstance(error, OSError):
        complain(f"{error.filename or 'system'}: {error.strerror}")
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
