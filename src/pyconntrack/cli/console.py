"""The output of the command: buffered standard output; messages and progress on standard error."""

from __future__ import annotations

import errno
import os
import sys
from time import monotonic

from ..errors import CHAIN_TOO_LONG, EXPECTATIONS_FULL, TABLE_FULL
from ..escape import message
from ..version import CONNTRACK_TOOLS, VERSION

#: the second name of the program, under which it can be installed beside conntrack-tools
OWN_NAME = "pyconntrack"
#: bytes buffered before a write; large, for listings
LIMIT = 256 * 1024
#: seconds before the first line of a progress display, and between two, on a terminal and elsewhere
_FIRST, _REDRAW, _AGAIN = 1.0, 0.2, 1.0


class OutputError(Exception):
    """Standard output cannot be written; the text states the reason."""


class UsageError(Exception):
    """An invalid command line: the message, the exit code, whether to refer to the help."""

    def __init__(self, message: str, code: int = 2, *, hint: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = code == 2 if hint is None else hint
        self.warnings: list[str] = []  # lines to print before the message
        self.excerpt: list[str] = []  # lines to print after it, that show the place


class Output:
    """Standard output with its own buffer, written when full and at the end.

    On a terminal lines are written before the summary on standard error, elsewhere after it, as
    with a C program's buffer: callers take the first line of ``2>&1`` for the summary.
    """

    __slots__ = ("_parts", "_size", "terminal")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self.terminal = os.isatty(1)

    def write(self, data: bytes) -> None:
        """Add ``data``; raise :class:`OutputError` or BrokenPipeError if it cannot be written."""
        self._parts.append(data)
        self._size += len(data)
        if self._size >= LIMIT:
            self.flush()

    def flush(self) -> None:
        """Write the contents of the buffer."""
        data = memoryview(b"".join(self._parts))
        self._parts.clear()
        self._size = 0
        while data:
            try:
                data = data[os.write(1, data) :]
            except InterruptedError:
                continue
            except BlockingIOError:  # the pipe was made non-blocking elsewhere, and is full
                import select

                select.select([], [1], [])
            except BrokenPipeError:
                raise
            except OSError as error:
                raise OutputError(f"writing standard output: {error.strerror}") from None


def program() -> str:
    """Return the name that the program was invoked by."""
    name = sys.argv[0].rpartition("/")[2]
    return "conntrack" if name in ("__main__.py", "-c", "") else name


def version() -> str:
    """Return the version for the name: of the conntrack-tools it follows, or of pyconntrack."""
    return VERSION if program() == OWN_NAME else CONNTRACK_TOOLS


def version_line() -> str:
    """Return the output of ``-V``.

    As ``conntrack`` (or by any link) the program prints the version of conntrack-tools whose
    behaviour it follows, because callers check it; as ``pyconntrack`` it prints its own.
    """
    if program() == OWN_NAME:
        return f"{OWN_NAME} {VERSION}"
    return f"{program()} v{version()} (conntrack-tools) [{OWN_NAME} {VERSION}]"


def complain(text: str, *, hint: bool = False) -> None:
    """Write a one-line message to standard error, worded as by conntrack(8)."""
    name = program()
    warn(f"{name if name == OWN_NAME else f'{name} v{version()} (conntrack-tools)'}: {text}")
    if hint:
        warn(f"Try `{name} -h' or '{name} --help' for more information.")


def refuse(error: UsageError) -> int:
    """Report a wrong command line; return the exit code."""
    complain(error.message, hint=error.hint)
    for line in error.excerpt:
        warn(line)
    return error.code


def warn(line: str) -> None:
    """Write ``line`` to standard error, escaped by :func:`pyconntrack.escape.message`."""
    say(message(line) + "\n")


def say(text: str) -> None:
    """Write ``text`` to standard error unchanged; ignore a failure, as it cannot be reported."""
    try:
        os.write(2, text.encode("utf-8", "backslashreplace"))
    except OSError:
        pass


class Progress:
    """A count of entries: shows how many were done, and the rate.

    ``wanted``: --progress was given; without it progress is shown only on a terminal, and only for
    work of more than a second.  On a terminal the line is redrawn, and at the end erased unless
    ``wanted``; into a pipe or a file a line is written each second, and one at the end.
    """

    __slots__ = ("_begin", "_last", "_shown", "_terminal", "_wanted", "done", "what")

    def __init__(self, wanted: bool, what: str = "entries read", *, shared: bool = False) -> None:
        self._wanted, self.what = wanted, what
        self._terminal = os.isatty(2)
        self._begin = monotonic()
        # shared: standard output is the same terminal, so nothing is shown without --progress
        silent = not wanted and (shared or not self._terminal)
        self._last = float("inf") if silent else self._begin
        self._shown = False
        self.done = 0

    def add(self, number: int) -> None:
        """Count ``number`` more as done."""
        self.done += number
        now = monotonic()
        pause = (_REDRAW if self._shown else _FIRST) if self._terminal else _AGAIN
        if now - self._last >= pause:
            self._last = now
            self._shown = True
            self._show(now)

    def _show(self, now: float) -> None:
        rate = self.done / max(now - self._begin, 1e-3)
        text = f"{self.done:,} {self.what}, {rate:,.0f}/s"
        say(f"\r{text}\x1b[K" if self._terminal else f"{text}\n")

    def close(self) -> None:
        """Print the final count if --progress was given, else erase the line."""
        if self._wanted:
            self._show(monotonic())
            if self._terminal:
                say("\n")
        elif self._shown:
            say("\r\x1b[K")
        self._last = float("inf")


def of_system(error: OSError) -> str:
    """Return the message for a system call that failed: the file, if it has one, and the reason."""
    return f"{error.filename or 'system'}: {error.strerror}"


#: the message for each errno, as scripts expect it
_WORDS = {
    errno.EPERM: "sorry, you must be root or get CAP_NET_ADMIN capability to do this",
    errno.ENOENT: "such conntrack doesn't exist",
    errno.EEXIST: "Such conntrack exists, try -U to update",
    errno.EINVAL: "invalid parameters",
    errno.ENOMEM: "not enough memory",
    errno.EMFILE: EXPECTATIONS_FULL,
    errno.EPROTONOSUPPORT: "protocol not supported",
}


#: the same for the creation of a flow or an expectation
_CREATING = {errno.ENOMEM: f"not enough memory: {TABLE_FULL}", errno.ENOSPC: CHAIN_TOO_LONG}
_EXPECTING = {errno.ENOENT: "master conntrack not found"}


def failure(number: int, ext_ack: str = "", *, verb: str = "", table: str = "conntrack") -> str:
    """Return the message for an errno that the kernel returned to a command on ``table``."""
    words = _WORDS.get(number)
    if table == "expect" and number in (errno.ENOENT, errno.EEXIST):
        words = None
    if verb in ("create", "add"):
        words = (_EXPECTING if table == "expect" else _CREATING).get(number, words)
    text = f"Operation failed: {words or os.strerror(number)}"
    return f"{text} ({ext_ack})" if ext_ack and number not in (errno.EPERM, errno.ENOENT) else text
