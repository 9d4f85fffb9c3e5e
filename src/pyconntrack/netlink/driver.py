"""Run conversations over a socket: the interpreter that waits, for the command and the library.

:mod:`pyconntrack.client.listener` is the one that does not wait.  A dump may be received by a
thread while the caller works (:class:`Receiver`): the kernel makes a datagram of a dump when the
one before is taken, so the number received ahead bounds the age of an entry when the caller sees
it (:mod:`pyconntrack.thresholds`).  recvmsg releases the interpreter's lock, so on two cores the
kernel's work and ours overlap.
"""

from __future__ import annotations

import _thread
import os
import sys

from .conversation import RECV, DoneAt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, Protocol

    from .conversation import Conversation, E, Stream, T

    class Link(Protocol):
        """A sender and receiver of datagrams: a Transport, or a substitute."""

        def send(self, data: bytes, /) -> None:
            """Send one datagram."""

        def recv(self) -> bytes:
            """Return the next datagram."""


def stream(link: Link, conversation: Stream[E, T]) -> Generator[E, None, T]:
    """Run a conversation; yield what it emits, return its result."""
    try:
        effect: Any = next(conversation)
        while True:
            if effect is RECV:
                effect = conversation.send(link.recv())
                continue
            if isinstance(effect, bytes):
                link.send(effect)
            else:
                yield effect
            effect = next(conversation)
    except StopIteration as stop:
        result: T = stop.value
        return result


def started(link: Link, conversation: Stream[E, T]) -> Generator[E, None, T]:
    """Run a conversation as :func:`stream` does, but send its first request before returning."""
    request: Any = next(conversation)
    link.send(request)
    return stream(link, conversation)


def call(link: Link, conversation: Conversation[T]) -> T:
    """Run a conversation that emits nothing; return its result."""
    run: Generator[object, None, T] = stream(link, conversation)
    try:
        emitted = next(run)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError(f"{emitted!r} was emitted, which nobody asked for")


def worth_it() -> bool:
    """Return whether a second thread or process can run beside this one."""
    return len(os.sched_getaffinity(0)) > 1


class Receiver:
    """A link for dumps: :meth:`send` a request, then :meth:`recv` until the dump ends.

    At most ``ahead`` datagrams wait.  The thread sends, too, as the kernel walks through its whole
    table within that call if few entries match.  On one core, or if no thread can be started,
    sending and receiving are done by the caller's thread.
    """

    __slots__ = ("_ahead", "_closed", "_ended", "_link", "_news", "_room", "_threaded",
                 "_waiting")  # fmt: skip

    def __init__(self, link: Link, ahead: int) -> None:
        self._link, self._ahead = link, ahead
        self._waiting: list[bytes | BaseException] = []
        self._closed = self._threaded = False
        #: unlocked: there is news, there is room again, there is no thread.  Each of the first two
        #: is released by one side and acquired by the other, which then checks for itself
        self._news, self._room, self._ended = (_thread.allocate_lock() for _ in range(3))

    def send(self, data: bytes) -> None:
        """Send the request of a dump and begin to receive; the last dump must have ended."""
        done_at = DoneAt(int.from_bytes(data[8:12], sys.byteorder))
        if worth_it():
            begun = _thread.allocate_lock()
            begun.acquire()
            self._ended.acquire()
            try:
                _thread.start_new_thread(self._run, (data, done_at, begun))
            except RuntimeError:  # a limit of processes
                self._ended.release()
            else:
                self._threaded = True
                begun.acquire()  # releases the interpreter's lock, so that the thread begins
                return
        self._threaded = False
        self._link.send(data)

    def _run(self, data: bytes, done_at: DoneAt, begun: _thread.LockType) -> None:
        waiting, link, limit = self._waiting, self._link, self._ahead
        begun.release()
        try:
            link.send(data)
            over = False
            while not over:
                while len(waiting) >= limit and not self._closed:
                    self._room.acquire()
                if self._closed:
                    break
                part = link.recv()
                over = done_at(part) is not None
                waiting.append(part)
                # one thread switch for several datagrams, if many may wait
                if (over or len(waiting) > limit >> 3) and self._news.locked():
                    self._news.release()
        except BaseException as error:
            waiting.append(error)
        finally:
            self._ended.release()
            if self._news.locked():
                self._news.release()

    def recv(self) -> bytes:
        """Return the next datagram, or raise the exception of sending or receiving."""
        if not self._threaded:
            return self._link.recv()
        waiting = self._waiting
        while not waiting:
            self._news.acquire()
        part = waiting.pop(0)
        if len(waiting) <= self._ahead >> 1 and self._room.locked():
            self._room.release()
        if isinstance(part, BaseException):
            raise part
        return part

    def close(self) -> None:
        """End the thread, even in the middle of a dump; the link stays open."""
        self._closed = True
        if self._room.locked():
            self._room.release()
        with self._ended:
            pass
