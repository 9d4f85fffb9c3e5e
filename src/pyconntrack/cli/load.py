"""-R: the commands of a file, one a line.

Owns reading, checking before anything is sent, and the report of what failed where.  The check
encodes the creations into a spool of ready batches, which spills to disk, so that memory does not
grow with the file; the other commands run in their place between the batches.  A message's
sequence number is its line number.
"""

from __future__ import annotations

import sys

from .. import request as ask
from ..driver import call
from ..errors import ConntrackError, KernelError
from ..session import BATCH_BYTES, BATCH_MESSAGES, sent, with_ack
from ..transport import Transport
from ..wire.consts import NLM_F_REQUEST
from ..wire.frame import message
from .build import flow_values
from .out import complain, failure
from .parse import UsageError, parse
from .shapes import Shapes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from .parse import Command
    from .run import Runner

#: bytes of encoded messages kept in memory before they spill to a temporary file
_SPOOL = 32 << 20
#: an error answer takes 832 bytes of receive memory; a batch of them must fit
_RCVBUF = 4 << 20


def load(runner: Runner, command: Command) -> int:
    """Checks the whole file, then runs it; every failing line is reported, and exit 1 then."""
    name = str(command.opts["load_file"])
    checked = Checked()
    dry = bool(command.opts.get("dry_run"))
    try:
        with _open(name) as file:
            for number, line in _lines(file):
                checked.add(number, line)
    except _BadLine as bad:
        text = f"line {bad.number}: {bad.error.message} (nothing was loaded)"
        complain(text, hint=bad.error.hint)
        return bad.error.code
    except UsageError as error:
        complain(error.message, hint=error.hint)
        return error.code
    checked.flush()
    if dry:
        complain(f"{checked.creations} flow entries would be loaded (nothing was changed).")
        return 0
    return _run(runner, checked)


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


def _lines(file: IO[bytes]) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(file, 1):
        line = raw.decode("utf-8", "surrogateescape").rstrip("\r\n").lstrip(" \t")
        if line and line[0] != "#":
            yield number, line


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
        #: (bytes, last sequence number) of a batch, or (line number, words) of a command
        self.steps: list[tuple[int, int | list[str]]] = []
        self.spool: IO[bytes] = SpooledTemporaryFile(_SPOOL)
        self._shapes = {"-I": Shapes(), "-A": Shapes()}
        self._parts: list[bytes] = []
        self._size = 0
        self._last = 0

    def add(self, number: int, line: str) -> None:
        """Checks and keeps one line; raises :class:`_BadLine`."""
        if line[0] == "{":
            self._add_json(number, line)
            return
        try:
            parts = words(line)
        except UsageError as error:
            raise _BadLine(number, error) from None
        shapes = self._shapes.get(parts[0]) if line.isascii() else None
        rest = parts[1:]
        if shapes is not None:
            encoded = shapes.encode(rest, number.to_bytes(4, sys.byteorder))
            if encoded is not None:
                self._keep(number, encoded)
                return
        try:
            command = parse(parts, in_file=True)
        except UsageError as error:
            raise _BadLine(number, error) from None
        if command.verb not in ("create", "add") or command.table != "conntrack":
            self.flush()
            self.steps.append((number, parts))
            return
        self._create(number, command)
        if shapes is not None:
            shapes.learn(rest, command)

    def _create(self, number: int, command: Command) -> None:
        try:
            values, family = flow_values(command)
            request = ask.create(values, family, exclusive=command.verb == "create")
        except ConntrackError as error:
            raise _BadLine(number, UsageError(str(error))) from None
        flags = request.flags | NLM_F_REQUEST
        self._keep(number, message(request.kind, flags, number, family, request.payload))

    def _add_json(self, number: int, line: str) -> None:
        from .ndjson import request_of

        try:
            request = request_of(line)
        except ConntrackError as error:
            raise _BadLine(number, UsageError(str(error))) from None
        flags = request.flags | NLM_F_REQUEST
        self._keep(number, message(request.kind, flags, number, request.family, request.payload))

    def _keep(self, number: int, encoded: bytes) -> None:
        self.creations += 1
        self._parts.append(encoded)
        self._size += len(encoded)
        self._last = number
        if len(self._parts) >= BATCH_MESSAGES or self._size >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Ends the batch at hand."""
        if self._parts:
            self._parts[-1] = with_ack(self._parts[-1])
            self.spool.write(b"".join(self._parts))
            self.steps.append((self._size, self._last))
            self._parts.clear()
            self._size = 0


def _run(runner: Runner, checked: Checked) -> int:
    failed = 0
    transport = Transport(rcvbuf=_RCVBUF)
    runner.quiet = True
    checked.spool.seek(0)
    for size, what in checked.steps:
        if isinstance(what, int):
            for bad in call(transport, sent(checked.spool.read(size), what)):
                complain(f"line {bad.index}: {failure(bad.errno, bad.ext_ack)}")
                failed += 1
            continue
        try:
            runner.run(parse(what, in_file=True))
        except KernelError as error:
            complain(f"line {size}: {failure(error.errno or 0, error.ext_ack)}")
            failed += 1
    return 1 if failed else 0
