"""Conversations with the kernel, without I/O: generators that the drivers run.

A conversation yields bytes to be sent, and :data:`RECV` to be given the next datagram; a stream
also yields items for its caller (a :class:`Batch` of a dump).  The return value is the result.
They are composed by ``yield from``, and run by :mod:`.driver`, which blocks, or by
:mod:`pyconntrack.client.listener`, which does not.
"""

from __future__ import annotations

import os
import sys
from struct import Struct

from ..errors import DecodeError, DumpInterruptedError, kernel_error, reason
from .constants import (
    NLM_F_ACK,
    NLM_F_ACK_TLVS,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_MULTI,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSG_HDRLEN,
)
from .messages import read_errno, read_ext_ack, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from typing import Any, Final, Literal, Protocol, TypeVar

    from ..errors import KernelError

    E = TypeVar("E")
    T = TypeVar("T")
    Effect = bytes | Literal["recv"]
    #: it sends and receives; its result is a ``T``
    Conversation = Generator[Effect, bytes, T]
    #: a conversation that emits each ``E`` to its caller
    Stream = Generator[Effect | E, bytes, T]

    class Request(Protocol):
        """A message that lacks its sequence number."""

        def message(self, seq: int, flags: int = 0, /) -> bytes:
            """Return the message with number ``seq`` and ``flags`` in addition to its own."""

        def attribute_at(self, offset: int | None, /) -> str | None:
            """Return the name of the attribute at ``offset`` of the message, None if unknown."""


#: the effect "give me the next datagram"
RECV: Final = "recv"
#: limits of one send: 64 to 1,024 messages are equally fast, and 256 errors fit the receive buffer
BATCH_MESSAGES = 256
#: messages of a send that are each answered with an entry.  The kernel answers all before it
#: returns, and an answer takes up to a page of the receive buffer (netlink_trim()): the default one
#: of 212,992 bytes has room for 46 at least
BATCH_ANSWERED = 32
BATCH_BYTES = 128 * 1024

_DONE = Struct("=HHI")
#: the further flags that the message may carry
_VARIANTS = (0, NLM_F_DUMP_INTR, NLM_F_ACK_TLVS, NLM_F_DUMP_INTR | NLM_F_ACK_TLVS)
_LAST = {kind.to_bytes(2, sys.byteorder) for kind in (NLMSG_ERROR, NLMSG_DONE)}
_DONE_TAIL = 256


class Batch:
    """A part of a dump: the messages in ``data[:end]``, back to back, all proven to be framed."""

    __slots__ = ("data", "end")

    data: bytes
    end: int

    def __init__(self, data: bytes, end: int) -> None:
        self.data, self.end = data, end


class Failure:
    """One refused request of a batch.

    ``index``: of the request; ``errno``, ``ext_ack``: as in
    :class:`~pyconntrack.errors.KernelError`; ``offset``: of the refused attribute in the request;
    ``attribute``: its name, set by who knows the request.  Both are None if unknown.
    """

    __slots__ = ("attribute", "errno", "ext_ack", "index", "offset")

    index: int
    errno: int
    ext_ack: str
    offset: int | None
    attribute: str | None

    def __init__(
        self, index: int, errno: int, ext_ack: str = "", offset: int | None = None
    ) -> None:  # fmt: skip
        self.index, self.errno, self.ext_ack, self.offset = index, errno, ext_ack, offset
        self.attribute = None

    def of(self, index: int) -> Failure:
        """Return the same failure as that of the request ``index``."""
        other = Failure(index, self.errno, self.ext_ack, self.offset)
        other.attribute = self.attribute
        return other

    @property
    def reason(self) -> str:
        """Return what the kernel said of it, "" if nothing."""
        return reason(self.ext_ack, self.attribute)

    def error(self, operation: str, entry: Any = None) -> KernelError:
        """Return it as an error of ``operation``, with the ``entry`` concerned."""
        return kernel_error(self.errno, operation, self.ext_ack, entry, self.attribute)


def sequence() -> int:
    """Return a random first sequence number, so that no payload can imitate a frame of ours."""
    return int.from_bytes(os.urandom(4)) >> 1 | 1


