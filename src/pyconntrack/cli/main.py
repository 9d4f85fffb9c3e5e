"""The entry point: what comes first, before the modules that read a command line are imported."""

from __future__ import annotations

import os
import sys

from .early import asked

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
    """The whole life of the program: it ends here, and leaves tidying up to the kernel.

    All output is written by then; taking the interpreter apart would cost a short command a
    tenth of its time.
    """
    os._exit(main())


def _guard_standard_streams() -> None:
    """A closed standard stream's number must not become our socket's."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # opened for reading only: writing fails with EBADF, as on the closed stream
            os.open("/dev/null", os.O_RDONLY if number else os.O_WRONLY)
