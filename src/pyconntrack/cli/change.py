"""The common part of -D and -U: find entries, then send a request for each, many to a send.

An entry that vanished meanwhile is no error; a refusal is reported.  The table is processed window
by window: each is found, written to the undo file and changed before the next, so memory does not
grow with the table, and little time passes between seeing an entry and changing it.
"""

from __future__ import annotations

import errno

from ..netlink.socket import Transport
from ..thresholds import CHANGE
from .console import BY_SIGNAL, complain, failure, program, quoted
from .filters import predicate
from .interrupts import Interrupted
from .progress import Progress
from .selection import selections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ..netlink.conversation import Failure
    from .filter_file import Lines
    from .main import Runner
    from .parser import Command
    from .selection import Selection
    from .undo import WayBack


class Change:
    """The change of one command: its socket, the kernel's refusals, the number of entries done."""

    def __init__(self, runner: Runner, command: Command) -> None:
        self.runner, self.command = runner, command
        self.errors: dict[str, int] = {}
        self.progress = Progress("progress" in command.opts)
        self.undo: WayBack | None = None
        self.stop: Interrupted | None = None
        self._transport: Transport | None = None

    @property
    def transport(self) -> Transport:
        """Return the socket for the changes; the first call opens it."""
        if self._transport is None:
            self._transport = Transport(rcvbuf=4 << 20)
        return self._transport

    def windows(self, lines: Lines | None = None) -> Iterator[Selection]:
        """Yield the entries that the command selects, window by window, until a signal arrives.

        What the caller does with a window is a step: a signal ends the work after it.
        """
        node = predicate(self.command)
        interrupts = self.runner.interrupts
        try:
            for part in selections(self.runner, self.command, node, CHANGE, lines, self.progress):
                interrupts.hold()
                yield part
                interrupts.release()
        except Interrupted as stop:
            self.stop = stop
        interrupts.hold()  # what remains is to report

    def keep(self, chosen: Selection) -> bool:
        """Write ``chosen`` to the undo file; return False if it must not be changed."""
        text = self.undo.keep(chosen) if self.undo is not None else ""
        if text:
            self.errors[text] = 1
        return not text

    def done(
        self, chosen: Selection, failures: list[tuple[int, Failure]], passed: Collection[int] = ()
    ) -> Selection:
        """Return the entries that were changed; count those that the kernel refused.

        A vanished entry is no error, nor is an errno in ``passed``.
        """
        for _, bad in failures:
            if bad.errno != errno.ENOENT and bad.errno not in passed:
                text = failure(bad.errno, bad.reason)
                self.errors[text] = self.errors.get(text, 0) + 1
        return chosen.without([place for place, _ in failures])

    def close(self) -> None:
        """End the progress display and close the socket."""
        self.progress.close()
        if self._transport is not None:
            self._transport.close()

    def finish(self, count: int, what: str, *, none: int = 1) -> int:
        """Report errors and the summary; return the exit code, ``none`` if nothing matched."""
        self.close()
        for text, number in self.errors.items():
            complain(text if number == 1 else f"{text} ({number} entries)")
        if self.stop is not None:
            return self._interrupted(self.stop, count, what)
        if count or not self.errors:
            self.runner.summary(count, what)
        return 1 if self.errors else 0 if count else none

    def _interrupted(self, stop: Interrupted, count: int, what: str) -> int:
        """Report what was done before ``stop``, and the way back or on; return the exit code."""
        text = f"interrupted: {count:,} {what}, the rest of the table was not looked at"
        if count and self.undo is not None:
            text += f"; {program()} -R {quoted(self.undo.path)} brings them back"
        elif not self.runner.quiet and "dry_run" not in self.command.opts:
            text += "; the same command goes on"
        self.runner.out.flush()
        complain(text)
        return BY_SIGNAL + stop.number