def gather(batches: Iterable[Batch], size: int) -> Iterator[Batch]:
    """Join batches to windows of at least ``size`` bytes; the last may be smaller.

    If ``batches`` raises an error, what was received before is yielded first.
    """
    window = Window(size)
    try:
        for part in batches:
            yield from window.add(part)
    except Exception:
        yield from window.rest()
        raise
    yield from window.rest()


class Window:
    """The batches of one window of at least ``size`` bytes, for :func:`gather`."""

    __slots__ = ("_parts", "_size", "_wanted")

    def __init__(self, size: int) -> None:
        self._wanted = size
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: Batch) -> Iterator[Batch]:
        """Add one batch; yield the window if it is full."""
        self._parts.append(part.data[: part.end])
        self._size += part.end
        if self._size >= self._wanted:
            yield from self.rest()

    def rest(self) -> Iterator[Batch]:
        """Yield the batches added since the last full window as one, if there are any."""
        if self._parts:
            joined = Batch(b"".join(self._parts), self._size)
            self._parts, self._size = [], 0
            yield joined


def dump(
    request: Request, operation: str, *, on_interrupt: str = "raise"
) -> Stream[Batch, bool]:  # fmt: skip
    """Emit a :class:`Batch` for each datagram of a dump; return whether it was interrupted.

    ``on_interrupt``: "raise" (:class:`DumpInterruptedError`, at the end) or "accept".
    Raises :class:`~pyconntrack.errors.KernelError` if the kernel refuses.
    """
    answer = Answer(request, operation)
    while (batch := (yield from answer.next())) is not None:
        yield batch
    if answer.interrupted and on_interrupt == "raise":
        raise DumpInterruptedError(f"{operation}: the table changed meanwhile")
    return answer.interrupted


class Answer:
    """The kernel's answer to a dump ``request``, batch by batch.

    ``interrupted``: whether the table changed during the dump (NLM_F_DUMP_INTR), set at the end.
    """

    __slots__ = ("_done_at", "_operation", "_request", "_rest", "interrupted")

    def __init__(self, request: Request, operation: str) -> None:
        self._request, self._operation = request, operation
        self._done_at: DoneAt | None = None
        self._rest = b""  # the end of the dump, after the last batch
        self.interrupted: bool = False

    def next(self) -> Conversation[Batch | None]:
        """Return the next batch (a datagram), None at the end.

        The first call sends the request.  Raises :class:`~pyconntrack.errors.KernelError` after
        the last batch if the kernel refused.
        """
        if self._done_at is None:
            seq = sequence()
            self._done_at = DoneAt(seq)
            yield self._request.message(seq, NLM_F_DUMP)
        if not self._rest:
            data = yield RECV
            end = self._done_at(data)
            if end is None:
                return Batch(data, len(data))
            self._rest = data[end:]
            if end:
                return Batch(data[:end], end)
        _, length, kind, flags, _ = next(split(self._rest))
        errno = read_errno(self._rest, 0, length)
        if errno:
            ext_ack, offset = read_ext_ack(self._rest, 0, length, flags, kind == NLMSG_DONE)
            attribute = self._request.attribute_at(offset)
            raise kernel_error(errno, self._operation, ext_ack, attribute=attribute)
        self.interrupted = bool(flags & NLM_F_DUMP_INTR)
        return None

    def whole(self) -> Conversation[list[Batch]]:
        """Return all batches."""
        batches: list[Batch] = []
        while (batch := (yield from self.next())) is not None:
            batches.append(batch)
        return batches


class DoneAt:
    """Find the message that ends the dump with sequence number ``seq``.

    Only the first message and the tail are read: a DONE follows the last message of a dump, or
    comes alone, and the author of a payload cannot guess ``seq``.
    """

    __slots__ = ("_marks",)

    def __init__(self, seq: int) -> None:
        self._marks = [_DONE.pack(NLMSG_DONE, NLM_F_MULTI | flags, seq) for flags in _VARIANTS]

    def __call__(self, data: bytes | memoryview) -> int | None:
        """Return its offset in the datagram ``data``, None if it is not there.

        Raises :class:`~pyconntrack.errors.DecodeError` for a datagram without a header.
        """
        if len(data) < NLMSG_HDRLEN:
            raise DecodeError(f"a datagram of {len(data)} bytes")
        if bytes(data[4:6]) in _LAST:
            return 0
        tail = bytes(data[-_DONE_TAIL:])
        for mark in self._marks:
            at = tail.rfind(mark)
            if at >= 4:
                return len(data) - len(tail) + at - 4
        return None


