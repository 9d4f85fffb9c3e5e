"""The output of the command: buffered standard output; messages and a status line on the other."""

from __future__ import annotations

import errno
import os
import sys

from ..errors import CHAIN_TOO_LONG, EXPECTATIONS_FULL, TABLE_FULL
from ..escape import message
from ..version import CONNTRACK_TOOLS, VERSION

#: the second name of the program, under which it can be installed beside conntrack-tools
OWN_NAME = "pyconntrack"
#: bytes buffered before a write; large, for listings
LIMIT = 256 * 1024
#: exit code of a program that a signal ended, less the signal's number, as shells count it
BY_SIGNAL = 128


class OutputError(Exception):
    """Standard output cannot be written; the text states the reason."""


class UsageError(Exception):
    """An invalid command line: the message, the exit code, whether to refer to the help.

    ``classic``: the message of conntrack(8), which scripts may match, without the advice of ours;
    it is printed where standard error is no terminal.
    """

    def __init__(
        self, message: str, code: int = 2, *, hint: bool | None = None, classic: str = ""
    ) -> None:
        super().__init__(message)
        self.classic = classic or message
        self.message = message
        self.code = code
        self.hint = code == 2 if hint is None else hint
        self.warnings: list[str] = []  # lines to print before the message
        self.excerpt: list[str] = []  # lines to print after it, that show the place


class Status:
    """A line below all output on the terminal of standard error, redrawn, and erased before output.

    It fits the width of the terminal, and is drawn only while the program is in the foreground.
    """

    __slots__ = ("_length",)

    def __init__(self) -> None:
        self._length = 0  # of what is drawn

    def draw(self, text: str) -> None:
        """Show ``text`` instead of what was shown before."""
        try:
            if os.tcgetpgrp(2) != os.getpgrp():
                return
        except OSError:
            pass  # not the controlling terminal
        try:
            columns = os.get_terminal_size(2).columns or 80
        except OSError:
            return
        text = text[: columns - 1]
        self._write(f"\r{text.ljust(min(self._length, columns - 1))}")
        self._length = len(text)

    def erase(self) -> None:
        """Remove the line."""
        if self._length:
            # two more for the ^C that a terminal echoes
            length, self._length = self._length + 2, 0
            try:
                length = min(length, os.get_terminal_size(2).columns - 1)
            except OSError:
                return
            self._write("\r" + " " * length + "\r")

    @staticmethod
    def _write(text: str) -> None:
        try:
            os.write(2, text.encode())
        except OSError:
            pass


status = Status()


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
        if self.terminal:
            status.erase()
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
    complain(error.message if os.isatty(2) else error.classic, hint=error.hint)
    for line in error.excerpt:
        warn(line)
    return error.code


def warn(line: str) -> None:
    """Write ``line`` to standard error, escaped by :func:`pyconntrack.escape.message`."""
    say(message(line) + "\n")


def say(text: str) -> None:
    """Write ``text`` to standard error unchanged; ignore a failure, as it cannot be reported."""
    status.erase()
    try:
        os.write(2, text.encode("utf-8", "backslashreplace"))
    except OSError:
        pass


def quoted(path: str) -> str:
    """Return ``path`` as a word for a shell."""
    from shlex import quote

    return quote(path)


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
