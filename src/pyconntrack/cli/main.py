"""The entry point: what comes first, before the modules that read a command line are imported."""

from __future__ import annotations

import os
import sys

from .early import asked
from .out import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main(argv: list[str] | None = None) -> int:
    """Runs one command line (default: the program's own); returns the exit code."""
    _guard_standard_streams()
    arguments = sys.argv[1:] if argv is None else argv
    early = None
    try:
        early = asked(arguments)
        from .program import run

        return run(arguments, early)
    except KeyboardInterrupt:
        return 1  # so soon that nothing was begun that would need a word
    finally:
        if early is not None:
            early.close()


def run_program() -> NoReturn:
    """Run the program to its end, and leave tidying up to the kernel.

    All output is written by then; taking the interpreter apart would cost a short command a
    tenth of its time.  An error that nobody expected ends in one line, too; with
    ``PYCONNTRACK_DEBUG`` set in the environment Python's traceback stands before it.
    """
    # threads of numpy's linear algebra, which nobody asks for, would spin beside us
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    code = 1
    try:
        code = main()
    except BaseException as error:
        if os.environ.get("PYCONNTRACK_DEBUG"):
            sys.excepthook(type(error), error, error.__traceback__)
        if isinstance(error, MemoryError):
            complain("not enough memory")
        elif isinstance(error, OSError):
            complain(f"{error.filename or 'system'}: {error.strerror}")
        else:
            what = f"{type(error).__name__}: {error}"
            complain(f"internal error: {what} (please report it; PYCONNTRACK_DEBUG=1 shows where)")
    finally:
        os._exit(code)


def _guard_standard_streams() -> None:
    """A closed standard stream's number must not become our socket's."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # opened for reading only: writing fails with EBADF, as on the closed stream
            os.open("/dev/null", os.O_RDONLY if number else os.O_WRONLY)