def ask(request: Request, operation: str) -> Conversation[list[bytes]]:
    """Send one request; return the messages of the answer.

    Raises :class:`~pyconntrack.errors.KernelError` if the kernel refuses.
    """
    seq = sequence()
    yield request.message(seq, NLM_F_ACK)
    answers: list[bytes] = []
    while True:
        data = yield RECV
        for pos, length, kind, flags, number in split(data):
            if number != seq:
                continue  # the rest of an earlier, abandoned conversation
            if kind == NLMSG_ERROR:
                if failure := refused(data, pos, length, flags, 0):
                    failure.attribute = request.attribute_at(failure.offset)
                    raise failure.error(operation)
                return answers
            if kind == NLMSG_DONE:
                return answers
            answers.append(data[pos : pos + length])


def batch(
    requests: Sequence[Request], most: int = BATCH_MESSAGES
) -> Conversation[tuple[list[Failure], list[tuple[int, bytes]]]]:
    """Send many requests, up to ``most`` to a send; return (failures, answers).

    ``failures``: a :class:`Failure` for each refused request; ``answers``: (index, message) of
    each message in reply.  Only the last request of a send asks for an acknowledgement: the kernel
    works in order, so a request without an error by then was carried out.
    """
    failures: list[Failure] = []
    answers: list[tuple[int, bytes]] = []
    seq = sequence() & 0x3FFFFFFF
    messages = [one.message(number) for number, one in enumerate(requests, seq)]
    for data, last, _ in sends(messages, most):
        failures += yield from sent(data, last, seq, answers)
    for failure in failures:
        failure.attribute = requests[failure.index].attribute_at(failure.offset)
    return failures, answers


def refused(data: bytes, pos: int, length: int, flags: int, index: int) -> Failure | None:
    """Return the failure that an NLMSG_ERROR message reports; None for an acknowledgement."""
    errno = read_errno(data, pos, length)
    if not errno:
        return None
    return Failure(index, errno, *read_ext_ack(data, pos, length, flags, done=False))


def sends(
    messages: Sequence[bytes], most: int = BATCH_MESSAGES
) -> Iterator[tuple[bytes, int, int]]:
    """Yield (data, sequence number of the last message, number of messages) of each send.

    A send has ``most`` messages at most; the last is made to ask for an acknowledgement.
    """
    begin = 0
    while parts := [*messages[begin : begin + most]]:
        if sum(map(len, parts)) > BATCH_BYTES:  # seldom
            from itertools import accumulate, takewhile

            below = takewhile(BATCH_BYTES.__gt__, accumulate(map(len, parts)))
            del parts[len(list(below)) + 1 :]  # the message that reaches the limit is the last
        begin += len(parts)
        yield _acknowledged(parts)


def _acknowledged(parts: list[bytes]) -> tuple[bytes, int, int]:
    last = parts[-1]
    flags = int.from_bytes(last[6:8], sys.byteorder) | NLM_F_ACK
    parts[-1] = last[:6] + flags.to_bytes(2, sys.byteorder) + last[8:]
    return b"".join(parts), int.from_bytes(last[8:12], sys.byteorder), len(parts)


def sent(
    data: bytes, last: int, first: int = 0, answers: list[tuple[int, bytes]] | None = None
) -> Conversation[list[Failure]]:
    """Send ready messages in one send; return a :class:`Failure` for each refused one.

    The last message has the sequence number ``last``, and it alone asks for an acknowledgement.
    Each ``index`` is a sequence number minus ``first``.  (index, message) of each message in reply
    is added to ``answers``.
    """
    yield data
    failures: list[Failure] = []
    sentinel = False
    while not sentinel:
        answer = yield RECV
        for pos, length, kind, flags, number in split(answer):
            if not first <= number <= last:
                continue
            if kind == NLMSG_ERROR:
                if failure := refused(answer, pos, length, flags, number - first):
                    failures.append(failure)
                sentinel |= number == last
            elif answers is not None:
                answers.append((number - first, answer[pos : pos + length]))
    return failures
