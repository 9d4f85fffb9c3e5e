"""Check a large file in two processes, each reading one half.

The second half's batches wait in a temporary file that both have open, a summary (how many
creations, which warnings) in shared memory.  If the second process does not finish, because of a
wrong line or lack of space, the first one does its work again, and reports.
"""

from __future__ import annotations

import _signal
import marshal
import os
import stat

from .. import thresholds
from .restore_file import BadLine, CheckedFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

    from .progress import Progress

#: bytes that are searched for the end of a line, and of the summary
_LOOK = 64 << 10


def check(file: IO[bytes], progress: Progress | None = None) -> list[tuple[int, CheckedFile]]:
    """Return the checked parts of a file, each after the number of lines before it.

    ``progress`` counts the bytes that this process checks.  Raises BadLine.
    """
    fd = file.fileno()
    cut, end = _division(fd)
    first = CheckedFile(progress)
    if progress is not None:
        progress.total = cut or end
    second = _SecondProcess(_Range(fd, cut, end)) if cut else None
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
    """Return the offsets where the second half begins (0: it does not pay) and ends (0: of a
    pipe)."""
    info = os.fstat(fd)
    regular = stat.S_ISREG(info.st_mode)
    if not regular or os.lseek(fd, 0, os.SEEK_CUR) or info.st_size < thresholds.HALVED_BYTES:
        return 0, info.st_size * regular
    from ..netlink.driver import worth_it  # not needed for short files

    if not worth_it():
        return 0, info.st_size
    middle = info.st_size // 2
    newline = os.pread(fd, _LOOK, middle).find(b"\n")
    return (middle + newline + 1 if newline >= 0 else 0), info.st_size


class _Range:
    """A part of a file as a source of lines."""

    __slots__ = ("_at", "_end", "_fd")

    def __init__(self, fd: int, begin: int, end: int) -> None:
        self._fd, self._at, self._end = fd, begin, end

    def read(self, size: int, /) -> bytes:
        """Return ``size`` bytes, or fewer only at the end."""
        data = os.pread(self._fd, min(size, self._end - self._at), self._at)
        self._at += len(data)
        return data


class _SecondProcess:
    """The process that checks the second half, ``part``."""

    __slots__ = ("_checked", "_part", "_pid", "_summary")

    def __init__(self, part: _Range) -> None:
        from mmap import mmap  # not needed for short files
        from tempfile import TemporaryFile

        self._part, self._pid = part, 0
        self._summary = mmap(-1, _LOOK)
        self._checked = CheckedFile()
        try:
            self._checked.spool = TemporaryFile()  # noqa: SIM115 - lives with it
            self._pid = os.fork()
        except OSError:
            return  # a limit of processes or files: slower, the same batches
        if not self._pid:
            try:
                self._checked.warns = False
                self._checked.read(part)
                self._checked.spool.flush()
                summary = self._checked.creations, [*self._checked.warned]
                self._summary.write(marshal.dumps(summary))
                os._exit(0)
            finally:
                os._exit(1)

    def wait(self, lines: int, first: CheckedFile) -> CheckedFile:
        """Return the checked half, which begins after ``lines`` lines; raise BadLine.

        ``first``, the first half, prints the warnings of both.
        """
        pid, self._pid = self._pid, 0
        if pid and os.waitpid(pid, 0)[1] == 0:
            self._checked.creations, warnings = marshal.loads(self._summary)
            first.warn(warnings)
        else:
            self.end()
            self._checked = CheckedFile()
            self._checked.warned = first.warned
            try:
                self._checked.read(self._part)
            except BadLine as bad:
                raise BadLine(lines + bad.number, bad.error) from None
        return self._checked

    def end(self) -> None:
        """End the process; its half is discarded."""
        if self._pid:
            os.kill(self._pid, _signal.SIGKILL)
            os.waitpid(self._pid, 0)
        self._checked.spool.close()
