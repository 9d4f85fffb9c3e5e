"""The check of a large file in two processes, each of a half.

The second half's batches wait in a temporary file that both have open, the rest (counts, warnings,
the first wrong line) comes through a pipe.
"""

from __future__ import annotations

import _signal
import marshal
import os
import stat

from ..errors import ConntrackError
from .checked import BadLine, Checked
from .parse import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

    #: a line's number, what is wrong with it, the exit code, whether to point at the help
    _Wrong = tuple[int, str, int, bool]

#: bytes from which a second process pays for itself: a tenth of a second's work
WORTH = 8 << 20
_LOOK = 64 << 10


def check(file: IO[bytes]) -> list[tuple[int, Checked]]:
    """The checked parts of a file, and behind how many lines each begins; raises BadLine."""
    fd = file.fileno()
    cut, end = _division(fd)
    second = _second(fd, cut, end) if cut else None
    first = Checked()
    try:
        if second is None:
            first.read(file)
            return [(0, first)]
        lines = first.read(_Range(fd, 0, cut))
        return [(0, first), (lines, second.wait(lines, first))]
    except BaseException:
        first.spool.close()
        if second is not None:
            second.end()
        raise


def _division(fd: int) -> tuple[int, int]:
    """Where the second half begins (0: it is not worth it), and where it ends."""
    info = os.fstat(fd)
    regular = stat.S_ISREG(info.st_mode)
    if not regular or os.lseek(fd, 0, os.SEEK_CUR) or info.st_size < WORTH:
        return 0, 0
    from ..receiver import worth_it  # short files have no need of it

    if not worth_it():
        return 0, 0
    middle = info.st_size // 2
    newline = os.pread(fd, _LOOK, middle).find(b"\n")
    return (middle + newline + 1 if newline >= 0 else 0), info.st_size


def _second(fd: int, begin: int, end: int) -> _Second | None:
    try:
        return _Second(fd, begin, end)
    except OSError:
        return None  # a limit of processes or files: slower, the same batches


class _Range:
    """A part of a file, to be read."""

    __slots__ = ("_at", "_end", "_fd")

    def __init__(self, fd: int, begin: int, end: int) -> None:
        self._fd, self._at, self._end = fd, begin, end

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, and fewer only before the end."""
        data = os.pread(self._fd, min(size, self._end - self._at), self._at)
        self._at += len(data)
        return data


class _Second:
    """The process that checks the second half."""

    __slots__ = ("_checked", "_pid", "_pipe")

    def __init__(self, fd: int, begin: int, end: int) -> None:
        from tempfile import TemporaryFile

        self._checked = Checked(TemporaryFile())  # noqa: SIM115 - lives with it
        out, into = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            os.close(out)
            os.close(into)
            self._checked.spool.close()
            raise
        if self._pid:
            os.close(into)
            self._pipe = open(out, "rb")  # noqa: SIM115 - lives with it
            return
        code = 1
        try:
            told = marshal.dumps(self._check(_Range(fd, begin, end)))
            with open(into, "wb") as pipe:
                pipe.write(told)
            code = 0
        finally:
            os._exit(code)

    def _check(self, part: _Range) -> tuple[int, list[str], _Wrong | None, int]:
        checked, wrong, errno = self._checked, None, 0
        checked.warns = False
        try:
            checked.read(part)
            checked.spool.flush()
        except BadLine as bad:
            wrong = bad.number, bad.error.message, bad.error.code, bad.error.hint
        except OSError as error:  # the disk is full
            errno = error.errno or 0
        return checked.creations, list(checked.warned), wrong, errno

    def wait(self, lines: int, first: Checked) -> Checked:
        """The checked half, `lines` behind the first, which warns for both; raises BadLine."""
        told = self._pipe.read()
        os.waitpid(self._pid, 0)
        self._pid = 0
        self._pipe.close()
        if not told:
            raise ConntrackError("the process that checked the second half of the file ended early")
        self._checked.creations, warnings, wrong, errno = marshal.loads(told)
        if errno:
            raise OSError(errno, os.strerror(errno))
        first.warn(warnings)
        if wrong is not None:
            number, message, code, hint = wrong
            raise BadLine(lines + number, UsageError(message, code, hint=hint))
        return self._checked

    def end(self) -> None:
        """Ends the process, whose half is of no use."""
        if self._pid:
            os.kill(self._pid, _signal.SIGKILL)
            os.waitpid(self._pid, 0)
        self._pipe.close()
        self._checked.spool.close()
