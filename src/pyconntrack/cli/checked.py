"""The check of a file for ``-R``: its lines to messages that wait in a spool.

Creations become batches that are ready to be sent; other commands wait in their place between
them.  The spool spills to disk, so that memory does not grow with the file.  A message's sequence
number is its line number.  Files too large for one block are encoded by :mod:`.blocks`.

Owns reading and checking; sends nothing.
"""

from __future__ import annotations

import sys
from io import BytesIO
from struct import Struct

from .. import request as ask
from ..arrays import available
from ..errors import ConntrackError
from ..session import BATCH_BYTES, BATCH_MESSAGES, with_ack
from ..wire.consts import NLM_F_REQUEST
from ..wire.frame import message
from .build import flow_values
from .out import warn
from .parse import UsageError, parse
from .shapes import Shapes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Protocol

    from .blocks import Blocks

    class Source(Protocol):
        """What lines are read from."""

        def read(self, size: int, /) -> bytes:
            """At most `size` bytes, and fewer only before the end."""


#: bytes of encoded messages kept in memory before they spill to a temporary file
_SPOOL = 16 << 20
#: bytes read at once; a larger file is worth importing numpy
_BLOCK = 1 << 20
#: before each batch or command of the spool: its size, its last or only line, whether a command
_STEP = Struct("=II?")


class BadLine(Exception):
    """Line `number` is wrong: `error` says why."""

    def __init__(self, number: int, error: UsageError) -> None:
        self.number, self.error = number, error


def words(line: str) -> list[str]:
    """A line's words: blanks separate, double quotes hold together; raises UsageError."""
    if '"' not in line:
        return line.split()
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
    return out


class Checked:
    """A checked file: batches of creations in a spool, other commands between them."""

    def __init__(self, spool: IO[bytes] | None = None) -> None:
        self.creations = 0
        self.spool: IO[bytes] = spool or BytesIO()
        self._shapes = {"-I": Shapes(), "-A": Shapes()}
        self._parts: list[bytes] = []
        self._size = 0
        self._last = 0
        #: what was warned of, once each, in order; whether it is told at once
        self.warned: dict[str, None] = {}
        self.warns = True

    def __enter__(self) -> Checked:
        return self

    def __exit__(self, *_: object) -> None:
        self.spool.close()

    def read(self, file: Source) -> int:
        """Checks and keeps all lines; their number.  Raises :class:`BadLine`."""
        data = file.read(_BLOCK)
        blocks = self._blocks() if len(data) == _BLOCK else None
        if blocks is None:
            number = 0
            for number, raw in enumerate(_each_line(data, file), 1):
                self.add(number, raw)
            self.flush()
            return number
        number = 1
        rest = b""
        while data:
            whole, newline, tail = data.rpartition(b"\n")
            if newline:
                number += blocks.add(number, _lines(rest + whole))
                rest = tail
            else:
                rest += data
            data = file.read(_BLOCK)
        if rest:
            number += blocks.add(number, _lines(rest))
        return number - 1

    def _blocks(self) -> Blocks | None:
        if not available():
            return None
        from .blocks import Blocks, keep_memory

        keep_memory()
        return Blocks(self._encode, self._write, self._command)

    def add(self, number: int, raw: bytes) -> None:
        """Checks and keeps one line; raises :class:`BadLine`."""
        found = self._encode(number, raw)
        if isinstance(found, bytes):
            self._parts.append(found)
            self._size += len(found)
            self._last = number
            if len(self._parts) >= BATCH_MESSAGES or self._size >= BATCH_BYTES:
                self.flush()
        elif found is not None:
            self.flush()
            self._command(number, found)

    def _encode(self, number: int, raw: bytes) -> bytes | list[str] | None:
        """One line's message, or its words if it is another command; raises :class:`BadLine`."""
        line = raw.decode("utf-8", "surrogateescape").rstrip("\r\n").lstrip(" \t")
        if not line or line[0] == "#":
            return None
        try:
            if line[0] == "{":
                return self._json(number, line)
            return self._parsed(number, line)
        except UsageError as error:
            self.warn(error.warnings)
            raise BadLine(number, error) from None
        except ConntrackError as error:
            raise BadLine(number, UsageError(str(error))) from None

    def _parsed(self, number: int, line: str) -> bytes | list[str]:
        parts = words(line)
        # a quoted value may hold blanks, which inet_aton() would pass
        plain = line.isascii() and '"' not in line
        shapes = self._shapes.get(parts[0]) if plain and parts else None
        rest = parts[1:]
        if shapes is not None:
            encoded = shapes.encode(rest, number.to_bytes(4, sys.byteorder))
            if encoded is not None:
                return encoded
        command = parse(parts, in_file=True)
        self.warn(command.warnings)
        if command.verb not in ("create", "add") or command.table != "conntrack":
            if "where" in command.opts:
                from .select import predicate

                predicate(command)  # a wrong expression must be found before anything is sent
            return parts
        values, family = flow_values(command)
        request = (ask.create if command.verb == "create" else ask.add)(values, family)
        if shapes is not None:
            shapes.learn(rest, command)
        flags = request.flags | NLM_F_REQUEST
        return message(request.kind, flags, number, family, request.payload)

    def _json(self, number: int, line: str) -> bytes:
        from .ndjson import request_of

        request = request_of(line)
        flags = request.flags | NLM_F_REQUEST
        return message(request.kind, flags, number, request.family, request.payload)

    def warn(self, warnings: list[str]) -> None:
        """Tells what was not told before."""
        for line in warnings:
            if line not in self.warned:
                self.warned[line] = None
                if self.warns:
                    warn(line)

    def flush(self) -> None:
        """Ends the batch at hand."""
        if self._parts:
            self._parts[-1] = with_ack(self._parts[-1])
            self._write(b"".join(self._parts), self._last, len(self._parts))
            self._parts.clear()
            self._size = 0

    def _write(self, batch: bytes | memoryview, last: int, count: int) -> None:
        self.creations += count
        self._keep(batch, last, command=False)

    def _command(self, number: int, parts: list[str]) -> None:
        data = "\n".join(parts).encode("utf-8", "surrogateescape")
        self._keep(data, number, command=True)

    def _keep(self, data: bytes | memoryview, number: int, *, command: bool) -> None:
        self.spool.write(_STEP.pack(len(data), number, command))
        self.spool.write(data)
        if isinstance(self.spool, BytesIO) and self.spool.tell() > _SPOOL:
            from tempfile import TemporaryFile  # whose import takes longer than a short file

            kept, self.spool = self.spool, TemporaryFile()  # noqa: SIM115 - lives with us
            self.spool.write(kept.getbuffer())

    def steps(self) -> Iterator[tuple[int, bytes | list[str]]]:
        """What was kept, in order: (last line number, a batch) or (line number, words)."""
        self.spool.seek(0)
        while head := self.spool.read(_STEP.size):
            size, number, command = _STEP.unpack(head)
            data = self.spool.read(size)
            if command:
                yield number, data.decode("utf-8", "surrogateescape").split("\n")
            else:
                yield number, data


def _each_line(data: bytes, file: Source) -> Iterator[bytes]:
    """The lines of `data`, and of what follows it in `file`."""
    rest = b""
    while data:
        *lines, rest = (rest + data).split(b"\n")
        yield from lines
        data = file.read(_BLOCK)
    if rest:
        yield rest


def _lines(data: bytes) -> bytes:
    """Whole lines for :mod:`.blocks`, without the carriage returns of other systems."""
    data += b"\n"
    return data.replace(b"\r\n", b"\n") if b"\r" in data else data
