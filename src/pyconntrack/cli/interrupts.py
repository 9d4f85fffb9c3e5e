"""SIGINT and SIGTERM while the table is changed: a step that has begun is completed first.

What was sent is acknowledged, counted, printed and in the undo file before the program ends, so
what it reports is exact.  The first signal ends the work, a second one the program, at once.
"""

from __future__ import annotations

import _signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_SIGNALS = (_signal.SIGINT, _signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The signal ``number`` asked for the end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Interrupts:
    """The handler of both signals; as a context, a step that is not broken off.

    Outside a step a signal raises :class:`Interrupted` where the program is, within one at its end.
    A signal that is ignored, as by ``nohup`` or a shell's background job, remains so.
    """

    __slots__ = ("_before", "_held", "_number")

    def __init__(self) -> None:
        self._number = 0
        self._held = False
        handlers = {number: _signal.getsignal(number) for number in _SIGNALS}
        self._before = {n: old for n, old in handlers.items() if old != _signal.SIG_IGN}
        for number in self._before:
            _signal.signal(number, self._arrived)

    def _arrived(self, number: int, _: object) -> None:
        for one in self._before:
            _signal.signal(one, _signal.SIG_DFL)
        self._number = number
        if not self._held:
            raise Interrupted(number)

    def close(self) -> None:
        """Put the handlers back that were there before."""
        for number, handler in self._before.items():
            _signal.signal(number, handler)

    def hold(self) -> None:
        """Begin a step."""
        self._held = True

    def release(self) -> None:
        """End the step; raise :class:`Interrupted` if a signal came in it."""
        self._held = False
        if self._number:
            raise Interrupted(self._number)

    def __enter__(self) -> None:
        self.hold()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if error is None:
            self.release()
