"""Check a file for ``-R`` and encode its lines to messages that wait in a spool.

Creations become batches that are ready to be sent; other commands are kept in their place between
them.  The spool spills to disk, so that memory does not grow with the file.  A message's sequence
number is its line number.  Files too large for one block are encoded by
:mod:`pyconntrack.columnar.restore`.
"""

from __future__ import annotations

import sys
from io import BytesIO
from struct import Struct

from .. import thresholds
from ..columnar.availability import available
from ..ctnetlink import requests as ask
from ..errors import ConntrackError
from ..formats.templates import Shapes
from ..netlink.conversation import sends
from .attributes import flow_values
from .console import UsageError, warn
from .parser import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO, Any, Protocol

    from ..columnar.restore import Blocks
    from .progress import Progress

    #: a batch of creations or the words of a command, its last or only line, how many creations
    Step = tuple[bytes | list[str], int, int]

    class Source(Protocol):
        """A source of lines."""

        def read(self, size: int, /) -> bytes:
            """Return ``size`` bytes, or fewer only at the end."""


#: bytes of encoded messages kept in memory before they spill to a temporary file
_SPOOL = 16 << 20
#: bytes of a line at most
_LONGEST = 1 << 20
#: header of a batch or command in the spool: its size, its last or only line, how many creations
_STEP = Struct("=III")
#: encoding of the words of a command there, which keeps bytes that are not UTF-8
_CODED = "utf-8", "surrogateescape"


class BadLine(Exception):
    """Line ``number`` is wrong: ``error`` states the reason."""

    def __init__(self, number: int, error: UsageError) -> None:
        self.number, self.error = number, error


def words(line: str) -> list[str]:
    """Split a line into words at blanks outside double quotes.

    A line may begin with ``conntrack``, as a command line does.  Raises UsageError.
    """
    if '"' not in line:
        found = line.split()
        return found[1:] if found[:1] == ["conntrack"] and len(found) > 1 else found
    out: list[str] = []
    word: str | None = None
    quoted = False
    for char in line:
        if char == '"':
            quoted = not quoted
            word = word or ""
        elif char in " \t" and not quoted:
            if word is not None:
                out.append(word)
            word = None
        else:
            word = (word or "") + char
    if quoted:
        raise UsageError('a double quote (") is not closed')
    if word is not None:
        out.append(word)
    return out[1:] if out[0] == "conntrack" and len(out) > 1 else out


def _takes_all(raw: bytes) -> bool:
    """Return whether the line ``raw`` deletes or updates all entries."""
    if not raw.lstrip().startswith((b"-D", b"-U", b"--d", b"--u", b"conntrack")):
        return False
    from .filters import predicate

    command = parse(words(raw.decode()), in_file=True)
    return command.verb in ("delete", "update") and predicate(command) is None


