"""-R: the commands of a file, one a line.

Owns reading, checking before anything is sent, and the report of what failed where.  The check
encodes the creations into a spool of ready batches, which spills to disk, so that memory does not
grow with the file; the other commands run in their place between the batches.  A message's
sequence number is its line number.  Files too large for one block are encoded by :mod:`.blocks`.
"""

from __future__ import annotations

import os
import sys
from struct import Struct

from .. import request as ask
from ..driver import call
from ..errors import ConntrackError, KernelError
from ..session import BATCH_BYTES, BATCH_MESSAGES, sent, with_ack
from ..transport import Transport
from ..wire.consts import NLM_F_REQUEST
from ..wire.frame import message
from .build import flow_values
from .out import complain, failure, say
from .parse import UsageError, parse
from .progress import Progress
from .select import predicate
from .shapes import Shapes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from .blocks import Blocks
    from .parse import Command
    from .run import Runner

#: bytes of encoded messages kept in memory before they spill to a temporary file
_SPOOL = 32 << 20
#: bytes read at once; a larger file is worth importing numpy
_BLOCK = 512 << 10
#: before each batch or command of the spool: its size, its last or only line, whether a command
_STEP = Struct("=II?")
#: an error answer takes 832 bytes of receive memory; a batch of them must fit
_RCVBUF = 4 << 20


def load(runner: Runner, command: Command) -> int:
    """Checks the whole file, then runs it; every failing line is reported, and exit 1 then."""
    name = str(command.opts["load_file"])
    with Checked() as checked:
        try:
            with _open(name) as file:
                checked.read(file)
        except _BadLine as bad:
            text = f"line {bad.number}: {bad.error.message} (nothing was loaded)"
            complain(text, hint=bad.error.hint)
            return bad.error.code
        except UsageError as error:
            complain(error.message, hint=error.hint)
            return error.code
        if command.opts.get("dry_run"):
            complain(f"{checked.creations} flow entries would be loaded (nothing was changed).")
            return 0
        return _run(runner, checked, Progress("progress" in command.opts, "lines loaded"))


class _BadLine(Exception):
    def __init__(self, number: int, error: UsageError) -> None:
        self.number, self.error = number, error


def _open(name: str) -> IO[bytes]:
    if name == "-":
        return open(0, "rb", closefd=False)
    try:
        return open(name, "rb")
    except OSError as error:
        if isinstance(error, IsADirectoryError):
            raise UsageError(f"Failed to open file {name} for reading: a directory") from None
        raise UsageError(f"Failed to open file {name} for reading") from None


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

    def __init__(self) -> None:
        from tempfile import SpooledTemporaryFile

        self.creations = 0
        self.spool: IO[bytes] = SpooledTemporaryFile(_SPOOL)  # noqa: SIM115 - lives with us
        self._shapes = {"-I": Shapes(), "-A": Shapes()}
        self._parts: list[bytes] = []
        self._size = 0
        self._last = 0
        self._warned: set[str] = set()

    def __enter__(self) -> Checked:
        return self

    def __exit__(self, *_: object) -> None:
        self.spool.close()

    def read(self, file: IO[bytes]) -> None:
        """Checks and keeps all lines; raises :class:`_BadLine`."""
        data = file.read(_BLOCK)
        blocks = self._blocks() if len(data) == _BLOCK else None
        if blocks is None:
            for number, raw in enumerate(_each_line(data, file), 1):
                self.add(number, raw)
            self.flush()
            return
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
            blocks.add(number, _lines(rest))

    def _blocks(self) -> Blocks | None:
        # numpy's linear algebra would start a thread for each processor
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        try:
            from .blocks import Blocks, keep_memory
        except ImportError:
            return None  # no numpy: line by line, to the same messages
        keep_memory()
        return Blocks(self._encode, self._write, self._command)

    def add(self, number: int, raw: bytes) -> None:
        """Checks and keeps one line; raises :class:`_BadLine`."""
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
        """One line's message, or its words if it is another command; raises :class:`_BadLine`."""
        line = raw.decode("utf-8", "surrogateescape").rstrip("\r\n").lstrip(" \t")
        if not line or line[0] == "#":
            return None
        try:
            if line[0] == "{":
                return self._json(number, line)
            return self._parsed(number, line)
        except UsageError as error:
            self._warn(error.warnings)
            raise _BadLine(number, error) from None
        except ConntrackError as error:
            raise _BadLine(number, UsageError(str(error))) from None

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
        self._warn(command.warnings)
        if command.verb not in ("create", "add") or command.table != "conntrack":
            if "where" in command.opts:
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

    def _warn(self, warnings: list[str]) -> None:
        for line in warnings:
            if line not in self._warned:
                self._warned.add(line)
                say(line + "\n")

    def flush(self) -> None:
        """Ends the batch at hand."""
        if self._parts:
            self._parts[-1] = with_ack(self._parts[-1])
            self._write(b"".join(self._parts), self._last, len(self._parts))
            self._parts.clear()
            self._size = 0

    def _write(self, batch: bytes | memoryview, last: int, count: int) -> None:
        self.creations += count
        self.spool.write(_STEP.pack(len(batch), last, False))
        self.spool.write(batch)

    def _command(self, number: int, parts: list[str]) -> None:
        data = "\n".join(parts).encode("utf-8", "surrogateescape")
        self.spool.write(_STEP.pack(len(data), number, True))
        self.spool.write(data)

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


def _each_line(data: bytes, file: IO[bytes]) -> Iterator[bytes]:
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


def _run(runner: Runner, checked: Checked, progress: Progress) -> int:
    failed = 0
    last = 0
    transport = Transport(rcvbuf=_RCVBUF)
    runner.quiet = True
    for number, what in checked.steps():
        progress.add(number - last)
        last = number
        if isinstance(what, bytes):
            for bad in call(transport, sent(what, number)):
                complain(f"line {bad.index}: {failure(bad.errno, bad.ext_ack)}")
                failed += 1
            continue
        try:
            runner.run(parse(what, in_file=True))
        except KernelError as error:
            complain(f"line {number}: {failure(error.errno or 0, error.ext_ack)}")
            failed += 1
    progress.close()
    return 1 if failed else 0
