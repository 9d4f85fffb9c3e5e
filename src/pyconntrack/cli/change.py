"""The common part of -D and -U: find entries, then send a request for each, many to a send.

An entry that vanished meanwhile is no error; a refusal is reported.  The table is processed window
by window: each is found, written to the undo file and changed before the next, so memory does not
grow with the table, and little time passes between seeing an entry and changing it.
"""

from __future__ import annotations

import errno

from ..netlink.socket import Transport
from ..thresholds import CHANGE
from .console import Progress, complain, failure
from .filters import predicate
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
        wanted = "progress" in command.opts
        self.progress = Progress(wanted, shared=runner.out.terminal)
        self.undo: WayBack | None = None
        self._transport: Transport | None = None

    @property
    def transport(self) -> Transport:
        """Return the socket for the changes; the first call opens it."""
        if self._transport is None:
            self._transport = Transport(rcvbuf=4 << 20)
        return self._transport

    def windows(self, lines: Lines | None = None) -> Iterator[Selection]:
        """Yield the entries that the command selects, window by window."""
        node = predicate(self.command)
        return selections(self.runner, self.command, node, CHANGE, lines, self.progress)

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
        if count or not self.errors:
            self.runner.summary(count, what)
        return 1 if self.errors else 0 if count else none