class CheckedFile:
    """A checked file: batches of creations in a spool, other commands between them.

    ``progress`` counts the bytes that were checked.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self.creations = 0
        self._progress = progress
        self.spool: IO[bytes] = BytesIO()
        self._shapes = Shapes(self._trial)
        #: warnings, once each, in order; whether they are printed at once
        self.warned: dict[str, None] = {}
        self.warns = True

    def __enter__(self) -> CheckedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.spool.close()

    def read(self, file: Source) -> int:
        """Check and keep all lines; return their number.  Raises :class:`BadLine`.

        An invalid last line without a newline was cut off: it is skipped with a warning, so that
        the lines before it can be loaded.  One that selects every entry may have lost its filter,
        and is an error.
        """
        number, rest = 1, b""
        blocks = None
        while data := file.read(thresholds.RESTORED_BLOCK):
            if number == 1 and not rest and len(data) == thresholds.RESTORED_BLOCK:
                blocks = self._blocks()
            whole, newline, tail = data.rpartition(b"\n")
            if len(rest) + (data.find(b"\n") if newline else len(data)) > _LONGEST:
                text = f"the line is longer than {_LONGEST:,} bytes"
                raise BadLine(number, UsageError(text, hint=False))
            if newline:
                number += self._lines(number, rest + whole + newline, blocks)
                rest = tail
            else:
                rest += data
            if self._progress is not None:
                self._progress.add(len(data))
        if rest:
            try:
                self._keep(self._steps(number, rest, [None]))
            except BadLine as bad:
                cut = "WARNING: the last line is cut off (no newline ends it) and is passed over: "
                self.warn([cut + bad.error.message])
            else:
                if _takes_all(rest):
                    text = "no newline ends the last line: cut off, it would mean every entry"
                    raise BadLine(number, UsageError(text, hint=False))
            number += 1
        return number - 1

    def _lines(self, number: int, data: bytes, blocks: Blocks | None) -> int:
        """Check and keep whole lines, the first being line ``number``; return their number."""
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")  # from other systems
        count = data.count(b"\n")
        if blocks is None or number == 1:
            begin = len(data)
            if blocks is not None:  # the first lines of a large file give the shapes of the rest
                begin = data.find(b"\n", thresholds.RESTORED_FIRST) + 1 or begin
            lines = data.count(b"\n", 0, begin)
            self._keep(self._steps(number, data[:begin], [None] * lines))
            number += lines
            data = data[begin:]
        if blocks is not None and data:
            self._keep(self._steps(number, data, blocks.encode(number, data)))
        return count

    def _blocks(self) -> Blocks | None:
        if not available():
            return None
        from ..columnar.restore import Blocks, keep_memory

        keep_memory()
        return Blocks(self._shapes)

    def _steps(self, number: int, data: bytes, messages: list[Any]) -> Iterator[Step]:
        """Yield the steps of lines, the first being line ``number``; raise :class:`BadLine`.

        ``messages``: the message of each line; None for one that is to be encoded by itself.
        """
        commands = []
        if None in messages:
            for at, raw in enumerate(data.split(b"\n")[: len(messages)]):
                if messages[at] is None:
                    messages[at] = self._encode(number + at, raw)
                    if isinstance(messages[at], list):
                        commands.append(at)
        begin = 0
        for at in commands:
            yield from sends([*filter(None, messages[begin:at])])
            yield messages[at], number + at, 0
            begin = at + 1
        yield from sends([*filter(None, messages[begin:])])

    def _encode(self, number: int, raw: bytes) -> bytes | list[str] | None:
        """Return one line's message, or its words if it is another command; raise
        :class:`BadLine`."""
        raw = raw.rstrip(b"\r\n").lstrip(b" \t")
        if not raw or raw.startswith(b"#"):
            return None
        try:
            line = raw.decode()
            if "\0" in line:
                raise UsageError(f"a NUL byte (column {line.index(chr(0)) + 1})", hint=False)
            known = self._shapes.encode(line, number.to_bytes(4, sys.byteorder))
            return self._read(number, line, self.warn) if known is None else known
        except UsageError as error:
            self.warn(error.warnings)
            raise BadLine(number, error) from None
        except UnicodeDecodeError as error:
            text = f"not UTF-8: {error.reason} (byte {error.start + 1})"
            raise BadLine(number, UsageError(text, hint=False)) from None
        except (ConntrackError, UnicodeEncodeError) as error:
            raise BadLine(number, UsageError(str(error), hint=False)) from None

    def _read(self, number: int, line: str, warn: Callable[[list[str]], None]) -> bytes | list[str]:
        """Return a line's message or words; raise UsageError or ConntrackError."""
        if line[0] == "{":
            from .ndjson import request_of

            request = request_of(line)
            warn(request.warnings)
        else:
            parts = words(line)
            command = parse(parts, in_file=True)
            warn(command.warnings)
            if command.verb not in ("create", "add") or command.table != "conntrack":
                if "where" in command.opts:
                    from .filters import predicate

                    predicate(command)  # a wrong expression must be found before anything is sent
                return parts
            values, family = flow_values(command)
            request = (ask.create if command.verb == "create" else ask.add)(values, family)
        return request.message(number)

    def _trial(self, line: str) -> bytes | None:
        """Return the message of a line made up to learn a template, or None."""
        try:
            found = self._read(0, line, lambda _: None)
        except (UsageError, ConntrackError):
            return None
        return found if isinstance(found, bytes) else None

    def warn(self, warnings: list[str]) -> None:
        """Print the warnings that were not printed before."""
        for line in warnings:
            if line not in self.warned:
                self.warned[line] = None
                if self.warns:
                    warn(line)

    def _keep(self, steps: Iterable[Step]) -> None:
        for what, number, count in steps:
            data = "\n".join(what).encode(*_CODED) if isinstance(what, list) else what
            self.creations += count
            self.spool.write(_STEP.pack(len(data), number, count))
            self.spool.write(data)
            if isinstance(self.spool, BytesIO) and self.spool.tell() > _SPOOL:
                from tempfile import TemporaryFile  # whose import takes longer than a short file

                kept, self.spool = self.spool, TemporaryFile()  # noqa: SIM115 - lives with us
                self.spool.write(kept.getbuffer())

    def steps(self) -> Iterator[tuple[int, bytes | list[str], int]]:
        """Yield the kept steps in order: (last line number, a batch, how many creations) or
        (line number, words, 0)."""
        self.spool.seek(0)
        while head := self.spool.read(_STEP.size):
            size, number, count = _STEP.unpack(head)
            data = self.spool.read(size)
            yield number, data if count else data.decode(*_CODED).split("\n"), count
